//! A Deflated Explicit VR data set, inflated so that its pixels can be coded, and deflated again to the same bytes.
//!
//! Deflate lets an encoder choose, so what was inflated comes back only by doing as its encoder did. Nearly all who
//! write this syntax (PS3.5 A.5; DCMTK, pydicom, GDCM, Java) do it with zlib, whose choices have been the same since
//! 1995: they are made again here, step by step, for its levels 1 to 9. Rule: a data set is taken only if the same
//! bytes came out here; a zlib of other habits (zlib-ng, miniz) leaves it deflated. The work of one byte is bounded,
//! since data can be made on which zlib takes hours. Sources: RFC 1951; zlib's algorithm.txt.

mod blocks;
mod code;
mod search;

use crate::limits::DEFLATE_STEPS_PER_BYTE_MAX;
use blocks::Blocks;
use flate2::bufread::DeflateDecoder;
use search::{Effort, Search};
use std::io::Read;

/// A deflated data set in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inflated {
    /// The data set, explicit VR little endian.
    pub data_set: Vec<u8>,
    /// What [`deflate`] needs besides: zlib's level and memory level, and the bytes behind the deflate stream.
    pub recipe: Vec<u8>,
}

/// Why a data set can't be deflated again. It was, before it was coded, so the recipe or the data set is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeflateError {
    /// The recipe says what no encoder does.
    #[error("the recipe of a deflated data set is damaged")]
    Recipe,
    /// The deflated data set would be larger than was declared, or take longer than any real one.
    #[error("a deflated data set has more than the {max} bytes declared for it, or takes too long")]
    Large {
        /// Bytes allowed.
        max: usize,
    },
}

/// zlib's memory level: bits of the hash and symbols of a block. 8 is its default; 9 is what some ask for.
const MEMORY_LEVELS: [u8; 2] = [8, 9];
/// Levels in the order of how often they are met.
const LEVELS: [u8; 9] = [6, 9, 1, 5, 7, 8, 4, 3, 2];

/// Inflates a data set that can be deflated again. `None` where it inflates to more than `inflated_max` bytes, is no
/// deflate stream, or where no level gave the same bytes: each is tried here.
#[must_use]
pub fn inflate(deflated: &[u8], inflated_max: usize) -> Option<Inflated> {
    let mut decoder = DeflateDecoder::new(deflated);
    let mut data_set = Vec::new();
    let limit = u64::try_from(inflated_max).ok()?.saturating_add(1);
    (&mut decoder).take(limit).read_to_end(&mut data_set).ok()?;
    let used = usize::try_from(decoder.total_in()).ok()?;
    let (stream, trailer) = deflated.split_at_checked(used)?;
    if data_set.len() > inflated_max {
        return None;
    }
    for memory_level in MEMORY_LEVELS {
        for level in LEVELS {
            let starts = |out: &[u8]| stream.starts_with(out);
            if deflated_by(level, memory_level, &data_set, starts).is_some_and(|again| again == stream) {
                return Some(Inflated { data_set, recipe: [&[level, memory_level], trailer].concat() });
            }
        }
    }
    None
}

/// Deflates a data set again. Time goes by its bytes, memory by `bytes_max` and one block.
///
/// # Errors
/// [`DeflateError`] if recipe and data set don't belong together or give more than `bytes_max` bytes.
pub fn deflate(recipe: &[u8], data_set: &[u8], bytes_max: usize) -> Result<Vec<u8>, DeflateError> {
    let Some((&[level, memory_level], trailer)) = recipe.split_first_chunk::<2>() else {
        return Err(DeflateError::Recipe);
    };
    if !LEVELS.contains(&level) || !MEMORY_LEVELS.contains(&memory_level) {
        return Err(DeflateError::Recipe);
    }
    let refused = DeflateError::Large { max: bytes_max };
    let fits = |out: &[u8]| out.len() <= bytes_max;
    let mut out = deflated_by(level, memory_level, data_set, fits).ok_or(refused)?;
    out.extend_from_slice(trailer);
    if fits(&out) { Ok(out) } else { Err(refused) }
}

/// What zlib writes for `data` in one call. `None` as soon as `goes_on` says so of the whole bytes written, which it
/// is shown after each block, or when the search takes too long.
fn deflated_by(level: u8, memory_level: u8, data: &[u8], goes_on: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    // Positions are kept in 32 bits.
    u32::try_from(data.len()).ok()?;
    let effort = Effort::of(level)?;
    let steps_max = (data.len() as u64).saturating_mul(DEFLATE_STEPS_PER_BYTE_MAX);
    let mut search = Search::new(data, effort, memory_level, steps_max);
    let mut blocks = Blocks::new(data, memory_level);
    loop {
        let more = search.fill(&mut blocks)?;
        blocks.flush(search.done(), !more);
        if !goes_on(blocks.written()) {
            return None;
        }
        if !more {
            return Some(blocks.finish());
        }
    }
}
