//! What a real disk is asked for, as strace sees it: RELIABILITY, F2 and F4.
//!
//! [`radmesh_store::Faulty`] shows that the store asks its medium for each sync that a Study's survival rests on. That
//! [`Disk`] hands them on to the kernel shows in nothing that a process can read back, only in its system calls; and
//! what it does after one that fails, when strace makes it fail.

use radmesh_store::{
    Disk, Medium, StagedId,
    medium::{Dir, Name},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Says to the process that strace runs that it is the one, and where it may write.
const TRACED: &str = "RADMESH_TEST_TRACED";
/// A disk keeps fewer files open than this.
const MANY: u8 = 40;

/// Runs `act` in a process of its own, which runs this `test` alone, with strace making the calls of `fault` fail. Gives
/// each fsync and fdatasync that it did, by its path below the directory that `act` had; nothing to that process itself.
fn traced(test: &str, fault: Option<&str>, act: impl FnOnce(&Path)) -> Option<Vec<(String, PathBuf)>> {
    if let Some(directory) = env::var_os(TRACED) {
        act(Path::new(&directory));
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let (below, calls) = (directory.path().canonicalize().unwrap(), directory.path().join("calls"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "-e", "trace=fsync,fdatasync"]).args(["-e", "signal=none", "-o"]).arg(&calls);
    strace.args(fault.into_iter().flat_map(|fault| ["-e", fault]));
    let child = strace.arg(env::current_exe().unwrap()).args(["--exact", test]).env(TRACED, &below).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let calls = fs::read_to_string(calls).unwrap();
    Some(calls.lines().filter_map(|line| call(line, &below)).collect())
}

/// `123 fsync(4</tmp/x/staging>) = 0` as ("fsync", "staging").
fn call(line: &str, below: &Path) -> Option<(String, PathBuf)> {
    let (head, rest) = line.split_once('<')?;
    let (path, _) = rest.split_once(">)")?;
    let (_, name) = head.rsplit_once(' ')?;
    let path = Path::new(path).strip_prefix(below).ok()?;
    Some((name.split('(').next()?.to_owned(), path.to_owned()))
}

fn name(number: u8) -> Name {
    Name::Staging(StagedId([number; 16]))
}

fn written(disk: &Disk, number: u8) {
    disk.create(name(number)).unwrap();
    disk.write_at(name(number), 0, b"a film").unwrap();
}

#[test]
fn a_real_disk_syncs_the_folders_it_makes_each_file_and_each_files_name() {
    let test = "real_disk::a_real_disk_syncs_the_folders_it_makes_each_file_and_each_files_name";
    let calls = traced(test, None, |directory| {
        let disk = Disk::open(&directory.join("store")).unwrap();
        written(&disk, 1);
        disk.sync(name(1)).unwrap();
        disk.sync_dir(Dir::Staging).unwrap();
    });
    let Some(calls) = calls else { return };
    let part = format!("store/staging/{}", name(1));
    let expected = [("fsync", "store"), ("fsync", ""), ("fdatasync", &part), ("fsync", "store/staging")];
    assert_eq!(calls, expected.map(|(call, path)| (call.to_owned(), path.into())));
}

#[test]
fn a_file_that_is_closed_for_another_is_synced_first_for_its_error_would_go_with_it() {
    let test = "real_disk::a_file_that_is_closed_for_another_is_synced_first_for_its_error_would_go_with_it";
    let calls = traced(test, Some("inject=fdatasync:error=EIO:when=1"), |directory| {
        let disk = Disk::open(directory).unwrap();
        (0..MANY).for_each(|number| written(&disk, number));
        (1..MANY).rev().for_each(|number| disk.sync(name(number)).unwrap());
        // The first one's bytes are lost, and the kernel had said so once, when it was closed.
        assert!(disk.sync(name(0)).is_err());
    });
    let Some(calls) = calls else { return };
    assert_eq!(calls.iter().find(|(call, _)| call == "fdatasync").unwrap().1, format!("staging/{}", name(0)));
}

#[test]
fn a_file_whose_fdatasync_failed_never_syncs_again_under_any_name() {
    let test = "real_disk::a_file_whose_fdatasync_failed_never_syncs_again_under_any_name";
    traced(test, Some("inject=fdatasync:error=EIO:when=1"), |directory| {
        let disk = Disk::open(directory).unwrap();
        (0..2).for_each(|number| written(&disk, number));
        assert!(disk.sync(name(0)).is_err());
        assert!(disk.sync(name(0)).is_err(), "Linux calls the lost pages clean, and a second try succeeds");
        let kept = Name::Staged(StagedId([0; 16]));
        disk.rename(name(0), kept).unwrap();
        assert!(disk.sync(kept).is_err());
        disk.sync(name(1)).unwrap();
        disk.delete(kept).unwrap();
        written(&disk, 0);
        disk.sync(name(0)).unwrap();
    });
}
