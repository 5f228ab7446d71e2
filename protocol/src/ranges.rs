//! A set of byte ranges: what of a parcel is here, what is wanted.

use crate::limits::RANGES_MAX;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Sorted, disjoint, never touching, never empty ranges of byte offsets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Ranges(Vec<Range<u64>>);

/// Ranges on the wire that are out of order, empty or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("range {index} is empty, out of order, or over the limit of {RANGES_MAX} ranges")]
pub struct RangesError {
    /// The first bad range.
    pub index: usize,
}

impl Ranges {
    /// No bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// All bytes from 0 to `bytes`.
    #[must_use]
    pub fn whole(bytes: u64) -> Self {
        let mut set = Self::new();
        set.insert(0..bytes);
        set
    }

    /// Adds a range, joining what it touches.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|r| r.end < range.start);
        let to = self.0.partition_point(|r| r.start <= range.end);
        let start = self.0.get(from).map_or(range.start, |r| r.start.min(range.start));
        let end = if to > from { self.0[to - 1].end.max(range.end) } else { range.end };
        let (start, end) = if to > from { (start, end) } else { (range.start, range.end) };
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// Adds every range of `other`.
    pub fn extend(&mut self, other: &Self) {
        other.iter().for_each(|range| self.insert(range));
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let kept = self.0.drain(..).flat_map(|r| {
            let left = r.start..r.end.min(range.start);
            let right = r.start.max(range.end)..r.end;
            [left, right].into_iter().filter(|part| part.start < part.end)
        });
        self.0 = kept.collect();
    }

    /// What of `range` is not in the set.
    #[must_use]
    pub fn missing(&self, range: Range<u64>) -> Self {
        let from = self.0.partition_point(|r| r.end <= range.start);
        let to = self.0.partition_point(|r| r.start < range.end);
        let mut rest = Self::new();
        rest.insert(range);
        for have in &self.0[from..to.max(from)] {
            rest.remove(have.clone());
        }
        rest
    }

    /// Whether every byte of `range` is in the set.
    #[must_use]
    pub fn covers(&self, range: &Range<u64>) -> bool {
        let at = self.0.partition_point(|r| r.end < range.end);
        range.is_empty() || self.0.get(at).is_some_and(|r| r.start <= range.start)
    }

    /// Takes out the first [`RANGES_MAX`] ranges: as many as one record or message holds.
    pub fn take_part(&mut self) -> Self {
        let rest = self.0.split_off(self.0.len().min(RANGES_MAX));
        Self(std::mem::replace(&mut self.0, rest))
    }

    /// Bytes in the set.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|r| r.end - r.start).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

impl TryFrom<Vec<(u64, u64)>> for Ranges {
    type Error = RangesError;

    fn try_from(pairs: Vec<(u64, u64)>) -> Result<Self, RangesError> {
        let mut end = None;
        for (index, &(from, to)) in pairs.iter().enumerate() {
            if from >= to || end.is_some_and(|end| from <= end) || index >= RANGES_MAX {
                return Err(RangesError { index });
            }
            end = Some(to);
        }
        Ok(Self(pairs.into_iter().map(|(from, to)| from..to).collect()))
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(set: Ranges) -> Self {
        set.0.into_iter().map(|r| (r.start, r.end)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_as_a_set_of_bytes(steps in prop::collection::vec((any::<bool>(), 0u64..60, 0u64..20), 0..40)) {
            let (mut set, mut model) = (Ranges::new(), BTreeSet::new());
            for (add, from, length) in steps {
                let range = from..from + length;
                if add { set.insert(range.clone()); model.extend(range); } else { set.remove(range.clone()); range.for_each(|b| { model.remove(&b); }); }
                prop_assert_eq!(set.bytes(), model.len() as u64);
                prop_assert!(set.iter().flatten().eq(model.iter().copied()));
                prop_assert_eq!(Ranges::try_from(Vec::from(set.clone())), Ok(set.clone()));
            }
            let gaps: Vec<u64> = (0..80).filter(|b| !model.contains(b)).collect();
            prop_assert!(set.missing(0..80).iter().flatten().eq(gaps.iter().copied()));
            for at in 0..70u64 {
                let range = at..at + at % 9;
                prop_assert_eq!(set.covers(&range), range.clone().all(|byte| model.contains(&byte)));
                prop_assert!(set.missing(range.clone()).iter().flatten().eq(range.filter(|byte| !model.contains(byte))));
            }
        }
    }

    #[test]
    fn a_set_of_any_size_is_journaled_in_parts_that_can_be_read_again() {
        let gaps: Ranges = (0..1300).map(|n| 2 * n..2 * n + 1).collect();
        let (mut rest, mut read) = (gaps.clone(), Ranges::new());
        while !rest.is_empty() {
            let part = postcard::to_stdvec(&rest.take_part()).unwrap();
            read.extend(&postcard::from_bytes(&part).unwrap());
        }
        assert_eq!(read, gaps);
    }

    #[test]
    fn overlapping_ranges_on_the_wire_are_refused() {
        assert_eq!(Ranges::try_from(vec![(0, 5), (5, 9)]), Err(RangesError { index: 1 }));
    }
}
