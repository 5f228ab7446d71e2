//! Scratch files: bytes that save time and are missed by nobody.
//!
//! A reader should not wait for a decoder, but no clinic's Study may wait for a disk that is full of copies. So a
//! scratch file lives as long as the value that holds it, is never synced, is refused where the disk runs short, and is
//! gone after a power cut: it has the name of a staged file that was never finished, which the next opening deletes.
//! What is in it is its owner's matter, who seals it.

use crate::{
    appending::Appending,
    latch::{Latch, WriteError},
    medium::{Name, StagedId},
};
use std::{io, sync::Arc};

/// Bytes that scratch files leave free for what must be kept: what four links of 10 Mbit/s bring in an hour.
const LEFT_FREE_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// Of a small disk, only this part.
const LEFT_FREE_SHARE: u64 = 8;

/// A scratch file. Dropped, it is deleted.
#[derive(Debug)]
pub struct Scratch(Appending);

impl Scratch {
    pub(crate) fn begin(latch: Arc<Latch>, id: StagedId) -> Result<Self, WriteError> {
        Appending::begin(latch, Name::Staging(id)).map(Self)
    }

    /// Appends bytes, encrypted by the caller.
    ///
    /// # Errors
    /// [`WriteError::Full`] also where 16 GiB, or an eighth of a smaller disk, would not stay free; drop the file then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if !has_room(self.0.latch(), bytes.len() as u64)? {
            return Err(WriteError::Full);
        }
        self.0.append(bytes)
    }

    /// Bytes appended so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Reads what there is at `offset`; less than asked only at the end.
    ///
    /// # Errors
    /// A failing disk.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, into)
    }
}

/// Whether `bytes` more in scratch files leave enough of the disk free.
pub(crate) fn has_room(latch: &Latch, bytes: u64) -> Result<bool, WriteError> {
    let space = latch.change(|medium| medium.free())?;
    Ok(space.is_none_or(|space| {
        let left_free = LEFT_FREE_BYTES.min(space.total_bytes / LEFT_FREE_SHARE);
        space.free_bytes.saturating_sub(bytes) >= left_free
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Medium as _, Memory,
        medium::{Dir, Space},
    };

    /// A disk of 800 bytes, of which so many are free.
    #[derive(Debug)]
    struct Small(Memory, u64);

    impl crate::Medium for Small {
        fn free(&self) -> io::Result<Option<Space>> {
            Ok(Some(Space { free_bytes: self.1, total_bytes: 800 }))
        }
        fn create(&self, name: Name) -> io::Result<()> {
            self.0.create(name)
        }
        fn reserve(&self, name: Name, bytes: u64) -> io::Result<()> {
            self.0.reserve(name, bytes)
        }
        fn write_at(&self, name: Name, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.0.write_at(name, offset, bytes)
        }
        fn read_at(&self, name: Name, offset: u64, into: &mut [u8]) -> io::Result<usize> {
            self.0.read_at(name, offset, into)
        }
        fn bytes(&self, name: Name) -> io::Result<u64> {
            self.0.bytes(name)
        }
        fn sync(&self, name: Name) -> io::Result<()> {
            self.0.sync(name)
        }
        fn sync_dir(&self, dir: Dir) -> io::Result<()> {
            self.0.sync_dir(dir)
        }
        fn rename(&self, from: Name, to: Name) -> io::Result<()> {
            self.0.rename(from, to)
        }
        fn delete(&self, name: Name) -> io::Result<()> {
            self.0.delete(name)
        }
        fn list(&self, dir: Dir) -> io::Result<Vec<Name>> {
            self.0.list(dir)
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_gone_when_dropped() {
        let memory = Arc::new(Memory::new());
        let latch = Arc::new(Latch::new(Arc::<Memory>::clone(&memory), 0));
        let mut scratch = Scratch::begin(Arc::clone(&latch), StagedId([1; 16])).unwrap();
        assert_eq!(Scratch::begin(latch, StagedId([1; 16])).unwrap_err(), WriteError::Misplaced);
        scratch.append(b"abc").unwrap();
        scratch.append(b"de").unwrap();
        let mut into = [0; 4];
        assert_eq!((scratch.bytes(), scratch.read_at(1, &mut into).unwrap()), (5, 4));
        assert_eq!(&into, b"bcde");
        drop(scratch);
        assert_eq!(memory.list(Dir::Staging).unwrap(), []);
    }

    #[test]
    fn a_disk_that_runs_short_takes_none() {
        for (free, taken) in [(110, Ok(())), (109, Err(WriteError::Full))] {
            let latch = Arc::new(Latch::new(Arc::new(Small(Memory::new(), free)), 0));
            assert_eq!(Scratch::begin(latch, StagedId([1; 16])).unwrap().append(&[0; 10]), taken, "{free} free");
        }
    }
}
