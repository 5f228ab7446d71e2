//! This node's own place in its logs, and what happens when its disk turns out to be an old copy.
//!
//! A clinic's disk dies; somebody puts back the image of last week. The node would go on at a seq it has used
//! before and contradict itself. So it sends nothing of its own before the peer has shown what it holds of this
//! node's log. If events of its own come that it does not hold, the node goes on in a new incarnation: it takes back
//! what it lost, and what nobody had it signs anew. Source: `protocol/SPEC.md`, Events.

use super::{
    Event, Scope, Way,
    body::Body,
    chain::ChainKey,
    held::{AppendError, At, Logs},
    sync::Entry,
};
use crate::{
    envelope::sign::SigningKey,
    id::{Incarnation, NodeId},
    node::LinkId,
    time::Wall,
};
use std::collections::{BTreeMap, BTreeSet};

/// Who this node is in its logs.
#[derive(Debug)]
pub(super) struct Own {
    node: NodeId,
    incarnation: Incarnation,
    reserve: Option<Incarnation>,
    /// Chains of ours of which a peer says to hold more or other, the link that said so, and what it said.
    /// Offered to nobody meanwhile.
    suspect: BTreeMap<(At, LinkId), Entry>,
    /// Ours, at places where a peer has another: to be signed anew.
    withdrawn: Vec<Event>,
    /// Up to which seq of our own chains a peer has shown what it has.
    shown: BTreeMap<At, u64>,
    /// Events taken out since the folds were last made anew.
    gone: usize,
}

impl Own {
    pub(super) const fn new(node: NodeId, incarnation: Incarnation, reserve: Incarnation) -> Self {
        Self {
            node,
            incarnation,
            reserve: Some(reserve),
            suspect: BTreeMap::new(),
            withdrawn: Vec::new(),
            shown: BTreeMap::new(),
            gone: 0,
        }
    }

    pub(super) const fn node(&self) -> NodeId {
        self.node
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn open_new_incarnation(&mut self) {
        if let Some(reserve) = self.reserve.take() {
            self.incarnation = reserve;
        }
    }
}

impl Logs {
    /// A peer says on `link` that it holds more, or other, of one of our own chains. That alone opens no new
    /// incarnation: anybody can say it, and only this node can have signed the event that proves it.
    pub(super) fn suspect_own(&mut self, at: At, link: LinkId, said: Entry) {
        self.own.suspect.insert((at, link), said);
    }

    /// Whether something said on a link holds a chain of our own back.
    #[must_use]
    pub fn is_doubted_by(&self, link: LinkId) -> bool {
        self.own.suspect.keys().any(|(_, by)| *by == link)
    }

    /// What was said on a link about our own chains counts no more.
    pub(super) fn end_suspicion(&mut self, link: LinkId) {
        self.own.suspect.retain(|(_, by), _| *by != link);
    }

    /// Whether a chain is held back until what a peer has of it is here.
    pub(super) fn is_suspect(&self, at: At) -> bool {
        self.own.suspect.range((at, LinkId(0))..=(at, LinkId(u64::MAX))).next().is_some()
    }

    /// Scopes in which a chain of our own is held back.
    #[must_use]
    pub fn doubted(&self) -> BTreeSet<Scope> {
        self.own.suspect.keys().map(|(at, _)| self.chains[*at].0.scope).collect()
    }

    /// Whether a chain of our own in this scope is held back.
    #[must_use]
    pub fn doubts_own(&self, scope: Scope) -> bool {
        self.own.suspect.keys().any(|(at, _)| self.chains[*at].0.scope == scope)
    }

    /// How many events were taken out since this was last asked: if any, the folds are to be made anew.
    #[must_use]
    pub fn take_gone(&mut self) -> usize {
        std::mem::take(&mut self.own.gone)
    }

    /// An event of our own comes in; before it is placed, ours give way where nobody else had them.
    pub(super) fn meet_own(&mut self, at: At, event: &Event, way: Way) {
        match way {
            Way::Own | Way::Journal => {}
            Way::Pushed | Way::Gossiped | Way::Synced => {
                let (seq, chain) = (event.seq(), &self.chains[at].1);
                let parent_here = seq == 1 || chain.get(seq - 1, &event.prev()).is_some();
                let in_our_way = seq <= chain.main_len() && self.is_suspect(at);
                let is_new = !self.holds(&event.hash());
                if is_new && event.incarnation() == self.own.incarnation {
                    self.own.open_new_incarnation();
                }
                if !parent_here {
                    return;
                }
                let shown = self.own.shown.entry(at).or_default();
                let nobody_has_ours = seq > *shown;
                *shown = seq.max(*shown);
                if is_new && in_our_way && nobody_has_ours {
                    let ours = self.chains[at].1.withdraw_from(seq);
                    self.take_out(&ours);
                    self.own.withdrawn.extend(ours);
                }
            }
        }
    }

    /// Signs anew, in the new incarnation, what nobody had, but for what it decided as home hub: that is decided anew,
    /// knowing what was granted before. Call after each batch of a peer's events. Persist, fold
    /// and send the events given back like any others.
    ///
    /// # Errors
    /// Never in practice: these bodies fitted before. [`AppendError`] says which limit was broken.
    pub fn sign_anew(&mut self, key: &SigningKey, wall: Wall) -> Result<Vec<Event>, AppendError> {
        let chains = &self.chains;
        self.own.suspect.retain(|(at, _), said| !chains[*at].1.reaches(said));
        if !self.own.suspect.is_empty() {
            return Ok(Vec::new());
        }
        let mut withdrawn = std::mem::take(&mut self.own.withdrawn);
        // What a peer has had all along came back with the other branch; and it may have been signed anew before.
        withdrawn.retain(|event| !is_decision(event) && !self.holds(&event.hash()) && !self.is_said_anew(event));
        withdrawn.sort_by_key(|event| (event.scope(), event.seq()));
        let anew = |event: Event| self.append_raw(key, event.scope(), event.kind(), event.body_bytes(), wall);
        withdrawn.into_iter().map(anew).collect()
    }

    /// Call once when the journal has been read. The node goes on in the life it wrote in last, unless it was
    /// given a new one; and where its own chain forks because of an earlier restore, what was signed anew since is
    /// taken out again.
    pub fn replayed(&mut self) {
        let own = self.own.node;
        let lives = self.chains.iter().filter(|(key, chain)| key.author == own && chain.last() > 0);
        let lives: Vec<_> = lives.map(|(key, chain)| (chain.latest_hlc(), key.incarnation)).collect();
        if lives.iter().any(|(_, incarnation)| *incarnation == self.own.incarnation) {
            self.own.incarnation = lives.iter().max().map_or(self.own.incarnation, |(_, incarnation)| *incarnation);
        }
        let forked: Vec<At> = (0..self.chains.len())
            .filter(|at| self.chains[*at].0.author == own && self.chains[*at].1.forked())
            .collect();
        for at in forked {
            let key = self.chains[at].0;
            let anew: BTreeSet<(u16, Vec<u8>)> = self.said_in_other_lives(&key);
            let said = |event: &Event| anew.contains(&(event.kind().0, event.body_bytes().to_vec()));
            let gone = self.chains[at].1.drop_branch(|event| said(event) || is_decision(event), said);
            self.take_out(&gone);
        }
    }

    fn take_out(&mut self, events: &[Event]) {
        events.iter().for_each(|event| self.forget(event));
        self.own.gone += events.len();
    }

    fn is_said_anew(&self, event: &Event) -> bool {
        let said = (event.kind().0, event.body_bytes().to_vec());
        self.said_in_other_lives(&ChainKey::of(event)).contains(&said)
    }

    fn said_in_other_lives(&self, key: &ChainKey) -> BTreeSet<(u16, Vec<u8>)> {
        let others = self
            .scope_chains(key.scope)
            .filter(|(other, _)| other.author == key.author && other.incarnation != key.incarnation);
        others.flat_map(|(_, chain)| chain.events()).map(|e| (e.kind().0, e.body_bytes().to_vec())).collect()
    }
}

/// Whether an event is a home hub's decision on a claim: said from an old copy, it may contradict what was granted.
fn is_decision(event: &Event) -> bool {
    matches!(event.body(), Ok(Some(Body::Grant(_) | Body::ClaimLapsed(_) | Body::ClaimRefused(_))))
}
