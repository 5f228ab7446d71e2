//! A member that lies: wrong bytes, wrong pages, forged events, nonsense. It is refused and harms nobody.

use super::world::{Tamper, World};
use crate::{
    class::Class,
    id::CaseId,
    limits::{FETCHES_MAX, INCOMPLETE_MAX, OFFERED_MAX},
    log::{Scope, Way},
    node::{Input, Lane, LinkId},
    parcel::chunk::Page,
    ranges::Ranges,
    roster::Role::{Hub, Relay, Spoke},
    transfer::{
        message::{Frag, Message, Need, Offer, Parsed, Slot},
        offers::With,
    },
};

const SPOKE: usize = 0;
const HUB: usize = 1;
const RELAY: usize = 2;

/// Changes fragments of `liar`.
fn lie_about_bytes(liar: usize) -> Tamper {
    Box::new(move |from, lane, bytes| match Frag::parse(&bytes) {
        Ok(Parsed::Known(frag)) if from == liar && lane == Lane::Bulk => {
            let data = vec![0xee; frag.data.len()];
            Frag { data: &data, ..frag }.encode()
        }
        _ => bytes,
    })
}

#[test]
fn wrong_bytes_are_refused_and_the_parcel_comes_from_another() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, RELAY);
    world.until(10, |w| w.is_complete(RELAY, &parcel));
    world.tamper = Some(lie_about_bytes(RELAY));
    world.connect(RELAY, HUB);
    world.run(5_000);
    assert!(world.node(HUB).counters().received.damaged_chunks >= 3);
    let lies = world.node(HUB).counters().received.fragment_bytes;
    assert!(lies < 600_000, "{lies} bytes of lies were taken");
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.is_complete(HUB, &parcel));
}

#[test]
fn a_wrong_page_is_refused_at_once() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, RELAY);
    world.until(10, |w| w.is_complete(RELAY, &parcel));
    world.tamper = Some(Box::new(|from, lane, bytes| match Message::parse(&bytes) {
        Ok(Parsed::Known(Message::Page(mut page))) if from == RELAY && lane == Lane::Ctl => {
            let count = Page::parse(&page.hashes).unwrap().hashes().len();
            page.hashes = vec![0xee; count * 32];
            Message::Page(page).encode()
        }
        _ => bytes,
    }));
    world.connect(RELAY, HUB);
    world.run(3_000);
    assert_eq!(world.node(HUB).counters().received.wrong_pages, 1);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
}

#[test]
fn a_flipped_bit_on_the_way_is_fetched_again_from_the_same_peer() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    let mut once = Some(());
    world.tamper = Some(Box::new(move |_, lane, mut bytes| {
        if lane == Lane::Bulk && once.take().is_some() {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        bytes
    }));
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.is_complete(HUB, &parcel));
    assert_eq!(world.node(HUB).counters().received.damaged_chunks, 1);
    assert_eq!(world.fragment_bytes(SPOKE), parcel.bytes.len() as u64 + 65_536);
}

#[test]
fn bytes_that_are_no_message_end_the_link_and_nothing_else() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    for lane in [Lane::Ctl, Lane::Bulk] {
        let link = world.connect(SPOKE, HUB);
        world.run(300);
        world.input(HUB, Input::Message { link, lane, bytes: vec![0xff; 40] });
        assert!(!world.is_up(link));
    }
    assert_eq!(world.node(HUB).counters().malformed_messages, 2);
    world.connect(SPOKE, HUB);
    world.until(10, |w| w.has_receipt(SPOKE, HUB, &parcel));
}

#[test]
fn an_event_with_a_flipped_bit_is_counted_and_not_kept() {
    let mut world = World::new(&[Spoke, Hub]);
    world.announce(SPOKE, 100_000, Class::Routine);
    world.run(100);
    let scope = Scope::Site(world.node(SPOKE).id());
    let genuine = world.node(SPOKE).logs().events(scope).next().unwrap().bytes().to_vec();
    let link = world.connect(SPOKE, HUB);
    world.run(150);
    for at in [200, genuine.len() - 1] {
        let mut forged = genuine.clone();
        forged[at] ^= 1;
        let bytes = Message::Events(Way::Own, vec![forged]).encode();
        world.input(HUB, Input::Message { link, lane: Lane::Ctl, bytes });
    }
    assert_eq!(world.node(HUB).counters().forged_events, 2);
    world.run(2_000);
    assert_eq!(world.node(HUB).logs().len(), world.node(SPOKE).logs().len());
}

#[test]
fn nobody_off_the_route_is_served() {
    let mut world = World::new(&[Spoke, Hub, Spoke]);
    let parcel = world.announce(SPOKE, 100_000, Class::Routine);
    let link = world.connect(2, SPOKE);
    world.run(1_000);
    let ranges = Ranges::whole(parcel.bytes.len() as u64);
    let need = Need { slot: Slot(0), manifest: parcel.manifest.id(), ranges, pages: 0 };
    world.input(SPOKE, Input::Message { link, lane: Lane::Ctl, bytes: Message::Need(need).encode() });
    world.run(1_000);
    assert_eq!(world.fragment_bytes(SPOKE), 0);
    assert!(world.said(SPOKE).all(|(_, message)| !matches!(message, Message::Offer(_) | Message::Manifest(_))));
}

#[test]
fn fragments_nobody_asked_for_are_dropped() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = world.connect(SPOKE, HUB);
    world.run(1_000);
    for offset in [0, 65_000, u64::MAX - 3] {
        let bytes = Frag { slot: Slot(5), offset, data: &[1; 900] }.encode();
        world.input(HUB, Input::Message { link, lane: Lane::Bulk, bytes });
    }
    assert_eq!(world.node(HUB).counters().received.strays, 3);
    assert!(world.machines[HUB].disk.files.is_empty());
}

/// The slot of the first fetch that a node has asked for.
fn slot_of(world: &World, at: usize) -> Option<Slot> {
    world.said(at).find_map(|(_, message)| if let Message::Need(need) = message { Some(need.slot) } else { None })
}

fn fragment(world: &mut World, to: usize, link: LinkId, frag: Frag<'_>) {
    world.input(to, Input::Message { link, lane: Lane::Bulk, bytes: frag.encode() });
}

#[test]
fn gaps_that_a_peer_makes_do_not_keep_a_node_from_starting_again() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    let link = world.connect(SPOKE, HUB);
    world.until(10, |w| slot_of(w, HUB).is_some());
    world.cut_silently(link);
    let slot = slot_of(&world, HUB).unwrap();
    for offset in 0..600 {
        fragment(&mut world, HUB, link, Frag { slot, offset: 2 * offset, data: &[1] });
    }
    world.run(4_000);
    let strays = world.node(HUB).counters().received.strays;
    world.power_cut(HUB);
    world.connect(SPOKE, HUB);
    world.until(20, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert_eq!(strays, 599, "only the first begins where its chunk does");
}

#[test]
fn what_a_liar_sends_after_it_was_left_is_not_taken() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.tamper = Some(lie_about_bytes(SPOKE));
    let link = world.connect(SPOKE, HUB);
    let left = |(_, message)| matches!(message, Message::Cancel(..));
    world.until(10, |w| w.said(HUB).any(left));
    let slot = slot_of(&world, HUB).unwrap();
    world.run(2_000);
    let before = world.node(HUB).counters().received.strays;
    let offset = parcel.bytes.len() as u64 / 65_536 * 65_536;
    fragment(&mut world, HUB, link, Frag { slot, offset, data: &[1; 9] });
    assert_eq!(world.node(HUB).counters().received.strays, before + 1);
}

#[test]
fn manifests_without_their_parcels_take_little_of_a_hub() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = world.connect(SPOKE, HUB);
    world.run(1_000);
    let count = INCOMPLETE_MAX + 20;
    for _ in 0..count {
        let parcel = world.seal_of(SPOKE, CaseId([1; 32]), 100, Class::Routine);
        let (manifest, bytes) = (parcel.manifest.id(), parcel.bytes.len() as u64);
        let offer = Message::Offer(Offer { manifest, class: Class::Routine, bytes, with: With::Manifest });
        for message in [offer, Message::Manifest(parcel.manifest.bytes().to_vec())] {
            world.input(HUB, Input::Message { link, lane: Lane::Ctl, bytes: message.encode() });
        }
    }
    assert_eq!(world.machines[HUB].disk.files.len(), FETCHES_MAX, "a file is made when its fetch begins");
    assert_eq!(world.node(HUB).parcels().count(), INCOMPLETE_MAX);
    let declined = world.said(HUB).filter(|(_, message)| matches!(message, Message::Decline(_))).count();
    assert_eq!(declined, 20);
}

#[test]
fn a_manifest_that_its_spoke_did_not_sign_or_that_is_anothers_is_declined_and_not_kept() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = world.connect(SPOKE, HUB);
    world.run(1_000);
    let [one, other] = [1, 2].map(|case| world.seal_of(SPOKE, CaseId([case; 32]), 100, Class::Routine).manifest);
    // The signature stands before the one page hash, and is no part of the manifest's name.
    let mut unsigned = one.bytes().to_vec();
    let at = unsigned.len() - 32 - 1;
    unsigned[at] ^= 1;
    for sent in [unsigned, other.bytes().to_vec()] {
        let offer = Offer { manifest: one.id(), class: Class::Routine, bytes: 69_632, with: With::Manifest };
        for message in [Message::Offer(offer), Message::Manifest(sent)] {
            world.input(HUB, Input::Message { link, lane: Lane::Ctl, bytes: message.encode() });
        }
    }
    assert_eq!(world.node(HUB).parcels().count(), 0);
    let declined = world.said(HUB).filter(|(_, said)| matches!(said, Message::Decline(id) if *id == one.id()));
    assert_eq!((declined.count(), world.node(HUB).counters().refused_manifests), (2, 2));
}

#[test]
fn manifests_that_cannot_be_taken_hold_up_no_other() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcels: Vec<_> = (0..=OFFERED_MAX).map(|_| world.announce(SPOKE, 5_000, Class::Routine)).collect();
    let last = parcels.last().unwrap();
    let good = last.manifest.bytes().to_vec();
    world.tamper = Some(Box::new(move |_, lane, bytes| match Message::parse(&bytes) {
        Ok(Parsed::Known(Message::Manifest(mut manifest))) if lane == Lane::Ctl && manifest != good => {
            manifest[3] = 9;
            Message::Manifest(manifest).encode()
        }
        _ => bytes,
    }));
    world.connect(SPOKE, HUB);
    world.until(20, |w| w.has_receipt(SPOKE, HUB, last));
    assert!(world.node(HUB).counters().refused_manifests >= OFFERED_MAX as u64);
}

#[test]
fn a_peer_is_not_blamed_for_what_another_brought() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.connect(SPOKE, RELAY);
    world.until(10, |w| w.is_complete(RELAY, &parcel));
    let link = world.connect(RELAY, HUB);
    world.until(10, |w| slot_of(w, HUB).is_some());
    world.cut_silently(link);
    let slot = slot_of(&world, HUB).unwrap();
    for chunk in 0..4 {
        fragment(&mut world, HUB, link, Frag { slot, offset: chunk * 65_536, data: &[0xee; 100] });
    }
    world.cut(link);
    world.input(HUB, Input::LinkDown(link));
    world.connect(SPOKE, HUB);
    world.until(20, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert_eq!(world.node(HUB).counters().received.damaged_chunks, 4);
}

#[test]
fn blame_ages_and_the_peer_is_tried_again() {
    let mut world = World::new(&[Spoke, Hub]);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    world.tamper = Some(lie_about_bytes(SPOKE));
    world.connect(SPOKE, HUB);
    world.run(20_000);
    assert!(world.node(HUB).counters().received.damaged_chunks >= 3);
    world.tamper = None;
    world.until(1_000, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.machines[HUB].resets.is_empty());
}
