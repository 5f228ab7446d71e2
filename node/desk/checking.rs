//! Checks of every byte, and what has not come again of what was damaged.

use super::{Desk, value};
use crate::cli::{CliError, Holder, Missing, VerifyOutcome};
use radmesh_protocol::{
    id::{ManifestId, NodeId},
    node::{Answer, Command, LinkState, Node},
};
use radmesh_spoke::Spoke;
use serde_json::Value;
use std::collections::BTreeSet;

impl Desk {
    /// What is missing now.
    pub(super) fn missing(&self) -> Result<Value, CliError> {
        value(&self.read(missing))
    }

    pub(super) fn verify(&self) -> Result<Value, CliError> {
        let journal = self.store.check_journal();
        let staged =
            self.spoke.as_deref().map(Spoke::check_staged).transpose().map_err(super::refused)?.unwrap_or_default();
        match self.command(Command::Verify)? {
            Answer::Verified { parcels, damaged } => {
                value(&VerifyOutcome::of(journal, (parcels, &damaged), &staged, self.read(missing)))
            }
            other => Err(CliError::internal(format!("the core answered a check with {other:?}"))),
        }
    }
}

/// Parcels of which bytes were here and are not, and who holds them.
fn missing(node: &Node) -> Vec<Missing> {
    let roster = node.roster();
    let linked: BTreeSet<NodeId> =
        node.links().filter(|link| link.state == LinkState::Open).map(|link| link.peer).collect();
    let holder = |id: NodeId| Holder { node: roster.node_name(&id), linked: linked.contains(&id) };
    let of = |manifest: &ManifestId| {
        let parcel = node.parcel(manifest);
        Missing {
            manifest: manifest.to_string(),
            case: parcel.map(|parcel| parcel.case.to_string()),
            site: parcel.map(|parcel| roster.node_name(&parcel.site)),
            bytes_missing: parcel.map_or(0, |parcel| parcel.bytes - parcel.bytes_here),
            held_by: node.holders(manifest).into_iter().map(holder).collect(),
        }
    };
    node.mending().map(of).collect()
}
