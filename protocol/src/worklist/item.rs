//! One case as a list shows it, on every node the same.
//!
//! Nothing here identifies a patient: the order stays sealed until an unlocked hub opens it for a reader. Every
//! field follows from the events held and the roster of today. States are DICOM UPS words (PS3.4 CC.1.1).

use crate::{
    claim::{Answer, ClaimState, Token, Transaction},
    class::Class,
    envelope::body::SealedBody,
    id::{CaseId, EventHash, Hash, Incarnation, ManifestId, NodeId, PersonId, Region},
    parcel::PartKind,
    report::Status,
    time::Hlc,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Procedure step state (PS3.4 CC.1.1, attribute (0074,1000)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody holds it and no final report stands.
    Scheduled,
    /// Claimed, be it tentatively.
    InProgress,
    /// A final report stands.
    Completed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheduled => "scheduled",
            Self::InProgress => "in progress",
            Self::Completed => "completed",
        })
    }
}

/// One case of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorklistItem {
    /// The case.
    pub case: CaseId,
    /// The spoke whose case it is.
    pub site: NodeId,
    /// Of the latest order; routine while no order is here.
    pub class: Class,
    /// UPS state.
    pub state: State,
    /// Who has it.
    pub claim: ClaimState,
    /// Highest token granted so far, be its claim over or not.
    pub token: Option<Token>,
    /// Claims given back: their transactions never hold the case again.
    pub released: BTreeSet<(PersonId, Transaction)>,
    /// How each claim request stands, by the event that asked.
    pub requests: BTreeMap<EventHash, ItemRequest>,
    /// The latest order, still sealed.
    pub order: Option<ItemOrder>,
    /// Every parcel announced, by manifest.
    pub parcels: BTreeMap<ManifestId, ItemParcel>,
    /// What the latest `StudyClosed` names: each parcel and its Instances; `None` while the Study is open.
    pub closed: Option<BTreeMap<ManifestId, u32>>,
    /// How safe the bytes are.
    pub custody: CustodyState,
    /// Whether a reader may start.
    pub reading: Reading,
    /// Whether the spoke's own events count, or wait for a person's eye: it was revoked.
    pub review: Review,
    /// Every report that came, by the event that carried it.
    pub reports: BTreeMap<EventHash, ItemReport>,
    /// The report that stands as the case's report; addenda to it are in `reports`.
    pub standing: Option<EventHash>,
    /// When the case was first heard of, by its author's clock; for display.
    pub since: Hlc,
}

impl WorklistItem {
    /// The node at which the holder of a granted claim sits.
    #[must_use]
    pub const fn claim_granted_at(&self) -> Option<NodeId> {
        match self.claim {
            ClaimState::Granted { hub, .. } => hub,
            _ => None,
        }
    }

    /// The report that stands on the case and its status, for [`crate::report::check_move`]: a new report names it
    /// in `replaces`.
    #[must_use]
    pub fn standing_report(&self) -> Option<(EventHash, Status)> {
        let hash = self.standing?;
        self.reports.get(&hash).map(|report| (hash, report.status))
    }
}

/// The order as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOrder {
    /// The event that carried it.
    pub event: EventHash,
    /// [`super::order::OrderDetails`], sealed to pool and recovery.
    pub sealed: SealedBody,
}

/// One parcel and who has signed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemParcel {
    /// BLAKE3 of its core.
    pub core: Hash,
    /// Preview, Series or late part.
    pub kind: PartKind,
    /// The pool that may open it.
    pub pool: Region,
    /// Epoch of the pool's key.
    pub epoch: u32,
    /// Sealed bytes.
    pub sealed_bytes: u64,
    /// Instances the spoke says are inside.
    pub instances: u32,
    /// Nodes whose receipt is here, with the root they read back.
    pub receipts: BTreeMap<NodeId, Hash>,
    /// Nodes that have said that they free it.
    pub freeing: BTreeSet<NodeId>,
}

/// How safe the bytes of a case are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CustodyState {
    /// The Study is open, or a receipt of the home hub is outstanding.
    Sending,
    /// The home hub has signed for every parcel the closed Study names.
    Delivered,
    /// The standby hub has too.
    Safe,
}

/// Whether a reader may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Not all parcels were opened and counted by one hub.
    NotYet {
        /// Instances counted so far by the hub that counted most.
        counted: u32,
        /// Instances the closed Study names; those announced so far while it is open.
        expected: u32,
    },
    /// This hub opened every parcel and found the Instances the spoke counted.
    Ready {
        /// The hub.
        hub: NodeId,
    },
    /// A hub found another number of Instances in a parcel than the spoke counted: a person must look.
    Miscounted {
        /// The parcel.
        manifest: ManifestId,
        /// The hub.
        hub: NodeId,
        /// As found.
        found: u32,
        /// As announced.
        announced: u32,
    },
}

/// One claim request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRequest {
    /// Who asked.
    pub claimant: PersonId,
    /// The node the reader sits at.
    pub hub: NodeId,
    /// The claim's public name.
    pub transaction: Transaction,
    /// (node, incarnation, seq): the order of tentative claims, lower first.
    pub place: (NodeId, Incarnation, u64),
    /// How it stands.
    pub answer: Answer,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemReport {
    /// Who signed it.
    pub person: PersonId,
    /// The node it was signed at.
    pub node: NodeId,
    /// Preliminary, final or addendum.
    pub status: Status,
    /// The report it takes the place of or adds to.
    pub replaces: Option<EventHash>,
    /// What it is to the case.
    pub place: Place,
    /// Whether its signer counted as a member when it was made.
    pub review: Review,
    /// When, by that node's clock; for display.
    pub signed: Hlc,
    /// Whether the spoke has shown it.
    pub delivered: Delivered,
}

/// What a report is to its case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// The case's report, or an addendum to it.
    Standing,
    /// The case's report while none under a granted claim exists.
    StandingTentative,
    /// An earlier version of the case's report.
    Superseded,
    /// Another reader's opinion: kept and shown, never the case's report by itself.
    SecondRead,
    /// Stood once as tentative; a report under a granted claim took its place. The clinic sees "changed".
    Changed,
}

/// As `--json` lists say it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standing => "standing",
            Self::StandingTentative => "standing_tentative",
            Self::Superseded => "superseded",
            Self::SecondRead => "second_read",
            Self::Changed => "changed",
        })
    }
}

/// Whether a statement needs a person's eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Review {
    /// The signer is a member, or the home hub saw the statement before the signer was revoked.
    Sound,
    /// The signer is unknown to this roster, or was revoked and nothing shows the statement is older: kept, marked,
    /// never the case's report by itself.
    Marked,
}

/// Whether a report has reached the clinic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivered {
    /// Not shown yet.
    No,
    /// Shown at the spoke.
    Yes,
}
