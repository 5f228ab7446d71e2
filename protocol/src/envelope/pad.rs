//! Padding: `u64 length || bytes || zeros`, so that a sealed size tells little of what is inside.
//!
//! A relay that sees sizes to the byte can tell a chest film from a hand; to 4 KiB (parcels) and 64 B (bodies) it
//! can't tell one text from the next. The length is inside the seal, and only zeros may follow the bytes.

/// Bytes of the length in front.
pub(crate) const HEAD_BYTES: u64 = 8;
/// Bytes of a ChaCha20-Poly1305 tag (RFC 8439).
pub(crate) const TAG_BYTES: u64 = 16;

/// Plaintext bytes of one sealed message of `bytes` bytes, so that the sealed size is a multiple of `unit`.
pub(crate) const fn padded_message(bytes: u64, unit: u64) -> u64 {
    padded_end(HEAD_BYTES + bytes, unit)
}

/// Plaintext bytes of the last sealed message of a stream that has `plain` bytes left for it.
pub(crate) const fn padded_end(plain: u64, unit: u64) -> u64 {
    (plain + TAG_BYTES).next_multiple_of(unit) - TAG_BYTES
}

/// The bytes inside a padded plaintext, or `None` if the length lies or something but zeros follows.
pub(crate) fn unpadded(mut plain: Vec<u8>) -> Option<Vec<u8>> {
    let head: [u8; 8] = plain.get(..8)?.try_into().ok()?;
    let bytes = usize::try_from(u64::from_be_bytes(head)).ok()?;
    let end = bytes.checked_add(8)?;
    let zeros = plain.get(end..)?.iter().all(|byte| *byte == 0);
    plain.truncate(end);
    plain.drain(..8);
    zeros.then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_size_is_a_multiple_of_the_unit_and_never_shorter_than_needed() {
        for bytes in 0..300 {
            let plain = padded_message(bytes, 64);
            assert_eq!((plain + TAG_BYTES) % 64, 0);
            assert!(plain >= bytes + HEAD_BYTES && plain < bytes + HEAD_BYTES + 64);
        }
    }

    #[test]
    fn a_length_past_the_end_and_a_byte_in_the_padding_are_refused() {
        let mut good = vec![0, 0, 0, 0, 0, 0, 0, 2, 7, 7, 0, 0];
        assert_eq!(unpadded(good.clone()), Some(vec![7, 7]));
        good[11] = 1;
        assert_eq!(unpadded(good.clone()), None);
        good[0] = 0xff;
        assert_eq!(unpadded(good), None);
        assert_eq!(unpadded(vec![0; 7]), None);
    }
}
