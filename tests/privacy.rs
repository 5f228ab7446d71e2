//! What a node writes and holds in memory is for its own user: other accounts of a clinic's computer see nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};
use world::{RADMESH, World, files, radmesh, run};

/// An account without rights (Debian's `nobody`).
const NOBODY: u32 = 65534;

fn relay(world: &World) -> world::NodePlace {
    let place = world.init("relay", "relay", &[]);
    world.admit("relay", &[]);
    world.join(&place);
    place
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn nobody_else_may_open_the_socket_or_a_file_of_a_running_node() {
    let world = World::new();
    let place = relay(&world);
    let mut open_handed = Command::new("sh");
    open_handed.args(["-c", "umask 000; exec \"$0\" \"$@\"", RADMESH]);
    let _running = world.start_by(&place, open_handed);
    assert_eq!(mode(&place.dir.join("control.sock")) & 0o077, 0, "others may connect");
    let journal = files(&place.dir.join("journal"));
    assert!(!journal.is_empty());
    for file in journal {
        assert_eq!(mode(&file) & 0o077, 0, "others may read {}", file.display());
    }
}

#[test]
fn a_directory_that_others_may_enter_is_refused_by_init_and_by_run() {
    let world = World::new();
    fs::create_dir(world.path("shared")).unwrap();
    fs::set_permissions(world.path("shared"), Permissions::from_mode(0o755)).unwrap();
    let refused = run(&["init", "--dir", &world.text("shared"), "--name", "shared", "--role", "relay"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("mode 755") && said.contains("hint: ") && said.contains("chmod 700"), "{said}");
    assert_eq!(files(&world.path("shared")).len(), 0, "keys were written where others may read");

    let place = relay(&world);
    fs::set_permissions(&place.dir, Permissions::from_mode(0o750)).unwrap();
    let refused = run(&["run", "--dir", place.text()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("chmod 700"));
}

/// The kernel gives what /proc shows of an undumpable process to root, whoever runs it (proc(5)).
#[test]
fn a_running_node_leaves_no_core_dump() {
    let world = World::new();
    let place = relay(&world);
    let root = fs::metadata(&place.dir).unwrap().uid() == 0;
    let mut command = Command::new(RADMESH);
    if root {
        // As root it could not be told apart, so the node runs as another user, from where that one may read it.
        fs::set_permissions(world.path(""), Permissions::from_mode(0o755)).unwrap();
        fs::copy(RADMESH, world.path("radmesh")).unwrap();
        for path in files(&place.dir).into_iter().chain([place.dir.clone()]) {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command = Command::new(world.path("radmesh"));
        command.uid(NOBODY).gid(NOBODY);
    }
    let running = world.start_by(&place, command);
    let owner = |file: &str| fs::metadata(format!("/proc/{}/{file}", running.pid())).unwrap().uid();
    assert_ne!(owner(""), 0, "the process itself runs as root");
    assert_eq!(owner("environ"), 0, "the node can be dumped, with its keys");
    radmesh(&["status", "--dir", place.text()]);
}
