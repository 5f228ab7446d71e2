//! Errors over a wide neighbourhood, for noise whose level seven errors can't tell.
//!
//! A fading mean of each column's errors, smoothed along the row in both directions, and one of the row so far.

use super::float::max;

/// The means.
pub(super) struct Wide {
    columns: Vec<f32>,
    above: Vec<f32>,
    left: f32,
}

/// How fast the mean of a column follows its errors, that of a row its own, and that along the columns.
const RATE_COLUMN: f32 = 0.2;
const RATE_ROW: f32 = 0.1;
const RATE_ALONG: f32 = 0.15;
/// Share of the row so far.
const SHARE_LEFT: f32 = 0.4;
/// Errors count for no less, so that a mean stays a normal number.
const ERROR_LEAST: f32 = 1e-6;

impl Wide {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns: vec![0.0; columns], above: vec![0.0; columns], left: 0.0 }
    }

    /// A new picture begins.
    pub(super) fn begin(&mut self) {
        self.columns.fill(0.0);
        self.above.fill(0.0);
        self.left = 0.0;
    }

    #[inline(always)]
    pub(super) fn mean(&self, column: usize) -> f32 {
        self.above[column] * (1.0 - SHARE_LEFT) + self.left * SHARE_LEFT
    }

    #[inline(always)]
    pub(super) fn learn(&mut self, column: usize, missed: f32) {
        let missed = max(missed, ERROR_LEAST);
        self.left += (missed - self.left) * RATE_ROW;
        self.columns[column] += (missed - self.columns[column]) * RATE_COLUMN;
    }

    pub(super) fn end_row(&mut self) {
        let [first, .., last] = self.columns[..] else {
            return;
        };
        let mut mean = first;
        for (above, column) in self.above.iter_mut().zip(&self.columns) {
            mean += (column - mean) * RATE_ALONG;
            *above = mean * 0.5;
        }
        mean = last;
        for (above, column) in self.above.iter_mut().zip(&self.columns).rev() {
            mean += (column - mean) * RATE_ALONG;
            *above += mean * 0.5;
        }
        self.left = self.above[0];
    }
}
