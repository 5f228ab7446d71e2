//! Claim of a worklist item by one reading radiologist.
//!
//! A claim is a lease: it ends after its `ttl` unless renewed, so a reader who loses power at night frees the Study
//! by itself. Only the case's home hub grants; each grant raises the fencing token (term, counter), and a report
//! that carries an older one is kept as a second read. Out of the home hub's reach a claim is tentative and shown
//! so. Follows DICOM PS3.4 CC.1.1 (UPS): the Transaction UID is the lock; the lease is our addition.

pub mod desk;

pub use desk::{Desk, Life};

use crate::{
    envelope::{
        OpenError,
        body::{SealBodyError, SealedBody},
        reading::{ReadingKey, ReadingPublic},
    },
    id::{CaseId, EventHash, FederationId, Hash, NodeId, PersonId},
    roster::{RosterVersion, Term},
    time::{Hlc, Millis},
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// Tag of a [`Request`] inside a person's statement.
pub const REQUEST_TAG: &str = "radmesh/1 claim request";
/// Tag of a [`Release`] inside a person's statement.
pub const RELEASE_TAG: &str = "radmesh/1 claim release";

/// Fencing token: a higher one makes every lower one harmless. Orders by term, then counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Token {
    /// Term of the home hub that granted; the roster raises it when a standby takes over.
    pub term: Term,
    /// Rises by one with each grant of that hub on that case, renewals included.
    pub counter: u64,
}

/// BLAKE3 of a DICOM Transaction UID: the claim's public name. Who knows the UID itself holds the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Transaction(pub Hash);

impl Transaction {
    /// The public name of a Transaction UID.
    #[must_use]
    pub fn of(uid: &str) -> Self {
        Self(Hash::of(uid.as_bytes()))
    }
}

/// A radiologist asks for a case, or renews by asking again; the newer transaction then names the claim. Body of a person's
/// statement in event kind 6.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The case.
    pub case: CaseId,
    /// The lock asked for.
    pub transaction: Transaction,
    /// The Transaction UID, sealed to the claimant, who finds it again at any workstation.
    pub sealed: SealedBody,
}

impl Request {
    /// Asks for `case` under a Transaction UID.
    ///
    /// # Errors
    /// [`SealBodyError`] if the claimant's reading key is no key.
    pub fn new(
        case: CaseId,
        transaction_uid: &str,
        claimant: &ReadingPublic,
        federation: &FederationId,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealBodyError> {
        let sealed = SealedBody::seal(transaction_uid.as_bytes(), &[*claimant], federation, rng)?;
        Ok(Self { case, transaction: Transaction::of(transaction_uid), sealed })
    }

    /// The Transaction UID, for the claimant; `None` if what was sealed is not the UID the request names.
    ///
    /// # Errors
    /// [`OpenError`] if it is not sealed to this key.
    pub fn transaction_uid(&self, key: &ReadingKey, federation: &FederationId) -> Result<Option<String>, OpenError> {
        let plain = self.sealed.open(key, federation)?;
        let uid = String::from_utf8(plain.to_vec()).ok();
        Ok(uid.filter(|uid| Transaction::of(uid) == self.transaction))
    }
}

/// The home hub gives a case to one claimant. Event kind 7.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The case.
    pub case: CaseId,
    /// Who holds it now.
    pub claimant: PersonId,
    /// The claim's public name.
    pub transaction: Transaction,
    /// The event that asked for it.
    pub request: EventHash,
    /// Fencing token of this grant.
    pub token: Token,
    /// Length of the lease. Never a date: the hub counts it in its own monotonic time, from when it was durable.
    pub ttl: Millis,
    /// Reports of the case the hub had seen. One that is named here was made in time, whatever its token.
    pub reports: Vec<EventHash>,
    /// Version of the roster the hub held.
    pub roster_version: RosterVersion,
}

/// A claim ended because nobody renewed it. Event kind 8, by the home hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapsed {
    /// The case.
    pub case: CaseId,
    /// The grant that ended, and with it every lower one.
    pub token: Token,
}

/// The claimant gives a claim back. Body of a person's statement in event kind 9. That transaction never holds the
/// case again; a new claim has a new Transaction UID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The case.
    pub case: CaseId,
    /// The claim's public name.
    pub transaction: Transaction,
}

/// The home hub says no to one request, and why. Event kind 14.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The case.
    pub case: CaseId,
    /// The event that asked.
    pub request: EventHash,
    /// Why, so that the loser knows who has it and for how long.
    pub reason: Reason,
}

/// Why a request was not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Reason {
    /// Another reader holds it (UPS status C302).
    #[error("already in progress: held by {holder} for at most {} more minutes unless renewed", left.0.div_ceil(60_000))]
    Held {
        /// Who.
        holder: PersonId,
        /// The holder's token.
        token: Token,
        /// How long at most, from when this was written, unless renewed.
        left: Millis,
    },
    /// A final report is here (UPS status C300).
    #[error("no longer open: the final report is signed")]
    Completed {
        /// The event that carried the report.
        report: EventHash,
    },
    /// The transaction was given back before (UPS status C301).
    #[error("this transaction was given back before; claim again with a new Transaction UID")]
    Released,
    /// The person is not a member who may claim.
    #[error("the roster has no reader with this key who may claim")]
    NotAReader,
}

/// Who has a case, as the events known here say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ClaimState {
    /// Nobody.
    #[default]
    Free,
    /// Somebody asked and the home hub has not answered: shown as tentative.
    Tentative {
        /// Who asked first, by hub id, incarnation and seq.
        claimant: PersonId,
        /// The node the reader sits at.
        hub: NodeId,
        /// The claim's public name.
        transaction: Transaction,
        /// The event that asked.
        request: EventHash,
        /// When, by that node's clock.
        asked: Hlc,
    },
    /// The home hub gave it.
    Granted {
        /// Who holds it.
        claimant: PersonId,
        /// The node the claimant asked at; `None` while the request itself has not arrived here.
        hub: Option<NodeId>,
        /// The claim's public name.
        transaction: Transaction,
        /// The latest token of this claim: what a report must carry.
        token: Token,
        /// Length of the lease.
        ttl: Millis,
        /// When the hub wrote the latest grant, by its clock; for display.
        granted: Hlc,
    },
    /// A final report was signed; the claim it was made under ended with it.
    Completed {
        /// The event that carried the report.
        report: EventHash,
    },
}

impl ClaimState {
    /// The person a list shows beside the case.
    #[must_use]
    pub const fn holder(&self) -> Option<PersonId> {
        match self {
            Self::Tentative { claimant, .. } | Self::Granted { claimant, .. } => Some(*claimant),
            Self::Free | Self::Completed { .. } => None,
        }
    }

    /// The token a report by `person` carries now; `None` for a tentative claim or no claim.
    #[must_use]
    pub fn token_of(&self, person: &PersonId) -> Option<Token> {
        match self {
            Self::Granted { claimant, token, .. } if claimant == person => Some(*token),
            _ => None,
        }
    }
}

/// How one request stands, for the reader who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The home hub has not answered yet; the claim is tentative.
    Waiting,
    /// Granted: read on. The holder counts `ttl` from when it *sent* the request and stops 10% early.
    Granted {
        /// What a report must carry.
        token: Token,
        /// Length of the lease.
        ttl: Millis,
    },
    /// Not granted.
    Refused(Reason),
}
