//! A small world: nodes, disks that lose what was not synced, links with a rate and a delay that can be cut.
//!
//! Virtual milliseconds, one queue, no chance: the same calls give the same run. The simulator crate is the big one.

use crate::{
    class::Class,
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{CaseId, FederationId, Hash, Incarnation, ManifestId, NodeId},
    limits::CHUNK_BYTES,
    log::body::ParcelSealed,
    node::{Answer, Command, CommandId, Input, Lane, LinkId, Node, NodeConfig, Notice, Output, Switch},
    parcel::{
        PartKind,
        manifest::Manifest,
        seal::{SealFacts, seal},
    },
    ranges::Ranges,
    record::{Record, Seq, Stored, Work},
    roster::{
        Role, Roster, RosterVersion, Term,
        request::NodeRequest,
        statement::{AdmitNode, AdmitPerson, Genesis, KeyMaker, Statement, StatementBody, Subject},
    },
    time::{Mono, Now, Wall},
    transfer::{
        message::{Frag, Message, Parsed},
        scrub::Share,
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) const FLOOR: u64 = 1_790_000_000_000;
const PERSIST_MS: u64 = 2;
const SYNC_MS: u64 = 8;

/// Changes a message on its way.
pub(super) type Tamper = Box<dyn FnMut(usize, Lane, Vec<u8>) -> Vec<u8>>;

/// Signs the roster.
pub(super) struct Ministry {
    key: SigningKey,
    pub(super) roster: Roster,
}

/// A parcel as the spoke's rooms seal it.
pub(super) struct SealedParcel {
    pub(super) manifest: Manifest,
    pub(super) bytes: Vec<u8>,
}

/// A disk: what a power cut leaves, and what the system believes.
#[derive(Default, Clone)]
pub(super) struct MemoryDisk {
    journal: Vec<Record>,
    waiting: VecDeque<(Seq, Record)>,
    durable: BTreeMap<ManifestId, Vec<u8>>,
    pub(super) files: BTreeMap<ManifestId, Vec<u8>>,
    pub(super) space: Space,
    /// Parcels for which it has no room.
    pub(super) refused: BTreeSet<ManifestId>,
}

/// Whether a disk has room for parcels. Its journal has taken its own beforehand.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    #[default]
    Free,
    Full,
}

pub(super) struct Machine {
    pub(super) key: SigningKey,
    pub(super) node: Node,
    pub(super) disk: MemoryDisk,
    up: bool,
    wake: Option<u64>,
    pub(super) answers: Vec<(CommandId, Answer)>,
    pub(super) notices: Vec<Notice>,
    pub(super) resets: Vec<&'static str>,
    commands: u64,
    pub(super) config: NodeConfig,
    /// Persisted is withheld while set: to look at what leaves before it.
    pub(super) journal_stuck: bool,
}

struct Path {
    ends: [usize; 2],
    up: bool,
    free_at: [u64; 2],
}

enum Event {
    Deliver { to: usize, link: LinkId, lane: Lane, bytes: Vec<u8> },
    Stored { to: usize, life: u64, stored: Stored },
    Gossip { to: usize, bytes: Vec<u8> },
}

pub(super) struct World {
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    pub(super) machines: Vec<Machine>,
    lives: Vec<u64>,
    links: BTreeMap<LinkId, Path>,
    last_link: u64,
    /// Bytes a second of every link, one way.
    pub(super) rate: u64,
    /// Milliseconds one way.
    pub(super) delay: u64,
    /// Every message sent, for claims about what left when.
    pub(super) sent: Vec<(u64, usize, Lane, Vec<u8>)>,
    /// Changes messages on their way: who sent it, the lane and the bytes.
    pub(super) tamper: Option<Tamper>,
    pub(super) ministry: Ministry,
    federation: FederationId,
    sealed: u64,
}

impl Ministry {
    fn begin() -> Self {
        let (root, key) = (SigningKey::from_seed([201; 32]), SigningKey::from_seed([202; 32]));
        let genesis = Genesis {
            name: "Ministry".to_owned(),
            threshold: 1,
            roots: vec![root.chain_id()],
            recovery: ReadingKey::from_seed([203; 32]).public(),
            ministry: key.chain_id(),
        };
        let federation = genesis.federation();
        let body = StatementBody::Genesis(genesis);
        let first = Statement::sign(&root, &federation, 1, Hash([0; 32]), Wall(FLOOR), &body);
        Self { key, roster: Roster::from_genesis(first.bytes()).unwrap() }
    }

    pub(super) fn say(&mut self, body: &StatementBody) -> Vec<u8> {
        let (seq, prev) = self.roster.next();
        let federation = self.roster.federation();
        let statement = Statement::sign(&self.key, &federation, seq, prev, Wall(FLOOR), body);
        self.roster.apply(statement.bytes()).unwrap();
        statement.bytes().to_vec()
    }

    pub(super) fn admit(&mut self, key: &SigningKey, role: Role, route: (Option<NodeId>, Option<NodeId>, &[NodeId])) {
        let (home, standby, via) = route;
        let reading = ReadingKey::from_seed(key.public()).public();
        let request = NodeRequest {
            node: key.node_id(),
            reading,
            name: format!("{role}"),
            role,
            addresses: Vec::new(),
            incarnation: Incarnation([1; 8]),
            epoch0: (role == Role::Hub).then_some(reading),
        };
        let key_maker = if role == Role::Hub && self.roster.pool_key0(&"north".parse().unwrap()).is_none() {
            KeyMaker::Yes
        } else {
            KeyMaker::No
        };
        let admit = AdmitNode {
            request,
            region: "north".parse().unwrap(),
            jurisdiction: "MW".parse().unwrap(),
            home,
            standby,
            term: Term(u64::from(home.is_some())),
            via: via.to_vec(),
            key_maker,
        };
        self.say(&StatementBody::AdmitNode(Box::new(admit)));
    }

    pub(super) fn admit_person(&mut self, key: &SigningKey) {
        let reading = ReadingKey::from_seed(key.public()).public();
        let admit = AdmitPerson {
            person: key.person_id(),
            reading,
            name: "Dr Banda".to_owned(),
            roles: vec![crate::roster::PersonRole::Radiologist],
            region: "north".parse().unwrap(),
        };
        self.say(&StatementBody::AdmitPerson(admit));
    }

    pub(super) fn revoke(&mut self, node: NodeId) -> Vec<u8> {
        self.say(&StatementBody::Revoke(Subject::Node(node)))
    }

    fn statements(&self) -> Vec<Vec<u8>> {
        self.roster.statements_after(&[]).map(<[u8]>::to_vec).collect()
    }
}

impl MemoryDisk {
    /// What is left after the power went.
    fn after_power_cut(&self) -> Self {
        let read_back = |record| {
            let bytes = postcard::to_stdvec(record).expect("a record has a length for every part");
            postcard::from_bytes(&bytes).expect("what was journaled can be read again")
        };
        Self {
            journal: self.journal.iter().map(read_back).collect(),
            waiting: VecDeque::new(),
            durable: self.durable.clone(),
            files: self.durable.clone(),
            space: self.space,
            refused: self.refused.clone(),
        }
    }

    /// As the power left it with nothing but the roster: another card was put in.
    pub(super) fn replaced(&mut self) {
        self.journal.retain(|record| matches!(record, Record::Statement(_)));
        self.durable.clear();
    }

    /// Somebody has deleted a parcel's file.
    pub(super) fn loses_file(&mut self, manifest: &ManifestId) {
        self.durable.remove(manifest);
        self.files.remove(manifest);
    }

    fn carry_out(&mut self, work: Work) -> Option<(u64, Stored)> {
        match work {
            Work::Persist(seq, record) => {
                self.waiting.push_back((seq, record));
                Some((PERSIST_MS, Stored::Persisted(seq)))
            }
            Work::Create { manifest, .. } if self.refused.contains(&manifest) => Some((0, Stored::NoRoom { manifest })),
            Work::Create { manifest, .. } if self.is_full() && !self.files.contains_key(&manifest) => {
                Some((0, Stored::NoRoom { manifest }))
            }
            Work::Create { manifest, bytes, .. } => {
                self.files.entry(manifest).or_insert_with(|| vec![0; bytes as usize]);
                self.durable.entry(manifest).or_insert_with(|| vec![0; bytes as usize]);
                None
            }
            Work::Write { manifest, .. } | Work::Sync { manifest, .. } if !self.files.contains_key(&manifest) => {
                Some((0, Stored::NoFile { manifest }))
            }
            Work::Write { manifest, offset, bytes } => {
                let file = self.files.get_mut(&manifest)?;
                file[offset as usize..offset as usize + bytes.len()].copy_from_slice(&bytes);
                None
            }
            Work::Sync { .. } if self.is_full() => Some((SYNC_MS, Stored::Full)),
            Work::Sync { manifest, ranges } => Some((SYNC_MS, Stored::Durable { manifest, ranges })),
            Work::HashChunk { manifest, chunk } => {
                let hash = self.files.get(&manifest).and_then(|file| chunk_of(file, chunk)).map(Hash::of);
                Some((0, Stored::ChunkHashed { manifest, chunk, hash }))
            }
            Work::HashFile { manifest } => {
                let file = self.files.get(&manifest).cloned().unwrap_or_default();
                let hashes = file.chunks(CHUNK_BYTES as usize).map(|chunk| Some(Hash::of(chunk))).collect();
                Some((1, Stored::FileHashed { manifest, hashes }))
            }
            Work::Read { manifest, offset, length } => {
                let at = offset as usize..offset as usize + length as usize;
                let bytes = self.files.get(&manifest).and_then(|file| file.get(at)).map(<[u8]>::to_vec);
                Some((0, Stored::Read { manifest, offset, bytes }))
            }
            Work::Free { manifest } => {
                self.files.remove(&manifest);
                self.durable.remove(&manifest);
                self.journal.push(Record::Freed { manifest });
                None
            }
        }
    }

    fn is_full(&self) -> bool {
        self.space == Space::Full
    }

    /// An fsync has ended.
    fn settled(&mut self, stored: &Stored) {
        match stored {
            Stored::Persisted(seq) => {
                while let Some((_, record)) = self.waiting.pop_front_if(|(at, _)| *at <= *seq) {
                    self.journal.push(record);
                }
            }
            Stored::Durable { manifest, ranges } => {
                let (Some(file), Some(durable)) = (self.files.get(manifest), self.durable.get_mut(manifest)) else {
                    return;
                };
                for range in ranges.iter() {
                    let at = range.start as usize..range.end as usize;
                    durable[at.clone()].copy_from_slice(&file[at]);
                }
                self.journal.push(Record::Have { manifest: *manifest, ranges: ranges.clone() });
            }
            _ => {}
        }
    }
}

fn chunk_of(file: &[u8], chunk: u32) -> Option<&[u8]> {
    file.chunks(CHUNK_BYTES as usize).nth(chunk as usize)
}

impl World {
    /// The same, whose nodes read back what they have in 1 % of the disk's time.
    pub(super) fn scrubbing(roles: &[Role]) -> Self {
        let mut world = Self::new(roles);
        world.configure(|config| config.scrub = Share::per_cent(1).expect("1 % is a share"));
        world
    }

    /// Every node is started anew with another configuration.
    pub(super) fn configure(&mut self, change: impl Fn(&mut NodeConfig)) {
        for at in 0..self.machines.len() {
            change(&mut self.machines[at].config);
            self.power_cut(at);
        }
    }

    /// A world of these roles; the first spoke's home is the first hub, its standby the second, every relay is on
    /// its route.
    pub(super) fn new(roles: &[Role]) -> Self {
        let keys: Vec<SigningKey> = (0..roles.len()).map(|n| SigningKey::from_seed([n as u8 + 1; 32])).collect();
        let of = |role| roles.iter().zip(&keys).filter(move |(r, _)| **r == role).map(|(_, key)| key.node_id());
        let (hubs, relays): (Vec<NodeId>, Vec<NodeId>) = (of(Role::Hub).collect(), of(Role::Relay).collect());
        let mut ministry = Ministry::begin();
        for (role, key) in roles.iter().zip(&keys).filter(|(role, _)| **role != Role::Spoke) {
            ministry.admit(key, *role, (None, None, &[]));
        }
        for (role, key) in roles.iter().zip(&keys).filter(|(role, _)| **role == Role::Spoke) {
            ministry.admit(key, *role, (hubs.first().copied(), hubs.get(1).copied(), &relays));
        }
        let federation = ministry.roster.federation();
        let mut world = Self {
            now: 1000,
            queue: BTreeMap::new(),
            events: 0,
            machines: Vec::new(),
            lives: vec![0; roles.len()],
            links: BTreeMap::new(),
            last_link: 0,
            rate: 1_000_000,
            delay: 50,
            sent: Vec::new(),
            tamper: None,
            ministry,
            federation,
            sealed: 0,
        };
        for key in keys {
            let config = NodeConfig {
                signing: key.clone(),
                federation,
                incarnation: Incarnation([1; 8]),
                reserve: Incarnation([9; 8]),
                floor: Wall(FLOOR),
                keep_hours: u32::MAX,
                scrub: Share::NONE,
                gossip: Switch::Off,
                anti_entropy: Switch::On,
                push: Switch::On,
            };
            let mut node = Node::new(config.clone());
            let journal: Vec<Record> = world.ministry.statements().into_iter().map(Record::Statement).collect();
            journal.iter().cloned().for_each(|record| node.replay(record));
            let disk = MemoryDisk { journal, ..MemoryDisk::default() };
            world.machines.push(Machine {
                key,
                node,
                disk,
                up: true,
                wake: None,
                answers: Vec::new(),
                notices: Vec::new(),
                resets: Vec::new(),
                commands: 0,
                config,
                journal_stuck: false,
            });
            let at = world.machines.len() - 1;
            let now = world.clock();
            world.machines[at].node.start(now);
            world.drain(at);
        }
        world
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        &self.machines[at].node
    }

    fn clock(&self) -> Now {
        Now { mono: Mono(self.now), wall: Wall(FLOOR + self.now) }
    }

    fn push(&mut self, at: u64, event: Event) {
        self.events += 1;
        self.queue.insert((at, self.events), event);
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) -> LinkId {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        self.links.insert(link, Path { ends: [a, b], up: true, free_at: [0, 0] });
        let (id_a, id_b) = (self.node(a).id(), self.node(b).id());
        self.input(a, Input::LinkUp { link, peer: id_b });
        self.input(b, Input::LinkUp { link, peer: id_a });
        link
    }

    /// Both ends hear of it; what was on its way is gone.
    pub(super) fn cut(&mut self, link: LinkId) {
        let Some(path) = self.links.get_mut(&link).filter(|path| path.up) else { return };
        path.up = false;
        let ends = path.ends;
        ends.into_iter().for_each(|end| self.input(end, Input::LinkDown(link)));
    }

    /// Nobody hears of it.
    pub(super) fn cut_silently(&mut self, link: LinkId) {
        self.links.get_mut(&link).unwrap().up = false;
    }

    pub(super) fn is_up(&self, link: LinkId) -> bool {
        self.links[&link].up
    }

    /// The power goes, and comes again at once.
    pub(super) fn power_cut(&mut self, at: usize) {
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, path)| path.up && path.ends.contains(&at)).map(|(link, _)| *link).collect();
        self.lives[at] += 1;
        for link in links {
            let path = self.links.get_mut(&link).unwrap();
            path.up = false;
            let other = path.ends[usize::from(path.ends[0] == at)];
            self.input(other, Input::LinkDown(link));
        }
        let machine = &mut self.machines[at];
        machine.disk = machine.disk.after_power_cut();
        machine.node = Node::new(machine.config.clone());
        machine.wake = None;
        for record in machine.disk.journal.clone() {
            machine.node.replay(record);
        }
        let now = self.clock();
        self.machines[at].node.start(now);
        self.drain(at);
    }

    pub(super) fn input(&mut self, at: usize, input: Input) {
        let now = self.clock();
        if self.machines[at].up {
            self.machines[at].node.handle(input, now);
            self.drain(at);
        }
    }

    pub(super) fn command(&mut self, at: usize, command: Command) -> CommandId {
        self.machines[at].commands += 1;
        let id = CommandId(self.machines[at].commands);
        self.input(at, Input::Command(id, command));
        id
    }

    pub(super) fn answer(&self, at: usize, id: CommandId) -> Option<&Answer> {
        self.machines[at].answers.iter().find(|(other, _)| *other == id).map(|(_, answer)| answer)
    }

    fn drain(&mut self, at: usize) {
        while let Some(output) = self.machines[at].node.poll_output() {
            match output {
                Output::Disk(work) => {
                    if let Some((after, stored)) = self.machines[at].disk.carry_out(work) {
                        let life = self.lives[at];
                        self.push(self.now + after, Event::Stored { to: at, life, stored });
                    }
                }
                Output::Send { link, lane, bytes } => self.send(at, link, lane, bytes),
                Output::Publish(bytes) => {
                    for to in (0..self.machines.len()).filter(|to| *to != at) {
                        self.push(self.now + self.delay, Event::Gossip { to, bytes: bytes.clone() });
                    }
                }
                Output::GossipVerdict { .. } => {}
                Output::Reset { link, reason } => {
                    self.machines[at].resets.push(reason);
                    let Some(path) = self.links.get_mut(&link).filter(|path| path.up) else { continue };
                    path.up = false;
                    let other = path.ends[usize::from(path.ends[0] == at)];
                    // The peer hears of it after the way there: here at once, which is harder.
                    self.input(other, Input::LinkDown(link));
                }
                Output::WakeAt(mono) => self.machines[at].wake = Some(mono.0),
                Output::Answer(id, answer) => self.machines[at].answers.push((id, answer)),
                Output::Notice(notice) => self.machines[at].notices.push(notice),
            }
        }
    }

    fn send(&mut self, from: usize, link: LinkId, lane: Lane, bytes: Vec<u8>) {
        self.sent.push((self.now, from, lane, bytes.clone()));
        let Some(path) = self.links.get_mut(&link).filter(|path| path.up) else { return };
        let side = usize::from(path.ends[1] == from);
        let bytes = match &mut self.tamper {
            Some(tamper) => tamper(from, lane, bytes),
            None => bytes,
        };
        // One queue a direction, first in first out, as one TCP connection is.
        let start = path.free_at[side].max(self.now);
        path.free_at[side] = start + (bytes.len() as u64 * 1000).div_ceil(self.rate);
        let (to, at) = (path.ends[1 - side], path.free_at[side] + self.delay);
        self.push(at, Event::Deliver { to, link, lane, bytes });
    }

    /// One event; `false` when nothing is to happen before `until`.
    fn step(&mut self, until: u64) -> bool {
        let next = self.queue.first_key_value().map(|((at, _), _)| *at);
        let wake = self.machines.iter().filter_map(|machine| machine.wake).min().map(|at| at.max(self.now));
        let Some(at) = next.into_iter().chain(wake).min().filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.now = at;
        if next != Some(at) {
            let due: Vec<usize> =
                (0..self.machines.len()).filter(|m| self.machines[*m].wake.is_some_and(|wake| wake <= at)).collect();
            for machine in due {
                self.machines[machine].wake = None;
                self.input(machine, Input::Wake);
            }
            return true;
        }
        let Some((_, event)) = self.queue.pop_first() else { return false };
        match event {
            Event::Deliver { to, link, lane, bytes } => {
                if self.links[&link].up {
                    self.input(to, Input::Message { link, lane, bytes });
                }
            }
            Event::Gossip { to, bytes } => self.input(to, Input::Gossip { bytes, token: 0 }),
            Event::Stored { to, life, stored } if life == self.lives[to] => {
                if self.machines[to].journal_stuck && matches!(stored, Stored::Persisted(_)) {
                    self.push(at + 10, Event::Stored { to, life, stored });
                } else {
                    self.machines[to].disk.settled(&stored);
                    self.input(to, Input::Stored(stored));
                }
            }
            Event::Stored { .. } => {}
        }
        true
    }

    pub(super) fn run(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.step(until) {}
    }

    /// Runs until `done`, for at most `secs`; how many milliseconds it took.
    pub(super) fn until(&mut self, secs: u64, mut done: impl FnMut(&Self) -> bool) -> u64 {
        let (from, until) = (self.now, self.now + secs * 1000);
        while !done(self) {
            assert!(self.step(until), "not within {secs} s");
        }
        self.now - from
    }

    /// Seals bytes of no meaning as a part of case 1 and announces it at a spoke.
    pub(super) fn announce(&mut self, at: usize, packed: usize, class: Class) -> SealedParcel {
        self.announce_of(at, CaseId([1; 32]), packed, class)
    }

    pub(super) fn announce_of(&mut self, at: usize, case: CaseId, packed: usize, class: Class) -> SealedParcel {
        let parcel = self.seal_of(at, case, packed, class);
        let (id, bytes) = (parcel.manifest.id(), parcel.bytes.clone());
        self.machines[at].disk.files.insert(id, bytes.clone());
        self.machines[at].disk.durable.insert(id, bytes);
        let sealed = Box::new(announcement(&parcel.manifest));
        self.command(at, Command::Announce { manifest: parcel.manifest.bytes().to_vec(), sealed });
        parcel
    }

    /// Seals bytes of no meaning under a node's key and tells nobody.
    pub(super) fn seal_of(&mut self, at: usize, case: CaseId, packed: usize, class: Class) -> SealedParcel {
        self.sealed += 1;
        let mut rng = ChaCha20Rng::seed_from_u64(self.sealed);
        let pool: crate::id::Region = "north".parse().unwrap();
        let roster = self.node(at).roster();
        let facts = SealFacts {
            federation: self.federation,
            case,
            kind: PartKind::Series,
            roster_version: roster.version(),
            jurisdiction: "MW".parse().unwrap(),
            pool: pool.clone(),
            epoch: 0,
            class,
            home_hub: roster.home_hub(&self.node(at).id()).unwrap(),
            pool_key: roster.pool_key0(&pool).unwrap().1,
            recovery: roster.recovery().unwrap(),
        };
        let mut bytes = Vec::new();
        let mut out = |chunk: &[u8]| -> Result<(), ()> {
            bytes.extend_from_slice(chunk);
            Ok(())
        };
        let packed = vec![self.sealed as u8; packed];
        let sealed = seal(&packed, &facts, &self.machines[at].key.clone(), &mut rng, &mut out).unwrap();
        SealedParcel { manifest: sealed.manifest, bytes }
    }

    /// Bytes of fragments that a node has sent.
    pub(super) fn fragment_bytes(&self, from: usize) -> u64 {
        self.fragments(from).map(|(_, bytes)| bytes).sum()
    }

    /// When each fragment left, and its bytes.
    pub(super) fn fragments(&self, from: usize) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.sent.iter().filter(move |(_, by, lane, _)| *by == from && *lane == Lane::Bulk).map(|(at, _, _, bytes)| {
            match Frag::parse(bytes) {
                Ok(Parsed::Known(frag)) => (*at, frag.data.len() as u64),
                other => panic!("{other:?}"),
            }
        })
    }

    /// Ctl messages a node has sent.
    pub(super) fn said(&self, from: usize) -> impl Iterator<Item = (u64, Message)> + '_ {
        self.sent.iter().filter(move |(_, by, lane, _)| *by == from && *lane == Lane::Ctl).map(|(at, _, _, bytes)| {
            match Message::parse(bytes) {
                Ok(Parsed::Known(message)) => (*at, message),
                other => panic!("{other:?}"),
            }
        })
    }

    pub(super) fn is_complete(&self, at: usize, parcel: &SealedParcel) -> bool {
        let id = parcel.manifest.id();
        let view = self.node(at).parcel(&id);
        view.is_some_and(|view| view.progress == crate::transfer::shelf::Progress::Complete)
            && self.machines[at].disk.files[&id] == parcel.bytes
    }

    pub(super) fn has_receipt(&self, at: usize, of: usize, parcel: &SealedParcel) -> bool {
        let id = parcel.manifest.id();
        let item = self.node(at).worklist().item(&parcel.manifest.core().case);
        let parcel = item.and_then(|item| item.parcels.get(&id));
        parcel.is_some_and(|parcel| parcel.receipts.contains_key(&self.node(of).id()))
    }

    pub(super) fn sent_in_vain(&self) -> u64 {
        self.machines.iter().map(|machine| machine.node.logs().counters().sent_in_vain()).sum()
    }

    /// Every node holds the same events and folds the same list, as far as each holds the site.
    pub(super) fn converged(&self, scope: crate::log::Scope) -> bool {
        let digests: Vec<_> = self.machines.iter().map(|machine| machine.node.logs().digest(scope)).collect();
        digests.windows(2).all(|pair| pair[0] == pair[1])
    }

    pub(super) fn durable(&self, at: usize, manifest: &ManifestId) -> Ranges {
        let records = self.machines[at].disk.journal.iter();
        records.fold(Ranges::new(), |mut all, record| {
            match record {
                Record::Have { manifest: of, ranges } if of == manifest => all.extend(ranges),
                Record::Lost { manifest: of, ranges } if of == manifest => ranges.iter().for_each(|r| all.remove(r)),
                _ => {}
            }
            all
        })
    }
}

pub(super) fn announcement(manifest: &Manifest) -> ParcelSealed {
    let core = manifest.core();
    ParcelSealed {
        case: core.case,
        parcel: core.parcel,
        manifest: manifest.id(),
        core: manifest.core_hash(),
        pool: core.pool.clone(),
        epoch: core.epoch,
        kind: core.kind,
        sealed_bytes: core.sealed_bytes,
        instances: 1,
    }
}

/// The roster version a world's nodes start with.
pub(super) fn version(world: &World) -> RosterVersion {
    world.ministry.roster.version()
}
