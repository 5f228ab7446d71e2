//! Where in the journal the latest record of a manifest or room key lies, so that nobody holds them all in memory.
//!
//! The index is worth nothing by itself: it is rebuilt from the journal whenever it is absent, was not closed in
//! order, is of another version, has one byte that is not what was written, or panics. sled's flush does not survive
//! a power cut and sled keeps deleted values (measured; `protocol/SPEC.md`, Storage), so its files are believed only
//! under a seal that names each of their bytes and the journal's last batch, whatever of all that a power cut left, and
//! hold nothing in clear: keys are keyed hashes, values are sealed. So nothing of it is ever synced.

use crate::{
    journal::{Position, segment::Link},
    latch::{Latch, WriteError},
    medium::{Name, delete_if_there},
};
use radmesh_protocol::{
    envelope::at_rest::AtRestKey,
    id::{Hash, ManifestId},
};
use rand_core::{TryCryptoRng, TryRng};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs::{File, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

/// Version of keys and values; another one means a rebuild.
const VERSION: u32 = 1;
const CONTEXT: &str = "radmesh/1 index";
/// Memory sled may take for pages: a node of 1 GB runs much else.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// A stop waits no longer for sled's threads; the next start would then rebuild the index.
const RELEASED_WITHIN: Duration = Duration::from_secs(5);

/// What can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum IndexKey {
    Manifest(ManifestId),
    Room(u16, Hash),
}

/// What the index says.
pub(crate) enum Found {
    At(Position),
    Absent,
    /// The index failed; ask the journal.
    Failed,
}

/// Why the index was built anew from the journal; nothing is lost by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilt {
    /// It was not closed in order, or never was there.
    NotSealed,
    /// It is of another version.
    OtherVersion,
    /// Its files are not what was sealed.
    Damaged,
    /// It is of another state of the journal.
    OtherJournal,
    /// sled refused it or panicked.
    Refused,
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Index {
    at_rest: AtRestKey,
    directory: Option<PathBuf>,
    backing: Mutex<Backing>,
}

#[derive(Debug)]
enum Backing {
    Sled(sled::Db),
    Memory(BTreeMap<[u8; 32], Vec<u8>>),
    Failed,
}

#[derive(Serialize, Deserialize)]
struct Seal {
    version: u32,
    link: Link,
    files: Hash,
}

impl Index {
    /// Opens the index as it was sealed, with the link it is good for, or empty with the reason. The seal is taken
    /// away either way: whatever happens from here on, only another closing makes these files believable.
    pub(crate) fn open(latch: &Latch, at_rest: &AtRestKey) -> Result<(Self, Result<Link, Rebuilt>), WriteError> {
        let directory = latch.medium().directory().map(|root| root.join("index"));
        let mut sealed = match (&directory, read_seal(latch)) {
            (None, _) | (_, None) => Err(Rebuilt::NotSealed),
            (_, Some(Err(_))) => Err(Rebuilt::OtherVersion),
            (_, Some(Ok(seal))) if seal.version != VERSION => Err(Rebuilt::OtherVersion),
            (Some(directory), Some(Ok(seal))) if digest(at_rest, directory).ok() != Some(seal.files) => {
                Err(Rebuilt::Damaged)
            }
            (_, Some(Ok(seal))) => Ok(seal.link),
        };
        latch.change(|medium| delete_if_there(medium, Name::IndexSeal))?;
        let index = Self { at_rest: at_rest.clone(), directory, backing: Mutex::new(Backing::Failed) };
        if sealed.is_ok() && !index.start() {
            sealed = Err(Rebuilt::Refused);
        }
        if sealed.is_err() {
            index.clear();
        }
        Ok((index, sealed))
    }

    /// Throws everything away and starts empty.
    pub(crate) fn clear(&self) {
        self.set(Backing::Failed);
        if let Some(directory) = &self.directory
            && let Err(error) = std::fs::remove_dir_all(directory)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the index can't be deleted; looking up goes through the journal");
            return;
        }
        if !self.start() {
            tracing::warn!("the index can't be made; looking up goes through the journal");
        }
    }

    fn start(&self) -> bool {
        let Some(directory) = &self.directory else {
            self.set(Backing::Memory(BTreeMap::new()));
            return true;
        };
        // sled 0.34 panics on some damaged files, and an index must not take a node down.
        let config = sled::Config::new().path(directory).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        let Ok(Ok(db)) = opened else { return false };
        self.set(Backing::Sled(db));
        true
    }

    pub(crate) fn put(&self, places: &mut dyn Iterator<Item = (IndexKey, Position)>) {
        let mut backing = self.backing.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, position) in places {
            let name = self.name(key);
            let value = self.seal(&name, position);
            let failed = match &mut *backing {
                Backing::Sled(db) => !matches!(catch_unwind(AssertUnwindSafe(|| db.insert(name, value))), Ok(Ok(_))),
                Backing::Memory(map) => {
                    map.insert(name, value);
                    false
                }
                Backing::Failed => false,
            };
            if failed {
                tracing::warn!("the index failed; looking up goes through the journal until the next start");
                *backing = Backing::Failed;
            }
        }
    }

    pub(crate) fn get(&self, key: IndexKey) -> Found {
        let name = self.name(key);
        let backing = self.backing.lock().unwrap_or_else(PoisonError::into_inner);
        let value = match &*backing {
            Backing::Sled(db) => match catch_unwind(AssertUnwindSafe(|| db.get(name))) {
                Ok(Ok(value)) => value.map(|value| value.to_vec()),
                _ => return Found::Failed,
            },
            Backing::Memory(map) => map.get(&name).cloned(),
            Backing::Failed => return Found::Failed,
        };
        value.map_or(Found::Absent, |value| self.unseal(&name, &value).map_or(Found::Failed, Found::At))
    }

    /// Closes the files and, if the disk never failed, seals them as good for the journal at `link`.
    pub(crate) fn close(&self, latch: &Latch, link: Link) {
        let Backing::Sled(db) = self.set(Backing::Failed) else { return };
        let flushed = catch_unwind(AssertUnwindSafe(|| db.flush().is_ok())).unwrap_or(false);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(db))).is_ok();
        let Some(directory) = self.directory.as_ref().filter(|_| flushed && dropped) else { return };
        wait_until_released(directory);
        let Ok(files) = digest(&self.at_rest, directory) else { return };
        let seal = postcard::to_stdvec(&Seal { version: VERSION, link, files }).expect("a seal is plain data");
        let written = latch.change(|medium| {
            delete_if_there(medium, Name::IndexSeal)?;
            medium.create(Name::IndexSeal)?;
            medium.write_at(Name::IndexSeal, 0, &seal)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "the index is not sealed and will be rebuilt");
        }
    }

    fn set(&self, backing: Backing) -> Backing {
        std::mem::replace(&mut *self.backing.lock().unwrap_or_else(PoisonError::into_inner), backing)
    }

    fn name(&self, key: IndexKey) -> [u8; 32] {
        let bytes = postcard::to_stdvec(&key).expect("a key is plain data");
        self.at_rest.keyed_hash(CONTEXT, &bytes).0
    }

    /// The name goes inside, so that one entry can't be put in the place of another.
    fn seal(&self, name: &[u8; 32], position: Position) -> Vec<u8> {
        let plain = postcard::to_stdvec(&(name, position)).expect("a position is plain data");
        // The nonce is a keyed hash of what is sealed: the same again only for the same value, and no OS randomness.
        let mut nonce = Stream(blake3::Hasher::new_keyed(&self.at_rest.keyed_hash(CONTEXT, &plain).0).finalize_xof());
        self.at_rest.seal(CONTEXT, &plain, &mut nonce)
    }

    fn unseal(&self, name: &[u8; 32], value: &[u8]) -> Option<Position> {
        let plain = self.at_rest.open(CONTEXT, value).ok()?;
        let (inside, position): ([u8; 32], Position) = postcard::from_bytes(&plain).ok()?;
        (inside == *name).then_some(position)
    }
}

/// Waits until sled's threads have let go of its files: the last of their tasks may outlive the database, and who opens
/// the index meanwhile is refused. Asked again and again, because std's lock of a file waits without a limit or not at
/// all.
fn wait_until_released(directory: &Path) {
    let Ok(file) = File::open(directory.join("db")) else { return };
    let begun = Instant::now();
    while matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && begun.elapsed() < RELEASED_WITHIN {
        sleep(Duration::from_millis(1));
    }
}

/// A BLAKE3 stream as the randomness that sealing takes.
struct Stream(blake3::OutputReader);

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(into);
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

fn read_seal(latch: &Latch) -> Option<Result<Seal, postcard::Error>> {
    let mut bytes = [0; 256];
    let read = latch.medium().read_at(Name::IndexSeal, 0, &mut bytes).ok()?;
    Some(postcard::from_bytes(&bytes[..read]))
}

/// Every file below `directory`, ascending.
fn files_below(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(directory)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() { files_below(&entry.path(), files)? } else { files.push(entry.path()) }
    }
    Ok(())
}

/// Keyed hash of names and bytes of all the index's files.
fn digest(at_rest: &AtRestKey, directory: &Path) -> io::Result<Hash> {
    let mut files = Vec::new();
    files_below(directory, &mut files)?;
    let mut hasher = blake3::Hasher::new();
    for path in files {
        let name = path.strip_prefix(directory).unwrap_or(&path).as_os_str().as_encoded_bytes();
        hasher.update(blake3::hash(name).as_bytes());
        let mut one = blake3::Hasher::new();
        io::copy(&mut File::open(&path)?, &mut one)?;
        hasher.update(one.finalize().as_bytes());
    }
    Ok(at_rest.keyed_hash("radmesh/1 index files", hasher.finalize().as_bytes()))
}
