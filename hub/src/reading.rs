//! The reading worklist: every case of the pool as a row, with its order opened when the hub is unlocked.
//!
//! The row is what `radmesh worklist` prints and what `--json` promises: its keys are stable. A locked hub shows the
//! same rows without what is sealed, and says so.

use radmesh_protocol::{
    claim::ClaimState,
    id::{EventHash, ManifestId},
    parcel::contents::Flag,
    ranges::Ranges,
    report::Status,
    roster::Roster,
    worklist::{
        item::{CustodyState, Place, Reading, WorklistItem},
        order::OrderDetails,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The case id; every command takes its first characters too.
    pub case: String,
    /// Name of the clinic.
    pub site: String,
    /// stat, urgent, routine or prior.
    pub class: String,
    /// scheduled, in progress or completed (PS3.4 CC.1.1).
    pub state: String,
    /// Who has claimed it.
    pub claimed_by: Option<String>,
    /// Whether the home hub has not answered the claim yet.
    pub claim_is_tentative: bool,
    /// Seconds the claim lasts at most after it was granted, unless renewed.
    pub claim_lease_s: Option<u64>,
    /// Term of the latest grant's fencing token, be the claim over or not.
    pub claim_term: Option<u64>,
    /// Counter of that token: with the term it only rises.
    pub claim_counter: Option<u64>,
    /// Whether the order below could be opened.
    pub order_is_open: bool,
    /// Patient's name.
    pub patient_name: Option<String>,
    /// Patient ID.
    pub patient_id: Option<String>,
    /// YYYYMMDD.
    pub birth_date: Option<String>,
    /// M, F or O.
    pub sex: Option<String>,
    /// The clinical question.
    pub indication: Option<String>,
    /// Modalities in the Study.
    pub modalities: Vec<String>,
    /// Study Description.
    pub study_description: Option<String>,
    /// YYYYMMDD.
    pub study_date: Option<String>,
    /// Names of fields that could not be decoded by (0008,0005) and are shown raw.
    pub undecoded: Vec<String>,
    /// Parcels announced.
    pub parcels: usize,
    /// Instances announced.
    pub instances: u32,
    /// Sealed bytes announced.
    pub sealed_bytes: u64,
    /// Sealed bytes at this hub.
    pub sealed_bytes_here: u64,
    /// The home hub has signed for every parcel of the closed Study.
    pub delivered: bool,
    /// A second custodian has too.
    pub safe: bool,
    /// An unlocked hub has opened and counted everything.
    pub ready_to_read: bool,
    /// Instances of which a reader must be told something, as an unlocked hub found it when it opened them.
    pub flagged: Flagged,
    /// What a person must look at, if anything.
    pub warning: Option<String>,
    /// Reports, in the order of their signing clocks.
    pub reports: Vec<ReportRow>,
}

/// Instances by what their clinic's node found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flagged {
    /// Files that end before their data set does.
    pub damaged: u32,
    /// Two of one UID with different content; both are kept.
    pub conflicting: u32,
    /// Text that can't be decoded and is shown raw.
    pub unknown_charset: u32,
    /// The coder failed on them twice; they came as they were received.
    pub stored: u32,
}

/// One report of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRow {
    /// The event that carries it.
    pub report: String,
    /// preliminary, final or addendum.
    pub status: String,
    /// Its signer.
    pub reader: String,
    /// standing, standing_tentative, superseded, second_read or changed.
    pub place: String,
    /// Whether the clinic has it.
    pub delivered: bool,
}

/// What a row is made from, beside the item.
pub(crate) struct Sight<'a> {
    pub(crate) roster: &'a Roster,
    /// Which bytes of a parcel are here.
    pub(crate) here: &'a dyn Fn(&ManifestId) -> Ranges,
    pub(crate) order: Option<OrderDetails>,
    /// Of each parcel that was opened.
    pub(crate) flagged: &'a BTreeMap<ManifestId, BTreeMap<Flag, u32>>,
}

impl Row {
    pub(crate) fn of(item: &WorklistItem, sight: Sight<'_>) -> Self {
        let Sight { roster, here, order, flagged } = sight;
        let flagged = Flagged::of(item.parcels.keys().filter_map(|manifest| flagged.get(manifest)));
        let order_is_open = order.is_some();
        let shown =
            |field: fn(&OrderDetails) -> &str| order.as_ref().map(|o| field(o).to_owned()).filter(|t| !t.is_empty());
        let parcels = || item.parcels.iter();
        let mut reports: Vec<_> = item.reports.iter().collect();
        reports.sort_by_key(|(event, report)| (report.signed, **event));
        Self {
            case: item.case.to_string(),
            site: roster.node_name(&item.site),
            class: item.class.to_string(),
            state: item.state.to_string(),
            claimed_by: item.claim.holder().map(|person| roster.person_name(&person)),
            claim_is_tentative: matches!(item.claim, ClaimState::Tentative { .. }),
            claim_lease_s: match item.claim {
                ClaimState::Granted { ttl, .. } => Some(ttl.0 / 1000),
                _ => None,
            },
            claim_term: item.token.map(|token| token.term.0),
            claim_counter: item.token.map(|token| token.counter),
            order_is_open,
            patient_name: shown(|o| o.patient_name.reveal()),
            patient_id: shown(|o| o.patient_id.reveal()),
            birth_date: shown(|o| o.birth_date.reveal()),
            sex: shown(|o| o.sex.reveal()),
            indication: shown(|o| o.indication.reveal()),
            study_description: shown(|o| o.description.reveal()),
            study_date: shown(|o| o.study_date.reveal()),
            modalities: order.as_ref().map(|o| o.modalities.clone()).unwrap_or_default(),
            undecoded: order.as_ref().map(|o| o.undecoded.clone()).unwrap_or_default(),
            parcels: item.parcels.len(),
            instances: parcels()
                .filter(|(_, p)| p.kind != radmesh_protocol::parcel::PartKind::Preview)
                .map(|(_, p)| p.instances)
                .sum(),
            sealed_bytes: parcels().map(|(_, p)| p.sealed_bytes).sum(),
            sealed_bytes_here: parcels().map(|(manifest, _)| here(manifest).bytes()).sum(),
            delivered: item.custody >= CustodyState::Delivered,
            safe: item.custody >= CustodyState::Safe,
            ready_to_read: matches!(item.reading, Reading::Ready { .. }),
            flagged,
            warning: warning(item, flagged),
            reports: reports
                .into_iter()
                .map(|(event, report)| ReportRow {
                    report: event.to_string(),
                    status: report.status.to_string(),
                    reader: roster.person_name(&report.person),
                    place: report.place.to_string(),
                    delivered: report.delivered == radmesh_protocol::worklist::item::Delivered::Yes,
                })
                .collect(),
        }
    }
}

impl Flagged {
    fn of<'a>(parcels: impl Iterator<Item = &'a BTreeMap<Flag, u32>>) -> Self {
        let mut all = Self::default();
        for (flag, instances) in parcels.flatten() {
            let figure = match flag {
                Flag::Damaged => &mut all.damaged,
                Flag::ConflictingContent => &mut all.conflicting,
                Flag::UnknownCharset => &mut all.unknown_charset,
                Flag::StoredAsReceived => &mut all.stored,
            };
            *figure = figure.saturating_add(*instances);
        }
        all
    }
}

fn warning(item: &WorklistItem, flagged: Flagged) -> Option<String> {
    let miscounted = match item.reading {
        Reading::Miscounted { found, announced, .. } => Some(format!(
            "a parcel holds {found} Instances where the clinic counted {announced}: call the clinic before reading"
        )),
        Reading::NotYet { .. } | Reading::Ready { .. } => None,
    };
    let count =
        |instances: u32| if instances == 1 { "1 Instance".to_owned() } else { format!("{instances} Instances") };
    let told = [
        (flagged.damaged, "cut off: the file ends before its data set does"),
        (flagged.conflicting, "ambiguous: another of the same UID has other content, and both are here"),
        (flagged.unknown_charset, "in an unknown character set: its text is shown raw"),
        (flagged.stored, "as received: the clinic's coder failed on it twice, so open it with care"),
    ];
    let told = told.into_iter().filter(|(instances, _)| *instances > 0);
    let told = told.map(|(instances, what)| format!("{} {what}", count(instances)));
    let words: Vec<String> = miscounted.into_iter().chain(told).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// Whether a final report stands.
pub(crate) fn standing(item: &WorklistItem) -> Option<(EventHash, Status, Place)> {
    let event = item.standing?;
    item.reports.get(&event).map(|report| (event, report.status, report.place))
}
