//! Weighted recursive least squares, local to a block of columns: the predictor that learns the picture as it goes.
//!
//! A radiograph's noise, a CT's filter and an MR's ringing each have a best linear prediction, and it changes from
//! place to place. So the samples' neighbourhoods are gathered as normal equations (TMW, Meyer and Tischer 1997; Wu's
//! edge-directed prediction, 2000), one set for each block of columns, which fades from row to row. On entering a block its
//! own equations, its neighbours' and a share of the whole picture's are added up and solved (LDL', Cholesky 1910).
//! Rule: only the lower rows' fixed order of operations is used, so that every processor solves to the same bits.

use super::float::{Lanes, add_scaled, sum};

/// Features of a neighbourhood, the sample itself as the one after the last; the rest zeros.
pub(super) type Features = [f32; FEATURES_MAX];
/// Features of one neighbourhood at most, with the sample itself.
pub(super) const FEATURES_MAX: usize = 40;

/// How a predictor learns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learning {
    /// Features it looks at.
    pub(super) features: usize,
    /// Columns of a block.
    pub(super) block: usize,
    /// Blocks on either side that it learns from too.
    pub(super) reach: usize,
    /// What is left of a block's equations a row later.
    pub(super) memory: f32,
    /// Weight of the whole picture's equations against the blocks'.
    pub(super) prior: f32,
    /// What is added to the diagonal, as a share of its mean.
    pub(super) ridge: f32,
}

/// Share of the whole picture's equations that is left a block later.
const PRIOR_MEMORY: f32 = 0.9995;
/// Least weight of the whole picture's equations, as a share of their own.
const PRIOR_LEAST: f32 = 1e-4;
/// Weight of a neighbouring block; the one to the left has this row in it and counts in full.
const NEIGHBOUR: f32 = 0.7;
/// A diagonal below this has no solution: the former coefficients stay.
const PIVOT_LEAST: f32 = 1e-6;

/// Normal equations: upper triangles of sum(weight z z'), the right-hand side as one column more, and the sum of
/// weights in the row after the last.
pub(super) struct Equations(Vec<Lanes>);

impl Equations {
    pub(super) fn new(features: usize) -> Self {
        Self(vec![[0.0; 8]; (features + 1) * width(features)])
    }

    pub(super) fn clear(&mut self) {
        self.0.fill([0.0; 8]);
    }

    /// Adds a neighbourhood, its sample at index `features`.
    #[inline(always)]
    pub(super) fn add(&mut self, neighbourhood: &Features, features: usize, weight: f32) {
        match width(features) {
            1 => add::<1>(&mut self.0, neighbourhood, features, weight),
            2 => add::<2>(&mut self.0, neighbourhood, features, weight),
            3 => add::<3>(&mut self.0, neighbourhood, features, weight),
            4 => add::<4>(&mut self.0, neighbourhood, features, weight),
            _ => add::<5>(&mut self.0, neighbourhood, features, weight),
        }
    }
}

/// Vectors of a row of equations.
#[inline(always)]
const fn width(features: usize) -> usize {
    (features + 1).div_ceil(8)
}

#[inline(always)]
fn add<const WIDTH: usize>(equations: &mut [Lanes], neighbourhood: &Features, features: usize, weight: f32) {
    let vectors: &[Lanes; WIDTH] = neighbourhood.as_chunks::<8>().0.first_chunk().expect("five vectors are there");
    let (rows, _) = equations.as_chunks_mut::<WIDTH>();
    let rows = &mut rows[..=features];
    for band in 0..WIDTH {
        for i in band * 8..(band * 8 + 8).min(features) {
            let factor = neighbourhood[i] * weight;
            let row = &mut rows[i];
            for c in band..WIDTH {
                add_scaled(&mut row[c], factor, &vectors[c]);
            }
        }
    }
    rows[features][features / 8][features % 8] += weight;
}

/// The equations and the coefficients in force.
pub(super) struct LeastSquares {
    learning: Learning,
    /// Vectors of a row of equations.
    width: usize,
    blocks: usize,
    /// Of every block.
    equations: Vec<Lanes>,
    prior: Vec<Lanes>,
    system: Vec<Lanes>,
    coefficients: [Lanes; FEATURES_MAX / 8],
    entered: Option<usize>,
}

impl LeastSquares {
    pub(super) fn new(learning: Learning, columns: usize) -> Self {
        let width = width(learning.features);
        let size = (learning.features + 1) * width;
        let blocks = columns / learning.block + 1;
        Self {
            learning,
            width,
            blocks,
            equations: vec![[0.0; 8]; size * blocks],
            prior: vec![[0.0; 8]; size],
            system: vec![[0.0; 8]; size],
            coefficients: [[0.0; 8]; FEATURES_MAX / 8],
            entered: None,
        }
    }

    /// A new picture begins: what was learnt goes into the prior, since its last rows say little of the new first ones.
    pub(super) fn begin(&mut self) {
        for block in self.equations.chunks_exact_mut(self.prior.len()) {
            for (prior, own) in self.prior.iter_mut().zip(block) {
                for lane in 0..8 {
                    prior[lane] += own[lane];
                    own[lane] = 0.0;
                }
            }
        }
        self.entered = None;
    }

    /// Solves for the block of this column, if it is another one than before.
    #[inline(always)]
    pub(super) fn enter(&mut self, column: usize) {
        let block = column / self.learning.block;
        if self.entered != Some(block) {
            self.entered = Some(block);
            match self.width {
                1 => self.solve::<1>(block),
                2 => self.solve::<2>(block),
                3 => self.solve::<3>(block),
                4 => self.solve::<4>(block),
                _ => self.solve::<5>(block),
            }
        }
    }

    /// What the features say of the sample.
    #[inline(always)]
    pub(super) fn predict(&self, features: &Features) -> f32 {
        let mut total = [0.0; 8];
        for (coefficients, features) in self.coefficients.iter().zip(features.as_chunks::<8>().0).take(self.width) {
            for lane in 0..8 {
                total[lane] += coefficients[lane] * features[lane];
            }
        }
        sum(&total)
    }

    /// Adds what was gathered to the block that was entered, if any was.
    #[inline(always)]
    pub(super) fn absorb(&mut self, gathered: &Equations) {
        if let Some(block) = self.entered {
            let size = self.prior.len();
            for (own, new) in self.equations[block * size..(block + 1) * size].iter_mut().zip(&gathered.0) {
                add_scaled(own, 1.0, new);
            }
        }
    }

    /// A row ends: the next one solves anew, even where it begins in the same block.
    pub(super) fn leave(&mut self) {
        self.entered = None;
    }

    /// Whether the column lies in another block than the one that was entered.
    #[inline(always)]
    pub(super) fn is_new(&self, column: usize) -> bool {
        self.entered != Some(column / self.learning.block)
    }

    #[inline(always)]
    fn solve<const WIDTH: usize>(&mut self, block: usize) {
        let Learning { features: n, reach, memory, prior: share, ridge, .. } = self.learning;
        let (equations, _) = self.equations.as_chunks_mut::<WIDTH>();
        let (prior, _) = self.prior.as_chunks_mut::<WIDTH>();
        let (system, _) = self.system.as_chunks_mut::<WIDTH>();
        let rows = n + 1;
        let mass = |row: &[Lanes; WIDTH]| row[n / 8][n % 8];

        // The block fades; what it loses goes to the prior.
        let (first, last) = (block.saturating_sub(reach), (block + reach).min(self.blocks - 1));
        let lost = 1.0 - memory;
        let own = mass(&equations[block * rows + n]);
        let mut near = -own * lost;
        for b in first..=last {
            near += mass(&equations[b * rows + n]);
        }
        let whole = mass(&prior[n]) * PRIOR_MEMORY + own * lost;
        let weight = if whole > 0.0 { (share * near + PRIOR_LEAST * whole) / whole } else { 0.0 };
        for i in 0..rows {
            let (own, prior, system) = (&mut equations[block * rows + i], &mut prior[i], &mut system[i]);
            for c in i / 8..WIDTH {
                let (mut old, mut fading, mut both) = (own[c], prior[c], [0.0; 8]);
                for lane in 0..8 {
                    fading[lane] = fading[lane] * PRIOR_MEMORY + old[lane] * lost;
                    old[lane] *= memory;
                    both[lane] = fading[lane] * weight + old[lane];
                }
                (own[c], prior[c], system[c]) = (old, fading, both);
            }
        }
        for b in (first..=last).filter(|b| *b != block) {
            let weight = if b + 1 == block { 1.0 } else { NEIGHBOUR };
            let neighbour = &equations[b * rows..(b + 1) * rows];
            for i in 0..n {
                for c in i / 8..WIDTH {
                    add_scaled(&mut system[i][c], weight, &neighbour[i][c]);
                }
            }
        }

        let mut trace = 0.0;
        for i in 0..n {
            trace += system[i][i / 8][i % 8];
        }
        let ridge = ridge * trace / n as f32 + 1e-3;
        for i in 0..n {
            system[i][i / 8][i % 8] += ridge;
        }
        let mut inverse = [0.0_f32; FEATURES_MAX];
        for i in 0..n {
            let pivot_row = system[i];
            let pivot = pivot_row[i / 8][i % 8];
            if pivot <= PIVOT_LEAST {
                return;
            }
            inverse[i] = 1.0 / pivot;
            for band in 0..WIDTH {
                for j in (i + 1).max(band * 8)..(band * 8 + 8).min(n) {
                    let factor = pivot_row[band][j % 8] * inverse[i];
                    let row = &mut system[j];
                    for c in band..WIDTH {
                        add_scaled(&mut row[c], -factor, &pivot_row[c]);
                    }
                }
            }
        }
        // Back substitution. Columns from i down are still zero in `solution`.
        let mut solution = [[0.0_f32; 8]; WIDTH];
        for i in (0..n).rev() {
            let row = &system[i];
            let mut known = [0.0; 8];
            for c in i / 8..WIDTH {
                for lane in 0..8 {
                    known[lane] += row[c][lane] * solution[c][lane];
                }
            }
            solution[i / 8][i % 8] = (row[n / 8][n % 8] - sum(&known)) * inverse[i];
        }
        self.coefficients[..WIDTH].copy_from_slice(&solution);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_as_wide_as_the_picture_is_solved_anew_in_each_row() {
        let learning = Learning { features: 2, block: 16, reach: 1, memory: 0.85, prior: 0.01, ridge: 5e-5 };
        let mut solver = LeastSquares::new(learning, 8);
        let mut gathered = Equations::new(learning.features);
        let neighbourhood = |a: f32, b: f32, sample: f32| {
            let mut features = [0.0; FEATURES_MAX];
            features[..3].copy_from_slice(&[a, b, sample]);
            features
        };
        let mut predicted = 0.0;
        for row in 0..4 {
            for column in 0..8 {
                if solver.is_new(column) {
                    solver.enter(column);
                }
                let (a, b) = ((column * 7 % 5) as f32 + row as f32, (column * 3 % 4) as f32);
                predicted = solver.predict(&neighbourhood(1.0, 1.0, 0.0));
                gathered.add(&neighbourhood(a, b, 2.0 * a - b), learning.features, 1.0);
            }
            solver.absorb(&gathered);
            gathered.clear();
            solver.leave();
        }
        assert!((predicted - 1.0).abs() < 0.01, "2 - 1 is predicted as {predicted}");
    }
}
