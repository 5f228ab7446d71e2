//! The table of event kinds: a body to bytes and back.
//!
//! A kind or version that is not in this table is no error: the event is stored, forwarded and counted, so that a
//! relay of last year carries what a hub of next year says. Source: `protocol/SPEC.md`, Events.

use super::{body::Body, event::BODY_BYTES_MAX};
use crate::wire::{self, WireError};

/// Kinds, all at version 1.
const SITE_SECRET: u16 = 1;
const ORDER: u16 = 2;
const PARCEL_SEALED: u16 = 3;
const STUDY_CLOSED: u16 = 4;
const RECEIPT: u16 = 5;
const CLAIM_REQUEST: u16 = 6;
const GRANT: u16 = 7;
const CLAIM_LAPSED: u16 = 8;
const CLAIM_RELEASED: u16 = 9;
const REPORT: u16 = 10;
const REPORT_DELIVERED: u16 = 11;
const OPENED: u16 = 12;
const POOL_KEY: u16 = 13;
const CLAIM_REFUSED: u16 = 14;
const WITNESSED: u16 = 15;
const FREEING: u16 = 16;
const VERSION: u16 = 1;

/// Whether this build can read bodies of this kind and version.
#[must_use]
pub const fn is_known((kind, version): (u16, u16)) -> bool {
    version == VERSION && matches!(kind, SITE_SECRET..=FREEING)
}

/// Kind, version and bytes of a body.
#[must_use]
pub fn encode(body: &Body) -> (u16, u16, Vec<u8>) {
    let (kind, bytes) = match body {
        Body::SiteSecret(sealed) => (SITE_SECRET, wire::encode(sealed)),
        Body::Order(order) => (ORDER, wire::encode(order)),
        Body::ParcelSealed(parcel) => (PARCEL_SEALED, wire::encode(parcel)),
        Body::StudyClosed(closed) => (STUDY_CLOSED, wire::encode(closed)),
        Body::Receipt(receipt) => (RECEIPT, wire::encode(receipt)),
        Body::ClaimRequest(statement) => (CLAIM_REQUEST, wire::encode(statement)),
        Body::Grant(grant) => (GRANT, wire::encode(grant)),
        Body::ClaimLapsed(lapsed) => (CLAIM_LAPSED, wire::encode(lapsed)),
        Body::ClaimReleased(statement) => (CLAIM_RELEASED, wire::encode(statement)),
        Body::Report(statement) => (REPORT, wire::encode(statement)),
        Body::ReportDelivered(delivered) => (REPORT_DELIVERED, wire::encode(delivered)),
        Body::Opened(opened) => (OPENED, wire::encode(opened)),
        Body::PoolKey(key) => (POOL_KEY, wire::encode(key)),
        Body::ClaimRefused(refused) => (CLAIM_REFUSED, wire::encode(refused)),
        Body::Witnessed(witnessed) => (WITNESSED, wire::encode(witnessed)),
        Body::Freeing(freeing) => (FREEING, wire::encode(freeing)),
    };
    (kind, VERSION, bytes)
}

/// The body of a kind and version; `None` if this build does not know them.
///
/// # Errors
/// [`WireError`] if they are known and the bytes do not fit.
pub fn decode((kind, version): (u16, u16), bytes: &[u8]) -> Result<Option<Body>, WireError> {
    if version != VERSION {
        return Ok(None);
    }
    let max = BODY_BYTES_MAX;
    Ok(Some(match kind {
        SITE_SECRET => Body::SiteSecret(wire::decode("a site secret", bytes, max)?),
        ORDER => Body::Order(wire::decode("an order", bytes, max)?),
        PARCEL_SEALED => Body::ParcelSealed(wire::decode("a parcel's announcement", bytes, max)?),
        STUDY_CLOSED => Body::StudyClosed(wire::decode("a closed Study", bytes, max)?),
        RECEIPT => Body::Receipt(wire::decode("a receipt", bytes, max)?),
        CLAIM_REQUEST => Body::ClaimRequest(wire::decode("a claim request", bytes, max)?),
        GRANT => Body::Grant(wire::decode("a grant", bytes, max)?),
        CLAIM_LAPSED => Body::ClaimLapsed(wire::decode("the end of a claim", bytes, max)?),
        CLAIM_RELEASED => Body::ClaimReleased(wire::decode("a released claim", bytes, max)?),
        REPORT => Body::Report(wire::decode("a report", bytes, max)?),
        REPORT_DELIVERED => Body::ReportDelivered(wire::decode("a delivered report", bytes, max)?),
        OPENED => Body::Opened(wire::decode("opened parcels", bytes, max)?),
        POOL_KEY => Body::PoolKey(wire::decode("a pool key", bytes, max)?),
        CLAIM_REFUSED => Body::ClaimRefused(wire::decode("a refused claim", bytes, max)?),
        WITNESSED => Body::Witnessed(wire::decode("a witness", bytes, max)?),
        FREEING => Body::Freeing(wire::decode("what is freed", bytes, max)?),
        _ => return Ok(None),
    }))
}
