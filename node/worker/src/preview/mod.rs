//! A small picture of a frame, as a reader would first look at it: windowed, the right way up in grey, 25 KB at most.
//!
//! The pixels of a CT take an hour on a slow link; a picture of its middle takes three seconds, and lets a radiologist
//! say that the wrong side was imaged, or that this one can't wait. It is not for diagnosis. Better none than a wrong
//! one: what can't be decoded, or contradicts itself, gives an error and no picture.
//!
//! Nothing is parsed before [`radmesh_codec::scan`] found it whole, and no more than [`limits`] say is held.
//! Pure: no clock, thread or file. [`render`] makes one, [`choose`] says which of a Study, [`within_budget`] both.

mod choose;
mod coded;
mod colour;
mod frame;
mod header;
pub mod limits;
mod picture;
mod samples;
mod shape;
mod shrink;
#[cfg(test)]
mod tests;
mod tone;

pub use choose::{Motion, Pick, SeriesFrames, choose, within_budget};
pub use coded::StreamFlaw;
pub(crate) use picture::is_picture;
pub use picture::{Allowance, Preview};

use colour::Colour;
use dicom_dictionary_std::tags;
use frame::Frame;
use limits::SIDE_MAX;
use picture::{Channels, Picture};
use radmesh_codec::{
    group::Source,
    scan::{Ending, Form, ScanError, scan},
};
use shrink::{Shrink, Size};
use std::io;
use tone::Tone;

/// Why there is no preview. Safe to log: no value of the data set is in it but figures of the image.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// Not to be taken in at all.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The data set is damaged, so nothing of it is parsed.
    #[error("the data set {ending}")]
    NotWhole {
        /// How.
        ending: Ending,
    },
    /// A report, a plan, a curve.
    #[error("it has no pixels")]
    NoPixels,
    /// The header reads otherwise than the scan found it.
    #[error("its header can't be read")]
    Header,
    /// Something that every image has.
    #[error("{what} is missing")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// An image of no rows, or of no columns.
    #[error("{what} is 0")]
    Empty {
        /// Rows or Columns.
        what: &'static str,
    },
    /// Bits that no sample can have, or that are not shown here.
    #[error("{stored} bits of {allocated}, the highest being {high}, can't be shown")]
    Bits {
        /// (0028,0100).
        allocated: u32,
        /// (0028,0101).
        stored: u32,
        /// (0028,0102).
        high: u32,
    },
    /// Colours that are not shown here.
    #[error("{interpretation} of {samples} samples can't be shown")]
    Photometric {
        /// (0028,0004), if it is one of the standard's.
        interpretation: &'static str,
        /// (0028,0002).
        samples: u16,
    },
    /// A frame over the limits.
    #[error("{pixels} pixels or {bytes} bytes of a frame are over the limit of {pixels_max} or {bytes_max}")]
    TooLarge {
        /// Rows times columns.
        pixels: u64,
        /// The limit.
        pixels_max: u64,
        /// Stored, or coded.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// No such frame.
    #[error("there is no frame {frame}, counted from 0; the data set says {frames}")]
    NoFrame {
        /// The one that was asked for.
        frame: u32,
        /// (0028,0008).
        frames: u32,
    },
    /// Fewer pixels than the header says.
    #[error("{there} bytes of pixels where the frame needs {needed}")]
    PixelsShort {
        /// Bytes to the end of the frame.
        needed: u64,
        /// Bytes there.
        there: u64,
    },
    /// Nothing here decodes it.
    #[error("transfer syntax {transfer_syntax} is not decoded here")]
    Syntax {
        /// Its UID.
        transfer_syntax: String,
    },
    /// A compressed frame that can't be shown.
    #[error("the compressed frame can't be shown: {flaw}")]
    Stream {
        /// Why.
        flaw: StreamFlaw,
    },
    /// Nothing of use fits.
    #[error("no picture of use fits in {bytes} bytes")]
    Allowance {
        /// What it might take.
        bytes: u32,
    },
    /// An encoder refused a picture.
    #[error("the picture can't be written")]
    Picture,
    /// The medium.
    #[error("reading: {0}")]
    Read(#[from] io::Error),
}

/// Renders frame `number` (from 0) of an Instance in `form`.
///
/// Memory: the frame as stored, for a compressed one its stream and what the decoder holds, and a few megabytes.
///
/// # Errors
/// [`PreviewError`] says why there is no picture.
pub fn render(source: &dyn Source, form: Form, number: u32, allowance: Allowance) -> Result<Preview, PreviewError> {
    let frame = frame::read(source, form, number)?;
    let picture = picture(&frame)?;
    drop(frame);
    picture.fit(allowance)
}

/// Frames that an Instance says it has, 1 if it says none. It may have fewer.
///
/// # Errors
/// [`ScanError`] if it is none.
pub fn frames(source: &dyn Source, form: Form) -> Result<u32, ScanError> {
    Ok(scan(source.open()?, form)?.image.frames.unwrap_or(1).max(1))
}

enum Shades {
    Grey(Tone),
    Colour(Colour),
}

fn picture(frame: &Frame) -> Result<Picture, PreviewError> {
    let size = Size { width: frame.shape.columns, height: frame.shape.rows };
    let small = size.within(SIDE_MAX, aspect(frame));
    let shades = Colour::of(frame)?.map_or_else(|| Shades::Grey(Tone::of(frame)), Shades::Colour);
    let channels = if matches!(shades, Shades::Grey(_)) { Channels::Grey } else { Channels::Rgb };
    let mut shrink = Shrink::new(size, small, channels.count());
    let mut stored = vec![0.0; frame.channels() * frame.shape.columns as usize];
    let mut shown = vec![0.0; channels.count() * frame.shape.columns as usize];
    for y in 0..frame.shape.rows {
        frame.row(y, &mut stored);
        match &shades {
            Shades::Grey(tone) => shown.iter_mut().zip(&stored).for_each(|(shown, stored)| *shown = tone.grey(*stored)),
            Shades::Colour(colour) => {
                let pixels = stored.chunks_exact(frame.channels());
                shown.chunks_exact_mut(3).zip(pixels).for_each(|(shown, pixel)| {
                    shown.copy_from_slice(&colour.rgb(pixel));
                });
            }
        }
        shrink.row(y as usize, &shown);
    }
    Ok(Picture { size: small, channels, samples: shrink.finish() })
}

/// How many times as high as wide a pixel is (PS3.3 C.7.6.3.1.7): by its ratio, else by its spacing.
fn aspect(frame: &Frame) -> f32 {
    const SPACINGS: [dicom_core::Tag; 4] = [
        tags::PIXEL_ASPECT_RATIO,
        tags::PIXEL_SPACING,
        tags::IMAGER_PIXEL_SPACING,
        tags::NOMINAL_SCANNED_PIXEL_SPACING,
    ];
    let ratio = |tag| match frame.header.figures(tag).as_slice() {
        [down, across, ..] if *down > 0.0 && *across > 0.0 => Some((down / across) as f32),
        _ => None,
    };
    let aspect = SPACINGS.into_iter().find_map(ratio).unwrap_or(1.0);
    let is_likely = (1.0 / ASPECT_MAX..=ASPECT_MAX).contains(&aspect);
    // One in a hundred is less than a pixel of what is seen, and would blur all of it.
    if is_likely && (aspect - 1.0).abs() > 0.01 { aspect } else { 1.0 }
}

/// Beyond it the figure is taken for a mistake.
const ASPECT_MAX: f32 = 10.0;
