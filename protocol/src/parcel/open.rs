//! Opening a parcel, in order: signature, membership, unwrap, commitment, chunks.
//!
//! A reader sees pixels only from a parcel that a member signed. Whatever fails after the membership is one and
//! the same [`OpenError::Closed`]: whether bytes on disk are damaged is asked without any key, by their hashes
//! (`protocol/SPEC.md`, Parcels).

use super::{
    chunk::{chunk_hash, page_hash},
    manifest::Manifest,
    seal::{ParcelKey, Sealed, sealed_bytes},
};
use crate::{
    envelope::{
        self,
        derive::{Commitment, committed_key},
        pad::HEAD_BYTES,
        reading::ReadingKey,
        stream::{Opener, Place},
        tag,
        wrap::unwrap_any,
    },
    id::{FederationId, Hash, NodeId},
    limits::{CHUNK_BYTES, PAGE_CHUNKS},
    roster::{Roster, RosterVersion, Standing},
};
use zeroize::Zeroizing;

/// Why a parcel stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The signer it names has not signed it, in this federation.
    #[error("the manifest's signature does not hold")]
    Signature,
    /// Nobody the ministry ever admitted.
    #[error("signed by {signer}, who is no member")]
    NotAMember {
        /// The signer.
        signer: NodeId,
    },
    /// The signer's membership ended, and no event of the home hub shows that it signed before.
    #[error("signed by {signer}, revoked with roster version {at}: kept for review")]
    Revoked {
        /// The signer.
        signer: NodeId,
        /// When.
        at: RosterVersion,
    },
    /// It does not open with this key, or its bytes are not those that were sealed.
    #[error(transparent)]
    Closed(#[from] envelope::OpenError),
    /// A chunk could not be read.
    #[error("chunk {chunk} is not here")]
    Missing {
        /// The chunk, from 0.
        chunk: u32,
    },
}

/// What shows that a revoked signer signed before its revocation; [`crate::worklist::Worklist::witness`] says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// Nothing does.
    None,
    /// A receipt of the home hub that names BLAKE3(core), written with an earlier roster version.
    HomeHub,
    /// The ministry itself opens it with the recovery key, and is told that the signer was revoked.
    Ministry,
}

/// A manifest whose signature and signer were checked: nothing else can be opened.
#[derive(Debug, Clone, Copy)]
pub struct Vouched<'a> {
    manifest: &'a Manifest,
    federation: FederationId,
}

impl<'a> Vouched<'a> {
    /// Nothing checked, for a test of what comes after.
    #[cfg(test)]
    pub(super) const fn unchecked(manifest: &'a Manifest, federation: FederationId) -> Self {
        Self { manifest, federation }
    }

    /// Signature, then membership.
    ///
    /// # Errors
    /// [`OpenError::Signature`], [`OpenError::NotAMember`] or [`OpenError::Revoked`].
    pub fn by(roster: &Roster, manifest: &'a Manifest, witness: Witness) -> Result<Self, OpenError> {
        let (federation, signer) = (roster.federation(), manifest.core().signer);
        manifest.verify(&federation).map_err(|_| OpenError::Signature)?;
        let member = roster.node(&signer).ok_or(OpenError::NotAMember { signer })?;
        match (member.standing, witness) {
            (Standing::Member, _) | (Standing::Revoked { .. }, Witness::HomeHub | Witness::Ministry) => {
                Ok(Self { manifest, federation })
            }
            (Standing::Revoked { at }, Witness::None) => Err(OpenError::Revoked { signer, at }),
        }
    }

    /// Unwrap, then commitment: the parcel's key, for one whose key is among the recipients.
    ///
    /// # Errors
    /// [`OpenError::Closed`].
    pub fn unwrap_key(&self, key: &ReadingKey) -> Result<ParcelKey, OpenError> {
        let secret = unwrap_any(self.manifest.wraps(), key, &self.manifest.wrap_info(&self.federation))?;
        let key = ParcelKey(secret);
        self.body_key(&key)?;
        Ok(key)
    }

    /// All packed bytes. `chunks` reads a chunk of the parcel's file; `None` if it can't.
    ///
    /// # Errors
    /// [`OpenError::Closed`] or [`OpenError::Missing`].
    pub fn open(
        &self,
        key: &ParcelKey,
        chunks: &mut dyn FnMut(u32) -> Option<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let mut packed = Zeroizing::new(Vec::new());
        // The size was checked against PARCEL_BYTES_MAX when the manifest was parsed.
        packed.reserve_exact(self.manifest.core().sealed_bytes as usize);
        self.open_into(key, chunks, &mut |plain| packed.extend_from_slice(plain))?;
        Ok(packed)
    }

    /// As [`Self::open`], in pieces of at most one chunk, in order. What `sink` got counts only when `Ok` is returned.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_into(
        &self,
        key: &ParcelKey,
        chunks: &mut dyn FnMut(u32) -> Option<Vec<u8>>,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), OpenError> {
        let core = self.manifest.core();
        let opener = Opener::new(&self.body_key(key)?.0);
        let (mut hashes, mut plain) = (Vec::with_capacity(PAGE_CHUNKS as usize), Unpadding::default());
        for index in 0..core.chunks {
            let is_last = index + 1 == core.chunks;
            let mut chunk = Zeroizing::new(chunks(index).ok_or(OpenError::Missing { chunk: index })?);
            let bytes = if is_last {
                core.sealed_bytes - u64::from(index) * u64::from(CHUNK_BYTES)
            } else {
                u64::from(CHUNK_BYTES)
            };
            if chunk.len() as u64 != bytes {
                return Err(envelope::OpenError::Refused.into());
            }
            hashes.push(chunk_hash(&chunk));
            if is_last || hashes.len() == PAGE_CHUNKS as usize {
                self.check_page(index / PAGE_CHUNKS, &hashes)?;
                hashes.clear();
            }
            opener.open(index, if is_last { Place::Last } else { Place::Middle }, &mut chunk)?;
            plain.take(&chunk, sink)?;
        }
        plain.finish(core.sealed_bytes)
    }

    // Two relays must not be given different chunks that both open: what opens is what the root names.
    fn check_page(&self, page: u32, hashes: &[Hash]) -> Result<(), OpenError> {
        let named = self.manifest.page_hashes().get(page as usize);
        if named == Some(&page_hash(hashes)) { Ok(()) } else { Err(envelope::OpenError::Refused.into()) }
    }

    fn body_key(&self, key: &ParcelKey) -> Result<envelope::derive::BodyKey, OpenError> {
        let core = self.manifest.core();
        let signed = Commitment(core.commitment);
        Ok(committed_key(&key.0, &self.federation, tag::PARCEL, core.parcel.as_bytes(), &signed)?)
    }
}

/// Reads a parcel that was just sealed back from its file and compares it with what was packed, before anything is
/// announced or deleted.
///
/// # Errors
/// [`OpenError`] if the file does not hold exactly what was packed.
pub fn read_back(
    sealed: &Sealed,
    packed: &[u8],
    federation: FederationId,
    chunks: &mut dyn FnMut(u32) -> Option<Vec<u8>>,
) -> Result<(), OpenError> {
    sealed.manifest.verify(&federation).map_err(|_| OpenError::Signature)?;
    let ours = Vouched { manifest: &sealed.manifest, federation };
    let mut rest = Some(packed);
    ours.open_into(&sealed.key, chunks, &mut |plain| rest = rest.and_then(|rest| rest.strip_prefix(plain)))?;
    if rest == Some(&[]) { Ok(()) } else { Err(envelope::OpenError::Refused.into()) }
}

/// Takes the length off the front and the zeros off the end of a stream's plaintext.
#[derive(Default)]
struct Unpadding {
    bytes: Option<u64>,
    given: u64,
}

impl Unpadding {
    fn take(&mut self, mut plain: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), envelope::OpenError> {
        let bytes = match self.bytes {
            Some(bytes) => bytes,
            None => {
                let (head, rest) = plain.split_first_chunk().ok_or(envelope::OpenError::Refused)?;
                plain = rest;
                *self.bytes.insert(u64::from_be_bytes(*head))
            }
        };
        let left = usize::try_from(bytes - self.given).unwrap_or(usize::MAX).min(plain.len());
        let (text, zeros) = plain.split_at(left);
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(envelope::OpenError::Refused);
        }
        self.given += text.len() as u64;
        if !text.is_empty() {
            sink(text);
        }
        Ok(())
    }

    // Exactly as much padding as the rule asks for: otherwise two sealings of one text would both be right.
    fn finish(&self, sealed: u64) -> Result<(), OpenError> {
        let whole = self.bytes == Some(self.given) && sealed_bytes(self.given) == sealed && sealed > HEAD_BYTES;
        whole.then_some(()).ok_or(OpenError::Closed(envelope::OpenError::Refused))
    }
}
