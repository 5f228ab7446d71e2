//! Decodes a group, inside the sizes that the caller declares.
//!
//! The stream comes from another node and may be anything. How much memory and time it gets is settled before its
//! first byte: the window is capped, no more bytes come out than the manifest's contents declare, no more go in than
//! that many could ever need, and an Instance whose hash differs is an error, never a picture.

use super::{
    Content, modelled,
    stream::{HEAD_BYTES, Split, VERSION},
};
use crate::{
    EncodingId,
    header::HeaderError,
    limits::{GROUP_INSTANCES_MAX, INSTANCE_BYTES_MAX, WINDOW_LOG},
};
use std::io::{self, BufReader, Read, Write};

/// Why a group did not decode. What was written is worthless and must be dropped.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// An encoding this node does not know: a newer one made it.
    #[error("encoding {found} is not known here")]
    Encoding {
        /// The stream's first byte.
        found: u8,
    },
    /// A version this node does not know.
    #[error("version {found} of encoding {encoding} is not known here")]
    Version {
        /// The stream's first byte.
        encoding: u8,
        /// Its second.
        found: u8,
    },
    /// More Instances asked for than a group can hold.
    #[error("{count} Instances in a group; the limit is {max}")]
    Instances {
        /// Asked for.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Larger Instances asked for than a group can hold.
    #[error("the Instances are declared to have {bytes} bytes; the limit is {max}")]
    Large {
        /// Declared, all of them together.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The stream holds another number of Instances than was declared.
    #[error("the stream holds {found} Instances; {expected} were declared")]
    Count {
        /// In the stream.
        found: u32,
        /// Declared.
        expected: usize,
    },
    /// The stream gives an Instance another size than was declared.
    #[error("Instance {index} has {found} bytes in the stream; {expected} were declared")]
    Size {
        /// Which.
        index: usize,
        /// In the stream.
        found: u64,
        /// Declared.
        expected: u64,
    },
    /// The stream ends before the last Instance does.
    #[error("the stream ends early")]
    EndsEarly,
    /// More comes out than was declared, or follows after the end.
    #[error("the stream holds more than was declared")]
    TooLong,
    /// The bytes of an Instance are not the ones declared.
    #[error("Instance {index} decodes to other bytes than were declared")]
    Hash {
        /// Which.
        index: usize,
    },
    /// The coded headers don't decode.
    #[error("headers: {0}")]
    Headers(#[from] HeaderError),
    /// A segment that no encoder writes.
    #[error("a segment of the stream is damaged")]
    Segment,
    /// The coded bytes make no frame.
    #[error("zstd: {0}")]
    Coder(io::Error),
    /// The reader failed.
    #[error("reading: {0}")]
    Read(io::Error),
    /// A writer failed.
    #[error("writing: {0}")]
    Write(io::Error),
}

/// Decodes a stream that [`super::encode`] made.
///
/// `expected` is what the manifest's contents declare of each Instance, in order; `out` opens what takes the bytes
/// of the Instance at that index, in order. Memory is that of the encoding (docs/codec.md); time and output are bounded by `expected`, which
/// also comes from another node and is itself bounded by [`INSTANCE_BYTES_MAX`].
///
/// # Errors
/// [`DecodeError`]; until `Ok`, nothing that was written may be shown or kept.
pub fn decode<'o>(
    stream: impl Read,
    expected: &[Content],
    out: impl FnMut(usize) -> io::Result<Box<dyn Write + 'o>> + 'o,
) -> Result<(), DecodeError> {
    if expected.len() > GROUP_INSTANCES_MAX {
        return Err(DecodeError::Instances { count: expected.len(), max: GROUP_INSTANCES_MAX });
    }
    let bytes = expected.iter().fold(0_u64, |sum, content| sum.saturating_add(content.bytes));
    if bytes > INSTANCE_BYTES_MAX {
        return Err(DecodeError::Large { bytes, max: INSTANCE_BYTES_MAX });
    }
    let mut stream = Watched { reader: stream.take(coded_bytes_max(bytes, expected.len())), failed: None };
    let encoding = take_head(&mut stream, expected)?;
    let mut split = Split::new(sizes_of(expected), Box::new(out));
    let unpacked = match encoding {
        EncodingId::Zstd => unpack_zstd(&mut stream, &mut split),
        EncodingId::Model => modelled::unpack(&mut stream, &sizes_of(expected), &mut split),
        EncodingId::Inflated => modelled::unpack_inflated(&mut stream, &sizes_of(expected), &mut split),
        EncodingId::Stored => pour(&mut stream, &mut split, DecodeError::Read),
    };
    if let Some(error) = stream.failed {
        return Err(DecodeError::Read(error));
    }
    unpacked?;
    let decoded = split.finish().map_err(DecodeError::Write)?;
    if decoded.len() < expected.len() {
        return Err(DecodeError::EndsEarly);
    }
    match decoded.iter().zip(expected).position(|(found, expected)| found.hash != expected.hash) {
        Some(index) => Err(DecodeError::Hash { index }),
        None => Ok(()),
    }
}

fn sizes_of(expected: &[Content]) -> Vec<u64> {
    expected.iter().map(|content| content.bytes).collect()
}

fn unpack_zstd(stream: &mut impl Read, split: &mut Split<'_>) -> Result<(), DecodeError> {
    let mut coded = BufReader::with_capacity(32 * 1024, stream);
    let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut coded).map_err(DecodeError::Coder)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(DecodeError::Coder)?;
    pour(&mut decoder, split, |error| match error.kind() {
        io::ErrorKind::UnexpectedEof => DecodeError::EndsEarly,
        _ => DecodeError::Coder(error),
    })?;
    drop(decoder);
    if matches!(coded.read(&mut [0]), Ok(0)) { Ok(()) } else { Err(DecodeError::TooLong) }
}

/// Gives everything that `from` reads to the Instances.
fn pour(
    from: &mut impl Read,
    into: &mut Split<'_>,
    failed: impl Fn(io::Error) -> DecodeError,
) -> Result<(), DecodeError> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                if !into.take(&buffer[..read]).map_err(DecodeError::Write)? {
                    return Err(DecodeError::TooLong);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Bytes that the stream of so many Instances of these bytes can need: zstd's bound for incompressible input, and the
/// head.
#[must_use]
pub const fn coded_bytes_max(bytes: u64, count: usize) -> u64 {
    bytes.saturating_add(bytes / 128 + 4096 + 72 * count as u64)
}

fn take_head(stream: &mut impl Read, expected: &[Content]) -> Result<EncodingId, DecodeError> {
    let [encoding, version, count @ ..] = take::<HEAD_BYTES>(stream)?;
    let known = known(encoding, version)?;
    let found = u32::from_be_bytes(count);
    if found as usize != expected.len() {
        return Err(DecodeError::Count { found, expected: expected.len() });
    }
    for (index, content) in expected.iter().enumerate() {
        let found = u64::from_be_bytes(take(stream)?);
        if found != content.bytes {
            return Err(DecodeError::Size { index, found, expected: content.bytes });
        }
    }
    Ok(known)
}

/// How the rest of a stream is read, by its first two bytes.
pub(super) fn known(encoding: u8, version: u8) -> Result<EncodingId, DecodeError> {
    let all = [EncodingId::Zstd, EncodingId::Model, EncodingId::Stored, EncodingId::Inflated];
    let known = all.into_iter().find(|known| *known as u8 == encoding);
    let known = known.ok_or(DecodeError::Encoding { found: encoding })?;
    if version == VERSION { Ok(known) } else { Err(DecodeError::Version { encoding, found: version }) }
}

fn take<const N: usize>(stream: &mut impl Read) -> Result<[u8; N], DecodeError> {
    let mut bytes = [0; N];
    match stream.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(DecodeError::EndsEarly),
        Err(error) => Err(DecodeError::Read(error)),
    }
}

/// Remembers a reader's failure, which the decoder would report as its own.
struct Watched<R> {
    reader: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reader.read(out).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed = Some(error.kind().into());
            }
        })
    }
}
