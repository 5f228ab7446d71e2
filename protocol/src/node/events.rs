//! Events as they come, as they are folded and as they go on.
//!
//! An event counts once its author is known, its signature holds and its scope is held here; it is journaled, folded
//! into the worklist, and passed on, never to the node it came from. What this hub decides about a claim follows at
//! once and is on disk before anyone hears of it. Source: `protocol/SPEC.md`, Events and Anti-entropy.

use super::{Judgement, LinkId, Node, Notice, Origin, Output, Switch, contact::Contact};
use crate::{
    claim::Life,
    id::{CaseId, NodeId},
    limits::{CREDIT_BYTES_MAX, CTL_MESSAGE_BYTES_MAX, GOSSIP_EVENT_BYTES_MAX},
    log::{
        Ask, Event, Inserted, Scope, Vector, Way,
        body::Body,
        held::ScopeDigest,
        scope::{self, Holding},
        sync::{Compared, Heard},
    },
    record::Record,
    roster::Role,
    time::{Millis, Now},
    transfer::message::{Message, Turn},
    wire,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Gossip has this long before the peer is told in another way.
const GOSSIP_WAIT: Millis = Millis::from_secs(2);
/// A peer that was asked for what we lack has this long before another is asked for the same.
const ASK_WAIT: Millis = Millis::from_secs(2);
/// Bytes of events in one message at most.
const BATCH_BYTES_MAX: usize = CTL_MESSAGE_BYTES_MAX / 4;

/// How a peer hears of a new event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    /// It is sent.
    Push,
    /// Our digest is sent; it may have the event from elsewhere.
    Tell,
    /// Gossip brings it; our digest follows later.
    Gossip,
    /// Not at all.
    Not,
}

impl Node {
    pub(super) fn gossip(&mut self, bytes: &[u8], token: u64, now: Now) {
        let judgement = match self.config.gossip {
            Switch::On => self.take_event(bytes, Way::Gossiped, Origin::Gossip, now),
            Switch::Off => Judgement::Ignore,
        };
        self.gate.now(Output::GossipVerdict { token, judgement });
    }

    pub(super) fn hear_events(&mut self, link: LinkId, way: Way, events: &[Vec<u8>], now: Now) {
        let way = if way == Way::Pushed { Way::Pushed } else { Way::Synced };
        for event in events {
            self.take_event(event, way, Origin::Link(link), now);
        }
        let bytes: u64 = events.iter().map(|event| event.len() as u64).sum();
        if let Some(contact) = self.contacts.get_mut(link) {
            contact.event_bytes += bytes;
            let seen = contact.event_bytes;
            self.tell(link, &Message::Seen(seen));
        }
        self.go_on(now);
    }

    pub(super) fn hear_seen(&mut self, link: LinkId, bytes: u64, now: Now) {
        if let Some(contact) = self.contacts.get_mut(link) {
            contact.ctl.acknowledged(bytes, CREDIT_BYTES_MAX, now.mono);
        }
        self.pay(link, now);
    }

    pub(super) fn hear_digests(&mut self, link: LinkId, digests: &[(Scope, ScopeDigest)], now: Now) {
        let Some(contact) = self.contacts.get_mut(link) else { return };
        contact.compared(now.mono);
        let mut differ = Vec::new();
        // A scope that is named twice is answered once.
        let digests: BTreeMap<&Scope, &ScopeDigest> = digests.iter().map(|(scope, digest)| (scope, digest)).collect();
        let named: Vec<Scope> = digests.keys().map(|scope| **scope).collect();
        for (scope, theirs) in digests.into_iter().filter(|(scope, _)| contact.shared.contains(scope)) {
            let heard = contact.known.heard_of(*scope) == Heard::Yes;
            if contact.known.digest(&self.logs, *scope, *theirs) == Compared::Equal {
                contact.compare_at.remove(scope);
                continue;
            }
            let other =
                self.asked.get(scope).is_some_and(|(asked, at)| *asked != link && now.mono.since(*at) < ASK_WAIT);
            if heard && other {
                contact.compare_at.insert(*scope, (now.mono.after(ASK_WAIT), *theirs));
                continue;
            }
            contact.compare_at.remove(scope);
            self.asked.insert(*scope, (link, now.mono));
            differ.push(*scope);
        }
        self.send_vectors(link, Turn::Ask, &differ);
        self.confirm(link, &named, now);
    }

    pub(super) fn hear_vectors(&mut self, link: LinkId, turn: Turn, vectors: &[Vector], now: Now) {
        let (mut asks, mut answers) = (Vec::new(), Vec::new());
        let Some(contact) = self.contacts.get_mut(link) else { return };
        let vectors: BTreeMap<Scope, &Vector> = vectors.iter().map(|vector| (vector.scope, vector)).collect();
        let named: Vec<Scope> = vectors.keys().copied().collect();
        for theirs in vectors.into_values().filter(|vector| contact.shared.contains(&vector.scope)) {
            asks.extend(contact.known.vector(&mut self.logs, theirs));
            contact.owed.insert(theirs.scope, Way::Synced);
            let digest = self.logs.digest(theirs.scope);
            if turn == Turn::Ask && digest != theirs.digest && contact.vector_sent.get(&theirs.scope) != Some(&digest) {
                answers.push(theirs.scope);
            }
        }
        self.send_vectors(link, Turn::Answer, &answers);
        for asks in in_messages(asks) {
            self.tell(link, &Message::Asks(asks));
        }
        self.confirm(link, &named, now);
        self.pay(link, now);
    }

    pub(super) fn hear_asks(&mut self, link: LinkId, asks: &[Ask], now: Now) {
        let Some(contact) = self.contacts.get_mut(link) else { return };
        for ask in asks.iter().filter(|ask| contact.shared.contains(&ask.scope)) {
            contact.known.asked(&self.logs, ask);
            contact.owed.insert(ask.scope, Way::Synced);
        }
        self.pay(link, now);
    }

    pub(super) fn send_digests(&mut self, link: LinkId, scopes: &[Scope], now: Now) {
        let digests: Vec<_> = scopes.iter().map(|scope| (*scope, self.logs.digest(*scope))).collect();
        self.counters.comparisons += 1;
        for digests in in_messages(digests) {
            self.tell(link, &Message::Digests(digests));
        }
        if let Some(contact) = self.contacts.get_mut(link) {
            contact.compared(now.mono);
        }
    }

    /// Compares digests every few minutes, and tells what gossip should have brought.
    pub(super) fn wake_comparisons(&mut self, now: Now) {
        let mut due: Vec<(LinkId, Vec<Scope>)> = Vec::new();
        let mut told: Vec<(LinkId, Scope, ScopeDigest)> = Vec::new();
        let mut anew: Vec<LinkId> = Vec::new();
        for link in self.contacts.due(now.mono) {
            let Some(contact) = self.contacts.get_mut(link).filter(|contact| contact.is_open()) else { continue };
            let mut scopes: BTreeSet<Scope> =
                contact.tell_at.iter().filter(|(_, at)| **at <= now.mono).map(|(scope, _)| *scope).collect();
            contact.tell_at.retain(|_, at| *at > now.mono);
            let late = contact.compare_at.iter().filter(|(_, (at, _))| *at <= now.mono);
            told.extend(late.map(|(scope, (_, theirs))| (contact.link, *scope, *theirs)));
            contact.compare_at.retain(|_, (at, _)| *at > now.mono);
            if contact.digest_at <= now.mono {
                contact.compared(now.mono);
                anew.push(contact.link);
                if self.config.anti_entropy == Switch::On {
                    scopes.extend(&contact.shared);
                }
            }
            if !scopes.is_empty() {
                due.push((contact.link, scopes.into_iter().collect()));
            }
        }
        self.wake_held_back(now);
        for (link, scopes) in due {
            self.send_digests(link, &scopes, now);
        }
        for (link, scope, theirs) in told {
            self.hear_digests(link, &[(scope, theirs)], now);
        }
        for link in anew {
            self.offer_anew(link);
            self.seek_what_is_damaged(link);
        }
    }

    /// Appends what this node decides by itself.
    pub(super) fn append_or_count(&mut self, scope: Scope, body: &Body, now: Now) {
        if self.append(scope, body, now).is_err() {
            self.counters.events_not_written += 1;
        }
    }

    /// A new event is in the logs: journaled, folded, and to be passed on.
    pub(super) fn took_in(&mut self, event: &Event, origin: Origin) {
        let seq = self.keep(Record::Event(event.bytes().to_vec()));
        self.fresh.entry(event.scope()).or_default().insert(origin);
        match (self.fold(event), event.scope().site(), origin) {
            (Some(Body::Grant(grant)), Some(site), Origin::Own) => {
                self.grants.insert(seq, (grant, site));
            }
            (Some(Body::Receipt(receipt)), ..) if event.author() == self.id => self.seek_if_gone(receipt.manifest()),
            _ => {}
        }
        let small = event.bytes().len() <= GOSSIP_EVENT_BYTES_MAX;
        if self.config.gossip == Switch::On && small && self.is_gossips_source(origin, event.scope()) {
            self.gate.after(Output::Publish(event.bytes().to_vec()));
        }
    }

    /// Folds an event in; what it says.
    pub(super) fn fold(&mut self, event: &Event) -> Option<Body> {
        if let Some((case, site)) = self.worklist.apply(event, &self.roster) {
            self.retention.case_changed(case, site);
            self.changed.insert((case, site));
        }
        let body = event.body().ok().flatten()?;
        let own = event.author() == self.id;
        match &body {
            Body::PoolKey(_) => self.gate.after(Output::Notice(Notice::PoolKey)),
            Body::Receipt(receipt) if own => {
                self.receipted.insert(receipt.manifest());
            }
            Body::ParcelSealed(sealed) if own => {
                self.announced.insert(sealed.manifest);
            }
            Body::Freeing(freeing) if own => self.retention.announced(freeing),
            _ => {}
        }
        Some(body)
    }

    /// What follows from cases that changed: decisions about claims, witness to reports, offers, notices.
    pub(super) fn cases_changed(&mut self, now: Now) {
        let mut told = BTreeSet::new();
        while let Some((case, site)) = self.changed.pop_first() {
            told.insert((case, site));
            let Some(item) = self.worklist.item_of(&case, &site) else { continue };
            let scope = Scope::Site(site);
            let life = match self.logs.incarnation() {
                first if first == self.config.incarnation => Life::First,
                later => Life::Anew(later),
            };
            let decided = if self.may_decide(scope) {
                self.desk.consider(item, &self.roster, life, now.mono)
            } else {
                Vec::new()
            };
            let witnessed = self.worklist.to_witness((&case, &site), &self.id, &self.roster);
            for body in decided {
                self.append_or_count(scope, &body, now);
            }
            if let Some((scope, witnessed)) = witnessed {
                self.append_or_count(scope, &Body::Witnessed(witnessed), now);
            }
        }
        for (case, site) in told {
            self.case_parcels(&case, &site);
            self.gate.after(Output::Notice(Notice::Case(case)));
        }
    }

    /// Passes new events on.
    pub(super) fn spread(&mut self, now: Now) {
        for (scope, origins) in std::mem::take(&mut self.fresh) {
            let open = self.contacts.sharing(scope).filter(|contact| contact.is_open());
            let passing: Vec<(LinkId, Passing)> =
                open.map(|contact| (contact.link, self.passing(contact, &origins))).collect();
            for (link, passing) in passing {
                let Some(contact) = self.contacts.get_mut(link) else { continue };
                match passing {
                    Passing::Push => {
                        contact.owed.entry(scope).or_insert(Way::Pushed);
                        self.pay(link, now);
                    }
                    Passing::Tell => self.send_digests(link, &[scope], now),
                    Passing::Gossip => {
                        contact.tell_at.entry(scope).or_insert(now.mono.after(GOSSIP_WAIT));
                    }
                    Passing::Not => {}
                }
            }
        }
    }

    /// A relay passes on along the route; between hubs gossip does; where a peer may hear from several, it is told
    /// and asks, so that nothing is sent to a node that has it.
    fn passing(&self, to: &Contact, origins: &BTreeSet<Origin>) -> Passing {
        if origins.iter().all(|origin| *origin == Origin::Link(to.link)) {
            return Passing::Not;
        }
        if self.config.push == Switch::Off {
            return Passing::Not;
        }
        if self.config.anti_entropy == Switch::Off {
            return Passing::Push;
        }
        let (ours, theirs) = (self.role(&self.id), self.role(&to.peer));
        if self.config.gossip == Switch::On && ours == Some(Role::Hub) && theirs == Some(Role::Hub) {
            return Passing::Gossip;
        }
        let along = |origin: &Origin| match origin {
            Origin::Own => true,
            Origin::Gossip => false,
            Origin::Link(link) => {
                let from = self.contacts.get(*link).and_then(|contact| self.role(&contact.peer));
                ours == Some(Role::Relay) && from != theirs
            }
        };
        if origins.iter().any(along) { Passing::Push } else { Passing::Tell }
    }

    fn role(&self, node: &NodeId) -> Option<Role> {
        self.roster.node(node).map(|member| member.role)
    }

    /// What came from a hub has been gossiped there. Our own goes out only once a peer has shown what it holds of our
    /// log: this disk may be an old copy.
    fn is_gossips_source(&self, origin: Origin, scope: Scope) -> bool {
        match origin {
            Origin::Own => {
                let heard = |c: &Contact| c.is_open() && c.known.heard_of(scope) == Heard::Yes;
                !self.logs.doubts_own(scope) && self.contacts.iter().any(heard)
            }
            Origin::Gossip => false,
            Origin::Link(link) => {
                self.contacts.get(link).is_some_and(|contact| self.role(&contact.peer) != Some(Role::Hub))
            }
        }
    }

    fn take_event(&mut self, bytes: &[u8], way: Way, origin: Origin, now: Now) -> Judgement {
        let Ok(event) = Event::parse(bytes) else {
            self.counters.forged_events += 1;
            return Judgement::Reject;
        };
        if self.roster.node(&event.author()).is_none() {
            self.counters.foreign_events += 1;
            return Judgement::Ignore;
        }
        if !self.logs.holds(&event.hash()) && event.verify(&self.config.federation).is_err() {
            self.counters.forged_events += 1;
            return Judgement::Reject;
        }
        if scope::holds(&self.roster, &self.id, event.scope()) == Holding::No {
            self.counters.foreign_events += 1;
            return Judgement::Accept;
        }
        let floor = self.floor(now);
        let inserted = self.logs.insert(event.clone(), way, floor);
        if self.logs.take_gone() > 0 {
            self.fold_anew();
        }
        if let Origin::Link(link) = origin
            && let Some(contact) = self.contacts.get_mut(link)
            && let Some(ask) = contact.known.sent_us(&self.logs, &event)
        {
            self.tell(link, &Message::Asks(vec![ask]));
        }
        match inserted {
            Inserted::New(events) | Inserted::Fork(events) => {
                if let (Origin::Link(link), true) = (origin, event.author() == self.id) {
                    self.shown_our_own(link, now);
                }
                events.iter().for_each(|event| self.took_in(event, origin));
            }
            Inserted::Known | Inserted::Ahead => {}
            Inserted::Refused(_) => {
                self.counters.events_without_room += 1;
                return Judgement::Ignore;
            }
        }
        Judgement::Accept
    }

    fn send_vectors(&mut self, link: LinkId, turn: Turn, scopes: &[Scope]) {
        if scopes.is_empty() {
            return;
        }
        // A vector is a line a chain: the chains of one scope fit a message many times over.
        let vectors: Vec<Vector> = scopes.iter().map(|scope| self.logs.vector(*scope)).collect();
        if let Some(contact) = self.contacts.get_mut(link) {
            contact.vector_sent.extend(vectors.iter().map(|vector| (vector.scope, vector.digest)));
        }
        self.counters.comparisons += 1;
        for vectors in in_messages(vectors) {
            self.tell(link, &Message::Vectors(turn, vectors));
        }
    }

    /// Sends a peer the events it lacks, as far as they may be on their way. They leave once they are on disk here.
    pub(super) fn pay(&mut self, link: LinkId, now: Now) {
        loop {
            let Some(contact) = self.contacts.get_mut(link) else { return };
            let Some((scope, way)) = contact.owed.first_key_value().map(|(scope, way)| (*scope, *way)) else { return };
            let room = contact.ctl.window().saturating_sub(contact.ctl.in_flight());
            if room == 0 {
                return;
            }
            let batch = contact.known.next_batch(&self.logs, scope, BATCH_BYTES_MAX.min(room as usize));
            if batch.is_empty() {
                contact.owed.remove(&scope);
                continue;
            }
            let events: Vec<Vec<u8>> = batch.iter().map(|event| event.bytes().to_vec()).collect();
            contact.ctl.sent(events.iter().map(|event| event.len() as u64).sum(), now.mono);
            let bytes = Message::Events(way, events).encode();
            self.gate.after(Output::Send { link, lane: super::Lane::Ctl, bytes });
        }
    }

    /// The parcels of a case may be wanted by others, or at another class.
    fn case_parcels(&mut self, case: &CaseId, site: &NodeId) {
        let Some(item) = self.worklist.item_of(case, site) else { return };
        let parcels: Vec<_> = item.parcels.keys().copied().collect();
        for manifest in parcels {
            self.reconsider(&manifest);
        }
        self.make_all_offers();
    }
}

/// Cuts a list into parts that each fit a message, with room for its head.
fn in_messages<T: Serialize>(items: Vec<T>) -> Vec<Vec<T>> {
    let mut messages: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for item in items {
        let bytes = wire::encode(&item).len();
        match messages.last_mut().filter(|_| bytes <= room) {
            Some(message) => message.push(item),
            None => {
                messages.push(vec![item]);
                room = CTL_MESSAGE_BYTES_MAX / 2;
            }
        }
        room = room.saturating_sub(bytes);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_into_messages_within_the_limit_and_loses_nothing() {
        let digest = |n: u32| {
            let mut site = [0; 32];
            site[..4].copy_from_slice(&n.to_be_bytes());
            (Scope::Site(NodeId(site)), ScopeDigest([1; 16]))
        };
        let digests: Vec<_> = (0..20_000).map(digest).collect();
        let messages = in_messages(digests.clone());
        let bytes = messages.iter().map(|digests| Message::Digests(digests.clone()).encode().len());
        assert!(bytes.max().unwrap() <= CTL_MESSAGE_BYTES_MAX);
        assert_eq!(messages.concat(), digests);
    }
}
