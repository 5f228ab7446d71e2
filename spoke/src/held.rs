//! Whether what is held is really held: a copy is read back before a resend of it is thrown away.
//!
//! A technician sends a Study again because something seems wrong, and the modality may then delete its own. So "it is
//! here already" is said only of a copy whose every byte was just read and is right, or that the home hub has signed
//! for. A parcel that was read right stands for its other Instances for a few minutes, or a resent Study of 1,000
//! Instances would read 16 GB.

use crate::{sealed_file, staging::ReceivedInstance};
use radmesh_protocol::{
    id::{CaseId, Hash, ManifestId, NodeId},
    limits::PAGE_CHUNKS,
    node::Node,
    parcel::{
        chunk::{chunk_hash, chunks_of, page_hash},
        manifest::Manifest,
    },
    time::{Millis, Mono},
};
use radmesh_store::Store;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Reads copies back.
pub(crate) struct Held {
    store: Arc<Store>,
    node: Arc<RwLock<Node>>,
    me: NodeId,
    read: Mutex<HashMap<ManifestId, Mono>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    pub(crate) fn new(store: Arc<Store>, node: Arc<RwLock<Node>>, me: NodeId) -> Self {
        Self { store, node, me, read: Mutex::default() }
    }

    /// Whether a staging file gives back what was received.
    pub(crate) fn file(&self, instance: &ReceivedInstance) -> bool {
        let Ok(file) = sealed_file::open(&self.store, instance.file, &instance.key) else { return false };
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file).is_ok_and(|all| all.finalize().as_bytes() == instance.received.as_bytes())
    }

    /// Whether a parcel is safe with the home hub, or whole on this disk. `signed` is its manifest where the core does
    /// not have it yet.
    pub(crate) fn parcel(&self, case: &CaseId, id: ManifestId, signed: Option<&[u8]>, now: Mono) -> bool {
        if self.home_hub_signed(case, &id) {
            return true;
        }
        let read = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read().get(&id).is_some_and(|at| now.since(*at) < READ_HOLDS) {
            return true;
        }
        let whole = self.is_whole(id, signed).is_some_and(|whole| whole);
        if whole {
            let mut read = read();
            read.retain(|_, at| now.since(*at) < READ_HOLDS);
            read.insert(id, now);
        }
        whole
    }

    fn home_hub_signed(&self, case: &CaseId, id: &ManifestId) -> bool {
        let node = self.node.read().expect("the core does not panic");
        let parcel = node.worklist().item(case).and_then(|item| item.parcels.get(id));
        parcel.zip(node.roster().home_hub(&self.me)).is_some_and(|(parcel, home)| parcel.receipts.contains_key(&home))
    }

    fn is_whole(&self, id: ManifestId, signed: Option<&[u8]>) -> Option<bool> {
        let signed = match signed {
            Some(bytes) => bytes.to_vec(),
            None => self.store.manifest(id).ok()??,
        };
        let manifest = Manifest::parse(&signed).ok()?;
        let chunks = u32::try_from(chunks_of(manifest.core().sealed_bytes)).ok()?;
        let hash = |chunk| self.store.chunk(id, chunk).map(|bytes| chunk_hash(&bytes));
        let hashes: Vec<Hash> = (0..chunks).map(hash).collect::<Option<_>>()?;
        Some(hashes.chunks(PAGE_CHUNKS as usize).map(page_hash).eq(manifest.page_hashes().iter().copied()))
    }
}

const READ_HOLDS: Millis = Millis::from_secs(300);
