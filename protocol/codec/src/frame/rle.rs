//! RLE frames: byte planes, each packed by itself (PS3.5 section G).
//!
//! Ultrasound and older archives hold it; zstd gains a third on it where the pixels would give two. A frame is a
//! header of 64 bytes and up to 15 segments, the most significant byte of each sample first. The frame does not say
//! its shape, so [`Cells`] brings it from the data set and the recipe keeps it: `columns number | rows number |
//! samples a pixel u8 | bits allocated u8 | segments x (writing, excess run, gap run) | header if irregular`. What a
//! segment's last run says past its samples is excess; what follows its runs is gap.

use super::{
    Plane, PutTogetherError, Samples, Shape,
    packbits::{Writing, unpack},
    recipe::{self, Reader},
};
use crate::limits::FRAME_PLANES_MAX;

/// How an RLE frame's samples lie, from the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cells {
    /// (0028,0011) Columns.
    pub columns: u16,
    /// (0028,0010) Rows.
    pub rows: u16,
    /// (0028,0002) Samples per Pixel.
    pub samples_per_pixel: u16,
    /// (0028,0100) Bits Allocated: 8, 16 or 32.
    pub bits_allocated: u16,
}

const HEADER_BYTES: usize = 64;
const SEGMENTS_MAX: usize = 15;

impl Cells {
    /// `Some` for what can be taken apart.
    fn checked(self) -> Option<Self> {
        let sound = self.columns > 0
            && self.rows > 0
            && self.samples_per_pixel > 0
            && [8, 16, 32].contains(&self.bits_allocated)
            && self.planes() <= FRAME_PLANES_MAX
            && self.segments() <= SEGMENTS_MAX;
        sound.then_some(self)
    }

    fn segments(self) -> usize {
        usize::from(self.samples_per_pixel) * usize::from(self.bits_allocated / 8)
    }

    /// Bytes of a plane's sample: two at most, so that a 32-bit sample makes two planes.
    fn plane_bytes(self) -> usize {
        usize::from(self.bits_allocated / 8).min(2)
    }

    fn planes(self) -> usize {
        self.segments() / self.plane_bytes()
    }

    fn plane_samples(self) -> usize {
        usize::from(self.columns) * usize::from(self.rows)
    }

    fn shape(self) -> Shape {
        let size = (u32::from(self.columns), u32::from(self.rows));
        Shape { bits: 8 * self.plane_bytes() as u8, planes: vec![size; self.planes()] }
    }
}

/// Number of segments and the offset of each, zeros behind.
fn header(offsets: &[usize]) -> Option<[u8; HEADER_BYTES]> {
    let mut header = [0; HEADER_BYTES];
    let numbers = std::iter::once(offsets.len()).chain(offsets.iter().copied());
    for (field, number) in header.chunks_exact_mut(4).zip(numbers) {
        field.copy_from_slice(&u32::try_from(number).ok()?.to_le_bytes());
    }
    Some(header)
}

pub(super) fn take_apart(cells: Cells, coded: &[u8], samples_max: usize, recipe: &mut Vec<u8>) -> Option<Samples> {
    let cells = cells.checked()?;
    let shape = cells.shape();
    if shape.samples() > samples_max as u64 {
        return None;
    }
    let field = |index: usize| {
        let bytes = coded.get(4 * index..4 * index + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().expect("four bytes were asked for"))).ok()
    };
    if field(0)? != cells.segments() {
        return None;
    }
    recipe::number(recipe, u32::from(cells.columns));
    recipe::number(recipe, u32::from(cells.rows));
    recipe.extend([cells.samples_per_pixel as u8, cells.bits_allocated as u8]);
    let offsets = (1..=cells.segments()).map(field).collect::<Option<Vec<_>>>()?;
    let mut planes = Vec::new();
    for (segment, &from) in offsets.iter().enumerate() {
        let to = offsets.get(segment + 1).copied().unwrap_or(coded.len());
        let packed = coded.get(from..to)?;
        let (mut bytes, used) = unpack(packed, cells.plane_samples())?;
        Writing::of(&bytes, &packed[..used], usize::from(cells.columns))?.write(recipe)?;
        recipe::run(recipe, &bytes.split_off(cells.plane_samples()))?;
        recipe::run(recipe, &packed[used..])?;
        if segment % cells.plane_bytes() == 0 {
            let samples = bytes.into_iter().map(u16::from).collect();
            planes.push(Plane { width: cells.columns.into(), height: cells.rows.into(), samples });
        } else if let Some(plane) = planes.last_mut() {
            for (sample, byte) in plane.samples.iter_mut().zip(bytes) {
                *sample = *sample << 8 | u16::from(byte);
            }
        }
    }
    // Most headers follow from the segments; another one is kept as it is.
    if coded[..HEADER_BYTES.min(coded.len())] != header(&offsets)? || offsets.first() != Some(&HEADER_BYTES) {
        recipe.extend(coded.get(..HEADER_BYTES)?);
    }
    Some(Samples { bits: shape.bits, planes })
}

fn read_cells(reader: &mut Reader<'_>) -> Option<Cells> {
    let (columns, rows) = (u16::try_from(reader.number()?).ok()?, u16::try_from(reader.number()?).ok()?);
    let (samples_per_pixel, bits_allocated) = (reader.byte()?.into(), reader.byte()?.into());
    Cells { columns, rows, samples_per_pixel, bits_allocated }.checked()
}

pub(super) fn shape(mut reader: Reader<'_>) -> Option<Shape> {
    Some(read_cells(&mut reader)?.shape())
}

pub(super) fn put_together(
    mut reader: Reader<'_>,
    samples: &Samples,
    bytes_max: usize,
) -> Result<Vec<u8>, PutTogetherError> {
    let cells = read_cells(&mut reader).ok_or(PutTogetherError::Recipe)?;
    let mut out = vec![0; HEADER_BYTES];
    let mut offsets = Vec::new();
    for plane in &samples.planes {
        for byte in (0..cells.plane_bytes()).rev() {
            offsets.push(out.len());
            let writing = Writing::read(&mut reader).ok_or(PutTogetherError::Recipe)?;
            let excess = reader.run().ok_or(PutTogetherError::Recipe)?.iter().copied();
            let bytes: Vec<u8> =
                plane.samples.iter().map(|sample| (sample >> (8 * byte)) as u8).chain(excess).collect();
            writing.pack(&bytes, usize::from(cells.columns), &mut out).ok_or(PutTogetherError::Samples)?;
            out.extend(reader.run().ok_or(PutTogetherError::Recipe)?);
            if out.len() > bytes_max {
                return Err(PutTogetherError::Large { max: bytes_max });
            }
        }
    }
    let regular = header(&offsets).ok_or(PutTogetherError::Recipe)?;
    out[..HEADER_BYTES].copy_from_slice(reader.bytes(HEADER_BYTES).unwrap_or(&regular));
    reader.end().ok_or(PutTogetherError::Recipe)?;
    Ok(out)
}
