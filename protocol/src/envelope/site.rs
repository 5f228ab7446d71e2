//! The site secret: turns a Study Instance UID into a case id that tells nobody which Study it is.
//!
//! A plain hash of a UID could be looked up by whoever holds a list of UIDs. The secret is sealed to the pool and
//! the recovery key in the site's scope, so that a replaced spoke gets it back and a resent Study is no new case.

use crate::{id::CaseId, phi::Phi};
use std::fmt;
use zeroize::Zeroizing;

/// 32 random bytes of one site. Leaves memory when dropped and never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct SiteSecret(Zeroizing<[u8; 32]>);

impl SiteSecret {
    /// From 32 random bytes, or from a sealed body that was opened.
    #[must_use]
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Keyed BLAKE3 of the Study Instance UID, without the padding of PS3.5 section 9.1.
    #[must_use]
    pub fn case_id(&self, study_instance_uid: &Phi<String>) -> CaseId {
        let uid = study_instance_uid.reveal().trim_end_matches(['\0', ' ']);
        CaseId(*blake3::keyed_hash(&self.0, uid.as_bytes()).as_bytes())
    }
}

impl fmt::Debug for SiteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiteSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_study_is_one_case_at_its_site_and_another_at_another() {
        let (ours, other) = (SiteSecret::from_bytes([1; 32]), SiteSecret::from_bytes([2; 32]));
        let uid = |text: &str| Phi::new(text.to_owned());
        assert_eq!(ours.case_id(&uid("1.2.3")), ours.case_id(&uid("1.2.3\0")));
        assert_ne!(ours.case_id(&uid("1.2.3")), other.case_id(&uid("1.2.3")));
        assert_ne!(ours.case_id(&uid("1.2.3")), ours.case_id(&uid("1.2.4")));
    }
}
