//! Node: one member of the federation, without clock, socket, disk or chance.
//!
//! It composes the machines of this crate and only routes: an [`Input`] goes to the machine it is for, and what the
//! machines want done comes out as [`Output`]s, in order. A clinic's report takes this path in the simulator and in
//! the hospital alike. Nothing is promised to a peer before the disk has said that it is there.
//! Source: `protocol/SPEC.md`, Messages and Storage.

mod answers;
mod confirmed;
mod contact;
mod contacts;
mod events;
mod gate;
mod io;
mod links;
mod membership;
mod parcels;
pub mod retention;
mod start;
#[cfg(test)]
mod tests;
mod view;

pub use io::{Answer, Command, CommandId, Input, Judgement, Lane, LinkId, Notice, Output};
pub use view::{Counters, LinkState, LinkView, ParcelView};

use crate::{
    claim::{Desk, Grant},
    envelope::sign::SigningKey,
    id::{CaseId, EventHash, FederationId, Incarnation, ManifestId, NodeId},
    log::{Logs, Scope, body::Body},
    record::{Record, Seq, Stored},
    roster::Roster,
    time::{Mono, Now, Wall},
    transfer::{
        Effect,
        check::{Checks, When},
        message::{Frag, Message, Parsed},
        offers::Memory,
        receiver::Receiver,
        scrub::{Scrub, Share},
        sender::Piece,
        shelf::Shelf,
    },
    worklist::Worklist,
};
use answers::Waiting;
use contact::Due;
use contacts::Contacts;
use gate::Gate;
use retention::Retention;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who a node is and how it exchanges events.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Its key, which is also its id.
    pub signing: SigningKey,
    /// Its federation.
    pub federation: FederationId,
    /// Of its logs, made at init or restore.
    pub incarnation: Incarnation,
    /// Fresh random bits at every start: the incarnation to go on in should a peer show that this disk is an old copy.
    pub reserve: Incarnation,
    /// The lowest the time can be: when this build was made, or later.
    pub floor: Wall,
    /// Hours of running for which parcels are kept that others hold.
    pub keep_hours: u32,
    /// How much of the disk's time reading everything back may take.
    pub scrub: Share,
    /// Whether small events go out by gossip and are taken from it.
    pub gossip: Switch,
    /// Whether digests are compared while a link is up. They are compared when it comes up in any case.
    pub anti_entropy: Switch,
    /// Whether a new event is pushed to peers at once.
    pub push: Switch,
}

/// On or off; off is for tests that prove each way alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Switch {
    /// As shipped.
    #[default]
    On,
    /// Not at all.
    Off,
}

/// Where a new event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Own,
    Link(LinkId),
    Gossip,
}

/// Whether the disk can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Sound,
    Faulted,
}

/// One node.
#[derive(Debug)]
pub struct Node {
    key: SigningKey,
    id: NodeId,
    config: NodeConfig,
    roster: Roster,
    logs: Logs,
    worklist: Worklist,
    desk: Desk,
    shelf: Shelf,
    receiver: Receiver,
    checks: Checks,
    scrub: Scrub,
    retention: Retention,
    reads: BTreeMap<(ManifestId, u64), VecDeque<(LinkId, Piece)>>,
    contacts: Contacts,
    memories: BTreeMap<NodeId, Memory>,
    /// What peers said is on their disks, of parcels that are on their way there.
    durable: BTreeMap<ManifestId, BTreeMap<NodeId, crate::ranges::Ranges>>,
    /// Parcels offered whose manifest has not come, by link.
    unopened: BTreeMap<(LinkId, ManifestId), crate::class::Class>,
    /// Parcels of which bytes were lost here: peers are asked who has them.
    mending: BTreeSet<ManifestId>,
    /// Parcels on the shelf that others may still want.
    unsettled: BTreeSet<ManifestId>,
    receipted: BTreeSet<ManifestId>,
    announced: BTreeSet<ManifestId>,
    /// Scopes with events that peers have not been told of, and where these came from.
    fresh: BTreeMap<Scope, BTreeSet<Origin>>,
    /// Which peer was last asked for what it holds of a scope, and when: two are not asked for the same.
    asked: BTreeMap<Scope, (LinkId, Mono)>,
    changed: BTreeSet<(CaseId, NodeId)>,
    /// Scopes of which a peer has shown in this start that our own log is no old copy.
    confirmed: BTreeSet<Scope>,
    grants: BTreeMap<Seq, (Grant, NodeId)>,
    waiting: Waiting,
    gate: Gate,
    disk: Disk,
    counters: Counters,
    woken_for: Option<Mono>,
}

impl Node {
    /// A node that knows nothing yet: [`Node::replay`] its journal, then [`Node::start`].
    #[must_use]
    pub fn new(config: NodeConfig) -> Self {
        let (id, federation) = (config.signing.node_id(), config.federation);
        Self {
            key: config.signing.clone(),
            id,
            roster: Roster::new(federation),
            logs: Logs::new(federation, id, config.incarnation, config.reserve),
            worklist: Worklist::new(federation),
            desk: Desk::new(id),
            shelf: Shelf::default(),
            receiver: Receiver::default(),
            checks: Checks::default(),
            scrub: Scrub::new(config.scrub, somewhere(&config.reserve)),
            retention: Retention::default(),
            reads: BTreeMap::new(),
            contacts: Contacts::default(),
            memories: BTreeMap::new(),
            durable: BTreeMap::new(),
            unopened: BTreeMap::new(),
            mending: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            receipted: BTreeSet::new(),
            announced: BTreeSet::new(),
            fresh: BTreeMap::new(),
            asked: BTreeMap::new(),
            changed: BTreeSet::new(),
            confirmed: BTreeSet::new(),
            grants: BTreeMap::new(),
            waiting: Waiting::default(),
            gate: Gate::default(),
            disk: Disk::Sound,
            counters: Counters::default(),
            woken_for: None,
            config,
        }
    }

    /// Takes in what happened. Then take out every [`Output`].
    pub fn handle(&mut self, input: Input, now: Now) {
        if self.disk == Disk::Faulted {
            return self.handle_faulted(input);
        }
        match input {
            Input::Command(id, command) => self.command(id, command, now),
            Input::LinkUp { link, peer } => self.link_up(link, peer, now),
            Input::LinkDown(link) => self.link_down(link, now),
            Input::Message { link, lane, bytes } => self.message(link, lane, &bytes, now),
            Input::Gossip { bytes, token } => self.gossip(&bytes, token, now),
            Input::Stored(stored) => self.stored(stored, now),
            Input::Wake => self.wake(now),
        }
        self.settle(now);
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.gate.pop()
    }

    fn message(&mut self, link: LinkId, lane: Lane, bytes: &[u8], now: Now) {
        let Some(contact) = self.contacts.get_mut(link) else { return };
        contact.heard(now.mono);
        let open = contact.is_open();
        match lane {
            Lane::Bulk => match Frag::parse(bytes) {
                Ok(Parsed::Known(frag)) if open => {
                    let mut out = Vec::new();
                    self.receiver.fragment(link, frag, &mut self.shelf, now.mono, &mut out);
                    self.carry_out(out);
                }
                Ok(Parsed::Known(_)) => {}
                Ok(Parsed::Unknown { .. }) => self.counters.unknown_messages += 1,
                Err(_) => self.malformed(link, now),
            },
            Lane::Ctl => match Message::parse(bytes) {
                Ok(Parsed::Known(message)) if open || message.is_greeting() => self.said(link, message, now),
                Ok(Parsed::Known(message)) => self.said_early(link, message, bytes.len(), now),
                Ok(Parsed::Unknown { .. }) => self.counters.unknown_messages += 1,
                Err(_) => self.malformed(link, now),
            },
        }
    }

    /// Bytes that fit no message: the stream can't be relied on any more.
    fn malformed(&mut self, link: LinkId, now: Now) {
        self.counters.malformed_messages += 1;
        self.reset(link, "the peer sent bytes that are no message", now);
    }

    fn said(&mut self, link: LinkId, message: Message, now: Now) {
        match message {
            Message::Hello(hello) => self.hello(link, hello, now),
            Message::Welcome(_) => self.welcome(link, now),
            Message::Chosen => self.chosen(link, now),
            Message::Roster(statements) => self.hear_roster(link, &statements, now),
            Message::Digests(digests) => self.hear_digests(link, &digests, now),
            Message::Vectors(turn, vectors) => self.hear_vectors(link, turn, &vectors, now),
            Message::Asks(asks) => self.hear_asks(link, &asks, now),
            Message::Events(way, events) => self.hear_events(link, way, &events, now),
            Message::Seen(bytes) => self.hear_seen(link, bytes, now),
            Message::Offer(offer) => self.hear_offer(link, offer, now),
            Message::Manifest(bytes) => self.hear_manifest(link, &bytes, now),
            Message::Page(page) => {
                let mut out = Vec::new();
                self.receiver.page(link, &page, &mut self.shelf, now.mono, &mut out);
                self.carry_out(out);
            }
            Message::Need(need) => self.hear_need(link, &need),
            Message::Rack { bytes, credit } => {
                if let Some(contact) = self.contacts.get_mut(link) {
                    contact.bulk.acknowledged(bytes, credit, now.mono);
                }
                self.fill(link);
            }
            Message::Dack(manifest, ranges) => self.hear_dack(link, manifest, &ranges),
            Message::Dry(slot, sent) => {
                self.receiver.dry(link, slot, sent);
                self.start_fetches(now);
            }
            Message::Cancel(slot, why) => self.hear_cancel(link, slot, why, now),
            Message::Seek(manifest) => self.hear_seek(link, manifest),
            Message::Decline(manifest) => {
                if let Some(contact) = self.contacts.get_mut(link) {
                    contact.offers.withdraw(&manifest);
                }
                self.make_offers(link);
            }
        }
    }

    fn stored(&mut self, stored: Stored, now: Now) {
        match stored {
            Stored::Persisted(seq) => {
                self.gate.persisted(seq);
                while let Some(entry) = self.grants.first_entry().filter(|entry| *entry.key() <= seq) {
                    let (grant, site) = entry.remove();
                    self.desk.durable(&grant, &site, now.mono);
                }
            }
            Stored::Durable { manifest, ranges } => {
                let mut out = Vec::new();
                self.receiver.durable(manifest, &ranges, &mut self.shelf, now.mono, &mut out);
                self.carry_out(out);
            }
            Stored::ChunkHashed { manifest, chunk, hash } => {
                let mut out = Vec::new();
                self.receiver.proved(manifest, chunk, hash, &mut self.shelf, now.mono, &mut out);
                self.carry_out(out);
            }
            Stored::FileHashed { manifest, hashes } => self.file_hashed(manifest, &hashes, now),
            Stored::Read { manifest, offset, bytes } => self.piece_read(manifest, offset, bytes, now),
            Stored::NoFile { manifest } => {
                let mut out = Vec::new();
                self.receiver.no_file(manifest, &mut self.shelf, now.mono, &mut out);
                self.carry_out(out);
            }
            Stored::NoRoom { manifest } => {
                let mut out = Vec::new();
                self.receiver.no_room(&manifest, &mut self.shelf, now.mono, &mut out);
                self.counters.disk_full += 1;
                self.carry_out(out);
            }
            Stored::Full => {
                let mut out = Vec::new();
                self.receiver.full(&mut self.shelf, now.mono, &mut out);
                self.counters.disk_full += 1;
                self.carry_out(out);
            }
            Stored::Faulted => self.faulted(),
        }
    }

    fn wake(&mut self, now: Now) {
        self.woken_for = None;
        let mut out = Vec::new();
        self.receiver.wake(&mut self.shelf, now.mono, &mut out);
        self.carry_out(out);
        self.wake_links(now);
        self.wake_retention(now);
        let scrubbed = self.scrub.begin(&self.shelf, now.mono);
        scrubbed.into_iter().for_each(|manifest| self.checks.want(manifest, When::Scrub));
        for (site, body) in self.desk.lapsed(now.mono) {
            self.append_or_count(Scope::Site(site), &body, now);
        }
    }

    /// What every input may have set off.
    fn settle(&mut self, now: Now) {
        self.fetched();
        self.cases_changed(now);
        self.age_changed();
        self.spread(now);
        if let Some(work) = self.checks.start_next() {
            self.gate.now(Output::Disk(work));
        }
        self.receiver.stirred().into_iter().for_each(|link| self.contacts.touch(link));
        let receiver = &self.receiver;
        self.contacts.look(|contact| {
            let expects = if receiver.expects(contact.link) { Due::Something } else { Due::Nothing };
            contact.note(expects, now.mono);
        });
        let links = self.contacts.next_due().into_iter();
        let due = links
            .chain(self.receiver.next_due())
            .chain(self.desk.next_due())
            .chain(self.scrub.next_due())
            .chain([self.retention.next_due()])
            .min();
        if due.is_some() && due != self.woken_for {
            self.woken_for = due;
            due.into_iter().for_each(|due| self.gate.now(Output::WakeAt(due)));
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Tell(link, message) => self.tell(link, &message),
                Effect::Disk(work) => self.gate.now(Output::Disk(work)),
                Effect::Keep(record) => {
                    self.gate.keep(record);
                }
            }
        }
    }

    fn tell(&mut self, link: LinkId, message: &Message) {
        self.gate.now(Output::Send { link, lane: Lane::Ctl, bytes: message.encode() });
    }

    fn keep(&mut self, record: Record) -> Seq {
        self.gate.keep(record)
    }

    fn floor(&self, now: Now) -> Wall {
        self.config.floor.max(now.wall)
    }

    fn handle_faulted(&mut self, input: Input) {
        match input {
            Input::Command(id, _) => {
                let reason = "this node's disk has failed; it takes nothing in until it is replaced".to_owned();
                self.gate.now(Output::Answer(id, Answer::Refused(reason)));
            }
            Input::LinkUp { link, .. } => {
                self.counters.refused_links += 1;
                self.gate.now(Output::Reset { link, reason: "this node's disk has failed" });
            }
            Input::Gossip { token, .. } => {
                self.gate.now(Output::GossipVerdict { token, judgement: Judgement::Ignore });
            }
            Input::LinkDown(_) | Input::Message { .. } | Input::Stored(_) | Input::Wake => {}
        }
    }

    /// A write or fsync failed: nothing is acknowledged any more, and peers look elsewhere.
    fn faulted(&mut self) {
        self.disk = Disk::Faulted;
        self.gate.now(Output::Notice(Notice::Faulted));
        let asked = self.gate.abandon().into_iter().filter_map(|output| match output {
            Output::Answer(id, _) => Some(id),
            _ => None,
        });
        let asked: Vec<CommandId> = asked.chain(self.waiting.abandon()).collect();
        for id in asked {
            let reason = "this node's disk has failed; nothing of this was kept for certain".to_owned();
            self.gate.now(Output::Answer(id, Answer::Refused(reason)));
        }
        for contact in std::mem::take(&mut self.contacts).iter() {
            self.counters.refused_links += 1;
            self.gate.now(Output::Reset { link: contact.link, reason: "this node's disk has failed" });
        }
    }

    /// Appends an event of our own; it is folded at once and leaves once it is on disk.
    fn append(&mut self, scope: Scope, body: &Body, now: Now) -> Result<EventHash, crate::log::held::AppendError> {
        let wall = self.floor(now);
        let event = self.logs.append(&self.key, scope, body, wall)?;
        let hash = event.hash();
        self.took_in(&event, Origin::Own);
        Ok(hash)
    }
}

/// A place among manifests' ids, by the random bits of this start.
fn somewhere(bits: &Incarnation) -> ManifestId {
    let mut id = [0; 16];
    id[..bits.0.len()].copy_from_slice(&bits.0);
    ManifestId(id)
}
