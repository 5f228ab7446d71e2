//! The bytes of an Instance's holes, and the compressed frames in them.
//!
//! An encoder may cut a frame into fragments where it likes (PS3.5 A.4), and a frame is only understood as a whole. Rule:
//! a fragment goes on with the frame before it unless it begins one by its own bytes; offset tables are not asked, since
//! they are often empty and sometimes false.

use super::plan::{Pixels, Planned};
use crate::{
    frame::Coding,
    group::{EncodeError, Source},
    limits::HOLE_BYTES_MAX,
};
use std::{
    collections::VecDeque,
    io::{self, Read},
    ops::Range,
};

/// The bytes of an Instance's holes, one after the other.
pub(super) struct Holes<'h> {
    index: usize,
    reader: Box<dyn Read + 'h>,
    at: u64,
    left: VecDeque<Range<u64>>,
    /// How the frames in them are coded, if they are compressed ones.
    coding: Option<Coding>,
    /// A hole that was read to see that it begins another frame.
    ahead: Option<Vec<u8>>,
}

/// A compressed frame, and how many holes it fills.
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    pub(super) holes: u16,
}

impl<'h> Holes<'h> {
    pub(super) fn open(index: usize, planned: &'h Planned<'_>) -> Result<Self, EncodeError> {
        let reader = planned.source.open().map_err(|source| EncodeError::Read { index, source })?;
        let coding = match planned.pixels {
            Pixels::Frames(coding) => Some(coding),
            Pixels::Baseline => Some(Coding::Jpeg),
            Pixels::Bytes | Pixels::Native { .. } => None,
        };
        Ok(Self { index, reader, at: 0, left: planned.ranges.iter().cloned().collect(), coding, ahead: None })
    }

    /// At most `count` bytes of the next hole into `into`.
    fn some(&mut self, count: usize, into: &mut Vec<u8>) -> Result<usize, EncodeError> {
        let Some(hole) = self.left.front_mut() else { return Ok(0) };
        let failed = |source| EncodeError::Read { index: self.index, source };
        let skip = hole.start - self.at;
        let skipped = io::copy(&mut self.reader.by_ref().take(skip), &mut io::sink()).map_err(failed)?;
        let step = (hole.end - hole.start).min(count as u64);
        let read = self.reader.by_ref().take(step).read_to_end(into).map_err(failed)? as u64;
        if skipped < skip || read < step {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        self.at = hole.start + step;
        hole.start = self.at;
        if hole.is_empty() {
            self.left.pop_front();
        }
        Ok(step as usize)
    }

    /// At most `count` bytes, fewer only at the end of the last hole.
    pub(super) fn at_most(&mut self, count: usize) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        while bytes.len() < count && self.some(count - bytes.len(), &mut bytes)? > 0 {}
        Ok(bytes)
    }

    pub(super) fn exactly(&mut self, count: usize) -> Result<Vec<u8>, EncodeError> {
        let bytes = self.at_most(count)?;
        if bytes.len() == count { Ok(bytes) } else { Err(EncodeError::NotEqual) }
    }

    /// The next compressed frame: one hole, and those behind it that begin none. `None` at the end, or where a hole has
    /// more bytes than are looked at.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, EncodeError> {
        let Some(coding) = self.coding else { return Ok(None) };
        let first = match self.ahead.take() {
            Some(ahead) => Some(ahead),
            None => self.hole(HOLE_BYTES_MAX)?,
        };
        let Some(mut bytes) = first else { return Ok(None) };
        let mut holes = 1;
        while holes < u16::MAX
            && let Some(next) = self.hole(HOLE_BYTES_MAX - bytes.len())?
        {
            if coding.begins(&next) {
                self.ahead = Some(next);
                break;
            }
            bytes.extend(next);
            holes += 1;
        }
        Ok(Some(Frame { bytes, holes }))
    }

    /// The next hole, if it has no more bytes than that.
    fn hole(&mut self, bytes_max: usize) -> Result<Option<Vec<u8>>, EncodeError> {
        match self.left.front().map(|hole| hole.end - hole.start) {
            Some(bytes) if bytes <= bytes_max as u64 => self.exactly(bytes as usize).map(Some),
            _ => Ok(None),
        }
    }
}
