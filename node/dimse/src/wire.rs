//! PDUs on a stream, bounded before anything reads them.
//!
//! Whoever connects can announce 4 GB in six bytes. The one rule: a PDU's length is checked against the maximum of
//! its type before a byte of it is taken, memory grows only with bytes that arrived, and a PDU has to be whole within
//! a time given by the caller. Only a whole frame goes to dicom-ul's reader, whose every copy is then bounded by the
//! frame. PS3.8 section 9.3.

use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu, read_pdu, write_pdu};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Bytes of an A-ASSOCIATE PDU at most: 128 contexts of 20 transfer syntaxes each take about 80 KB.
pub const ASSOCIATE_BYTES_MAX: u32 = 128 * 1024;
/// Bytes of a P-DATA-TF PDU that can be agreed, at least: the smallest that DCMTK offers.
pub const PDU_BYTES_MIN: u32 = 4 * 1024;
/// Bytes of a P-DATA-TF PDU that can be agreed, at most: the largest that DCMTK offers.
pub const PDU_BYTES_MAX: u32 = 128 * 1024;
/// Bytes of A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP and A-ABORT after the header (PS3.8 sections 9.3.4 to 9.3.8).
const SHORT_BYTES: u32 = 4;
/// Type, a reserved byte, and the length.
const HEADER_BYTES: usize = 6;
/// Length, context and control header of one presentation data value, inside the PDU's length.
const VALUE_HEADER_BYTES: u32 = 6;

// dicom-ul takes no maximum below 1,018.
const _: () = assert!(PDU_BYTES_MIN > 1_018 && PDU_BYTES_MAX <= ASSOCIATE_BYTES_MAX);

/// Why a PDU could not be read or written. Holds nothing a peer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// The peer closed the connection between two PDUs.
    #[error("the peer closed the connection")]
    Closed,
    /// The connection broke inside a PDU, or at a write.
    #[error("the connection broke ({0})")]
    Broken(io::ErrorKind),
    /// The PDU was not whole, or not taken, in time.
    #[error("the peer was silent for {} s", .0.as_secs())]
    Late(Duration),
    /// Longer than its type may be.
    #[error("a PDU of type {pdu_type} announces {bytes} bytes; at most {max} are taken")]
    TooLong {
        /// PS3.8 section 9.3.1: 1 to 7.
        pdu_type: u8,
        /// As announced.
        bytes: u32,
        /// The limit.
        max: u32,
    },
    /// No type of PS3.8.
    #[error("{pdu_type} is no PDU type")]
    Unrecognized {
        /// As read.
        pdu_type: u8,
    },
    /// Inside, a length or a value breaks PS3.8.
    #[error("a PDU of type {pdu_type} breaks PS3.8")]
    Malformed {
        /// PS3.8 section 9.3.1: 1 to 7.
        pdu_type: u8,
    },
    /// We have something to say that no PDU can hold.
    #[error("a PDU cannot be written")]
    Unwritable,
}

/// Checks a PDU's header and gives the bytes that follow it.
fn body_bytes(header: [u8; HEADER_BYTES], data_max: u32) -> Result<u32, PduError> {
    let [pdu_type, _, length @ ..] = header;
    let bytes = u32::from_be_bytes(length);
    let max = match pdu_type {
        1 | 2 => ASSOCIATE_BYTES_MAX,
        4 => data_max,
        3 | 5..=7 => SHORT_BYTES,
        _ => return Err(PduError::Unrecognized { pdu_type }),
    };
    if bytes > max { Err(PduError::TooLong { pdu_type, bytes, max }) } else { Ok(bytes) }
}

/// Reads one whole PDU, header included, as a stream would deliver it; `data_max` as in [`Pdus::new`].
///
/// # Errors
/// [`PduError::TooLong`], [`PduError::Unrecognized`], [`PduError::Malformed`].
pub fn parse(frame: &[u8], data_max: u32) -> Result<Pdu, PduError> {
    let header = frame.first_chunk().ok_or(PduError::Malformed { pdu_type: 0 })?;
    let pdu_type = header[0];
    let bytes = body_bytes(*header, data_max)?;
    if frame.len() - HEADER_BYTES != bytes as usize {
        return Err(PduError::Malformed { pdu_type });
    }
    // dicom-ul's error quotes the peer's text, which must not reach a log.
    read_pdu(frame, ASSOCIATE_BYTES_MAX, true).ok().flatten().ok_or(PduError::Malformed { pdu_type })
}

/// PDUs in both directions over any stream: TCP, TLS, or memory.
#[derive(Debug)]
pub struct Pdus<S> {
    stream: S,
    data_max: u32,
    frame: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pdus<S> {
    /// `data_max`: bytes of a P-DATA-TF PDU taken, as told to the peer ([`PDU_BYTES_MIN`] to [`PDU_BYTES_MAX`]).
    pub const fn new(stream: S, data_max: u32) -> Self {
        Self { stream, data_max, frame: Vec::new() }
    }

    /// The next PDU, whole within `within`.
    ///
    /// # Errors
    /// The stream is of no further use then.
    pub async fn read(&mut self, within: Duration) -> Result<Pdu, PduError> {
        timeout(within, self.read_frame()).await.map_err(|_| PduError::Late(within))??;
        parse(&self.frame, self.data_max)
    }

    /// Sends a PDU, taken by the peer's side of the stream within `within`.
    ///
    /// # Errors
    /// The stream is of no further use then.
    pub async fn write(&mut self, pdu: &Pdu, within: Duration) -> Result<(), PduError> {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).map_err(|_| PduError::Unwritable)?;
        let send = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        timeout(within, send).await.map_err(|_| PduError::Late(within))?.map_err(|error| PduError::Broken(error.kind()))
    }

    /// Waits until the peer has closed, so that what was written last is not lost to a reset; gives up after `within`.
    pub async fn linger(&mut self, within: Duration) {
        let drain = async {
            // A peer that goes on talking is read to no purpose, and to no end but the time given.
            if self.stream.shutdown().await.is_ok() {
                while let Ok(1..) = self.stream.read(&mut [0; 4096]).await {}
            }
        };
        // Late or not, the stream is dropped next.
        let _ = timeout(within, drain).await;
    }

    async fn read_frame(&mut self) -> Result<(), PduError> {
        let mut header = [0; HEADER_BYTES];
        // The end of the stream is a plain end only before the first byte of a PDU.
        if self.stream.read(&mut header[..1]).await.map_err(|error| PduError::Broken(error.kind()))? == 0 {
            return Err(PduError::Closed);
        }
        self.stream.read_exact(&mut header[1..]).await.map_err(|error| PduError::Broken(error.kind()))?;
        let bytes = body_bytes(header, self.data_max)?;
        self.frame.clear();
        self.frame.extend_from_slice(&header);
        let taken = (&mut self.stream).take(u64::from(bytes)).read_to_end(&mut self.frame).await;
        match taken.map_err(|error| PduError::Broken(error.kind()))? {
            whole if whole == bytes as usize => Ok(()),
            _ => Err(PduError::Broken(io::ErrorKind::UnexpectedEof)),
        }
    }
}

/// Bytes of a message that fit one presentation data value, for a peer that said it takes PDUs of `peer_max` bytes
/// (0: of any length, PS3.8 annex D.1). Even, because some readers want it so.
#[must_use]
pub fn fragment_bytes(peer_max: u32) -> usize {
    let pdu = if peer_max == 0 { PDU_BYTES_MAX } else { peer_max.min(PDU_BYTES_MAX) };
    (pdu.saturating_sub(VALUE_HEADER_BYTES) & !1).max(2) as usize
}

/// The P-DATA-TF PDUs of a command set, in fragments that the peer takes.
pub fn command_pdus(context: u8, bytes: &[u8], peer_max: u32) -> impl Iterator<Item = Pdu> {
    let fragment = fragment_bytes(peer_max);
    let last = bytes.len().div_ceil(fragment).saturating_sub(1);
    bytes
        .chunks(fragment)
        .enumerate()
        .map(move |(n, part)| value_pdu(context, PDataValueType::Command, n == last, part.to_vec()))
}

/// One P-DATA-TF PDU of a data set; `data` of at most [`fragment_bytes`].
#[must_use]
pub fn data_pdu(context: u8, place: Place, data: Vec<u8>) -> Pdu {
    value_pdu(context, PDataValueType::Data, place == Place::Last, data)
}

/// Where a fragment stands in its data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// More follow.
    Inner,
    /// None follows.
    Last,
}

fn value_pdu(context: u8, value_type: PDataValueType, is_last: bool, data: Vec<u8>) -> Pdu {
    Pdu::PData { data: vec![PDataValue { presentation_context_id: context, value_type, is_last, data }] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WITHIN: Duration = Duration::from_secs(5);

    fn pdus(bytes: Vec<u8>) -> Pdus<tokio::io::Join<io::Cursor<Vec<u8>>, tokio::io::Sink>> {
        Pdus::new(tokio::io::join(io::Cursor::new(bytes), tokio::io::sink()), PDU_BYTES_MAX)
    }

    #[tokio::test]
    async fn a_false_length_takes_no_memory() {
        for (pdu_type, max) in [(1, ASSOCIATE_BYTES_MAX), (4, PDU_BYTES_MAX), (7, SHORT_BYTES)] {
            let mut pdus = pdus(vec![pdu_type, 0, 0xff, 0xff, 0xff, 0xfe, 0, 0]);
            assert_eq!(pdus.read(WITHIN).await, Err(PduError::TooLong { pdu_type, bytes: 0xffff_fffe, max }));
            assert_eq!(pdus.frame.capacity(), 0);
        }
    }

    #[tokio::test]
    async fn memory_grows_only_with_bytes_that_came() {
        let mut pdus = pdus([&[4, 0, 0, 1, 0xff, 0][..], &[0; 100]].concat());
        assert_eq!(pdus.read(WITHIN).await, Err(PduError::Broken(io::ErrorKind::UnexpectedEof)));
        assert!(pdus.frame.capacity() < 1024, "{}", pdus.frame.capacity());
    }

    #[tokio::test]
    async fn an_end_between_pdus_is_told_from_an_end_inside_one() {
        assert_eq!(pdus(vec![]).read(WITHIN).await, Err(PduError::Closed));
        assert_eq!(pdus(vec![5, 0]).read(WITHIN).await, Err(PduError::Broken(io::ErrorKind::UnexpectedEof)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_dribbles_a_pdu_is_late() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut pdus = Pdus::new(near, PDU_BYTES_MAX);
        far.write_all(&[5, 0, 0]).await.unwrap();
        assert_eq!(pdus.read(WITHIN).await, Err(PduError::Late(WITHIN)));
    }

    #[test]
    fn a_fragment_and_its_header_fit_what_the_peer_takes() {
        for peer_max in [16_384, 16_383, 4_096, 1_000] {
            assert!(fragment_bytes(peer_max) as u32 + VALUE_HEADER_BYTES <= peer_max);
        }
        assert_eq!(fragment_bytes(0) as u32 + VALUE_HEADER_BYTES, PDU_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn no_frame_panics_the_reader(pdu_type in 0u8..9, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut frame = vec![pdu_type, 0];
            frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
            frame.extend_from_slice(&body);
            let _ = parse(&frame, PDU_BYTES_MAX);
        }
    }
}
