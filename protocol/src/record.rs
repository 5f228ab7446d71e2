//! What the core asks the disk to keep, and what the disk answers.
//!
//! The core promises nothing before it hears [`Stored`]. `store::carry_out` is the only code that performs a
//! [`Work`]; driver and simulator both call it.

use crate::{
    id::{Hash, ManifestId},
    ranges::Ranges,
};
use serde::{Deserialize, Serialize};

/// Place of a record in the order of the journal; given by the core, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// One journal record. The journal is the truth; everything else on disk but the parcel files can be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A signed event as it travels.
    Event(#[serde(with = "crate::wire::serde_bytes_vec")] Vec<u8>),
    /// A signed roster statement as it travels.
    Statement(#[serde(with = "crate::wire::serde_bytes_vec")] Vec<u8>),
    /// A signed manifest as it travels.
    Manifest(#[serde(with = "crate::wire::serde_bytes_vec")] Vec<u8>),
    /// Ranges of a parcel's file that are durable. Written after that file's fdatasync.
    Have {
        /// The parcel.
        manifest: ManifestId,
        /// What is there.
        ranges: Ranges,
    },
    /// Ranges that were found damaged and must be fetched again.
    Lost {
        /// The parcel.
        manifest: ManifestId,
        /// What is no longer there.
        ranges: Ranges,
    },
    /// A parcel's file was deleted, by retention.
    Freed {
        /// The parcel.
        manifest: ManifestId,
    },
    /// A private record of the spoke's or hub's rooms, sealed under the node's at-rest key by the room.
    Room {
        /// Which room: see `SPEC.md`, Storage.
        room: u16,
        /// Keyed hash that names the thing; a later record of the same key replaces it.
        key: Hash,
        /// Sealed; empty = the thing is gone.
        #[serde(with = "crate::wire::serde_bytes_vec")]
        sealed: Vec<u8>,
    },
    /// The chunk hashes of one page, checked against the manifest: with them a check can name the damaged chunk, and
    /// a fetch goes on after a restart without asking for them again.
    Page {
        /// The parcel.
        manifest: ManifestId,
        /// Page number, from 0.
        page: u32,
        /// The page as it travels.
        #[serde(with = "crate::wire::serde_bytes_vec")]
        hashes: Vec<u8>,
    },
    /// So many hours this node has run, over all its starts: noted once an hour.
    Ran {
        /// Hours.
        hours: u32,
    },
}

/// How near to its end a disk may be taken for something: as it fills up, strangers are refused first, then bulk, then STAT;
/// reports and claims never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// From a sender that nobody has accepted.
    Stranger,
    /// Images.
    Bulk,
    /// Images of which a person waits for the answer.
    Stat,
}

/// One piece of storage work. Carried out in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Append `record`; [`Stored::Persisted`] follows when it and all before it are on disk.
    Persist(Seq, Record),
    /// Preallocate a parcel's file of `bytes` bytes.
    Create {
        /// The parcel.
        manifest: ManifestId,
        /// Sealed size.
        bytes: u64,
        /// How full the disk may become by it.
        importance: Importance,
    },
    /// Write received bytes into a parcel's file; not durable yet.
    Write {
        /// The parcel.
        manifest: ManifestId,
        /// Offset in the sealed file.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// fdatasync a parcel's file, then journal `Have` for `ranges`; [`Stored::Durable`] follows.
    Sync {
        /// The parcel.
        manifest: ManifestId,
        /// What was written since the last sync.
        ranges: Ranges,
    },
    /// Read back one chunk and hash it; [`Stored::ChunkHashed`] follows.
    HashChunk {
        /// The parcel.
        manifest: ManifestId,
        /// Chunk number, from 0.
        chunk: u32,
    },
    /// Read the whole file back, chunk by chunk; [`Stored::FileHashed`] follows.
    HashFile {
        /// The parcel.
        manifest: ManifestId,
    },
    /// Read bytes to send; [`Stored::Read`] follows.
    Read {
        /// The parcel.
        manifest: ManifestId,
        /// Offset in the sealed file.
        offset: u64,
        /// Bytes wanted, at most `limits::FRAGMENT_BYTES_MAX`.
        length: u32,
    },
    /// Journal `Freed`, then delete a parcel's file.
    Free {
        /// The parcel.
        manifest: ManifestId,
    },
}

/// What the disk answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Every record up to and including this one is on disk, and every file it names is with its directory.
    Persisted(Seq),
    /// These ranges are on disk and journaled.
    Durable {
        /// The parcel.
        manifest: ManifestId,
        /// What is there now.
        ranges: Ranges,
    },
    /// Hash of one chunk as read back.
    ChunkHashed {
        /// The parcel.
        manifest: ManifestId,
        /// Chunk number.
        chunk: u32,
        /// BLAKE3 of its bytes, `None` if it can't be read.
        hash: Option<Hash>,
    },
    /// Hashes of every chunk as read back.
    FileHashed {
        /// The parcel.
        manifest: ManifestId,
        /// BLAKE3 a chunk, `None` where it can't be read.
        hashes: Vec<Option<Hash>>,
    },
    /// Bytes read to send; `None` if they can't be read.
    Read {
        /// The parcel.
        manifest: ManifestId,
        /// Offset in the sealed file.
        offset: u64,
        /// The bytes.
        bytes: Option<Vec<u8>>,
    },
    /// A parcel's file was not made: the disk has no room left for what is no more important.
    NoRoom {
        /// The parcel.
        manifest: ManifestId,
    },
    /// A parcel's file is not there, or could not be made: the work on it was not done.
    NoFile {
        /// The parcel.
        manifest: ManifestId,
    },
    /// The disk is full: the work that asked for space was not done.
    Full,
    /// A write or fsync failed: the node stops acknowledging (RELIABILITY F4).
    Faulted,
}
