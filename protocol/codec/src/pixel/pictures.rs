//! Pictures of one shape after the other: the frames of a cine, the slices of a Series, the colours of each.
//!
//! A plane is predicted from itself and from up to two others: planes of the same picture coded before it, then the
//! same plane of the two pictures before. Pictures too large to keep are given in bands of rows and predicted from
//! nothing but themselves and their other colours, so that memory is the same for a film of any size.

use super::{
    coder::{Coder, Decoder, Encoder},
    fast::Fast,
    max::Max,
    plane::{Model, Plane, References},
    ranks::Ranks,
    rows::Reference,
};

/// What pictures measure: rows and columns of each plane, in the order in which they are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dimensions {
    pub(crate) planes: Vec<Area>,
    /// Whether pictures are predicted from those before.
    pub(crate) chained: Chained,
}

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Whether a picture is predicted from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chained {
    Yes,
    No,
}

/// Where in a picture a band of rows lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Band {
    /// Its first rows, or all of them.
    First,
    /// More.
    Further,
}

/// How much work a sample is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// The thorough model.
    Max,
    /// The quick one.
    Fast,
}

/// What pictures of one shape have taught.
pub(crate) struct Pictures(Taught);

enum Taught {
    Max(Run<Max>),
    Fast(Run<Fast>),
}

/// Pictures that one kind of model codes.
struct Run<M> {
    dimensions: Dimensions,
    ranks: Vec<Ranks>,
    planes: Vec<Plane<M>>,
    /// The same plane of the picture before, and of the one before that.
    before: Vec<[Option<Reference>; 2]>,
}

impl Dimensions {
    /// Planes of this picture that plane `index` is predicted from.
    fn beside(&self, index: usize) -> impl Iterator<Item = usize> {
        let same = move |other: &usize| self.planes[*other].columns == self.planes[index].columns;
        (0..index).filter(same).take(2)
    }

    fn references(&self, index: usize) -> References {
        match self.beside(index).count() + if self.chained == Chained::Yes { 2 } else { 0 } {
            0 => References::None,
            1 => References::One,
            _ => References::Two,
        }
    }
}

impl Pictures {
    /// `ranks` has one for each plane.
    pub(crate) fn new(dimensions: Dimensions, ranks: Vec<Ranks>, effort: Effort) -> Self {
        Self(match effort {
            Effort::Max => Taught::Max(Run::new(dimensions, ranks)),
            Effort::Fast => Taught::Fast(Run::new(dimensions, ranks)),
        })
    }

    fn code<C: Coder>(&mut self, coder: &mut C, band: Band, planes: &mut [Vec<u16>]) {
        match &mut self.0 {
            Taught::Max(run) => run.code(coder, band, planes),
            Taught::Fast(run) => run.code(coder, band, planes),
        }
    }
}

impl<M: Model> Run<M> {
    fn new(dimensions: Dimensions, ranks: Vec<Ranks>) -> Self {
        let plane = |(index, (area, ranks)): (usize, (&Area, &Ranks))| {
            Plane::new(area.columns, ranks.greatest(), dimensions.references(index))
        };
        let planes: Vec<Plane<M>> = dimensions.planes.iter().zip(&ranks).enumerate().map(plane).collect();
        let before = planes.iter().map(|_| [None, None]).collect();
        Self { dimensions, ranks, planes, before }
    }

    /// Codes some rows of every plane (whole rows, as many of each as belong together), or decodes into them.
    fn code<C: Coder>(&mut self, coder: &mut C, band: Band, planes: &mut [Vec<u16>]) {
        let mut done: Vec<Reference> = Vec::new();
        for (index, samples) in planes.iter_mut().enumerate() {
            let Area { columns, .. } = self.dimensions.planes[index];
            let rows = samples.len() / columns;
            let ranks = &self.ranks[index];
            if C::ENCODES {
                ranks.rank(samples);
            }
            let mut reference = Reference::new(columns, rows);
            let [last, earlier] = &self.before[index];
            let zero = Reference::zero(columns, rows);
            let chained = [last.as_ref().unwrap_or(&zero), earlier.as_ref().or(last.as_ref()).unwrap_or(&zero)];
            let chained = chained.into_iter().filter(|_| self.dimensions.chained == Chained::Yes);
            let references = {
                let beside = self.dimensions.beside(index).map(|other| &done[other]);
                let mut references = beside.chain(chained);
                [references.next(), references.next()]
            };
            let plane = &mut self.planes[index];
            plane.begin(band);
            if ranks.greatest() > 0 {
                for row in samples.chunks_exact_mut(columns) {
                    plane.code(coder, row, references);
                    plane.keep(&mut reference);
                }
            } else {
                reference = zero.clone();
            }
            if !C::ENCODES {
                ranks.unrank(samples);
            }
            done.push(reference);
        }
        if self.dimensions.chained == Chained::Yes {
            for (before, reference) in self.before.iter_mut().zip(done) {
                before.swap(0, 1);
                before[0] = Some(reference);
            }
        }
    }
}

/// A run of pictures on its way into bytes: one flush for all of them.
pub(crate) struct Writing(Encoder);

impl Writing {
    pub(crate) fn new() -> Self {
        Self(Encoder::new())
    }

    pub(crate) fn ranks(&mut self, ranks: &Ranks) {
        Ranks::code(&mut self.0, Some(ranks));
    }

    /// Codes rows of every plane; the samples are used up.
    pub(crate) fn picture(&mut self, pictures: &mut Pictures, band: Band, planes: &mut [Vec<u16>]) {
        pictures.code(&mut self.0, band, planes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.finish()
    }
}

/// The same out of bytes.
pub(crate) struct Reading<'a>(Decoder<'a>);

impl<'a> Reading<'a> {
    pub(crate) fn new(coded: &'a [u8]) -> Self {
        Self(Decoder::new(coded))
    }

    /// `None` for what no encoder writes.
    pub(crate) fn ranks(&mut self) -> Option<Ranks> {
        Ranks::code(&mut self.0, None)
    }

    /// Fills planes of whole rows.
    pub(crate) fn picture(&mut self, pictures: &mut Pictures, band: Band, planes: &mut [Vec<u16>]) {
        pictures.code(&mut self.0, band, planes);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Occurring, *};

    /// Bytes that so many times the same picture take.
    fn coded(area: Area, samples: &[u16], times: usize, effort: Effort) -> usize {
        let mut occurring = Occurring::new();
        occurring.add(samples);
        let ranks = Ranks::of(&occurring, (samples.len() * times) as u64);
        let dimensions = Dimensions { planes: vec![area], chained: Chained::Yes };
        let mut pictures = Pictures::new(dimensions, vec![ranks.clone()], effort);
        let mut writing = Writing::new();
        writing.ranks(&ranks);
        for _ in 0..times {
            writing.picture(&mut pictures, Band::First, &mut [samples.to_vec()]);
        }
        writing.finish().len()
    }

    fn noise(samples: usize, greatest: u32) -> Vec<u16> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 12) % (greatest + 1)) as u16
        };
        (0..samples).map(|_| next()).collect()
    }

    #[test]
    fn the_first_row_of_a_picture_that_repeats_costs_next_to_nothing() {
        let area = Area { columns: 4096, rows: 1 };
        let row = noise(area.columns, 4095);
        for effort in [Effort::Max, Effort::Fast] {
            let [once, eight_times] = [1, 8].map(|times| coded(area, &row, times, effort));
            assert!(eight_times < once + once / 4, "{effort:?}: {once} bytes once, {eight_times} eight times");
        }
    }
}
