//! `radmesh modality`: which machines may send to a spoke.

use super::{CliError, NodeDir, print};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::{Args, Subcommand};
use radmesh_dimse::AeTitle;
use serde_json::Value;
use std::net::IpAddr;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Modalities that may send, and unknown senders whose Instances wait in quarantine.
    List(List),
    /// Let a sender in: what it sent so far goes on its way.
    Accept(Accept),
}

/// A sender is known by its AE title and its address together.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    node: NodeDir,
    /// For programs; the keys are in docs/operating/lists.md.
    #[arg(long)]
    json: bool,
}

/// An AE title is a label that anyone can write: look at the address too.
#[derive(Debug, Args)]
pub(super) struct Accept {
    #[command(flatten)]
    node: NodeDir,
    /// Its AE title, as `radmesh modality list` shows it.
    ae_title: AeTitle,
    /// Its address; may be left out when one address has sent under this title.
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.run(),
            Self::Accept(accept) => accept.run(),
        }
    }
}

fn modalities(node: &NodeDir) -> Result<Vec<Value>, CliError> {
    Wire::connect(&node.dir)?.ask(&Request::Modalities)
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let rows = modalities(&self.node)?;
        if self.json {
            print::json(&rows);
            return Ok(());
        }
        let line = |row: &Value| {
            let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            let number = |key: &str| row[key].as_u64().unwrap_or(0);
            vec![
                text("ae_title"),
                text("address"),
                text("standing"),
                number("instances").to_string(),
                print::bytes(number("bytes")),
            ]
        };
        let heads = ["AE TITLE", "ADDRESS", "STANDING", "WAITING", "BYTES"];
        print::table(&heads, &rows.iter().map(line).collect::<Vec<_>>());
        Ok(())
    }
}

impl Accept {
    fn run(self) -> Result<(), CliError> {
        let address = self.address.map_or_else(|| self.only_address(), Ok)?;
        let request = Request::AcceptModality { ae_title: self.ae_title.to_string(), address };
        let moved: u64 = Wire::connect(&self.node.dir)?.ask(&request)?;
        say!("{} at {address} may send; {moved} Instances left quarantine", self.ae_title);
        Ok(())
    }

    /// The one address that has sent under this title.
    fn only_address(&self) -> Result<IpAddr, CliError> {
        let rows = modalities(&self.node)?;
        let waiting = rows.iter().filter(|row| row["ae_title"] == self.ae_title.as_str());
        let addresses: Vec<IpAddr> = waiting.filter_map(|row| row["address"].as_str()?.parse().ok()).collect();
        match addresses.as_slice() {
            [one] => Ok(*one),
            [] => {
                Err(CliError::user(format!("nobody has sent as {}", self.ae_title))
                    .hint("say where it is: --address IP"))
            }
            several => Err(CliError::user(format!("{} addresses have sent as {}", several.len(), self.ae_title))
                .hint("say which: --address IP")),
        }
    }
}
