//! The association server: C-ECHO and C-STORE for whoever connects.
//!
//! A modality that gets no answer keeps its images and blocks; one that gets a false 0x0000 deletes them. So every
//! object goes piece by piece to the caller's [`Sink`], the answer waits for [`Sink::finish`], and a peer that
//! vanishes in the middle has its [`Sink`] dropped unfinished, which discards the object. Whoever connects holds one
//! seat out of a bounded number and must keep moving. PS3.7, PS3.8, PS3.4 annex B.

mod association;
mod limits;
mod negotiation;
mod receiving;
mod rehearsal;
mod seats;

pub use association::{Ended, How, associate};
pub use limits::{Figures, Limits, LimitsError};
pub use negotiation::{Accepted, Rejection, negotiate};
pub(crate) use negotiation::{CONTEXTS_MAX, PROTOCOL_VERSION, peer_pdu_bytes, user_variables};
pub use rehearsal::rehearse;

use crate::{AeTitle, Priority, SopClassUid, SopInstanceUid, StoreStatus, TransferSyntax, sop_class::SopClasses};
use seats::Seats;
use std::{future::Future, io, net::IpAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// Who is at the door: a label anyone can write, and an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The AE title it calls itself by.
    pub calling_ae: AeTitle,
    /// The AE title it asked for.
    pub called_ae: AeTitle,
    /// Where it connects from.
    pub address: IpAddr,
}

/// What the caller decides about a [`Sender`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Known: its objects go on their way.
    Accepted,
    /// Unknown: its objects are stored and go nowhere until a person accepts the sender.
    Quarantined,
    /// Turned away: A-ASSOCIATE-RJ, calling AE title not recognized.
    Refused,
}

/// An object that is about to come in.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Who sends it.
    pub sender: Sender,
    /// What was decided about the sender when it connected; never `Refused`.
    pub verdict: Verdict,
    /// Priority of the command.
    pub priority: Priority,
    /// Affected SOP Class UID of the command.
    pub sop_class_uid: SopClassUid,
    /// Affected SOP Instance UID of the command. Whether the data set holds the same is the sink's to check.
    pub sop_instance_uid: SopInstanceUid,
    /// Of the presentation context: how the bytes that follow are encoded.
    pub transfer_syntax: TransferSyntax,
}

/// Where received objects go. Called from many associations at once.
pub trait Intake: Send + Sync + 'static {
    /// Takes the bytes of one object.
    type Sink: Sink;

    /// Decides about a sender, once for each association. Must be quick: it runs on the network's thread.
    fn judge(&self, sender: &Sender) -> Verdict;

    /// Opens a sink for an object. May block.
    ///
    /// # Errors
    /// The status that goes into the response; the object's bytes are then read and thrown away.
    fn begin(&self, incoming: Incoming) -> Result<Self::Sink, StoreStatus>;
}

/// Takes the bytes of one object; dropped before [`Sink::finish`], it must leave nothing behind.
/// Its methods may block: they run on a thread of their own, in order.
pub trait Sink: Send + 'static {
    /// Takes the next bytes of the data set, as received; a few bytes up to one PDU.
    ///
    /// # Errors
    /// The status that goes into the response. The sink is then dropped and the rest of the object thrown away.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreStatus>;

    /// The data set is whole. Returns [`StoreStatus::Stored`] only when it is on disk (fsync).
    fn finish(self) -> StoreStatus;
}

/// Which called AE titles are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalledAe {
    /// Any: the clinic's machines name this node in many ways.
    Any,
    /// Only this one; others get A-ASSOCIATE-RJ, called AE title not recognized.
    Only(AeTitle),
}

/// How the server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whom it answers for.
    pub called: CalledAe,
    /// What it takes.
    pub sop_classes: SopClasses,
    /// How much of it, and how long it waits.
    pub limits: Limits,
}

impl Config {
    /// Answers for `title` only, takes the listed SOP Classes, with the default limits.
    #[must_use]
    pub fn new(title: AeTitle) -> Self {
        Self { called: CalledAe::Only(title), sop_classes: SopClasses::default(), limits: Limits::default() }
    }
}

/// Connections that found no seat and are being told so, at once at most; one more is closed without a word.
const TURNED_AWAY_MAX: usize = 32;
/// Pause after a failed accept: out of file descriptors, trying again at once would spin. The kernel tells nobody when
/// one is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Answers associations on `listener` until `stop` is ready; open ones are then cut, and what they had not been
/// answered for is the peer's to send again.
pub async fn serve<I: Intake>(listener: TcpListener, config: Config, intake: Arc<I>, stop: impl Future<Output = ()>) {
    let config = Arc::new(config);
    let seats = Seats::new(config.limits.associations(), config.limits.associations_per_peer());
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let mut open = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            Some(_) = open.join_next(), if !open.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "cannot accept a DICOM connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        no_delay(&stream);
        let address = peer.ip().to_canonical();
        match seats.take(address) {
            Ok(seat) => {
                let (config, intake) = (Arc::clone(&config), Arc::clone(&intake));
                open.spawn(async move {
                    let ended = associate(stream, address, &config, intake).await;
                    tracing::info!(%ended, "DICOM association over");
                    drop(seat);
                });
            }
            Err(full) => {
                let Ok(place) = Arc::clone(&turned_away).try_acquire_owned() else { continue };
                let config = Arc::clone(&config);
                open.spawn(async move {
                    tracing::warn!(%full, "DICOM association turned away");
                    association::turn_away(stream, full.rejection(), &config.limits).await;
                    drop(place);
                });
            }
        }
    }
}

/// Small responses must not wait for Nagle: with delayed ACK each object would cost 40 ms.
fn no_delay(stream: &tokio::net::TcpStream) {
    let done: io::Result<()> = stream.set_nodelay(true);
    if done.is_err() {
        tracing::debug!("the peer closed at once");
    }
}
