//! What the samples of a frame are: how many, how stored, what they mean (PS3.3 C.7.6.3).
//!
//! Checked against [`super::limits`] before a byte of pixels is read, so that 300 bytes which claim 65,535 x 65,535
//! pixels cost nothing.

use super::{
    PreviewError,
    header::Header,
    limits::{FRAME_BYTES_MAX, FRAME_PIXELS_MAX},
};
use dicom_dictionary_std::tags;

/// Size, storage and meaning of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: u32,
    pub(super) columns: u32,
    pub(super) frames: u32,
    pub(super) stored: Stored,
    pub(super) planes: Planes,
    pub(super) meaning: Meaning,
}

/// How one sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// One bit, packed into bytes from the low end (PS3.5 section 8.1.1).
    Bit,
    /// `allocated` bits, of which `stored` up to and with `high` are the value; overlays may lie in the others.
    Integer { allocated: u32, stored: u32, high: u32, sign: Sign },
    /// (7FE0,0008) Float Pixel Data.
    Float,
    /// (7FE0,0009) Double Float Pixel Data.
    Double,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Unsigned,
    /// Two's complement.
    Signed,
}

/// How the samples of a pixel follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planes {
    /// One sample a pixel.
    One,
    /// Three, pixel by pixel.
    Interleaved,
    /// Three, plane by plane.
    Separate,
    /// Two of luminance, then both of chrominance for them: YBR_FULL_422, not compressed.
    HalfChroma,
}

/// What samples mean: Photometric Interpretation (0028,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// MONOCHROME1: the lowest value is white.
    LowIsWhite,
    /// MONOCHROME2: the lowest value is black.
    LowIsBlack,
    /// PALETTE COLOR.
    Palette,
    /// RGB, or what a decoder turned into it.
    Rgb,
    /// YBR_FULL and YBR_FULL_422: the whole range of each sample.
    Ybr,
    /// YBR_PARTIAL_422: 16 to 235, as video.
    YbrPartial,
}

/// Which element holds the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Pixels,
    Floats,
    Doubles,
}

impl Shape {
    pub(super) fn of(header: &Header, element: Element, coded: Coded) -> Result<Self, PreviewError> {
        let size = |tag, what| match header.u16(tag) {
            None => Err(PreviewError::Missing { what }),
            Some(0) => Err(PreviewError::Empty { what }),
            Some(size) => Ok(u32::from(size)),
        };
        let (rows, columns) = (size(tags::ROWS, "Rows")?, size(tags::COLUMNS, "Columns")?);
        let samples = header.u16(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        let interpretation = header.code(tags::PHOTOMETRIC_INTERPRETATION);
        let meaning = meaning(interpretation.as_deref(), samples)
            .ok_or(PreviewError::Photometric { interpretation: known(interpretation.as_deref()), samples })?;
        let half_chroma = interpretation.is_some_and(|code| code.ends_with("_422"));
        let planes = match (samples, header.u16(tags::PLANAR_CONFIGURATION), coded) {
            (1, _, _) => Planes::One,
            (_, _, Coded::Native) if half_chroma => Planes::HalfChroma,
            (_, Some(1), Coded::Native) => Planes::Separate,
            _ => Planes::Interleaved,
        };
        let frames = header.figures(tags::NUMBER_OF_FRAMES).first().map_or(1, |frames| frames.max(1.0) as u32);
        let shape = Self { rows, columns, frames, stored: stored(header, element)?, planes, meaning };
        let (pixels, bytes) = (shape.pixels(), shape.frame_bits().div_ceil(8));
        if pixels > FRAME_PIXELS_MAX || bytes > FRAME_BYTES_MAX {
            return Err(PreviewError::TooLarge {
                pixels,
                pixels_max: FRAME_PIXELS_MAX,
                bytes,
                bytes_max: FRAME_BYTES_MAX,
            });
        }
        Ok(shape)
    }

    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Samples of a pixel.
    pub(super) fn samples(&self) -> u64 {
        if self.planes == Planes::One { 1 } else { 3 }
    }

    /// Bits of one frame as it is stored, not compressed. Frames of single bits start inside a byte.
    pub(super) fn frame_bits(&self) -> u64 {
        let samples = match self.planes {
            Planes::HalfChroma => 2 * self.pixels(),
            _ => self.samples() * self.pixels(),
        };
        samples * self.stored.bits()
    }
}

/// Whether the pixels are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coded {
    Native,
    Encapsulated,
}

impl Stored {
    pub(super) fn bits(self) -> u64 {
        match self {
            Self::Bit => 1,
            Self::Integer { allocated, .. } => allocated.into(),
            Self::Float => 32,
            Self::Double => 64,
        }
    }
}

fn stored(header: &Header, element: Element) -> Result<Stored, PreviewError> {
    match element {
        Element::Floats => return Ok(Stored::Float),
        Element::Doubles => return Ok(Stored::Double),
        Element::Pixels => {}
    }
    let figure = |tag| header.u16(tag).map(u32::from);
    let allocated = figure(tags::BITS_ALLOCATED).ok_or(PreviewError::Missing { what: "Bits Allocated" })?;
    let stored = figure(tags::BITS_STORED).unwrap_or(allocated);
    let high = figure(tags::HIGH_BIT).unwrap_or(stored.saturating_sub(1));
    let sign = if figure(tags::PIXEL_REPRESENTATION) == Some(1) { Sign::Signed } else { Sign::Unsigned };
    match allocated {
        1 => Ok(Stored::Bit),
        8 | 16 | 32 if (1..=allocated).contains(&stored) && (stored - 1..allocated).contains(&high) => {
            Ok(Stored::Integer { allocated, stored, high, sign })
        }
        _ => Err(PreviewError::Bits { allocated, stored, high }),
    }
}

fn meaning(interpretation: Option<&str>, samples: u16) -> Option<Meaning> {
    match (interpretation, samples) {
        (Some("MONOCHROME1"), 1) => Some(Meaning::LowIsWhite),
        (Some("MONOCHROME2") | None, 1) => Some(Meaning::LowIsBlack),
        (Some("PALETTE COLOR"), 1) => Some(Meaning::Palette),
        (Some("RGB" | "YBR_RCT" | "YBR_ICT") | None, 3) => Some(Meaning::Rgb),
        (Some("YBR_FULL" | "YBR_FULL_422"), 3) => Some(Meaning::Ybr),
        (Some("YBR_PARTIAL_422"), 3) => Some(Meaning::YbrPartial),
        _ => None,
    }
}

/// The interpretation, if it is one of the standard's: an error may be logged, so it holds nothing that a file says.
fn known(interpretation: Option<&str>) -> &'static str {
    const CODES: [&str; 12] = [
        "MONOCHROME1",
        "MONOCHROME2",
        "PALETTE COLOR",
        "RGB",
        "YBR_FULL",
        "YBR_FULL_422",
        "YBR_PARTIAL_422",
        "YBR_PARTIAL_420",
        "YBR_RCT",
        "HSV",
        "ARGB",
        "CMYK",
    ];
    CODES.into_iter().find(|code| Some(*code) == interpretation).unwrap_or("no known one")
}
