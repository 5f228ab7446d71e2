//! What goes into a node and what comes out of it.
//!
//! Whoever drives a node (the real driver, the simulator) feeds it [`Input`]s and carries out its [`Output`]s in the
//! order they come, and feeds back what happened: the same bytes in give the same bytes out.

use crate::{
    id::{CaseId, EventHash, ManifestId, NodeId},
    log::Scope,
    record::{Stored, Work},
    time::Mono,
};

/// A transport connection to an authenticated peer; numbered by the driver, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Which stream of a link a message travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// `/radmesh/ctl/1`: small messages, always first.
    Ctl,
    /// `/radmesh/bulk/1`: fragments.
    Bulk,
}

/// A command's number, given by the driver; the answer carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The rooms, or a person through them, want something.
    Command(CommandId, Command),
    /// A peer that the gate let through is connected.
    LinkUp {
        /// The connection.
        link: LinkId,
        /// Who, proved by noise.
        peer: NodeId,
    },
    /// A connection ended.
    LinkDown(LinkId),
    /// One whole message came.
    Message {
        /// On which connection.
        link: LinkId,
        /// On which stream.
        lane: Lane,
        /// Its bytes, without the length prefix.
        bytes: Vec<u8>,
    },
    /// Gossip brought an event; answered with [`Output::GossipVerdict`].
    Gossip {
        /// The event as it travels.
        bytes: Vec<u8>,
        /// Returned with the verdict.
        token: u64,
    },
    /// The disk answers.
    Stored(Stored),
    /// The time asked for with [`Output::WakeAt`] has come.
    Wake,
}

/// What a room or a person wants of the core.
#[derive(Debug, Clone)]
pub enum Command {
    /// Append an event of this node.
    Append {
        /// Where.
        scope: Scope,
        /// What it says.
        body: Box<crate::log::body::Body>,
    },
    /// A parcel of ours is sealed, its file complete and fsynced: journal its manifest, announce it, offer it.
    Announce {
        /// The signed manifest as it travels.
        manifest: Vec<u8>,
        /// The announcement that goes into the site's scope.
        sealed: Box<crate::log::body::ParcelSealed>,
    },
    /// Roster statements from a file or a join.
    Statements(Vec<Vec<u8>>),
    /// Check every byte of every parcel against its hashes; what is damaged is fetched again.
    Verify,
}

/// How a command ended; given only once what it wrote is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The event is on disk.
    Appended(EventHash),
    /// The parcel is announced.
    Announced(ManifestId),
    /// Statements that were new.
    Statements(usize),
    /// The check is over.
    Verified {
        /// Parcels checked.
        parcels: usize,
        /// Chunks whose bytes are not what they were.
        damaged: Vec<(ManifestId, u32)>,
    },
    /// Not done, and why, in words for the person who asked.
    Refused(String),
}

/// What is to be done, in order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Storage work, for `store::carry_out`.
    Disk(Work),
    /// Send one message.
    Send {
        /// On which connection.
        link: LinkId,
        /// On which stream.
        lane: Lane,
        /// The message, without the length prefix.
        bytes: Vec<u8>,
    },
    /// Publish a small event to gossip.
    Publish(Vec<u8>),
    /// Whether gossip may forward what it brought.
    GossipVerdict {
        /// As it came in.
        token: u64,
        /// What was found.
        judgement: Judgement,
    },
    /// Reset a connection: stalled, superseded, or misbehaving; the reason is for the log.
    Reset {
        /// The connection.
        link: LinkId,
        /// Why.
        reason: &'static str,
    },
    /// Feed [`Input::Wake`] at this time, or earlier. A later one replaces an earlier one.
    WakeAt(Mono),
    /// Answer to a command.
    Answer(CommandId, Answer),
    /// Something the rooms may act on.
    Notice(Notice),
}

/// What gossip does with an event it brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Forward it: a member signed it, whether or not this node holds its scope.
    Accept,
    /// Neither forward it nor blame who sent it: this node can't judge it.
    Ignore,
    /// Blame who sent it: it is no event, or not signed by its author.
    Reject,
}

/// What became true, for the rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The roster changed: membership, pool keys, addresses.
    Roster,
    /// A case changed: order, parcels, claims, reports.
    Case(CaseId),
    /// Every byte of a parcel is here and verified.
    ParcelComplete(ManifestId),
    /// A pool key event arrived.
    PoolKey,
    /// The disk faulted; the node no longer acknowledges anything.
    Faulted,
}
