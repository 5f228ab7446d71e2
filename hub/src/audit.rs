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
use std::collections::BTreeMap;

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
    // Of each entry: the hash it names, and its own.
    entries: BTreeMap<u64, (Hash, Hash)>,
    unreadable: u64,
}

/// What the audit log is found to be when the hub starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditChain {
    /// Every entry is there and names the one before.
    Whole {
        /// Entries.
        entries: u64,
    },
    /// Somebody took entries away or changed them, or the disk did.
    Broken {
        /// The first entry that is missing, can't be read, or does not name the one before.
        at: u64,
    },
}

const CONTEXT: &str = "radmesh/1 audit";

impl AuditLog {
    /// An empty log; [`Self::replay`] then takes what the journal holds.
    pub(crate) const fn new() -> Self {
        Self { next: 0, previous: Hash([0; 32]), entries: BTreeMap::new(), unreadable: 0 }
    }

    /// Takes an entry that the journal held, in any order.
    pub(crate) fn replay(&mut self, at_rest: &AtRestKey, sealed: &[u8]) {
        let plain = at_rest.open(CONTEXT, sealed).ok();
        let entry = plain.as_ref().and_then(|plain| wire::decode::<Entry>("audit entry", plain, 1024).ok());
        let (Some(plain), Some(entry)) = (plain, entry) else {
            self.unreadable += 1;
            return;
        };
        let hash = Hash::of(&plain);
        self.entries.insert(entry.number, (entry.previous, hash));
        if entry.number >= self.next {
            (self.next, self.previous) = (entry.number + 1, hash);
        }
    }

    /// Whether the entries are one chain from the first.
    pub(crate) fn chain(&self) -> AuditChain {
        let mut previous = Hash([0; 32]);
        for (expected, (number, (named, hash))) in (0..).zip(&self.entries) {
            if *number != expected || *named != previous {
                return AuditChain::Broken { at: expected };
            }
            previous = *hash;
        }
        let entries = self.entries.len() as u64;
        if self.unreadable > 0 { AuditChain::Broken { at: entries } } else { AuditChain::Whole { entries } }
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
        let hash = Hash::of(&plain);
        self.entries.insert(entry.number, (entry.previous, hash));
        (self.next, self.previous) = (entry.number + 1, hash);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use radmesh_store::Memory;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    use std::sync::Arc;

    /// Three entries as the journal holds them.
    fn three(at_rest: &AtRestKey) -> Vec<Vec<u8>> {
        let mut previous = Hash([0; 32]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let entries = (0..3).map(|number| {
            let (case, reader) = (CaseId([1; 32]), PersonId([2; 32]));
            let entry = Entry { number, act: Act::Exported, case, reader, at: Wall(0), previous };
            let plain = wire::encode(&entry);
            previous = Hash::of(&plain);
            at_rest.seal(CONTEXT, &plain, &mut rng)
        });
        entries.collect()
    }

    fn chain(at_rest: &AtRestKey, sealed: &[&Vec<u8>]) -> AuditChain {
        let mut log = AuditLog::new();
        sealed.iter().for_each(|entry| log.replay(at_rest, entry));
        log.chain()
    }

    #[test]
    fn an_entry_that_was_taken_away_or_changed_is_noticed() {
        let at_rest = AtRestKey::from_bytes(&[7; 32]);
        let [first, second, third] = &three(&at_rest)[..] else { panic!("three entries") };
        assert_eq!(chain(&at_rest, &[third, first, second]), AuditChain::Whole { entries: 3 });
        assert_eq!(chain(&at_rest, &[first, third]), AuditChain::Broken { at: 1 });
        assert_eq!(chain(&at_rest, &[second, third]), AuditChain::Broken { at: 0 });
        let mut changed = third.clone();
        changed[40] ^= 1;
        assert_eq!(chain(&at_rest, &[first, second, &changed]), AuditChain::Broken { at: 2 });
    }

    #[test]
    fn entries_written_after_a_start_go_on_where_the_journal_ended() {
        let at_rest = AtRestKey::from_bytes(&[7; 32]);
        let (store, _) = Store::open(Arc::new(Memory::new()), &at_rest).unwrap();
        let mut log = AuditLog::new();
        three(&at_rest).iter().for_each(|entry| log.replay(&at_rest, entry));
        let what = (Act::Exported, CaseId([1; 32]), PersonId([2; 32]), Wall(9));
        log.write(what, &store, &at_rest, &mut ChaCha8Rng::seed_from_u64(2)).unwrap();
        assert_eq!(log.chain(), AuditChain::Whole { entries: 4 });
    }
}
