//! DIMSE status codes: what a peer is told of its Instance.
//!
//! A modality acts on the code (frees its copy, tries again, calls a person), so each outcome has exactly one.
//! The rule: 0x0000 means on disk. Codes from PS3.4 table B.2-1 (C-STORE) and PS3.7 annex C.

use std::fmt;

/// A status as it stands in (0000,0900).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

impl Status {
    /// The operation was done.
    pub const SUCCESS: Self = Self(0x0000);
    /// The command is none that this application knows (PS3.7 C.5.22).
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);

    /// Whether the peer has the object: success, or a warning of Bxxx (PS3.4 B.2.3: stored, with a remark).
    #[must_use]
    pub const fn is_stored(self) -> bool {
        self.0 == 0 || self.0 >> 12 == 0xB
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04X}", self.0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04X}", self.0)
    }
}

/// What became of one Instance that was sent to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreStatus {
    /// On disk: it survives kill -9 and a power cut.
    Stored,
    /// No room for it: disk, quota, or more bytes than one object may have.
    OutOfResources,
    /// The data set is of another SOP Class or Instance than the command said.
    DoesNotMatch,
    /// Not DICOM, or with lengths that can't be true.
    CannotUnderstand,
    /// A SOP Class this node does not take.
    SopClassNotSupported,
    /// This sender may not store here.
    NotAuthorised,
}

impl StoreStatus {
    /// The code that goes into the C-STORE response.
    #[must_use]
    pub const fn code(self) -> Status {
        Status(match self {
            Self::Stored => 0x0000,
            Self::OutOfResources => 0xA700,
            Self::DoesNotMatch => 0xA900,
            Self::CannotUnderstand => 0xC000,
            Self::SopClassNotSupported => 0x0122,
            Self::NotAuthorised => 0x0124,
        })
    }

    /// What a person reads at the modality: (0000,0902) Error Comment, at most 64 ASCII characters.
    #[must_use]
    pub const fn comment(self) -> &'static str {
        match self {
            Self::Stored => "",
            Self::OutOfResources => "no room for this object now; try again later",
            Self::DoesNotMatch => "the data set is not of the SOP class or instance announced",
            Self::CannotUnderstand => "the data set cannot be read",
            Self::SopClassNotSupported => "this SOP class is not taken here",
            Self::NotAuthorised => "this sender may not store here",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_counts_as_stored_and_a_failure_does_not() {
        assert!(Status(0xB000).is_stored() && Status::SUCCESS.is_stored());
        assert!(!StoreStatus::OutOfResources.code().is_stored() && !Status(0x0124).is_stored());
    }

    #[test]
    fn every_comment_fits_its_element() {
        for status in [
            StoreStatus::OutOfResources,
            StoreStatus::DoesNotMatch,
            StoreStatus::CannotUnderstand,
            StoreStatus::SopClassNotSupported,
            StoreStatus::NotAuthorised,
        ] {
            assert!((1..=64).contains(&status.comment().len()), "{status:?}");
        }
    }
}
