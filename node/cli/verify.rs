//! `radmesh verify`: every stored byte against its hash, and what becomes of those that are not what they were.

use super::{CliError, NodeDir, print};
use crate::{
    cli::print::say,
    control::{Request, Wire},
};
use clap::Args;
use radmesh_protocol::id::ManifestId;
use radmesh_spoke::{StagedCheck, listing::case_short};
use radmesh_store::BrokenJournal;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, thread, time::Duration};

/// How long `--repair` waits while no byte comes.
const PATIENCE_S: u64 = 60;

/// What is damaged is struck from the books and fetched again from a node that holds it, as soon as there is a link. The
/// exit code is 1 if something is left that only a person can mend; each is named.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    node: NodeDir,
    /// Waits until all that is damaged has come again, or for a minute in which nothing comes.
    #[arg(long)]
    repair: bool,
    /// For programs: { records, journal_damage, parcels, damaged: [{ manifest, chunk }], staged, lost, missing: [{
    /// manifest, case, site, bytes_missing, held_by }] }.
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
    /// Received Instances that wait to be packed, and were read back.
    pub(crate) staged: usize,
    /// The case of each Instance that waited to be packed and is damaged: it must be sent again.
    pub(crate) lost: Vec<String>,
    /// Parcels of which bytes are still missing that were here, from this check or an earlier one.
    pub(crate) missing: Vec<Missing>,
}

/// One damaged chunk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DamagedChunk {
    /// The parcel's manifest id.
    pub(crate) manifest: String,
    /// Chunk number, from 0.
    pub(crate) chunk: u32,
}

/// A parcel that was here whole, and is not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// The parcel's manifest id.
    pub(crate) manifest: String,
    /// The case it is of; absent where its manifest is gone too.
    pub(crate) case: Option<String>,
    /// The clinic that sealed it.
    pub(crate) site: Option<String>,
    /// Sealed bytes that have not come again.
    pub(crate) bytes_missing: u64,
    /// Nodes that have signed for all of it, or sealed it; whether each is linked now.
    pub(crate) held_by: Vec<Holder>,
}

/// A node that holds a parcel.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) node: String,
    pub(crate) linked: bool,
}

impl Outcome {
    /// Of what the store found of the journal, the core of the parcels, the spoke of its staged Instances.
    pub(crate) fn of(
        journal: Result<u64, BrokenJournal>,
        (parcels, damaged): (usize, &[(ManifestId, u32)]),
        staged: &StagedCheck,
        missing: Vec<Missing>,
    ) -> Self {
        let (records, journal_damage) = match journal {
            Ok(records) => (records, None),
            Err(broken) => (broken.records, Some(broken.to_string())),
        };
        let named =
            damaged.iter().map(|(manifest, chunk)| DamagedChunk { manifest: manifest.to_string(), chunk: *chunk });
        let lost = staged.lost.iter().map(case_short).collect();
        Self { records, journal_damage, parcels, damaged: named.collect(), staged: staged.whole, lost, missing }
    }

    /// How many things are left that only a person can mend.
    fn for_a_person(&self) -> usize {
        let nowhere = self.missing.iter().filter(|missing| missing.held_by.is_empty()).count();
        usize::from(self.journal_damage.is_some()) + self.lost.len() + nowhere
    }
}

impl Verify {
    pub(super) fn run(self) -> Result<(), CliError> {
        let mut outcome: Outcome = Wire::connect(&self.node.dir)?.ask(&Request::Verify)?;
        if self.repair && !outcome.missing.is_empty() {
            outcome.missing = self.wait(std::mem::take(&mut outcome.missing))?;
        }
        if self.json {
            print::json(&outcome);
        } else {
            outcome.say();
        }
        let left = if self.repair { outcome.missing.len() } else { 0 };
        match outcome.for_a_person().max(left) {
            0 => Ok(()),
            n => Err(CliError::user(format!("{} not mended, named above", print::count(n as u64, "damage"))).hint(
                "what another node holds comes when there is a link, an Instance when its modality sends it again; \
                     with a journal that is damaged, stop the node, keep its directory and ask for help",
            )),
        }
    }

    /// Waits while what is missing comes; what is missing then.
    fn wait(&self, first: Vec<Missing>) -> Result<Vec<Missing>, CliError> {
        let bytes = |missing: &[Missing]| missing.iter().map(|parcel| parcel.bytes_missing).sum::<u64>();
        let total = bytes(&first);
        let mut missing = first;
        let mut progress = print::Progress::new("mending", print::Unit::Bytes, total);
        let mut idle = 0;
        while !missing.is_empty() && idle < PATIENCE_S {
            // The control socket answers and does not call: a command that waits asks each second.
            thread::sleep(Duration::from_secs(1));
            let now: Vec<Missing> = Wire::connect(&self.node.dir)?.ask(&Request::Missing)?;
            let still: BTreeSet<&str> = missing.iter().map(|parcel| parcel.manifest.as_str()).collect();
            let now: Vec<Missing> = now.into_iter().filter(|parcel| still.contains(parcel.manifest.as_str())).collect();
            idle = if (now.len(), bytes(&now)) == (missing.len(), bytes(&missing)) { idle + 1 } else { 0 };
            missing = now;
            progress.at(total.saturating_sub(bytes(&missing)), total);
        }
        progress.done();
        Ok(missing)
    }
}

impl Outcome {
    fn say(&self) {
        say!("{} records of the journal checked", self.records);
        if let Some(damage) = &self.journal_damage {
            say!("damaged: the journal, {damage}");
        }
        if self.staged + self.lost.len() > 0 {
            say!("{} waiting to be packed checked", print::count((self.staged + self.lost.len()) as u64, "Instance"));
        }
        for case in &self.lost {
            say!("damaged: an Instance of case {case} that nobody else has; have the modality send the Study again");
        }
        say!("{} parcels checked, {} chunks damaged", self.parcels, self.damaged.len());
        let missing: BTreeSet<&str> = self.missing.iter().map(|parcel| parcel.manifest.as_str()).collect();
        for DamagedChunk { manifest, chunk } in &self.damaged {
            let became = if missing.contains(manifest.as_str()) { "not mended yet" } else { "mended" };
            say!("damaged: parcel {manifest}, chunk {chunk}; {became}");
        }
        for Missing { manifest, site, bytes_missing, held_by, .. } in &self.missing {
            let of = site.as_ref().map_or_else(String::new, |site| format!(" of {site}"));
            let nodes = |linked| {
                let of = held_by.iter().filter(|holder| holder.linked == linked).map(|holder| holder.node.as_str());
                of.collect::<Vec<_>>().join(", ")
            };
            let from = match (nodes(true), nodes(false)) {
                (linked, _) if !linked.is_empty() => format!("it comes again from {linked}"),
                (_, away) if !away.is_empty() => format!("it comes again when there is a link to {away}"),
                _ => "no other node is known to hold it".to_owned(),
            };
            say!("missing: parcel {manifest}{of}, {}; {from}", print::bytes(*bytes_missing));
        }
    }
}
