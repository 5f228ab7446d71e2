//! All chains a node holds.
//!
//! Takes in events whose signature and author the caller has checked, keeps each one's bytes once, and tells what
//! is new for the folds. What this node writes is appended here. Chains are kept for (author, incarnation, scope).
//! Source: `protocol/SPEC.md`, Events.

use super::{
    Counters, Event, Scope, Way,
    body::Body,
    chain::{Chain, ChainKey, ChainTag, Placed},
    event::{BODY_BYTES_MAX, Header},
    kind,
    restored::Own,
};
use crate::{
    envelope::sign::SigningKey,
    id::{EventHash, FederationId, Incarnation, NodeId},
    limits::{AHEAD_BYTES_MAX, AHEAD_BYTES_TOTAL_MAX, INCARNATIONS_MAX},
    time::{Hlc, Wall},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names everything held of a scope: equal on two nodes if and only if they hold the same events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScopeDigest(pub [u8; 16]);

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// New. These are to be persisted and folded in this order: the event, then those that had waited for it.
    New(Vec<Event>),
    /// New, and its author has said something else at the same place: persist and fold these too, show the author
    /// as forked.
    Fork(Vec<Event>),
    /// It was here.
    Known,
    /// Kept in memory behind a gap; compare vectors with the peer it came from.
    Ahead,
    /// Not kept.
    Refused(Refusal),
}

/// Why an event was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many wait behind a gap, or fork.
    #[error("{author} has as many events, or bytes of them, behind gaps or in forks as are kept: {limit}")]
    Full {
        /// Who wrote them.
        author: NodeId,
        /// The limit, in events or bytes.
        limit: usize,
    },
    /// Too many lives.
    #[error("{author} has {INCARNATIONS_MAX} incarnations in one scope, which is the limit")]
    Incarnations {
        /// Who wrote them.
        author: NodeId,
    },
}

/// A body of our own that can't be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Over the limit.
    #[error("the event's body has {bytes} bytes; at most {BODY_BYTES_MAX} are allowed")]
    TooLong {
        /// Bytes of the body.
        bytes: usize,
    },
}

/// Place of a chain in [`Logs`].
pub(super) type At = usize;

/// Every chain held, and this node's own place in them.
#[derive(Debug)]
pub struct Logs {
    pub(super) federation: FederationId,
    pub(super) own: Own,
    pub(super) chains: Vec<(ChainKey, Chain)>,
    by_key: BTreeMap<ChainKey, At>,
    by_tag: BTreeMap<(Scope, ChainTag), At>,
    by_hash: BTreeMap<EventHash, (At, u64)>,
    /// Bytes of events that wait behind gaps, over all chains.
    waiting_bytes: usize,
    counters: Counters,
    hlc: Hlc,
}

impl Logs {
    /// No events. `incarnation` is the node's since init or restore; `reserve` is fresh at every start, and becomes
    /// the incarnation if a peer shows that this disk is an old copy.
    #[must_use]
    pub const fn new(federation: FederationId, node: NodeId, incarnation: Incarnation, reserve: Incarnation) -> Self {
        Self {
            federation,
            own: Own::new(node, incarnation, reserve),
            chains: Vec::new(),
            by_key: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            waiting_bytes: 0,
            counters: Counters { new: [0; 5], known: [0; 5], unknown_kinds: 0 },
            hlc: Hlc(0),
        }
    }

    /// Takes in an event. The caller has verified the signature ([`Event::verify`]), that the author is or was a
    /// member, and that this node holds the scope. `floor` is the lowest the time can be, for the hybrid clock.
    pub fn insert(&mut self, event: Event, way: Way, floor: Wall) -> Inserted {
        let key = ChainKey::of(&event);
        let Some(at) = self.chain_at(key) else {
            return Inserted::Refused(Refusal::Incarnations { author: key.author });
        };
        if key.author == self.own.node() {
            self.meet_own(at, &event, way);
        }
        let waited = self.chains[at].1.waiting_bytes();
        let placed = if self.has_room(at, &event) {
            self.chains[at].1.insert(event)
        } else {
            Placed::Full { limit: AHEAD_BYTES_MAX }
        };
        self.waiting_bytes = self.waiting_bytes - waited + self.chains[at].1.waiting_bytes();
        match &placed {
            Placed::Linked(events) | Placed::Forked(events) => {
                for event in events {
                    self.counters.count_new(way);
                    self.counters.unknown_kinds += u64::from(!kind::is_known(event.kind()));
                    self.by_hash.insert(event.hash(), (at, event.seq()));
                    self.hlc = self.hlc.heard(event.hlc(), floor);
                }
            }
            Placed::Known => self.counters.count_known(way),
            Placed::Ahead | Placed::Full { .. } => {}
        }
        match placed {
            Placed::Linked(events) => Inserted::New(events),
            Placed::Forked(events) => Inserted::Fork(events),
            Placed::Ahead => Inserted::Ahead,
            Placed::Known => Inserted::Known,
            Placed::Full { limit } => Inserted::Refused(Refusal::Full { author: key.author, limit }),
        }
    }

    /// Writes and keeps an event of our own. It may leave this node once it is on disk.
    ///
    /// # Errors
    /// [`AppendError`] over the limit.
    pub fn append(&mut self, key: &SigningKey, scope: Scope, body: &Body, wall: Wall) -> Result<Event, AppendError> {
        let (kind, version, bytes) = kind::encode(body);
        self.append_raw(key, scope, (kind, version), &bytes, wall)
    }

    pub(super) fn append_raw(
        &mut self,
        key: &SigningKey,
        scope: Scope,
        kind: (u16, u16),
        body: &[u8],
        wall: Wall,
    ) -> Result<Event, AppendError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(AppendError::TooLong { bytes: body.len() });
        }
        let chain = ChainKey { scope, author: self.own.node(), incarnation: self.own.incarnation() };
        let (seq, prev) = self.chain(&chain).map_or((1, super::event::NO_PREV), |c| (c.main_len() + 1, c.head()));
        self.hlc = self.hlc.tick(wall);
        let header = Header { author: chain.author, incarnation: chain.incarnation, scope, seq, prev, hlc: self.hlc };
        let event = Event::sign_raw(key, &self.federation, &header, kind, body);
        let inserted = self.insert(event.clone(), Way::Own, wall);
        debug_assert!(!matches!(inserted, Inserted::Ahead | Inserted::Refused(_)), "own events continue own chains");
        Ok(event)
    }

    /// The event of this hash.
    #[must_use]
    pub fn event(&self, hash: &EventHash) -> Option<&Event> {
        let (at, seq) = self.by_hash.get(hash)?;
        self.chains[*at].1.get(*seq, hash)
    }

    /// Whether the event is here. Gossip asks this before it verifies a signature.
    #[must_use]
    pub fn holds(&self, hash: &EventHash) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// Every event of a scope, chain by chain, each after its parent.
    pub fn events(&self, scope: Scope) -> impl Iterator<Item = &Event> {
        self.scope_chains(scope).flat_map(|(_, chain)| chain.events())
    }

    /// Scopes of which events are here.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<Scope> {
        self.chains.iter().filter(|(_, chain)| chain.last() > 0).map(|(key, _)| key.scope).collect()
    }

    /// Names everything held of a scope.
    #[must_use]
    pub fn digest(&self, scope: Scope) -> ScopeDigest {
        let mut hash = blake3::Hasher::new();
        hash.update(b"radmesh/1 scope digest").update(&scope.to_bytes());
        for (key, chain) in self.scope_chains(scope).filter(|(_, chain)| chain.last() > 0) {
            hash.update(key.author.as_bytes()).update(key.incarnation.as_bytes());
            hash.update(&chain.last().to_be_bytes()).update(chain.digest(chain.last()).as_bytes());
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        ScopeDigest(digest)
    }

    /// Events held, over all scopes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether no event is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Authors that said two things at one place: shown on every page until a person confirms.
    #[must_use]
    pub fn forked_authors(&self) -> BTreeSet<NodeId> {
        self.chains.iter().filter(|(_, chain)| chain.forked()).map(|(key, _)| key.author).collect()
    }

    /// How events came.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The life this node writes in.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.own.incarnation()
    }

    /// The hybrid clock, as of the latest event.
    #[must_use]
    pub const fn hlc(&self) -> Hlc {
        self.hlc
    }

    pub(super) fn chain(&self, key: &ChainKey) -> Option<&Chain> {
        self.by_key.get(key).map(|at| &self.chains[*at].1)
    }

    pub(super) fn tagged(&self, scope: Scope, tag: ChainTag) -> Option<At> {
        self.by_tag.get(&(scope, tag)).copied()
    }

    /// Chains of a scope, by author and incarnation.
    pub(super) fn scope_chains(&self, scope: Scope) -> impl Iterator<Item = (&ChainKey, &Chain)> {
        let from = ChainKey { scope, author: NodeId([0; 32]), incarnation: Incarnation([0; 8]) };
        let chains = self.by_key.range(from..).take_while(move |(key, _)| key.scope == scope);
        chains.map(|(key, at)| (key, &self.chains[*at].1))
    }

    pub(super) fn forget(&mut self, event: &Event) {
        self.by_hash.remove(&event.hash());
    }

    /// Whether an event links, or may wait behind a gap: one author's stolen key must not fill this node's memory.
    fn has_room(&self, at: At, event: &Event) -> bool {
        let (key, chain) = &self.chains[at];
        let of_author = || self.lives_of(key).map(|at| self.chains[at].1.waiting_bytes()).sum::<usize>();
        let bytes = event.bytes().len();
        chain.links(event)
            || (of_author() + bytes <= AHEAD_BYTES_MAX && self.waiting_bytes + bytes <= AHEAD_BYTES_TOTAL_MAX)
    }

    /// The chains of one author in one scope, a life each.
    fn lives_of(&self, key: &ChainKey) -> impl Iterator<Item = At> {
        let from = ChainKey { incarnation: Incarnation([0; 8]), ..*key };
        self.by_key.range(from..=ChainKey { incarnation: Incarnation([0xff; 8]), ..*key }).map(|(_, at)| *at)
    }

    /// Place of a chain, made if there is room for one more life of its author.
    fn chain_at(&mut self, key: ChainKey) -> Option<At> {
        if let Some(at) = self.by_key.get(&key) {
            return Some(*at);
        }
        if self.lives_of(&key).count() >= INCARNATIONS_MAX {
            return None;
        }
        let at = self.chains.len();
        self.chains.push((key, Chain::default()));
        self.by_key.insert(key, at);
        self.by_tag.insert((key.scope, key.tag()), at);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::body::ReportDelivered,
        worklist::scene::{CASE, Scene, Who},
    };

    fn shown(n: u8) -> Body {
        Body::ReportDelivered(ReportDelivered { case: CASE, report: EventHash([n; 32]) })
    }

    #[test]
    fn every_event_is_counted_by_the_way_it_came_and_in_vain_if_it_was_here() {
        let mut scene = Scene::new();
        let events: Vec<Event> = (0..3).map(|n| scene.write(Who::Spoke, &shown(n))).collect();
        let mut logs = scene.logs(Who::Home);
        logs.insert(events[1].clone(), Way::Gossiped, Wall(0));
        assert_eq!(logs.counters().new_by(Way::Gossiped), 0, "behind a gap it is not held");
        logs.insert(events[0].clone(), Way::Pushed, Wall(0));
        logs.insert(events[2].clone(), Way::Synced, Wall(0));
        logs.insert(events[2].clone(), Way::Gossiped, Wall(0));
        let counters = *logs.counters();
        assert_eq!((counters.new_by(Way::Pushed), counters.new_by(Way::Synced)), (2, 1));
        assert_eq!((counters.known_by(Way::Gossiped), counters.sent_in_vain()), (1, 1));
        assert_eq!((logs.len(), logs.event(&events[2].hash())), (3, Some(&events[2])));
    }

    #[test]
    fn an_event_of_an_unknown_kind_is_kept_counted_and_given_on() {
        let scene = Scene::new();
        let mut spoke = scene.logs(Who::Spoke);
        let scope = Scope::Site(Who::Spoke.node());
        let event = spoke.append_raw(&Who::Spoke.key(), scope, (999, 1), b"next year", Wall(5)).unwrap();
        let mut relay = scene.logs(Who::Relay);
        assert_eq!(relay.insert(event.clone(), Way::Synced, Wall(0)), Inserted::New(vec![event.clone()]));
        assert_eq!((relay.counters().unknown_kinds, relay.events(scope).next()), (1, Some(&event)));
    }

    #[test]
    fn own_events_continue_after_a_restart() {
        let mut scene = Scene::new();
        let events: Vec<Event> = (0..2).map(|n| scene.write(Who::Spoke, &shown(n))).collect();
        let mut logs = scene.logs(Who::Spoke);
        events.iter().for_each(|e| drop(logs.insert(e.clone(), Way::Journal, Wall(0))));
        logs.replayed();
        let next = logs.append(&Who::Spoke.key(), events[0].scope(), &shown(2), Wall(0)).unwrap();
        assert_eq!((next.seq(), next.prev()), (3, events[1].hash()));
        assert!(next.hlc() > events[1].hlc(), "the clock went back and the order of display did not");
    }

    #[test]
    fn chains_of_two_scopes_and_two_lives_do_not_mix() {
        let scene = Scene::new();
        let mut logs = scene.logs(Who::Home);
        let key = Who::Home.key();
        let here = logs.append(&key, Scope::Site(Who::Spoke.node()), &shown(1), Wall(0)).unwrap();
        let there = logs.append(&key, Scope::Federation, &shown(1), Wall(0)).unwrap();
        assert_eq!((here.seq(), there.seq()), (1, 1));
        assert_eq!(logs.events(Scope::Federation).count(), 1);
        assert_eq!(logs.scopes().len(), 2);
    }

    #[test]
    fn a_body_over_the_limit_is_refused_with_the_figure() {
        let scene = Scene::new();
        let mut logs = scene.logs(Who::Home);
        let refused = logs.append_raw(&Who::Home.key(), Scope::Federation, (999, 1), &[0; BODY_BYTES_MAX + 1], Wall(0));
        assert_eq!(refused, Err(AppendError::TooLong { bytes: BODY_BYTES_MAX + 1 }));
    }

    #[test]
    fn what_waits_behind_gaps_is_bounded_over_all_lives_of_its_author() {
        let scene = Scene::new();
        let mut home = scene.logs(Who::Home);
        let mut kept = 0;
        for life in 0..200u64 {
            let header = Header {
                author: Who::Spoke.node(),
                incarnation: Incarnation(life.to_be_bytes()),
                scope: Scope::Federation,
                seq: 2,
                prev: EventHash([1; 32]),
                hlc: Hlc(0),
            };
            let event = Event::sign_raw(&Who::Spoke.key(), &scene.federation, &header, (999, 1), &[0; 60_000]);
            let bytes = event.bytes().len();
            kept += if home.insert(event, Way::Synced, Wall(0)) == Inserted::Ahead { bytes } else { 0 };
        }
        assert!((900_000..=1024 * 1024).contains(&kept), "{kept} bytes are held that nothing links to");
    }

    #[test]
    fn what_waits_behind_gaps_is_bounded_over_all_authors() {
        let scene = Scene::new();
        let mut home = scene.logs(Who::Home);
        let mut kept = 0;
        for (author, life) in (100..120u8).flat_map(|author| (0..17u64).map(move |life| (author, life))) {
            let key = SigningKey::from_seed([author; 32]);
            let header = Header {
                author: key.node_id(),
                incarnation: Incarnation(life.to_be_bytes()),
                scope: Scope::Federation,
                seq: 2,
                prev: EventHash([1; 32]),
                hlc: Hlc(0),
            };
            let event = Event::sign_raw(&key, &scene.federation, &header, (999, 1), &[0; 60_000]);
            let bytes = event.bytes().len();
            kept += if home.insert(event, Way::Synced, Wall(0)) == Inserted::Ahead { bytes } else { 0 };
        }
        assert!((16_000_000..=16 * 1024 * 1024).contains(&kept), "{kept} bytes are held that nothing links to");
    }

    #[test]
    fn an_author_with_too_many_lives_is_refused() {
        let scene = Scene::new();
        let mut home = scene.logs(Who::Home);
        for life in 0..=INCARNATIONS_MAX as u64 {
            let life = Incarnation(life.to_be_bytes());
            let mut spoke = Logs::new(scene.federation, Who::Spoke.node(), life, life);
            let event = spoke.append(&Who::Spoke.key(), Scope::Federation, &shown(1), Wall(0)).unwrap();
            let over = life == Incarnation((INCARNATIONS_MAX as u64).to_be_bytes());
            assert_eq!(matches!(home.insert(event, Way::Synced, Wall(0)), Inserted::Refused(_)), over);
        }
    }
}
