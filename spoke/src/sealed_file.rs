//! A staging file: received bytes on their way to disk and back, never in clear there and never whole in memory.
//!
//! A spoke may be stolen with a day's Studies on it, so every Instance is sealed under a random key of its own as it
//! comes in; the key lies only in the journal, under the node's boot keystore. STREAM makes each chunk tell where it
//! stands, so a chunk that rotted, moved or is missing does not open: what is read is what was received, or an error.

use crate::staging::{FileKey, StagingId};
use radmesh_protocol::{
    envelope::stream::{self, Sealer},
    record::Importance,
};
use radmesh_store::{StageWriter, StagedId, StagedReader, Store, WriteError};
use rand_core::CryptoRng;
use std::{collections::BTreeSet, io};

/// A staging file that is being written. Dropped before [`Writing::finish`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Writing {
    id: StagingId,
    key: FileKey,
    sealer: Sealer,
    file: StageWriter,
}

impl Writing {
    /// A new file under a new key.
    pub(crate) fn begin(store: &Store, importance: Importance, rng: &mut impl CryptoRng) -> Result<Self, WriteError> {
        let (mut id, mut key) = ([0; 16], FileKey([0; 32]));
        rng.fill_bytes(&mut id);
        rng.fill_bytes(&mut key.0);
        let file = store.stage(StagedId(id), importance)?;
        Ok(Self { id: StagingId(id), sealer: Sealer::new(&key.0), key, file })
    }

    /// Seals and writes the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let file = &mut self.file;
        self.sealer.push(bytes, &mut |chunk| file.append(chunk))
    }

    /// Writes the last chunk and waits until the file is on disk with its name.
    pub(crate) fn finish(self) -> Result<(StagingId, FileKey), WriteError> {
        let Self { id, key, sealer, mut file } = self;
        sealer.finish(&mut |chunk| file.append(chunk))?;
        file.finish()?;
        Ok((id, key))
    }
}

/// A staging file being read back, from its first byte to its last.
pub(crate) type Reading = stream::Reader<StagedReader>;

/// Opens a finished file.
pub(crate) fn open(store: &Store, id: StagingId, key: &FileKey) -> io::Result<Reading> {
    let file = store.open_staged(StagedId(id.0))?;
    let bytes = StagedReader::bytes(&file);
    Ok(stream::Reader::new(&key.0, file, bytes))
}

/// Removes a file that is sealed into a parcel, or was refused. One that is gone already is no error.
pub(crate) fn remove(store: &Store, id: StagingId) -> Result<(), WriteError> {
    store.remove_staged(StagedId(id.0))
}

/// Every finished file.
pub(crate) fn all(store: &Store) -> io::Result<BTreeSet<StagingId>> {
    Ok(store.staged()?.into_iter().map(|(id, _)| StagingId(id.0)).collect())
}
