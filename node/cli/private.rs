//! Files that hold what is a patient's, written where the command line says: their owner alone may read them.
//!
//! A shared reading machine has other users; umask is theirs to set, so the mode is set here.

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits() as i32;

/// Makes a directory and those above it, mode 0700; one that is there stays as it is.
pub(super) fn create_dir_all(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes a file that is not there yet, mode 0600.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A file that is being written: it has its name only once it is whole.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    /// Whether it has its own name by now.
    kept: bool,
}

impl Part {
    /// Begins one in the directory `dir`, under a name of ours, in the place of what a stopped command has left.
    ///
    /// # Errors
    /// As the medium fails; [`io::ErrorKind::ResourceBusy`] if another command is writing it.
    pub(super) fn begin(dir: &Path, number: u64) -> io::Result<Self> {
        let path = dir.join(format!(".radmesh-{number:x}.part"));
        let file = match create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_left_over(&path)?;
                create_new(&path)?
            }
            made => made?,
        };
        lock(&file, &path)?;
        Ok(Self { file, path, kept: false })
    }

    /// Where to write; it may be cloned.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Syncs it and gives it its name, which nobody may have.
    ///
    /// # Errors
    /// As the medium fails; [`io::ErrorKind::AlreadyExists`].
    pub(super) fn keep_as(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let renamed = renameat_with(CWD, &self.path, CWD, path, RenameFlags::NOREPLACE).map_err(io::Error::from);
        match renamed {
            // A file system without such a rename: looked at first.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => match fs::symlink_metadata(path) {
                Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => fs::rename(&self.path, path)?,
            },
            renamed => renamed?,
        }
        self.kept = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Removes what a command that was stopped has left. Only who has its lock may: a command that still writes it holds it, and
/// one that is done has given it its real name.
fn remove_left_over(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).custom_flags(NO_FOLLOW).open(path)?;
    lock(&file, path)?;
    fs::remove_file(path)
}

/// Locks a file that was opened by this name.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] if another command has it, or has given the name to another file meanwhile.
fn lock(file: &File, path: &Path) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => io::ErrorKind::ResourceBusy.into(),
    })?;
    let (here, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    let same = (here.dev(), here.ino()) == (there.dev(), there.ino());
    if same { Ok(()) } else { Err(io::ErrorKind::ResourceBusy.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::unix::fs::PermissionsExt};

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.collect()
    }

    #[test]
    fn a_file_has_its_name_only_once_it_is_whole_and_takes_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let (mine, made) = (dir.path().join("mine"), dir.path().join("made"));
        fs::write(&mine, "a person's own").unwrap();
        let stopped = Part::begin(dir.path(), 1).unwrap();
        stopped.file().write_all(b"the longer half of a file").unwrap();
        assert_eq!(Part::begin(dir.path(), 1).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        // A kill leaves it there.
        fs::copy(dir.path().join(".radmesh-1.part"), dir.path().join(".radmesh-2.part")).unwrap();
        drop(stopped);
        let whole = Part::begin(dir.path(), 2).unwrap();
        whole.file().write_all(b"whole").unwrap();
        whole.keep_as(&made).unwrap();
        assert_eq!(fs::read(&made).unwrap(), b"whole");
        let late = Part::begin(dir.path(), 3).unwrap();
        assert_eq!(late.keep_as(&mine).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&mine).unwrap(), b"a person's own");
        assert_eq!(names(dir.path()).len(), 2, "nothing is left over: {:?}", names(dir.path()));
    }

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
