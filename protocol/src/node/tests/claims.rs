//! Claims: the home hub gives a case to one reader, over any crash.

use super::world::World;
use crate::{
    claim::{Answer, ClaimState, REQUEST_TAG, Request},
    class::Class,
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::CaseId,
    log::{Scope, body::Body},
    node::Command,
    person::{SignedAt, Statement},
    roster::Role::{Hub, Spoke},
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

fn reading_room() -> World {
    let mut world = World::new(&[Spoke, Hub, Hub]);
    (1..3).for_each(|n| world.ministry.admit_person(&reader(n)));
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
