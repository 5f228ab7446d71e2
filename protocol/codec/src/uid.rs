//! DICOM unique identifiers, each kind its own type, parsed once at the edge.
//!
//! A UID from a modality is the text an attacker would choose as a path or a log line, so nothing passes that could
//! leave a folder or move a cursor. Grammar: 1 to 64 of `[0-9.]` (PS3.5 section 9.1, without its rules on zeros, which
//! real devices break), and ASCII letters, because de-identifiers write hashes in hexadecimal there and such a Study
//! has a patient too. Padding at the end, NUL or space, is dropped. UIDs that name a patient's Study print as `{PHI}`.

use std::fmt;

/// A UID that can't be one: the first rule broken, so that the clinic can tell the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// Nothing but padding.
    #[error("the UID is empty")]
    Empty,
    /// Over 64 characters.
    #[error("the UID has {bytes} bytes; DICOM allows 1 to 64")]
    Length {
        /// Bytes without padding.
        bytes: usize,
    },
    /// Something other than a digit, a dot or, as it is tolerated, a letter.
    #[error("byte {at} of the UID is 0x{byte:02x}; DICOM allows digits and dots")]
    Character {
        /// Offset in the UID.
        at: usize,
        /// What stands there.
        byte: u8,
    },
}

/// Bytes of a UID at most (PS3.5 section 9.1).
pub const UID_BYTES_MAX: usize = 64;

/// The text of a padded UID value.
fn unpadded(padded: &[u8]) -> Result<&str, UidError> {
    let end = padded.iter().rposition(|&b| b != 0 && b != b' ').map_or(0, |last| last + 1);
    let bytes = &padded[..end];
    if bytes.is_empty() {
        return Err(UidError::Empty);
    }
    if bytes.len() > UID_BYTES_MAX {
        return Err(UidError::Length { bytes: bytes.len() });
    }
    if let Some(at) = bytes.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'.') {
        return Err(UidError::Character { at, byte: bytes[at] });
    }
    Ok(std::str::from_utf8(bytes).expect("ASCII is UTF-8"))
}

macro_rules! uid {
    ($(#[$doc:meta])* $name:ident, $debug:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Parses the padded form that a modality sends.
            ///
            /// # Errors
            /// [`UidError`] names the first rule broken.
            pub fn parse(padded: impl AsRef<[u8]>) -> Result<Self, UidError> {
                unpadded(padded.as_ref()).map(|text| Self(text.to_owned()))
            }

            /// The text, without padding.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(uid: $name) -> Self {
                uid.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let shown: fn(&str) -> &str = $debug;
                write!(f, "{}({})", stringify!($name), shown(&self.0))
            }
        }
    };
}

uid!(
    /// Names one Study of one patient.
    StudyInstanceUid,
    |_| "{PHI}"
);
uid!(
    /// Names one Series of a Study.
    SeriesInstanceUid,
    |_| "{PHI}"
);
uid!(
    /// Names one Instance.
    SopInstanceUid,
    |_| "{PHI}"
);
uid!(
    /// What kind of object an Instance is (PS3.4 B.5); says nothing of the patient.
    SopClassUid,
    |uid| uid
);
uid!(
    /// How a data set's bytes are laid out (PS3.5 section 10); says nothing of the patient.
    TransferSyntax,
    |uid| uid
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_at_the_end_is_dropped() {
        assert_eq!(StudyInstanceUid::parse(b"1.2.3\0").unwrap().as_str(), "1.2.3");
        assert_eq!(StudyInstanceUid::parse(b"1.2.3 \0 ").unwrap().as_str(), "1.2.3");
    }

    #[test]
    fn uid_with_path_separator_is_rejected() {
        assert_eq!(SopInstanceUid::parse(b"1.2/../3"), Err(UidError::Character { at: 3, byte: b'/' }));
    }

    #[test]
    fn uid_of_a_deidentifier_in_hexadecimal_is_taken() {
        assert!(StudyInstanceUid::parse("dccc9599087131742838cc1162a630fea87ba9bf61ac09bfda90d4adfa5ddaed").is_ok());
    }

    #[test]
    fn uid_that_would_move_a_cursor_is_rejected() {
        assert_eq!(SopInstanceUid::parse(b"1.\x1b[2J"), Err(UidError::Character { at: 2, byte: 0x1B }));
    }

    #[test]
    fn uid_longer_than_64_is_rejected_with_its_length() {
        assert!(SopInstanceUid::parse([b'1'; 64]).is_ok());
        assert_eq!(SopInstanceUid::parse([b'1'; 65]), Err(UidError::Length { bytes: 65 }));
        assert_eq!(SopInstanceUid::parse(b" \0"), Err(UidError::Empty));
    }

    #[test]
    fn a_uid_that_names_a_patients_study_never_prints() {
        assert_eq!(format!("{:?}", StudyInstanceUid::parse("1.2.3").unwrap()), "StudyInstanceUid({PHI})");
    }
}
