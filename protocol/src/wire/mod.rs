//! Bytes between nodes and on disk: (kind, version, length, bytes), all the way down.
//!
//! A kind or version this build does not know is stored, forwarded and counted, never dropped: a relay from last
//! year must carry what a hub of next year says. Inside, bodies are postcard; what is hashed or signed is laid
//! out by hand, big-endian (`protocol/SPEC.md`, Wire).

pub mod cursor;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A body with its kind and version, still closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagged {
    /// What it is; see the tables of `protocol/SPEC.md`.
    pub kind: u16,
    /// Version of the kind's layout, from 1.
    pub version: u16,
    /// The body as it travels.
    #[serde(with = "serde_bytes_vec")]
    pub bytes: Vec<u8>,
}

/// Bytes that are not what their place requires.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// More bytes than the place allows.
    #[error("{what} has {bytes} bytes; at most {limit} are allowed")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Bytes found.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The layout does not fit.
    #[error("{what} can't be read")]
    Malformed {
        /// What was being read.
        what: &'static str,
    },
    /// Bytes are left over after the last field.
    #[error("{what} is followed by {bytes} stray bytes")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// Bytes left over.
        bytes: usize,
    },
}

/// postcard of `value`. Our own types always encode: they hold no map with unknown length and no float key.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("protocol types have a known length")
}

/// Reads one `T` from exactly these bytes.
///
/// # Errors
/// [`WireError`] when the bytes are over `limit`, do not fit, or are followed by others.
pub fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8], limit: usize) -> Result<T, WireError> {
    if bytes.len() > limit {
        return Err(WireError::TooLong { what, bytes: bytes.len(), limit });
    }
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| WireError::Malformed { what })?;
    if !rest.is_empty() {
        return Err(WireError::Trailing { what, bytes: rest.len() });
    }
    Ok(value)
}

pub(crate) mod serde_bytes_vec {
    //! `Vec<u8>` as one run of bytes; the same wire form as postcard's sequence of u8, without a call a byte.
    use serde::{Deserializer, Serializer, de::Visitor};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_bytes_after_a_body_are_refused() {
        let mut bytes = encode(&Tagged { kind: 3, version: 1, bytes: vec![1, 2] });
        bytes.push(0);
        assert_eq!(decode::<Tagged>("body", &bytes, 64), Err(WireError::Trailing { what: "body", bytes: 1 }));
    }

    #[test]
    fn a_body_over_its_limit_says_both_figures() {
        let refused = decode::<Tagged>("body", &[0; 65], 64).unwrap_err();
        assert_eq!(refused.to_string(), "body has 65 bytes; at most 64 are allowed");
    }
}
