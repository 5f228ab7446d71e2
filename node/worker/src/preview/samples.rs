//! Rows of stored values out of the bytes of a frame.
//!
//! What lies above the high bit or below the stored ones may be an overlay, and is no part of the value (PS3.5
//! section 8.1.1); a picture made with it shows white text as noise. Values are `f32`: exact up to 24 bits, and what a
//! preview shows of more is eight bits anyway.

use super::{
    frame::{ByteOrder, Frame},
    shape::{Planes, Sign, Stored},
};

impl Frame {
    /// The stored values of row `y`, pixel by pixel, each with [`Frame::channels`] samples. `y` is below the rows, and
    /// `row` as long as a row.
    pub(super) fn row(&self, y: u32, row: &mut [f32]) {
        let columns = self.shape.columns as usize;
        let (y, pixels) = (y as usize, self.shape.pixels() as usize);
        match self.shape.planes {
            Planes::One => (0..columns).for_each(|x| row[x] = self.sample(y * columns + x)),
            Planes::Interleaved => (0..3 * columns).for_each(|x| row[x] = self.sample(3 * y * columns + x)),
            Planes::Separate => {
                for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                    (0..3).for_each(|plane| pixel[plane] = self.sample(plane * pixels + y * columns + x));
                }
            }
            Planes::HalfChroma => {
                for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                    let index = y * columns + x;
                    let pair = 4 * (index / 2);
                    let last = pixels % 2 == 1 && index + 1 == pixels;
                    // An odd last pixel has no pair; its chrominance is cut off, so the one before serves.
                    let chroma = if last { pair.saturating_sub(2) } else { pair + 2 };
                    pixel[0] = self.sample(pair + index % 2);
                    pixel[1] = self.sample(chroma);
                    pixel[2] = self.sample(chroma + 1);
                }
            }
        }
    }

    /// Samples of a pixel.
    pub(super) fn channels(&self) -> usize {
        self.shape.samples() as usize
    }

    fn sample(&self, index: usize) -> f32 {
        match self.shape.stored {
            Stored::Bit => {
                let bit = index + self.bits_before as usize;
                let byte = self.bytes[bit / 8];
                f32::from(byte >> (bit % 8) & 1)
            }
            Stored::Integer { allocated, stored, high, sign } => {
                let bits = match allocated {
                    8 => self.bytes[index].into(),
                    16 => u32::from(self.word(2 * index)),
                    _ => self.long(4 * index),
                };
                // The value to the top of the word, then down again, its sign with it.
                let top = bits << (31 - high);
                match sign {
                    Sign::Unsigned => (top >> (32 - stored)) as f32,
                    Sign::Signed => (top.cast_signed() >> (32 - stored)) as f32,
                }
            }
            Stored::Float => finite(f32::from_bits(self.long(4 * index))),
            Stored::Double => {
                let (first, second) = (u64::from(self.long(8 * index)), u64::from(self.long(8 * index + 4)));
                let bits = if self.order == ByteOrder::Big { first << 32 | second } else { second << 32 | first };
                finite(f64::from_bits(bits) as f32)
            }
        }
    }

    fn word(&self, at: usize) -> u16 {
        let bytes = [self.bytes[at], self.bytes[at + 1]];
        if self.order == ByteOrder::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn long(&self, at: usize) -> u32 {
        let bytes = [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]];
        if self.order == ByteOrder::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// A sum over pixels must not become NaN by one of them.
fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}
