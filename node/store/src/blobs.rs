//! Parcel files: one file a parcel, its space taken before the first byte comes.
//!
//! A parcel arrives over hours of a bad link; each byte that was acknowledged must still be there after the next
//! power cut, and a full disk must say so before the transfer and not in its middle. What of a file counts is in the
//! journal (`Have`), written after the file's fdatasync and never before (`protocol/SPEC.md`, Custody).

use crate::{
    appending::Appending,
    latch::{Latch, WriteError},
    medium::{Dir, Name, delete_if_there, is_out_of_files},
};
use radmesh_protocol::{
    id::{Hash, ManifestId},
    limits::CHUNK_BYTES,
    record::Importance,
};
use std::{io, sync::Arc, thread, time::Duration};

/// Pause of a read that found no file descriptor free: the kernel tells nobody when one is.
const FILES_PAUSE: Duration = Duration::from_millis(50);

/// Takes `bytes` bytes for a parcel's file and makes its name durable.
pub(crate) fn create(
    latch: &Latch,
    manifest: ManifestId,
    bytes: u64,
    importance: Importance,
) -> Result<(), WriteError> {
    let name = Name::Parcel(manifest);
    if latch.medium().bytes(name).is_ok_and(|there| there >= bytes) {
        return latch.sync_dir(Dir::Parcels);
    }
    latch.spare(bytes, importance)?;
    match latch.change(|medium| medium.create(name)) {
        Ok(()) | Err(WriteError::Misplaced) => {}
        Err(error) => return Err(error),
    }
    if let Err(error) = latch.change(|medium| medium.reserve(name, bytes)) {
        if error == WriteError::Full {
            // A parcel that is received again keeps what it has: only a file too short to be one goes.
            let short = latch.medium().bytes(name).is_ok_and(|there| there < bytes);
            let _ = if short { delete_if_there(latch.medium(), name) } else { Ok(()) };
        }
        return Err(error);
    }
    latch.sync_dir(Dir::Parcels)
}

/// `length` bytes at `offset`, or `None` if the file has not all of them or can't be read.
pub(crate) fn read(latch: &Latch, manifest: ManifestId, offset: u64, length: u32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    let read = looked_at(|| latch.medium().read_at(Name::Parcel(manifest), offset, &mut bytes)).ok()?;
    (read == bytes.len()).then_some(bytes)
}

/// The bytes of one chunk, the last one shorter.
pub(crate) fn read_chunk(latch: &Latch, manifest: ManifestId, chunk: u32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; CHUNK_BYTES as usize];
    let offset = u64::from(chunk) * u64::from(CHUNK_BYTES);
    let read = looked_at(|| latch.medium().read_at(Name::Parcel(manifest), offset, &mut bytes)).ok()?;
    bytes.truncate(read);
    (!bytes.is_empty()).then_some(bytes)
}

/// BLAKE3 of every chunk as read back; none if there is no file.
pub(crate) fn hash_file(latch: &Latch, manifest: ManifestId) -> Vec<Option<Hash>> {
    let bytes = looked_at(|| latch.medium().bytes(Name::Parcel(manifest))).unwrap_or(0);
    let chunks = u32::try_from(bytes.div_ceil(u64::from(CHUNK_BYTES))).unwrap_or(u32::MAX);
    (0..chunks).map(|chunk| read_chunk(latch, manifest, chunk).map(|bytes| Hash::of(&bytes))).collect()
}

/// Waits while the process has no file descriptor free: bytes that could not be looked at are not bytes that are gone,
/// and must not be struck from the books.
fn looked_at<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if is_out_of_files(&error) => thread::sleep(FILES_PAUSE),
            read => return read,
        }
    }
}

/// A parcel that is being sealed here, before it has a manifest. Dropped unadopted, it is deleted.
#[derive(Debug)]
pub struct Draft(Appending);

impl Draft {
    pub(crate) fn begin(latch: Arc<Latch>, id: [u8; 16]) -> Result<Self, WriteError> {
        Appending::begin(latch, Name::Draft(id)).map(Self)
    }

    /// Appends sealed bytes.
    ///
    /// # Errors
    /// [`WriteError::Full`] or [`WriteError::Faulted`]; drop the draft then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        // Packing makes room: what is sealed is deleted where it was staged.
        self.0.latch().spare(bytes.len() as u64, Importance::Stat)?;
        self.0.append(bytes)
    }

    /// Bytes appended so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Reads back one chunk, the last one shorter; `None` past the end or if it can't be read.
    #[must_use]
    pub fn chunk(&self, chunk: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; CHUNK_BYTES as usize];
        let read = self.0.read_at(u64::from(chunk) * u64::from(CHUNK_BYTES), &mut bytes).ok()?;
        bytes.truncate(read);
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Makes the draft the file of `manifest`, on disk with its name when this returns; only then may the manifest
    /// be journaled. A parcel whose manifest never is, is deleted when the store is opened again.
    ///
    /// # Errors
    /// [`WriteError::Full`] or [`WriteError::Faulted`]: there is no such parcel.
    pub fn adopt(self, manifest: ManifestId) -> Result<(), WriteError> {
        self.0.keep_as(Name::Parcel(manifest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn what_can_not_be_opened_for_want_of_descriptors_is_looked_at_later_and_not_called_gone() {
        let mut answers = vec![Err(Errno::IO), Ok(7), Err(Errno::MFILE), Err(Errno::NFILE)];
        let mut read = || looked_at(|| answers.pop().unwrap().map_err(io::Error::from));
        assert_eq!(read().unwrap(), 7);
        assert_eq!(
            read().unwrap_err().raw_os_error(),
            Some(Errno::IO.raw_os_error()),
            "a disk that fails is told at once"
        );
    }
}
