//! The node's configuration: read once, checked once.
//!
//! `RawConfig` is the file as written (`radmesh.toml`), `Config` is what the node runs on. A key that no hospital
//! needs is not here, and a wrong value is named with its line: whoever mends it may be on the phone.

use multiaddr::Multiaddr;
use radmesh_dimse::AeTitle;
use radmesh_protocol::{roster::Role, transfer::scrub::Share};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{
    fmt::Display,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

/// Name of the file in a node's directory.
pub(crate) const FILE: &str = "radmesh.toml";
/// Seconds of quiet after which a Study may be closed: from one to a day.
pub(crate) const QUIET_PERIOD_S: std::ops::RangeInclusive<u64> = 1..=24 * 3600;
/// Days of running for which may be set to be kept what others hold: those of the notice at least.
const KEEP_DAYS: std::ops::RangeInclusive<u32> = 3..=36_500;
/// Default port of the DICOM service (PS3.8 section 9.1.1).
const DICOM_PORT: u16 = 11_112;

/// The file as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawConfig {
    name: String,
    #[serde(deserialize_with = "parsed", serialize_with = "shown")]
    role: Role,
    /// libp2p addresses to listen on; a spoke needs none, it dials.
    #[serde(default)]
    listen: Vec<Multiaddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spoke: Option<SpokeConfig>,
    #[serde(default)]
    store: StoreConfig,
    #[serde(default)]
    network: Network,
}

/// What the store does by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreConfig {
    /// Per cent of the disk's time in which everything is read back in turn; 0 for never.
    #[serde(deserialize_with = "scrub")]
    pub(crate) scrub_percent: u8,
    /// Days of running for which is kept what others hold; without it, as many as the role asks for.
    #[serde(deserialize_with = "keep_days", skip_serializing_if = "Option::is_none")]
    keep_days: Option<u32>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { scrub_percent: 1, keep_days: None }
    }
}

impl StoreConfig {
    /// The share that the core takes.
    pub(crate) fn scrub(&self) -> Share {
        Share::per_cent(self.scrub_percent).expect("it was checked when it was read")
    }

    /// Hours of running for which a node of this role keeps what others hold: at a clinic as long as a patient may come
    /// back, at a relay until every link has been up, at a hub that read for another until nobody asks again.
    pub(crate) fn keep_hours(&self, role: Role) -> u32 {
        let by_role = match role {
            Role::Spoke => 90,
            Role::Relay => 14,
            Role::Hub => 30,
        };
        self.keep_days.unwrap_or(by_role) * 24
    }
}

/// The spoke's section.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpokeConfig {
    /// Where modalities send to: address and port.
    pub(crate) dicom_listen: SocketAddr,
    /// Our AE title.
    #[serde(deserialize_with = "parsed", serialize_with = "shown")]
    pub(crate) ae_title: AeTitle,
    /// Seconds without a new Instance after which a Study is closed.
    #[serde(deserialize_with = "quiet_period")]
    pub(crate) quiet_period_s: u64,
    /// 10^9 bytes that one sender may store in a day.
    #[serde(default = "sender_gb_a_day")]
    pub(crate) sender_gb_a_day: u32,
    /// Takes storage SOP classes that are not in the conformance statement.
    pub(crate) unknown_sop_classes: bool,
    /// Modalities that may send; anyone else waits in quarantine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) modalities: Vec<ModalityConfig>,
}

/// One modality that may send.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModalityConfig {
    #[serde(deserialize_with = "parsed", serialize_with = "shown")]
    pub(crate) ae_title: AeTitle,
    pub(crate) address: IpAddr,
}

/// Ways that news of events travel; every one may be off, and the worklist still converges.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// Gossip is freshness only; off = events come by push and anti-entropy alone.
    pub(crate) gossip: bool,
    /// Off = no exchange of vectors while a link is up.
    pub(crate) anti_entropy: bool,
    /// Off = a new event waits for the next exchange or gossip.
    pub(crate) push: bool,
}

impl Default for Network {
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
    pub(crate) store: StoreConfig,
    pub(crate) network: Network,
}

/// A text that is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    /// No TOML, a key that is not known, a value that breaks its rule.
    #[error("line {line}: {rule}")]
    Line { line: usize, rule: String },
    /// A spoke that does not say where modalities send to.
    #[error("role = \"spoke\" needs a [spoke] section")]
    NoSpokeSection,
    /// A section that nothing would read.
    #[error("a [spoke] section does not go with role = \"{role}\"")]
    SpokeSection { role: Role },
}

/// Why the node in a directory can't be configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{} holds no node", dir.display())]
    Absent { dir: PathBuf },
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {flaw}", path.display())]
    Flawed { path: PathBuf, flaw: Flaw },
}

/// What `radmesh init` chose.
pub(crate) struct Choices<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Role,
    pub(crate) listen: &'a [Multiaddr],
    pub(crate) dicom_listen: Option<SocketAddr>,
    pub(crate) ae_title: AeTitle,
    pub(crate) quiet_period_s: u64,
}

impl RawConfig {
    /// The file that `radmesh init` writes.
    pub(crate) fn first(choices: &Choices<'_>) -> Self {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DICOM_PORT));
        Self {
            name: choices.name.to_owned(),
            role: choices.role,
            listen: choices.listen.to_vec(),
            spoke: (choices.role == Role::Spoke).then(|| SpokeConfig {
                dicom_listen: choices.dicom_listen.unwrap_or(any),
                ae_title: choices.ae_title.clone(),
                quiet_period_s: choices.quiet_period_s,
                sender_gb_a_day: sender_gb_a_day(),
                unknown_sop_classes: false,
                modalities: Vec::new(),
            }),
            store: StoreConfig::default(),
            network: Network::default(),
        }
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration has only strings, numbers and tables")
    }
}

impl Config {
    /// Checks the text of a configuration.
    pub(crate) fn parse(text: &str) -> Result<Self, Flaw> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            Flaw::Line { line: before.matches('\n').count() + 1, rule: error.message().replace('\n', "; ") }
        })?;
        let RawConfig { name, role, listen, spoke, store, network } = raw;
        match (&spoke, role) {
            (None, Role::Spoke) => Err(Flaw::NoSpokeSection),
            (Some(_), Role::Hub | Role::Relay) => Err(Flaw::SpokeSection { role }),
            _ => Ok(Self { name, role, listen, spoke, store, network }),
        }
    }

    /// Reads and checks the configuration of the node in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ConfigError::Absent { dir: dir.to_owned() },
            _ => ConfigError::Unreadable { path: path.clone(), source },
        })?;
        Self::parse(&text).map_err(|flaw| ConfigError::Flawed { path, flaw })
    }
}

/// A value by its own parser, so that its rule is told with the line it is broken in.
fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|rule| D::Error::custom(format!("{text:?}: {rule}")))
}

fn shown<S: Serializer, T: Display>(value: &T, into: S) -> Result<S::Ok, S::Error> {
    into.collect_str(value)
}

/// Twice what a CT sends that never stands still: four Studies of 250 MB an hour.
const fn sender_gb_a_day() -> u32 {
    50
}

fn quiet_period<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let seconds = u64::deserialize(from)?;
    let (least, most) = (QUIET_PERIOD_S.start(), QUIET_PERIOD_S.end());
    let rule = || D::Error::custom(format!("quiet_period_s = {seconds}: it is {least} to {most}"));
    QUIET_PERIOD_S.contains(&seconds).then_some(seconds).ok_or_else(rule)
}

fn keep_days<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let days = u32::deserialize(from)?;
    let (least, most) = (KEEP_DAYS.start(), KEEP_DAYS.end());
    let rule = || D::Error::custom(format!("keep_days = {days}: it is {least} to {most}"));
    KEEP_DAYS.contains(&days).then_some(Some(days)).ok_or_else(rule)
}

fn scrub<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let share = u8::deserialize(from)?;
    let rule = || D::Error::custom(format!("scrub_percent = {share}: it is 0, for no scrub, to 50"));
    Share::per_cent(share).map(|_| share).ok_or_else(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoke() -> String {
        let choices = Choices {
            name: "Kasungu",
            role: Role::Spoke,
            listen: &["/ip4/127.0.0.1/tcp/4001".parse().unwrap()],
            dicom_listen: None,
            ae_title: AeTitle::parse("RADMESH").unwrap(),
            quiet_period_s: 60,
        };
        RawConfig::first(&choices).text()
    }

    /// Line and rule of the flaw after `from` became `to`.
    fn flaw(from: &str, to: &str) -> (String, String) {
        let text = spoke().replace(from, to);
        assert_ne!(text, spoke(), "{from} is not in the file");
        let Flaw::Line { line, rule } = Config::parse(&text).unwrap_err() else { panic!("no line is named") };
        (text.lines().nth(line - 1).unwrap_or_default().to_owned(), rule)
    }

    #[test]
    fn the_file_that_init_writes_is_one_that_run_reads() {
        let config = Config::parse(&spoke()).unwrap();
        assert_eq!((config.role, config.listen.len()), (Role::Spoke, 1));
        assert_eq!(config.spoke.unwrap().dicom_listen.port(), 11_112);
    }

    #[test]
    fn every_broken_value_is_named_with_its_line() {
        for (from, to, why) in [
            ("\"spoke\"", "\"spok\"", "spoke, hub, relay"),
            ("quiet_period_s", "quiet_perod_s", "quiet_perod_s"),
            ("quiet_period_s = 60", "quiet_period_s = 0", "1 to 86400"),
            ("\"RADMESH\"", "\"RADMESH-KASUNGU-1\"", "at most 16 characters; this has 17"),
            ("/tcp/4001", "/tcp/port", "port"),
            ("0.0.0.0:11112", "0.0.0.0", "socket address"),
            ("gossip = true", "gossip = yes", "must be quoted"),
            ("scrub_percent = 1", "scrub_percent = 51", "for no scrub, to 50"),
            ("scrub_percent = 1", "keep_days = 2", "it is 3 to 36500"),
        ] {
            let (line, rule) = flaw(from, to);
            let said = format!("{to}: on the line {line:?}: {rule}");
            assert!(line.contains(to) && (rule.contains(why) || line.contains(why)), "{said}");
            assert!(!rule.contains('\n'), "{said}");
        }
    }

    #[test]
    fn section_and_role_must_agree() {
        let text = spoke();
        assert_eq!(
            Config::parse(&text.replace("\"spoke\"", "\"hub\"")).unwrap_err(),
            Flaw::SpokeSection { role: Role::Hub }
        );
        assert_eq!(Config::parse("name = \"x\"\nrole = \"spoke\"").unwrap_err(), Flaw::NoSpokeSection);
    }
}
