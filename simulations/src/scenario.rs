//! Scenarios: who takes part, how much is sent, and what goes wrong.
//!
//! Each is a file of `simulations/scenarios/`, compiled in, so that a replay command means the same everywhere.

use crate::faults::Kind;
use serde::{Deserialize, Serialize};
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
    /// Studies a spoke sends.
    pub studies: u64,
    /// Parcels of a Study.
    pub parcels: Span,
    /// Packed bytes of a parcel.
    pub packed_bytes: Span,
    /// Milliseconds from one Study to the next.
    pub study_every_ms: Span,
    /// Bytes a second of a link, one way.
    pub rate_bytes_per_s: Span,
    /// Milliseconds from end to end of a link, one way.
    pub delay_ms: Span,
    /// Milliseconds from the start in which faults happen.
    pub faults_for_ms: u64,
    /// What goes wrong.
    pub faults: BTreeMap<Kind, Faults>,
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

const FILES: [&str; 11] = [
    include_str!("../scenarios/link_cuts.toml"),
    include_str!("../scenarios/crashes.toml"),
    include_str!("../scenarios/two_hubs.toml"),
    include_str!("../scenarios/district.toml"),
    include_str!("../scenarios/partitions.toml"),
    include_str!("../scenarios/clocks.toml"),
    include_str!("../scenarios/full_disks.toml"),
    include_str!("../scenarios/rot.toml"),
    include_str!("../scenarios/restores.toml"),
    include_str!("../scenarios/tampering.toml"),
    include_str!("../scenarios/lost_hub.toml"),
];

/// The scenarios of this name, or every one for `all`.
///
/// # Errors
/// [`ScenarioError`] for an unknown name or a file that does not fit.
pub fn scenarios(name: &str) -> Result<Vec<Scenario>, ScenarioError> {
    let all = FILES.iter().map(|text| toml::from_str(text)).collect::<Result<Vec<Scenario>, _>>()?;
    let known = all.iter().map(|scenario| scenario.name.as_str()).collect::<Vec<_>>().join(", ");
    let found: Vec<Scenario> = all.into_iter().filter(|scenario| name == "all" || scenario.name == name).collect();
    if found.is_empty() { Err(ScenarioError::Unknown { name: name.to_owned(), known }) } else { Ok(found) }
}
