//! A disk whose power can be cut: ext4 in a file that lies in memory, mounted through a loop device.
//!
//! The file holds what the system has given to the disk so far; what a process wrote and did not sync is in the page
//! cache alone. So a copy of the file, made while the node stands still, is the disk of a machine that lost power at
//! that moment. It models no drive that lies about its own cache, and no reordering below the file system. Needs root.

use radmesh_protocol::id::Hash;
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

const BYTES: &str = "2G";

/// The disk, mounted; unmounted and gone when dropped. Its world must outlive it.
#[derive(Debug)]
pub(crate) struct Disk {
    shelf: PathBuf,
    at: PathBuf,
    cuts: usize,
}

/// What a cut took: files that the page cache had, and the disk had not, or not so.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) files: Vec<PathBuf>,
}

impl Disk {
    /// A new one at `at`, a directory to be made; its images lie in `shelf`, another.
    pub(crate) fn new(shelf: &Path, at: &Path) -> Self {
        for dir in [shelf, at] {
            fs::create_dir(dir).unwrap();
        }
        let disk = Self { shelf: shelf.to_owned(), at: at.to_owned(), cuts: 0 };
        system("mount", &["-t", "tmpfs", "-o", "size=4g,mode=700", "radmesh-test", text(shelf)]);
        let image = disk.image();
        // A short journal is written over often, and few inodes are quickly made.
        let plan = ["-q", "-F", "-N", "16384", "-J", "size=8", "-E", "lazy_itable_init=0", text(&image), BYTES];
        system("mkfs.ext4", &plan);
        disk.mount();
        fs::remove_dir(at.join("lost+found")).unwrap();
        fs::set_permissions(at, Permissions::from_mode(0o700)).unwrap();
        disk
    }

    /// Puts all that was written so far on the disk.
    pub(crate) fn sync(&self) {
        system("sync", &["--file-system", text(&self.at)]);
    }

    /// Cuts the power under a process that stands still, which `kill` then ends. Mounted again, the disk has what it
    /// had at that moment.
    pub(crate) fn cut(&mut self, kill: impl FnOnce()) -> Taken {
        let before = self.image();
        self.cuts += 1;
        let after = self.image();
        // The file system's own threads may write for a moment yet: the copy is of one moment when none did meanwhile.
        loop {
            let seen = changed(&before);
            system("cp", &["--sparse=auto", text(&before), text(&after)]);
            if changed(&before) == seen {
                break;
            }
        }
        kill();
        let cached = contents(&self.at);
        self.unmount();
        fs::remove_file(before).unwrap();
        self.mount();
        let held = contents(&self.at);
        let other = cached.iter().filter(|(path, hash)| held.get(*path) != Some(hash)).map(|(path, _)| path);
        let gone_again = held.keys().filter(|path| !cached.contains_key(*path));
        Taken { files: other.chain(gone_again).cloned().collect() }
    }

    fn image(&self) -> PathBuf {
        self.shelf.join(format!("{}.ext4", self.cuts))
    }

    fn mount(&self) {
        system("mount", &["-o", "loop", text(&self.image()), text(&self.at)]);
    }

    /// Also under a process that is only just ending; the loop device goes with the last that holds it.
    fn unmount(&self) {
        system("umount", &["--lazy", text(&self.at)]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for dir in [&self.at, &self.shelf] {
            let _ = Command::new("umount").args(["--quiet", "--lazy"]).arg(dir).status();
        }
    }
}

impl Taken {
    /// How many files of each directory.
    pub(crate) fn by_directory(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for path in &self.files {
            let directory = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(path);
            *count.entry(directory.display().to_string()).or_default() += 1;
        }
        count
    }
}

/// Hash of every file below `at`, but of the log, which nobody was promised, and the sockets.
fn contents(at: &Path) -> BTreeMap<PathBuf, Hash> {
    let read = |path: PathBuf| {
        let name = path.strip_prefix(at).unwrap().to_owned();
        let file = fs::symlink_metadata(&path).unwrap().is_file() && name != Path::new("log");
        file.then(|| (name, Hash::of(&fs::read(path).unwrap())))
    };
    super::files(at).into_iter().filter_map(read).collect()
}

/// When the file was last written to, and how much of it there is.
fn changed(path: &Path) -> (i64, i64, u64) {
    let found = fs::metadata(path).unwrap();
    (found.mtime(), found.mtime_nsec(), found.blocks())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn system(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {said} (needs root, loop devices, tmpfs and ext4)");
}
