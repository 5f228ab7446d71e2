//! What the next byte is expected to be, by whom, and how often each was right so far.

use super::{
    forecast::forecast,
    history::History,
    walk::{Part, Vr, Walk},
};
use std::ops::Range;

/// Bytes of a value that is looked up by a link at most, as of one that is forecast.
const LINKED_BYTES_MAX: usize = 512;

/// Who expects a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The same slot of the Instance before.
    Above,
    /// A link to an equal value of this Instance, else the forecast.
    Foreseen,
    /// The last row of the column, where that is not [`Self::Above`].
    Column,
    /// The place where the last bytes came before.
    Matched,
}

impl Source {
    pub(super) const ALL: [Self; 4] = [Self::Above, Self::Foreseen, Self::Column, Self::Matched];
    pub(super) const COUNT: usize = Self::ALL.len();
}

/// The expectations for the element that is being coded.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    /// What is left of the bytes that stood here before.
    pub(super) above: Range<usize>,
    pub(super) foreseen: Option<Vec<u8>>,
    pub(super) is_linked: bool,
    pub(super) column: Range<usize>,
    matched: Option<usize>,
    matched_bytes: usize,
    missed: [u8; Source::COUNT],
    met: [u8; Source::COUNT],
}

impl Expected {
    /// Expectations at the start of an element that may be the one at `above`.
    pub(super) fn begin_element(&mut self, above: Range<usize>) {
        *self = Self { above, matched: self.matched, matched_bytes: self.matched_bytes, ..Self::default() };
    }

    /// The tag is known; gives the row's outcomes.
    pub(super) fn tag_known(&mut self, history: &History, walk: &Walk) -> Option<u8> {
        self.above = 0..0;
        let row = history.row(walk.keys())?;
        self.above = row.head as usize + 4..row.end as usize;
        let bytes = &history.bytes;
        let linked = history.linked(row).filter(|linked| linked.len() <= LINKED_BYTES_MAX);
        self.is_linked = linked.is_some();
        self.foreseen = linked.map(|linked| bytes[linked].to_vec()).or_else(|| {
            let (before, last) = (row.before(), row.value());
            let vr = bytes.get(row.head as usize + 4..row.head as usize + 6).and_then(Vr::of).unwrap_or(Vr::UNWRITTEN);
            if before.is_empty() { None } else { forecast(&bytes[before], &bytes[last], vr, walk.is_big()) }
        });
        Some(row.outcomes)
    }

    pub(super) fn begin_value(&mut self, history: &History, walk: &Walk) {
        (self.missed, self.met) = Default::default();
        let value = |row: &super::history::Row| row.value();
        self.above = history.row(walk.keys()).map(value).unwrap_or_default();
        self.column = history.column(walk.keys()).map(value).filter(|column| *column != self.above).unwrap_or_default();
    }

    /// Looks for the place where the last bytes came before, if none is being followed.
    pub(super) fn find_match(&mut self, history: &History) {
        if self.matched.is_none()
            && let Some((at, agreed)) = history.matching()
        {
            self.matched = Some(at);
            self.matched_bytes = agreed;
            self.missed[Source::Matched as usize] = 0;
        }
    }

    /// The place that is followed, if as many bytes agreed.
    pub(super) fn matched(&self, bytes: usize) -> Option<usize> {
        self.matched.filter(|_| self.matched_bytes >= bytes)
    }

    /// The byte that each source expects next.
    pub(super) fn wanted(&self, history: &History, walk: &Walk) -> [Option<u8>; Source::COUNT] {
        let at = |place: &Range<usize>| (!place.is_empty()).then(|| history.bytes[place.start]);
        [
            at(&self.above),
            self.foreseen.as_ref().and_then(|value| foreseen(value, walk)),
            at(&self.column),
            self.matched.map(|at| history.bytes[at]),
        ]
    }

    /// The byte that stood behind the next one before.
    pub(super) fn above_next(&self, history: &History) -> Option<u8> {
        (self.above.len() > 1).then(|| history.bytes[self.above.start + 1])
    }

    /// Moves on by a byte.
    pub(super) fn meet(&mut self, byte: u8, history: &History, walk: &Walk) {
        let wanted = self.wanted(history, walk);
        for ((wanted, missed), met) in wanted.iter().zip(&mut self.missed).zip(&mut self.met) {
            match wanted {
                Some(wanted) if *wanted == byte => *met = met.saturating_add(1),
                Some(_) => (*missed, *met) = (missed.saturating_add(1), 0),
                None => {}
            }
        }
        for place in [&mut self.above, &mut self.column] {
            place.start = place.end.min(place.start + 1);
        }
        match self.matched.as_mut().filter(|at| history.bytes[**at] == byte) {
            Some(at) => {
                *at += 1;
                self.matched_bytes += 1;
            }
            None => self.matched = None,
        }
    }

    /// Bytes in a row that this source has met.
    pub(super) fn met(&self, source: Source) -> usize {
        if source == Source::Matched { self.matched_bytes } else { usize::from(self.met[source as usize]) }
    }

    /// Bytes of this part of the element that it has missed, three at most.
    pub(super) fn missed(&self, source: Source) -> usize {
        usize::from(self.missed[source as usize].min(3))
    }
}

/// The next byte of a value that is foreseen, or of its length.
fn foreseen(value: &[u8], walk: &Walk) -> Option<u8> {
    let at = walk.at() as usize;
    let length = value.len() as u32;
    match (walk.part(), walk.is_big()) {
        (Part::Value, _) => value.get(at).copied(),
        (Part::ShortLength, true) => (length as u16).to_be_bytes().get(at).copied(),
        (Part::Length, true) => length.to_be_bytes().get(at).copied(),
        (Part::ShortLength | Part::Length, false) => length.to_le_bytes().get(at).copied(),
        _ => None,
    }
}
