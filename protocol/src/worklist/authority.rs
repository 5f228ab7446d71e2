//! Whose word counts on a case, by the roster of today.
//!
//! The home hub of a site grants, refuses and bears witness in its term. A statement of somebody revoked counts as
//! made before that only if the home hub named it in an event written with an earlier roster version; everyone
//! folds the same events, so everyone marks the same ones. Source: `protocol/SPEC.md`, Roster.

use super::{
    facts::{Facts, Said},
    item::Review,
};
use crate::{
    id::{EventHash, NodeId},
    roster::{PersonRole, Role, Roster, RosterVersion, Standing, Term},
};

/// The roster, as seen from one site.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority<'a> {
    pub(super) roster: &'a Roster,
    pub(super) site: NodeId,
}

impl Authority<'_> {
    /// Whether `author` was the site's home hub in `term`. The roster keeps today's term; for earlier ones, whose
    /// words are lower anyway, a hub of the site's pool is believed.
    pub(super) fn was_home(&self, author: &NodeId, term: Term) -> bool {
        let Some(spoke) = self.roster.node(&self.site) else { return false };
        if term == spoke.term {
            return spoke.home == Some(*author);
        }
        let hub = self.roster.node(author).filter(|hub| hub.role == Role::Hub && hub.region == spoke.region);
        term < spoke.term && hub.is_some()
    }

    /// Whether `author` is the site's home hub today.
    pub(super) fn is_home(&self, author: &NodeId) -> bool {
        self.roster.node(&self.site).is_some_and(|spoke| spoke.home == Some(*author))
    }

    /// Whether `author` is a hub.
    pub(super) fn is_hub(&self, author: &NodeId) -> bool {
        self.roster.node(author).is_some_and(|member| member.role == Role::Hub)
    }

    /// Whether a person's statement counts, or waits for a person's eye.
    pub(super) fn review<T>(&self, facts: &Facts, hash: &EventHash, said: &Said<T>) -> Review {
        let person = self.roster.person(&said.person).filter(|p| p.roles.contains(&PersonRole::Radiologist));
        let node = self.roster.node(&said.place.0);
        let (Some(person), Some(node)) = (person, node) else { return Review::Marked };
        let sound = [person.standing, node.standing].into_iter().all(|standing| match standing {
            Standing::Member => true,
            Standing::Revoked { at } => self.seen_before(facts, hash, at),
        });
        if sound { Review::Sound } else { Review::Marked }
    }

    /// Whether the home hub named the event with a roster version before `revoked`.
    fn seen_before(&self, facts: &Facts, hash: &EventHash, revoked: RosterVersion) -> bool {
        let from = (*hash, NodeId([0; 32]), Term(0));
        let named = facts.witnesses.range(from..).take_while(|((seen, ..), _)| seen == hash);
        let mut named = named.filter(|((_, author, term), _)| self.was_home(author, *term));
        let in_grant = |fact: &&super::facts::GrantFact| {
            let about = fact.grant.request == *hash || fact.grant.reports.contains(hash);
            about && self.was_home(&fact.author, fact.grant.token.term)
        };
        named.any(|(_, version)| *version < revoked)
            || facts.grants.values().filter(in_grant).any(|fact| fact.grant.roster_version < revoked)
    }
}
