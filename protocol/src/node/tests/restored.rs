//! A hub or clinic whose disk was put back to an older copy, and a peer that only says it was.

use super::{
    claims::{claim, reader},
    world::World,
};
use crate::{
    claim::{Answer, ClaimState},
    class::Class,
    envelope::{body::SealedBody, reading::ReadingKey},
    id::{CaseId, Incarnation},
    log::{
        Scope, Way,
        body::{Body, Order},
        chain::ChainKey,
        held::ScopeDigest,
        sync::Entry,
    },
    node::{Command, Lane, Switch},
    roster::Role::{Hub, Relay, Spoke},
    transfer::message::{Message, Parsed},
    worklist::WorklistItem,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const SPOKE: usize = 0;
const HOME: usize = 1;
const OTHER: usize = 2;
const RELAY: usize = 2;
const CASE: CaseId = CaseId([1; 32]);

fn order(world: &mut World, at: usize) {
    let federation = world.node(at).roster().federation();
    let to = [ReadingKey::from_seed([7; 32]).public()];
    let sealed = SealedBody::seal(b"an order", &to, &federation, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let body = Box::new(Body::Order(Order { case: CASE, class: Class::Stat, sealed }));
    let scope = site(world);
    world.command(at, Command::Append { scope, body });
    world.run(50);
}

fn site(world: &World) -> Scope {
    Scope::Site(world.node(SPOKE).id())
}

/// A spoke, its home hub and another, with a case; linked in a line.
fn reading_room() -> World {
    let mut world = World::new(&[Spoke, Hub, Hub]);
    (1..4).for_each(|n| world.ministry.admit_person(&reader(n)));
    let statements: Vec<Vec<u8>> = world.ministry.roster.statements_after(&[]).map(<[u8]>::to_vec).collect();
    (0..3).for_each(|at| {
        world.command(at, Command::Statements(statements.clone()));
    });
    world.connect(SPOKE, HOME);
    world.connect(HOME, OTHER);
    world.announce_of(SPOKE, CASE, 100_000, Class::Routine);
    world.run(3_000);
    world
}

fn items(world: &World, at: usize) -> Vec<WorklistItem> {
    world.node(at).worklist().items().cloned().collect()
}

fn put_back(world: &mut World, at: usize, disk: super::world::MemoryDisk, reserve: u8) {
    world.machines[at].disk = disk;
    world.machines[at].config.reserve = Incarnation([reserve; 8]);
    world.power_cut(at);
}

#[test]
fn a_restored_home_hub_gives_no_case_away_a_second_time() {
    let mut world = reading_room();
    let copy = world.machines[HOME].disk.clone();
    claim(&mut world, OTHER, 1);
    world.run(3_000);
    assert_eq!(items(&world, OTHER)[0].claim.holder(), Some(reader(1).person_id()));
    put_back(&mut world, HOME, copy, 8);
    claim(&mut world, HOME, 2);
    world.run(3_000);
    assert!(matches!(items(&world, HOME)[0].claim, ClaimState::Tentative { .. }), "no peer has shown its log yet");
    world.connect(HOME, OTHER);
    world.connect(SPOKE, HOME);
    world.run(5_000);
    for at in [SPOKE, HOME, OTHER] {
        let item = &items(&world, at)[0];
        let granted = item.requests.values().filter(|request| matches!(request.answer, Answer::Granted { .. }));
        assert_eq!((item.claim.holder(), granted.count()), (Some(reader(1).person_id()), 1), "at {at}");
        assert!(world.node(at).logs().forked_authors().is_empty());
    }
    claim(&mut world, HOME, 1);
    world.run(1_000);
    let counter = items(&world, SPOKE)[0].token.map(|token| token.counter);
    assert_eq!(counter, Some((1 << 32) + 0x0808_0808), "no token is used twice, nor one that was forgotten");
}

#[test]
fn a_restored_hub_fetches_again_what_it_had_signed_for() {
    let mut world = reading_room();
    let copy = world.machines[HOME].disk.clone();
    let parcel = world.announce_of(SPOKE, CASE, 50_000, Class::Routine);
    world.until(10, |w| w.has_receipt(SPOKE, HOME, &parcel));
    world.run(1_000);
    put_back(&mut world, HOME, copy, 8);
    assert!(!world.is_complete(HOME, &parcel));
    world.connect(SPOKE, HOME);
    world.until(60, |w| w.is_complete(HOME, &parcel));
    assert_eq!(world.node(HOME).counters().receipts, 0, "one receipt is enough");
    // Another copy, and a power cut before the bytes are back.
    let copy = world.machines[HOME].disk.clone();
    let other = world.announce_of(SPOKE, CASE, 400_000, Class::Routine);
    world.until(10, |w| w.has_receipt(SPOKE, HOME, &other));
    world.run(1_000);
    put_back(&mut world, HOME, copy, 9);
    world.rate = 10_000;
    let link = world.connect(SPOKE, HOME);
    world.run(5_000);
    assert!(!world.is_complete(HOME, &other));
    world.cut(link);
    world.machines[HOME].config.reserve = Incarnation([10; 8]);
    world.power_cut(HOME);
    world.connect(SPOKE, HOME);
    world.until(120, |w| w.is_complete(HOME, &other));
}

#[test]
fn a_restored_home_hub_alone_with_a_case_waits_for_nobody_it_could_never_hear() {
    let mut world = reading_room();
    let (spoke, other) = (world.node(SPOKE).id(), world.node(OTHER).id());
    let gone = vec![world.ministry.revoke(spoke), world.ministry.revoke(other)];
    world.command(HOME, Command::Statements(gone));
    world.run(1_000);
    world.power_cut(HOME);
    claim(&mut world, HOME, 1);
    world.run(1_000);
    assert_eq!(items(&world, HOME)[0].claim.token_of(&reader(1).person_id()).map(|token| token.counter), Some(1));
}

#[test]
fn a_restored_hub_lists_only_what_its_log_holds_and_so_after_the_next_start() {
    let mut world = reading_room();
    let copy = world.machines[OTHER].disk.clone();
    claim(&mut world, OTHER, 1);
    world.run(3_000);
    put_back(&mut world, OTHER, copy, 8);
    claim(&mut world, OTHER, 2);
    world.run(1_000);
    world.connect(HOME, OTHER);
    world.run(5_000);
    assert!(world.converged(site(&world)));
    assert_eq!(items(&world, OTHER), items(&world, HOME));
    world.machines[OTHER].config.reserve = Incarnation([7; 8]);
    world.power_cut(OTHER);
    assert_eq!(items(&world, OTHER), items(&world, HOME));
}

#[test]
fn what_a_restored_home_hub_had_granted_meanwhile_is_decided_anew_and_forks_nothing() {
    let mut world = reading_room();
    let copy = world.machines[HOME].disk.clone();
    world.power_cut(SPOKE);
    claim(&mut world, OTHER, 1);
    world.run(3_000);
    put_back(&mut world, HOME, copy, 8);
    let link = world.connect(SPOKE, HOME);
    world.run(1_000);
    world.cut(link);
    claim(&mut world, HOME, 2);
    world.run(1_000);
    assert_eq!(items(&world, HOME)[0].claim.holder(), Some(reader(2).person_id()), "a clinic as old has confirmed it");
    for (reserve, up) in [(7, [HOME, OTHER]), (6, [SPOKE, HOME])] {
        world.connect(HOME, OTHER);
        world.run(5_000);
        let item = &items(&world, HOME)[0];
        assert_eq!(item.claim.holder(), Some(reader(1).person_id()));
        let told = item.requests.values().filter(|request| matches!(request.answer, Answer::Refused(_)));
        assert_eq!(told.count(), 1, "the second reader hears who has it");
        assert_eq!(items(&world, OTHER), items(&world, HOME));
        assert!(up.iter().all(|at| world.node(*at).logs().forked_authors().is_empty()));
        world.machines[HOME].config.reserve = Incarnation([reserve; 8]);
        world.power_cut(HOME);
    }
}

#[test]
fn a_restored_hub_gossips_nothing_of_its_own_before_a_peer_has_shown_its_log() {
    let mut world = World::new(&[Spoke, Hub, Hub]);
    world.machines.iter_mut().for_each(|machine| machine.config.gossip = Switch::On);
    (0..3).for_each(|at| world.power_cut(at));
    order(&mut world, HOME);
    world.run(1_000);
    assert!(world.node(OTHER).logs().is_empty());
    world.connect(HOME, OTHER);
    world.run(1_000);
    order(&mut world, HOME);
    world.run(300);
    assert_eq!(world.node(OTHER).logs().counters().new_by(Way::Gossiped), 1);
}

#[test]
fn a_relay_that_lies_about_our_log_silences_it_for_half_a_minute_and_opens_no_new_life() {
    let mut world = World::new(&[Spoke, Hub, Relay]);
    order(&mut world, SPOKE);
    let scope = site(&world);
    let life = world.node(SPOKE).logs().incarnation();
    let chain = ChainKey { scope, author: world.node(SPOKE).id(), incarnation: life }.tag();
    world.tamper = Some(Box::new(move |from, lane, bytes| match Message::parse(&bytes) {
        Ok(Parsed::Known(Message::Vectors(turn, mut vectors))) if from == RELAY && lane == Lane::Ctl => {
            for vector in vectors.iter_mut().filter(|vector| vector.scope == scope) {
                vector.digest = ScopeDigest([1; 16]);
                vector.entries = vec![Entry { chain, last: u64::MAX, tip: [0; 8] }];
            }
            Message::Vectors(turn, vectors).encode()
        }
        _ => bytes,
    }));
    world.connect(SPOKE, RELAY);
    world.run(1_000);
    world.connect(SPOKE, HOME);
    world.run(31_000);
    assert_eq!(world.node(HOME).logs().len(), 1);
    assert_eq!(world.node(SPOKE).logs().incarnation(), life);
}
