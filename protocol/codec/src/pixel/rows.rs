//! The last rows of the picture being coded, and a picture coded before it, as the predictors look at them.
//!
//! A mammogram of 40 MB must code in the memory of a small computer, so of the picture at hand only the last five rows
//! are kept; a picture that others are predicted from is kept in 16 bits. Every row has [`MARGIN`] samples more on
//! either side, so that no predictor asks where the edge is.

/// Samples beyond either edge of a row.
pub(super) const MARGIN: usize = 4;

/// The row being coded, at 0, and the rows above it.
pub(super) struct Rows<const N: usize> {
    rows: [Vec<f32>; N],
}

impl<const N: usize> Rows<N> {
    pub(super) fn new(columns: usize) -> Self {
        Self { rows: std::array::from_fn(|_| vec![0.0; columns + 2 * MARGIN]) }
    }

    /// All zeros, as above the first row.
    pub(super) fn clear(&mut self) {
        for row in &mut self.rows {
            row.fill(0.0);
        }
    }

    /// The row at 0 becomes the one above; the new row at 0 holds old samples until they are overwritten.
    pub(super) fn advance(&mut self) {
        self.rows.rotate_right(1);
    }

    /// The row `above` rows above, with its margins.
    #[inline(always)]
    pub(super) fn row(&self, above: usize) -> &[f32] {
        &self.rows[above]
    }

    #[inline(always)]
    pub(super) fn row_mut(&mut self, above: usize) -> &mut [f32] {
        &mut self.rows[above]
    }

    /// Fills the left margin of the current row with `value`.
    pub(super) fn open(&mut self, value: f32) {
        self.rows[0][..MARGIN].fill(value);
    }

    /// Fills its right margin with its last sample.
    pub(super) fn close(&mut self) {
        close(&mut self.rows[0]);
    }
}

/// Fills the right margin of a row with its last sample.
fn close(row: &mut [f32]) {
    let columns = row.len() - 2 * MARGIN;
    let last = row[MARGIN + columns - 1];
    row[MARGIN + columns..].fill(last);
}

/// A picture that was coded before and that others are predicted from.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    columns: usize,
    /// Row-major.
    samples: Vec<u16>,
}

impl Reference {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self { columns, samples: Vec::with_capacity(columns * rows) }
    }

    /// Nothing but zeros: the reference of a first picture.
    pub(super) fn zero(columns: usize, rows: usize) -> Self {
        Self { columns, samples: vec![0; columns * rows] }
    }

    /// Adds a row that was coded, given with its margins.
    pub(super) fn push(&mut self, row: &[f32]) {
        self.samples.extend(row[MARGIN..MARGIN + self.columns].iter().map(|sample| *sample as u16));
    }

    fn rows(&self) -> usize {
        self.samples.len() / self.columns
    }
}

/// The three rows of a reference around the row being coded, from above (0) to below (2).
pub(super) struct Around([Vec<f32>; 3]);

impl Around {
    pub(super) fn new(columns: usize) -> Self {
        Self(std::array::from_fn(|_| vec![0.0; columns + 2 * MARGIN]))
    }

    /// A row with its margins.
    #[inline(always)]
    pub(super) fn row(&self, place: usize) -> &[f32] {
        &self.0[place]
    }

    /// Moves to `row`: the next one, or the first. Beyond its edges a reference goes on as its outermost samples.
    pub(super) fn move_to(&mut self, reference: &Reference, row: usize) {
        if row == 0 {
            self.load(reference, 0, 0);
            self.load(reference, 1, 0);
        } else {
            self.0.rotate_left(1);
        }
        self.load(reference, 2, (row + 1).min(reference.rows() - 1));
    }

    fn load(&mut self, reference: &Reference, place: usize, row: usize) {
        let samples = &reference.samples[row * reference.columns..(row + 1) * reference.columns];
        let to = &mut self.0[place];
        for (to, from) in to[MARGIN..].iter_mut().zip(samples) {
            *to = f32::from(*from);
        }
        let first = to[MARGIN];
        to[..MARGIN].fill(first);
        close(to);
    }
}
