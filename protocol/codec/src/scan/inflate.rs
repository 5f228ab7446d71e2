//! Inflates a Deflated Explicit VR data set under a limit (PS3.5 section A.5, RFC 1951).
//!
//! 815 KB can inflate to 800 MB. Bytes come out as they are asked for and are counted against what went in; the
//! scan ends at the first read that is out of proportion, long before the bomb is through. A stream that stops short
//! simply ends, and the element it ends in shows it.

use super::ScanError;
use crate::limits::{INFLATE_FREE_BYTES, INFLATE_RATIO_MAX, INFLATED_BYTES_MAX};
use flate2::read::DeflateDecoder;
use std::{
    fmt,
    io::{self, ErrorKind, Read},
};

pub(super) struct Inflating<R> {
    decoder: DeflateDecoder<R>,
}

/// Why inflating stopped, carried through `io::Error` to the scanner.
#[derive(Debug)]
pub(super) enum OutOfProportion {
    Limit(ScanError),
    NotDeflate,
}

impl fmt::Display for OutOfProportion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(error) => error.fmt(f),
            Self::NotDeflate => f.write_str("not a deflate stream"),
        }
    }
}

impl std::error::Error for OutOfProportion {}

impl<R: Read> Inflating<R> {
    pub(super) fn new(deflated: R) -> Self {
        Self { decoder: DeflateDecoder::new(deflated) }
    }
}

impl<R: Read> Read for Inflating<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match self.decoder.read(out) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData) => {
                return Err(io::Error::other(OutOfProportion::NotDeflate));
            }
            Err(error) => return Err(error),
        };
        let (deflated, inflated) = (self.decoder.total_in(), self.decoder.total_out());
        let allowed = INFLATE_FREE_BYTES.saturating_add(deflated.saturating_mul(INFLATE_RATIO_MAX));
        if inflated > allowed.min(INFLATED_BYTES_MAX) {
            return Err(io::Error::other(OutOfProportion::Limit(ScanError::Inflates {
                deflated,
                inflated,
                ratio_max: INFLATE_RATIO_MAX,
                bytes_max: INFLATED_BYTES_MAX,
            })));
        }
        Ok(read)
    }
}
