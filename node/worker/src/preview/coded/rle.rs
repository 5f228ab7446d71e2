//! RLE: a segment of packed bits for each byte of each sample, highest byte first (PS3.5 annex G).

use super::StreamFlaw;
use crate::preview::shape::{Shape, Stored};
use std::ops::Range;

const HEADER_BYTES: usize = 64;

/// The samples of a frame, little endian, pixel by pixel.
pub(super) fn unpacked(stream: &[u8], shape: &Shape) -> Result<Vec<u8>, StreamFlaw> {
    let Stored::Integer { allocated, .. } = shape.stored else {
        return Err(StreamFlaw::Process);
    };
    let (sample_bytes, pixels) = (allocated as usize / 8, shape.pixels() as usize);
    let segments = segments(stream, shape.samples() as usize * sample_bytes).ok_or(StreamFlaw::Header)?;
    let stride = segments.len();
    let mut out = vec![0; stride * pixels];
    for (index, segment) in segments.into_iter().enumerate() {
        let (sample, byte) = (index / sample_bytes, index % sample_bytes);
        let first = sample * sample_bytes + sample_bytes - 1 - byte;
        let mut places = (first..out.len()).step_by(stride);
        unpack(&stream[segment], |value| {
            places.next().is_some_and(|place| {
                out[place] = value;
                true
            })
        });
        if places.next().is_some() {
            return Err(StreamFlaw::Decoder);
        }
    }
    Ok(out)
}

/// Where the segments lie, if there are as many as there must be, one after the other.
fn segments(stream: &[u8], count: usize) -> Option<Vec<Range<usize>>> {
    let word = |index: usize| {
        let bytes = stream.get(4 * index..4 * index + 4)?;
        bytes.try_into().ok().map(|bytes| u32::from_le_bytes(bytes) as usize)
    };
    if word(0)? != count || count >= HEADER_BYTES / 4 {
        return None;
    }
    let mut ends: Vec<usize> = (1..=count).map(word).collect::<Option<_>>()?;
    ends.push(stream.len());
    let is_in_order = ends[0] >= HEADER_BYTES && ends.is_sorted();
    is_in_order.then(|| ends.windows(2).map(|ends| ends[0]..ends[1]).collect())
}

/// Unpacks a segment, until `put` has no place left or the segment ends; what pads it is left.
fn unpack(segment: &[u8], mut put: impl FnMut(u8) -> bool) {
    let mut bytes = segment.iter().copied();
    while let Some(head) = bytes.next().map(u8::cast_signed) {
        let goes_on = match head {
            0.. => bytes.by_ref().take(usize::from(head.unsigned_abs()) + 1).all(&mut put),
            i8::MIN => true,
            _ => bytes.next().is_some_and(|value| (0..=head.unsigned_abs()).all(|_| put(value))),
        };
        if !goes_on {
            return;
        }
    }
}
