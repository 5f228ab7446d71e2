//! A file that grows at its end until it is kept under another name, or deleted.
//!
//! Received Instances, parcels being sealed and what a reader may soon want all begin as one: what a power cut or an
//! error leaves half-written has a name that never counts, and the next opening of the store deletes it.

use crate::{
    latch::{Latch, WriteError},
    medium::Name,
};
use std::{io, sync::Arc};

/// The file. Dropped before [`Appending::keep_as`], it is deleted.
#[derive(Debug)]
pub(crate) struct Appending {
    latch: Arc<Latch>,
    name: Name,
    bytes: u64,
    is_kept: bool,
}

impl Appending {
    /// A new file; [`WriteError::Misplaced`] if there is one of that name.
    pub(crate) fn begin(latch: Arc<Latch>, name: Name) -> Result<Self, WriteError> {
        latch.change(|medium| medium.create(name))?;
        Ok(Self { latch, name, bytes: 0, is_kept: false })
    }

    /// Appends bytes, on disk only after [`Appending::keep_as`]. What of the disk stays free is the caller's matter.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.latch.change(|medium| medium.write_at(self.name, self.bytes, bytes))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn latch(&self) -> &Latch {
        &self.latch
    }

    /// Bytes appended so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads what there is at `offset`; less than asked only at the end.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.latch.medium().read_at(self.name, offset, into)
    }

    /// Bytes and name `as_name`, in the same folder, are on disk when this returns.
    pub(crate) fn keep_as(mut self, as_name: Name) -> Result<(), WriteError> {
        self.latch.sync(self.name)?;
        self.latch.change(|medium| medium.rename(self.name, as_name))?;
        self.is_kept = true;
        self.latch.sync_dir(as_name.dir())
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays behind is deleted at the next opening.
            let _ = self.latch.medium().delete(self.name);
        }
    }
}
