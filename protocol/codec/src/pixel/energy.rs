//! How far off the prediction is likely to be: the context that decides the bytes.
//!
//! Medical pictures are mostly noise of a known size. The errors around the sample give its level on a logarithmic
//! scale (CALIC's error energy, Wu and Memon 1997); tables of what errors were found at that level, and at that level
//! with this gradient or this level of a wider neighbourhood, turn it into the mean absolute error to expect.

use super::{
    float::{max, min},
    rows::{MARGIN, Rows},
};

/// Levels of the error energy: four an octave, 24 octaves.
pub(super) const LEVELS: usize = 96;
/// Levels of the gradient: two an octave.
const GRADIENTS: usize = 48;

/// What is known of the errors to expect for one sample.
pub(super) struct Energy {
    /// Weighted mean of the absolute errors around.
    pub(super) mean: f32,
    /// Its level.
    pub(super) level: usize,
    /// The gradient around and its level.
    gradient: f32,
    gradient_level: usize,
    /// Level of the errors over a wide neighbourhood.
    pub(super) wide: usize,
}

/// Level of a magnitude, 2 to the power `STEPS` an octave from 1/16 on, evenly inside an octave: the upper bits of a
/// binary32 number.
#[inline(always)]
pub(super) fn level<const STEPS: u32>(magnitude: f32, levels: usize) -> usize {
    const LEAST: f32 = 0.0625;
    let shift = f32::MANTISSA_DIGITS - 1 - STEPS;
    let above = ((magnitude + LEAST).to_bits() >> shift).saturating_sub(LEAST.to_bits() >> shift);
    (above as usize).min(levels - 1)
}

impl Energy {
    /// `errors` are the absolute errors of the final prediction around the sample.
    #[inline(always)]
    pub(super) fn gather(errors: &Rows<3>, column: usize, gradient: f32, wide: f32) -> Self {
        let at = column + MARGIN;
        let (here, up, up2) = (errors.row(0), errors.row(1), errors.row(2));
        let mean = (here[at - 1] * 2.0
            + up[at] * 2.0
            + up[at - 1]
            + up[at + 1]
            + here[at - 2] * 0.5
            + up2[at] * 0.5
            + up[at + 2] * 0.5)
            * (1.0 / 7.5);
        Self {
            mean,
            level: level::<2>(mean, LEVELS),
            gradient,
            gradient_level: level::<1>(gradient, GRADIENTS),
            wide: level::<2>(wide, LEVELS),
        }
    }

    /// What to assume where nothing was found yet.
    #[inline(always)]
    pub(super) fn guess(&self) -> f32 {
        self.mean * 0.7 + 0.15
    }

    /// Weight of a sample for the predictors: what lies in noise or on an edge says less.
    #[inline(always)]
    pub(super) fn weight(&self) -> f32 {
        1.0 / (self.mean * self.mean + self.gradient * self.gradient * 0.05 + 20.0)
    }
}

/// A mean absolute error as found so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found(f32);

impl Found {
    /// None was.
    pub(super) const NOTHING: Self = Self(-1.0);

    #[inline(always)]
    pub(super) fn or(self, other: f32) -> f32 {
        if self.0 < 0.0 { other } else { self.0 }
    }

    /// One more, of this size; `guess` is what was assumed before the first.
    #[inline(always)]
    pub(super) fn learn(&mut self, missed: f32, rate: f32, guess: f32) {
        self.0 = if self.0 < 0.0 { missed * 0.5 + guess * 0.5 } else { self.0 + (missed - self.0) * rate };
    }
}

/// How fast the mean error of a level follows, and that of a level with a second quantity.
pub(super) const RATE_LEVEL: f32 = 0.005;
const RATE_PAIR: f32 = 0.02;

/// Mean absolute errors of the final prediction.
pub(super) struct Scales {
    by_level: Vec<Found>,
    by_gradient: Vec<Found>,
    /// By half the level and the level of the wide neighbourhood.
    by_wide: Vec<Found>,
}

/// The mean absolute errors to expect: by level and gradient; by level and wide level; by all three.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) gradient: f32,
    pub(super) wide: f32,
    pub(super) joint: f32,
}

impl Scales {
    pub(super) fn new() -> Self {
        Self {
            by_level: vec![Found::NOTHING; LEVELS],
            by_gradient: vec![Found::NOTHING; LEVELS * GRADIENTS],
            by_wide: vec![Found::NOTHING; LEVELS.div_ceil(2) * LEVELS],
        }
    }

    #[inline(always)]
    pub(super) fn expected(&self, energy: &Energy) -> Expected {
        let own = self.by_level[energy.level].or(energy.guess());
        let gradient = self.by_gradient[energy.level * GRADIENTS + energy.gradient_level].or(own);
        let wide = self.by_wide[energy.level / 2 * LEVELS + energy.wide].or(own);
        let joint = min(gradient * wide / (own + 1e-6), max(gradient, wide) * 1.5);
        Expected { gradient, wide, joint }
    }

    /// The final prediction missed by this much.
    #[inline(always)]
    pub(super) fn learn(&mut self, energy: &Energy, missed: f32) {
        let guess = energy.guess();
        self.by_level[energy.level].learn(missed, RATE_LEVEL, guess);
        self.by_gradient[energy.level * GRADIENTS + energy.gradient_level].learn(missed, RATE_PAIR, guess);
        self.by_wide[energy.level / 2 * LEVELS + energy.wide].learn(missed, RATE_PAIR, guess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_so_many_an_octave_from_a_sixteenth_on() {
        let levels = [0.0, 0.0625, 0.1875, 0.9375, 15.9375, 1e9].map(|magnitude| level::<2>(magnitude, LEVELS));
        assert_eq!(levels, [0, 4, 8, 16, 32, LEVELS - 1]);
        assert_eq!(level::<1>(0.9375, GRADIENTS), 8);
    }
}
