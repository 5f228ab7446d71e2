//! Disks that fill up, fail, are slow, and rot.

use crate::{
    checks::Violation,
    disk::{SLOW_SYNC_MS, SYNC_MS},
    happened::Count,
    machine::Fuse,
    scenario::Span,
    world::{Event, World},
};
use radmesh_protocol::{
    id::ManifestId,
    node::{Command, Node},
    transfer::shelf::Progress,
};
use radmesh_store::medium::{Fault, Medium, Name, Survives};
use std::collections::BTreeSet;

/// One of so many writes or syncs fails.
const OPERATIONS: usize = 40;
/// Milliseconds from a disk's failure until a person takes its power away, if nothing does before.
const NOTICED_MS: Span = Span { from: 1_000, to: 20_000 };
/// Milliseconds until it has a disk that works, with what was on it.
const REPLACED_MS: Span = Span { from: 1_000, to: 20_000 };

impl World<'_> {
    /// One machine can write nothing for a while.
    pub(super) fn fill_disk(&mut self, for_ms: u64) {
        let at = self.chance.below(self.machines.len());
        self.trace.note(self.now, format_args!("{}'s disk is full for {for_ms} ms", self.machines[at].name));
        self.machines[at].medium.inject(Fault::FullFrom(1));
        self.happened.count(Count::FullDisks);
        self.foresee(for_ms, Event::DiskIsWell { at });
    }

    /// One write or sync of a machine fails, soon; a while later a person replaces the disk by what it holds.
    pub(super) fn fail_disk(&mut self, for_ms: u64) {
        let at = self.chance.below(self.machines.len());
        if self.machines[at].running.is_none() {
            return;
        }
        let operation = 1 + self.chance.below(OPERATIONS) as u64;
        let fault = [Fault::SyncFails(operation), Fault::WriteFails(operation)][self.chance.below(2)];
        self.trace.note(self.now, format_args!("{}'s disk is to fail: {fault:?}", self.machines[at].name));
        self.machines[at].medium.inject(fault);
        self.foresee(for_ms, Event::DiskIsWell { at });
    }

    /// A node has said that its disk failed: somebody hears of it, and takes the power away.
    pub(crate) fn disk_failed(&mut self, at: usize) {
        let Some(running) = &mut self.machines[at].running else { return };
        if std::mem::replace(&mut running.is_faulted, true) {
            return;
        }
        self.happened.count(Count::FaultedDisks);
        self.trace.note(self.now, format_args!("{}'s disk has failed", self.machines[at].name));
        let (life, after, down_ms) =
            (self.machines[at].life, self.chance.within(NOTICED_MS), self.chance.within(REPLACED_MS));
        self.machines[at].fuse = Fuse::InNextWrite { down_ms };
        self.foresee(after, Event::Blow { at, life });
    }

    /// A failed disk that nobody has replaced yet.
    pub(super) fn replace_failed_disk(&mut self, at: usize) {
        if self.machines[at].running.as_ref().is_some_and(|running| running.is_faulted) {
            self.power_fails(at, Some(Survives::Nothing));
        }
    }

    /// Each sync of a machine takes seconds for a while.
    pub(super) fn slow_disk(&mut self, for_ms: u64) {
        let at = self.chance.below(self.machines.len());
        self.trace.note(self.now, format_args!("{}'s disk is slow for {for_ms} ms", self.machines[at].name));
        self.machines[at].sync_ms = SLOW_SYNC_MS;
        self.foresee(for_ms, Event::DiskIsWell { at });
    }

    pub(crate) fn disk_is_well(&mut self, at: usize) {
        self.machines[at].sync_ms = SYNC_MS;
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

    /// One bit of one machine's journal turns over while it has no power. What it does about it shows when it starts;
    /// the first time its disk is copied instead, for the day on which it is damaged.
    pub(super) fn rot_journal(&mut self, down_ms: u64) {
        let Some(at) = self.copied_machine() else { return };
        self.power_fails(at, Some(Survives::Nothing));
        self.foresee(down_ms, Event::Restart { at });
        if self.machines[at].backup.is_none() {
            return self.copy_disk(at);
        }
        let medium = &self.machines[at].medium;
        let files = medium.files();
        let segments: Vec<(&Name, usize)> = files
            .iter()
            .filter(|(name, bytes)| matches!(name, Name::Segment(_)) && !bytes.is_empty())
            .map(|(name, bytes)| (name, bytes.len()))
            .collect();
        let (name, bytes) = segments[self.chance.below(segments.len())];
        let (offset, bit) = (self.chance.below(bytes) as u64, self.chance.below(8) as u8);
        self.trace.note(self.now, format_args!("{}: bit {bit} of {offset} in {name:?}", self.machines[at].name));
        medium.flip(*name, offset, bit);
        self.machines[at].is_bent = true;
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
