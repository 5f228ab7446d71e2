//! Lossy JPEG frames, coded again from their DCT coefficients, to the same bytes (Lepton; Horn et al. 2017).
//!
//! Ultrasound and photographs come as JPEG baseline, of which a quarter can be saved without touching a coefficient.
//! The work is `lepton_jpeg`'s; what it writes is cut into a head, which is much the same from frame to frame and
//! coded by zstd with its neighbours, and a body that nothing makes smaller. Rule: its decoder believes lengths, so
//! no head reaches it that was not walked here: one thread, no length past the head, no more blocks than the frame's
//! bytes can code. It also panics where it is lied to, which is caught.
//!
//! A head is `type u8 | JPEG bytes u32 | Lepton's header, inflated`: `HDR` and the JPEG's own segments, then `P0D` pad
//! bit, `HH` the one thread's place, `CRS` and `FRS` restart counts, `EEE` an early end, `GRB` what follows EOI.

use crate::limits::{FRAME_PLANES_MAX, JPEG_BLOCKS_PER_BYTE_MAX, JPEG_SCANS_MAX};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use lepton_jpeg::{EnabledFeatures, SingleThreadPool, catch_unwind_result, decode_lepton, encode_lepton};
use std::io::{Cursor, Read, Write};

/// A lossy JPEG, coded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recoded {
    /// Segments and the coder's own notes, plain.
    pub head: Vec<u8>,
    /// Coefficients, coded.
    pub body: Vec<u8>,
}

/// Why a JPEG can't be had back. It could, when it was coded, so its head or body is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// The head says what no JPEG has.
    #[error("the head of a recoded JPEG is damaged")]
    Head,
    /// The body does not decode.
    #[error("the body of a recoded JPEG is damaged")]
    Body,
    /// The JPEG would be larger than was declared.
    #[error("a JPEG has {bytes} bytes, and {max} are declared for it")]
    Large {
        /// Bytes it has.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
}

/// Bytes of a Lepton file before its deflated header.
const FIXED_BYTES: usize = 28;
/// Between header and body.
const COMPLETE: &[u8] = b"CMP";
/// Both SIMD-compatible estimates, as [`EnabledFeatures::compat_lepton_vector_write`] has them.
const FLAGS: u8 = 0x83;
/// Of the format that `lepton_jpeg` 0.5.8 writes; versions below 0.5 had a flaw that readers make up for.
const WRITER_VERSION: u8 = 58;

/// Codes a lossy JPEG again. `None` where that is refused (12 bits, arithmetic coding, damage), or where it does not
/// give the same bytes: it is tried here. Memory goes by the size of the JPEG.
#[must_use]
pub fn encode(jpeg: &[u8]) -> Option<Recoded> {
    outline(jpeg)?.within(jpeg.len())?;
    let mut lepton = Vec::new();
    catch_unwind_result(|| {
        encode_lepton(
            &mut Cursor::new(jpeg),
            &mut Cursor::new(&mut lepton),
            &features(jpeg.len()),
            &SingleThreadPool {},
        )
    })
    .ok()?;
    let (fixed, rest) = lepton.split_at_checked(FIXED_BYTES)?;
    let deflated = u32::from_le_bytes(fixed[24..28].try_into().expect("four bytes were asked for"));
    let (deflated, rest) = rest.split_at_checked(usize::try_from(deflated).ok()?)?;
    let body = rest.strip_prefix(COMPLETE)?.split_last_chunk::<4>()?.0.to_vec();
    let mut head = [&fixed[3..4], &fixed[20..24]].concat();
    ZlibDecoder::new(deflated).read_to_end(&mut head).ok()?;
    (decode(&head, &body, jpeg.len()).ok()? == jpeg).then_some(Recoded { head, body })
}

/// Gives the JPEG back. Time and memory go by `bytes_max`, whatever head and body say.
///
/// # Errors
/// [`BaselineError`] if they don't belong together or the JPEG has more than `bytes_max` bytes.
pub fn decode(head: &[u8], body: &[u8], bytes_max: usize) -> Result<Vec<u8>, BaselineError> {
    let checked = Head::walk(head).ok_or(BaselineError::Head)?;
    if checked.jpeg_bytes > bytes_max {
        return Err(BaselineError::Large { bytes: checked.jpeg_bytes, max: bytes_max });
    }
    let lepton = checked.lepton(body).ok_or(BaselineError::Head)?;
    let mut jpeg = Vec::new();
    catch_unwind_result(|| {
        let features = features(checked.jpeg_bytes);
        decode_lepton(&mut lepton.as_slice(), &mut jpeg, &features, &SingleThreadPool {})
    })
    .map_err(|_| BaselineError::Body)?;
    if jpeg.len() == checked.jpeg_bytes { Ok(jpeg) } else { Err(BaselineError::Body) }
}

fn features(jpeg_bytes: usize) -> EnabledFeatures {
    EnabledFeatures {
        max_partitions: 1,
        max_processor_threads: 1,
        // Its own header counts too, and small JPEGs have one larger than themselves.
        max_jpeg_file_size: u32::try_from(jpeg_bytes).unwrap_or(u32::MAX).saturating_mul(2).saturating_add(4096),
        ..EnabledFeatures::compat_lepton_vector_write()
    }
}

/// A head whose every length was looked at.
struct Head<'h> {
    kind: u8,
    jpeg_bytes: usize,
    header: &'h [u8],
}

impl<'h> Head<'h> {
    fn walk(head: &'h [u8]) -> Option<Self> {
        let (fixed, header) = head.split_at_checked(5)?;
        let jpeg_bytes = u32::from_le_bytes(fixed[1..5].try_into().expect("four bytes were asked for"));
        let mut left = header.strip_prefix(b"HDR")?;
        let segments = sized(&mut left)?;
        outline(segments)?.within(jpeg_bytes as usize)?;
        let (mut places, mut trailer) = (0, 0);
        while let Some((mark, rest)) = left.split_at_checked(3) {
            left = rest;
            match mark {
                b"P0D" => drop(taken(&mut left, 1)?),
                b"HH\x01" => {
                    let place = taken(&mut left, 16)?;
                    let scan_bytes = u32::from_le_bytes(place[2..6].try_into().expect("four bytes were asked for"));
                    if scan_bytes > jpeg_bytes || place[..2] != [0, 0] {
                        return None;
                    }
                    places += 1;
                }
                b"CRS" => {
                    let counts = number(&mut left)?;
                    taken(&mut left, counts.checked_mul(4)?)?;
                }
                b"FRS" => drop(sized(&mut left)?),
                b"EEE" => drop(taken(&mut left, 28)?),
                b"GRB" => trailer = sized(&mut left)?.len(),
                _ => return None,
            }
        }
        let fits = segments.len() + trailer <= jpeg_bytes as usize + 2;
        (left.is_empty() && places == 1 && fits).then_some(Self {
            kind: fixed[0],
            jpeg_bytes: jpeg_bytes as usize,
            header,
        })
    }

    /// The Lepton file that this head and `body` were cut from, but for how its header is deflated.
    fn lepton(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut deflater = ZlibEncoder::new(Vec::new(), Compression::fast());
        deflater.write_all(self.header).ok()?;
        let deflated = deflater.finish().ok()?;
        let little = |bytes: usize| u32::try_from(bytes).map(u32::to_le_bytes).ok();
        let mut lepton = vec![0xCF, 0x84, 1, self.kind, 1, 0, 0, 0, b'M', b'S'];
        lepton.extend(little(self.header.len())?);
        lepton.extend([FLAGS, WRITER_VERSION, 0, 0, 0, 0]);
        lepton.extend(little(self.jpeg_bytes)?);
        lepton.extend(little(deflated.len())?);
        for part in [&deflated, COMPLETE, body] {
            lepton.extend_from_slice(part);
        }
        lepton.extend(little(lepton.len() + 4)?);
        Some(lepton)
    }
}

fn taken<'h>(left: &mut &'h [u8], bytes: usize) -> Option<&'h [u8]> {
    let (first, rest) = left.split_at_checked(bytes)?;
    *left = rest;
    Some(first)
}

fn number(left: &mut &[u8]) -> Option<usize> {
    let bytes = taken(left, 4)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().expect("four bytes were asked for"))).ok()
}

fn sized<'h>(left: &mut &'h [u8]) -> Option<&'h [u8]> {
    let bytes = number(left)?;
    taken(left, bytes)
}

/// What a JPEG's segments ask for.
struct Outline {
    blocks: u64,
    scans: usize,
}

impl Outline {
    /// `Some` if so many bytes can code that.
    fn within(&self, jpeg_bytes: usize) -> Option<()> {
        let blocks_max = (jpeg_bytes as u64).saturating_mul(JPEG_BLOCKS_PER_BYTE_MAX);
        (self.blocks <= blocks_max && self.scans <= JPEG_SCANS_MAX).then_some(())
    }
}

/// Walks marker segments (T.81 annex B), with or without the scans' data between them. `None` unless there is one
/// frame header, of a process with blocks.
fn outline(bytes: &[u8]) -> Option<Outline> {
    let (mut blocks, mut scans, mut at) = (None, 0, 0);
    while let Some(ff) = bytes.get(at..)?.iter().position(|byte| *byte == 0xFF) {
        at += ff + 1;
        let marker = match bytes.get(at) {
            None | Some(0xD9) => break,
            Some(0x00..=0xBF | 0xD0..=0xD8 | 0xFF) => continue,
            Some(marker) => *marker,
        };
        let length = bytes.get(at + 1..at + 3)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let segment = bytes.get(at + 3..at + 1 + length.max(2))?;
        at += 1 + length.max(2);
        match marker {
            0xC0..=0xC2 if blocks.is_none() => blocks = Some(frame_blocks(segment)?),
            0xC0..=0xC3 | 0xC5..=0xCF => return None,
            0xDA => scans += 1,
            _ => {}
        }
    }
    Some(Outline { blocks: blocks?, scans })
}

/// Blocks of all components, those that fill up the last MCUs included (T.81 A.2.4).
fn frame_blocks(frame: &[u8]) -> Option<u64> {
    let (head, components) = frame.split_at_checked(6)?;
    let (height, width) = (u16::from_be_bytes([head[1], head[2]]), u16::from_be_bytes([head[3], head[4]]));
    let factors: Vec<_> = components.chunks_exact(3).map(|c| (u64::from(c[1] >> 4), u64::from(c[1] & 15))).collect();
    let sound = factors.iter().all(|(h, v)| (1..=4).contains(h) && (1..=4).contains(v));
    if !sound || factors.len() > FRAME_PLANES_MAX || width == 0 || height == 0 {
        return None;
    }
    let (across, down) = (factors.iter().map(|f| f.0).max()?, factors.iter().map(|f| f.1).max()?);
    let mcus = u64::from(width).div_ceil(8 * across) * u64::from(height).div_ceil(8 * down);
    Some(mcus * factors.iter().map(|(h, v)| h * v).sum::<u64>())
}
