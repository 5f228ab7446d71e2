//! Segments: what a coded stream says after its headers, and the models that both ends hold while they do.

use super::raster::Raster;
use crate::{
    frame::{self, Samples, Shape},
    limits::{CHAINED_SAMPLES_MAX, HOLES_KEPT_BYTES},
    pixel::{Area, Chained, Dimensions, Effort, Pictures, Ranks},
};
use std::collections::VecDeque;

/// How a segment is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Form {
    Bytes = 0,
    Pictures = 1,
    PicturesAnew = 2,
    Frame = 3,
    FrameAnew = 4,
    Lepton = 5,
    Again = 6,
    Joined = 7,
}

impl Form {
    pub(super) fn parse(byte: u8) -> Option<Self> {
        let all = [
            Self::Bytes,
            Self::Pictures,
            Self::PicturesAnew,
            Self::Frame,
            Self::FrameAnew,
            Self::Lepton,
            Self::Again,
            Self::Joined,
        ];
        all.get(usize::from(byte)).copied()
    }

    /// Whether it gives one compressed frame.
    pub(super) const fn is_frame(self) -> bool {
        matches!(self, Self::Frame | Self::FrameAnew | Self::Lepton | Self::Again)
    }
}

/// Which model a segment of a new raster or recipe is coded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// The one in force goes on, with its ranks.
    Kept,
    /// A new one.
    New(Effort),
}

impl Model {
    pub(super) const fn to_byte(self) -> u8 {
        match self {
            Self::Kept => 0,
            Self::New(Effort::Max) => 1,
            Self::New(Effort::Fast) => 2,
        }
    }

    pub(super) fn parse(byte: u8) -> Option<Self> {
        [Self::Kept, Self::New(Effort::Max), Self::New(Effort::Fast)].get(usize::from(byte)).copied()
    }
}

/// Native pictures of one raster.
pub(super) struct Native {
    pub(super) raster: Raster,
    pub(super) pictures: Pictures,
    /// Rows of the current frame that are done.
    pub(super) rows_done: usize,
}

impl Native {
    /// `sent` has a list for each that the raster asks for.
    pub(super) fn new(raster: Raster, effort: Effort, sent: Vec<Ranks>) -> Self {
        let pictures = Pictures::new(raster.dimensions(), raster.ranks(sent), effort);
        Self { raster, pictures, rows_done: 0 }
    }

    /// Rows of the band that comes next.
    pub(super) fn next_rows(&self) -> usize {
        self.raster.band_rows().min(usize::from(self.raster.rows) - self.rows_done)
    }

    /// That band is done.
    pub(super) fn step(&mut self, rows: usize) {
        self.rows_done = (self.rows_done + rows) % usize::from(self.raster.rows);
    }
}

/// Frames that are put together by a recipe.
pub(super) struct Coded {
    pub(super) shape: Shape,
    pub(super) recipe: Vec<u8>,
    pub(super) pictures: Pictures,
}

/// What the pixel model is made for, of a frame's shape.
pub(super) fn dimensions(shape: &Shape) -> Dimensions {
    let area = |(columns, rows): &(u32, u32)| Area { columns: *columns as usize, rows: *rows as usize };
    let chained = if shape.samples() <= CHAINED_SAMPLES_MAX as u64 { Chained::Yes } else { Chained::No };
    Dimensions { planes: shape.planes.iter().map(area).collect(), chained }
}

impl Coded {
    pub(super) fn new(shape: Shape, recipe: Vec<u8>, effort: Effort, ranks: Vec<Ranks>) -> Self {
        let pictures = Pictures::new(dimensions(&shape), ranks, effort);
        Self { shape, recipe, pictures }
    }

    /// Planes of the shape, all zeros.
    pub(super) fn blank(&self) -> Vec<Vec<u16>> {
        self.shape.planes.iter().map(|(columns, rows)| vec![0; *columns as usize * *rows as usize]).collect()
    }

    /// The frame of these planes.
    pub(super) fn put_together(
        &self,
        planes: Vec<Vec<u16>>,
        bytes_max: usize,
    ) -> Result<Vec<u8>, frame::PutTogetherError> {
        let plane = |((width, height), samples): (&(u32, u32), Vec<u16>)| frame::Plane {
            width: *width,
            height: *height,
            samples,
        };
        let planes = self.shape.planes.iter().zip(planes).map(plane).collect();
        frame::put_together(&self.recipe, &Samples { bits: self.shape.bits, planes }, bytes_max)
    }
}

/// The compressed frames that were done last, which a later one may repeat.
#[derive(Default)]
pub(super) struct Recent {
    holes: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, hole: &[u8]) {
        self.holes.push_back(hole.to_vec());
        self.bytes += hole.len();
        while self.bytes > HOLES_KEPT_BYTES || self.holes.len() > usize::from(u16::MAX) {
            self.bytes -= self.holes.pop_front().map_or(0, |hole| hole.len());
        }
    }

    /// The hole `back` before; 1 is the last.
    pub(super) fn get(&self, back: u16) -> Option<&[u8]> {
        let index = self.holes.len().checked_sub(usize::from(back))?;
        self.holes.get(index).map(Vec::as_slice)
    }

    /// How far back the same bytes are.
    pub(super) fn find(&self, hole: &[u8]) -> Option<u16> {
        let found = self.holes.iter().rev().position(|other| other == hole)?;
        u16::try_from(found + 1).ok()
    }
}
