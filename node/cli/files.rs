//! The files that a person means by naming files and folders.

use super::{CliError, given};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What was found below what was named.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Files in the order of their names, with their bytes.
    pub(super) taken: Vec<(PathBuf, u64)>,
    /// What is no file, or can't be looked at, and why: one such entry does not end a command on ten thousand others.
    pub(super) left_out: Vec<(PathBuf, String)>,
}

impl Files {
    /// Adds the file `named`, or all below a folder of that name; links to folders are not followed.
    ///
    /// # Errors
    /// Nothing of that name can be looked at: a person meant it.
    pub(super) fn collect(&mut self, named: &Path) -> Result<(), CliError> {
        self.add(named).map_err(given(named))
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        let facts = fs::symlink_metadata(path)?;
        if facts.is_dir() {
            let entries: io::Result<Vec<PathBuf>> = fs::read_dir(path)?.map(|e| e.map(|e| e.path())).collect();
            let mut entries = entries?;
            entries.sort();
            for entry in entries {
                if let Err(error) = self.add(&entry) {
                    self.left_out.push((entry, error.to_string()));
                }
            }
            return Ok(());
        }
        let meant = fs::metadata(path)?;
        if meant.is_file() {
            self.taken.push((path.to_owned(), meant.len()));
        } else {
            let why =
                if meant.is_dir() { "a link to a folder: name that folder" } else { "neither a file nor a folder" };
            self.left_out.push((path.to_owned(), why.to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::{fs::symlink, net::UnixListener};

    #[test]
    fn what_is_no_file_is_left_out_with_its_reason_and_the_files_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (below, elsewhere) = (dir.path().join("below"), dir.path().join("elsewhere"));
        [&below, &elsewhere].iter().for_each(|folder| fs::create_dir(folder).unwrap());
        fs::write(below.join("b"), "22").unwrap();
        symlink(below.join("b"), below.join("a")).unwrap();
        symlink("nothing", below.join("dangling")).unwrap();
        symlink(&elsewhere, below.join("folder")).unwrap();
        let _socket = UnixListener::bind(below.join("socket")).unwrap();
        let mut files = Files::default();
        files.collect(&below).unwrap();
        assert_eq!(files.taken, [(below.join("a"), 2), (below.join("b"), 2)]);
        let names: Vec<_> =
            files.left_out.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["dangling", "folder", "socket"]);
        assert!(files.collect(&dir.path().join("absent")).is_err());
    }
}
