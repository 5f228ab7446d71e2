//! Where pixel data lies, without looking at it.
//!
//! A chest CT of 400 MB must pass a scanner that holds 64 KiB, so pixels are skipped by reading, and only their place
//! is kept. Native: one value. Encapsulated (PS3.5 section A.4): fragments in items, the first being the Basic Offset
//! Table.

use crate::limits::FRAGMENTS_KEPT_MAX;
use std::ops::Range;

/// The one element of pixel data at the top of a data set: (7FE0,0010), or (7FE0,0008) and (7FE0,0009) for floats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelData {
    /// The value, from its first byte (encapsulated: of its first item) to the last, sequence delimiter included.
    /// Offsets into the bytes received; in a deflated data set, into file start and inflated bytes together.
    pub value: Range<u64>,
    /// Native or encapsulated.
    pub form: PixelForm,
}

/// How pixel data is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PixelForm {
    /// Samples one after the other.
    Native,
    /// Compressed fragments.
    Encapsulated {
        /// The value of each item, offset table first.
        fragments: Counted,
    },
}

/// Ranges of which the first are kept and all are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The first ones, at most [`FRAGMENTS_KEPT_MAX`].
    pub kept: Vec<Range<u64>>,
    /// How many there are in all.
    pub count: u64,
}

impl Counted {
    pub(super) fn push(&mut self, range: Range<u64>) {
        self.count += 1;
        if self.kept.len() < FRAGMENTS_KEPT_MAX {
            self.kept.push(range);
        }
    }
}
