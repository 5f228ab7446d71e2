//! Every maximum of the protocol, in one place, with the relations between them.
//!
//! What is over a limit gets an error that says the limit and the figure.

use crate::class::Class;

/// Bytes of one sealed chunk, its 16-byte tag included: 8 s at 64 kbit/s. Resume is to the byte, so a cut costs less.
pub const CHUNK_BYTES: u32 = 64 * 1024;
/// Plaintext bytes of one chunk: RFC 8439's tag is 16 bytes.
pub const CHUNK_PLAIN_BYTES: u32 = CHUNK_BYTES - 16;
/// Chunk hashes in one page: a page covers 8 MiB of ciphertext.
pub const PAGE_CHUNKS: u32 = 128;
/// Sealed bytes of a parcel at most.
pub const PARCEL_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// A sealed size is a multiple of this, so that it tells less of what is inside.
pub const PARCEL_PAD_BYTES: u64 = 4096;
/// Wraps of one key at most: pool, recovery, origin, grants.
pub const WRAPS_MAX: usize = 64;

/// Groups, or Series, in the contents of one parcel at most.
pub const GROUPS_MAX: usize = 4_096;
/// Instances in one group at most.
pub const INSTANCES_MAX: usize = 16_384;
/// Pictures of one preview parcel: a Study has 100,000 bytes for them, and none is of use in fewer than 1,500.
pub const PICTURES_MAX: usize = 128;
/// Bytes of a manifest at most: core, wraps, signature, page hashes.
pub const MANIFEST_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a signed event at most.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an event that gossip carries at most; a larger one travels by sync and push.
pub const GOSSIP_EVENT_BYTES_MAX: usize = 8 * 1024;
/// A sealed body is padded to a multiple of this.
pub const BODY_PAD_BYTES: usize = 64;
/// Events of a chain read ahead of a gap at most, for each author and scope.
pub const EVENTS_AHEAD_MAX: usize = 256;
/// Bytes of events read ahead of gaps at most, for each author and scope, over all its incarnations.
pub const AHEAD_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of events read ahead of gaps at most, in all.
pub const AHEAD_BYTES_TOTAL_MAX: usize = 16 * AHEAD_BYTES_MAX;
/// Incarnations of one author in one scope at most: restores of that node, with room to spare.
pub const INCARNATIONS_MAX: usize = 256;
/// Events beside the main branch of a forked chain at most; more come only from a stolen key.
pub const FORKED_EVENTS_MAX: usize = 1024;

/// Bytes of one roster statement at most.
pub const STATEMENT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of roster that a join stream carries at most.
pub const JOIN_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a roster file at most: some 8,000 members.
pub const ROSTER_FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Addresses of one node at most.
pub const ADDRESSES_MAX: usize = 16;
/// Characters of one address at most.
pub const ADDRESS_CHARS_MAX: usize = 256;
/// Relays on the route of one spoke at most.
pub const RELAYS_MAX: usize = 16;
/// Member hubs of one pool at most.
pub const POOL_HUBS_MAX: usize = 64;
/// Events that one person's statement refers to at most.
pub const REFS_MAX: usize = 64;
/// Bytes of a node's or person's request at most.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Bytes of one message on the ctl lane at most.
pub const CTL_MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Data bytes of one fragment at most.
pub const FRAGMENT_BYTES_MAX: u32 = 64 * 1024;
/// Bytes of ctl messages that wait on a link because another one to the same peer is still in use here, at most.
pub const EARLY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one message on the bulk lane at most: a fragment and its head.
pub const BULK_MESSAGE_BYTES_MAX: usize = FRAGMENT_BYTES_MAX as usize + 64;
/// Resumable manifests named in one HELLO at most.
pub const HELLO_RESUME_MAX: usize = 16;
/// Ranges in one message or record at most.
pub const RANGES_MAX: usize = 512;
/// Fetches from one peer at once at most.
pub const FETCHES_MAX: usize = 4;
/// Slots of fetches that ended, whose last fragments may still come, at most.
pub const ENDED_SLOTS_MAX: usize = 16;
/// Fetches served on one link at most.
pub const SLOTS_MAX: usize = 64;
/// Offers of one class on one link that wait for their end at most.
pub const OFFERED_MAX: usize = 8;
/// Offers of one link whose manifest has not come, at most.
pub const UNOPENED_MAX: usize = 64;
/// Damaged parcels asked after on a new link at most.
pub const SEEKS_MAX: usize = 16;
/// Parcels of one spoke that are known and have not all come at most: what three links offer at once.
pub const INCOMPLETE_MAX: usize = 128;
/// And their sealed bytes at most: what a spoke that sends manifests without parcels can take of a disk.
pub const INCOMPLETE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Damaged chunks of one parcel taken from one link before another is tried.
pub const DAMAGED_CHUNKS_MAX: u32 = 3;
/// Bytes of a page's chunks taken before the page itself must have come.
pub const BLIND_BYTES_MAX: u64 = 16 * CHUNK_BYTES as u64;
/// Bytes written that wait for an fsync, at least, on a slow link.
pub const SYNC_BYTES_MIN: u64 = 64 * 1024;
/// And at most, on a fast one: half a second's worth in between.
pub const SYNC_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of credit a receiver gives at most.
pub const CREDIT_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Bytes of a report's text at most: about 20 pages.
pub const REPORT_TEXT_BYTES_MAX: usize = 48 * 1024;
/// Characters of the clinical indication at most.
pub const INDICATION_CHARS_MAX: usize = 4_096;
/// Characters of each other field of an order at most: four times what DICOM gives a person's name (PS3.5, table 6.2-1).
pub const ORDER_FIELD_CHARS_MAX: usize = 256;
/// Fields of an order of that length, its modalities and the names of what could not be decoded among them, at most.
pub const ORDER_FIELDS_MAX: usize = 32;
/// Characters of a name a person chose (node, person, federation) at most.
pub const NAME_CHARS_MAX: usize = 128;

const _: () = assert!(PARCEL_BYTES_MAX.is_multiple_of(PARCEL_PAD_BYTES));
const _: () = assert!(CHUNK_BYTES as u64 * PAGE_CHUNKS as u64 == 8 * 1024 * 1024);
const _: () = assert!(CHUNK_BYTES <= FRAGMENT_BYTES_MAX);
// What is here of a parcel is one range a chunk at most, so that one record or message says all of it.
const _: () = assert!(PARCEL_BYTES_MAX / CHUNK_BYTES as u64 <= RANGES_MAX as u64);
// Pages known are a set of 32 bits in NEED.
const _: () = assert!(PARCEL_BYTES_MAX.div_ceil(CHUNK_BYTES as u64 * PAGE_CHUNKS as u64) <= u32::BITS as u64);
const _: () = assert!(FETCHES_MAX <= HELLO_RESUME_MAX && FETCHES_MAX + ENDED_SLOTS_MAX <= SLOTS_MAX);
// An honest peer's offers on one link are never declined for want of room.
const _: () = assert!(OFFERED_MAX * Class::COUNT <= UNOPENED_MAX && 3 * OFFERED_MAX * Class::COUNT <= INCOMPLETE_MAX);
const _: () = assert!((OFFERED_MAX * Class::COUNT) as u64 * PARCEL_BYTES_MAX <= INCOMPLETE_BYTES_MAX);
const _: () = assert!(BLIND_BYTES_MAX <= CREDIT_BYTES_MAX as u64);
const _: () = assert!(SYNC_BYTES_MIN <= SYNC_BYTES_MAX && SYNC_BYTES_MAX <= CREDIT_BYTES_MAX as u64);
const _: () = assert!(GOSSIP_EVENT_BYTES_MAX < EVENT_BYTES_MAX && EVENT_BYTES_MAX < CTL_MESSAGE_BYTES_MAX);
const _: () = assert!(REPORT_TEXT_BYTES_MAX < EVENT_BYTES_MAX);
// An order always fits an event, whatever a device writes: four bytes a character, and as much again for its envelope.
const _: () =
    assert!(4 * (INDICATION_CHARS_MAX + ORDER_FIELDS_MAX * ORDER_FIELD_CHARS_MAX) + 8 * 1024 < EVENT_BYTES_MAX);
const _: () = assert!(CTL_MESSAGE_BYTES_MAX < EARLY_BYTES_MAX);
const _: () = assert!(STATEMENT_BYTES_MAX < JOIN_BYTES_MAX && JOIN_BYTES_MAX <= CTL_MESSAGE_BYTES_MAX);
