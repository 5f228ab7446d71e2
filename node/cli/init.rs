//! `radmesh init`: a node's keys, its configuration, and the request that the ministry admits.

use super::{CliError, passphrase::Passphrase};
use crate::cli::print::say;
use crate::{
    config::{self, Choices, RawConfig},
    durable,
    keystore::Keystore,
    privacy,
};
use clap::{Args, ValueEnum};
use libp2p::Multiaddr;
use radmesh_dimse::AeTitle;
use radmesh_protocol::roster::{Role, request::NodeRequest};
use std::{net::SocketAddr, path::PathBuf};

/// Name of the request file in a node's or person's directory.
pub(super) const REQUEST_FILE: &str = "request.radmesh";

/// What is here afterwards: `radmesh.toml` to edit, keys to keep, `request.radmesh` to bring to the ministry.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The node's directory; made if absent.
    #[arg(long, env = "RADMESH_DIR", default_value = "/var/lib/radmesh", value_name = "NODE")]
    dir: PathBuf,
    /// The node's name, as people say it.
    #[arg(long, value_parser = crate::cli::name)]
    name: String,
    /// What the node does.
    #[arg(long)]
    role: Word,
    /// Where it waits for other nodes, e.g. /ip4/0.0.0.0/tcp/4001. A spoke needs none: it dials.
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<Multiaddr>,
    /// Where others dial it, when that is not where it listens (a port forwarded by a router).
    #[arg(long, value_name = "MULTIADDR")]
    announce: Vec<Multiaddr>,
    /// Where modalities send to, for a spoke [default: 0.0.0.0:11112].
    #[arg(long, value_name = "ADDR:PORT")]
    dicom_listen: Option<SocketAddr>,
    /// The spoke's AE title.
    #[arg(long, default_value = "RADMESH", value_name = "AE")]
    ae_title: AeTitle,
    /// Seconds without a new Instance after which a Study is closed.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(config::QUIET_PERIOD_S))]
    quiet_period: u64,
    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// A clinic's: takes Studies in, shows reports.
    Spoke,
    /// A reading hospital's: custody, reading, claims.
    Hub,
    /// Stores and forwards what it can't read.
    Relay,
}

impl Init {
    pub(super) fn run(self) -> Result<(), CliError> {
        let role = match self.role {
            Word::Spoke => Role::Spoke,
            Word::Hub => Role::Hub,
            Word::Relay => Role::Relay,
        };
        if self.dir.join(config::FILE).exists() {
            return Err(CliError::user(format!("{} holds a node already", self.dir.display()))
                .hint("a node's keys are never written over; choose another directory"));
        }
        let announce = if self.announce.is_empty() { self.listen.clone() } else { self.announce };
        if let Some(nowhere) = announce.iter().find(|a| is_unspecified(a)) {
            return Err(CliError::user(format!("nobody can dial {nowhere}"))
                .hint("say where others reach this node: --announce /ip4/ADDRESS/tcp/PORT"));
        }
        if role == Role::Hub && announce.is_empty() {
            return Err(CliError::user("a hub waits for other nodes and needs an address")
                .hint("--listen /ip4/0.0.0.0/tcp/4001 --announce /ip4/ADDRESS/tcp/4001"));
        }
        if self.dir.exists() {
            privacy::check_directory(&self.dir)?;
        }
        let passphrase = (role == Role::Hub).then(|| self.passphrase.choose("this hub's reading keys")).transpose()?;
        durable::folder(&self.dir)?;
        let (keys, reading) = Keystore::create(&self.dir, passphrase.as_deref().map(String::as_str))?;
        let (public, epoch0) = match (&reading, &keys.reading) {
            (Some(locked), _) => (locked.hub.public(), Some(locked.epoch_0.public())),
            (None, Some(own)) => (own.public(), None),
            (None, None) => return Err(CliError::internal("a node without a reading key was made")),
        };
        let request = NodeRequest {
            node: keys.signing.node_id(),
            reading: public,
            name: self.name.clone(),
            role,
            addresses: announce.iter().map(ToString::to_string).collect(),
            incarnation: keys.incarnation,
            epoch0,
        };
        let path = self.dir.join(REQUEST_FILE);
        durable::write_whole(&path, &request.to_file(&keys.signing))?;
        let choices = Choices {
            name: &self.name,
            role,
            listen: &self.listen,
            dicom_listen: self.dicom_listen,
            ae_title: self.ae_title,
            quiet_period_s: self.quiet_period,
        };
        durable::write_whole(&self.dir.join(config::FILE), RawConfig::first(&choices).text().as_bytes())?;
        say!("{role} {:?}, node id {}", self.name, request.node);
        say!("next: bring {} to the ministry, then `radmesh join --dir {} ROSTER`", path.display(), self.dir.display());
        Ok(())
    }
}

fn is_unspecified(address: &Multiaddr) -> bool {
    use libp2p::multiaddr::Protocol;
    address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_unspecified(),
        Protocol::Ip6(ip) => ip.is_unspecified(),
        _ => false,
    })
}
