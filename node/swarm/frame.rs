//! One message on a stream: its length as an unsigned varint, then its bytes.
//!
//! The length is checked before a byte of the message is read or a byte of memory taken (`protocol/SPEC.md`, Wire).

use futures::{AsyncRead, AsyncReadExt};
use std::io;

/// A length has at most this many varint bytes: 2^28 - 1 is above every limit.
const LENGTH_BYTES_MAX: usize = 4;

/// Appends `message` with its length to `out`.
pub(super) fn push(out: &mut Vec<u8>, message: &[u8]) {
    let mut left = message.len();
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    out.extend_from_slice(message);
}

/// Reads one message; `None` at a clean end between two.
///
/// # Errors
/// `InvalidData` when the message is announced with more than `limit` bytes, `UnexpectedEof` when the stream ends
/// inside a message, and what the stream says.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = 0;
    for place in 0.. {
        let mut byte = [0];
        if from.read(&mut byte).await? == 0 {
            return if place == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        length |= usize::from(byte[0] & 0x7f) << (7 * place);
        if byte[0] < 0x80 {
            break;
        }
        if place + 1 == LENGTH_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message's length has over 4 bytes"));
        }
    }
    if length > limit {
        let reason = format!("a message of {length} bytes was announced; at most {limit} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message).await?;
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    #[test]
    fn messages_of_every_length_around_a_varint_step_come_back() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 262_144] {
            let (message, mut wire) = (vec![0x5a; length], Vec::new());
            push(&mut wire, &message);
            let mut from = wire.as_slice();
            assert_eq!(block_on(read(&mut from, 262_144)).unwrap(), Some(message));
            assert_eq!(block_on(read(&mut from, 262_144)).unwrap(), None);
        }
    }

    #[test]
    fn a_message_one_byte_over_its_limit_is_refused_before_it_is_read() {
        let mut wire = Vec::new();
        push(&mut wire, &[0; 65]);
        let refused = block_on(read(&mut &wire[..1], 64)).unwrap_err();
        assert_eq!(refused.to_string(), "a message of 65 bytes was announced; at most 64 are allowed");
    }

    #[test]
    fn a_length_without_end_is_refused() {
        let refused = block_on(read(&mut [0xff; 64].as_slice(), usize::MAX)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_stream_that_ends_inside_a_message_is_no_clean_end() {
        let mut wire = Vec::new();
        push(&mut wire, b"report");
        let cut = block_on(read(&mut &wire[..4], 64)).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
}
