//! Opened Instances: decoded while a Study arrives, so that its reader waits for nothing but her own eyes.
//!
//! The coder that saves a clinic's link an hour costs a reader minutes, unless a hub pays them before she asks. So what
//! was decoded, and had its hash, is kept: bounded in bytes, the least recently used first to go, and never custody; it
//! can be made again at any time. Each group lies in a scratch file under a random key of its own that is in this
//! process's memory and nowhere else: a stolen hub, or one that was restarted, holds nothing that opens.

use radmesh_protocol::{
    envelope::stream::{self, Sealer},
    id::Hash,
    limits::{CHUNK_BYTES, CHUNK_PLAIN_BYTES},
    parcel::contents::Group,
};
use radmesh_store::{Scratch, StagedId, Store, WriteError};
use rand_core::CryptoRng;
use std::{
    collections::HashMap,
    fmt,
    io::{self, Read, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use zeroize::Zeroizing;

/// What a group decodes to: the hashes of its Instances, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name(Hash);

impl Name {
    pub(crate) fn of(group: &Group) -> Self {
        let contents: Vec<u8> = group.instances.iter().flat_map(|entry| entry.content.0).collect();
        Self(Hash::of(&contents))
    }
}

/// What may go to make room for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// The least recently used.
    Made,
    /// Nothing: it is kept while there is room.
    Free,
}

/// How much is kept, for whoever looks after the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedStatus {
    /// Instances.
    pub instances: u64,
    /// Sealed bytes on the disk.
    pub bytes: u64,
    /// At most.
    pub bytes_max: u64,
    /// Groups that a reader had to wait for since the start, because they were not kept.
    pub waits: u64,
}

/// In words, for `radmesh status`.
impl fmt::Display for OpenedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [mb, mb_max] = [self.bytes, self.bytes_max].map(|bytes| bytes as f64 / 1e6);
        write!(f, "{} Instances, {mb:.1} MB of {mb_max:.0} MB", self.instances)
    }
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Opened {
    store: Arc<Store>,
    bytes_max: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    groups: HashMap<Name, Held>,
    /// Of the groups, and of those that are being written.
    bytes: u64,
    clock: u64,
    waits: u64,
}

#[derive(Debug)]
struct Held {
    sealed: Arc<Sealed>,
    instances: u64,
    used: u64,
}

/// The key of a group's file.
struct Key(Zeroizing<[u8; 32]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A file of this process, and its key, which goes with its last reader.
#[derive(Debug)]
struct Sealed {
    file: Scratch,
    key: Key,
}

impl Opened {
    /// Empty.
    pub(crate) fn new(store: Arc<Store>, bytes_max: u64) -> Self {
        Self { store, bytes_max, kept: Mutex::default() }
    }

    pub(crate) fn status(&self) -> OpenedStatus {
        let kept = self.kept();
        let instances = kept.groups.values().map(|held| held.instances).sum();
        OpenedStatus { instances, bytes: kept.bytes, bytes_max: self.bytes_max, waits: kept.waits }
    }

    pub(crate) fn holds(&self, name: Name) -> bool {
        self.kept().groups.contains_key(&name)
    }

    /// Counts that a reader waits for the decoder.
    pub(crate) fn waited(&self) {
        self.kept().waits += 1;
    }

    /// Begins to keep a group; `None` where there is no room for it.
    pub(crate) fn begin(&self, group: &Group, room: Room, rng: &mut impl CryptoRng) -> Option<Filling<'_>> {
        let plain = group.instances.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.bytes));
        let bytes = sealed_bytes(plain);
        let mut kept = self.kept();
        while kept.bytes.saturating_add(bytes) > self.bytes_max {
            if room == Room::Free || bytes > self.bytes_max || !kept.drop_least_used() {
                return None;
            }
        }
        kept.bytes += bytes;
        drop(kept);
        let reserved = Reserved { opened: self, bytes };
        let (mut id, mut key) = ([0; 16], Key(Zeroizing::new([0; 32])));
        rng.fill_bytes(&mut id);
        rng.fill_bytes(&mut *key.0);
        let file = self.store.scratch(StagedId(id)).ok()?;
        let (name, instances) = (Name::of(group), group.instances.len() as u64);
        let sealer = Sealer::new(&key.0);
        Some(Filling { reserved, name, instances, sealer, key, file, fault: None })
    }

    /// The bytes of a kept group, one Instance after the other.
    pub(crate) fn read(&self, name: Name) -> Option<OpenedReader> {
        let mut kept = self.kept();
        kept.clock += 1;
        let used = kept.clock;
        let held = kept.groups.get_mut(&name)?;
        held.used = used;
        let sealed = Arc::clone(&held.sealed);
        let (key, bytes) = (sealed.key.0.clone(), sealed.file.bytes());
        Some(stream::Reader::new(&key, SealedBytes { sealed, at: 0 }, bytes))
    }

    /// Drops a group that does not read back.
    pub(crate) fn forget(&self, name: Name) {
        self.kept().remove(name);
    }

    /// Gives space back while the disk has too little for what must be kept.
    pub(crate) fn make_way(&self) {
        while !self.store.has_room_for_scratch() && self.kept().drop_least_used() {}
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn drop_least_used(&mut self) -> bool {
        let least = self.groups.iter().min_by_key(|(_, held)| held.used).map(|(name, _)| *name);
        least.is_some_and(|name| self.remove(name))
    }

    fn remove(&mut self, name: Name) -> bool {
        let Some(held) = self.groups.remove(&name) else { return false };
        self.bytes -= held.sealed.file.bytes();
        true
    }
}

/// Bytes of a sealed stream (`protocol/SPEC.md`, Storage): each chunk has a tag, and there is always one.
fn sealed_bytes(plain: u64) -> u64 {
    let tag = u64::from(CHUNK_BYTES - CHUNK_PLAIN_BYTES);
    plain.saturating_add(plain.div_ceil(u64::from(CHUNK_PLAIN_BYTES)).max(1).saturating_mul(tag))
}

/// Bytes that are counted before they are written, and given back if they never are.
#[derive(Debug)]
struct Reserved<'o> {
    opened: &'o Opened,
    bytes: u64,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.opened.kept().bytes -= self.bytes;
    }
}

/// A group on its way into the cache. Dropped, it was never there.
#[derive(Debug)]
pub(crate) struct Filling<'o> {
    reserved: Reserved<'o>,
    name: Name,
    instances: u64,
    sealer: Sealer,
    key: Key,
    file: Scratch,
    fault: Option<WriteError>,
}

impl Filling<'_> {
    /// Keeps the group, once every Instance in it had its hash.
    pub(crate) fn finish(mut self) {
        let file = &mut self.file;
        let done = self.sealer.finish(&mut |chunk| file.append(chunk));
        // A disk that is full costs a reader the time to decode, and nobody a Study.
        if self.fault.is_some() || done.is_err() || self.file.bytes() != self.reserved.bytes {
            return;
        }
        let mut kept = self.reserved.opened.kept();
        kept.clock += 1;
        let (used, sealed) = (kept.clock, Arc::new(Sealed { file: self.file, key: self.key }));
        kept.remove(self.name);
        kept.groups.insert(self.name, Held { sealed, instances: self.instances, used });
        drop(kept);
        self.reserved.bytes = 0;
    }
}

impl Write for Filling<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = &mut self.file;
        if self.fault.is_none() {
            self.fault = self.sealer.push(bytes, &mut |chunk| file.append(chunk)).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a kept group; it stays readable when it is dropped from the cache meanwhile.
pub(crate) type OpenedReader = stream::Reader<SealedBytes>;

/// The sealed bytes of a kept group, from the first to the last.
#[derive(Debug)]
pub(crate) struct SealedBytes {
    sealed: Arc<Sealed>,
    at: u64,
}

impl Read for SealedBytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.sealed.file.read_at(self.at, into)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use radmesh_protocol::{
        envelope::at_rest::AtRestKey,
        parcel::contents::{InstanceEntry, ReceivedForm},
        phi::Phi,
    };
    use radmesh_store::{Medium, Memory, medium};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    /// Words that stand in every Instance of these tests.
    const PLANTED: &[u8] = b"Sentinel^Planted";
    const BYTES: usize = 100_000;

    fn instance(number: u8) -> Vec<u8> {
        PLANTED.iter().copied().chain(std::iter::repeat(number)).take(BYTES).collect()
    }

    /// A group of one Instance.
    fn group(number: u8) -> Group {
        let received = instance(number);
        let entry = InstanceEntry {
            sop_instance_uid: Phi::new(format!("1.2.{number}")),
            sop_class_uid: String::new(),
            transfer_syntax: String::new(),
            received: ReceivedForm::File,
            bytes: BYTES as u64,
            content: Hash::of(&received),
            flags: Vec::new(),
        };
        Group { series: Phi::new("1.2".into()), instances: vec![entry], part: 0, parts: 1, coded: Vec::new() }
    }

    fn opened(bytes_max: u64) -> (Opened, Arc<Memory>) {
        let memory = Arc::new(Memory::new());
        let (store, _) = Store::open(Arc::<Memory>::clone(&memory), &AtRestKey::from_bytes(&[9; 32])).unwrap();
        (Opened::new(Arc::new(store), bytes_max), memory)
    }

    fn keep(opened: &Opened, number: u8, room: Room) -> bool {
        let mut rng = ChaCha20Rng::seed_from_u64(number.into());
        let Some(mut filling) = opened.begin(&group(number), room, &mut rng) else { return false };
        instance(number).chunks(999).for_each(|piece| filling.write_all(piece).unwrap());
        filling.finish();
        true
    }

    fn read(opened: &Opened, number: u8) -> Option<io::Result<Vec<u8>>> {
        let mut reader = opened.read(Name::of(&group(number)))?;
        let mut bytes = Vec::new();
        Some(reader.read_to_end(&mut bytes).map(|_| bytes))
    }

    fn files(memory: &Memory) -> Vec<(medium::Name, Vec<u8>)> {
        let scratch = memory.files().into_iter().filter(|(name, _)| matches!(name, medium::Name::Staging(_)));
        scratch.collect()
    }

    #[test]
    fn no_more_than_its_bytes_are_kept_and_what_was_longest_unused_goes_first() {
        let one = sealed_bytes(BYTES as u64);
        let (opened, memory) = opened(2 * one + 10);
        (1..=2).for_each(|number| assert!(keep(&opened, number, Room::Made)));
        assert!(!keep(&opened, 3, Room::Free), "what is only made ahead pushes nothing out");
        read(&opened, 1).unwrap().unwrap();
        assert!(keep(&opened, 3, Room::Made));
        assert_eq!(read(&opened, 1).unwrap().unwrap(), instance(1));
        assert!(read(&opened, 2).is_none(), "it was not used since it came");
        assert_eq!(read(&opened, 3).unwrap().unwrap(), instance(3));
        let on_disk: usize = files(&memory).iter().map(|(_, bytes)| bytes.len()).sum();
        let status = OpenedStatus { instances: 2, bytes: 2 * one, bytes_max: 2 * one + 10, waits: 0 };
        assert_eq!((opened.status(), on_disk as u64), (status, 2 * one));
        assert_eq!(status.to_string(), "2 Instances, 0.2 MB of 0 MB");
    }

    #[test]
    fn a_group_that_is_larger_than_all_of_it_pushes_nothing_out() {
        let (opened, _) = opened(sealed_bytes(BYTES as u64));
        keep(&opened, 1, Room::Made);
        let mut large = group(2);
        large.instances[0].bytes += 1;
        assert!(opened.begin(&large, Room::Made, &mut ChaCha20Rng::seed_from_u64(1)).is_none());
        assert!(read(&opened, 1).is_some());
    }

    #[test]
    fn what_was_not_finished_or_is_not_as_long_as_it_was_declared_was_never_there() {
        let (opened, memory) = opened(u64::MAX);
        let begin = || opened.begin(&group(1), Room::Made, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        begin().write_all(&instance(1)).unwrap();
        let mut short = begin();
        short.write_all(&instance(1)[1..]).unwrap();
        short.finish();
        assert!(read(&opened, 1).is_none());
        assert_eq!((opened.status().bytes, files(&memory).len()), (0, 0));
    }

    #[test]
    fn the_disk_holds_nothing_that_opens_and_a_start_leaves_nothing_of_it() {
        let (opened, memory) = opened(u64::MAX);
        (1..=2).for_each(|number| assert!(keep(&opened, number, Room::Made)));
        let [(first, one), (_, two)] = &files(&memory)[..] else { panic!("two files") };
        for bytes in [one, two] {
            assert!(bytes.windows(PLANTED.len()).all(|window| window != PLANTED));
            let longest_run = bytes.chunk_by(|a, b| a == b).map(<[u8]>::len).max();
            assert!(longest_run < Some(8), "100,000 equal bytes leave no pattern");
        }
        // Another key, even of a group of the same cache, opens none of it.
        memory.write_at(*first, 0, two).unwrap();
        let read = [read(&opened, 1).unwrap(), read(&opened, 2).unwrap()];
        assert_eq!(read.iter().filter(|read| read.is_err()).count(), 1);

        let at_rest = AtRestKey::from_bytes(&[9; 32]);
        let left = Arc::new(Memory::clone(&memory));
        let _ = Store::open(Arc::<Memory>::clone(&left), &at_rest).unwrap();
        assert_eq!(left.list(medium::Dir::Staging).unwrap(), []);
    }
}
