//! AE title: the name a DICOM application calls itself by.
//!
//! A label, never a credential: anyone on the clinic's network can write any title. The one rule is the alphabet of
//! PS3.5 section 6.2 (AE): 1 to 16 printable ASCII characters without the backslash, spaces at the ends not
//! significant. Titles that break it are turned away at the door, so no title can forge a line in a log.

use std::{fmt, str::FromStr};

/// An AE title as PS3.5 section 6.2 allows it. Safe to print.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AeTitle(String);

/// Text that is no AE title.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AeTitleError {
    /// Nothing but padding.
    #[error("an AE title has at least one character that is not a space")]
    Empty,
    /// More than 16 characters.
    #[error("an AE title has at most {AE_TITLE_CHARS_MAX} characters; this has {chars}")]
    TooLong {
        /// Characters found, padding aside.
        chars: usize,
    },
    /// A control character, a backslash, or a character outside ASCII.
    #[error("character {position} of the AE title is not printable ASCII, or is a backslash")]
    Character {
        /// Which character, from 1.
        position: usize,
    },
}

/// Characters of an AE title at most (PS3.5 section 6.2).
pub const AE_TITLE_CHARS_MAX: usize = 16;

impl AeTitle {
    /// Reads a title as typed or as it stands in a PDU, padding included; some devices pad with NUL.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn parse(padded: &str) -> Result<Self, AeTitleError> {
        let title = padded.trim_matches(['\0', ' ']);
        let chars = title.chars().count();
        if chars == 0 {
            return Err(AeTitleError::Empty);
        }
        if chars > AE_TITLE_CHARS_MAX {
            return Err(AeTitleError::TooLong { chars });
        }
        match title.chars().position(|c| !(' '..='~').contains(&c) || c == '\\') {
            Some(before) => Err(AeTitleError::Character { position: before + 1 }),
            None => Ok(Self(title.to_owned())),
        }
    }

    /// The title without padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AeTitle {
    type Err = AeTitleError;

    fn from_str(text: &str) -> Result<Self, AeTitleError> {
        Self::parse(text)
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_not_part_of_a_title() {
        assert_eq!(AeTitle::parse(" CT ROOM 1\0\0").unwrap().as_str(), "CT ROOM 1");
    }

    #[test]
    fn a_title_that_could_forge_a_log_line_is_refused() {
        assert_eq!(AeTitle::parse("CT\nok"), Err(AeTitleError::Character { position: 3 }));
        assert_eq!(AeTitle::parse("\u{1b}[2J"), Err(AeTitleError::Character { position: 1 }));
        assert_eq!(AeTitle::parse("A\\B"), Err(AeTitleError::Character { position: 2 }));
        assert_eq!(AeTitle::parse("Röntgen"), Err(AeTitleError::Character { position: 2 }));
    }

    #[test]
    fn a_title_has_one_to_sixteen_characters() {
        assert_eq!(AeTitle::parse("                "), Err(AeTitleError::Empty));
        assert_eq!(AeTitle::parse("ABCDEFGHIJKLMNOPQ"), Err(AeTitleError::TooLong { chars: 17 }));
        assert!(AeTitle::parse("ABCDEFGHIJKLMNOP").is_ok());
    }
}
