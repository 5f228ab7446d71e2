//! HKDF-SHA256 (RFC 5869): one random secret becomes a body key and the commitment to it.
//!
//! ChaCha20-Poly1305 does not commit to its key: one ciphertext can be made to open to two images under two keys,
//! so that two readers of one case see different films (Dodis et al. 2018). The commitment stands in what is
//! signed, and is compared before a byte is opened.

use crate::{envelope::OpenError, id::FederationId};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Key of a body or a stream; leaves memory when dropped.
pub(crate) struct BodyKey(pub(crate) Zeroizing<[u8; 32]>);

/// What a sealed thing says of its key, in clear.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commitment(pub(crate) [u8; 32]);

/// HKDF(ikm `secret`, salt federation id, info `tag || id`) -> body key || commitment.
pub(crate) fn body_key(
    secret: &[u8; 32],
    federation: &FederationId,
    tag: &str,
    id: &[u8; 16],
) -> (BodyKey, Commitment) {
    let (mut key, mut commitment) = (Zeroizing::new([0; 32]), [0; 32]);
    let mut okm = Zeroizing::new([0; 64]);
    let info = [tag.as_bytes(), id].concat();
    Hkdf::<Sha256>::new(Some(federation.as_bytes()), secret).expand(&info, &mut *okm).expect("64 <= 255 x 32 bytes");
    key.copy_from_slice(&okm[..32]);
    commitment.copy_from_slice(&okm[32..]);
    (BodyKey(key), Commitment(commitment))
}

/// As [`body_key`], and the commitment must be the one that was signed.
///
/// # Errors
/// [`OpenError::Refused`], as for every other step.
pub(crate) fn committed_key(
    secret: &[u8; 32],
    federation: &FederationId,
    tag: &str,
    id: &[u8; 16],
    signed: &Commitment,
) -> Result<BodyKey, OpenError> {
    let (key, commitment) = body_key(secret, federation, tag, id);
    // blake3::Hash compares in constant time.
    let same = blake3::Hash::from_bytes(commitment.0) == blake3::Hash::from_bytes(signed.0);
    if same { Ok(key) } else { Err(OpenError::Refused) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{hex, unhex};

    #[test]
    fn rfc_5869_test_case_1() {
        let salt = unhex("000102030405060708090a0b0c").unwrap();
        let mut okm = [0; 42];
        Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22])
            .expand(&unhex("f0f1f2f3f4f5f6f7f8f9").unwrap(), &mut okm)
            .unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(hex(&okm), expected);
    }

    #[test]
    fn rfc_5869_test_case_2_with_longer_input() {
        let (ikm, salt, info): (Vec<u8>, Vec<u8>, Vec<u8>) =
            ((0x00..=0x4f).collect(), (0x60..=0xaf).collect(), (0xb0..=0xff).collect());
        let mut okm = [0; 82];
        Hkdf::<Sha256>::new(Some(&salt), &ikm).expand(&info, &mut okm).unwrap();
        let expected = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
                        da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87";
        assert_eq!(hex(&okm), expected);
    }

    #[test]
    fn same_secret_in_another_federation_gives_another_key() {
        let of = |federation| body_key(&[3; 32], &FederationId([federation; 32]), super::super::tag::PARCEL, &[4; 16]);
        assert_ne!(*of(1).0.0, *of(2).0.0);
        assert!(of(1).1 != of(2).1);
    }
}
