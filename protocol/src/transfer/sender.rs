//! Sender: serves what the peer on one link has asked for, the most urgent fragment first.
//!
//! It reads no further ahead than may be in flight, so a STAT film that is asked for in the middle of a CT goes out
//! with the next fragment. It sends only chunks it has itself found right, of a parcel that may still be arriving:
//! a relay passes on a Study while it comes. Source: `protocol/SPEC.md`, Messages.

use super::{
    Effect,
    message::{Frag, Message, Need, PageOf, Slot, Why},
    pace::Pace,
    schedule::Schedule,
    shelf::{Parcel, Shelf},
};
use crate::{
    class::Class,
    id::ManifestId,
    limits::{CHUNK_BYTES, PAGE_CHUNKS, SLOTS_MAX},
    node::LinkId,
    ranges::Ranges,
    record::Work,
    time::Mono,
};
use std::{collections::BTreeMap, ops::Range};

/// Bytes of a parcel that a page covers.
const PAGE_BYTES: u64 = CHUNK_BYTES as u64 * PAGE_CHUNKS as u64;

/// What is being sent on one link.
#[derive(Debug, Default)]
pub struct Sender {
    slots: BTreeMap<Slot, Sending>,
    schedule: Schedule,
    /// Bytes that the disk is asked for and that count as in flight.
    reading: u64,
}

/// A piece of a parcel that the disk is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The fetch it is for.
    pub slot: Slot,
    /// The parcel.
    pub manifest: ManifestId,
    /// Offset in the sealed file.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
}

#[derive(Debug)]
struct Sending {
    manifest: ManifestId,
    class: Class,
    todo: Ranges,
    /// Pages the peer has, one bit each.
    pages: u32,
    told_dry: Told,
    /// Bytes of it that went out in this slot.
    sent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    Yes,
}

impl Sender {
    /// The peer asks; the parcel is on the shelf, and it may have it.
    ///
    /// # Errors
    /// [`Why::NotHeld`] when more is asked for than one link may ask, or it makes no sense.
    pub fn need(&mut self, need: &Need, class: Class, parcel: &Parcel) -> Result<(), Why> {
        let known = self.slots.get(&need.slot).is_some_and(|sending| sending.manifest == need.manifest);
        let other = self.slots.contains_key(&need.slot) && !known;
        let outside = need.ranges.iter().any(|range| range.end > parcel.bytes());
        if other || outside || (!known && self.slots.len() >= SLOTS_MAX) {
            return Err(Why::NotHeld);
        }
        let (manifest, pages) = (need.manifest, need.pages);
        let sending = self.slots.entry(need.slot);
        let todo = Ranges::new();
        let sending = sending.or_insert(Sending { manifest, class, todo, pages, told_dry: Told::No, sent: 0 });
        // What is on its way already is not asked for again, so this adds.
        sending.todo.extend(&need.ranges);
        Ok(())
    }

    /// The peer wants a fetch no more.
    pub fn cancel(&mut self, slot: Slot) -> Option<ManifestId> {
        self.slots.remove(&slot).map(|sending| sending.manifest)
    }

    /// The peer has all of a parcel.
    pub fn settled(&mut self, manifest: &ManifestId) {
        self.slots.retain(|_, sending| sending.manifest != *manifest);
    }

    /// The class of a parcel has changed.
    pub fn reclass(&mut self, manifest: &ManifestId, class: Class) {
        self.slots.values_mut().filter(|s| s.manifest == *manifest).for_each(|sending| sending.class = class);
    }

    /// Whether anything is being sent.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Whether a parcel is being sent.
    #[must_use]
    pub fn serves(&self, manifest: &ManifestId) -> bool {
        self.slots.values().any(|sending| sending.manifest == *manifest)
    }

    /// Asks the disk for the next pieces, as far as they may be in flight. A page goes before its first piece.
    pub fn fill(&mut self, link: LinkId, pace: &Pace, shelf: &Shelf, out: &mut Vec<Effect>) -> Vec<Piece> {
        let (mut pieces, fragment, window) = (Vec::new(), pace.fragment(), pace.window());
        while pace.in_flight() + self.reading + u64::from(fragment) <= window {
            let Some((slot, range)) = self.next(shelf, fragment) else { break };
            let Some(sending) = self.slots.get_mut(&slot) else { break };
            let (manifest, page) = (sending.manifest, (range.start / PAGE_BYTES) as u32);
            if sending.pages & 1 << page == 0
                && let Some(hashes) = shelf.get(&manifest).and_then(|parcel| parcel.page(page))
            {
                sending.pages |= 1 << page;
                out.push(Effect::Tell(link, Message::Page(PageOf { manifest, page, hashes: hashes.bytes() })));
            }
            sending.todo.remove(range.clone());
            sending.told_dry = Told::No;
            sending.sent += range.end - range.start;
            let length = (range.end - range.start) as u32;
            self.schedule.sent(sending.class, length);
            self.reading += u64::from(length);
            out.push(Effect::Disk(Work::Read { manifest, offset: range.start, length }));
            pieces.push(Piece { slot, manifest, offset: range.start, length });
        }
        self.tell_dry(link, shelf, out);
        pieces
    }

    /// The disk gave a piece: the fragment to send, if it is still wanted.
    pub fn read(&mut self, piece: Piece, bytes: &[u8], pace: &mut Pace, now: Mono) -> Option<Vec<u8>> {
        self.reading = self.reading.saturating_sub(u64::from(piece.length));
        self.slots.get(&piece.slot).filter(|sending| sending.manifest == piece.manifest)?;
        pace.sent(bytes.len() as u64, now);
        Some(Frag { slot: piece.slot, offset: piece.offset, data: bytes }.encode())
    }

    /// The disk could not give a piece.
    pub fn unread(&mut self, piece: Piece) {
        self.reading = self.reading.saturating_sub(u64::from(piece.length));
        self.slots.remove(&piece.slot);
    }

    fn next(&mut self, shelf: &Shelf, fragment: u32) -> Option<(Slot, Range<u64>)> {
        let ready: Vec<(Class, Slot, Range<u64>)> = self
            .slots
            .iter()
            .filter_map(|(slot, sending)| Some((sending.class, *slot, sending.next(shelf, fragment)?)))
            .collect();
        let class = self.schedule.next(ready.iter().map(|(class, ..)| *class))?;
        // Slots rise, so the first of the class is the oldest.
        ready.into_iter().find(|(other, ..)| *other == class).map(|(_, slot, range)| (slot, range))
    }

    fn tell_dry(&mut self, link: LinkId, shelf: &Shelf, out: &mut Vec<Effect>) {
        for (slot, sending) in &mut self.slots {
            if sending.told_dry == Told::No && !sending.todo.is_empty() && sending.next(shelf, 1).is_none() {
                sending.told_dry = Told::Yes;
                out.push(Effect::Tell(link, Message::Dry(*slot, sending.sent)));
            }
        }
    }
}

impl Sending {
    /// The first piece wanted that is here and right, ending where a fragment of this size ends.
    fn next(&self, shelf: &Shelf, fragment: u32) -> Option<Range<u64>> {
        let parcel = shelf.get(&self.manifest)?;
        let (todo, fragment) = (&self.todo, u64::from(fragment));
        todo.iter().find_map(|wanted| {
            let good = parcel.good().iter().find(|good| good.end > wanted.start && good.start < wanted.end)?;
            let start = wanted.start.max(good.start);
            Some(start..wanted.end.min(good.end).min((start / fragment + 1) * fragment))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::shelf::tests::parcel_of;

    fn asked(class: Class, slot: u32, shelf: &Shelf, manifest: ManifestId, sender: &mut Sender) {
        let parcel = shelf.get(&manifest).unwrap();
        let need = Need { slot: Slot(slot), manifest, ranges: Ranges::whole(parcel.bytes()), pages: 0 };
        sender.need(&need, class, parcel).unwrap();
    }

    #[test]
    fn stat_goes_out_with_the_next_fragment() {
        let (mut shelf, mut sender, mut pace) = (Shelf::default(), Sender::default(), Pace::default());
        let (bulk, stat) = (parcel_of(&mut shelf, 3 * 65_536, 1), parcel_of(&mut shelf, 65_536, 2));
        asked(Class::Routine, 0, &shelf, bulk, &mut sender);
        let mut out = Vec::new();
        let first = sender.fill(LinkId(1), &pace, &shelf, &mut out);
        assert!(first.iter().all(|piece| piece.manifest == bulk));
        asked(Class::Stat, 1, &shelf, stat, &mut sender);
        for piece in &first {
            sender.read(*piece, &vec![0; piece.length as usize], &mut pace, Mono(1)).unwrap();
        }
        pace.acknowledged(u64::from(first[0].length), 1 << 20, Mono(600));
        let next = sender.fill(LinkId(1), &pace, &shelf, &mut out);
        assert!(!next.is_empty() && next.iter().all(|piece| piece.manifest == stat));
    }

    #[test]
    fn reads_no_further_ahead_than_may_be_in_flight() {
        let (mut shelf, mut sender, pace) = (Shelf::default(), Sender::default(), Pace::default());
        let bulk = parcel_of(&mut shelf, 30 * 65_536, 1);
        asked(Class::Routine, 0, &shelf, bulk, &mut sender);
        let mut out = Vec::new();
        let pieces = sender.fill(LinkId(1), &pace, &shelf, &mut out);
        assert!(pieces.iter().map(|piece| u64::from(piece.length)).sum::<u64>() <= pace.window());
        assert!(sender.fill(LinkId(1), &pace, &shelf, &mut out).is_empty());
    }

    #[test]
    fn bytes_that_are_here_and_were_not_read_back_stay_here() {
        let (mut shelf, mut sender, pace) = (Shelf::default(), Sender::default(), Pace::default());
        let bulk = parcel_of(&mut shelf, 2 * 65_536, 1);
        let parcel = shelf.get_mut(&bulk).unwrap();
        parcel.lose(0..65_536);
        parcel.wrote(0..65_536);
        asked(Class::Routine, 0, &shelf, bulk, &mut sender);
        let pieces = sender.fill(LinkId(1), &pace, &shelf, &mut Vec::new());
        assert!(!pieces.is_empty() && pieces.iter().all(|piece| piece.offset >= 65_536), "{pieces:?}");
    }

    #[test]
    fn a_page_goes_before_its_first_piece_and_once() {
        let (mut shelf, mut sender, pace) = (Shelf::default(), Sender::default(), Pace::default());
        let bulk = parcel_of(&mut shelf, 65_536, 1);
        asked(Class::Routine, 0, &shelf, bulk, &mut sender);
        let mut out = Vec::new();
        sender.fill(LinkId(1), &pace, &shelf, &mut out);
        let pages = out.iter().filter(|effect| matches!(effect, Effect::Tell(_, Message::Page(_)))).count();
        assert!(pages == 1 && matches!(out[0], Effect::Tell(_, Message::Page(_))));
    }
}
