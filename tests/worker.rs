//! Coding dies in a child, never in the node: real nodes, whose children are killed at their work.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_codec::scan::{Form, scan};
use radmesh_protocol::id::Hash;
use rustix::process::{Pid, Signal, kill_process};
use std::{collections::BTreeSet, fs, path::Path};
use world::{NodePlace, Running, World, fixtures, hashes, radmesh, until};

/// A Study of one film that takes the coder seconds: a real one with noise for a long private tail.
fn long_film() -> Vec<u8> {
    let mut file = fs::read(fixtures().join("pydicom/CT_small.dcm")).unwrap();
    let found = scan(file.as_slice(), Form::File).unwrap();
    for uid in [found.study.as_str(), found.sop_instance.as_str()] {
        // Another Study than the film itself: the last digit of its UIDs is turned over.
        let places: Vec<usize> =
            (0..file.len() - uid.len()).filter(|at| file[*at..].starts_with(uid.as_bytes())).collect();
        places.into_iter().for_each(|at| file[at + uid.len() - 1] ^= 1);
    }
    let end = usize::try_from(found.pixel_data.unwrap().value.end).unwrap();
    file.truncate(end);
    // The padding element (PS3.5 section 7.2, Data Set Trailing Padding).
    const NOISE_BYTES: usize = 12 << 20;
    file.extend([0xfc, 0xff, 0xfc, 0xff, b'O', b'B', 0, 0]);
    file.extend((NOISE_BYTES as u32).to_le_bytes());
    let mut state = 1_u32;
    file.extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(NOISE_BYTES),
    );
    file
}

/// The coder's children of a node, from the kernel.
fn children(node: &Running) -> BTreeSet<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", node.pid())) else { return BTreeSet::new() };
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let pids: Vec<i32> =
        lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect();
    pids.into_iter().filter(|pid| is_at_work(*pid)).collect()
}

/// Whether a process is the coder's child, and not one that has ended and waits to be counted.
fn is_at_work(pid: i32) -> bool {
    let of = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    of("cmdline").ends_with("codec-worker\0") && !of("stat").contains(") Z ")
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

fn send(place: &NodePlace, file: &Path) {
    radmesh(&["send", "--dir", place.text(), file.to_str().unwrap()]);
}

fn study(place: &NodePlace, bytes: u64) -> serde_json::Value {
    let rows = place.json(&["studies"]);
    rows.as_array().unwrap().iter().find(|row| row["bytes"] == bytes).cloned().unwrap_or_default()
}

/// A hub, unlocked, and a spoke that run.
fn clinic(world: &World) -> (NodePlace, NodePlace, [Running; 2]) {
    let (hub, spoke) = (world.init("hub", "hub", &[]), world.init("spoke", "spoke", &[]));
    world.admit("hub", &["--key-maker"]);
    world.admit("spoke", &["--home-hub", "hub"]);
    world.person("banda");
    let running = [&hub, &spoke].map(|place| {
        world.join(place);
        world.start(place)
    });
    world.unlock(&hub);
    (hub, spoke, running)
}

#[test]
fn a_film_that_kills_the_coder_twice_is_sent_as_received_and_the_node_goes_on() {
    // A hub keeps nothing opened on a disk that is nearly full.
    let world = World::in_memory();
    let (hub, spoke, running) = clinic(&world);
    let status = spoke.json(&["status"])["spoke"].clone();
    assert!(status["profile"] == "max" || status["profile"] == "fast", "{status}");
    let words = status["codes_for"].as_str().unwrap();
    assert!(words.starts_with("fewest bytes: ") || words.starts_with("speed: "), "{words}");

    let (deadly, film) = (world.path("deadly.dcm"), world.path("film.dcm"));
    let noise = long_film();
    fs::write(&deadly, &noise).unwrap();
    fs::copy(fixtures().join("pydicom/CT_small.dcm"), &film).unwrap();
    send(&spoke, &deadly);
    // The first to die may be rendering its preview, which is no harm to it.
    let mut killed = BTreeSet::new();
    let row = until("the film is delivered", || {
        if let Some(child) = children(&running[1]).into_iter().find(|pid| !killed.contains(pid)) {
            kill(child);
            killed.insert(child);
        }
        let row = study(&spoke, noise.len() as u64);
        (row["delivered"] == true).then_some(row)
    });
    assert_eq!(row["stored"], 1);
    let state = row["state"].as_str().unwrap();
    assert!(state.starts_with("1 Instance is sent as received, because the coder failed on it; "), "{state}");
    assert!(row["sealed_bytes"].as_u64().unwrap() > noise.len() as u64);

    send(&spoke, &film);
    let row = until("the next film is delivered", || {
        let row = study(&spoke, fs::metadata(&film).unwrap().len());
        (row["delivered"] == true).then_some(row)
    });
    assert_eq!(row["stored"], 0);
    let rows = until("both can be read", || {
        let rows = hub.json(&["worklist"]).as_array().unwrap().clone();
        (rows.len() == 2 && rows.iter().all(|row| row["ready_to_read"] == true)).then_some(rows)
    });
    let stored = |row: &serde_json::Value| row["flagged"]["stored"].as_u64().unwrap();
    assert_eq!(rows.iter().map(stored).sum::<u64>(), 1, "the reader is told too");
    assert!(rows.iter().any(|row| row["warning"].as_str().is_some_and(|words| words.contains("as received"))));
    // Opening goes on behind the worklist, which tells a reader no later than it knows.
    let status = until("the hub has opened both", || {
        let status = hub.json(&["status"])["hub"].clone();
        (status["opened_instances"] == 2).then_some(status)
    });
    assert_eq!(status["opened_waits"], 0, "{status}");
    // What is opened needs no decoder: with its children gone, the hub starts no other.
    children(&running[0]).into_iter().for_each(kill);
    until("the hub's children are gone", || children(&running[0]).is_empty().then_some(()));
    let (person, pass) = (world.text("banda"), world.text("passphrase"));
    for (number, row) in rows.iter().enumerate() {
        let (case, to) = (row["case"].as_str().unwrap(), world.text(&format!("out/{number}")));
        radmesh(&["claim", "--dir", hub.text(), case, "--as", &person, "--passphrase-file", &pass]);
        radmesh(&["export", "--dir", hub.text(), case, "--to", &to, "--verbatim"]);
    }
    assert_eq!(children(&running[0]), BTreeSet::new());
    let sent = BTreeSet::from([Hash::of(&noise), Hash::of(&fs::read(&film).unwrap())]);
    assert_eq!(hashes(&world.path("out")), sent);
}

#[test]
fn the_coders_child_ends_with_its_node_in_the_middle_of_its_work() {
    let world = World::new();
    let (_, spoke, [_hub, running]) = clinic(&world);
    let film = world.path("film.dcm");
    fs::write(&film, long_film()).unwrap();
    send(&spoke, &film);
    let child = until("the coder works", || children(&running).into_iter().next());
    running.kill();
    until("the child is gone", || (!is_at_work(child)).then_some(()));
}
