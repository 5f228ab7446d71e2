//! One signed event, kept for ever as the bytes that travelled.
//!
//! The layout is fixed and the signature is over those very bytes, so nothing is ever signed or verified in a
//! re-serialised form; a kind or version from next year is stored and forwarded like any other. Integers are
//! big-endian. Source: `protocol/SPEC.md`, Events.

use super::{
    body::Body,
    kind,
    scope::{SCOPE_BYTES, Scope},
};
use crate::{
    envelope::{
        sign::{self, BadSignature, Signature, SigningKey},
        tag,
    },
    id::{EventHash, FederationId, Incarnation, NodeId},
    limits::EVENT_BYTES_MAX,
    time::Hlc,
    wire::WireError,
};
use std::{fmt, ops::Range, sync::Arc};

const AUTHOR: Range<usize> = 0..32;
const INCARNATION: Range<usize> = 32..40;
const SCOPE: Range<usize> = 40..40 + SCOPE_BYTES;
const SEQ: Range<usize> = 73..81;
const PREV: Range<usize> = 81..113;
const HLC: Range<usize> = 113..121;
const KIND: Range<usize> = 121..123;
const VERSION: Range<usize> = 123..125;
const LENGTH: Range<usize> = 125..129;
const SIGNATURE_BYTES: usize = 64;

/// Bytes of an event before its body.
pub const HEAD_BYTES: usize = LENGTH.end;
/// Bytes of an event around its body.
pub const OVERHEAD_BYTES: usize = HEAD_BYTES + SIGNATURE_BYTES;
/// Bytes of a body at most.
pub const BODY_BYTES_MAX: usize = EVENT_BYTES_MAX - OVERHEAD_BYTES;
/// `prev` of the first event of a chain.
pub const NO_PREV: EventHash = EventHash([0; 32]);

/// One signed event. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    bytes: Arc<[u8]>,
    hash: EventHash,
    scope: Scope,
}

/// Where an event stands in its chain, and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The node that wrote it.
    pub author: NodeId,
    /// The author's life since its last restore.
    pub incarnation: Incarnation,
    /// Who needs it.
    pub scope: Scope,
    /// Place in the chain of (author, incarnation, scope), from 1.
    pub seq: u64,
    /// Hash of the event before it in that chain, or [`NO_PREV`].
    pub prev: EventHash,
    /// The author's hybrid clock, for display.
    pub hlc: Hlc,
}

/// Bytes that are not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Too few bytes for head and signature.
    #[error("an event has at least {OVERHEAD_BYTES} bytes; this has {bytes}")]
    Short {
        /// Bytes found.
        bytes: usize,
    },
    /// Over the limit.
    #[error("an event has at most {EVENT_BYTES_MAX} bytes; this has {bytes}")]
    Long {
        /// Bytes found.
        bytes: usize,
    },
    /// The length field does not match.
    #[error("the event says {stated} bytes of body; there are {found}")]
    Length {
        /// As stated in the head.
        stated: u32,
        /// As found.
        found: usize,
    },
    /// A scope tag this version does not have.
    #[error("scope tag {tag} is neither federation (0) nor site (1), or does not fit what follows it")]
    Scope {
        /// The tag found.
        tag: u8,
    },
    /// Seq 0, or a first event with a `prev`, or a later one without.
    #[error("event {seq} of a chain does not fit its `prev`: the first is 1 and has none, every other has one")]
    Seq {
        /// The seq found.
        seq: u64,
    },
}

impl Event {
    /// Signs a body at its place in the author's chain. The same arguments give the same bytes.
    ///
    /// # Panics
    /// If `header.author` is not the key's node, or the body is over [`BODY_BYTES_MAX`].
    #[must_use]
    pub fn sign(key: &SigningKey, federation: &FederationId, header: &Header, body: &Body) -> Self {
        let (kind, version, bytes) = kind::encode(body);
        Self::sign_raw(key, federation, header, (kind, version), &bytes)
    }

    /// Signs a body of any kind, encoded: for what is signed anew after a restore, and for kinds of a later build.
    ///
    /// # Panics
    /// As [`Event::sign`].
    #[must_use]
    pub fn sign_raw(
        key: &SigningKey,
        federation: &FederationId,
        header: &Header,
        (kind, version): (u16, u16),
        body: &[u8],
    ) -> Self {
        assert_eq!(header.author, key.node_id(), "a node signs only its own events");
        assert!(body.len() <= BODY_BYTES_MAX, "bodies are bounded where they are made");
        let mut bytes = Vec::with_capacity(OVERHEAD_BYTES + body.len());
        bytes.extend_from_slice(header.author.as_bytes());
        bytes.extend_from_slice(header.incarnation.as_bytes());
        bytes.extend_from_slice(&header.scope.to_bytes());
        bytes.extend_from_slice(&header.seq.to_be_bytes());
        bytes.extend_from_slice(header.prev.as_bytes());
        bytes.extend_from_slice(&header.hlc.0.to_be_bytes());
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(body.len()).expect("checked against the limit").to_be_bytes());
        bytes.extend_from_slice(body);
        let signature = key.sign(tag::EVENT, federation, &bytes);
        bytes.extend_from_slice(signature.as_bytes());
        Self { hash: hash_of(&bytes), bytes: bytes.into(), scope: header.scope }
    }

    /// Reads an event from exactly these bytes. The signature is not checked here: see [`Event::verify`].
    ///
    /// # Errors
    /// [`EventError`] names the first rule broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, EventError> {
        if bytes.len() < OVERHEAD_BYTES {
            return Err(EventError::Short { bytes: bytes.len() });
        }
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(EventError::Long { bytes: bytes.len() });
        }
        let (stated, found) = (u32::from_be_bytes(field(bytes, LENGTH)), bytes.len() - OVERHEAD_BYTES);
        if stated as usize != found {
            return Err(EventError::Length { stated, found });
        }
        let scope = Scope::from_bytes(&field(bytes, SCOPE)).ok_or(EventError::Scope { tag: bytes[SCOPE.start] })?;
        let event = Self { bytes: bytes.into(), hash: hash_of(bytes), scope };
        match (event.seq(), event.prev() == NO_PREV) {
            (1, true) | (2.., false) => Ok(event),
            (seq, _) => Err(EventError::Seq { seq }),
        }
    }

    /// Checks the author's signature. Whether the author is a member is the roster's matter.
    ///
    /// # Errors
    /// [`BadSignature`] if the bytes were not signed so by the author in this federation.
    pub fn verify(&self, federation: &FederationId) -> Result<(), BadSignature> {
        let (signed, signature) = self.bytes.split_at(self.bytes.len() - SIGNATURE_BYTES);
        let signature = Signature::from_bytes(field(signature, 0..SIGNATURE_BYTES));
        sign::verify(self.author().as_bytes(), tag::EVENT, federation, signed, &signature)
    }

    /// The event as it travels.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// BLAKE3 of the event as it travels.
    #[must_use]
    pub const fn hash(&self) -> EventHash {
        self.hash
    }

    /// The node that wrote it.
    #[must_use]
    pub fn author(&self) -> NodeId {
        NodeId(field(&self.bytes, AUTHOR))
    }

    /// The author's life since its last restore.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(field(&self.bytes, INCARNATION))
    }

    /// Who needs it.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Place in its chain, from 1.
    #[must_use]
    pub fn seq(&self) -> u64 {
        u64::from_be_bytes(field(&self.bytes, SEQ))
    }

    /// Hash of the event before it in its chain.
    #[must_use]
    pub fn prev(&self) -> EventHash {
        EventHash(field(&self.bytes, PREV))
    }

    /// The author's hybrid clock, for display.
    #[must_use]
    pub fn hlc(&self) -> Hlc {
        Hlc(u64::from_be_bytes(field(&self.bytes, HLC)))
    }

    /// Kind and version of the body.
    #[must_use]
    pub fn kind(&self) -> (u16, u16) {
        (u16::from_be_bytes(field(&self.bytes, KIND)), u16::from_be_bytes(field(&self.bytes, VERSION)))
    }

    /// Everything before the kind.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            author: self.author(),
            incarnation: self.incarnation(),
            scope: self.scope,
            seq: self.seq(),
            prev: self.prev(),
            hlc: self.hlc(),
        }
    }

    /// The body as it travels.
    #[must_use]
    pub fn body_bytes(&self) -> &[u8] {
        &self.bytes[HEAD_BYTES..self.bytes.len() - SIGNATURE_BYTES]
    }

    /// What it says; `None` for a kind or version this build does not know.
    ///
    /// # Errors
    /// [`WireError`] if the kind is known and the bytes do not fit it.
    pub fn body(&self) -> Result<Option<Body>, WireError> {
        kind::decode(self.kind(), self.body_bytes())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, version) = self.kind();
        write!(f, "Event({:?} by {:?} seq {}, kind {kind}.{version})", self.hash, self.author(), self.seq())
    }
}

fn hash_of(bytes: &[u8]) -> EventHash {
    EventHash(*blake3::hash(bytes).as_bytes())
}

fn field<const N: usize>(bytes: &[u8], at: Range<usize>) -> [u8; N] {
    bytes[at].try_into().expect("length checked at parse, offsets are constants")
}

const _: () = assert!(HEAD_BYTES == 32 + 8 + SCOPE_BYTES + 8 + 32 + 8 + 2 + 2 + 4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::CaseId,
        log::body::ReportDelivered,
        worklist::scene::{Scene, Who},
    };
    use proptest::prelude::*;

    fn event() -> (Scene, Event) {
        let mut scene = Scene::new();
        let event = scene.shown(EventHash([9; 32]));
        (scene, event)
    }

    #[test]
    fn an_event_survives_the_way_it_travels() {
        let (scene, event) = event();
        let arrived = Event::parse(event.bytes()).unwrap();
        assert_eq!(arrived, event);
        assert_eq!(arrived.verify(&scene.federation), Ok(()));
        assert!(matches!(arrived.body(), Ok(Some(Body::ReportDelivered(d))) if d.report == EventHash([9; 32])));
        assert_eq!((arrived.author(), arrived.seq(), arrived.prev()), (Who::Spoke.node(), 1, NO_PREV));
    }

    #[test]
    fn signing_the_same_twice_gives_the_same_bytes() {
        let (scene, event) = event();
        let again = Event::sign(&Who::Spoke.key(), &scene.federation, &event.header(), &event.body().unwrap().unwrap());
        assert_eq!(again.bytes(), event.bytes());
    }

    #[test]
    fn one_flipped_bit_anywhere_is_found() {
        let (scene, event) = event();
        for bit in 0..event.bytes().len() * 8 {
            let mut bytes = event.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = Event::parse(&bytes).map_or(true, |event| event.verify(&scene.federation).is_err());
            assert!(found, "bit {bit}");
        }
    }

    #[test]
    fn an_event_of_another_federation_does_not_verify() {
        let (_, event) = event();
        assert!(event.verify(&FederationId([3; 32])).is_err());
    }

    #[test]
    fn an_event_of_next_years_kind_is_kept_as_it_is() {
        let (scene, event) = event();
        let next = Event::sign_raw(&Who::Spoke.key(), &scene.federation, &event.header(), (999, 4), b"from next year");
        let arrived = Event::parse(next.bytes()).unwrap();
        assert_eq!(arrived.verify(&scene.federation), Ok(()));
        assert_eq!((arrived.body(), arrived.body_bytes()), (Ok(None), &b"from next year"[..]));
    }

    #[test]
    fn a_known_kind_with_stray_bytes_is_malformed_and_not_unknown() {
        let (scene, event) = event();
        let mut body = event.body_bytes().to_vec();
        body.push(0);
        let stray = Event::sign_raw(&Who::Spoke.key(), &scene.federation, &event.header(), event.kind(), &body);
        assert!(Event::parse(stray.bytes()).unwrap().body().is_err());
    }

    #[test]
    fn a_length_that_does_not_match_is_refused_with_both_figures() {
        let (_, event) = event();
        let cut = &event.bytes()[..event.bytes().len() - 1];
        let (stated, found) = (event.body_bytes().len() as u32, event.body_bytes().len() - 1);
        assert_eq!(Event::parse(cut), Err(EventError::Length { stated, found }));
        assert_eq!(Event::parse(&[]), Err(EventError::Short { bytes: 0 }));
        assert!(matches!(Event::parse(&[0; EVENT_BYTES_MAX + 1]), Err(EventError::Long { .. })));
    }

    #[test]
    fn the_first_event_of_a_chain_has_none_before_it_and_every_other_one_has() {
        let (scene, event) = event();
        for (seq, prev) in [(0, NO_PREV), (1, EventHash([1; 32])), (2, NO_PREV)] {
            let header = Header { seq, prev, ..event.header() };
            let placed = Event::sign_raw(&Who::Spoke.key(), &scene.federation, &header, (999, 1), b"");
            assert_eq!(Event::parse(placed.bytes()), Err(EventError::Seq { seq }));
        }
    }

    #[test]
    fn an_event_around_a_small_body_costs_under_300_bytes() {
        let (_, event) = event();
        let body = Body::ReportDelivered(ReportDelivered { case: CaseId([1; 32]), report: EventHash([2; 32]) });
        assert_eq!(kind::encode(&body).2.len(), 64);
        assert!(event.bytes().len() < 300, "{} bytes", event.bytes().len());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(event) = Event::parse(&bytes) {
                let _ = event.body();
            }
        }

        #[test]
        fn a_hostile_body_never_panics(kind in 0u16..20, body in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = kind::decode((kind, 1), &body);
        }
    }
}
