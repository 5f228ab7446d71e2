//! The latch: after the first write or sync that failed, nothing is written any more.
//!
//! A receipt for bytes that a dying card never kept is a Study that nobody has. Linux reports a failed fsync once and
//! then calls the lost pages clean, so a retry that succeeds proves nothing (fsyncgate; RELIABILITY, F4). Every write
//! of the store passes here; reading goes on, so that reports can still be read.

use crate::medium::{Dir, Medium, Name, is_full, is_out_of_files};
use radmesh_protocol::record::Importance;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What is kept free for one purpose is at most this part of the disk, so that a small one is not all reserve.
const KEPT_FREE_SHARE: u64 = 8;
/// Of the reserve, what STAT images may still take when other images may take nothing.
const STAT_LANE: u64 = 4;
/// Of the reserve, what accepted senders may still take when strangers may take nothing.
const OWN_LANE: u64 = 16;

/// Why something was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// No space, memory or file descriptor. Nothing is half-done; later writes may succeed.
    #[error("the disk is full, or the system has no more files or memory to give")]
    Full,
    /// A write or sync failed, now or before: this process writes nothing any more.
    #[error("the disk failed; nothing is acknowledged until the node is restarted on a disk that works")]
    Faulted,
    /// Over a limit.
    #[error("a record has {bytes} bytes; the journal takes at most {limit}")]
    TooLarge {
        /// Bytes it has.
        bytes: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// The file to write is not there, or the one to make is there already.
    #[error("the file to write is gone, or the file to make is there already")]
    Misplaced,
}

/// A medium that is written only while it never failed.
#[derive(Debug)]
pub(crate) struct Latch {
    medium: Arc<dyn Medium>,
    faulted: AtomicBool,
    reserve_bytes: u64,
}

impl Latch {
    pub(crate) const fn new(medium: Arc<dyn Medium>, reserve_bytes: u64) -> Self {
        Self { medium, faulted: AtomicBool::new(false), reserve_bytes }
    }

    /// For reading.
    pub(crate) fn medium(&self) -> &dyn Medium {
        &*self.medium
    }

    pub(crate) fn faulted(&self) -> bool {
        self.faulted.load(Ordering::SeqCst)
    }

    /// Performs a change that may find the disk full.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&dyn Medium) -> io::Result<T>) -> Result<T, WriteError> {
        if self.faulted() {
            return Err(WriteError::Faulted);
        }
        change(self.medium()).map_err(|error| match error.kind() {
            io::ErrorKind::OutOfMemory => WriteError::Full,
            _ if is_full(&error) || is_out_of_files(&error) => WriteError::Full,
            io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => WriteError::Misplaced,
            _ => self.fail(&error),
        })
    }

    /// [`Latch::change`] of a file that the store made and nobody else may touch: that it is gone is a fault.
    pub(crate) fn change_own<T>(&self, change: impl FnOnce(&dyn Medium) -> io::Result<T>) -> Result<T, WriteError> {
        self.change(change).map_err(|error| match error {
            WriteError::Misplaced => self.fail(&io::Error::other("a file of the journal was taken away")),
            error => error,
        })
    }

    /// Refuses data that would take from what is kept free for more important ones, and from the reserve that reports,
    /// claims and the journal live from.
    pub(crate) fn spare(&self, bytes: u64, importance: Importance) -> Result<(), WriteError> {
        let Some(space) = self.change(|medium| medium.free())? else { return Ok(()) };
        let of_reserve = |times: u64| self.reserve_bytes.saturating_mul(times).min(space.total_bytes / KEPT_FREE_SHARE);
        let kept_free = match importance {
            Importance::Stat => of_reserve(1),
            Importance::Bulk => of_reserve(1) + of_reserve(STAT_LANE),
            Importance::Stranger => of_reserve(1) + of_reserve(STAT_LANE) + of_reserve(OWN_LANE),
        };
        if space.free_bytes < kept_free.saturating_add(bytes) { Err(WriteError::Full) } else { Ok(()) }
    }

    pub(crate) fn sync(&self, name: Name) -> Result<(), WriteError> {
        self.synced(|medium| medium.sync(name))
    }

    /// [`Latch::sync`] of the journal, which is not written over before it was synced: a refusal is a fault too.
    pub(crate) fn sync_own(&self, name: Name) -> Result<(), WriteError> {
        self.sync(name).map_err(|error| match error {
            WriteError::Full => self.fail(&io::Error::other("the journal was written and can't be synced")),
            error => error,
        })
    }

    pub(crate) fn sync_dir(&self, dir: Dir) -> Result<(), WriteError> {
        self.synced(|medium| medium.sync_dir(dir))
    }

    /// A sync that fails is a fault for whatever reason, a full disk included: what was written is in doubt. Without a
    /// file descriptor it was not begun, and may be tried again.
    fn synced(&self, sync: impl FnOnce(&dyn Medium) -> io::Result<()>) -> Result<(), WriteError> {
        if self.faulted() {
            return Err(WriteError::Faulted);
        }
        sync(self.medium()).map_err(|error| match error.kind() {
            _ if is_out_of_files(&error) => WriteError::Full,
            io::ErrorKind::NotFound => WriteError::Misplaced,
            _ => self.fail(&error),
        })
    }

    /// Nothing is written from here on.
    pub(crate) fn fail(&self, error: &io::Error) -> WriteError {
        self.faulted.store(true, Ordering::SeqCst);
        tracing::error!(%error, "the disk failed; nothing is acknowledged any more");
        WriteError::Faulted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use rustix::io::Errno;

    #[test]
    fn a_process_without_files_or_memory_is_refused_and_its_disk_is_not_taken_for_dead() {
        let latch = Latch::new(Arc::new(Memory::new()), 0);
        for refused in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert_eq!(latch.change(|_| Err::<(), _>(refused.into())), Err(WriteError::Full), "{refused}");
        }
        for refused in [Errno::MFILE, Errno::NFILE] {
            assert_eq!(latch.synced(|_| Err(refused.into())), Err(WriteError::Full), "{refused}");
        }
        assert!(!latch.faulted());
        assert_eq!(
            latch.synced(|_| Err(Errno::NOMEM.into())),
            Err(WriteError::Faulted),
            "what was written is in doubt"
        );
        assert!(latch.faulted());
    }

    #[test]
    fn after_one_failure_no_write_or_sync_of_any_file_is_even_tried() {
        let latch = Latch::new(Arc::new(Memory::new()), 0);
        // Two threads share a disk: the other one's file was written before this one's sync failed.
        assert_eq!(latch.change(|_| Ok(())), Ok(()));
        assert_eq!(latch.synced(|_| Err(Errno::IO.into())), Err(WriteError::Faulted));
        let tried = |_: &dyn Medium| panic!("the disk was asked again");
        assert_eq!(latch.synced(tried), Err(WriteError::Faulted));
        assert_eq!(latch.change::<()>(tried), Err(WriteError::Faulted));
    }
}
