//! Links: HELLO on each, one in use to each peer, and an end to those that fall silent.
//!
//! Both ends must settle on the same link, or each resets the other's: the node with the lower id decides, for the
//! newest link on which its HELLO was answered, and says so. Source: `protocol/SPEC.md`, Messages.

use super::{
    LinkId, Node, Output,
    contact::{Contact, Early, Stage},
};
use crate::{
    custody,
    id::NodeId,
    limits::CREDIT_BYTES_MAX,
    log::scope,
    time::Now,
    transfer::message::{Hello, Message},
};

const VERSION: u16 = 1;

impl Node {
    pub(super) fn link_up(&mut self, link: LinkId, peer: NodeId, now: Now) {
        if self.roster.node(&peer).is_none_or(|member| !member.standing.holds()) {
            self.counters.refused_links += 1;
            self.gate.now(Output::Reset { link, reason: "the peer is not a member" });
            return;
        }
        let first = self.in_use(peer).is_none();
        self.receiver.link_up(link);
        let mut space = Vec::new();
        let resume = if first { self.receiver.resume(link, &self.shelf, now.mono, &mut space) } else { Vec::new() };
        self.carry_out(space);
        let mut contact = Contact::new(link, peer, custody::takes_parcels(&self.roster, &peer), now.mono);
        contact.shared = scope::shared(&self.roster, &self.id, &peer);
        let hello = Hello {
            version: VERSION,
            caps: 0,
            roster: self.roster.version(),
            roster_digest: self.roster_digest(),
            clock: now.mono,
            digests: contact.shared.iter().map(|scope| (*scope, self.logs.digest(*scope))).collect(),
            credit: CREDIT_BYTES_MAX,
            resume,
        };
        self.counters.comparisons += 1;
        self.contacts.insert(contact);
        self.tell(link, &Message::Hello(Box::new(hello)));
    }

    pub(super) fn link_down(&mut self, link: LinkId, now: Now) {
        let Some(gone) = self.contacts.remove(link) else { return };
        gone.known.gone(&mut self.logs);
        self.receiver.link_down(link);
        self.unopened.retain(|(from, _), _| *from != link);
        // Whoever was revoked hears nothing on another link either.
        let is_member = self.roster.node(&gone.peer).is_some_and(|member| member.standing.holds());
        let spare = self.contacts.with(gone.peer).rev().find(|contact| matches!(contact.stage, Stage::Spare(..)));
        let spare = spare.filter(|_| is_member).map(|contact| contact.link);
        if let (None, Some(spare)) = (self.in_use(gone.peer), spare) {
            self.open(spare, now);
        }
        self.go_on(now);
        self.start_fetches(now);
    }

    pub(super) fn hello(&mut self, link: LinkId, hello: Box<Hello>, now: Now) {
        self.tell(link, &Message::Welcome(hello.clock));
        let Some(contact) = self.contacts.get_mut(link).filter(|c| matches!(c.stage, Stage::Greeting)) else { return };
        let peer = contact.peer;
        contact.stage = Stage::Spare(hello, Early::default());
        if self.in_use(peer).is_none() {
            self.open(link, now);
        }
    }

    pub(super) fn welcome(&mut self, link: LinkId, now: Now) {
        let Some(contact) = self.contacts.get_mut(link) else { return };
        contact.answered(now.mono);
        let peer = contact.peer;
        // Said even of the only link here: the peer may still believe in one whose end we never heard of.
        if self.id > peer {
            return;
        }
        if self.in_use(peer).is_some_and(|used| used > link) {
            self.counters.superseded += 1;
            self.reset(link, "a newer link to the peer is in use", now);
            return;
        }
        self.tell(link, &Message::Chosen);
        self.chosen(link, now);
    }

    /// This is the link to use: older ones are reset, newer ones may still win.
    pub(super) fn chosen(&mut self, link: LinkId, now: Now) {
        let Some(peer) = self.contacts.get(link).map(|contact| contact.peer) else { return };
        let older: Vec<LinkId> = self.contacts.with(peer).map(|c| c.link).filter(|other| *other < link).collect();
        for old in older {
            self.counters.superseded += 1;
            self.reset(old, "a newer link to the peer is in use", now);
        }
        if let Some(used) = self.in_use(peer).filter(|used| *used != link) {
            // The peer's order of links may differ from ours; its word counts.
            self.counters.superseded += 1;
            self.reset(used, "the peer uses another link", now);
        }
        self.open(link, now);
    }

    /// Ends a link from our side.
    pub(super) fn reset(&mut self, link: LinkId, reason: &'static str, now: Now) {
        if self.contacts.get(link).is_some() {
            self.gate.now(Output::Reset { link, reason });
            self.link_down(link, now);
        }
    }

    pub(super) fn wake_links(&mut self, now: Now) {
        let dead = |c: &Contact| c.dead_at().is_some_and(|at| at <= now.mono);
        let mut silent = self.contacts.due(now.mono);
        silent.retain(|link| self.contacts.get(*link).is_some_and(dead));
        for link in silent {
            self.counters.stalls += 1;
            self.reset(link, "nothing came though something was due", now);
        }
        self.wake_comparisons(now);
    }

    /// Starts to use a link: the roster first, then what differs, then what the peer goes on with, then offers.
    fn open(&mut self, link: LinkId, now: Now) {
        let ours = self.roster_digest();
        let Some(contact) = self.contacts.get_mut(link) else { return };
        let (hello, early) = match std::mem::replace(&mut contact.stage, Stage::Open) {
            Stage::Spare(hello, early) => (hello, early),
            before => {
                contact.stage = before;
                return;
            }
        };
        if hello.roster == self.roster.version() && hello.roster_digest != ours {
            self.counters.roster_forks += 1;
        }
        contact.compared(now.mono);
        contact.roster = hello.roster;
        contact.bulk.allowed(hello.credit);
        self.memories.entry(contact.peer).or_default().met();
        if hello.roster < self.roster.version() {
            self.send_roster(link, hello.roster);
        }
        self.hear_digests(link, &hello.digests, now);
        for need in &hello.resume {
            self.hear_need(link, need);
        }
        self.offer_shelf(link);
        self.seek_what_is_damaged(link);
        for message in early.into_messages() {
            if self.contacts.get(link).is_some_and(Contact::is_open) {
                self.said(link, message, now);
            }
        }
    }

    /// A peer says something on a link that is not in use here. Before its HELLO nothing counts.
    pub(super) fn said_early(&mut self, link: LinkId, message: Message, bytes: usize, now: Now) {
        let Some(Contact { stage: Stage::Spare(_, early), .. }) = self.contacts.get_mut(link) else { return };
        if early.has_room(bytes) {
            early.add(message, bytes);
        } else {
            self.counters.refused_links += 1;
            self.reset(link, "the peer says too much before the link is in use", now);
        }
    }

    fn roster_digest(&self) -> [u8; 16] {
        let mut digest = [0; 16];
        digest.copy_from_slice(&self.roster.digest().0[..16]);
        digest
    }

    /// The link to a peer that is in use.
    pub(super) fn in_use(&self, peer: NodeId) -> Option<LinkId> {
        self.contacts.with(peer).find(|contact| contact.is_open()).map(|contact| contact.link)
    }
}
