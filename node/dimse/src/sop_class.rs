//! The SOP Classes a node takes.
//!
//! A class that is missing here is an image that a modality can't send. The rule: the listed classes always, and
//! by a switch every other storage class; never a class of another service (query, worklist), which would be
//! answered wrongly. PS3.4 annex B.5.

use crate::SopClassUid;
use dicom_dictionary_std::uids;

/// Which storage classes are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SopClasses {
    /// The classes of [`LISTED`].
    #[default]
    Listed,
    /// Those, every other class under the standard's storage root, and private classes.
    AnyStorage,
}

impl SopClasses {
    /// Whether an object of `class` may be stored.
    #[must_use]
    pub fn takes(self, class: &SopClassUid) -> bool {
        let uid = class.as_str();
        LISTED.contains(&uid)
            || match self {
                Self::Listed => false,
                Self::AnyStorage => uid.starts_with(STORAGE_ROOT) || !uid.starts_with(DICOM_ROOT),
            }
    }
}

/// Under this root stand the storage classes of the standard (PS3.6 annex A).
const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";
/// Under this root stands everything the standard names; what is outside is private.
const DICOM_ROOT: &str = "1.2.840.10008.";

/// Storage classes of the modalities a clinic has: CR, DX, MG, CT, MR, US, XA, RF, NM, PET, and the documents.
pub const LISTED: [&str; 31] = [
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::BREAST_TOMOSYNTHESIS_IMAGE_STORAGE,
    uids::CT_IMAGE_STORAGE,
    uids::ENHANCED_CT_IMAGE_STORAGE,
    uids::MR_IMAGE_STORAGE,
    uids::ENHANCED_MR_IMAGE_STORAGE,
    uids::ULTRASOUND_IMAGE_STORAGE,
    uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE,
    uids::X_RAY_RADIOFLUOROSCOPIC_IMAGE_STORAGE,
    uids::NUCLEAR_MEDICINE_IMAGE_STORAGE,
    uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
    uids::BASIC_TEXT_SR_STORAGE,
    uids::ENHANCED_SR_STORAGE,
    uids::COMPREHENSIVE_SR_STORAGE,
    uids::X_RAY_RADIATION_DOSE_SR_STORAGE,
    uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
    uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
    uids::ENCAPSULATED_PDF_STORAGE,
    // Retired, and still what old machines send: US, US multi-frame, NM.
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.5",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn class(uid: &str) -> SopClassUid {
        SopClassUid::parse(uid).unwrap()
    }

    #[test]
    fn the_switch_adds_storage_classes_and_nothing_else() {
        let rt_plan = class(uids::RT_PLAN_STORAGE);
        assert!(!SopClasses::Listed.takes(&rt_plan) && SopClasses::AnyStorage.takes(&rt_plan));
        let private = class("1.3.12.2.1107.5.9.1");
        assert!(!SopClasses::Listed.takes(&private) && SopClasses::AnyStorage.takes(&private));
        for other in
            [uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND, uids::STORAGE_COMMITMENT_PUSH_MODEL, uids::VERIFICATION]
        {
            assert!(!SopClasses::AnyStorage.takes(&class(other)), "{other}");
        }
    }
}
