//! Adaptive probabilities: how often a decision was a one in a context.
//!
//! Each is 22 bits of probability and 10 bits of count in one word; it moves by 1/(count + 1.6), so the first decisions
//! count much and later ones ever less, down to 1/limit where it follows slow change (lpaq, Mahoney 2007).

use super::coder::Probability;

/// Greatest probability.
pub(super) const WHOLE: f32 = 4_194_303.0;

/// The probability that the next decision is a one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter(u32);

impl Counter {
    pub(super) const EVEN: Self = Self(1 << 31);

    /// This share of ones, as if found in so many decisions.
    pub(super) fn at(share: f32, count: u32) -> Self {
        Self((((share * WHOLE) as u32) << 10) | count)
    }

    /// From 0 to 1, neither included.
    #[inline(always)]
    pub(super) fn share(self) -> f32 {
        ((self.0 >> 10) as f32 + 0.5) * (1.0 / (WHOLE + 1.0))
    }

    /// The share in 2^`bits` parts.
    #[inline(always)]
    pub(super) fn part(self, bits: u32) -> usize {
        (self.0 >> (u32::BITS - bits)) as usize
    }

    /// For a decision that is coded by this counter alone.
    #[inline(always)]
    pub(super) fn probability(self) -> Probability {
        (self.0 >> 16).clamp(2, 65_533)
    }
}

/// 1/(count + 1.6) for every count.
pub(super) struct Rates([f32; 1024]);

impl Rates {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|count| 1.0 / (count as f32 + 1.6)))
    }

    /// Moves a counter towards what was decided; beyond `limit` decisions it moves no slower.
    #[inline(always)]
    pub(super) fn learn(&self, counter: &mut Counter, bit: bool, limit: u32) {
        let count = counter.0 & 1023;
        let share = (counter.0 >> 10) as f32;
        let target = if bit { WHOLE } else { 0.0 };
        let moved = share + (target - share) * self.0[count as usize];
        counter.0 = ((moved as u32) << 10) | (count + u32::from(count < limit));
    }
}

/// Spreads a context over 32 bits, of which a table takes the upper ones; each table in its own way.
#[inline(always)]
pub(super) fn hash(context: u32, table: u32) -> u32 {
    let salt = (0x51ED + table).wrapping_mul(0x85EB_CA6B).rotate_left(13);
    (context.wrapping_mul(0x9E37_79B1) ^ salt).wrapping_mul(0xC2B2_AE35)
}

/// Where tables of these sizes (powers of 2) begin when they lie one after the other, and where the last one ends.
pub(super) const fn starts<const TABLES: usize, const ENDS: usize>(bits: &[u32; TABLES]) -> [u32; ENDS] {
    assert!(ENDS == TABLES + 1);
    let mut starts = [0; ENDS];
    let mut table = 0;
    while table < TABLES {
        starts[table + 1] = starts[table] + (1 << bits[table]);
        table += 1;
    }
    starts
}
