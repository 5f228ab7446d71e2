//! A manifest: the signed statement of what one parcel is, who may open it and what its bytes hash to.
//!
//! A relay that holds no key checks with it every byte it stores; a hub signs a receipt for it. What is hashed and
//! signed is `core`, laid out by hand, big-endian, and read back field by field: a manifest is the bytes that
//! travelled, never a re-serialisation (`protocol/SPEC.md`, Parcels).

use super::{PartKind, chunk};
use crate::{
    class::Class,
    envelope::{
        reading::ReadingPublic,
        sign::{BadSignature, Signature, SigningKey, verify},
        tag,
        wrap::{WRAP_BYTES, Wrap},
    },
    id::{CaseId, FederationId, Hash, ManifestId, NodeId, ParcelId, Region},
    limits::{MANIFEST_BYTES_MAX, PARCEL_BYTES_MAX, PARCEL_PAD_BYTES, WRAPS_MAX},
    roster::RosterVersion,
    wire::cursor::{Cursor, Put},
};

/// Version of the layout of `core`.
pub const CORE_VERSION: u16 = 1;

/// What is signed of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// 16 random bytes.
    pub parcel: ParcelId,
    /// The case it is a part of.
    pub case: CaseId,
    /// Which part.
    pub kind: PartKind,
    /// The node that sealed and signed it.
    pub signer: NodeId,
    /// Roster version the signer had seen.
    pub roster_version: RosterVersion,
    /// Whose law holds for it.
    pub jurisdiction: Region,
    /// The pool that may open it.
    pub pool: Region,
    /// Epoch of the pool's key.
    pub epoch: u32,
    /// Class at sealing; the latest order's class schedules.
    pub class: Class,
    /// Home hub at sealing; the roster's of today counts.
    pub home_hub: NodeId,
    /// Bytes of all chunks: a multiple of 4 KiB.
    pub sealed_bytes: u64,
    /// Number of chunks.
    pub chunks: u32,
    /// BLAKE3 over the page hashes.
    pub root: Hash,
    /// Commitment to the key.
    pub commitment: [u8; 32],
}

/// A parcel's core, wraps, signature and page hashes, and the bytes they came as. [`Self::parse`] has checked the
/// layout and the root; only [`Self::verify`] checks the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    core: Core,
    core_hash: Hash,
    wraps: Vec<Wrap>,
    wraps_hash: Hash,
    signature: Signature,
    pages: Vec<Hash>,
    bytes: Vec<u8>,
}

/// Bytes that are no manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More bytes than any manifest has.
    #[error("manifest has {bytes} bytes; at most {} are allowed", MANIFEST_BYTES_MAX)]
    TooLong {
        /// Bytes found.
        bytes: usize,
    },
    /// A layout of another version: stored and forwarded by who can, not by this build.
    #[error("manifest has layout {found}; this build reads {}", CORE_VERSION)]
    Version {
        /// The version found.
        found: u16,
    },
    /// A field ends too early, or holds what it can't.
    #[error("manifest can't be read at its {field}")]
    Malformed {
        /// The field.
        field: &'static str,
    },
    /// Sealed size, number of chunks and number of pages do not belong together.
    #[error("manifest of {sealed_bytes} sealed bytes names {chunks} chunks and {pages} pages")]
    Sizes {
        /// Sealed size.
        sealed_bytes: u64,
        /// Chunks named.
        chunks: u32,
        /// Page hashes found.
        pages: usize,
    },
    /// The page hashes are not those the core names.
    #[error("the manifest's page hashes do not give its root")]
    Root,
}

impl Core {
    /// `core` as hashed and signed.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut put = Put::default();
        put.u16(CORE_VERSION).bytes(&self.parcel.0).bytes(&self.case.0).u8(kind_byte(self.kind)).bytes(&self.signer.0);
        put.u64(self.roster_version.0).short_text(self.jurisdiction.as_str()).short_text(self.pool.as_str());
        put.u32(self.epoch).u8(class_byte(self.class)).bytes(&self.home_hub.0);
        put.u64(self.sealed_bytes).u32(self.chunks).bytes(&self.root.0).bytes(&self.commitment);
        put.into_bytes()
    }

    fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut from = Cursor::new(bytes);
        let bad = |field| move || ManifestError::Malformed { field };
        let version = from.u16().ok_or_else(bad("version"))?;
        if version != CORE_VERSION {
            return Err(ManifestError::Version { found: version });
        }
        let core = Self {
            parcel: ParcelId(from.array().ok_or_else(bad("parcel id"))?),
            case: CaseId(from.array().ok_or_else(bad("case"))?),
            kind: from.u8().and_then(kind_of).ok_or_else(bad("kind"))?,
            signer: NodeId(from.array().ok_or_else(bad("signer"))?),
            roster_version: RosterVersion(from.u64().ok_or_else(bad("roster version"))?),
            jurisdiction: region(&mut from).ok_or_else(bad("jurisdiction"))?,
            pool: region(&mut from).ok_or_else(bad("pool"))?,
            epoch: from.u32().ok_or_else(bad("epoch"))?,
            class: from.u8().and_then(class_of).ok_or_else(bad("class"))?,
            home_hub: NodeId(from.array().ok_or_else(bad("home hub"))?),
            sealed_bytes: from.u64().ok_or_else(bad("sealed size"))?,
            chunks: from.u32().ok_or_else(bad("chunk count"))?,
            root: Hash(from.array().ok_or_else(bad("root"))?),
            commitment: from.array().ok_or_else(bad("commitment"))?,
        };
        from.is_done().then_some(core).ok_or_else(bad("end of core"))
    }
}

impl Manifest {
    /// Signs a core and its wraps. The only maker is [`super::seal::seal`].
    pub(crate) fn sign(
        core: Core,
        wraps: Vec<Wrap>,
        pages: Vec<Hash>,
        signer: &SigningKey,
        federation: &FederationId,
    ) -> Self {
        let core_bytes = core.bytes();
        let wrap_bytes = wraps.iter().flat_map(Wrap::to_bytes).collect::<Vec<_>>();
        let (core_hash, wraps_hash) = (Hash::of(&core_bytes), Hash::of(&wrap_bytes));
        let signature = signer.sign(tag::MANIFEST, federation, &[core_hash.0, wraps_hash.0].concat());
        let mut put = Put::default();
        put.u16(u16::try_from(core_bytes.len()).expect("a core is under 400 bytes")).bytes(&core_bytes);
        put.u8(u8::try_from(wraps.len()).expect("at most 64 wraps")).bytes(&wrap_bytes).bytes(signature.as_bytes());
        pages.iter().for_each(|page| {
            put.bytes(&page.0);
        });
        Self { core, core_hash, wraps, wraps_hash, signature, pages, bytes: put.into_bytes() }
    }

    /// Reads a manifest as it travels or lies on disk, and checks that its page hashes give its root.
    ///
    /// # Errors
    /// [`ManifestError`] names the first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong { bytes: bytes.len() });
        }
        let bad = |field| move || ManifestError::Malformed { field };
        let mut from = Cursor::new(bytes);
        let core_bytes = from.u16().and_then(|length| from.take(usize::from(length))).ok_or_else(bad("core"))?;
        let core = Core::parse(core_bytes)?;
        let count = from.u8().map(usize::from).filter(|n| (1..=WRAPS_MAX).contains(n)).ok_or_else(bad("wrap count"))?;
        let wrap_bytes = from.take(count * WRAP_BYTES).ok_or_else(bad("wraps"))?;
        let wraps = wrap_bytes.as_chunks::<WRAP_BYTES>().0.iter().map(Wrap::from_bytes).collect();
        let signature = Signature::from_bytes(from.array().ok_or_else(bad("signature"))?);
        let (pages, rest) = from.rest().as_chunks::<32>();
        if !rest.is_empty() {
            return Err(bad("page hashes")());
        }
        let pages: Vec<Hash> = pages.iter().copied().map(Hash).collect();
        check_sizes(&core, pages.len())?;
        if chunk::root(&pages) != core.root {
            return Err(ManifestError::Root);
        }
        let (core_hash, wraps_hash) = (Hash::of(core_bytes), Hash::of(wrap_bytes));
        Ok(Self { core, core_hash, wraps, wraps_hash, signature, pages, bytes: bytes.to_vec() })
    }

    /// Whether the signer it names has signed it, in this federation. Whether that signer is a member is the
    /// roster's matter.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, federation: &FederationId) -> Result<(), BadSignature> {
        let signed = [self.core_hash.0, self.wraps_hash.0].concat();
        verify(&self.core.signer.0, tag::MANIFEST, federation, &signed, &self.signature)
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its name on the wire and on disk: the first 16 bytes of BLAKE3(core).
    #[must_use]
    pub fn id(&self) -> ManifestId {
        let (head, _) = self.core_hash.0.split_first_chunk().expect("16 of 32 bytes");
        ManifestId(*head)
    }

    /// What is signed.
    #[must_use]
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// BLAKE3(core): what announcements and receipts name.
    #[must_use]
    pub const fn core_hash(&self) -> Hash {
        self.core_hash
    }

    /// The hashes of its pages.
    #[must_use]
    pub fn page_hashes(&self) -> &[Hash] {
        &self.pages
    }

    /// Its key, wrapped to each recipient.
    #[must_use]
    pub fn wraps(&self) -> &[Wrap] {
        &self.wraps
    }

    /// The keys that can open it.
    pub fn recipients(&self) -> impl Iterator<Item = ReadingPublic> + '_ {
        self.wraps.iter().map(|wrap| wrap.to)
    }

    /// `info` of the wraps of this parcel's key, of those here and of every later grant.
    #[must_use]
    pub fn wrap_info(&self, federation: &FederationId) -> Vec<u8> {
        wrap_info(federation, &self.core_hash)
    }
}

/// `"radmesh/1 wrap" || federation id || BLAKE3(core)`.
pub(crate) fn wrap_info(federation: &FederationId, core: &Hash) -> Vec<u8> {
    [tag::WRAP.as_bytes(), federation.as_bytes(), core.as_bytes()].concat()
}

fn check_sizes(core: &Core, pages: usize) -> Result<(), ManifestError> {
    let size = core.sealed_bytes;
    let fits = (PARCEL_PAD_BYTES..=PARCEL_BYTES_MAX).contains(&size)
        && size.is_multiple_of(PARCEL_PAD_BYTES)
        && chunk::chunks_of(size) == u64::from(core.chunks)
        && chunk::pages_of(size) == pages as u64;
    fits.then_some(()).ok_or(ManifestError::Sizes { sealed_bytes: size, chunks: core.chunks, pages })
}

fn region(from: &mut Cursor<'_>) -> Option<Region> {
    from.short_text()?.parse().ok()
}

const fn kind_byte(kind: PartKind) -> u8 {
    match kind {
        PartKind::Preview => 1,
        PartKind::Series => 2,
        PartKind::Late => 3,
    }
}

const fn kind_of(byte: u8) -> Option<PartKind> {
    match byte {
        1 => Some(PartKind::Preview),
        2 => Some(PartKind::Series),
        3 => Some(PartKind::Late),
        _ => None,
    }
}

const fn class_byte(class: Class) -> u8 {
    match class {
        Class::Control => 0,
        Class::Stat => 1,
        Class::Urgent => 2,
        Class::Routine => 3,
        Class::Prior => 4,
    }
}

const fn class_of(byte: u8) -> Option<Class> {
    match byte {
        0 => Some(Class::Control),
        1 => Some(Class::Stat),
        2 => Some(Class::Urgent),
        3 => Some(Class::Routine),
        4 => Some(Class::Prior),
        _ => None,
    }
}
