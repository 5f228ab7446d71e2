//! Disks that fill up, and disks that rot.

use crate::{
    checks::Violation,
    happened::Count,
    world::{Event, World},
};
use radmesh_protocol::{
    id::ManifestId,
    node::{Command, Node},
    transfer::shelf::Progress,
};
use radmesh_store::medium::{Fault, Medium, Name};
use std::collections::BTreeSet;

impl World<'_> {
    /// One machine can write nothing for a while.
    pub(super) fn fill_disk(&mut self, for_ms: u64) {
        let at = self.chance.below(self.machines.len());
        self.trace.note(self.now, format_args!("{}'s disk is full for {for_ms} ms", self.machines[at].name));
        self.machines[at].medium.inject(Fault::FullFrom(1));
        self.happened.count(Count::FullDisks);
        self.foresee(for_ms, Event::DiskHasRoom { at });
    }

    pub(crate) fn disk_has_room(&mut self, at: usize) {
        let medium = &self.machines[at].medium;
        medium.heal();
        self.happened.count_to(Count::RefusedByDisk, at, medium.happened());
    }

    /// One bit of a parcel turns over on one disk, of which another machine has all.
    pub(super) fn rot(&mut self) {
        let at = self.chance.below(self.machines.len());
        let Some(running) = &self.machines[at].running else { return };
        let complete = complete(&running.node);
        let elsewhere = |manifest: &ManifestId| {
            self.machines.iter().enumerate().any(|(other, machine)| {
                let has = |node: &Node| node.parcel(manifest).is_some_and(|view| view.progress == Progress::Complete);
                other != at
                    && !self.promises.rotten.contains(&(other, *manifest))
                    && machine.running.as_ref().is_some_and(|running| has(&running.node))
            })
        };
        let candidates: Vec<ManifestId> = complete.filter(elsewhere).collect();
        if candidates.is_empty() {
            return;
        }
        let manifest = candidates[self.chance.below(candidates.len())];
        let name = Name::Parcel(manifest);
        let Ok(bytes) = self.machines[at].medium.bytes(name) else { return };
        let (offset, bit) = (self.chance.below(bytes as usize) as u64, self.chance.below(8) as u8);
        self.trace.note(self.now, format_args!("{}: bit {bit} of {offset} in {manifest}", self.machines[at].name));
        self.machines[at].medium.flip(name, offset, bit);
        self.promises.rotten.insert((at, manifest));
        self.happened.count(Count::Rot);
    }

    /// Has every node with a rotten disk check it.
    pub(super) fn verify_rotten(&mut self) -> Result<(), Violation> {
        let rotten: BTreeSet<usize> = self.promises.rotten.iter().map(|(at, _)| *at).collect();
        rotten.into_iter().try_for_each(|at| self.command(at, Command::Verify).map(drop))
    }
}

fn complete(node: &Node) -> impl Iterator<Item = ManifestId> + '_ {
    node.parcels().filter(|view| view.progress == Progress::Complete).map(|view| view.manifest)
}
