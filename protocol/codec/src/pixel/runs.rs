//! Flat places and repeated ones: air, padding, a still background, a grey picture stored as colour.
//!
//! Where the nearest samples are all the same, or all the same as the reference's, one decision says that the next is
//! too, for about 0.002 bits, and all else is skipped (run mode of LOCO-I, ITU-T T.87 A.7, without its run lengths).

use super::{
    coder::Coder,
    counter::{Counter, Rates},
    neighbours::{Beneath, Neighbours},
};

/// Decisions after which a counter moves no slower.
const LIMIT: u32 = 1000;

pub(super) struct Runs {
    flat: [Counter; 128],
    repeated: [Counter; 64],
    rates: Rates,
}

impl Runs {
    pub(super) fn new() -> Self {
        Self { flat: [Counter::EVEN; 128], repeated: [Counter::EVEN; 64], rates: Rates::new() }
    }

    /// Whether the sample is the one to the left, where all around are.
    #[inline(always)]
    pub(super) fn flat<C: Coder>(
        &mut self,
        coder: &mut C,
        around: &Neighbours,
        beneath: Option<&Beneath>,
        is: bool,
    ) -> bool {
        let w = around.w;
        let reference = beneath.map_or(0, |reference| {
            let [[_, n, _], [west, here, e], [_, s, _]] = reference.near;
            let level = here == west && here == e && here == n && here == s;
            1 + usize::from(level) + if here == w { 2 } else { 0 }
        });
        let context = reference * 8
            + usize::from(around.nn == w) * 4
            + usize::from(around.far[0] == w) * 2
            + usize::from(around.www == w)
            + if w == 0.0 { 64 } else { 0 };
        decide(&mut self.flat[context], &self.rates, coder, is)
    }

    /// Whether the sample is the reference's, where all around are.
    #[inline(always)]
    pub(super) fn repeated<C: Coder>(
        &mut self,
        coder: &mut C,
        around: &Neighbours,
        beneath: &Beneath,
        was_right: bool,
        is: bool,
    ) -> bool {
        let [[_, n, _], [_, here, e], _] = beneath.near;
        let context = usize::from(around.nee == beneath.nee)
            + 2 * usize::from(around.nn == n)
            + 4 * usize::from(here == around.w)
            + 8 * usize::from(here == e)
            + 16 * usize::from(here == around.n)
            + 32 * usize::from(was_right);
        decide(&mut self.repeated[context], &self.rates, coder, is)
    }
}

#[inline(always)]
fn decide<C: Coder>(counter: &mut Counter, rates: &Rates, coder: &mut C, is: bool) -> bool {
    let bit = coder.bit(is, counter.probability());
    rates.learn(counter, bit, LIMIT);
    bit
}
