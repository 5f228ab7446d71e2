//! The frames between a node and its child: `kind u8 | length u32, big-endian | body`.
//!
//! Both ends are one build, so nothing is versioned; but the child may have been taken over by the file it reads, so a
//! length is believed only up to [`FRAME_BYTES_MAX`].

use crate::limits::{DATA_BYTES_MAX, FRAME_BYTES_MAX};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

const MESSAGE: u8 = 0;
const DATA: u8 = 1;

/// What came.
#[derive(Debug)]
pub(crate) enum Frame<M> {
    /// Something said.
    Message(M),
    /// Bytes of an Instance or of a stream; none of them is the end.
    Data(Vec<u8>),
}

/// Reads one frame.
pub(crate) fn read<M: DeserializeOwned>(from: &mut impl Read) -> io::Result<Frame<M>> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    let senseless = || io::Error::from(io::ErrorKind::InvalidData);
    if length > FRAME_BYTES_MAX {
        return Err(senseless());
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    match kind {
        MESSAGE => postcard::from_bytes(&body).map(Frame::Message).map_err(|_| senseless()),
        DATA => Ok(Frame::Data(body)),
        _ => Err(senseless()),
    }
}

/// Writes something said.
pub(crate) fn write_message(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = postcard::to_stdvec(message).expect("messages are numbers, lists and text");
    write(to, MESSAGE, &body)
}

/// Writes bytes, in as many frames as they need; an empty one if there are none.
pub(crate) fn write_data(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return write(to, DATA, bytes);
    }
    bytes.chunks(DATA_BYTES_MAX).try_for_each(|piece| write(to, DATA, piece))
}

fn write(to: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).expect("a frame is shorter than 4 GiB");
    to.write_all(&[kind])?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_declares_more_than_the_limit_is_refused_before_memory_is_taken() {
        let mut frame = vec![DATA];
        frame.extend(u32::MAX.to_be_bytes());
        assert_eq!(read::<u8>(&mut frame.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut unknown = vec![7];
        unknown.extend(0_u32.to_be_bytes());
        assert!(read::<u8>(&mut unknown.as_slice()).is_err());
    }

    #[test]
    fn long_data_goes_in_several_frames() {
        let mut pipe = Vec::new();
        write_data(&mut pipe, &[7; DATA_BYTES_MAX + 1]).unwrap();
        let mut from = pipe.as_slice();
        let lengths = [(), ()].map(|()| match read::<u8>(&mut from).unwrap() {
            Frame::Data(bytes) => bytes.len(),
            Frame::Message(_) => 0,
        });
        assert_eq!((lengths, from.len()), ([DATA_BYTES_MAX, 1], 0));
    }
}
