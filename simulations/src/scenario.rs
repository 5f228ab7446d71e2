//! Scenarios: who takes part, how much is sent, and what goes wrong.
//!
//! Each is a file of `simulations/scenarios/`, compiled in, so that a replay command means the same everywhere.

use crate::{
    checks::Violation,
    faults::Kind,
    profile::{self, DAY_MS},
};
use serde::{Deserialize, Serialize, de::Error as _};
use std::{collections::BTreeMap, io};

/// A range of numbers, both ends included; written `[from, to]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Span {
    /// The least.
    pub from: u64,
    /// The most; never below `from`.
    pub to: u64,
}

impl From<(u64, u64)> for Span {
    fn from((a, b): (u64, u64)) -> Self {
        Self { from: a.min(b), to: a.max(b) }
    }
}

impl From<Span> for (u64, u64) {
    fn from(Span { from, to }: Span) -> Self {
        (from, to)
    }
}

/// One kind of fault, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Milliseconds from one to the next.
    pub every_ms: Span,
    /// Milliseconds each lasts.
    pub for_ms: Span,
}

/// See the module's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// As on the command line.
    pub name: String,
    /// In one sentence.
    pub about: String,
    /// Spokes, each with a clinic.
    pub spokes: usize,
    /// Hubs, each with a reader: a spoke's home is the one of its number, its standby the next.
    pub hubs: usize,
    /// Which cases a reader takes.
    #[serde(default)]
    pub readers: Readers,
    /// Milliseconds from the start in which faults happen.
    pub faults_for_ms: u64,
    /// What connects them.
    pub links: Links,
    /// What a spoke sends.
    pub work: Work,
    /// What keeps them running; without it, power that never fails by itself.
    pub power: Option<Power>,
    /// What goes wrong besides.
    #[serde(default)]
    pub faults: BTreeMap<Kind, Faults>,
}

/// Which cases a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    /// All that she sees: every case is asked for at every hub.
    #[default]
    TakeAll,
    /// Those of her own hub's clinics.
    TakeTheirOwn,
}

/// What connects the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Links {
    /// Links that nothing but a fault ends, each drawn from the seed.
    Drawn {
        /// Bytes a second, one way.
        rate_bytes_per_s: Span,
        /// Milliseconds from end to end, one way.
        delay_ms: Span,
    },
    /// Links as `simulations/profiles/links.toml` describes them, with their outages, by day and by night.
    Profiles {
        /// Of the spokes, in turn.
        spokes: Vec<String>,
        /// Of relay and hubs.
        hubs: String,
    },
}

/// What a spoke sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Work {
    /// Studies drawn from the seed.
    Drawn {
        /// Of each spoke.
        studies: u64,
        /// Parcels of a Study.
        parcels: Span,
        /// Packed bytes of a parcel.
        packed_bytes: Span,
        /// Milliseconds from one Study to the next.
        every_ms: Span,
    },
    /// Studies as a profile says, hour by hour, for as long as faults happen.
    Profiles {
        /// Of the spokes, in turn.
        spokes: Vec<String>,
        /// Packed bytes that stand for 10^6 bytes received.
        bytes_per_mb: u64,
    },
}

/// Power as `simulations/profiles/links.toml` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Of the spokes, in turn.
    pub spokes: Vec<String>,
    /// Of relay and hubs.
    pub hubs: String,
}

impl Scenario {
    /// The same with other numbers of spokes and days; its name says so.
    pub fn resize(&mut self, spokes: Option<usize>, days: Option<u64>) {
        if let Some(spokes) = spokes {
            self.spokes = spokes;
            self.name += &format!("-{spokes}-spokes");
        }
        if let Some(days) = days {
            self.faults_for_ms = days * DAY_MS;
            self.name += &format!("-{days}-days");
        }
    }

    /// Looks up every profile that it names.
    pub(crate) fn checked(self) -> Result<Self, toml::de::Error> {
        let named = |names: &[String]| match names {
            [] => Err(toml::de::Error::custom("name at least one profile for the spokes")),
            _ => Ok(()),
        };
        if let Links::Profiles { spokes, hubs } = &self.links {
            named(spokes)?;
            spokes.iter().chain([hubs]).try_for_each(|name| profile::link(name).map(drop))?;
        }
        if let Work::Profiles { spokes, .. } = &self.work {
            named(spokes)?;
            spokes.iter().try_for_each(|name| profile::workload(name).map(drop))?;
        }
        if let Some(Power { spokes, hubs }) = &self.power {
            named(spokes)?;
            spokes.iter().chain([hubs]).try_for_each(|name| profile::power(name).map(drop))?;
        }
        Ok(self)
    }
}

/// What a list of profiles gives to the `number`-th.
pub(crate) fn in_turn(names: &[String], number: usize) -> &str {
    &names[number % names.len()]
}

/// A scenario that can't be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file does not fit.
    #[error("a scenario can't be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// A file can't be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// A rule did not hold.
    #[error("{0}")]
    Broken(Box<Violation>),
    /// A scenario is replayed from a seed.
    #[error("say which seed with --seed")]
    NoSeed,
    /// No such name.
    #[error("there is no scenario {name}; there are {known}")]
    Unknown {
        /// As asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

const FILES: [&str; 17] = [
    include_str!("../scenarios/link_cuts.toml"),
    include_str!("../scenarios/crashes.toml"),
    include_str!("../scenarios/two_hubs.toml"),
    include_str!("../scenarios/district.toml"),
    include_str!("../scenarios/partitions.toml"),
    include_str!("../scenarios/clocks.toml"),
    include_str!("../scenarios/full_disks.toml"),
    include_str!("../scenarios/failing_disks.toml"),
    include_str!("../scenarios/slow_disks.toml"),
    include_str!("../scenarios/rot.toml"),
    include_str!("../scenarios/restores.toml"),
    include_str!("../scenarios/rotten_journals.toml"),
    include_str!("../scenarios/tampering.toml"),
    include_str!("../scenarios/liars.toml"),
    include_str!("../scenarios/lost_hub.toml"),
    include_str!("../scenarios/revocations.toml"),
    include_str!("../scenarios/retention.toml"),
];
/// Names every scenario but the large ones.
pub const ALL: &str = "all";
/// Those that take minutes a seed: run when they are named, not with all.
const LARGE: [&str; 3] = [
    include_str!("../scenarios/fleet.toml"),
    include_str!("../scenarios/long_partition.toml"),
    include_str!("../scenarios/backlog.toml"),
];

/// The scenarios of this name, or every one of seconds a seed for `all`.
///
/// # Errors
/// [`ScenarioError`] for an unknown name or a file that does not fit.
pub fn scenarios(name: &str) -> Result<Vec<Scenario>, ScenarioError> {
    let read = |text: &&str| toml::from_str::<Scenario>(text).and_then(Scenario::checked);
    let small = FILES.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if name == ALL {
        return Ok(small);
    }
    let large = LARGE.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let all: Vec<Scenario> = small.into_iter().chain(large).collect();
    let known = all.iter().map(|scenario| scenario.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = all.into_iter().find(|scenario| scenario.name == name);
    found.map(|scenario| vec![scenario]).ok_or_else(|| ScenarioError::Unknown { name: name.to_owned(), known })
}
