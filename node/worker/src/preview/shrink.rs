//! Fewer pixels, row by row: each new one is the mean of the old ones it covers.
//!
//! Leaving pixels out instead would lose a fracture line one pixel wide, and makes grids of a fine texture. Means are
//! taken of what is shown, after the window: the mean of a metal clip and of air is no bone. Where pixels are not
//! square, the axis with fewer of them is stretched, in straight lines between neighbours.

/// Rows in, a smaller picture out; both are interleaved samples from 0 to 255.
#[derive(Debug)]
pub(super) struct Shrink {
    across: Axis,
    down: Axis,
    channels: usize,
    out: Vec<f32>,
    first_open: usize,
}

/// Rows and columns, or rather width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    /// The largest size with this one's shape that is no larger than `side`, pixels being `aspect` times as high as
    /// wide.
    pub(super) fn within(self, side: u32, aspect: f32) -> Self {
        let (width, height) = (self.width as f32, self.height as f32);
        let (width, height) = if aspect >= 1.0 { (width, height * aspect) } else { (width / aspect, height) };
        let scale = (side as f32 / width.max(height)).min(1.0);
        let scaled = |length: f32| ((length * scale).round() as u32).clamp(1, side);
        Self { width: scaled(width), height: scaled(height) }
    }
}

/// For each new position along an axis, the old ones it is made of.
#[derive(Debug)]
struct Axis {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    first: usize,
    weights: Vec<f32>,
}

impl Shrink {
    pub(super) fn new(from: Size, to: Size, channels: usize) -> Self {
        let out = vec![0.0; to.width as usize * to.height as usize * channels];
        let across = Axis::new(from.width as usize, to.width as usize);
        let down = Axis::new(from.height as usize, to.height as usize);
        Self { across, down, channels, out, first_open: 0 }
    }

    /// Takes the next row `y`, which is as long as the old width.
    pub(super) fn row(&mut self, y: usize, row: &[f32]) {
        let channels = self.channels;
        let narrow: Vec<f32> = (self.across.parts.iter())
            .flat_map(|part| {
                (0..channels).map(|channel| {
                    let samples = row[part.first * channels + channel..].iter().step_by(channels);
                    samples.zip(&part.weights).map(|(sample, weight)| sample * weight).sum::<f32>()
                })
            })
            .collect();
        let parts = &self.down.parts;
        while parts.get(self.first_open).is_some_and(|part| part.first + part.weights.len() <= y) {
            self.first_open += 1;
        }
        for (index, part) in parts.iter().enumerate().skip(self.first_open).take_while(|(_, part)| part.first <= y) {
            let Some(weight) = part.weights.get(y - part.first) else { continue };
            let out = &mut self.out[index * narrow.len()..][..narrow.len()];
            out.iter_mut().zip(&narrow).for_each(|(out, sample)| *out += sample * weight);
        }
    }

    /// The picture, rounded to bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        self.out.iter().map(|sample| sample.round() as u8).collect()
    }
}

impl Axis {
    fn new(from: usize, to: usize) -> Self {
        let part = if to <= from { covered } else { between };
        Self { parts: (0..to).map(|index| part(index, from, to)).collect() }
    }
}

/// All old positions under the new one, those at the edges by the part that is under it.
fn covered(index: usize, from: usize, to: usize) -> Part {
    let (start, end) = (index * from, (index + 1) * from);
    let (first, last) = (start / to, end.div_ceil(to));
    let under = |position: usize| (end.min((position + 1) * to) - start.max(position * to)) as f32 / from as f32;
    Part { first, weights: (first..last).map(under).collect() }
}

/// The two old positions around the centre of the new one.
fn between(index: usize, from: usize, to: usize) -> Part {
    let centre = ((index as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, (from - 1) as f32);
    let first = (centre as usize).min(from.saturating_sub(2));
    let second = centre - first as f32;
    let weights = if from == 1 { vec![1.0] } else { vec![1.0 - second, second] };
    Part { first, weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shrunk(pixels: &[f32], from: Size, to: Size) -> Vec<u8> {
        let mut shrink = Shrink::new(from, to, 1);
        pixels.chunks(from.width as usize).enumerate().for_each(|(y, row)| shrink.row(y, row));
        shrink.finish()
    }

    #[test]
    fn each_new_pixel_is_the_mean_of_what_it_covers() {
        let (three, two) = (Size { width: 3, height: 1 }, Size { width: 2, height: 1 });
        assert_eq!(shrunk(&[0.0, 30.0, 90.0], three, two), [10, 70]);
        let (four, one) = (Size { width: 2, height: 2 }, Size { width: 1, height: 1 });
        assert_eq!(shrunk(&[0.0, 100.0, 100.0, 200.0], four, one), [100]);
    }

    #[test]
    fn an_even_picture_stays_even_whatever_the_sizes() {
        for (from, to) in [(7, 3), (512, 511), (3, 7), (1, 5), (4096, 512), (5, 5)] {
            let (from, to) = (Size { width: from, height: 2 }, Size { width: to, height: 2 });
            let even = vec![200.0; from.width as usize * 2];
            assert!(shrunk(&even, from, to).iter().all(|sample| *sample == 200), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn pixels_that_are_not_square_stretch_the_axis_with_fewer() {
        let size = Size { width: 100, height: 100 };
        assert_eq!(size.within(512, 2.0), Size { width: 100, height: 200 });
        assert_eq!(size.within(512, 0.5), Size { width: 200, height: 100 });
        assert_eq!(size.within(50, 2.0), Size { width: 25, height: 50 });
        assert_eq!(Size { width: 65_535, height: 1 }.within(512, 1.0), Size { width: 512, height: 1 });
    }
}
