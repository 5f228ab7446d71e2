//! What `radmesh studies`, `reports`, `status` show, as types; their `--json` is these, and the keys are stable.
//!
//! A technician must see in one look what has left the clinic and what has not. These values are for the person at
//! this node: they hold patients' names, so they are printed to that person and written nowhere.

use radmesh_protocol::id::CaseId;
use serde::Serialize;
use std::fmt;

/// One line of `radmesh studies`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct StudyLine {
    /// The case.
    pub case: String,
    /// The beginning of the case id that a person reads out: `0412-9C1F`.
    pub case_short: String,
    /// This spoke's node id.
    pub site: String,
    /// Whether the Study is thought complete and all its parts are announced.
    pub closed: bool,
    /// `stat`, `urgent`, `routine` or `prior`.
    pub class: String,
    /// As the modality sent it, decoded.
    pub patient_name: String,
    /// (0010,0020).
    pub patient_id: String,
    /// (0008,0020), YYYYMMDD.
    pub study_date: String,
    /// (0008,1030).
    pub study_description: String,
    /// (0008,0060) of every Series.
    pub modalities: Vec<String>,
    /// Series.
    pub series: usize,
    /// SOP Instance UIDs received.
    pub instances: usize,
    /// Bytes received.
    pub bytes: u64,
    /// Of these, bytes that are not sealed yet.
    pub staged_bytes: u64,
    /// SOP Instance UIDs that came with more than one content: a person must look.
    pub conflicting: usize,
    /// Instances that end early or are malformed: kept and flagged.
    pub damaged: usize,
    /// Instances that the coder failed on: sent as received, and flagged.
    pub stored: usize,
    /// Instances that this node's disk lost before anybody else had them: to be sent again.
    pub lost: usize,
    /// Parcels announced.
    pub parcels: usize,
    /// Their sealed bytes.
    pub sealed_bytes: u64,
    /// Of these, bytes that the next hop has acknowledged as durable.
    pub delivered_bytes: u64,
    /// The home hub has signed for every byte, and nothing that came since waits.
    pub delivered: bool,
    /// So has a second custodian.
    pub safe: bool,
    /// Place in the queue, from 1; null when nothing waits.
    pub place: Option<usize>,
    /// How it stands, in words; what a person must look at comes first.
    pub state: String,
    /// When the first Instance came: milliseconds since 1970 by this node's clock.
    pub received_ms: u64,
}

/// One line of `radmesh reports`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ReportLine {
    /// The case.
    pub case: String,
    /// The case id's beginning.
    pub case_short: String,
    /// The event that carried it.
    pub report: String,
    /// `preliminary`, `final` or `addendum`.
    pub status: String,
    /// The radiologist's name.
    pub reader: String,
    /// Its words.
    pub text: String,
    /// `standing`, `standing_tentative`, `superseded`, `second_read` or `changed`.
    pub place: String,
    /// What must be read before it is acted on, or null.
    pub warning: Option<String>,
    /// Whether the signer counts as a member: false = kept and marked for review.
    pub sound: bool,
    /// When it was signed: milliseconds since 1970 by the reading node's clock.
    pub signed_ms: u64,
    /// The patient, as the modality sent it.
    pub patient_name: String,
    /// (0010,0020).
    pub patient_id: String,
}

/// The spoke's part of `radmesh status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpokeStatus {
    /// What keeps Studies, or one of them, from leaving, or null.
    pub held_back: Option<String>,
    /// Cases here.
    pub cases: usize,
    /// Instances received and not sealed yet.
    pub staged_instances: usize,
    /// Their bytes: readable to whoever steals the disk with its boot keystore.
    pub staged_bytes: u64,
    /// Bytes of unknown senders.
    pub quarantined_bytes: u64,
    /// Parcels announced that the home hub has not signed for.
    pub parcels_waiting: usize,
    /// Their sealed bytes that the next hop has not acknowledged.
    pub bytes_waiting: u64,
    /// When the oldest case that is not delivered came: milliseconds since 1970 by this node's clock.
    pub oldest_waiting_ms: Option<u64>,
    /// Instances received since the node started.
    pub received: u64,
    /// Instances refused since the node started.
    pub refused: u64,
    /// Instances that were here already.
    pub duplicates: u64,
    /// `max` or `fast`: how what is coded next is coded.
    pub profile: &'static str,
    /// What for and why, in words.
    pub codes_for: String,
    /// Bytes a second that the fastest open link has shown, or null before any were measured.
    pub link_bytes_per_second: Option<u64>,
}

/// What became of one file that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentFile {
    /// The case it belongs to.
    pub case: String,
    /// `new`, `other_form`, `conflicting` or `duplicate`.
    pub novelty: &'static str,
    /// Whether it ends early or is malformed: kept and flagged.
    pub damaged: bool,
    /// Bytes.
    pub bytes: u64,
}

/// The report as a sheet of paper.
#[derive(Clone, PartialEq, Eq)]
pub struct ReportPdf {
    /// Name for the file: the case, never the patient.
    pub name: String,
    /// PDF.
    pub bytes: Vec<u8>,
}

/// `0412-9C1F`: enough of a case id to tell the cases of a clinic apart over the telephone.
#[must_use]
pub fn case_short(case: &CaseId) -> String {
    let [a, b, c, d, ..] = case.0;
    format!("{a:02X}{b:02X}-{c:02X}{d:02X}")
}

macro_rules! prints_no_patient {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), " {PHI}"))
            }
        }
    )*};
}
prints_no_patient!(StudyLine, ReportLine, ReportPdf);
