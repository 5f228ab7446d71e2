//! Contact: one link to one peer, from HELLO to its end.
//!
//! A link is used once the peer's HELLO came on it; of several links to one peer one is used, and the node with the
//! lower id says which. Silence counts only while something is due, and then at both ends: a clinic on a dead
//! satellite link finds out in seconds, an idle one costs nothing. Source: `protocol/SPEC.md`, Messages.

use crate::{
    id::{ManifestId, NodeId},
    limits::EARLY_BYTES_MAX,
    log::{Peer, Scope, Way, held::ScopeDigest},
    node::LinkId,
    roster::RosterVersion,
    time::{Millis, Mono},
    transfer::{
        message::{Hello, Message},
        offers::Offers,
        pace::Pace,
        sender::Sender,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// HELLO is answered within this, or the link is dead.
const HELLO_WAIT: Millis = Millis::from_secs(10);
/// Digests are compared this often on a link that stays up.
const DIGEST_EVERY: Millis = Millis::from_secs(300);

/// One link.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) link: LinkId,
    pub(super) peer: NodeId,
    /// Whether parcels may be for the peer.
    pub(super) takes_parcels: bool,
    pub(super) stage: Stage,
    /// Whether our HELLO was answered.
    pub(super) answered: Answered,
    /// Our bulk to the peer.
    pub(super) bulk: Pace,
    /// Our events to the peer.
    pub(super) ctl: Pace,
    pub(super) sender: Sender,
    pub(super) offers: Offers,
    /// The peer's last offer, if it said that its manifest is the next message.
    pub(super) manifest_due: Option<ManifestId>,
    pub(super) known: Peer,
    /// Until when our own log waits for what the peer says it has of it.
    pub(super) show_by: Option<Mono>,
    /// Scopes both ends hold; changed by [`Contacts::share`](super::contacts::Contacts::share) alone.
    pub(super) shared: BTreeSet<Scope>,
    /// Scopes of which the peer lacks events, and how those count.
    pub(super) owed: BTreeMap<Scope, Way>,
    /// Our digest of each scope when its vector was last sent here.
    pub(super) vector_sent: BTreeMap<Scope, ScopeDigest>,
    /// Scopes whose digest the peer is told later, should gossip have failed.
    pub(super) tell_at: BTreeMap<Scope, Mono>,
    /// Digests the peer has told us that are compared later, as another peer was just asked for the same.
    pub(super) compare_at: BTreeMap<Scope, (Mono, ScopeDigest)>,
    /// Scopes in which our own log is held back.
    pub(super) held_back: BTreeSet<Scope>,
    /// Bytes of events that came.
    pub(super) event_bytes: u64,
    /// Roster version the peer has, or will have by what was sent.
    pub(super) roster: RosterVersion,
    pub(super) digest_at: Mono,
    greeted_at: Mono,
    heard: Mono,
    due_since: Option<Mono>,
}

/// Where a link stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Our HELLO is out.
    Greeting,
    /// The peer's HELLO came while another link to it is in use.
    Spare(Box<Hello>, Early),
    /// In use.
    Open,
}

/// What a peer has said on a link that it uses already, and this node does not yet: lost, it would not be said again.
#[derive(Debug, Default)]
pub(super) struct Early {
    messages: Vec<Message>,
    bytes: usize,
}

/// Whether something was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    No,
    Yes,
}

/// Whether the peer owes us something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Something,
}

impl Early {
    /// Whether a message of so many bytes may wait too.
    pub(super) const fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= EARLY_BYTES_MAX
    }

    pub(super) fn add(&mut self, message: Message, bytes: usize) {
        self.bytes += bytes;
        self.messages.push(message);
    }

    /// All of it, in order.
    pub(super) fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}

impl Contact {
    pub(super) fn new(link: LinkId, peer: NodeId, takes_parcels: bool, now: Mono) -> Self {
        Self {
            link,
            peer,
            takes_parcels,
            stage: Stage::Greeting,
            answered: Answered::No,
            bulk: Pace::default(),
            ctl: Pace::default(),
            sender: Sender::default(),
            offers: Offers::default(),
            manifest_due: None,
            known: Peer::new(link),
            show_by: None,
            shared: BTreeSet::new(),
            owed: BTreeMap::new(),
            vector_sent: BTreeMap::new(),
            tell_at: BTreeMap::new(),
            compare_at: BTreeMap::new(),
            held_back: BTreeSet::new(),
            event_bytes: 0,
            roster: RosterVersion::default(),
            digest_at: now.after(DIGEST_EVERY),
            greeted_at: now,
            heard: now,
            due_since: None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Whether parcels go to the peer, or may go.
    pub(super) fn moves_parcels(&self) -> bool {
        self.takes_parcels || self.sender.is_serving()
    }

    /// Something came.
    pub(super) const fn heard(&mut self, now: Mono) {
        self.heard = now;
    }

    /// Our HELLO was answered: the first measure of the round trip.
    pub(super) fn answered(&mut self, now: Mono) {
        if self.answered == Answered::No {
            self.answered = Answered::Yes;
            let took = now.since(self.greeted_at);
            self.bulk.round_trip(took);
            self.ctl.round_trip(took);
        }
    }

    /// Digests were compared.
    pub(super) fn compared(&mut self, now: Mono) {
        self.digest_at = now.after(DIGEST_EVERY);
    }

    /// Notes whether something is due, since when.
    pub(super) fn note(&mut self, expects: Due, now: Mono) {
        let due = expects == Due::Something || self.bulk.in_flight() > 0 || self.ctl.in_flight() > 0;
        self.due_since = if due { self.due_since.or(Some(now)) } else { None };
    }

    /// When silence will mean that the link is dead.
    pub(super) fn dead_at(&self) -> Option<Mono> {
        let greeting = (self.answered == Answered::No).then(|| self.greeted_at.after(HELLO_WAIT));
        let silence = self.bulk.silence().max(self.ctl.silence());
        let flowing = self.due_since.map(|since| since.max(self.heard).after(silence));
        greeting.into_iter().chain(flowing).min()
    }

    /// When something is to be done on this link though nothing happens.
    pub(super) fn next_due(&self) -> Option<Mono> {
        let told = self.tell_at.values().copied().chain(self.compare_at.values().map(|(at, _)| *at));
        let open = self.is_open().then_some(self.digest_at);
        self.dead_at().into_iter().chain(told).chain(open).chain(self.show_by).min()
    }
}
