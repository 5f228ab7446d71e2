//! One binary decision: opinions of its probability, mixed by weights that learn.
//!
//! Eight come from the predicted distributions, eight from counters in contexts, and up to four from candidates that
//! followed the same neighbourhood before. All are stretched to log odds, added
//! up with weights and squashed again (logistic mixing, Mahoney's PAQ), and each decision moves the weights down the
//! gradient of its cost. A last table corrects what the mixture misjudges at this error level (adaptive probability
//! map, PAQ's APM). Nothing is sent of all this: the decoder learns the same from the same decisions.

use super::super::{
    coder::Coder,
    counter::{Counter, Rates, WHOLE, hash, starts},
    energy::LEVELS,
    float::{Lanes, clamp, exp2, log2, sum},
    seen::{Candidates, SIZES, TRUSTS},
    simd,
};

/// Contexts whose counters give an opinion.
pub(super) const CONTEXTS: usize = 8;
/// Decisions of one sample that a context tells apart.
pub(super) const SLOTS: usize = 32;
/// Lines of each context's table, as a power of 2: the second context has the most values, the first few.
const TABLE_BITS: [u32; CONTEXTS] = [10, 14, 12, 12, 12, 12, 12, 12];
/// Where each table begins, and the end of the last.
const TABLES: [u32; CONTEXTS + 1] = starts(&TABLE_BITS);
/// Sets of weights by decision, and by level and kind of decision.
pub(super) const DECISIONS: usize = 4096;
const KINDS: usize = 5;
/// Buckets of the probability map, [`BUCKET`] apart in log odds.
const BUCKETS: usize = 33;
const BUCKET: f32 = 0.75;
/// Log odds (base 2) beyond which nothing is told apart: 1 in 4,096.
pub(super) const ODDS_MAX: f32 = 12.0;
/// The same for the mixture, inside the last bucket.
const MIXED_MAX: f32 = 11.99;
/// Counters move no slower than after this many decisions.
const COUNTER_LIMIT: u32 = 255;
/// How fast weights learn: those of a decision, those of a level.
const RATE_DECISION: f32 = 0.002;
const RATE_LEVEL: f32 = 0.001;
/// Weight of a candidate's share beside its log odds, which say little of shares near a half.
const LINEAR: f32 = 8.0;
/// How fast the probability map learns, and its part in the result.
const RATE_MAP: f32 = 0.015;
const SHARE_MAP: f32 = 0.4;

/// The counters of one context, one for each decision of a sample: two cache lines.
#[derive(Clone, Copy)]
#[repr(align(128))]
struct Line([Counter; SLOTS]);

/// Which decision it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    /// Counter of each line, below [`SLOTS`].
    pub(super) slot: usize,
    /// Weights, below [`DECISIONS`].
    pub(super) weights: usize,
    /// Kind for the weights of a level.
    pub(super) kind: usize,
}

/// Where what is known of a sample lies: its contexts' counters, and the level of its error energy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    contexts: [u32; CONTEXTS],
    level: usize,
}

/// Everything that decisions have taught.
pub(super) struct Decisions {
    lines: Vec<Line>,
    by_decision: Vec<[Lanes; 2]>,
    by_level: Vec<[Lanes; 2]>,
    map: Vec<u32>,
    /// How often a candidate said right of a decision, by its trust and the kind of decision.
    foreseen: Vec<Counter>,
    /// Weights of the candidates' opinions, and of all by the trust in the best candidate.
    candidates: Vec<Lanes>,
    by_trust: Vec<[Lanes; 3]>,
    rates: Rates,
}

impl Decisions {
    pub(super) fn new() -> Self {
        let mut first = [[0.0; 8], [0.06; 8]];
        first[0][..4].copy_from_slice(&[0.3, 0.25, 0.1, 0.1]);
        let bucket = |index: usize| {
            let odds = (index % BUCKETS) as f32 * BUCKET - ODDS_MAX;
            (WHOLE / (1.0 + exp2(-odds))) as u32
        };
        Self {
            lines: vec![Line([Counter::EVEN; SLOTS]); TABLES[CONTEXTS] as usize],
            by_decision: vec![first; DECISIONS],
            by_level: vec![[[0.0; 8]; 2]; LEVELS * KINDS],
            map: (0..LEVELS * SLOTS * BUCKETS).map(bucket).collect(),
            foreseen: vec![Counter::EVEN; TRUSTS * KINDS],
            candidates: vec![[0.3, 0.3, 0.3, 0.3, 0.0, 0.0, 0.0, 0.0]; DECISIONS],
            by_trust: vec![[[0.0; 8]; 3]; TRUSTS * KINDS],
            rates: Rates::new(),
        }
    }

    /// Finds the lines of a sample's contexts and calls them into the cache.
    #[inline(always)]
    pub(super) fn lines(&self, contexts: &[u32; CONTEXTS], level: usize) -> Lines {
        let mut lines = [0; CONTEXTS];
        for (table, (line, context)) in lines.iter_mut().zip(contexts).enumerate() {
            *line = TABLES[table] + (hash(*context, table as u32) >> (u32::BITS - TABLE_BITS[table]));
            simd::prefetch(&self.lines, *line as usize);
        }
        Lines { contexts: lines, level }
    }

    /// Codes a decision. `odds` are the log odds (base 2) that the distributions give a one.
    #[inline(always)]
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        lines: &Lines,
        decision: Decision,
        odds: &Lanes,
        candidates: &Candidates,
        bit: bool,
    ) -> bool {
        let level = lines.level;
        let slot = decision.slot % SLOTS;
        let mut shares = [0.0; 8];
        for (share, line) in shares.iter_mut().zip(&lines.contexts) {
            *share = self.lines[*line as usize].0[slot].share();
        }
        let mut counted = [0.0; 8];
        for lane in 0..8 {
            counted[lane] = log2(shares[lane] / (1.0 - shares[lane]));
        }
        let own = &mut self.by_decision[decision.weights];
        let common = &mut self.by_level[level * KINDS + decision.kind];
        let mut products = [0.0; 8];
        for lane in 0..8 {
            products[lane] =
                (own[0][lane] + common[0][lane]) * odds[lane] + (own[1][lane] + common[1][lane]) * counted[lane];
        }
        let is_foreseen = candidates.best > 0;
        let mut foreseen = [0.0; 8];
        if is_foreseen {
            for (place, trust, says) in candidates.opinions() {
                let share = self.foreseen[trust * KINDS + decision.kind].share();
                let signed = |x: f32| if says { x } else { -x };
                foreseen[place] = signed(clamp(log2(share / (1.0 - share)), -ODDS_MAX, ODDS_MAX));
                foreseen[SIZES + place] = signed((share - 0.5) * LINEAR);
            }
            let own = &self.candidates[decision.weights];
            let common = &self.by_trust[candidates.best * KINDS + decision.kind];
            for lane in 0..8 {
                products[lane] += common[0][lane] * odds[lane]
                    + common[1][lane] * counted[lane]
                    + (common[2][lane] + own[lane]) * foreseen[lane];
            }
        }
        let mixed = clamp(sum(&products), -MIXED_MAX, MIXED_MAX);
        let share = 1.0 / (1.0 + exp2(-mixed));

        let place = (mixed + ODDS_MAX) * (1.0 / BUCKET);
        let bucket = place as usize;
        let upper = place - bucket as f32;
        let [low, high] =
            self.map[(level * SLOTS + slot) * BUCKETS + bucket..].first_chunk_mut().expect("a bucket follows");
        let (at_low, at_high) = (*low as f32, *high as f32);
        let mapped = (at_low * (1.0 - upper) + at_high * upper) * (1.0 / (WHOLE + 1.0));
        let p1 = ((share * (1.0 - SHARE_MAP) + mapped * SHARE_MAP) * 65_536.0) as u32;
        let bit = coder.bit(bit, p1.clamp(1, 65_535));

        let target = if bit { WHOLE } else { 0.0 };
        *low = (at_low + (target - at_low) * RATE_MAP * (1.0 - upper)) as u32;
        *high = (at_high + (target - at_high) * RATE_MAP * upper) as u32;
        let missed = f32::from(u8::from(bit)) - share;
        let (fast, slow) = (missed * RATE_DECISION, missed * RATE_LEVEL);
        for lane in 0..8 {
            own[0][lane] += fast * odds[lane];
            own[1][lane] += fast * counted[lane];
            common[0][lane] += slow * odds[lane];
            common[1][lane] += slow * counted[lane];
        }
        if is_foreseen {
            let own = &mut self.candidates[decision.weights];
            let common = &mut self.by_trust[candidates.best * KINDS + decision.kind];
            for lane in 0..8 {
                common[0][lane] += fast * odds[lane];
                common[1][lane] += fast * counted[lane];
                common[2][lane] += fast * foreseen[lane];
                own[lane] += fast * foreseen[lane];
            }
            for (_, trust, says) in candidates.opinions() {
                let counter = &mut self.foreseen[trust * KINDS + decision.kind];
                self.rates.learn(counter, says == bit, COUNTER_LIMIT);
            }
        }
        for line in &lines.contexts {
            self.rates.learn(&mut self.lines[*line as usize].0[slot], bit, COUNTER_LIMIT);
        }
        bit
    }
}
