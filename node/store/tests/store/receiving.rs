//! A hub's core on a real store: what a full disk and a hostile peer do to a parcel on its way.
//!
//! The core's own tests run on a disk of their own; here the code that ships answers it.

use crate::fixture::open;
use radmesh_protocol::{
    class::Class,
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{CaseId, Hash, Incarnation, NodeId},
    limits::FRAGMENT_BYTES_MAX,
    node::{Input, Lane, LinkId, Node, NodeConfig, Output, Switch},
    parcel::{
        PartKind,
        seal::{SealFacts, Sealed, seal},
    },
    record::{Record, Seq, Stored, Work},
    roster::{
        Role, Roster, RosterVersion, Term,
        request::NodeRequest,
        statement::{AdmitNode, Genesis, KeyMaker, Statement, StatementBody},
    },
    time::{Mono, Now, Wall},
    transfer::{
        message::{Frag, Hello, Message, Need, Offer, PageOf, Parsed},
        offers::With,
        scrub::Share,
        shelf::Progress,
    },
};
use radmesh_store::{Faulty, Medium, Store, medium::Fault};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::sync::Arc;

const FLOOR: u64 = 1_790_000_000_000;
const LINK: LinkId = LinkId(1);

fn spoke() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

/// A ministry's statements that admit one hub, and one spoke whose home it is.
fn roster(hub: &SigningKey) -> Roster {
    let (root, ministry) = (SigningKey::from_seed([201; 32]), SigningKey::from_seed([202; 32]));
    let reading = ReadingKey::from_seed([203; 32]).public();
    let genesis = Genesis {
        name: "Ministry".to_owned(),
        threshold: 1,
        roots: vec![root.chain_id()],
        recovery: reading,
        ministry: ministry.chain_id(),
    };
    let federation = genesis.federation();
    let first = Statement::sign(&root, &federation, 1, Hash([0; 32]), Wall(FLOOR), &StatementBody::Genesis(genesis));
    let mut roster = Roster::from_genesis(first.bytes()).unwrap();
    for (key, role, home) in [(hub, Role::Hub, None), (&spoke(), Role::Spoke, Some(hub.node_id()))] {
        let request = NodeRequest {
            node: key.node_id(),
            reading,
            name: format!("{role}"),
            role,
            addresses: Vec::new(),
            incarnation: Incarnation([1; 8]),
            epoch0: (role == Role::Hub).then_some(reading),
        };
        let admit = AdmitNode {
            request,
            region: "north".parse().unwrap(),
            jurisdiction: "MW".parse().unwrap(),
            home,
            standby: None,
            term: Term(u64::from(home.is_some())),
            via: Vec::new(),
            key_maker: if role == Role::Hub { KeyMaker::Yes } else { KeyMaker::No },
        };
        let (seq, prev) = roster.next();
        let body = StatementBody::AdmitNode(Box::new(admit));
        let statement = Statement::sign(&ministry, &federation, seq, prev, Wall(FLOOR), &body);
        roster.apply(statement.bytes()).unwrap();
    }
    roster
}

/// The hub, and what it has said to the spoke.
struct Hub {
    node: Node,
    store: Store,
    now: u64,
    said: Vec<Message>,
}

impl Hub {
    /// Starts on a disk, as after any power cut.
    fn start(disk: &Arc<Faulty>) -> Self {
        let key = SigningKey::from_seed([9; 32]);
        let roster = roster(&key);
        let config = NodeConfig {
            signing: key,
            federation: roster.federation(),
            incarnation: Incarnation([1; 8]),
            reserve: Incarnation([2; 8]),
            floor: Wall(FLOOR),
            keep_hours: u32::MAX,
            scrub: Share::NONE,
            gossip: Switch::Off,
            anti_entropy: Switch::On,
            push: Switch::On,
        };
        let (store, records) = open(Arc::clone(disk) as Arc<dyn Medium>).expect("the store opens");
        let mut node = Node::new(config);
        roster.statements_after(&[]).for_each(|bytes| node.replay(Record::Statement(bytes.to_vec())));
        records.into_iter().for_each(|record| node.replay(record));
        let mut hub = Self { node, store, now: 1_000, said: Vec::new() };
        hub.node.start(hub.clock());
        hub.settle();
        hub.input(Input::LinkUp { link: LINK, peer: spoke().node_id() });
        let hello = Hello {
            version: 1,
            caps: 0,
            roster: RosterVersion(0),
            roster_digest: [0; 16],
            clock: Mono(0),
            digests: Vec::new(),
            credit: 1 << 20,
            resume: Vec::new(),
        };
        hub.hear(&Message::Hello(Box::new(hello)));
        hub.hear(&Message::Welcome(Mono(0)));
        hub
    }

    fn clock(&self) -> Now {
        Now { mono: Mono(self.now), wall: Wall(FLOOR + self.now) }
    }

    /// Carries out what the core wants until it wants nothing more.
    fn settle(&mut self) {
        let mut last = None;
        loop {
            let mut answers = Vec::new();
            while let Some(output) = self.node.poll_output() {
                match output {
                    Output::Disk(work) => answers.extend(self.store.carry_out(work)),
                    Output::Send { lane: Lane::Ctl, bytes, .. } => match Message::parse(&bytes) {
                        Ok(Parsed::Known(message)) => self.said.push(message),
                        other => panic!("{other:?}"),
                    },
                    Output::Reset { reason, .. } => panic!("{reason}"),
                    _ => {}
                }
            }
            // A record that waits for space is said once: whoever owns the disk tries again later.
            let committed = self.store.commit().filter(|stored| last.as_ref() != Some(stored));
            last.clone_from(&committed);
            answers.extend(committed);
            if answers.is_empty() {
                return;
            }
            for stored in answers {
                self.node.handle(Input::Stored(stored), self.clock());
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.node.handle(input, self.clock());
        self.settle();
    }

    fn hear(&mut self, message: &Message) {
        self.input(Input::Message { link: LINK, lane: Lane::Ctl, bytes: message.encode() });
    }

    fn fragment(&mut self, need: &Need, offset: u64, data: &[u8]) {
        let bytes = Frag { slot: need.slot, offset, data }.encode();
        self.input(Input::Message { link: LINK, lane: Lane::Bulk, bytes });
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.input(Input::Wake);
    }

    fn offer(&mut self, sealed: &Sealed) {
        let (manifest, bytes) = (sealed.manifest.id(), sealed.manifest.core().sealed_bytes);
        self.hear(&Message::Offer(Offer { manifest, class: Class::Routine, bytes, with: With::Manifest }));
        self.hear(&Message::Manifest(sealed.manifest.bytes().to_vec()));
    }

    /// What the hub last asked for.
    fn need(&self) -> Option<Need> {
        self.said.iter().rev().find_map(|message| match message {
            Message::Need(need) => Some(need.clone()),
            Message::Hello(hello) => hello.resume.last().cloned(),
            _ => None,
        })
    }

    /// Serves what the hub last asked for, as an honest spoke does.
    fn serve(&mut self, sealed: &Sealed, chunks: &[Vec<u8>]) {
        let need = self.need().expect("the hub asks");
        let manifest = sealed.manifest.id();
        for (page, hashes) in (0..).zip(&sealed.pages) {
            self.hear(&Message::Page(PageOf { manifest, page, hashes: hashes.bytes() }));
        }
        let file = chunks.concat();
        for range in need.ranges.iter() {
            let mut at = range.start;
            while at < range.end {
                let chunk_end = (at / u64::from(FRAGMENT_BYTES_MAX) + 1) * u64::from(FRAGMENT_BYTES_MAX);
                let end = range.end.min(chunk_end);
                self.fragment(&need, at, &file[at as usize..end as usize]);
                at = end;
            }
        }
    }

    fn has(&self, sealed: &Sealed) -> bool {
        let view = self.node.parcel(&sealed.manifest.id());
        view.is_some_and(|view| view.progress == Progress::Complete) && self.node.counters().receipts == 1
    }
}

fn sealed() -> (Sealed, Vec<Vec<u8>>) {
    let hub = SigningKey::from_seed([9; 32]);
    let roster = roster(&hub);
    let pool = "north".parse().unwrap();
    let facts = SealFacts {
        federation: roster.federation(),
        case: CaseId([2; 32]),
        kind: PartKind::Series,
        roster_version: roster.version(),
        jurisdiction: "MW".parse().unwrap(),
        pool_key: roster.pool_key0(&pool).unwrap().1,
        pool,
        epoch: 0,
        class: Class::Routine,
        home_hub: NodeId([3; 32]),
        recovery: roster.recovery().unwrap(),
    };
    let mut chunks = Vec::new();
    let mut out = |chunk: &[u8]| -> Result<(), ()> {
        chunks.push(chunk.to_vec());
        Ok(())
    };
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    (seal(&vec![7; 300_000], &facts, &spoke(), rng, &mut out).unwrap(), chunks)
}

#[test]
fn a_parcel_offered_while_the_disk_is_full_is_received_once_there_is_room() {
    let disk = Arc::new(Faulty::new());
    let (sealed, chunks) = sealed();
    let mut hub = Hub::start(&disk);
    disk.limit(200 * 1024);
    hub.offer(&sealed);
    assert_eq!(hub.node.counters().disk_full, 1);
    // What the spoke had sent before it heard.
    hub.serve(&sealed, &chunks);
    disk.limit(4 * 1024 * 1024);
    hub.pass(61_000);
    hub.serve(&sealed, &chunks);
    assert!(hub.has(&sealed), "{:?}", hub.node.counters());
    assert_eq!(hub.node.counters().received.damaged_chunks, 0);
}

#[test]
fn a_parcel_whose_record_finds_no_space_is_received_once_there_is_some() {
    let disk = Arc::new(Faulty::new());
    let (sealed, chunks) = sealed();
    let mut hub = Hub::start(&disk);
    hub.offer(&sealed);
    // Records that fill the journal's segment: the next one needs another.
    for number in 0..10 {
        let answers = hub.store.carry_out(Work::Persist(Seq(1_000 + number), crate::fixture::event(0, 700)));
        assert_eq!(answers, [] as [Stored; 0]);
    }
    hub.store.commit();
    let need = hub.need().unwrap();
    hub.fragment(&need, 0, &chunks[0]);
    disk.inject(Fault::FullFrom(1));
    hub.fragment(&need, 65_536, &chunks[1]);
    hub.pass(3_000);
    assert!(hub.node.counters().disk_full >= 1);
    disk.heal();
    hub.pass(61_000);
    hub.serve(&sealed, &chunks);
    assert!(hub.has(&sealed), "{:?}", hub.node.counters());
}

#[test]
fn a_store_opens_again_whatever_fragments_a_peer_has_sent() {
    let disk = Arc::new(Faulty::new());
    let (sealed, chunks) = sealed();
    let mut hub = Hub::start(&disk);
    hub.offer(&sealed);
    let need = hub.need().unwrap();
    (0..600).for_each(|at| hub.fragment(&need, 2 * at, &[1]));
    hub.pass(3_000);
    drop(hub);
    let mut hub = Hub::start(&disk);
    hub.offer(&sealed);
    hub.serve(&sealed, &chunks);
    // The byte that was taken was not the parcel's: its chunk comes again.
    hub.serve(&sealed, &chunks);
    assert!(hub.has(&sealed), "{:?}", hub.node.counters());
}
