//! A whole tree in memory, for simulations in which the disk is honest.
//!
//! Everything is durable at once; what a power cut does is [`super::Faulty`]'s matter.

use super::{Dir, Medium, Name};
use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Files by name. Cloning copies them.
#[derive(Debug, Default)]
pub struct Memory {
    files: Mutex<BTreeMap<Name, Vec<u8>>>,
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self::holding(self.lock().clone())
    }
}

impl Memory {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These files.
    #[must_use]
    pub const fn holding(files: BTreeMap<Name, Vec<u8>>) -> Self {
        Self { files: Mutex::new(files) }
    }

    /// Every file with its bytes.
    #[must_use]
    pub fn files(&self) -> BTreeMap<Name, Vec<u8>> {
        self.lock().clone()
    }

    /// Turns over one bit, as a dying card does. Nothing happens past the end of the file.
    pub fn flip(&self, name: Name, offset: u64, bit: u8) {
        if let Some(byte) = self.lock().get_mut(&name).and_then(|file| file.get_mut(offset as usize)) {
            *byte ^= 1 << (bit % 8);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on<T>(&self, name: Name, act: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        self.lock().get_mut(&name).map(act).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Writes `bytes` into `file`, which grows with zeros if need be.
pub(super) fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + bytes.len());
    if file.len() < to {
        file.resize(to, 0);
    }
    file[from..to].copy_from_slice(bytes);
}

/// Reads what `file` has at `offset`.
pub(super) fn get(file: &[u8], offset: u64, into: &mut [u8]) -> usize {
    let rest = file.get(offset as usize..).unwrap_or_default();
    let read = rest.len().min(into.len());
    into[..read].copy_from_slice(&rest[..read]);
    read
}

impl Medium for Memory {
    fn create(&self, name: Name) -> io::Result<()> {
        match self.lock().entry(name) {
            std::collections::btree_map::Entry::Occupied(_) => Err(io::ErrorKind::AlreadyExists.into()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(Vec::new());
                Ok(())
            }
        }
    }

    fn reserve(&self, name: Name, bytes: u64) -> io::Result<()> {
        self.on(name, |file| file.resize(file.len().max(bytes as usize), 0))
    }

    fn write_at(&self, name: Name, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.on(name, |file| put(file, offset, bytes))
    }

    fn read_at(&self, name: Name, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.on(name, |file| get(file, offset, into))
    }

    fn bytes(&self, name: Name) -> io::Result<u64> {
        self.on(name, |file| file.len() as u64)
    }

    fn sync(&self, name: Name) -> io::Result<()> {
        self.on(name, |_| ())
    }

    fn sync_dir(&self, _: Dir) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        let mut files = self.lock();
        let file = files.remove(&from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to, file);
        Ok(())
    }

    fn delete(&self, name: Name) -> io::Result<()> {
        self.lock().remove(&name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, dir: Dir) -> io::Result<Vec<Name>> {
        Ok(self.lock().keys().copied().filter(|name| name.dir() == dir).collect())
    }
}
