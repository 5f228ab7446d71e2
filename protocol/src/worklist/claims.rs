//! Who has a case: the total order of its claims.
//!
//! Completed by a report, above granted with the higher (term, counter), above tentative with the lower (hub id,
//! incarnation, seq). Every node works this out from the same facts, so no two lists name two holders.
//! Source: `protocol/SPEC.md`, Claims.

use super::{
    authority::Authority,
    facts::{Facts, GrantFact, Said},
    item::{ItemRequest, Place, Review},
};
use crate::{
    claim::{Answer, ClaimState, Token, Transaction},
    id::{EventHash, PersonId},
};
use std::collections::BTreeMap;

/// The grants of a case that the roster bears out.
#[derive(Debug)]
pub(super) struct Grants<'a> {
    /// By token; of two with one token, which no sound hub writes, the one whose hash is lower.
    by_token: BTreeMap<Token, &'a GrantFact>,
}

/// A claim: one reader under one transaction, however often renewed.
pub(super) type ClaimName = (PersonId, Transaction);

impl GrantFact {
    pub(super) const fn claim(&self) -> ClaimName {
        (self.grant.claimant, self.grant.transaction)
    }

    fn counts(&self, authority: Authority<'_>) -> bool {
        authority.decided(&self.author, self.grant.token.term, self.grant.roster_version)
    }
}

impl<'a> Grants<'a> {
    pub(super) fn of(facts: &'a Facts, authority: Authority<'_>) -> Self {
        let mut by_token = BTreeMap::new();
        for fact in facts.grants.values().filter(|fact| fact.counts(authority)) {
            // `grants` is sorted by hash, so the lower hash is here first.
            by_token.entry(fact.grant.token).or_insert(fact);
        }
        Self { by_token }
    }

    pub(super) fn by_token(&self, token: Token) -> Option<&'a GrantFact> {
        self.by_token.get(&token).copied()
    }

    pub(super) fn highest(&self) -> Option<&'a GrantFact> {
        self.by_token.last_key_value().map(|(_, fact)| *fact)
    }

    /// The first grant to a person.
    pub(super) fn first_to(&self, person: &PersonId) -> Option<&'a GrantFact> {
        self.by_token.values().find(|fact| fact.grant.claimant == *person).copied()
    }

    /// Grants above `token`, ascending.
    pub(super) fn above(&self, token: Token) -> impl Iterator<Item = &'a GrantFact> + '_ {
        self.by_token.range(token..).filter(move |(other, _)| **other > token).map(|(_, fact)| *fact)
    }

    fn knows(&self, claim: ClaimName) -> bool {
        self.by_token.values().any(|fact| fact.claim() == claim)
    }
}

/// Who has the case, given the final report that stands, if any. A final under a tentative claim takes nothing from
/// the reader who holds the case: hers will stand.
pub(super) fn state(
    facts: &Facts,
    authority: Authority<'_>,
    grants: &Grants<'_>,
    final_report: Option<(EventHash, Place)>,
) -> ClaimState {
    if let Some((report, Place::Standing)) = final_report {
        return ClaimState::Completed { report };
    }
    if let Some(fact) = grants.highest().filter(|fact| !ended(facts, authority, fact)) {
        let request = facts.requests.get(&fact.grant.request);
        return ClaimState::Granted {
            claimant: fact.grant.claimant,
            hub: request.map(|request| request.place.0),
            transaction: fact.grant.transaction,
            token: fact.grant.token,
            ttl: fact.grant.ttl,
            granted: fact.written,
        };
    }
    if let Some((report, _)) = final_report {
        return ClaimState::Completed { report };
    }
    let waiting = facts.requests.iter().filter(|(hash, request)| {
        let claim = (request.person, request.what);
        refusal(facts, authority, hash).is_none()
            && !grants.knows(claim)
            && !facts.released.contains(&claim)
            && authority.review(facts, hash, request) == Review::Sound
    });
    let first = waiting.min_by_key(|(_, request)| request.place);
    first.map_or(ClaimState::Free, |(hash, request)| ClaimState::Tentative {
        claimant: request.person,
        hub: request.place.0,
        transaction: request.what,
        request: *hash,
        asked: request.at,
    })
}

/// How each request stands.
pub(super) fn answers(
    facts: &Facts,
    authority: Authority<'_>,
    grants: &Grants<'_>,
) -> BTreeMap<EventHash, ItemRequest> {
    let answer = |hash: &EventHash, claim: ClaimName| {
        let named = grants.by_token.values().find(|fact| fact.grant.request == *hash).copied();
        if let Some(named) = named {
            // Renewed since: the token a report must carry is the latest of this claim.
            let latest = grants.highest().filter(|fact| fact.claim() == claim).unwrap_or(named);
            return Answer::Granted { token: latest.grant.token, ttl: latest.grant.ttl };
        }
        refusal(facts, authority, hash).map_or(Answer::Waiting, |reason| Answer::Refused(reason.clone()))
    };
    let requests = facts.requests.iter().map(|(hash, request)| {
        let answer = answer(hash, (request.person, request.what));
        let Said { person, place, what, .. } = *request;
        (*hash, ItemRequest { claimant: person, hub: place.0, transaction: what, place, answer })
    });
    requests.collect()
}

/// Whether a grant has ended: given back, or not renewed.
fn ended(facts: &Facts, authority: Authority<'_>, fact: &GrantFact) -> bool {
    let lapsed = |(author, token): &(_, Token)| *token >= fact.grant.token && authority.may_end(author, token.term);
    facts.released.contains(&fact.claim()) || facts.lapsed.iter().any(lapsed)
}

fn refusal<'a>(facts: &'a Facts, authority: Authority<'_>, hash: &EventHash) -> Option<&'a crate::claim::Reason> {
    let from = (*hash, crate::id::NodeId([0; 32]));
    let refused = facts.refused.range(from..).take_while(|((request, _), _)| request == hash);
    let mut refused = refused.filter(|((_, author), _)| authority.was_ever_home(author));
    refused.next().map(|(_, (_, reason))| reason)
}
