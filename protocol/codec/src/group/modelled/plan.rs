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
/// JPEG lossless, and JPEG-LS without loss or nearly so.
const PREDICTIVE: [&str; 4] =
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
                _ if PREDICTIVE.contains(&syntax) => Pixels::Frames(Coding::Jpeg),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::GROUP_INFLATED_BYTES_MAX;

    macro_rules! fixture {
        ($file:literal) => {
            include_bytes!(concat!("../../../../../tests/data/", $file)).to_vec()
        };
    }

    fn planned(bytes: &dyn Source, mut inflated_left: u64) -> (Planned<'_>, u64) {
        (Planned::read(0, bytes, &mut inflated_left).unwrap(), inflated_left)
    }

    /// Puts the holes' bytes back.
    fn filled(planned: &Planned<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        planned.source.open().unwrap().read_to_end(&mut bytes).unwrap();
        let (mut whole, mut from) = (Vec::new(), 0);
        for (hole, range) in planned.holes.iter().zip(&planned.ranges) {
            whole.extend_from_slice(&planned.residue[from..hole.at as usize]);
            whole.extend_from_slice(&bytes[range.start as usize..range.end as usize]);
            from = hole.at as usize;
        }
        [&whole, &planned.residue[from..]].concat()
    }

    #[test]
    fn native_pixels_are_one_hole_and_all_else_is_residue() {
        let file = fixture!("pydicom/CT_small.dcm");
        let (planned, _) = planned(&file, 0);
        assert!(matches!(planned.pixels, Pixels::Native { frames: 1, bits_stored: 16, .. }));
        assert_eq!(planned.holes.iter().map(|hole| hole.bytes).collect::<Vec<_>>(), [128 * 128 * 2]);
        assert_eq!(filled(&planned), file);
    }

    #[test]
    fn fragments_are_holes_and_the_offset_table_is_none() {
        let file = fixture!("pydicom/examples_ybr_color.dcm");
        let (planned, _) = planned(&file, 0);
        assert_eq!((planned.pixels, planned.holes.len()), (Pixels::Baseline, 30));
        assert_eq!(filled(&planned), file);
    }

    #[test]
    fn nothing_is_guessed_about_a_file_that_ends_early() {
        let file = fixture!("pydicom/MR_truncated.dcm");
        let (planned, _) = planned(&file, 0);
        assert_eq!((planned.pixels, planned.holes.len()), (Pixels::Bytes, 0));
        assert_eq!(planned.residue, file);
    }

    #[test]
    fn what_is_long_and_has_no_pixels_is_one_hole() {
        let film = vec![7_u8; RESIDUE_BYTES_MAX as usize + 1];
        let (long, _) = planned(&film, 0);
        assert_eq!((long.residue.len(), long.holes[0].bytes), (0, RESIDUE_BYTES_MAX + 1));
        let shorter = film[1..].to_vec();
        let (short, _) = planned(&shorter, 0);
        assert_eq!((short.residue.len(), short.holes.len()), (RESIDUE_BYTES_MAX as usize, 0));
    }

    #[test]
    fn a_deflated_data_set_has_the_pixels_it_inflates_to_where_the_group_has_room() {
        let file = fixture!("pydicom/image_dfl.dcm");
        let (inflated, left) = planned(&file, GROUP_INFLATED_BYTES_MAX);
        assert!(matches!(inflated.pixels, Pixels::Native { frames: 1, .. }));
        assert_eq!(GROUP_INFLATED_BYTES_MAX - left, inflated.source.bytes());
        assert_eq!(inflated.content, Content { bytes: file.len() as u64, hash: *blake3::hash(&file).as_bytes() });
        let (deflated, unused) = planned(&file, inflated.source.bytes() - 1);
        assert_eq!((deflated.pixels, unused), (Pixels::Bytes, inflated.source.bytes() - 1));
        assert_eq!(filled(&deflated), file);
    }

    #[test]
    fn a_bit_above_bits_stored_makes_a_plane_wherever_it_is_read() {
        let raster = Raster::parse([0, 4, 0, 4, Cell::Little as u8, 0, 0, 0, 0, 0]).unwrap();
        let pixels = Pixels::Native { raster, frames: 1, bits_stored: 12 };
        let split = |steps: &[&[u8]]| {
            let mut above = Above::of(&pixels);
            steps.iter().for_each(|step| above.look(step));
            above.applied(pixels)
        };
        assert_eq!(split(&[&[0xFF, 0x0F, 0xFF], &[0x0F]]), pixels);
        let Pixels::Native { raster, .. } = split(&[&[0xFF, 0x0F, 0xFF], &[0x1F]]) else {
            panic!("native stays native")
        };
        assert_eq!(raster.split, 12);
    }
}
