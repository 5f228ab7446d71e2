//! A small federation for tests: a spoke, its home and standby hub, a relay, a hub of another region, two readers.

use super::{Worklist, WorklistItem};
use crate::{
    claim::{self, Release, Request, Token, Transaction},
    class::Class,
    custody::Receipt,
    envelope::{body::SealedBody, reading::ReadingKey, sign::SigningKey},
    id::{CaseId, EventHash, FederationId, Hash, Incarnation, ManifestId, NodeId, ParcelId, PersonId, Region},
    log::{
        Event, Logs, Scope,
        body::{Body, Opened, Order, ParcelSealed, ReportDelivered, StudyClosed},
    },
    parcel::PartKind,
    person::{SignedAt, Statement},
    report::{REPORT_TAG, Report, Status},
    roster::{
        PersonRole, Role, Roster, Term,
        request::NodeRequest,
        statement::{self, AdmitNode, AdmitPerson, Genesis, KeyMaker, StatementBody},
    },
    time::{Now, Wall},
    wire,
};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

/// Who is there; the number is the seed of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Spoke = 1,
    Home = 2,
    Standby = 3,
    Relay = 4,
    Far = 5,
    Banda = 6,
    Phiri = 7,
}

pub(crate) const CASE: CaseId = CaseId([0xca; 32]);

impl Who {
    pub(crate) fn key(self) -> SigningKey {
        SigningKey::from_seed([self as u8; 32])
    }

    pub(crate) fn node(self) -> NodeId {
        self.key().node_id()
    }

    pub(crate) fn person(self) -> PersonId {
        self.key().person_id()
    }
}

/// The federation, and a pen for each node.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) federation: FederationId,
    pub(crate) roster: Roster,
    /// Chains of all authors, as if one node held them all.
    pens: Vec<(Who, Logs)>,
    /// Every event written so far, in the order of writing.
    pub(crate) written: Vec<Event>,
    /// Folded as it was written.
    list: Worklist,
    clock: u64,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let (root, ministry) = (SigningKey::from_seed([100; 32]), SigningKey::from_seed([101; 32]));
        let genesis = Genesis {
            name: "Ministry of Health".into(),
            threshold: 1,
            roots: vec![root.chain_id()],
            recovery: ReadingKey::from_seed([102; 32]).public(),
            ministry: ministry.chain_id(),
        };
        let federation = genesis.federation();
        let body = StatementBody::Genesis(genesis);
        let first = statement::Statement::sign(&root, &federation, 1, Hash([0; 32]), Wall(0), &body);
        let roster = Roster::from_genesis(first.bytes()).unwrap();
        let list = Worklist::new(federation);
        let mut scene = Self { federation, roster, pens: Vec::new(), written: Vec::new(), list, clock: 1_000 };
        for (who, role) in [(Who::Home, Role::Hub), (Who::Standby, Role::Hub), (Who::Relay, Role::Relay)] {
            scene.admit(who, role, "north", (None, None), Term(0));
        }
        scene.admit(Who::Far, Role::Hub, "south", (None, None), Term(0));
        scene.admit(Who::Spoke, Role::Spoke, "north", (Some(Who::Home), Some(Who::Standby)), Term(1));
        for reader in [Who::Banda, Who::Phiri] {
            scene.state(&StatementBody::AdmitPerson(AdmitPerson {
                person: reader.person(),
                reading: ReadingKey::from_seed([reader as u8; 32]).public(),
                name: format!("Dr {reader:?}"),
                roles: vec![PersonRole::Radiologist],
                region: region("north"),
            }));
        }
        scene
    }

    /// The ministry says something.
    pub(crate) fn state(&mut self, body: &StatementBody) {
        let (seq, prev) = self.roster.next();
        let key = SigningKey::from_seed([101; 32]);
        let statement = statement::Statement::sign(&key, &self.federation, seq, prev, Wall(0), body);
        self.roster.apply(statement.bytes()).unwrap();
        self.list.roster_changed(&self.roster);
    }

    pub(crate) fn admit(&mut self, who: Who, role: Role, at: &str, hubs: (Option<Who>, Option<Who>), term: Term) {
        let request = NodeRequest {
            node: who.node(),
            reading: ReadingKey::from_seed([who as u8; 32]).public(),
            name: format!("{who:?}"),
            role,
            addresses: Vec::new(),
            incarnation: life(who),
            epoch0: None,
        };
        self.state(&StatementBody::AdmitNode(Box::new(AdmitNode {
            request,
            region: region(at),
            jurisdiction: region("MW"),
            home: hubs.0.map(Who::node),
            standby: hubs.1.map(Who::node),
            term,
            via: if role == Role::Spoke { vec![Who::Relay.node()] } else { Vec::new() },
            key_maker: KeyMaker::No,
        })));
    }

    /// Empty logs of one node.
    pub(crate) fn logs(&self, who: Who) -> Logs {
        Logs::new(self.federation, who.node(), life(who), Incarnation([0xee, who as u8, 0, 0, 0, 0, 0, 0]))
    }

    /// One node writes an event into the spoke's scope.
    pub(crate) fn write(&mut self, who: Who, body: &Body) -> Event {
        self.clock += 1_000;
        if !self.pens.iter().any(|(pen, _)| *pen == who) {
            self.pens.push((who, self.logs(who)));
        }
        let clock = Wall(self.clock);
        let (_, pen) = self.pens.iter_mut().find(|(pen, _)| *pen == who).unwrap();
        let event = pen.append(&who.key(), Scope::Site(Who::Spoke.node()), body, clock).unwrap();
        self.written.push(event.clone());
        self.list.apply(&event, &self.roster);
        event
    }

    pub(crate) fn sealed(&self, plain: &[u8]) -> SealedBody {
        let mut rng = ChaCha12Rng::seed_from_u64(plain.len() as u64);
        let to = ReadingKey::from_seed([102; 32]).public();
        SealedBody::seal(plain, &[to], &self.federation, &mut rng).unwrap()
    }

    pub(crate) fn order(&mut self, class: Class) -> Event {
        let sealed = self.sealed(b"fall from a height");
        self.write(Who::Spoke, &Body::Order(Order { case: CASE, class, sealed }))
    }

    pub(crate) fn parcel(&mut self, number: u8, instances: u32) -> ManifestId {
        let core = Hash::of(&[number]);
        let manifest = manifest(number);
        self.write(
            Who::Spoke,
            &Body::ParcelSealed(ParcelSealed {
                case: CASE,
                parcel: ParcelId([number; 16]),
                manifest,
                core,
                pool: region("north"),
                epoch: 0,
                kind: PartKind::Series,
                sealed_bytes: 4096,
                instances,
            }),
        );
        manifest
    }

    pub(crate) fn close(&mut self, parcels: &[(u8, u32)]) -> Event {
        let parcels = parcels.iter().map(|(number, instances)| (manifest(*number), *instances)).collect();
        self.write(Who::Spoke, &Body::StudyClosed(StudyClosed { case: CASE, parcels }))
    }

    pub(crate) fn receipt(&mut self, by: Who, number: u8) -> Event {
        let receipt = Receipt {
            case: CASE,
            core: Hash::of(&[number]),
            root: Hash([number; 32]),
            term: self.roster.term(&Who::Spoke.node()),
            roster_version: self.roster.version(),
        };
        self.write(by, &Body::Receipt(receipt))
    }

    pub(crate) fn opened(&mut self, by: Who, parcels: &[(u8, u32)]) -> Event {
        let parcels = parcels.iter().map(|(number, instances)| (manifest(*number), *instances)).collect();
        self.write(by, &Body::Opened(Opened { case: CASE, hub: by.node(), parcels }))
    }

    pub(crate) fn request(&mut self, at: Who, reader: Who, uid: &str) -> Event {
        let mut rng = ChaCha12Rng::seed_from_u64(7);
        let to = ReadingKey::from_seed([reader as u8; 32]).public();
        let request = Request::new(CASE, uid, &to, &self.federation, &mut rng).unwrap();
        let said = self.say(at, reader, claim::REQUEST_TAG, &wire::encode(&request));
        self.write(at, &Body::ClaimRequest(said))
    }

    pub(crate) fn release(&mut self, at: Who, reader: Who, uid: &str) -> Event {
        let release = Release { case: CASE, transaction: Transaction::of(uid) };
        let said = self.say(at, reader, claim::RELEASE_TAG, &wire::encode(&release));
        self.write(at, &Body::ClaimReleased(said))
    }

    pub(crate) fn report(
        &mut self,
        at: Who,
        reader: Who,
        status: Status,
        claim: Option<Token>,
        replaces: Option<EventHash>,
    ) -> EventHash {
        let sealed = self.sealed(b"no fracture");
        let report = Report { case: CASE, status, replaces, claim, sealed };
        let said = self.say(at, reader, REPORT_TAG, &wire::encode(&report));
        self.write(at, &Body::Report(said)).hash()
    }

    pub(crate) fn shown(&mut self, report: EventHash) -> Event {
        self.write(Who::Spoke, &Body::ReportDelivered(ReportDelivered { case: CASE, report }))
    }

    pub(crate) fn say(&self, at: Who, reader: Who, tag: &'static str, body: &[u8]) -> Statement {
        let key = reader.key();
        let signed = SignedAt {
            key: &key,
            node: at.node(),
            federation: &self.federation,
            roster_version: self.roster.version(),
        };
        Statement::sign(signed, tag, CASE, &[], body)
    }

    /// The worklist of a node that got these events in this order.
    pub(crate) fn folded<'a>(&self, events: impl IntoIterator<Item = &'a Event>) -> Worklist {
        let mut list = Worklist::new(self.federation);
        for event in events {
            list.apply(event, &self.roster);
        }
        list
    }

    /// The item as everything written so far says.
    pub(crate) fn item(&self) -> WorklistItem {
        self.list.item(&CASE).unwrap().clone()
    }
}

pub(crate) fn manifest(number: u8) -> ManifestId {
    let mut id = [0; 16];
    id.copy_from_slice(&Hash::of(&[number]).0[..16]);
    ManifestId(id)
}

pub(crate) fn region(name: &str) -> Region {
    name.parse().unwrap()
}

pub(crate) fn life(who: Who) -> Incarnation {
    Incarnation([who as u8; 8])
}

pub(crate) fn at(secs: u64) -> Now {
    Now { mono: crate::time::Mono(secs * 1000), wall: Wall(secs * 1000) }
}
