//! Retention: what a node may let go of, and when.
//!
//! A disk is finite, and a Study is not forgotten: a spoke frees a parcel only when all custodians of its case have signed
//! for it, a relay when the home hub has, a hub that only read it when the case is completed too; a custodian frees nothing.
//! Each announces what it will free, signed, [`NOTICE_HOURS`] before. Time is counted in hours that this node has run, noted in
//! its journal: no clock that jumps brings anything forward. Source: `protocol/SPEC.md`, Custody.

use super::{Node, Output};
use crate::{
    custody::{self, Wants},
    id::{CaseId, ManifestId, NodeId},
    log::{
        Scope,
        body::{Body, Freeing},
    },
    record::{Record, Work},
    roster::Standing,
    time::{Millis, Mono, Now},
    worklist::item::{CustodyState, State, WorklistItem},
};
use std::collections::{BTreeMap, BTreeSet};

/// Hours of running from the announcement of what is freed to the act.
pub const NOTICE_HOURS: u32 = 72;
/// Where a site has one custodian only, nothing is freed in its first 30 days of running.
const ALONE_HOURS: u32 = 30 * 24;
const HOUR: Millis = Millis::from_secs(3600);
/// Parcels that one event names at most: it stays small.
const FREEING_MAX: usize = 256;
/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// Hours that this node has run, over all its starts.
    ran: u32,
    /// When the last of them ended, or the node was started.
    since: Mono,
    /// Parcels that others hold for good, and in which hour that was first so.
    held_elsewhere: BTreeMap<ManifestId, u32>,
    /// What this node has announced that it will free, and in which hour.
    announced: BTreeMap<ManifestId, u32>,
    /// What it has freed.
    freed: BTreeSet<ManifestId>,
    /// Cases that changed, or all of them, because who is to hold what changed: to be looked at.
    changed: BTreeSet<(CaseId, NodeId)>,
    all_changed: bool,
}

/// How far a parcel is from being freed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aging {
    /// The parcel.
    pub manifest: ManifestId,
    /// Its case.
    pub case: CaseId,
    /// Sealed bytes.
    pub bytes: u64,
    /// Hours of running left.
    pub hours: u32,
    /// Whether it has been announced.
    pub step: Step,
}

/// What stands before a parcel is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It was announced: the hours left are those of the notice, or of what is to be kept.
    Announced,
    /// It is kept for as long as was set.
    Kept,
}

impl Retention {
    pub(super) fn start(&mut self, now: Mono) {
        self.since = now;
    }

    pub(super) fn next_due(&self) -> Mono {
        self.since.after(HOUR)
    }

    pub(super) fn case_changed(&mut self, case: CaseId, site: NodeId) {
        self.changed.insert((case, site));
    }

    /// Who is to hold what has changed.
    pub(super) fn roster_changed(&mut self) {
        self.all_changed = true;
    }

    /// This node has announced something.
    pub(super) fn announced(&mut self, freeing: &Freeing) {
        let ran = self.ran;
        self.announced.extend(freeing.parcels.iter().map(|manifest| (*manifest, ran)));
    }

    /// A parcel's file was deleted.
    pub(super) fn freed(&mut self, manifest: ManifestId) {
        self.held_elsewhere.remove(&manifest);
        self.freed.insert(manifest);
    }

    /// It is here again.
    pub(super) fn fetched(&mut self, manifest: &ManifestId) {
        self.freed.remove(manifest);
    }

    pub(super) fn has_freed(&self, manifest: &ManifestId) -> bool {
        self.freed.contains(manifest)
    }

    /// The hour in which a parcel may be freed, if it was announced in time.
    fn due(&self, manifest: &ManifestId, keep: u32) -> Option<u32> {
        Some(self.held_elsewhere.get(manifest)?.saturating_add(keep))
    }

    /// The hour in which the notice of a parcel has been given; an announcement that is older than its custody is void.
    fn noticed(&self, manifest: &ManifestId) -> Option<u32> {
        let since = self.held_elsewhere.get(manifest)?;
        let announced = self.announced.get(manifest).filter(|announced| *announced >= since)?;
        Some(announced.saturating_add(NOTICE_HOURS))
    }
}

impl Node {
    /// Hours pass while the node runs: what is due is announced, and what was announced is freed.
    pub(super) fn wake_retention(&mut self, now: Now) {
        if now.mono < self.retention.next_due() {
            return;
        }
        self.retention.since = now.mono;
        self.keep(Record::Ran { hours: self.retention.ran + 1 });
        self.hour_ended(self.retention.ran + 1);
        self.announce_freeing(now);
        self.free();
    }

    /// An hour of running has ended, now or in the journal.
    pub(super) fn hour_ended(&mut self, ran: u32) {
        self.age_changed();
        self.retention.ran = ran;
    }

    /// Looks at cases that changed: whether others hold what is here, from this hour on.
    pub(super) fn age_changed(&mut self) {
        let ran = self.retention.ran;
        let mut changed = std::mem::take(&mut self.retention.changed);
        if std::mem::take(&mut self.retention.all_changed) {
            changed.extend(self.worklist.items().map(|item| (item.case, item.site)));
        }
        for (case, site) in changed {
            let Some(item) = self.worklist.item_of(&case, &site) else { continue };
            for manifest in item.parcels.keys() {
                if self.is_held_elsewhere(item, manifest) {
                    self.retention.held_elsewhere.entry(*manifest).or_insert(ran);
                } else {
                    self.retention.held_elsewhere.remove(manifest);
                }
            }
        }
    }

    /// Whether others hold a parcel for good, so that it is here for convenience.
    fn is_held_elsewhere(&self, item: &WorklistItem, manifest: &ManifestId) -> bool {
        let Some(parcel) = item.parcels.get(manifest) else { return false };
        let custodians: Vec<NodeId> = custody::custodians(&self.roster, &item.site).collect();
        let enough = if custodians.len() < 2 { CustodyState::Delivered } else { CustodyState::Safe };
        // The receipt of a custodian that was revoked counts, and nobody asks it for anything any more.
        let stands = |node: &NodeId| self.roster.node(node).is_some_and(|member| member.standing == Standing::Member);
        let holds = |node: &NodeId| parcel.receipts.contains_key(node) && stands(node);
        let by_all = item.custody >= enough && custodians.iter().all(holds);
        match custody::wants(&self.roster, item, &self.id) {
            Wants::Custodian | Wants::Reader => false,
            Wants::Relay => self.roster.home_hub(&item.site).is_some_and(|home| holds(&home)),
            Wants::Origin => by_all,
            Wants::No => by_all && item.state == State::Completed,
        }
    }

    /// Hours of running for which is kept what others hold, as it was set.
    #[must_use]
    pub const fn keep_hours(&self) -> u32 {
        self.config.keep_hours
    }

    /// The same of a site's parcels.
    fn keep_hours_of(&self, site: &NodeId) -> u32 {
        let alone = custody::custodians(&self.roster, site).count() < 2;
        if alone { self.config.keep_hours.max(ALONE_HOURS) } else { self.config.keep_hours }
    }

    /// What is here and held elsewhere, the next to be freed first.
    #[must_use]
    pub fn aging(&self) -> Vec<Aging> {
        let aging = |manifest: &ManifestId| {
            let parcel = self.shelf.get(manifest)?;
            let core = parcel.manifest().core();
            let due = self.retention.due(manifest, self.keep_hours_of(&core.signer))?;
            let noticed = self.retention.noticed(manifest);
            Some(Aging {
                manifest: *manifest,
                case: core.case,
                bytes: parcel.bytes(),
                hours: noticed.unwrap_or(0).max(due).saturating_sub(self.retention.ran),
                step: if noticed.is_some() { Step::Announced } else { Step::Kept },
            })
        };
        let mut all: Vec<Aging> = self.retention.held_elsewhere.keys().filter_map(aging).collect();
        all.sort_by_key(|aging| (aging.step, aging.hours, aging.manifest));
        all
    }

    fn announce_freeing(&mut self, now: Now) {
        let mut by_case: BTreeMap<(NodeId, CaseId), Vec<ManifestId>> = BTreeMap::new();
        for aging in self.aging() {
            let site = self.shelf.get(&aging.manifest).map(|parcel| parcel.manifest().core().signer);
            if let Some(site) = site.filter(|_| aging.step == Step::Kept && aging.hours <= NOTICE_HOURS) {
                by_case.entry((site, aging.case)).or_default().push(aging.manifest);
            }
        }
        for ((site, case), parcels) in by_case {
            let parts = parcels.chunks(FREEING_MAX).map(|part| Freeing { case, parcels: part.to_vec() });
            parts.for_each(|freeing| self.append_or_count(Scope::Site(site), &Body::Freeing(freeing), now));
        }
    }

    fn free(&mut self) {
        let due = self.aging().into_iter().filter(|aging| aging.step == Step::Announced && aging.hours == 0);
        for aging in due.collect::<Vec<_>>() {
            let manifest = aging.manifest;
            let sent = self.contacts.iter().any(|contact| contact.sender.serves(&manifest));
            if sent || self.receiver.wants(&manifest) {
                continue;
            }
            self.counters.freed_parcels += 1;
            self.counters.freed_bytes += aging.bytes;
            self.retention.freed(manifest);
            self.shelf.remove(&manifest);
            self.unsettled.remove(&manifest);
            self.mending.remove(&manifest);
            self.durable.remove(&manifest);
            self.verified(manifest, &[]);
            self.gate.now(Output::Disk(Work::Free { manifest }));
        }
        self.end_verifications();
    }
}
