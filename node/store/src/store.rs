//! One node's store: opening it, rooms' records, parcel and staged files, and looking things up.
//!
//! Opening reads the whole journal once: what it finds is what every promise of this node rests on. Parcels and
//! staged files are not read then, so a node of 10,000 Studies starts in seconds. Everything here may be called from
//! the storage thread and from the rooms' threads at once; their commits are shared.

use crate::{
    blobs::{self, Draft},
    index::{Found, Index, IndexKey, Rebuilt},
    journal::{
        Journal, Ticket,
        opening::{self, OpenError},
        segment::JournalKey,
    },
    latch::{Latch, WriteError},
    medium::{Dir, Medium, Name, StagedId, delete_if_there},
    replay::Replay,
    scratch::{self, Scratch},
    staging::{StageWriter, StagedReader},
};
use radmesh_protocol::{
    envelope::at_rest::AtRestKey,
    id::{Hash, ManifestId},
    parcel::manifest::Manifest,
    record::{Importance, Record, Seq},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex},
};

/// How a store is laid out; what simulations and tests make smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of one journal segment, taken when it is made. A segment made for a larger record is larger.
    pub segment_bytes: u64,
    /// Bytes of the disk, at most an eighth of it, that bulk data leaves to reports, claims and the journal.
    pub reserve_bytes: u64,
}

impl Default for Settings {
    /// Segments of 4 MiB: a year of a district's events is about 30, and opening holds one in memory.
    fn default() -> Self {
        Self { segment_bytes: 4 * 1024 * 1024, reserve_bytes: 64 * 1024 * 1024 }
    }
}

/// What was found at opening, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Records in the journal.
    pub records: u64,
    /// Segments of the journal.
    pub segments: u64,
    /// Bytes of a batch that a power cut left in part; nobody was told of it, and it was cut off.
    pub cut_bytes: u64,
    /// Why the index was built anew, if it was.
    pub rebuilt: Option<Rebuilt>,
    /// Files that were never finished, or whose deletion a power cut interrupted.
    pub swept: usize,
}

/// See the module's page.
#[derive(Debug)]
pub struct Store {
    pub(crate) latch: Arc<Latch>,
    pub(crate) journal: Journal,
    index: Index,
    pub(crate) persisting: Mutex<Persisting>,
    opened: Opened,
}

/// The core's records on their way to the disk.
#[derive(Debug, Default)]
pub(crate) struct Persisting {
    /// The last one, until it was reported.
    pub(crate) last: Option<(Ticket, Seq)>,
    /// Records for which the journal had no space; they are appended first when there is some.
    pub(crate) waiting: VecDeque<(Seq, Record)>,
}

/// What the journal last says of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Here,
    Freed,
}

impl Store {
    /// Opens or makes a store. The replay yields every record, oldest first; read it before anything is appended to
    /// answer anyone, or later: it ends where the journal ended now.
    ///
    /// # Errors
    /// [`OpenError`] says what is damaged and where. A torn end is not an error.
    pub fn open(medium: Arc<dyn Medium>, at_rest: &AtRestKey) -> Result<(Self, Replay), OpenError> {
        Self::open_with(medium, at_rest, Settings::default())
    }

    /// [`Store::open`] with another layout.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(
        medium: Arc<dyn Medium>,
        at_rest: &AtRestKey,
        settings: Settings,
    ) -> Result<(Self, Replay), OpenError> {
        let latch = Arc::new(Latch::new(medium, settings.reserve_bytes));
        let (index, sealed) = Index::open(&latch, at_rest)?;
        let key = JournalKey(at_rest.keyed_hash("radmesh/1 journal", b"").0);
        let mut kept = BTreeMap::new();
        let mut sweepable = true;
        let found = opening::open(&latch, key, settings.segment_bytes, &mut |position, record| {
            match record {
                Record::Freed { manifest } => {
                    kept.insert(*manifest, Kept::Freed);
                }
                Record::Manifest(bytes) => match Manifest::parse(bytes) {
                    Ok(manifest) => {
                        kept.insert(manifest.id(), Kept::Here);
                    }
                    // A later version's manifest: which file is its own can't be told, so no file is an orphan.
                    Err(_) => sweepable = false,
                },
                Record::Have { manifest, .. } => {
                    kept.insert(*manifest, Kept::Here);
                }
                _ => {}
            }
            if sealed.is_err() {
                index.put(&mut named(record).map(|key| (key, position)).into_iter());
            }
        })?;
        let journal = found.journal;
        let rebuilt = match sealed {
            Ok(link) if link == journal.link() => None,
            Ok(_) => {
                index.clear();
                let mut replay = Replay::new(Arc::clone(&latch), journal.key().clone(), journal.extent());
                while let Some(next) = replay.next_placed() {
                    let (position, record) = next?;
                    index.put(&mut named(&record).map(|key| (key, position)).into_iter());
                }
                Some(Rebuilt::OtherJournal)
            }
            Err(reason) => Some(reason),
        };
        let extent = journal.extent();
        let swept = sweep(&latch, &kept, sweepable)?;
        let opened =
            Opened { records: found.records, segments: extent.segment, cut_bytes: found.cut_bytes, rebuilt, swept };
        let replay = Replay::new(Arc::clone(&latch), journal.key().clone(), extent);
        Ok((Self { latch, journal, index, persisting: Mutex::default(), opened }, replay))
    }

    /// What was found at opening.
    #[must_use]
    pub const fn opened(&self) -> Opened {
        self.opened
    }

    /// Whether a write or sync ever failed: nothing is written any more.
    #[must_use]
    pub fn faulted(&self) -> bool {
        self.latch.faulted()
    }

    /// Keeps a room's record, sealed by the room; it is on disk when this returns. An empty `sealed` says that the
    /// thing is gone.
    ///
    /// # Errors
    /// [`WriteError::Full`]: not acknowledged, though it may still be found after a restart. Other errors likewise.
    pub fn append_room(&self, room: u16, key: Hash, sealed: Vec<u8>) -> Result<(), WriteError> {
        self.append_rooms([(room, key, sealed)])
    }

    /// [`Store::append_room`] of several, with one sync.
    ///
    /// # Errors
    /// As [`Store::append_room`]; some of them may be found after a restart.
    pub fn append_rooms(&self, records: impl IntoIterator<Item = (u16, Hash, Vec<u8>)>) -> Result<(), WriteError> {
        let mut last = None;
        for (room, key, sealed) in records {
            last = Some(self.append(&Record::Room { room, key, sealed })?);
        }
        last.map_or(Ok(()), |ticket| self.commit_through(ticket))
    }

    /// The latest record of a room under a key, as the room sealed it; `None` if there is none or the thing is gone.
    ///
    /// # Errors
    /// [`OpenError`] if the journal can't be read back.
    pub fn room(&self, room: u16, key: Hash) -> Result<Option<Vec<u8>>, OpenError> {
        let found = self.latest(IndexKey::Room(room, key))?;
        Ok(found.and_then(|record| if let Record::Room { sealed, .. } = record { Some(sealed) } else { None }))
            .map(|sealed| sealed.filter(|sealed| !sealed.is_empty()))
    }

    /// A journaled manifest as it travels.
    ///
    /// # Errors
    /// [`OpenError`] if the journal can't be read back.
    pub fn manifest(&self, manifest: ManifestId) -> Result<Option<Vec<u8>>, OpenError> {
        let found = self.latest(IndexKey::Manifest(manifest))?;
        Ok(found.and_then(|record| if let Record::Manifest(bytes) = record { Some(bytes) } else { None }))
    }

    /// Begins a parcel that is sealed here, under any 16 bytes never used before, such as the parcel id.
    ///
    /// # Errors
    /// [`WriteError::Misplaced`] if there is a draft of that name.
    pub fn draft(&self, id: [u8; 16]) -> Result<Draft, WriteError> {
        Draft::begin(Arc::clone(&self.latch), id)
    }

    /// Every parcel file with its bytes, whatever of it counts.
    ///
    /// # Errors
    /// A failing disk.
    pub fn parcels(&self) -> io::Result<Vec<(ManifestId, u64)>> {
        let medium = self.latch.medium();
        let names = medium.list(Dir::Parcels)?.into_iter();
        let parcels = names.filter_map(|name| if let Name::Parcel(id) = name { Some(id) } else { None });
        parcels.map(|id| Ok((id, medium.bytes(Name::Parcel(id))?))).collect()
    }

    /// One chunk of a parcel's file, the last one shorter; `None` if it can't be read. The caller compares its hash.
    #[must_use]
    pub fn chunk(&self, manifest: ManifestId, chunk: u32) -> Option<Vec<u8>> {
        blobs::read_chunk(&self.latch, manifest, chunk)
    }

    /// Begins a staged file, which may fill the disk as far as its importance allows.
    ///
    /// # Errors
    /// [`WriteError::Misplaced`] if there is one of that name.
    pub fn stage(&self, id: StagedId, importance: Importance) -> Result<StageWriter, WriteError> {
        StageWriter::begin(Arc::clone(&self.latch), id, importance)
    }

    /// Begins a scratch file, under any 16 bytes that no staged file has.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is lost.
    pub fn scratch(&self, id: StagedId) -> Result<Scratch, WriteError> {
        Scratch::begin(Arc::clone(&self.latch), id)
    }

    /// Whether the disk has room for scratch files; where it has none, some should go. One that failed takes no writes.
    #[must_use]
    pub fn has_room_for_scratch(&self) -> bool {
        scratch::has_room(&self.latch, 0).unwrap_or(true)
    }

    /// Opens a finished staged file.
    ///
    /// # Errors
    /// `NotFound`, or a failing disk.
    pub fn open_staged(&self, id: StagedId) -> io::Result<StagedReader> {
        StagedReader::open(Arc::clone(&self.latch), id)
    }

    /// Deletes a staged file; none there is no error. A power cut may bring it back until [`Store::staged`] is
    /// compared with the room's records at the next start.
    ///
    /// # Errors
    /// [`WriteError::Faulted`].
    pub fn remove_staged(&self, id: StagedId) -> Result<(), WriteError> {
        self.latch.change(|medium| delete_if_there(medium, Name::Staged(id)))
    }

    /// Every finished staged file with its bytes.
    ///
    /// # Errors
    /// A failing disk.
    pub fn staged(&self) -> io::Result<Vec<(StagedId, u64)>> {
        let medium = self.latch.medium();
        let names = medium.list(Dir::Staging)?.into_iter();
        let staged = names.filter_map(|name| if let Name::Staged(id) = name { Some(id) } else { None });
        staged.map(|id| Ok((id, medium.bytes(Name::Staged(id))?))).collect()
    }

    pub(crate) fn append(&self, record: &Record) -> Result<Ticket, WriteError> {
        self.journal.append(record, named(record), &|places| self.index.put(places))
    }

    pub(crate) fn commit_through(&self, ticket: Ticket) -> Result<(), WriteError> {
        self.journal.commit(ticket, &|places| self.index.put(places))
    }

    /// The journal as it is now, for reading.
    pub(crate) fn replay(&self) -> Replay {
        Replay::new(Arc::clone(&self.latch), self.journal.key().clone(), self.journal.extent())
    }

    /// The latest durable record of a key: by the index, and by the journal where the index fails.
    fn latest(&self, key: IndexKey) -> Result<Option<Record>, OpenError> {
        match self.index.get(key) {
            Found::Absent => return Ok(None),
            Found::At(position) => {
                if let Some(record) = self.journal.read(position).filter(|record| named(record) == Some(key)) {
                    return Ok(Some(record));
                }
            }
            Found::Failed => {}
        }
        let mut latest = None;
        for record in self.replay() {
            latest = Some(record?).filter(|record| named(record) == Some(key)).or(latest);
        }
        Ok(latest)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.index.close(&self.latch, self.journal.link());
    }
}

/// Under what a record can be looked up.
fn named(record: &Record) -> Option<IndexKey> {
    match record {
        Record::Manifest(bytes) => Manifest::parse(bytes).ok().map(|manifest| IndexKey::Manifest(manifest.id())),
        Record::Room { room, key, .. } => Some(IndexKey::Room(*room, *key)),
        _ => None,
    }
}

/// Deletes files that were never finished or adopted, and those whose `Freed` is journaled. Not synced: one that a
/// power cut brings back is deleted the next time.
fn sweep(latch: &Latch, kept: &BTreeMap<ManifestId, Kept>, sweepable: bool) -> Result<usize, OpenError> {
    let mut swept = 0;
    for dir in [Dir::Parcels, Dir::Staging] {
        for name in latch.medium().list(dir)? {
            let orphan = match name {
                Name::Draft(_) | Name::Staging(_) => true,
                Name::Parcel(id) => kept.get(&id).map_or(sweepable, |kept| *kept == Kept::Freed),
                _ => false,
            };
            if orphan {
                latch.change(|medium| delete_if_there(medium, name))?;
                swept += 1;
            }
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    #[test]
    fn an_index_that_points_at_anothers_record_gives_nobody_anothers() {
        let (store, _) = Store::open(Arc::new(Memory::new()), &AtRestKey::from_bytes(&[9; 32])).unwrap();
        let (hers, his) = (Hash([1; 32]), Hash([2; 32]));
        store.append_room(1, hers, b"hers".to_vec()).unwrap();
        store.append_room(1, his, b"his".to_vec()).unwrap();
        let Found::At(elsewhere) = store.index.get(IndexKey::Room(1, his)) else { panic!("it was just put there") };
        store.index.put(&mut std::iter::once((IndexKey::Room(1, hers), elsewhere)));
        assert_eq!(store.room(1, hers).unwrap().unwrap(), b"hers");
    }
}
