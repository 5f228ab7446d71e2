//! The fold of the chains: statements in, members out.
//!
//! A statement is taken only if it is the next of a chain that the root delegated, its signature holds and its
//! chain may say such a thing. Whatever is refused leaves the roster as it was, so that a bad join stream can be
//! closed at its first bad statement with nothing to undo.

use super::{
    Member, PersonMember, PersonRole, Role, RosterVersion, Standing, Term,
    request::{RequestError, check_text},
    statement::{AdmitNode, AdmitPerson, Genesis, KeyMaker, Statement, StatementBody, Subject},
};
use crate::{
    envelope::{reading::ReadingPublic, tag},
    id::{ChainId, FederationId, Hash, NodeId, PersonId, Region},
    limits::{NAME_CHARS_MAX, RELAYS_MAX, ROSTER_FILE_BYTES_MAX, STATEMENT_BYTES_MAX},
    time::Millis,
    wire::{
        WireError,
        cursor::{Cursor, Put},
    },
};
use std::collections::BTreeMap;

/// Length of a claim that is not renewed, until a policy says otherwise.
pub const CLAIM_LEASE_DEFAULT: Millis = Millis::from_secs(60 * 60);
/// Shortest and longest lease that a policy may set.
pub const CLAIM_LEASE_RANGE: std::ops::RangeInclusive<Millis> = Millis(500)..=Millis::from_secs(24 * 3600);

const FILE_MAGIC: &[u8] = b"radmesh roster 1\n";

/// Who is a member, as far as the statements held say.
#[derive(Debug, Clone)]
pub struct Roster {
    federation: FederationId,
    genesis: Option<Genesis>,
    root: Chain,
    ministry: Chain,
    nodes: BTreeMap<NodeId, Member>,
    persons: BTreeMap<PersonId, PersonMember>,
    claim_lease: Millis,
}

/// One chain: its statements as they travel, and their hashes.
#[derive(Debug, Clone)]
struct Chain {
    /// Hash the first statement continues: zeros for the root, the delegating statement for the others.
    anchor: Hash,
    links: Vec<(Hash, Vec<u8>)>,
}

/// Where a statement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Anybody,
    /// What is there was verified when it came.
    OwnJournal,
}

/// What a statement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It was the next of its chain.
    New,
    /// It was held already.
    Known,
}

/// A statement that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Its bytes do not fit.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Its signature does not hold in this federation.
    #[error("statement {seq} is not signed by the chain it names, or belongs to another federation")]
    Signature {
        /// Its place.
        seq: u64,
    },
    /// Its chain was never delegated by the root.
    #[error("chain {chain} has no delegation from the root")]
    NotDelegated {
        /// The chain it names.
        chain: ChainId,
    },
    /// Statements before it are missing.
    #[error("statement {seq} comes before statement {expected} of its chain is here")]
    Gap {
        /// Its place.
        seq: u64,
        /// The place that is next.
        expected: u64,
    },
    /// Another statement is held in its place, or before it: two histories were signed with one key.
    #[error("statement {seq} contradicts the chain that is held: two histories were signed with one key")]
    Fork {
        /// Its place.
        seq: u64,
    },
    /// Its chain may not say that.
    #[error("statement {seq}: its chain may not {act}")]
    Scope {
        /// Its place.
        seq: u64,
        /// What it tried.
        act: &'static str,
    },
    /// It begins another federation than the one asked for.
    #[error("it begins federation {found}")]
    Federation {
        /// The federation it begins.
        found: FederationId,
    },
    /// A genesis with more root keys or a higher threshold than this version can check.
    #[error("{roots} root keys with threshold {threshold}; this version reads one root key with threshold 1")]
    Threshold {
        /// Root keys.
        roots: usize,
        /// Signatures needed.
        threshold: u8,
    },
    /// A key that was revoked is admitted again.
    #[error("statement {seq} admits a key that was revoked; a new key is needed")]
    Revoked {
        /// Its place.
        seq: u64,
    },
    /// It revokes a key that was never admitted.
    #[error("statement {seq} revokes a key that is no member's")]
    Unknown {
        /// Its place.
        seq: u64,
    },
    /// Facts that do not go together, in words for the official.
    #[error("statement {seq}: {why}")]
    Facts {
        /// Its place.
        seq: u64,
        /// Which, in words.
        why: &'static str,
    },
    /// A text in it is empty, too long, or has a control character.
    #[error("statement {seq}: {found}")]
    Text {
        /// Its place.
        seq: u64,
        /// Which text.
        found: RequestError,
    },
}

impl Roster {
    /// Knows the federation's id and nothing else yet.
    #[must_use]
    pub const fn new(federation: FederationId) -> Self {
        Self {
            federation,
            genesis: None,
            root: Chain::new(Hash([0; 32])),
            ministry: Chain::new(Hash([0; 32])),
            nodes: BTreeMap::new(),
            persons: BTreeMap::new(),
            claim_lease: CLAIM_LEASE_DEFAULT,
        }
    }

    /// Begins with a genesis; the federation is the one it makes.
    ///
    /// # Errors
    /// [`RosterError`] if it is no genesis, or not signed by the root it names.
    pub fn from_genesis(bytes: &[u8]) -> Result<Self, RosterError> {
        let statement = Statement::parse(bytes)?;
        let Some(StatementBody::Genesis(genesis)) = statement.body()? else {
            return Err(RosterError::Scope { seq: statement.header().seq, act: "begin a federation" });
        };
        let mut roster = Self::new(genesis.federation());
        roster.apply(bytes)?;
        Ok(roster)
    }

    /// Takes the next statement of its chain, or says why not; on an error nothing has changed.
    ///
    /// # Errors
    /// [`RosterError`].
    pub fn apply(&mut self, bytes: &[u8]) -> Result<Applied, RosterError> {
        self.take_next(bytes, Source::Anybody)
    }

    /// Takes a statement back from this node's own journal, as [`Roster::apply`] does. Its signature was verified before
    /// it was journaled: a hub that starts does not work through a country's signatures again.
    ///
    /// # Errors
    /// [`RosterError`].
    pub fn replay(&mut self, bytes: &[u8]) -> Result<Applied, RosterError> {
        self.take_next(bytes, Source::OwnJournal)
    }

    fn take_next(&mut self, bytes: &[u8], source: Source) -> Result<Applied, RosterError> {
        let statement = Statement::parse(bytes)?;
        let header = *statement.header();
        let (seq, is_root) = (header.seq, self.is_root(&statement)?);
        let chain = if is_root { &self.root } else { &self.ministry };
        let hash = statement.hash();
        if let Some(held) = seq.checked_sub(1).and_then(|at| chain.links.get(usize::try_from(at).ok()?)) {
            return if held.0 == hash { Ok(Applied::Known) } else { Err(self.blame(&statement)) };
        }
        let expected = chain.next_seq();
        if seq != expected {
            return Err(RosterError::Gap { seq, expected });
        }
        if source == Source::Anybody {
            statement.verify(&self.federation).map_err(|_| RosterError::Signature { seq })?;
        }
        if header.prev != chain.head() {
            return Err(RosterError::Fork { seq });
        }
        // Next year's statement says nothing here: it is kept in its place and forwarded, so that the chain goes on.
        if let Some(body) = statement.body()? {
            self.take(&statement, is_root, body)?;
        }
        let chain = if is_root { &mut self.root } else { &mut self.ministry };
        chain.links.push((hash, bytes.to_vec()));
        Ok(Applied::New)
    }

    /// Whose chain a statement is of: the root's (a genesis names its own root), else the ministry's.
    fn is_root(&self, statement: &Statement) -> Result<bool, RosterError> {
        let chain = statement.header().chain;
        match &self.genesis {
            Some(genesis) if genesis.roots.contains(&chain) => Ok(true),
            Some(genesis) if genesis.ministry == chain => Ok(false),
            Some(_) => Err(RosterError::NotDelegated { chain }),
            None => match statement.body()? {
                Some(StatementBody::Genesis(genesis)) if genesis.roots.contains(&chain) => Ok(true),
                _ => Err(RosterError::NotDelegated { chain }),
            },
        }
    }

    /// A second statement in a place that is taken: a fork if its signature holds, else a forgery.
    fn blame(&self, statement: &Statement) -> RosterError {
        let seq = statement.header().seq;
        match statement.verify(&self.federation) {
            Ok(()) => RosterError::Fork { seq },
            Err(_) => RosterError::Signature { seq },
        }
    }

    fn take(&mut self, statement: &Statement, is_root: bool, body: StatementBody) -> Result<(), RosterError> {
        let seq = statement.header().seq;
        match (is_root, body) {
            (true, StatementBody::Genesis(genesis)) => self.begin(statement, genesis),
            (false, StatementBody::Policy(policy)) => {
                if !CLAIM_LEASE_RANGE.contains(&policy.claim_lease) {
                    return Err(RosterError::Facts { seq, why: "a claim's lease is half a second to 24 hours" });
                }
                self.claim_lease = policy.claim_lease;
                Ok(())
            }
            (false, StatementBody::AdmitNode(admit)) => self.admit_node(seq, *admit),
            (false, StatementBody::AdmitPerson(admit)) => self.admit_person(seq, admit),
            (false, StatementBody::Revoke(subject)) => self.revoke(seq, subject),
            (false, StatementBody::Genesis(_)) => Err(RosterError::Scope { seq, act: "begin a federation" }),
            (true, StatementBody::Revoke(_)) => Err(RosterError::Scope { seq, act: "revoke" }),
            (true, _) => Err(RosterError::Scope { seq, act: "admit or set policy" }),
        }
    }

    fn begin(&mut self, statement: &Statement, genesis: Genesis) -> Result<(), RosterError> {
        let (seq, found) = (statement.header().seq, genesis.federation());
        if self.genesis.is_some() {
            return Err(RosterError::Scope { seq, act: "begin a federation twice" });
        }
        if found != self.federation {
            return Err(RosterError::Federation { found });
        }
        if genesis.roots.len() != 1 || genesis.threshold != 1 {
            return Err(RosterError::Threshold { roots: genesis.roots.len(), threshold: genesis.threshold });
        }
        if genesis.roots.contains(&genesis.ministry) {
            return Err(RosterError::Facts { seq, why: "the root key must not be the ministry's key" });
        }
        check_text("name", &genesis.name, NAME_CHARS_MAX).map_err(|found| RosterError::Text { seq, found })?;
        self.ministry.anchor = statement.hash();
        self.genesis = Some(genesis);
        Ok(())
    }

    fn admit_node(&mut self, seq: u64, admit: AdmitNode) -> Result<(), RosterError> {
        let AdmitNode { request, region, jurisdiction, home, standby, term, via, key_maker } = admit;
        request.check().map_err(|found| RosterError::Text { seq, found })?;
        let facts = |why| RosterError::Facts { seq, why };
        let before = self.nodes.get(&request.node);
        if before.is_some_and(|member| !member.standing.holds()) {
            return Err(RosterError::Revoked { seq });
        }
        if before.is_some_and(|member| member.role != request.role) {
            return Err(facts("a node keeps its role; another role needs another key"));
        }
        let is_hub = |id: &NodeId| self.nodes.get(id).is_some_and(|m| m.role == Role::Hub && m.standing.holds());
        match request.role {
            Role::Spoke if !home.as_ref().is_some_and(is_hub) => {
                return Err(facts("a spoke's home hub must be a hub that is a member"));
            }
            Role::Spoke => {}
            Role::Hub | Role::Relay if home.is_some() || standby.is_some() || !via.is_empty() => {
                return Err(facts("only a spoke has a home hub, a standby hub or relays"));
            }
            Role::Hub | Role::Relay => {}
        }
        if standby.as_ref().is_some_and(|id| !is_hub(id) || Some(*id) == home) {
            return Err(facts("a standby hub must be another hub that is a member"));
        }
        let is_relay = |id: &NodeId| self.nodes.get(id).is_some_and(|m| m.role != Role::Spoke && m.standing.holds());
        if via.len() > RELAYS_MAX || !via.iter().all(is_relay) {
            return Err(facts("a route has at most 16 relays, each a member and none of them a spoke"));
        }
        let term_now = before.map_or(Term(0), |member| member.term);
        let moved = before.is_some_and(|member| member.home != home);
        if term < term_now || (moved && term <= term_now) {
            return Err(facts("the term must rise when the home hub changes, and never falls"));
        }
        let pool_key0 = match (key_maker, request.role, request.epoch0) {
            (KeyMaker::No, ..) => None,
            (KeyMaker::Yes, Role::Hub, Some(public)) => Some(public),
            (KeyMaker::Yes, ..) => return Err(facts("a key maker is a hub whose request names an epoch-0 key")),
        };
        let rival = || self.key_maker(&region).is_some_and(|maker| maker.node != request.node);
        if pool_key0.is_some() && rival() {
            return Err(facts("the region has a key maker already"));
        }
        let mut homes = before.map(|member| member.homes.clone()).unwrap_or_default();
        homes.extend(home.map(|home| (term, home)));
        let member = Member {
            node: request.node,
            name: request.name,
            role: request.role,
            region,
            jurisdiction,
            reading: request.reading,
            addresses: request.addresses,
            home,
            standby,
            term,
            homes,
            via,
            pool_key0,
            standing: Standing::Member,
        };
        self.nodes.insert(member.node, member);
        Ok(())
    }

    fn admit_person(&mut self, seq: u64, admit: AdmitPerson) -> Result<(), RosterError> {
        check_text("name", &admit.name, NAME_CHARS_MAX).map_err(|found| RosterError::Text { seq, found })?;
        let before = self.persons.get(&admit.person);
        if before.is_some_and(|member| !member.standing.holds()) {
            return Err(RosterError::Revoked { seq });
        }
        let AdmitPerson { person, reading, name, roles, region } = admit;
        let radiologist = match (roles.contains(&PersonRole::Radiologist), before.and_then(|b| b.radiologist)) {
            (true, _) => Some(Standing::Member),
            (false, Some(Standing::Member)) => Some(Standing::Revoked { at: RosterVersion(seq) }),
            (false, before) => before,
        };
        let member = PersonMember { person, name, roles, radiologist, region, reading, standing: Standing::Member };
        self.persons.insert(person, member);
        Ok(())
    }

    fn revoke(&mut self, seq: u64, subject: Subject) -> Result<(), RosterError> {
        let standing = match subject {
            Subject::Node(node) => self.nodes.get_mut(&node).map(|member| &mut member.standing),
            Subject::Person(person) => self.persons.get_mut(&person).map(|member| &mut member.standing),
        };
        let standing = standing.ok_or(RosterError::Unknown { seq })?;
        // The first revocation counts: a second one must not make later statements good again.
        if standing.holds() {
            *standing = Standing::Revoked { at: RosterVersion(seq) };
        }
        Ok(())
    }

    /// The federation.
    #[must_use]
    pub const fn federation(&self) -> FederationId {
        self.federation
    }

    /// How it began, once known.
    #[must_use]
    pub const fn genesis(&self) -> Option<&Genesis> {
        self.genesis.as_ref()
    }

    /// Statements of the ministry's chain that are held.
    #[must_use]
    pub const fn version(&self) -> RosterVersion {
        RosterVersion(self.ministry.links.len() as u64)
    }

    /// The next statement's place and the hash it continues, for whoever signs the ministry's chain.
    #[must_use]
    pub fn next(&self) -> (u64, Hash) {
        (self.ministry.next_seq(), self.ministry.head())
    }

    /// BLAKE3 of every chain, its length and its head: equal on two nodes that hold the same statements.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut put = Put::default();
        put.bytes(tag::ROSTER_DIGEST.as_bytes());
        for (id, chain) in self.chains() {
            put.bytes(id.as_bytes()).u64(chain.links.len() as u64).bytes(chain.head().as_bytes());
        }
        Hash::of(&put.into_bytes())
    }

    /// How many statements of each chain are held.
    #[must_use]
    pub fn versions(&self) -> Vec<(ChainId, u64)> {
        self.chains().map(|(id, chain)| (id, chain.links.len() as u64)).collect()
    }

    /// Statements that one who holds `versions` lacks, in an order in which they can be applied.
    pub fn statements_after<'a>(&'a self, versions: &'a [(ChainId, u64)]) -> impl Iterator<Item = &'a [u8]> {
        self.chains().flat_map(|(id, chain)| {
            let held = versions.iter().find(|(other, _)| *other == id).map_or(0, |(_, held)| *held);
            chain.links.iter().skip(usize::try_from(held).unwrap_or(usize::MAX)).map(|(_, bytes)| bytes.as_slice())
        })
    }

    fn chains(&self) -> impl Iterator<Item = (ChainId, &Chain)> {
        let genesis = self.genesis.as_ref();
        let root = genesis.and_then(|genesis| genesis.roots.first()).map(|id| (*id, &self.root));
        root.into_iter().chain(genesis.map(|genesis| (genesis.ministry, &self.ministry)))
    }

    /// The roster file that `join` reads: every statement, each behind its length.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let mut put = Put::default();
        put.bytes(FILE_MAGIC);
        for statement in self.statements_after(&[]) {
            put.u32(u32::try_from(statement.len()).expect("statements are bounded")).bytes(statement);
        }
        put.into_bytes()
    }

    /// Reads a roster file. The federation is the one its genesis makes: whoever joins compares its id by ear.
    ///
    /// # Errors
    /// [`RosterError`] of the first bad statement.
    pub fn from_file(bytes: &[u8]) -> Result<Self, RosterError> {
        let statements = file_statements(bytes)?;
        let (first, rest) = statements.split_first().ok_or(WireError::Malformed { what: "roster file" })?;
        let mut roster = Self::from_genesis(first)?;
        rest.iter().try_for_each(|statement| roster.apply(statement).map(drop))?;
        Ok(roster)
    }

    /// A node that is or was a member.
    #[must_use]
    pub fn node(&self, node: &NodeId) -> Option<&Member> {
        self.nodes.get(node)
    }

    /// A person who is or was a member.
    #[must_use]
    pub fn person(&self, person: &PersonId) -> Option<&PersonMember> {
        self.persons.get(person)
    }

    /// Every node that is or was a member, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.nodes.values()
    }

    /// Every person who is or was a member, by id.
    pub fn persons(&self) -> impl Iterator<Item = &PersonMember> {
        self.persons.values()
    }

    /// A spoke's home hub.
    #[must_use]
    pub fn home_hub(&self, spoke: &NodeId) -> Option<NodeId> {
        self.node(spoke)?.home
    }

    /// Term of a spoke's home hub; 0 for an unknown node.
    #[must_use]
    pub fn term(&self, spoke: &NodeId) -> Term {
        self.node(spoke).map_or(Term(0), |member| member.term)
    }

    /// The term that a statement naming `home` as `spoke`'s home hub must carry.
    #[must_use]
    pub fn term_with_home(&self, spoke: &NodeId, home: Option<NodeId>) -> Term {
        match self.node(spoke) {
            None => Term(1),
            Some(member) if member.home == home => member.term,
            Some(member) => Term(member.term.0.saturating_add(1)),
        }
    }

    /// The pool a node's parcels are sealed to: its region.
    #[must_use]
    pub fn pool_of(&self, spoke: &NodeId) -> Option<&Region> {
        self.node(spoke).map(|member| &member.region)
    }

    /// A node's jurisdiction.
    #[must_use]
    pub fn jurisdiction(&self, node: &NodeId) -> Option<&Region> {
        self.node(node).map(|member| &member.jurisdiction)
    }

    /// A pool's key maker and its epoch-0 key.
    #[must_use]
    pub fn pool_key0(&self, pool: &Region) -> Option<(NodeId, ReadingPublic)> {
        let maker = self.key_maker(pool)?;
        Some((maker.node, maker.pool_key0?))
    }

    /// Hubs that read for a pool: those of its region, and the home and standby hubs of its spokes.
    #[must_use]
    pub fn pool_hubs(&self, pool: &Region) -> Vec<NodeId> {
        let spokes =
            || self.nodes.values().filter(|m| m.role == Role::Spoke && m.standing.holds() && m.region == *pool);
        let stands_for = |hub: NodeId| spokes().any(|spoke| spoke.home == Some(hub) || spoke.standby == Some(hub));
        let hubs = self.nodes.values().filter(|m| m.role == Role::Hub && m.standing.holds());
        hubs.filter(|hub| hub.region == *pool || stands_for(hub.node)).map(|hub| hub.node).collect()
    }

    /// The recovery key, once the genesis is known.
    #[must_use]
    pub fn recovery(&self) -> Option<ReadingPublic> {
        self.genesis.as_ref().map(|genesis| genesis.recovery)
    }

    /// Length of a claim that is not renewed.
    #[must_use]
    pub const fn claim_lease(&self) -> Millis {
        self.claim_lease
    }

    fn key_maker(&self, pool: &Region) -> Option<&Member> {
        self.nodes.values().find(|m| m.pool_key0.is_some() && m.standing.holds() && m.region == *pool)
    }
}

impl Chain {
    const fn new(anchor: Hash) -> Self {
        Self { anchor, links: Vec::new() }
    }

    fn head(&self) -> Hash {
        self.links.last().map_or(self.anchor, |(hash, _)| *hash)
    }

    const fn next_seq(&self) -> u64 {
        self.links.len() as u64 + 1
    }
}

/// The statements of a roster file, as they travel.
///
/// # Errors
/// [`WireError`] if it is no roster file, or a length in it lies.
pub fn file_statements(bytes: &[u8]) -> Result<Vec<&[u8]>, WireError> {
    let what = "roster file";
    if bytes.len() > ROSTER_FILE_BYTES_MAX {
        return Err(WireError::TooLong { what, bytes: bytes.len(), limit: ROSTER_FILE_BYTES_MAX });
    }
    let mut from = Cursor::new(bytes.strip_prefix(FILE_MAGIC).ok_or(WireError::Malformed { what })?);
    let mut statements = Vec::new();
    while !from.is_done() {
        let length = from.u32().and_then(|length| usize::try_from(length).ok()).filter(|n| *n <= STATEMENT_BYTES_MAX);
        statements.push(length.and_then(|length| from.take(length)).ok_or(WireError::Malformed { what })?);
    }
    Ok(statements)
}
