//! The federation of a run: its keys, and the roster that names its nodes and readers.
//!
//! One ministry; spokes, a relay on their routes, and hubs with a reader each. Homes and standbys go round the hubs.

use crate::{chance::Chance, scenario::Scenario, world::FLOOR};
use radmesh_protocol::{
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{FederationId, Hash, Incarnation, Region},
    roster::{
        PersonRole, Role, Roster, Term,
        request::NodeRequest,
        statement::{AdmitNode, AdmitPerson, Genesis, KeyMaker, Statement, StatementBody, Subject},
    },
    time::Wall,
};
use std::ops::Range;

/// A node as it was admitted.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) key: SigningKey,
    pub(crate) incarnation: Incarnation,
}

/// Which machine plays which part: spokes, then the relay on their routes, then hubs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    spokes: usize,
    hubs: usize,
}

impl Places {
    pub(crate) const fn of(scenario: &Scenario) -> Self {
        Self { spokes: scenario.spokes, hubs: scenario.hubs }
    }

    pub(crate) const fn spokes(self) -> Range<usize> {
        0..self.spokes
    }

    pub(crate) const fn relay(self) -> usize {
        self.spokes
    }

    pub(crate) const fn hubs(self) -> Range<usize> {
        self.spokes + 1..self.spokes + 1 + self.hubs
    }

    /// Who is in the wrong hands where members are: the last spoke, the relay and the last hub, three of ten in a
    /// federation of five spokes and four hubs.
    pub(crate) const fn liars(self) -> [usize; 3] {
        [self.spokes - 1, self.spokes, self.spokes + self.hubs]
    }

    /// The home hub that a spoke begins with.
    pub(crate) const fn first_home(self, spoke: usize) -> usize {
        self.hubs().start + spoke % self.hubs
    }

    /// The hub after it, where there are two.
    fn first_standby(self, spoke: usize) -> Option<usize> {
        (self.hubs > 1).then(|| self.hubs().start + (spoke + 1) % self.hubs)
    }

    /// The hub that makes the pool's keys to begin with; there is another where there are two.
    const fn first_key_maker(self) -> usize {
        self.hubs().start
    }

    fn first_route(self, at: usize) -> Route {
        let is_spoke = at < self.spokes;
        let (home, standby) = (self.first_home(at), self.first_standby(at));
        (Some(home).filter(|_| is_spoke), standby.filter(|_| is_spoke), Term(u64::from(is_spoke)))
    }

    fn name(self, at: usize) -> String {
        let (part, number) = match at.checked_sub(self.spokes) {
            None => ("spoke", at),
            Some(0) => ("relay", 0),
            Some(hub) => ("hub", hub - 1),
        };
        if number == 0 { part.to_owned() } else { format!("{part}{}", number + 1) }
    }

    const fn role(self, at: usize) -> Role {
        if at < self.spokes {
            Role::Spoke
        } else if at == self.relay() {
            Role::Relay
        } else {
            Role::Hub
        }
    }
}

/// Home and standby of a spoke, and the home's term.
type Route = (Option<usize>, Option<usize>, Term);

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Federation {
    pub(crate) id: FederationId,
    pub(crate) places: Places,
    ministry: SigningKey,
    roster: Roster,
    pub(crate) statements: Vec<Vec<u8>>,
    /// In the order of [`Places`].
    pub(crate) members: Vec<Member>,
    /// One reader a hub, in the order of the hubs.
    pub(crate) readers: Vec<SigningKey>,
    /// The home hub of each spoke by now.
    pub(crate) homes: Vec<usize>,
}

/// The only pool and jurisdiction of a run.
pub(crate) fn region() -> Region {
    "north".parse().expect("five letters are a region")
}

/// The key a reader or hub opens with.
pub(crate) fn reading_key(of: &SigningKey) -> ReadingKey {
    ReadingKey::from_seed(of.public())
}

impl Federation {
    pub(crate) fn new(scenario: &Scenario, chance: &mut Chance) -> Self {
        let places = Places::of(scenario);
        let member = |at| Member {
            name: places.name(at),
            role: places.role(at),
            key: SigningKey::from_seed(chance.bytes()),
            incarnation: Incarnation(chance.bytes()),
        };
        let members: Vec<Member> = (0..places.hubs().end).map(member).collect();
        let readers: Vec<SigningKey> = places.hubs().map(|_| SigningKey::from_seed(chance.bytes())).collect();
        let (root, ministry) = (SigningKey::from_seed(chance.bytes()), SigningKey::from_seed(chance.bytes()));
        let genesis = Genesis {
            name: "Ministry".to_owned(),
            threshold: 1,
            roots: vec![root.chain_id()],
            recovery: ReadingKey::from_seed(chance.bytes()).public(),
            ministry: ministry.chain_id(),
        };
        let id = genesis.federation();
        let first = Statement::sign(&root, &id, 1, Hash([0; 32]), Wall(FLOOR), &StatementBody::Genesis(genesis));
        let mut roster = Roster::from_genesis(first.bytes()).expect("a federation of our own making begins");
        // Hubs and relay first: a spoke's statement names them.
        let makes_keys = |at| if at == places.first_key_maker() { KeyMaker::Yes } else { KeyMaker::No };
        let bodies =
            (0..members.len()).rev().map(|at| admit(at, &members, places, places.first_route(at), makes_keys(at)));
        for body in bodies.chain(readers.iter().map(admit_reader)) {
            state(&ministry, &mut roster, &body);
        }
        let statements = roster.statements_after(&[]).map(<[u8]>::to_vec).collect();
        let homes = places.spokes().map(|spoke| places.first_home(spoke)).collect();
        Self { id, places, ministry, roster, statements, members, readers, homes }
    }

    /// Each spoke of the lost hub has its standby for its home from now on: the statements that say so.
    pub(crate) fn name_standby(&mut self, lost: usize) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        for spoke in self.places.spokes().filter(|spoke| self.homes[*spoke] == lost).collect::<Vec<_>>() {
            let Some(home) = self.places.first_standby(spoke) else { continue };
            self.homes[spoke] = home;
            let term =
                self.roster.term_with_home(&self.members[spoke].key.node_id(), Some(self.members[home].key.node_id()));
            let body = admit(spoke, &self.members, self.places, (Some(home), None, term), KeyMaker::No);
            said.push(state(&self.ministry, &mut self.roster, &body));
        }
        said
    }

    /// A member is one no more: the statements that say so, and who does what it did.
    pub(crate) fn revoke(&mut self, at: usize) -> Vec<Vec<u8>> {
        let subject = Subject::Node(self.members[at].key.node_id());
        let mut said = vec![state(&self.ministry, &mut self.roster, &StatementBody::Revoke(subject))];
        if self.places.first_key_maker() == at {
            let body = admit(at + 1, &self.members, self.places, self.places.first_route(at + 1), KeyMaker::Yes);
            said.push(state(&self.ministry, &mut self.roster, &body));
        }
        said.extend(self.name_standby(at));
        said
    }

    /// Who holds the events of a spoke's cases: itself, the relay on its route, and the hubs of its pool.
    pub(crate) fn holders_of(&self, spoke: usize) -> impl Iterator<Item = usize> + use<> {
        [spoke, self.places.relay()].into_iter().chain(self.places.hubs())
    }
}

/// The ministry's next statement.
fn state(ministry: &SigningKey, roster: &mut Roster, body: &StatementBody) -> Vec<u8> {
    let (seq, prev) = roster.next();
    let statement = Statement::sign(ministry, &roster.federation(), seq, prev, Wall(FLOOR), body);
    roster.apply(statement.bytes()).expect("a statement of our own making holds");
    statement.bytes().to_vec()
}

fn admit(
    at: usize,
    members: &[Member],
    places: Places,
    (home, standby, term): Route,
    key_maker: KeyMaker,
) -> StatementBody {
    let member = &members[at];
    let reading = reading_key(&member.key).public();
    let id = |at: usize| members[at].key.node_id();
    let spoke = member.role == Role::Spoke;
    let request = NodeRequest {
        node: id(at),
        reading,
        name: member.name.clone(),
        role: member.role,
        addresses: Vec::new(),
        incarnation: member.incarnation,
        epoch0: (member.role == Role::Hub).then_some(reading),
    };
    StatementBody::AdmitNode(Box::new(AdmitNode {
        request,
        region: region(),
        jurisdiction: region(),
        home: home.map(id),
        standby: standby.map(id),
        term,
        via: if spoke { vec![id(places.relay())] } else { Vec::new() },
        key_maker,
    }))
}

fn admit_reader(key: &SigningKey) -> StatementBody {
    StatementBody::AdmitPerson(AdmitPerson {
        person: key.person_id(),
        reading: reading_key(key).public(),
        name: "Dr Banda".to_owned(),
        roles: vec![PersonRole::Radiologist],
        region: region(),
    })
}
