//! What nodes have promised so far, kept outside of the world, where no power cut reaches.
//!
//! A promise is what a person acted on: the clinic was told "announced", the reader "signed", a peer read a receipt.

use crate::happened::Kept;
use radmesh_protocol::{
    id::{CaseId, Hash, ManifestId},
    roster::RosterVersion,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

/// See the module's page.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// Hash of every chunk of each parcel ever sealed.
    pub(crate) sealed: BTreeMap<ManifestId, Vec<Hash>>,
    /// Parcels a spoke has answered for, by machine.
    pub(crate) announced: BTreeSet<(usize, ManifestId)>,
    /// What a node has answered for that it says, by machine.
    pub(crate) appended: BTreeSet<(usize, Hash)>,
    /// Of these, reports, with their case.
    pub(crate) reports: BTreeSet<(CaseId, Hash)>,
    /// Parcels whose receipt by a machine has been read by another.
    pub(crate) receipted: BTreeSet<(usize, ManifestId)>,
    /// Parcels that a liar has signed for and did not have: no promise.
    pub(crate) false_receipts: BTreeSet<(usize, ManifestId)>,
    /// What a machine has said in an event that another holds.
    pub(crate) told: BTreeSet<(usize, Hash)>,
    /// Parcels of which a bit turned over on a machine's disk, until it is mended.
    pub(crate) rotten: BTreeSet<(usize, ManifestId)>,
    /// The newest roster that a machine has told others it has.
    pub(crate) rosters: BTreeMap<usize, RosterVersion>,
    /// Chunks read and found as they were sealed.
    pub(crate) chunks_right: Cell<u64>,
}

impl Promises {
    /// What was promised, and held whenever it was looked at.
    pub(crate) fn kept(&self) -> Kept {
        Kept {
            stored: (self.announced.len() + self.appended.len()) as u64,
            delivered: self.receipted.len() as u64,
            reported: self.reports.len() as u64,
            chunks_right: self.chunks_right.get(),
        }
    }

    /// A machine's disk is lost, or an earlier copy: what it had told nobody is gone with it.
    pub(crate) fn only_told(&mut self, at: usize) {
        let told = &self.told;
        let is_lost = |by: &usize, hash: &Hash| *by == at && !told.contains(&(*by, *hash));
        let lost: BTreeSet<Hash> =
            self.appended.iter().filter(|(by, hash)| is_lost(by, hash)).map(|(_, hash)| *hash).collect();
        self.appended.retain(|(by, hash)| !is_lost(by, hash));
        self.reports.retain(|(_, hash)| !lost.contains(hash));
    }

    /// A machine is no more: nothing is asked of it.
    pub(crate) fn nobody_has(&mut self, at: usize) {
        self.receipted.retain(|(by, _)| *by != at);
        self.rotten.retain(|(by, _)| *by != at);
    }

    /// A machine was revoked: nothing is asked of it, not even the reports that were signed there.
    pub(crate) fn nobody_asks(&mut self, at: usize) {
        self.rotten.retain(|(by, _)| *by != at);
        self.reports.retain(|(_, hash)| !self.appended.contains(&(at, *hash)));
    }
}
