//! The whole journal read once more, for `radmesh verify`.
//!
//! A card that rots tells nobody until someone reads it. The chain is checked from its first record, as at every start,
//! while the node runs; parcels are checked by the core, which has their hashes.

use crate::{journal::opening::OpenError, store::Store};

/// A journal that no longer reads back.
#[derive(Debug, thiserror::Error)]
#[error("after {records} records: {source}")]
pub struct BrokenJournal {
    /// Records before the damage.
    pub records: u64,
    /// What is wrong, and where.
    pub source: OpenError,
}

impl Store {
    /// Reads the journal as it is now; how many records it holds.
    ///
    /// # Errors
    /// [`BrokenJournal`].
    pub fn check_journal(&self) -> Result<u64, BrokenJournal> {
        let mut records = 0;
        for record in self.replay() {
            record.map_err(|source| BrokenJournal { records, source })?;
            records += 1;
        }
        Ok(records)
    }
}
