//! A sample as a few binary decisions around its prediction.
//!
//! First the side it lies on, then how far in steps of 2^k (unary, as Golomb 1966 and LOCO-I; wider from the seventh
//! step on), then its place inside the step by halving. k follows the expected error, so that a sample takes about six
//! decisions in the dark and in the noise alike. How likely each is, a [`Judge`] says.

use super::{coder::Coder, seen::Candidates};

/// Where the decisions of a sample start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// What is predicted, and how far off that is expected to be.
    pub(super) prediction: f32,
    pub(super) spread: f32,
    /// The first value of the upper side.
    pub(super) centre: i32,
    /// Bits of a step.
    pub(super) step_bits: u32,
    /// The greatest value there is.
    pub(super) greatest: i32,
}

/// Which decision of a sample it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// Whether its value is at least the centre.
    Upper,
    /// Whether it lies further out than one more step.
    Further { upper: usize, steps: usize },
    /// Whether it lies in the outer half of what is left after `steps` and `depth` halvings, which is less far than
    /// `end`; `second`: in the outer half of its step.
    Outer { upper: usize, steps: usize, depth: usize, second: usize, end: i32 },
}

/// Says how likely each decision is, and learns from it.
pub(super) trait Judge<C: Coder> {
    /// Codes or decodes whether the value ([`Question::Upper`]), or else its distance, is at least `threshold`.
    fn decide(&mut self, coder: &mut C, question: Question, threshold: i32, candidates: &Candidates, bit: bool)
    -> bool;
}

/// Steps after which they grow.
pub(super) const EVEN_STEPS: usize = 6;
/// A step's width against the expected error, at least; at most twice that.
const STEP: f32 = 0.7;
pub(super) const STEP_BITS_MAX: u32 = 12;

/// Bits of a step for this expected error: 2 to their power is the first that is not below.
#[inline(always)]
pub(super) fn step_bits(spread: f32) -> u32 {
    const ONE: u32 = 1.0_f32.to_bits();
    let step = (spread * STEP).to_bits();
    if step <= ONE { 0 } else { (((step - ONE - 1) >> (f32::MANTISSA_DIGITS - 1)) + 1).min(STEP_BITS_MAX) }
}

impl Frame {
    #[inline(always)]
    pub(super) fn new(prediction: f32, spread: f32, greatest: u16) -> Self {
        let greatest = i32::from(greatest);
        let centre = (prediction as i32 + 1).min(greatest.max(1));
        Self { prediction, spread, centre, step_bits: step_bits(spread), greatest }
    }

    /// Difference to the centre in quarters of a step, within a limit on either side; 0 is furthest below.
    #[inline(always)]
    pub(super) fn near(&self, value: f32, limit: i32) -> u32 {
        let quarters = ((value - self.centre as f32) as i32) >> self.quarter_bits();
        (quarters.clamp(-limit, limit) + limit) as u32
    }

    /// The centre in quarters of a step.
    #[inline(always)]
    pub(super) fn value(&self) -> u32 {
        self.centre as u32 >> self.quarter_bits()
    }

    #[inline(always)]
    fn quarter_bits(&self) -> u32 {
        self.step_bits.saturating_sub(2)
    }

    /// Codes `sample`, or decodes and returns it.
    #[inline(always)]
    pub(super) fn code<C: Coder>(
        &self,
        coder: &mut C,
        judge: &mut impl Judge<C>,
        mut candidates: Candidates,
        sample: i32,
    ) -> i32 {
        let Self { centre, step_bits, greatest, .. } = *self;
        candidates.ask(|value| value >= centre);
        let is_upper = judge.decide(coder, Question::Upper, centre, &candidates, sample >= centre);
        candidates.told(is_upper);
        candidates.turn(centre, is_upper);

        // From here on distances count outwards from the edge between the sides.
        let upper = usize::from(is_upper);
        let furthest = if is_upper { greatest - centre } else { centre - 1 };
        let distance = if is_upper { sample - centre } else { centre - 1 - sample };
        let (mut low, mut width, mut steps) = (0, 1 << step_bits, 0_usize);
        while low + width <= furthest {
            let next = low + width;
            candidates.ask(|value| value >= next);
            let is_further =
                judge.decide(coder, Question::Further { upper, steps }, next, &candidates, distance >= next);
            candidates.told(is_further);
            if !is_further {
                break;
            }
            low = next;
            steps += 1;
            if steps >= EVEN_STEPS {
                width *= 2;
            }
        }

        let mut high = (low + width - 1).min(furthest);
        let mut depth = 0;
        while low < high {
            let middle = (low + high + 1) >> 1;
            let second = usize::from(low & (width >> 1) != 0);
            candidates.ask(|value| value >= middle);
            let question = Question::Outer { upper, steps, depth, second, end: high + 1 };
            let is_outer = judge.decide(coder, question, middle, &candidates, distance >= middle);
            candidates.told(is_outer);
            if is_outer {
                low = middle;
            } else {
                high = middle - 1;
            }
            depth += 1;
        }
        if is_upper { centre + low } else { centre - 1 - low }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::coder::{Decoder, Encoder},
        *,
    };

    /// Thinks every decision even.
    struct Even;

    impl<C: Coder> Judge<C> for Even {
        fn decide(&mut self, coder: &mut C, _: Question, _: i32, _: &Candidates, bit: bool) -> bool {
            coder.bit(bit, 1 << 15)
        }
    }

    #[test]
    fn every_sample_comes_back_whatever_was_predicted() {
        for greatest in [1, 2, 255, 65_535] {
            for (prediction, spread) in [(0.0, 0.02), (100.4, 3.0), (254.9, 1.0), (65_535.0, 20_000.0)] {
                let frame = Frame::new(f32::min(prediction, f32::from(greatest)), spread, greatest);
                let samples = || (0..=greatest).step_by(1 + usize::from(greatest) / 300).map(i32::from);
                let mut encoder = Encoder::new();
                for sample in samples() {
                    frame.code(&mut encoder, &mut Even, Candidates::NONE, sample);
                }
                let coded = encoder.finish();
                let mut decoder = Decoder::new(&coded);
                for sample in samples() {
                    assert_eq!(frame.code(&mut decoder, &mut Even, Candidates::NONE, 0), sample);
                }
            }
        }
    }

    #[test]
    fn a_step_is_the_power_of_two_that_the_expected_error_asks_for() {
        let bits = [0.02, 1.4, 1.44, 2.8, 2.9, 1e6].map(step_bits);
        assert_eq!(bits, [0, 0, 1, 1, 2, STEP_BITS_MAX]);
    }
}
