//! A picture in the bytes that there are: JPEG (ITU-T T.81, baseline) or, where it is smaller, PNG.
//!
//! Both open in any browser, on the oldest phone. Too few bytes make blocks first and then a smaller picture, since at
//! one point a small sharp one shows more than a large one of blocks.

use super::{
    PreviewError,
    limits::{PREVIEW_BYTES_MAX, PREVIEW_BYTES_MIN, SIDE_MAX},
    shrink::{Shrink, Size},
};
use jpeg_encoder::{ColorType, Encoder};

/// Samples of a picture, row by row, a byte each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) size: Size,
    pub(super) channels: Channels,
    pub(super) samples: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channels {
    Grey,
    Rgb,
}

impl Channels {
    pub(super) const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// A picture as a browser takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// A whole JPEG or PNG file.
    pub image: Vec<u8>,
    /// Pixels across, 1 to 512.
    pub width: u16,
    /// Pixels down, 1 to 512.
    pub height: u16,
}

/// What one preview may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    bytes: u32,
}

impl Allowance {
    /// As much as any preview.
    pub const FULL: Self = Self { bytes: PREVIEW_BYTES_MAX };

    /// At most `bytes`, and never more than any preview; `None` if nothing of use fits in them.
    #[must_use]
    pub fn of_bytes(bytes: u32) -> Option<Self> {
        (bytes >= PREVIEW_BYTES_MIN).then_some(Self { bytes: bytes.min(PREVIEW_BYTES_MAX) })
    }

    /// Bytes that it may take.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.bytes
    }
}

/// Whether these bytes begin as one of the two that a preview is.
pub(crate) fn is_picture(image: &[u8]) -> bool {
    image.starts_with(b"\xFF\xD8\xFF") || image.starts_with(b"\x89PNG\r\n\x1A\n")
}

impl Picture {
    /// The best picture that fits.
    pub(super) fn fit(self, allowance: Allowance) -> Result<Preview, PreviewError> {
        let mut picture = self.without_needless_colour();
        loop {
            let preview = |image, size: Size| Preview { image, width: size.width as u16, height: size.height as u16 };
            let jpeg = picture.jpeg_within(allowance.bytes)?;
            let png = picture.png()?;
            let is_smaller = jpeg.as_ref().is_none_or(|jpeg| png.len() <= jpeg.len());
            if is_smaller && png.len() as u32 <= allowance.bytes {
                return Ok(preview(png, picture.size));
            }
            if let Some(jpeg) = jpeg {
                return Ok(preview(jpeg, picture.size));
            }
            let side = picture.size.width.max(picture.size.height) * 3 / 4;
            if side < SIDE_MIN {
                return Err(PreviewError::Allowance { bytes: allowance.bytes });
            }
            picture = picture.shrunk(side);
        }
    }

    /// Many a device stores grey three times over.
    fn without_needless_colour(self) -> Self {
        let is_grey = |pixel: &[u8]| pixel.iter().all(|sample| *sample == pixel[0]);
        if self.channels == Channels::Rgb && self.samples.chunks_exact(3).all(is_grey) {
            let samples = self.samples.iter().step_by(3).copied().collect();
            return Self { channels: Channels::Grey, samples, ..self };
        }
        self
    }

    fn shrunk(&self, side: u32) -> Self {
        let size = self.size.within(side, 1.0);
        let mut shrink = Shrink::new(self.size, size, self.channels.count());
        for (y, row) in self.samples.chunks_exact(self.size.width as usize * self.channels.count()).enumerate() {
            let row: Vec<f32> = row.iter().map(|sample| (*sample).into()).collect();
            shrink.row(y, &row);
        }
        Self { size, channels: self.channels, samples: shrink.finish() }
    }

    /// The JPEG of the highest quality that fits, if the lowest one does.
    fn jpeg_within(&self, bytes: u32) -> Result<Option<Vec<u8>>, PreviewError> {
        let fits = |jpeg: &Vec<u8>| jpeg.len() as u32 <= bytes;
        let best = self.jpeg(QUALITY_MAX)?;
        if fits(&best) {
            return Ok(Some(best));
        }
        let (mut low, mut high) = (QUALITY_MIN, QUALITY_MAX);
        let mut found = Some(self.jpeg(low)?).filter(fits);
        while found.is_some() && high - low > 1 {
            let middle = low.midpoint(high);
            let jpeg = self.jpeg(middle)?;
            if fits(&jpeg) {
                (low, found) = (middle, Some(jpeg));
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    fn jpeg(&self, quality: u8) -> Result<Vec<u8>, PreviewError> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, quality);
        encoder.set_optimized_huffman_tables(true);
        let colour = match self.channels {
            Channels::Grey => ColorType::Luma,
            Channels::Rgb => ColorType::Rgb,
        };
        encoder
            .encode(&self.samples, self.size.width as u16, self.size.height as u16, colour)
            .map_err(|_| PreviewError::Picture)?;
        Ok(out)
    }

    fn png(&self) -> Result<Vec<u8>, PreviewError> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.size.width, self.size.height);
        encoder.set_color(match self.channels {
            Channels::Grey => png::ColorType::Grayscale,
            Channels::Rgb => png::ColorType::Rgb,
        });
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().map_err(|_| PreviewError::Picture)?;
        writer.write_image_data(&self.samples).map_err(|_| PreviewError::Picture)?;
        writer.finish().map_err(|_| PreviewError::Picture)?;
        Ok(out)
    }
}

/// Above it bytes grow and nobody sees why.
const QUALITY_MAX: u8 = 90;
/// Below it blocks hide what a smaller picture shows.
const QUALITY_MIN: u8 = 40;
/// Pixels of a side below which nothing can be told from the picture.
const SIDE_MIN: u32 = 48;
const _: () = assert!(SIDE_MIN < SIDE_MAX);
