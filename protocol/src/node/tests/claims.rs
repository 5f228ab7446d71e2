//! Claims: the home hub gives a case to one reader, over any crash.

use super::world::World;
use crate::{
    claim::{Answer, ClaimState, REQUEST_TAG, Request},
    class::Class,
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::CaseId,
    log::{Scope, body::Body},
    node::{Command, LinkId},
    person::{SignedAt, Statement},
    roster::Role::{self, Hub, Spoke},
    wire,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const SPOKE: usize = 0;
const HOME: usize = 1;
const OTHER: usize = 2;
const CASE: CaseId = CaseId([1; 32]);

pub(super) fn reader(n: u8) -> SigningKey {
    SigningKey::from_seed([100 + n; 32])
}

pub(super) fn claim(world: &mut World, at: usize, n: u8) {
    let (key, node) = (reader(n), world.node(at).id());
    let federation = world.node(at).roster().federation();
    let to = ReadingKey::from_seed(key.public()).public();
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(n));
    let request = Request::new(CASE, &format!("1.2.{n}"), &to, &federation, &mut rng).unwrap();
    let roster_version = world.node(at).roster().version();
    let signed = SignedAt { key: &key, node, federation: &federation, roster_version };
    let body = Body::ClaimRequest(Statement::sign(signed, REQUEST_TAG, CASE, &[], &wire::encode(&request)));
    let scope = Scope::Site(world.node(SPOKE).id());
    world.command(at, Command::Append { scope, body: Box::new(body) });
}

/// A clinic, its home hub, and other hubs; a reader at each.
fn readers_at(hubs: u8) -> World {
    let roles: Vec<Role> = [Spoke].into_iter().chain((0..hubs).map(|_| Hub)).collect();
    let mut world = World::new(&roles);
    (1..=hubs).for_each(|n| world.ministry.admit_person(&reader(n)));
    let statements: Vec<Vec<u8>> = world.ministry.roster.statements_after(&[]).map(<[u8]>::to_vec).collect();
    (0..roles.len()).for_each(|at| {
        world.command(at, Command::Statements(statements.clone()));
    });
    world
}

fn reading_room() -> World {
    let mut world = readers_at(2);
    world.connect(SPOKE, HOME);
    world.connect(HOME, OTHER);
    world.announce_of(SPOKE, CASE, 100_000, Class::Routine);
    world.run(3_000);
    world
}

fn grants(world: &World, at: usize) -> usize {
    let item = world.node(at).worklist().item(&CASE).unwrap();
    item.requests.values().filter(|request| matches!(request.answer, Answer::Granted { .. })).count()
}

#[test]
fn of_two_readers_one_wins_and_the_other_is_told_who_and_until_when() {
    let mut world = reading_room();
    claim(&mut world, HOME, 1);
    claim(&mut world, OTHER, 2);
    world.run(3_000);
    for at in [SPOKE, HOME, OTHER] {
        let item = world.node(at).worklist().item(&CASE).unwrap();
        assert_eq!(item.claim.holder(), Some(reader(1).person_id()), "at {at}");
        let refused = item.requests.values().filter(|request| matches!(request.answer, Answer::Refused(_)));
        assert_eq!((grants(&world, at), refused.count()), (1, 1));
    }
}

/// Every way in which `nodes` nodes can fall into parts that do not reach each other: the part of each.
fn partitions(nodes: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..nodes {
        let more = |shape: Vec<usize>| {
            let parts = shape.iter().max().map_or(0, |part| part + 1);
            (0..=parts).map(move |part| shape.iter().copied().chain([part]).collect())
        };
        all = all.into_iter().flat_map(more).collect();
    }
    all
}

fn links(world: &mut World, reach: impl Fn(usize, usize) -> bool) -> Vec<LinkId> {
    let pairs = (0..5).flat_map(|b| (0..b).map(move |a| (a, b))).filter(|(a, b)| reach(*a, *b));
    pairs.map(|(a, b)| world.connect(a, b)).collect()
}

#[test]
fn two_who_claim_one_case_in_any_of_the_52_partitions_of_five_nodes_end_as_one_reader_everywhere() {
    let shapes = partitions(5);
    assert_eq!(shapes.len(), 52);
    for part in shapes {
        for (one, other) in [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)] {
            let mut world = readers_at(4);
            let whole = links(&mut world, |_, _| true);
            world.announce_of(SPOKE, CASE, 1_000, Class::Routine);
            world.run(3_000);
            whole.into_iter().for_each(|link| world.cut(link));
            let parted = links(&mut world, |a, b| part[a] == part[b]);
            world.run(500);
            let near_home = |at: usize| part[at] == part[HOME];
            for at in [other, one] {
                claim(&mut world, at, at as u8);
                world.run(2_000);
            }
            for at in [one, other] {
                let granted = near_home(one) || near_home(other);
                assert_eq!(grants(&world, at), usize::from(granted && near_home(at)), "{part:?} {one} {other}");
            }
            parted.into_iter().for_each(|link| world.cut(link));
            links(&mut world, |_, _| true);
            world.run(5_000);
            let first = [other, one].into_iter().find(|at| near_home(*at));
            let holder = world.node(HOME).worklist().item(&CASE).unwrap().claim.holder();
            let may_hold = first.map_or(vec![one, other], |first| vec![first]);
            assert!(may_hold.iter().any(|at| holder == Some(reader(*at as u8).person_id())), "{part:?} {one} {other}");
            for at in 0..5 {
                let item = world.node(at).worklist().item(&CASE).unwrap();
                let refused = item.requests.values().filter(|request| matches!(request.answer, Answer::Refused(_)));
                let found = (item.claim.holder(), grants(&world, at), refused.count());
                assert_eq!(found, (holder, 1, 1), "{part:?} {one} {other} at {at}");
            }
            assert!(world.converged(Scope::Site(world.node(SPOKE).id())));
        }
    }
}

#[test]
fn home_hub_killed_between_request_and_grant_leaves_no_double_grant() {
    for stuck in [0, 1, 2, 3, 5, 8] {
        let mut world = reading_room();
        world.machines[HOME].journal_stuck = true;
        claim(&mut world, OTHER, 2);
        world.run(100 + stuck);
        world.machines[HOME].journal_stuck = false;
        world.run(stuck);
        world.power_cut(HOME);
        claim(&mut world, HOME, 1);
        world.run(50);
        world.connect(HOME, OTHER);
        world.connect(SPOKE, HOME);
        world.run(5_000);
        let holders: Vec<_> =
            [SPOKE, HOME, OTHER].map(|at| world.node(at).worklist().item(&CASE).unwrap().claim.holder()).to_vec();
        assert!(holders.iter().all(|holder| *holder == holders[0] && holder.is_some()), "{holders:?}");
        assert_eq!(grants(&world, OTHER), 1);
    }
}

#[test]
fn a_lease_that_nobody_renews_ends_by_itself() {
    let mut world = reading_room();
    claim(&mut world, OTHER, 2);
    world.run(3_000);
    assert!(matches!(world.node(SPOKE).worklist().item(&CASE).unwrap().claim, ClaimState::Granted { .. }));
    world.run(67 * 60_000);
    for at in [SPOKE, HOME, OTHER] {
        assert_eq!(world.node(at).worklist().item(&CASE).unwrap().claim, ClaimState::Free, "at {at}");
    }
}
