//! The quick model: for a link that would wait for the coder.
//!
//! One least-squares predictor over the near samples and those of the picture before, and no predicted distribution at
//! all: six counters in contexts and two candidates say how likely each decision is ([`opinions`]). The first counter's
//! context is the expected error and the prediction's place between two values, and starts from the logistic
//! distribution that the thorough model would work out.

mod opinions;

use self::opinions::{CONTEXTS, Opinions, SLOTS};
use super::{
    coder::Coder,
    energy::{self, Expected},
    float::clamp,
    least_squares::{Equations, Features, Learning, LeastSquares},
    neighbours::{FAR, FIRST, NEAR, features},
    plane::{Model, References, Site},
    residual::{Frame, Judge, Question},
    seen::Candidates,
};

/// The predictor and what decisions have taught.
pub(super) struct Fast {
    solver: LeastSquares,
    /// Of the block that it is in.
    gathered: Equations,
    features: usize,
    greatest: f32,
    opinions: Opinions,
}

impl Model for Fast {
    /// The neighbourhood that was predicted from.
    type Opinion = Features;

    fn new(columns: usize, references: References, greatest: u16) -> Self {
        let features = match references {
            References::None => NEAR + FAR,
            References::One => NEAR + FIRST,
            References::Two => NEAR + FIRST + 1,
        };
        let learning = Learning { features, block: 16, reach: 1, memory: 0.8, prior: 0.01, ridge: 5e-5 };
        Self {
            solver: LeastSquares::new(learning, columns),
            gathered: Equations::new(features),
            features,
            greatest: f32::from(greatest),
            opinions: Opinions::new(),
        }
    }

    fn begin(&mut self) {
        self.solver.begin();
    }

    fn begin_row(&mut self) {}

    #[inline(always)]
    fn end_row(&mut self) {
        self.absorb();
        self.solver.leave();
    }

    #[inline(always)]
    fn skip(&mut self, _column: usize) {}

    #[inline(always)]
    fn predict(&mut self, site: &Site) -> (f32, Features) {
        let Site { column, around, first, second, .. } = site;
        let (mut neighbourhood, _) = features(around, first.as_ref(), None, first.is_none().then_some(&around.far));
        if let Some(second) = second {
            neighbourhood[NEAR + FIRST] = second.here() - second.base();
        }
        if self.solver.is_new(*column) {
            self.absorb();
            self.solver.enter(*column);
        }
        let predicted = around.base() + self.solver.predict(&neighbourhood);
        (clamp(predicted, 0.0, self.greatest), neighbourhood)
    }

    #[inline(always)]
    fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        site: &Site,
        _opinion: &Features,
        (frame, _expected, candidates): (&Frame, &Expected, Candidates),
        sample: i32,
    ) -> i32 {
        let lines = self.opinions.lines(frame, &contexts(frame, site));
        let weights = (frame.step_bits as usize, site.energy.level / LEVELS_TOGETHER);
        let mut judge = Counted { opinions: &mut self.opinions, lines, weights };
        frame.code(coder, &mut judge, candidates, sample)
    }

    #[inline(always)]
    fn learn(&mut self, site: &Site, mut neighbourhood: Features, found: f32) {
        neighbourhood[self.features] = found - site.around.base();
        self.gathered.add(&neighbourhood, self.features, site.energy.weight());
    }
}

impl Fast {
    #[inline(always)]
    fn absorb(&mut self) {
        self.solver.absorb(&self.gathered);
        self.gathered.clear();
    }
}

/// The contexts of a sample's counters, besides the first.
#[inline(always)]
fn contexts(frame: &Frame, site: &Site) -> [u32; CONTEXTS - 1] {
    let Site { around, first, energy, .. } = site;
    let bits = frame.step_bits;
    let [west, north, north_east] = site.signs.map(|sign| sign as u32);
    let near = |value: f32| frame.near(value, 12);
    let (pair, edge) = match first {
        Some(beneath) => (near(beneath.here()) * 25 + near(around.w), beneath.median_edge(around)),
        None => (near(around.nw) * 25 + near(around.ne), around.median_edge()),
    };
    let [along_row, along_column] = around.extrapolated();
    let enlarged = (near(along_row) * 25 + near(along_column)) << 2 | site.parity as u32;
    [
        (energy.level as u32 / 2) << 14 | (west * 25 + north * 5 + north_east),
        enlarged << 8 | bits,
        pair << 8 | bits,
        frame.value() << 5 | bits,
        frame.near(edge, 10) << 12 | (energy.wide as u32) << 4 | bits,
    ]
}

/// Judges the decisions of one sample.
struct Counted<'m> {
    opinions: &'m mut Opinions,
    lines: [u32; CONTEXTS],
    /// Step bits and level of the error energy, which choose the weights.
    weights: (usize, usize),
}

impl<C: Coder> Judge<C> for Counted<'_> {
    #[inline(always)]
    fn decide(&mut self, coder: &mut C, question: Question, _: i32, candidates: &Candidates, bit: bool) -> bool {
        let slot = match question {
            Question::Upper => 0,
            Question::Further { upper, steps } => 1 + upper * STEPS + step_class(steps),
            Question::Outer { upper, depth: 0, .. } => HALVES + upper,
            Question::Outer { depth: 1, second, .. } => HALVES + 2 + second,
            Question::Outer { .. } if candidates.any() => SLOTS - 1,
            Question::Outer { .. } => return coder.bit(bit, 1 << 15),
        };
        self.opinions.code(coder, &self.lines, slot, self.weights, candidates, bit)
    }
}

/// Classes of steps: the first three, up to where they grow, all further ones.
const STEPS: usize = 5;
/// Slot of the first halving on the lower side.
const HALVES: usize = 1 + 2 * STEPS;

/// Levels of the error energy that share their weights.
const LEVELS_TOGETHER: usize = 3;

const _: () = assert!(HALVES + 4 < SLOTS);
const _: () = assert!(energy::LEVELS / LEVELS_TOGETHER <= opinions::LEVELS);

#[inline(always)]
const fn step_class(steps: usize) -> usize {
    match steps {
        0..=2 => steps,
        3..=5 => 3,
        _ => 4,
    }
}
