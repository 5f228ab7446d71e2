//! Groups of DICOM Instances to fewer bytes and back, bit-exact; and the one bounded DICOM scanner.
//!
//! Nothing else of radmesh looks at received bytes before [`scan::scan`] has: a modality's file, a stick from another
//! hospital or a hostile association all pass here first, in memory and time that no file can raise. [`text`] says
//! what a name or an indication reads; [`group`] packs what travels and proves that it comes back byte for byte.
//! No clock, thread or file: the caller brings readers and writers. `protocol/SPEC.md` has the stream's layout.

pub mod deflated;
pub mod frame;
pub mod group;
pub mod header;
pub mod limits;
mod pixel;
pub mod scan;
pub mod text;
pub mod uid;

/// The first byte of every coded stream: how the rest is read. A number, once given, keeps its meaning for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EncodingId {
    /// Received bytes one after the other in one zstd frame, level 19 (RFC 8878).
    Zstd = 1,
    /// Headers coded against each other, pixels by the model of a picture.
    Model = 2,
    /// Received bytes one after the other, uncoded: for what the coder died of.
    Stored = 3,
    /// As [`Self::Model`], with deflated data sets inflated first.
    Inflated = 4,
}
