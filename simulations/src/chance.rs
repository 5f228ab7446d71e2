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

    /// Bytes of no meaning.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}
