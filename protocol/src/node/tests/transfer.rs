//! Parcels on their way: cuts, power cuts, overtaking, relays.

use super::world::{SealedParcel, World};
use crate::{
    class::Class,
    node::{Answer, Command, Input},
    record::Stored,
    roster::Role::{Hub, Relay, Spoke},
    transfer::message::Message,
};

const SPOKE: usize = 0;
const RELAY: usize = 2;
const HUB: usize = 1;

#[test]
fn a_parcel_reaches_the_home_hub_and_its_receipt_comes_back() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.is_complete(HUB, &parcel));
    assert_eq!(world.fragment_bytes(SPOKE), parcel.bytes.len() as u64);
    assert_eq!(world.node(SPOKE).acknowledged(&parcel.manifest.id()), parcel.bytes.len() as u64);
}

#[test]
fn resumes_after_link_cut_at_any_chunk() {
    let whole = 10 * 65_536;
    for chunk in 0..10 {
        let mut world = World::new(&[Spoke, Hub]);
        (world.rate, world.delay) = (8_000, 300);
        let parcel = world.announce(SPOKE, whole - 300, Class::Routine);
        let link = world.connect(SPOKE, HUB);
        let here = |w: &World| w.node(HUB).counters().received.fragment_bytes;
        world.until(600, |w| here(w) > chunk * 65_536);
        world.cut(link);
        world.run(20_000);
        world.connect(SPOKE, HUB);
        world.until(600, |w| w.has_receipt(SPOKE, HUB, &parcel));
        let wasted = world.fragment_bytes(SPOKE) - parcel.bytes.len() as u64;
        assert!(wasted <= 16 * 1024, "{wasted} bytes were in flight at chunk {chunk}");
        assert_eq!(world.node(HUB).counters().received.bytes_again, 0);
    }
}

#[test]
fn a_power_cut_costs_at_most_64_kib_or_2_seconds() {
    for at in [3, 9, 20, 41] {
        let mut world = World::new(&[Spoke, Hub]);
        (world.rate, world.delay) = (250_000, 300);
        let parcel = world.announce(SPOKE, 4_000_000, Class::Routine);
        world.connect(SPOKE, HUB);
        world.until(60, |w| w.node(HUB).counters().received.fragment_bytes > at * 70_000);
        let before = world.fragment_bytes(SPOKE);
        let come = world.node(HUB).counters().received.fragment_bytes;
        let durable = world.durable(HUB, &parcel.manifest.id()).bytes();
        world.power_cut(HUB);
        world.connect(SPOKE, HUB);
        world.until(60, |w| w.has_receipt(SPOKE, HUB, &parcel));
        assert!(world.is_complete(HUB, &parcel));
        let again = world.fragment_bytes(SPOKE) - before;
        assert_eq!(again, parcel.bytes.len() as u64 - durable, "exactly what was not durable is fetched again");
        assert!(come - durable <= 2 * 250_000, "{}", come - durable);
    }
}

#[test]
fn a_power_cut_at_the_spoke_loses_nothing_that_was_announced() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.run(100);
    world.power_cut(SPOKE);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
}

#[test]
fn an_announcement_is_answered_again_and_made_once() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.run(100);
    world.power_cut(SPOKE);
    let events = world.node(SPOKE).logs().len();
    let sealed = Box::new(super::world::announcement(&parcel.manifest));
    let id = world.command(SPOKE, Command::Announce { manifest: parcel.manifest.bytes().to_vec(), sealed });
    world.run(100);
    assert_eq!(world.answer(SPOKE, id), Some(&Answer::Announced(parcel.manifest.id())));
    assert_eq!(world.node(SPOKE).logs().len(), events);
}

#[test]
fn stat_overtakes_bulk_between_fragments() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (8_000, 300);
    let bulk = world.announce(SPOKE, 2_000_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.run(30_000);
    let stat = world.announce(SPOKE, 200_000, Class::Stat);
    let took = world.until(60, |w| w.has_receipt(SPOKE, HUB, &stat));
    let alone = stat.bytes.len() as u64 * 1000 / 8_000;
    assert!(took < alone * 115 / 100 + 3_000, "{took} ms; alone {alone} ms");
    assert!(!world.is_complete(HUB, &bulk));
    assert_eq!(world.node(HUB).counters().received.bytes_again, 0);
}

#[test]
fn stat_takes_the_place_of_a_fetch_where_all_places_are_taken() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (8_000, 300);
    let bulk: Vec<_> = (0..6).map(|_| world.announce(SPOKE, 300_000, Class::Routine)).collect();
    world.connect(SPOKE, HUB);
    world.run(20_000);
    let stat = world.announce(SPOKE, 100_000, Class::Stat);
    world.until(30, |w| w.has_receipt(SPOKE, HUB, &stat));
    world.until(600, |w| bulk.iter().all(|parcel| w.has_receipt(SPOKE, HUB, parcel)));
    let whole: u64 = bulk.iter().chain([&stat]).map(|parcel| parcel.bytes.len() as u64).sum();
    assert_eq!(world.fragment_bytes(SPOKE), whole);
}

#[test]
fn relay_forwards_before_the_parcel_is_complete() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 3_000_000, Class::Routine);
    world.connect(SPOKE, 2);
    world.connect(2, HUB);
    world.until(30, |w| w.node(HUB).counters().received.fragment_bytes > 100_000);
    assert!(!world.is_complete(2, &parcel));
    world.until(120, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert_eq!(world.fragment_bytes(SPOKE), parcel.bytes.len() as u64);
    assert_eq!(world.fragment_bytes(2), parcel.bytes.len() as u64);
    assert_eq!(world.sent_in_vain(), 0);
}

#[test]
fn a_relay_that_waits_for_its_source_is_not_taken_for_dead() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 1_000_000, Class::Routine);
    let far = world.connect(SPOKE, 2);
    let near = world.connect(2, HUB);
    world.until(30, |w| w.node(HUB).counters().received.fragment_bytes > 100_000);
    world.cut(far);
    world.run(120_000);
    assert!(world.is_up(near), "{:?}", world.machines[HUB].resets);
    world.connect(SPOKE, 2);
    world.until(60, |w| w.has_receipt(SPOKE, HUB, &parcel));
}

#[test]
fn a_hub_whose_relay_has_run_dry_goes_on_at_the_spoke() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 1_000_000, Class::Routine);
    let far = world.connect(SPOKE, 2);
    world.connect(2, HUB);
    world.until(30, |w| w.node(HUB).counters().received.fragment_bytes > 100_000);
    world.cut(far);
    world.run(5_000);
    world.connect(SPOKE, HUB);
    world.until(60, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert_eq!(world.node(HUB).counters().received.bytes_again, 0);
}

#[test]
fn a_reconnect_with_nothing_new_costs_at_most_300_bytes() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 100_000, Class::Routine);
    let link = world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    world.run(5_000);
    world.cut(link);
    world.sent.clear();
    world.connect(SPOKE, HUB);
    world.run(10_000);
    for end in [SPOKE, HUB] {
        let bytes: usize = world.sent.iter().filter(|(_, by, ..)| *by == end).map(|(.., bytes)| bytes.len()).sum();
        assert!(bytes <= 300, "{bytes}");
    }
}

#[test]
fn damaged_chunk_is_found_by_verify_and_fetched_again_and_nothing_else() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    let other = world.announce(SPOKE, 200_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel) && w.has_receipt(SPOKE, HUB, &other));
    world.run(1_000);
    let (id, before) = (parcel.manifest.id(), world.fragment_bytes(SPOKE));
    world.machines[HUB].disk.files.get_mut(&id).unwrap()[3 * 65_536 + 77] ^= 4;
    let check = world.command(HUB, Command::Verify);
    world.until(10, |w| w.answer(HUB, check).is_some());
    let answer = Answer::Verified { parcels: 2, damaged: vec![(id, 3)] };
    assert_eq!(world.answer(HUB, check), Some(&answer));
    world.until(10, |w| w.is_complete(HUB, &parcel));
    assert_eq!(world.fragment_bytes(SPOKE) - before, 65_536);
    let receipts = world.said(HUB).filter(|(_, m)| matches!(m, Message::Events(..))).count();
    assert!(receipts >= 1 && world.node(HUB).counters().receipts == 2);
}

#[test]
fn what_rots_is_found_though_nobody_asks_and_comes_again() {
    let mut world = World::scrubbing(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    world.run(1_000);
    let id = parcel.manifest.id();
    world.machines[HUB].disk.files.get_mut(&id).unwrap()[3 * 65_536 + 77] ^= 4;
    world.until(2 * 24 * 3600, |w| w.node(HUB).counters().damaged_files == 1);
    world.until(10, |w| w.is_complete(HUB, &parcel));
    assert_eq!(world.machines[HUB].disk.files[&id], parcel.bytes);
    assert!(world.node(HUB).counters().scrubbed_files >= 1 && world.node(HUB).mending().next().is_none());
}

#[test]
fn what_is_missing_is_named_with_those_who_hold_it_until_it_has_come_again() {
    let mut world = World::new(&[Spoke, Hub, Hub]);
    let parcel = world.announce(SPOKE, 200_000, Class::Routine);
    let id = parcel.manifest.id();
    let link = world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    world.run(1_000);
    world.cut(link);
    let ids: Vec<_> = (0..3).map(|at| world.node(at).id()).collect();
    assert_eq!(world.node(HUB).holders(&id), [ids[SPOKE]].into());
    assert_eq!(world.node(SPOKE).holders(&id), [ids[HUB]].into());
    world.machines[HUB].disk.files.get_mut(&id).unwrap()[7] ^= 4;
    let check = world.command(HUB, Command::Verify);
    world.until(10, |w| w.answer(HUB, check).is_some());
    world.run(1_000);
    assert_eq!(world.node(HUB).mending().collect::<Vec<_>>(), [&id]);
    let missing = world.node(HUB).parcel(&id).map(|view| view.bytes - view.bytes_here);
    assert_eq!(missing, Some(65_536));
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.is_complete(HUB, &parcel));
    assert!(world.node(HUB).mending().next().is_none());
}

#[test]
fn damage_at_the_spoke_is_mended_from_the_hub_after_a_restart() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    let link = world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    world.run(1_000);
    world.cut(link);
    world.machines[SPOKE].disk.files.get_mut(&parcel.manifest.id()).unwrap()[5] ^= 1;
    let check = world.command(SPOKE, Command::Verify);
    world.until(10, |w| w.answer(SPOKE, check).is_some());
    world.run(100);
    assert!(world.durable(SPOKE, &parcel.manifest.id()).bytes() < parcel.bytes.len() as u64);
    world.power_cut(SPOKE);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.is_complete(SPOKE, &parcel));
}

/// The world after spoke and relay lost the same bytes of a parcel that the hub has signed for; no link is up.
fn spoke_and_relay_lost_the_same_bytes() -> (World, SealedParcel) {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    let parcel = world.announce(SPOKE, 10_000, Class::Routine);
    let links = [world.connect(SPOKE, RELAY), world.connect(RELAY, HUB)];
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    world.run(1_000);
    links.into_iter().for_each(|link| world.cut(link));
    for at in [SPOKE, RELAY] {
        world.machines[at].disk.files.get_mut(&parcel.manifest.id()).unwrap()[5] ^= 1;
        world.command(at, Command::Verify);
    }
    world.run(100);
    assert!([SPOKE, RELAY].iter().all(|at| !world.is_complete(*at, &parcel)));
    (world, parcel)
}

#[test]
fn two_nodes_that_lost_the_same_bytes_and_ask_each_other_get_them_from_a_third() {
    let (mut world, parcel) = spoke_and_relay_lost_the_same_bytes();
    world.connect(SPOKE, RELAY);
    world.run(2_000);
    world.connect(RELAY, HUB);
    world.until(700, |w| w.is_complete(SPOKE, &parcel) && w.is_complete(RELAY, &parcel));
}

#[test]
fn a_relay_that_lost_bytes_and_restarts_gets_them_from_a_hub_that_offers_it_nothing() {
    let (mut world, parcel) = spoke_and_relay_lost_the_same_bytes();
    world.power_cut(RELAY);
    world.connect(SPOKE, RELAY);
    world.run(2_000);
    world.connect(RELAY, HUB);
    world.until(700, |w| w.is_complete(SPOKE, &parcel) && w.is_complete(RELAY, &parcel));
}

#[test]
fn a_disk_with_no_room_for_a_large_study_still_takes_a_stat_film() {
    let mut world = World::new(&[Spoke, Hub]);
    let bulk = world.announce(SPOKE, 600_000, Class::Routine);
    world.machines[HUB].disk.refused.insert(bulk.manifest.id());
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.node(HUB).counters().disk_full == 1);
    let stat = world.announce(SPOKE, 200_000, Class::Stat);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &stat));
    world.run(10_000);
    assert!(!world.has_receipt(SPOKE, HUB, &bulk));
    world.machines[HUB].disk.refused.clear();
    world.until(90, |w| w.has_receipt(SPOKE, HUB, &bulk));
}

#[test]
fn a_full_disk_stops_fetching_and_goes_on_a_minute_later() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 1_000_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(30, |w| w.node(HUB).counters().received.fragment_bytes > 300_000);
    world.input(HUB, Input::Stored(Stored::Full));
    world.run(10_000);
    let stopped = world.fragment_bytes(SPOKE);
    world.run(20_000);
    assert_eq!(world.fragment_bytes(SPOKE), stopped);
    world.until(90, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert_eq!(world.node(HUB).counters().disk_full, 1);
}

#[test]
fn a_relay_whose_card_was_replaced_is_offered_again_what_no_hub_has_signed_for() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    let link = world.connect(SPOKE, 2);
    world.until(10, |w| w.is_complete(2, &parcel));
    world.run(1_000);
    world.cut(link);
    world.machines[2].disk.replaced();
    world.power_cut(2);
    world.connect(SPOKE, 2);
    world.until(20, |w| w.is_complete(2, &parcel));
}

#[test]
fn damage_to_what_has_come_of_a_parcel_is_found_by_verify() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 1_000_000, Class::Routine);
    let link = world.connect(SPOKE, HUB);
    let id = parcel.manifest.id();
    world.until(30, |w| w.durable(HUB, &id).bytes() > 300_000);
    world.cut(link);
    world.run(1_000);
    world.machines[HUB].disk.files.get_mut(&id).unwrap()[65_536 + 77] ^= 4;
    let check = world.command(HUB, Command::Verify);
    world.until(10, |w| w.answer(HUB, check).is_some());
    let answer = Answer::Verified { parcels: 1, damaged: vec![(id, 1)] };
    assert_eq!(world.answer(HUB, check), Some(&answer));
    world.connect(SPOKE, HUB);
    world.until(60, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert_eq!(world.node(HUB).counters().damaged_files, 1);
}
