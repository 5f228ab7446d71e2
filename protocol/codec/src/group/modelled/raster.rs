//! How native samples lie in their bytes, and the planes that the pixel model takes.
//!
//! PS3.5 section 8.1 and PS3.3 C.7.6.3: Bits Allocated of 1, 8, 16 or 32, little or big endian, colours interleaved by
//! pixel, by plane, or with half the chroma (YBR_FULL_422). Signed samples are moved so that the least is 0; bits above
//! Bits Stored that say something (overlays of old, PS3.5 section 8.1.1) become a plane of their own. A raster stands
//! in the coded stream, so that decoding never has to understand a header.

use crate::{
    limits::{BAND_SAMPLES, CHAINED_SAMPLES_MAX, COLUMNS_MAX, FRAME_SAMPLES_MAX},
    pixel::{Area, Chained, Dimensions, Occurring, Ranks},
    scan::{Fact, Scan},
};

/// How a sample lies in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Cell {
    /// Eight to a byte, first the lowest bit.
    Bit = 0,
    /// One byte.
    Byte = 1,
    /// Two, lowest first.
    Little = 2,
    /// Two, highest first.
    Big = 3,
    /// Four, lowest first.
    LongLittle = 4,
    /// Four, highest first.
    LongBig = 5,
}

/// How the samples of a pixel lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Arrangement {
    /// One sample a pixel.
    Single = 0,
    /// Three after each other.
    Interleaved = 1,
    /// Three planes after each other.
    Planar = 2,
    /// Two of luma, one each of chroma, for two pixels.
    Subsampled = 3,
}

/// Which plane is coded first and the others are predicted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Lead {
    /// The first: luma, or the only one.
    First = 0,
    /// The second: green.
    Second = 1,
}

/// How native frames lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raster {
    pub(super) columns: u16,
    pub(super) rows: u16,
    pub(super) cell: Cell,
    pub(super) arrangement: Arrangement,
    pub(super) lead: Lead,
    /// What a sample is XORed with: its sign bit, or nothing.
    pub(super) flip: u16,
    /// Bits of the lower plane where the bits above are a plane of their own; 0 where they aren't.
    pub(super) split: u8,
}

const BYTES: usize = 10;

impl Raster {
    /// What a scanned Instance says of its `length` bytes of native pixels, and how many whole frames they are; `None`
    /// for what is coded as bytes.
    pub(super) fn of(scan: &Scan, length: u64) -> Option<(Self, u64)> {
        let image = &scan.image;
        let is_big = scan.origin.transfer_syntax.as_str() == "1.2.840.10008.1.2.2";
        let photometric = scan.facts.raw(Fact::PhotometricInterpretation).unwrap_or_default().trim_ascii_end();
        let cell = match (image.bits_allocated?, is_big) {
            (1, false) => Cell::Bit,
            (8, _) => Cell::Byte,
            (16, false) => Cell::Little,
            (16, true) => Cell::Big,
            (32, false) => Cell::LongLittle,
            (32, true) => Cell::LongBig,
            _ => return None,
        };
        let arrangement = match (image.samples_per_pixel.unwrap_or(1), image.planar_configuration.unwrap_or(0)) {
            (1, _) => Arrangement::Single,
            (3, _) if photometric == b"YBR_FULL_422" => Arrangement::Subsampled,
            (3, 0) => Arrangement::Interleaved,
            (3, 1) => Arrangement::Planar,
            _ => return None,
        };
        let is_rgb = photometric == b"RGB" && arrangement != Arrangement::Single;
        let is_signed = image.pixel_representation == Some(1);
        let flip = match cell {
            Cell::Byte if is_signed => 0x80,
            Cell::Little | Cell::Big if is_signed => 0x8000,
            _ => 0,
        };
        let raster = Self {
            columns: image.columns?,
            rows: image.rows?,
            cell,
            arrangement,
            lead: if is_rgb { Lead::Second } else { Lead::First },
            flip,
            split: 0,
        };
        let frames = raster.is_sound().then(|| length / raster.bytes(usize::from(raster.rows)) as u64)?;
        (frames > 0).then_some((raster, frames))
    }

    /// The same with the bits above Bits Stored apart; `None` where such bits can't be.
    pub(super) fn split_at(self, bits_stored: u16) -> Option<Self> {
        let split = Self { split: u8::try_from(bits_stored).ok().filter(|bits| *bits > 0)?, ..self };
        split.is_sound().then_some(split)
    }

    /// Zeros for some rows of every plane, in the order of coding.
    pub(super) fn blank(&self, rows: usize) -> Vec<Vec<u16>> {
        let mut columns = self.columns();
        self.lead_first(&mut columns);
        columns.into_iter().map(|columns| vec![0; columns * rows]).collect()
    }

    fn is_sound(&self) -> bool {
        let pixels = self.pixels();
        let is_single = self.arrangement == Arrangement::Single;
        let long = matches!(self.cell, Cell::LongLittle | Cell::LongBig);
        let splits = self.split == 0
            || (is_single && self.split < 16 && self.flip == 0 && matches!(self.cell, Cell::Little | Cell::Big));
        pixels > 0
            && usize::from(self.columns) <= COLUMNS_MAX
            && splits
            && (self.cell != Cell::Bit || (is_single && pixels.is_multiple_of(8)))
            && (!long || is_single)
            && (self.arrangement != Arrangement::Subsampled || self.columns.is_multiple_of(2))
            && (self.band_rows() < usize::from(self.rows) || self.samples(usize::from(self.rows)) <= FRAME_SAMPLES_MAX)
    }

    fn pixels(&self) -> usize {
        usize::from(self.columns) * usize::from(self.rows)
    }

    /// Planes, in the order of the bytes: columns of each.
    fn columns(&self) -> Vec<usize> {
        let columns = usize::from(self.columns);
        let is_two = self.split > 0 || matches!(self.cell, Cell::LongLittle | Cell::LongBig);
        match self.arrangement {
            Arrangement::Single if is_two => vec![columns; 2],
            Arrangement::Single => vec![columns],
            Arrangement::Interleaved | Arrangement::Planar => vec![columns; 3],
            Arrangement::Subsampled => vec![columns, columns / 2, columns / 2],
        }
    }

    /// Samples of all planes in some rows.
    fn samples(&self, rows: usize) -> usize {
        self.columns().iter().sum::<usize>() * rows
    }

    /// Rows that are coded at a time: all of a frame that others are predicted from, or a band of a larger one.
    pub(super) fn band_rows(&self) -> usize {
        let rows = usize::from(self.rows);
        let whole = self.samples(rows) <= CHAINED_SAMPLES_MAX
            || self.arrangement == Arrangement::Planar
            || self.cell == Cell::Bit;
        if whole { rows } else { (BAND_SAMPLES / self.samples(1)).clamp(1, rows) }
    }

    /// What the pixel model is made for.
    pub(super) fn dimensions(&self) -> Dimensions {
        let rows = usize::from(self.rows);
        let mut planes: Vec<Area> = self.columns().into_iter().map(|columns| Area { columns, rows }).collect();
        self.lead_first(&mut planes);
        let chained = if self.samples(rows) <= CHAINED_SAMPLES_MAX { Chained::Yes } else { Chained::No };
        Dimensions { planes, chained }
    }

    /// Whether all planes have one list of ranks, since they measure the same.
    fn ranks_are_shared(&self) -> bool {
        self.arrangement != Arrangement::Single
    }

    /// Lists of ranks that are sent.
    pub(super) fn lists(&self) -> usize {
        if self.ranks_are_shared() { 1 } else { self.columns().len() }
    }

    /// One for each plane out of those sent.
    pub(super) fn ranks(&self, sent: Vec<Ranks>) -> Vec<Ranks> {
        if self.ranks_are_shared() { vec![sent[0].clone(); self.columns().len()] } else { sent }
    }

    /// Notes which values occur in planes as [`Self::unpack`] gives them; `lists` has one for each that is sent.
    pub(super) fn note(&self, planes: &[Vec<u16>], lists: &mut [Occurring]) {
        for (index, plane) in planes.iter().enumerate() {
            lists[if self.ranks_are_shared() { 0 } else { index }].add(plane);
        }
    }

    /// Bytes of a band of rows.
    pub(super) fn bytes(&self, rows: usize) -> usize {
        let pixels = usize::from(self.columns) * rows;
        let cells = match self.arrangement {
            Arrangement::Single => pixels,
            Arrangement::Interleaved | Arrangement::Planar => pixels * 3,
            Arrangement::Subsampled => pixels * 2,
        };
        match self.cell {
            Cell::Bit => cells / 8,
            Cell::Byte => cells,
            Cell::Little | Cell::Big => cells * 2,
            Cell::LongLittle | Cell::LongBig => cells * 4,
        }
    }

    /// The planes in the order of coding, of the bytes of whole rows.
    pub(super) fn unpack(&self, bytes: &[u8]) -> Vec<Vec<u16>> {
        let flip = self.flip;
        let words = |word: fn([u8; 2]) -> u16| bytes.as_chunks::<2>().0.iter().map(|pair| word(*pair) ^ flip).collect();
        let cells: Vec<u16> = match self.cell {
            Cell::Bit => bytes.iter().flat_map(|byte| (0..8).map(move |bit| u16::from(byte >> bit & 1))).collect(),
            Cell::Byte => bytes.iter().map(|byte| u16::from(*byte) ^ flip).collect(),
            Cell::Little | Cell::LongLittle => words(u16::from_le_bytes),
            Cell::Big | Cell::LongBig => words(u16::from_be_bytes),
        };
        let every = |step: usize, from: usize| cells[from..].iter().step_by(step).copied().collect::<Vec<u16>>();
        let mut planes = match (self.arrangement, self.cell) {
            (Arrangement::Single, Cell::LongLittle) => vec![every(2, 1), every(2, 0)],
            (Arrangement::Single, Cell::LongBig) => vec![every(2, 0), every(2, 1)],
            (Arrangement::Single, _) if self.split > 0 => {
                let mask = (1 << self.split) - 1;
                vec![
                    cells.iter().map(|cell| cell & mask).collect(),
                    cells.iter().map(|cell| cell >> self.split).collect(),
                ]
            }
            (Arrangement::Single, _) => vec![cells],
            (Arrangement::Interleaved, _) => (0..3).map(|colour| every(3, colour)).collect(),
            (Arrangement::Planar, _) => cells.chunks_exact(cells.len() / 3).map(<[u16]>::to_vec).collect(),
            (Arrangement::Subsampled, _) => {
                let luma = cells.chunks_exact(4).flat_map(|four| [four[0], four[1]]).collect();
                vec![luma, every(4, 2), every(4, 3)]
            }
        };
        self.lead_first(&mut planes);
        planes
    }

    /// The bytes of whole rows, of their planes in the order of coding.
    pub(super) fn pack(&self, planes: &mut [Vec<u16>]) -> Vec<u8> {
        self.lead_first(planes);
        let cells: Vec<u16> = match (self.arrangement, self.cell, &*planes) {
            (Arrangement::Single, Cell::LongLittle, [high, low]) => {
                low.iter().zip(high).flat_map(|(l, h)| [*l, *h]).collect()
            }
            (Arrangement::Single, Cell::LongBig, [high, low]) => {
                high.iter().zip(low).flat_map(|(h, l)| [*h, *l]).collect()
            }
            (Arrangement::Single, _, [low, high]) => low.iter().zip(high).map(|(l, h)| l | h << self.split).collect(),
            (Arrangement::Interleaved, _, [a, b, c]) => {
                a.iter().zip(b).zip(c).flat_map(|((a, b), c)| [*a, *b, *c]).collect()
            }
            (Arrangement::Subsampled, _, [luma, b, c]) => {
                let pairs = luma.as_chunks::<2>().0.iter();
                pairs.zip(b.iter().zip(c)).flat_map(|([y0, y1], (b, c))| [*y0, *y1, *b, *c]).collect()
            }
            (_, _, planes) => planes.concat(),
        };
        let flip = self.flip;
        match self.cell {
            Cell::Bit => {
                let byte = |eight: &[u16; 8]| (0..8).fold(0, |byte, bit| byte | (eight[bit] as u8 & 1) << bit);
                cells.as_chunks::<8>().0.iter().map(byte).collect()
            }
            Cell::Byte => cells.iter().map(|cell| (cell ^ flip) as u8).collect(),
            Cell::Little | Cell::LongLittle => cells.iter().flat_map(|cell| (cell ^ flip).to_le_bytes()).collect(),
            Cell::Big | Cell::LongBig => cells.iter().flat_map(|cell| (cell ^ flip).to_be_bytes()).collect(),
        }
    }

    /// Puts the leading plane first, or back: the exchange is its own inverse.
    fn lead_first<T>(&self, planes: &mut [T]) {
        if self.lead == Lead::Second && planes.len() == 3 {
            planes.swap(0, 1);
        }
    }

    /// As it stands in the stream.
    pub(super) fn to_bytes(self) -> [u8; BYTES] {
        let ([c0, c1], [r0, r1], [f0, f1]) =
            (self.columns.to_be_bytes(), self.rows.to_be_bytes(), self.flip.to_be_bytes());
        [c0, c1, r0, r1, self.cell as u8, self.arrangement as u8, self.lead as u8, f0, f1, self.split]
    }

    /// `None` for what no encoder writes.
    pub(super) fn parse(bytes: [u8; BYTES]) -> Option<Self> {
        let [c0, c1, r0, r1, cell, arrangement, lead, f0, f1, split] = bytes;
        use {Arrangement as A, Cell as C};
        let cells = [C::Bit, C::Byte, C::Little, C::Big, C::LongLittle, C::LongBig];
        let arrangements = [A::Single, A::Interleaved, A::Planar, A::Subsampled];
        let raster = Self {
            columns: u16::from_be_bytes([c0, c1]),
            rows: u16::from_be_bytes([r0, r1]),
            cell: *cells.get(usize::from(cell))?,
            arrangement: *arrangements.get(usize::from(arrangement))?,
            lead: *[Lead::First, Lead::Second].get(usize::from(lead))?,
            flip: u16::from_be_bytes([f0, f1]),
            split,
        };
        raster.is_sound().then_some(raster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rasters() -> impl Strategy<Value = Raster> {
        (1_u16..40, 1_u16..40, 0_u8..6, 0_u8..4, 0_u8..2, prop::sample::select(vec![0_u16, 0x80, 0x8000]), 0_u8..16)
            .prop_filter_map("a raster that can be", |(columns, rows, cell, arrangement, lead, flip, split)| {
                let ([c0, c1], [r0, r1], [f0, f1]) = (columns.to_be_bytes(), rows.to_be_bytes(), flip.to_be_bytes());
                Raster::parse([c0, c1, r0, r1, cell, arrangement, lead, f0, f1, split])
            })
    }

    proptest! {
        #[test]
        fn bytes_become_planes_and_the_same_bytes_again(raster in rasters(), seed in any::<u64>()) {
            let bytes: Vec<u8> = (0..raster.bytes(usize::from(raster.rows)))
                .map(|at| (seed.wrapping_mul(at as u64 * 2 + 1) >> 29) as u8)
                .collect();
            let mut planes = raster.unpack(&bytes);
            let areas = raster.dimensions().planes;
            prop_assert!(planes.iter().zip(&areas).all(|(plane, area)| plane.len() == area.columns * area.rows));
            prop_assert_eq!(raster.pack(&mut planes), bytes);
            prop_assert_eq!(Raster::parse(raster.to_bytes()), Some(raster));
        }
    }
}
