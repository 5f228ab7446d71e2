//! Sealing a parcel: packed bytes in, chunks and a signed manifest out.
//!
//! The key is random, derived from nothing and used once: what was sealed is never sealed again under it, and a
//! crash before the manifest is on disk makes a new key and a new parcel. The recovery key is a recipient without
//! exception, so that no hospital can lose its own Studies (`protocol/SPEC.md`, Parcels).

use super::{
    PartKind,
    chunk::{self, Page, chunk_hash},
    manifest::{Core, Manifest, wrap_info},
};
use crate::{
    class::Class,
    envelope::{
        derive::body_key,
        pad::{HEAD_BYTES, TAG_BYTES, padded_end},
        reading::ReadingPublic,
        sign::SigningKey,
        stream::Sealer,
        tag,
        wrap::{BadRecipient, wrap},
    },
    id::{CaseId, FederationId, Hash, NodeId, ParcelId, Region},
    limits::{CHUNK_BYTES, CHUNK_PLAIN_BYTES, PAGE_CHUNKS, PARCEL_BYTES_MAX, PARCEL_PAD_BYTES},
    roster::RosterVersion,
};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// Packed bytes that one parcel holds at most: what fits into [`PARCEL_BYTES_MAX`] sealed bytes.
pub const PACKED_BYTES_MAX: u64 = PARCEL_BYTES_MAX / CHUNK_BYTES as u64 * CHUNK_PLAIN_BYTES as u64 - HEAD_BYTES;

/// What the manifest will say besides what is computed.
#[derive(Debug, Clone)]
pub struct SealFacts {
    /// The federation.
    pub federation: FederationId,
    /// The case it is a part of.
    pub case: CaseId,
    /// Which part.
    pub kind: PartKind,
    /// Roster version seen.
    pub roster_version: RosterVersion,
    /// Whose law holds for it.
    pub jurisdiction: Region,
    /// The pool that may open it.
    pub pool: Region,
    /// Epoch of the pool's key.
    pub epoch: u32,
    /// Class of the case, or of its preview.
    pub class: Class,
    /// The home hub of today.
    pub home_hub: NodeId,
    /// The pool's key of that epoch.
    pub pool_key: ReadingPublic,
    /// The federation's recovery key.
    pub recovery: ReadingPublic,
}

/// The random key of one parcel. Leaves memory when dropped and never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct ParcelKey(pub(super) Zeroizing<[u8; 32]>);

/// What sealing gives besides the chunks.
#[derive(Debug)]
pub struct Sealed {
    /// The signed manifest.
    pub manifest: Manifest,
    /// Chunk hashes, 8 MiB a page.
    pub pages: Vec<Page>,
    /// For reading back once; drop it when the manifest is persisted.
    pub key: ParcelKey,
}

/// A parcel that can't be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError<E> {
    /// More bytes than one parcel holds.
    #[error("{bytes} packed bytes; a parcel holds at most {}", PACKED_BYTES_MAX)]
    TooLong {
        /// Bytes given.
        bytes: u64,
    },
    /// A recipient's key is no key.
    #[error(transparent)]
    Recipient(#[from] BadRecipient),
    /// The chunks could not be written.
    #[error("the chunks could not be written: {0}")]
    Out(E),
}

/// Seals `packed`. `out` gets every chunk in order, to write into the parcel's file; besides `packed` it holds one
/// chunk in memory.
///
/// # Errors
/// [`SealError`].
pub fn seal<E>(
    packed: &[u8],
    facts: &SealFacts,
    signer: &SigningKey,
    rng: &mut impl CryptoRng,
    out: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<Sealed, SealError<E>> {
    let bytes = packed.len() as u64;
    if bytes > PACKED_BYTES_MAX {
        return Err(SealError::TooLong { bytes });
    }
    let (mut secret, mut id) = (Zeroizing::new([0; 32]), [0; 16]);
    rng.fill_bytes(&mut *secret);
    rng.fill_bytes(&mut id);
    let (key, commitment) = body_key(&secret, &facts.federation, tag::PARCEL, &id);

    let (mut sealed_bytes, mut hashes) = (0, Vec::with_capacity((bytes / u64::from(CHUNK_PLAIN_BYTES)) as usize + 1));
    let mut emit = |sealed: &[u8]| {
        sealed_bytes += sealed.len() as u64;
        hashes.push(chunk_hash(sealed));
        out(sealed)
    };
    let mut sealer = Sealer::new(&key.0);
    let zeros = padded_bytes(bytes) - HEAD_BYTES - bytes;
    sealer.push(&bytes.to_be_bytes(), &mut emit).map_err(SealError::Out)?;
    sealer.push(packed, &mut emit).map_err(SealError::Out)?;
    sealer.push(&[0; PARCEL_PAD_BYTES as usize][..zeros as usize], &mut emit).map_err(SealError::Out)?;
    sealer.finish(&mut emit).map_err(SealError::Out)?;

    let pages: Vec<Page> = hashes.chunks(PAGE_CHUNKS as usize).map(|page| Page::new(page.to_vec())).collect();
    let page_hashes: Vec<Hash> = pages.iter().map(Page::hash).collect();
    let core = Core {
        parcel: ParcelId(id),
        case: facts.case,
        kind: facts.kind,
        signer: signer.node_id(),
        roster_version: facts.roster_version,
        jurisdiction: facts.jurisdiction.clone(),
        pool: facts.pool.clone(),
        epoch: facts.epoch,
        class: facts.class,
        home_hub: facts.home_hub,
        sealed_bytes,
        chunks: u32::try_from(hashes.len()).expect("at most 512 chunks"),
        root: chunk::root(&page_hashes),
        commitment: commitment.0,
    };
    let info = wrap_info(&facts.federation, &Hash::of(&core.bytes()));
    let recipients = [facts.pool_key, facts.recovery];
    let wraps = recipients.iter().map(|to| wrap(&secret, to, &info, rng)).collect::<Result<_, _>>()?;
    let manifest = Manifest::sign(core, wraps, page_hashes, signer, &facts.federation);
    Ok(Sealed { manifest, pages, key: ParcelKey(secret) })
}

/// Plaintext bytes, head and zeros included, of a parcel of `packed` bytes: the last chunk fills a multiple of 4 KiB.
pub(super) const fn padded_bytes(packed: u64) -> u64 {
    let full = (HEAD_BYTES + packed - 1) / CHUNK_PLAIN_BYTES as u64 * CHUNK_PLAIN_BYTES as u64;
    full + padded_end(HEAD_BYTES + packed - full, PARCEL_PAD_BYTES)
}

/// Sealed bytes of a parcel of `packed` bytes.
#[must_use]
pub const fn sealed_bytes(packed: u64) -> u64 {
    let plain = padded_bytes(packed);
    plain + plain.div_ceil(CHUNK_PLAIN_BYTES as u64) * TAG_BYTES
}

impl fmt::Debug for ParcelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParcelKey")
    }
}
