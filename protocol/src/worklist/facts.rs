//! What the events of one case say, kept so that the order in which they came leaves no trace.
//!
//! Sets and maps only, each keyed by what makes a fact the same fact: an event that comes twice, late or by another
//! way changes nothing. What follows from the facts under the roster of today is worked out in the sister files.
//! Only the site's own spoke speaks for its orders and parcels; persons speak by their own signature.

use crate::{
    claim::{self, Grant, Reason, Release, Request, Token, Transaction},
    class::Class,
    custody::Receipt,
    envelope::body::SealedBody,
    id::{CaseId, EventHash, FederationId, Hash, Incarnation, ManifestId, NodeId, PersonId},
    limits::EVENT_BYTES_MAX,
    log::{
        Event,
        body::{Body, ParcelSealed},
    },
    person::Statement,
    report::{REPORT_TAG, Report, Status},
    roster::{RosterVersion, Term, fold::CLAIM_LEASE_RANGE},
    time::Hlc,
    wire,
};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// Everything said of one case of one site.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) orders: Latest<(EventHash, Class, SealedBody)>,
    pub(super) closed: Latest<BTreeMap<ManifestId, u32>>,
    pub(super) parcels: BTreeMap<ManifestId, ParcelSealed>,
    pub(super) receipts: BTreeMap<(ManifestId, NodeId, EventHash), ReceiptFact>,
    pub(super) opened: BTreeMap<(NodeId, ManifestId), (Hlc, u32)>,
    pub(super) requests: BTreeMap<EventHash, Said<Transaction>>,
    pub(super) grants: BTreeMap<EventHash, GrantFact>,
    pub(super) lapsed: BTreeSet<(NodeId, Token)>,
    pub(super) released: BTreeSet<(PersonId, Transaction)>,
    pub(super) refused: BTreeMap<(EventHash, NodeId), (EventHash, Reason)>,
    pub(super) reports: BTreeMap<EventHash, Said<ReportFact>>,
    pub(super) delivered: BTreeSet<EventHash>,
    /// Who says to have seen an event, in which term, under which roster version at the earliest.
    pub(super) witnesses: BTreeMap<(EventHash, NodeId, Term), RosterVersion>,
    /// What who has said that it frees.
    pub(super) freeing: BTreeSet<(ManifestId, NodeId)>,
    pub(super) since: Option<Hlc>,
}

/// A receipt: what was read back, and under which roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReceiptFact {
    pub(super) roster_version: RosterVersion,
    pub(super) term: Term,
    pub(super) core: Hash,
    pub(super) root: Hash,
}

/// A grant and who wrote it.
#[derive(Debug)]
pub(super) struct GrantFact {
    pub(super) author: NodeId,
    pub(super) written: Hlc,
    pub(super) grant: Grant,
}

/// What a report says in the open.
#[derive(Debug)]
pub(super) struct ReportFact {
    pub(super) status: Status,
    pub(super) replaces: Option<EventHash>,
    pub(super) claim: Option<Token>,
}

/// A person's statement, its signature verified, and where it was said.
#[derive(Debug)]
pub(super) struct Said<T> {
    pub(super) person: PersonId,
    /// (node, incarnation, seq): the total order among statements nobody else has ordered.
    pub(super) place: (NodeId, Incarnation, u64),
    pub(super) at: Hlc,
    pub(super) what: T,
}

/// The latest word of one author: highest seq within a life; between lives the hybrid clock, which an author's
/// next life has heard before it writes.
#[derive(Debug)]
pub(super) struct Latest<T>(BTreeMap<Incarnation, (u64, EventHash, Hlc, T)>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Latest<T> {
    fn heard(&mut self, event: &Event, value: T) {
        let said = (event.seq(), event.hash(), event.hlc(), value);
        let older = |held: &(u64, EventHash, Hlc, T)| (held.0, held.1) < (said.0, said.1);
        if self.0.get(&event.incarnation()).is_none_or(older) {
            self.0.insert(event.incarnation(), said);
        }
    }

    pub(super) fn get(&self) -> Option<&T> {
        let latest = self.0.iter().max_by_key(|(life, (_, _, at, _))| (*at, **life));
        latest.map(|(_, (_, _, _, value))| value)
    }
}

/// The case a body is about; `None` for what concerns no case.
pub(super) fn case_of(body: &Body) -> Option<CaseId> {
    Some(match body {
        Body::Order(order) => order.case,
        Body::ParcelSealed(parcel) => parcel.case,
        Body::StudyClosed(closed) => closed.case,
        Body::Receipt(receipt) => receipt.case,
        Body::ClaimRequest(said) | Body::ClaimReleased(said) | Body::Report(said) => said.case(),
        Body::Grant(grant) => grant.case,
        Body::ClaimLapsed(lapsed) => lapsed.case,
        Body::ClaimRefused(refused) => refused.case,
        Body::ReportDelivered(delivered) => delivered.case,
        Body::Opened(opened) => opened.case,
        Body::Witnessed(witnessed) => witnessed.case,
        Body::Freeing(freeing) => freeing.case,
        Body::SiteSecret(_) | Body::PoolKey(_) => return None,
    })
}

impl Facts {
    /// Takes in what one event says. What its author may not say, or a person did not sign, leaves no fact.
    pub(super) fn learn(&mut self, event: &Event, body: Body, site: NodeId, federation: &FederationId) {
        let (author, hash, by_site) = (event.author(), event.hash(), event.author() == site);
        match body {
            Body::Order(order) if by_site => self.orders.heard(event, (hash, order.class, order.sealed)),
            Body::ParcelSealed(parcel) if by_site => {
                // The same parcel announced anew after a restore is the same; two that differ keep the lower core.
                let held = self.parcels.entry(parcel.manifest).or_insert_with(|| parcel.clone());
                if wire::encode(&parcel) < wire::encode(held) {
                    *held = parcel;
                }
            }
            Body::StudyClosed(closed) if by_site => self.closed.heard(event, closed.parcels.into_iter().collect()),
            Body::ReportDelivered(delivered) if by_site => {
                self.delivered.insert(delivered.report);
            }
            Body::Order(_) | Body::ParcelSealed(_) | Body::StudyClosed(_) | Body::ReportDelivered(_) => return,
            Body::Receipt(receipt) => self.received(author, hash, &receipt),
            Body::Opened(opened) if opened.hub == author => {
                for (manifest, found) in opened.parcels {
                    let count = self.opened.entry((author, manifest)).or_default();
                    *count = (*count).max((event.hlc(), found));
                }
            }
            Body::Grant(mut grant) => {
                grant.ttl = grant.ttl.min(*CLAIM_LEASE_RANGE.end());
                self.grants.insert(hash, GrantFact { author, written: event.hlc(), grant });
            }
            Body::ClaimLapsed(lapsed) => {
                self.lapsed.insert((author, lapsed.token));
            }
            Body::ClaimRefused(refused) => {
                let held = self.refused.entry((refused.request, author)).or_insert((hash, refused.reason.clone()));
                if hash < held.0 {
                    *held = (hash, refused.reason);
                }
            }
            Body::Witnessed(witnessed) => {
                for seen in witnessed.events {
                    let version = self.witnesses.entry((seen, author, witnessed.term));
                    let version = version.or_insert(witnessed.roster_version);
                    *version = witnessed.roster_version.min(*version);
                }
            }
            Body::Freeing(freeing) => {
                self.freeing.extend(freeing.parcels.into_iter().map(|manifest| (manifest, author)));
            }
            Body::ClaimRequest(said) => {
                let Some(request) = signed::<Request>(&said, event, claim::REQUEST_TAG, federation) else { return };
                if request.case == said.case() {
                    self.requests.insert(hash, Said::new(&said, event, request.transaction));
                }
            }
            Body::ClaimReleased(said) => {
                let Some(release) = signed::<Release>(&said, event, claim::RELEASE_TAG, federation) else { return };
                if release.case == said.case() {
                    self.released.insert((said.person(), release.transaction));
                }
            }
            Body::Report(said) => {
                let Some(report) = signed::<Report>(&said, event, REPORT_TAG, federation) else { return };
                if report.case == said.case() {
                    let Report { status, replaces, claim, .. } = report;
                    self.reports.insert(hash, Said::new(&said, event, ReportFact { status, replaces, claim }));
                }
            }
            Body::Opened(_) | Body::SiteSecret(_) | Body::PoolKey(_) => return,
        }
        self.since = Some(self.since.map_or(event.hlc(), |since| since.min(event.hlc())));
    }

    fn received(&mut self, author: NodeId, hash: EventHash, receipt: &Receipt) {
        let Receipt { core, root, term, roster_version, .. } = *receipt;
        self.receipts.insert((receipt.manifest(), author, hash), ReceiptFact { roster_version, term, core, root });
    }

    /// Every receipt of a parcel: who signed, in which event, for what.
    pub(super) fn receipts_of(&self, manifest: &ManifestId) -> impl Iterator<Item = (NodeId, EventHash, ReceiptFact)> {
        let from = (*manifest, NodeId([0; 32]), EventHash([0; 32]));
        let signed = self.receipts.range(from..).take_while(move |((of, ..), _)| *of == from.0);
        signed.map(|((_, by, event), fact)| (*by, *event, *fact))
    }
}

impl<T> Said<T> {
    fn new(said: &Statement, event: &Event, what: T) -> Self {
        let place = (event.author(), event.incarnation(), event.seq());
        Self { person: said.person(), place, at: event.hlc(), what }
    }
}

/// What a person's statement says, if that person signed it, as this kind of statement, at the node whose event it is.
fn signed<T: DeserializeOwned>(
    said: &Statement,
    event: &Event,
    tag: &'static str,
    federation: &FederationId,
) -> Option<T> {
    let here = said.tag() == tag && said.node() == event.author();
    if !here || said.verify(federation).is_err() {
        return None;
    }
    wire::decode(tag, said.body(), EVENT_BYTES_MAX).ok()
}
