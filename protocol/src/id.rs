//! Identifiers: one newtype each, so that a case can't stand where a node is meant.
//!
//! Every id is a fixed number of bytes, printed and parsed as lower-case hexadecimal. An id is never secret and
//! never names a patient: the case id is a keyed hash (`protocol/SPEC.md`, Ids).

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Text that is not an id: wrong length, or a character outside `0-9a-f`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} is {expected} hexadecimal characters; this has {found}")]
pub struct IdError {
    /// What was asked for, in words.
    pub kind: &'static str,
    /// Hexadecimal characters an id of this kind has.
    pub expected: usize,
    /// Characters found that are hexadecimal.
    pub found: usize,
}

/// Lower-case hexadecimal of any bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes of lower- or upper-case hexadecimal, or `None` if it is not.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// The bytes, as hashed and signed.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &hex(&self.0)[..12])
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let found = text.chars().take_while(char::is_ascii_hexdigit).count();
                unhex(text)
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or(IdError { kind: $kind, expected: $bytes * 2, found })
            }
        }
    };
}

id!(
    /// A federation: BLAKE3 of its root keys and name; inside every signature, so nothing replays elsewhere.
    FederationId, 32, "a federation id"
);
id!(
    /// A node's Ed25519 public key: libp2p's peer id and our signer.
    NodeId, 32, "a node id"
);
id!(
    /// A person's Ed25519 public key.
    PersonId, 32, "a person id"
);
id!(
    /// A key that signs roster statements: the root's, the ministry's, or a hub's admission key.
    ChainId, 32, "a chain id"
);
id!(
    /// A case: keyed BLAKE3, under the site secret, of the Study Instance UID.
    CaseId, 32, "a case id"
);
id!(
    /// One sealed part of a case: 16 random bytes, made at sealing.
    ParcelId, 16, "a parcel id"
);
id!(
    /// A manifest: the first 16 bytes of BLAKE3(core). Names a parcel on the wire and on disk.
    ManifestId, 16, "a manifest id"
);
id!(
    /// BLAKE3 of an event as it travels.
    EventHash, 32, "an event hash"
);
id!(
    /// BLAKE3 of anything else.
    Hash, 32, "a hash"
);
id!(
    /// 64 random bits made at init and at every restore: a restored node never continues an old sequence.
    Incarnation, 8, "an incarnation"
);

impl Hash {
    /// BLAKE3 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// A name a ministry gives: a region (which is also its reading pool) or a jurisdiction.
/// 1 to 64 characters of `a-z A-Z 0-9 - _`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

/// A region's name that can't be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a region or jurisdiction is 1 to 64 characters of a-z A-Z 0-9 - _; this has {length} and {bad} that are not")]
pub struct RegionError {
    /// Characters in all.
    pub length: usize,
    /// Characters that are not allowed.
    pub bad: usize,
}

impl TryFrom<String> for Region {
    type Error = RegionError;

    fn try_from(name: String) -> Result<Self, RegionError> {
        let length = name.chars().count();
        let bad = name.chars().filter(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))).count();
        if bad > 0 || !(1..=64).contains(&length) {
            return Err(RegionError { length, bad });
        }
        Ok(Self(name))
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(name: &str) -> Result<Self, RegionError> {
        name.to_owned().try_into()
    }
}

impl Region {
    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let id = CaseId([0xa5; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn text_of_another_length_is_refused_with_both_lengths() {
        let refused = "abcd".parse::<ParcelId>().unwrap_err();
        assert_eq!((refused.expected, refused.found), (32, 4));
    }

    #[test]
    fn region_with_path_separator_is_rejected() {
        assert!("north/../etc".parse::<Region>().is_err());
    }
}
