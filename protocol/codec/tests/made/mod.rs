//! Groups that take the codec down each of its paths, by name.
//!
//! Examples code them and the vectors hold them coded, so what they are may never change: a case that needs other bytes
//! is a new case under a new name. Made pictures come from integers alone, real ones from the fixtures.

mod fixtures;
mod frames;
mod pictures;

use radmesh_codec::EncodingId;

/// A group, and how it is coded.
pub(crate) struct Case {
    /// Names its vectors.
    pub(crate) name: &'static str,
    pub(crate) instances: Vec<Vec<u8>>,
    pub(crate) encoding: EncodingId,
    pub(crate) segments: Vec<Segment>,
}

/// What a segment of a coded stream says of itself (protocol/SPEC.md, coded groups).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Bytes,
    Pictures { bands: u16 },
    PicturesAnew { raster: [u8; 10], bands: u16 },
    Frame,
    FrameAnew { process: Process, model: Model },
    Lepton,
    Again { back: u16 },
    Joined { holes: u16, frame: Box<Segment> },
}

/// What compressed a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    JpegLossless,
    JpegLs,
    Rle,
}

/// Which model codes a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// That of the frame before.
    Kept,
    /// One of the profile's own.
    New,
}

/// Every case.
pub(crate) fn cases() -> Vec<Case> {
    [pictures::cases(), frames::cases(), fixtures::cases()].into_iter().flatten().collect()
}

/// A file of `tests/data`.
fn fixture(file: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("fixtures are in the repository")
}
