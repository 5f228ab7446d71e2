//! One binary decision: opinions of counters and candidates, mixed by weights that learn.
//!
//! As the thorough model's (logistic mixing, Mahoney's PAQ), but every function of a probability is looked up: a
//! counter's log odds, and the probability of the mixed log odds. So a decision waits for no division.

use super::{
    super::{
        coder::Coder,
        counter::{Counter, Rates, hash, starts},
        energy::level,
        float::{Lanes, clamp, exp2, log2, max, min, sum},
        residual::{Frame, STEP_BITS_MAX, step_bits},
        seen::{Candidates, TRUSTS},
        simd,
    },
    HALVES, STEPS,
};

/// Contexts whose counters give an opinion.
pub(super) const CONTEXTS: usize = 6;
/// Candidates that do.
const CANDIDATES: usize = 2;
/// Decisions of one sample that a context tells apart.
pub(super) const SLOTS: usize = 16;
/// Lines of each context's table, as a power of 2: the third context has the most values.
const TABLE_BITS: [u32; CONTEXTS] = [11, 11, 13, 11, 11, 11];
/// Where each table begins, and the end of the last.
const TABLES: [u32; CONTEXTS + 1] = starts(&TABLE_BITS);
/// Of the first: expected errors, eight an octave, and parts of a value that the prediction lies in.
const SPREADS: usize = 256;
const PARTS: usize = 8;
/// Step bits, and levels of the error energy, that have weights of their own.
const STEP_BITS: usize = 16;
pub(super) const LEVELS: usize = 32;
/// Resolution of a probability where it is looked up, as a power of 2.
const SHARE_BITS: u32 = 11;
const SHARES: usize = 1 << SHARE_BITS;
/// Log odds (base 2) of the tables' ends.
const ODDS_MAX: f32 = 12.0;
/// Least probability in 65,536ths: less is not told from certainty where shares have 2,048 parts.
const LEAST: u32 = 24;
/// Counters move no slower than after this many decisions.
const COUNTER_LIMIT: u32 = 255;
/// Decisions that the distribution counts for in the first context's counters.
const PRIMED: u32 = 60;
/// First weight of an opinion, and how fast weights learn: those of a step's size, those of a level or trust.
const WEIGHT: f32 = 0.25;
const RATE_STEP: f32 = 0.005;
const RATE_LEVEL: f32 = 0.004;

const _: () = assert!(STEP_BITS > STEP_BITS_MAX as usize);
const _: () = assert!(CONTEXTS + CANDIDATES == 8 && SPREADS * PARTS == 1 << TABLE_BITS[0]);

/// The counters of one context, one for each decision of a sample: a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([Counter; SLOTS]);

/// Everything that decisions have taught.
pub(super) struct Opinions {
    lines: Vec<Line>,
    by_step: Vec<Lanes>,
    by_level: Vec<Lanes>,
    /// Weights by the trust in the best candidate, in place of those by level.
    by_trust: Vec<Lanes>,
    /// How often a candidate said right of a decision, by its trust and the decision.
    foreseen: Vec<Counter>,
    /// Log odds of shares, and probabilities in 65,536ths of log odds.
    stretched: Vec<f32>,
    squashed: Vec<f32>,
    rates: Rates,
}

impl Opinions {
    pub(super) fn new() -> Self {
        let middle = |index: usize| (index as f32 + 0.5) / SHARES as f32;
        let stretched = |index: usize| log2(middle(index) / (1.0 - middle(index)));
        let squashed = |index: usize| 65_536.0 / (1.0 + exp2((0.5 - middle(index)) * 2.0 * ODDS_MAX));
        let first = (0..SPREADS * PARTS).map(|index| primed(index / PARTS, index % PARTS));
        let even = vec![Line([Counter::EVEN; SLOTS]); (TABLES[CONTEXTS] - TABLES[1]) as usize];
        Self {
            lines: first.chain(even).collect(),
            by_step: vec![[WEIGHT; 8]; STEP_BITS * SLOTS],
            by_level: vec![[0.0; 8]; LEVELS * SLOTS],
            by_trust: vec![[0.0; 8]; TRUSTS * SLOTS],
            foreseen: vec![Counter::EVEN; TRUSTS * SLOTS],
            stretched: (0..SHARES).map(stretched).collect(),
            squashed: (0..SHARES).map(squashed).collect(),
            rates: Rates::new(),
        }
    }

    /// Finds the lines of a sample's contexts and calls them into the cache.
    #[inline(always)]
    pub(super) fn lines(&self, frame: &Frame, contexts: &[u32; CONTEXTS - 1]) -> [u32; CONTEXTS] {
        let part = (frame.prediction - (frame.centre - 1) as f32) * PARTS as f32;
        let spread = level::<3>(frame.spread, SPREADS) * PARTS;
        let mut lines = [(spread + (clamp(part, 0.0, (PARTS - 1) as f32) as usize)) as u32; CONTEXTS];
        for (table, (line, context)) in (1..).zip(lines[1..].iter_mut().zip(contexts)) {
            *line = TABLES[table] + (hash(*context, table as u32) >> (u32::BITS - TABLE_BITS[table]));
        }
        for line in lines {
            simd::prefetch(&self.lines, line as usize);
        }
        lines
    }

    /// Codes a decision; step bits and level choose `weights`.
    #[inline(always)]
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        lines: &[u32; CONTEXTS],
        slot: usize,
        (step_bits, level): (usize, usize),
        candidates: &Candidates,
        bit: bool,
    ) -> bool {
        let slot = slot % SLOTS;
        let mut odds = [0.0; 8];
        for (odds, line) in odds.iter_mut().zip(lines) {
            *odds = self.stretched[self.lines[*line as usize].0[slot].part(SHARE_BITS)];
        }
        let mut said = [None; CANDIDATES];
        let mut common = &mut self.by_level[level * SLOTS + slot];
        if candidates.any() {
            for (said, (_, trust, says)) in said.iter_mut().zip(candidates.opinions()) {
                *said = Some((trust * SLOTS + slot, says));
            }
            for (odds, (counter, says)) in odds[CONTEXTS..].iter_mut().zip(said.into_iter().flatten()) {
                let stretched = self.stretched[self.foreseen[counter].part(SHARE_BITS)];
                *odds = if says { stretched } else { -stretched };
            }
            if let Some((best, _)) = said[0] {
                common = &mut self.by_trust[best];
            }
        }
        let own = &mut self.by_step[step_bits * SLOTS + slot];
        let mut products = [0.0; 8];
        for lane in 0..8 {
            products[lane] = (own[lane] + common[lane]) * odds[lane];
        }
        let mixed = (sum(&products) + ODDS_MAX) * (SHARES as f32 / (2.0 * ODDS_MAX));
        let p1 = self.squashed[clamp(mixed, 0.0, (SHARES - 1) as f32) as usize];
        let bit = coder.bit(bit, (p1 as u32).clamp(LEAST, 65_536 - LEAST));

        let missed = (if bit { 65_536.0 - p1 } else { -p1 }) * (1.0 / 65_536.0);
        let (fast, slow) = (missed * RATE_STEP, missed * RATE_LEVEL);
        for lane in 0..8 {
            own[lane] += fast * odds[lane];
            common[lane] += slow * odds[lane];
        }
        for (counter, says) in said.into_iter().flatten() {
            self.rates.learn(&mut self.foreseen[counter], says == bit, COUNTER_LIMIT);
        }
        for line in lines {
            self.rates.learn(&mut self.lines[*line as usize].0[slot], bit, COUNTER_LIMIT);
        }
        bit
    }
}

/// Counters that start from the logistic distribution with this level of expected error, around a prediction in this
/// part of the last value below the centre.
fn primed(spread: usize, part: usize) -> Line {
    /// Of what lies beyond a step: where it begins, in steps, for each class of steps.
    const BEGINS: [f32; STEPS] = [0.0, 1.0, 2.0, 3.5, 8.0];
    let mut line = Line([Counter::EVEN; SLOTS]);
    let spread = max(spread_of(spread), 0.02);
    let step = (1_u32 << step_bits(spread)) as f32;
    let tail = |distance: f32| 1.0 / (1.0 + exp2(min(distance * 2.0 / spread, 57.0)));
    // The centre's lower edge is half a value below it, the prediction at most one.
    let mean = (part as f32 + 0.5) / PARTS as f32 - 0.5;
    let outer = |from: f32, to: f32, mean: f32| {
        let beyond = |distance: f32| tail(distance - mean);
        let middle = beyond((from + to) * 0.5);
        (middle - beyond(to)) / max(beyond(from) - beyond(to), 1e-9)
    };
    let mut set = |slot: usize, share: f32, least: f32| {
        line.0[slot] = Counter::at(clamp(share, least, 1.0 - least), PRIMED);
    };
    set(0, tail(-mean), 0.0);
    for (upper, mean) in [-mean, mean].into_iter().enumerate() {
        for (class, begin) in BEGINS.into_iter().enumerate() {
            let further = tail((begin + 1.0) * step - mean) / max(tail(begin * step - mean), 1e-9);
            set(1 + upper * STEPS + class, further, 0.01);
        }
        set(HALVES + upper, outer(0.0, step, mean), 0.1);
    }
    set(HALVES + 2, outer(0.0, step * 0.5, 0.0), 0.1);
    set(HALVES + 3, outer(step * 0.5, step, 0.0), 0.1);
    line
}

/// An error inside a level of the expected error, eight an octave from 1/16 on.
fn spread_of(level: usize) -> f32 {
    let upper_bits = (level as u32) + (0.0625_f32.to_bits() >> 20);
    f32::from_bits(upper_bits << 20) * 1.0625 - 0.0625
}
