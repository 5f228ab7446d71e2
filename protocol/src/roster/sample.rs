//! A small federation for tests: one region, one hub that makes its keys, a relay, a spoke, a radiologist.

use super::{
    PersonRole, Role, Roster, RosterVersion, Term,
    request::NodeRequest,
    statement::{AdmitNode, AdmitPerson, Genesis, KeyMaker, Statement, StatementBody, Subject},
};
use crate::{
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{Hash, Incarnation},
    time::Wall,
};

pub(crate) struct Sample {
    pub(crate) root: SigningKey,
    pub(crate) ministry: SigningKey,
    pub(crate) recovery: ReadingKey,
    pub(crate) pool: ReadingKey,
    pub(crate) hub: SigningKey,
    pub(crate) relay: SigningKey,
    pub(crate) spoke: SigningKey,
    pub(crate) reader: SigningKey,
    pub(crate) roster: Roster,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let [root, ministry, hub, relay, spoke, reader] =
            [10, 11, 12, 13, 14, 15].map(|seed| SigningKey::from_seed([seed; 32]));
        let [recovery, pool] = [20, 21].map(|seed| ReadingKey::from_seed([seed; 32]));
        let genesis = genesis(&root, &ministry, &recovery);
        let first = Statement::sign(
            &root,
            &genesis.federation(),
            1,
            Hash([0; 32]),
            Wall(1_700_000_000_000),
            &StatementBody::Genesis(genesis),
        );
        let roster = Roster::from_genesis(first.bytes()).unwrap();
        let mut sample = Self { root, ministry, recovery, pool, hub, relay, spoke, reader, roster };
        for body in sample.admissions() {
            sample.say(&body);
        }
        sample
    }

    pub(crate) fn admissions(&self) -> [StatementBody; 4] {
        let person = AdmitPerson {
            person: self.reader.person_id(),
            reading: ReadingKey::from_seed([35; 32]).public(),
            name: "Dr Banda".into(),
            roles: vec![PersonRole::Radiologist],
            region: "north".parse().unwrap(),
        };
        [
            node(AdmitNode { key_maker: KeyMaker::Yes, ..self.admit(&self.hub, Role::Hub) }),
            node(self.admit(&self.relay, Role::Relay)),
            node(self.admit_spoke()),
            StatementBody::AdmitPerson(person),
        ]
    }

    pub(crate) fn admit_spoke(&self) -> AdmitNode {
        let home = Some(self.hub.node_id());
        AdmitNode { home, term: Term(1), via: vec![self.relay.node_id()], ..self.admit(&self.spoke, Role::Spoke) }
    }

    pub(crate) fn admit(&self, key: &SigningKey, role: Role) -> AdmitNode {
        let seed = key.public()[0];
        let request = NodeRequest {
            node: key.node_id(),
            reading: ReadingKey::from_seed([seed; 32]).public(),
            name: format!("{role} {seed}"),
            role,
            addresses: vec!["/ip4/127.0.0.1/tcp/4001".into()],
            incarnation: Incarnation([seed; 8]),
            epoch0: (role == Role::Hub).then(|| self.pool.public()),
        };
        AdmitNode {
            request,
            region: "north".parse().unwrap(),
            jurisdiction: "MW".parse().unwrap(),
            home: None,
            standby: None,
            term: Term(0),
            via: vec![],
            key_maker: KeyMaker::No,
        }
    }

    /// The ministry's next statement, not applied.
    pub(crate) fn next(&self, body: &StatementBody) -> Statement {
        let (seq, prev) = self.roster.next();
        Statement::sign(&self.ministry, &self.roster.federation(), seq, prev, Wall(1_700_000_000_000), body)
    }

    pub(crate) fn say(&mut self, body: &StatementBody) -> RosterVersion {
        let statement = self.next(body);
        self.roster.apply(statement.bytes()).unwrap();
        self.roster.version()
    }

    pub(crate) fn revoke(&mut self, subject: Subject) -> RosterVersion {
        self.say(&StatementBody::Revoke(subject))
    }
}

pub(crate) fn genesis(root: &SigningKey, ministry: &SigningKey, recovery: &ReadingKey) -> Genesis {
    Genesis {
        name: "Ministry of Health".into(),
        threshold: 1,
        roots: vec![root.chain_id()],
        recovery: recovery.public(),
        ministry: ministry.chain_id(),
    }
}

pub(crate) fn node(admit: AdmitNode) -> StatementBody {
    StatementBody::AdmitNode(Box::new(admit))
}
