//! The thread that owns a disk: takes work in order, commits what has gathered, answers.
//!
//! It does what the driver's thread does, with the store's own `carry_out` and `commit`; between any two of its
//! steps the power may fail.

use crate::{
    checks::Violation,
    happened::Count,
    machine::{DiskThread, Fuse},
    scenario::Span,
    world::{Event, World},
};
use radmesh_protocol::{
    node::Input,
    record::{Stored, Work},
};

/// Pieces of work that share one commit at most.
const GROUP_MAX: usize = 16;
/// As the driver's thread: records that wait for space are tried again this often.
const FULL_PAUSE_MS: u64 = 5_000;
const TURN_MS: Span = Span { from: 0, to: 3 };
/// An fsync on a card that other things use too.
pub(crate) const SYNC_MS: Span = Span { from: 1, to: 60 };
/// And on one that dies.
pub(crate) const SLOW_SYNC_MS: Span = Span { from: 2_000, to: 30_000 };

impl World<'_> {
    pub(crate) fn queue_work(&mut self, at: usize, work: Work) {
        let life = self.machines[at].life;
        let Some(running) = &mut self.machines[at].running else { return };
        running.work.push_back(work);
        if running.disk == DiskThread::Idle {
            running.disk = DiskThread::Busy;
            let after = self.chance.within(TURN_MS);
            self.foresee(after, Event::DiskTurn { at, life });
        }
    }

    pub(crate) fn disk_turn(&mut self, at: usize) -> Result<(), Violation> {
        let life = self.machines[at].life;
        let Some(running) = &mut self.machines[at].running else { return Ok(()) };
        let group = running.work.len().min(GROUP_MAX);
        let mut answers = Vec::new();
        let mut wrote = 0;
        for work in running.work.drain(..group) {
            wrote += usize::from(matches!(work, Work::Write { .. } | Work::Persist(..)));
            answers.extend(running.store.carry_out(work));
        }
        self.trace.note(self.now, format_args!("{} disk {group} done, {wrote} written", self.machines[at].name));
        if let (1.., Fuse::InNextWrite { down_ms }) = (wrote, self.machines[at].fuse) {
            return self.crash(at, down_ms);
        }
        let (soon, sync) = (self.chance.within(TURN_MS), self.chance.within(self.machines[at].sync_ms));
        if self.machines[at].sync_ms == SLOW_SYNC_MS {
            self.happened.count(Count::SlowSyncs);
        }
        self.foresee(soon.min(sync), Event::DiskAnswers { at, life, answers });
        self.foresee(sync, Event::DiskCommit { at, life });
        Ok(())
    }

    pub(crate) fn disk_commit(&mut self, at: usize) -> Result<(), Violation> {
        let life = self.machines[at].life;
        let Some(running) = &mut self.machines[at].running else { return Ok(()) };
        let answers: Vec<Stored> = running.store.commit().into_iter().collect();
        let after = self.chance.within(TURN_MS);
        if running.work.is_empty() {
            running.disk = DiskThread::Idle;
            if answers.contains(&Stored::Full) {
                self.foresee(FULL_PAUSE_MS, Event::DiskTriesAgain { at, life });
            }
        } else {
            self.foresee(after, Event::DiskTurn { at, life });
        }
        // Before the next turn's answers, which are foreseen later.
        self.foresee(0, Event::DiskAnswers { at, life, answers });
        Ok(())
    }

    /// Records wait for space, and nothing else has asked the disk for anything meanwhile.
    pub(crate) fn disk_tries_again(&mut self, at: usize) -> Result<(), Violation> {
        match &mut self.machines[at].running {
            Some(running) if running.disk == DiskThread::Idle => {
                running.disk = DiskThread::Busy;
                self.disk_turn(at)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn disk_answers(&mut self, at: usize, stored: Stored) -> Result<(), Violation> {
        self.input(at, Input::Stored(stored))
    }
}
