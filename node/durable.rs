//! What a command writes for good: keys, requests, rosters, configurations.
//!
//! A technician makes a node's keys and pulls the plug. Whatever is made here is on the disk with its name, and its
//! folder with its own, before the command ends.

use crate::cli::{CliError, at};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Makes a folder that only its owner can enter; one that is there stays as it is.
pub(crate) fn folder(dir: &Path) -> Result<(), CliError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
    dir.canonicalize().and_then(|dir| sync_folder_of(&dir)).map_err(at(dir))
}

/// Writes a file that only its owner can read, never over one that is there.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))?;
    finish(file, bytes, path).and_then(|()| sync_folder_of(path)).map_err(at(path))
}

/// Writes a file, in place of one that is there, whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let file = File::create(&fresh).map_err(at(&fresh))?;
    finish(file, bytes, &fresh).map_err(at(&fresh))?;
    fs::rename(&fresh, path).and_then(|()| sync_folder_of(path)).map_err(at(path))
}

fn finish(mut file: File, bytes: &[u8], path: &Path) -> io::Result<()> {
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file must not look like a whole one.
        drop(fs::remove_file(path));
    }
    written
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
