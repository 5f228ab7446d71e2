//! Links that die silently, and several to one peer.

use super::world::World;
use crate::{
    class::Class,
    node::LinkState,
    roster::Role::{Hub, Spoke},
};

const SPOKE: usize = 0;
const HUB: usize = 1;

#[test]
fn a_silent_link_is_given_up_within_seconds_while_data_flows() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (8_000, 300);
    world.announce(SPOKE, 600_000, Class::Routine);
    let link = world.connect(SPOKE, HUB);
    world.run(20_000);
    world.cut_silently(link);
    world.run(9_000);
    for end in [SPOKE, HUB] {
        assert_eq!(world.node(end).counters().stalls, 1, "both ends notice");
    }
}

#[test]
fn an_idle_link_is_left_alone() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = world.connect(SPOKE, HUB);
    world.run(3_600_000);
    assert!(world.is_up(link));
    let idle: usize = world.sent.iter().map(|(.., bytes)| bytes.len()).sum();
    assert!(idle * 24 < 300_000, "{idle} bytes an hour");
}

#[test]
fn a_hello_that_nobody_answers_ends_the_link() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = world.connect(SPOKE, HUB);
    world.cut_silently(link);
    world.run(11_000);
    assert_eq!((world.node(SPOKE).links().count(), world.node(HUB).links().count()), (0, 0));
}

#[test]
fn two_dials_that_cross_leave_one_link_and_the_transfer_goes_on() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (50_000, 100);
    let parcel = world.announce(SPOKE, 600_000, Class::Routine);
    let first = world.connect(SPOKE, HUB);
    let second = world.connect(SPOKE, HUB);
    world.run(2_000);
    assert_eq!([first, second].iter().filter(|link| world.is_up(**link)).count(), 1);
    for end in [SPOKE, HUB] {
        let open: Vec<_> = world.node(end).links().filter(|view| view.state == LinkState::Open).collect();
        assert_eq!(open.len(), 1);
    }
    world.until(60, |w| w.has_receipt(SPOKE, HUB, &parcel));
    assert!(world.fragment_bytes(SPOKE) <= parcel.bytes.len() as u64 + 32_768);
}

#[test]
fn a_new_link_takes_over_from_one_that_died_silently() {
    let mut world = World::new(&[Spoke, Hub]);
    (world.rate, world.delay) = (8_000, 300);
    let parcel = world.announce(SPOKE, 200_000, Class::Routine);
    let old = world.connect(SPOKE, HUB);
    world.run(10_000);
    world.cut_silently(old);
    world.run(500);
    world.connect(SPOKE, HUB);
    let before = world.node(HUB).counters().received.fragment_bytes;
    let took = world.until(10, |w| w.node(HUB).counters().received.fragment_bytes > before);
    assert!(took <= 6_000, "{took}");
    world.until(60, |w| w.has_receipt(SPOKE, HUB, &parcel));
}

#[test]
fn a_stranger_is_reset() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = crate::node::LinkId(77);
    let peer = crate::id::NodeId([99; 32]);
    world.machines[HUB].node.handle(crate::node::Input::LinkUp { link, peer }, crate::time::Now::default());
    let output = world.machines[HUB].node.poll_output();
    assert!(matches!(output, Some(crate::node::Output::Reset { .. })), "{output:?}");
}
