//! The file that `radmesh codec encode` makes: previews, coded groups, and the names of what is in them.
//!
//! It may come from anybody, so a name in it is only ever a name: what would leave the folder it is decoded into is
//! refused. Layout: `protocol/SPEC.md`, Coded files.

use crate::cli::{CliError, given};
use radmesh_codec::{group::Content, limits::GROUP_INSTANCES_MAX};
use radmesh_protocol::{id::Hash, wire};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Component, Path, PathBuf},
};

const MAGIC: &[u8; 8] = b"RADMESHC";
const VERSION: u16 = 1;
/// Kinds of records.
const END: u8 = 0;
const GROUP: u8 = 1;
const PICTURE: u8 = 2;
/// Bytes of a group's head at most: names of a few hundred bytes each.
const HEAD_BYTES_MAX: usize = GROUP_INSTANCES_MAX * 8 * 1024;
/// Folders above a file at most.
const DEPTH_MAX: usize = 32;
/// Bytes of a file's or folder's name at most, as file systems have it.
const NAME_BYTES_MAX: usize = 255;

/// What stands before a group's coded bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The files, in the order in which the group decodes to them.
    pub(super) files: Vec<Named>,
    /// Bytes of the coded group.
    pub(super) coded_bytes: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    /// Folders and the file's own name.
    pub(super) name: Vec<String>,
    /// Its bytes.
    pub(super) bytes: u64,
    /// BLAKE3 of them.
    pub(super) hash: [u8; 32],
}

impl Named {
    pub(super) fn content(&self) -> Content {
        Content { bytes: self.bytes, hash: self.hash }
    }
}

/// A preview, as the preview parcel of its Study would carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Picture {
    /// The file that it shows.
    pub(super) name: Vec<String>,
    /// Number of the frame, from 0.
    pub(super) frame: u32,
    /// Pixels across and down.
    pub(super) size: (u16, u16),
    /// JPEG or PNG.
    pub(super) image: Vec<u8>,
}

/// What a coded file holds.
#[derive(Debug, Default)]
pub(super) struct Archive {
    pub(super) groups: Vec<Place>,
    /// Bytes of the images of all previews.
    pub(super) picture_bytes: u64,
    /// Previews that are not as they were written.
    pub(super) pictures_lost: u64,
    /// Why nothing was read behind these groups, where something should be.
    pub(super) rest: Option<CliError>,
}

/// A group in a coded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) head: Head,
    /// Where its coded bytes begin.
    pub(super) at: u64,
}

impl Place {
    /// Bytes of its files.
    pub(super) fn bytes(&self) -> u64 {
        self.head.files.iter().fold(0, |bytes, file| bytes.saturating_add(file.bytes))
    }

    /// Its coded bytes.
    pub(super) fn coded(&self, path: &Path) -> io::Result<impl Read + use<>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.at))?;
        Ok(BufReader::new(file).take(self.head.coded_bytes))
    }
}

/// A name for a file as a person knows it: its path below the folder that holds what was named.
pub(super) fn name_of(file: &Path, named: &Path) -> Option<Vec<String>> {
    let base = if named.file_name().is_some() { named.parent().unwrap_or(named) } else { named };
    let below = file.strip_prefix(base).unwrap_or(file);
    let parts = below.components().map(|part| match part {
        Component::Normal(name) => name.to_str().map(str::to_owned),
        _ => None,
    });
    parts.collect::<Option<Vec<_>>>().filter(|name| is_harmless(name))
}

/// Where a name lies below `dir`; `None` if it would lead out of it.
pub(super) fn place_in(dir: &Path, name: &[String]) -> Option<PathBuf> {
    is_harmless(name).then(|| name.iter().fold(dir.to_owned(), |path, part| path.join(part)))
}

fn is_harmless(name: &[String]) -> bool {
    let harmless = |part: &String| {
        !["", ".", ".."].contains(&part.as_str())
            && part.len() <= NAME_BYTES_MAX
            && !part.chars().any(|c| c.is_control() || c == '/' || c == '\\')
    };
    (1..=DEPTH_MAX).contains(&name.len()) && name.iter().all(harmless)
}

/// Writes the beginning of a coded file.
pub(super) fn begin(out: &mut impl Write) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_be_bytes())
}

/// Writes what stands before a group's coded bytes, which follow.
pub(super) fn write_head(out: &mut impl Write, head: &Head) -> io::Result<()> {
    record(out, GROUP, &wire::encode(head))
}

/// Writes a preview, its hash before it.
pub(super) fn write_picture(out: &mut impl Write, picture: &Picture) -> io::Result<()> {
    let picture = wire::encode(picture);
    record(out, PICTURE, &[Hash::of(&picture).0.as_slice(), &picture].concat())
}

/// Writes the end, which says how many groups there are: a file that was cut off has none.
pub(super) fn end(out: &mut impl Write, groups: u32) -> io::Result<()> {
    record(out, END, &groups.to_be_bytes())
}

fn record(out: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    out.write_all(&[kind])?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(body)
}

/// What a coded file holds; nothing is decoded. A file that is damaged or cut off is read as far as it goes.
pub(super) fn read(path: &Path) -> Result<Archive, CliError> {
    let file = File::open(path).map_err(given(path))?;
    let length = file.metadata().map_err(given(path))?.len();
    let mut from = BufReader::new(file);
    let mut start = [0; 10];
    from.read_exact(&mut start).map_err(|_| no_archive(path))?;
    if !start.starts_with(MAGIC) {
        return Err(no_archive(path));
    }
    let version = u16::from_be_bytes([start[8], start[9]]);
    if version != VERSION {
        return Err(CliError::user(format!("{}: version {version} is not known here", path.display()))
            .hint("a newer radmesh made it: decode it with that one; or it is damaged: copy it again"));
    }
    let mut archive = Archive::default();
    archive.rest = read_records(path, from, length, &mut archive).err();
    Ok(archive)
}

fn read_records(path: &Path, mut from: BufReader<File>, length: u64, archive: &mut Archive) -> Result<(), CliError> {
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => cut_off(path),
        _ => given(path)(error),
    };
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head).map_err(fault)?;
        let [kind, bytes @ ..] = head;
        let bytes = u32::from_be_bytes(bytes) as usize;
        if bytes > HEAD_BYTES_MAX {
            return Err(damaged(path));
        }
        let mut body = vec![0; bytes];
        from.read_exact(&mut body).map_err(fault)?;
        match kind {
            GROUP => {
                let head: Head = wire::decode("a group's head", &body, HEAD_BYTES_MAX).map_err(|_| damaged(path))?;
                let at = from.stream_position().map_err(fault)?;
                let next =
                    at.checked_add(head.coded_bytes).filter(|next| *next <= length).ok_or_else(|| cut_off(path))?;
                from.seek(SeekFrom::Start(next)).map_err(fault)?;
                archive.groups.push(Place { head, at });
            }
            PICTURE => {
                let whole = body.split_at_checked(32).filter(|(hash, picture)| Hash::of(picture).0 == *hash);
                let picture = whole.map(|(_, picture)| wire::decode::<Picture>("a preview", picture, HEAD_BYTES_MAX));
                match picture {
                    Some(Ok(picture)) => archive.picture_bytes += picture.image.len() as u64,
                    _ => archive.pictures_lost += 1,
                }
            }
            END if body == (archive.groups.len() as u32).to_be_bytes() => {
                let is_all = from.stream_position().map_err(fault)? == length;
                return if is_all { Ok(()) } else { Err(damaged(path)) };
            }
            _ => return Err(damaged(path)),
        }
    }
}

fn no_archive(path: &Path) -> CliError {
    CliError::user(format!("{}: this is no file that `radmesh codec encode` made", path.display()))
        .hint("name the file that was given to its --out")
}

fn cut_off(path: &Path) -> CliError {
    CliError::user(format!("{}: this file ends early", path.display()))
        .hint("it was not written to its end, or not copied whole: copy it again, or code the files again")
}

/// A coded file that is not as it was written.
pub(super) fn damaged(path: &Path) -> CliError {
    CliError::user(format!("{}: this file is damaged", path.display()))
        .hint("copy it again, or code the files again; no file that is not as it was coded is ever written")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parts: &[&str]) -> Vec<String> {
        parts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_that_leaves_the_folder_has_no_place() {
        let dir = Path::new("/to");
        assert_eq!(place_in(dir, &name(&["ct", "IM 1.dcm"])), Some("/to/ct/IM 1.dcm".into()));
        for bad in
            [&["..", "x"][..], &["a/b"], &["/etc", "passwd"], &[""], &["."], &["a\\b"], &["a\0"], &["\u{1b}"], &[]]
        {
            assert_eq!(place_in(dir, &name(bad)), None, "{bad:?}");
        }
        assert_eq!(place_in(dir, &name(&["x"; 99])), None);
        assert_eq!(place_in(dir, &name(&["x".repeat(256).as_str()])), None);
    }

    #[test]
    fn a_file_is_named_from_the_folder_that_was_named() {
        let of = |file: &str, named: &str| name_of(Path::new(file), Path::new(named)).unwrap();
        assert_eq!(of("cd/ct/1", "cd/ct"), name(&["ct", "1"]));
        assert_eq!(of("cd/ct/1", "cd/ct/1"), name(&["1"]));
        assert_eq!(of("./a/1", "."), name(&["a", "1"]));
        assert_eq!(of("../a/1", ".."), name(&["a", "1"]));
    }
}
