//! A sealed body: what identifies a patient inside an event that every relay stores.
//!
//! The order's text and the report's text cross the whole federation in the events; only the recipients named
//! here can read them. One random key a body, one ChaCha20-Poly1305 message (RFC 8439) under a zero nonce, and
//! the wraps bound to exactly this ciphertext (`protocol/SPEC.md`, Sealed body).

use super::{
    OpenError,
    derive::{BodyKey, Commitment, body_key, committed_key},
    pad::{padded_message, unpadded},
    reading::{ReadingKey, ReadingPublic},
    tag,
    wrap::{BadRecipient, Wrap, unwrap_any, wrap},
};
use crate::{
    id::{FederationId, Hash},
    limits::{BODY_PAD_BYTES, EVENT_BYTES_MAX, WRAPS_MAX},
    wire::serde_bytes_vec,
};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A body that only its recipients can open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Travels", into = "Travels")]
pub struct SealedBody {
    id: [u8; 16],
    commitment: [u8; 32],
    ciphertext: Vec<u8>,
    wraps: Vec<Wrap>,
}

/// A body that can't be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealBodyError {
    /// A recipient's key is no key.
    #[error(transparent)]
    Recipient(#[from] BadRecipient),
    /// Nobody, or too many, could open it.
    #[error("{recipients} recipients; a body has 1 to {}", WRAPS_MAX)]
    Recipients {
        /// How many were asked for.
        recipients: usize,
    },
    /// It would not fit into an event.
    #[error("{bytes} bytes; an event carries less than {}", EVENT_BYTES_MAX)]
    TooLong {
        /// Bytes of the plaintext.
        bytes: usize,
    },
}

impl SealedBody {
    /// Seals `plain` to each of `to`; a key named twice gets one wrap.
    ///
    /// # Errors
    /// [`SealBodyError`] names the limit broken, or the recipient that can't be sealed to.
    pub fn seal(
        plain: &[u8],
        to: &[ReadingPublic],
        federation: &FederationId,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealBodyError> {
        if plain.len() >= EVENT_BYTES_MAX {
            return Err(SealBodyError::TooLong { bytes: plain.len() });
        }
        let mut to = to.to_vec();
        to.sort_unstable();
        to.dedup();
        if !(1..=WRAPS_MAX).contains(&to.len()) {
            return Err(SealBodyError::Recipients { recipients: to.len() });
        }
        let (mut secret, mut id) = (Zeroizing::new([0; 32]), [0; 16]);
        rng.fill_bytes(&mut *secret);
        rng.fill_bytes(&mut id);
        let (key, commitment) = body_key(&secret, federation, tag::BODY, &id);
        let ciphertext = encrypt(plain, &key);
        let info = info(federation, &id, &commitment.0, &ciphertext);
        let wraps = to.iter().map(|to| wrap(&secret, to, &info, rng)).collect::<Result<_, _>>()?;
        Ok(Self { id, commitment: commitment.0, ciphertext, wraps })
    }

    /// The plaintext, for one who holds the key of a recipient.
    ///
    /// # Errors
    /// [`OpenError::NotARecipient`], else [`OpenError::Refused`] whichever step failed.
    pub fn open(&self, key: &ReadingKey, federation: &FederationId) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let info = info(federation, &self.id, &self.commitment, &self.ciphertext);
        let secret = unwrap_any(&self.wraps, key, &info)?;
        let key = committed_key(&secret, federation, tag::BODY, &self.id, &Commitment(self.commitment))?;
        let mut plain = self.ciphertext.clone();
        cipher(&key).decrypt_in_place(&Nonce::default(), b"", &mut plain).map_err(|_| OpenError::Refused)?;
        unpadded(plain).map(Zeroizing::new).ok_or(OpenError::Refused)
    }

    /// The keys that can open it.
    pub fn recipients(&self) -> impl Iterator<Item = ReadingPublic> + '_ {
        self.wraps.iter().map(|wrap| wrap.to)
    }

    /// Bytes of the ciphertext: what a relay learns of the text's length.
    #[must_use]
    pub const fn sealed_bytes(&self) -> usize {
        self.ciphertext.len()
    }
}

fn encrypt(plain: &[u8], key: &BodyKey) -> Vec<u8> {
    let padded = padded_message(plain.len() as u64, BODY_PAD_BYTES as u64) as usize;
    let mut bytes = Vec::with_capacity(padded + 16);
    bytes.extend_from_slice(&(plain.len() as u64).to_be_bytes());
    bytes.extend_from_slice(plain);
    bytes.resize(padded, 0);
    cipher(key).encrypt_in_place(&Nonce::default(), b"", &mut bytes).expect("one message is under RFC 8439's limit");
    bytes
}

// The nonce may be zero because no key ever seals two messages: it is derived from a secret drawn for this one.
fn cipher(key: &BodyKey) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&(*key.0).into())
}

fn info(federation: &FederationId, id: &[u8; 16], commitment: &[u8; 32], ciphertext: &[u8]) -> Vec<u8> {
    let digest = Hash::of(ciphertext);
    [tag::BODY_WRAP.as_bytes(), federation.as_bytes(), id, commitment, digest.as_bytes()].concat()
}

/// The fields in the order they travel (postcard).
#[derive(Serialize, Deserialize)]
struct Travels {
    id: [u8; 16],
    commitment: [u8; 32],
    #[serde(with = "serde_bytes_vec")]
    ciphertext: Vec<u8>,
    wraps: Vec<Wrap>,
}

impl From<SealedBody> for Travels {
    fn from(body: SealedBody) -> Self {
        let SealedBody { id, commitment, ciphertext, wraps } = body;
        Self { id, commitment, ciphertext, wraps }
    }
}

impl TryFrom<Travels> for SealedBody {
    type Error = &'static str;

    fn try_from(body: Travels) -> Result<Self, &'static str> {
        let Travels { id, commitment, ciphertext, wraps } = body;
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BODY_PAD_BYTES) {
            return Err("a sealed body is a multiple of 64 bytes");
        }
        if !(1..=WRAPS_MAX).contains(&wraps.len()) {
            return Err("a sealed body has 1 to 64 wraps");
        }
        Ok(Self { id, commitment, ciphertext, wraps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::unhex, wire};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    const OURS: FederationId = FederationId([1; 32]);

    fn sealed(to: &[&ReadingKey]) -> SealedBody {
        let to: Vec<_> = to.iter().map(|key| key.public()).collect();
        SealedBody::seal(b"fell from a tree", &to, &OURS, &mut ChaCha20Rng::seed_from_u64(1)).unwrap()
    }

    #[test]
    fn rfc_8439_section_2_8_2_ciphertext_and_tag() {
        let key: [u8; 32] = (0x80..=0x9f).collect::<Vec<u8>>().try_into().unwrap();
        let nonce: [u8; 12] = unhex("070000004041424344454647").unwrap().try_into().unwrap();
        let aad = unhex("50515253c0c1c2c3c4c5c6c7").unwrap();
        let mut text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                         sunscreen would be it."
            .to_vec();
        ChaCha20Poly1305::new(&key.into()).encrypt_in_place(&nonce.into(), &aad, &mut text).unwrap();
        let sealed = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b\
                      1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
                      3ff4def08e4b7a9de576d26586cec64b6116";
        assert_eq!(text[..114], unhex(sealed).unwrap());
        assert_eq!(text[114..], unhex("1ae10b594f09e26a7e902ecbd0600691").unwrap());
    }

    #[test]
    fn every_recipient_reads_it_and_nobody_else_does() {
        let keys = [1, 2, 3].map(|seed| ReadingKey::from_seed([seed; 32]));
        let body = sealed(&[&keys[0], &keys[1]]);
        assert_eq!(&**body.open(&keys[0], &OURS).unwrap(), b"fell from a tree");
        assert_eq!(&**body.open(&keys[1], &OURS).unwrap(), b"fell from a tree");
        assert_eq!(body.open(&keys[2], &OURS), Err(OpenError::NotARecipient));
        assert_eq!(body.open(&keys[0], &FederationId([2; 32])), Err(OpenError::Refused));
    }

    #[test]
    fn texts_of_nearly_one_length_are_sealed_to_the_same_size() {
        let key = ReadingKey::from_seed([1; 32]);
        let size = |text: &[u8]| {
            let rng = &mut ChaCha20Rng::seed_from_u64(1);
            SealedBody::seal(text, &[key.public()], &OURS, rng).unwrap().sealed_bytes()
        };
        assert_eq!(size(b"normal"), size(b"fracture of the left radius"));
    }

    #[test]
    fn a_flipped_bit_anywhere_keeps_it_shut() {
        let key = ReadingKey::from_seed([1; 32]);
        let bytes = wire::encode(&sealed(&[&key]));
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            if let Ok(body) = wire::decode::<SealedBody>("body", &bent, EVENT_BYTES_MAX) {
                assert!(body.open(&key, &OURS).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn wraps_are_dead_around_another_ciphertext_though_the_key_is_the_same() {
        let key = ReadingKey::from_seed([1; 32]);
        let mut body = sealed(&[&key]);
        let info = info(&OURS, &body.id, &body.commitment, &body.ciphertext);
        let secret = unwrap_any(&body.wraps, &key, &info).unwrap();
        let (inner, _) = body_key(&secret, &OURS, tag::BODY, &body.id);
        body.ciphertext = encrypt(b"fell from a roof", &inner);
        assert_eq!(body.open(&key, &OURS), Err(OpenError::Refused));
    }

    #[test]
    fn a_recipient_of_small_order_is_refused_by_name() {
        let nobody = ReadingPublic([0; 32]);
        let refused = SealedBody::seal(b"x", &[nobody], &OURS, &mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(refused, Err(SealBodyError::Recipient(BadRecipient { to: nobody })));
    }
}
