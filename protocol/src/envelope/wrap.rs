//! A 32-byte secret for one recipient: HPKE base mode (RFC 9180), X25519, HKDF-SHA256, ChaCha20-Poly1305.
//!
//! The sender keeps no private half: a spoke that is stolen tomorrow can't open what it sent today. `info` binds
//! the wrap to the federation and to the very thing it opens, so that a wrap moved to another parcel is dead.

use super::{
    OpenError,
    reading::{ReadingKey, ReadingPublic},
};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable, inout::InOutBuf};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

type Kem = hpke::kem::X25519HkdfSha256;
type Kdf = hpke::kdf::HkdfSha256;
type Aead = hpke::aead::ChaCha20Poly1305;

/// Bytes of a wrap as it travels in a manifest: recipient, encapsulated key, sealed secret with its tag.
pub const WRAP_BYTES: usize = 32 + 32 + 48;

/// One secret, sealed to one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrap {
    /// Who can open it.
    pub to: ReadingPublic,
    /// HPKE's encapsulated key.
    pub enc: [u8; 32],
    /// The secret and its 16-byte tag.
    #[serde(with = "super::fixed")]
    pub sealed: [u8; 48],
}

impl Wrap {
    /// `to || enc || sealed`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; WRAP_BYTES] {
        let mut bytes = [0; WRAP_BYTES];
        bytes[..32].copy_from_slice(&self.to.0);
        bytes[32..64].copy_from_slice(&self.enc);
        bytes[64..].copy_from_slice(&self.sealed);
        bytes
    }

    /// The inverse of [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; WRAP_BYTES]) -> Self {
        let (mut to, mut enc, mut sealed) = ([0; 32], [0; 32], [0; 48]);
        to.copy_from_slice(&bytes[..32]);
        enc.copy_from_slice(&bytes[32..64]);
        sealed.copy_from_slice(&bytes[64..]);
        Self { to: ReadingPublic(to), enc, sealed }
    }
}

/// A recipient key that no secret can be sealed to: a point of small order (RFC 9180 section 7.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{to} is no key that something can be sealed to")]
pub struct BadRecipient {
    /// The key.
    pub to: ReadingPublic,
}

/// Seals `secret` to `to` under `info`; the AAD is empty.
///
/// # Errors
/// [`BadRecipient`] when `to` is a point of small order.
pub fn wrap(
    secret: &[u8; 32],
    to: &ReadingPublic,
    info: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Wrap, BadRecipient> {
    let bad = BadRecipient { to: *to };
    let recipient = <Kem as hpke::Kem>::PublicKey::from_bytes(&to.0).map_err(|_| bad)?;
    let (enc, mut context) =
        hpke::setup_sender_with_rng::<Aead, Kdf, Kem>(&OpModeS::Base, &recipient, info, rng).map_err(|_| bad)?;
    let mut sealed = [0; 48];
    sealed[..32].copy_from_slice(secret);
    let tag = context.seal_inout_detached(InOutBuf::from(&mut sealed[..32]), b"");
    sealed[32..].copy_from_slice(&tag.expect("the first message of a context is under its limits").to_bytes());
    Ok(Wrap { to: *to, enc: enc.to_bytes().into(), sealed })
}

/// Opens a wrap with the key it is addressed to.
///
/// # Errors
/// [`OpenError::NotARecipient`] when it is addressed to another key, else [`OpenError::Refused`].
pub fn unwrap(wrap: &Wrap, key: &ReadingKey, info: &[u8]) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    if wrap.to != key.public() {
        return Err(OpenError::NotARecipient);
    }
    let mut secret = Zeroizing::new([0; 32]);
    let (sealed, tag) = wrap.sealed.split_at(32);
    secret.copy_from_slice(sealed);
    open(key, &wrap.enc, info, b"", &mut *secret, tag).ok_or(OpenError::Refused)?;
    Ok(secret)
}

/// Opens the wrap among `wraps` that is addressed to `key`.
pub(crate) fn unwrap_any(wraps: &[Wrap], key: &ReadingKey, info: &[u8]) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let ours = key.public();
    let mine = wraps.iter().find(|wrap| wrap.to == ours).ok_or(OpenError::NotARecipient)?;
    unwrap(mine, key, info)
}

fn open(key: &ReadingKey, enc: &[u8; 32], info: &[u8], aad: &[u8], text: &mut [u8], tag: &[u8]) -> Option<()> {
    let key = <Kem as hpke::Kem>::PrivateKey::from_bytes(key.secret().as_bytes()).ok()?;
    let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).ok()?;
    let tag = hpke::aead::AeadTag::<Aead>::from_bytes(tag).ok()?;
    let mut context = hpke::setup_receiver::<Aead, Kdf, Kem>(&OpModeR::Base, &key, &enc, info).ok()?;
    context.open_inout_detached(InOutBuf::from(text), aad, &tag).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::unhex;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    fn array<const N: usize>(text: &str) -> [u8; N] {
        unhex(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn rfc_9180_a_2_1_base_opens() {
        let key = ReadingKey::from_seed(array("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"));
        let expected = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
        assert_eq!(key.public().to_string(), expected);
        let enc = array("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
        let info = b"Ode on a Grecian Urn";
        let mut text =
            unhex("1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28")
                .unwrap();
        let (text, tag) = text.split_at_mut(29);
        assert_eq!(open(&key, &enc, info, b"Count-0", text, tag), Some(()));
        assert_eq!(text, b"Beauty is truth, truth beauty");
        assert_eq!(open(&key, &enc, info, b"Count-1", text, tag), None);
    }

    #[test]
    fn opens_for_its_recipient_under_its_info_only() {
        let (ours, other) = (ReadingKey::from_seed([1; 32]), ReadingKey::from_seed([2; 32]));
        let wrapped = wrap(&[7; 32], &ours.public(), b"this", &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        assert_eq!(*unwrap(&wrapped, &ours, b"this").unwrap(), [7; 32]);
        assert_eq!(unwrap(&wrapped, &ours, b"that").unwrap_err(), OpenError::Refused);
        assert_eq!(unwrap(&wrapped, &other, b"this").unwrap_err(), OpenError::NotARecipient);
        let readdressed = Wrap { to: other.public(), ..wrapped };
        assert_eq!(unwrap(&readdressed, &other, b"this").unwrap_err(), OpenError::Refused);
    }

    #[test]
    fn a_wrap_survives_its_bytes() {
        let to = ReadingKey::from_seed([1; 32]).public();
        let wrapped = wrap(&[7; 32], &to, b"", &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        assert_eq!(Wrap::from_bytes(&wrapped.to_bytes()), wrapped);
    }
}
