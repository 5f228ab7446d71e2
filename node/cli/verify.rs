//! `radmesh verify`: every stored byte against its hash.

use super::{CliError, NodeDir, print};
use crate::control::{Request, Wire};
use clap::Args;
use radmesh_protocol::id::ManifestId;
use serde::{Deserialize, Serialize};

/// What is damaged is struck from the books and fetched again from a peer that holds it.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    node: NodeDir,
    /// For programs: { parcels, damaged: [{ manifest, chunk }] }.
    #[arg(long)]
    json: bool,
}

/// The outcome of a check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Parcels whose every chunk was read and hashed.
    pub(crate) parcels: usize,
    /// Chunks that are not what they were.
    pub(crate) damaged: Vec<DamagedChunk>,
}

/// One damaged chunk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DamagedChunk {
    /// The parcel's manifest id.
    pub(crate) manifest: String,
    /// Chunk number, from 0.
    pub(crate) chunk: u32,
}

impl Outcome {
    /// Of what the core found.
    pub(crate) fn of(parcels: usize, damaged: &[(ManifestId, u32)]) -> Self {
        let named =
            damaged.iter().map(|(manifest, chunk)| DamagedChunk { manifest: manifest.to_string(), chunk: *chunk });
        Self { parcels, damaged: named.collect() }
    }
}

impl Verify {
    pub(super) fn run(self) -> Result<(), CliError> {
        let outcome: Outcome = Wire::connect(&self.node.dir)?.ask(&Request::Verify)?;
        if self.json {
            print::json(&outcome);
        } else {
            println!("{} parcels checked, {} chunks damaged", outcome.parcels, outcome.damaged.len());
            for DamagedChunk { manifest, chunk } in &outcome.damaged {
                println!("damaged: parcel {manifest}, chunk {chunk}; it is fetched again");
            }
        }
        Ok(())
    }
}
