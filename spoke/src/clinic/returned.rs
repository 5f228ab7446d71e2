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
use std::collections::BTreeMap;

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
        Place::Superseded => Standing::Superseded,
        Place::Changed => Standing::GaveWay,
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

/// The report that the newest word is, or adds to.
pub(crate) fn base(item: &WorklistItem) -> Option<EventHash> {
    let mut at = newest(item)?;
    // As many steps as there are reports at most: a signer may have made a circle.
    for _ in &item.reports {
        let addendum = item.reports.get(&at).filter(|report| report.status == Status::Addendum);
        let earlier = addendum.and_then(|report| report.replaces);
        let Some(earlier) = earlier.filter(|event| item.reports.contains_key(event)) else { break };
        at = earlier;
    }
    Some(at)
}

/// The addenda to a report, direct or to one another, that stand as it does; by the time they were signed.
pub(crate) fn addenda(reports: &BTreeMap<EventHash, ItemReport>, base: EventHash) -> Vec<EventHash> {
    let place = reports.get(&base).map(|report| report.place);
    let (mut family, mut looked_at) = (vec![base], 0);
    while let Some(parent) = family.get(looked_at).copied() {
        looked_at += 1;
        let adds = |report: &ItemReport| {
            report.status == Status::Addendum && report.replaces == Some(parent) && Some(report.place) == place
        };
        let more = reports.iter().filter(|(event, report)| adds(report) && !family.contains(event));
        let more: Vec<_> = more.map(|(event, _)| *event).collect();
        family.extend(more);
    }
    family.remove(0);
    family.sort_by_key(|event| reports.get(event).map(|report| report.signed));
    family
}

/// One line about a report that is not printed, so that whoever holds the paper knows of another opinion.
pub(crate) fn also_kept(report: &ItemReport, reader: &str) -> String {
    let place = match report.place {
        Place::Standing | Place::StandingTentative => "standing too",
        Place::Superseded => "superseded",
        Place::SecondRead => "a second read",
        Place::Changed => "given way to the case's own",
    };
    format!("Another report is kept: {} by {reader}, {place}. Ask the reading hospital.", report.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use radmesh_protocol::{
        id::{NodeId, PersonId},
        time::Hlc,
        worklist::item::Delivered,
    };

    fn report(person: u8, status: Status, replaces: Option<u8>, place: Place, signed: u64) -> ItemReport {
        ItemReport {
            person: PersonId([person; 32]),
            node: NodeId([1; 32]),
            status,
            replaces: replaces.map(|event| EventHash([event; 32])),
            place,
            review: Review::Sound,
            signed: Hlc(signed),
            delivered: Delivered::Yes,
        }
    }

    #[test]
    fn every_addendum_to_the_standing_report_is_printed_in_order_and_another_opinion_is_named() {
        let reports = BTreeMap::from([
            (EventHash([9; 32]), report(1, Status::Final, None, Place::Standing, 10)),
            (EventHash([3; 32]), report(2, Status::Addendum, Some(9), Place::Standing, 20)),
            (EventHash([1; 32]), report(3, Status::Addendum, Some(9), Place::Standing, 30)),
            (EventHash([2; 32]), report(1, Status::Addendum, Some(3), Place::Standing, 40)),
            (EventHash([4; 32]), report(4, Status::Final, None, Place::SecondRead, 5)),
            (EventHash([5; 32]), report(4, Status::Addendum, Some(4), Place::SecondRead, 50)),
        ]);
        let printed: Vec<u8> = addenda(&reports, EventHash([9; 32])).iter().map(|event| event.0[0]).collect();
        assert_eq!(printed, [3, 1, 2]);
        let other = also_kept(&reports[&EventHash([4; 32])], "Dr Phiri");
        assert_eq!(other, "Another report is kept: final by Dr Phiri, a second read. Ask the reading hospital.");
    }

    #[test]
    fn addenda_in_a_circle_end() {
        let circle = |of| report(1, Status::Addendum, Some(of), Place::SecondRead, 1);
        let reports = BTreeMap::from([(EventHash([1; 32]), circle(2)), (EventHash([2; 32]), circle(1))]);
        assert_eq!(addenda(&reports, EventHash([1; 32])), [EventHash([2; 32])]);
    }
}
