//! Golomb codes of limited length (T.87 A.5.3) and run lengths (A.7.1), read or written.
//!
//! A value m with parameter k is its upper bits in unary and its k low bits; where the unary part would pass the
//! limit, a full row of zeros announces the value written out whole.

use super::super::{
    bits::{BitReader, BitWriter, Pad, ZeroBit},
    jpeg::Padding,
};

/// Bits of a run code's remainder, by the run index (T.87 A.7.1.1, J).
pub(super) const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// How long a value's code may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// Bits of the whole code.
    pub(super) bits: u32,
    /// Bits of a value written out whole.
    pub(super) value_bits: u32,
}

/// The coded side: tells the next value, or is told it.
pub(super) trait Codes {
    /// A mapped error. `known` gives it where samples are known already.
    fn value(&mut self, k: u32, limit: Limit, known: impl FnOnce() -> u32) -> u32;

    /// The length of a run of at most `left` samples. `known` gives it where samples are known already; the run
    /// index follows.
    fn run(&mut self, index: &mut usize, left: usize, known: impl FnOnce() -> usize) -> usize;
}

/// Reads codes.
pub(super) struct Telling<'b> {
    bits: BitReader<'b, ZeroBit>,
}

impl<'b> Telling<'b> {
    pub(super) fn new(data: &'b [u8]) -> Self {
        Self { bits: BitReader::new(data) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.bits.is_over()
    }

    pub(super) fn align(mut self) -> Option<(usize, Pad)> {
        self.bits.align()
    }
}

impl Codes for Telling<'_> {
    #[inline(always)]
    fn value(&mut self, k: u32, limit: Limit, _: impl FnOnce() -> u32) -> u32 {
        let whole = limit.bits - limit.value_bits - 1;
        self.bits.fill();
        let zeros = self.bits.peek().leading_zeros();
        if zeros < whole {
            self.bits.skip(zeros + 1);
            if zeros + 1 + k > super::super::bits::FILLED_BITS {
                self.bits.fill();
            }
            // Only a damaged stream has so large a value, and then it is no longer of interest.
            u32::try_from(u64::from(zeros) << k).unwrap_or(u32::MAX) | self.bits.take(k)
        } else {
            self.bits.skip(whole + 1);
            self.bits.fill();
            self.bits.take(limit.value_bits).wrapping_add(1)
        }
    }

    #[inline(always)]
    fn run(&mut self, index: &mut usize, left: usize, _: impl FnOnce() -> usize) -> usize {
        let mut length = 0;
        loop {
            self.bits.fill();
            if self.bits.take(1) == 0 {
                return (length + self.bits.take(RUN_BITS[*index]) as usize).min(left);
            }
            let step = 1 << RUN_BITS[*index];
            length += step;
            if length <= left {
                *index = (*index + 1).min(RUN_BITS.len() - 1);
            }
            if length >= left {
                return left;
            }
        }
    }
}

/// Writes codes.
pub(super) struct Told {
    bits: BitWriter<ZeroBit>,
}

impl Told {
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self { bits: BitWriter::new(out) }
    }

    pub(super) fn written(&self) -> &[u8] {
        &self.bits.out
    }

    pub(super) fn align(mut self, padding: &Padding) -> Option<Vec<u8>> {
        self.bits.align(|_| padding.value(0))?;
        Some(self.bits.out)
    }
}

impl Codes for Told {
    #[inline(always)]
    fn value(&mut self, k: u32, limit: Limit, known: impl FnOnce() -> u32) -> u32 {
        let value = known();
        let whole = limit.bits - limit.value_bits - 1;
        let zeros = value >> k;
        let low = value & ((1 << k) - 1);
        if zeros < whole {
            if zeros + 1 + k <= 32 {
                self.bits.put(1 << k | low, zeros + 1 + k);
            } else {
                self.zeros(zeros);
                self.bits.put(1, 1);
                self.bits.put(low, k);
            }
        } else {
            self.zeros(whole);
            self.bits.put(1, 1);
            self.bits.put(value.wrapping_sub(1) & ((1 << limit.value_bits) - 1), limit.value_bits);
        }
        value
    }

    #[inline(always)]
    fn run(&mut self, index: &mut usize, left: usize, known: impl FnOnce() -> usize) -> usize {
        let length = known();
        let mut rest = length;
        while rest >= 1 << RUN_BITS[*index] {
            self.bits.put(1, 1);
            rest -= 1 << RUN_BITS[*index];
            *index = (*index + 1).min(RUN_BITS.len() - 1);
        }
        if length < left {
            // A zero ends the run, then what is left of it.
            self.bits.put(rest as u32, 1 + RUN_BITS[*index]);
        } else if rest > 0 {
            self.bits.put(1, 1);
        }
        length
    }
}

impl Told {
    fn zeros(&mut self, mut count: u32) {
        while count > 0 {
            let now = count.min(32);
            self.bits.put(0, now);
            count -= now;
        }
    }
}
