//! The whole store read once, for `radmesh verify`.
//!
//! A card that rots tells nobody until someone reads it; this reads every byte. The journal's chain is checked here.
//! A parcel's chunks are only read here: their hashes are in manifests, which the core compares.

use crate::{journal::opening::OpenError, store::Store};
use radmesh_protocol::{id::ManifestId, limits::CHUNK_BYTES};
use std::io;

/// How the journal read back.
#[derive(Debug)]
pub enum JournalCheck {
    /// Every record, in an unbroken chain.
    Whole {
        /// Records.
        records: u64,
    },
    /// Up to somewhere.
    Broken {
        /// Records before it.
        records: u64,
        /// What is wrong, and where.
        error: OpenError,
    },
}

/// What was read, and what could not be.
#[derive(Debug)]
pub struct Verification {
    /// The journal.
    pub journal: JournalCheck,
    /// Parcel files read.
    pub parcels: usize,
    /// Bytes of theirs that were read.
    pub parcel_bytes: u64,
    /// Chunks that can't be read at all.
    pub unreadable: Vec<(ManifestId, u32)>,
}

impl Store {
    /// Reads the journal and every parcel file. May run while the node does.
    ///
    /// # Errors
    /// A directory that can't be listed; what can't be read in a file is in the result.
    pub fn verify(&self) -> io::Result<Verification> {
        let mut records = 0;
        let mut broken = None;
        for record in self.replay() {
            match record {
                Ok(_) => records += 1,
                Err(error) => broken = Some(error),
            }
        }
        let journal = match broken {
            None => JournalCheck::Whole { records },
            Some(error) => JournalCheck::Broken { records, error },
        };
        let mut found = Verification { journal, parcels: 0, parcel_bytes: 0, unreadable: Vec::new() };
        for (manifest, bytes) in self.parcels()? {
            let chunks = u32::try_from(bytes.div_ceil(u64::from(CHUNK_BYTES))).unwrap_or(u32::MAX);
            for chunk in 0..chunks {
                match self.chunk(manifest, chunk) {
                    Some(read) => found.parcel_bytes += read.len() as u64,
                    None => found.unreadable.push((manifest, chunk)),
                }
            }
            found.parcels += 1;
        }
        Ok(found)
    }
}
