//! Receiver: fetches parcels, from one peer each, and keeps every byte that comes.
//!
//! It asks for what is missing and says what is on disk; nobody else decides what is sent. A peer that lies is left
//! for another, a link that drops costs what was in flight, and a STAT parcel takes the place of the least urgent
//! fetch without losing a byte of it. Source: `protocol/SPEC.md`, Messages.

use super::{
    Effect,
    fetches::{Fetch, Fetches},
    message::{Frag, Message, Need, PageOf, Slot, Why},
    shelf::{Parcel, Progress, Proof, Shelf},
};
use crate::{
    class::Class,
    id::{Hash, ManifestId},
    limits::{
        BLIND_BYTES_MAX, CHUNK_BYTES, CREDIT_BYTES_MAX, DAMAGED_CHUNKS_MAX, ENDED_SLOTS_MAX, FETCHES_MAX, PAGE_CHUNKS,
        SYNC_BYTES_MAX, SYNC_BYTES_MIN,
    },
    node::LinkId,
    parcel::chunk::Page,
    ranges::Ranges,
    record::{Importance, Record, Work},
    time::{Millis, Mono},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes written wait for an fsync at most this long.
const SYNC_WAIT: Millis = Millis::from_secs(2);
/// A full disk is tried again after this.
const FULL_WAIT: Millis = Millis::from_secs(60);

/// All fetches of a node.
#[derive(Debug, Default)]
pub struct Receiver {
    fetches: Fetches,
    sources: BTreeMap<LinkId, Source>,
    orders: u64,
    full_until: Option<Mono>,
    /// Until when nothing but STAT is begun.
    bulk_until: Option<Mono>,
    happened: Vec<Happened>,
    counters: Counters,
}

/// What a fetch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// One more chunk may be sent on.
    Good(ManifestId),
    /// All is on disk: the whole file is to be read back.
    Whole(ManifestId),
}

/// What fetching has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Bytes of fragments that came.
    pub fragment_bytes: u64,
    /// Of these, bytes that were here already.
    pub bytes_again: u64,
    /// Chunks that did not have their hash.
    pub damaged_chunks: u64,
    /// Pages that did not have theirs.
    pub wrong_pages: u64,
    /// Fragments that belong to no fetch, cross a chunk's end, or leave a gap in it.
    pub strays: u64,
}

/// One link as a source.
#[derive(Debug, Default)]
struct Source {
    next_slot: u32,
    slots: BTreeMap<Slot, ManifestId>,
    active: BTreeSet<ManifestId>,
    bytes: u64,
    meter: Meter,
}

/// Bytes a second that come in.
#[derive(Debug, Default)]
struct Meter {
    since: Mono,
    bytes: u64,
    rate: u64,
}

impl Receiver {
    /// A link may be fetched from.
    pub fn link_up(&mut self, link: LinkId) {
        self.sources.entry(link).or_default();
    }

    /// A link is gone; what came is kept.
    pub fn link_down(&mut self, link: LinkId) {
        self.sources.remove(&link);
        self.fetches.link_down(link);
    }

    /// What to go on with at once on a new link to a peer that has offered nothing yet.
    pub fn resume(&mut self, link: LinkId, shelf: &Shelf, now: Mono, out: &mut Vec<Effect>) -> Vec<Need> {
        if self.full_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let mut idle: Vec<_> = self.fetches.iter().filter(|(_, fetch)| fetch.from.is_none()).collect();
        idle.sort_by_key(|(_, fetch)| (fetch.class, fetch.order));
        let idle: Vec<ManifestId> = idle.into_iter().map(|(id, _)| *id).collect();
        let wanted = idle.into_iter().filter(|id| shelf.get(id).is_some_and(|parcel| !parcel.missing().is_empty()));
        let wanted: Vec<ManifestId> = wanted.take(FETCHES_MAX).collect();
        wanted.into_iter().filter_map(|id| self.begin(id, link, shelf, out)).collect()
    }

    /// A parcel is wanted; its manifest is on the shelf. Wanted again, it may have another class.
    pub fn want(&mut self, manifest: ManifestId, class: Class) {
        self.orders += 1;
        self.fetches.want(manifest, class, self.orders);
    }

    /// A peer has a wanted parcel, or begins to have it. One that had nothing more of it is asked anew: it may have
    /// forgotten what it was asked for.
    pub fn offered(&mut self, manifest: &ManifestId, link: LinkId, out: &mut Vec<Effect>) {
        let Some(fetch) = self.fetches.get_mut(manifest) else { return };
        fetch.offered.insert(link);
        fetch.dried.remove(&link);
        if fetch.is_dry() && fetch.from.is_some_and(|(from, _)| from == link) {
            self.leave(manifest, Why::Enough, out);
        }
    }

    /// Whether a parcel is wanted.
    #[must_use]
    pub fn wants(&self, manifest: &ManifestId) -> bool {
        self.fetches.get(manifest).is_some()
    }

    /// The link a parcel is being fetched from.
    #[must_use]
    pub fn from(&self, manifest: &ManifestId) -> Option<LinkId> {
        self.fetches.get(manifest)?.from.map(|(link, _)| link)
    }

    /// Whether somebody is sending a parcel, or may be about to: a source that has nothing more is none.
    #[must_use]
    pub fn is_served(&self, manifest: &ManifestId) -> bool {
        self.fetches.get(manifest).is_some_and(|fetch| fetch.from.is_some() && !fetch.is_dry())
    }

    /// Parcels that are to come here, or to be mended.
    pub fn wanted(&self) -> impl Iterator<Item = &ManifestId> {
        self.fetches.iter().map(|(id, _)| id)
    }

    /// Links whose peers may owe us more, or less, than when this was last asked.
    pub fn stirred(&mut self) -> BTreeSet<LinkId> {
        self.fetches.stirred()
    }

    /// Whether the peer on a link owes us bytes, so that its silence means something.
    #[must_use]
    pub fn expects(&self, link: LinkId) -> bool {
        let active = self.sources.get(&link).into_iter().flat_map(|source| &source.active);
        active.filter_map(|id| self.fetches.get(id)).any(|fetch| fetch.asked > 0 && !fetch.is_dry())
    }

    /// Starts what can be started: the most urgent first, one place for each class that waits, a less urgent fetch
    /// giving way where all places are taken.
    pub fn start(&mut self, shelf: &Shelf, now: Mono, out: &mut Vec<Effect>) {
        self.fetches.forgive(now);
        self.bulk_until = self.bulk_until.filter(|until| now < *until);
        self.full_until = self.full_until.filter(|until| now < *until);
        if self.full_until.is_some() {
            return;
        }
        self.leave_the_dry(out);
        let mut last = None;
        while let Some(link) = self.fetches.next_waited_for(last) {
            last = Some(link);
            while let Some(id) = self.next_for(link, shelf, out) {
                if let Some(need) = self.begin(id, link, shelf, out) {
                    out.push(Effect::Tell(link, Message::Need(need)));
                }
            }
        }
    }

    /// When something is due though nothing comes in.
    pub fn next_due(&mut self) -> Option<Mono> {
        let to_sync = self.fetches.unsynced_since().map(|since| since.after(SYNC_WAIT));
        let forgiven = self.fetches.next_forgiven();
        [to_sync, forgiven, self.full_until, self.bulk_until].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn wake(&mut self, shelf: &mut Shelf, now: Mono, out: &mut Vec<Effect>) {
        let unsynced = self.fetches.iter().filter(|(_, fetch)| fetch.is_unsynced);
        let unsynced: Vec<ManifestId> = unsynced.map(|(id, _)| *id).collect();
        unsynced.iter().for_each(|id| self.sync_if_due(id, shelf, now, out));
        self.start(shelf, now, out);
    }

    /// A fragment came.
    pub fn fragment(&mut self, link: LinkId, frag: Frag<'_>, shelf: &mut Shelf, now: Mono, out: &mut Vec<Effect>) {
        let Some(source) = self.sources.get_mut(&link) else { return };
        let length = frag.data.len() as u64;
        source.bytes += length;
        source.meter.add(length, now);
        self.counters.fragment_bytes += length;
        out.push(Effect::Tell(link, Message::Rack { bytes: source.bytes, credit: CREDIT_BYTES_MAX }));
        let Some(manifest) = source.slots.get(&frag.slot).copied() else {
            self.counters.strays += 1;
            return;
        };
        let (Some(fetch), Some(parcel)) = (self.fetches.get_mut(&manifest), shelf.get_mut(&manifest)) else {
            self.counters.bytes_again += length;
            return;
        };
        let chunk = u32::try_from(frag.offset / u64::from(CHUNK_BYTES)).unwrap_or(u32::MAX);
        let range = frag.offset..frag.offset.saturating_add(length);
        let outside = chunk >= parcel.manifest().core().chunks || range.end > parcel.chunk_range(chunk).end;
        if outside || !parcel.goes_on_at(range.start) {
            self.counters.strays += 1;
            return;
        }
        if fetch.from == Some((link, frag.slot)) {
            fetch.came += length;
            if parcel.page(chunk / PAGE_CHUNKS).is_none() {
                fetch.blind += length;
            }
        }
        let new = parcel.here().missing(range);
        self.counters.bytes_again += length - new.bytes();
        for part in new.iter() {
            let at = (part.start - frag.offset) as usize..(part.end - frag.offset) as usize;
            out.push(Effect::Disk(Work::Write { manifest, offset: part.start, bytes: frag.data[at].to_vec() }));
            if part.start == parcel.chunk_range(chunk).start {
                fetch.sole.insert(chunk, link);
            } else if fetch.sole.get(&chunk) != Some(&link) {
                fetch.sole.remove(&chunk);
            }
            parcel.wrote(part.clone());
            if fetch.pending.is_empty() {
                fetch.pending_since = now;
                fetch.is_unsynced = true;
            }
            fetch.pending.insert(part);
        }
        fetch.asked = fetch.asked.saturating_sub(new.bytes());
        fetch.prove(manifest, parcel, chunk, out);
        let (blind, asked) = (fetch.blind, fetch.asked);
        if blind > BLIND_BYTES_MAX {
            fetch.blame(link, DAMAGED_CHUNKS_MAX, now);
            self.leave(&manifest, Why::Damaged, out);
            self.start(shelf, now, out);
        } else if asked == 0 {
            let missing = shelf.get(&manifest).map(Parcel::missing).unwrap_or_default();
            self.ask_again(&manifest, &missing, shelf, out);
        }
        self.sync_if_due(&manifest, shelf, now, out);
    }

    /// A page came.
    pub fn page(&mut self, link: LinkId, of: &PageOf, shelf: &mut Shelf, now: Mono, out: &mut Vec<Effect>) {
        let (Some(fetch), Some(parcel)) = (self.fetches.get_mut(&of.manifest), shelf.get_mut(&of.manifest)) else {
            return;
        };
        if parcel.page(of.page).is_some() {
            return;
        }
        let learned = Page::parse(&of.hashes).is_ok_and(|page| parcel.learn_page(of.page, page).is_ok());
        if !learned {
            self.counters.wrong_pages += 1;
            fetch.blame(link, DAMAGED_CHUNKS_MAX, now);
            if fetch.from.is_some_and(|(from, _)| from == link) {
                self.leave(&of.manifest, Why::Damaged, out);
                self.start(shelf, now, out);
            }
            return;
        }
        fetch.blind = 0;
        let (manifest, page, hashes) = (of.manifest, of.page, of.hashes.clone());
        out.push(Effect::Keep(Record::Page { manifest, page, hashes }));
        let first = page * PAGE_CHUNKS;
        (first..first + PAGE_CHUNKS).for_each(|chunk| fetch.prove(manifest, parcel, chunk, out));
    }

    /// A chunk was read back.
    pub fn proved(
        &mut self,
        manifest: ManifestId,
        chunk: u32,
        hash: Option<Hash>,
        shelf: &mut Shelf,
        now: Mono,
        out: &mut Vec<Effect>,
    ) {
        let (Some(fetch), Some(parcel)) = (self.fetches.get_mut(&manifest), shelf.get_mut(&manifest)) else { return };
        fetch.proving.remove(&chunk);
        let sole = fetch.sole.remove(&chunk);
        match parcel.prove(chunk, hash) {
            Proof::Gone => {}
            Proof::Right => {
                self.happened.push(Happened::Good(manifest));
                self.whole_if_so(&manifest, shelf);
            }
            Proof::Wrong => {
                self.counters.damaged_chunks += 1;
                // Of a chunk that two peers brought nobody knows whose part was wrong.
                if let Some(link) = sole.filter(|link| self.sources.contains_key(link)) {
                    fetch.blame(link, 1, now);
                }
                self.lose(&manifest, [chunk].into_iter(), shelf, now, out);
            }
        }
    }

    /// A file's bytes are on disk.
    pub fn durable(
        &mut self,
        manifest: ManifestId,
        ranges: &Ranges,
        shelf: &mut Shelf,
        now: Mono,
        out: &mut Vec<Effect>,
    ) {
        let Some(parcel) = shelf.get_mut(&manifest) else { return };
        let wrong = parcel.durable(ranges);
        keep_lost(manifest, wrong.clone(), out);
        let Some(fetch) = self.fetches.get_mut(&manifest) else { return };
        let mut synced = fetch.syncing.take().unwrap_or_default();
        // What was found wrong has been asked for again: a sender that hears it is here would forget that.
        wrong.iter().for_each(|range| synced.remove(range));
        if let Some((link, _)) = fetch.from.filter(|_| !synced.is_empty()) {
            out.push(Effect::Tell(link, Message::Dack(manifest, synced)));
        }
        if fetch.pending.is_empty() {
            fetch.is_unsynced = false;
        }
        self.sync_if_due(&manifest, shelf, now, out);
        self.whole_if_so(&manifest, shelf);
    }

    /// Chunks of a parcel are not what they were: they are fetched again.
    pub fn lose(
        &mut self,
        manifest: &ManifestId,
        chunks: impl Iterator<Item = u32>,
        shelf: &mut Shelf,
        now: Mono,
        out: &mut Vec<Effect>,
    ) {
        let (Some(fetch), Some(parcel)) = (self.fetches.get_mut(manifest), shelf.get_mut(manifest)) else { return };
        let mut ranges = Ranges::new();
        for chunk in chunks {
            let range = parcel.chunk_range(chunk);
            parcel.lose(range.clone());
            fetch.pending.remove(range.clone());
            ranges.insert(range);
        }
        keep_lost(*manifest, ranges.clone(), out);
        if fetch.from.is_some_and(|(link, _)| fetch.distrusts(&link)) {
            self.leave(manifest, Why::Damaged, out);
        } else {
            self.ask_again(manifest, &ranges, shelf, out);
        }
        self.start(shelf, now, out);
    }

    /// A parcel is complete: nothing more is wanted of it. Peers that offered it are told.
    pub fn complete(&mut self, manifest: &ManifestId, shelf: &Shelf, out: &mut Vec<Effect>) {
        let Some(fetch) = self.fetches.remove(manifest) else { return };
        let whole = shelf.get(manifest).map_or_else(Ranges::new, |parcel| Ranges::whole(parcel.bytes()));
        let told: BTreeSet<LinkId> = fetch.offered.into_iter().chain(fetch.from.map(|(link, _)| link)).collect();
        for link in told {
            out.push(Effect::Tell(link, Message::Dack(*manifest, whole.clone())));
            self.retire(link, manifest);
        }
    }

    /// The sender has nothing more of a fetch for now.
    pub fn dry(&mut self, link: LinkId, slot: Slot, sent: u64) {
        let manifest = self.sources.get(&link).and_then(|source| source.slots.get(&slot));
        let fetch = manifest.and_then(|manifest| self.fetches.get_mut(manifest));
        // The message may overtake the last fragments, which are on the other lane.
        if let Some(fetch) = fetch.filter(|fetch| fetch.from == Some((link, slot))) {
            fetch.dry_after = Some(sent);
        }
    }

    /// The sender ends a fetch.
    pub fn cancelled(&mut self, link: LinkId, slot: Slot, why: Why) {
        let Some(manifest) = self.sources.get(&link).and_then(|source| source.slots.get(&slot)).copied() else {
            return;
        };
        let Some(fetch) = self.fetches.get_mut(&manifest) else { return };
        if fetch.from == Some((link, slot)) {
            fetch.from = None;
            if why != Why::Yield {
                fetch.offered.remove(&link);
            }
            self.retire(link, &manifest);
        }
    }

    /// The disk is full: nothing written since the last fsync counts, and nothing is fetched for a minute.
    pub fn full(&mut self, shelf: &mut Shelf, now: Mono, out: &mut Vec<Effect>) {
        self.full_until = Some(now.after(FULL_WAIT));
        let ids: Vec<ManifestId> = self.wanted().copied().collect();
        for id in ids {
            self.leave(&id, Why::Full, out);
            let Some(fetch) = self.fetches.get_mut(&id) else { continue };
            fetch.is_unsynced = false;
            let Some(parcel) = shelf.get_mut(&id) else { continue };
            let unsure = [std::mem::take(&mut fetch.pending), fetch.syncing.take().unwrap_or_default()];
            unsure.iter().flat_map(Ranges::iter).for_each(|range| parcel.lose(range));
        }
    }

    /// A parcel's file is not there: nothing of it counts. Its place may have been refused by a full disk.
    pub fn no_file(&mut self, manifest: ManifestId, shelf: &mut Shelf, now: Mono, out: &mut Vec<Effect>) {
        if let Some(parcel) = shelf.get_mut(&manifest) {
            let whole = Ranges::whole(parcel.bytes());
            if !parcel.have().is_empty() {
                keep_lost(manifest, whole.clone(), out);
            }
            whole.iter().for_each(|range| parcel.lose(range));
        }
        if self.bulk_until.is_none() {
            self.full(shelf, now, out);
        }
    }

    /// There is no room for a parcel's file. For a minute nothing is begun that is no more important; what has its room
    /// goes on, and a STAT film that fits is fetched.
    pub fn no_room(&mut self, manifest: &ManifestId, shelf: &mut Shelf, now: Mono, out: &mut Vec<Effect>) {
        if self.fetches.get(manifest).is_some_and(|fetch| fetch.class <= Class::Stat) {
            return self.full(shelf, now, out);
        }
        self.bulk_until = Some(now.after(FULL_WAIT));
        if let Some(parcel) = shelf.get_mut(manifest) {
            Ranges::whole(parcel.bytes()).iter().for_each(|range| parcel.lose(range));
        }
        if let Some(fetch) = self.fetches.get_mut(manifest) {
            fetch.is_unsynced = false;
        }
        let refused: Vec<ManifestId> = self.wanted().filter(|id| self.waits_for_room(id, shelf)).copied().collect();
        refused.iter().for_each(|id| self.leave(id, Why::Full, out));
    }

    /// Whether a parcel has no room yet, and may take none now.
    fn waits_for_room(&self, id: &ManifestId, shelf: &Shelf) -> bool {
        let is_bulk = self.fetches.get(id).is_some_and(|fetch| fetch.class > Class::Stat);
        let has_no_room = shelf.get(id).is_none_or(|parcel| parcel.here().is_empty());
        self.bulk_until.is_some() && is_bulk && has_no_room
    }

    /// What fetches came to since this was last called.
    pub fn happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// What fetching has cost.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Looks at a parcel of which all may be here, as after a restart.
    pub fn whole_if_so(&mut self, manifest: &ManifestId, shelf: &Shelf) {
        let (Some(fetch), Some(parcel)) = (self.fetches.get(manifest), shelf.get(manifest)) else { return };
        if parcel.progress() == Progress::Unread && fetch.proving.is_empty() && fetch.syncing.is_none() {
            self.happened.push(Happened::Whole(*manifest));
        }
    }

    /// Reads back the chunks that a restart found whole.
    pub fn prove_what_is_here(&mut self, manifest: &ManifestId, shelf: &Shelf, out: &mut Vec<Effect>) {
        let (Some(fetch), Some(parcel)) = (self.fetches.get_mut(manifest), shelf.get(manifest)) else { return };
        if parcel.progress() == Progress::Partial {
            parcel.unproved().for_each(|chunk| fetch.prove(*manifest, parcel, chunk, out));
        }
    }

    /// The next parcel to fetch on a link; a less urgent one may be ended for it.
    fn next_for(&mut self, link: LinkId, shelf: &Shelf, out: &mut Vec<Effect>) -> Option<ManifestId> {
        let waiting = self.fetches.waiting_for(link);
        let source = self.sources.get(&link)?;
        let class_of = |id: &ManifestId| self.fetches.get(id).map(|fetch| (fetch.class, fetch.order, *id));
        let active: Vec<_> = source.active.iter().filter_map(class_of).collect();
        let waits = |id: &ManifestId| {
            self.fetches.get(id).is_some_and(|fetch| !fetch.distrusts(&link))
                && !self.waits_for_room(id, shelf)
                && shelf.get(id).is_some_and(|parcel| !parcel.missing().is_empty())
        };
        let mut waiting: Vec<_> = waiting.into_iter().filter(waits).filter_map(|id| class_of(&id)).collect();
        waiting.sort_unstable();
        let unserved = waiting.iter().find(|(class, ..)| active.iter().all(|(other, ..)| other != class));
        if active.len() < FETCHES_MAX {
            return unserved.or(waiting.first()).map(|(.., id)| *id);
        }
        let (class, _, id) = *unserved?;
        let (lowest, _, victim) = active.into_iter().max()?;
        if lowest <= class {
            return None;
        }
        self.leave(&victim, Why::Yield, out);
        Some(id)
    }

    /// Fetches whose source has nothing more, while another has offered: taken over.
    fn leave_the_dry(&mut self, out: &mut Vec<Effect>) {
        let drying = self.fetches.drying();
        let dry = |id: ManifestId| {
            let fetch = self.fetches.get(&id)?;
            let (link, _) = fetch.from?;
            let good = |other: &LinkId| !fetch.dried.contains(other) && !fetch.distrusts(other);
            let other = fetch.offered.iter().any(|other| *other != link && good(other));
            (fetch.is_dry() && other).then_some((id, link))
        };
        let dry: Vec<(ManifestId, LinkId)> = drying.into_iter().filter_map(dry).collect();
        for (id, link) in dry {
            self.leave(&id, Why::Enough, out);
            if let Some(fetch) = self.fetches.get_mut(&id) {
                fetch.dried.insert(link);
                fetch.offered.remove(&link);
            }
        }
    }

    /// Takes a slot on a link for a parcel, and space on the disk for one of which nothing is here: not before, so
    /// that manifests alone take none.
    fn begin(&mut self, id: ManifestId, link: LinkId, shelf: &Shelf, out: &mut Vec<Effect>) -> Option<Need> {
        let (source, fetch, parcel) = (self.sources.get_mut(&link)?, self.fetches.get_mut(&id)?, shelf.get(&id)?);
        let slot = Slot(source.next_slot);
        source.next_slot = source.next_slot.wrapping_add(1);
        source.slots.insert(slot, id);
        source.active.insert(id);
        if source.slots.len() > ENDED_SLOTS_MAX + FETCHES_MAX {
            let ended = |(_, id): &(&Slot, &ManifestId)| !source.active.contains(id);
            let oldest = source.slots.iter().find(ended).map(|(slot, _)| *slot);
            oldest.map(|slot| source.slots.remove(&slot));
        }
        fetch.from = Some((link, slot));
        fetch.blind = 0;
        fetch.asked = 0;
        fetch.came = 0;
        fetch.dry_after = None;
        if parcel.here().is_empty() {
            let importance = if fetch.class <= Class::Stat { Importance::Stat } else { Importance::Bulk };
            out.push(Effect::Disk(Work::Create { manifest: id, bytes: parcel.bytes(), importance }));
        }
        fetch.need(id, &parcel.missing(), shelf)
    }

    /// Asks for ranges of which nothing is on its way, from where the rest comes from.
    fn ask_again(&mut self, id: &ManifestId, ranges: &Ranges, shelf: &Shelf, out: &mut Vec<Effect>) {
        let Some(fetch) = self.fetches.get_mut(id) else { return };
        let (Some((link, _)), Some(need)) = (fetch.from, fetch.need(*id, ranges, shelf)) else { return };
        out.push(Effect::Tell(link, Message::Need(need)));
    }

    fn leave(&mut self, id: &ManifestId, why: Why, out: &mut Vec<Effect>) {
        let Some(fetch) = self.fetches.get_mut(id) else { return };
        let Some((link, slot)) = fetch.from.take() else { return };
        out.push(Effect::Tell(link, Message::Cancel(slot, why)));
        self.retire(link, id);
        // Of other fetches the last fragments are on their way, and welcome.
        if let (Why::Damaged | Why::Full, Some(source)) = (why, self.sources.get_mut(&link)) {
            source.slots.remove(&slot);
        }
    }

    fn retire(&mut self, link: LinkId, id: &ManifestId) {
        if let Some(source) = self.sources.get_mut(&link) {
            source.active.remove(id);
        }
    }

    /// Starts an fsync when enough is pending, or long enough, and none is running; the rest joins the next.
    fn sync_if_due(&mut self, id: &ManifestId, shelf: &Shelf, now: Mono, out: &mut Vec<Effect>) {
        let (Some(fetch), Some(parcel)) = (self.fetches.get_mut(id), shelf.get(id)) else { return };
        if fetch.syncing.is_some() || fetch.pending.is_empty() {
            return;
        }
        let rate = fetch.from.and_then(|(link, _)| self.sources.get(&link)).map_or(0, |source| source.meter.rate);
        let enough = (rate / 2).clamp(SYNC_BYTES_MIN, SYNC_BYTES_MAX);
        let long = now.since(fetch.pending_since) >= SYNC_WAIT;
        if fetch.pending.bytes() >= enough || long || parcel.here().covers(&(0..parcel.bytes())) {
            let ranges = fetch.pending.take_part();
            fetch.syncing = Some(ranges.clone());
            out.push(Effect::Disk(Work::Sync { manifest: *id, ranges }));
        }
    }
}

impl Fetch {
    /// Asks for ranges, as far as one message names them.
    fn need(&mut self, manifest: ManifestId, ranges: &Ranges, shelf: &Shelf) -> Option<Need> {
        let ((_, slot), parcel) = (self.from?, shelf.get(&manifest)?);
        let ranges = ranges.clone().take_part();
        self.asked += ranges.bytes();
        (!ranges.is_empty()).then(|| Need { slot, manifest, ranges, pages: parcel.pages() })
    }

    fn prove(&mut self, manifest: ManifestId, parcel: &Parcel, chunk: u32, out: &mut Vec<Effect>) {
        if parcel.is_unproved(chunk) && self.proving.insert(chunk) {
            out.push(Effect::Disk(Work::HashChunk { manifest, chunk }));
        }
    }
}

/// Journals that ranges are no longer here.
fn keep_lost(manifest: ManifestId, mut ranges: Ranges, out: &mut Vec<Effect>) {
    while !ranges.is_empty() {
        out.push(Effect::Keep(Record::Lost { manifest, ranges: ranges.take_part() }));
    }
}

impl Meter {
    fn add(&mut self, bytes: u64, now: Mono) {
        let took = now.since(self.since);
        if took >= Millis(500) {
            self.rate = if took.0 < 5000 { self.bytes * 1000 / took.0 } else { 0 };
            (self.since, self.bytes) = (now, 0);
        }
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::shelf::tests::{hashes, sealed};

    const LINK: LinkId = LinkId(1);

    /// A parcel of one chunk that has been asked for, and what asked for it.
    fn asked(receiver: &mut Receiver, shelf: &mut Shelf) -> (ManifestId, Vec<Vec<u8>>) {
        let (manifest, chunks) = sealed(8_192, 1);
        let id = manifest.id();
        let page = Page::new(hashes(&chunks).into_iter().flatten().collect());
        shelf.add(manifest).learn_page(0, page).unwrap();
        receiver.link_up(LINK);
        receiver.want(id, Class::Routine);
        let mut out = Vec::new();
        receiver.offered(&id, LINK, &mut out);
        receiver.start(shelf, Mono(0), &mut out);
        assert_eq!(needs(&out), [(0, 8_192)]);
        (id, chunks)
    }

    /// Slots and bytes asked for.
    fn needs(out: &[Effect]) -> Vec<(u32, u64)> {
        let need = |effect: &Effect| match effect {
            Effect::Tell(LINK, Message::Need(need)) => Some((need.slot.0, need.ranges.bytes())),
            _ => None,
        };
        out.iter().filter_map(need).collect()
    }

    #[test]
    fn what_was_found_wrong_while_it_was_synced_is_not_said_to_be_here() {
        let (mut receiver, mut shelf, mut out) = (Receiver::default(), Shelf::default(), Vec::new());
        let (id, chunks) = asked(&mut receiver, &mut shelf);
        let frag = Frag { slot: Slot(0), offset: 0, data: &chunks[0] };
        receiver.fragment(LINK, frag, &mut shelf, Mono(1), &mut out);
        receiver.proved(id, 0, Some(Hash([9; 32])), &mut shelf, Mono(2), &mut out);
        receiver.durable(id, &Ranges::whole(8_192), &mut shelf, Mono(3), &mut out);
        assert_eq!(needs(&out), [(0, 8_192)]);
        let said = |effect: &Effect| matches!(effect, Effect::Tell(_, Message::Dack(..)));
        assert!(!out.iter().any(said), "a sender that hears it is here forgets what it was asked for");
    }

    #[test]
    fn a_source_that_had_nothing_more_is_asked_anew_when_it_offers_anew() {
        let (mut receiver, mut shelf, mut out) = (Receiver::default(), Shelf::default(), Vec::new());
        let (id, _) = asked(&mut receiver, &mut shelf);
        receiver.offered(&id, LINK, &mut out);
        receiver.start(&shelf, Mono(1), &mut out);
        assert_eq!(needs(&out), [], "it is being sent");
        receiver.dry(LINK, Slot(0), 0);
        receiver.offered(&id, LINK, &mut out);
        receiver.start(&shelf, Mono(2), &mut out);
        assert_eq!(needs(&out), [(1, 8_192)]);
    }
}
