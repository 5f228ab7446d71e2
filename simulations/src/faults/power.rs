//! Power that fails, most often in the middle of a write; and a disk that is put back to an earlier copy.

use crate::{
    checks::{Rule, Violation},
    happened::Count,
    machine::{Fuse, Past},
    world::{Event, World},
};
use radmesh_protocol::node::Command;
use radmesh_store::medium::Survives;
use std::mem;

/// Milliseconds within which an idle node that was to lose power in a write loses it all the same.
const FUSE_MS: u64 = 20_000;

impl World<'_> {
    /// Lays a fuse at one machine: in its next write, or now.
    pub(super) fn plan_crash(&mut self, down_ms: u64) -> Result<(), Violation> {
        let at = self.chance.below(self.machines.len());
        if self.machines[at].running.is_none() || self.machines[at].fuse != Fuse::Sound {
            return Ok(());
        }
        if self.chance.below(3) == 0 {
            return self.crash(at, down_ms);
        }
        let life = self.machines[at].life;
        self.machines[at].fuse = Fuse::InNextWrite { down_ms };
        self.foresee(FUSE_MS, Event::Blow { at, life });
        Ok(())
    }

    /// The fuse has burnt down without a write.
    pub(crate) fn blow(&mut self, at: usize) -> Result<(), Violation> {
        match self.machines[at].fuse {
            Fuse::InNextWrite { down_ms } => self.crash(at, down_ms),
            Fuse::Sound => Ok(()),
        }
    }

    pub(crate) fn crash(&mut self, at: usize, down_ms: u64) -> Result<(), Violation> {
        let survives = (self.chance.below(3) == 0).then_some(Survives::Nothing);
        self.power_fails(at, survives);
        self.foresee(down_ms, Event::Restart { at });
        Ok(())
    }

    pub(super) fn power_fails(&mut self, at: usize, survives: Option<Survives>) {
        self.forget_links(at);
        self.happened.count(Count::Crashes);
        if self.machines[at].crash(survives, &mut self.chance) {
            self.happened.count(Count::LostWrites);
        }
        self.trace.note(self.now, format_args!("{} loses power", self.machines[at].name));
    }

    /// Takes a copy of a hub's or relay's disk; the second time, puts it back. It is the same machine all the time: what
    /// a node has told only one other, and both forget, is nowhere.
    pub(super) fn restore(&mut self, down_ms: u64) {
        let Some(at) = self.copied_machine() else { return };
        self.power_fails(at, Some(Survives::Nothing));
        self.foresee(down_ms, Event::Restart { at });
        if self.machines[at].backup.is_none() {
            self.copy_disk(at);
        } else {
            self.put_back(at);
        }
    }

    /// The one hub or relay whose disk is copied, if it has power.
    pub(super) fn copied_machine(&mut self) -> Option<usize> {
        let candidates = self.federation.places.relay()..self.machines.len();
        let copied = candidates.clone().find(|at| self.machines[*at].has_ever_been_copied());
        let at = copied.unwrap_or_else(|| candidates.start + self.chance.below(candidates.len()));
        self.machines[at].running.is_some().then_some(at)
    }

    pub(super) fn copy_disk(&mut self, at: usize) {
        self.trace.note(self.now, format_args!("{}'s disk is copied", self.machines[at].name));
        self.happened.count(Count::Backups);
        self.machines[at].backup = Some(self.machines[at].medium.files());
    }

    fn put_back(&mut self, at: usize) {
        self.trace.note(self.now, format_args!("{}'s disk is an earlier copy", self.machines[at].name));
        self.happened.count(Count::Restores);
        self.machines[at].put_back();
        self.promises.only_told(at);
    }

    pub(crate) fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.machines[at].running.is_some() || self.machines[at].past == Past::Destroyed {
            return Ok(());
        }
        self.boot(at)?;
        self.dial_all(at);
        Ok(())
    }

    /// The power comes, and what was promised before must be there.
    pub(crate) fn boot(&mut self, at: usize) -> Result<(), Violation> {
        let (id, name) = (self.federation.id, self.machines[at].name.clone());
        let mut booted = self.machines[at].boot(id, self.now, &mut self.chance);
        if let (true, Err(error)) = (mem::take(&mut self.machines[at].is_bent), &booted) {
            // Whoever runs it reads that, and puts back the copy.
            self.trace.note(self.now, format_args!("{name} does not start: {error}"));
            self.happened.count(Count::DamagedJournals);
            self.put_back(at);
            booted = self.machines[at].boot(id, self.now, &mut self.chance);
        }
        booted.map_err(|error| Rule::Opens.broken(&name, error.to_string()))?;
        self.trace.note(self.now, format_args!("{name} starts"));
        if self.machines[at].past == Past::Whole {
            self.check_promises(at)?;
            self.check_roster(at)?;
        }
        self.rouse(at);
        self.drain(at)?;
        let joined = self.machines[at].running.as_ref().is_some_and(|r| r.node.roster().genesis().is_some());
        if !joined {
            let statements = self.federation.statements.clone();
            self.command(at, Command::Statements(statements))?;
        }
        Ok(())
    }
}
