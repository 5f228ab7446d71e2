//! A clinic for tests: a real spoke over a real core and a real store, on a disk that may fail.
//!
//! The core has no peer here: what the spoke announces stays on its shelf, where a test opens it as the hub would.
//! Nothing waits for a length of time; a test waits for a notice, or for the case to be closed.

#![allow(dead_code, reason = "each test file uses its own part of it")]

pub(crate) mod data_set;
pub(crate) mod watched;

use data_set::{CT, EXPLICIT, Instance};
use radmesh_dimse::{
    AeTitle, SopClassUid, SopInstanceUid, TransferSyntax,
    client::{self, Outcome, Outgoing},
    sop_class::SopClasses,
};
use radmesh_protocol::{
    claim::{REQUEST_TAG, Request},
    envelope::{
        at_rest::AtRestKey,
        body::SealedBody,
        reading::{ReadingKey, ReadingPublic},
        sign::SigningKey,
    },
    id::{CaseId, ChainId, EventHash, FederationId, Hash, Incarnation, ManifestId, NodeId, Region},
    log::{Scope, body::Body},
    node::{Answer, Command, CommandId, Input, Node, NodeConfig, Notice, Output, Switch},
    parcel::{
        contents::{Contents, Group},
        manifest::Manifest,
        open::{Vouched, Witness},
    },
    person::{SignedAt, Statement as PersonStatement},
    record::Stored,
    report::{REPORT_TAG, Report, ReportText, Status},
    roster::{
        PersonRole, Role, Roster, RosterVersion, Term,
        request::NodeRequest,
        statement::{AdmitNode, AdmitPerson, Genesis, KeyMaker, Statement, StatementBody},
    },
    time::{Millis, Mono, Now, Wall},
    transfer::scrub::Share,
    wire,
};
use radmesh_spoke::{Chance, Latest, Parts, Settings, Spoke, modality::Modality};
use radmesh_store::{Medium, Store};
use radmesh_worker::{Place, Workers};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc, oneshot},
    task::JoinHandle,
};

/// Keys of everybody in the federation of the tests.
pub(crate) struct Keys {
    pub(crate) root: SigningKey,
    pub(crate) ministry: SigningKey,
    pub(crate) spoke: SigningKey,
    pub(crate) spoke_reading: ReadingKey,
    pub(crate) hub: SigningKey,
    pub(crate) pool: ReadingKey,
    pub(crate) recovery: ReadingKey,
    pub(crate) reader: SigningKey,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let (sign, read) = (|n| SigningKey::from_seed([n; 32]), |n| ReadingKey::from_seed([n; 32]));
        Self {
            root: sign(1),
            ministry: sign(8),
            spoke: sign(2),
            spoke_reading: read(3),
            hub: sign(4),
            pool: read(5),
            recovery: read(6),
            reader: sign(7),
        }
    }

    /// The ministry's statements: a hub that makes keys, a spoke, a radiologist.
    pub(crate) fn statements(&self) -> (FederationId, Vec<Vec<u8>>) {
        let region = || "south".parse::<Region>().unwrap();
        let genesis = Genesis {
            name: "Ministry of Health".into(),
            threshold: 1,
            roots: vec![ChainId(self.root.public())],
            recovery: self.recovery.public(),
            ministry: ChainId(self.ministry.public()),
        };
        let federation = genesis.federation();
        let request = |node: &SigningKey, reading: &ReadingKey, name: &str, role| NodeRequest {
            node: node.node_id(),
            reading: reading.public(),
            name: name.into(),
            role,
            addresses: Vec::new(),
            incarnation: Incarnation([1; 8]),
            epoch0: (role == Role::Hub).then(|| self.pool.public()),
        };
        let admit = |request, home, key_maker| {
            StatementBody::AdmitNode(Box::new(AdmitNode {
                request,
                region: region(),
                jurisdiction: region(),
                home,
                standby: None,
                term: Term(u64::from(home.is_some())),
                via: Vec::new(),
                key_maker,
            }))
        };
        let hub = self.hub.node_id();
        let genesis =
            Statement::sign(&self.root, &federation, 1, Hash([0; 32]), Wall(1), &StatementBody::Genesis(genesis));
        let mut roster = Roster::from_genesis(genesis.bytes()).unwrap();
        let bodies = [
            admit(request(&self.hub, &self.pool, "Lilongwe", Role::Hub), None, KeyMaker::Yes),
            admit(
                request(&self.spoke, &self.spoke_reading, "Kasungu District Hospital", Role::Spoke),
                Some(hub),
                KeyMaker::No,
            ),
            StatementBody::AdmitPerson(AdmitPerson {
                person: self.reader.person_id(),
                reading: self.pool.public(),
                name: "Dr Banda".into(),
                roles: vec![PersonRole::Radiologist],
                region: region(),
            }),
        ];
        let signed = bodies.iter().map(|body| {
            let (seq, prev) = roster.next();
            let statement = Statement::sign(&self.ministry, &federation, seq, prev, Wall(1), body);
            roster.apply(statement.bytes()).unwrap();
            statement.bytes().to_vec()
        });
        (federation, std::iter::once(genesis.bytes().to_vec()).chain(signed).collect())
    }
}

/// What a clinic starts with.
pub(crate) struct Start {
    pub(crate) medium: Arc<dyn Medium>,
    pub(crate) quiet: Millis,
    pub(crate) member: Membership,
    pub(crate) modalities: Vec<Modality>,
    pub(crate) seed: u64,
    pub(crate) coder: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    Member,
    NotYet,
}

impl Start {
    pub(crate) fn on(medium: Arc<dyn Medium>) -> Self {
        Self {
            medium,
            quiet: Millis::from_secs(60),
            member: Membership::Member,
            modalities: Vec::new(),
            seed: 1,
            coder: Place::InProcess,
        }
    }
}

/// A running clinic. Dropped, it stops as a kill -9 would stop it.
pub(crate) struct Site {
    pub(crate) keys: Keys,
    pub(crate) federation: FederationId,
    pub(crate) store: Arc<Store>,
    pub(crate) node: Arc<RwLock<Node>>,
    pub(crate) spoke: Arc<Spoke>,
    pub(crate) commands: mpsc::Sender<(Command, oneshot::Sender<Answer>)>,
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) mono: Arc<AtomicU64>,
    pub(crate) dicom: std::net::SocketAddr,
    /// Cases whose parcels the core does not take, and how often it was asked.
    pub(crate) refused: Refusals,
    tasks: Vec<JoinHandle<()>>,
}

pub(crate) type Refusals = Arc<Mutex<BTreeMap<CaseId, u32>>>;

impl Drop for Site {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Site {
    pub(crate) async fn open(start: Start) -> Self {
        Self::try_open(start).await.expect("the disk works")
    }

    /// Starts the clinic from what its disk holds; `Err` if the disk fails on the way.
    pub(crate) async fn try_open(start: Start) -> Result<Self, String> {
        let keys = Keys::new();
        let (federation, statements) = keys.statements();
        let at_rest = AtRestKey::from_bytes(&[9; 32]);
        let (store, replay) = Store::open(start.medium, &at_rest).map_err(|error| error.to_string())?;
        let store = Arc::new(store);
        let config = NodeConfig {
            signing: keys.spoke.clone(),
            federation,
            incarnation: Incarnation([1; 8]),
            reserve: Incarnation([2; 8]),
            floor: Wall(1),
            keep_hours: u32::MAX,
            scrub: Share::NONE,
            gossip: Switch::On,
            anti_entropy: Switch::On,
            push: Switch::On,
        };
        let (mut node, mut latest) = (Node::new(config), Latest::default());
        for record in replay {
            let record = record.map_err(|error| error.to_string())?;
            latest.take(&record);
            node.replay(record);
        }
        let mono = Arc::new(AtomicU64::new(0));
        let time = Arc::clone(&mono);
        let clock: radmesh_spoke::Clock =
            Arc::new(move || Now { mono: Mono(time.load(Ordering::SeqCst)), wall: Wall(1_795_383_661_000) });
        node.start(clock());
        let node = Arc::new(RwLock::new(node));
        let (commands, asked) = mpsc::channel(16);
        let (notices, _) = broadcast::channel(1024);
        let refused = Refusals::default();
        let core = (Arc::clone(&node), Arc::clone(&refused));
        let drive = drive(core, Arc::clone(&store), Arc::clone(&clock), asked, notices.clone());
        let mut tasks = vec![tokio::spawn(drive)];
        if start.member == Membership::Member {
            tell(&commands, Command::Statements(statements)).await?;
        }
        let parts = Parts {
            me: keys.spoke.node_id(),
            federation,
            signer: keys.spoke.clone(),
            reading: ReadingKey::from_seed([3; 32]),
            at_rest,
            store: Arc::clone(&store),
            latest,
            node: Arc::clone(&node),
            commands: commands.clone(),
            clock,
            chance: Chance::new(ChaCha20Rng::seed_from_u64(start.seed)),
            workers: Arc::new(Workers::new(start.coder)),
            settings: Settings {
                ae_title: "RADMESH".parse().unwrap(),
                quiet: start.quiet,
                sop_classes: SopClasses::default(),
                modalities: start.modalities,
                sender_bytes_a_day: u64::MAX,
            },
        };
        let spoke = Arc::new(Spoke::open(parts).map_err(|error| error.to_string())?);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dicom = listener.local_addr().unwrap();
        let (running, heard) = (Arc::clone(&spoke), notices.subscribe());
        tasks.push(tokio::spawn(async move { drop(running.run(listener, heard).await) }));
        Ok(Self { keys, federation, store, node, spoke, commands, notices, mono, dicom, refused, tasks })
    }

    /// Makes the node a member, as `radmesh join` does.
    pub(crate) async fn join(&self) {
        tell(&self.commands, Command::Statements(self.keys.statements().1)).await.unwrap();
    }

    /// Hands in a file, as `radmesh send` does.
    pub(crate) async fn hand_in(
        &self,
        file: &[u8],
    ) -> Result<radmesh_spoke::listing::SentFile, radmesh_spoke::SendError> {
        let (spoke, file) = (Arc::clone(&self.spoke), file.to_vec());
        tokio::task::spawn_blocking(move || spoke.send_file("file.dcm", &file[..], None, None)).await.unwrap()
    }

    /// Waits for notices until `ask` gives something.
    pub(crate) async fn until<T>(&self, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let mut heard = self.notices.subscribe();
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            // The timeout is only for what makes no notice (the last record of a step); it decides nothing.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(20), heard.recv()).await;
        }
    }

    /// Waits until every Study here is closed and says what the hub would find: every group of every Series parcel.
    /// The clinic's time goes on meanwhile: what failed is tried again after its pause.
    pub(crate) async fn closed_groups(&self) -> Vec<Group> {
        self.until(|site| {
            site.later(1);
            let studies = site.spoke.studies();
            (!studies.is_empty() && studies.iter().all(|study| study.closed)).then_some(())
        })
        .await;
        self.groups(&self.keys.pool)
    }

    /// Opens every parcel announced, as whoever holds `key` would.
    pub(crate) fn groups(&self, key: &ReadingKey) -> Vec<Group> {
        self.opened(key).into_iter().filter_map(|packed| Contents::parse(&packed).ok()).flat_map(|c| c.groups).collect()
    }

    /// Packed bytes of every parcel announced.
    pub(crate) fn opened(&self, key: &ReadingKey) -> Vec<Vec<u8>> {
        let node = self.node.read().unwrap();
        let manifests: Vec<ManifestId> =
            node.worklist().items().flat_map(|item| item.parcels.keys().copied()).collect();
        manifests.iter().filter_map(|name| open(&self.store, node.roster(), name, key)).collect()
    }

    /// The clinic's clock goes on, and the packer looks at it.
    pub(crate) fn later(&self, seconds: u64) {
        self.mono.fetch_add(seconds * 1000, Ordering::SeqCst);
        drop(self.notices.send(Notice::PoolKey));
    }

    pub(crate) fn me(&self) -> NodeId {
        self.keys.spoke.node_id()
    }
}

/// `None` for one whose file is damaged: nobody can open it.
fn open(store: &Store, roster: &Roster, name: &ManifestId, key: &ReadingKey) -> Option<Vec<u8>> {
    let bytes = store.manifest(*name).unwrap().expect("an announced manifest is journaled");
    let manifest = Manifest::parse(&bytes).unwrap();
    let vouched = Vouched::by(roster, &manifest, Witness::None).unwrap();
    let key = vouched.unwrap_key(key).unwrap();
    vouched.open(&key, &mut |chunk| store.chunk(*name, chunk)).ok().map(|packed| packed.to_vec())
}

/// Every Instance of the groups: its SOP Instance UID and its received bytes, decoded.
pub(crate) fn instances(groups: &[Group]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut long: BTreeMap<[u8; 32], Vec<&Group>> = BTreeMap::new();
    for group in groups {
        long.entry(group.instances[0].content.0).or_default().push(group);
    }
    for mut parts in long.into_values() {
        parts.sort_by_key(|group| group.part);
        parts.dedup_by_key(|group| group.part);
        assert_eq!(parts.len(), usize::from(parts[0].parts), "every part of a long Instance is announced");
        let coded: Vec<u8> = parts.iter().flat_map(|group| group.coded.iter().copied()).collect();
        let entries = &parts[0].instances;
        let expected: Vec<_> = entries
            .iter()
            .map(|entry| radmesh_codec::group::Content { bytes: entry.bytes, hash: entry.content.0 })
            .collect();
        let decoded: Vec<_> = entries.iter().map(|_| std::rc::Rc::new(std::cell::RefCell::new(Vec::new()))).collect();
        radmesh_codec::group::decode(&coded[..], &expected, |index| Ok(Box::new(Into(decoded[index].clone()))))
            .unwrap();
        found.extend(
            entries
                .iter()
                .zip(&decoded)
                .map(|(entry, bytes)| (entry.sop_instance_uid.reveal().clone(), bytes.borrow().clone())),
        );
    }
    found.sort();
    found
}

struct Into(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

impl std::io::Write for Into {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn tell(commands: &mpsc::Sender<(Command, oneshot::Sender<Answer>)>, command: Command) -> Result<(), String> {
    let (to, answer) = oneshot::channel();
    commands.send((command, to)).await.map_err(|_| "the core is gone")?;
    match answer.await.map_err(|_| "the core is gone")? {
        Answer::Refused(why) => Err(why),
        _ => Ok(()),
    }
}

/// The driver's loop without a network.
async fn drive(
    (node, refused): (Arc<RwLock<Node>>, Refusals),
    store: Arc<Store>,
    clock: radmesh_spoke::Clock,
    mut asked: mpsc::Receiver<(Command, oneshot::Sender<Answer>)>,
    notices: broadcast::Sender<Notice>,
) {
    let mut waiting = HashMap::new();
    let (mut last, mut full) = (0, false);
    loop {
        // On a full disk records wait in the store's memory and are tried again, as the real driver does.
        let next = match full {
            true => tokio::time::timeout(std::time::Duration::from_millis(20), asked.recv()).await.ok(),
            false => Some(asked.recv().await),
        };
        let mut node = node.write().unwrap();
        match next {
            Some(Some((command, to))) => {
                if let Command::Announce { sealed, .. } = &command
                    && let Some(times) = refused.lock().unwrap().get_mut(&sealed.case)
                {
                    *times += 1;
                    drop(to.send(Answer::Refused("no room for it".into())));
                    continue;
                }
                last += 1;
                waiting.insert(CommandId(last), to);
                node.handle(Input::Command(CommandId(last), command), clock());
            }
            Some(None) => return,
            None => {}
        }
        full = false;
        while !full && !store.faulted() {
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Disk(work) => {
                        for stored in store.carry_out(work) {
                            node.handle(Input::Stored(stored), clock());
                        }
                    }
                    Output::Answer(id, answer) => {
                        drop(waiting.remove(&id).map(|to: oneshot::Sender<Answer>| to.send(answer)));
                    }
                    Output::Notice(notice) => drop(notices.send(notice)),
                    _ => {}
                }
            }
            let Some(stored) = store.commit() else { break };
            full = stored == Stored::Full;
            node.handle(Input::Stored(stored), clock());
        }
    }
}

pub(crate) fn outgoing(instance: &Instance, named: &str) -> Outgoing {
    let data_set = instance.data_set();
    Outgoing {
        sop_class_uid: SopClassUid::parse(CT).unwrap(),
        sop_instance_uid: SopInstanceUid::parse(named).unwrap(),
        transfer_syntax: TransferSyntax::parse(EXPLICIT).unwrap(),
        open: Box::new(move || Ok(Box::new(std::io::Cursor::new(data_set)))),
    }
}

pub(crate) async fn c_store(site: &Site, calling: &str, objects: Vec<Outgoing>) -> Vec<Outcome> {
    let title = |text| AeTitle::parse(text).unwrap();
    client::store(site.dicom, &client::Config::new(title(calling), title("RADMESH")), objects).await.unwrap().outcomes
}

/// Whether the door answers (C-ECHO).
pub(crate) async fn echo(site: &Site, calling: &str) -> bool {
    let title = |text| AeTitle::parse(text).unwrap();
    client::echo(site.dicom, &client::Config::new(title(calling), title("RADMESH"))).await.is_ok()
}

/// A report by the radiologist of the tests, on the case's order, sealed to the spoke.
pub(crate) async fn report(site: &Site, status: Status, replaces: Option<EventHash>, text: &str) -> EventHash {
    let to = [site.keys.pool.public(), site.keys.recovery.public(), site.keys.spoke_reading.public()];
    signed_report(site, (&site.keys.reader, "Dr Banda"), &to, (status, replaces, text)).await
}

/// A report by anybody, sealed to anybody.
pub(crate) async fn signed_report(
    site: &Site,
    (key, name): (&SigningKey, &str),
    to: &[ReadingPublic],
    (status, replaces, text): (Status, Option<EventHash>, &str),
) -> EventHash {
    let case = site.node.read().unwrap().worklist().items().next().unwrap().case;
    let words = ReportText::new(text, name).unwrap().encode();
    let mut rng = ChaCha20Rng::seed_from_u64(text.len() as u64);
    let sealed = SealedBody::seal(&words, to, &site.federation, &mut rng).unwrap();
    let report = Report { case, status, replaces, claim: None, sealed };
    let at = SignedAt { key, node: site.me(), federation: &site.federation, roster_version: RosterVersion(4) };
    let statement = PersonStatement::sign(at, REPORT_TAG, case, &[], &wire::encode(&report));
    append(site, Body::Report(statement)).await
}

/// The radiologist of the tests asks for the case: without a claim a report is a second read.
pub(crate) async fn claim(site: &Site) -> EventHash {
    let case = site.node.read().unwrap().worklist().items().next().unwrap().case;
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let request = Request::new(case, "1.2.826.99", &site.keys.pool.public(), &site.federation, &mut rng).unwrap();
    let (key, federation) = (&site.keys.reader, &site.federation);
    let at = SignedAt { key, node: site.me(), federation, roster_version: RosterVersion(4) };
    append(site, Body::ClaimRequest(PersonStatement::sign(at, REQUEST_TAG, case, &[], &wire::encode(&request)))).await
}

async fn append(site: &Site, body: Body) -> EventHash {
    let command = Command::Append { scope: Scope::Site(site.me()), body: Box::new(body) };
    let (to, answer) = oneshot::channel();
    site.commands.send((command, to)).await.unwrap();
    match answer.await.unwrap() {
        Answer::Appended(event) => event,
        other => panic!("{other:?}"),
    }
}
