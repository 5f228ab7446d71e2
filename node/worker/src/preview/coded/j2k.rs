//! What a JPEG 2000 codestream says of itself (ITU-T T.800 annex A): size, components, and whether they are mixed; and
//! its samples.
//!
//! A codestream that mixes its components is unmixed by the decoder, and is RGB then whatever the Instance says;
//! one that does not leaves them as they are. A mammogram is decoded at a quarter of its resolution: what is left out
//! is finer than what a preview shows.

use super::{Coder, Meaning, Said, Sign, StreamFlaw};
use crate::preview::limits::SIDE_MAX;
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

const SIZE: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
const CODING_STYLE: u8 = 0x52;
const START_OF_TILE: u8 = 0x90;
/// Bytes of the boxes that some devices put around the codestream, at most.
const BOXES_MAX: usize = 4096;
/// Bytes of SIZ before the components, from its length on.
const SIZE_HEAD: usize = 38;
/// Tiles of a frame: each has its own state in the decoder.
const TILES_MAX: u64 = 4096;

pub(super) fn said(stream: &[u8]) -> Result<Said, StreamFlaw> {
    let start = start(stream).ok_or(StreamFlaw::Header)?;
    let body = stream.get(start + 4..).ok_or(StreamFlaw::Header)?;
    let u16_at = |at: usize| body.get(at..at + 2).map(|bytes| u32::from(bytes[0]) << 8 | u32::from(bytes[1]));
    let u32_at = |at: usize| Some(u16_at(at)? << 16 | u16_at(at + 2)?);
    let field = |at| u32_at(at).ok_or(StreamFlaw::Header);
    let (right, bottom, left, top) = (field(4)?, field(8)?, field(12)?, field(16)?);
    let (tile_width, tile_height) = (field(20)?, field(24)?);
    let components = u16_at(36).ok_or(StreamFlaw::Header)?;
    let shapes = body.get(SIZE_HEAD..SIZE_HEAD + 3 * components as usize).ok_or(StreamFlaw::Header)?;
    let (Some(columns), Some(rows)) = (right.checked_sub(left), bottom.checked_sub(top)) else {
        return Err(StreamFlaw::Header);
    };
    let [depth, ..] = shapes else {
        return Err(StreamFlaw::Header);
    };
    let is_even = shapes.chunks_exact(3).all(|component| component == [*depth, 1, 1]);
    let precision = u32::from(depth & 0x7F) + 1;
    let tiles = |size: u32, tile: u32| u64::from(size).checked_div(tile.into()).map(|tiles| tiles + 1);
    let tiles = tiles(columns, tile_width).zip(tiles(rows, tile_height)).map(|(x, y)| x.saturating_mul(y));
    if !is_even || precision > 16 || tiles.is_none_or(|tiles| tiles > TILES_MAX) {
        return Err(StreamFlaw::Process);
    }
    let mixes = mixes(stream, start + 2).ok_or(StreamFlaw::Header)?;
    let given = if precision <= 8 { 8 } else { 16 };
    let meaning = mixes.then_some(Meaning::Rgb);
    let sign = if depth & 0x80 == 0 { Sign::Unsigned } else { Sign::Signed };
    Ok(Said { rows, columns, components, precision, given, meaning, coder: Coder::Jpeg2000(sign) })
}

/// Where the codestream begins in whatever is around it.
fn start(stream: &[u8]) -> Option<usize> {
    stream[..stream.len().min(BOXES_MAX)].windows(4).position(|window| window == SIZE)
}

/// Rows, columns and samples, pixel by pixel, at the lowest resolution of the codestream that is at least twice that of
/// a preview on both sides.
pub(super) fn decode(stream: &[u8], said: Said, sign: Sign) -> Option<(u32, u32, Vec<u8>)> {
    let codestream = stream.get(start(stream)?..)?;
    let target_resolution = Some((2 * SIDE_MAX, 2 * SIDE_MAX));
    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution };
    let image = Image::new(codestream, &settings).ok()?;
    let (rows, columns) = (image.height(), image.width());
    if rows > said.rows || columns > said.columns {
        return None;
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).ok()?;
    let components = decoded.components();
    let pixels = rows as usize * columns as usize;
    if components.len() != said.components as usize || components.iter().any(|one| one.samples().len() != pixels) {
        return None;
    }
    // The decoder lifts signed samples as if they were not.
    let lifted = if sign == Sign::Signed { 1 << (said.precision - 1) } else { 0 };
    let (sample_bytes, highest) = (said.given as usize / 8, (1 << said.precision) - 1);
    let mut bytes = Vec::with_capacity(pixels * components.len() * sample_bytes);
    for pixel in 0..pixels {
        for component in components {
            let sample = (component.samples()[pixel].round() as i32).clamp(0, highest) - lifted;
            bytes.extend_from_slice(&sample.to_le_bytes()[..sample_bytes]);
        }
    }
    Some((rows, columns, bytes))
}

/// The multiple component transformation of the main header's COD segment.
fn mixes(stream: &[u8], mut at: usize) -> Option<bool> {
    loop {
        let [0xFF, marker, l0, l1] = *stream.get(at..at + 4)? else { return None };
        match marker {
            CODING_STYLE => return Some(*stream.get(at + 8)? == 1),
            START_OF_TILE => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes([l0, l1])),
        }
    }
}
