//! The values of a data set that an order, a worklist line or a claim needs, kept as they came.
//!
//! A name decoded with the wrong character set and stored so can't be put right again, so bytes are kept and decoded
//! when somebody looks. Kept of each: the first [`VALUE_BYTES_KEPT_MAX`] bytes. Debug prints no value.

use crate::{
    limits::VALUE_BYTES_KEPT_MAX,
    text::{CharacterSet, Decoded, Kind},
};
use std::{borrow::Cow, collections::BTreeMap, fmt};

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident = $tag:literal, $kind:ident;)*) => {
        /// A value that is kept.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fact {
            $($(#[$doc])* $name,)*
        }

        impl Fact {
            /// Group and element, as one number.
            #[must_use]
            pub const fn tag(self) -> u32 {
                match self { $(Self::$name => $tag,)* }
            }

            /// How its text is read.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            pub(super) const fn of(tag: u32) -> Option<Self> {
                match tag { $($tag => Some(Self::$name),)* _ => None }
            }
        }
    };
}

facts! {
    /// (0008,0005) Specific Character Set.
    CharacterSet = 0x0008_0005, Code;
    /// (0010,0010).
    PatientName = 0x0010_0010, Name;
    /// (0010,0020).
    PatientId = 0x0010_0020, Line;
    /// (0010,0030).
    PatientBirthDate = 0x0010_0030, Date;
    /// (0010,0040): M, F, O or empty.
    PatientSex = 0x0010_0040, Code;
    /// (0010,1010): such as 034Y.
    PatientAge = 0x0010_1010, Code;
    /// (0008,0050).
    AccessionNumber = 0x0008_0050, Line;
    /// (0020,0010) Study ID.
    StudyId = 0x0020_0010, Line;
    /// (0008,0020).
    StudyDate = 0x0008_0020, Date;
    /// (0008,0030).
    StudyTime = 0x0008_0030, Code;
    /// (0008,1030).
    StudyDescription = 0x0008_1030, Line;
    /// (0008,0060).
    Modality = 0x0008_0060, Code;
    /// (0018,0015).
    BodyPartExamined = 0x0018_0015, Code;
    /// (0008,103E).
    SeriesDescription = 0x0008_103E, Line;
    /// (0020,0011).
    SeriesNumber = 0x0020_0011, Code;
    /// (0020,0013).
    InstanceNumber = 0x0020_0013, Code;
    /// (0008,0021).
    SeriesDate = 0x0008_0021, Date;
    /// (0008,0031).
    SeriesTime = 0x0008_0031, Code;
    /// (0008,0080).
    InstitutionName = 0x0008_0080, Line;
    /// (0008,0090).
    ReferringPhysicianName = 0x0008_0090, Name;
    /// (0032,1060) Requested Procedure Description.
    RequestedProcedureDescription = 0x0032_1060, Line;
    /// (0032,1030) Reason for Study, retired yet still what most devices fill in.
    ReasonForStudy = 0x0032_1030, Line;
    /// (0040,1002) Reason for the Requested Procedure.
    ReasonForTheRequestedProcedure = 0x0040_1002, Line;
    /// (0010,21B0) Additional Patient History.
    AdditionalPatientHistory = 0x0010_21B0, Paragraphs;
    /// (0008,1010) Station Name.
    StationName = 0x0008_1010, Line;
    /// (0008,0070) Manufacturer.
    Manufacturer = 0x0008_0070, Line;
    /// (0008,1090) Manufacturer's Model Name.
    ManufacturerModelName = 0x0008_1090, Line;
    /// (0028,0004) Photometric Interpretation.
    PhotometricInterpretation = 0x0028_0004, Code;
}

/// The values found. Identifies a patient, so it prints only how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Facts {
    values: BTreeMap<Fact, Value>,
}

#[derive(Clone, PartialEq, Eq)]
struct Value {
    bytes: Vec<u8>,
    /// The length that was written, which may be more than what is kept.
    length: u64,
}

impl Facts {
    pub(super) fn keep(&mut self, fact: Fact, bytes: Vec<u8>, length: u64) {
        debug_assert!(bytes.len() <= VALUE_BYTES_KEPT_MAX, "the walk reads no more than it may keep");
        self.values.entry(fact).or_insert(Value { bytes, length });
    }

    /// The bytes as received, padding included: the first value if the element stands twice.
    #[must_use]
    pub fn raw(&self, fact: Fact) -> Option<&[u8]> {
        self.values.get(&fact).map(|value| value.bytes.as_slice())
    }

    /// The text, in the data set's own character set; `None` where the element is absent or empty.
    #[must_use]
    pub fn text(&self, fact: Fact) -> Option<Decoded> {
        let value = self.values.get(&fact)?;
        let mut bytes = Cow::Borrowed(value.bytes.as_slice());
        if value.length > value.bytes.len() as u64 {
            bytes.to_mut().extend_from_slice(b" [...]");
        }
        let decoded = self.character_set().decode(&bytes, fact.kind());
        (!decoded.shown().is_empty()).then_some(decoded)
    }

    /// The data set's Specific Character Set.
    #[must_use]
    pub fn character_set(&self) -> CharacterSet {
        self.raw(Fact::CharacterSet).map_or_else(CharacterSet::default, CharacterSet::parse)
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Facts({} of {{PHI}})", self.values.len())
    }
}
