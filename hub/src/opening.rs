//! Opening: a parcel's bytes on this hub's disk become Instances whose every hash is checked.
//!
//! A case is *ready to read* only when an unlocked hub has opened all its parcels and counted what the clinic counted;
//! a part that is missing or miscounted must never look like a whole Study.

use crate::{Hub, core::Refused, export::Gather};
use radmesh_codec::group::Content;
use radmesh_protocol::{
    id::{CaseId, ManifestId, NodeId},
    log::{
        Scope,
        body::{Body, Opened},
    },
    node::Command,
    parcel::{
        PartKind,
        contents::{Contents, Group, PreviewContents},
        manifest::Manifest,
        open::{OpenError, Vouched},
    },
    transfer::shelf::Progress,
    wire::WireError,
    worklist::item::{Reading, WorklistItem},
};
use radmesh_worker::{DecodeFault, Workers};
use std::{collections::BTreeMap, io};
use zeroize::Zeroizing;

/// Why a parcel can't be read here and now.
#[derive(Debug, thiserror::Error)]
pub enum ParcelError {
    /// The hub is locked.
    #[error("this hub is locked")]
    Locked,
    /// Its bytes are not all here.
    #[error("not all bytes of parcel {0} are here yet")]
    NotHere(ManifestId),
    /// It stays closed.
    #[error("parcel {manifest}: {source}")]
    Open {
        /// Which.
        manifest: ManifestId,
        /// Why.
        source: OpenError,
    },
    /// What was sealed has no layout that this build knows.
    #[error("parcel {manifest}: {source}")]
    Layout {
        /// Which.
        manifest: ManifestId,
        /// Why.
        source: WireError,
    },
    /// What was coded does not decode to what was received.
    #[error("parcel {manifest}: {source}")]
    Decode {
        /// Which.
        manifest: ManifestId,
        /// Why.
        source: DecodeFault,
    },
    /// Parts of a group are missing or do not belong together.
    #[error("case {0}: a group's parts do not fit together")]
    Parts(CaseId),
    /// The reader is gone, or the disk failed.
    #[error("the files could not be given out: {0}")]
    Give(#[from] io::Error),
}

impl ParcelError {
    /// Whether the same bytes can only give the same error: what was sealed is not what its clinic counted.
    const fn stays(&self) -> bool {
        match self {
            Self::Layout { .. } | Self::Parts(_) => true,
            Self::Decode { source, .. } => source.stays(),
            Self::Locked | Self::NotHere(_) | Self::Open { .. } | Self::Give(_) => false,
        }
    }
}

impl Hub {
    /// One pass over the worklist: opens what is complete and not opened here yet.
    pub(crate) fn open_what_is_here(&self) {
        if !self.is_unlocked() {
            return;
        }
        self.keep_pool_keys();
        for (case, site, parcels) in self.waiting() {
            let body = match self.count(case, &parcels) {
                Ok(counted) => Box::new(Body::Opened(Opened { case, hub: self.me, parcels: counted })),
                Err(error) => {
                    tracing::warn!(%case, %error, "a case that is here could not be opened");
                    if error.stays() {
                        self.given_up().insert(case, parcels);
                    }
                    continue;
                }
            };
            if let Err(Refused(error)) = self.core.command(Command::Append { scope: Scope::Site(site), body }) {
                tracing::warn!(%case, error, "what was counted could not be written down");
            }
        }
    }

    /// Closed cases with every byte here that this hub has not counted.
    fn waiting(&self) -> Vec<(CaseId, NodeId, Vec<ManifestId>)> {
        let node = self.core.read();
        let complete =
            |manifest: &ManifestId| node.parcel(manifest).is_some_and(|view| view.progress == Progress::Complete);
        let closed = node.worklist().items().filter_map(|item| Some((item, item.closed.as_ref()?)));
        let given_up = self.given_up();
        let tried = |item: &WorklistItem, parcels: &BTreeMap<ManifestId, u32>| {
            given_up.get(&item.case).is_some_and(|tried| tried.iter().eq(parcels.keys()))
        };
        let here = closed.filter(|(item, parcels)| {
            matches!(item.reading, Reading::NotYet { .. }) && parcels.keys().all(complete) && !tried(item, parcels)
        });
        here.map(|(item, parcels)| (item.case, item.site, parcels.keys().copied().collect())).collect()
    }

    /// Opens every parcel of a case, decodes and checks every Instance, and counts them.
    fn count(&self, case: CaseId, parcels: &[ManifestId]) -> Result<Vec<(ManifestId, u32)>, ParcelError> {
        let mut counted = Vec::new();
        let mut gather = Gather::new(case);
        for id in parcels {
            let (manifest, packed) = self.open_parcel(*id)?;
            let mut instances = 0;
            if manifest.core().kind == PartKind::Preview {
                PreviewContents::parse(&packed).map_err(|source| ParcelError::Layout { manifest: *id, source })?;
            } else {
                for group in groups(*id, &packed)? {
                    // Late parts may come before their first; what is counted is what is whole.
                    if group.part + 1 == group.parts {
                        instances += u32::try_from(group.instances.len()).unwrap_or(u32::MAX);
                    }
                    if let Some(whole) = gather.whole(group)? {
                        self.check(*id, &whole)?;
                    }
                }
            }
            counted.push((*id, instances));
        }
        gather.finish()?;
        Ok(counted)
    }

    /// Decodes a group to see that it does. A child may die once of what the machine does, twice only of the group.
    fn check(&self, id: ManifestId, group: &Group) -> Result<(), ParcelError> {
        let decode = || decode(&self.workers, id, group, |_| Ok(Box::new(io::sink())));
        match decode() {
            Err(ParcelError::Decode { source: DecodeFault::Lost(_), .. }) => decode(),
            done => done,
        }
    }

    /// A parcel's packed bytes, every chunk checked against the signed manifest.
    pub(crate) fn open_parcel(&self, id: ManifestId) -> Result<(Manifest, Zeroizing<Vec<u8>>), ParcelError> {
        let (manifest, roster, witness) = {
            let node = self.core.read();
            let view = node.parcel(&id).filter(|view| view.progress == Progress::Complete);
            view.ok_or(ParcelError::NotHere(id))?;
            let manifest = node.manifest(&id).ok_or(ParcelError::NotHere(id))?.clone();
            let witness = node.worklist().witness(&manifest, node.roster());
            (manifest, node.roster().clone(), witness)
        };
        let closed = |source| ParcelError::Open { manifest: id, source };
        let vouched = Vouched::by(&roster, &manifest, witness).map_err(closed)?;
        let key = {
            let keys = self.keys.read().expect("no holder of the keys panics");
            keys.as_ref().ok_or(ParcelError::Locked)?.parcel_key(&vouched, &manifest).map_err(closed)?
        };
        let packed = vouched.open(&key, &mut |chunk| self.store.chunk(id, chunk)).map_err(closed)?;
        Ok((manifest, packed))
    }
}

/// The groups in a Series or late parcel.
pub(crate) fn groups(manifest: ManifestId, packed: &[u8]) -> Result<Vec<Group>, ParcelError> {
    Contents::parse(packed).map(|contents| contents.groups).map_err(|source| ParcelError::Layout { manifest, source })
}

/// Decodes a whole group; `out` opens what takes each Instance. Every Instance's hash was right when this is `Ok`.
pub(crate) fn decode<'o>(
    workers: &Workers,
    manifest: ManifestId,
    group: &Group,
    out: impl FnMut(usize) -> io::Result<Box<dyn io::Write + 'o>> + 'o,
) -> Result<(), ParcelError> {
    let expected = group.instances.iter().map(|entry| Content { bytes: entry.bytes, hash: entry.content.0 });
    workers
        .decode(&mut group.coded.as_slice(), &expected.collect::<Vec<_>>(), out)
        .map_err(|source| ParcelError::Decode { manifest, source })
}
