//! The values that occur, closed up: a picture of 300 shades among 65,536 is one of 300 values in a row.
//!
//! Rescaled, windowed and multiplied pictures use few of the values that their bits allow, and every gap costs bytes
//! at each sample. Which values occur is sent once (adaptive, with the last 12 as context) and the samples become
//! ranks; where nearly all values occur only the least is taken off (histogram packing, Pinho 2002).

use super::{
    coder::Coder,
    counter::{Counter, Rates},
};

/// Which of the values 0 to 65,535 occur.
#[derive(Clone)]
pub(crate) struct Occurring {
    words: Vec<u64>,
}

impl Occurring {
    pub(crate) fn new() -> Self {
        Self { words: vec![0; 1024] }
    }

    pub(crate) fn add(&mut self, samples: &[u16]) {
        for sample in samples {
            self.words[usize::from(*sample >> 6)] |= 1 << (sample & 63);
        }
    }

    fn has(&self, value: u16) -> bool {
        self.words[usize::from(value >> 6)] >> (value & 63) & 1 == 1
    }

    fn values(&self) -> Vec<u16> {
        (0..=u16::MAX).filter(|value| self.has(*value)).collect()
    }
}

/// How samples become small numbers from 0 on, and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ranks {
    /// The least value is taken off.
    Offset { least: u16, greatest: u16 },
    /// The place among those that occur.
    Packed { values: Vec<u16> },
}

/// Values are packed where fewer than this share of the range occurs.
const PACKED_BELOW: f32 = 0.8;
/// Decisions after which a counter of the list moves no slower.
const LIMIT: u32 = 250;

impl Ranks {
    /// For `samples` samples in which these values occur.
    pub(crate) fn of(occurring: &Occurring, samples: u64) -> Self {
        let values = occurring.values();
        let (least, greatest) = (values.first().copied().unwrap_or(0), values.last().copied().unwrap_or(0));
        let range = f32::from(greatest - least) + 1.0;
        let is_sparse = (values.len() as f32) < PACKED_BELOW * range && values.len() as u64 * 10 < samples;
        if is_sparse { Self::Packed { values } } else { Self::Offset { least, greatest } }
    }

    /// The greatest rank.
    pub(crate) fn greatest(&self) -> u16 {
        match self {
            Self::Offset { least, greatest } => greatest - least,
            Self::Packed { values } => (values.len() - 1) as u16,
        }
    }

    /// Codes the ranks, or decodes them where none are given. `None` for what no encoder writes.
    pub(super) fn code<C: Coder>(coder: &mut C, ranks: Option<&Self>) -> Option<Self> {
        let mut word = |value: u16| {
            (0..16).rev().fold(0, |word, bit| word << 1 | u16::from(coder.bit(value >> bit & 1 == 1, 1 << 15)))
        };
        let (given_least, given_greatest, packed) = match ranks {
            Some(Self::Offset { least, greatest }) => (*least, *greatest, false),
            Some(Self::Packed { values }) => (*values.first()?, *values.last()?, true),
            None => (0, 0, false),
        };
        let (least, greatest) = (word(given_least), word(given_greatest));
        if greatest < least {
            return None;
        }
        if !coder.bit(packed, 1 << 15) {
            return Some(Self::Offset { least, greatest });
        }
        let given: &[u16] = match ranks {
            Some(Self::Packed { values }) => values,
            _ => &[],
        };
        let rates = Rates::new();
        let mut counters = vec![Counter::EVEN; 4096];
        let (mut history, mut next, mut values) = (0, 0, Vec::new());
        for value in least..=greatest {
            let occurs = given.get(next) == Some(&value);
            let counter: &mut Counter = &mut counters[history];
            let bit = coder.bit(occurs, counter.probability());
            rates.learn(counter, bit, LIMIT);
            history = (history << 1 | usize::from(bit)) & 4095;
            if occurs {
                next += 1;
            }
            if bit {
                values.push(value);
            }
        }
        (!values.is_empty()).then_some(Self::Packed { values })
    }

    /// Turns samples into ranks; every one of them occurs.
    pub(super) fn rank(&self, samples: &mut [u16]) {
        match self {
            Self::Offset { least, .. } => samples.iter_mut().for_each(|sample| *sample -= least),
            Self::Packed { values } => {
                let mut ranks = vec![0; 1 << 16];
                for (rank, value) in values.iter().enumerate() {
                    ranks[usize::from(*value)] = rank as u16;
                }
                samples.iter_mut().for_each(|sample| *sample = ranks[usize::from(*sample)]);
            }
        }
    }

    /// Turns ranks, none over the greatest, back into samples.
    pub(super) fn unrank(&self, ranks: &mut [u16]) {
        match self {
            Self::Offset { least, .. } => ranks.iter_mut().for_each(|rank| *rank += least),
            Self::Packed { values } => ranks.iter_mut().for_each(|rank| *rank = values[usize::from(*rank)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::coder::{Decoder, Encoder},
        *,
    };
    use proptest::prelude::*;

    fn ranks_of(samples: &[u16]) -> Ranks {
        let mut occurring = Occurring::new();
        occurring.add(samples);
        Ranks::of(&occurring, samples.len() as u64)
    }

    proptest! {
        #[test]
        fn ranks_travel_and_give_the_samples_back(values in proptest::collection::vec(any::<u16>(), 1..40), repeat in 1_usize..40) {
            let samples = values.repeat(repeat);
            let ranks = ranks_of(&samples);
            let mut encoder = Encoder::new();
            Ranks::code(&mut encoder, Some(&ranks));
            let coded = encoder.finish();
            let travelled = Ranks::code(&mut Decoder::new(&coded), None).unwrap();
            prop_assert_eq!(&travelled, &ranks);
            let mut there = samples.clone();
            ranks.rank(&mut there);
            prop_assert!(there.iter().all(|rank| *rank <= ranks.greatest()));
            travelled.unrank(&mut there);
            prop_assert_eq!(there, samples);
        }
    }

    #[test]
    fn every_eighth_value_is_packed_and_a_dense_range_only_moved() {
        let sparse: Vec<u16> = (0..4000).map(|sample| sample % 300 * 8).collect();
        assert_eq!(ranks_of(&sparse).greatest(), 299);
        let dense: Vec<u16> = (0..4000).map(|sample| 1000 + sample % 300).collect();
        assert_eq!(ranks_of(&dense), Ranks::Offset { least: 1000, greatest: 1299 });
    }
}
