//! Scrub: every file is read back in turn, slowly, so that a card that rots is found out before a reader needs it.
//!
//! Reading takes a set share of the disk's time: after a file that took a second, at one per cent, nothing is read for 99.
//! A round is begun at most once a day, and at a random place: a node that loses power every two hours reads all of its
//! disk all the same. Source: `protocol/SPEC.md`, Custody.

use crate::{
    id::ManifestId,
    time::{Millis, Mono},
    transfer::shelf::Shelf,
};

/// After a start, and between two files at least.
const REST_MIN: Millis = Millis::from_secs(5);
/// From the beginning of a round to the beginning of the next at least.
const ROUND_MIN: Millis = Millis::from_secs(24 * 3600);

/// Share of the disk's time that a scrub may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share(u8);

impl Share {
    /// No scrub.
    pub const NONE: Self = Self(0);

    /// Per cent, from 0 for no scrub at all to 50.
    #[must_use]
    pub const fn per_cent(share: u8) -> Option<Self> {
        if share <= 50 { Some(Self(share)) } else { None }
    }
}

/// See the module's page.
#[derive(Debug)]
pub struct Scrub {
    share: Share,
    /// The file that was read last, or before the first one a place among the ids.
    last: ManifestId,
    round: Option<Round>,
    /// What is being read, since when.
    reading: Option<(ManifestId, Mono)>,
    due: Mono,
    read: u64,
}

/// A round, while it lasts.
#[derive(Debug, Clone, Copy)]
struct Round {
    begun: Mono,
    /// Files still to be read in it.
    left: usize,
}

impl Scrub {
    /// Begins somewhere, by chance.
    #[must_use]
    pub fn new(share: Share, somewhere: ManifestId) -> Self {
        Self { share, last: somewhere, round: None, reading: None, due: Mono(0).after(REST_MIN), read: 0 }
    }

    /// When a file is to be read.
    #[must_use]
    pub fn next_due(&self) -> Option<Mono> {
        (self.share != Share::NONE && self.reading.is_none()).then_some(self.due)
    }

    /// The next file, if its time has come.
    pub fn begin(&mut self, shelf: &Shelf, now: Mono) -> Option<ManifestId> {
        self.next_due().filter(|due| *due <= now)?;
        let Some(next) = shelf.after(&self.last) else {
            self.due = now.after(ROUND_MIN);
            return None;
        };
        let round = self.round.get_or_insert_with(|| Round { begun: now, left: shelf.len() });
        round.left = round.left.saturating_sub(1);
        self.last = next;
        self.reading = Some((next, now));
        Some(next)
    }

    /// A file was read back, for whatever reason.
    pub fn done(&mut self, manifest: &ManifestId, now: Mono) {
        let Some((_, since)) = self.reading.take_if(|(reading, _)| reading == manifest) else { return };
        self.read += 1;
        let rest = now.since(since).0.saturating_mul(100 / u64::from(self.share.0.max(1)) - 1);
        self.due = now.after(Millis(rest).max(REST_MIN));
        if let Some(round) = self.round.take_if(|round| round.left == 0) {
            self.due = self.due.max(round.begun.after(ROUND_MIN));
        }
    }

    /// Files read since the start.
    #[must_use]
    pub const fn read(&self) -> u64 {
        self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::shelf::tests::parcel_of;

    const HOUR: u64 = 3_600_000;

    /// What is read within so many milliseconds, each file taking `takes` of them.
    fn read_within(scrub: &mut Scrub, shelf: &Shelf, until: u64, takes: u64) -> Vec<(u64, ManifestId)> {
        let (mut read, mut now) = (Vec::new(), 0);
        while let Some(due) = scrub.next_due().filter(|due| due.0 <= until) {
            now = due.0.max(now);
            let Some(next) = scrub.begin(shelf, Mono(now)) else { continue };
            read.push((now, next));
            now += takes;
            scrub.done(&next, Mono(now));
        }
        read
    }

    fn shelf() -> (Shelf, Vec<ManifestId>) {
        let mut shelf = Shelf::default();
        let mut all: Vec<ManifestId> = (1..=3).map(|seed| parcel_of(&mut shelf, 100_000, seed)).collect();
        all.sort();
        (shelf, all)
    }

    #[test]
    fn every_file_is_read_once_a_day_within_the_share_wherever_it_begins() {
        let (shelf, all) = shelf();
        for somewhere in [ManifestId([0; 16]), all[1], ManifestId([0xff; 16])] {
            let mut scrub = Scrub::new(Share::per_cent(1).unwrap(), somewhere);
            let read = read_within(&mut scrub, &shelf, 23 * HOUR, 10_000);
            let mut seen: Vec<ManifestId> = read.iter().map(|(_, id)| *id).collect();
            seen.sort();
            assert_eq!(seen, all);
            assert!(read.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1_000_000), "1 % is 10 s of 1,000: {read:?}");
            assert_eq!(read_within(&mut scrub, &shelf, 25 * HOUR, 10_000).len(), 3);
        }
    }

    #[test]
    fn nothing_is_read_without_a_share_or_of_an_empty_shelf_and_more_than_half_is_no_share() {
        let (shelf, _) = shelf();
        assert_eq!(read_within(&mut Scrub::new(Share::NONE, ManifestId([0; 16])), &shelf, 48 * HOUR, 1), []);
        let share = Share::per_cent(50).unwrap();
        assert_eq!(read_within(&mut Scrub::new(share, ManifestId([0; 16])), &Shelf::default(), 48 * HOUR, 1), []);
        assert_eq!(Share::per_cent(51), None);
    }
}
