//! A sample as a few binary decisions around its prediction.
//!
//! First the side it lies on, then how far in steps of 2^k (unary, as Golomb 1966 and LOCO-I; wider from the seventh
//! step on), then its place inside the step by halving (below the first two by the distributions alone, unless a
//! candidate is left). k follows the expected error, so that a sample takes about six decisions in the dark and in the
//! noise alike. Each predicted distribution is logistic, whose tail has a closed form: 1/(1 + 2^z).

use super::{
    coder::Coder,
    decisions::{Decision, Decisions, Lines, ODDS_MAX},
    float::{Lanes, clamp, exp2, log2, max, min},
    seen::Candidates,
};

/// Eight logistic distributions of the sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Distributions {
    pub(super) means: Lanes,
    /// 2 over the mean absolute error, which turns a difference into log odds to the base 2.
    pub(super) sharpness: Lanes,
}

impl Distributions {
    /// The share of each that lies beyond `value`, seen in a direction.
    #[inline(always)]
    fn beyond(&self, value: f32, direction: f32) -> Lanes {
        let mut shares = self.means;
        for (share, sharpness) in shares.iter_mut().zip(&self.sharpness) {
            let z = (value - *share) * sharpness * direction;
            *share = 1.0 / (1.0 + exp2(min(z, 57.0)));
        }
        shares
    }
}

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

/// Steps after which they grow.
const EVEN_STEPS: usize = 6;
/// Unary decisions told apart.
const STEPS: usize = 31;

impl Frame {
    #[inline(always)]
    pub(super) fn new(prediction: f32, spread: f32, greatest: u16) -> Self {
        let greatest = i32::from(greatest);
        let centre = (prediction as i32 + 1).min(greatest.max(1));
        let mut step_bits = 0;
        while ((1 << step_bits) as f32) < spread * STEP && step_bits < 12 {
            step_bits += 1;
        }
        Self { prediction, spread, centre, step_bits, greatest }
    }

    /// Codes `sample`, or decodes and returns it.
    #[inline(always)]
    pub(super) fn code<C: Coder>(
        &self,
        coder: &mut C,
        decisions: &mut Decisions,
        lines: &Lines,
        distributions: &Distributions,
        mut candidates: Candidates,
        sample: i32,
    ) -> i32 {
        let Distributions { means, sharpness } = distributions;
        let Self { centre, step_bits, greatest, .. } = *self;
        let edge = centre as f32 - 0.5;
        let mut odds = [0.0; 8];
        for lane in 0..8 {
            odds[lane] = clamp((means[lane] - edge) * sharpness[lane], -ODDS_MAX, ODDS_MAX);
        }
        let first = Decision { slot: 0, weights: 0, kind: 0 };
        candidates.ask(|value| value >= centre);
        let is_upper = decisions.code(coder, lines, first, &odds, &candidates, sample >= centre);
        candidates.told(is_upper);
        candidates.turn(centre, is_upper);
        let upper = usize::from(is_upper);

        // From here on distances count outwards from the edge, and `beyond` is the share of each distribution
        // that lies further out than the distance reached.
        let direction = if is_upper { 1.0 } else { -1.0 };
        let beyond = |distance: i32| distributions.beyond(edge + direction * distance as f32, direction);
        let furthest = if is_upper { greatest - centre } else { centre - 1 };
        let distance = if is_upper { sample - centre } else { centre - 1 - sample };
        let (mut low, mut width, mut steps) = (0, 1 << step_bits, 0_usize);
        let mut at_low = beyond(0);
        let mut at_high = None;
        while low + width <= furthest {
            let next = beyond(low + width);
            let odds = ratio(&next, &at_low, &next);
            let told = steps.min(STEPS - 1);
            let decision = Decision {
                slot: if steps <= EVEN_STEPS {
                    1 + upper * 7 + steps
                } else {
                    19 + upper * 8 + if steps >= 10 { 4 } else { 0 }
                },
                weights: 1 + (step_bits as usize * 2 + upper) * 32 + told,
                kind: 1 + told.min(2),
            };
            candidates.ask(|value| value >= low + width);
            let is_further = decisions.code(coder, lines, decision, &odds, &candidates, distance >= low + width);
            candidates.told(is_further);
            if !is_further {
                at_high = Some(next);
                break;
            }
            low += width;
            at_low = next;
            steps += 1;
            if steps >= EVEN_STEPS {
                width *= 2;
            }
        }

        let mut high = (low + width - 1).min(furthest);
        let mut at_high = at_high.unwrap_or_else(|| beyond(high + 1));
        let mut depth = 0;
        while low < high {
            let middle = (low + high + 1) >> 1;
            let next = beyond(middle);
            candidates.ask(|value| value >= middle);
            let is_further = if depth < 2 || candidates.any() {
                let mut inner = [0.0; 8];
                for lane in 0..8 {
                    inner[lane] = next[lane] - at_high[lane];
                }
                let odds = ratio(&inner, &at_low, &next);
                let first = 16 + upper * 8 + usize::from(steps > 0) * 4;
                let decision = Decision {
                    slot: match depth {
                        0 => first,
                        1 => first + 1 + usize::from(low & (width >> 1) != 0),
                        _ => 15,
                    },
                    weights: 1024 + (step_bits as usize * 2 + upper) * 64 + steps.min(15) * 4 + depth.min(3),
                    kind: 4,
                };
                decisions.code(coder, lines, decision, &odds, &candidates, distance >= middle)
            } else {
                let inner = max((next[0] - at_high[0]) + (next[1] - at_high[1]), 1e-12);
                let outer = max((at_low[0] - next[0]) + (at_low[1] - next[1]), 1e-12);
                let p1 = (inner / (inner + outer) * 65_536.0) as u32;
                coder.bit(distance >= middle, p1.clamp(64, 65_472))
            };
            candidates.told(is_further);
            if is_further {
                low = middle;
                at_low = next;
            } else {
                high = middle - 1;
                at_high = next;
            }
            depth += 1;
        }
        if is_upper { centre + low } else { centre - 1 - low }
    }
}

/// A step's width against the expected error.
const STEP: f32 = 0.7;

/// Log odds of `further` against what lies between `from` and `to`.
#[inline(always)]
fn ratio(further: &Lanes, from: &Lanes, to: &Lanes) -> Lanes {
    let mut odds = [0.0; 8];
    for lane in 0..8 {
        let odds_of_further = max(further[lane], 1e-18) / max(from[lane] - to[lane], 1e-18);
        odds[lane] = clamp(log2(odds_of_further), -ODDS_MAX, ODDS_MAX);
    }
    odds
}
