//! What is missed on average in like places, taken off the prediction.
//!
//! After CALIC's error feedback (Wu and Memon 1997): two tables of mean errors, by texture (which neighbours lie above
//! the prediction) and by the signs of the last errors, each with the error level.

use super::{
    float::{clamp, max},
    plane::Site,
};

/// Levels of the tables: half of the error energy's.
const LEVELS: usize = 64;

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    error: f32,
    count: f32,
}

impl Mean {
    #[inline(always)]
    fn learn(&mut self, error: f32) {
        let rate = max(1.0 / (self.count + 2.0), 0.015);
        self.error += (error - self.error) * rate * 0.9;
        self.count += 1.0;
    }
}

/// The two tables.
pub(super) struct Bias {
    by_texture: Vec<Mean>,
    by_signs: Vec<Mean>,
}

/// A sample's places in them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    texture: usize,
    signs: usize,
}

/// Sign and size of an error: 0 or 3 small, 1 or 4 middling, 2 or 5 large, by sign.
#[inline(always)]
pub(super) fn sign(error: f32, mean: f32) -> usize {
    let size = error.abs();
    let class = if size < 0.5 { 0 } else { 1 + usize::from(size >= 1.0 + mean) };
    if error < 0.0 { class } else { class + 2 }
}

impl Bias {
    pub(super) fn new() -> Self {
        Self { by_texture: vec![Mean::default(); 64 * LEVELS], by_signs: vec![Mean::default(); 25 * LEVELS] }
    }

    #[inline(always)]
    pub(super) fn places(site: &Site, prediction: f32) -> Places {
        let (around, [west, north, _]) = (&site.around, site.signs);
        let [along_row, along_column] = around.extrapolated();
        let higher = [around.w, around.n, around.nw, around.ne, along_row, along_column];
        let texture =
            higher.iter().enumerate().fold(0, |set, (bit, value)| set | usize::from(*value > prediction) << bit);
        let level = (site.energy.level / 2).min(LEVELS - 1);
        Places { texture: texture * LEVELS + level, signs: (west * 5 + north) * LEVELS + level }
    }

    #[inline(always)]
    pub(super) fn of(&self, places: Places) -> f32 {
        (self.by_texture[places.texture].error + self.by_signs[places.signs].error) * 0.5
    }

    /// The prediction with its bias taken off missed by `error`; more than `limit` says nothing of the place.
    #[inline(always)]
    pub(super) fn learn(&mut self, places: Places, error: f32, limit: f32) {
        let error = clamp(error + self.of(places), -limit, limit);
        self.by_texture[places.texture].learn(error);
        self.by_signs[places.signs].learn(error);
    }
}
