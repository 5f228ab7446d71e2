//! A compressed frame: what its own header says, held against what the Instance says of it, then decoded.
//!
//! The decoders of dicom-pixeldata believe the Instance: they index past their buffers where the stream has other
//! dimensions, and take every JPEG of three components for YCbCr. Both would end in a crash or a wrong picture, so the
//! stream is read first ([`jpeg`], [`j2k`]), and one that contradicts its Instance has no preview. JPEG 2000 goes to a
//! decoder without unsafe code, at the resolution that is needed: openjp2, which theirs calls, frees null pointers on
//! real images. JPEG lossless and JPEG-LS go to our own coder, which has every predictor and precision ([`lossless`]).
//! RLE is unpacked by our own [`rle`]: theirs has no samples of 32 bits, and lets a segment unpack to 128 times its size.
//! What has no decoder in pure Rust is refused by name. Sources: PS3.5 section 8.2 and annexes A.4 and G.

mod j2k;
mod jpeg;
mod lossless;
mod rle;

use super::{
    PreviewError,
    limits::{CODED_PIXELS_FREE, PIXELS_PER_CODED_BYTE_MAX},
    shape::{Meaning, Planes, Shape, Sign, Stored},
};
use dicom_core::{
    DataElement, PrimitiveValue, Tag, VR,
    value::{PixelFragmentSequence, Value},
};
use dicom_dictionary_std::tags;
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use dicom_pixeldata::PixelDecoder;
use radmesh_codec::uid::TransferSyntax;

/// What a stream says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    rows: u32,
    columns: u32,
    components: u32,
    /// Bits of a sample.
    precision: u32,
    /// Bits that the decoder gives for a sample.
    given: u32,
    /// What three components mean, if the stream says.
    meaning: Option<Meaning>,
    coder: Coder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coder {
    Jpeg,
    /// JPEG lossless or JPEG-LS; so many low bits were cut before coding (the point transform).
    Lossless {
        cut: u32,
    },
    Jpeg2000(Sign),
}

/// A stream that can't be shown, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamFlaw {
    /// It ends inside its header, or is no stream of its transfer syntax.
    #[error("its header can't be read")]
    Header,
    /// It has other rows, columns or components than the Instance says.
    #[error("it says {rows} x {columns} x {components} where its Instance says otherwise")]
    Contradicts {
        /// Rows of the stream.
        rows: u32,
        /// Columns of the stream.
        columns: u32,
        /// Components of the stream.
        components: u32,
    },
    /// A process of its standard that is not decoded here.
    #[error("it is coded by a process that is not decoded here")]
    Process,
    /// More pixels than its bytes can hold.
    #[error("{bytes} bytes claim {pixels} pixels")]
    Claim {
        /// Bytes of the stream.
        bytes: u64,
        /// Pixels claimed.
        pixels: u64,
    },
    /// The decoder gave up.
    #[error("the decoder gave up on it")]
    Decoder,
}

/// Whether a fragment that begins so is the first of a frame: a start of image of JPEG or JPEG-LS, or a start of
/// codestream of JPEG 2000.
pub(super) fn starts_stream(head: &[u8]) -> bool {
    matches!(head, [0xFF, 0xD8] | [0xFF, 0x4F])
}

/// Decodes one frame, and says what its samples now are.
pub(super) fn decode(
    mut stream: Vec<u8>,
    mut shape: Shape,
    syntax: &TransferSyntax,
) -> Result<(Shape, Vec<u8>), PreviewError> {
    let coded = |flaw| PreviewError::Stream { flaw };
    let bytes = stream.len() as u64;
    if shape.pixels() > CODED_PIXELS_FREE.max(bytes.saturating_mul(PIXELS_PER_CODED_BYTE_MAX)) {
        return Err(coded(StreamFlaw::Claim { bytes, pixels: shape.pixels() }));
    }
    let said = match syntax.as_str() {
        "1.2.840.10008.1.2.4.50"
        | "1.2.840.10008.1.2.4.51"
        | "1.2.840.10008.1.2.4.57"
        | "1.2.840.10008.1.2.4.70"
        | "1.2.840.10008.1.2.4.80"
        | "1.2.840.10008.1.2.4.81" => jpeg::said(&mut stream),
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => j2k::said(&stream),
        "1.2.840.10008.1.2.5" => {
            let bytes = rle::unpacked(&stream, &shape).map_err(coded)?;
            return Ok((shape, bytes));
        }
        other => return Err(PreviewError::Syntax { transfer_syntax: other.to_owned() }),
    };
    let said = said.map_err(coded)?;
    if (said.rows, said.columns, u64::from(said.components)) != (shape.rows, shape.columns, shape.samples()) {
        let Said { rows, columns, components, .. } = said;
        return Err(coded(StreamFlaw::Contradicts { rows, columns, components }));
    }
    shape.stored = stored(shape.stored, said).ok_or(coded(StreamFlaw::Process))?;
    if shape.planes != Planes::One {
        shape.meaning = said.meaning.unwrap_or(shape.meaning);
    }
    let decoded = match said.coder {
        Coder::Jpeg => {
            let object = object(stream, &shape, said, syntax)?;
            object.decode_pixel_data_frame(0).ok().map(|frame| frame.into_data())
        }
        Coder::Lossless { cut } => lossless::decode(&stream, said, cut),
        Coder::Jpeg2000(sign) => j2k::decode(&stream, said, sign).map(|(rows, columns, bytes)| {
            (shape.rows, shape.columns) = (rows, columns);
            bytes
        }),
    };
    let bytes = decoded.ok_or(coded(StreamFlaw::Decoder))?;
    let needed = shape.frame_bits() / 8;
    if (bytes.len() as u64) < needed {
        return Err(PreviewError::PixelsShort { needed, there: bytes.len() as u64 });
    }
    Ok((shape, bytes))
}

/// How decoded samples are stored: as wide as the decoder gives them, and no more of them than the stream has.
fn stored(before: Stored, said: Said) -> Option<Stored> {
    match before {
        Stored::Integer { stored, high, sign, .. } => {
            let stored = stored.min(said.precision);
            let high = high.min(said.precision - 1);
            Some(Stored::Integer { allocated: said.given, stored, high, sign })
        }
        _ => None,
    }
}

/// An object of one frame, as dicom-pixeldata takes it.
fn object(
    stream: Vec<u8>,
    shape: &Shape,
    said: Said,
    syntax: &TransferSyntax,
) -> Result<FileDicomObject<InMemDicomObject>, PreviewError> {
    let mut object = InMemDicomObject::new_empty();
    let mut put = |tag: Tag, figure: u32| {
        let value = PrimitiveValue::from(u16::try_from(figure).unwrap_or(u16::MAX));
        object.put(DataElement::new(tag, VR::US, value));
    };
    put(tags::ROWS, shape.rows);
    put(tags::COLUMNS, shape.columns);
    put(tags::SAMPLES_PER_PIXEL, said.components);
    put(tags::PLANAR_CONFIGURATION, 0);
    put(tags::BITS_ALLOCATED, said.given);
    put(tags::BITS_STORED, said.given);
    put(tags::HIGH_BIT, said.given - 1);
    let is_signed = matches!(shape.stored, Stored::Integer { sign: Sign::Signed, .. });
    put(tags::PIXEL_REPRESENTATION, u32::from(is_signed));
    let meaning = if said.components == 1 { "MONOCHROME2" } else { "RGB" };
    object.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from(meaning)));
    object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, PrimitiveValue::from("1")));
    let pixels = PixelFragmentSequence::new_fragments(vec![stream]);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, Value::PixelSequence(pixels)));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax.as_str())
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.7")
        .media_storage_sop_instance_uid("1.2")
        .build()
        .map_err(|_| PreviewError::Header)?;
    Ok(object.with_exact_meta(meta))
}
