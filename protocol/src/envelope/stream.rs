//! STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over ChaCha20-Poly1305: long bytes, sealed chunk by chunk.
//!
//! A chunk that is dropped, repeated, moved or missing at the end does not open: its number and whether it is the
//! last are in its nonce. The nonce's prefix is seven zero bytes, because a stream's key is used for one stream only.
//! Parcels use it with a committed key, staging with a random key a file (`protocol/SPEC.md`, Parcels).

use super::OpenError;
use crate::limits::{CHUNK_BYTES, CHUNK_PLAIN_BYTES};
use aead_stream::{NewStream, Nonce, StreamBE32, StreamPrimitive};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use std::{
    fmt,
    io::{self, Read},
};
use zeroize::{Zeroize, Zeroizing};

type Stream = StreamBE32<ChaCha20Poly1305>;

/// Where a chunk stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Others follow: exactly [`CHUNK_PLAIN_BYTES`] of plaintext.
    Middle,
    /// None follows.
    Last,
}

/// Seals a stream: bytes go in as they come, whole chunks come out.
pub struct Sealer {
    stream: Stream,
    next: u32,
    pending: Vec<u8>,
}

/// Opens chunks of a stream, in any order.
pub struct Opener(Stream);

impl Sealer {
    /// A stream under a key that was never used and is never used again.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { stream: stream(key), next: 0, pending: Vec::with_capacity(CHUNK_BYTES as usize) }
    }

    /// Takes more plaintext; `out` gets each chunk as it is full.
    ///
    /// # Errors
    /// Whatever `out` returns; the stream is then of no more use.
    pub fn push<E>(&mut self, mut plain: &[u8], out: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while !plain.is_empty() {
            if self.pending.len() == CHUNK_PLAIN_BYTES as usize {
                self.emit(Place::Middle, out)?;
            }
            let room = CHUNK_PLAIN_BYTES as usize - self.pending.len();
            let (now, later) = plain.split_at(room.min(plain.len()));
            self.pending.extend_from_slice(now);
            plain = later;
        }
        Ok(())
    }

    /// Seals what is left as the last chunk; an empty stream is one empty chunk.
    ///
    /// # Errors
    /// Whatever `out` returns.
    pub fn finish<E>(mut self, out: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.emit(Place::Last, out)
    }

    fn emit<E>(&mut self, place: Place, out: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let sealed = self.stream.encrypt_in_place(self.next, place == Place::Last, b"", &mut self.pending);
        sealed.expect("a chunk is under RFC 8439's limit");
        self.next = self.next.checked_add(1).expect("2^32 chunks are 256 TiB");
        let result = out(&self.pending);
        self.pending.clear();
        result
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.pending.zeroize();
    }
}

impl Opener {
    /// The other side of [`Sealer::new`].
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(stream(key))
    }

    /// Opens chunk `index` in place: `chunk` becomes its plaintext.
    ///
    /// # Errors
    /// [`OpenError::Refused`] if it is not that chunk of this stream, or too long for one.
    pub fn open(&self, index: u32, place: Place, chunk: &mut Vec<u8>) -> Result<(), OpenError> {
        let fits = match place {
            Place::Middle => chunk.len() == CHUNK_BYTES as usize,
            Place::Last => chunk.len() <= CHUNK_BYTES as usize,
        };
        if !fits {
            return Err(OpenError::Refused);
        }
        self.0.decrypt_in_place(index, place == Place::Last, b"", chunk).map_err(|_| OpenError::Refused)
    }
}

/// Opens a stream from its first chunk to its last, a chunk in memory at a time.
pub struct Reader<R> {
    source: R,
    /// None once anything went wrong: what follows is of no more use.
    opener: Option<Opener>,
    /// Sealed bytes that are still to come.
    left: u64,
    next: u32,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
}

impl<R: Read> Reader<R> {
    /// Of the `sealed_bytes` that `source` has, sealed under this key.
    #[must_use]
    pub fn new(key: &[u8; 32], source: R, sealed_bytes: u64) -> Self {
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES as usize));
        Self { source, opener: Some(Opener::new(key)), left: sealed_bytes, next: 0, chunk, at: 0 }
    }

    /// Fetches and opens the next chunk; false after the last.
    fn advance(&mut self) -> io::Result<bool> {
        if self.left == 0 && self.next > 0 {
            return Ok(false);
        }
        let place = if self.left <= u64::from(CHUNK_BYTES) { Place::Last } else { Place::Middle };
        let bytes = self.left.min(u64::from(CHUNK_BYTES));
        let opener = self.opener.take().ok_or(io::ErrorKind::InvalidData)?;
        self.chunk.resize(bytes as usize, 0);
        self.at = self.chunk.len();
        self.source.read_exact(&mut self.chunk)?;
        let opened = opener.open(self.next, place, &mut self.chunk);
        opened.map_err(|refused| io::Error::new(io::ErrorKind::InvalidData, refused))?;
        self.opener = Some(opener);
        (self.left, self.next, self.at) = (self.left - bytes, self.next + 1, 0);
        Ok(true)
    }
}

/// What does not open is an error of the kind [`io::ErrorKind::InvalidData`].
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let some = into.len().min(self.chunk.len() - self.at);
        into[..some].copy_from_slice(&self.chunk[self.at..self.at + some]);
        self.at += some;
        Ok(some)
    }
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("left", &self.left).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("next", &self.next).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

fn stream(key: &[u8; 32]) -> Stream {
    Stream::from_aead(ChaCha20Poly1305::new(&(*key).into()), &Nonce::<ChaCha20Poly1305, Stream>::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn sealed(bytes: usize) -> (Vec<u8>, Vec<u8>) {
        let plain: Vec<u8> = (0..bytes).map(|i| (i * 7 % 251) as u8).collect();
        let (mut out, mut sealer) = (Vec::new(), Sealer::new(&[9; 32]));
        let mut sink = |chunk: &[u8]| -> Result<(), Infallible> {
            out.extend_from_slice(chunk);
            Ok(())
        };
        plain.chunks(1000).for_each(|part| sealer.push(part, &mut sink).unwrap());
        sealer.finish(&mut sink).unwrap();
        (plain, out)
    }

    fn opened(sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Reader::new(&[9; 32], sealed, sealed.len() as u64).read_to_end(&mut plain)?;
        Ok(plain)
    }

    fn assert_refused(sealed: &[u8]) {
        assert_eq!(opened(sealed).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn opens_to_what_was_sealed_at_every_length_around_a_chunk() {
        let chunk = CHUNK_PLAIN_BYTES as usize;
        for bytes in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk] {
            let (plain, out) = sealed(bytes);
            assert_eq!(out.len(), bytes + 16 * bytes.div_ceil(chunk).max(1));
            assert_eq!(opened(&out).unwrap(), plain);
        }
    }

    #[test]
    fn stream_cut_at_a_chunk_does_not_open() {
        let (_, out) = sealed(3 * CHUNK_PLAIN_BYTES as usize);
        assert_refused(&out[..2 * CHUNK_BYTES as usize]);
        assert_refused(&[]);
    }

    #[test]
    fn nothing_is_read_after_an_error() {
        // A foreign chunk before the right one: skipping it would give bytes that stood elsewhere.
        let (_, good) = sealed(2 * CHUNK_PLAIN_BYTES as usize);
        let out = [vec![1; CHUNK_BYTES as usize], good].concat();
        let mut reader = Reader::new(&[9; 32], &*out, out.len() as u64);
        for _ in 0..2 {
            assert!(reader.read(&mut [0; 10]).is_err());
        }
    }

    #[test]
    fn chunks_in_another_order_or_twice_do_not_open() {
        let (_, out) = sealed(3 * CHUNK_PLAIN_BYTES as usize);
        let chunks: Vec<&[u8]> = out.chunks(CHUNK_BYTES as usize).collect();
        assert_refused(&[chunks[1], chunks[0], chunks[2]].concat());
        assert_refused(&[chunks[0], chunks[0], chunks[2]].concat());
        assert!(opened(&[chunks[0], chunks[1], chunks[2]].concat()).is_ok());
    }
}
