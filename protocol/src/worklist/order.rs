//! The order behind a case: the clinical question and whose body it is about.
//!
//! Everything here identifies a patient, so it exists only sealed (to pool and recovery) or in front of a person.
//! Fields are decoded text in UTF-8; a field that could not be decoded is named in `undecoded` and shown raw.
//! Attributes as in DICOM PS3.3 C.7.1.1, C.7.2.1.

use crate::{
    limits::EVENT_BYTES_MAX,
    phi::Phi,
    wire::{self, WireError},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Plaintext of an order event's sealed body.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrderDetails {
    /// The clinical question, in the words of who asked; at most [`crate::limits::INDICATION_CHARS_MAX`] characters.
    pub indication: Phi<String>,
    /// Patient's Name (0010,0010), as sent: components parted by `^`.
    pub patient_name: Phi<String>,
    /// Patient ID (0010,0020).
    pub patient_id: Phi<String>,
    /// Patient's Birth Date (0010,0030), YYYYMMDD, or empty.
    pub birth_date: Phi<String>,
    /// Patient's Sex (0010,0040): M, F, O, or empty.
    pub sex: Phi<String>,
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: Phi<String>,
    /// Accession Number (0008,0050).
    pub accession_number: Phi<String>,
    /// Study Date (0008,0020), YYYYMMDD, or empty.
    pub study_date: Phi<String>,
    /// Study Time (0008,0030), HHMMSS, or empty.
    pub study_time: Phi<String>,
    /// Modalities in Study (0008,0061), as sent by the Series.
    pub modalities: Vec<String>,
    /// Body Part Examined (0018,0015).
    pub body_part: Phi<String>,
    /// Study Description (0008,1030).
    pub description: Phi<String>,
    /// Referring Physician's Name (0008,0090).
    pub referring_physician: Phi<String>,
    /// Names of the fields above that could not be decoded by (0008,0005) and are shown raw.
    pub undecoded: Vec<String>,
}

impl OrderDetails {
    /// Plaintext for `SealedBody::seal`.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(wire::encode(self))
    }

    /// Reads the plaintext of a sealed order.
    ///
    /// # Errors
    /// [`WireError`] if it does not fit.
    pub fn parse(plain: &[u8]) -> Result<Self, WireError> {
        wire::decode("an order's details", plain, EVENT_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_never_prints_the_patient() {
        let details = OrderDetails { patient_name: Phi::new("Banda^Grace".into()), ..Default::default() };
        assert!(!format!("{details:?}").contains("Banda"));
        assert_eq!(OrderDetails::parse(&details.encode()), Ok(details));
    }
}
