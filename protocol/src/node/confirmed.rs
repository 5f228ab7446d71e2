//! Whether this node's disk may be an old copy, and what waits until a peer has shown that it is none.
//!
//! A reading hospital puts back last week's image: the hub must give no case away under a token it has used, and a
//! clinic must not contradict itself. So a log of our own that a peer says to know better is sent to nobody for a
//! while, and a home hub decides nothing before a peer has shown its log. But a word alone is no proof: it has its
//! time. Source: `protocol/SPEC.md`, Events and Claims.

use super::{LinkId, Node, Origin, contact::Contact};
use crate::{
    claim::Desk,
    id::NodeId,
    log::{
        Event, Scope, Way,
        scope::{self, Holding},
        sync::Heard,
    },
    time::{Millis, Now},
    worklist::Worklist,
};
use std::collections::BTreeSet;

/// A peer that says to hold more of our own log than we do has this long for each next event of it.
const SHOW_WAIT: Millis = Millis::from_secs(30);

impl Node {
    /// What was held back of our own log goes on as soon as nothing speaks against it any more. Unless this disk was
    /// an old copy that is all; else what nobody had is signed anew.
    pub(super) fn go_on(&mut self, now: Now) {
        match self.logs.sign_anew(&self.key, self.config.floor.max(now.wall)) {
            Ok(anew) => anew.iter().for_each(|event| self.took_in(event, Origin::Own)),
            Err(_) => self.counters.events_not_written += 1,
        }
        let links: Vec<LinkId> = self.contacts.holding_back().map(|contact| contact.link).collect();
        for link in links {
            self.confirm(link, &[], now);
            self.pay(link, now);
        }
    }

    /// A peer has shown what it holds of the scopes `named`: those in which nothing speaks against our own log are
    /// confirmed by it, as are those that were held back from it and are no more; and what waited there for a decision
    /// is decided.
    pub(super) fn confirm(&mut self, link: LinkId, named: &[Scope], now: Now) {
        let Some(contact) = self.contacts.get_mut(link) else { return };
        let held_back = std::mem::take(&mut contact.held_back);
        contact.owed.extend(held_back.iter().map(|scope| (*scope, Way::Synced)));
        let doubted = self.logs.doubted();
        let scopes: BTreeSet<Scope> = named.iter().copied().chain(held_back).chain(doubted.iter().copied()).collect();
        let mut confirmed = BTreeSet::new();
        for scope in scopes.intersection(&contact.shared).filter(|scope| contact.known.heard_of(**scope) == Heard::Yes)
        {
            if doubted.contains(scope) {
                contact.held_back.insert(*scope);
            } else if self.confirmed.insert(*scope) {
                confirmed.insert(*scope);
            }
        }
        if !confirmed.is_empty() {
            let cases = self.worklist.items().filter(|item| confirmed.contains(&Scope::Site(item.site)));
            self.changed.extend(cases.map(|item| (item.case, item.site)));
        }
        if self.logs.is_doubted_by(link) {
            contact.show_by.get_or_insert(now.mono.after(SHOW_WAIT));
        } else {
            contact.show_by = None;
        }
    }

    /// A peer has shown an event of ours that was not here: it is believed, and has its time again for the next.
    pub(super) fn shown_our_own(&mut self, link: LinkId, now: Now) {
        if let Some(contact) = self.contacts.get_mut(link) {
            contact.known.shown();
            contact.show_by = contact.show_by.map(|_| now.mono.after(SHOW_WAIT));
        }
    }

    /// Peers that have not shown in time what they said to hold of our log are not believed any more.
    pub(super) fn wake_held_back(&mut self, now: Now) {
        let mut silent = false;
        for link in self.contacts.due(now.mono) {
            let late = |contact: &&mut Contact| contact.show_by.is_some_and(|by| by <= now.mono);
            let Some(contact) = self.contacts.get_mut(link).filter(late) else { continue };
            contact.show_by = None;
            contact.known.not_shown(&mut self.logs);
            silent = true;
        }
        if silent {
            self.go_on(now);
        }
    }

    /// Whether this node may give cases of a scope away: its log may be an old copy's until a peer has confirmed it.
    /// Where nobody else who stands holds the scope there is no such peer.
    pub(super) fn may_decide(&self, scope: Scope) -> bool {
        let holds = |node: &NodeId| scope::holds(&self.roster, node, scope) == Holding::Yes;
        self.confirmed.contains(&scope) || !self.roster.members().any(|m| m.node != self.id && holds(&m.node))
    }

    /// Events were taken out of the logs: what was folded from them goes too.
    pub(super) fn fold_anew(&mut self) {
        self.worklist = Worklist::new(self.config.federation);
        self.desk = Desk::new(self.id);
        self.grants.clear();
        self.receipted.clear();
        self.announced.clear();
        let scopes = self.logs.scopes();
        let events: Vec<Event> = scopes.iter().flat_map(|scope| self.logs.events(*scope).cloned()).collect();
        events.iter().for_each(|event| drop(self.fold(event)));
    }
}
