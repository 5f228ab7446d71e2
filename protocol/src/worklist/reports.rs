//! Which of a case's reports stands.
//!
//! All are kept and shown. The case's report is the one made under a granted claim, in time: a report whose token
//! is older than that of a claim granted to another is a second read, unless the hub had seen it when it granted.
//! While there is none under a granted claim, one under a tentative claim stands; when the other arrives, the
//! clinic sees "changed". A final stays; addenda follow it. Source: `protocol/SPEC.md`, Claims.

use super::{
    authority::Authority,
    claims::Grants,
    facts::{Facts, ReportFact, Said},
    item::{Delivered, ItemReport, Place, Review},
};
use crate::{claim::Token, id::EventHash, report::Status};
use std::collections::BTreeMap;

type Candidate<'a> = (EventHash, &'a Said<ReportFact>, Token);

/// Each report with its place, and the one that stands.
pub(super) fn resolve(
    facts: &Facts,
    authority: Authority<'_>,
    grants: &Grants<'_>,
) -> (BTreeMap<EventHash, ItemReport>, Option<EventHash>) {
    let mut granted: Vec<Candidate<'_>> = Vec::new();
    let mut tentative: Vec<Candidate<'_>> = Vec::new();
    let mut reports = BTreeMap::new();
    for (hash, said) in &facts.reports {
        let review = authority.review(facts, hash, said);
        if review == Review::Sound && said.what.status != Status::Addendum {
            match made_under(facts, grants, hash, said) {
                Under::Granted(token) => granted.push((*hash, said, token)),
                Under::Tentative => tentative.push((*hash, said, Token::default())),
                Under::NoClaim => {}
            }
        }
        reports.insert(*hash, shown(facts, *hash, said, review));
    }
    let by_grant = standing(&granted);
    let by_tentative = standing(&tentative);
    let place = |candidates: &[Candidate<'_>], first: Option<EventHash>, reports: &mut BTreeMap<_, ItemReport>| {
        for (hash, place) in first.into_iter().flat_map(|first| versions(candidates, first)) {
            if let Some(report) = reports.get_mut(&hash) {
                report.place = place;
            }
        }
    };
    let mut mark = |hash: Option<EventHash>, place: Place| {
        if let Some(report) = hash.and_then(|hash| reports.get_mut(&hash)) {
            report.place = place;
        }
    };
    if by_grant.is_some() {
        mark(by_tentative, Place::Changed);
        place(&granted, by_grant, &mut reports);
    } else {
        place(&tentative, by_tentative, &mut reports);
        if let Some(report) = by_tentative.and_then(|hash| reports.get_mut(&hash)) {
            report.place = Place::StandingTentative;
        }
    }
    let standing = by_grant.or(by_tentative);
    place_addenda(&mut reports, standing);
    (reports, standing)
}

enum Under {
    /// A granted claim, in time: with this token.
    Granted(Token),
    /// A claim that was asked for; no grant to this reader is known.
    Tentative,
    /// No claim was ever asked for, another had overtaken it, or it is another reader's: a second read.
    NoClaim,
}

fn made_under(facts: &Facts, grants: &Grants<'_>, hash: &EventHash, said: &Said<ReportFact>) -> Under {
    let fact = match said.what.claim.map(|token| grants.by_token(token)) {
        Some(Some(fact)) if fact.grant.claimant == said.person => fact,
        Some(Some(_)) => return Under::NoClaim,
        // Made out of the home hub's reach, which later gave this reader the case.
        Some(None) | None => match grants.first_to(&said.person) {
            Some(fact) => fact,
            None if facts.requests.values().any(|request| request.person == said.person) => return Under::Tentative,
            None => return Under::NoClaim,
        },
    };
    let unaware = |later: &&super::facts::GrantFact| {
        later.grant.claimant != fact.grant.claimant && !later.grant.reports.contains(hash)
    };
    if grants.above(fact.grant.token).any(|later| unaware(&later)) {
        return Under::NoClaim;
    }
    Under::Granted(fact.grant.token)
}

/// The one of these that stands: the first final, else the latest preliminary of the claim that counts.
fn standing(candidates: &[Candidate<'_>]) -> Option<EventHash> {
    let of = |status: Status| candidates.iter().filter(move |(_, said, _)| said.what.status == status);
    let first = of(Status::Final).min_by_key(|(hash, said, token)| (*token, said.place, *hash));
    if let Some((hash, ..)) = first {
        return Some(*hash);
    }
    let highest = of(Status::Preliminary).map(|(.., token)| *token).max()?;
    let under = || of(Status::Preliminary).filter(move |(.., token)| *token == highest);
    let (_, first, _) = under().min_by_key(|(hash, said, _)| (said.place, *hash))?;
    let (node, life, _) = first.place;
    let same_desk =
        under().filter(|(_, said, _)| said.person == first.person && said.place.0 == node && said.place.1 == life);
    same_desk.max_by_key(|(hash, said, _)| (said.place, *hash)).map(|(hash, ..)| *hash)
}

/// The report that stands and the preliminary ones it came after.
fn versions<'a>(candidates: &'a [Candidate<'_>], standing: EventHash) -> impl Iterator<Item = (EventHash, Place)> + 'a {
    candidates.iter().filter_map(move |(hash, said, token)| {
        let of_a_claim = *token > Token::default();
        let by_whom = candidates.iter().find(|(other, ..)| *other == standing).map(|(_, other, _)| other.person);
        match said.what.status {
            _ if *hash == standing => Some((*hash, Place::Standing)),
            Status::Preliminary if of_a_claim || by_whom == Some(said.person) => Some((*hash, Place::Superseded)),
            _ => None,
        }
    })
}

/// Addenda belong to the report they name, directly or through another addendum.
fn place_addenda(reports: &mut BTreeMap<EventHash, ItemReport>, standing: Option<EventHash>) {
    let Some(standing) = standing else { return };
    let place = match reports.get(&standing) {
        Some(report) if report.status == Status::Final => report.place,
        _ => return,
    };
    let mut reached = vec![standing];
    while let Some(parent) = reached.pop() {
        let addenda = reports.iter_mut().filter(|(_, report)| {
            report.status == Status::Addendum && report.review == Review::Sound && report.replaces == Some(parent)
        });
        for (hash, addendum) in addenda {
            addendum.place = place;
            reached.push(*hash);
        }
    }
}

fn shown(facts: &Facts, hash: EventHash, said: &Said<ReportFact>, review: Review) -> ItemReport {
    ItemReport {
        person: said.person,
        node: said.place.0,
        status: said.what.status,
        replaces: said.what.replaces,
        place: Place::SecondRead,
        review,
        signed: said.at,
        delivered: if facts.delivered.contains(&hash) { Delivered::Yes } else { Delivered::No },
    }
}
