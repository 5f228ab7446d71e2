//! A member that lies: wrong bytes, wrong pages, forged events, nonsense. It is refused and harms nobody.

use super::world::{Tamper, World};
use crate::{
    class::Class,
    log::{Scope, Way},
    node::{Input, Lane},
    parcel::chunk::Page,
    ranges::Ranges,
    roster::Role::{Hub, Relay, Spoke},
    transfer::message::{Frag, Message, Need, Parsed, Slot},
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
