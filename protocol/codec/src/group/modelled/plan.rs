//! What an Instance of a group is made of: the header bytes, the holes its pixels leave, and how those are coded.
//!
//! Only [`crate::scan`] looks at the bytes. What it can't read to the end, or what has no pixels this crate knows, is one
//! hole of plain bytes: nothing is guessed about a file that a modality may have broken off.

use super::{
    inflated::{DEFLATED, Inflated, Plain},
    raster::{Cell, Raster},
};
use crate::{
    frame::{Cells, Coding},
    group::{Content, EncodeError, Source, encode::copy},
    header::{DataSet, Hole, Residue},
    limits::RESIDUE_BYTES_MAX,
    scan::{Form, PixelForm, Scan, scan},
};
use std::{io::Read, ops::Range};

/// One Instance, looked at.
pub(super) struct Planned<'s> {
    /// Where its bytes come from.
    pub(super) source: Plain<'s>,
    /// All that was received, by length and hash.
    pub(super) content: Content,
    /// Its bytes without the holes.
    pub(super) residue: Vec<u8>,
    pub(super) holes: Vec<Hole>,
    /// The holes as they lie in the source.
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) pixels: Pixels,
}

/// How the holes are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pixels {
    /// As bytes.
    Bytes,
    /// So many native frames in the one hole; what is left over is bytes.
    Native { raster: Raster, frames: u64, bits_stored: u16 },
    /// A hole for each fragment of frames that can be taken apart.
    Frames(Coding),
    /// A hole for each fragment of JPEG baseline.
    Baseline,
}

const RLE: &str = "1.2.840.10008.1.2.5";
const BASELINE: [&str; 2] = ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"];
const LOSSLESS: [&str; 4] =
    ["1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"];

impl<'s> Planned<'s> {
    /// `inflated_left` is what data sets may yet inflate to.
    pub(super) fn read(index: usize, received: &'s dyn Source, inflated_left: &mut u64) -> Result<Self, EncodeError> {
        let reader = received.open().map_err(|source| EncodeError::Read { index, source })?;
        let scan = scan(reader.take(received.bytes()), Form::File).ok();
        let inflated = match &scan {
            Some(scan) => Inflated::of(index, received, scan, *inflated_left)?,
            None => None,
        };
        let (inflated, deflated) = inflated.unzip();
        let source = Plain { received, inflated };
        let bytes = source.bytes();
        *inflated_left -= if deflated.is_some() { bytes } else { 0 };
        let (ranges, pixels) = scan.map_or((Vec::new(), Pixels::Bytes), |scan| outline(&scan, &source));
        let in_holes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        // What has no pixels but is long holds another document, or ends too soon to be read.
        let is_plain = bytes - in_holes > RESIDUE_BYTES_MAX;
        let (ranges, pixels) =
            if is_plain { (std::iter::once(0..bytes).collect(), Pixels::Bytes) } else { (ranges, pixels) };

        let (mut at, mut residue, mut above) = (0_u64, Vec::new(), Above::of(&pixels));
        let content = copy(index, &source, |step| {
            let start = at;
            at += step.len() as u64;
            let mut from = start;
            for range in &ranges {
                let hole = range.start.clamp(start, at)..range.end.clamp(start, at);
                residue
                    .extend_from_slice(&step[(from - start) as usize..(hole.start - start).max(from - start) as usize]);
                above.look(&step[(hole.start - start) as usize..(hole.end - start) as usize]);
                from = from.max(hole.end);
            }
            residue.extend_from_slice(&step[(from - start) as usize..]);
            Ok(())
        })?;
        let mut before = 0;
        let hole = |range: &Range<u64>| {
            let bytes = range.end - range.start;
            let hole = Hole { at: range.start - before, bytes };
            before += bytes;
            hole
        };
        let holes = ranges.iter().map(hole).collect();
        let content = deflated.unwrap_or(content);
        Ok(Self { source, content, residue, holes, ranges, pixels: above.applied(pixels) })
    }

    /// What the header coder takes of it.
    pub(super) fn residue(&self) -> Residue<'_> {
        let data_set = if self.source.inflated.is_some() { DataSet::Inflated } else { DataSet::Received };
        Residue { bytes: &self.residue, holes: &self.holes, data_set }
    }
}

/// Where the holes are, and how they are coded.
fn outline(scan: &Scan, source: &Plain<'_>) -> (Vec<Range<u64>>, Pixels) {
    let (syntax, bytes) = (scan.origin.transfer_syntax.as_str(), source.bytes());
    if syntax == DEFLATED && source.inflated.is_none() && scan.is_whole() {
        return (std::iter::once(scan.origin.data_set..bytes).collect(), Pixels::Bytes);
    }
    let Some(data) = scan.pixel_data.as_ref().filter(|_| scan.is_whole() && scan.bytes == bytes) else {
        return (Vec::new(), Pixels::Bytes);
    };
    match &data.form {
        PixelForm::Native => {
            if data.value.is_empty() {
                return (Vec::new(), Pixels::Bytes);
            }
            let length = data.value.end - data.value.start;
            let bits_stored = scan.image.bits_stored.unwrap_or(16).min(16);
            let native = |(raster, frames)| Pixels::Native { raster, frames, bits_stored };
            (vec![data.value.clone()], Raster::of(scan, length).map_or(Pixels::Bytes, native))
        }
        PixelForm::Encapsulated { fragments } => {
            let Some((_, kept)) =
                fragments.kept.split_first().filter(|_| fragments.kept.len() as u64 == fragments.count)
            else {
                return (vec![data.value.clone()], Pixels::Bytes);
            };
            let ranges: Vec<Range<u64>> = kept.iter().filter(|range| !range.is_empty()).cloned().collect();
            let pixels = match syntax {
                RLE => cells(scan).map_or(Pixels::Bytes, |cells| Pixels::Frames(Coding::Rle(cells))),
                _ if BASELINE.contains(&syntax) => Pixels::Baseline,
                _ if LOSSLESS.contains(&syntax) => Pixels::Frames(Coding::Jpeg),
                _ => Pixels::Bytes,
            };
            (ranges, pixels)
        }
    }
}

fn cells(scan: &Scan) -> Option<Cells> {
    Some(Cells {
        columns: scan.image.columns?,
        rows: scan.image.rows?,
        samples_per_pixel: scan.image.samples_per_pixel.unwrap_or(1),
        bits_allocated: scan.image.bits_allocated?,
    })
}

/// Which bits occur in samples of two bytes.
struct Above {
    cell: Option<Cell>,
    bits: u16,
    /// The first byte of a sample whose second has not come yet.
    odd: Option<u8>,
}

impl Above {
    fn of(pixels: &Pixels) -> Self {
        let cell = match pixels {
            Pixels::Native { raster, bits_stored, .. } => raster.split_at(*bits_stored).map(|split| split.cell),
            _ => None,
        };
        Self { cell, bits: 0, odd: None }
    }

    fn look(&mut self, mut bytes: &[u8]) {
        let word = match self.cell {
            Some(Cell::Little) => u16::from_le_bytes,
            Some(Cell::Big) => u16::from_be_bytes,
            _ => return,
        };
        if let (Some(first), [second, rest @ ..]) = (self.odd, bytes) {
            self.bits |= word([first, *second]);
            (self.odd, bytes) = (None, rest);
        }
        let (pairs, rest) = bytes.as_chunks::<2>();
        self.bits |= pairs.iter().fold(0, |bits, pair| bits | word(*pair));
        if let [first] = rest {
            self.odd = Some(*first);
        }
    }

    /// The raster, split if bits above Bits Stored say something.
    fn applied(&self, pixels: Pixels) -> Pixels {
        match pixels {
            Pixels::Native { raster, frames, bits_stored } if self.cell.is_some() && self.bits >> bits_stored > 0 => {
                Pixels::Native { raster: raster.split_at(bits_stored).unwrap_or(raster), frames, bits_stored }
            }
            other => other,
        }
    }
}
