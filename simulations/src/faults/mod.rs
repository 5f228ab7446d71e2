//! Faults: which link or node is struck, when, and for how long.
//!
//! Drawn from the seed while the run goes on, until the scenario's faults are over; then all is healed.

use crate::{
    checks::{Rule, Violation},
    machine::Fuse,
    network::Carries,
    world::{Event, World},
};
use radmesh_protocol::node::Command;
use radmesh_store::medium::Survives;

/// Milliseconds within which an idle node that was to lose power in a write loses it all the same.
const FUSE_MS: u64 = 20_000;

impl World<'_> {
    pub(crate) fn first_faults(&mut self) {
        let (cuts, crashes) = (self.scenario.cuts, self.scenario.crashes);
        for (faults, event) in [(cuts, Event::Cut), (crashes, Event::Crash)] {
            if let Some(faults) = faults {
                let after = self.chance.within(faults.every_ms);
                self.foresee(after, event);
            }
        }
    }

    fn faults_are_over(&self) -> bool {
        self.now >= self.scenario.faults_for_ms
    }

    /// Strikes one edge: its links end, or stall, or go silent.
    pub(crate) fn cut(&mut self) -> Result<(), Violation> {
        let Some(faults) = self.scenario.cuts.filter(|_| !self.faults_are_over()) else { return Ok(()) };
        let next = self.chance.within(faults.every_ms);
        self.foresee(next, Event::Cut);
        let edge = self.chance.below(self.network.edges.len());
        let for_ms = self.chance.within(faults.for_ms);
        if self.network.edges[edge].carries == Carries::No {
            return Ok(());
        }
        let kind = self.chance.below(4);
        self.trace.note(self.now, format_args!("edge {edge} struck ({kind}) for {for_ms} ms"));
        match kind {
            0 | 1 => {
                self.happened.cuts += 1;
                self.break_links(edge);
            }
            2 => {
                self.happened.silences += 1;
                self.fall_silent(edge);
            }
            _ => {
                self.happened.stalls += 1;
                self.stall(edge, for_ms);
                return Ok(());
            }
        }
        self.network.edges[edge].carries = Carries::No;
        self.foresee(for_ms, Event::Heal { edge });
        Ok(())
    }

    /// Lays a fuse at one machine: in its next write, or now.
    pub(crate) fn plan_crash(&mut self) -> Result<(), Violation> {
        let Some(faults) = self.scenario.crashes.filter(|_| !self.faults_are_over()) else { return Ok(()) };
        let next = self.chance.within(faults.every_ms);
        self.foresee(next, Event::Crash);
        let at = self.chance.below(self.machines.len());
        let down_ms = self.chance.within(faults.for_ms);
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
        self.forget_links(at);
        let survives = (self.chance.below(3) == 0).then_some(Survives::Nothing);
        let lost = self.machines[at].crash(survives, &mut self.chance);
        self.happened.crashes += 1;
        self.happened.crashes_with_loss += u64::from(lost);
        self.trace.note(self.now, format_args!("{} loses power for {down_ms} ms", self.machines[at].name));
        self.foresee(down_ms, Event::Restart { at });
        Ok(())
    }

    pub(crate) fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.machines[at].running.is_some() {
            return Ok(());
        }
        self.boot(at)?;
        self.dial_all(at);
        Ok(())
    }

    /// The power comes, and what was promised before must be there.
    pub(crate) fn boot(&mut self, at: usize) -> Result<(), Violation> {
        let (id, name) = (self.federation.id, self.machines[at].name);
        let booted = self.machines[at].boot(id, self.now, &mut self.chance);
        booted.map_err(|error| Rule::Opens.broken(name, error.to_string()))?;
        self.trace.note(self.now, format_args!("{name} starts"));
        self.check_restarted(at)?;
        self.drain(at)?;
        let joined = self.machines[at].running.as_ref().is_some_and(|r| r.node.roster().genesis().is_some());
        if !joined {
            let statements = self.federation.statements.clone();
            self.command(at, Command::Statements(statements))?;
        }
        Ok(())
    }

    /// Ends every fault: edges carry, machines run.
    pub(crate) fn heal_all(&mut self) -> Result<(), Violation> {
        for edge in 0..self.network.edges.len() {
            self.heal(edge)?;
        }
        for at in 0..self.machines.len() {
            self.machines[at].fuse = Fuse::Sound;
            self.restart(at)?;
        }
        Ok(())
    }
}
