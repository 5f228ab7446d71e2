//! What two nodes say to each other: one enum a lane, one table of kinds.
//!
//! Whatever comes in here was written by somebody else, perhaps by next year's build, perhaps by a thief with a
//! member's key: a kind or version this build does not know is counted and skipped, bytes that do not fit are
//! refused, and nothing is allocated by a length that was only claimed. Source: `protocol/SPEC.md`, Messages.

use crate::{
    class::Class,
    id::ManifestId,
    limits::{BULK_MESSAGE_BYTES_MAX, CTL_MESSAGE_BYTES_MAX, FRAGMENT_BYTES_MAX, HELLO_RESUME_MAX},
    log::{Ask, Scope, Vector, Way, held::ScopeDigest},
    ranges::Ranges,
    roster::RosterVersion,
    time::Mono,
    transfer::offers::With,
    wire::{self, Tagged, WireError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Number of a fetch on its link; given by the receiver, rising, never used again on that link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub u32);

/// A message of the ctl lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Kind 1. Both sides at once, first on every link.
    Hello(Box<Hello>),
    /// Kind 2. Answer to HELLO: its clock, given back. The link carries both ways.
    Welcome(Mono),
    /// Kind 3. Of several links to one peer this is the one to use; sent by the node with the lower id.
    Chosen,
    /// Kind 4. Roster statements the peer lacks, each after those it builds on.
    Roster(Vec<Vec<u8>>),
    /// Kind 5. What the sender holds, in a line a scope.
    Digests(Vec<(Scope, ScopeDigest)>),
    /// Kind 6. What the sender holds, in a line a chain.
    Vectors(Turn, Vec<Vector>),
    /// Kind 7. Send these chains again from here.
    Asks(Vec<Ask>),
    /// Kind 8. Signed events, each after its parent.
    Events(Way, Vec<Vec<u8>>),
    /// Kind 9. Bytes of events that came on this link so far.
    Seen(u64),
    /// Kind 10. The sender has, or begins to have, a parcel the peer should want.
    Offer(Offer),
    /// Kind 11. A signed manifest.
    Manifest(Vec<u8>),
    /// Kind 12. Chunk hashes of 8 MiB of a parcel.
    Page(PageOf),
    /// Kind 13. Ranges wanted.
    Need(Need),
    /// Kind 14. Fragment bytes that came on this link so far, and how many more than these may be on their way.
    Rack {
        /// In memory here, since the link came up.
        bytes: u64,
        /// At most this many bytes beyond `bytes`.
        credit: u32,
    },
    /// Kind 15. Ranges that are on disk here.
    Dack(ManifestId, Ranges),
    /// Kind 16. The sender of a fetch has nothing more of it for now, after this many bytes of it; more may come.
    Dry(Slot, u64),
    /// Kind 17. A fetch ends, and why. YIELD of the format is its first reason.
    Cancel(Slot, Why),
    /// Kind 18. Who has this parcel? Answered with an offer.
    Seek(ManifestId),
    /// Kind 19. An offer is not taken.
    Decline(ManifestId),
}

/// First message of each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the protocol.
    pub version: u16,
    /// Capabilities, one bit each; none are defined in version 1.
    pub caps: u32,
    /// Version of the roster held.
    pub roster: RosterVersion,
    /// First 16 bytes of the roster's digest.
    pub roster_digest: [u8; 16],
    /// The sender's clock; comes back in WELCOME.
    pub clock: Mono,
    /// What is held of each scope that both hold.
    pub digests: Vec<(Scope, ScopeDigest)>,
    /// As in RACK.
    pub credit: u32,
    /// Fetches to go on with at once, from what is durable here: the only truth about resuming.
    pub resume: Vec<Need>,
}

/// Whether vectors are a question or the answer to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// Answer with yours, unless it was sent.
    Ask,
    /// No answer is due.
    Answer,
}

/// A parcel on offer. Offered again when its class changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The parcel.
    pub manifest: ManifestId,
    /// How urgent it is.
    pub class: Class,
    /// Sealed bytes.
    pub bytes: u64,
    /// Whether its manifest is the next message.
    pub with: With,
}

/// One page on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageOf {
    /// The parcel.
    pub manifest: ManifestId,
    /// Page number, from 0.
    pub page: u32,
    /// The page.
    pub hashes: Vec<u8>,
}

/// Ranges of a parcel that the receiver wants, all of them: a set, not a want a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The receiver's number for the fetch.
    pub slot: Slot,
    /// The parcel.
    pub manifest: ManifestId,
    /// What is wanted of it.
    pub ranges: Ranges,
    /// Pages that are here, one bit each.
    pub pages: u32,
}

/// Why a fetch ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Something more urgent goes first; bytes that came are kept.
    Yield,
    /// The receiver has it from elsewhere, or does not want it any more.
    Enough,
    /// The sender does not have it.
    NotHeld,
    /// What came did not match its hashes.
    Damaged,
    /// The receiver's disk is full.
    Full,
}

/// One fragment on the bulk lane: kind 1, laid out so that its bytes are copied once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frag<'a> {
    /// The fetch.
    pub slot: Slot,
    /// Offset in the sealed file. A fragment never crosses a chunk's end.
    pub offset: u64,
    /// The bytes.
    pub data: &'a [u8],
}

/// What came, if this build knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<T> {
    /// Known.
    Known(T),
    /// Of another build: counted and skipped.
    Unknown {
        /// Its kind.
        kind: u16,
        /// Its version.
        version: u16,
    },
}

const VERSION: u16 = 1;
const FRAG: u16 = 1;

impl Message {
    /// Whether it is about which link is used, and so said on any.
    #[must_use]
    pub const fn is_greeting(&self) -> bool {
        matches!(self, Self::Hello(_) | Self::Welcome(_) | Self::Chosen)
    }

    /// The message as it travels, without the length before it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, bytes) = match self {
            Self::Hello(hello) => (1, wire::encode(hello)),
            Self::Welcome(clock) => (2, wire::encode(clock)),
            Self::Chosen => (3, Vec::new()),
            Self::Roster(statements) => (4, wire::encode(statements)),
            Self::Digests(digests) => (5, wire::encode(digests)),
            Self::Vectors(turn, vectors) => (6, wire::encode(&(turn, vectors))),
            Self::Asks(asks) => (7, wire::encode(asks)),
            Self::Events(way, events) => (8, wire::encode(&(way, events))),
            Self::Seen(bytes) => (9, wire::encode(bytes)),
            Self::Offer(offer) => (10, wire::encode(offer)),
            Self::Manifest(manifest) => (11, manifest.clone()),
            Self::Page(page) => (12, wire::encode(page)),
            Self::Need(need) => (13, wire::encode(need)),
            Self::Rack { bytes, credit } => (14, wire::encode(&(bytes, credit))),
            Self::Dack(manifest, ranges) => (15, wire::encode(&(manifest, ranges))),
            Self::Dry(slot, sent) => (16, wire::encode(&(slot, sent))),
            Self::Cancel(slot, why) => (17, wire::encode(&(slot, why))),
            Self::Seek(manifest) => (18, wire::encode(manifest)),
            Self::Decline(manifest) => (19, wire::encode(manifest)),
        };
        wire::encode(&Tagged { kind, version: VERSION, bytes })
    }

    /// Reads a message of the ctl lane.
    ///
    /// # Errors
    /// [`WireError`] when it is over its limit or does not fit its kind.
    pub fn parse(bytes: &[u8]) -> Result<Parsed<Self>, WireError> {
        let Tagged { kind, version, bytes } = wire::decode("a message", bytes, CTL_MESSAGE_BYTES_MAX)?;
        if version != VERSION {
            return Ok(Parsed::Unknown { kind, version });
        }
        let bytes = &bytes;
        Ok(Parsed::Known(match kind {
            1 => Self::Hello(Box::new(hello(read("HELLO", bytes)?)?)),
            2 => Self::Welcome(read("WELCOME", bytes)?),
            3 => Self::Chosen,
            4 => Self::Roster(read("ROSTER", bytes)?),
            5 => Self::Digests(read("DIGESTS", bytes)?),
            6 => read("VECTORS", bytes).map(|(turn, vectors)| Self::Vectors(turn, vectors))?,
            7 => Self::Asks(read("ASKS", bytes)?),
            8 => read("EVENTS", bytes).map(|(way, events)| Self::Events(way, events))?,
            9 => Self::Seen(read("SEEN", bytes)?),
            10 => Self::Offer(read("OFFER", bytes)?),
            11 => Self::Manifest(bytes.clone()),
            12 => Self::Page(read("PAGE", bytes)?),
            13 => Self::Need(read("NEED", bytes)?),
            14 => read("RACK", bytes).map(|(bytes, credit)| Self::Rack { bytes, credit })?,
            15 => read("DACK", bytes).map(|(manifest, ranges)| Self::Dack(manifest, ranges))?,
            16 => read("DRY", bytes).map(|(slot, sent)| Self::Dry(slot, sent))?,
            17 => read("CANCEL", bytes).map(|(slot, why)| Self::Cancel(slot, why))?,
            18 => Self::Seek(read("SEEK", bytes)?),
            19 => Self::Decline(read("DECLINE", bytes)?),
            _ => return Ok(Parsed::Unknown { kind, version }),
        }))
    }
}

fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, WireError> {
    wire::decode(what, bytes, CTL_MESSAGE_BYTES_MAX)
}

fn hello(hello: Hello) -> Result<Hello, WireError> {
    let (bytes, limit) = (hello.resume.len(), HELLO_RESUME_MAX);
    if bytes > limit { Err(WireError::TooLong { what: "HELLO's resume list", bytes, limit }) } else { Ok(hello) }
}

impl<'a> Frag<'a> {
    /// The message as it travels: `kind | version | length | slot | offset`, each a varint, then the bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut head = [0; 16];
        let mut at = put_varint(&mut head, 0, u64::from(self.slot.0));
        at = put_varint(&mut head, at, self.offset);
        let mut bytes = Vec::with_capacity(self.data.len() + 16);
        let mut front = [0; 16];
        let mut length = put_varint(&mut front, 0, u64::from(FRAG));
        length = put_varint(&mut front, length, u64::from(VERSION));
        length = put_varint(&mut front, length, (at + self.data.len()) as u64);
        bytes.extend_from_slice(&front[..length]);
        bytes.extend_from_slice(&head[..at]);
        bytes.extend_from_slice(self.data);
        bytes
    }

    /// Reads a message of the bulk lane.
    ///
    /// # Errors
    /// [`WireError`] when it is over its limit, empty, or does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Parsed<Self>, WireError> {
        const WHAT: &str = "FRAG";
        if bytes.len() > BULK_MESSAGE_BYTES_MAX {
            return Err(WireError::TooLong { what: WHAT, bytes: bytes.len(), limit: BULK_MESSAGE_BYTES_MAX });
        }
        let bad = WireError::Malformed { what: WHAT };
        let (kind, rest) = postcard::take_from_bytes::<u16>(bytes).map_err(|_| bad.clone())?;
        let (version, rest) = postcard::take_from_bytes::<u16>(rest).map_err(|_| bad.clone())?;
        if (kind, version) != (FRAG, VERSION) {
            return Ok(Parsed::Unknown { kind, version });
        }
        let (length, rest) = postcard::take_from_bytes::<u32>(rest).map_err(|_| bad.clone())?;
        if length as usize != rest.len() {
            return Err(bad);
        }
        let (slot, rest) = postcard::take_from_bytes::<u32>(rest).map_err(|_| bad.clone())?;
        let (offset, data) = postcard::take_from_bytes::<u64>(rest).map_err(|_| bad.clone())?;
        if data.is_empty() || data.len() > FRAGMENT_BYTES_MAX as usize {
            return Err(bad);
        }
        Ok(Parsed::Known(Self { slot: Slot(slot), offset, data }))
    }
}

/// postcard's varint of `value` into `into` from `at`; the place after it.
fn put_varint(into: &mut [u8; 16], at: usize, value: u64) -> usize {
    let (mut at, mut rest) = (at, value);
    while rest >= 0x80 {
        into[at] = (rest as u8 & 0x7f) | 0x80;
        (at, rest) = (at + 1, rest >> 7);
    }
    into[at] = rest as u8;
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn need() -> Need {
        Need { slot: Slot(3), manifest: ManifestId([7; 16]), ranges: Ranges::whole(4096), pages: 1 }
    }

    #[test]
    fn every_message_says_the_same_after_travelling() {
        let hello = Hello {
            version: 1,
            caps: 0,
            roster: RosterVersion(4),
            roster_digest: [1; 16],
            clock: Mono(7),
            digests: vec![(Scope::Federation, ScopeDigest([2; 16]))],
            credit: 12_288,
            resume: vec![need()],
        };
        let manifest = ManifestId([7; 16]);
        let all = [
            Message::Hello(Box::new(hello)),
            Message::Welcome(Mono(9)),
            Message::Chosen,
            Message::Roster(vec![vec![1, 2]]),
            Message::Digests(vec![(Scope::Federation, ScopeDigest([2; 16]))]),
            Message::Vectors(Turn::Ask, vec![]),
            Message::Asks(vec![]),
            Message::Events(Way::Pushed, vec![vec![1; 300]]),
            Message::Seen(300),
            Message::Offer(Offer { manifest, class: Class::Stat, bytes: 4096, with: With::Nothing }),
            Message::Manifest(vec![3; 480]),
            Message::Page(PageOf { manifest, page: 1, hashes: vec![4; 64] }),
            Message::Need(need()),
            Message::Rack { bytes: 5, credit: 6 },
            Message::Dack(manifest, Ranges::whole(10)),
            Message::Dry(Slot(1), 4096),
            Message::Cancel(Slot(1), Why::Yield),
            Message::Seek(manifest),
            Message::Decline(manifest),
        ];
        for message in all {
            assert_eq!(Message::parse(&message.encode()), Ok(Parsed::Known(message)));
        }
    }

    #[test]
    fn a_message_of_next_years_build_is_unknown_and_no_error() {
        let later = wire::encode(&Tagged { kind: 900, version: 1, bytes: vec![1] });
        assert_eq!(Message::parse(&later), Ok(Parsed::Unknown { kind: 900, version: 1 }));
        let newer = wire::encode(&Tagged { kind: 1, version: 2, bytes: vec![1] });
        assert_eq!(Message::parse(&newer), Ok(Parsed::Unknown { kind: 1, version: 2 }));
        assert_eq!(Frag::parse(&newer), Ok(Parsed::Unknown { kind: 1, version: 2 }));
    }

    #[test]
    fn a_fragment_of_4_kib_costs_at_most_10_bytes_more() {
        let frag = Frag { slot: Slot(200), offset: 30_000_000, data: &[5; 4096] };
        let bytes = frag.encode();
        assert!(bytes.len() <= 4096 + 10, "{}", bytes.len());
        assert_eq!(Frag::parse(&bytes), Ok(Parsed::Known(frag)));
    }

    #[test]
    fn hello_that_resumes_more_than_its_limit_is_refused() {
        let hello = Hello {
            version: 1,
            caps: 0,
            roster: RosterVersion(0),
            roster_digest: [0; 16],
            clock: Mono(0),
            digests: vec![],
            credit: 0,
            resume: vec![need(); HELLO_RESUME_MAX + 1],
        };
        assert!(matches!(Message::parse(&Message::Hello(Box::new(hello)).encode()), Err(WireError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u16..24) {
            let _ = Message::parse(&bytes);
            let _ = Frag::parse(&bytes);
            let _ = Message::parse(&wire::encode(&Tagged { kind, version: 1, bytes }));
        }
    }
}
