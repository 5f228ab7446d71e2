//! A hub whose disk is full, or has lost a file: nothing is believed that was not written, and nobody is blamed.

use super::world::{Space, World};
use crate::{
    class::Class,
    node::Input,
    record::Stored,
    roster::Role::{Hub, Spoke},
};

const SPOKE: usize = 0;
const HUB: usize = 1;

#[test]
fn a_parcel_offered_while_the_disk_is_full_comes_once_there_is_room() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.machines[HUB].disk.space = Space::Full;
    world.connect(SPOKE, HUB);
    world.run(30_000);
    assert!(world.node(HUB).counters().disk_full >= 1);
    world.machines[HUB].disk.space = Space::Free;
    world.until(120, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert_eq!(world.node(HUB).counters().received.damaged_chunks, 0);
}

#[test]
fn an_fsync_that_finds_the_disk_full_does_not_hold_up_the_next() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 1_000_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(30, |w| w.node(HUB).counters().received.fragment_bytes > 300_000);
    world.machines[HUB].disk.space = Space::Full;
    world.run(5_000);
    assert!(world.node(HUB).counters().disk_full >= 1);
    world.machines[HUB].disk.space = Space::Free;
    world.until(120, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.is_complete(HUB, &parcel));
}

#[test]
fn a_reconnect_does_not_end_the_minute_that_a_full_disk_is_left_alone() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 1_000_000, Class::Routine);
    let link = world.connect(SPOKE, HUB);
    world.until(30, |w| w.node(HUB).counters().received.fragment_bytes > 300_000);
    world.input(HUB, Input::Stored(Stored::Full));
    world.cut(link);
    let stopped = world.fragment_bytes(SPOKE);
    world.connect(SPOKE, HUB);
    world.run(30_000);
    assert_eq!(world.fragment_bytes(SPOKE), stopped);
    world.until(90, |w| w.has_receipt(SPOKE, HUB, &parcel));
}

#[test]
fn a_parcel_whose_file_is_gone_is_fetched_whole_again() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 1_000_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(30, |w| w.node(HUB).counters().received.fragment_bytes > 300_000);
    world.machines[HUB].disk.loses_file(&parcel.manifest.id());
    world.until(200, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.is_complete(HUB, &parcel));
}
