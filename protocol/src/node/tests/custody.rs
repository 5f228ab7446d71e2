//! What a receipt means: read back, on disk, then sent.

use super::world::World;
use crate::{
    class::Class,
    id::CaseId,
    log::{
        Event, Scope,
        body::{Body, StudyClosed},
    },
    node::{Answer, Command, Input, Lane, Notice, Output},
    record::Stored,
    roster::Role::{Hub, Relay, Spoke},
    transfer::message::Message,
};

const SPOKE: usize = 0;
const HUB: usize = 1;
const STANDBY: usize = 2;

fn receipts_sent(world: &World, by: usize) -> usize {
    let events = world.said(by).filter_map(|(_, message)| match message {
        Message::Events(_, events) => Some(events),
        _ => None,
    });
    let is_receipt = |bytes: &Vec<u8>| matches!(Event::parse(bytes).unwrap().body(), Ok(Some(Body::Receipt(_))));
    events.flatten().filter(is_receipt).count()
}

#[test]
fn receipt_is_never_sent_before_fsync() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.node(HUB).counters().received.fragment_bytes > 300_000);
    world.machines[HUB].journal_stuck = true;
    world.until(10, |w| w.node(HUB).counters().receipts == 1);
    world.run(3_000);
    assert_eq!(receipts_sent(&world, HUB), 0);
    assert!(!world.machines[HUB].notices.contains(&Notice::ParcelComplete(parcel.manifest.id())));
    world.machines[HUB].journal_stuck = false;
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert_eq!(receipts_sent(&world, HUB), 1);
    assert!(world.machines[HUB].notices.contains(&Notice::ParcelComplete(parcel.manifest.id())));
}

#[test]
fn a_file_that_reads_back_wrong_gets_no_receipt_until_it_is_mended() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    let id = parcel.manifest.id();
    world.until(10, |w| w.node(HUB).parcel(&id).is_some_and(|view| view.bytes_here > 400_000));
    // A chunk that was proved goes bad before the whole file is read.
    world.machines[HUB].disk.files.get_mut(&id).unwrap()[10] ^= 1;
    world.until(20, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.is_complete(HUB, &parcel));
    assert_eq!(world.node(HUB).counters().damaged_files, 1);
    assert_eq!(world.fragment_bytes(SPOKE), parcel.bytes.len() as u64 + 65_536);
}

#[test]
fn a_new_roster_makes_no_hub_sign_for_a_part() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.node(HUB).counters().received.fragment_bytes > 300_000);
    let revocation = world.ministry.revoke(world.node(2).id());
    world.command(HUB, Command::Statements(vec![revocation]));
    assert_eq!((world.is_complete(HUB, &parcel), world.node(HUB).counters().receipts), (false, 0));
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
}

#[test]
fn a_case_is_safe_when_the_standby_hub_has_signed_too() {
    let mut world = World::new(&[Spoke, Hub, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.connect(HUB, STANDBY);
    world.until(20, |w| w.has_receipt(SPOKE, HUB, &parcel) && w.has_receipt(SPOKE, STANDBY, &parcel));
    assert_eq!(world.fragment_bytes(SPOKE), parcel.bytes.len() as u64);
    assert_eq!(world.sent_in_vain(), 0);
}

#[test]
fn a_receipt_is_signed_once_over_any_number_of_restarts() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    for _ in 0..3 {
        world.power_cut(HUB);
        world.run(1_000);
    }
    assert_eq!(world.node(HUB).counters().receipts, 0);
}

#[test]
fn a_power_cut_between_last_byte_and_receipt_still_gives_a_receipt() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.machines[HUB].journal_stuck = true;
    world.until(10, |w| w.node(HUB).counters().receipts == 1);
    world.machines[HUB].journal_stuck = false;
    world.power_cut(HUB);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
}

#[test]
fn a_sealed_file_that_is_not_its_manifests_is_never_announced() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 200_000, Class::Routine);
    world.run(100);
    let mut other = World::new(&[Spoke, Hub]);
    let mut damaged = parcel.bytes.clone();
    damaged[70_000] ^= 1;
    other.machines[SPOKE].disk.files.insert(parcel.manifest.id(), damaged);
    let sealed = Box::new(super::world::announcement(&parcel.manifest));
    let id = other.command(SPOKE, Command::Announce { manifest: parcel.manifest.bytes().to_vec(), sealed });
    other.run(100);
    assert!(matches!(other.answer(SPOKE, id), Some(Answer::Refused(_))));
    assert!(other.node(SPOKE).logs().is_empty());
}

#[test]
fn a_manifest_whose_signature_does_not_hold_is_never_announced() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.seal_of(SPOKE, CaseId([1; 32]), 5_000, Class::Routine);
    world.machines[SPOKE].disk.files.insert(parcel.manifest.id(), parcel.bytes.clone());
    let sealed = Box::new(super::world::announcement(&parcel.manifest));
    let mut manifest = parcel.manifest.bytes().to_vec();
    let at = manifest.len() - 32 - 1;
    manifest[at] ^= 1;
    let id = world.command(SPOKE, Command::Announce { manifest, sealed });
    world.run(100);
    assert!(matches!(world.answer(SPOKE, id), Some(Answer::Refused(_))));
    assert!(world.node(SPOKE).logs().is_empty());
}

#[test]
fn a_command_that_waits_for_a_disk_that_fails_is_refused() {
    let mut world = World::new(&[Spoke, Hub]);
    world.machines[SPOKE].journal_stuck = true;
    let scope = Scope::Site(world.node(SPOKE).id());
    let body = Box::new(Body::StudyClosed(StudyClosed { case: CaseId([1; 32]), parcels: Vec::new() }));
    let id = world.command(SPOKE, Command::Append { scope, body });
    world.run(1_000);
    assert_eq!(world.answer(SPOKE, id), None);
    world.input(SPOKE, Input::Stored(Stored::Faulted));
    assert!(matches!(world.answer(SPOKE, id), Some(Answer::Refused(_))));
}

#[test]
fn a_node_whose_disk_failed_acknowledges_nothing_more() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.node(HUB).counters().received.fragment_bytes > 300_000);
    world.input(HUB, Input::Stored(Stored::Faulted));
    let sent = world.sent.len();
    world.connect(SPOKE, HUB);
    world.run(30_000);
    assert!(world.sent[sent..].iter().all(|(_, by, lane, _)| *by == SPOKE && *lane == Lane::Ctl));
    assert!(!world.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.machines[HUB].notices.contains(&Notice::Faulted));
    let id = world.command(HUB, Command::Verify);
    assert!(matches!(world.answer(HUB, id), Some(Answer::Refused(_))));
    let now = crate::time::Now::default();
    world.machines[HUB].node.handle(Input::Wake, now);
    assert!(!matches!(world.machines[HUB].node.poll_output(), Some(Output::Send { .. })));
}
