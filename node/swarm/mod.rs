//! The network: libp2p inside, and nothing but bytes and node ids comes out.
//!
//! One task owns libp2p's `Swarm`; the driver speaks to it in [`Command`]s and hears [`Event`]s. Members get a ctl
//! and a bulk stream on each connection, hubs also gossip, strangers only the join stream, the revoked nothing.
//! Which message goes when, and what a silence means, is the core's business: this moves bytes
//! (`docs/replication.md`).

mod door;
mod frame;
mod gate;
mod gossip;
mod join;
mod link;
mod peer;
mod pipes;
mod task;
mod tcp;
#[cfg(test)]
mod tests;

use libp2p::Multiaddr;
use radmesh_protocol::{
    id::{FederationId, NodeId},
    node::{Judgement, Lane, LinkId},
};
use std::{collections::HashMap, io, time::Duration};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

/// Messages and other events the driver may be behind before readers wait, and with them the peers.
const EVENTS_MAX: usize = 128;

/// What a node is in the roster, as far as connections go. A node without standing is a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A member: ctl and bulk.
    Member,
    /// A member with which gossip is exchanged: a hub, as seen by a hub.
    Gossips,
    /// Turned away.
    Revoked,
}

/// What the core says of a stranger's statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds, new or known.
    Accepted,
    /// It does not hold: the stranger is sent away.
    Refused,
}

/// How bringing our roster ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinEnd {
    /// The peer has taken every statement.
    Taken,
    /// It holds one of them to be bad. The same ones would be refused again.
    Refused,
    /// The link ended before the peer's last word.
    Broken,
}

/// What happened on the network.
#[derive(Debug)]
pub(crate) enum Event {
    /// A member is connected. Comes before every message of the link.
    LinkUp {
        /// The connection.
        link: LinkId,
        /// Who, proved by noise.
        peer: NodeId,
    },
    /// The link ended. Comes after every message of the link, once.
    LinkDown {
        /// The connection.
        link: LinkId,
    },
    /// One whole message.
    Message {
        /// On which connection.
        link: LinkId,
        /// On which stream.
        lane: Lane,
        /// Without its length prefix.
        bytes: Vec<u8>,
    },
    /// Gossip brought an event; [`Command::Verdict`] is due.
    Gossip {
        /// The event as it travels.
        bytes: Vec<u8>,
        /// To be given back with the verdict.
        token: u64,
    },
    /// A peer that we dialled does not know us as a member, and says which roster statements it holds.
    Unrecognized {
        /// The peer.
        peer: NodeId,
        /// As the peer's [`Event::Stranger`] told it; not yet read.
        holds: Vec<u8>,
        /// Takes the statements it lacks, in an order in which each can be verified; `JOIN_BYTES_MAX` in all.
        lacks: oneshot::Sender<Vec<Vec<u8>>>,
    },
    /// The peer that did not recognize us is done with what we brought.
    Joined {
        /// The peer.
        peer: NodeId,
        /// Whether it is worth dialling again at once.
        end: JoinEnd,
    },
    /// A stranger wants to bring roster statements.
    Stranger {
        /// Takes the word that says which ones are held here.
        holds: oneshot::Sender<Vec<u8>>,
    },
    /// A stranger brings a roster statement; the next is read once `verdict` is given.
    Statement {
        /// The stranger.
        from: NodeId,
        /// The signed statement.
        bytes: Vec<u8>,
        /// Takes what the core says of it.
        verdict: oneshot::Sender<Verdict>,
    },
}

/// What the driver wants of the network.
#[derive(Debug)]
pub(crate) enum Command {
    /// Connect to a node; others of its addresses and other dials to it run in parallel, the first one wins.
    Dial {
        /// The node that must answer.
        peer: NodeId,
        /// Multiaddrs as they stand in the roster.
        addresses: Vec<String>,
    },
    /// Send one message.
    Send {
        /// On which connection.
        link: LinkId,
        /// On which stream.
        lane: Lane,
        /// Without a length prefix.
        bytes: Vec<u8>,
    },
    /// Gossip an event.
    Publish(Vec<u8>),
    /// Whether gossip may forward what it brought.
    Verdict {
        /// As it came in [`Event::Gossip`].
        token: u64,
        /// Forward it, drop it, or blame who sent it.
        judgement: Judgement,
    },
    /// Reset a connection at once.
    Reset {
        /// The connection.
        link: LinkId,
        /// For the log.
        reason: &'static str,
    },
    /// The roster as it is now. Connections whose peer is no longer what it was are closed.
    Standings(HashMap<NodeId, Standing>),
}

/// How long those are borne who have not shown that they belong here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Noise and yamux are given this long when we are dialled.
    pub(crate) handshake: Duration,
    /// A stranger's connection lives at most this long, whatever it does.
    pub(crate) stay: Duration,
}

impl Patience {
    /// Short, as whoever says nothing holds a place that a clinic may need; long enough for 60 kbit/s, 700 ms and 2%
    /// loss: a handshake is four round trips behind a queue of 12 KiB, a join of 256 KiB takes 41 s.
    pub(crate) const FIELD: Self = Self { handshake: Duration::from_secs(15), stay: Duration::from_secs(60) };
}

/// What the network is started with.
#[derive(Debug)]
pub(crate) struct Config {
    /// The node's Ed25519 seed.
    pub(crate) seed: Zeroizing<[u8; 32]>,
    /// Whose gossip is heard.
    pub(crate) federation: FederationId,
    /// Where to listen; none on a node that only dials.
    pub(crate) listen: Vec<Multiaddr>,
    /// Who is what at the start.
    pub(crate) standings: HashMap<NodeId, Standing>,
    /// With strangers.
    pub(crate) patience: Patience,
}

/// Why the network could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {reason}")]
    Listen {
        /// As configured.
        address: Multiaddr,
        /// What the system said.
        reason: String,
    },
    /// Gossip refused its settings.
    #[error("gossip can't be set up: {0}")]
    Gossip(String),
    /// The transport's keys could not be made.
    #[error("the transport can't be set up: {0}")]
    Transport(#[from] io::Error),
}

/// The running network.
#[derive(Debug)]
pub(crate) struct Network {
    /// Takes commands. Never waits: what is queued for a peer is bounded link by link.
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    /// Gives events; whoever reads slowly slows the peers down.
    pub(crate) events: mpsc::Receiver<Event>,
    /// Where it listens, ports filled in.
    pub(crate) listening: Vec<Multiaddr>,
}

/// Starts the network on the current runtime; it stops when `commands` is dropped.
///
/// # Errors
/// [`StartError`] names the address or setting that is at fault.
pub(crate) async fn start(config: Config) -> Result<Network, StartError> {
    let (commands, inbox) = mpsc::unbounded_channel();
    let (outbox, events) = mpsc::channel(EVENTS_MAX);
    let mut task = task::Task::new(config, inbox, outbox)?;
    let listening = task.listening().await?;
    tokio::spawn(task.run());
    Ok(Network { commands, events, listening })
}
