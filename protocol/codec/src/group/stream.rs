//! The head of a coded group, and the cut of its bytes back into Instances.
//!
//! `encoding u8 | version u8 | count u32 | count x bytes u64 | what the encoding says`, integers big-endian. Coding and
//! decoding share [`Split`], which counts and hashes what comes out, so both know an Instance by the same rule.

use super::Content;
use crate::EncodingId;
use std::{
    fmt,
    io::{self, Write},
};

/// Layout of what follows the first two bytes.
pub(super) const VERSION: u8 = 1;
/// Encoding, version and count.
pub(super) const HEAD_BYTES: usize = 6;

/// The head of a stream of Instances of these sizes.
pub(super) fn head(encoding: EncodingId, sizes: &[u64]) -> Vec<u8> {
    let mut head = vec![encoding as u8, VERSION];
    head.extend((sizes.len() as u32).to_be_bytes());
    head.extend(sizes.iter().flat_map(|bytes| bytes.to_be_bytes()));
    head
}

/// Opens what takes the bytes of the Instance at an index.
pub type Open<'o> = dyn FnMut(usize) -> io::Result<Box<dyn Write + 'o>> + 'o;

/// Takes the bytes of a group one after the other and cuts them where each Instance ends.
pub struct Split<'o> {
    sizes: Vec<u64>,
    open: Box<Open<'o>>,
    current: Option<Current<'o>>,
    done: Vec<Content>,
}

impl fmt::Debug for Split<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Split").field("done", &self.done.len()).finish_non_exhaustive()
    }
}

struct Current<'o> {
    left: u64,
    hasher: blake3::Hasher,
    out: Box<dyn Write + 'o>,
}

impl<'o> Split<'o> {
    /// Nothing yet of Instances of these sizes; `open` opens what takes the bytes of the Instance at an index.
    #[must_use]
    pub fn new(sizes: Vec<u64>, open: Box<Open<'o>>) -> Self {
        Self { sizes, open, current: None, done: Vec::new() }
    }

    /// Takes all of `bytes`; `Ok(false)` where they are more than the sizes allow.
    ///
    /// # Errors
    /// As what takes the bytes fails.
    pub fn take(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        while !bytes.is_empty() {
            let Some(current) = self.advance()? else {
                return Ok(false);
            };
            let step = usize::try_from(current.left).unwrap_or(bytes.len()).min(bytes.len());
            let (now, later) = bytes.split_at(step);
            current.hasher.update(now);
            current.out.write_all(now)?;
            current.left -= step as u64;
            bytes = later;
        }
        Ok(true)
    }

    /// What came out: the Instances that are complete.
    ///
    /// # Errors
    /// As what takes the bytes fails.
    pub fn finish(mut self) -> io::Result<Vec<Content>> {
        self.advance()?;
        Ok(self.done)
    }

    /// The Instance that takes the next byte; closes every one that is complete, empty ones included.
    fn advance(&mut self) -> io::Result<Option<&mut Current<'o>>> {
        loop {
            if let Some(mut full) = self.current.take_if(|current| current.left == 0) {
                full.out.flush()?;
                let hash = *full.hasher.finalize().as_bytes();
                self.done.push(Content { bytes: self.sizes[self.done.len()], hash });
            }
            if self.current.is_some() {
                return Ok(self.current.as_mut());
            }
            let index = self.done.len();
            let Some(&left) = self.sizes.get(index) else {
                return Ok(None);
            };
            self.current = Some(Current { left, hasher: blake3::Hasher::new(), out: (self.open)(index)? });
        }
    }
}
