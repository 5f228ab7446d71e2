//! Faults: what strikes, when, and for how long.
//!
//! Each kind that a scenario names strikes over and over, drawn from the seed while the run goes on, until the
//! scenario's faults are over; then all is healed.

mod clocks;
mod disks;
mod hub;
mod liars;
mod links;
pub(crate) mod mains;
mod power;
mod revocations;
mod tampering;

use crate::{
    checks::Violation,
    happened::Count,
    machine::Fuse,
    world::{Event, World},
};
use serde::{Deserialize, Serialize};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A link is cut, stalls or goes silent.
    Cuts,
    /// The machines are in two groups that can't reach each other.
    Partitions,
    /// A machine loses power.
    Crashes,
    /// A hub or relay gets a disk that is an earlier copy of its own.
    Restores,
    /// A machine's clock shows another day, year, or 1970.
    Clocks,
    /// A machine's disk is full.
    FullDisks,
    /// A write or a sync of a machine's disk fails, and nothing is written any more until a person starts it anew.
    FailingDisks,
    /// A machine's disk takes seconds for each sync.
    SlowDisks,
    /// A bit of a parcel's file turns over.
    Rot,
    /// A bit of a hub's or relay's journal turns over: its node starts with all it had, or says that the journal is
    /// damaged, and gets back an earlier copy of its disk.
    RottenJournals,
    /// The relay withholds, repeats, truncates and alters what it should forward.
    Tampering,
    /// Members withhold, repeat, truncate and alter what they send, say something else in a place of their own log to
    /// some of their peers, and sign for what they do not have.
    Liars,
    /// The home hub and its disk are gone for ever; a while later the ministry names its standby home.
    LostHub,
    /// The ministry revokes a member, which knows nothing of it and goes on, while the network is in two parts.
    Revocations,
}

impl Kind {
    /// What shows that it happened, in every run.
    pub(crate) const fn shown_by(self) -> &'static [Count] {
        match self {
            Self::Cuts => &[Count::Cuts, Count::Silences],
            Self::Partitions => &[Count::Partitions],
            Self::Crashes => &[Count::Crashes],
            Self::Restores => &[Count::Backups],
            Self::Clocks => &[Count::ClockJumps],
            Self::FullDisks => &[Count::FullDisks],
            Self::FailingDisks | Self::Rot => &[],
            Self::SlowDisks => &[Count::SlowSyncs],
            Self::RottenJournals => &[Count::Backups],
            Self::Tampering => &[Count::Withheld, Count::Repeated, Count::Truncated, Count::Altered],
            Self::Liars => &[Count::Forks, Count::Withheld, Count::Repeated, Count::Truncated, Count::Altered],
            Self::LostHub => &[Count::LostHubs],
            Self::Revocations => &[Count::Revocations],
        }
    }

    /// What must have happened in some run of several: rarer than once a run.
    pub(crate) const fn shown_over_all(self) -> &'static [Count] {
        match self {
            Self::Cuts => &[Count::MessagesLost],
            Self::Crashes => &[Count::LostWrites],
            Self::Restores => &[Count::Restores],
            Self::FullDisks => &[Count::RefusedByDisk],
            Self::FailingDisks => &[Count::FaultedDisks],
            Self::RottenJournals => &[Count::DamagedJournals, Count::Restores],
            Self::Revocations => &[Count::RefusedLinks],
            Self::Rot => &[Count::Rot],
            Self::Liars => &[
                Count::Forks,
                Count::FalseReceipts,
                Count::Withheld,
                Count::Repeated,
                Count::Truncated,
                Count::Altered,
            ],
            Self::Partitions | Self::Clocks | Self::SlowDisks | Self::Tampering | Self::LostHub => &[],
        }
    }
}

impl World<'_> {
    pub(crate) fn first_faults(&mut self) {
        for (&kind, faults) in &self.scenario.faults {
            let after = self.chance.within(faults.every_ms);
            self.foresee(after, Event::Strike(kind));
        }
        self.first_breaks();
    }

    /// One fault of a kind, and when the next one comes.
    pub(crate) fn strike(&mut self, kind: Kind) -> Result<(), Violation> {
        let Some(faults) = self.scenario.faults.get(&kind).filter(|_| self.now < self.scenario.faults_for_ms) else {
            return Ok(());
        };
        let (next, for_ms) = (self.chance.within(faults.every_ms), self.chance.within(faults.for_ms));
        self.foresee(next, Event::Strike(kind));
        match kind {
            Kind::Cuts => self.cut(for_ms),
            Kind::Partitions => self.part(for_ms),
            Kind::Crashes => return self.plan_crash(for_ms),
            Kind::Restores => self.restore(for_ms),
            Kind::Clocks => self.jump_clock(),
            Kind::FullDisks => self.fill_disk(for_ms),
            Kind::FailingDisks => self.fail_disk(for_ms),
            Kind::SlowDisks => self.slow_disk(for_ms),
            Kind::Rot => self.rot(),
            Kind::RottenJournals => self.rot_journal(for_ms),
            Kind::Tampering => self.tamper(for_ms),
            Kind::Liars => return self.lie(for_ms),
            Kind::LostHub => self.lose_hub(for_ms),
            Kind::Revocations => return self.revoke(for_ms),
        }
        Ok(())
    }

    /// Ends every fault: edges carry, disks have room, machines run and do what they should.
    pub(crate) fn heal_all(&mut self) -> Result<(), Violation> {
        for edge in 0..self.network.edges.len() {
            self.heal(edge)?;
        }
        for at in 0..self.machines.len() {
            self.machines[at].fuse = Fuse::Sound;
            self.repent(at);
            self.disk_is_well(at);
            self.replace_failed_disk(at);
            self.restart(at)?;
        }
        self.verify_rotten()
    }
}
