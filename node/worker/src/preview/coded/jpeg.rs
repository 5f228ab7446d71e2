//! What a JPEG or JPEG-LS stream says of itself, and in which colours (ITU-T T.81 annex B; T.87 annex C; T.871;
//! Adobe's APP14).
//!
//! The decoder takes components numbered 1, 2, 3 for YCbCr whatever the stream and the Instance say, which turns an
//! ultrasound in RGB green. So what the components mean is decided here, and they are renamed so that the decoder
//! converts nothing: the one conversion is ours, in [`super::super::colour`]. What changes samples behind a decoder's
//! back (a JPEG-LS mapping table, the colour transform of HP's coder) is refused.

use super::{Coder, Meaning, Said, StreamFlaw};

const START_OF_IMAGE: u8 = 0xD8;
const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;
const APP0: u8 = 0xE0;
const APP8: u8 = 0xE8;
const APP14: u8 = 0xEE;
const BASELINE: u8 = 0xC0;
const EXTENDED: u8 = 0xC1;
const PROGRESSIVE: u8 = 0xC2;
const LOSSLESS: u8 = 0xC3;
const JPEG_LS: u8 = 0xF7;
/// Parameters of JPEG-LS; ids 2 and 3 are mapping tables.
const LSE: u8 = 0xF8;
/// The names by which the decoder leaves three components as they are.
const UNCONVERTED: [u8; 3] = *b"RGB";

/// Reads the frame header, and renames three components so that the decoder converts no colours.
pub(super) fn said(stream: &mut [u8]) -> Result<Said, StreamFlaw> {
    let mut frame: Option<(Said, u8, Vec<u8>)> = None;
    let (mut is_jfif, mut adobe, mut has_less_chroma, mut cut) = (false, None, false, None);
    let mut at = 2;
    if stream.get(..2) != Some(&[0xFF, START_OF_IMAGE]) {
        return Err(StreamFlaw::Header);
    }
    while let Some((marker, body)) = next_segment(stream, &mut at) {
        let segment = stream.get_mut(body).ok_or(StreamFlaw::Header)?;
        match marker {
            APP0 => is_jfif |= segment.starts_with(b"JFIF\0"),
            APP14 if segment.starts_with(b"Adobe") => adobe = segment.get(11).copied(),
            APP8 if segment.starts_with(b"mrfx") && segment.get(4) != Some(&0) => return Err(StreamFlaw::Process),
            LSE if matches!(segment.first(), Some(2 | 3)) => return Err(StreamFlaw::Process),
            BASELINE | EXTENDED | PROGRESSIVE | LOSSLESS | JPEG_LS if frame.is_none() => {
                let [precision, r0, r1, c0, c1, components, ids @ ..] = segment else {
                    return Err(StreamFlaw::Header);
                };
                let components = usize::from(*components);
                if !matches!(components, 1 | 3) || ids.len() != 3 * components {
                    return Err(StreamFlaw::Process);
                }
                let names: Vec<u8> = ids.chunks_exact(3).map(|component| component[0]).collect();
                has_less_chroma = ids.chunks_exact(3).any(|component| component[1] != ids[1]);
                if components == 3 {
                    ids.chunks_exact_mut(3).zip(UNCONVERTED).for_each(|(component, name)| component[0] = name);
                }
                let said = Said {
                    rows: u16::from_be_bytes([*r0, *r1]).into(),
                    columns: u16::from_be_bytes([*c0, *c1]).into(),
                    components: components as u32,
                    precision: (*precision).into(),
                    given: if *precision == 8 { 8 } else { 16 },
                    meaning: None,
                    coder: Coder::Jpeg,
                };
                frame = Some((said, marker, names));
            }
            0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Err(StreamFlaw::Process),
            START_OF_SCAN => {
                let (_, _, names) = frame.as_ref().ok_or(StreamFlaw::Header)?;
                rename(segment, names)?;
                let transform = segment.last().map_or(0, |approximation| approximation & 15);
                if *cut.get_or_insert(transform) != transform {
                    return Err(StreamFlaw::Process);
                }
            }
            _ => {}
        }
    }
    let (mut said, process, names) = frame.ok_or(StreamFlaw::Header)?;
    let is_lossless = matches!(process, LOSSLESS | JPEG_LS);
    if is_lossless {
        said.coder = Coder::Lossless { cut: cut.unwrap_or(0).into() };
    }
    if !(2..=16).contains(&said.precision) || (!is_lossless && said.precision != 8) || (is_lossless && has_less_chroma)
    {
        return Err(StreamFlaw::Process);
    }
    said.meaning = match adobe {
        _ if is_lossless => None,
        _ if has_less_chroma => Some(Meaning::Ybr),
        Some(0) => Some(Meaning::Rgb),
        Some(1) => Some(Meaning::Ybr),
        _ if names == UNCONVERTED => Some(Meaning::Rgb),
        _ if is_jfif => Some(Meaning::Ybr),
        _ => None,
    };
    Ok(said)
}

/// The next marker segment from `at` on, and its body without the length. Entropy-coded data is passed over.
fn next_segment(stream: &[u8], at: &mut usize) -> Option<(u8, std::ops::Range<usize>)> {
    loop {
        let marker = *stream.get(*at + 1)?;
        // JPEG-LS stuffs a bit and no byte, so that any value below 0x80 may follow.
        if stream[*at] != 0xFF || matches!(marker, 0x00..0xC0 | 0xD0..=START_OF_IMAGE | 0xFF) {
            *at += 1;
            continue;
        }
        if marker == END_OF_IMAGE {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([*stream.get(*at + 2)?, *stream.get(*at + 3)?]));
        let start = *at + 4;
        let end = (*at + 2).checked_add(length).filter(|end| *end >= start)?;
        *at = end;
        return Some((marker, start..end));
    }
}

/// Gives the components of a scan the names that the frame header now has.
fn rename(scan: &mut [u8], names: &[u8]) -> Result<(), StreamFlaw> {
    let [count, selectors @ ..] = scan else {
        return Err(StreamFlaw::Header);
    };
    if names.len() != 3 {
        return Ok(());
    }
    for selector in selectors.chunks_exact_mut(2).take(usize::from(*count)) {
        let component = names.iter().position(|name| *name == selector[0]).ok_or(StreamFlaw::Header)?;
        selector[0] = UNCONVERTED[component];
    }
    Ok(())
}
