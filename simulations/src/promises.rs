//! What nodes have promised so far, kept outside of the world, where no power cut reaches.
//!
//! A promise is what a person acted on: the clinic was told "announced", the reader "signed", a peer read a receipt.

use radmesh_protocol::id::{EventHash, Hash, ManifestId};
use std::collections::{BTreeMap, BTreeSet};

/// See the module's page.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// Hash of every chunk of each parcel ever sealed.
    pub(crate) sealed: BTreeMap<ManifestId, Vec<Hash>>,
    /// Parcels the spoke has answered for.
    pub(crate) announced: BTreeSet<ManifestId>,
    /// Events a node has answered for, by machine.
    pub(crate) appended: BTreeSet<(usize, EventHash)>,
    /// Of these, reports.
    pub(crate) reports: BTreeSet<EventHash>,
    /// Parcels whose receipt by a machine has been read by another.
    pub(crate) receipted: BTreeSet<(usize, ManifestId)>,
    /// Events of a machine that another holds.
    pub(crate) told: BTreeSet<(usize, EventHash)>,
}
