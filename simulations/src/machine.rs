//! One computer: a disk that forgets what was not synced, and the node and store that run on it while it has power.

use crate::{chance::Chance, federation::Member, world::FLOOR};
use radmesh_protocol::{
    envelope::{at_rest::AtRestKey, sign::SigningKey},
    id::{EventHash, FederationId, Incarnation},
    node::{Answer, CommandId, Node, NodeConfig, Switch},
    record::Work,
    time::{Mono, Now, Wall},
};
use radmesh_store::{Faulty, OpenError, Settings, Store, medium::Medium};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Bytes of a journal segment: small, so that a run of minutes crosses many.
const SEGMENT_BYTES: u64 = 64 * 1024;

/// A node while it has power.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) store: Store,
    /// Storage work that was not begun.
    pub(crate) work: VecDeque<Work>,
    /// Whether the disk's thread is at work.
    pub(crate) disk: DiskThread,
    pub(crate) answers: BTreeMap<CommandId, Answer>,
    /// Number of the latest `WakeAt`; only that one counts.
    pub(crate) wake: u64,
    /// When it started, in the world's milliseconds: its own monotonic time begins there.
    born: u64,
    /// Events held when the rules were last checked.
    pub(crate) checked: usize,
    /// Reports held when the rules were last checked.
    pub(crate) reports: BTreeSet<EventHash>,
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
    pub(crate) name: &'static str,
    pub(crate) key: SigningKey,
    incarnation: Incarnation,
    at_rest: AtRestKey,
    pub(crate) medium: Arc<Faulty>,
    pub(crate) running: Option<Running>,
    /// Power cuts so far: what was on its way to an earlier life never arrives.
    pub(crate) life: u64,
    pub(crate) fuse: Fuse,
}

impl Machine {
    pub(crate) fn new(member: &Member, chance: &mut Chance) -> Self {
        Self {
            name: member.name,
            key: member.key.clone(),
            incarnation: member.incarnation,
            at_rest: AtRestKey::from_bytes(&chance.bytes()),
            medium: Arc::new(Faulty::new()),
            running: None,
            life: 0,
            fuse: Fuse::Sound,
        }
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
            gossip: Switch::Off,
            anti_entropy: Switch::On,
            push: Switch::On,
        });
        for record in replay {
            node.replay(record?);
        }
        node.start(Now { mono: Mono(0), wall: Wall(FLOOR + now) });
        self.running = Some(Running {
            node,
            store,
            work: VecDeque::new(),
            disk: DiskThread::Idle,
            answers: BTreeMap::new(),
            wake: 0,
            born: now,
            checked: 0,
            reports: BTreeSet::new(),
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

impl Running {
    /// The moment, as this node's own clocks show it.
    pub(crate) const fn clock(&self, now: u64) -> Now {
        Now { mono: Mono(now - self.born), wall: Wall(FLOOR + now) }
    }

    /// A moment of this node's monotonic time, in the world's milliseconds.
    pub(crate) const fn world_ms(&self, mono: Mono) -> u64 {
        mono.0.saturating_add(self.born)
    }
}
