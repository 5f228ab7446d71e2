//! Claims that a sample has a certain value: flat places, repeated ones, and what followed before.
//!
//! Air, padding, a still background, a grey picture stored as colour and the letters of a screen repeat to the sample.
//! Where such a claim has nearly always been right in its context, one decision settles it for about 0.002 bits and all
//! else is skipped (run mode of LOCO-I, ITU-T T.87 A.7, without its run lengths). Where it has not, nothing is asked,
//! since the mixture of predictions knows better; the claim learns from what the sample was all the same.

use super::{
    coder::{Coder, Probability},
    counter::{Counter, Rates},
    neighbours::{Beneath, Neighbours},
};

/// Claims are put to the decoder from this probability on: 99 in 100.
const SURE: Probability = 65_000;
/// Decisions after which a counter moves no slower.
const LIMIT: u32 = 1000;
/// Contexts of each kind of claim.
const FLAT: usize = 128;
const REPEATED: usize = 64;
pub(super) const FOLLOWED: usize = 1024;

/// How often a flat place is thought to go on before one was seen.
const FLAT_FIRST: f32 = 0.98;

/// A claim about the sample at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) value: f32,
    /// Which counter tells how often such a claim was right.
    context: usize,
}

/// How often claims were right, by context.
pub(super) struct Claims {
    counters: Vec<Counter>,
    rates: Rates,
}

impl Claim {
    /// That the sample is the one to the left, where the six nearest are all the same.
    #[inline(always)]
    pub(super) fn flat(around: &Neighbours, first: Option<&Beneath>) -> Option<Self> {
        if !around.is_flat() {
            return None;
        }
        let w = around.w;
        let reference = first.map_or(0, |reference| {
            let [[_, n, _], [west, here, e], [_, s, _]] = reference.near;
            let level = here == west && here == e && here == n && here == s;
            1 + usize::from(level) + if here == w { 2 } else { 0 }
        });
        let context = reference * 8
            + usize::from(around.nn == w) * 4
            + usize::from(around.far[0] == w) * 2
            + usize::from(around.www == w)
            + if w == 0.0 { 64 } else { 0 };
        Some(Self { value: w, context })
    }

    /// That the sample is the reference's, where the five nearest are. `was_right`: so is what was predicted around.
    #[inline(always)]
    pub(super) fn repeated(around: &Neighbours, beneath: &Beneath, was_right: bool) -> Option<Self> {
        if !beneath.repeats(around) {
            return None;
        }
        let [[_, n, _], [_, here, e], _] = beneath.near;
        let context = usize::from(around.nee == beneath.nee)
            + 2 * usize::from(around.nn == n)
            + 4 * usize::from(here == around.w)
            + 8 * usize::from(here == e)
            + 16 * usize::from(here == around.n)
            + 32 * usize::from(was_right);
        Some(Self { value: here, context: FLAT + context })
    }

    /// That the sample is what followed the same neighbourhood before; `context` is below [`FOLLOWED`].
    #[inline(always)]
    pub(super) fn followed(value: f32, context: usize) -> Self {
        Self { value, context: FLAT + REPEATED + context }
    }
}

impl Claims {
    pub(super) fn new() -> Self {
        let flat = vec![Counter::at(FLAT_FIRST, 0); FLAT];
        let others = vec![Counter::EVEN; REPEATED + FOLLOWED];
        Self { counters: [flat, others].concat(), rates: Rates::new() }
    }

    /// What is decided of a claim: `None` where it is too unsure to be put.
    #[inline(always)]
    pub(super) fn put<C: Coder>(&self, coder: &mut C, claim: Claim, truth: f32) -> Option<bool> {
        let probability = self.counters[claim.context].probability();
        (probability >= SURE).then(|| coder.bit(truth == claim.value, probability))
    }

    /// Whether such a claim is right more often than not.
    #[inline(always)]
    pub(super) fn is_likely(&self, claim: Claim) -> bool {
        self.counters[claim.context].probability() >= 1 << 15
    }

    /// The sample turned out to be `found`.
    #[inline(always)]
    pub(super) fn learn(&mut self, claim: Claim, found: f32) {
        self.rates.learn(&mut self.counters[claim.context], found == claim.value, LIMIT);
    }
}
