//! What was seen to follow what: for each context, the choices that came under it.
//!
//! A context is anything that is known before a byte: the tag and the place in the value, the bytes before, the byte
//! that stood there in the Instance before. Its choices lie in one cache line for each half of a byte, found by hash,
//! so that memory is fixed and a collision costs bytes and never truth. Each choice has a probability and its last
//! outcomes; what such outcomes are worth is learned as well (indirect modelling, M. Mahoney's paq).

use super::mixing::{Adaptive, Curve, Shares};

const LINE_BITS: u32 = 18;
/// Counts of a probability under one context; lower adapts faster.
const COUNT_MAX: u8 = 60;
/// Counts of what outcomes are worth.
const WORTH_COUNT_MAX: u32 = 400;
/// Opinions that each context gives.
pub(super) const OPINIONS: usize = 2;

/// Of one choice.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// In 1/65536.
    p: u16,
    /// The last outcomes, the newest lowest, under a leading 1.
    outcomes: u8,
    count: u8,
}

const NEW: Node = Node { p: 1 << 15, outcomes: 1, count: 0 };

/// Half a byte has 15 choices; the first node's `p` holds the check of the line.
#[repr(align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([Node; 16]);

/// The choices under all contexts of the next byte.
#[derive(Debug, Clone)]
pub(super) struct Contexts {
    lines: Vec<Line>,
    hashes: Vec<u64>,
    /// The line of each context for the half of the byte that is being coded, its check, and those that were found.
    current: Vec<(usize, u16, [u16; 2])>,
    /// What outcomes are worth, by context.
    worth: Vec<[Adaptive; 256]>,
    node: usize,
}

impl Contexts {
    pub(super) fn new(count: usize) -> Self {
        let worth = std::array::from_fn(|outcomes| Adaptive::of(worth_at_first(outcomes as u8), 6));
        Self {
            lines: vec![Line([NEW; 16]); 1 << LINE_BITS],
            hashes: vec![0; count],
            current: vec![(0, 0, [0; 2]); count],
            worth: vec![worth; count],
            node: 1,
        }
    }

    /// Begins a byte under these contexts.
    pub(super) fn begin(&mut self, hashes: &[u64]) {
        self.hashes.copy_from_slice(hashes);
        self.find(0);
    }

    /// Goes on to the second half, `first` being the first under a leading 1.
    pub(super) fn second_half(&mut self, first: u32) {
        self.find(u64::from(first));
    }

    fn find(&mut self, half: u64) {
        self.node = 1;
        // All lines are asked for before any is looked at, so that the memory they lie in is waited for once.
        for (index, (hash, current)) in self.hashes.iter().zip(&mut self.current).enumerate() {
            let spread = (hash ^ half << 40 ^ (index as u64) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
            let spread = spread.wrapping_mul(0xD6E8_FEB8_6659_FD93);
            let (place, check) = ((spread >> (64 - LINE_BITS)) as usize, (spread as u16) | 1);
            *current = (place, check, [place, place ^ 1].map(|place| self.lines[place].0[0].p));
        }
        for (place, check, found) in &mut self.current {
            if found[0] == *check {
                continue;
            }
            let other = *place ^ 1;
            if found[1] == *check {
                *place = other;
                continue;
            }
            if self.lines[other].0[1].count < self.lines[*place].0[1].count {
                *place = other;
            }
            self.lines[*place] = Line([NEW; 16]);
            self.lines[*place].0[0].p = *check;
        }
    }

    /// The opinions of all contexts on the next choice: two each, on the logistic scale.
    pub(super) fn opinions(&self, opinions: &mut [i32], curve: &Curve) {
        let each = self.current.iter().zip(&self.worth).zip(opinions.chunks_exact_mut(OPINIONS));
        for (((line, ..), worth), opinion) in each {
            let node = self.lines[*line].0[self.node];
            if node.count == 0 {
                opinion.fill(0);
            } else {
                opinion[0] = curve.stretch(node.p);
                opinion[1] = curve.stretch(worth[usize::from(node.outcomes)].p());
            }
        }
    }

    /// Learns a choice and goes on to the next.
    pub(super) fn learn(&mut self, bit: u32, shares: &Shares) {
        for ((line, ..), worth) in self.current.iter().zip(&mut self.worth) {
            let node = &mut self.lines[*line].0[self.node];
            if node.count > 0 {
                worth[usize::from(node.outcomes)].learn(bit, WORTH_COUNT_MAX, shares);
            }
            let target = ((bit << 16) - bit) as i32;
            let step = ((target - i32::from(node.p)) * i32::from(shares.of(node.count) >> 1)) >> 15;
            node.p = (i32::from(node.p) + step) as u16;
            node.count = (node.count + 1).min(COUNT_MAX);
            node.outcomes = remember(node.outcomes, bit);
        }
        self.node = (self.node << 1 | bit as usize) & 15;
    }
}

/// Adds an outcome; of more than seven the oldest is forgotten.
pub(super) const fn remember(outcomes: u8, bit: u32) -> u8 {
    let next = outcomes << 1 | bit as u8;
    if outcomes >= 128 { next | 128 } else { next }
}

/// The share of ones, half a one and half a zero added.
fn worth_at_first(outcomes: u8) -> u16 {
    let seen = 7 - outcomes.max(1).leading_zeros();
    let ones = outcomes.count_ones().saturating_sub(1);
    ((65_536 * (2 * ones + 1)) / (2 * seen + 2)).min(65_535) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seven_outcomes_are_remembered() {
        let mut outcomes = 1;
        for bit in [1, 0, 1] {
            outcomes = remember(outcomes, bit);
        }
        assert_eq!(outcomes, 0b1101);
        for _ in 0..20 {
            outcomes = remember(outcomes, 0);
        }
        assert_eq!(outcomes, 128);
        assert_eq!(worth_at_first(1), 32_768);
        assert!(worth_at_first(255) > 60_000 && worth_at_first(128) < 5_000);
    }
}
