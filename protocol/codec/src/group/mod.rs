//! A group: the run of Instances that is coded, ordered and fetched as one.
//!
//! Coding Instances together is what makes a CT small enough for a clinic's link, and a group is as much as a reader
//! must wait for to see one of them. Rule: nothing leaves [`encode`] that was not decoded again and found equal, byte
//! for byte, to what was received. Layout of the stream: `protocol/SPEC.md`, Coded groups.

mod decode;
mod encode;
mod modelled;
mod parts;
mod plan;
mod stored;
mod stream;

pub use decode::{DecodeError, coded_bytes_max, decode};
pub use encode::{EncodeError, GroupStats, encode};
pub use parts::{Parts, parts};
pub use plan::plan;
pub use stored::store;
pub use stream::{Open, Split};

use crate::limits::{GROUP_BYTES_FAST, GROUP_BYTES_MAX};
use std::io::{self, Read};

/// Where the received bytes of one Instance come from. Read forward, perhaps several times, so it need not lie in memory.
pub trait Source {
    /// Opens it at its first byte.
    ///
    /// # Errors
    /// As the medium fails.
    fn open(&self) -> io::Result<Box<dyn Read + '_>>;

    /// Bytes it has.
    fn bytes(&self) -> u64;
}

impl Source for [u8] {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self))
    }

    fn bytes(&self) -> u64 {
        self.len() as u64
    }
}

impl Source for Vec<u8> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.as_slice()))
    }

    fn bytes(&self) -> u64 {
        self.len() as u64
    }
}

/// What a group is judged by: its bytes, or the time it takes to code them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Fewest bytes: for every link slower than a processor core codes, about 1 MB of raw pixels a second with the proof.
    Max,
    /// Half the time for 2 or 3 bytes in a hundred more: for a LAN, or a backlog that one core can't keep up with.
    Fast,
}

impl Profile {
    /// Received bytes of a group that holds more than one Instance at most.
    #[must_use]
    pub const fn group_bytes(self) -> u64 {
        match self {
            Self::Max => GROUP_BYTES_MAX,
            Self::Fast => GROUP_BYTES_FAST,
        }
    }
}

/// The received bytes of one Instance, by length and hash: what the manifest's contents declare of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Bytes received.
    pub bytes: u64,
    /// BLAKE3 of them.
    pub hash: [u8; 32],
}
