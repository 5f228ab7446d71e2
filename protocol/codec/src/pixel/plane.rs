//! One plane of samples, row after row: the steps of a sample in their order.
//!
//! Neighbourhood, run or copy, prediction, expected error, contexts, decisions, learning: encoder and decoder are this one
//! function over a [`Coder`], so that they can't part ways. What is learnt is kept from picture to picture of a Series,
//! which is worth more than the previous picture itself on thick slices.

use super::{
    bias::{Bias, sign},
    claims::{Claim, Claims},
    coder::Coder,
    decisions::{CONTEXTS, Decisions},
    energy::{Energy, Expected, Scales, Wide},
    experts::{EXPERTS, Effort, Experts, LARGE, LASTING, MEDIAN, NIMBLE, Opinion, References},
    float::{clamp, max},
    neighbours::{Beneath, Neighbours, ROWS},
    pictures::Band,
    residual::{Distributions, Frame},
    rows::{Around, MARGIN, Reference, Rows},
    seen::{Candidates, Seen},
    simd,
};

/// The model of one plane.
pub(super) struct Plane {
    columns: usize,
    greatest: u16,
    /// Rows since the picture began, and since the band did.
    row: usize,
    band_row: usize,
    rows: Rows<ROWS>,
    /// Absolute and signed errors of the final prediction.
    errors: Rows<3>,
    signed: Rows<2>,
    first: Around,
    second: Around,
    experts: Experts,
    bias: Bias,
    scales: Scales,
    wide: Wide,
    decisions: Decisions,
    claims: Claims,
    seen: Seen,
    references: References,
}

impl Plane {
    pub(super) fn new(columns: usize, greatest: u16, references: References, effort: Effort) -> Self {
        Self {
            columns,
            greatest,
            row: 0,
            band_row: 0,
            rows: Rows::new(columns),
            errors: Rows::new(columns),
            signed: Rows::new(columns),
            first: Around::new(columns),
            second: Around::new(columns),
            experts: Experts::new(columns, references, effort, greatest),
            bias: Bias::new(),
            scales: Scales::new(),
            wide: Wide::new(columns),
            decisions: Decisions::new(),
            claims: Claims::new(),
            seen: Seen::new(),
            references,
        }
    }

    /// A new band of rows begins, and with the first one a new picture.
    pub(super) fn begin(&mut self, band: Band) {
        self.band_row = 0;
        if band == Band::Further {
            return;
        }
        self.row = 0;
        self.rows.clear();
        self.errors.clear();
        self.signed.clear();
        self.experts.begin();
        self.wide.begin();
    }

    /// Codes the next row, or decodes it into `samples`. `references` are those that the model was made for.
    pub(super) fn code<C: Coder>(&mut self, coder: &mut C, samples: &mut [u16], references: [Option<&Reference>; 2]) {
        for (around, reference) in [&mut self.first, &mut self.second].into_iter().zip(references) {
            if let Some(reference) = reference {
                around.move_to(reference, self.band_row);
            }
        }
        if self.row == 0 && references[0].is_some() {
            // Above its first row a picture goes on as its reference does.
            for above in 1..4 {
                self.rows.row_mut(above).copy_from_slice(&self.first.samples[0]);
            }
        }
        simd::row(self, coder, samples);
        self.row += 1;
        self.band_row += 1;
    }

    /// The row that was coded last, with its errors, as part of a reference.
    pub(super) fn keep(&self, reference: &mut Reference) {
        reference.push(self.rows.row(0), self.errors.row(0));
    }

    #[inline(always)]
    pub(super) fn row_here<C: Coder>(&mut self, coder: &mut C, samples: &mut [u16]) {
        self.rows.advance();
        self.errors.advance();
        self.signed.advance();
        let (above, error_above) = if self.row == 0 && self.references == References::None {
            (0.0, self.errors.row(1)[MARGIN])
        } else {
            (self.rows.row(1)[MARGIN], self.errors.row(1)[MARGIN])
        };
        self.rows.open(above);
        self.errors.open(error_above);
        self.signed.open(0.0);
        self.experts.begin_row();
        for (column, sample) in samples.iter_mut().enumerate().take(self.columns) {
            let truth = f32::from(*sample);
            let found = self.sample(coder, column, truth);
            self.rows.row_mut(0)[column + MARGIN] = found;
            if !C::ENCODES {
                *sample = found as u16;
            }
        }
        self.rows.close();
        self.errors.close();
        self.signed.row_mut(0)[MARGIN + self.columns..].fill(0.0);
        self.experts.end_row();

        self.wide.end_row();
        self.seen.end_row();
    }

    #[inline(always)]
    fn sample<C: Coder>(&mut self, coder: &mut C, column: usize, truth: f32) -> f32 {
        let at = column + MARGIN;
        let around = Neighbours::gather(&self.rows, column);
        let first = (self.references >= References::One).then(|| Beneath::gather(&self.first, column));
        let second = (self.references == References::Two).then(|| Beneath::gather(&self.second, column));

        // What is said of the sample outright; what is too unsure to be put still learns.
        let repeated = first.as_ref().and_then(|first| {
            let was_right = self.experts.was_right(column);
            Claim::repeated(&around, first, was_right)
        });
        if let Some(claim) = repeated
            && self.claims.put(coder, claim, truth) == Some(true)
        {
            return self.settle(column, claim, [None; 2]);
        }
        let flat = Claim::flat(&around, first.as_ref());
        if let Some(claim) = flat
            && self.claims.put(coder, claim, truth) == Some(true)
        {
            return self.settle(column, claim, [repeated, None]);
        }
        let seen = self.seen.look(&around, first.as_ref(), second.as_ref());
        let mut candidates = Candidates::NONE;
        let mut followed = None;
        if let Some((places, found, claim)) = seen {
            (candidates, followed) = (found, claim);
            if let Some(claim) = claim {
                match self.claims.put(coder, claim, truth) {
                    Some(true) => {
                        self.seen.learn(places, claim.value, true);
                        return self.settle(column, claim, [repeated, flat]);
                    }
                    Some(false) => candidates.rule_out(claim.value),
                    None => {}
                }
            }
        }

        let mut opinion = self.experts.predict(column, &around, first.as_ref(), second.as_ref());
        let experts = &opinion.experts;
        let doubt = match &first {
            Some(beneath) => beneath.error,
            None => (experts[NIMBLE] - experts[LARGE]).abs() + (experts[LARGE] - experts[MEDIAN]).abs() * 0.5,
        };
        let gradient = around.gradient();
        let energy = Energy::gather(&self.errors, column, gradient, doubt, self.wide.mean(column));
        let (here, up) = (self.signed.row(0), self.signed.row(1));
        let signs = [here[at - 1], up[at], up[at + 1]].map(|error| sign(error, energy.mean));
        let bias = Bias::places(&around, opinion.prediction, energy.level, signs[0], signs[1]);
        let prediction = clamp(opinion.prediction + self.bias.of(bias), 0.0, f32::from(self.greatest));

        let expected = self.scales.expected(&energy);
        let spread = max(expected.wide, 0.02);
        let frame = Frame::new(prediction, spread, self.greatest);
        let contexts = contexts(&frame, &energy, &around, first.as_ref(), &opinion, signs);
        let lines = self.decisions.lines(&contexts, energy.level);
        let distributions = distributions(&opinion, &expected, prediction, self.references);
        let found = frame.code(coder, &mut self.decisions, &lines, &distributions, candidates, truth as i32) as f32;

        for claim in [repeated, flat, followed].into_iter().flatten() {
            self.claims.learn(claim, found);
        }
        if let Some((places, ..)) = seen {
            let was_right = |claim: Claim| claim.value == found && self.claims.is_likely(claim);
            self.seen.learn(places, found, followed.is_some_and(was_right));
        }
        let error = found - prediction;
        self.errors.row_mut(0)[at] = error.abs();
        self.wide.learn(column, error.abs());
        self.signed.row_mut(0)[at] = error;
        self.bias.learn(bias, error, 4.0 * spread + 1.0);
        let mut missed = [0.0; EXPERTS];
        for (missed, expert) in missed.iter_mut().zip(&opinion.experts) {
            *missed = (found - expert).abs();
        }
        self.scales.learn(&energy, &expected, error.abs(), &missed);
        let weight = 1.0 / (energy.mean * energy.mean + gradient * gradient * 0.05 + 20.0);
        self.experts.learn(column, &mut opinion, found, weight);
        found
    }

    /// A sample that is what was claimed; `others` were too unsure to be put, or wrong.
    #[inline(always)]
    fn settle(&mut self, column: usize, claim: Claim, others: [Option<Claim>; 2]) -> f32 {
        let found = claim.value;
        self.claims.learn(claim, found);
        for other in others.into_iter().flatten() {
            self.claims.learn(other, found);
        }
        self.errors.row_mut(0)[column + MARGIN] = 0.0;
        self.signed.row_mut(0)[column + MARGIN] = 0.0;
        self.wide.learn(column, 0.0);
        self.experts.skip(column);
        found
    }
}

/// The distributions whose opinions are mixed: the final prediction at several widths, and experts at their own.
#[inline(always)]
fn distributions(opinion: &Opinion, expected: &Expected, prediction: f32, references: References) -> Distributions {
    let Opinion { experts, .. } = opinion;
    let sharp = |error: f32| 2.0 / max(error, 0.03);
    let fifth = if references == References::None { LASTING } else { MEDIAN };
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
            sharp(expected.experts[LARGE]),
            sharp(expected.experts[NIMBLE]),
            sharp(expected.experts[fifth]),
            sharp(expected.joint) * 1.6,
            sharp(expected.gradient) * 0.4,
            sharp(expected.experts[LASTING]),
        ],
    }
}

/// The contexts of a sample's counters.
#[inline(always)]
fn contexts(
    frame: &Frame,
    energy: &Energy,
    around: &Neighbours,
    first: Option<&Beneath>,
    opinion: &Opinion,
    signs: [usize; 3],
) -> [u32; CONTEXTS] {
    let Opinion { experts, .. } = opinion;
    let Frame { prediction, spread, step_bits: bits, .. } = *frame;
    let centre = frame.centre as f32;
    let (level, half) = (energy.level as u32, energy.level as u32 / 2);
    let shift = bits.saturating_sub(2);
    // Difference to the centre in quarter steps, within a limit.
    let near = |value: f32, limit: i32| ((((value - centre) as i32) >> shift).clamp(-limit, limit) + limit) as u32;
    let part = ((prediction - prediction.floor()) * 4.0) as u32;
    let [west, north, north_east] = signs.map(|sign| sign as u32);
    let pair = match first {
        Some(beneath) => near(beneath.here(), 12) * 25 + near(around.w, 12),
        None => near(around.nw, 12) * 25 + near(around.ne, 12),
    };
    let value = frame.centre as u32 >> shift;
    let far = u32::from((experts[MEDIAN] - prediction).abs() > spread);
    [
        level << 6 | part,
        half << 14 | (energy.gradient as u32) << 8 | part,
        half << 14 | (west * 25 + north * 5 + north_east),
        half << 14 | (energy.doubt as u32) << 7 | part,
        (near(around.w, 12) * 25 + near(around.n, 12)) << 8 | bits,
        pair << 8 | bits,
        value << 5 | bits,
        (near(experts[NIMBLE], 10) * 21 + near(experts[LARGE], 10)) << 8 | far << 5 | bits,
    ]
}
