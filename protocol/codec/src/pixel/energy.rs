//! How far off the prediction is likely to be: the context that decides the bytes.
//!
//! Medical pictures are mostly noise of a known size. The errors around the sample give its level on a logarithmic
//! scale (CALIC's error energy, Wu and Memon 1997); tables of what errors were found at that level, and at that level
//! with this gradient or this level of a wider neighbourhood, turn it into the mean absolute error to expect.

use super::{
    experts::EXPERTS,
    float::{log2, max, min},
    rows::MARGIN,
    rows::Rows,
};

/// Levels of the error energy: four an octave, 24 octaves.
pub(super) const LEVELS: usize = 96;
/// Levels of the second quantity of a table: two an octave.
pub(super) const SECOND: usize = 48;

/// What is known of the errors to expect for one sample.
pub(super) struct Energy {
    /// Weighted mean of the absolute errors around.
    pub(super) mean: f32,
    /// Its level.
    pub(super) level: usize,
    /// Level of the gradient.
    pub(super) gradient: usize,
    /// Level of the reference's errors or, without one, of the experts' disagreement.
    pub(super) doubt: usize,
    /// Level of the errors over a wide neighbourhood.
    pub(super) wide: usize,
}

/// Level of a magnitude, `steps` an octave.
#[inline(always)]
fn level(magnitude: f32, steps: f32, levels: usize) -> usize {
    (max((log2(magnitude + 0.0625) + 4.0) * steps, 0.0) as usize).min(levels - 1)
}

impl Energy {
    /// `errors` are the absolute errors of the final prediction around the sample.
    #[inline(always)]
    pub(super) fn gather(errors: &Rows<3>, column: usize, gradient: f32, doubt: f32, wide: f32) -> Self {
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
            level: level(mean, 4.0, LEVELS),
            gradient: level(gradient, 2.0, SECOND),
            doubt: level(doubt, 2.0, SECOND),
            wide: level(wide, 4.0, LEVELS),
        }
    }
}

/// Mean absolute errors found so far; negative where none was.
pub(super) struct Scales {
    /// By level: of the final prediction, then of each expert.
    by_level: Vec<[f32; EXPERTS + 1]>,
    by_gradient: Vec<f32>,
    /// By half the level and the level of the wide neighbourhood.
    by_wide: Vec<f32>,
}

/// The mean absolute errors to expect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Of the final prediction, by level and gradient; by level and wide level; by all three.
    pub(super) gradient: f32,
    pub(super) wide: f32,
    pub(super) joint: f32,
    /// Of each expert, by level.
    pub(super) experts: [f32; EXPERTS],
    /// What to assume where nothing was found yet.
    guess: f32,
}

impl Scales {
    pub(super) fn new() -> Self {
        Self {
            by_level: vec![[-1.0; EXPERTS + 1]; LEVELS],
            by_gradient: vec![-1.0; LEVELS * SECOND],
            by_wide: vec![-1.0; LEVELS.div_ceil(2) * LEVELS],
        }
    }

    #[inline(always)]
    pub(super) fn expected(&self, energy: &Energy) -> Expected {
        let guess = energy.mean * 0.7 + 0.15;
        let or = |found: f32, other: f32| if found < 0.0 { other } else { found };
        let [own, experts @ ..] = &self.by_level[energy.level];
        let own = or(*own, guess);
        let gradient = or(self.by_gradient[energy.level * SECOND + energy.gradient], own);
        let wide = or(self.by_wide[energy.level / 2 * LEVELS + energy.wide], own);
        let joint = min(gradient * wide / (own + 1e-6), max(gradient, wide) * 1.5);
        Expected { gradient, wide, joint, experts: experts.map(|found| or(found, guess)), guess }
    }

    /// The final prediction and each expert missed by this much.
    #[inline(always)]
    pub(super) fn learn(&mut self, energy: &Energy, expected: &Expected, missed: f32, experts: &[f32]) {
        let learn = |found: &mut f32, missed: f32, rate: f32| {
            *found = if *found < 0.0 { missed * 0.5 + expected.guess * 0.5 } else { *found + (missed - *found) * rate };
        };
        learn(&mut self.by_gradient[energy.level * SECOND + energy.gradient], missed, 0.02);
        learn(&mut self.by_wide[energy.level / 2 * LEVELS + energy.wide], missed, 0.02);
        let [own, by_expert @ ..] = &mut self.by_level[energy.level];
        learn(own, missed, 0.005);
        for (found, missed) in by_expert.iter_mut().zip(experts) {
            learn(found, *missed, 0.005);
        }
    }
}

/// Errors over a wide neighbourhood, for noise whose level seven errors can't tell: a fading mean of each column,
/// smoothed along the row, and one of the row so far.
pub(super) struct Wide {
    columns: Vec<f32>,
    above: Vec<f32>,
    left: f32,
}

/// How fast the mean of a column follows its errors, that of a row its own, and that along the columns.
const RATE_COLUMN: f32 = 0.2;
const RATE_ROW: f32 = 0.1;
const RATE_ALONG: f32 = 0.15;
/// Share of the row so far.
const SHARE_LEFT: f32 = 0.4;
/// Errors count for no less, so that a mean stays a normal number.
const ERROR_LEAST: f32 = 1e-6;

impl Wide {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns: vec![0.0; columns], above: vec![0.0; columns], left: 0.0 }
    }

    /// A new picture begins.
    pub(super) fn begin(&mut self) {
        self.columns.fill(0.0);
        self.above.fill(0.0);
        self.left = 0.0;
    }

    #[inline(always)]
    pub(super) fn mean(&self, column: usize) -> f32 {
        self.above[column] * (1.0 - SHARE_LEFT) + self.left * SHARE_LEFT
    }

    #[inline(always)]
    pub(super) fn learn(&mut self, column: usize, missed: f32) {
        let missed = max(missed, ERROR_LEAST);
        self.left += (missed - self.left) * RATE_ROW;
        self.columns[column] += (missed - self.columns[column]) * RATE_COLUMN;
    }

    pub(super) fn end_row(&mut self) {
        let [first, .., last] = self.columns[..] else {
            return;
        };
        let mut mean = first;
        for (above, column) in self.above.iter_mut().zip(&self.columns) {
            mean += (column - mean) * RATE_ALONG;
            *above = mean * 0.5;
        }
        mean = last;
        for (above, column) in self.above.iter_mut().zip(&self.columns).rev() {
            mean += (column - mean) * RATE_ALONG;
            *above += mean * 0.5;
        }
        self.left = self.above[0];
    }
}
