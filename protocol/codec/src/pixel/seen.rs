//! What followed the same neighbourhood before: letters, graphics, palettes, which repeat to the sample.
//!
//! On a screen the edge of a letter is no noise around a mean: after these very samples came that one, each time, and a
//! shade of red goes with one shade of green. Tables from neighbourhoods of four sizes to the sample that followed each
//! name candidates (prediction by partial matching, Cleary and Witten 1984, with a sample as its symbol). One that has
//! nearly always been right is claimed outright ([`super::claims`]); the others give an opinion of each binary decision
//! until one contradicts them ([`super::residual::Judge`]). Where rows pass without a right candidate, as in noise, the
//! tables rest.

use super::{
    claims::{Claim, FOLLOWED},
    neighbours::{Beneath, Neighbours},
};

/// Neighbourhoods that are looked up, the largest first.
pub(super) const SIZES: usize = 4;
/// Entries of the table of a size, as a power of 2.
const TABLE_BITS: u32 = 17;
/// Classes of how often a value has followed.
const CLASSES: usize = 8;
/// Degrees of trust in a candidate: none, or its size and class.
pub(super) const TRUSTS: usize = 1 + SIZES * CLASSES;
/// Greatest count of an entry.
const TIMES_MAX: u16 = 1000;
/// Rows that the tables rest after one in which fewer than 1 in [`RIGHT_OF`] samples was foreseen by a likely claim.
const REST: u32 = 7;
const RIGHT_OF: u32 = 16;

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

    /// The sample turned out to be `found`, after what was looked up. `was_right`: it was foreseen by a likely claim.
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
    /// Each neighbourhood takes in the one before it. Where there are references the smallest is their samples alone:
    /// the other colours of the same place, which go with each other whatever is around.
    #[inline(always)]
    fn of(around: &Neighbours, first: Option<&Beneath>, second: Option<&Beneath>) -> Self {
        let Neighbours { w, n, nw, ne, ww, nn, nne, nee, nww, nnw, www, nnn, .. } = *around;
        let nearest = match (first, second) {
            (None, _) => [w, n, 0.0, 0.0],
            (Some(first), None) => [first.here(), 0.0, 0.0, 0.0],
            (Some(first), Some(second)) => [first.here(), second.here(), 0.0, 0.0],
        };
        let smallest = hash(0, nearest);
        let small = hash(smallest, [w, n, ne, 0.0]);
        let large = hash(small, [nw, ww, nn, 0.0]);
        let largest = hash(large, [nee, nne, nnw, nww]);
        let (e, s) = first.map_or((0.0, 0.0), |first| (first.near[1][2], first.near[2][1]));
        let hashes = [hash(largest, [www, nnn, e, s]), large, small, smallest];
        Self(std::array::from_fn(|size| {
            let place = hashes[size].wrapping_mul(0xD6E8_FEB8_6659_FD93) >> (u64::BITS - TABLE_BITS);
            (size << TABLE_BITS | place as usize, (hashes[size] >> 7) as u16)
        }))
    }
}

/// Takes four more samples into a hash.
#[inline(always)]
fn hash(of: u64, samples: [f32; 4]) -> u64 {
    let packed = samples.iter().fold(0, |packed, sample| packed << 16 | u64::from(*sample as u16));
    (of ^ packed).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::{super::rows::Rows, *};

    const COLUMNS: usize = 64;

    /// Codes a row by the tables alone: of how many samples the best candidate was right, or `None` while they rest.
    fn row(seen: &mut Seen, rows: &mut Rows<5>, samples: &[f32]) -> Option<usize> {
        rows.advance();
        rows.open(0.0);
        let mut right = Some(0);
        for (column, sample) in samples.iter().enumerate() {
            let around = Neighbours::gather(rows, column);
            match (seen.look(&around, None, None), &mut right) {
                (Some((places, mut candidates, claim)), Some(right)) => {
                    let is_right = claim.is_some_and(|claim| claim.value == *sample);
                    *right += usize::from(is_right);
                    candidates.rule_out(*sample);
                    assert_eq!(candidates.opinions().filter(|(_, _, says)| *says).count(), 0);
                    seen.learn(places, *sample, is_right);
                }
                _ => right = None,
            }
            rows.row_mut(0)[column + super::super::rows::MARGIN] = *sample;
        }
        rows.close();
        seen.end_row();
        right
    }

    #[test]
    fn a_pattern_is_foreseen_from_its_second_time_on() {
        let (mut seen, mut rows) = (Seen::new(), Rows::new(COLUMNS));
        let glyphs: Vec<f32> = (0..COLUMNS).map(|x| ((x * x) % 5 * 50) as f32).collect();
        for _ in 0..8 {
            row(&mut seen, &mut rows, &glyphs);
        }
        assert_eq!(row(&mut seen, &mut rows, &glyphs), Some(COLUMNS));
    }

    #[test]
    fn in_noise_the_tables_rest_seven_rows_and_look_again() {
        let (mut seen, mut rows) = (Seen::new(), Rows::new(COLUMNS));
        let mut state = 1_u32;
        let rested: Vec<bool> = (0..32)
            .map(|_| {
                let noise: Vec<f32> = (0..COLUMNS)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 16) as f32
                    })
                    .collect();
                row(&mut seen, &mut rows, &noise).is_none()
            })
            .collect();
        let expected: Vec<bool> = (0..32).map(|row| row % 8 != 0).collect();
        assert_eq!(rested, expected);
    }

    #[test]
    fn what_was_often_right_is_kept_when_it_is_wrong_once() {
        let (mut seen, around) = (Seen::new(), Neighbours::gather(&Rows::new(COLUMNS), 0));
        let mut follow = |value: f32| {
            let (places, _, claim) = seen.look(&around, None, None).unwrap();
            seen.learn(places, value, true);
            claim.map(|claim| claim.value)
        };
        assert_eq!(follow(7.0), None);
        for _ in 0..20 {
            assert_eq!(follow(7.0), Some(7.0));
        }
        assert_eq!(follow(9.0), Some(7.0));
        assert_eq!(follow(7.0), Some(7.0));
    }
}
