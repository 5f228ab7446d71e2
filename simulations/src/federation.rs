//! The federation of a run: its keys, and the roster that names its nodes and readers.
//!
//! One ministry, one spoke, one relay on its route, one or two hubs with a reader each.

use crate::{chance::Chance, world::FLOOR};
use radmesh_protocol::{
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{FederationId, Hash, Incarnation, NodeId, Region},
    roster::{
        PersonRole, Role, Roster, Term,
        request::NodeRequest,
        statement::{AdmitNode, AdmitPerson, Genesis, KeyMaker, Statement, StatementBody},
    },
    time::Wall,
};

/// A node as it was admitted.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) key: SigningKey,
    pub(crate) incarnation: Incarnation,
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Federation {
    pub(crate) id: FederationId,
    pub(crate) statements: Vec<Vec<u8>>,
    /// Spoke, relay, hubs.
    pub(crate) members: Vec<Member>,
    /// One reader a hub, in the order of the hubs.
    pub(crate) readers: Vec<SigningKey>,
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
    pub(crate) fn new(hubs: usize, chance: &mut Chance) -> Self {
        let names = [("spoke", Role::Spoke), ("relay", Role::Relay), ("hub", Role::Hub), ("standby", Role::Hub)];
        let members: Vec<Member> = names[..2 + hubs]
            .iter()
            .map(|&(name, role)| Member {
                name,
                role,
                key: SigningKey::from_seed(chance.bytes()),
                incarnation: Incarnation(chance.bytes()),
            })
            .collect();
        let readers: Vec<SigningKey> = (0..hubs).map(|_| SigningKey::from_seed(chance.bytes())).collect();
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
        let bodies = members.iter().rev().map(|member| admit(member, &members));
        for body in bodies.chain(readers.iter().map(admit_reader)) {
            let (seq, prev) = roster.next();
            let statement = Statement::sign(&ministry, &id, seq, prev, Wall(FLOOR), &body);
            roster.apply(statement.bytes()).expect("a statement of our own making holds");
        }
        let statements = roster.statements_after(&[]).map(<[u8]>::to_vec).collect();
        Self { id, statements, members, readers }
    }
}

fn admit(member: &Member, members: &[Member]) -> StatementBody {
    let reading = reading_key(&member.key).public();
    let hub = |n: usize| members.iter().filter(|other| other.role == Role::Hub).nth(n).map(|hub| hub.key.node_id());
    let spoke = member.role == Role::Spoke;
    let via: Vec<NodeId> =
        members.iter().filter(|other| spoke && other.role == Role::Relay).map(|relay| relay.key.node_id()).collect();
    let request = NodeRequest {
        node: member.key.node_id(),
        reading,
        name: member.name.to_owned(),
        role: member.role,
        addresses: Vec::new(),
        incarnation: member.incarnation,
        epoch0: (member.role == Role::Hub).then_some(reading),
    };
    StatementBody::AdmitNode(Box::new(AdmitNode {
        request,
        region: region(),
        jurisdiction: region(),
        home: hub(0).filter(|_| spoke),
        standby: hub(1).filter(|_| spoke),
        term: Term(u64::from(spoke)),
        via,
        key_maker: if member.name == "hub" { KeyMaker::Yes } else { KeyMaker::No },
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
