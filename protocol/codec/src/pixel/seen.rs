//! What followed the same neighbourhood before: letters, graphics, palettes, which repeat to the sample.
//!
//! On a screen the edge of a letter is no noise around a mean: after these very samples came that one, each time, and a
//! shade of red goes with one shade of green. Tables from neighbourhoods of four sizes to the sample that followed each
//! name candidates (prediction by partial matching, Cleary and Witten 1984, with a sample as its symbol). One that has
//! nearly always been right is claimed outright ([`super::claims`]); the others give an opinion of each binary decision
//! until one contradicts them ([`super::decisions`]). Where rows pass without a right candidate, as in noise, the
//! tables rest.

use super::{
    claims::{Claim, FOLLOWED},
    neighbours::{Beneath, Neighbours},
};

/// Neighbourhoods that are looked up, the largest first.
pub(super) const SIZES: usize = 4;
/// Entries of the table of a size, as a power of 2.
const TABLE_BITS: u32 = 16;
/// Classes of how often a value has followed.
const CLASSES: usize = 8;
/// Degrees of trust in a candidate: none, or its size and class.
pub(super) const TRUSTS: usize = 1 + SIZES * CLASSES;
/// Greatest count of an entry.
const TIMES_MAX: u16 = 1000;
/// Rows that the tables rest after one in which fewer than 1 in [`RIGHT_OF`] samples was foreseen.
const REST: u32 = 7;
const RIGHT_OF: u32 = 50;

/// What followed a neighbourhood last.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// More bits of the neighbourhood's hash.
    check: u16,
    value: u16,
    /// How often it has followed; 0 where nothing has.
    times: u16,
}

/// The tables, and whether they rest.
pub(super) struct Seen {
    entries: Vec<Entry>,
    samples: u32,
    right: u32,
    rest: u32,
}

/// Where the neighbourhoods of a sample lie in the tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places([(usize, u16); SIZES]);

/// Values that a sample may have, each believed in until a decision contradicts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidates {
    values: [i32; SIZES],
    /// Trust in each, 0 where there is none.
    trust: [usize; SIZES],
    says: [bool; SIZES],
    /// Trust in the candidate of the largest neighbourhood that has one.
    pub(super) best: usize,
}

impl Candidates {
    /// None.
    pub(super) const NONE: Self = Self { values: [0; SIZES], trust: [0; SIZES], says: [false; SIZES], best: 0 };

    /// A decision comes up that `is` would be true of each value it applies to.
    #[inline(always)]
    pub(super) fn ask(&mut self, is: impl Fn(i32) -> bool) {
        for (says, value) in self.says.iter_mut().zip(&self.values) {
            *says = is(*value);
        }
    }

    /// The candidates left, by place: trust in each and what it says of the decision that came up.
    #[inline(always)]
    pub(super) fn opinions(&self) -> impl Iterator<Item = (usize, usize, bool)> {
        let of = |place: usize| (place, self.trust[place], self.says[place]);
        (0..SIZES).map(of).filter(|(_, trust, _)| *trust > 0)
    }

    /// The decision was this: candidates that said otherwise are out.
    #[inline(always)]
    pub(super) fn told(&mut self, bit: bool) {
        for (trust, says) in self.trust.iter_mut().zip(&self.says) {
            if *says != bit {
                *trust = 0;
            }
        }
    }

    /// From here on the values are distances outwards from `centre`.
    #[inline(always)]
    pub(super) fn turn(&mut self, centre: i32, is_upper: bool) {
        for value in &mut self.values {
            *value = if is_upper { *value - centre } else { centre - 1 - *value };
        }
    }

    /// The sample is not `value`.
    #[inline(always)]
    pub(super) fn rule_out(&mut self, value: f32) {
        self.ask(|candidate| candidate == value as i32);
        self.told(false);
    }

    /// Whether any candidate is left.
    #[inline(always)]
    pub(super) fn any(&self) -> bool {
        self.trust.iter().any(|trust| *trust > 0)
    }
}

impl Seen {
    pub(super) fn new() -> Self {
        Self { entries: vec![Entry::default(); SIZES << TABLE_BITS], samples: 0, right: 0, rest: 0 }
    }

    pub(super) fn end_row(&mut self) {
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        if self.right * RIGHT_OF < self.samples {
            self.rest = REST;
        }
        (self.samples, self.right) = (0, 0);
    }

    /// Looks a neighbourhood up: nothing while the tables rest.
    #[inline(always)]
    pub(super) fn look(
        &self,
        around: &Neighbours,
        first: Option<&Beneath>,
        second: Option<&Beneath>,
    ) -> Option<(Places, Candidates, Option<Claim>)> {
        if self.rest > 0 {
            return None;
        }
        let places = Places::of(around, first, second);
        let mut candidates = Candidates::NONE;
        let mut claimed: Option<(u16, usize)> = None;
        for (size, (at, check)) in places.0.iter().enumerate() {
            let Entry { check: own, value, times } = self.entries[*at];
            if times == 0 || own != *check {
                continue;
            }
            let class = class(times);
            candidates.values[size] = i32::from(value);
            candidates.trust[size] = 1 + size * CLASSES + class;
            match &mut claimed {
                None => {
                    candidates.best = candidates.trust[size];
                    let (w, n) = (f32::from(value) == around.w, f32::from(value) == around.n);
                    claimed = Some((value, (size * CLASSES + class) << 4 | usize::from(w) << 3 | usize::from(n) << 2));
                }
                // What the next smaller neighbourhood says of it: the same, the same and often, another.
                Some((best, context)) if *context & 3 == 0 => {
                    *context |= if *best == value { 1 + usize::from(class >= CLASS_OFTEN) } else { 3 };
                }
                Some(_) => {}
            }
        }
        Some((places, candidates, claimed.map(|(value, context)| Claim::followed(f32::from(value), context))))
    }

    /// The sample turned out to be `found`, after what was looked up. `was_right`: the claim was.
    #[inline(always)]
    pub(super) fn learn(&mut self, places: Places, found: f32, was_right: bool) {
        self.samples += 1;
        self.right += u32::from(was_right);
        let value = found as u16;
        for (at, check) in places.0 {
            let entry = &mut self.entries[at];
            let is_known = entry.times > 0 && entry.check == check;
            if is_known && entry.value == value {
                entry.times = (entry.times + 1).min(TIMES_MAX);
            } else if is_known && entry.times >= 8 {
                // Often right before: once wrong does not make it worthless.
                entry.times = 1 + entry.times / 4;
            } else {
                *entry = Entry { check, value, times: 1 };
            }
        }
    }
}

const _: () = assert!(SIZES * CLASSES * 16 <= FOLLOWED);
/// Class of what has followed seven times and more.
const CLASS_OFTEN: usize = 4;

#[inline(always)]
fn class(times: u16) -> usize {
    match times {
        0..=1 => 0,
        2 => 1,
        3 => 2,
        4..=6 => 3,
        7..=14 => 4,
        15..=40 => 5,
        41..=150 => 6,
        _ => 7,
    }
}

impl Places {
    /// Each neighbourhood takes in the one before it. The references' samples belong to the smallest already: they are
    /// the colours of the same place, and go with each other.
    #[inline(always)]
    fn of(around: &Neighbours, first: Option<&Beneath>, second: Option<&Beneath>) -> Self {
        let mut hash = 0x9E37_79B9_7F4A_7C15_u64;
        let mut add = |samples: &[f32]| {
            for sample in samples {
                hash = (hash ^ u64::from(*sample as u32)).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29);
            }
            hash
        };
        let Neighbours { w, n, nw, ne, ww, nn, nne, nee, nww, nnw, www, nnn, .. } = *around;
        add(&[w]);
        let smallest = match (first, second) {
            (None, _) => add(&[n]),
            (Some(first), None) => add(&[first.here()]),
            (Some(first), Some(second)) => add(&[first.here(), second.here()]),
        };
        let small = add(&[n, ne]);
        let large = add(&[nw, ww, nn]);
        let mut largest = add(&[nee, nne, nnw, nww, www, nnn]);
        if let Some(first) = first {
            let [_, [.., e], [_, s, _]] = first.near;
            largest = add(&[e, s]);
        }
        let hashes = [largest, large, small, smallest];
        Self(std::array::from_fn(|size| {
            let place = hashes[size].wrapping_mul(0xD6E8_FEB8_6659_FD93) >> (u64::BITS - TABLE_BITS);
            (size << TABLE_BITS | place as usize, (hashes[size] >> 7) as u16)
        }))
    }
}
