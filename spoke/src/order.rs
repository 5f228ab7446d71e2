//! The order of a case: the clinical question and whose body it is, on its way before any pixel.
//!
//! The reader sees within seconds who waits and why. It is made at the first Instance from what the device filled in,
//! and again when a person adds the question or the urgency, or when later Instances tell more. A field that can't be
//! decoded is sent raw and named, so that nobody reads a wrong name as a right one.

use crate::staging::{Case, Told};
use radmesh_codec::scan::Fact;
use radmesh_protocol::{
    envelope::{
        body::{SealBodyError, SealedBody},
        reading::ReadingPublic,
    },
    id::{FederationId, Hash},
    limits::ORDER_FIELDS_MAX,
    log::body::Order,
    phi::Phi,
    worklist::order::OrderDetails,
};
use rand_core::CryptoRng;

/// The order as it stands, and a digest that says whether it is another than before.
pub(crate) fn details(case: &Case) -> (OrderDetails, Hash) {
    let sayings = &case.record.sayings;
    let mut undecoded = Vec::new();
    let mut field = |name: &str, fact: Fact| {
        let told = sayings.get(fact);
        if matches!(told, Some(Told::Raw(_))) {
            undecoded.push(name.to_owned());
        }
        Phi::new(told.map_or("", Told::shown).to_owned())
    };
    let mut details = OrderDetails {
        indication: Phi::default(),
        patient_name: field("patient_name", Fact::PatientName),
        patient_id: field("patient_id", Fact::PatientId),
        birth_date: field("birth_date", Fact::PatientBirthDate),
        sex: field("sex", Fact::PatientSex),
        study_instance_uid: case.record.study.clone(),
        accession_number: field("accession_number", Fact::AccessionNumber),
        study_date: field("study_date", Fact::StudyDate),
        study_time: field("study_time", Fact::StudyTime),
        modalities: modalities(case),
        body_part: field("body_part", Fact::BodyPartExamined),
        description: field("description", Fact::StudyDescription),
        referring_physician: field("referring_physician", Fact::ReferringPhysicianName),
        undecoded: Vec::new(),
    };
    details.indication = case.record.indication.clone().unwrap_or_else(|| {
        // What a device says of the question, most specific first.
        let asked = [Fact::ReasonForTheRequestedProcedure, Fact::ReasonForStudy, Fact::AdditionalPatientHistory];
        let told = asked.into_iter().find(|fact| sayings.get(*fact).is_some());
        told.map_or_else(Phi::default, |fact| field("indication", fact))
    });
    details.undecoded = undecoded;
    let digest = Hash::of(&[&details.encode()[..], &[case.record.class as u8]].concat());
    (details, digest)
}

/// Seals it to pool and recovery.
pub(crate) fn sealed(
    case: &Case,
    details: &OrderDetails,
    to: &[ReadingPublic],
    federation: &FederationId,
    rng: &mut impl CryptoRng,
) -> Result<Order, SealBodyError> {
    let sealed = SealedBody::seal(&details.encode(), to, federation, rng)?;
    Ok(Order { case: case.id, class: case.record.class, sealed })
}

fn modalities(case: &Case) -> Vec<String> {
    let mut modalities: Vec<String> = case.series().into_values().map(|seen| seen.modality).collect();
    modalities.retain(|modality| !modality.is_empty());
    modalities.sort_unstable();
    modalities.dedup();
    if modalities.len() > MODALITIES_MAX {
        modalities.truncate(MODALITIES_MAX);
        modalities.push("[more]".to_owned());
    }
    modalities
}

// Nine fields and the Study Instance UID take their room first, and the names of what could not be decoded take two.
const MODALITIES_MAX: usize = ORDER_FIELDS_MAX - 16;
