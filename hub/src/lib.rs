//! The hub's rooms: what is opened, read and signed at a reading hospital.
//!
//! Locked, a hub takes custody, forwards, grants claims and keeps reports; unlocked, it opens what is sealed to its
//! pool, counts it, and gives a case's files to the reader whose claim allows it, audit entry first. Steps 6 to 10 of
//! the path of a Study (docs/ARCHITECTURE.md); the networks and the claims themselves are the core's.

mod audit;
mod core;
pub mod export;
mod keyring;
pub mod limits;
mod opened;
mod opening;
mod pool;
pub mod reading;
pub mod report;

pub use crate::core::{Core, Refused};
pub use audit::{Act, AuditChain, Entry};
pub use keyring::UnlockedKeys;
pub use opened::OpenedStatus;
pub use opening::ParcelError;

use audit::AuditLog;
use keyring::KeyRing;
use opened::Opened;
use opening::Seen;
use radmesh_protocol::{
    claim::ClaimState,
    envelope::at_rest::AtRestKey,
    id::{CaseId, EventHash, FederationId, ManifestId, NodeId},
    node::Notice,
    ranges::Ranges,
    record::Record,
    worklist::{
        item::{ItemOrder, WorklistItem},
        order::OrderDetails,
    },
};
use radmesh_store::Store;
use radmesh_worker::Workers;
use rand_core::CryptoRng;
use reading::{Row, Sight};
use report::{Held, ReadingContext};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, RwLock},
};
use tokio::sync::{Notify, broadcast};

/// Number of the audit log's room (`protocol/SPEC.md`, Storage).
pub(crate) const ROOM_AUDIT: u16 = 0x100;

/// What a hub is made of.
#[derive(Debug)]
pub struct Parts {
    /// The core, to read and to command.
    pub core: Core,
    /// The node's store.
    pub store: Arc<Store>,
    /// Its at-rest key.
    pub at_rest: AtRestKey,
    /// This node.
    pub me: NodeId,
    /// Chance, from the node.
    pub rng: Box<dyn Chance>,
    /// What decodes.
    pub workers: Arc<Workers>,
    /// Bytes of opened Instances to keep at most; see [`limits::OPENED_BYTES_MAX`].
    pub opened_bytes_max: u64,
}

/// A source of chance that the node gives.
pub trait Chance: CryptoRng + Send + fmt::Debug {}
impl<T: CryptoRng + Send + fmt::Debug> Chance for T {}

/// The hub's rooms, for the node to run and the control socket to ask.
#[derive(Debug)]
pub struct Hub {
    core: Core,
    store: Arc<Store>,
    at_rest: AtRestKey,
    me: NodeId,
    rng: Mutex<Box<dyn Chance>>,
    workers: Arc<Workers>,
    keys: RwLock<Option<KeyRing>>,
    audit: Mutex<AuditLog>,
    // Cases whose parcels do not open, with the parcels that were tried: decoding them again would find the same.
    given_up: Mutex<BTreeMap<CaseId, Vec<ManifestId>>>,
    opened: Opened,
    seen: Mutex<Seen>,
    // Orders opened since the unlock, by the event that carried each.
    orders: Mutex<BTreeMap<EventHash, OrderDetails>>,
    work: Notify,
}

/// A case that can't be named so.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No case begins so.
    #[error("no case begins with {0:?}")]
    None(String),
    /// Several do.
    #[error("{count} cases begin with {prefix:?}")]
    Several {
        /// As typed.
        prefix: String,
        /// Cases.
        count: usize,
    },
}

impl Hub {
    /// A locked hub; [`Self::replay`] then takes its private records.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { core, store, at_rest, me, rng, workers, opened_bytes_max } = parts;
        let opened = Opened::new(Arc::clone(&store), opened_bytes_max);
        let (rng, keys, audit) = (Mutex::new(rng), RwLock::new(None), Mutex::new(AuditLog::new()));
        let (given_up, orders, seen) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self {
            core,
            store,
            at_rest,
            me,
            rng,
            workers,
            keys,
            audit,
            given_up,
            opened,
            seen,
            orders,
            work: Notify::new(),
        }
    }

    /// Takes a private record that the journal held.
    pub fn replay(&self, record: &Record) {
        if let Record::Room { room: ROOM_AUDIT, sealed, .. } = record {
            self.audit().replay(&self.at_rest, sealed);
        }
    }

    /// Opens what arrives, for as long as the hub is unlocked and the node runs.
    pub async fn run(self: Arc<Self>, mut notices: broadcast::Receiver<Notice>) {
        loop {
            let hub = Arc::clone(&self);
            let pass = tokio::task::spawn_blocking(move || hub.open_what_is_here()).await;
            if pass.is_err() {
                tracing::error!("opening parcels failed; the next arrival tries again");
            }
            tokio::select! {
                () = self.work.notified() => {}
                notice = notices.recv() => match notice {
                    Err(broadcast::error::RecvError::Closed) => return,
                    // Missed notices are no loss: every pass looks at all that is here.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => while notices.try_recv().is_ok() {},
                },
            }
        }
    }

    /// Takes the reading keys, until the process ends.
    pub fn unlock(&self, keys: UnlockedKeys) {
        *self.keys.write().expect("no holder of the keys panics") = Some(KeyRing::new(keys));
        self.work.notify_one();
    }

    /// Whether the hub can open anything.
    #[must_use]
    pub fn is_unlocked(&self) -> bool {
        self.keys.read().expect("no holder of the keys panics").is_some()
    }

    /// How much is kept opened for readers.
    #[must_use]
    pub fn opened(&self) -> OpenedStatus {
        self.opened.status()
    }

    /// Every case of the pool, the one to read first at the front.
    #[must_use]
    pub fn worklist(&self) -> Vec<Row> {
        // The driver waits while the core is held, and with it every link: rows are made from a copy.
        let (items, roster, here) = {
            let node = self.core.read();
            let here: BTreeMap<ManifestId, u64> =
                node.parcels().map(|parcel| (parcel.manifest, parcel.bytes_here)).collect();
            let items: Vec<WorklistItem> = node.worklist().by_priority().into_iter().cloned().collect();
            (items, node.roster().clone(), here)
        };
        let here = |manifest: &_| here.get(manifest).map_or_else(Ranges::new, |bytes| Ranges::whole(*bytes));
        let mut orders = self.orders(&items, &roster.federation());
        let seen = self.seen();
        let row = |item: &WorklistItem| {
            let order = item.order.as_ref().and_then(|order| orders.remove(&order.event));
            Row::of(item, Sight { roster: &roster, here: &here, order, flagged: &seen.parcels })
        };
        items.iter().map(row).collect()
    }

    /// The orders of these cases that this hub can open. Each is opened once and kept: a pool has thousands.
    fn orders(&self, items: &[WorklistItem], federation: &FederationId) -> BTreeMap<EventHash, OrderDetails> {
        let keys = self.keys.read().expect("no holder of the keys panics");
        let Some(keys) = keys.as_ref() else { return BTreeMap::new() };
        let mut opened = self.orders.lock().expect("opening an order does not panic");
        let orders = items.iter().filter_map(|item| item.order.as_ref());
        let mut known = |order: &ItemOrder| opened.remove(&order.event).or_else(|| open_order(keys, order, federation));
        let now: BTreeMap<_, _> = orders.filter_map(|order| Some((order.event, known(order)?))).collect();
        *opened = now;
        opened.clone()
    }

    /// The one case whose id begins so.
    ///
    /// # Errors
    /// [`FindError`].
    pub fn find(&self, prefix: &str) -> Result<CaseId, FindError> {
        let node = self.core.read();
        let wanted = prefix.replace('-', "").to_ascii_lowercase();
        let mut fits =
            node.worklist().items().map(|item| item.case).filter(|case| case.to_string().starts_with(&wanted));
        let first = fits.next().ok_or_else(|| FindError::None(prefix.to_owned()))?;
        let more = fits.count();
        if more > 0 { Err(FindError::Several { prefix: prefix.to_owned(), count: more + 1 }) } else { Ok(first) }
    }

    /// What a person's statement about a case must name; `None` if the case is not here or has no pool key.
    #[must_use]
    pub fn reading_context(&self, case: &CaseId) -> Option<ReadingContext> {
        let node = self.core.read();
        let roster = node.roster();
        let item = node.worklist().item(case)?;
        let (_, pool) = pool::current_key(&node, roster.pool_of(&item.site)?)?;
        let clinic = roster.node(&item.site)?.reading;
        let held =
            |claimant, transaction, token| Held { claimant, name: roster.person_name(&claimant), transaction, token };
        Some(ReadingContext {
            federation: roster.federation(),
            node: self.me,
            case: *case,
            roster_version: roster.version(),
            recipients: vec![pool, roster.recovery()?, clinic],
            standing: reading::standing(item),
            claim: match item.claim {
                ClaimState::Granted { claimant, transaction, token, .. } => {
                    Some(held(claimant, transaction, Some(token)))
                }
                ClaimState::Tentative { claimant, transaction, .. } => Some(held(claimant, transaction, None)),
                ClaimState::Free | ClaimState::Completed { .. } => None,
            },
        })
    }

    /// Whether the log of who opened what is whole.
    #[must_use]
    pub fn audit_chain(&self) -> AuditChain {
        self.audit().chain()
    }

    fn audit(&self) -> MutexGuard<'_, AuditLog> {
        self.audit.lock().expect("no writer of the audit log panics")
    }

    fn given_up(&self) -> MutexGuard<'_, BTreeMap<CaseId, Vec<ManifestId>>> {
        self.given_up.lock().expect("no holder of the list panics")
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder of what was seen panics")
    }

    fn rng(&self) -> MutexGuard<'_, Box<dyn Chance>> {
        self.rng.lock().expect("drawing chance does not panic")
    }
}

fn open_order(keys: &KeyRing, order: &ItemOrder, federation: &FederationId) -> Option<OrderDetails> {
    let plain = keys.open_body(&order.sealed, federation).ok()?;
    OrderDetails::parse(&plain).ok()
}
