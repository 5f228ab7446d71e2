//! Headers: all bytes of the Instances of a group but their pixels, coded against each other.
//!
//! A CT slice's header of 8 KB becomes 40 bytes behind the slice before it, and in a diffusion MR, where headers
//! outweigh the pixels, that decides how long a clinic waits. The rule: any bytes come back, DICOM or not, because the
//! structure is only ever guessed at: `walk` gives each byte its place (its element's column over all Instances),
//! `history` finds what stood there before, `forecast` goes on with its numbers, and `model` codes what is left
//! by context mixing (`octet`), starting from a `dictionary` of typical headers. Where that is more than zstd
//! makes of it, or more than [`HEADER_BYTES_MAX`], zstd it is. Layout: `protocol/SPEC.md`, Coded groups, Headers.

mod contexts;
mod decisions;
mod dictionary;
mod expected;
mod forecast;
mod history;
mod listed;
mod mixing;
mod model;
mod octet;
mod repeats;
mod walk;

use crate::limits::{GROUP_INSTANCES_MAX, HEADER_BYTES_MAX, INSTANCE_BYTES_MAX, WINDOW_LOG};
use decisions::{Reading, Writing};
use model::Shape;
use std::io::{self, Read};
use walk::{Form, Taken};

/// Bytes that were taken out of an Instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Bytes of the residue before it.
    pub at: u64,
    /// Bytes taken out; more than none.
    pub bytes: u64,
}

/// What stays of an Instance when its pixels are taken out.
#[derive(Debug, Clone, Copy)]
pub struct Residue<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Where bytes were taken out, first to last. Where these are the values of its pixel data at the top of the data
    /// set (native: the value; encapsulated: that of every item, or of every item but the first) they cost nothing.
    pub holes: &'a [Hole],
    /// How its data set stands here.
    pub data_set: DataSet,
}

/// How the data set behind file meta information stands in a residue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSet {
    /// As it was received.
    Received,
    /// Inflated, explicit VR little endian, though its transfer syntax says that it is deflated (PS3.5 A.5).
    Inflated,
}

impl Residue<'_> {
    /// Bytes of the Instance, holes included.
    fn size(&self) -> u64 {
        self.bytes.len() as u64 + self.holes.iter().map(|hole| hole.bytes).sum::<u64>()
    }
}

/// A residue that was decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where the pixels belong.
    pub holes: Vec<Hole>,
}

/// Why headers did not decode.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// A stage this node does not know: a newer one coded them.
    #[error("headers coded in a way ({found}) that is not known here")]
    Stage {
        /// The first byte.
        found: u8,
    },
    /// The coded bytes end too soon.
    #[error("the coded headers end early")]
    EndsEarly,
    /// More Instances, or larger ones, than a group can hold.
    #[error("{count} Instances of {bytes} bytes; the limits are {GROUP_INSTANCES_MAX} and {INSTANCE_BYTES_MAX}")]
    Large {
        /// Instances.
        count: usize,
        /// All of them together.
        bytes: u64,
    },
    /// A list of holes that fits no Instance of the declared size.
    #[error("the holes in the headers fit no Instance of the declared size")]
    Holes,
    /// More bytes than this stage may give.
    #[error("the headers have more than {HEADER_BYTES_MAX} bytes")]
    TooLong,
    /// The frame gives other than the declared bytes.
    #[error("the headers decode to other than the declared number of bytes")]
    Size,
    /// No frame.
    #[error("zstd: {0}")]
    Coder(io::Error),
}

/// How the rest is read. A number, once given, keeps its meaning for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// One zstd frame (RFC 8878) of all residues, one after the other.
    Zstd = 0,
    /// The model, from the first dictionary on.
    Model = 1,
}

/// zstd's level.
const LEVEL: i32 = 19;

/// Codes the residues of the Instances of one group, in order.
///
/// Always succeeds. Takes about 22 MB and twice the residues' bytes, and a second for each 0.2 MB of them that differ
/// from what came before or 20 MB that do not. Whoever keeps what this gives decodes it again and compares, as
/// [`crate::group`] does.
#[must_use]
pub fn encode(residues: &[Residue<'_>]) -> Vec<u8> {
    let bytes = residues.iter().fold(0_usize, |sum, residue| sum.saturating_add(residue.bytes.len()));
    if bytes == 0 || bytes > HEADER_BYTES_MAX {
        return stored(residues);
    }
    match modelled(residues) {
        // Only what nothing foretells, such as a compressed attachment, is better off with zstd.
        Some(modelled) if modelled.len() <= bytes / 4 => modelled,
        Some(modelled) => std::cmp::min_by_key(modelled, stored(residues), Vec::len),
        None => stored(residues),
    }
}

/// Decodes what [`encode`] made of the Instances that have these `sizes`, pixels included.
///
/// Each header's bytes and holes together are exactly as many as its Instance's size. Memory is about 22 MB and
/// twice the headers', which are never more than `sizes` allow; time is in proportion to them.
///
/// # Errors
/// [`HeaderError`]. Coded bytes that were changed may also decode to a false header: its hash tells.
pub fn decode(coded: &[u8], sizes: &[u64]) -> Result<Vec<Header>, HeaderError> {
    let bytes = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
    if sizes.len() > GROUP_INSTANCES_MAX || bytes > INSTANCE_BYTES_MAX {
        return Err(HeaderError::Large { count: sizes.len(), bytes });
    }
    let (stage, mut rest) = coded.split_first().ok_or(HeaderError::EndsEarly)?;
    let listed = |rest: &mut &[u8]| listed::take(rest, sizes);
    match *stage {
        stage if stage == Stage::Zstd as u8 => {
            let listed = listed(&mut rest)?;
            restored(rest, sizes, listed)
        }
        stage if stage == Stage::Model as u8 => {
            let listed = listed(&mut rest)?;
            remodelled(rest, sizes, &listed)
        }
        found => Err(HeaderError::Stage { found }),
    }
}

fn stored(residues: &[Residue<'_>]) -> Vec<u8> {
    let mut coded = vec![Stage::Zstd as u8];
    let lists: Vec<_> =
        residues.iter().map(|residue| residue.holes).enumerate().filter(|(_, l)| !l.is_empty()).collect();
    listed::write(&lists, &mut coded);
    let total = residues.iter().map(|residue| residue.bytes.len() as u64).sum::<u64>();
    let mut frame = zstd::stream::Encoder::new(coded, LEVEL).expect("this level exists");
    if total >= 1 << WINDOW_LOG {
        frame.window_log(WINDOW_LOG).expect("this window exists");
    }
    // A short frame takes smaller tables by its size.
    frame.set_pledged_src_size(Some(total)).expect("nothing is written yet");
    frame.include_contentsize(false).expect("nothing is written yet");
    for residue in residues {
        io::Write::write_all(&mut frame, residue.bytes).expect("a Vec takes every write");
    }
    frame.finish().expect("a Vec takes every write")
}

fn restored(frame: &[u8], sizes: &[u64], listed: Vec<Vec<Hole>>) -> Result<Vec<Header>, HeaderError> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(frame).map_err(HeaderError::Coder)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(HeaderError::Coder)?;
    let mut headers = Vec::with_capacity(sizes.len());
    for (size, holes) in sizes.iter().zip(listed) {
        let bytes_left = size - holes.iter().map(|hole| hole.bytes).sum::<u64>();
        if holes.last().is_some_and(|hole| hole.at > bytes_left) {
            return Err(HeaderError::Holes);
        }
        let mut bytes = Vec::new();
        decoder.by_ref().take(bytes_left).read_to_end(&mut bytes).map_err(HeaderError::Coder)?;
        if bytes.len() as u64 != bytes_left {
            return Err(HeaderError::Size);
        }
        headers.push(Header { bytes, holes });
    }
    match decoder.read(&mut [0]) {
        Ok(0) if decoder.finish().is_empty() => Ok(headers),
        Err(error) => Err(HeaderError::Coder(error)),
        Ok(_) => Err(HeaderError::Size),
    }
}

fn modelled(residues: &[Residue<'_>]) -> Option<Vec<u8>> {
    let mut model = dictionary::primed();
    let bytes_max = model.bytes() + HEADER_BYTES_MAX;
    let (mut writing, mut lists) = (Writing::new(), Vec::new());
    for (index, residue) in residues.iter().enumerate() {
        let (form, size) = (Form::guess(residue.bytes), residue.size());
        let accounts = |taken: &Taken| {
            walk::holes_of(residue.bytes, form, *taken, size).is_some_and(|holes| holes == residue.holes)
        };
        let ways: &[Taken] = match residue.data_set {
            DataSet::Received => &[Taken::Listed, Taken::Values, Taken::Fragments],
            DataSet::Inflated => &[Taken::Inflated],
        };
        let found = ways.iter().copied().find(accounts);
        let taken = found.unwrap_or(Taken::Listed);
        let listed = if found.is_none() { residue.holes } else { &[] };
        if !listed.is_empty() {
            lists.push((index, listed));
        }
        model.shape(&mut writing, form, taken);
        let shape = Shape { form, taken, listed, size };
        let holes = model.instance(&mut writing, Some(residue.bytes), shape, bytes_max)?;
        // A caller's list that fits no Instance (out of order, beyond its bytes) is kept as it is by the other stage.
        if holes != residue.holes || model.current() != residue.bytes {
            return None;
        }
    }
    let mut coded = vec![Stage::Model as u8];
    listed::write(&lists, &mut coded);
    coded.extend(writing.finish());
    Some(coded)
}

fn remodelled(coded: &[u8], sizes: &[u64], listed: &[Vec<Hole>]) -> Result<Vec<Header>, HeaderError> {
    let mut model = dictionary::primed();
    let bytes_max = model.bytes() + HEADER_BYTES_MAX;
    let mut reading = Reading::new(coded);
    let mut headers = Vec::with_capacity(sizes.len());
    for (size, listed) in sizes.iter().zip(listed) {
        let (form, taken) = model.shape(&mut reading, Form::Plain, Taken::Listed);
        let shape = Shape { form, taken, listed, size: *size };
        let holes = model.instance(&mut reading, None, shape, bytes_max).ok_or(HeaderError::TooLong)?;
        let bytes = model.current().to_vec();
        if bytes.len() as u64 + holes.iter().map(|hole| hole.bytes).sum::<u64>() != *size {
            return Err(HeaderError::Holes);
        }
        headers.push(Header { bytes, holes });
    }
    Ok(headers)
}
