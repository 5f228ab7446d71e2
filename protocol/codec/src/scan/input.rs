//! Bytes read once, forward, through one fixed buffer, with their offset.
//!
//! The scanner's memory is this buffer: what it skips is read and dropped, so a false length costs the bytes that are
//! really there and no more.

use super::{
    Flaw, ScanError,
    inflate::{Inflating, OutOfProportion},
};
use crate::limits::SCAN_BUFFER_BYTES;
use std::{
    io::{Cursor, ErrorKind, Read},
    ops::Range,
};

/// Why no more bytes come.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes ended before what was asked for.
    Ended,
    /// The deflate stream is none.
    Flawed(Flaw),
    /// Refused whatever was found so far.
    Refused(ScanError),
}

pub(super) struct Input<'r> {
    reader: Box<dyn Read + 'r>,
    buffer: Box<[u8]>,
    held: Range<usize>,
    position: u64,
}

impl<'r> Input<'r> {
    pub(super) fn new(reader: Box<dyn Read + 'r>) -> Self {
        Self { reader, buffer: vec![0; SCAN_BUFFER_BYTES].into(), held: 0..0, position: 0 }
    }

    /// The rest of the bytes, inflated; offsets go on from here.
    pub(super) fn inflated(self) -> Self {
        let ahead = Cursor::new(self.buffer[self.held.clone()].to_vec());
        let position = self.position;
        Self { position, ..Self::new(Box::new(Inflating::new(ahead.chain(self.reader)))) }
    }

    /// Offset of the next byte.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// The next `wanted` bytes, or fewer where the bytes end, without taking them.
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8], Stop> {
        debug_assert!(wanted <= self.buffer.len(), "nobody peeks further than the buffer");
        while self.held.len() < wanted {
            if self.held.start > 0 {
                self.buffer.copy_within(self.held.clone(), 0);
                self.held = 0..self.held.len();
            }
            if self.fill()? == 0 {
                break;
            }
        }
        let end = self.held.end.min(self.held.start + wanted);
        Ok(&self.buffer[self.held.start..end])
    }

    /// Whether no byte is left.
    pub(super) fn at_end(&mut self) -> Result<bool, Stop> {
        Ok(self.peek(1)?.is_empty())
    }

    /// Takes exactly `N` bytes.
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let bytes: [u8; N] = self.peek(N)?.try_into().map_err(|_| Stop::Ended)?;
        self.consume(N);
        Ok(bytes)
    }

    /// Takes `length` bytes and keeps the first `kept_max` of them.
    pub(super) fn keep(&mut self, length: u64, kept_max: usize) -> Result<Vec<u8>, Stop> {
        let kept = usize::try_from(length).unwrap_or(kept_max).min(kept_max);
        let bytes = self.peek(kept)?.to_vec();
        if bytes.len() < kept {
            return Err(Stop::Ended);
        }
        self.consume(kept);
        self.skip(length - kept as u64)?;
        Ok(bytes)
    }

    /// Takes `length` bytes and drops them.
    pub(super) fn skip(&mut self, mut length: u64) -> Result<(), Stop> {
        while length > 0 {
            if self.held.is_empty() && self.fill()? == 0 {
                return Err(Stop::Ended);
            }
            let step = (self.held.len() as u64).min(length);
            self.consume(step as usize);
            length -= step;
        }
        Ok(())
    }

    /// Takes zeros to the end of the bytes; says whether the end was reached.
    pub(super) fn zeros_to_the_end(&mut self) -> Result<bool, Stop> {
        loop {
            if self.held.is_empty() && self.fill()? == 0 {
                return Ok(true);
            }
            let held = &self.buffer[self.held.clone()];
            let zeros = held.iter().take_while(|b| **b == 0).count();
            let all = zeros == held.len();
            self.consume(zeros);
            if !all {
                return Ok(false);
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.held.start += bytes;
        self.position += bytes as u64;
    }

    fn fill(&mut self) -> Result<usize, Stop> {
        if self.held.is_empty() {
            self.held = 0..0;
        }
        loop {
            match self.reader.read(&mut self.buffer[self.held.end..]) {
                Ok(read) => {
                    self.held.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(stop_of(error)),
            }
        }
    }
}

fn stop_of(error: std::io::Error) -> Stop {
    match error.downcast::<OutOfProportion>() {
        Ok(OutOfProportion::Limit(refused)) => Stop::Refused(refused),
        Ok(OutOfProportion::NotDeflate) => Stop::Flawed(Flaw::Deflate),
        Err(error) => Stop::Refused(ScanError::Read(error)),
    }
}
