//! X25519 keys (RFC 7748) that things are sealed to: a node's, a person's, a pool's, the recovery key.
//!
//! Apart from the signing key by construction: neither is ever derived from the other, so that a key that leaks
//! what it reads forges nothing.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A private reading key. Leaves memory when dropped and never prints.
#[derive(Clone)]
pub struct ReadingKey(x25519_dalek::StaticSecret);

/// A public reading key: what wraps are addressed to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadingPublic(pub [u8; 32]);

impl ReadingKey {
    /// The key of 32 random bytes; clamped when used (RFC 7748 section 5).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed.into())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> ReadingPublic {
        ReadingPublic(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }

    /// The private bytes, to be wrapped or locked.
    pub(crate) const fn secret(&self) -> &x25519_dalek::StaticSecret {
        &self.0
    }
}

impl fmt::Debug for ReadingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadingKey({:?})", self.public())
    }
}

impl ReadingPublic {
    /// The bytes as hashed and wrapped.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ReadingPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::id::hex(&self.0))
    }
}

impl fmt::Debug for ReadingPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadingPublic({})", &crate::id::hex(&self.0[..6]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{hex, unhex};

    #[test]
    fn rfc_7748_section_6_1_gives_alices_public_key_and_the_seed_never_prints() {
        let seed = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a").unwrap();
        let alice = ReadingKey::from_seed(seed.clone().try_into().unwrap());
        let expected = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        assert_eq!(alice.public().to_string(), expected);
        assert!(!format!("{alice:?}").contains(&hex(&seed[..6])));
    }
}
