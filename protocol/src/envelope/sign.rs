//! Ed25519 signatures (RFC 8032), each over a domain tag, the federation and the bytes that travel.
//!
//! A report is worth what its signature is worth. Verification is `verify_strict` only: a signature made under a
//! key of small order, or with a malleable scalar, would let two nodes disagree on who signed. What is signed is
//! what travelled, never a re-serialisation.

use crate::id::{ChainId, FederationId, NodeId, PersonId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node's, person's or ministry's private signing key. Leaves memory when dropped and never prints.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

/// 64 bytes, R || S.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature(#[serde(with = "super::fixed")] [u8; 64]);

/// A signature that does not hold for this key, tag, federation and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032 section 5.1.5) from the OS, a key file or a test.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The public key, as the id of the node that holds this key.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId(self.public())
    }

    /// The public key, as the id of the person who holds this key.
    #[must_use]
    pub fn person_id(&self) -> PersonId {
        PersonId(self.public())
    }

    /// The public key, as the id of the roster chain this key signs.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        ChainId(self.public())
    }

    /// Signs `domain || federation || bytes`.
    #[must_use]
    pub fn sign(&self, domain: &'static str, federation: &FederationId, bytes: &[u8]) -> Signature {
        use ed25519_dalek::Signer;
        Signature(self.0.sign(&message(domain, federation, bytes)).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.node_id())
    }
}

impl Signature {
    /// From the bytes as they travel.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes as they travel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", &crate::id::hex(&self.0[..6]))
    }
}

/// Whether `signature` is `public`'s over `domain || federation || bytes`.
///
/// # Errors
/// [`BadSignature`] for any mismatch, for a key that is no point or one of small order, and for a scalar that is
/// not reduced.
pub fn verify(
    public: &[u8; 32],
    domain: &'static str,
    federation: &FederationId,
    bytes: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(public).map_err(|_| BadSignature)?;
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.verify_strict(&message(domain, federation, bytes), &signature).map_err(|_| BadSignature)
}

fn message(domain: &str, federation: &FederationId, bytes: &[u8]) -> Vec<u8> {
    [domain.as_bytes(), federation.as_bytes(), bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::unhex;

    fn array<const N: usize>(text: &str) -> [u8; N] {
        unhex(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn rfc_8032_test_3_signs_and_verifies() {
        use ed25519_dalek::Signer;
        let key = SigningKey::from_seed(array("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"));
        assert_eq!(key.public(), array("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"));
        let expected = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                        18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
        let signature = key.0.sign(&[0xaf, 0x82]);
        assert_eq!(signature.to_bytes(), array::<64>(expected));
        assert!(key.0.verifying_key().verify_strict(&[0xaf, 0x82], &signature).is_ok());
    }

    #[test]
    fn signature_for_another_tag_federation_or_text_does_not_hold() {
        let key = SigningKey::from_seed([7; 32]);
        let (ours, other) = (FederationId([1; 32]), FederationId([2; 32]));
        let signature = key.sign(super::super::tag::EVENT, &ours, b"report");
        let check = |tag, federation, text: &[u8]| verify(&key.public(), tag, federation, text, &signature);
        assert_eq!(check(super::super::tag::EVENT, &ours, b"report"), Ok(()));
        assert_eq!(check(super::super::tag::ROSTER, &ours, b"report"), Err(BadSignature));
        assert_eq!(check(super::super::tag::EVENT, &other, b"report"), Err(BadSignature));
        assert_eq!(check(super::super::tag::EVENT, &ours, b"repost"), Err(BadSignature));
    }

    #[test]
    fn signature_under_a_key_of_small_order_is_refused_though_plain_verification_takes_it() {
        use ed25519_dalek::Verifier;
        // The neutral point as key and as R, with S = 0, satisfies S B = R + k A for every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut forged = [0; 64];
        forged[..32].copy_from_slice(&neutral);
        let federation = FederationId([1; 32]);
        let text = message(super::super::tag::EVENT, &federation, b"anything");
        let lax = ed25519_dalek::VerifyingKey::from_bytes(&neutral).unwrap();
        assert!(lax.verify(&text, &ed25519_dalek::Signature::from_bytes(&forged)).is_ok());
        let strict =
            verify(&neutral, super::super::tag::EVENT, &federation, b"anything", &Signature::from_bytes(forged));
        assert_eq!(strict, Err(BadSignature));
    }
}
