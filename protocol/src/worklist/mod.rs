//! The worklist: every case, folded from events.
//!
//! The same on every node that holds the same events and the same roster, in whatever order, and however often,
//! they came: a radiologist at another hub sees the same holder, the same report, the same "ready to read". It
//! folds one event at a time; only the case it is about is worked out again. Source: `protocol/SPEC.md`, Events.

mod authority;
mod claims;
mod facts;
pub mod item;
pub mod order;
pub mod priority;
mod reports;
#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;
mod view;

pub use item::WorklistItem;

use crate::{
    id::{CaseId, EventHash, FederationId, NodeId},
    log::{
        Event, Scope,
        witness::{WITNESSED_MAX, Witnessed},
    },
    parcel::{manifest::Manifest, open::Witness},
    roster::{Roster, Standing},
};
use authority::Authority;
use facts::Facts;
use item::CustodyState;
use std::collections::BTreeMap;

/// Every case of the scopes held.
#[derive(Debug)]
pub struct Worklist {
    federation: FederationId,
    cases: BTreeMap<(CaseId, NodeId), Case>,
}

#[derive(Debug)]
struct Case {
    facts: Facts,
    item: WorklistItem,
}

impl Worklist {
    /// No cases.
    #[must_use]
    pub const fn new(federation: FederationId) -> Self {
        Self { federation, cases: BTreeMap::new() }
    }

    /// Folds one event in, and gives the case it is about and its site. Events of a kind this build does not know, of no case,
    /// or whose body does not fit leave the list as it is; they stay in the logs.
    pub fn apply(&mut self, event: &Event, roster: &Roster) -> Option<(CaseId, NodeId)> {
        let Scope::Site(site) = event.scope() else { return None };
        let body = event.body().ok().flatten()?;
        let case = facts::case_of(&body)?;
        let mut facts = self.cases.remove(&(case, site)).map_or_else(Facts::default, |held| held.facts);
        facts.learn(event, body, site, &self.federation);
        // What nobody had the right to say makes no case.
        facts.since?;
        let item = view::item(case, site, &facts, roster);
        self.cases.insert((case, site), Case { facts, item });
        Some((case, site))
    }

    /// Works every case out again. Call when the roster has changed.
    pub fn roster_changed(&mut self, roster: &Roster) {
        for ((case, site), held) in &mut self.cases {
            held.item = view::item(*case, *site, &held.facts, roster);
        }
    }

    /// Every item, by case. A claim on what no spoke has announced makes no item.
    pub fn items(&self) -> impl Iterator<Item = &WorklistItem> {
        self.cases.values().map(|case| &case.item).filter(|item| is_a_case(item))
    }

    /// Every item, the one to read first at the front.
    #[must_use]
    pub fn by_priority(&self) -> Vec<&WorklistItem> {
        let mut items: Vec<_> = self.items().collect();
        items.sort_by(|a, b| priority::first_to_read(a, b));
        items
    }

    /// The item of a case of a site.
    #[must_use]
    pub fn item_of(&self, case: &CaseId, site: &NodeId) -> Option<&WorklistItem> {
        self.cases.get(&(*case, *site)).map(|held| &held.item).filter(|item| is_a_case(item))
    }

    /// The item of a case; `None` where two sites have one of this id, which no two sound ones do.
    #[must_use]
    pub fn item(&self, case: &CaseId) -> Option<&WorklistItem> {
        let from = (*case, NodeId([0; 32]));
        let of_case = self.cases.range(from..).take_while(|((of, _), _)| of == case).map(|(_, held)| &held.item);
        let mut of_case = of_case.filter(|item| is_a_case(item));
        of_case.next().filter(|_| of_case.next().is_none())
    }

    /// What the events held show of when a parcel was sealed: the home hub's receipt names its core, written with a
    /// roster version before the one that revoked the signer. Asked where a parcel is opened.
    #[must_use]
    pub fn witness(&self, manifest: &Manifest, roster: &Roster) -> Witness {
        let core = manifest.core();
        let revoked = match roster.node(&core.signer).map(|signer| signer.standing) {
            Some(Standing::Revoked { at }) => at,
            Some(Standing::Member) | None => return Witness::None,
        };
        let authority = Authority { roster, site: core.signer };
        let facts = self.cases.get(&(core.case, core.signer)).map(|held| &held.facts);
        let parcel = (manifest.id(), manifest.core_hash());
        let seen = facts.is_some_and(|facts| authority.received_before(facts, parcel, revoked));
        if seen { Witness::HomeHub } else { Witness::None }
    }

    /// Reports of a case, and once it is safe the other custodians' receipts, that this hub, as the site's home hub,
    /// has not yet borne witness to. The caller appends what is given back to the site's scope.
    #[must_use]
    pub fn to_witness(
        &self,
        (case, site): (&CaseId, &NodeId),
        hub: &NodeId,
        roster: &Roster,
    ) -> Option<(Scope, Witnessed)> {
        let item = self.item_of(case, site)?;
        let held = self.cases.get(&(item.case, item.site))?;
        let spoke = roster.node(&item.site).filter(|spoke| spoke.home == Some(*hub))?;
        let seen = |event: &&EventHash| held.facts.witnesses.contains_key(&(**event, *hub, spoke.term));
        let receipts = held.facts.receipts.keys().filter(|(_, by, _)| by != hub && item.custody == CustodyState::Safe);
        let signed = held.facts.reports.keys().chain(receipts.map(|(.., event)| event));
        let events: Vec<_> = signed.filter(|event| !seen(event)).copied().take(WITNESSED_MAX).collect();
        let body = Witnessed { case: *case, events, term: spoke.term, roster_version: roster.version() };
        (!body.events.is_empty()).then_some((Scope::Site(item.site), body))
    }
}

fn is_a_case(item: &WorklistItem) -> bool {
    item.order.is_some() || item.closed.is_some() || !item.parcels.is_empty() || !item.reports.is_empty()
}
