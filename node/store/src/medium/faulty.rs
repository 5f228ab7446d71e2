//! A disk that fails: it loses what was not synced, tears writes, fills up, and refuses to sync.
//!
//! A district sees a dozen power cuts a day on cards that lie; what the store promises is checked here, on the code
//! that ships. Deterministic: the same operations, faults and random numbers give the same bytes. The model is that
//! of RELIABILITY, L2: un-synced writes survive sector by sector in any subset, un-synced names survive as a prefix
//! for each directory (a journaling file system keeps their order), and a failed sync loses its bytes for ever while
//! later syncs succeed, as Linux does.

use super::{
    Dir, Medium, Memory, Name, Space,
    memory::{get, put},
};
use rand_core::Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A change that was asked of the disk and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// [`Medium::create`].
    Create(Name),
    /// [`Medium::reserve`].
    Reserve(Name, u64),
    /// [`Medium::write_at`].
    Write {
        /// The file.
        name: Name,
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// [`Medium::sync`].
    Sync(Name),
    /// [`Medium::sync_dir`].
    SyncDir(Dir),
    /// [`Medium::rename`].
    Rename(Name, Name),
    /// [`Medium::delete`].
    Delete(Name),
}

/// A fault to come; numbers count from the injection, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th operation that may take space, and every later one, finds the disk full until [`Faulty::heal`].
    FullFrom(u64),
    /// The n-th sync of a file or directory fails, once.
    SyncFails(u64),
    /// The n-th write fails, once.
    WriteFails(u64),
}

/// What a power cut leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survives {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// Each sector of this many bytes by chance, as well as each change of length.
    Sectors(u64),
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Faulty {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tree: Tree,
    log: Option<Vec<Operation>>,
    fault: Option<Fault>,
    capacity_bytes: Option<u64>,
    happened: u64,
}

/// A file system that remembers what is durable.
#[derive(Debug, Clone, Default)]
struct Tree {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<Name, u64>,
    durable_names: BTreeMap<Name, u64>,
    moves: BTreeMap<Dir, Vec<Move>>,
    next: u64,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Length(u64),
    Write(u64, Vec<u8>),
}

#[derive(Debug, Clone, Copy)]
enum Move {
    Bind(Name, u64),
    Unbind(Name),
    Rename(Name, Name),
}

impl Faulty {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that holds `files`, all of them durable.
    #[must_use]
    pub fn holding(files: BTreeMap<Name, Vec<u8>>) -> Self {
        Self { state: Mutex::new(State { tree: Tree::durable(files), ..State::default() }) }
    }

    /// A disk that holds `files`, all of them durable, and keeps every operation for [`Faulty::operations`].
    #[must_use]
    pub fn recording(files: BTreeMap<Name, Vec<u8>>) -> Self {
        let state = State { tree: Tree::durable(files), log: Some(Vec::new()), ..State::default() };
        Self { state: Mutex::new(state) }
    }

    /// Every operation done so far, if this disk records.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.lock().log.clone().unwrap_or_default()
    }

    /// What a power cut leaves on a disk that held `files` and did the operations `done`.
    ///
    /// # Errors
    /// An operation that can't have been done, as a write to a file that was never made.
    pub fn after(
        files: BTreeMap<Name, Vec<u8>>,
        done: &[Operation],
        survives: Survives,
        rng: &mut impl Rng,
    ) -> io::Result<Memory> {
        let mut tree = Tree::durable(files);
        done.iter().try_for_each(|operation| tree.apply(operation))?;
        Ok(Memory::holding(tree.cut(survives, rng)))
    }

    /// The power fails: what was not synced survives in sectors of 512 or 4096 bytes, by chance. A store that is
    /// still open on this disk must be dropped, not used.
    pub fn crash(&self, rng: &mut impl Rng) {
        let sector = if rng.next_u32().is_multiple_of(2) { 512 } else { 4096 };
        self.cut(Survives::Sectors(sector), rng);
    }

    /// [`Faulty::crash`] with a choice of what survives.
    pub fn cut(&self, survives: Survives, rng: &mut impl Rng) {
        let mut state = self.lock();
        let files = state.tree.cut(survives, rng);
        state.tree = Tree::durable(files);
        state.fault = None;
        if let Some(log) = &mut state.log {
            log.clear();
        }
    }

    /// Sets the one fault to come, replacing an earlier one.
    pub fn inject(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// Makes the disk this large in all: it is full when the bytes of its files reach that.
    pub fn limit(&self, capacity_bytes: u64) {
        self.lock().capacity_bytes = Some(capacity_bytes);
    }

    /// Takes the fault away.
    pub fn heal(&self) {
        self.lock().fault = None;
    }

    /// Operations refused by a fault so far: a test asserts that its fault really happened.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.lock().happened
    }

    /// Turns over one bit, as a dying card does. Nothing happens past the end of the file.
    pub fn flip(&self, name: Name, offset: u64, bit: u8) {
        let mut state = self.lock();
        let Some(inode) = state.tree.names.get(&name).copied().and_then(|inode| state.tree.inodes.get_mut(&inode))
        else {
            return;
        };
        for bytes in [&mut inode.live, &mut inode.durable] {
            if let Some(byte) = bytes.get_mut(offset as usize) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Every file as a running process sees it.
    #[must_use]
    pub fn files(&self) -> BTreeMap<Name, Vec<u8>> {
        let state = self.lock();
        state.tree.names.iter().map(|(name, inode)| (*name, state.tree.inodes[inode].live.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn perform(&self, operation: Operation) -> io::Result<()> {
        let mut state = self.lock();
        if let Some(error) = state.strike(&operation) {
            state.happened += 1;
            if let Operation::Sync(name) = operation {
                state.tree.forget(name);
            }
            return Err(error);
        }
        if state
            .capacity_bytes
            .is_some_and(|capacity| state.tree.live_bytes() + state.tree.growth(&operation) > capacity)
        {
            state.happened += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.tree.apply(&operation)?;
        if let Some(log) = &mut state.log {
            log.push(operation);
        }
        Ok(())
    }

    fn read<T>(&self, name: Name, read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        let state = self.lock();
        let inode = state.tree.names.get(&name).ok_or(io::ErrorKind::NotFound)?;
        Ok(read(&state.tree.inodes[inode].live))
    }
}

impl State {
    /// Whether the fault to come is for this operation.
    fn strike(&mut self, operation: &Operation) -> Option<io::Error> {
        use Operation::{Create, Reserve, Sync, SyncDir, Write};
        let left = match (&mut self.fault, operation) {
            (Some(Fault::FullFrom(left)), Create(_) | Reserve(..) | Write { .. }) => left,
            (Some(Fault::SyncFails(left)), Sync(_) | SyncDir(_)) => left,
            (Some(Fault::WriteFails(left)), Write { .. }) => left,
            _ => return None,
        };
        if *left > 1 {
            *left -= 1;
            return None;
        }
        if matches!(self.fault, Some(Fault::FullFrom(_))) {
            return Some(io::ErrorKind::StorageFull.into());
        }
        self.fault = None;
        Some(io::Error::other("injected: the disk fails"))
    }
}

impl Tree {
    /// A tree in which all of this is durable.
    fn durable(files: BTreeMap<Name, Vec<u8>>) -> Self {
        let mut tree = Self::default();
        for (name, bytes) in files {
            tree.inodes.insert(tree.next, Inode { live: bytes.clone(), durable: bytes, pending: Vec::new() });
            tree.names.insert(name, tree.next);
            tree.next += 1;
        }
        tree.durable_names = tree.names.clone();
        tree
    }

    fn apply(&mut self, operation: &Operation) -> io::Result<()> {
        match operation {
            Operation::Create(name) => {
                if self.names.contains_key(name) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                self.inodes.insert(self.next, Inode::default());
                self.names.insert(*name, self.next);
                self.moves.entry(name.dir()).or_default().push(Move::Bind(*name, self.next));
                self.next += 1;
            }
            Operation::Reserve(name, bytes) => self.inode(*name)?.change(Change::Length(*bytes)),
            Operation::Write { name, offset, bytes } => {
                self.inode(*name)?.change(Change::Write(*offset, bytes.clone()));
            }
            Operation::Sync(name) => self.inode(*name)?.sync(),
            Operation::SyncDir(dir) => {
                let moves = self.moves.remove(dir).unwrap_or_default();
                moves.iter().for_each(|moved| moved.apply(&mut self.durable_names));
                // A new name alone leaves nothing behind.
                if moves.iter().any(|moved| !matches!(moved, Move::Bind(..))) {
                    self.release();
                }
            }
            Operation::Rename(from, to) => {
                self.inode(*from)?;
                Move::Rename(*from, *to).apply(&mut self.names);
                self.moves.entry(from.dir()).or_default().push(Move::Rename(*from, *to));
            }
            Operation::Delete(name) => {
                self.inode(*name)?;
                Move::Unbind(*name).apply(&mut self.names);
                self.moves.entry(name.dir()).or_default().push(Move::Unbind(*name));
            }
        }
        Ok(())
    }

    /// Bytes of all files that have a name.
    fn live_bytes(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[inode].live.len() as u64).sum()
    }

    /// Bytes by which an operation makes its file longer.
    fn growth(&self, operation: &Operation) -> u64 {
        let (name, end) = match operation {
            Operation::Reserve(name, bytes) => (name, *bytes),
            Operation::Write { name, offset, bytes } => (name, offset + bytes.len() as u64),
            _ => return 0,
        };
        let there = self.names.get(name).map_or(0, |inode| self.inodes[inode].live.len() as u64);
        end.saturating_sub(there)
    }

    fn inode(&mut self, name: Name) -> io::Result<&mut Inode> {
        let inode = self.names.get(&name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.inodes.get_mut(inode).expect("a name is bound to an inode"))
    }

    /// Drops the bytes of files that no name, durable or not, can lead to any more.
    fn release(&mut self) {
        let pending = self.moves.values().flatten().filter_map(|moved| match moved {
            Move::Bind(_, inode) => Some(inode),
            Move::Unbind(_) | Move::Rename(..) => None,
        });
        let used: BTreeSet<u64> =
            self.names.values().chain(self.durable_names.values()).chain(pending).copied().collect();
        self.inodes.retain(|inode, _| used.contains(inode));
    }

    /// After a failed sync the kernel holds the pages for clean: they are seen, and never written.
    fn forget(&mut self, name: Name) {
        if let Ok(inode) = self.inode(name) {
            inode.pending.clear();
        }
    }

    /// What is there when the power comes back.
    fn cut(&self, survives: Survives, rng: &mut impl Rng) -> BTreeMap<Name, Vec<u8>> {
        let mut names = self.durable_names.clone();
        for moves in self.moves.values() {
            let kept = match survives {
                Survives::Nothing => 0,
                Survives::Everything => moves.len(),
                Survives::Sectors(_) => rng.next_u32() as usize % (moves.len() + 1),
            };
            moves[..kept].iter().for_each(|moved| moved.apply(&mut names));
        }
        names.into_iter().map(|(name, inode)| (name, self.inodes[&inode].cut(survives, rng))).collect()
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    fn cut(&self, survives: Survives, rng: &mut impl Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match (survives, change) {
                (Survives::Nothing, _) => {}
                (Survives::Everything, change) => change.apply(&mut bytes),
                (Survives::Sectors(_), change @ Change::Length(_)) => {
                    if rng.next_u32().is_multiple_of(2) {
                        change.apply(&mut bytes);
                    }
                }
                (Survives::Sectors(sector), Change::Write(offset, written)) => {
                    let mut from = *offset;
                    let end = offset + written.len() as u64;
                    while from < end {
                        let to = ((from / sector + 1) * sector).min(end);
                        if rng.next_u32().is_multiple_of(2) {
                            put(&mut bytes, from, &written[(from - offset) as usize..(to - offset) as usize]);
                        }
                        from = to;
                    }
                }
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(bytes.len().max(*length as usize), 0),
            Self::Write(offset, written) => put(bytes, *offset, written),
        }
    }
}

impl Move {
    fn apply(self, names: &mut BTreeMap<Name, u64>) {
        match self {
            Self::Bind(name, inode) => {
                names.insert(name, inode);
            }
            Self::Unbind(name) => {
                names.remove(&name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
        }
    }
}

impl Medium for Faulty {
    fn create(&self, name: Name) -> io::Result<()> {
        self.perform(Operation::Create(name))
    }

    fn reserve(&self, name: Name, bytes: u64) -> io::Result<()> {
        self.perform(Operation::Reserve(name, bytes))
    }

    fn write_at(&self, name: Name, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.perform(Operation::Write { name, offset, bytes: bytes.to_vec() })
    }

    fn read_at(&self, name: Name, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.read(name, |file| get(file, offset, into))
    }

    fn bytes(&self, name: Name) -> io::Result<u64> {
        self.read(name, |file| file.len() as u64)
    }

    fn sync(&self, name: Name) -> io::Result<()> {
        self.perform(Operation::Sync(name))
    }

    fn sync_dir(&self, dir: Dir) -> io::Result<()> {
        self.perform(Operation::SyncDir(dir))
    }

    fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        self.perform(Operation::Rename(from, to))
    }

    fn delete(&self, name: Name) -> io::Result<()> {
        self.perform(Operation::Delete(name))
    }

    fn list(&self, dir: Dir) -> io::Result<Vec<Name>> {
        Ok(self.lock().tree.names.keys().copied().filter(|name| name.dir() == dir).collect())
    }

    fn free(&self) -> io::Result<Option<Space>> {
        let state = self.lock();
        Ok(state.capacity_bytes.map(|total_bytes| {
            let free_bytes = total_bytes.saturating_sub(state.tree.live_bytes());
            Space { free_bytes, total_bytes }
        }))
    }
}
