//! A disk that calls before it does something, so that a test can break off, stall or bend a bit just there.

use radmesh_store::{
    Memory,
    medium::{Dir, Medium, Name},
};
use std::{fmt, io};

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Create(Name),
    Write(Name),
    Sync(Name),
}

/// Hears what is about to be done, and may change the disk.
type Call = dyn Fn(About, &Memory) + Send + Sync;

pub(crate) struct Watched {
    pub(crate) disk: Memory,
    call: Box<Call>,
}

impl Watched {
    pub(crate) fn new(call: impl Fn(About, &Memory) + Send + Sync + 'static) -> Self {
        Self { disk: Memory::new(), call: Box::new(call) }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Medium for Watched {
    fn create(&self, name: Name) -> io::Result<()> {
        (self.call)(About::Create(name), &self.disk);
        self.disk.create(name)
    }

    fn reserve(&self, name: Name, bytes: u64) -> io::Result<()> {
        self.disk.reserve(name, bytes)
    }

    fn write_at(&self, name: Name, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (self.call)(About::Write(name), &self.disk);
        self.disk.write_at(name, offset, bytes)
    }

    fn read_at(&self, name: Name, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(name, offset, into)
    }

    fn bytes(&self, name: Name) -> io::Result<u64> {
        self.disk.bytes(name)
    }

    fn sync(&self, name: Name) -> io::Result<()> {
        (self.call)(About::Sync(name), &self.disk);
        self.disk.sync(name)
    }

    fn sync_dir(&self, dir: Dir) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn delete(&self, name: Name) -> io::Result<()> {
        self.disk.delete(name)
    }

    fn list(&self, dir: Dir) -> io::Result<Vec<Name>> {
        self.disk.list(dir)
    }
}
