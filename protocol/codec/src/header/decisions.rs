//! The arithmetic coder: every choice of the model, taken bit by bit, as one number between 0 and 1.
//!
//! A header that costs 60 bytes instead of 170 is a slice that is on the hub sooner. Rule: whoever writes and whoever
//! reads runs the same model over the same choices, so the two can't drift apart; only what becomes of a choice
//! differs: [`Writing`] takes it from the header, [`Reading`] from the stream, [`Rehearsing`] only lets the model learn.
//! Carry-less binary arithmetic coding with 32-bit bounds (Witten, Neal, Cleary 1987; as in M. Mahoney's lpaq).

/// What becomes of a binary choice.
pub(super) trait Decisions {
    /// Settles one choice. `bit` is the true one where it is known, `one` the probability of a 1 in 1/65536.
    fn decide(&mut self, bit: u32, one: u16) -> u32;
}

/// Bounds of the number so far; the bytes in which both agree are already settled.
#[derive(Clone, Copy)]
struct Interval {
    low: u32,
    high: u32,
}

impl Interval {
    const WHOLE: Self = Self { low: 0, high: u32::MAX };

    /// The last value that stands for a 1.
    const fn split(self, one: u16) -> u32 {
        let width = self.high - self.low;
        // A probability of 0 or 1 would leave no room for the other choice.
        let one = if one == 0 { 1 } else { one as u64 };
        self.low + ((width as u64 * one) >> 16) as u32
    }

    const fn take(&mut self, bit: u32, split: u32) {
        if bit == 1 {
            self.high = split;
        } else {
            self.low = split + 1;
        }
    }

    /// Drops the first byte if both bounds agree in it.
    const fn settled(&mut self) -> Option<u8> {
        if (self.low ^ self.high) >> 24 != 0 {
            return None;
        }
        let byte = (self.high >> 24) as u8;
        self.low <<= 8;
        self.high = self.high << 8 | 0xFF;
        Some(byte)
    }
}

/// Codes choices into bytes.
pub(super) struct Writing {
    interval: Interval,
    coded: Vec<u8>,
}

impl Writing {
    pub(super) const fn new() -> Self {
        Self { interval: Interval::WHOLE, coded: Vec::new() }
    }

    /// The bytes, the fewest that stay inside the interval when zeros follow them.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let Interval { low, high } = self.interval;
        for bytes in 0..=4_u32 {
            let step = 1_u64 << (32 - 8 * bytes);
            let value = u64::from(low).next_multiple_of(step);
            if value <= u64::from(high) {
                self.coded.extend(&(value as u32).to_be_bytes()[..bytes as usize]);
                break;
            }
        }
        while self.coded.last() == Some(&0) {
            self.coded.pop();
        }
        self.coded
    }
}

impl Decisions for Writing {
    fn decide(&mut self, bit: u32, one: u16) -> u32 {
        let split = self.interval.split(one);
        self.interval.take(bit, split);
        while let Some(byte) = self.interval.settled() {
            self.coded.push(byte);
        }
        bit
    }
}

/// Reads choices from bytes; after the last of them come zeros without end.
pub(super) struct Reading<'c> {
    interval: Interval,
    value: u32,
    coded: std::slice::Iter<'c, u8>,
}

impl<'c> Reading<'c> {
    pub(super) fn new(coded: &'c [u8]) -> Self {
        let mut reading = Self { interval: Interval::WHOLE, value: 0, coded: coded.iter() };
        for _ in 0..4 {
            reading.shift();
        }
        reading
    }

    fn shift(&mut self) {
        self.value = self.value << 8 | u32::from(self.coded.next().copied().unwrap_or(0));
    }
}

impl Decisions for Reading<'_> {
    fn decide(&mut self, _bit: u32, one: u16) -> u32 {
        let split = self.interval.split(one);
        let bit = u32::from(self.value <= split);
        self.interval.take(bit, split);
        while self.interval.settled().is_some() {
            self.shift();
        }
        bit
    }
}

/// Codes nothing: the model reads the dictionary.
pub(super) struct Rehearsing;

impl Decisions for Rehearsing {
    fn decide(&mut self, bit: u32, _one: u16) -> u32 {
        bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_comes_back_whatever_its_probability() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let choices: Vec<(u32, u16)> = (0..20_000)
            .map(|turn| {
                let one = match turn % 5 {
                    0 => 0,
                    1 => u16::MAX,
                    2 => 1,
                    _ => random() as u16,
                };
                (u32::from(random() as u16 <= one), one)
            })
            .chain([(1, 0), (0, u16::MAX), (0, u16::MAX)])
            .collect();
        for count in [0, 1, 2, 3, 100, choices.len()] {
            let mut writing = Writing::new();
            for (bit, one) in &choices[..count] {
                writing.decide(*bit, *one);
            }
            let coded = writing.finish();
            let mut reading = Reading::new(&coded);
            for (bit, one) in &choices[..count] {
                assert_eq!(reading.decide(7, *one), *bit);
            }
        }
    }

    #[test]
    fn a_thousand_foregone_choices_cost_no_more_than_a_byte() {
        let mut writing = Writing::new();
        for _ in 0..1000 {
            writing.decide(1, u16::MAX);
        }
        assert!(writing.finish().len() <= 1);
    }
}
