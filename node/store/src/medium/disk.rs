//! A directory of a real file system.
//!
//! Opened once at a time: the lock on it is held by the open file, so the kernel frees it however the process ends.
//! A file whose fdatasync failed never syncs again, because Linux marks the pages clean and a second try would
//! report success for bytes that are lost (fsyncgate; RELIABILITY, F4).

use super::{Dir, Medium, Name, Space};
use std::{
    collections::{BTreeSet, HashMap},
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Files kept open at once: a node must live with 64 descriptors in all (RELIABILITY, F17).
const OPEN_MAX: usize = 16;
/// Bytes written at once where the file system can't preallocate.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A directory that can't be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process has it.
    #[error("{directory} is in use; is another radmesh running?")]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The file system refused.
    #[error("{directory} can't be opened: {source}")]
    Refused {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// See the module's page.
#[derive(Debug)]
pub struct Disk {
    directory: PathBuf,
    open: Mutex<Open>,
    /// Held for as long as this lives: closing it frees the lock.
    _lock: File,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<Name, Handle>,
    /// Files whose sync failed once.
    failed: BTreeSet<Name>,
    clock: u64,
}

#[derive(Debug)]
struct Handle {
    file: Arc<File>,
    used: u64,
    dirty: bool,
}

impl Disk {
    /// Opens a store's directory, making it and its sub-directories, and locks it.
    ///
    /// # Errors
    /// [`DiskError::InUse`] if another process holds the lock; [`DiskError::Refused`] if the file system does.
    pub fn open(directory: &Path) -> Result<Self, DiskError> {
        let refused = |source| DiskError::Refused { directory: directory.to_owned(), source };
        for dir in Dir::ALL {
            std::fs::create_dir_all(directory.join(dir.path())).map_err(refused)?;
        }
        let path = directory.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(refused)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DiskError::InUse { directory: directory.to_owned() },
            TryLockError::Error(source) => refused(source),
        })?;
        sync_directory(directory).map_err(refused)?;
        if let Some(parent) = directory.canonicalize().map_err(refused)?.parent() {
            sync_directory(parent).map_err(refused)?;
        }
        Ok(Self { directory: directory.to_owned(), open: Mutex::default(), _lock: lock })
    }

    fn path(&self, name: Name) -> PathBuf {
        self.directory.join(name.dir().path()).join(name.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open file, opening it if need be; `dirty` if it is about to be written.
    fn file(&self, name: Name, dirty: bool) -> io::Result<Arc<File>> {
        let mut open = self.lock();
        open.clock += 1;
        let used = open.clock;
        if let Some(handle) = open.files.get_mut(&name) {
            handle.used = used;
            handle.dirty |= dirty;
            return Ok(Arc::clone(&handle.file));
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(self.path(name))?);
        open.keep(name, Handle { file: Arc::clone(&file), used, dirty });
        Ok(file)
    }
}

impl Open {
    fn keep(&mut self, name: Name, handle: Handle) {
        while self.files.len() >= OPEN_MAX {
            let oldest = self.files.iter().min_by_key(|(_, handle)| (handle.dirty, handle.used)).map(|(name, _)| *name);
            let Some(oldest) = oldest else { break };
            let closed = self.files.remove(&oldest);
            // An error of writes not yet synced is told to the open file, and would be lost with it.
            if closed.is_some_and(|handle| handle.dirty && handle.file.sync_data().is_err()) {
                self.failed.insert(oldest);
            }
        }
        self.files.insert(name, handle);
    }
}

impl Medium for Disk {
    fn create(&self, name: Name) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(name))?;
        let mut open = self.lock();
        open.clock += 1;
        open.failed.remove(&name);
        let used = open.clock;
        open.keep(name, Handle { file: Arc::new(file), used, dirty: true });
        Ok(())
    }

    fn reserve(&self, name: Name, bytes: u64) -> io::Result<()> {
        let file = self.file(name, true)?;
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes.max(1)) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                let mut end = file.metadata()?.len();
                while end < bytes {
                    let step = (bytes - end).min(ZEROS.len() as u64);
                    file.write_all_at(&ZEROS[..step as usize], end)?;
                    end += step;
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn write_at(&self, name: Name, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name, true)?.write_all_at(bytes, offset)
    }

    fn read_at(&self, name: Name, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.file(name, false)?;
        let mut done = 0;
        while done < into.len() {
            match file.read_at(&mut into[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn bytes(&self, name: Name) -> io::Result<u64> {
        Ok(self.file(name, false)?.metadata()?.len())
    }

    fn sync(&self, name: Name) -> io::Result<()> {
        let file = self.file(name, false)?;
        // Clean from before the sync: a write that comes during it makes the file dirty again.
        if let Some(handle) = self.lock().files.get_mut(&name) {
            handle.dirty = false;
        }
        let synced = file.sync_data();
        let mut open = self.lock();
        if synced.is_err() {
            open.failed.insert(name);
        }
        if open.failed.contains(&name) {
            return Err(synced.err().unwrap_or_else(|| io::Error::other("an earlier fdatasync of this file failed")));
        }
        Ok(())
    }

    fn sync_dir(&self, dir: Dir) -> io::Result<()> {
        sync_directory(&self.directory.join(dir.path()))
    }

    fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        let mut open = self.lock();
        std::fs::rename(self.path(from), self.path(to))?;
        open.files.remove(&to);
        open.failed.remove(&to);
        if let Some(handle) = open.files.remove(&from) {
            open.files.insert(to, handle);
        }
        if open.failed.remove(&from) {
            open.failed.insert(to);
        }
        Ok(())
    }

    fn delete(&self, name: Name) -> io::Result<()> {
        let mut open = self.lock();
        open.files.remove(&name);
        open.failed.remove(&name);
        std::fs::remove_file(self.path(name))
    }

    fn list(&self, dir: Dir) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.directory.join(dir.path()))? {
            names.extend(entry?.file_name().to_str().and_then(|text| Name::parse(dir, text)));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn free(&self) -> io::Result<Option<Space>> {
        let disk = rustix::fs::statvfs(&self.directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Some(Space { free_bytes: bytes(disk.f_bavail), total_bytes: bytes(disk.f_blocks) }))
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.directory)
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medium::StagedId;

    #[test]
    fn a_second_process_is_told_the_directory_and_that_another_runs() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Disk::open(directory.path()).unwrap();
        let said = Disk::open(directory.path()).unwrap_err().to_string();
        assert!(said.contains("is another radmesh running?") && said.contains(directory.path().to_str().unwrap()));
    }

    #[test]
    fn more_files_than_may_be_open_are_written_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        let names: Vec<Name> = (0..3 * OPEN_MAX as u8).map(|n| Name::Staged(StagedId([n; 16]))).collect();
        for name in &names {
            disk.create(*name).unwrap();
            disk.write_at(*name, 0, name.to_string().as_bytes()).unwrap();
        }
        assert!(disk.lock().files.len() <= OPEN_MAX);
        for name in &names {
            let mut bytes = [0; 100];
            let read = disk.read_at(*name, 0, &mut bytes).unwrap();
            assert_eq!(&bytes[..read], name.to_string().as_bytes());
            disk.sync(*name).unwrap();
        }
        assert_eq!(disk.list(Dir::Staging).unwrap(), names);
    }
}
