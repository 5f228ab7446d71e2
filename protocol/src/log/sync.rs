//! Anti-entropy: two nodes find what the other lacks, and send that and nothing else.
//!
//! Digests of a scope are compared first; equal means done. Else each sends its [`Vector`] of the scope, and from
//! the other's it knows what to send: one round trip and the bytes. Nothing of a scope is sent before the peer's
//! vector of it was seen, so an event a peer has is not sent to it again. Source: `protocol/SPEC.md`, Anti-entropy.

use super::{
    Event, Scope,
    chain::{Chain, ChainKey, ChainTag},
    held::{Logs, ScopeDigest},
};
use crate::{id::EventHash, node::LinkId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a node holds of a scope: about 20 bytes a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vector {
    /// The scope.
    pub scope: Scope,
    /// Over everything held of it.
    pub digest: ScopeDigest,
    /// One entry a chain.
    pub entries: Vec<Entry>,
}

/// What a node holds of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The chain.
    pub chain: ChainTag,
    /// Highest seq held; all before it are held too.
    pub last: u64,
    /// First 8 bytes of the hash that names all events up to `last`.
    pub tip: [u8; 8],
}

/// "Send me this chain from here on": something is missing in between, or its branches differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ask {
    /// The scope.
    pub scope: Scope,
    /// The chain.
    pub chain: ChainTag,
    /// First seq wanted; 1 where branches differ.
    pub from: u64,
}

/// What one peer is known to hold, since its link came up. Make a new one for each link: what a dropped link
/// carried may not have arrived.
#[derive(Debug)]
pub struct Peer {
    link: LinkId,
    scopes: BTreeMap<Scope, View>,
    word: Word,
}

/// What a peer's word about our own log is worth: it may be a lie until an event comes that we signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Believed,
    Spent,
}

/// What a peer is known to hold of a scope whose vector, or equal digest, was seen.
#[derive(Debug, Default, Clone)]
struct View {
    /// Highest seq it has of each chain.
    has: BTreeMap<ChainTag, u64>,
    /// Events beside a main branch that it has.
    beside: BTreeSet<EventHash>,
    /// What we asked it for, so that a hundred events behind one gap ask once.
    asked: BTreeSet<Ask>,
    /// Chains of which everything was sent because the branches differ.
    repaired: BTreeMap<ChainTag, Repair>,
}

impl Logs {
    /// What we hold of a scope, for a peer.
    #[must_use]
    pub fn vector(&self, scope: Scope) -> Vector {
        let chains = self.scope_chains(scope).filter(|(_, chain)| chain.last() > 0);
        let entries = chains.map(|(key, chain)| {
            let last = chain.last();
            Entry { chain: key.tag(), last, tip: short(&chain.digest(last)) }
        });
        Vector { scope, digest: self.digest(scope), entries: entries.collect() }
    }
}

impl Chain {
    /// Whether everything that a peer has said to hold of this chain is here.
    pub(super) fn reaches(&self, said: &Entry) -> bool {
        said.last <= self.last() && short(&self.digest(said.last)) == said.tip
    }
}

impl Peer {
    /// Nothing is known of the peer at the other end of a link, so nothing will be sent.
    #[must_use]
    pub const fn new(link: LinkId) -> Self {
        Self { link, scopes: BTreeMap::new(), word: Word::Believed }
    }

    /// The link has ended: what was said on it of our own log counts no more.
    pub fn gone(&self, logs: &mut Logs) {
        logs.end_suspicion(self.link);
    }

    /// The peer said that it holds more, or other, of our own log, and has not shown it in time: it is not believed
    /// again before it does.
    pub fn not_shown(&mut self, logs: &mut Logs) {
        self.word = Word::Spent;
        logs.end_suspicion(self.link);
    }

    /// The peer has shown an event of ours that was not here.
    pub const fn shown(&mut self) {
        self.word = Word::Believed;
    }

    /// Whether this scope's events may be sent to the peer.
    #[must_use]
    pub fn heard_of(&self, scope: Scope) -> Heard {
        if self.scopes.contains_key(&scope) { Heard::Yes } else { Heard::No }
    }

    /// The peer's digest of a scope came (in HELLO). On [`Compared::Differ`] send our [`Logs::vector`] of it.
    pub fn digest(&mut self, logs: &Logs, scope: Scope, theirs: ScopeDigest) -> Compared {
        if logs.digest(scope) != theirs {
            return Compared::Differ;
        }
        let chains = logs.scope_chains(scope);
        let view = View {
            has: chains.map(|(key, chain)| (key.tag(), chain.last())).collect(),
            beside: logs.scope_chains(scope).flat_map(|(_, chain)| chain.beside()).map(Event::hash).collect(),
            ..View::default()
        };
        self.scopes.insert(scope, view);
        Compared::Equal
    }

    /// The peer's vector of a scope came; [`Peer::next_batch`] sends from now on. Give back what is returned.
    ///
    /// If it says to hold more or other of this node's own log than this node does, that log is sent to nobody until
    /// the peer has shown it ([`Logs::sign_anew`]), the link has ended, or it has had its time.
    pub fn vector(&mut self, logs: &mut Logs, theirs: &Vector) -> Vec<Ask> {
        let scope = theirs.scope;
        if self.digest(logs, scope, theirs.digest) == Compared::Equal {
            return Vec::new();
        }
        // What was sent on this link and is still on its way counts as there: a vector may cross it.
        let mut view = self.scopes.get(&scope).cloned().unwrap_or_default();
        let (mut asks, mut alike) = (Vec::new(), true);
        for entry in &theirs.entries {
            let Some(at) = logs.tagged(scope, entry.chain) else {
                // A chain we have nothing of: the peer sends it, having seen our vector.
                alike = false;
                continue;
            };
            let (key, chain) = &logs.chains[at];
            let more = entry.last > chain.last();
            let same = chain.reaches(entry);
            alike &= same && entry.last == chain.last();
            if same || more {
                let has = view.has.entry(entry.chain).or_default();
                *has = entry.last.max(*has);
            }
            if same {
                view.beside.extend(chain.beside().filter(|e| e.seq() <= entry.last).map(Event::hash));
            } else if !more && view.repairs(entry.chain) {
                view.resend(entry.chain, chain, 1);
                if entry.last < chain.last() {
                    // The peer can't see from our vector that the branches differ.
                    asks.push(Ask { scope, chain: entry.chain, from: 1 });
                }
            }
            if key.author == logs.own.node() && !same && self.word == Word::Believed {
                logs.suspect_own(at, self.link, *entry);
            }
        }
        let held = logs.scope_chains(scope).filter(|(_, chain)| chain.last() > 0);
        let held: Vec<_> = held.map(|(key, chain)| (key.tag(), chain)).collect();
        if alike && held.len() == theirs.entries.len() {
            // Every short tip is equal and the digest is not: somebody made two events whose hashes begin alike.
            for (tag, chain) in held {
                if view.repairs(tag) {
                    view.resend(tag, chain, 1);
                }
            }
        }
        self.scopes.insert(scope, view);
        asks
    }

    /// The peer asked for a chain: [`Peer::next_batch`] gives it again from there.
    pub fn asked(&mut self, logs: &Logs, ask: &Ask) {
        let Some(view) = self.scopes.get_mut(&ask.scope) else { return };
        if let Some(at) = logs.tagged(ask.scope, ask.chain) {
            view.resend(ask.chain, &logs.chains[at].1, ask.from);
        }
    }

    /// The peer sent us this event (call after [`Logs::insert`]), so it has it and all before it. What is given
    /// back goes to the peer: the event waits for others that the peer must have.
    pub fn sent_us(&mut self, logs: &Logs, event: &Event) -> Option<Ask> {
        let view = self.scopes.get_mut(&event.scope())?;
        let (scope, tag) = (event.scope(), ChainKey::of(event).tag());
        let (_, chain) = &logs.chains[logs.tagged(scope, tag)?];
        if chain.on_main(event) {
            let has = view.has.entry(tag).or_default();
            *has = event.seq().max(*has);
            return None;
        }
        if chain.get(event.seq(), &event.hash()).is_some() {
            view.beside.insert(event.hash());
            return None;
        }
        // Next in seq and yet not linked: the branches part somewhere before.
        let from = if event.seq() > chain.last() + 1 { chain.last() + 1 } else { 1 };
        let ask = Ask { scope, chain: tag, from };
        view.asked.insert(ask).then_some(ask)
    }

    /// Whether the peer is known to lack something of a scope.
    #[must_use]
    pub fn lacks(&self, logs: &Logs, scope: Scope) -> Lacks {
        let Some(view) = self.scopes.get(&scope) else { return Lacks::Unknown };
        let lacking = self.chains_lacking(logs, scope, view).next().is_some();
        if lacking { Lacks::Some } else { Lacks::Nothing }
    }

    /// The next events of a scope that the peer lacks, at most `bytes_max` bytes in all (one event at least), each
    /// after its parent. They count as sent. Empty when there are none, or the peer's vector was not seen.
    pub fn next_batch(&mut self, logs: &Logs, scope: Scope, bytes_max: usize) -> Vec<Event> {
        let Some(view) = self.scopes.get(&scope) else { return Vec::new() };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        'chains: for (tag, has, chain) in self.chains_lacking(logs, scope, view) {
            let beside = chain.beside().filter(|event| !view.beside.contains(&event.hash()));
            for event in chain.main_from(has.saturating_add(1)).chain(beside) {
                if !batch.is_empty() && bytes + event.bytes().len() > bytes_max {
                    break 'chains;
                }
                bytes += event.bytes().len();
                batch.push((tag, event.clone()));
            }
        }
        let Some(view) = self.scopes.get_mut(&scope) else { return Vec::new() };
        for (tag, event) in &batch {
            let on_main = logs.tagged(scope, *tag).is_some_and(|at| logs.chains[at].1.on_main(event));
            if on_main {
                view.has.insert(*tag, event.seq());
            } else {
                view.beside.insert(event.hash());
            }
        }
        batch.into_iter().map(|(_, event)| event).collect()
    }

    fn chains_lacking<'a>(
        &self,
        logs: &'a Logs,
        scope: Scope,
        view: &'a View,
    ) -> impl Iterator<Item = (ChainTag, u64, &'a Chain)> {
        logs.scope_chains(scope).filter_map(move |(key, chain)| {
            let tag = key.tag();
            let held_back = logs.tagged(scope, tag).is_some_and(|at| logs.is_suspect(at));
            let has = view.has.get(&tag).copied().unwrap_or(0);
            let beside = chain.beside().any(|event| !view.beside.contains(&event.hash()));
            (!held_back && (has < chain.main_len() || beside)).then_some((tag, has, chain))
        })
    }
}

/// A chain is sent whole to a peer that has other branches of it: at once, and should that not have helped, because the
/// peer gave up events of its own by it or a message was lost, again after 1, 2, 4, ... more vectors.
#[derive(Debug, Default, Clone, Copy)]
struct Repair {
    times: u32,
    passed_over: u32,
}

impl Repair {
    fn is_due(&mut self) -> bool {
        if self.times > 0 && self.passed_over < 1_u32.checked_shl(self.times - 1).unwrap_or(u32::MAX) {
            self.passed_over += 1;
            return false;
        }
        *self = Self { times: self.times.saturating_add(1), passed_over: 0 };
        true
    }
}

impl View {
    fn repairs(&mut self, chain: ChainTag) -> bool {
        self.repaired.entry(chain).or_default().is_due()
    }

    /// Counts a chain as not sent, from `from` on.
    fn resend(&mut self, tag: ChainTag, chain: &Chain, from: u64) {
        let has = self.has.entry(tag).or_default();
        *has = (*has).min(from.saturating_sub(1));
        chain.beside().filter(|event| event.seq() >= from).for_each(|event| {
            self.beside.remove(&event.hash());
        });
    }
}

/// Whether a peer's vector of a scope was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It was.
    Yes,
    /// Not yet: send nothing of it.
    No,
}

/// Two digests of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Both hold the same.
    Equal,
    /// They do not.
    Differ,
}

/// Whether a peer lacks something we hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacks {
    /// Its vector was not seen.
    Unknown,
    /// It has everything.
    Nothing,
    /// It does.
    Some,
}

fn short(hash: &EventHash) -> [u8; 8] {
    let mut tip = [0; 8];
    tip.copy_from_slice(&hash.0[..8]);
    tip
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::{
            Inserted, Way,
            body::{Body, ReportDelivered},
        },
        time::Wall,
        worklist::scene::{CASE, Scene, Who},
    };
    use proptest::prelude::*;

    const BATCH: usize = 1_000;

    fn site() -> Scope {
        Scope::Site(Who::Spoke.node())
    }

    fn shown(n: u64) -> Body {
        let mut report = [0; 32];
        report[..8].copy_from_slice(&n.to_be_bytes());
        Body::ReportDelivered(ReportDelivered { case: CASE, report: EventHash(report) })
    }

    /// One link between two nodes, as the driver carries it; counts events sent.
    struct Link {
        peers: [Peer; 2],
        sent: usize,
        vectors: usize,
    }

    impl Link {
        fn up(logs: &mut [Logs; 2]) -> Self {
            let mut link = Self { peers: [Peer::new(LinkId(0)), Peer::new(LinkId(0))], sent: 0, vectors: 0 };
            let digests = [logs[0].digest(site()), logs[1].digest(site())];
            for here in 0..2 {
                if link.peers[here].digest(&logs[here], site(), digests[1 - here]) == Compared::Differ {
                    link.vectors += 1;
                }
            }
            if link.vectors > 0 {
                let vectors = [logs[0].vector(site()), logs[1].vector(site())];
                let asks = [0, 1].map(|here| link.peers[here].vector(&mut logs[here], &vectors[1 - here]));
                for (here, asks) in asks.iter().enumerate() {
                    asks.iter().for_each(|ask| link.peers[1 - here].asked(&logs[1 - here], ask));
                }
            }
            link
        }

        /// Carries everything each lacks, batch by batch, both ways.
        fn run(&mut self, logs: &mut [Logs; 2], keys: [Who; 2]) {
            loop {
                let mut moved = false;
                for here in 0..2 {
                    let batch = self.peers[here].next_batch(&logs[here], site(), BATCH);
                    moved |= !batch.is_empty();
                    self.sent += batch.len();
                    let there = 1 - here;
                    for event in batch {
                        logs[there].insert(event.clone(), Way::Synced, Wall(0));
                        if let Some(ask) = self.peers[there].sent_us(&logs[there], &event) {
                            self.peers[here].asked(&logs[here], &ask);
                        }
                    }
                    logs[there].sign_anew(&keys[there].key(), Wall(0)).unwrap();
                }
                if !moved {
                    return;
                }
            }
        }
    }

    fn converge(logs: &mut [Logs; 2], who: [Who; 2]) -> usize {
        let mut link = Link::up(logs);
        link.run(logs, who);
        link.sent
    }

    #[test]
    fn a_peer_that_has_everything_costs_the_digest_and_no_more() {
        let mut scene = Scene::new();
        let mut logs = [scene.logs(Who::Home), scene.logs(Who::Relay)];
        for n in 0..5 {
            let event = scene.write(Who::Spoke, &shown(n));
            logs.iter_mut().for_each(|l| drop(l.insert(event.clone(), Way::Pushed, Wall(0))));
        }
        let mut link = Link::up(&mut logs);
        assert_eq!(link.vectors, 0);
        assert_eq!(link.peers[0].lacks(&logs[0], site()), Lacks::Nothing);
        link.run(&mut logs, [Who::Home, Who::Relay]);
        assert_eq!(link.sent, 0);
    }

    #[test]
    fn nothing_is_sent_before_the_peers_vector_was_seen() {
        let mut scene = Scene::new();
        let mut logs = scene.logs(Who::Home);
        logs.insert(scene.write(Who::Spoke, &shown(0)), Way::Pushed, Wall(0));
        let mut peer = Peer::new(LinkId(0));
        assert_eq!((peer.heard_of(site()), peer.lacks(&logs, site())), (Heard::No, Lacks::Unknown));
        assert!(peer.next_batch(&logs, site(), BATCH).is_empty());
        let empty = scene.logs(Who::Relay).vector(site());
        peer.vector(&mut logs, &empty);
        assert_eq!(peer.next_batch(&logs, site(), BATCH).len(), 1);
        assert!(peer.next_batch(&logs, site(), BATCH).is_empty(), "sent once");
    }

    #[test]
    fn a_vector_that_crossed_events_on_their_way_sends_none_of_them_twice() {
        let mut scene = Scene::new();
        let mut logs = scene.logs(Who::Home);
        for n in 0..3 {
            logs.insert(scene.write(Who::Spoke, &shown(n)), Way::Pushed, Wall(0));
        }
        let empty = scene.logs(Who::Relay).vector(site());
        let mut peer = Peer::new(LinkId(0));
        peer.vector(&mut logs, &empty);
        assert_eq!(peer.next_batch(&logs, site(), BATCH).len(), 3);
        peer.vector(&mut logs, &empty);
        assert!(peer.next_batch(&logs, site(), BATCH).is_empty());
    }

    #[test]
    fn a_peer_that_stays_on_another_branch_gets_ours_again_after_1_2_4_vectors() {
        let scene = Scene::new();
        let (mut one, mut other) = (scene.logs(Who::Spoke), scene.logs(Who::Spoke));
        let key = Who::Spoke.key();
        one.append(&key, site(), &shown(1), Wall(1)).unwrap();
        other.append(&key, site(), &shown(2), Wall(1)).unwrap();
        let mut logs = scene.logs(Who::Home);
        one.events(site()).for_each(|e| drop(logs.insert(e.clone(), Way::Pushed, Wall(0))));
        let mut peer = Peer::new(LinkId(0));
        let vector = other.vector(site());
        let mut sent = |_| {
            peer.vector(&mut logs, &vector);
            peer.next_batch(&logs, site(), BATCH).len()
        };
        let sent: Vec<usize> = (0..11).map(&mut sent).collect();
        assert_eq!(sent, [1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_batch_keeps_to_its_bytes_and_loses_nothing() {
        let mut scene = Scene::new();
        let mut logs = [scene.logs(Who::Home), scene.logs(Who::Relay)];
        for n in 0..20 {
            logs[0].insert(scene.write(Who::Spoke, &shown(n)), Way::Pushed, Wall(0));
        }
        let mut link = Link::up(&mut logs);
        let batch = link.peers[0].next_batch(&logs[0], site(), BATCH);
        assert!(batch.iter().map(|e| e.bytes().len()).sum::<usize>() <= BATCH);
        assert_eq!(batch.len(), 3);
        batch.into_iter().for_each(|e| drop(logs[1].insert(e, Way::Synced, Wall(0))));
        link.run(&mut logs, [Who::Home, Who::Relay]);
        assert_eq!((logs[1].len(), link.sent), (20, 17));
    }

    #[test]
    fn two_hundred_logs_fit_into_a_few_kilobytes_of_vector() {
        let scene = Scene::new();
        let mut logs = scene.logs(Who::Home);
        for n in 0..200u64 {
            let life = crate::id::Incarnation(n.to_be_bytes());
            let key = crate::envelope::sign::SigningKey::from_seed([n as u8; 32]);
            let mut other = Logs::new(scene.federation, key.node_id(), life, life);
            logs.insert(other.append(&key, site(), &shown(n), Wall(0)).unwrap(), Way::Synced, Wall(0));
        }
        let bytes = crate::wire::encode(&logs.vector(site())).len();
        assert!(bytes < 200 * 18 + 100, "{bytes}");
    }

    #[test]
    fn both_branches_of_a_fork_reach_everyone_and_stay_quiet_then() {
        let scene = Scene::new();
        let (mut one, mut other) = (scene.logs(Who::Spoke), scene.logs(Who::Spoke));
        let key = Who::Spoke.key();
        for n in 0..4 {
            let event = one.append(&key, site(), &shown(n), Wall(n)).unwrap();
            other.insert(event, Way::Journal, Wall(0));
        }
        for n in 0..3 {
            one.append(&key, site(), &shown(100 + n), Wall(n)).unwrap();
        }
        for n in 0..2 {
            other.append(&key, site(), &shown(200 + n), Wall(n)).unwrap();
        }
        let mut logs = [scene.logs(Who::Home), scene.logs(Who::Relay)];
        one.events(site()).for_each(|e| drop(logs[0].insert(e.clone(), Way::Pushed, Wall(0))));
        other.events(site()).for_each(|e| drop(logs[1].insert(e.clone(), Way::Pushed, Wall(0))));
        converge(&mut logs, [Who::Home, Who::Relay]);
        assert_eq!((logs[0].len(), logs[1].len()), (9, 9));
        assert_eq!(logs[0].digest(site()), logs[1].digest(site()));
        assert!(logs.iter().all(|l| l.forked_authors().contains(&Who::Spoke.node())));
        assert_eq!(converge(&mut logs, [Who::Home, Who::Relay]), 0, "a known fork costs nothing again");
    }

    #[test]
    fn a_fork_that_reaches_its_author_stays_whole_and_nothing_is_said_again() {
        let scene = Scene::new();
        let key = Who::Spoke.key();
        for thief_first in [false, true] {
            let (mut author, mut thief) = (scene.logs(Who::Spoke), scene.logs(Who::Spoke));
            for n in 0..2 {
                let event = author.append(&key, site(), &shown(n), Wall(n)).unwrap();
                thief.insert(event, Way::Journal, Wall(0));
            }
            (0..3).for_each(|n| drop(author.append(&key, site(), &shown(100 + n), Wall(n)).unwrap()));
            (0..2).for_each(|n| drop(thief.append(&key, site(), &shown(200 + n), Wall(n)).unwrap()));
            let mut hub = scene.logs(Who::Home);
            let both = if thief_first { [&thief, &author] } else { [&author, &thief] };
            let events: Vec<Event> = both.into_iter().flat_map(|logs| logs.events(site())).cloned().collect();
            events.into_iter().for_each(|e| drop(hub.insert(e, Way::Pushed, Wall(0))));
            let mut logs = [author, hub];
            let sent: Vec<usize> = (0..4).map(|_| converge(&mut logs, [Who::Spoke, Who::Home])).collect();
            assert_eq!(sent.last(), Some(&0), "{sent:?}");
            assert_eq!((logs[0].len(), logs[1].len()), (7, 7));
            assert!(logs.iter().all(|l| l.forked_authors().contains(&Who::Spoke.node())));
        }
    }

    #[test]
    fn an_event_behind_a_gap_asks_once_for_what_is_missing() {
        let mut scene = Scene::new();
        let events: Vec<Event> = (0..6).map(|n| scene.write(Who::Spoke, &shown(n))).collect();
        let mut logs = scene.logs(Who::Home);
        logs.insert(events[0].clone(), Way::Pushed, Wall(0));
        let mut peer = Peer::new(LinkId(0));
        peer.vector(&mut logs, &scene.logs(Who::Relay).vector(site()));
        let asks: Vec<_> = events[3..]
            .iter()
            .filter_map(|event| {
                assert_eq!(logs.insert(event.clone(), Way::Pushed, Wall(0)), Inserted::Ahead);
                peer.sent_us(&logs, event)
            })
            .collect();
        assert_eq!(asks.iter().map(|ask| ask.from).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_hostile_vector_is_no_more_than_a_lie() {
        let mut scene = Scene::new();
        let mut logs = scene.logs(Who::Home);
        logs.insert(scene.write(Who::Spoke, &shown(0)), Way::Pushed, Wall(0));
        let mut lie = logs.vector(site());
        lie.digest = ScopeDigest([0; 16]);
        let honest = lie.entries[0];
        lie.entries = vec![Entry { last: u64::MAX, ..honest }, honest, Entry { chain: ChainTag([0; 8]), ..honest }];
        let mut peer = Peer::new(LinkId(0));
        let asks = peer.vector(&mut logs, &lie);
        asks.iter().for_each(|ask| peer.asked(&logs, ask));
        peer.asked(&logs, &Ask { scope: site(), chain: honest.chain, from: 0 });
        assert!(peer.next_batch(&logs, site(), BATCH).len() <= 1);
    }

    #[test]
    fn a_clinic_put_back_to_last_week_loses_and_forges_nothing() {
        let scene = Scene::new();
        let key = Who::Spoke.key();
        let mut spoke = scene.logs(Who::Spoke);
        let mut hub = scene.logs(Who::Home);
        let mut image = Vec::new();
        for n in 0..10 {
            let event = spoke.append(&key, site(), &shown(n), Wall(n)).unwrap();
            hub.insert(event.clone(), Way::Pushed, Wall(0));
            if n < 6 {
                image.push(event);
            }
        }
        let mut restored = scene.logs(Who::Spoke);
        image.iter().for_each(|e| drop(restored.insert(e.clone(), Way::Journal, Wall(0))));
        restored.replayed();
        for n in 100..103 {
            restored.append(&key, site(), &shown(n), Wall(n)).unwrap();
        }
        let mut logs = [restored, hub];
        converge(&mut logs, [Who::Spoke, Who::Home]);
        converge(&mut logs, [Who::Spoke, Who::Home]);
        assert_ne!(logs[0].incarnation(), image[0].incarnation());
        assert_eq!(logs[0].digest(site()), logs[1].digest(site()));
        assert!(logs[1].forked_authors().is_empty(), "nobody sees a contradiction");
        let said: BTreeSet<Vec<u8>> = logs[1].events(site()).map(|e| e.body_bytes().to_vec()).collect();
        let expected = (0..10).chain(100..103).map(|n| crate::log::kind::encode(&shown(n)).2).collect();
        assert_eq!(said, expected);
        assert_eq!(logs[1].len(), 13);

        // The journal of the restored node, read again, leads to the same place.
        let first_life = image[0].incarnation();
        let later = logs[0].events(site()).filter(|e| e.seq() > 6 || e.incarnation() != first_life).cloned();
        let journal: Vec<Event> = image.into_iter().chain(later).collect();
        let mut again = scene.logs(Who::Spoke);
        journal.iter().for_each(|e| drop(again.insert(e.clone(), Way::Journal, Wall(0))));
        again.replayed();
        assert_eq!((again.incarnation(), again.digest(site())), (logs[0].incarnation(), logs[0].digest(site())));
    }

    #[test]
    fn what_was_signed_anew_is_not_a_fork_after_the_next_start() {
        let scene = Scene::new();
        let key = Who::Spoke.key();
        let (mut first, mut life) = (scene.logs(Who::Spoke), scene.logs(Who::Spoke));
        let shared = first.append(&key, site(), &shown(1), Wall(1)).unwrap();
        life.insert(shared.clone(), Way::Journal, Wall(0));
        let lost = first.append(&key, site(), &shown(2), Wall(2)).unwrap();
        let unsent = life.append(&key, site(), &shown(3), Wall(3)).unwrap();
        let mut hub = scene.logs(Who::Home);
        [&shared, &lost].into_iter().for_each(|e| drop(hub.insert(e.clone(), Way::Pushed, Wall(0))));
        let mut logs = [life, hub];
        converge(&mut logs, [Who::Spoke, Who::Home]);
        let anew = logs[0].events(site()).find(|e| e.seq() == 1 && e.hash() != shared.hash()).unwrap().clone();
        assert_eq!(anew.body_bytes(), unsent.body_bytes());
        let mut again = scene.logs(Who::Spoke);
        for event in [shared, unsent, lost, anew] {
            again.insert(event, Way::Journal, Wall(0));
        }
        again.replayed();
        assert_eq!(again.digest(site()), logs[0].digest(site()));
        assert!(again.forked_authors().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_two_nodes_converge_and_no_event_is_sent_in_vain(have in prop::collection::vec((0u64..12, 0u64..12), 5)) {
            let mut scene = Scene::new();
            let mut logs = [scene.logs(Who::Standby), scene.logs(Who::Relay)];
            let authors = [Who::Spoke, Who::Home, Who::Far, Who::Banda, Who::Phiri];
            for (author, (a, b)) in authors.into_iter().zip(&have) {
                for n in 0..*a.max(b) {
                    let event = scene.write(author, &shown(n));
                    if n < *a { logs[0].insert(event.clone(), Way::Pushed, Wall(0)); }
                    if n < *b { logs[1].insert(event, Way::Pushed, Wall(0)); }
                }
            }
            let lacking: u64 = have.iter().map(|(a, b)| a.abs_diff(*b)).sum();
            prop_assert_eq!(converge(&mut logs, [Who::Standby, Who::Relay]) as u64, lacking);
            prop_assert_eq!(logs[0].digest(site()), logs[1].digest(site()));
            prop_assert_eq!(logs[0].counters().sent_in_vain() + logs[1].counters().sent_in_vain(), 0);
        }
    }
}
