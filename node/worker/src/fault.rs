//! What goes wrong with a job, and whose fault it is.
//!
//! The difference decides what becomes of a patient's image: a full disk is tried again, a file that the coder fails on
//! goes as it was received, and a file that rotted here must be sent again.

use std::io;

/// Why a group was not coded. What was written is worthless and must be dropped.
#[derive(Debug, thiserror::Error)]
pub enum EncodeFault {
    /// An Instance could not be read, or did not give the bytes that it declared.
    #[error("reading Instance {index}: {why}")]
    Source {
        /// Which of the sources.
        index: usize,
        /// How.
        why: String,
    },
    /// The coded bytes could not be written.
    #[error("writing the coded group: {0}")]
    Write(io::Error),
    /// The coder failed, or its result did not decode to what was received.
    #[error("coding: {0}")]
    Coder(String),
    /// The child.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl EncodeFault {
    /// Whether what was to be coded may be what made it fail.
    pub(crate) const fn is_the_files(&self) -> bool {
        matches!(self, Self::Coder(_) | Self::Lost(Lost::Died(_)))
    }
}

/// Why a group was not decoded. What was written is worthless and must be dropped.
#[derive(Debug, thiserror::Error)]
pub enum DecodeFault {
    /// The stream is not what its manifest says, or of an encoding not known here.
    #[error("{0}")]
    Stream(String),
    /// The coded bytes could not be read.
    #[error("reading the coded group: {0}")]
    Read(io::Error),
    /// What was decoded could not be written.
    #[error("writing: {0}")]
    Write(io::Error),
    /// The child.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl DecodeFault {
    /// Whether the same bytes can only give the same fault.
    #[must_use]
    pub const fn stays(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Lost(Lost::Died(_)))
    }
}

/// Why a frame has no preview. Nothing else follows from it: its Instance is coded and sent like any other.
#[derive(Debug, thiserror::Error)]
pub enum PreviewFault {
    /// It can't be shown; the words are those of [`crate::preview::PreviewError`].
    #[error("{0}")]
    None(String),
    /// Its Instance could not be read.
    #[error("reading the Instance: {0}")]
    Read(io::Error),
    /// The child.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// A job whose child is gone.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The system gives no child.
    #[error("no child could be started for the coder: {0}")]
    Start(io::Error),
    /// It ended in the middle of its work.
    #[error("the coder's child {0}")]
    Died(Death),
}

/// How a child came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Death {
    /// It asked for more memory than it may have.
    #[error("asked for more memory than its limit")]
    Memory,
    /// It took longer than any file of that size does.
    #[error("took longer than {seconds} s")]
    Time {
        /// Allowed.
        seconds: u64,
    },
    /// A signal: a crash, or the system was out of memory (9).
    #[error("was ended by signal {0}")]
    Signal(i32),
    /// It ended by itself.
    #[error("ended by itself with code {0}")]
    Exit(i32),
    /// It said what no child of this build says.
    #[error("gave an answer that makes no sense")]
    Nonsense,
}
