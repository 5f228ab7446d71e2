//! `radmesh verify`: every stored byte against its hash.

use super::{CliError, NodeDir, print};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::Args;
use radmesh_protocol::id::ManifestId;
use radmesh_store::BrokenJournal;
use serde::{Deserialize, Serialize};

/// What is damaged is struck from the books and fetched again from a peer that holds it.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    node: NodeDir,
    /// For programs: { records, journal_damage, parcels, damaged: [{ manifest, chunk }] }.
    #[arg(long)]
    json: bool,
}

/// The outcome of a check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Records of the journal that were read, in an unbroken chain.
    pub(crate) records: u64,
    /// What ends the chain before its last record, if anything does.
    pub(crate) journal_damage: Option<String>,
    /// Parcels of which every chunk that had come and was right was read and hashed again.
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
    /// Of what the store found of the journal, and the core of the parcels.
    pub(crate) fn of(journal: Result<u64, BrokenJournal>, parcels: usize, damaged: &[(ManifestId, u32)]) -> Self {
        let (records, journal_damage) = match journal {
            Ok(records) => (records, None),
            Err(broken) => (broken.records, Some(broken.to_string())),
        };
        let named =
            damaged.iter().map(|(manifest, chunk)| DamagedChunk { manifest: manifest.to_string(), chunk: *chunk });
        Self { records, journal_damage, parcels, damaged: named.collect() }
    }
}

impl Verify {
    pub(super) fn run(self) -> Result<(), CliError> {
        let outcome: Outcome = Wire::connect(&self.node.dir)?.ask(&Request::Verify)?;
        if self.json {
            print::json(&outcome);
        } else {
            say!("{} records of the journal checked", outcome.records);
            if let Some(damage) = &outcome.journal_damage {
                say!("damaged: the journal, {damage}");
            }
            say!("{} parcels checked, {} chunks damaged", outcome.parcels, outcome.damaged.len());
            for DamagedChunk { manifest, chunk } in &outcome.damaged {
                say!("damaged: parcel {manifest}, chunk {chunk}; it is fetched again");
            }
        }
        Ok(())
    }
}
