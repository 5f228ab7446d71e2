//! Values at rest: what a node keeps in its journal and index about patients, sealed under the node's own key.
//!
//! The index keeps deleted values and a disk can be stolen, so no patient field lies there in clear: values are
//! XChaCha20-Poly1305 with a random 24-byte nonce, and keys are keyed hashes. The context says which kind of value
//! it is, so that one can't be put in the place of another (`protocol/SPEC.md`, Storage).

use super::{OpenError, tag};
use crate::id::Hash;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 24;

/// The node's key for values at rest. Leaves memory when dropped and never prints.
#[derive(Clone)]
pub struct AtRestKey {
    sealing: Zeroizing<[u8; 32]>,
    hashing: Zeroizing<[u8; 32]>,
}

impl AtRestKey {
    /// From 32 random bytes kept in the node's boot keystore.
    #[must_use]
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        let mut okm = Zeroizing::new([0; 64]);
        let (mut sealing, mut hashing) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        let derived = Hkdf::<Sha256>::new(None, secret).expand(tag::AT_REST.as_bytes(), &mut *okm);
        derived.expect("64 <= 255 x 32 bytes");
        sealing.copy_from_slice(&okm[..32]);
        hashing.copy_from_slice(&okm[32..]);
        Self { sealing, hashing }
    }

    /// `nonce || ciphertext || tag`; `context` names the kind of value and is authenticated.
    #[must_use]
    pub fn seal(&self, context: &'static str, plain: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let mut bytes = Vec::with_capacity(plain.len() + 16);
        bytes.extend_from_slice(plain);
        let sealed = self.cipher().encrypt_in_place(&XNonce::from(nonce), context.as_bytes(), &mut bytes);
        sealed.expect("a value at rest is under RFC 8439's limit");
        [&nonce[..], &bytes].concat()
    }

    /// The inverse of [`Self::seal`].
    ///
    /// # Errors
    /// [`OpenError::Refused`] if a byte, the context or the key is another.
    pub fn open(&self, context: &'static str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or(OpenError::Refused)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| OpenError::Refused)?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let opened = self.cipher().decrypt_in_place(&nonce, context.as_bytes(), &mut *plain);
        opened.map(|()| plain).map_err(|_| OpenError::Refused)
    }

    /// Keyed BLAKE3 of `context length (u8) || context || bytes`: a name on disk that tells nothing without the key.
    #[must_use]
    pub fn keyed_hash(&self, context: &'static str, bytes: &[u8]) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.hashing);
        hasher.update(&[u8::try_from(context.len()).expect("contexts are short")]);
        hasher.update(context.as_bytes()).update(bytes);
        Hash(*hasher.finalize().as_bytes())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.sealing).into())
    }
}

impl fmt::Debug for AtRestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtRestKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn a_value_opens_only_under_its_key_and_context() {
        let key = AtRestKey::from_bytes(&[1; 32]);
        let sealed = key.seal("staging", b"Banda^Grace", &mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(&**key.open("staging", &sealed).unwrap(), b"Banda^Grace");
        assert_eq!(key.open("outbox", &sealed), Err(OpenError::Refused));
        assert_eq!(AtRestKey::from_bytes(&[2; 32]).open("staging", &sealed), Err(OpenError::Refused));
        assert_eq!(key.open("staging", &sealed[..20]), Err(OpenError::Refused));
    }

    #[test]
    fn one_value_sealed_twice_looks_different_and_hashes_the_same() {
        let (key, mut rng) = (AtRestKey::from_bytes(&[1; 32]), ChaCha20Rng::seed_from_u64(1));
        assert_ne!(key.seal("a", b"x", &mut rng), key.seal("a", b"x", &mut rng));
        assert_eq!(key.keyed_hash("a", b"x"), key.keyed_hash("a", b"x"));
        assert_ne!(key.keyed_hash("a", b"bx"), key.keyed_hash("ab", b"x"));
    }
}
