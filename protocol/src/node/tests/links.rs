//! Links that die silently, and several to one peer.

use super::world::{World, version};
use crate::{
    class::Class,
    limits::EARLY_BYTES_MAX,
    node::{Command, Input, Lane, LinkId, LinkState, Output},
    roster::Role::{Hub, Relay, Spoke},
    transfer::message::Message,
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
fn what_a_peer_says_on_a_link_before_it_is_in_use_here_is_heard_once_it_is() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    let old = world.connect(SPOKE, HUB);
    world.run(1_000);
    world.cut_silently(old);
    world.input(HUB, Input::LinkDown(old));
    // The hub uses the new link at once; the spoke still believes in the old one.
    let revocation = world.ministry.revoke(world.node(2).id());
    world.command(HUB, Command::Statements(vec![revocation]));
    world.connect(SPOKE, HUB);
    world.run(1_000);
    assert_eq!(world.node(SPOKE).roster().version(), version(&world));
}

#[test]
fn who_says_more_than_may_wait_before_a_link_is_in_use_is_cut_off() {
    let mut world = World::new(&[Spoke, Hub]);
    world.connect(SPOKE, HUB);
    world.run(1_000);
    let hello = world.said(SPOKE).next().expect("a spoke greets").1;
    let (link, peer) = (LinkId(77), world.node(SPOKE).id());
    world.input(HUB, Input::LinkUp { link, peer });
    let says = |world: &mut World, message: &Message| {
        world.input(HUB, Input::Message { link, lane: Lane::Ctl, bytes: message.encode() });
        world.node(HUB).links().any(|view| view.link == link)
    };
    assert!(says(&mut world, &hello));
    let long = Message::Roster(vec![vec![0; 100_000]]);
    let took = (0..100).take_while(|_| says(&mut world, &long)).count();
    assert_eq!(took, EARLY_BYTES_MAX / long.encode().len());
}

#[test]
fn a_revoked_peer_hears_nothing_on_a_second_link_either() {
    let mut world = World::new(&[Spoke, Hub]);
    world.delay = 100;
    let links = [world.connect(SPOKE, HUB), world.connect(SPOKE, HUB)];
    // Each end has heard the other's HELLO on both, and no answer yet.
    world.run(150);
    assert_eq!(world.node(HUB).links().map(|view| view.state).collect::<Vec<_>>(), [LinkState::Open, LinkState::Spare]);
    let revocation = world.ministry.revoke(world.node(SPOKE).id());
    let said = world.said(HUB).count();
    world.command(HUB, Command::Statements(vec![revocation]));
    world.run(1_000);
    assert_eq!((world.said(HUB).count(), links.map(|link| world.is_up(link))), (said, [false; 2]));
    assert_eq!(world.node(HUB).counters().refused_links, 2);
}

#[test]
fn a_stranger_is_reset() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = LinkId(77);
    let peer = crate::id::NodeId([99; 32]);
    world.machines[HUB].node.handle(Input::LinkUp { link, peer }, crate::time::Now::default());
    let output = world.machines[HUB].node.poll_output();
    assert!(matches!(output, Some(Output::Reset { .. })), "{output:?}");
}
