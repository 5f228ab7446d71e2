//! Reports that come back: checked, opened, kept, and shown with what a nurse must know before acting on them.
//!
//! A report ends the chain only when it is here in readable form. It is opened with this node's own key, kept sealed in
//! the journal, and told to the federation as delivered. Nothing that came signed is ever hidden: a signer that the
//! roster does not know makes a warning, not a gap. Sources: `protocol/SPEC.md`, Claims; FHIR DiagnosticReport.status.

use super::sheet::Standing;
use radmesh_protocol::{
    envelope::reading::ReadingKey,
    id::{CaseId, EventHash, FederationId},
    limits::EVENT_BYTES_MAX,
    log::{Event, body::Body},
    phi::Phi,
    report::{REPORT_TAG, Report, ReportText, Status},
    wire,
    worklist::item::{ItemReport, Place, Review, WorklistItem},
};
use serde::{Deserialize, Serialize};

/// A report as the spoke keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReport {
    /// Its case.
    pub(crate) case: CaseId,
    /// The event that carried it.
    pub(crate) event: EventHash,
    /// Preliminary, final or addendum.
    pub(crate) status: Status,
    /// The report it takes the place of or adds to.
    pub(crate) replaces: Option<EventHash>,
    /// As the reader wants to be named.
    pub(crate) reader: String,
    /// The reader's words.
    pub(crate) text: Phi<String>,
    /// Whether `ReportDelivered` is on disk.
    pub(crate) delivered: bool,
}

/// Why a report event could not be read here. It stays in the log; the case shows that something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The event is not here, or is none that carries a report.
    #[error("the event is not a report this build can read")]
    NotAReport,
    /// The person's signature does not hold.
    #[error("its person's signature does not hold")]
    Signature,
    /// The statement is about another case than the report.
    #[error("statement and report name different cases")]
    OtherCase,
    /// Not sealed to this node, or damaged.
    #[error("it does not open with this node's key")]
    Sealed,
}

/// Checks the person's statement and opens what it carries.
pub(crate) fn open(event: &Event, federation: &FederationId, key: &ReadingKey) -> Result<KeptReport, Unreadable> {
    let Ok(Some(Body::Report(statement))) = event.body() else { return Err(Unreadable::NotAReport) };
    if statement.tag() != REPORT_TAG {
        return Err(Unreadable::NotAReport);
    }
    statement.verify(federation).map_err(|_| Unreadable::Signature)?;
    let report: Report =
        wire::decode("a report", statement.body(), EVENT_BYTES_MAX).map_err(|_| Unreadable::NotAReport)?;
    if report.case != statement.case() {
        return Err(Unreadable::OtherCase);
    }
    let plain = report.sealed.open(key, federation).map_err(|_| Unreadable::Sealed)?;
    let ReportText { text, reader_name } = ReportText::parse(&plain).map_err(|_| Unreadable::NotAReport)?;
    Ok(KeptReport {
        case: report.case,
        event: event.hash(),
        status: report.status,
        replaces: report.replaces,
        reader: reader_name,
        text,
        delivered: false,
    })
}

/// What a nurse must know before acting on this report.
pub(crate) fn standing(item: &WorklistItem, event: &EventHash) -> Standing {
    let Some(report) = item.reports.get(event) else { return Standing::Unconfirmed };
    if report.review == Review::Marked {
        return Standing::Unconfirmed;
    }
    match report.place {
        Place::SecondRead => Standing::SecondRead,
        Place::Superseded | Place::Changed => Standing::Superseded,
        Place::Standing | Place::StandingTentative => {
            // An addendum leaves the report it adds to as it is; anything else that was shown before was replaced.
            let replaced = |other: &ItemReport| matches!(other.place, Place::Superseded | Place::Changed);
            if newest(item) != Some(*event) && report.status != Status::Addendum {
                Standing::AddedTo
            } else if report.status != Status::Addendum && item.reports.values().any(replaced) {
                Standing::Changed
            } else {
                Standing::Newest
            }
        }
    }
}

/// The newest word on the case: the latest addendum to its report, else the report; a second read if there is no other.
pub(crate) fn newest(item: &WorklistItem) -> Option<EventHash> {
    let stands = |report: &ItemReport| matches!(report.place, Place::Standing | Place::StandingTentative);
    let rank = |report: &ItemReport| (stands(report), report.review == Review::Sound, report.status, report.signed);
    item.reports.iter().max_by_key(|(event, report)| (rank(report), **event)).map(|(event, _)| *event)
}
