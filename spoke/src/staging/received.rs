//! One Instance as it was received: where its bytes lie, under which key, and who and what it is.
//!
//! This is the record that stands behind a modality's 0x0000. It is written only after the sealed file is on disk,
//! and it is the only place of the file's key: without the node's boot keystore the bytes are noise.
//! Rules: `protocol/SPEC.md`, Received bytes.

use crate::modality::Modality;
use radmesh_codec::scan::{Fact, Facts};
use radmesh_protocol::{
    id::Hash,
    limits::{INDICATION_CHARS_MAX, ORDER_FIELD_CHARS_MAX},
    parcel::contents::ReceivedForm,
    phi::Phi,
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use zeroize::Zeroize;

/// Names a staging file: 16 random bytes, so that nothing of the patient is in a file's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StagingId(pub [u8; 16]);

impl fmt::Debug for StagingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&radmesh_protocol::id::hex(&self.0[..6]))
    }
}

/// Random key of one staging file. Leaves memory when dropped and never prints.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileKey(pub(crate) [u8; 32]);

impl Drop for FileKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey")
    }
}

/// A text of the data set: exact, or its bytes escaped because nobody can say what they read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// As decoded by the data set's own character set.
    Text(String),
    /// Undecodable: to be shown as such.
    Raw(String),
}

impl Told {
    /// What a person sees, either way.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self {
            Self::Text(text) | Self::Raw(text) => text,
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{PHI}")
    }
}

/// What the data set says of patient and Study, by [`Fact::tag`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sayings(Phi<BTreeMap<u32, Told>>);

impl Sayings {
    /// Decodes every fact that the spoke shows or sends with an order.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let told = KEPT.iter().filter_map(|&fact| {
            let decoded = facts.text(fact)?;
            let shown = cut(decoded.shown(), chars_max(fact));
            Some((fact.tag(), if decoded.is_raw() { Told::Raw(shown) } else { Told::Text(shown) }))
        });
        Self(Phi::new(told.collect()))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, fact: Fact) -> Option<&Told> {
        self.0.reveal().get(&fact.tag())
    }

    /// As shown, empty where there is none.
    #[must_use]
    pub fn shown(&self, fact: Fact) -> &str {
        self.get(fact).map_or("", Told::shown)
    }

    /// Whether any of it could not be decoded.
    #[must_use]
    pub fn any_raw(&self) -> bool {
        self.0.reveal().values().any(|told| matches!(told, Told::Raw(_)))
    }

    /// Takes from `other` what is missing here.
    pub(crate) fn fill_in(&mut self, other: &Self) {
        let mut all = std::mem::take(&mut self.0).into_revealed();
        for (&tag, told) in other.0.reveal() {
            all.entry(tag).or_insert_with(|| told.clone());
        }
        self.0 = Phi::new(all);
    }
}

/// Characters kept of a fact: what an order may carry of it.
const fn chars_max(fact: Fact) -> usize {
    match fact {
        Fact::ReasonForStudy | Fact::ReasonForTheRequestedProcedure | Fact::AdditionalPatientHistory => {
            INDICATION_CHARS_MAX
        }
        _ => ORDER_FIELD_CHARS_MAX,
    }
}

/// The text, or its beginning and a mark that tells the reader of the rest: the whole of it is in the Instance.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - CUT.len()).chain(CUT.chars()).collect()
}

const CUT: &str = " [cut: too long]";

/// Who handed it in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sender {
    /// An association: a label that anyone can write, and an address.
    Modality(Modality),
    /// A person at this node, with `radmesh send`.
    Hand,
}

/// Whether the bytes are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wholeness {
    /// Every length agrees.
    Whole,
    /// It ends early or is malformed further in: kept as it came, parsed no further.
    Damaged,
}

/// One Instance on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedInstance {
    /// Its file.
    pub file: StagingId,
    /// Under which key.
    pub(crate) key: FileKey,
    /// Bytes received.
    pub bytes: u64,
    /// BLAKE3 of the bytes received.
    pub received: Hash,
    /// BLAKE3 of transfer syntax, a zero byte and data set: two Instances are the same if this is.
    pub content: Hash,
    /// A file, or a data set with its association's titles.
    pub form: ReceivedForm,
    /// Study Instance UID.
    pub study: Phi<String>,
    /// Series Instance UID; empty if it says none, and then the Instance stands alone.
    pub series: Phi<String>,
    /// SOP Instance UID.
    pub sop_instance: Phi<String>,
    /// SOP Class UID; empty if it says none.
    pub sop_class: String,
    /// Transfer Syntax UID its data set is in.
    pub transfer_syntax: String,
    /// What it says of patient and Study.
    pub sayings: Sayings,
    /// Whether it is all there.
    pub wholeness: Wholeness,
    /// Who handed it in.
    pub sender: Sender,
    /// When, by this node's clock.
    pub at: Wall,
}

const KEPT: [Fact; 22] = [
    Fact::PatientName,
    Fact::PatientId,
    Fact::PatientBirthDate,
    Fact::PatientSex,
    Fact::PatientAge,
    Fact::AccessionNumber,
    Fact::StudyId,
    Fact::StudyDate,
    Fact::StudyTime,
    Fact::StudyDescription,
    Fact::Modality,
    Fact::BodyPartExamined,
    Fact::SeriesDescription,
    Fact::SeriesNumber,
    Fact::InstanceNumber,
    Fact::InstitutionName,
    Fact::ReferringPhysicianName,
    Fact::RequestedProcedureDescription,
    Fact::ReasonForStudy,
    Fact::ReasonForTheRequestedProcedure,
    Fact::AdditionalPatientHistory,
    Fact::StationName,
];

impl ReceivedInstance {
    /// Series Instance UID, or, where there is none, the Instance's own: it is then a Series of its own.
    #[must_use]
    pub fn series_or_self(&self) -> &str {
        if self.series.reveal().is_empty() { self.sop_instance.reveal() } else { self.series.reveal() }
    }

    /// `file` or `data set`: equal bytes in two forms are two received forms.
    #[must_use]
    pub const fn form_name(&self) -> &'static str {
        match self.form {
            ReceivedForm::File => "file",
            ReceivedForm::DataSet { .. } => "data set",
        }
    }
}
