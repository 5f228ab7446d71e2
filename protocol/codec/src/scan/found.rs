//! What a scan finds, and why it refuses.
//!
//! An Instance nobody can file under a Study would be lost in a hospital's archive, so one without Study or SOP
//! Instance UID is refused by name. One that merely ends early may hold the slice that shows the bleed: it is kept
//! as it came, flagged, and parsed no further. No error text here holds a value of the data set, so any may be logged.

use super::{Facts, PixelData};
use crate::uid::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntax, UidError};
use std::{fmt, io, ops::Range};

/// An Instance that may be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// How its bytes stand.
    pub origin: Origin,
    /// The kind of object, if it says.
    pub sop_class: Option<SopClassUid>,
    /// Its name.
    pub sop_instance: SopInstanceUid,
    /// Its Study.
    pub study: StudyInstanceUid,
    /// Its Series, if it says; what has none is grouped by itself.
    pub series: Option<SeriesInstanceUid>,
    /// What an order and a worklist need of it, as received.
    pub facts: Facts,
    /// The shape of its pixels, as far as it says.
    pub image: Image,
    /// Where its pixels lie, if it has any.
    pub pixel_data: Option<PixelData>,
    /// Bytes read: for a whole Instance all that were received, or, deflated, all after inflating.
    pub bytes: u64,
    /// Whether it is all there.
    pub ending: Ending,
}

impl Scan {
    /// Everything but the value of the pixel data: where the headers lie, trailing bytes included.
    #[must_use]
    pub fn header_ranges(&self) -> Vec<Range<u64>> {
        let pixels = self.pixel_data.as_ref().map_or(self.bytes..self.bytes, |pixels| pixels.value.clone());
        [0..pixels.start, pixels.end..self.bytes].into_iter().filter(|range| !range.is_empty()).collect()
    }

    /// Whether anything may be parsed further.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.ending == Ending::Whole
    }
}

/// How the received bytes stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The first 128 bytes, where `DICM` follows them.
    pub preamble: Preamble,
    /// File meta information.
    pub meta: MetaForm,
    /// Where the data set starts, in bytes received.
    pub data_set: u64,
    /// The transfer syntax the data set is read in: declared, or, if the declaration is missing or plainly false,
    /// the one its first element shows.
    pub transfer_syntax: TransferSyntax,
}

/// The 128 bytes before `DICM` (PS3.10 section 7.1). They may hide a program, so doors write zeros unless TIFF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preamble {
    /// None.
    Absent,
    /// 128 zeros.
    Zero,
    /// A TIFF header, for a file that is both.
    Tiff,
    /// Anything else.
    Other,
}

/// File meta information, group 0002.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaForm {
    /// None: a data set alone.
    Absent,
    /// Its bytes, without preamble and `DICM`.
    At(Range<u64>),
}

/// The shape of the pixels, each figure as far as the data set says it once and readably.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// (0028,0010) Rows.
    pub rows: Option<u16>,
    /// (0028,0011) Columns.
    pub columns: Option<u16>,
    /// (0028,0008) Number of Frames.
    pub frames: Option<u32>,
    /// (0028,0002) Samples per Pixel.
    pub samples_per_pixel: Option<u16>,
    /// (0028,0100) Bits Allocated.
    pub bits_allocated: Option<u16>,
    /// (0028,0101) Bits Stored.
    pub bits_stored: Option<u16>,
    /// (0028,0103) Pixel Representation: 0 unsigned, 1 signed.
    pub pixel_representation: Option<u16>,
    /// (0028,0006) Planar Configuration.
    pub planar_configuration: Option<u16>,
}

/// Whether the Instance is all there. Printed, it goes on from "the data set".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every length agrees with what encloses it, and the last element ends where the bytes end.
    Whole,
    /// The bytes end inside an element.
    EndsEarly {
        /// Bytes that are there.
        at: u64,
    },
    /// The bytes go on but make no data set from here on.
    Malformed {
        /// Offset of the element.
        at: u64,
        /// What is wrong with it.
        flaw: Flaw,
    },
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => write!(f, "is whole"),
            Self::EndsEarly { at } => write!(f, "ends early, after {at} bytes"),
            Self::Malformed { at, flaw } => write!(f, "is malformed at byte {at}: {flaw}"),
        }
    }
}

/// What makes bytes no data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// An element, item or sequence reaches past what encloses it.
    #[error("a length of {length} reaches past the item or sequence around it")]
    Overruns {
        /// The length written.
        length: u64,
    },
    /// An element where an item must stand, or an item's end where no item is open.
    #[error("({group:04X},{element:04X}) can't stand here")]
    OutOfPlace {
        /// Group of the tag.
        group: u16,
        /// Element of the tag.
        element: u16,
    },
    /// Undefined length where only a defined one may stand.
    #[error("undefined length in an element that must say its length")]
    Undefined,
    /// Zeros that are followed by something else.
    #[error("bytes after the end of the data set")]
    Trailing,
    /// Not a deflate stream (RFC 1951).
    #[error("the deflated data set can't be inflated")]
    Deflate,
}

/// A UID without which an Instance can't be filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// (0020,000D).
    Study,
    /// (0020,000E).
    Series,
    /// (0008,0018).
    Instance,
    /// (0008,0016).
    Class,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Study => "Study Instance UID",
            Self::Series => "Series Instance UID",
            Self::Instance => "SOP Instance UID",
            Self::Class => "SOP Class UID",
        })
    }
}

/// Why an Instance is refused. Safe to log: no value of the data set is in it.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Not DICOM at all.
    #[error(
        "not a DICOM file, or cut off before its data set: neither DICM after 128 bytes nor a data set from the first byte"
    )]
    NotDicom,
    /// It ends, or is malformed, or simply goes without, before a UID that it must have.
    #[error("no {what} (the data set {ending})")]
    Missing {
        /// Which.
        what: Identity,
        /// How far it could be read.
        ending: Ending,
    },
    /// A UID that breaks the grammar.
    #[error("{what}: {source}")]
    Uid {
        /// Which.
        what: Identity,
        /// How.
        source: UidError,
    },
    /// Two different values for one UID: nobody can say which patient it belongs to.
    #[error("two different values of {what}")]
    Ambiguous {
        /// Which.
        what: Identity,
    },
    /// A C-STORE data set with a length that is not true (status C000).
    #[error("a length in the data set is false: it {ending}")]
    FalseLength {
        /// Where.
        ending: Ending,
    },
    /// Sequences too deep.
    #[error("sequences nest deeper than {max} at byte {at}")]
    TooDeep {
        /// Offset of the element.
        at: u64,
        /// The limit.
        max: usize,
    },
    /// Too many elements.
    #[error("more than {max} elements")]
    TooManyElements {
        /// The limit.
        max: u64,
    },
    /// A deflated data set that inflates out of proportion.
    #[error("deflated: {inflated} bytes out of {deflated} are over the limit of {ratio_max} to 1 or {bytes_max} bytes")]
    Inflates {
        /// Bytes taken.
        deflated: u64,
        /// Bytes that came of them.
        inflated: u64,
        /// The limit as a ratio.
        ratio_max: u64,
        /// The limit in bytes.
        bytes_max: u64,
    },
    /// The reader failed.
    #[error("reading: {0}")]
    Read(#[from] io::Error),
}
