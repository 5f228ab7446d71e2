//! The files that a person means by naming files and folders.

use super::{CliError, given};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files below `path`, in the order of their names, with their bytes; links are not followed.
pub(super) fn collect(path: &Path, into: &mut Vec<(PathBuf, u64)>) -> Result<(), CliError> {
    let facts = fs::symlink_metadata(path).map_err(given(path))?;
    if facts.is_dir() {
        let entries: Result<Vec<PathBuf>, _> =
            fs::read_dir(path).map_err(given(path))?.map(|e| e.map(|e| e.path())).collect();
        let mut entries = entries.map_err(given(path))?;
        entries.sort();
        return entries.iter().try_for_each(|entry| collect(entry, into));
    }
    let bytes = fs::metadata(path).map_err(given(path))?.len();
    into.push((path.to_owned(), bytes));
    Ok(())
}
