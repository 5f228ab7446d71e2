//! The audit log of openings: who was given what, written before the first byte goes out.
//!
//! An insider who browses must leave a trace even if the power fails in the middle, so an entry is durable before
//! the key is used. Entries are private records of the hub, sealed at rest.

use crate::ROOM_AUDIT;
use radmesh_protocol::{
    envelope::at_rest::AtRestKey,
    id::{CaseId, Hash, PersonId},
    time::Wall,
    wire,
};
use radmesh_store::{Store, WriteError};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// What was done with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// The DICOM files were given to a reader.
    Exported,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the entry, from 0.
    pub number: u64,
    /// What was done.
    pub act: Act,
    /// The case.
    pub case: CaseId,
    /// The reader whose claim allowed it.
    pub reader: PersonId,
    /// When, by this hub's clock.
    pub at: Wall,
    /// BLAKE3 of the entry before.
    pub previous: Hash,
}

/// Writes entries in order, each bound to the one before.
#[derive(Debug)]
pub(crate) struct AuditLog {
    next: u64,
    previous: Hash,
}

const CONTEXT: &str = "radmesh/1 audit";

impl AuditLog {
    /// An empty log; [`Self::replay`] then takes what the journal holds.
    pub(crate) const fn new() -> Self {
        Self { next: 0, previous: Hash([0; 32]) }
    }

    /// Takes an entry that the journal held, in any order.
    pub(crate) fn replay(&mut self, at_rest: &AtRestKey, sealed: &[u8]) {
        let Ok(plain) = at_rest.open(CONTEXT, sealed) else { return };
        let Ok(entry) = wire::decode::<Entry>("audit entry", &plain, 1024) else { return };
        if entry.number >= self.next {
            (self.next, self.previous) = (entry.number + 1, Hash::of(&plain));
        }
    }

    /// Writes an entry; on disk when it returns.
    pub(crate) fn write(
        &mut self,
        (act, case, reader, at): (Act, CaseId, PersonId, Wall),
        store: &Store,
        at_rest: &AtRestKey,
        rng: &mut impl CryptoRng,
    ) -> Result<(), WriteError> {
        let entry = Entry { number: self.next, act, case, reader, at, previous: self.previous };
        let plain = wire::encode(&entry);
        let key = at_rest.keyed_hash(CONTEXT, &entry.number.to_be_bytes());
        store.append_room(ROOM_AUDIT, key, at_rest.seal(CONTEXT, &plain, rng))?;
        (self.next, self.previous) = (entry.number + 1, Hash::of(&plain));
        Ok(())
    }
}
