//! Chunks, pages and root: how a parcel is checked in pieces of 64 KiB on a link that is cut every few minutes.
//!
//! A manifest signs the root; the root names the pages; a page names its chunks. Whoever has a page can check every
//! chunk of its 8 MiB as it comes, without any key, and fetches again only what is damaged.

use crate::{
    envelope::tag,
    id::Hash,
    limits::{CHUNK_BYTES, PAGE_CHUNKS},
    wire::WireError,
};

/// Chunk hashes of one 8 MiB of a parcel, in order: 1 to [`PAGE_CHUNKS`] of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page(Vec<Hash>);

impl Page {
    /// From the hashes of chunks that were just sealed or read; cut at [`PAGE_CHUNKS`] by the caller.
    ///
    /// # Panics
    /// If there are none or more than [`PAGE_CHUNKS`].
    #[must_use]
    pub fn new(hashes: Vec<Hash>) -> Self {
        assert!((1..=PAGE_CHUNKS as usize).contains(&hashes.len()), "a page has 1 to {PAGE_CHUNKS} chunk hashes");
        Self(hashes)
    }

    /// Reads the bytes of a page as it travels: its hashes, one after the other.
    ///
    /// # Errors
    /// [`WireError`] when they are not 1 to [`PAGE_CHUNKS`] times 32 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let limit = PAGE_CHUNKS as usize * 32;
        if bytes.len() > limit {
            return Err(WireError::TooLong { what: "page", bytes: bytes.len(), limit });
        }
        let (hashes, rest) = bytes.as_chunks::<32>();
        if hashes.is_empty() || !rest.is_empty() {
            return Err(WireError::Malformed { what: "page" });
        }
        Ok(Self(hashes.iter().copied().map(Hash).collect()))
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|hash| hash.0).collect()
    }

    /// What the root is made of.
    #[must_use]
    pub fn hash(&self) -> Hash {
        page_hash(&self.0)
    }

    /// The hashes of its chunks, in order.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }
}

/// BLAKE3 of one sealed chunk.
#[must_use]
pub fn chunk_hash(chunk: &[u8]) -> Hash {
    Hash::of(chunk)
}

/// BLAKE3 of chunk hashes, one after the other.
#[must_use]
pub fn page_hash(hashes: &[Hash]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hashes.iter().for_each(|hash| {
        hasher.update(&hash.0);
    });
    Hash(*hasher.finalize().as_bytes())
}

/// BLAKE3 of the tag and the page hashes, one after the other.
#[must_use]
pub fn root(pages: &[Hash]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tag::ROOT.as_bytes());
    pages.iter().for_each(|hash| {
        hasher.update(&hash.0);
    });
    Hash(*hasher.finalize().as_bytes())
}

/// Chunks of `sealed_bytes`.
#[must_use]
pub const fn chunks_of(sealed_bytes: u64) -> u64 {
    sealed_bytes.div_ceil(CHUNK_BYTES as u64)
}

/// Pages of `sealed_bytes`.
#[must_use]
pub const fn pages_of(sealed_bytes: u64) -> u64 {
    chunks_of(sealed_bytes).div_ceil(PAGE_CHUNKS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_that_straddles_a_page_does_not_exist() {
        assert_eq!((chunks_of(8 * 1024 * 1024), pages_of(8 * 1024 * 1024)), (128, 1));
        assert_eq!((chunks_of(8 * 1024 * 1024 + 4096), pages_of(8 * 1024 * 1024 + 4096)), (129, 2));
    }

    #[test]
    fn page_of_half_a_hash_none_or_too_many_is_refused() {
        assert!(Page::parse(&[0; 48]).is_err());
        assert!(Page::parse(&[]).is_err());
        assert!(Page::parse(&[0; 129 * 32]).is_err());
        let page = Page::parse(&[5; 128 * 32]).unwrap();
        assert_eq!(page.bytes(), [5; 128 * 32]);
    }
}
