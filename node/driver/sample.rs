//! A ministry and its federation, for the tests of this folder.

use radmesh_protocol::{
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{FederationId, Hash, Incarnation, NodeId},
    roster::{
        Role, Roster, Term,
        request::NodeRequest,
        statement::{AdmitNode, Genesis, KeyMaker, Statement, StatementBody, Subject},
    },
    time::Wall,
};

/// Signs the roster of one federation.
pub(super) struct Ministry {
    key: SigningKey,
    pub(super) roster: Roster,
}

/// A node's place.
#[derive(Default)]
pub(super) struct Place<'a> {
    pub(super) region: Option<&'a str>,
    pub(super) address: Option<String>,
    pub(super) home: Option<NodeId>,
    pub(super) standby: Option<NodeId>,
    pub(super) via: &'a [NodeId],
}

/// The key of node `seed`.
pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

/// The id of node `seed`.
pub(super) fn id(seed: u8) -> NodeId {
    key(seed).node_id()
}

impl Ministry {
    pub(super) fn begin() -> Self {
        Self::begin_as(201)
    }

    /// A ministry whose root key is another's: another federation, whatever its name.
    pub(super) fn begin_as(root: u8) -> Self {
        let (root, key) = (key(root), key(202));
        let genesis = Genesis {
            name: "Ministry".to_owned(),
            threshold: 1,
            roots: vec![root.chain_id()],
            recovery: ReadingKey::from_seed([203; 32]).public(),
            ministry: key.chain_id(),
        };
        let federation = genesis.federation();
        let first = Statement::sign(&root, &federation, 1, Hash([0; 32]), Wall(0), &StatementBody::Genesis(genesis));
        Self { key, roster: Roster::from_genesis(first.bytes()).unwrap() }
    }

    pub(super) fn federation(&self) -> FederationId {
        self.roster.federation()
    }

    pub(super) fn statements(&self) -> Vec<Vec<u8>> {
        self.roster.statements_after(&[]).map(<[u8]>::to_vec).collect()
    }

    pub(super) fn admit(&mut self, seed: u8, role: Role, place: Place<'_>) {
        let (node, home) = (id(seed), place.home);
        let term = if home.is_some() { self.roster.term_with_home(&node, home) } else { Term(0) };
        let request = NodeRequest {
            node,
            reading: ReadingKey::from_seed([seed; 32]).public(),
            name: format!("{role} {seed}"),
            role,
            addresses: place.address.into_iter().collect(),
            incarnation: Incarnation([seed; 8]),
            epoch0: None,
        };
        self.say(&StatementBody::AdmitNode(Box::new(AdmitNode {
            request,
            region: place.region.unwrap_or("north").parse().unwrap(),
            jurisdiction: "MW".parse().unwrap(),
            home,
            standby: place.standby,
            term,
            via: place.via.to_vec(),
            key_maker: KeyMaker::No,
        })));
    }

    pub(super) fn revoke(&mut self, seed: u8) {
        self.say(&StatementBody::Revoke(Subject::Node(id(seed))));
    }

    fn say(&mut self, body: &StatementBody) {
        let (seq, prev) = self.roster.next();
        let statement = Statement::sign(&self.key, &self.federation(), seq, prev, Wall(0), body);
        self.roster.apply(statement.bytes()).unwrap();
    }
}
