//! Staged files: received Instances, encrypted by their owner, until they are sealed into a parcel.
//!
//! C-STORE answers 0x0000 when the Instance survives a power cut here: its bytes and its name are synced before
//! [`StageWriter::finish`] returns. A file that was not finished never counts, and is deleted at the next opening.
//! What is in a file is its owner's matter; here it is bytes under a random name.

use crate::{
    appending::Appending,
    latch::{Latch, WriteError},
    medium::{Name, StagedId},
};
use radmesh_protocol::record::Importance;
use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

/// A staged file that is being written. Dropped unfinished, it is deleted.
#[derive(Debug)]
pub struct StageWriter {
    id: StagedId,
    importance: Importance,
    file: Appending,
}

impl StageWriter {
    pub(crate) fn begin(latch: Arc<Latch>, id: StagedId, importance: Importance) -> Result<Self, WriteError> {
        if latch.medium().bytes(Name::Staged(id)).is_ok() {
            return Err(WriteError::Misplaced);
        }
        Ok(Self { id, importance, file: Appending::begin(latch, Name::Staging(id))? })
    }

    /// Appends bytes, encrypted by the caller.
    ///
    /// # Errors
    /// [`WriteError::Full`] or [`WriteError::Faulted`]; drop the writer then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.latch().spare(bytes.len() as u64, self.importance)?;
        self.file.append(bytes)
    }

    /// Bytes appended so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// Puts the file and its name on disk. Only after this may the Instance be acknowledged or journaled.
    ///
    /// # Errors
    /// [`WriteError::Full`] or [`WriteError::Faulted`]: there is no such file.
    pub fn finish(self) -> Result<StagedId, WriteError> {
        self.file.keep_as(Name::Staged(self.id))?;
        Ok(self.id)
    }
}

/// Reads a finished staged file.
#[derive(Debug)]
pub struct StagedReader {
    latch: Arc<Latch>,
    id: StagedId,
    at: u64,
    bytes: u64,
}

impl StagedReader {
    pub(crate) fn open(latch: Arc<Latch>, id: StagedId) -> io::Result<Self> {
        let bytes = latch.medium().bytes(Name::Staged(id))?;
        Ok(Self { latch, id, at: 0, bytes })
    }

    /// Bytes the file has.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Read for StagedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.latch.medium().read_at(Name::Staged(self.id), self.at, into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for StagedReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.bytes.checked_add_signed(back),
            SeekFrom::Current(on) => self.at.checked_add_signed(on),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    #[test]
    fn a_finished_file_is_never_written_over() {
        let latch = Arc::new(Latch::new(Arc::new(Memory::new()), 0));
        let begin = || StageWriter::begin(Arc::clone(&latch), StagedId([1; 16]), Importance::Bulk);
        let mut first = begin().unwrap();
        assert_eq!(begin().unwrap_err(), WriteError::Misplaced, "one is being written");
        first.append(b"a film").unwrap();
        first.finish().unwrap();
        assert_eq!(begin().unwrap_err(), WriteError::Misplaced);
        let mut kept = Vec::new();
        StagedReader::open(Arc::clone(&latch), StagedId([1; 16])).unwrap().read_to_end(&mut kept).unwrap();
        assert_eq!(kept, b"a film");
    }
}
