//! What a spoke is put together from, and its section of the configuration.
//!
//! The node gives everything that touches the world: the disk, the time, randomness, the keys. A title or address is
//! read into its type before it comes here, so a clinic learns of a wrong one at the start and not at night.

use crate::{Chance, ledger::OpenError, modality::Modality, rooms::Latest};
use radmesh_dimse::{AeTitle, sop_class::SopClasses};
use radmesh_protocol::{
    envelope::{at_rest::AtRestKey, reading::ReadingKey, sign::SigningKey},
    id::{FederationId, NodeId},
    node::{Answer, Command, Node},
    time::{Millis, Now},
};
use radmesh_store::Store;
use radmesh_worker::Workers;
use std::{
    fmt,
    sync::{Arc, RwLock},
};
use tokio::sync::{mpsc, oneshot};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// How the core is told what to do.
pub type Commands = mpsc::Sender<(Command, oneshot::Sender<Answer>)>;

/// The spoke's section of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's AE title: whoever asks for another one is turned away.
    pub ae_title: AeTitle,
    /// Without a new Instance for so long, a Study is complete.
    pub quiet: Millis,
    /// What it takes.
    pub sop_classes: SopClasses,
    /// Modalities that may send.
    pub modalities: Vec<Modality>,
    /// Bytes that each of them may store in a day.
    pub sender_bytes_a_day: u64,
}

/// What a spoke is put together from.
pub struct Parts {
    /// This node.
    pub me: NodeId,
    /// Its federation.
    pub federation: FederationId,
    /// Signs manifests.
    pub signer: SigningKey,
    /// Opens the reports that are sealed to this node.
    pub reading: ReadingKey,
    /// Seals what lies on the disk.
    pub at_rest: AtRestKey,
    /// The disk.
    pub store: Arc<Store>,
    /// Rooms' records of the journal.
    pub latest: Latest,
    /// The core, for reading.
    pub node: Arc<RwLock<Node>>,
    /// The core, for telling.
    pub commands: Commands,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub chance: Chance,
    /// What codes.
    pub workers: Arc<Workers>,
    /// The configuration.
    pub settings: Settings,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("me", &self.me).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A spoke that can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal or the disk.
    #[error(transparent)]
    Open(#[from] OpenError),
}
