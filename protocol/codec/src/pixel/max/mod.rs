//! The thorough model: as few bytes as we know how, at what a small computer can do while its link is busy.
//!
//! Five predictors blended and stacked ([`experts`]); eight predicted distributions and eight counters in contexts, mixed
//! for every decision ([`decisions`]); below the first two halvings the distributions alone, unless a candidate is
//! left. Each distribution is logistic, whose tail has a closed form: 1/(1 + 2^z).

mod decisions;
mod experts;

use self::{
    decisions::{CONTEXTS, DECISIONS, Decision, Decisions, Lines, ODDS_MAX},
    experts::{Experts, LARGE, LASTING, MEDIAN, NIMBLE, Opinion},
};
use super::{
    coder::Coder,
    energy::Expected,
    float::{Lanes, clamp, exp2, log2, max, min},
    plane::{Model, References, Site},
    residual::{EVEN_STEPS, Frame, Judge, Question, STEP_BITS_MAX},
    seen::Candidates,
};

/// Predictors and what decisions have taught.
pub(super) struct Max {
    experts: Experts,
    decisions: Decisions,
    references: References,
}

impl Model for Max {
    type Opinion = Opinion;

    fn new(columns: usize, references: References, greatest: u16) -> Self {
        Self { experts: Experts::new(columns, references, greatest), decisions: Decisions::new(), references }
    }

    fn begin(&mut self) {
        self.experts.begin();
    }

    fn begin_row(&mut self) {
        self.experts.begin_row();
    }

    #[inline(always)]
    fn end_row(&mut self) {
        self.experts.end_row();
    }

    #[inline(always)]
    fn skip(&mut self, column: usize) {
        self.experts.skip(column);
    }

    #[inline(always)]
    fn predict(&mut self, site: &Site) -> (f32, Opinion) {
        let opinion = self.experts.predict(site);
        (opinion.prediction, opinion)
    }

    #[inline(always)]
    fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        site: &Site,
        opinion: &Opinion,
        (frame, expected, candidates): (&Frame, &Expected, Candidates),
        sample: i32,
    ) -> i32 {
        let lines = self.decisions.lines(&contexts(frame, site, opinion), site.energy.level);
        let distributions = self.distributions(site, opinion, expected, frame.prediction);
        let mut judge = Mixture {
            decisions: &mut self.decisions,
            lines,
            distributions,
            frame: *frame,
            at_low: [0.0; 8],
            at_high: None,
            direction: 0.0,
        };
        frame.code(coder, &mut judge, candidates, sample)
    }

    #[inline(always)]
    fn learn(&mut self, site: &Site, opinion: Opinion, found: f32) {
        self.experts.learn(site, opinion, found);
    }
}

impl Max {
    /// The distributions whose opinions are mixed: the final prediction at several widths, and experts at their own.
    #[inline(always)]
    fn distributions(&self, site: &Site, opinion: &Opinion, expected: &Expected, prediction: f32) -> Distributions {
        let experts = &opinion.experts;
        let missed = self.experts.expected(&site.energy);
        let sharp = |error: f32| 2.0 / max(error, 0.03);
        let fifth = if self.references == References::None { LASTING } else { MEDIAN };
        Distributions {
            means: [
                prediction,
                prediction,
                experts[LARGE],
                experts[NIMBLE],
                experts[fifth],
                prediction,
                prediction,
                experts[LASTING],
            ],
            sharpness: [
                sharp(expected.gradient),
                sharp(expected.wide),
                sharp(missed[LARGE]),
                sharp(missed[NIMBLE]),
                sharp(missed[fifth]),
                sharp(expected.joint) * 1.6,
                sharp(expected.gradient) * 0.4,
                sharp(missed[LASTING]),
            ],
        }
    }
}

/// The contexts of a sample's counters.
#[inline(always)]
fn contexts(frame: &Frame, site: &Site, opinion: &Opinion) -> [u32; CONTEXTS] {
    let Frame { prediction, spread, step_bits: bits, .. } = *frame;
    let Site { around, first, energy, .. } = site;
    let experts = &opinion.experts;
    let (level, half) = (energy.level as u32, energy.level as u32 / 2);
    let part = ((prediction - prediction.floor()) * 4.0) as u32;
    let [west, north, north_east] = site.signs.map(|sign| sign as u32);
    let near = |value: f32| frame.near(value, 12);
    let pair = match first {
        Some(beneath) => near(beneath.here()) * 25 + near(around.w),
        None => near(around.nw) * 25 + near(around.ne),
    };
    let [along_row, along_column] = around.extrapolated();
    let enlarged = (near(along_row) * 25 + near(along_column)) << 2 | site.parity as u32;
    let far = u32::from((experts[MEDIAN] - prediction).abs() > spread);
    [
        level << 6 | part,
        enlarged << 8 | bits,
        half << 14 | (west * 25 + north * 5 + north_east),
        frame.near(experts[MEDIAN], 10) << 12 | (energy.wide as u32) << 4 | bits,
        (near(around.w) * 25 + near(around.n)) << 8 | bits,
        pair << 8 | bits,
        frame.value() << 5 | bits,
        (frame.near(experts[NIMBLE], 10) * 21 + frame.near(experts[LARGE], 10)) << 8 | far << 5 | bits,
    ]
}

/// Eight logistic distributions of the sample.
#[derive(Debug, Clone, Copy)]
struct Distributions {
    means: Lanes,
    /// 2 over the mean absolute error, which turns a difference into log odds to the base 2.
    sharpness: Lanes,
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

/// Steps told apart, before the halvings and by them.
const STEPS: usize = 31;
const OUTER_STEPS: usize = 16;
/// First weights of steps and of halvings, after the one of the side.
const FURTHER: usize = 1;
const OUTER: usize = 1024;

/// Sizes of a step, and sides.
const STEP_SIDES: usize = (STEP_BITS_MAX as usize + 1) * 2;

const _: () = assert!(FURTHER + STEP_SIDES * (STEPS + 1) <= OUTER);
const _: () = assert!(OUTER + STEP_SIDES * OUTER_STEPS * 4 <= DECISIONS);

/// Judges the decisions of one sample.
struct Mixture<'m> {
    decisions: &'m mut Decisions,
    lines: Lines,
    distributions: Distributions,
    frame: Frame,
    /// The share of each distribution that lies further out than the distance reached, and than what is still possible.
    at_low: Lanes,
    at_high: Option<Lanes>,
    /// 1 on the upper side, -1 on the lower.
    direction: f32,
}

impl Mixture<'_> {
    #[inline(always)]
    fn edge(&self) -> f32 {
        self.frame.centre as f32 - 0.5
    }

    #[inline(always)]
    fn beyond(&self, distance: i32) -> Lanes {
        self.distributions.beyond(self.edge() + self.direction * distance as f32, self.direction)
    }
}

impl<C: Coder> Judge<C> for Mixture<'_> {
    #[inline(always)]
    fn decide(
        &mut self,
        coder: &mut C,
        question: Question,
        threshold: i32,
        candidates: &Candidates,
        bit: bool,
    ) -> bool {
        let step_bits = self.frame.step_bits as usize;
        match question {
            Question::Upper => {
                let Distributions { means, sharpness } = &self.distributions;
                let edge = self.edge();
                let mut odds = [0.0; 8];
                for lane in 0..8 {
                    odds[lane] = clamp((means[lane] - edge) * sharpness[lane], -ODDS_MAX, ODDS_MAX);
                }
                let decision = Decision { slot: 0, weights: 0, kind: 0 };
                let bit = self.decisions.code(coder, &self.lines, decision, &odds, candidates, bit);
                self.direction = if bit { 1.0 } else { -1.0 };
                self.at_low = self.beyond(0);
                bit
            }
            Question::Further { upper, steps } => {
                let next = self.beyond(threshold);
                let odds = ratio(&next, &self.at_low, &next);
                let told = steps.min(STEPS - 1);
                let decision = Decision {
                    slot: if steps <= EVEN_STEPS {
                        1 + upper * 7 + steps
                    } else {
                        19 + upper * 8 + if steps >= 10 { 4 } else { 0 }
                    },
                    weights: FURTHER + (step_bits * 2 + upper) * (STEPS + 1) + told,
                    kind: 1 + told.min(2),
                };
                let bit = self.decisions.code(coder, &self.lines, decision, &odds, candidates, bit);
                if bit {
                    self.at_low = next;
                } else {
                    self.at_high = Some(next);
                }
                bit
            }
            Question::Outer { upper, steps, depth, second, end } => {
                let next = self.beyond(threshold);
                let at_high = self.at_high.unwrap_or_else(|| self.beyond(end));
                let bit = if depth < 2 || candidates.any() {
                    let mut outer = [0.0; 8];
                    for lane in 0..8 {
                        outer[lane] = next[lane] - at_high[lane];
                    }
                    let odds = ratio(&outer, &self.at_low, &next);
                    let first = 16 + upper * 8 + usize::from(steps > 0) * 4;
                    let decision = Decision {
                        slot: match depth {
                            0 => first,
                            1 => first + 1 + second,
                            _ => 15,
                        },
                        weights: OUTER
                            + ((step_bits * 2 + upper) * OUTER_STEPS + steps.min(OUTER_STEPS - 1)) * 4
                            + depth.min(3),
                        kind: 4,
                    };
                    self.decisions.code(coder, &self.lines, decision, &odds, candidates, bit)
                } else {
                    let at_low = &self.at_low;
                    let outer = max((next[0] - at_high[0]) + (next[1] - at_high[1]), 1e-12);
                    let inner = max((at_low[0] - next[0]) + (at_low[1] - next[1]), 1e-12);
                    let p1 = (outer / (outer + inner) * 65_536.0) as u32;
                    coder.bit(bit, p1.clamp(64, 65_472))
                };
                if bit {
                    (self.at_low, self.at_high) = (next, Some(at_high));
                } else {
                    self.at_high = Some(next);
                }
                bit
            }
        }
    }
}

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
