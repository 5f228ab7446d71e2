//! The worklist converges with gossip off, and with anti-entropy off while links are up; counters say which way each
//! event came.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use serde_json::Value;
use std::{fs, path::Path};
use world::{NodePlace, Running, World, radmesh, until};

/// Two hubs of one pool and a spoke, with these switches off everywhere.
fn federation(off: &[&str]) -> (World, [NodePlace; 3], Vec<Running>) {
    let world = World::new();
    let (home, other) = (world.init("home", "hub", &[]), world.init("other", "hub", &[]));
    let spoke = world.init("spoke", "spoke", &[]);
    world.admit("home", &["--key-maker"]);
    world.admit("other", &[]);
    world.admit("spoke", &["--home-hub", "home"]);
    let places = [home, other, spoke];
    for place in &places {
        let file = place.dir.join("radmesh.toml");
        let text = off.iter().fold(fs::read_to_string(&file).unwrap(), |text, switch| {
            assert!(text.contains(&format!("{switch} = true")), "{text}");
            text.replace(&format!("{switch} = true"), &format!("{switch} = false"))
        });
        fs::write(&file, text).unwrap();
    }
    let running: Vec<Running> = places
        .iter()
        .map(|place| {
            world.join(place);
            world.start(place)
        })
        .collect();
    until("all are linked", || {
        let linked = |place: &NodePlace, wanted: usize| {
            let links = place.json(&["status"])["links"].as_array().unwrap().clone();
            links.iter().filter(|link| link["state"] == "Open").count() >= wanted
        };
        (linked(&places[0], 2) && linked(&places[1], 1) && linked(&places[2], 1)).then_some(())
    });
    (world, places, running)
}

/// Sends a Study and waits until both hubs show the same worklist; the second hub's counters.
fn converges(off: &[&str]) -> Value {
    let (_world, [home, other, spoke], running) = federation(off);
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pydicom/CT_small.dcm");
    radmesh(&["send", "--dir", spoke.dir.to_str().unwrap(), film.to_str().unwrap()]);
    until("the Study is delivered", || (spoke.json(&["studies"])[0]["delivered"] == true).then_some(()));
    until("both hubs fold the same worklist", || {
        let digest = |place: &NodePlace| place.json(&["status"])["worklist_digest"].clone();
        let rows = other.json(&["worklist"]);
        (rows[0]["delivered"] == true && digest(&home) == digest(&other)).then_some(())
    });
    let ways = other.json(&["status"])["events_by_way"].clone();
    drop(running);
    ways
}

fn came(ways: &Value, way: &str) -> u64 {
    ways[way]["new"].as_u64().unwrap()
}

#[test]
fn without_gossip_the_worklist_converges_by_push_and_anti_entropy() {
    let ways = converges(&["gossip"]);
    assert_eq!(came(&ways, "gossiped"), 0, "{ways}");
    assert!(came(&ways, "pushed") + came(&ways, "synced") > 0, "{ways}");
}

#[test]
fn without_anti_entropy_the_worklist_converges_while_links_are_up() {
    let ways = converges(&["anti_entropy"]);
    assert!(came(&ways, "pushed") + came(&ways, "gossiped") > 0, "{ways}");
}
