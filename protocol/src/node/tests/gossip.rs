//! What gossip passes on, and what one member's message may cost: nothing goes on that nobody verified.

use super::world::{FLOOR, World};
use crate::{
    envelope::sign::SigningKey,
    id::{CaseId, FederationId, Incarnation},
    log::{
        Event, Scope,
        body::{Body, StudyClosed},
        event::Header,
        held::ScopeDigest,
    },
    node::{Command, Input, Judgement, Lane, LinkId, Output, Switch},
    record::Stored,
    roster::Role::{self, Hub, Spoke},
    time::{Hlc, Mono, Now, Wall},
    transfer::message::{Message, Parsed},
};

const SPOKE: usize = 0;
const HUB: usize = 1;
const OTHER_SPOKE: usize = 2;

fn gossiping(roles: &[Role]) -> World {
    let mut world = World::new(roles);
    world.machines.iter_mut().for_each(|machine| machine.config.gossip = Switch::On);
    (0..roles.len()).for_each(|at| world.power_cut(at));
    world
}

fn judged(world: &mut World, at: usize, bytes: &[u8]) -> Judgement {
    let node = &mut world.machines[at].node;
    let now = Now { mono: Mono(world.now), wall: Wall(FLOOR + world.now) };
    node.handle(Input::Gossip { bytes: bytes.to_vec(), token: 7 }, now);
    let outputs: Vec<Output> = std::iter::from_fn(|| node.poll_output()).collect();
    let verdict = outputs.iter().find_map(|output| match output {
        Output::GossipVerdict { token: 7, judgement } => Some(*judgement),
        _ => None,
    });
    verdict.unwrap()
}

fn event(key: &SigningKey, federation: &FederationId, scope: Scope) -> Vec<u8> {
    let header = Header {
        author: key.node_id(),
        incarnation: Incarnation([1; 8]),
        scope,
        seq: 1,
        prev: crate::id::EventHash([0; 32]),
        hlc: Hlc(1),
    };
    Event::sign_raw(key, federation, &header, (999, 1), b"next year").bytes().to_vec()
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

#[test]
fn gossip_carries_an_event_once_it_is_on_disk() {
    let mut world = gossiping(&[Spoke, Hub, Hub]);
    let standby = 2;
    world.connect(SPOKE, HUB);
    world.run(1_000);
    world.machines[SPOKE].journal_stuck = true;
    let scope = Scope::Site(world.node(SPOKE).id());
    let body = Box::new(Body::StudyClosed(StudyClosed { case: CaseId([1; 32]), parcels: Vec::new() }));
    world.command(SPOKE, Command::Append { scope, body });
    world.run(3_000);
    assert!(world.node(standby).logs().is_empty());
    world.machines[SPOKE].journal_stuck = false;
    world.run(1_000);
    assert_eq!(world.node(standby).logs().len(), 1);
}

#[test]
fn gossip_passes_on_what_a_member_signed_be_it_held_here_or_not_and_nothing_else() {
    let mut world = gossiping(&[Spoke, Hub, Spoke]);
    let federation = world.ministry.roster.federation();
    let key = world.machines[HUB].key.clone();
    let [here, elsewhere] = [SPOKE, OTHER_SPOKE].map(|at| Scope::Site(world.node(at).id()));
    for scope in [here, elsewhere] {
        let genuine = event(&key, &federation, scope);
        assert_eq!(judged(&mut world, SPOKE, &flipped(&genuine)), Judgement::Reject);
        assert_eq!(judged(&mut world, SPOKE, &genuine), Judgement::Accept);
    }
    assert_eq!(world.node(SPOKE).logs().len(), 1, "what is not held here is not kept");
    assert_eq!(judged(&mut world, SPOKE, b"no event"), Judgement::Reject);
}

#[test]
fn what_cannot_be_judged_is_not_passed_on_and_blames_nobody() {
    let mut world = gossiping(&[Spoke, Hub]);
    let federation = world.ministry.roster.federation();
    let site = Scope::Site(world.node(SPOKE).id());
    let stranger = event(&SigningKey::from_seed([77; 32]), &federation, site);
    assert_eq!(judged(&mut world, HUB, &stranger), Judgement::Ignore, "admitted since, for all this node knows");
    world.input(HUB, Input::Stored(Stored::Faulted));
    let genuine = event(&world.machines[SPOKE].key.clone(), &federation, site);
    assert_eq!(judged(&mut world, HUB, &genuine), Judgement::Ignore);
}

fn vectors_sent(world: &World, from: usize) -> usize {
    let vectors = world.said(from).map(|(_, message)| match message {
        Message::Vectors(_, vectors) => vectors.len(),
        _ => 0,
    });
    vectors.sum()
}

#[test]
fn a_scope_named_five_thousand_times_is_answered_once() {
    let mut world = World::new(&[Spoke, Hub]);
    let link = world.connect(SPOKE, HUB);
    world.run(1_000);
    let before = vectors_sent(&world, HUB);
    let site = Scope::Site(world.node(SPOKE).id());
    let bytes = Message::Digests(vec![(site, ScopeDigest([9; 16])); 5_000]).encode();
    world.input(HUB, Input::Message { link, lane: Lane::Ctl, bytes });
    assert_eq!(vectors_sent(&world, HUB) - before, 1);
    let lie = |from: usize| {
        let mut vector = world.node(from).logs().vector(site);
        vector.digest = ScopeDigest([9; 16]);
        vector
    };
    let bytes = Message::Vectors(crate::transfer::message::Turn::Ask, vec![lie(HUB); 1_000]).encode();
    let before = vectors_sent(&world, HUB);
    world.input(HUB, Input::Message { link, lane: Lane::Ctl, bytes });
    assert!(vectors_sent(&world, HUB) - before <= 1);
}

#[test]
fn two_rosters_as_long_as_each_other_and_not_the_same_are_counted() {
    let mut world = World::new(&[Spoke, Hub]);
    let _: LinkId = world.connect(SPOKE, HUB);
    world.run(1_000);
    assert_eq!(world.node(HUB).counters().roster_forks, 0);
    world.tamper = Some(Box::new(|from, _, bytes| match Message::parse(&bytes) {
        Ok(Parsed::Known(Message::Hello(mut hello))) if from == SPOKE => {
            hello.roster_digest = [9; 16];
            Message::Hello(hello).encode()
        }
        _ => bytes,
    }));
    let second = world.connect(SPOKE, HUB);
    world.run(1_000);
    assert!(world.is_up(second));
    assert_eq!(world.node(HUB).counters().roster_forks, 1);
}
