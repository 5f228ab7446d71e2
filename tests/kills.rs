//! kill -9 of each process in turn, at random moments of a transfer over a slow link.
//!
//! Everything handed in must arrive, once, and what is fetched again is no more than a kill may cost: what was in
//! flight and not yet durable. The other test kills spoke and hub while a clinic and a reading room work, and looks for
//! what each was promised. `RADMESH_TEST_KILLS` sets the kills of each process (default 1), twice as many in the
//! second.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../node/cli/demo/forwarder.rs"]
mod forwarder;
mod world;

use forwarder::Forwarder;
use radmesh_protocol::id::Hash;
use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use world::{NodePlace, Running, World, copies, files, load::Town, moment, radmesh, until};

/// 2 Mbit/s.
const LINK_BYTES_A_SECOND: u64 = 250_000;
/// What one kill may cost over this link: 2 s that wait for an fsync, 2 s on their way, heads and handshakes.
const KILL_BYTES_MAX: u64 = 4 * LINK_BYTES_A_SECOND + 100_000;

fn kills() -> usize {
    world::figure("RADMESH_TEST_KILLS", 1)
}

/// Real files with their UIDs made new, so that each round sends Studies that were never sent.
fn fresh_copies(into: &Path, round: usize) -> BTreeSet<Hash> {
    fs::create_dir_all(into).unwrap();
    let names = ["MR-SIEMENS-DICOM-WithOverlays.dcm", "RG1_J2KI.dcm", "gdcm-US-ALOKA-16_big.dcm", "MR2_J2KR.dcm"];
    names
        .into_iter()
        .map(|name| {
            let renewed = copies::renewed(&format!("pydicom-data/{name}"), round, round);
            fs::write(into.join(name), &renewed).unwrap();
            Hash::of(&renewed)
        })
        .collect()
}

#[test]
fn nothing_is_lost_or_doubled_when_each_process_is_killed_in_the_middle_of_a_transfer() {
    let world = World::new();
    let hub = world.init("hub", "hub", &[]);
    let relay_port = world::free_port();
    let link = Forwarder::start(SocketAddr::from(([127, 0, 0, 1], relay_port)), LINK_BYTES_A_SECOND).unwrap();
    let announce = format!("/ip4/127.0.0.1/tcp/{}", link.address().port());
    let listen = format!("/ip4/127.0.0.1/tcp/{relay_port}");
    let relay = world.init_at("relay", "relay", &listen, &["--announce", &announce]);
    let spoke = world.init("spoke", "spoke", &[]);
    world.admit("hub", &["--key-maker"]);
    world.admit("relay", &[]);
    world.admit("spoke", &["--home-hub", "hub", "--via", "relay"]);
    world.person("banda");
    let places = [spoke, relay, hub];
    let mut running: Vec<Option<Running>> = places
        .iter()
        .map(|place| {
            world.join(place);
            Some(world.start(place))
        })
        .collect();
    world.unlock(&places[2]);

    let mut sent = BTreeSet::new();
    let mut rounds = 0;
    for _ in 0..kills() {
        for victim in 0..places.len() {
            let folder = world.path(&format!("sent/{rounds}"));
            sent.extend(fresh_copies(&folder, rounds));
            rounds += 1;
            radmesh(&["send", "--dir", places[0].dir.to_str().unwrap(), folder.to_str().unwrap()]);
            let before = link.bytes();
            until("the transfer is under way", || (link.bytes() > before + 20_000).then_some(()));
            // The fault itself: a moment that nothing in the node has chosen.
            let wait = moment(Duration::from_millis(1500));
            thread::sleep(wait);
            println!("kill -9 {} {} ms into the transfer", places[victim].name, wait.as_millis());
            running[victim].take().unwrap().kill();
            running[victim] = Some(world.start(&places[victim]));
            if victim == 2 {
                world.unlock(&places[2]);
            }
        }
    }
    everything_arrived(&world, &places, &sent, rounds);
    let rows = places[0].json(&["studies"]);
    let sealed: u64 = rows.as_array().unwrap().iter().map(|row| row["sealed_bytes"].as_u64().unwrap()).sum();
    let crossed = link.bytes();
    let again = crossed.saturating_sub(sealed);
    println!(
        "{} kills: {sealed} sealed bytes, {crossed} bytes over the slow link both ways: {again} were fetched again or \
         are heads, handshakes and events",
        3 * kills()
    );
    assert!(again < sealed / 20 + KILL_BYTES_MAX * 3 * kills() as u64, "{again} bytes more than were sealed");
}

fn everything_arrived(world: &World, [spoke, _, hub]: &[NodePlace; 3], sent: &BTreeSet<Hash>, rounds: usize) {
    let cases = rounds * 4;
    until("every Study is delivered", || {
        let rows = spoke.json(&["studies"]);
        let rows = rows.as_array().unwrap();
        (rows.len() == cases && rows.iter().all(|row| row["delivered"] == true)).then_some(())
    });
    let rows = until("every Study is ready to read", || {
        let rows = hub.json(&["worklist"]);
        let ready = rows.as_array().unwrap().iter().all(|row| row["ready_to_read"] == true);
        (rows.as_array().unwrap().len() == cases && ready).then_some(rows)
    });
    let (person, pass) = (world.text("banda"), world.text("passphrase"));
    let mut arrived: Vec<Hash> = Vec::new();
    for (number, row) in rows.as_array().unwrap().iter().enumerate() {
        let (case, to) = (row["case"].as_str().unwrap(), world.text(&format!("out/{number}")));
        let dir = hub.dir.to_str().unwrap();
        radmesh(&["claim", "--dir", dir, case, "--as", &person, "--passphrase-file", &pass]);
        radmesh(&["export", "--dir", dir, case, "--to", &to, "--verbatim"]);
        let out: Vec<PathBuf> = files(Path::new(&to));
        arrived.extend(out.iter().map(|path| Hash::of(&fs::read(path).unwrap())));
    }
    assert_eq!(arrived.len(), sent.len(), "nothing twice");
    assert_eq!(&arrived.into_iter().collect::<BTreeSet<_>>(), sent);
}

#[test]
fn every_promise_holds_when_spoke_and_hub_are_killed_at_work() {
    let world = World::new();
    let town = Town::new(&world);
    let mut running = [&town.hub, &town.spoke].map(|place| (place, Some(world.start(place))));
    town.works_while(|| {
        until("Studies are read", || (town.promised().counts()[3] > 0).then_some(()));
        for kill in 0..4 * kills() {
            let (place, node) = &mut running[kill % 2];
            // The fault itself: a moment that nothing in the node has chosen.
            let wait = moment(Duration::from_secs(3));
            thread::sleep(wait);
            node.take().unwrap().kill();
            let from = Instant::now();
            *node = Some(world.start(place));
            let [stored, delivered, claimed, signed, returned] = town.promised().counts();
            println!(
                "kill -9 {} after {} ms, with {stored} Instances stored, {delivered} delivered, {claimed} claims, \
                 {signed} reports signed, {returned} returned; it answers {} ms later",
                place.name,
                wait.as_millis(),
                from.elapsed().as_millis()
            );
        }
    });
    let [(_, hub), (_, spoke)] = running;
    drop(hub);
    town.the_spoke_has_what_it_promised();
    drop(spoke);
    let _hub = world.start(&town.hub);
    town.the_hub_has_what_it_promised();
    let _spoke = world.start(&town.spoke);
    town.everything_arrives(0);
}
