//! The bytes under the store: one trait, three real implementors.
//!
//! [`Disk`] is a directory, [`Memory`] is for simulations without faults, [`Faulty`] loses what was not synced, tears,
//! fills up and fails on command. The store's promises are checked on `Faulty`, so the code that ships is the code
//! that was cut. One rule: a file is named by a [`Name`], never by text, so no input can choose a path.

mod disk;
mod faulty;
mod memory;

pub use disk::{Disk, DiskError};
pub use faulty::{Fault, Faulty, Operation, Survives};
pub use memory::Memory;

use radmesh_protocol::id::{ManifestId, hex, unhex};
use std::{fmt, io, path::Path};

/// Name of a staged file: 16 bytes that its owner drew at random or hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StagedId(pub [u8; 16]);

/// Every file the store can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// Which version of this layout the directory holds; written once, after the first segment.
    Format,
    /// Proof that the index was closed in order; see `index.rs`.
    IndexSeal,
    /// A segment of the journal, from 1.
    Segment(u64),
    /// A parcel's file.
    Parcel(ManifestId),
    /// A parcel that is being sealed here and has no manifest yet.
    Draft([u8; 16]),
    /// A finished staged file.
    Staged(StagedId),
    /// A staged file that is being written.
    Staging(StagedId),
}

/// The directories of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dir {
    /// The store's own.
    Root,
    /// Segments.
    Journal,
    /// Parcels and drafts.
    Parcels,
    /// Staged files.
    Staging,
}

impl Dir {
    /// All, the root first.
    pub const ALL: [Self; 4] = [Self::Root, Self::Journal, Self::Parcels, Self::Staging];

    /// Path below the store's directory.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Journal => "journal",
            Self::Parcels => "parcels",
            Self::Staging => "staging",
        }
    }
}

impl Name {
    /// The directory it lies in.
    #[must_use]
    pub const fn dir(self) -> Dir {
        match self {
            Self::Format | Self::IndexSeal => Dir::Root,
            Self::Segment(_) => Dir::Journal,
            Self::Parcel(_) | Self::Draft(_) => Dir::Parcels,
            Self::Staged(_) | Self::Staging(_) => Dir::Staging,
        }
    }

    /// The file that `text` in `dir` is, or `None` if the store made no such file.
    #[must_use]
    pub fn parse(dir: Dir, text: &str) -> Option<Self> {
        let bytes = |suffix| text.strip_suffix(suffix).and_then(unhex)?.try_into().ok();
        let name = match dir {
            Dir::Root if text == "format" => Self::Format,
            Dir::Root if text == "index.seal" => Self::IndexSeal,
            Dir::Root => return None,
            Dir::Journal => {
                let number: Vec<u8> = unhex(text.strip_suffix(".segment")?)?;
                Self::Segment(u64::from_be_bytes(number.try_into().ok()?))
            }
            Dir::Parcels => match bytes(".parcel") {
                Some(id) => Self::Parcel(ManifestId(id)),
                None => Self::Draft(bytes(".draft")?),
            },
            Dir::Staging => match bytes(".staged") {
                Some(id) => Self::Staged(StagedId(id)),
                None => Self::Staging(StagedId(bytes(".part")?)),
            },
        };
        (name.to_string() == text).then_some(name)
    }
}

/// The file's name within its directory.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("format"),
            Self::IndexSeal => f.write_str("index.seal"),
            Self::Segment(number) => write!(f, "{number:016x}.segment"),
            Self::Parcel(id) => write!(f, "{id}.parcel"),
            Self::Draft(id) => write!(f, "{}.draft", hex(id)),
            Self::Staged(id) => write!(f, "{}.staged", hex(&id.0)),
            Self::Staging(id) => write!(f, "{}.part", hex(&id.0)),
        }
    }
}

/// How much a disk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// Files of bytes. Nothing is promised after a power cut but what [`Medium::sync`] and [`Medium::sync_dir`] returned
/// `Ok` for: the first for a file's bytes and size, the second for its name.
pub trait Medium: fmt::Debug + Send + Sync {
    /// Makes an empty file.
    ///
    /// # Errors
    /// `AlreadyExists`, a full disk, or a failing one.
    fn create(&self, name: Name) -> io::Result<()>;

    /// Makes the file at least `bytes` long and takes the space, so that writes inside it never find the disk full.
    /// What was not written reads as zeros.
    ///
    /// # Errors
    /// A full disk, or a failing one.
    fn reserve(&self, name: Name, bytes: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, making the file longer if need be.
    ///
    /// # Errors
    /// A full disk, or a failing one; some of the bytes may be written.
    fn write_at(&self, name: Name, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads into `into` what the file has at `offset`; less than asked only at its end.
    ///
    /// # Errors
    /// `NotFound`, or a failing disk.
    fn read_at(&self, name: Name, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Bytes the file has.
    ///
    /// # Errors
    /// `NotFound`, or a failing disk.
    fn bytes(&self, name: Name) -> io::Result<u64>;

    /// Puts the file's bytes and length on stable storage.
    ///
    /// # Errors
    /// A failing disk: what was written since the last success may be lost for ever, even if a later call succeeds.
    fn sync(&self, name: Name) -> io::Result<()>;

    /// Puts the names in a directory on stable storage.
    ///
    /// # Errors
    /// A failing disk.
    fn sync_dir(&self, dir: Dir) -> io::Result<()>;

    /// Gives a file another name in the same directory, replacing what has it.
    ///
    /// # Errors
    /// `NotFound`, or a failing disk.
    fn rename(&self, from: Name, to: Name) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// `NotFound`, or a failing disk.
    fn delete(&self, name: Name) -> io::Result<()>;

    /// The store's files in a directory, ascending; what the store did not make is left out.
    ///
    /// # Errors
    /// A failing disk.
    fn list(&self, dir: Dir) -> io::Result<Vec<Name>>;

    /// Bytes that can still be written, or `None` if there is no telling.
    ///
    /// # Errors
    /// A failing disk.
    fn free(&self) -> io::Result<Option<Space>> {
        Ok(None)
    }

    /// Where the rebuildable index may keep its own files, or `None` to keep it in memory.
    fn directory(&self) -> Option<&Path> {
        None
    }
}

/// Whether an error says that there is no space, as against a disk that fails.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether an error says that the process or the system has no file descriptor left: nothing was tried.
#[must_use]
pub fn is_out_of_files(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// Deletes a file if it is there.
pub(crate) fn delete_if_there(medium: &dyn Medium, name: Name) -> io::Result<()> {
    match medium.delete(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_form_and_nothing_else_is_a_name() {
        let names = [
            Name::Format,
            Name::IndexSeal,
            Name::Segment(258),
            Name::Parcel(ManifestId([0xab; 16])),
            Name::Draft([1; 16]),
            Name::Staged(StagedId([2; 16])),
            Name::Staging(StagedId([3; 16])),
        ];
        for name in names {
            assert_eq!(Name::parse(name.dir(), &name.to_string()), Some(name));
        }
        for text in
            ["../x.parcel", "00.parcel", "", "lost+found", &"AB".repeat(16), &format!("{}.parcel", "AB".repeat(16))]
        {
            assert!(Dir::ALL.iter().all(|&dir| Name::parse(dir, text).is_none()), "{text}");
        }
    }
}
