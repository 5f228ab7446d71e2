//! The samples around the one being coded, as the predictors and contexts look at them.
//!
//! Named by the compass from the sample: W is the one to the left, NNE two rows up and one to the right. Features are
//! differences to a base of the same picture, so that what is learnt in the dark holds in the light.

use super::{
    least_squares::{FEATURES_MAX, Features},
    rows::{Around, MARGIN, Rows},
};

/// Rows that a neighbourhood reaches: its own and four above.
pub(super) const ROWS: usize = 5;
/// Features of the picture itself: the nearest samples, and those further away.
pub(super) const NEAR: usize = 12;
pub(super) const FAR: usize = 8;
/// Features of a first reference, and of a second.
pub(super) const FIRST: usize = 10;
pub(super) const SECOND: usize = 5;
/// The same for the quick predictor.
pub(super) const QUICK: usize = 6;
pub(super) const QUICK_REFERENCE: usize = QUICK + 6;

const _: () = assert!(NEAR + FIRST + SECOND + FAR < FEATURES_MAX);

/// Samples before this one in the order of coding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbours {
    pub(super) w: f32,
    pub(super) n: f32,
    pub(super) nw: f32,
    pub(super) ne: f32,
    pub(super) ww: f32,
    pub(super) nn: f32,
    pub(super) nne: f32,
    pub(super) nee: f32,
    pub(super) nww: f32,
    pub(super) nnw: f32,
    pub(super) www: f32,
    pub(super) nnn: f32,
    /// Eight more, further away.
    pub(super) far: [f32; FAR],
}

/// N samples of a row from `at` on.
#[inline(always)]
fn window<const N: usize>(row: &[f32], at: usize) -> &[f32; N] {
    row[at..].first_chunk().expect("rows have margins")
}

impl Neighbours {
    #[inline(always)]
    pub(super) fn gather(rows: &Rows<ROWS>, column: usize) -> Self {
        const C: usize = MARGIN;
        let here: &[f32; 4] = window(rows.row(0), column);
        let up: &[f32; 9] = window(rows.row(1), column);
        let up2: &[f32; 9] = window(rows.row(2), column);
        let up3: &[f32; 9] = window(rows.row(3), column);
        let up4 = rows.row(4)[column + C];
        Self {
            w: here[3],
            n: up[C],
            nw: up[C - 1],
            ne: up[C + 1],
            ww: here[2],
            nn: up2[C],
            nne: up2[C + 1],
            nee: up[C + 2],
            nww: up[C - 2],
            nnw: up2[C - 1],
            www: here[1],
            nnn: up3[C],
            far: [up[C + 3], up2[C + 2], up2[C - 2], up[C - 3], up3[C - 1], up3[C + 1], here[0], up4],
        }
    }

    /// What differences are taken to.
    #[inline(always)]
    pub(super) fn base(&self) -> f32 {
        (self.w + self.n) * 0.5
    }

    #[inline(always)]
    fn near(&self) -> [f32; NEAR] {
        [self.w, self.n, self.nw, self.ne, self.ww, self.nn, self.nne, self.nee, self.nww, self.nnw, self.www, self.nnn]
    }

    /// The median edge detector of LOCO-I (Weinberger, Seroussi, Sapiro 2000; ITU-T T.87).
    #[inline(always)]
    pub(super) fn median_edge(&self) -> f32 {
        median_edge(self.w, self.n, self.nw)
    }

    /// What the row and the column go on to when they go on as they did: a picture that was enlarged follows them to
    /// the rounding.
    #[inline(always)]
    pub(super) fn extrapolated(&self) -> [f32; 2] {
        [2.0 * self.w - self.ww, 2.0 * self.n - self.nn]
    }

    /// Mean absolute difference along the edges of the neighbourhood (CALIC, Wu and Memon 1997).
    #[inline(always)]
    pub(super) fn gradient(&self) -> f32 {
        ((self.w - self.nw).abs()
            + (self.n - self.nw).abs()
            + (self.n - self.ne).abs()
            + (self.w - self.ww).abs()
            + (self.n - self.nn).abs())
            * 0.2
    }

    /// Whether the six nearest are all the same.
    #[inline(always)]
    pub(super) fn is_flat(&self) -> bool {
        let w = self.w;
        self.n == w && self.nw == w && self.ne == w && self.ww == w && self.nee == w
    }
}

#[inline(always)]
fn median_edge(w: f32, n: f32, nw: f32) -> f32 {
    let (low, high) = if w < n { (w, n) } else { (n, w) };
    if nw >= high {
        low
    } else if nw <= low {
        high
    } else {
        w + n - nw
    }
}

/// The same place in a reference: the picture before, or another colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beneath {
    /// Rows above, of and below the sample, each from one column before to one after.
    pub(super) near: [[f32; 3]; 3],
    pub(super) ww: f32,
    pub(super) nee: f32,
}

impl Beneath {
    #[inline(always)]
    pub(super) fn gather(around: &Around, column: usize) -> Self {
        let samples = |row: usize| -> &[f32; 6] { window(around.row(row), column + MARGIN - 2) };
        let three = |row: &[f32; 6]| [row[1], row[2], row[3]];
        Self { near: [three(samples(0)), three(samples(1)), three(samples(2))], ww: samples(1)[0], nee: samples(0)[4] }
    }

    #[inline(always)]
    pub(super) fn here(&self) -> f32 {
        self.near[1][1]
    }

    #[inline(always)]
    pub(super) fn base(&self) -> f32 {
        (self.near[1][0] + self.near[0][1]) * 0.5
    }

    /// The median edge detector on the difference to the reference.
    #[inline(always)]
    pub(super) fn median_edge(&self, around: &Neighbours) -> f32 {
        let [[nw, n, _], [w, here, _], _] = self.near;
        here + median_edge(around.w - w, around.n - n, around.nw - nw)
    }

    /// Whether the five nearest coded samples are the reference's.
    #[inline(always)]
    pub(super) fn repeats(&self, around: &Neighbours) -> bool {
        let [[nw, n, ne], [w, ..], _] = self.near;
        around.w == w && around.n == n && around.nw == nw && around.ne == ne && around.ww == self.ww
    }
}

/// Features for the large predictors and the quick one; `far` are those of the samples further away, if they are asked
/// for, and stand last.
#[inline(always)]
pub(super) fn features(
    around: &Neighbours,
    first: Option<&Beneath>,
    second: Option<&Beneath>,
    far: Option<&[f32; FAR]>,
) -> (Features, Features) {
    let base = around.base();
    let (mut large, mut quick) = ([0.0; FEATURES_MAX], [0.0; FEATURES_MAX]);
    for (to, from) in large.iter_mut().zip(around.near()) {
        *to = from - base;
    }
    quick[..QUICK].copy_from_slice(&large[..QUICK]);
    let mut next = NEAR;
    if let Some(reference) = first {
        let own = reference.base();
        let [[nw, n, ne], [w, here, e], [sw, s, se]] = reference.near;
        large[next] = own - base;
        for (to, from) in large[next + 1..].iter_mut().zip([here, e, s, w, n, se, sw, ne, nw]) {
            *to = from - own;
        }
        quick[QUICK..QUICK_REFERENCE].copy_from_slice(&large[next..next + 6]);
        next += FIRST;
    }
    if let Some(reference) = second {
        let own = reference.base();
        let [_, [w, here, e], [_, s, _]] = reference.near;
        for (to, from) in large[next..].iter_mut().zip([here, e, s, w]) {
            *to = from - own;
        }
        large[next + 4] = own - base;
        next += SECOND;
    }
    for (to, from) in large[next..].iter_mut().zip(far.into_iter().flatten()) {
        *to = from - base;
    }
    (large, quick)
}
