//! What a run counted: a rule that held in a run where nothing went wrong has shown nothing.

use crate::{
    checks::{Rule, Violation},
    compare::median,
    machine::KEEP_HOURS,
    scenario::{Links, Scenario},
};
use std::{collections::BTreeMap, fmt};

/// A run that lasts so long has freed something: what is kept and the notice are over for what came at the beginning,
/// power cuts and a day of grace included.
const FREED_AFTER_MS: u64 = (KEEP_HOURS as u64 + 5 * 24) * 3_600_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// Links made.
    Links,
    /// Links cut, heard by both ends.
    Cuts,
    /// Links that went silent.
    Silences,
    /// Links that held everything back for a while.
    Stalls,
    /// Times the network was in two parts.
    Partitions,
    /// Links that a node gave up by itself.
    Resets,
    /// Outages of a line by its profile.
    Outages,
    /// Messages that a line did not take, its month's data used up.
    OverCap,
    /// Mains that failed, whether or not a battery bridged it.
    MainsFailures,
    /// Messages that died with a link.
    MessagesLost,
    /// Power cuts.
    Crashes,
    /// Of these, such that took something that was written and not synced.
    LostWrites,
    /// Copies taken of a disk.
    Backups,
    /// Disks put back to such a copy.
    Restores,
    /// Clocks that jumped.
    ClockJumps,
    /// Disks that were full.
    FullDisks,
    /// Writes that a full disk refused.
    RefusedByDisk,
    /// Disks that failed, so that their node said so and did nothing more.
    FaultedDisks,
    /// Syncs that took seconds.
    SlowSyncs,
    /// Bits that turned over.
    Rot,
    /// Journals with a bit turned over, of which a node that started said so.
    DamagedJournals,
    /// Messages that a node withheld.
    Withheld,
    /// Messages that it sent again in place of others.
    Repeated,
    /// Messages that it cut short.
    Truncated,
    /// Messages in which it turned a bit over.
    Altered,
    /// Events that a member signed beside another of its own.
    Forks,
    /// Receipts for parcels that their signer did not have.
    FalseReceipts,
    /// Hubs lost for ever.
    LostHubs,
    /// Members revoked.
    Revocations,
    /// Links of a revoked member that another one refused.
    RefusedLinks,
    /// Events that a revoked member made once the site's home hub knew of it, and that others hold.
    SaidTooLate,
    /// Parcels freed.
    Freed,
    /// Reports signed.
    Reports,
    /// Looks at a grant whose token a hub had given before its disk was put back.
    TokensTwice,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Links => "links",
            Self::Cuts => "cuts",
            Self::Silences => "silences",
            Self::Stalls => "stalls",
            Self::Partitions => "partitions",
            Self::Resets => "resets",
            Self::Outages => "outages",
            Self::OverCap => "messages over a month's data",
            Self::MainsFailures => "failures of mains",
            Self::MessagesLost => "messages lost",
            Self::Crashes => "crashes",
            Self::LostWrites => "crashes that lost writes",
            Self::Backups => "backups",
            Self::Restores => "restores",
            Self::ClockJumps => "clock jumps",
            Self::FullDisks => "full disks",
            Self::RefusedByDisk => "writes refused",
            Self::FaultedDisks => "failed disks",
            Self::SlowSyncs => "slow syncs",
            Self::Rot => "rotten bits",
            Self::DamagedJournals => "damaged journals",
            Self::Withheld => "messages withheld",
            Self::Repeated => "messages repeated",
            Self::Truncated => "messages truncated",
            Self::Altered => "messages altered",
            Self::Forks => "forks",
            Self::FalseReceipts => "false receipts",
            Self::LostHubs => "hubs lost",
            Self::Revocations => "members revoked",
            Self::RefusedLinks => "links of theirs refused",
            Self::SaidTooLate => "events said too late",
            Self::Freed => "parcels freed",
            Self::Reports => "reports",
            Self::TokensTwice => "looks at a token given twice",
        })
    }
}

/// See the module's page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Happened {
    /// Events of the world.
    pub events: u64,
    /// Virtual milliseconds until all was at rest.
    pub rest_ms: u64,
    /// Bytes of messages sent.
    pub bytes: u64,
    /// Of each Study, virtual milliseconds from its beginning until it was seen to be delivered.
    pub delivered_ms: Vec<u64>,
    /// Of each Study, virtual milliseconds from its beginning until a report was back at its clinic.
    pub reported_ms: Vec<u64>,
    /// What was promised, and what was found of it.
    pub kept: Kept,
    counts: BTreeMap<Count, u64>,
    /// Totals that a part of the world keeps itself, by which part.
    totals: BTreeMap<(Count, usize), u64>,
}

/// The four promises in figures: what was promised in a run, each of which was found when it was looked for. A run in
/// which one was not found has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Parcels and events that a node acknowledged.
    pub stored: u64,
    /// Parcels whose custodian's receipt another node has read.
    pub delivered: u64,
    /// Reports signed.
    pub reported: u64,
    /// Chunks read and compared with what was sealed.
    pub chunks_right: u64,
}

impl Happened {
    pub(crate) fn count(&mut self, count: Count) {
        *self.counts.entry(count).or_default() += 1;
    }

    /// The total that the `part`-th part of the world has counted of something by now.
    pub(crate) fn count_to(&mut self, count: Count, part: usize, total: u64) {
        let before = self.totals.insert((count, part), total).unwrap_or_default();
        *self.counts.entry(count).or_default() += total - before;
    }

    /// How often it happened.
    #[must_use]
    pub fn of(&self, count: Count) -> u64 {
        self.counts.get(&count).copied().unwrap_or_default()
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.rest_ms += other.rest_ms;
        self.bytes += other.bytes;
        self.delivered_ms.extend(&other.delivered_ms);
        self.reported_ms.extend(&other.reported_ms);
        self.kept.add(&other.kept);
        for (count, times) in &other.counts {
            *self.counts.entry(*count).or_default() += times;
        }
    }

    /// A run in which the faults did not happen has shown nothing.
    pub(crate) fn as_planned(&self, scenario: &Scenario) -> Result<(), Violation> {
        let is_missing = |counts: &&[Count]| !counts.is_empty() && counts.iter().all(|count| self.of(*count) == 0);
        let of_lines = matches!(scenario.links, Links::Profiles { .. }).then_some(&[Count::Outages][..]);
        let of_mains = scenario.power.is_some().then_some(&[Count::MainsFailures][..]);
        let of_days = (scenario.faults_for_ms >= FREED_AFTER_MS).then_some(&[Count::Freed][..]);
        let faults = scenario.faults.keys().map(|kind| kind.shown_by()).chain(of_lines).chain(of_mains).chain(of_days);
        let planned = faults.chain([&[Count::Reports][..]]);
        let missing = planned.filter(is_missing).find_map(<[Count]>::first);
        missing.map_or(Ok(()), |count| Err(Rule::Happened.broken("world", format!("no {count}"))))
    }

    /// What no seed of a scenario met, though it is there for it; `self` is the sum of all of them.
    #[must_use]
    pub fn missing_over_all(&self, scenario: &Scenario) -> Option<Count> {
        let planned = scenario.faults.keys().flat_map(|kind| kind.shown_over_all());
        planned.copied().find(|count| self.of(*count) == 0)
    }
}

impl Kept {
    /// Adds another run's.
    pub const fn add(&mut self, other: &Self) {
        self.stored += other.stored;
        self.delivered += other.delivered;
        self.reported += other.reported;
        self.chunks_right += other.chunks_right;
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stored, delivered, reported, chunks_right } = self;
        write!(
            f,
            "promises: {stored} parcels and events stored, {delivered} parcels delivered, {reported} reports; in a seed that \
             did not fail each was found whenever it was looked for, and {chunks_right} chunks read were as they were sealed"
        )
    }
}

/// What happened, in words: "16 reports, 4 cuts".
impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events", self.events)?;
        let counts = self.counts.iter().filter(|(_, times)| **times > 0);
        counts.into_iter().try_for_each(|(count, times)| write!(f, ", {times} {count}"))?;
        let (delivered, reported) = (median(&self.delivered_ms) / 1000, median(&self.reported_ms) / 1000);
        write!(
            f,
            ", {} kB sent, delivered after {delivered} s and reported after {reported} s (medians)",
            self.bytes / 1000
        )
    }
}
