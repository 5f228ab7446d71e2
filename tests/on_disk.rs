//! What a command has written is on disk when it ends: its system calls, as strace sees them.
//!
//! A technician makes a node's keys and pulls the plug; the ministry revokes a stolen node and its generator stops. A
//! file that was only in the page cache is empty then, and nothing that a process can read back tells the two apart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use world::{RADMESH, World, fixtures};

/// Each path below a directory that a command of radmesh synced, in order.
fn synced(below: &Path, args: &[&str]) -> Vec<PathBuf> {
    let (below, calls) = (below.canonicalize().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o"]).arg(calls.path());
    let done = strace.arg(RADMESH).args(args).stdin(Stdio::null()).output().expect("strace is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let calls = fs::read_to_string(calls.path()).unwrap();
    // 123 fsync(4</tmp/x/node.key>) = 0
    let paths = calls.lines().filter_map(|line| line.split_once('<')?.1.split_once(">)"));
    paths.filter_map(|(path, _)| Path::new(path).strip_prefix(&below).ok().map(Path::to_owned)).collect()
}

fn paths<const N: usize>(names: [&str; N]) -> Vec<PathBuf> {
    names.map(PathBuf::from).to_vec()
}

#[test]
fn keys_and_roster_are_on_disk_when_the_command_that_wrote_them_ends() {
    let world = World::new();
    let all = world.path("");
    let (pass, fed, hub) = (world.text("passphrase"), world.text("fed"), world.text("hub"));
    let listen = format!("/ip4/127.0.0.1/tcp/{}", world::free_port());
    let init =
        ["init", "--dir", &hub, "--name", "hub", "--role", "hub", "--listen", &listen, "--passphrase-file", &pass];
    assert_eq!(
        synced(&all, &init),
        paths([
            "",
            "hub/reading.locked",
            "hub",
            "hub/node.key",
            "hub",
            "hub/request.radmesh.new",
            "hub",
            "hub/radmesh.toml.new",
            "hub",
        ])
    );
    let request = world.text("hub/request.radmesh");
    let admit = ["federation", "admit", "--dir", &fed, &request, "--region", "Central", "--passphrase-file", &pass];
    assert_eq!(synced(&all, &admit), paths(["fed/roster.radmesh.new", "fed"]));
}

#[test]
fn a_coded_file_is_on_disk_before_it_has_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let (film, out) = (fixtures().join("pydicom/CT_small.dcm"), dir.path().join("coded"));
    let encode = ["codec", "encode", film.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let synced = synced(dir.path(), &encode);
    assert!(matches!(&synced[..], [part] if part.extension().is_some_and(|e| e == "part")), "{synced:?}");
}
