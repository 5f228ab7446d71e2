//! Files that hold what is a patient's, written where the command line says: their owner alone may read them.
//!
//! A shared reading machine has other users; umask is theirs to set, so the mode is set here.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Makes a directory and those above it, mode 0700; one that is there stays as it is.
pub(super) fn create_dir_all(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes a file that is not there yet, mode 0600.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn what_is_a_patients_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("case/001");
        create_dir_all(&below).unwrap();
        create_new(&below.join("00001.dcm")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            [mode(&below), mode(below.parent().unwrap()), mode(&below.join("00001.dcm"))],
            [0o700, 0o700, 0o600]
        );
    }
}
