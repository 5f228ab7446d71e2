//! What the bytes of a coded group are spent on.
//!
//! Whoever pays for a link by the megabyte asks where they go; the stream itself says it, so nobody has to believe a
//! figure that was kept beside it.

use super::{
    decode::{DecodeError, known},
    stream::HEAD_BYTES,
};
use crate::EncodingId;
use std::ops::AddAssign;

/// Bytes of a coded group by what they hold; with the group's own head they are the whole stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts {
    /// Coded headers: everything but pixel data.
    pub headers: u64,
    /// Coded pixel data.
    pub pixels: u64,
    /// Headers and pixels in one, not told apart: one zstd frame, or stored as received.
    pub whole: u64,
}

impl AddAssign for Parts {
    fn add_assign(&mut self, other: Self) {
        self.headers += other.headers;
        self.pixels += other.pixels;
        self.whole += other.whole;
    }
}

/// The parts of a whole coded stream, read from its heads; nothing is decoded.
///
/// # Errors
/// [`DecodeError`] where the stream is of no encoding known here, or shorter than its head.
pub fn parts(coded: &[u8]) -> Result<Parts, DecodeError> {
    let ([encoding, version, count @ ..], rest) =
        coded.split_first_chunk::<HEAD_BYTES>().ok_or(DecodeError::EndsEarly)?;
    let sizes = u32::from_be_bytes(*count) as usize;
    let all = sizes.checked_mul(8).and_then(|sizes| rest.get(sizes..)).ok_or(DecodeError::EndsEarly)?;
    match known(*encoding, *version)? {
        EncodingId::Zstd | EncodingId::Stored => Ok(Parts { whole: all.len() as u64, ..Parts::default() }),
        EncodingId::Model => Ok(split_at(all, after_block(all)?)),
        EncodingId::Inflated => Ok(split_at(all, after_block(after_block(all)?)?)),
    }
}

/// `pixels` is what follows the headers in `all`.
fn split_at(all: &[u8], pixels: &[u8]) -> Parts {
    let pixels = pixels.len() as u64;
    Parts { headers: all.len() as u64 - pixels, pixels, whole: 0 }
}

/// What follows a length and so many bytes.
fn after_block(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let (length, rest) = bytes.split_first_chunk().ok_or(DecodeError::EndsEarly)?;
    rest.get(u32::from_be_bytes(*length) as usize..).ok_or(DecodeError::EndsEarly)
}
