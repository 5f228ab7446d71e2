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
    fn rfc_7748_section_6_1_alice_and_bob_agree_on_the_published_secret() {
        let key = |seed: &str| ReadingKey::from_seed(unhex(seed).unwrap().try_into().unwrap());
        let alice = key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let (to_alice, to_bob) = (alice.public(), bob.public());
        assert_eq!(to_alice.to_string(), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(to_bob.to_string(), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let agreed = |own: &ReadingKey, to: ReadingPublic| own.secret().diffie_hellman(&to.0.into()).to_bytes();
        let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
        assert_eq!(hex(&agreed(&alice, to_bob)), shared);
        assert_eq!(hex(&agreed(&bob, to_alice)), shared);
    }

    #[test]
    fn a_private_key_never_prints() {
        let seed = [0xa7; 32];
        assert!(!format!("{:?}", ReadingKey::from_seed(seed)).contains(&hex(&seed[..6])));
    }
}
