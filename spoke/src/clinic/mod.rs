//! The clinic: what comes back for its cases, as a list, a text and a sheet of paper.
//!
//! The day's work of a whole federation counts for a patient only once the answer lies on the ward. This module turns
//! the worklist's reports into what a nurse sees, newest first and with its warning, and keeps them so that they can be
//! read and printed with the cable out.

pub mod calendar;
pub(crate) mod homecoming;
pub(crate) mod returned;
pub mod sheet;
mod typeset;

pub use returned::{KeptReport, Unreadable};
pub use sheet::{Entry, Sheet, SheetError, Standing};

use crate::{
    find::FindError,
    listing::{ReportLine, case_short},
    rooms::{Latest, Room, Rooms, RoomsError},
    staging::StudyRecord,
};
use radmesh_codec::scan::Fact;
use radmesh_protocol::{
    id::{CaseId, EventHash},
    phi::Phi,
    roster::Roster,
    time::Wall,
    worklist::item::{ItemReport, Review, WorklistItem},
};
use radmesh_store::WriteError;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

/// Reports kept here.
#[derive(Debug)]
pub(crate) struct Clinic {
    rooms: Rooms,
    kept: Mutex<BTreeMap<EventHash, KeptReport>>,
    // What can't be read once can't be read again with the same key: it is not tried, nor logged, at every notice.
    unreadable: Mutex<BTreeSet<EventHash>>,
}

impl Clinic {
    pub(crate) fn open(rooms: Rooms, latest: &Latest) -> Result<Self, RoomsError> {
        let kept = rooms.read::<KeptReport>(Room::Report, latest)?;
        let kept = kept.into_iter().map(|report| (report.event, report)).collect();
        Ok(Self { rooms, kept: Mutex::new(kept), unreadable: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<EventHash, KeptReport>> {
        self.kept.lock().expect("nothing panics while it holds the reports")
    }

    fn unreadable(&self) -> MutexGuard<'_, BTreeSet<EventHash>> {
        self.unreadable.lock().expect("nothing panics while it holds the refusals")
    }

    /// Neither kept nor found unreadable.
    pub(crate) fn is_new(&self, event: &EventHash) -> bool {
        !self.kept().contains_key(event) && !self.unreadable().contains(event)
    }

    /// Remembers that a report can't be read here.
    pub(crate) fn refuse(&self, event: EventHash) {
        self.unreadable().insert(event);
    }

    /// Keeps a report, or what became of it; on disk when this returns.
    pub(crate) fn keep(&self, report: KeptReport) -> Result<(), WriteError> {
        self.rooms.put(Room::Report, report.event.as_bytes(), &report)?;
        self.kept().insert(report.event, report);
        Ok(())
    }

    /// Reports whose `ReportDelivered` is not on disk yet.
    pub(crate) fn undelivered(&self) -> Vec<KeptReport> {
        self.kept().values().filter(|report| !report.delivered).cloned().collect()
    }

    /// Every report of a case as lines, the newest word first.
    pub(crate) fn lines(&self, item: &WorklistItem, study: Option<&StudyRecord>, roster: &Roster) -> Vec<ReportLine> {
        let (kept, unreadable) = (self.kept(), self.unreadable());
        let newest = returned::newest(item);
        let mut reports: Vec<_> = item.reports.iter().collect();
        reports.sort_by_key(|(event, report)| (Some(**event) != newest, std::cmp::Reverse(report.signed)));
        let told = |fact| study.map_or("", |study| study.sayings.shown(fact)).to_owned();
        let line = |(event, report): (&EventHash, &ItemReport)| {
            let words = kept.get(event);
            let unread = if unreadable.contains(event) { UNREADABLE } else { NOT_KEPT };
            ReportLine {
                case: item.case.to_string(),
                case_short: case_short(&item.case),
                report: event.to_string(),
                status: report.status.to_string(),
                reader: signer(roster, report, words),
                text: words.map_or_else(|| unread.to_owned(), |kept| kept.text.reveal().clone()),
                place: report.place.to_string(),
                warning: returned::standing(item, event).warning().map(str::to_owned),
                sound: report.review == Review::Sound,
                signed_ms: report.signed.wall().0,
                patient_name: told(Fact::PatientName),
                patient_id: told(Fact::PatientId),
            }
        };
        reports.into_iter().map(line).collect()
    }

    /// The sheet of a case's report, with all its addenda and a line for each other report.
    pub(crate) fn sheet(
        &self,
        facility: String,
        item: &WorklistItem,
        study: Option<&StudyRecord>,
        roster: &Roster,
        now: Wall,
    ) -> Result<Sheet, NoSheet> {
        let (kept, unreadable) = (self.kept(), self.unreadable());
        let event = returned::base(item).ok_or(NoSheet::NoReport { case: item.case })?;
        let entry = |event: &EventHash| {
            let (words, report) = kept.get(event).zip(item.reports.get(event))?;
            Some(Entry {
                status: words.status,
                standing: returned::standing(item, event),
                reader: signer(roster, report, Some(words)),
                signed_at: report.signed.wall(),
                text: words.text.clone(),
            })
        };
        let report = entry(&event).ok_or(match unreadable.contains(&event) {
            true => NoSheet::Unreadable { case: item.case },
            false => NoSheet::NotKept { case: item.case },
        })?;
        let (printed, addenda): (Vec<_>, Vec<_>) = returned::addenda(&item.reports, event)
            .into_iter()
            .filter_map(|addendum| Some((addendum, entry(&addendum)?)))
            .unzip();
        let others = item.reports.iter().filter(|(other, _)| **other != event && !printed.contains(other));
        let others =
            others.map(|(other, report)| returned::also_kept(report, &signer(roster, report, kept.get(other))));
        Ok(Sheet {
            facility,
            case_short: case_short(&item.case),
            patient: Phi::new(rows(study, &PATIENT)),
            study: Phi::new(study_rows(study)),
            report,
            addenda,
            also_kept: others.collect(),
            printed_at: now,
        })
    }
}

/// No sheet of paper for this case.
#[derive(Debug, thiserror::Error)]
pub enum NoSheet {
    /// Nothing came back yet.
    #[error("no report of case {case} has come back yet")]
    NoReport {
        /// The case.
        case: CaseId,
    },
    /// What came can't be opened here.
    #[error("the report of case {case} can't be opened with this node's key")]
    Unreadable {
        /// The case.
        case: CaseId,
    },
    /// What came is not on this disk yet.
    #[error("the report of case {case} came and is being taken in; try again in a moment")]
    NotKept {
        /// The case.
        case: CaseId,
    },
    /// The PDF library.
    #[error(transparent)]
    Set(#[from] SheetError),
}

/// A report that could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// Which case?
    #[error(transparent)]
    Find(#[from] FindError),
    /// No sheet.
    #[error(transparent)]
    NoSheet(#[from] NoSheet),
}

/// Who signed a report, by the roster: what a statement says of its signer is anyone's to write.
fn signer(roster: &Roster, report: &ItemReport, words: Option<&KeptReport>) -> String {
    let own = || {
        words.map_or_else(|| UNNAMED.to_owned(), |kept| format!("{} (name as signed; not in the roster)", kept.reader))
    };
    roster.person(&report.person).map_or_else(own, |person| person.name.clone())
}

const UNNAMED: &str = "(not in the roster)";
const UNREADABLE: &str = "(came, and can't be opened with this node's key)";
const NOT_KEPT: &str = "(came, and is being taken in; if this stays, look whether the disk is full)";
const NO_NAME: &str = "name not given";

const PATIENT: [(&str, Fact); 5] = [
    ("Patient", Fact::PatientName),
    ("Patient ID", Fact::PatientId),
    ("Born", Fact::PatientBirthDate),
    ("Age", Fact::PatientAge),
    ("Sex", Fact::PatientSex),
];

fn rows(study: Option<&StudyRecord>, fields: &[(&'static str, Fact)]) -> Vec<(&'static str, String)> {
    let told = |fact| study.map_or("", |study| study.sayings.shown(fact));
    let filled = fields.iter().map(|(label, fact)| match in_print(*fact, told(*fact)) {
        none if none.is_empty() && *fact == Fact::PatientName => (*label, NO_NAME.to_owned()),
        value => (*label, value),
    });
    filled.filter(|(_, value)| !value.is_empty()).collect()
}

fn study_rows(study: Option<&StudyRecord>) -> Vec<(&'static str, String)> {
    let told = |fact| study.map_or("", |study| study.sayings.shown(fact));
    let what = [Fact::Modality, Fact::StudyDate, Fact::BodyPartExamined, Fact::StudyDescription];
    let what: Vec<String> = what.into_iter().map(|fact| in_print(fact, told(fact))).filter(|t| !t.is_empty()).collect();
    let asked = study.and_then(|study| study.indication.clone()).unwrap_or_default();
    let rows = [("Study", what.join(", ")), ("Question", asked.into_revealed())];
    rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// A value as people write it: `Mbewe, Grace`, `1981-03-09`, `45 years`.
fn in_print(fact: Fact, value: &str) -> String {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match fact {
        // The first component group is the one in Latin letters (PS3.5 section 6.2.1).
        Fact::PatientName => {
            let parts = value.split('=').next().unwrap_or_default().split('^').filter(|part| !part.is_empty());
            parts.take(3).collect::<Vec<_>>().join(", ")
        }
        Fact::PatientBirthDate | Fact::StudyDate if value.len() == 8 && digits(value) => {
            format!("{}-{}-{}", &value[..4], &value[4..6], &value[6..])
        }
        Fact::PatientAge => age(value).unwrap_or_else(|| value.to_owned()),
        _ => value.to_owned(),
    }
}

/// `045Y` as `45 years` (PS3.5 section 6.2, AS); `None` for anything else a modality may have written there.
fn age(value: &str) -> Option<String> {
    let unit = match value.chars().last()? {
        'Y' => "years",
        'M' => "months",
        'W' => "weeks",
        'D' => "days",
        _ => return None,
    };
    let number = value[..value.len() - 1].parse::<u16>().ok().filter(|_| value.len() == 4)?;
    Some(format!("{number} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_without_a_name_still_has_a_line() {
        assert_eq!(rows(None, &PATIENT), [("Patient", "name not given".to_owned())]);
    }

    #[test]
    fn values_are_printed_as_people_write_them() {
        assert_eq!(in_print(Fact::PatientName, "Mbewe^Grace^^Dr=x"), "Mbewe, Grace, Dr");
        assert_eq!(in_print(Fact::PatientBirthDate, "19810309"), "1981-03-09");
        assert_eq!(in_print(Fact::PatientAge, "045Y"), "45 years");
        assert_eq!(in_print(Fact::PatientAge, "000Y"), "0 years");
        assert_eq!(in_print(Fact::PatientAge, "45"), "45");
        assert_eq!(in_print(Fact::PatientAge, "ab\u{e9}"), "ab\u{e9}");
        assert_eq!(in_print(Fact::PatientBirthDate, "unknown\u{e9}"), "unknown\u{e9}");
    }
}
