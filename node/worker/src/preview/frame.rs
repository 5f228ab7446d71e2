//! The bytes of one frame, read out of an Instance without holding the rest.
//!
//! A cine of 400 MB gives a preview in the memory of one of its frames. The bytes are read forward three times, for
//! the scan, the header and the frame, because a staged Instance is sealed and can't be read from the middle.

use super::{
    PreviewError, coded,
    header::{Header, Layout},
    limits::FRAME_BYTES_MAX,
    shape::{Coded, Element, Shape},
};
use flate2::read::DeflateDecoder;
use radmesh_codec::{
    group::Source,
    scan::{Counted, Form, PixelData, PixelForm, Scan, scan},
    uid::TransferSyntax,
};
use std::io::{self, BufReader, Read};

/// One frame, no longer compressed, and what its samples mean.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) shape: Shape,
    pub(super) bytes: Vec<u8>,
    /// Bits before the first sample: frames of single bits follow one another without a gap.
    pub(super) bits_before: u32,
    pub(super) order: ByteOrder,
}

/// How the bytes of a sample follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    /// Explicit VR Big Endian, each sample.
    Big,
}

/// Reads frame `number` (from 0) of an Instance.
pub(super) fn read(source: &dyn Source, form: Form, number: u32) -> Result<Frame, PreviewError> {
    let scan = scan(source.open()?, form)?;
    if !scan.is_whole() {
        return Err(PreviewError::NotWhole { ending: scan.ending });
    }
    let pixels = scan.pixel_data.as_ref().ok_or(PreviewError::NoPixels)?;
    let mut data_set = open(source, &scan)?;
    skip(&mut data_set, scan.origin.data_set)?;
    let mut first = [0; 6];
    data_set.read_exact(&mut first)?;
    let layout = layout(&scan.origin.transfer_syntax, first);
    let header = Header::read(&mut first.chain(data_set), layout, number)?;

    let mut bytes = open(source, &scan)?;
    let head = pixels.value.start.checked_sub(PIXEL_HEAD_BYTES).ok_or(PreviewError::NoPixels)?;
    skip(&mut bytes, head)?;
    let mut element = [0; PIXEL_HEAD_BYTES as usize];
    bytes.read_exact(&mut element)?;
    let kind = if layout == Layout::Implicit { kind(&element[4..8], layout) } else { kind(&element[..4], layout) };
    let coded = if pixels.form == PixelForm::Native { Coded::Native } else { Coded::Encapsulated };
    let shape = Shape::of(&header, kind, coded)?;
    match &pixels.form {
        PixelForm::Native => {
            let is_big = layout == Layout::ExplicitBigEndian;
            let is_in_words = is_big && shape.stored.bits() <= 8 && element[4..6] == *b"OW";
            let units = if is_in_words { Units::Words } else { Units::Bytes };
            let (bytes, bits_before) = native(&mut bytes, pixels, &shape, number, units)?;
            let order = if is_big { ByteOrder::Big } else { ByteOrder::Little };
            Ok(Frame { header, shape, bytes, bits_before, order })
        }
        PixelForm::Encapsulated { fragments } => {
            let stream = encapsulated(&mut bytes, pixels, fragments, &shape, number)?;
            drop(bytes);
            let (shape, bytes) = coded::decode(stream, shape, &scan.origin.transfer_syntax)?;
            Ok(Frame { header, shape, bytes, bits_before: 0, order: ByteOrder::Little })
        }
    }
}

/// Bytes of the element's head with an explicit VR; an implicit head is 8, and any element before it is 8 or more.
const PIXEL_HEAD_BYTES: u64 = 12;
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// How the data set is laid out, by its syntax and first element: some that say JPEG have implicit VRs.
fn layout(syntax: &TransferSyntax, first: [u8; 6]) -> Layout {
    let shows_vr = first[4..].iter().all(u8::is_ascii_uppercase);
    match syntax.as_str() {
        "1.2.840.10008.1.2.2" => Layout::ExplicitBigEndian,
        _ if shows_vr => Layout::Explicit,
        _ => Layout::Implicit,
    }
}

/// The bytes that the scan's offsets count: received, or inflated from the data set on.
fn open<'s>(source: &'s dyn Source, scan: &Scan) -> io::Result<Box<dyn Read + 's>> {
    let mut received = source.open()?;
    if scan.origin.transfer_syntax.as_str() != DEFLATED {
        return Ok(Box::new(BufReader::new(received)));
    }
    let mut start = Vec::new();
    (&mut received).take(scan.origin.data_set).read_to_end(&mut start)?;
    // The scan has inflated it to its end within its limits.
    Ok(Box::new(BufReader::new(io::Cursor::new(start).chain(DeflateDecoder::new(received)))))
}

fn skip(reader: &mut dyn Read, bytes: u64) -> Result<(), PreviewError> {
    let skipped = io::copy(&mut reader.take(bytes), &mut io::sink())?;
    if skipped == bytes { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
}

fn take(reader: &mut dyn Read, bytes: u64, into: &mut Vec<u8>) -> Result<(), PreviewError> {
    into.reserve_exact(bytes as usize);
    let taken = reader.take(bytes).read_to_end(into)?;
    if taken as u64 == bytes { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
}

fn kind(tag: &[u8], layout: Layout) -> Element {
    let number = match layout {
        Layout::ExplicitBigEndian => tag[3],
        _ => tag[2],
    };
    match number {
        0x08 => Element::Floats,
        0x09 => Element::Doubles,
        _ => Element::Pixels,
    }
}

/// What a value is written in: big endian words of small samples have each pair of bytes the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Units {
    Bytes,
    Words,
}

/// The bytes of a frame that is not compressed, and the bits before its first sample.
fn native(
    reader: &mut dyn Read,
    pixels: &PixelData,
    shape: &Shape,
    number: u32,
    units: Units,
) -> Result<(Vec<u8>, u32), PreviewError> {
    let there = pixels.value.end - pixels.value.start;
    // Both factors are checked: 64 million pixels of 192 bits, and a number of 32 bits.
    let first = u128::from(shape.frame_bits()) * u128::from(number);
    let end = (first + u128::from(shape.frame_bits())).div_ceil(8);
    if number > 0 && (number >= shape.frames || first / 8 >= u128::from(there)) {
        return Err(PreviewError::NoFrame { frame: number, frames: shape.frames });
    }
    if end > u128::from(there) {
        return Err(PreviewError::PixelsShort { needed: end.try_into().unwrap_or(u64::MAX), there });
    }
    let (start, end) = ((first / 8) as u64, end as u64);
    let mut bytes = Vec::new();
    match units {
        Units::Bytes => {
            skip(reader, start)?;
            take(reader, end - start, &mut bytes)?;
        }
        Units::Words => {
            let (word, last) = (start & !1, end.next_multiple_of(2).min(there));
            skip(reader, word)?;
            take(reader, last - word, &mut bytes)?;
            bytes.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
            bytes.drain(..(start - word) as usize);
        }
    }
    Ok((bytes, (first % 8) as u32))
}

/// The coded stream of a frame: its fragments, joined (PS3.5 section A.4).
fn encapsulated(
    reader: &mut dyn Read,
    pixels: &PixelData,
    fragments: &Counted,
    shape: &Shape,
    number: u32,
) -> Result<Vec<u8>, PreviewError> {
    let missing = PreviewError::NoFrame { frame: number, frames: shape.frames };
    if number >= shape.frames {
        return Err(missing);
    }
    let parts = fragments.kept.get(1..).unwrap_or_default();
    let is_one_each = parts.len() as u64 == u64::from(shape.frames);
    let mut position = pixels.value.start;
    let mut frames_begun = 0_u64;
    let mut stream = Vec::new();
    for part in parts {
        skip(reader, part.start - position)?;
        let mut head = Vec::new();
        let length = part.end - part.start;
        take(reader, length.min(2), &mut head)?;
        position = part.start + length.min(2);
        // The offset table is often empty, and sometimes false. What starts a stream shows itself.
        let starts = is_one_each || frames_begun == 0 || (shape.frames > 1 && coded::starts_stream(&head));
        frames_begun += u64::from(starts);
        if frames_begun > u64::from(number) + 1 {
            break;
        }
        if frames_begun == u64::from(number) + 1 {
            let bytes = stream.len() as u64 + length;
            if bytes > FRAME_BYTES_MAX {
                let pixels = shape.pixels();
                return Err(PreviewError::TooLarge {
                    pixels,
                    pixels_max: super::limits::FRAME_PIXELS_MAX,
                    bytes,
                    bytes_max: FRAME_BYTES_MAX,
                });
            }
            stream.extend_from_slice(&head);
            take(reader, length - head.len() as u64, &mut stream)?;
            position = part.end;
        }
    }
    if stream.is_empty() { Err(missing) } else { Ok(stream) }
}
