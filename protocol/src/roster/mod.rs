//! The roster: who is a member, in which role and where, by the ministry's signed word.
//!
//! Every door asks it: only members get past the join stream, only a member's manifest is opened, only a
//! radiologist's report is shown as one. It is the fold of hash-linked chains of statements: a statement that is
//! forged, skipped, out of order or beyond its chain's scope changes nothing, and a revocation is for ever
//! (`protocol/SPEC.md`, Roster).

pub mod fold;
mod names;
pub mod request;
#[cfg(test)]
pub(crate) mod sample;
pub mod statement;
#[cfg(test)]
mod tests;

use crate::{
    envelope::reading::ReadingPublic,
    id::{NodeId, PersonId, Region},
};
pub use fold::{Applied, Roster, RosterError};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Statements of the ministry's chain that were seen: what others sign as "roster version seen".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RosterVersion(pub u64);

/// Counts a spoke's home hubs: a claim of an earlier term never beats one of a later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Term(pub u64);

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// A clinic's: takes Studies in, shows reports.
    Spoke,
    /// A reading hospital's: custody, reading, claims.
    Hub,
    /// Stores and forwards; holds no reading key.
    Relay,
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PersonRole {
    /// Claims and reports.
    Radiologist,
    /// Sends and receives at a clinic.
    Clinician,
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such role; there are {known}")]
pub struct RoleError {
    /// The words that do.
    pub known: &'static str,
}

/// Whether a membership holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Member,
    /// It ended.
    Revoked {
        /// With this roster version: what was made having seen a later one does not count.
        at: RosterVersion,
    },
}

/// A node as the roster knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its signing key and peer id.
    pub node: NodeId,
    /// As people call it.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its region, which is its reading pool.
    pub region: Region,
    /// Whose law holds for what it makes.
    pub jurisdiction: Region,
    /// What is sealed to it.
    pub reading: ReadingPublic,
    /// Multiaddresses it listens at.
    pub addresses: Vec<String>,
    /// A spoke's home hub.
    pub home: Option<NodeId>,
    /// A spoke's standby hub.
    pub standby: Option<NodeId>,
    /// Of its home hub.
    pub term: Term,
    /// Its home hub in each term so far: whose word counted then, and none other's.
    pub homes: BTreeMap<Term, NodeId>,
    /// Relays on its route, nearest first.
    pub via: Vec<NodeId>,
    /// A key maker's epoch-0 public key.
    pub pool_key0: Option<ReadingPublic>,
    /// Whether it is still a member.
    pub standing: Standing,
}

/// A person as the roster knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonMember {
    /// Their signing key.
    pub person: PersonId,
    /// As people call them.
    pub name: String,
    /// What they may do.
    pub roles: Vec<PersonRole>,
    /// Whether they are still a radiologist; `None` if they never were. A role that is taken away is a revocation of
    /// it: what they had signed before stays good.
    pub radiologist: Option<Standing>,
    /// Where.
    pub region: Region,
    /// What is sealed to them.
    pub reading: ReadingPublic,
    /// Whether they are still a member.
    pub standing: Standing,
}

impl Standing {
    /// Whether the membership holds today.
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(self, Self::Member)
    }
}

impl fmt::Display for RosterVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spoke => "spoke",
            Self::Hub => "hub",
            Self::Relay => "relay",
        })
    }
}

impl fmt::Display for PersonRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Radiologist => "radiologist",
            Self::Clinician => "clinician",
        })
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(word: &str) -> Result<Self, RoleError> {
        let all = [Self::Spoke, Self::Hub, Self::Relay];
        all.into_iter().find(|role| role.to_string() == word).ok_or(RoleError { known: "spoke, hub, relay" })
    }
}

impl FromStr for PersonRole {
    type Err = RoleError;

    fn from_str(word: &str) -> Result<Self, RoleError> {
        let all = [Self::Radiologist, Self::Clinician];
        all.into_iter().find(|role| role.to_string() == word).ok_or(RoleError { known: "radiologist, clinician" })
    }
}
