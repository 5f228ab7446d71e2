//! Several predictors, weighed by how each did nearby, and what they miss together.
//!
//! No one prediction is best on a whole chest film. Three least-squares predictors (a large one, a quick one, one with
//! a long memory) and fixed ones are blended with weights that fall with the fourth power of their errors around the
//! sample (Blending predictors, Seemann and Tischer 1997); a small least-squares predictor over their deviations then
//! stacks them (Wolpert 1992), and what is still missed on average in like places is taken off (CALIC's bias
//! cancellation, Wu and Memon 1997).

use super::super::{
    energy::{Energy, Found, LEVELS, RATE_LEVEL},
    float::{Lanes, clamp},
    least_squares::{Equations, FEATURES_MAX, Features, Learning, LeastSquares},
    neighbours::{FAR, FIRST, NEAR, QUICK, QUICK_REFERENCE, SECOND, features},
    plane::{References, Site},
    rows::MARGIN,
};

/// Predictors that are blended; a lane each.
pub(super) const EXPERTS: usize = 5;
/// Lanes of the experts.
pub(super) const LARGE: usize = 0;
pub(super) const NIMBLE: usize = 1;
pub(super) const LASTING: usize = 2;
pub(super) const MEDIAN: usize = 3;

/// What the experts say of one sample.
pub(in super::super) struct Opinion {
    pub(super) experts: Lanes,
    /// Blended, before stacking.
    blend: f32,
    /// Blended and stacked.
    pub(super) prediction: f32,
    large: Features,
    quick: Features,
    stacked: Features,
    base: f32,
}

/// The predictors with what they have learnt.
pub(super) struct Experts {
    large: LeastSquares,
    nimble: LeastSquares,
    lasting: LeastSquares,
    stack: LeastSquares,
    /// Of the block that large and lasting are in, of nimble's, and of the stack's.
    gathered: Equations,
    gathered_quick: Equations,
    gathered_stack: Equations,
    features: usize,
    quick_features: usize,
    /// Absolute errors of each expert: this row and the one above.
    errors: [Vec<Lanes>; 2],
    /// Mean absolute errors of each expert found at each level of the error energy.
    found: Vec<[Found; EXPERTS]>,
    greatest: f32,
}

impl Experts {
    pub(super) fn new(columns: usize, references: References, greatest: u16) -> Self {
        let (beneath, quick_features) = match references {
            References::None => (0, QUICK),
            References::One => (FIRST, QUICK_REFERENCE),
            References::Two => (FIRST + SECOND, QUICK_REFERENCE),
        };
        let features = NEAR + beneath + FAR;
        let learning = Learning { features, block: 16, reach: 1, memory: 0.85, prior: 0.01, ridge: 5e-5 };
        let solver = |learning| LeastSquares::new(learning, columns);
        Self {
            large: solver(learning),
            nimble: solver(Learning { features: quick_features, block: 8, memory: 0.75, ..learning }),
            lasting: solver(Learning { block: 64, memory: 0.97, ..learning }),
            stack: solver(Learning { features: EXPERTS, block: 8, reach: 2, memory: 0.9, prior: 0.05, ridge: 0.01 }),
            gathered: Equations::new(features),
            gathered_quick: Equations::new(quick_features),
            gathered_stack: Equations::new(EXPERTS),
            features,
            quick_features,
            errors: std::array::from_fn(|_| vec![[0.0; 8]; columns + 2 * MARGIN]),
            found: vec![[Found::NOTHING; EXPERTS]; LEVELS],
            greatest: f32::from(greatest),
        }
    }

    pub(super) fn begin(&mut self) {
        for solver in [&mut self.large, &mut self.nimble, &mut self.lasting, &mut self.stack] {
            solver.begin();
        }
        for row in &mut self.errors {
            row.fill([0.0; 8]);
        }
    }

    pub(super) fn begin_row(&mut self) {
        self.errors.swap(0, 1);
    }

    pub(super) fn end_row(&mut self) {
        self.absorb_large();
        self.nimble.absorb(&self.gathered_quick);
        self.gathered_quick.clear();
        self.stack.absorb(&self.gathered_stack);
        self.gathered_stack.clear();
        for solver in [&mut self.large, &mut self.nimble, &mut self.lasting, &mut self.stack] {
            solver.leave();
        }
        let row = &mut self.errors[0];
        let end = row.len() - MARGIN;
        let last = row[end - 1];
        row[end..].fill(last);
    }

    /// A sample that was not predicted, since it repeats others: no expert erred.
    #[inline(always)]
    pub(super) fn skip(&mut self, column: usize) {
        self.errors[0][column + MARGIN] = [0.0; 8];
    }

    /// The mean absolute error to expect of each.
    #[inline(always)]
    pub(super) fn expected(&self, energy: &Energy) -> [f32; EXPERTS] {
        self.found[energy.level].map(|found| found.or(energy.guess()))
    }

    #[inline(always)]
    pub(super) fn predict(&mut self, site: &Site) -> Opinion {
        let Site { column, around, first, second, .. } = site;
        let (column, base) = (*column, around.base());
        let (large, quick) = features(around, first.as_ref(), second.as_ref(), Some(&around.far));
        self.enter(column);
        let mut experts = [
            base + self.large.predict(&large),
            base + self.nimble.predict(&quick),
            base + self.lasting.predict(&large),
            around.median_edge(),
            match first {
                Some(reference) => reference.median_edge(around),
                None => (around.w + around.ne + 2.0 * around.n - around.nn - around.nw) * 0.5,
            },
            0.0,
            0.0,
            0.0,
        ];
        for expert in &mut experts {
            *expert = clamp(*expert, 0.0, self.greatest);
        }

        let at = column + MARGIN;
        let (here, above) = (&self.errors[0], &self.errors[1]);
        let (w, ww, n, nw, ne) = (&here[at - 1], &here[at - 2], &above[at], &above[at - 1], &above[at + 1]);
        let mut weights = [0.0; 8];
        for lane in 0..8 {
            let missed = 2.0 * w[lane] + 2.0 * n[lane] + nw[lane] + ne[lane] + ww[lane] + 0.3;
            let square = missed * missed;
            weights[lane] = TRUST[lane] / (square * square);
        }
        let (mut total, mut blend) = (0.0, 0.0);
        for lane in 0..EXPERTS {
            total += weights[lane];
            blend += weights[lane] * experts[lane];
        }
        let blend = blend / total;

        let mut stacked = [0.0; FEATURES_MAX];
        for lane in 0..EXPERTS {
            stacked[lane] = experts[lane] - blend;
        }
        let limit = (experts[LARGE] - experts[NIMBLE]).abs() + (experts[LARGE] - experts[LASTING]).abs() + 0.5;
        let shift = clamp(self.stack.predict(&stacked), -limit, limit);
        let prediction = blend + shift * STACKED;
        Opinion { experts, blend, prediction, large, quick, stacked, base }
    }

    /// Solves anew where a block begins.
    #[inline(always)]
    fn enter(&mut self, column: usize) {
        if self.large.is_new(column) {
            self.absorb_large();
            self.large.enter(column);
            self.lasting.enter(column);
        }
        if self.nimble.is_new(column) {
            self.nimble.absorb(&self.gathered_quick);
            self.gathered_quick.clear();
            self.nimble.enter(column);
            self.stack.absorb(&self.gathered_stack);
            self.gathered_stack.clear();
            self.stack.enter(column);
        }
    }

    #[inline(always)]
    fn absorb_large(&mut self) {
        self.large.absorb(&self.gathered);
        self.lasting.absorb(&self.gathered);
        self.gathered.clear();
    }

    /// The sample turned out to be this.
    #[inline(always)]
    pub(super) fn learn(&mut self, site: &Site, mut opinion: Opinion, sample: f32) {
        let (column, energy) = (site.column, &site.energy);
        let errors = opinion.experts.map(|expert| (sample - expert).abs());
        let (guess, weight) = (energy.guess(), energy.weight());
        for (found, missed) in self.found[energy.level].iter_mut().zip(&errors) {
            found.learn(*missed, RATE_LEVEL, guess);
        }
        self.errors[0][column + MARGIN] = errors;
        if column == 0 {
            self.errors[0][..MARGIN].fill(errors);
        }
        opinion.stacked[EXPERTS] = sample - opinion.blend;
        self.gathered_stack.add(&opinion.stacked, EXPERTS, weight);
        opinion.quick[self.quick_features] = sample - opinion.base;
        self.gathered_quick.add(&opinion.quick, self.quick_features, weight);
        opinion.large[self.features] = sample - opinion.base;
        self.gathered.add(&opinion.large, self.features, weight);
    }
}

/// How far each expert is trusted at equal errors: fixed ones are right by chance more often.
const TRUST: Lanes = [1.0, 1.0, 1.0, 0.3, 0.3, 0.0, 0.0, 0.0];
/// Share of the stacked shift that is taken.
const STACKED: f32 = 0.6;
