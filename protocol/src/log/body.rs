//! What an event says: one body a kind.
//!
//! Order, sealing, receipt, claim, report: each is one of these, signed by the node where it happened. What
//! identifies a patient is inside a [`SealedBody`]; everything else here may be read by every relay.

use crate::{
    class::Class,
    custody::Receipt,
    envelope::body::SealedBody,
    id::{CaseId, EventHash, Hash, ManifestId, NodeId, ParcelId, Region},
    person::Statement,
    pool::PoolKey,
};
use serde::{Deserialize, Serialize};

/// The body of an event of a kind this build knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Kind 1. A site's secret, sealed to its pool and the recovery key, so that a replaced node gets it back.
    SiteSecret(SealedBody),
    /// Kind 2. The order of a case; the latest one gives its class.
    Order(Order),
    /// Kind 3. A parcel was sealed.
    ParcelSealed(ParcelSealed),
    /// Kind 4. All parts of a case there are so far.
    StudyClosed(StudyClosed),
    /// Kind 5. A custodian holds every byte.
    Receipt(Receipt),
    /// Kind 6. A radiologist asks for a case ([`crate::claim::Request`] in a person's statement).
    ClaimRequest(Statement),
    /// Kind 7. The home hub gives it.
    Grant(crate::claim::Grant),
    /// Kind 8. The home hub ends a claim that was not renewed.
    ClaimLapsed(crate::claim::Lapsed),
    /// Kind 9. The claimant gives it back ([`crate::claim::Release`]).
    ClaimReleased(Statement),
    /// Kind 10. A signed report ([`crate::report::Report`]).
    Report(Statement),
    /// Kind 11. A report was shown at the spoke: the end of the chain.
    ReportDelivered(ReportDelivered),
    /// Kind 12. An unlocked hub has opened parcels and counted what is in them.
    Opened(Opened),
    /// Kind 13. A pool's epoch key, wrapped to its member hubs.
    PoolKey(PoolKey),
    /// Kind 14. The home hub says no to a claim, and why.
    ClaimRefused(crate::claim::Refused),
    /// Kind 15. The home hub saw these events, under this roster.
    Witnessed(super::witness::Witnessed),
    /// Kind 16. A node will free parcels that others hold.
    Freeing(Freeing),
}

/// An order: the clinical question and the demographics, sealed to pool and recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The case it belongs to.
    pub case: CaseId,
    /// How urgent it is.
    pub class: Class,
    /// A [`crate::worklist::order::OrderDetails`], sealed.
    pub sealed: SealedBody,
}

/// Announces one parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelSealed {
    /// The case it belongs to.
    pub case: CaseId,
    /// Its random id.
    pub parcel: ParcelId,
    /// Its name on the wire.
    pub manifest: ManifestId,
    /// BLAKE3 of its core.
    pub core: Hash,
    /// The pool that may open it.
    pub pool: Region,
    /// Epoch of the pool's key.
    pub epoch: u32,
    /// Preview, Series or late part.
    pub kind: crate::parcel::PartKind,
    /// Sealed bytes.
    pub sealed_bytes: u64,
    /// Instances inside.
    pub instances: u32,
}

/// Names all parcels of a case. The highest seq of its author counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyClosed {
    /// The case.
    pub case: CaseId,
    /// Each parcel and the Instances inside it.
    pub parcels: Vec<(ManifestId, u32)>,
}

/// A report reached the clinic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportDelivered {
    /// The case.
    pub case: CaseId,
    /// The event that carried the report.
    pub report: EventHash,
}

/// Parcels opened and counted by an unlocked hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The case.
    pub case: CaseId,
    /// The hub that opened.
    pub hub: NodeId,
    /// Each parcel opened and the Instances found in it, every hash verified.
    pub parcels: Vec<(ManifestId, u32)>,
}

/// Parcels that the author frees after [`crate::node::retention::NOTICE_HOURS`]; others hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeing {
    /// The case.
    pub case: CaseId,
    /// What is freed.
    pub parcels: Vec<ManifestId>,
}
