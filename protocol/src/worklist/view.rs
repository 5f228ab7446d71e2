//! One case's facts, and the roster of today, as the item a list shows.
//!
//! A pure function of both: equal facts and equal rosters give equal items on every node. Source:
//! `protocol/SPEC.md`, Custody.

use super::{
    authority::Authority,
    claims::{self, Grants},
    facts::Facts,
    item::{CustodyState, ItemOrder, ItemParcel, Reading, Review, State, WorklistItem},
    reports,
};
use crate::{
    claim::ClaimState,
    class::Class,
    id::{CaseId, ManifestId, NodeId},
    report::Status,
    roster::{Roster, Standing},
};
use std::collections::{BTreeMap, BTreeSet};

/// The item of one case.
pub(super) fn item(case: CaseId, site: NodeId, facts: &Facts, roster: &Roster) -> WorklistItem {
    let authority = Authority { roster, site };
    let grants = Grants::of(facts, authority);
    let (reports, standing) = reports::resolve(facts, authority, &grants);
    let standing_report = standing.and_then(|hash| Some((hash, reports.get(&hash)?)));
    let final_report = standing_report.filter(|(_, report)| report.status == Status::Final);
    let final_report = final_report.map(|(hash, report)| (hash, report.place));
    let claim = claims::state(facts, authority, &grants, final_report);
    let parcels = parcels(facts, authority);
    let order = facts.orders.get();
    WorklistItem {
        case,
        site,
        class: order.map_or(Class::Routine, |(_, class, _)| *class),
        state: match claim {
            ClaimState::Free => State::Scheduled,
            ClaimState::Tentative { .. } | ClaimState::Granted { .. } => State::InProgress,
            ClaimState::Completed { .. } => State::Completed,
        },
        claim,
        token: grants.highest().map(|fact| fact.grant.token),
        released: facts.released.clone(),
        requests: claims::answers(facts, authority, &grants),
        order: order.map(|(event, _, sealed)| ItemOrder { event: *event, sealed: sealed.clone() }),
        custody: custody(facts, &parcels, roster, site),
        reading: reading(facts, &parcels, authority),
        review: review_site(facts, authority),
        parcels,
        closed: facts.closed.get().cloned(),
        reports,
        standing,
        since: facts.since.unwrap_or_default(),
    }
}

fn parcels(facts: &Facts, authority: Authority<'_>) -> BTreeMap<ManifestId, ItemParcel> {
    let parcels = facts.parcels.iter().map(|(manifest, parcel)| {
        let signed = facts.receipts_of(manifest).filter(|(_, _, fact)| fact.core == parcel.core);
        let signed = signed.filter(|(by, event, _)| authority.receipt_counts(facts, event, by));
        let item = ItemParcel {
            core: parcel.core,
            kind: parcel.kind,
            pool: parcel.pool.clone(),
            epoch: parcel.epoch,
            sealed_bytes: parcel.sealed_bytes,
            instances: parcel.instances,
            receipts: signed.map(|(by, _, fact)| (by, fact.root)).collect(),
            freeing: facts.freeing.iter().filter(|(of, _)| of == manifest).map(|(_, by)| *by).collect(),
        };
        (*manifest, item)
    });
    parcels.collect()
}

fn custody(facts: &Facts, parcels: &BTreeMap<ManifestId, ItemParcel>, roster: &Roster, site: NodeId) -> CustodyState {
    let named = facts.closed.get().filter(|named| !named.is_empty());
    let (Some(named), Some(spoke)) = (named, roster.node(&site)) else { return CustodyState::Sending };
    let all_by = |custodian: Option<NodeId>| {
        let signed =
            |manifest| parcels.get(manifest).zip(custodian).is_some_and(|(p, by)| p.receipts.contains_key(&by));
        named.keys().all(signed)
    };
    match (all_by(spoke.home), all_by(spoke.standby.filter(|standby| spoke.home != Some(*standby)))) {
        (true, true) => CustodyState::Safe,
        (true, false) => CustodyState::Delivered,
        (false, _) => CustodyState::Sending,
    }
}

fn reading(facts: &Facts, parcels: &BTreeMap<ManifestId, ItemParcel>, authority: Authority<'_>) -> Reading {
    let announced: BTreeMap<ManifestId, u32> = match facts.closed.get() {
        Some(named) => named.clone(),
        None => parcels.iter().map(|(manifest, parcel)| (*manifest, parcel.instances)).collect(),
    };
    let hubs: BTreeSet<NodeId> = facts.opened.keys().map(|(hub, _)| *hub).filter(|h| authority.is_hub(h)).collect();
    let count = |hub: NodeId, manifest: &ManifestId| facts.opened.get(&(hub, *manifest)).map(|(_, found)| *found);
    let whole = |hub: &&NodeId| announced.iter().all(|(manifest, n)| count(**hub, manifest) == Some(*n));
    let closed = facts.closed.get().is_some() && !announced.is_empty();
    if let Some(hub) = hubs.iter().find(whole).filter(|_| closed) {
        return Reading::Ready { hub: *hub };
    }
    for (manifest, announced) in &announced {
        let other = hubs.iter().find_map(|hub| Some((*hub, count(*hub, manifest).filter(|n| n != announced)?)));
        if let Some((hub, found)) = other {
            return Reading::Miscounted { manifest: *manifest, hub, found, announced: *announced };
        }
    }
    let sum = |hub: &NodeId| announced.keys().filter_map(|manifest| count(*hub, manifest)).fold(0, u32::saturating_add);
    Reading::NotYet {
        counted: hubs.iter().map(sum).max().unwrap_or(0),
        expected: announced.values().copied().fold(0, u32::saturating_add),
    }
}

/// A revoked spoke's parcels count if the home hub signed for each of them under an earlier roster.
fn review_site(facts: &Facts, authority: Authority<'_>) -> Review {
    match authority.roster.node(&authority.site).map(|spoke| spoke.standing) {
        Some(Standing::Member) => Review::Sound,
        Some(Standing::Revoked { at }) => {
            let mut parcels = facts.parcels.iter();
            let sound = parcels.all(|(id, parcel)| authority.received_before(facts, (*id, parcel.core), at));
            if sound { Review::Sound } else { Review::Marked }
        }
        None => Review::Marked,
    }
}
