//! Codes a group, and decodes it again.
//!
//! A Study that was packed wrongly can't be sent again once the clinic has freed it, so what the coder writes is
//! decoded, and its bytes are hashed and compared with what was read. Sources pass through and are never gathered;
//! only the coded bytes of a group of up to [`SPOOLED_BYTES_MAX`] are: they are decoded when the models that wrote them
//! are gone, and coded another way if need be. What is larger is decoded as it goes.

use super::{
    Content, Parts, Profile, Source, decode,
    modelled::{self, Proof},
    stream::{Split, head},
};
use crate::{
    EncodingId,
    limits::{GROUP_INSTANCES_MAX, INSTANCE_BYTES_MAX, SPOOLED_BYTES_MAX, TRIED_BYTES_MAX, WINDOW_LOG},
    pixel::Effort,
};
use std::io::{self, Read, Write};
use zstd::stream::{raw::CParameter, write};

/// zstd's level for everything that travels: on a link of 64 kbit/s a byte less is worth the processor's time.
const LEVEL: i32 = 19;
/// Base-2 logarithms of the coder's two tables, 4 bytes an entry: 16 MiB and 8 MiB, half of level 19's own for this
/// window, so that a spoke packs inside 200 MB. Costs 0.1 % of the bytes of a CT or MR Series, 0.8 % of a radiograph.
const CHAIN_LOG: u32 = 22;
const HASH_LOG: u32 = 21;

/// What a group became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStats {
    /// Each Instance that was coded: what the manifest's contents declare, and [`super::decode`] asks for.
    pub contents: Vec<Content>,
    /// Bytes received, all Instances together.
    pub received_bytes: u64,
    /// Bytes of the stream.
    pub coded_bytes: u64,
    /// What these bytes are spent on.
    pub parts: Parts,
}

/// Why a group was not coded. What was written is worthless and must be dropped.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Too many Instances.
    #[error("{count} Instances in a group; the limit is {max}")]
    Instances {
        /// Given.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Instances too large.
    #[error("the Instances have {bytes} bytes; the limit is {max}")]
    Large {
        /// All of them together.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A source that does not give the bytes it declared.
    #[error("Instance {index} declared {declared} bytes and gave {read}")]
    SourceLength {
        /// Which.
        index: usize,
        /// Declared.
        declared: u64,
        /// Given, at most one more than declared.
        read: u64,
    },
    /// A source failed.
    #[error("reading Instance {index}: {source}")]
    Read {
        /// Which.
        index: usize,
        /// How.
        source: io::Error,
    },
    /// The writer failed.
    #[error("writing the coded group: {0}")]
    Write(io::Error),
    /// The coder failed.
    #[error("zstd: {0}")]
    Coder(io::Error),
    /// Decoding gave other bytes: the group must be coded anew or sent stored.
    #[error("the coded group does not decode to what was received")]
    NotEqual,
}

/// Codes the Instances of one group, in order, into `out`.
///
/// Every byte that goes to `out` has also gone through a decoder, and the Instances that came out of it are equal, by
/// length and BLAKE3, to those that were read. What the model can't give back, or makes larger, is one zstd frame; a group
/// over [`SPOOLED_BYTES_MAX`] that does not come back is an error instead, and its caller stores it.
///
/// # Errors
/// [`EncodeError`]; whatever `out` took by then must be dropped.
pub fn encode(sources: &[&dyn Source], profile: Profile, out: &mut dyn Write) -> Result<GroupStats, EncodeError> {
    let sizes = checked_sizes(sources)?;
    let effort = match profile {
        Profile::Max => Effort::Max,
        Profile::Fast => Effort::Fast,
    };
    let bytes: u64 = sizes.iter().sum();
    if bytes > SPOOLED_BYTES_MAX {
        return modelled::write(sources, &sizes, effort, Proof::AsWritten, out);
    }
    let mut spool = Vec::new();
    let written = modelled::write(sources, &sizes, effort, Proof::Later, &mut spool);
    let modelled = match written.and_then(|stats| proven(&spool, stats)) {
        Err(EncodeError::NotEqual) => None,
        proven => Some(proven?),
    };
    if modelled.is_none() || bytes <= TRIED_BYTES_MAX {
        let mut other = Vec::new();
        let zstd = write_zstd(sources, sizes, &mut other)?;
        if modelled.as_ref().is_none_or(|modelled| zstd.coded_bytes < modelled.coded_bytes) {
            out.write_all(&other).map_err(EncodeError::Write)?;
            return Ok(zstd);
        }
    }
    out.write_all(&spool).map_err(EncodeError::Write)?;
    Ok(modelled.expect("it was looked at above"))
}

/// Decodes a stream as its receiver will, with the models that wrote it gone.
fn proven(stream: &[u8], stats: GroupStats) -> Result<GroupStats, EncodeError> {
    decode(stream, &stats.contents, |_| Ok(Box::new(io::sink()))).map_err(|_| EncodeError::NotEqual)?;
    Ok(stats)
}

/// Codes them as one zstd frame.
fn write_zstd(sources: &[&dyn Source], sizes: Vec<u64>, out: &mut dyn Write) -> Result<GroupStats, EncodeError> {
    let head = head(EncodingId::Zstd, &sizes);
    out.write_all(&head).map_err(EncodeError::Write)?;

    let received_bytes = sizes.iter().sum();
    let mut coder = coder(Proven::new(out, sizes)?, received_bytes).map_err(EncodeError::Coder)?;
    let mut contents = Vec::with_capacity(sources.len());
    for (index, source) in sources.iter().enumerate() {
        contents.push(copy(index, *source, |bytes| match coder.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(coder.get_mut().fault.take().unwrap_or(EncodeError::Coder(error))),
        })?);
    }
    let proven = match coder.try_finish() {
        Ok(proven) => proven,
        Err((mut coder, error)) => return Err(coder.get_mut().fault.take().unwrap_or(EncodeError::Coder(error))),
    };
    let parts = Parts { whole: proven.written, ..Parts::default() };
    let coded_bytes = head.len() as u64 + proven.written;
    proven.prove(&contents)?;
    Ok(GroupStats { contents, received_bytes, coded_bytes, parts })
}

pub(super) fn checked_sizes(sources: &[&dyn Source]) -> Result<Vec<u64>, EncodeError> {
    if sources.len() > GROUP_INSTANCES_MAX {
        return Err(EncodeError::Instances { count: sources.len(), max: GROUP_INSTANCES_MAX });
    }
    let sizes: Vec<u64> = sources.iter().map(|source| source.bytes()).collect();
    let bytes = sizes.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
    if bytes > INSTANCE_BYTES_MAX {
        return Err(EncodeError::Large { bytes, max: INSTANCE_BYTES_MAX });
    }
    Ok(sizes)
}

/// Bytes as one zstd frame of their own.
pub(super) fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut coder = zstd::bulk::Compressor::new(LEVEL)?;
    if bytes.len() >= 1 << (WINDOW_LOG - 2) {
        coder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        coder.set_parameter(CParameter::ChainLog(CHAIN_LOG))?;
        coder.set_parameter(CParameter::HashLog(HASH_LOG))?;
    }
    coder.include_checksum(false)?;
    coder.include_contentsize(false)?;
    coder.compress(bytes)
}

fn coder<'p, 'o>(proven: Proven<'p, 'o>, bytes: u64) -> io::Result<write::Encoder<'static, Proven<'p, 'o>>> {
    let mut coder = write::Encoder::new(proven, LEVEL)?;
    // A short group takes a smaller window by its size; only a large one needs these limits.
    if bytes >= 1 << (WINDOW_LOG - 2) {
        coder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        coder.set_parameter(CParameter::ChainLog(CHAIN_LOG))?;
        coder.set_parameter(CParameter::HashLog(HASH_LOG))?;
    }
    // Each Instance has its BLAKE3; zstd's own checksum would be four bytes for nothing.
    coder.include_checksum(false)?;
    coder.set_pledged_src_size(Some(bytes))?;
    Ok(coder)
}

/// Passes one Instance to `give`, hashing it.
pub(super) fn copy(
    index: usize,
    source: &dyn Source,
    mut give: impl FnMut(&[u8]) -> Result<(), EncodeError>,
) -> Result<Content, EncodeError> {
    let declared = source.bytes();
    let failed = |source| EncodeError::Read { index, source };
    // One byte more than declared, to see a source that goes on.
    let mut reader = source.open().map_err(failed)?.take(declared.saturating_add(1));
    let (mut hasher, mut read) = (blake3::Hasher::new(), 0_u64);
    let mut buffer = [0; 16 * 1024];
    loop {
        let step = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(step) => step,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        read += step as u64;
        if read > declared {
            break;
        }
        hasher.update(&buffer[..step]);
        give(&buffer[..step])?;
    }
    if read != declared {
        return Err(EncodeError::SourceLength { index, declared, read });
    }
    Ok(Content { bytes: read, hash: *hasher.finalize().as_bytes() })
}

/// Writes coded bytes out and decodes them again.
struct Proven<'p, 'o> {
    out: &'p mut dyn Write,
    again: write::Decoder<'static, Sink<'o>>,
    written: u64,
    /// What went wrong, since the coder only hands on that something did.
    fault: Option<EncodeError>,
}

/// What decoding again gives: hashed, and kept nowhere.
struct Sink<'o>(Split<'o>);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.take(bytes)? { Ok(bytes.len()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'p> Proven<'p, 'static> {
    fn new(out: &'p mut dyn Write, sizes: Vec<u64>) -> Result<Self, EncodeError> {
        let sink = Sink(Split::new(sizes, Box::new(|_| Ok(Box::new(io::sink())))));
        let mut again = write::Decoder::new(sink).map_err(EncodeError::Coder)?;
        again.window_log_max(WINDOW_LOG).map_err(EncodeError::Coder)?;
        Ok(Self { out, again, written: 0, fault: None })
    }
}

impl Proven<'_, '_> {
    /// Holds what came out of the decoder against what was read.
    fn prove(mut self, contents: &[Content]) -> Result<(), EncodeError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        self.out.flush().map_err(EncodeError::Write)?;
        let sink = self.again.finish().map_err(|_| EncodeError::NotEqual)?;
        let decoded = sink.0.finish().map_err(EncodeError::Coder)?;
        if decoded == contents { Ok(()) } else { Err(EncodeError::NotEqual) }
    }
}

impl Write for Proven<'_, '_> {
    fn write(&mut self, coded: &[u8]) -> io::Result<usize> {
        let fault = match (self.out.write_all(coded), self.again.write_all(coded)) {
            (Err(error), _) => EncodeError::Write(error),
            (Ok(()), Err(_)) => EncodeError::NotEqual,
            (Ok(()), Ok(())) => {
                self.written += coded.len() as u64;
                return Ok(coded.len());
            }
        };
        self.fault = Some(fault);
        Err(io::ErrorKind::Other.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A coder gone wrong: it codes `coded` where `read` was given to it.
    fn prove(coded: &[u8], read: &[u8]) -> Result<(), EncodeError> {
        let mut out = Vec::new();
        let frame = zstd::encode_all(coded, 1).unwrap();
        let mut proven = Proven::new(&mut out, vec![read.len() as u64]).unwrap();
        let _ = proven.write_all(&frame);
        proven.prove(&[Content { bytes: read.len() as u64, hash: *blake3::hash(read).as_bytes() }])
    }

    /// A film whose pixels are others from one reading to the next.
    struct Changing {
        film: Vec<u8>,
        opened: Cell<u32>,
        /// The first reading that gives other pixels.
        from: u32,
    }

    impl Source for Changing {
        fn open(&self) -> io::Result<Box<dyn Read + '_>> {
            self.opened.set(self.opened.get() + 1);
            let mut film = self.film.clone();
            if self.opened.get() >= self.from {
                film[20_000] ^= 1;
            }
            Ok(Box::new(io::Cursor::new(film)))
        }

        fn bytes(&self) -> u64 {
            self.film.len() as u64
        }
    }

    /// Codes it by the model and proves it, and gives the stream.
    fn modelled(from: u32, proof: Proof) -> Result<Vec<u8>, EncodeError> {
        let film =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pydicom/CT_small.dcm")).unwrap();
        let source = Changing { film, opened: Cell::new(0), from };
        let mut stream = Vec::new();
        let sources = [&source as &dyn Source];
        let stats = modelled::write(&sources, &[source.bytes()], Effort::Fast, proof, &mut stream)?;
        match proof {
            Proof::AsWritten => Ok(stream),
            Proof::Later => proven(&stream, stats).map(|_| stream),
        }
    }

    #[test]
    fn a_model_that_gives_other_bytes_is_found_out_as_it_writes_and_later() {
        let written = modelled(u32::MAX, Proof::AsWritten).unwrap();
        assert_eq!(written, modelled(u32::MAX, Proof::Later).unwrap());
        for proof in [Proof::AsWritten, Proof::Later] {
            // Which values occur is read after the plan, and what is coded after that.
            assert!(matches!(modelled(3, proof), Err(EncodeError::NotEqual)), "{proof:?}");
        }
    }

    #[test]
    fn what_decodes_to_other_bytes_is_never_sent() {
        assert!(prove(b"one slice", b"one slice").is_ok());
        for coded in [&b"one slide"[..], b"one", b"one slice more"] {
            assert!(matches!(prove(coded, b"one slice"), Err(EncodeError::NotEqual)));
        }
    }
}
