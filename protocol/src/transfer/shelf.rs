//! Shelf: every parcel this node knows, and which of its bytes are here, on disk, and right.
//!
//! Three sets a parcel, each inside the one before: *here* (written), *have* (durable and journaled) and *good*
//! (whole chunks whose hash was read back and is the manifest's). Only good chunks are sent on, only durable ones
//! survive a power cut, and a chunk that turns out wrong leaves all three. Source: `protocol/SPEC.md`, Messages.

use crate::{
    id::{Hash, ManifestId},
    limits::{CHUNK_BYTES, PAGE_CHUNKS},
    parcel::{
        chunk::{Page, page_hash},
        manifest::Manifest,
    },
    ranges::Ranges,
};
use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
};

/// Every parcel known.
#[derive(Debug, Default)]
pub struct Shelf {
    parcels: BTreeMap<ManifestId, Parcel>,
    orders: u64,
}

/// One parcel.
#[derive(Debug)]
pub struct Parcel {
    manifest: Manifest,
    order: u64,
    here: Ranges,
    have: Ranges,
    good: Ranges,
    pages: Vec<Option<Page>>,
    progress: Progress,
}

/// How far a parcel has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Bytes are missing, or not yet on disk.
    Partial,
    /// All are on disk; the file is still to be read back.
    Unread,
    /// The whole file was read back and is what the manifest says.
    Complete,
}

/// A page that is not the one its manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("page {page} does not have the hash that the manifest gives it")]
pub struct WrongPage {
    /// Page number.
    pub page: u32,
}

/// What a check of a whole file found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Chunks whose bytes are not what they were.
    pub damaged: Vec<u32>,
    /// Pages that became known by it.
    pub learned: Vec<u32>,
}

impl Shelf {
    /// Puts a parcel there of which nothing is here yet. One that is there stays as it is.
    pub fn add(&mut self, manifest: Manifest) -> &mut Parcel {
        let pages = manifest.page_hashes().len();
        self.orders += 1;
        let order = self.orders;
        self.parcels.entry(manifest.id()).or_insert_with(|| Parcel {
            manifest,
            order,
            here: Ranges::new(),
            have: Ranges::new(),
            good: Ranges::new(),
            pages: vec![None; pages],
            progress: Progress::Partial,
        })
    }

    /// A parcel.
    #[must_use]
    pub fn get(&self, manifest: &ManifestId) -> Option<&Parcel> {
        self.parcels.get(manifest)
    }

    /// A parcel, to change.
    pub fn get_mut(&mut self, manifest: &ManifestId) -> Option<&mut Parcel> {
        self.parcels.get_mut(manifest)
    }

    /// Forgets a parcel whose file was freed.
    pub fn remove(&mut self, manifest: &ManifestId) {
        self.parcels.remove(manifest);
    }

    /// Parcels on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parcels.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// The next parcel of which anything is here, going round by id.
    #[must_use]
    pub fn after(&self, manifest: &ManifestId) -> Option<ManifestId> {
        let behind = self.parcels.range((Bound::Excluded(*manifest), Bound::Unbounded));
        let round = behind.chain(self.parcels.range(..=*manifest));
        round.into_iter().find(|(_, parcel)| !parcel.good().is_empty()).map(|(id, _)| *id)
    }

    /// Every parcel, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&ManifestId, &Parcel)> {
        self.parcels.iter()
    }
}

impl Parcel {
    /// Its manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// When it came here, among the others.
    #[must_use]
    pub const fn order(&self) -> u64 {
        self.order
    }

    /// Sealed bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.manifest.core().sealed_bytes
    }

    /// How far it has come.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// What is durable.
    #[must_use]
    pub const fn have(&self) -> &Ranges {
        &self.have
    }

    /// What is written, durable or not.
    #[must_use]
    pub const fn here(&self) -> &Ranges {
        &self.here
    }

    /// What was read back and is right.
    #[must_use]
    pub const fn good(&self) -> &Ranges {
        &self.good
    }

    /// What is still to be fetched.
    #[must_use]
    pub fn missing(&self) -> Ranges {
        self.here.missing(0..self.bytes())
    }

    /// Bytes of a chunk in the file.
    #[must_use]
    pub fn chunk_range(&self, chunk: u32) -> Range<u64> {
        let from = u64::from(chunk) * u64::from(CHUNK_BYTES);
        from..(from + u64::from(CHUNK_BYTES)).min(self.bytes())
    }

    /// A page, once it is known.
    #[must_use]
    pub fn page(&self, page: u32) -> Option<&Page> {
        self.pages.get(page as usize)?.as_ref()
    }

    /// Pages known, one bit each.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.pages.iter().enumerate().filter(|(_, page)| page.is_some()).fold(0, |bits, (at, _)| bits | 1 << at)
    }

    /// Whether every page is known.
    #[must_use]
    pub fn knows_all_pages(&self) -> bool {
        self.pages.iter().all(Option::is_some)
    }

    /// The hash a chunk must have, once its page is known.
    #[must_use]
    pub fn chunk_hash(&self, chunk: u32) -> Option<Hash> {
        self.page(chunk / PAGE_CHUNKS)?.hashes().get((chunk % PAGE_CHUNKS) as usize).copied()
    }

    /// Takes in a page.
    ///
    /// # Errors
    /// [`WrongPage`] if it is not the one the manifest names.
    pub fn learn_page(&mut self, page: u32, hashes: Page) -> Result<(), WrongPage> {
        let expected = self.manifest.page_hashes().get(page as usize).ok_or(WrongPage { page })?;
        if hashes.hash() != *expected || hashes.hashes().len() != self.page_chunks(page).len() {
            return Err(WrongPage { page });
        }
        self.pages[page as usize] = Some(hashes);
        Ok(())
    }

    /// Whether bytes at an offset leave no gap in their chunk: of any chunk its beginning is here, and so what is here
    /// is one range a chunk at most, whoever sends it.
    #[must_use]
    pub fn goes_on_at(&self, offset: u64) -> bool {
        offset.is_multiple_of(u64::from(CHUNK_BYTES)) || self.here.covers(&(offset - 1..offset))
    }

    /// Bytes were written.
    pub fn wrote(&mut self, range: Range<u64>) {
        self.here.insert(range);
    }

    /// Bytes are on disk and journaled. What was found wrong meanwhile is not counted; it is given back.
    pub fn durable(&mut self, ranges: &Ranges) -> Ranges {
        let mut wrong = Ranges::new();
        for range in ranges.iter() {
            let lost = self.here.missing(range.clone());
            self.have.insert(range);
            wrong.extend(&lost);
        }
        wrong.iter().for_each(|range| self.have.remove(range));
        self.promote();
        wrong
    }

    /// A journaled range, at start.
    pub fn replay_have(&mut self, ranges: &Ranges) {
        let end = self.bytes();
        for range in ranges.iter().filter(|range| range.end <= end) {
            self.here.insert(range.clone());
            self.have.insert(range);
        }
        self.promote();
    }

    /// Takes a file that was complete before a restart for complete: whoever receives it checks it again.
    pub fn trust(&mut self) {
        if self.progress == Progress::Unread && self.knows_all_pages() {
            self.good = Ranges::whole(self.bytes());
            self.progress = Progress::Complete;
        }
    }

    /// Bytes are not what they were, or can't be relied on.
    pub fn lose(&mut self, range: Range<u64>) {
        self.here.remove(range.clone());
        self.have.remove(range.clone());
        self.good.remove(range);
        self.progress = Progress::Partial;
    }

    /// Whole chunks that are here, whose page is known, and that were not yet found right.
    pub fn unproved(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.manifest.core().chunks).filter(|chunk| self.is_unproved(*chunk))
    }

    /// Whether a chunk is whole, its page known, and its hash not yet read back.
    #[must_use]
    pub fn is_unproved(&self, chunk: u32) -> bool {
        let range = self.chunk_range(chunk);
        self.page(chunk / PAGE_CHUNKS).is_some() && self.here.covers(&range) && !self.good.covers(&range)
    }

    /// A chunk was read back with this hash; whether it is right.
    pub fn prove(&mut self, chunk: u32, hash: Option<Hash>) -> Proof {
        let range = self.chunk_range(chunk);
        if !self.here.covers(&range) {
            return Proof::Gone;
        }
        match (self.chunk_hash(chunk), hash) {
            (Some(expected), Some(found)) if expected == found => {
                self.good.insert(range);
                self.promote();
                Proof::Right
            }
            (None, _) => Proof::Gone,
            (Some(_), _) => Proof::Wrong,
        }
    }

    /// The whole file was read back.
    pub fn check(&mut self, hashes: &[Option<Hash>]) -> Checked {
        let mut checked = Checked::default();
        for page in 0..self.pages.len() as u32 {
            let chunks = self.page_chunks(page);
            let found: Vec<Option<Hash>> =
                chunks.clone().map(|at| hashes.get(at as usize).copied().flatten()).collect();
            if self.page(page).is_none() {
                let whole: Option<Vec<Hash>> = found.iter().copied().collect();
                let right = whole.filter(|whole| page_hash(whole) == self.manifest.page_hashes()[page as usize]);
                if let Some(right) = right {
                    self.pages[page as usize] = Some(Page::new(right));
                    checked.learned.push(page);
                }
            }
            let wrong = chunks.zip(found).filter(|(chunk, found)| found.is_none() || *found != self.chunk_hash(*chunk));
            checked.damaged.extend(wrong.map(|(chunk, _)| chunk));
        }
        if checked.damaged.is_empty() {
            self.good = Ranges::whole(self.bytes());
            self.progress = Progress::Complete;
        }
        checked
    }

    /// Chunks that were found right before, of a parcel that is still coming, and are not what was read back now.
    #[must_use]
    pub fn gone_bad(&self, hashes: &[Option<Hash>]) -> Vec<u32> {
        let found = |chunk: &u32| hashes.get(*chunk as usize).copied().flatten();
        let was_good = |chunk: &u32| self.good.covers(&self.chunk_range(*chunk));
        let chunks = (0..self.manifest.core().chunks).filter(was_good);
        chunks.filter(|chunk| found(chunk) != self.chunk_hash(*chunk)).collect()
    }

    fn page_chunks(&self, page: u32) -> Range<u32> {
        let from = page * PAGE_CHUNKS;
        from..(from + PAGE_CHUNKS).min(self.manifest.core().chunks)
    }

    fn promote(&mut self) {
        if self.progress == Progress::Partial && self.have.covers(&(0..self.bytes())) {
            self.progress = Progress::Unread;
        }
    }
}

/// What reading a chunk back said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It is what the manifest says.
    Right,
    /// It is not.
    Wrong,
    /// It is no longer held whole: the answer came too late to matter.
    Gone,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        class::Class,
        envelope::{reading::ReadingKey, sign::SigningKey},
        id::{CaseId, FederationId, NodeId},
        parcel::{
            PartKind,
            seal::{SealFacts, seal},
        },
        roster::RosterVersion,
    };
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    /// A sealed parcel of about `bytes`, with its chunks.
    pub(in crate::transfer) fn sealed(bytes: usize, seed: u64) -> (Manifest, Vec<Vec<u8>>) {
        let key = ReadingKey::from_seed([5; 32]).public();
        let facts = SealFacts {
            federation: FederationId([1; 32]),
            case: CaseId([1; 32]),
            kind: PartKind::Series,
            roster_version: RosterVersion(1),
            jurisdiction: "MW".parse().unwrap(),
            pool: "north".parse().unwrap(),
            epoch: 0,
            class: Class::Routine,
            home_hub: NodeId([2; 32]),
            pool_key: key,
            recovery: key,
        };
        let mut chunks = Vec::new();
        let mut out = |chunk: &[u8]| -> Result<(), ()> {
            chunks.push(chunk.to_vec());
            Ok(())
        };
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let packed = vec![seed as u8; bytes - 4096];
        let made = seal(&packed, &facts, &SigningKey::from_seed([1; 32]), rng, &mut out).unwrap();
        (made.manifest, chunks)
    }

    pub(in crate::transfer) fn hashes(chunks: &[Vec<u8>]) -> Vec<Option<Hash>> {
        chunks.iter().map(|chunk| Some(Hash::of(chunk))).collect()
    }

    /// Puts a complete parcel there.
    pub(in crate::transfer) fn parcel_of(shelf: &mut Shelf, bytes: usize, seed: u64) -> ManifestId {
        let (manifest, chunks) = sealed(bytes, seed);
        let id = manifest.id();
        let parcel = shelf.add(manifest);
        parcel.replay_have(&Ranges::whole(parcel.bytes()));
        assert!(parcel.check(&hashes(&chunks)).damaged.is_empty());
        id
    }

    #[test]
    fn a_check_learns_the_pages_and_names_the_damaged_chunk_ever_after() {
        let (manifest, mut chunks) = sealed(5 * 65_536, 1);
        let mut shelf = Shelf::default();
        let parcel = shelf.add(manifest);
        parcel.replay_have(&Ranges::whole(parcel.bytes()));
        assert_eq!(parcel.progress(), Progress::Unread);
        assert_eq!(parcel.check(&hashes(&chunks)), Checked { damaged: vec![], learned: vec![0] });
        assert_eq!(parcel.progress(), Progress::Complete);
        chunks[3][9] ^= 1;
        assert_eq!(parcel.check(&hashes(&chunks)).damaged, [3]);
    }

    #[test]
    fn without_its_page_a_damaged_chunk_puts_the_whole_page_in_doubt() {
        let (manifest, mut chunks) = sealed(3 * 65_536, 1);
        let mut shelf = Shelf::default();
        let parcel = shelf.add(manifest);
        parcel.replay_have(&Ranges::whole(parcel.bytes()));
        chunks[1][9] ^= 1;
        assert_eq!(parcel.check(&hashes(&chunks)).damaged, [0, 1, 2]);
        assert_eq!(parcel.progress(), Progress::Unread);
    }

    #[test]
    fn bytes_lost_while_they_were_synced_are_not_had() {
        let (manifest, _) = sealed(3 * 65_536, 1);
        let mut shelf = Shelf::default();
        let parcel = shelf.add(manifest);
        parcel.wrote(0..100_000);
        parcel.lose(65_536..100_000);
        let mut wrong = Ranges::new();
        wrong.insert(65_536..100_000);
        assert_eq!(parcel.durable(&Ranges::whole(100_000)), wrong);
        assert_eq!(parcel.have(), &Ranges::whole(65_536));
    }

    #[test]
    fn a_page_of_another_parcel_is_refused() {
        let (manifest, _) = sealed(3 * 65_536, 1);
        let mut shelf = Shelf::default();
        let parcel = shelf.add(manifest);
        assert_eq!(parcel.learn_page(0, Page::new(vec![Hash([1; 32]); 3])), Err(WrongPage { page: 0 }));
        assert_eq!(parcel.learn_page(7, Page::new(vec![Hash([1; 32]); 3])), Err(WrongPage { page: 7 }));
    }
}
