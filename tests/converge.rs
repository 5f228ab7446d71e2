//! The worklist converges with gossip off, and with anti-entropy off while links are up; counters say which way each
//! event came.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{collections::BTreeMap, fs};
use world::{NodePlace, Running, World, fixtures, radmesh, until};

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
            links.iter().filter(|link| link["state"] == "open").count() >= wanted
        };
        (linked(&places[0], 2) && linked(&places[1], 1) && linked(&places[2], 1)).then_some(())
    });
    (world, places, running)
}

/// New events of the second hub by the way they came, from the moment a Study is handed in over links that are up
/// until both hubs show the same worklist.
fn ways_of_a_study(off: &[&str]) -> BTreeMap<String, u64> {
    let (_world, [home, other, spoke], running) = federation(off);
    let counted = |place: &NodePlace| -> BTreeMap<String, u64> {
        let status = place.json(&["status"]);
        let ways = status["events_by_way"].as_object().unwrap();
        ways.iter().map(|(way, row)| (way.clone(), row["new"].as_u64().unwrap())).collect()
    };
    let before = counted(&other);
    radmesh(&["send", "--dir", spoke.text(), fixtures().join("pydicom/CT_small.dcm").to_str().unwrap()]);
    until("the Study is delivered", || (spoke.json(&["studies"])[0]["delivered"] == true).then_some(()));
    until("both hubs fold the same worklist", || {
        let digest = |place: &NodePlace| place.json(&["status"])["worklist_digest"].clone();
        let rows = other.json(&["worklist"]);
        (rows[0]["delivered"] == true && digest(&home) == digest(&other)).then_some(())
    });
    let after = counted(&other);
    drop(running);
    let ways = after.into_iter().map(|(way, count)| (way.clone(), count - before[&way])).collect();
    println!("off: {off:?}; new events at the second hub: {ways:?}");
    ways
}

#[test]
fn without_gossip_the_worklist_converges_by_push_and_anti_entropy() {
    let ways = ways_of_a_study(&["gossip"]);
    assert!(ways["gossiped"] == 0 && ways["pushed"] + ways["synced"] > 0, "{ways:?}");
}

#[test]
fn without_anti_entropy_every_event_comes_by_push_or_gossip_over_the_links_that_are_up() {
    let ways = ways_of_a_study(&["anti_entropy"]);
    assert!(ways["synced"] == 0 && ways["pushed"] + ways["gossiped"] > 0, "{ways:?}");
}
