//! Opening: a parcel's bytes on this hub's disk become Instances whose every hash is checked.
//!
//! A case is *ready to read* only when an unlocked hub has opened all its parcels and counted what the clinic counted;
//! a part that is missing or miscounted must never look like a whole Study. Parcels are opened as they come, long before
//! their Study is whole, and what they decode to is kept for its reader ([`crate::opened`]).

use crate::{
    Hub,
    core::Refused,
    export::Gather,
    opened::{Filling, Name, Room},
};
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
        contents::{Contents, Flag, Group, PreviewContents},
        manifest::Manifest,
        open::{OpenError, Vouched},
    },
    transfer::shelf::Progress,
    wire::WireError,
    worklist::item::Reading,
};
use radmesh_worker::{DecodeFault, Workers};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    rc::Rc,
};
use zeroize::Zeroizing;

/// What this hub has opened since it was unlocked.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Parcels that were opened, or could not be, and how many of their Instances a reader must be told what of.
    pub(crate) parcels: BTreeMap<ManifestId, BTreeMap<Flag, u32>>,
    /// Parcels that were complete at the unlock.
    backlog: Option<BTreeSet<ManifestId>>,
}

/// One thing to open.
enum Step {
    /// A parcel, before its Study is whole or its reader asks.
    Ahead(ManifestId, Room),
    /// A whole Study that nobody has counted.
    Count { case: CaseId, site: NodeId, parcels: Vec<ManifestId> },
}

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
    /// Opens what is here and not opened yet, the most urgent first; what becomes more urgent meanwhile goes ahead.
    pub(crate) fn open_what_is_here(&self) {
        if !self.is_unlocked() {
            return;
        }
        let mut tried = BTreeSet::new();
        loop {
            self.keep_pool_keys();
            self.opened.make_way();
            let Some(step) = self.next(&tried) else { return };
            match step {
                Step::Ahead(id, room) => self.open_ahead(id, room),
                Step::Count { case, site, parcels } => {
                    tried.insert(case);
                    self.count_case(case, site, parcels);
                }
            }
        }
    }

    /// What to open next. `tried` are cases that this pass has counted, or could not.
    fn next(&self, tried: &BTreeSet<CaseId>) -> Option<Step> {
        let node = self.core.read();
        let complete =
            |manifest: &ManifestId| node.parcel(manifest).is_some_and(|view| view.progress == Progress::Complete);
        let mut seen = self.seen();
        let Seen { parcels: seen, backlog } = &mut *seen;
        let backlog = backlog.get_or_insert_with(|| {
            node.parcels().map(|parcel| parcel.manifest).filter(|manifest| complete(manifest)).collect()
        });
        seen.retain(|manifest, _| node.parcel(manifest).is_some());
        let given_up = self.given_up();
        let is_given_up = |case: &CaseId, parcels: &BTreeMap<ManifestId, u32>| {
            given_up.get(case).is_some_and(|tried| tried.iter().eq(parcels.keys()))
        };
        node.worklist().by_priority().into_iter().find_map(|item| {
            let is_counted = !matches!(item.reading, Reading::NotYet { .. });
            let closed = item.closed.as_ref().filter(|parcels| !is_counted && parcels.keys().all(complete));
            if let Some(parcels) =
                closed.filter(|parcels| !tried.contains(&item.case) && !is_given_up(&item.case, parcels))
            {
                let parcels = parcels.keys().copied().collect();
                return Some(Step::Count { case: item.case, site: item.site, parcels });
            }
            let with_images = item.parcels.iter().filter(|(_, parcel)| parcel.kind != PartKind::Preview);
            let mut new = with_images.map(|(id, _)| *id).filter(|id| !seen.contains_key(id) && complete(id));
            // What was here at the unlock is opened for those who have not reported on it, as far as there is room.
            let is_read = item.standing.is_some();
            new.find(|id| !(is_read && backlog.contains(id)))
                .map(|id| Step::Ahead(id, if backlog.contains(&id) { Room::Free } else { Room::Made }))
        })
    }

    /// Opens a parcel before anybody asks for it.
    fn open_ahead(&self, id: ManifestId, room: Room) {
        let opened = self.open_parcel(id).and_then(|(_, packed)| groups(id, &packed));
        let checked = opened.and_then(|groups| {
            self.told(id, &groups);
            // The rest of a group in parts may be on its way; it is opened with the whole Study.
            groups.iter().filter(|group| group.parts <= 1).try_for_each(|group| self.check(id, group, room))
        });
        if let Err(error) = checked {
            // Said again, and acted on, when its Study is counted.
            tracing::warn!(parcel = %id, %error, "a parcel that is here could not be opened");
            self.seen().parcels.entry(id).or_default();
        }
    }

    fn count_case(&self, case: CaseId, site: NodeId, parcels: Vec<ManifestId>) {
        let body = match self.count(case, &parcels) {
            Ok(counted) => Box::new(Body::Opened(Opened { case, hub: self.me, parcels: counted })),
            Err(error) => {
                tracing::warn!(%case, %error, "a case that is here could not be opened");
                if error.stays() {
                    self.given_up().insert(case, parcels);
                }
                return;
            }
        };
        if let Err(Refused(error)) = self.core.command(Command::Append { scope: Scope::Site(site), body }) {
            tracing::warn!(%case, error, "what was counted could not be written down");
        }
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
                let groups = groups(*id, &packed)?;
                self.told(*id, &groups);
                for group in groups {
                    // Late parts may come before their first; what is counted is what is whole.
                    if group.part + 1 == group.parts {
                        instances += u32::try_from(group.instances.len()).unwrap_or(u32::MAX);
                    }
                    if let Some(whole) = gather.whole(group)? {
                        self.check(*id, &whole, Room::Made)?;
                    }
                }
            }
            counted.push((*id, instances));
        }
        gather.finish()?;
        Ok(counted)
    }

    /// Keeps what a reader must be told of a parcel's Instances.
    fn told(&self, id: ManifestId, groups: &[Group]) {
        // Of a group in parts, each part names the Instances.
        let whole = groups.iter().filter(|group| group.part + 1 == group.parts);
        let mut flagged = BTreeMap::new();
        for flag in whole.flat_map(|group| &group.instances).flat_map(|entry| &entry.flags) {
            *flagged.entry(*flag).or_insert(0) += 1;
        }
        self.seen().parcels.insert(id, flagged);
    }

    /// Decodes a group, if it is not kept opened, to see that it does and to keep it. A child may die once of what the
    /// machine does, twice only of the group.
    fn check(&self, id: ManifestId, group: &Group, room: Room) -> Result<(), ParcelError> {
        if self.opened.holds(Name::of(group)) {
            return Ok(());
        }
        let filling = || self.opened.begin(group, room, &mut *self.rng());
        let first = filling();
        // What was here at the unlock was decoded once already; without room there is no use in doing it again.
        if first.is_none() && room == Room::Free {
            return Ok(());
        }
        match decode(&self.workers, id, group, first, |_| Ok(Box::new(io::sink()))) {
            Err(ParcelError::Decode { source: DecodeFault::Lost(_), .. }) => {
                decode(&self.workers, id, group, filling(), |_| Ok(Box::new(io::sink())))
            }
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

/// Decodes a whole group; `out` opens what takes each Instance, and `filling` takes all of them. Every Instance's hash
/// was right when this is `Ok`, and only then is the group kept.
pub(crate) fn decode<'o>(
    workers: &Workers,
    manifest: ManifestId,
    group: &Group,
    filling: Option<Filling<'o>>,
    mut out: impl FnMut(usize) -> io::Result<Box<dyn Write + 'o>> + 'o,
) -> Result<(), ParcelError> {
    let expected = group.instances.iter().map(|entry| Content { bytes: entry.bytes, hash: entry.content.0 });
    let filling = Rc::new(RefCell::new(filling));
    let both = Rc::clone(&filling);
    let decoded = workers.decode(&mut group.coded.as_slice(), &expected.collect::<Vec<_>>(), move |index| {
        Ok(Box::new(Both { filling: Rc::clone(&both), out: out(index)? }))
    });
    decoded.map_err(|source| ParcelError::Decode { manifest, source })?;
    if let Some(filling) = filling.take() {
        filling.finish();
    }
    Ok(())
}

/// Writes what is decoded to whoever asked, and to what is kept.
struct Both<'o> {
    filling: Rc<RefCell<Option<Filling<'o>>>>,
    out: Box<dyn Write + 'o>,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        if let Some(filling) = &mut *self.filling.borrow_mut() {
            filling.write_all(&bytes[..written])?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
