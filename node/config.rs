//! The node's configuration: read once, checked once.
//!
//! `RawConfig` is the file as written (`radmesh.toml`), `Config` is what the node runs on. A key that no hospital
//! needs is not here.

use crate::cli::{CliError, at};
use libp2p::Multiaddr;
use radmesh_protocol::roster::Role;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// Name of the file in a node's directory.
pub(crate) const FILE: &str = "radmesh.toml";

/// The file as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawConfig {
    name: String,
    role: String,
    /// libp2p addresses to listen on; a spoke needs none, it dials.
    #[serde(default)]
    listen: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spoke: Option<RawSpoke>,
    #[serde(default)]
    network: RawNetwork,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpoke {
    /// Where modalities send to: address and port.
    dicom_listen: SocketAddr,
    /// Our AE title.
    ae_title: String,
    /// Seconds without a new Instance after which a Study is closed.
    quiet_period_s: u64,
    /// Takes storage SOP classes that are not in the conformance statement.
    unknown_sop_classes: bool,
    /// Modalities that may send; anyone else waits in quarantine.
    #[serde(default)]
    modalities: Vec<RawModality>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModality {
    ae_title: String,
    address: IpAddr,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawNetwork {
    /// Gossip is freshness only; off = events come by push and anti-entropy alone.
    gossip: bool,
    /// Off = no exchange of vectors while a link is up.
    anti_entropy: bool,
    /// Off = a new event waits for the next exchange or gossip.
    push: bool,
}

impl Default for RawNetwork {
    fn default() -> Self {
        Self { gossip: true, anti_entropy: true, push: true }
    }
}

/// What the node runs on.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) listen: Vec<Multiaddr>,
    pub(crate) spoke: Option<SpokeConfig>,
    pub(crate) gossip: bool,
    pub(crate) anti_entropy: bool,
    pub(crate) push: bool,
}

/// The spoke's section.
#[derive(Debug, Clone)]
pub(crate) struct SpokeConfig {
    pub(crate) dicom_listen: SocketAddr,
    pub(crate) ae_title: String,
    pub(crate) quiet_period_s: u64,
    pub(crate) unknown_sop_classes: bool,
    pub(crate) modalities: Vec<(String, IpAddr)>,
}

/// Default port of the DICOM service (PS3.8 section 9.1.1).
const DICOM_PORT: u16 = 11_112;

/// What `radmesh init` chose.
pub(crate) struct Choices<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Role,
    pub(crate) listen: &'a [Multiaddr],
    pub(crate) dicom_listen: Option<SocketAddr>,
    pub(crate) ae_title: &'a str,
    pub(crate) quiet_period_s: u64,
}

impl RawConfig {
    /// The file that `radmesh init` writes.
    pub(crate) fn first(choices: &Choices<'_>) -> Self {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DICOM_PORT));
        Self {
            name: choices.name.to_owned(),
            role: choices.role.to_string(),
            listen: choices.listen.iter().map(ToString::to_string).collect(),
            spoke: (choices.role == Role::Spoke).then(|| RawSpoke {
                dicom_listen: choices.dicom_listen.unwrap_or(any),
                ae_title: choices.ae_title.to_owned(),
                quiet_period_s: choices.quiet_period_s,
                unknown_sop_classes: false,
                modalities: Vec::new(),
            }),
            network: RawNetwork::default(),
        }
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration has only strings, numbers and tables")
    }

    fn check(self) -> Result<Config, String> {
        let role = self.role.parse().map_err(|_| format!("role = {:?}: it is spoke, hub or relay", self.role))?;
        let listen = self.listen.iter().map(|text| text.parse().map_err(|error| format!("listen = {text:?}: {error}")));
        let listen = listen.collect::<Result<_, _>>()?;
        if self.spoke.is_none() && role == Role::Spoke {
            return Err("role = \"spoke\" needs a [spoke] section".into());
        }
        if self.spoke.is_some() && role != Role::Spoke {
            return Err(format!("a [spoke] section does not go with role = \"{role}\""));
        }
        let spoke = self.spoke.map(RawSpoke::check).transpose()?;
        let RawNetwork { gossip, anti_entropy, push } = self.network;
        Ok(Config { name: self.name, role, listen, spoke, gossip, anti_entropy, push })
    }
}

impl RawSpoke {
    fn check(self) -> Result<SpokeConfig, String> {
        check_ae_title("ae_title", &self.ae_title)?;
        if self.quiet_period_s == 0 || self.quiet_period_s > 24 * 3600 {
            return Err(format!("quiet_period_s = {}: it is 1 to 86400", self.quiet_period_s));
        }
        for modality in &self.modalities {
            check_ae_title("modalities.ae_title", &modality.ae_title)?;
        }
        Ok(SpokeConfig {
            dicom_listen: self.dicom_listen,
            ae_title: self.ae_title,
            quiet_period_s: self.quiet_period_s,
            unknown_sop_classes: self.unknown_sop_classes,
            modalities: self.modalities.into_iter().map(|m| (m.ae_title, m.address)).collect(),
        })
    }
}

/// PS3.5 section 6.2, VR AE: 1 to 16 characters of the default repertoire, no backslash, no control characters.
fn check_ae_title(key: &str, title: &str) -> Result<(), String> {
    let fits = (1..=16).contains(&title.len()) && title.trim() == title;
    let allowed = title.chars().all(|c| c.is_ascii() && !c.is_ascii_control() && c != '\\');
    if fits && allowed {
        return Ok(());
    }
    Err(format!("{key} = {title:?}: an AE title is 1 to 16 ASCII characters without backslash"))
}

impl Config {
    /// Reads and checks the configuration of the node in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, CliError> {
        let path: PathBuf = dir.join(FILE);
        if !path.exists() {
            return Err(CliError::configuration(format!("{} holds no node", dir.display())).hint(
                "make one with `radmesh init --dir NODE --name NAME --role spoke|hub|relay`, or name it with --dir",
            ));
        }
        let text = std::fs::read_to_string(&path).map_err(at(&path))?;
        let raw: RawConfig = toml::from_str(&text)
            .map_err(|error| CliError::configuration(format!("{}: {}", path.display(), error.message())))?;
        raw.check().map_err(|reason| CliError::configuration(format!("{}: {reason}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoke() -> RawConfig {
        let choices = Choices {
            name: "Kasungu",
            role: Role::Spoke,
            listen: &[],
            dicom_listen: None,
            ae_title: "RADMESH",
            quiet_period_s: 60,
        };
        RawConfig::first(&choices)
    }

    #[test]
    fn the_file_that_init_writes_is_one_that_run_reads() {
        let raw: RawConfig = toml::from_str(&spoke().text()).unwrap();
        let config = raw.check().unwrap();
        assert_eq!(config.spoke.unwrap().dicom_listen.port(), 11_112);
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let text = spoke().text().replace("quiet_period_s", "quiet_perod_s");
        assert!(toml::from_str::<RawConfig>(&text).unwrap_err().message().contains("quiet_perod_s"));
    }

    #[test]
    fn an_ae_title_of_17_characters_is_refused() {
        let text = spoke().text().replace("\"RADMESH\"", "\"RADMESH-KASUNGU-1\"");
        assert!(toml::from_str::<RawConfig>(&text).unwrap().check().is_err());
    }
}
