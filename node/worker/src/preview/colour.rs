//! From stored values to red, green and blue: palettes and luminance with chrominance.
//!
//! Sources: PS3.3 C.7.6.3.1.2 (YBR_FULL, YBR_PARTIAL) and C.7.6.3.1.5 (palettes), C.7.9.2 (segmented palettes).

use super::{
    PreviewError,
    frame::Frame,
    header::Header,
    shape::{Meaning, Sign, Stored},
};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// How stored values become colour, 0 to 255 each.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Colour {
    /// Values times a factor.
    Rgb { scale: f32 },
    /// The whole range of each sample.
    Ybr { scale: f32 },
    /// 16 to 235 and 240.
    YbrPartial { scale: f32 },
    /// By index.
    Palette(Palette),
}

/// Colours by index; an index outside has the outermost colour.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Palette {
    first: f32,
    colours: Vec<[f32; 3]>,
}

impl Colour {
    /// The colour of a frame; `None` if it is grey.
    pub(super) fn of(frame: &Frame) -> Result<Option<Self>, PreviewError> {
        let bits = match frame.shape.stored {
            Stored::Integer { stored, .. } => stored,
            _ => 8,
        };
        let scale = 255.0 / (((1_u64 << bits) - 1) as f32);
        Ok(match frame.shape.meaning {
            Meaning::LowIsBlack | Meaning::LowIsWhite => None,
            Meaning::Rgb => Some(Self::Rgb { scale }),
            Meaning::Ybr => Some(Self::Ybr { scale }),
            Meaning::YbrPartial => Some(Self::YbrPartial { scale }),
            Meaning::Palette => Some(Self::Palette(Palette::of(&frame.header, frame.shape.stored)?)),
        })
    }

    /// The colour of a pixel of three samples, or of one that is an index.
    pub(super) fn rgb(&self, pixel: &[f32]) -> [f32; 3] {
        match (self, pixel) {
            (Self::Palette(palette), [index, ..]) => palette.colour(*index),
            (Self::Rgb { scale }, [r, g, b]) => [r * scale, g * scale, b * scale],
            (Self::Ybr { scale }, [y, b, r]) => mixed(y * scale, b * scale - 128.0, r * scale - 128.0),
            (Self::YbrPartial { scale }, [y, b, r]) => {
                let chroma = |sample: f32| (sample * scale - 128.0) * (255.0 / 224.0);
                mixed((y * scale - 16.0) * (255.0 / 219.0), chroma(*b), chroma(*r))
            }
            _ => [0.0; 3],
        }
    }
}

/// ITU-R BT.601.
fn mixed(y: f32, b: f32, r: f32) -> [f32; 3] {
    [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b].map(|sample| sample.clamp(0.0, 255.0))
}

impl Palette {
    fn of(header: &Header, stored: Stored) -> Result<Self, PreviewError> {
        let tables = [
            (
                tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
                tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            ),
            (
                tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
                tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            ),
            (
                tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
                tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
                tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            ),
        ];
        let [r, g, b] = tables.map(|(descriptor, data, segmented)| channel(header, descriptor, data, segmented));
        let (Some(r), Some(g), Some(b)) = (r, g, b) else {
            return Err(PreviewError::Missing { what: "a palette" });
        };
        let first = header.table(tables[0].0).get(1).copied().unwrap_or(0);
        let is_signed = matches!(stored, Stored::Integer { sign: Sign::Signed, .. });
        let first = if is_signed { f32::from(first.cast_signed()) } else { f32::from(first) };
        let entries = r.len().min(g.len()).min(b.len());
        Ok(Self { first, colours: (0..entries).map(|index| [r[index], g[index], b[index]]).collect() })
    }

    fn colour(&self, index: f32) -> [f32; 3] {
        let place = (index - self.first).clamp(0.0, (self.colours.len() - 1) as f32);
        self.colours[place as usize]
    }
}

/// One channel, 0 to 255 each; `None` if it is missing or empty.
fn channel(header: &Header, descriptor: Tag, data: Tag, segmented: Tag) -> Option<Vec<f32>> {
    let [entries, _first, bits] = *header.table(descriptor) else { return None };
    let entries = if entries == 0 { 65_536 } else { usize::from(entries) };
    let mut words = header.table(data);
    if words.is_empty() {
        words = expanded(&header.table(segmented), entries)?;
    }
    if bits == 8 && words.len() < entries && 2 * words.len() >= entries {
        words = words.iter().flat_map(|word| [word & 0xFF, word >> 8]).collect();
    }
    words.truncate(entries);
    // Tables of 8 bits in words of 16 have their value in the low byte, or, by some devices, in the high one.
    let is_wide = bits != 8 || words.iter().any(|word| *word > 0xFF);
    let divisor = if is_wide { 65_535.0 } else { 255.0 };
    let channel: Vec<f32> = words.iter().map(|word| f32::from(*word) * 255.0 / divisor).collect();
    (!channel.is_empty()).then_some(channel)
}

/// A segmented palette, written out to at most `entries`; `None` if it is none.
fn expanded(segments: &[u16], entries: usize) -> Option<Vec<u16>> {
    let mut out: Vec<u16> = Vec::new();
    let mut at = 0;
    // Where an indirect segment sends the reader, and how many segments it may still take there.
    let mut resume: Option<(usize, u16)> = None;
    while out.len() < entries && at < segments.len() {
        let (code, length) = (segments[at], *segments.get(at + 1)?);
        match code {
            0 => {
                let end = at + 2 + usize::from(length);
                out.extend_from_slice(segments.get(at + 2..end)?);
                at = end;
            }
            1 => {
                let (from, to) = (f32::from(*out.last()?), f32::from(*segments.get(at + 2)?));
                let steps = f32::from(length);
                out.extend((1..=length).map(|step| (from + (to - from) * f32::from(step) / steps).round() as u16));
                at += 3;
            }
            2 if resume.is_none() && length > 0 => {
                let offset = usize::from(*segments.get(at + 2)?) | usize::from(*segments.get(at + 3)?) << 16;
                resume = Some((at + 4, length.saturating_add(1)));
                // The offset counts bytes.
                at = offset / 2;
            }
            _ => return None,
        }
        if let Some((back, left)) = resume.as_mut() {
            *left -= 1;
            if *left == 0 {
                at = *back;
                resume = None;
            }
        }
    }
    out.truncate(entries);
    Some(out)
}
