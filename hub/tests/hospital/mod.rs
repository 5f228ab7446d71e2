//! A reading hospital for tests: a real hub over a real core and a real store, with one clinic's case on its disk.
//!
//! What the clinic sealed is in the journal before the hub starts, as after a power cut. The clinic's own core is the
//! one peer: a home hub grants nothing before a peer has shown its log.
//! Nothing waits for a length of time; a test waits for a notice.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use radmesh_codec::group;
use radmesh_hub::{Core, Entry, Hub, Parts, UnlockedKeys, reading::Row, report::ReadingContext};
use radmesh_protocol::{
    class::Class,
    envelope::{at_rest::AtRestKey, body::SealedBody, reading::ReadingKey, sign::SigningKey},
    id::{CaseId, ChainId, FederationId, Hash, Incarnation, ManifestId, Region},
    log::{
        Logs, Scope,
        body::{Body, Order, ParcelSealed, StudyClosed},
    },
    node::{Answer, Command, CommandId, Input, LinkId, Node, NodeConfig, Notice, Output, Switch},
    parcel::{
        PartKind,
        contents::{CONTENTS_VERSION, Contents, Group, InstanceEntry, ReceivedForm, StudyInfo},
        seal::{SealFacts, seal},
    },
    person::{PersonKeys, Statement as Signed},
    phi::Phi,
    ranges::Ranges,
    record::{Record, Stored},
    roster::{
        PersonRole, Role, Roster, Term,
        request::NodeRequest,
        statement::{AdmitNode, AdmitPerson, Genesis, KeyMaker, Statement, StatementBody, Subject},
    },
    time::{Mono, Now, Wall},
    transfer::scrub::Share,
    wire,
    worklist::order::OrderDetails,
};
use radmesh_store::{
    Faulty, Medium, Memory, Store,
    medium::{Dir, Name, Survives},
};
use radmesh_worker::{Place, Workers};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, RwLock},
    time::Duration,
};
use tokio::sync::{broadcast, mpsc, oneshot};

pub(crate) const CASE: CaseId = CaseId([0xca; 32]);
pub(crate) const PATIENT: &str = "Sentinel^Planted";
pub(crate) const CLOCK: Now = Now { mono: Mono(0), wall: Wall(1_795_383_661_000) };
const AT_REST: [u8; 32] = [9; 32];
const AUDIT_ROOM: u16 = 0x100;

fn sign(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

fn read(seed: u8) -> ReadingKey {
    ReadingKey::from_seed([seed; 32])
}

fn south() -> Region {
    "south".parse().unwrap()
}

/// A radiologist's keys by their seed; 7 and 17 are members.
pub(crate) fn radiologist(seed: u8) -> PersonKeys {
    PersonKeys { signing: sign(seed), reading: read(seed) }
}

pub(crate) const BANDA: u8 = 7;
pub(crate) const PHIRI: u8 = 17;

/// One Instance as a modality sent it.
pub(crate) fn instance(number: u8, received: ReceivedForm, bytes: &[u8]) -> (InstanceEntry, Vec<u8>) {
    let entry = InstanceEntry {
        sop_instance_uid: Phi::new(format!("1.2.826.1.{number}")),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
        transfer_syntax: "1.2.840.10008.1.2.1".into(),
        received,
        bytes: bytes.len() as u64,
        content: Hash::of(bytes),
        flags: vec![],
    };
    (entry, bytes.to_vec())
}

/// What the hospital starts with.
pub(crate) struct Start {
    /// Instances of the one Series.
    pub(crate) instances: Vec<(InstanceEntry, Vec<u8>)>,
    /// What the clinic says it sent.
    pub(crate) announced: u32,
    /// Whether the clinic has closed the Study.
    pub(crate) closed: bool,
    /// Bytes of opened Instances that the hub keeps at most.
    pub(crate) opened_bytes_max: u64,
}

impl Start {
    pub(crate) fn with(instances: Vec<(InstanceEntry, Vec<u8>)>) -> Self {
        Self { announced: instances.len() as u32, instances, closed: true, opened_bytes_max: 1 << 20 }
    }
}

pub(crate) struct Hospital {
    pub(crate) hub: Arc<Hub>,
    pub(crate) node: Arc<RwLock<Node>>,
    pub(crate) medium: Arc<Faulty>,
    pub(crate) parcel: ManifestId,
    federation: FederationId,
    roster: Roster,
    core: Core,
    notices: broadcast::Sender<Notice>,
    runtime: tokio::runtime::Runtime,
}

impl Hospital {
    /// A locked hub, the home hub of the clinic whose case it holds.
    pub(crate) fn open(start: Start) -> Self {
        let (statements, roster) = ministry();
        let federation = roster.federation();
        let medium = Arc::new(Faulty::recording(BTreeMap::new()));
        let on: Arc<dyn Medium> = Arc::<Faulty>::clone(&medium);
        let (store, _) = Store::open(on, &AtRestKey::from_bytes(&AT_REST)).unwrap();
        let store = Arc::new(store);
        let opened_bytes_max = start.opened_bytes_max;
        let (parcel, records) = clinic(&store, &roster, start);
        let mut node = core_of(sign(4), federation, [1, 2]);
        let mut peer = core_of(sign(2), federation, [3, 4]);
        for record in statements.into_iter().map(Record::Statement) {
            node.replay(record.clone());
            peer.replay(record);
        }
        for record in records {
            if matches!(record, Record::Event(_)) {
                peer.replay(record.clone());
            }
            node.replay(record);
        }
        peer.start(CLOCK);
        node.start(CLOCK);
        let node = Arc::new(RwLock::new(node));
        let (commands, asked) = mpsc::channel(16);
        let (notices, heard) = broadcast::channel(1024);
        let core = Core::new(Arc::clone(&node), commands);
        let workers = Arc::new(Workers::new(Place::InProcess));
        let parts = Parts {
            workers,
            core: core.clone(),
            store: Arc::clone(&store),
            at_rest: AtRestKey::from_bytes(&AT_REST),
            me: sign(4).node_id(),
            rng: Box::new(ChaCha20Rng::seed_from_u64(1)),
            opened_bytes_max,
        };
        let hub = Arc::new(Hub::new(parts));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let clinic = Machine { node: Arc::new(RwLock::new(peer)), store: Arc::new(empty_store()) };
        let here = Machine { node: Arc::clone(&node), store };
        runtime.spawn(drive([here, clinic], asked, notices.clone()));
        runtime.spawn(Arc::clone(&hub).run(heard));
        let hospital = Self { hub, node, medium, parcel, federation, roster, core, notices, runtime };
        hospital.ask(Command::Verify);
        hospital.until(|hospital| (hospital.row().sealed_bytes_here > 0).then_some(()));
        hospital
    }

    pub(crate) fn unlock(&self) {
        self.hub.unlock(UnlockedKeys { hub: read(14), epoch_0: read(5) });
    }

    /// Waits for notices until `ask` gives something.
    pub(crate) fn until<T>(&self, ask: impl Fn(&Self) -> Option<T>) -> T {
        let mut heard = self.notices.subscribe();
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            // The timeout is only for what makes no notice; it decides nothing.
            let next = async { tokio::time::timeout(Duration::from_millis(20), heard.recv()).await };
            let _ = self.runtime.block_on(next);
        }
    }

    pub(crate) fn row(&self) -> Row {
        self.hub.worklist().remove(0)
    }

    pub(crate) fn context(&self) -> ReadingContext {
        self.hub.reading_context(&CASE).unwrap()
    }

    pub(crate) fn ask(&self, command: Command) -> Answer {
        self.core.command(command).unwrap()
    }

    /// A reader's signed statement becomes an event of the case.
    pub(crate) fn append(&self, body: fn(Signed) -> Body, statement: &[u8]) {
        let said = wire::decode("a statement", statement, 1 << 16).unwrap();
        self.ask(Command::Append { scope: Scope::Site(sign(2).node_id()), body: Box::new(body(said)) });
    }

    /// A reader at this hub claims the case, and is given it.
    pub(crate) fn claim(&self, reader: u8) {
        let signed = self.context().claim(&radiologist(reader), &mut ChaCha20Rng::seed_from_u64(u64::from(reader)));
        self.append(Body::ClaimRequest, &signed.unwrap().0);
        self.until(|hospital| hospital.row().claimed_by.filter(|_| !hospital.row().claim_is_tentative));
    }

    /// The ministry revokes the clinic's node.
    pub(crate) fn revoke_the_clinic(&self) {
        let (seq, prev) = self.roster.next();
        let body = StatementBody::Revoke(Subject::Node(sign(2).node_id()));
        let statement = Statement::sign(&sign(8), &self.federation, seq, prev, Wall(1), &body);
        self.ask(Command::Statements(vec![statement.bytes().to_vec()]));
    }

    /// The files in which opened Instances lie.
    pub(crate) fn scratch(&self) -> Vec<Name> {
        let files = self.medium.list(Dir::Staging).unwrap();
        files.into_iter().filter(|name| matches!(name, Name::Staging(_))).collect()
    }

    /// Turns over one bit of the parcel's file.
    pub(crate) fn flip_a_bit(&self, offset: u64) {
        self.medium.flip(Name::Parcel(self.parcel), offset, 0);
    }

    /// The audit entries that a power cut at this moment would leave.
    pub(crate) fn audit_after_a_power_cut(&self) -> Vec<Entry> {
        let done = self.medium.operations();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let left = Faulty::after(BTreeMap::new(), &done, Survives::Nothing, &mut rng).unwrap();
        let key = AtRestKey::from_bytes(&AT_REST);
        let (_store, replay) = Store::open(Arc::new(left), &key).unwrap();
        let entries = replay.filter_map(|record| match record.unwrap() {
            Record::Room { room: AUDIT_ROOM, sealed, .. } => Some(key.open("radmesh/1 audit", &sealed).unwrap()),
            _ => None,
        });
        entries.map(|plain| wire::decode("an audit entry", &plain, 1024).unwrap()).collect()
    }
}

/// The ministry's statements: a hub that makes keys, a clinic, two radiologists.
fn ministry() -> (Vec<Vec<u8>>, Roster) {
    let (root, ministry) = (sign(1), sign(8));
    let genesis = Genesis {
        name: "Ministry of Health".into(),
        threshold: 1,
        roots: vec![ChainId(root.public())],
        recovery: read(6).public(),
        ministry: ChainId(ministry.public()),
    };
    let federation = genesis.federation();
    let node = |key: &SigningKey, reading: &ReadingKey, name: &str, role| {
        let home = (role == Role::Spoke).then(|| sign(4).node_id());
        StatementBody::AdmitNode(Box::new(AdmitNode {
            request: NodeRequest {
                node: key.node_id(),
                reading: reading.public(),
                name: name.into(),
                role,
                addresses: Vec::new(),
                incarnation: Incarnation([1; 8]),
                epoch0: (role == Role::Hub).then(|| read(5).public()),
            },
            region: south(),
            jurisdiction: south(),
            home,
            standby: None,
            term: Term(u64::from(home.is_some())),
            via: Vec::new(),
            key_maker: if role == Role::Hub { KeyMaker::Yes } else { KeyMaker::No },
        }))
    };
    let person = |seed: u8, name: &str| {
        StatementBody::AdmitPerson(AdmitPerson {
            person: sign(seed).person_id(),
            reading: read(seed).public(),
            name: name.into(),
            roles: vec![PersonRole::Radiologist],
            region: south(),
        })
    };
    let first = Statement::sign(&root, &federation, 1, Hash([0; 32]), Wall(1), &StatementBody::Genesis(genesis));
    let mut roster = Roster::from_genesis(first.bytes()).unwrap();
    let mut statements = vec![first.bytes().to_vec()];
    for body in [
        node(&sign(4), &read(14), "Lilongwe", Role::Hub),
        node(&sign(2), &read(3), "Kasungu", Role::Spoke),
        person(BANDA, "Dr Banda"),
        person(PHIRI, "Dr Phiri"),
    ] {
        let (seq, prev) = roster.next();
        let statement = Statement::sign(&ministry, &federation, seq, prev, Wall(1), &body);
        roster.apply(statement.bytes()).unwrap();
        statements.push(statement.bytes().to_vec());
    }
    (statements, roster)
}

/// What the clinic sealed and said, as this hub's journal holds it, its parcel's file included.
fn clinic(store: &Store, roster: &Roster, start: Start) -> (ManifestId, Vec<Record>) {
    let (federation, spoke) = (roster.federation(), sign(2));
    let (entries, received): (Vec<_>, Vec<Vec<u8>>) = start.instances.into_iter().unzip();
    let sources: Vec<&dyn group::Source> = received.iter().map(|bytes| bytes as &dyn group::Source).collect();
    let mut coded = Vec::new();
    group::encode(&sources, group::Profile::Max, &mut coded).unwrap();
    let series = Phi::new("1.2.826.1".to_owned());
    let contents = Contents {
        version: CONTENTS_VERSION,
        study: StudyInfo::default(),
        groups: vec![Group { series, instances: entries, part: 0, parts: 1, coded }],
    };
    let facts = SealFacts {
        federation,
        case: CASE,
        kind: PartKind::Series,
        roster_version: roster.version(),
        jurisdiction: south(),
        pool: south(),
        epoch: 0,
        class: Class::Stat,
        home_hub: sign(4).node_id(),
        pool_key: read(5).public(),
        recovery: read(6).public(),
    };
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let mut file = Vec::new();
    let mut out = |chunk: &[u8]| -> Result<(), Infallible> {
        file.extend_from_slice(chunk);
        Ok(())
    };
    let sealed = seal(&contents.bytes(), &facts, &spoke, rng, &mut out).unwrap();
    let (manifest, core) = (sealed.manifest.id(), sealed.manifest.core());
    let mut draft = store.draft([1; 16]).unwrap();
    draft.append(&file).unwrap();
    draft.adopt(manifest).unwrap();

    let details = OrderDetails {
        patient_name: Phi::new(PATIENT.into()),
        modalities: vec!["CT".into()],
        ..OrderDetails::default()
    };
    let sealed_order =
        SealedBody::seal(&details.encode(), &[read(5).public(), read(6).public()], &federation, rng).unwrap();
    let parcel = ParcelSealed {
        case: CASE,
        parcel: core.parcel,
        manifest,
        core: sealed.manifest.core_hash(),
        pool: south(),
        epoch: 0,
        kind: PartKind::Series,
        sealed_bytes: core.sealed_bytes,
        instances: start.announced,
    };
    let mut logs = Logs::new(federation, spoke.node_id(), Incarnation([3; 8]), Incarnation([4; 8]));
    let mut bodies = vec![
        Body::Order(Order { case: CASE, class: Class::Stat, sealed: sealed_order }),
        Body::ParcelSealed(parcel),
        Body::StudyClosed(StudyClosed { case: CASE, parcels: vec![(manifest, start.announced)] }),
    ];
    bodies.truncate(if start.closed { 3 } else { 2 });
    let scope = Scope::Site(spoke.node_id());
    let events = bodies.iter().map(|body| {
        let event = logs.append(&spoke, scope, body, Wall(1_795_383_660_000)).unwrap();
        Record::Event(event.bytes().to_vec())
    });
    let mut records: Vec<Record> = events.collect();
    records.push(Record::Manifest(sealed.manifest.bytes().to_vec()));
    records.push(Record::Have { manifest, ranges: Ranges::whole(core.sealed_bytes) });
    (manifest, records)
}

fn core_of(signing: SigningKey, federation: FederationId, [life, reserve]: [u8; 2]) -> Node {
    Node::new(NodeConfig {
        signing,
        federation,
        incarnation: Incarnation([life; 8]),
        reserve: Incarnation([reserve; 8]),
        floor: Wall(1),
        keep_hours: u32::MAX,
        scrub: Share::NONE,
        gossip: Switch::On,
        anti_entropy: Switch::On,
        push: Switch::On,
    })
}

fn empty_store() -> Store {
    Store::open(Arc::new(Memory::new()), &AtRestKey::from_bytes(&AT_REST)).unwrap().0
}

/// A core and its disk.
struct Machine {
    node: Arc<RwLock<Node>>,
    store: Arc<Store>,
}

/// The one link between the two.
const LINK: LinkId = LinkId(1);

impl Machine {
    fn take(&self, input: Input) {
        self.node.write().unwrap().handle(input, CLOCK);
    }

    /// Does all it asks of its disk; what it says to others is given back.
    fn outputs(&self) -> Vec<Output> {
        let mut said = Vec::new();
        let mut node = self.node.write().unwrap();
        loop {
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Disk(work) => {
                        for stored in self.store.carry_out(work) {
                            node.handle(Input::Stored(stored), CLOCK);
                        }
                    }
                    output => said.push(output),
                }
            }
            let Some(stored) = self.store.commit() else { return said };
            // What waits for space waits for the next turn; asking again at once would find the disk as full.
            let full = stored == Stored::Full;
            node.handle(Input::Stored(stored), CLOCK);
            if full {
                return said;
            }
        }
    }
}

/// The driver's loop, with a network of two and a clock that stands.
async fn drive(
    [here, clinic]: [Machine; 2],
    mut asked: mpsc::Receiver<(Command, oneshot::Sender<Answer>)>,
    notices: broadcast::Sender<Notice>,
) {
    let mut waiting: HashMap<CommandId, oneshot::Sender<Answer>> = HashMap::new();
    let mut last = 0;
    here.take(Input::LinkUp { link: LINK, peer: sign(2).node_id() });
    clinic.take(Input::LinkUp { link: LINK, peer: sign(4).node_id() });
    while let Some((command, to)) = asked.recv().await {
        last += 1;
        waiting.insert(CommandId(last), to);
        here.take(Input::Command(CommandId(last), command));
        loop {
            let (ours, theirs) = (here.outputs(), clinic.outputs());
            if ours.is_empty() && theirs.is_empty() {
                break;
            }
            for output in ours {
                match output {
                    Output::Send { lane, bytes, .. } => clinic.take(Input::Message { link: LINK, lane, bytes }),
                    Output::Answer(id, answer) => {
                        waiting.remove(&id).into_iter().for_each(|to| drop(to.send(answer.clone())));
                    }
                    Output::Notice(notice) => drop(notices.send(notice)),
                    _ => {}
                }
            }
            for output in theirs {
                if let Output::Send { lane, bytes, .. } = output {
                    here.take(Input::Message { link: LINK, lane, bytes });
                }
            }
        }
    }
}
