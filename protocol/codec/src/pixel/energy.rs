//! How far off the prediction is likely to be: the context that decides the bytes.
//!
//! Medical pictures are mostly noise of a known size. The errors around the sample give its level on a logarithmic
//! scale (CALIC's error energy, Wu and Memon 1997); tables of what errors were found at that level, and at that level
//! with this gradient or this disagreement, turn it into the mean absolute error to expect.

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
}

/// Level of a magnitude, `steps` an octave.
#[inline(always)]
fn level(magnitude: f32, steps: f32, levels: usize) -> usize {
    (max((log2(magnitude + 0.0625) + 4.0) * steps, 0.0) as usize).min(levels - 1)
}

impl Energy {
    /// `errors` are the absolute errors of the final prediction around the sample.
    #[inline(always)]
    pub(super) fn gather(errors: &Rows<3>, column: usize, gradient: f32, doubt: f32) -> Self {
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
        }
    }
}

/// Mean absolute errors found so far; negative where none was.
pub(super) struct Scales {
    /// By level: of the final prediction, then of each expert.
    by_level: Vec<[f32; EXPERTS + 1]>,
    by_gradient: Vec<f32>,
    by_doubt: Vec<f32>,
}

/// The mean absolute errors to expect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Of the final prediction, by level and gradient; by level and doubt; by all three.
    pub(super) gradient: f32,
    pub(super) doubt: f32,
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
            by_doubt: vec![-1.0; LEVELS * SECOND],
        }
    }

    #[inline(always)]
    pub(super) fn expected(&self, energy: &Energy) -> Expected {
        let guess = energy.mean * 0.7 + 0.15;
        let or = |found: f32, other: f32| if found < 0.0 { other } else { found };
        let [own, experts @ ..] = &self.by_level[energy.level];
        let own = or(*own, guess);
        let gradient = or(self.by_gradient[energy.level * SECOND + energy.gradient], own);
        let doubt = or(self.by_doubt[energy.level * SECOND + energy.doubt], own);
        let joint = min(gradient * doubt / (own + 1e-6), max(gradient, doubt) * 1.5);
        Expected { gradient, doubt, joint, experts: experts.map(|found| or(found, guess)), guess }
    }

    /// The final prediction and each expert missed by this much.
    #[inline(always)]
    pub(super) fn learn(&mut self, energy: &Energy, expected: &Expected, missed: f32, experts: &[f32]) {
        let learn = |found: &mut f32, missed: f32, rate: f32| {
            *found = if *found < 0.0 { missed * 0.5 + expected.guess * 0.5 } else { *found + (missed - *found) * rate };
        };
        learn(&mut self.by_gradient[energy.level * SECOND + energy.gradient], missed, 0.02);
        learn(&mut self.by_doubt[energy.level * SECOND + energy.doubt], missed, 0.02);
        let [own, by_expert @ ..] = &mut self.by_level[energy.level];
        learn(own, missed, 0.005);
        for (found, missed) in by_expert.iter_mut().zip(experts) {
            learn(found, *missed, 0.005);
        }
    }
}
