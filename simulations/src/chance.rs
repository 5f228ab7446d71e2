//! Chance: every choice of a run, drawn from its seed.
//!
//! A failed run is worth something only if it can be run again; so nothing here comes from the machine it runs on.

use crate::scenario::Span;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::Rng;

/// The one source of choices of a run.
#[derive(Debug)]
pub(crate) struct Chance {
    /// For what takes a generator itself: sealing, and what a power cut leaves.
    pub(crate) rng: ChaCha20Rng,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    /// A number of the span, both ends included.
    pub(crate) fn within(&mut self, span: Span) -> u64 {
        span.from + self.rng.next_u64() % (span.to - span.from + 1)
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.rng.next_u64() % count as u64) as usize
    }

    /// A time until something happens that happens every `mean_ms` milliseconds in the mean, at any moment as likely as at
    /// any other: exponentially distributed, by comparisons alone, so that every machine draws the same (von Neumann,
    /// Various techniques used in connection with random digits, 1951).
    pub(crate) fn exponential(&mut self, mean_ms: u64) -> u64 {
        let mut draw = || u64::from(self.rng.next_u32());
        let mut whole = 0;
        loop {
            let first = draw();
            let (mut last, mut falls) = (first, 1);
            loop {
                let next = draw();
                if next >= last {
                    break;
                }
                (last, falls) = (next, falls + 1);
            }
            if falls % 2 == 1 {
                return mean_ms * whole + ((u128::from(mean_ms) * u128::from(first)) >> 32) as u64;
            }
            whole += 1;
        }
    }

    /// Bytes of no meaning.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_any_moment_comes_as_often_as_said() {
        let mut chance = Chance::new(1);
        let draws: Vec<u64> = (0..100_000).map(|_| chance.exponential(1_000_000)).collect();
        let years: u64 = (0..1_000).map(|_| chance.exponential(100_000_000_000)).sum();
        assert!(years.abs_diff(100_000_000_000_000) < 15_000_000_000_000);
        let share = |above: u64| draws.iter().filter(|ms| **ms > above).count();
        assert!(draws.iter().sum::<u64>().abs_diff(100_000 * 1_000_000) < 100_000 * 10_000);
        // e^-1 and e^-3.
        assert!(share(1_000_000).abs_diff(36_788) < 500 && share(3_000_000).abs_diff(4_979) < 250);
    }
}
