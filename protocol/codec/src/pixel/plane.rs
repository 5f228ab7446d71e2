//! One plane of samples, row after row: the steps of a sample in their order.
//!
//! Neighbourhood, claims, prediction, expected error, decisions, learning: encoder and decoder are this one function over
//! a [`Coder`], so that they can't part ways. What predicts and what judges the decisions is a [`Model`]: the thorough
//! one or the quick one. What is learnt is kept from picture to picture of a Series, which is worth more than the
//! previous picture itself on thick slices.

use super::{
    bias::{Bias, sign},
    claims::{Claim, Claims},
    coder::Coder,
    energy::{Energy, Expected, Scales},
    float::{clamp, max},
    neighbours::{Beneath, Neighbours, ROWS},
    pictures::Band,
    residual::Frame,
    rows::{Around, MARGIN, Reference, Rows},
    seen::{Candidates, Seen},
    simd,
    wide::Wide,
};

/// How many pictures a plane is predicted from besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum References {
    None,
    One,
    Two,
}

/// What is known around a sample.
pub(super) struct Site {
    pub(super) column: usize,
    pub(super) around: Neighbours,
    /// The same place in the references.
    pub(super) first: Option<Beneath>,
    pub(super) second: Option<Beneath>,
    pub(super) energy: Energy,
    /// Signs and sizes of the errors to the west, north and north-east.
    pub(super) signs: [usize; 3],
    /// Whether row and column are odd: pictures enlarged to twice their size differ by that.
    pub(super) parity: usize,
}

/// What predicts samples and says how likely they are.
pub(super) trait Model {
    /// What a prediction leaves for its sample to be coded and learnt by.
    type Opinion;

    /// Of planes of this width, whose samples are at most `greatest`.
    fn new(columns: usize, references: References, greatest: u16) -> Self;

    /// A new picture begins.
    fn begin(&mut self);

    fn begin_row(&mut self);

    fn end_row(&mut self);

    /// A sample was what was claimed; nothing was predicted.
    fn skip(&mut self, column: usize);

    /// What the sample is likely to be.
    fn predict(&mut self, site: &Site) -> (f32, Self::Opinion);

    /// Codes `sample`, or decodes and returns it.
    fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        site: &Site,
        opinion: &Self::Opinion,
        decisions: (&Frame, &Expected, Candidates),
        sample: i32,
    ) -> i32;

    /// The sample turned out to be this.
    fn learn(&mut self, site: &Site, opinion: Self::Opinion, found: f32);
}

/// A plane and what it has taught.
pub(super) struct Plane<M> {
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
    references: References,
    claims: Claims,
    seen: Seen,
    bias: Bias,
    scales: Scales,
    wide: Wide,
    model: M,
}

/// Least expected error, so that a distribution is never a single value.
const SPREAD_LEAST: f32 = 0.02;

impl<M: Model> Plane<M> {
    pub(super) fn new(columns: usize, greatest: u16, references: References) -> Self {
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
            references,
            claims: Claims::new(),
            seen: Seen::new(),
            bias: Bias::new(),
            scales: Scales::new(),
            wide: Wide::new(columns),
            model: M::new(columns, references, greatest),
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
        self.wide.begin();
        self.model.begin();
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
            for above in 0..4 {
                self.rows.row_mut(above).copy_from_slice(self.first.row(0));
            }
        }
        simd::row(self, coder, samples);
        self.row += 1;
        self.band_row += 1;
    }

    /// The row that was coded last, as part of a reference.
    pub(super) fn keep(&self, reference: &mut Reference) {
        reference.push(self.rows.row(0));
    }

    #[inline(always)]
    pub(super) fn row_here<C: Coder>(&mut self, coder: &mut C, samples: &mut [u16]) {
        self.rows.advance();
        self.errors.advance();
        self.signed.advance();
        let is_first = self.row == 0 && self.references == References::None;
        let above = if is_first { 0.0 } else { self.rows.row(1)[MARGIN] };
        self.rows.open(above);
        self.errors.open(self.errors.row(1)[MARGIN]);
        self.signed.open(0.0);
        self.model.begin_row();
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
        self.model.end_row();
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
            let was_right = self.errors.row(1)[at] < 0.5 && self.errors.row(0)[at - 1] < 0.5;
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

        let energy = Energy::gather(&self.errors, column, around.gradient(), self.wide.mean(column));
        let (here, up) = (self.signed.row(0), self.signed.row(1));
        let signs = [here[at - 1], up[at], up[at + 1]].map(|error| sign(error, energy.mean));
        let parity = self.row % 2 + column % 2 * 2;
        let site = Site { column, around, first, second, energy, signs, parity };

        let (predicted, opinion) = self.model.predict(&site);
        let bias = Bias::places(&site, predicted);
        let prediction = clamp(predicted + self.bias.of(bias), 0.0, f32::from(self.greatest));
        let expected = self.scales.expected(&site.energy);
        let spread = max(expected.wide, SPREAD_LEAST);
        let frame = Frame::new(prediction, spread, self.greatest);
        let decisions = (&frame, &expected, candidates);
        let found = self.model.code(coder, &site, &opinion, decisions, truth as i32) as f32;

        for claim in [repeated, flat, followed].into_iter().flatten() {
            self.claims.learn(claim, found);
        }
        if let Some((places, ..)) = seen {
            let was_right = |claim: Claim| claim.value == found && self.claims.is_likely(claim);
            self.seen.learn(places, found, followed.is_some_and(was_right));
        }
        let error = found - prediction;
        self.errors.row_mut(0)[at] = error.abs();
        self.signed.row_mut(0)[at] = error;
        self.wide.learn(column, error.abs());
        self.bias.learn(bias, error, 4.0 * spread + 1.0);
        self.scales.learn(&site.energy, error.abs());
        self.model.learn(&site, opinion, found);
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
        self.model.skip(column);
        found
    }
}
