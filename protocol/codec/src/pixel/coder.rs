//! Binary arithmetic coder: one decision at a probability of 16 bits, in as few bytes as that probability allows.
//!
//! Carryless, after Mahoney's lpaq: the coder keeps an interval of 64-bit numbers and gives a byte out as soon as
//! both ends agree on it, so there is nothing to propagate and the decoder mirrors it step by step. Because encoder and
//! decoder share [`Coder`], a model is written once and can't code otherwise than it decodes.

/// Probability of a one in 65,536ths, 1 to 65,535.
pub(super) type Probability = u32;

/// One direction of coding.
pub(super) trait Coder {
    /// Whether the decisions are given (coding) or asked for (decoding).
    const ENCODES: bool;

    /// Codes `bit` with the probability `p1` that it is 1; a decoder ignores `bit`. Returns the bit.
    fn bit(&mut self, bit: bool, p1: Probability) -> bool;
}

/// The ends of the interval that all decisions so far leave, both inside it.
struct Interval {
    low: u64,
    high: u64,
}

impl Interval {
    const WHOLE: Self = Self { low: 0, high: u64::MAX };

    /// The last value that means "one".
    #[inline(always)]
    fn split(&self, p1: Probability) -> u64 {
        debug_assert!((1..=65_535).contains(&p1), "both decisions stay possible");
        self.low + ((self.high - self.low) >> 16) * u64::from(p1)
    }

    #[inline(always)]
    fn narrow(&mut self, bit: bool, split: u64) {
        if bit {
            self.high = split;
        } else {
            self.low = split + 1;
        }
    }

    /// The first byte, once both ends agree on it.
    #[inline(always)]
    fn settled(&self) -> Option<u8> {
        ((self.low ^ self.high) >> 56 == 0).then_some((self.high >> 56) as u8)
    }

    #[inline(always)]
    fn shift(&mut self) {
        self.low <<= 8;
        self.high = (self.high << 8) | 0xFF;
    }
}

/// Codes decisions into bytes.
pub(super) struct Encoder {
    interval: Interval,
    out: Vec<u8>,
}

impl Encoder {
    pub(super) const fn new() -> Self {
        Self { interval: Interval::WHOLE, out: Vec::new() }
    }

    /// Ends the run of decisions: the fewest bytes that a decoder, which reads zeros after them, still takes for it.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let Interval { low, high } = self.interval;
        for bytes in 0..8 {
            let kept = if bytes == 0 { 0 } else { u64::MAX << (64 - 8 * bytes) };
            let value = high & kept;
            if value >= low {
                self.out.extend_from_slice(&value.to_be_bytes()[..bytes]);
                while self.out.last() == Some(&0) {
                    self.out.pop();
                }
                return self.out;
            }
        }
        self.out.extend_from_slice(&high.to_be_bytes());
        self.out
    }
}

impl Coder for Encoder {
    const ENCODES: bool = true;

    #[inline(always)]
    fn bit(&mut self, bit: bool, p1: Probability) -> bool {
        let split = self.interval.split(p1);
        self.interval.narrow(bit, split);
        while let Some(byte) = self.interval.settled() {
            self.out.push(byte);
            self.interval.shift();
        }
        bit
    }
}

/// Decodes them. Past the end of its bytes it reads zeros, so it never fails: hashes say whether what came out is right.
pub(super) struct Decoder<'a> {
    interval: Interval,
    value: u64,
    left: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(super) fn new(coded: &'a [u8]) -> Self {
        let mut decoder = Self { interval: Interval::WHOLE, value: 0, left: coded };
        for _ in 0..8 {
            decoder.take();
        }
        decoder
    }

    #[inline(always)]
    fn take(&mut self) {
        let byte = match self.left {
            [byte, left @ ..] => {
                self.left = left;
                *byte
            }
            [] => 0,
        };
        self.value = (self.value << 8) | u64::from(byte);
    }
}

impl Coder for Decoder<'_> {
    const ENCODES: bool = false;

    #[inline(always)]
    fn bit(&mut self, _bit: bool, p1: Probability) -> bool {
        let split = self.interval.split(p1);
        let bit = self.value <= split;
        self.interval.narrow(bit, split);
        while self.interval.settled().is_some() {
            self.interval.shift();
            self.take();
        }
        bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_coded_is_decoded(decisions in proptest::collection::vec((any::<bool>(), 1_u32..65_536), 0..2000)) {
            let mut encoder = Encoder::new();
            for (bit, p1) in &decisions {
                encoder.bit(*bit, *p1);
            }
            let coded = encoder.finish();
            let mut decoder = Decoder::new(&coded);
            for (bit, p1) in &decisions {
                prop_assert_eq!(decoder.bit(false, *p1), *bit);
            }
        }
    }

    #[test]
    fn a_thousand_likely_decisions_cost_two_bytes() {
        let mut encoder = Encoder::new();
        for _ in 0..1000 {
            encoder.bit(true, 65_500);
        }
        assert!(encoder.finish().len() <= 2);
    }
}
