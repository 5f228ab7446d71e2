//! One compressed frame taken apart into samples, and put together again byte for byte.
//!
//! Most archives hold JPEG lossless, which is half as large again as what the same pixels need; sent as they came,
//! a CT keeps a clinic's link busy for nothing. So a coded frame becomes samples, which the pixel model codes, and a
//! recipe: what the samples don't say (marker segments, tables, padding, an encoder's habits). Rule: nothing is taken
//! apart that was not put together here and found equal, so a frame of an encoder we don't know stays as it is.
//! Sources: ITU-T T.81 (JPEG lossless), T.87 (JPEG-LS), DICOM PS3.5 section G (RLE).

mod baseline;
mod bits;
mod huffman;
mod jpeg;
mod jpeg_lossless;
mod jpeg_ls;
mod packbits;
mod recipe;
mod rle;
mod segments;

pub use baseline::{BaselineError, Recoded, decode as decode_baseline, encode as encode_baseline};
pub use rle::Cells;

use recipe::Reader;

/// One decoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Bits that hold every sample of every plane, 1 to 16.
    pub bits: u8,
    /// One plane a component, in the order of the frame; a 32-bit RLE sample has two, its upper 16 bits first.
    pub planes: Vec<Plane>,
}

/// The samples of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Samples of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row-major, width x height of them, as stored: before point transform, sign and Modality LUT.
    pub samples: Vec<u16>,
}

/// What a frame's samples measure, known before any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// As [`Samples::bits`].
    pub bits: u8,
    /// Width and height of each plane.
    pub planes: Vec<(u32, u32)>,
}

impl Shape {
    /// Samples of all planes.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.planes.iter().map(|(width, height)| u64::from(*width) * u64::from(*height)).sum()
    }
}

impl Samples {
    /// What they measure.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape { bits: self.bits, planes: self.planes.iter().map(|plane| (plane.width, plane.height)).collect() }
    }

    /// Whether every plane has the samples it says it has, of no more bits than are said.
    fn is_whole(&self) -> bool {
        let full = |plane: &Plane| plane.samples.len() as u64 == u64::from(plane.width) * u64::from(plane.height);
        self.planes.iter().all(full) && self.bits_found() <= u32::from(self.bits)
    }

    /// Bits of the largest sample.
    fn bits_found(&self) -> u32 {
        let any = self.planes.iter().flat_map(|plane| &plane.samples).fold(0_u16, |any, sample| any | sample);
        u16::BITS - any.leading_zeros()
    }
}

/// How a frame is coded, as far as its own bytes don't say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// A stream that opens with its own headers: JPEG lossless (T.81 process 14) or JPEG-LS, whichever
    /// of them the transfer syntax claims.
    Jpeg,
    /// RLE, which says nothing of its shape.
    Rle(Cells),
}

impl Coding {
    /// Whether a fragment begins a frame: with a JPEG's SOI (T.81 B.1.1.3), or with a header of RLE, whose 1 to 15
    /// segments follow its 64 bytes (PS3.5 G.5). Offset tables may be empty or false; this is in the frame itself.
    pub(crate) fn begins(self, fragment: &[u8]) -> bool {
        match self {
            Self::Jpeg => fragment.starts_with(&[0xFF, 0xD8]),
            Self::Rle(_) => matches!(fragment, [1..=15, 0, 0, 0, 64, 0, 0, 0, ..]),
        }
    }
}

/// A frame in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenApart {
    /// What the frame shows.
    pub samples: Samples,
    /// What [`put_together`] needs besides; much the same from frame to frame.
    pub recipe: Vec<u8>,
}

/// Why a frame can't be put together. It was, before it was coded, so the recipe or the samples are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PutTogetherError {
    /// The recipe says what no frame has.
    #[error("the recipe of a frame is damaged")]
    Recipe,
    /// The samples are not those of the recipe's shape, or no code of its tables stands for one.
    #[error("the samples of a frame don't fit its recipe")]
    Samples,
    /// The frame would be larger than was declared.
    #[error("a frame has more than the {max} bytes declared for it")]
    Large {
        /// Bytes allowed.
        max: usize,
    },
}

const JPEG: u8 = 1;
const RLE: u8 = 2;

/// Takes a coded frame apart. `None` where it has more than `samples_max` samples, is of a kind that can't be made
/// again (lossy, damaged, an unknown encoder's), or where putting it together gave other bytes: it is tried here.
#[must_use]
pub fn take_apart(coding: Coding, coded: &[u8], samples_max: usize) -> Option<TakenApart> {
    let mut recipe = Vec::new();
    let samples = match coding {
        Coding::Jpeg => {
            recipe.push(JPEG);
            jpeg::take_apart(coded, samples_max, &mut recipe)?
        }
        Coding::Rle(cells) => {
            recipe.push(RLE);
            rle::take_apart(cells, coded, samples_max, &mut recipe)?
        }
    };
    let again = put_together(&recipe, &samples, coded.len()).ok()?;
    (again == coded).then_some(TakenApart { samples, recipe })
}

/// Decodes a stream of JPEG lossless or JPEG-LS to show it: nobody asks whether it can be put together again.
/// Samples are those before the point transform, so a scan that cut low bits has them cut. `None` where it has more
/// than `samples_max` samples, is damaged, or of another process.
#[must_use]
pub fn decode_jpeg(coded: &[u8], samples_max: usize) -> Option<Samples> {
    jpeg::take_apart(coded, samples_max, &mut Vec::new())
}

/// What the samples of a recipe's frame measure. Nothing of that size is allocated.
///
/// # Errors
/// [`PutTogetherError::Recipe`] if it says none.
pub fn shape(recipe: &[u8]) -> Result<Shape, PutTogetherError> {
    let mut reader = Reader::new(recipe);
    match reader.byte() {
        Some(JPEG) => jpeg::shape(reader),
        Some(RLE) => rle::shape(reader),
        _ => None,
    }
    .ok_or(PutTogetherError::Recipe)
}

/// Writes the frame again. Time and memory go by the samples given, the recipe and `bytes_max`.
///
/// # Errors
/// [`PutTogetherError`] if recipe and samples don't belong together or the frame has more than `bytes_max` bytes.
pub fn put_together(recipe: &[u8], samples: &Samples, bytes_max: usize) -> Result<Vec<u8>, PutTogetherError> {
    if samples.shape() != shape(recipe)? || !samples.is_whole() {
        return Err(PutTogetherError::Samples);
    }
    let mut reader = Reader::new(recipe);
    match reader.byte() {
        Some(JPEG) => jpeg::put_together(reader, samples, bytes_max),
        Some(RLE) => rle::put_together(reader, samples, bytes_max),
        _ => Err(PutTogetherError::Recipe),
    }
}
