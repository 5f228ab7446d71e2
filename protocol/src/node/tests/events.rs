//! Events: each way of exchange alone, and nothing sent twice.

use super::world::{World, version};
use crate::{
    class::Class,
    envelope::{body::SealedBody, reading::ReadingKey},
    id::CaseId,
    log::{
        Scope, Way,
        body::{Body, Order},
    },
    node::{Answer, Command, Switch},
    roster::Role::{Hub, Relay, Spoke},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const SPOKE: usize = 0;
const HUB: usize = 1;

fn order(world: &mut World, at: usize, case: u8) {
    let federation = world.node(at).roster().federation();
    let to = [ReadingKey::from_seed([7; 32]).public()];
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(case));
    let sealed = SealedBody::seal(b"an order", &to, &federation, &mut rng).unwrap();
    let body = Box::new(Body::Order(Order { case: CaseId([case; 32]), class: Class::Routine, sealed }));
    let scope = Scope::Site(world.node(SPOKE).id());
    let id = world.command(at, Command::Append { scope, body });
    world.run(50);
    assert!(matches!(world.answer(at, id), Some(Answer::Appended(_))));
}

fn new_by(world: &World, at: usize, way: Way) -> u64 {
    world.node(at).logs().counters().new_by(way)
}

#[test]
fn an_event_is_pushed_at_once_and_never_back() {
    let mut world = World::new(&[Spoke, Hub]);
    world.connect(SPOKE, HUB);
    world.run(1_000);
    order(&mut world, SPOKE, 1);
    world.run(500);
    assert_eq!((new_by(&world, HUB, Way::Pushed), new_by(&world, HUB, Way::Synced)), (1, 0));
    assert!(world.node(HUB).worklist().item(&CaseId([1; 32])).is_some());
    assert_eq!(world.sent_in_vain(), 0);
}

#[test]
fn events_made_apart_are_exchanged_at_reconnect_and_none_twice() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = world.connect(SPOKE, HUB);
    world.run(1_000);
    (1..5).for_each(|case| order(&mut world, SPOKE, case));
    world.run(1_000);
    world.cut(link);
    (5..12).for_each(|case| order(&mut world, SPOKE, case));
    let link = world.connect(SPOKE, HUB);
    world.run(5_000);
    let scope = Scope::Site(world.node(SPOKE).id());
    assert!(world.converged(scope));
    assert_eq!((new_by(&world, HUB, Way::Synced), world.sent_in_vain()), (7, 0));
    world.cut(link);
    world.connect(SPOKE, HUB);
    world.run(5_000);
    assert_eq!(world.sent_in_vain(), 0);
}

#[test]
fn a_link_cut_in_the_middle_of_a_batch_loses_no_event() {
    for cut_at in [60, 120, 200, 300, 450] {
        let mut world = World::new(&[Spoke, Hub]);
        (world.rate, world.delay) = (20_000, 30);
        (1..60).for_each(|case| order(&mut world, SPOKE, case));
        let link = world.connect(SPOKE, HUB);
        world.run(cut_at);
        world.cut(link);
        world.connect(SPOKE, HUB);
        world.run(20_000);
        let scope = Scope::Site(world.node(SPOKE).id());
        assert!(world.converged(scope), "cut at {cut_at} ms");
    }
}

#[test]
fn with_push_and_gossip_off_anti_entropy_brings_it_within_minutes() {
    let mut world = World::new(&[Spoke, Hub]);
    reconfigure(&mut world, |config| config.push = Switch::Off);
    world.connect(SPOKE, HUB);
    world.run(1_000);
    order(&mut world, SPOKE, 1);
    world.run(310_000);
    assert_eq!((new_by(&world, HUB, Way::Pushed), new_by(&world, HUB, Way::Synced)), (0, 1));
}

#[test]
fn with_anti_entropy_off_pushes_alone_converge_over_a_relay() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    reconfigure(&mut world, |config| config.anti_entropy = Switch::Off);
    world.connect(SPOKE, 2);
    world.connect(2, HUB);
    world.run(1_000);
    (1..6).for_each(|case| order(&mut world, SPOKE, case));
    world.run(2_000);
    assert_eq!((new_by(&world, HUB, Way::Pushed), new_by(&world, HUB, Way::Synced)), (5, 0));
}

#[test]
fn gossip_alone_brings_an_event_between_hubs() {
    let mut world = World::new(&[Spoke, Hub, Hub]);
    reconfigure(&mut world, |config| {
        config.gossip = Switch::On;
        config.push = Switch::Off;
        config.anti_entropy = Switch::Off;
    });
    world.connect(HUB, 2);
    world.run(1_000);
    order(&mut world, HUB, 1);
    world.run(1_000);
    assert_eq!((new_by(&world, 2, Way::Gossiped), new_by(&world, 2, Way::Pushed)), (1, 0));
}

#[test]
fn three_hubs_in_a_ring_send_nothing_in_vain() {
    let mut world = World::new(&[Spoke, Hub, Hub, Hub, Relay]);
    for (a, b) in [(SPOKE, 4), (4, 1), (4, 2), (1, 2), (2, 3), (3, 1)] {
        world.connect(a, b);
    }
    world.run(2_000);
    for case in 1..8 {
        order(&mut world, SPOKE, case);
        world.run(3_000);
    }
    let scope = Scope::Site(world.node(SPOKE).id());
    world.run(5_000);
    assert!(world.converged(scope));
    assert_eq!(world.sent_in_vain(), 0);
}

#[test]
fn nothing_of_our_own_leaves_before_it_is_on_disk() {
    let mut world = World::new(&[Spoke, Hub]);
    world.connect(SPOKE, HUB);
    world.run(1_000);
    world.machines[SPOKE].journal_stuck = true;
    let federation = world.node(SPOKE).roster().federation();
    let to = [ReadingKey::from_seed([7; 32]).public()];
    let sealed = SealedBody::seal(b"an order", &to, &federation, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let body = Box::new(Body::Order(Order { case: CaseId([1; 32]), class: Class::Stat, sealed }));
    let scope = Scope::Site(world.node(SPOKE).id());
    let id = world.command(SPOKE, Command::Append { scope, body });
    world.run(3_000);
    assert_eq!(world.answer(SPOKE, id), None);
    assert!(world.node(HUB).logs().is_empty());
    world.machines[SPOKE].journal_stuck = false;
    world.run(1_000);
    assert!(world.answer(SPOKE, id).is_some() && world.node(HUB).logs().len() == 1);
}

#[test]
fn a_restored_old_disk_goes_on_in_a_new_incarnation_and_nothing_is_lost() {
    let mut world = World::new(&[Spoke, Hub]);
    (1..3).for_each(|case| order(&mut world, SPOKE, case));
    let copy = world.machines[SPOKE].disk.clone();
    let link = world.connect(SPOKE, HUB);
    (3..5).for_each(|case| order(&mut world, SPOKE, case));
    world.run(2_000);
    world.cut(link);
    world.machines[SPOKE].disk = copy;
    world.power_cut(SPOKE);
    order(&mut world, SPOKE, 9);
    world.connect(SPOKE, HUB);
    world.run(5_000);
    let scope = Scope::Site(world.node(SPOKE).id());
    assert!(world.converged(scope));
    assert!(world.node(HUB).logs().forked_authors().is_empty());
    let cases: Vec<u8> = world.node(HUB).worklist().items().map(|item| item.case.0[0]).collect();
    assert_eq!(cases, [1, 2, 3, 4, 9]);
}

#[test]
fn a_roster_statement_reaches_everyone_and_a_revoked_peer_is_cut_off() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    let far = world.connect(SPOKE, 2);
    let near = world.connect(2, HUB);
    world.run(1_000);
    let relay = world.node(2).id();
    let revocation = world.ministry.revoke(relay);
    let id = world.command(HUB, Command::Statements(vec![revocation]));
    world.run(1_000);
    assert_eq!(world.answer(HUB, id), Some(&Answer::Statements(1)));
    assert!(!world.is_up(near));
    world.connect(SPOKE, HUB);
    world.run(1_000);
    assert_eq!(world.node(SPOKE).roster().version(), version(&world));
    assert!(!world.is_up(far));
}

/// Starts every node anew under other settings.
fn reconfigure(world: &mut World, change: impl Fn(&mut crate::node::NodeConfig)) {
    for at in 0..world.machines.len() {
        change(&mut world.machines[at].config);
        world.power_cut(at);
    }
}
