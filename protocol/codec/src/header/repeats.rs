//! The choice "as before": one bit that settles an element, a value or a block of a long value.
//!
//! Of the two hundred elements of a CT slice's header some ten differ from the slice before. Asking about each whole
//! element first makes the others cost a few thousandths of a bit each, and no more time than copying them.

use super::{
    contexts::remember,
    decisions::Decisions,
    mixing::{Adaptive, Curve, Mixer, Shares, WEIGHT_ONE},
};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The whole element, against the one that followed here before.
    Element,
    /// The value, against the slot's before.
    Above,
    /// The value, against the linked one.
    Linked,
    /// The value, against its forecast.
    Forecast,
    /// The value, against its column's last.
    Column,
    /// Some bytes of a long value, against those that stood there before.
    Block,
    /// A few bytes of such a block that differs.
    Few,
    /// Some bytes of a long value, against those that followed the last ones before.
    Matched,
}

const ASKED: usize = 8;
/// The contexts of a choice, and a constant.
const OPINIONS: usize = 5;
const COUNTERS_BITS: u32 = 14;
const COUNT_MAX: u32 = 250;

/// What is known of such choices.
#[derive(Debug, Clone)]
pub(super) struct Repeats {
    counters: Vec<Adaptive>,
    mixer: Mixer,
    /// The last choices, the newest lowest.
    last: u8,
}

impl Repeats {
    pub(super) fn new() -> Self {
        Self {
            counters: vec![Adaptive::NEW; 1 << COUNTERS_BITS],
            mixer: Mixer::new(OPINIONS, ASKED * 4, 10, WEIGHT_ONE / 4),
            last: 0,
        }
    }

    /// Settles a choice about an element of `column`, whose earlier `outcomes` are brought up to date.
    pub(super) fn decide(
        &mut self,
        decisions: &mut impl Decisions,
        (asked, column, outcomes): (Asked, u64, &mut u8),
        is_so: bool,
        (curve, shares): (&Curve, &Shares),
    ) -> bool {
        let kind = asked as usize;
        let contexts = [u64::from(*outcomes), column, column ^ u64::from(*outcomes & 3) << 32, u64::from(self.last)];
        let mut places = [0; OPINIONS - 1];
        for (index, (place, context)) in places.iter_mut().zip(contexts).enumerate() {
            let hash = (context ^ (index as u64) << 40 ^ (kind as u64) << 48).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            *place = (hash >> (64 - COUNTERS_BITS)) as usize;
        }
        let mut opinions = [256; OPINIONS];
        for (opinion, place) in opinions.iter_mut().zip(places) {
            *opinion = curve.stretch(self.counters[place].p());
        }
        let mixed = self.mixer.mix(&opinions, kind * 4 + usize::from(self.last & 3), curve);
        let bit = decisions.decide(u32::from(is_so), curve.squash(mixed));
        self.mixer.learn(&opinions, bit);
        for place in places {
            self.counters[place].learn(bit, COUNT_MAX, shares);
        }
        self.last = self.last << 1 | bit as u8;
        if !matches!(asked, Asked::Column | Asked::Block | Asked::Few | Asked::Matched) {
            *outcomes = remember(*outcomes, bit);
        }
        bit == 1
    }
}
