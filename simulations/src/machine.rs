//! One computer: a disk that forgets what was not synced, and the node and store that run on it while it has power.

use crate::{chance::Chance, disk::SYNC_MS, federation::Member, scenario::Span, world::FLOOR};
use radmesh_protocol::{
    claim::Token,
    envelope::{at_rest::AtRestKey, sign::SigningKey},
    id::{CaseId, EventHash, FederationId, Incarnation},
    log::{Event, Scope},
    node::{Answer, CommandId, Node, NodeConfig, Switch},
    record::Work,
    time::{Mono, Now, Wall},
    transfer::scrub::Share,
};
use radmesh_store::{
    Faulty, OpenError, Settings, Store,
    medium::{Medium, Name},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Bytes of a journal segment: small, so that a run of minutes crosses many.
const SEGMENT_BYTES: u64 = 64 * 1024;
/// Hours of running for which a machine keeps what others hold.
pub(crate) const KEEP_HOURS: u32 = 3 * 24;

/// A node while it has power.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) store: Store,
    /// Storage work that was not begun.
    pub(crate) work: VecDeque<Work>,
    /// Whether the disk's thread is at work.
    pub(crate) disk: DiskThread,
    /// Whether the node has said that its disk failed.
    pub(crate) is_faulted: bool,
    pub(crate) answers: BTreeMap<CommandId, Answer>,
    /// Number of the latest `WakeAt`; only that one counts.
    pub(crate) wake: u64,
    /// When it started, in the world's milliseconds: its own monotonic time begins there.
    born: u64,
    clock_error_ms: i64,
    /// Events that came since the rules were last checked.
    pub(crate) fresh: Vec<Event>,
    /// Events held when the rules were last checked.
    pub(crate) checked: usize,
    /// Links that it has ended.
    pub(crate) resets: u64,
    /// What it has said itself, by place.
    pub(crate) own: BTreeMap<(Incarnation, Scope, u64), EventHash>,
    /// Tokens it has given itself.
    pub(crate) own_grants: BTreeMap<(CaseId, Token), EventHash>,
}

/// What the thread that owns the disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskThread {
    Idle,
    Busy,
}

/// When the power is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fuse {
    Sound,
    /// After the next write of a parcel's bytes or journal record, before its sync.
    InNextWrite {
        /// How long it stays down, in milliseconds.
        down_ms: u64,
    },
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) key: SigningKey,
    incarnation: Incarnation,
    at_rest: AtRestKey,
    pub(crate) medium: Arc<Faulty>,
    pub(crate) running: Option<Running>,
    /// Power cuts so far: what was on its way to an earlier life never arrives.
    pub(crate) life: u64,
    pub(crate) fuse: Fuse,
    /// Milliseconds by which its wall clock is ahead.
    pub(crate) clock_error_ms: i64,
    /// An earlier copy of its disk.
    pub(crate) backup: Option<BTreeMap<Name, Vec<u8>>>,
    /// How long a sync of its disk takes.
    pub(crate) sync_ms: Span,
    pub(crate) past: Past,
    /// Whether a bit of its journal turned over since it had power last.
    pub(crate) is_bent: bool,
    /// Whether it tampers with what it sends, of which it remembers some.
    pub(crate) is_dishonest: bool,
    pub(crate) remembered: VecDeque<Vec<u8>>,
}

/// What became of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// It has what it ever promised.
    Whole,
    /// Its disk was put back to an earlier copy, and peers have the rest.
    PutBack,
    /// Somebody has its key, and says something else in its name.
    Lied,
    /// It is no more.
    Destroyed,
    /// The ministry has revoked it.
    Revoked,
}

impl Past {
    /// Whether a machine may contradict itself.
    pub(crate) const fn is_torn(self) -> bool {
        matches!(self, Self::PutBack | Self::Lied)
    }

    /// Whether it is still one of the federation, of which something is asked.
    pub(crate) const fn counts(self) -> bool {
        !matches!(self, Self::Destroyed | Self::Revoked)
    }
}

impl Machine {
    pub(crate) fn new(member: &Member, chance: &mut Chance) -> Self {
        Self {
            name: member.name.clone(),
            key: member.key.clone(),
            incarnation: member.incarnation,
            at_rest: AtRestKey::from_bytes(&chance.bytes()),
            medium: Arc::new(Faulty::new()),
            running: None,
            life: 0,
            fuse: Fuse::Sound,
            clock_error_ms: 0,
            backup: None,
            sync_ms: SYNC_MS,
            is_bent: false,
            past: Past::Whole,
            is_dishonest: false,
            remembered: VecDeque::new(),
        }
    }

    /// Its wall clock is set, with or without power.
    pub(crate) fn set_clock(&mut self, error_ms: i64) {
        self.clock_error_ms = error_ms;
        self.running.iter_mut().for_each(|running| running.clock_error_ms = error_ms);
    }

    pub(crate) fn has_ever_been_copied(&self) -> bool {
        self.backup.is_some() || self.past == Past::PutBack
    }

    /// What it has without power is an earlier copy.
    pub(crate) fn put_back(&mut self) {
        if let Some(files) = self.backup.take() {
            self.medium = Arc::new(Faulty::holding(files));
            self.past = Past::PutBack;
        }
    }

    /// It is no more, and never will be.
    pub(crate) fn destroy(&mut self) {
        self.running = None;
        self.life += 1;
        self.fuse = Fuse::Sound;
        self.medium = Arc::new(Faulty::new());
        self.past = Past::Destroyed;
    }

    /// The power comes: opens the store, replays it, starts the node.
    pub(crate) fn boot(&mut self, federation: FederationId, now: u64, chance: &mut Chance) -> Result<(), OpenError> {
        let medium: Arc<dyn Medium> = Arc::<Faulty>::clone(&self.medium);
        let settings = Settings { segment_bytes: SEGMENT_BYTES, ..Settings::default() };
        let (store, replay) = Store::open_with(medium, &self.at_rest, settings)?;
        let mut node = Node::new(NodeConfig {
            signing: self.key.clone(),
            federation,
            incarnation: self.incarnation,
            reserve: Incarnation(chance.bytes()),
            floor: Wall(FLOOR),
            // What rots is looked for when all is healed, as a person would with `verify`.
            keep_hours: KEEP_HOURS,
            scrub: Share::per_cent(1).unwrap_or_default(),
            gossip: Switch::Off,
            anti_entropy: Switch::On,
            push: Switch::On,
        });
        for record in replay {
            node.replay(record?);
        }
        let fresh = node.logs().scopes().into_iter().flat_map(|scope| node.logs().events(scope)).cloned().collect();
        node.start(Now { mono: Mono(0), wall: wall(now, self.clock_error_ms) });
        self.running = Some(Running {
            node,
            store,
            work: VecDeque::new(),
            disk: DiskThread::Idle,
            is_faulted: false,
            answers: BTreeMap::new(),
            wake: 0,
            born: now,
            clock_error_ms: self.clock_error_ms,
            fresh,
            checked: 0,
            resets: 0,
            own: BTreeMap::new(),
            own_grants: BTreeMap::new(),
        });
        Ok(())
    }

    /// The power fails; whether anything was lost that had been written.
    pub(crate) fn crash(&mut self, survives: Option<radmesh_store::medium::Survives>, chance: &mut Chance) -> bool {
        // The store first: nothing may touch the disk once the power is gone.
        self.running = None;
        self.life += 1;
        self.fuse = Fuse::Sound;
        let before = self.medium.files();
        match survives {
            Some(survives) => self.medium.cut(survives, &mut chance.rng),
            None => self.medium.crash(&mut chance.rng),
        }
        before != self.medium.files()
    }
}

/// What a clock shows that is so far off.
const fn wall(now: u64, error_ms: i64) -> Wall {
    Wall((FLOOR + now).saturating_add_signed(error_ms))
}

impl Running {
    /// The moment, as this node's own clocks show it.
    pub(crate) const fn clock(&self, now: u64) -> Now {
        Now { mono: Mono(now - self.born), wall: wall(now, self.clock_error_ms) }
    }

    /// A moment of this node's monotonic time, in the world's milliseconds.
    pub(crate) const fn world_ms(&self, mono: Mono) -> u64 {
        mono.0.saturating_add(self.born)
    }
}
