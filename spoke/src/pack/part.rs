//! Packing: staged Instances in, a sealed and read-back parcel out, with small and constant memory.
//!
//! The bytes that leave are proved before the originals may go: each group was decoded again by the coder, each
//! Instance has the hash it was received with, and the sealed file was read back, opened and compared. The groups of a
//! run are coded on all cores, in children. An Instance whose coded form one parcel can't hold goes in several, cut from
//! one coded stream.
//! Source: `protocol/SPEC.md`, Parcels and Contents.

use super::destination::Destination;
use crate::{
    chance::Chance,
    sealed_file::{self, Reading, Writing},
    staging::{Case, PartRecord, PartStep, Run, SeriesSeen, Staged, StagingId, Trace, Wholeness},
};
use radmesh_codec::{
    group::{Profile, Source},
    scan::Fact,
};
use radmesh_protocol::{
    class::Class,
    envelope::sign::SigningKey,
    id::{CaseId, FederationId, ManifestId},
    log::body::ParcelSealed,
    parcel::{
        PartKind,
        contents::{CONTENTS_VERSION, Contents, Flag, Group, InstanceEntry, PreviewContents, SeriesDigest, StudyInfo},
        open::read_back,
        seal::{PACKED_BYTES_MAX, SealError, SealFacts, seal},
    },
    phi::Phi,
    record::Importance,
};
use radmesh_store::{Store, WriteError, is_out_of_files};
use radmesh_worker::{Coded, EncodeFault, Form, Workers};
use rand_core::Rng;
use std::{
    io::{self, Read, Write},
    sync::Arc,
};
use zeroize::Zeroizing;

/// Why a part could not be sealed. Nothing of it is left, and its Instances stay in staging.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    /// A staging file does not give back what was received.
    #[error("staging file {file:?} does not give back what was received")]
    Unreadable {
        /// Which.
        file: StagingId,
    },
    /// The coder.
    #[error("coding: {0}")]
    Coder(String),
    /// The sealed file does not hold what was packed.
    #[error("the sealed file does not read back")]
    ReadBack,
    /// The key of pool or recovery is no key.
    #[error("sealing: {0}")]
    Recipient(String),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] WriteError),
}

/// What the packer needs besides the Instances.
#[derive(Debug, Clone)]
pub(crate) struct Sealing {
    pub(crate) store: Arc<Store>,
    pub(crate) chance: Chance,
    pub(crate) signer: Arc<SigningKey>,
    pub(crate) federation: FederationId,
    pub(crate) destination: Destination,
    pub(crate) workers: Arc<Workers>,
    pub(crate) profile: Profile,
}

/// Staged Instances with all that their parcel says of the case.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    case: CaseId,
    class: Class,
    study: StudyInfo,
    kind: PartKind,
    staged: Vec<(Staged, Vec<Flag>)>,
}

impl Load {
    /// What a run of a case is made of; `None` if one of its files is no longer staged.
    pub(crate) fn of(case: &Case, run: &Run) -> Option<Self> {
        let flagged = |file| {
            let staged: &Staged = case.staged.get(file)?;
            let mut flags = Vec::new();
            if staged.instance.wholeness == Wholeness::Damaged {
                flags.push(Flag::Damaged);
            }
            if case.is_conflicting(&staged.trace) {
                flags.push(Flag::ConflictingContent);
            }
            if staged.instance.sayings.any_raw() {
                flags.push(Flag::UnknownCharset);
            }
            Some((staged.clone(), flags))
        };
        let staged = run.files.iter().map(flagged).collect::<Option<_>>()?;
        Some(Self { case: case.id, class: case.record.class, study: study_info(case), kind: run.kind, staged })
    }
}

/// The preview parcel's content as it stands, without pictures.
pub(crate) fn preview(case: &Case) -> PreviewContents {
    let body_part = Phi::new(case.record.sayings.shown(Fact::BodyPartExamined).to_owned());
    let digest = |seen: SeriesSeen| SeriesDigest {
        series_instance_uid: seen.series,
        modality: seen.modality,
        number: seen.number.trim().parse().ok(),
        description: seen.description,
        body_part: body_part.clone(),
        instances: seen.instances,
        bytes: seen.bytes,
    };
    let series = case.series().into_values().map(digest).collect();
    PreviewContents { version: CONTENTS_VERSION, study: study_info(case), series, pictures: Vec::new() }
}

impl Sealing {
    /// Seals a preview: it travels one class above its case and holds no Instance.
    pub(crate) fn preview(
        &self,
        case: CaseId,
        class: Class,
        contents: &PreviewContents,
    ) -> Result<PartRecord, PackError> {
        let packed = Zeroizing::new(contents.bytes());
        let sealed = self.seal(case, PartKind::Preview, class.of_preview(), &packed, 0)?;
        Ok(empty_part(sealed, 0))
    }

    /// Seals a run: one parcel, or, where one can't hold it, several of which the last one counts.
    pub(crate) fn run(&self, load: &Load) -> Result<Vec<PartRecord>, PackError> {
        let received: u64 = load.staged.iter().map(|(staged, _)| staged.instance.bytes).sum();
        if received > PIECE_BYTES {
            return self.long(load);
        }
        let mut groups = Vec::new();
        let stored = self.code(
            load,
            || Ok(Vec::new()),
            |coded| {
                let flagged = &load.staged[coded.instances];
                groups.push(group_of(flagged, coded.form, (0, 1), coded.out));
            },
        )?;
        let contents = Contents { version: CONTENTS_VERSION, study: load.study.clone(), groups };
        let packed = Zeroizing::new(contents.bytes());
        drop(contents);
        let sealed = self.seal(load.case, load.kind, load.class, &packed, load.staged.len() as u32)?;
        Ok(vec![whole_part(sealed, load, stored, 0)])
    }

    /// One Instance that no parcel holds: coded into a sealed spool, cut into pieces, each a parcel.
    fn long(&self, load: &Load) -> Result<Vec<PartRecord>, PackError> {
        let fresh = || {
            Ok(Spool { writing: Writing::begin(&self.store, Importance::Stat, &mut self.chance.clone())?, bytes: 0 })
        };
        let mut spooled = None;
        let stored = self.code(
            load,
            || fresh().map_err(io::Error::other::<WriteError>),
            |coded| {
                spooled = Some((coded.out, coded.form));
            },
        )?;
        let (spool, form) = spooled.expect("a run has an Instance, and one that long is a group of its own");
        let bytes = spool.bytes;
        let (file, key) = spool.writing.finish()?;
        let parts = self.pieces(load, (bytes, form, stored), || sealed_file::open(&self.store, file, &key));
        sealed_file::remove(&self.store, file)?;
        parts
    }

    fn pieces(
        &self,
        load: &Load,
        (bytes, form, stored): (u64, Form, u32),
        open: impl FnOnce() -> io::Result<Reading>,
    ) -> Result<Vec<PartRecord>, PackError> {
        let pieces = u16::try_from(bytes.div_ceil(PIECE_BYTES)).expect("4 GiB are 256 pieces");
        let mut spool = open().map_err(|_| PackError::ReadBack)?;
        let mut parts = Vec::new();
        for piece in 0..pieces {
            let mut coded = Vec::new();
            (&mut spool).take(PIECE_BYTES).read_to_end(&mut coded).map_err(|_| PackError::ReadBack)?;
            let group = group_of(&load.staged, form, (piece, pieces), coded);
            let contents = Contents { version: CONTENTS_VERSION, study: load.study.clone(), groups: vec![group] };
            let packed = Zeroizing::new(contents.bytes());
            drop(contents);
            let last = piece + 1 == pieces;
            let counted = if last { load.staged.len() as u32 } else { 0 };
            let sealed = self.seal(load.case, load.kind, load.class, &packed, counted)?;
            parts.push(if last {
                whole_part(sealed, load, stored, piece)
            } else {
                PartRecord { traces: traces(load), ..empty_part(sealed, piece) }
            });
        }
        Ok(parts)
    }

    /// Codes the Instances of a load in groups, and checks that each is what was received. Gives how many the coder
    /// failed on.
    fn code<W: Write + Send>(
        &self,
        load: &Load,
        fresh: impl Fn() -> io::Result<W> + Sync,
        mut give: impl FnMut(Coded<W>),
    ) -> Result<u32, PackError> {
        let sources: Vec<StagedSource<'_>> =
            load.staged.iter().map(|(staged, _)| StagedSource { store: &self.store, staged }).collect();
        let sources: Vec<&(dyn Source + Sync)> = sources.iter().map(|source| source as _).collect();
        let mut stored = 0;
        let outcome = self.workers.series(&sources, self.profile, fresh, |coded| {
            let received = load.staged[coded.instances.clone()].iter().map(|(staged, _)| staged.instance.received.0);
            let other = received.zip(&coded.stats.contents).position(|(received, found)| found.hash != received);
            if let Some(at) = other {
                let index = coded.instances.start + at;
                return Err(EncodeFault::Source { index, why: "it has other bytes than were received".into() });
            }
            stored += if coded.form == Form::StoredAsReceived { coded.instances.len() as u32 } else { 0 };
            give(coded);
            Ok(())
        });
        outcome.map(|()| stored).map_err(|fault| match fault {
            EncodeFault::Source { index, .. } => {
                let staged = &load.staged[index].0;
                match rotten(&StagedSource { store: &self.store, staged }) {
                    Rotten::Yes => PackError::Unreadable { file: staged.instance.file },
                    Rotten::No => PackError::Disk(WriteError::Full),
                }
            }
            EncodeFault::Write(error) => match error.downcast::<WriteError>() {
                Ok(fault) => PackError::Disk(fault),
                Err(other) => PackError::Coder(other.to_string()),
            },
            other => PackError::Coder(other.to_string()),
        })
    }

    /// Seals packed bytes into a file of the store, reads it back, opens it, compares it, and puts it on disk. The key
    /// leaves memory here.
    fn seal(
        &self,
        case: CaseId,
        kind: PartKind,
        class: Class,
        packed: &[u8],
        instances: u32,
    ) -> Result<(Vec<u8>, ParcelSealed), PackError> {
        let to = &self.destination;
        let facts = SealFacts {
            federation: self.federation,
            case,
            kind,
            roster_version: to.roster_version,
            jurisdiction: to.jurisdiction.clone(),
            pool: to.pool.clone(),
            epoch: to.epoch,
            class,
            home_hub: to.home_hub,
            pool_key: to.pool_key,
            recovery: to.recovery,
        };
        let mut rng = self.chance.clone();
        let mut name = [0; 16];
        rng.fill_bytes(&mut name);
        let mut draft = self.store.draft(name)?;
        let sealed = seal(packed, &facts, &self.signer, &mut rng, &mut |chunk| draft.append(chunk));
        let sealed = sealed.map_err(|error| match error {
            SealError::Out(fault) => PackError::Disk(fault),
            other => PackError::Recipient(other.to_string()),
        })?;
        read_back(&sealed, packed, self.federation, &mut |chunk| draft.chunk(chunk))
            .map_err(|_| PackError::ReadBack)?;
        let core = sealed.manifest.core();
        let announcement = ParcelSealed {
            case,
            parcel: core.parcel,
            manifest: sealed.manifest.id(),
            core: sealed.manifest.core_hash(),
            pool: core.pool.clone(),
            epoch: core.epoch,
            kind,
            sealed_bytes: core.sealed_bytes,
            instances,
        };
        draft.adopt(announcement.manifest)?;
        Ok((sealed.manifest.bytes().to_vec(), announcement))
    }
}

/// A staged Instance as the coder reads it.
pub(super) struct StagedSource<'a> {
    pub(super) store: &'a Store,
    pub(super) staged: &'a Staged,
}

impl Source for StagedSource<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let instance = &self.staged.instance;
        Ok(Box::new(sealed_file::open(self.store, instance.file, &instance.key)?))
    }

    fn bytes(&self) -> u64 {
        self.staged.instance.bytes
    }
}

/// Whether an Instance that could not be read once is lost.
enum Rotten {
    /// Its file is gone, fails, or holds something else: it must be sent again.
    Yes,
    /// It is right, or there is no telling: the system had no file or memory to give.
    No,
}

/// Reads an Instance again that could not be read: who has no file descriptor left can read nothing, and must not
/// strike from the books what a modality was told is stored.
fn rotten(source: &StagedSource<'_>) -> Rotten {
    let mut hasher = blake3::Hasher::new();
    match source.open().and_then(|mut file| io::copy(&mut file, &mut hasher)) {
        Ok(_) if hasher.finalize() == blake3::Hash::from_bytes(source.staged.instance.received.0) => Rotten::No,
        Err(error) if is_out_of_files(&error) || error.kind() == io::ErrorKind::OutOfMemory => Rotten::No,
        Ok(_) | Err(_) => Rotten::Yes,
    }
}

/// The coded stream of a long Instance on its way into a staging file.
struct Spool {
    writing: Writing,
    bytes: u64,
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        self.writing.write(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn group_of(staged: &[(Staged, Vec<Flag>)], form: Form, (part, parts): (u16, u16), coded: Vec<u8>) -> Group {
    let series = staged.first().map_or("", |(staged, _)| staged.instance.series_or_self());
    let entry = |(staged, flags): &(Staged, Vec<Flag>)| {
        let instance = &staged.instance;
        let as_received = (form == Form::StoredAsReceived).then_some(Flag::StoredAsReceived);
        InstanceEntry {
            sop_instance_uid: instance.sop_instance.clone(),
            sop_class_uid: instance.sop_class.clone(),
            transfer_syntax: instance.transfer_syntax.clone(),
            received: instance.form.clone(),
            bytes: instance.bytes,
            content: instance.received,
            flags: flags.iter().copied().chain(as_received).collect(),
        }
    };
    Group { series: Phi::new(series.to_owned()), instances: staged.iter().map(entry).collect(), part, parts, coded }
}

fn whole_part((manifest, sealed): (Vec<u8>, ParcelSealed), load: &Load, stored: u32, piece: u16) -> PartRecord {
    let seen = load.staged.iter().map(|(staged, _)| SeriesSeen::of(&staged.instance)).reduce(|mut all, one| {
        all.add(one);
        all
    });
    let files = load.staged.iter().map(|(staged, _)| staged.instance.file).collect();
    let damaged = load.staged.iter().filter(|(staged, _)| staged.instance.wholeness == Wholeness::Damaged).count();
    PartRecord {
        sealed,
        seen,
        traces: traces(load),
        damaged: damaged as u32,
        stored,
        piece,
        step: PartStep::Sealed { manifest, files },
    }
}

fn traces(load: &Load) -> Vec<Trace> {
    load.staged.iter().map(|(staged, _)| staged.trace).collect()
}

/// A preview, or a piece that is not the last: no Instance is counted with it.
fn empty_part((manifest, sealed): (Vec<u8>, ParcelSealed), piece: u16) -> PartRecord {
    let step = PartStep::Sealed { manifest, files: Vec::new() };
    PartRecord { sealed, seen: None, traces: Vec::new(), damaged: 0, stored: 0, piece, step }
}

fn study_info(case: &Case) -> StudyInfo {
    let told = |fact| Phi::new(case.record.sayings.shown(fact).to_owned());
    StudyInfo {
        study_instance_uid: case.record.study.clone(),
        patient_name: told(Fact::PatientName),
        patient_id: told(Fact::PatientId),
        birth_date: told(Fact::PatientBirthDate),
        sex: told(Fact::PatientSex),
        accession_number: told(Fact::AccessionNumber),
        study_date: told(Fact::StudyDate),
        study_time: told(Fact::StudyTime),
        description: told(Fact::StudyDescription),
    }
}

/// The manifest's name, for the log.
pub(crate) fn names(parts: &[PartRecord]) -> Vec<ManifestId> {
    parts.iter().map(|part| part.sealed.manifest).collect()
}

/// Coded bytes of a piece of a long Instance; a run of Instances has fewer received bytes.
const PIECE_BYTES: u64 = 16 * 1024 * 1024;
// What names the Instances takes at most a few hundred bytes each.
const _: () = assert!(PIECE_BYTES + 8 * 1024 * 1024 <= PACKED_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::{ReceivedInstance, Rules, Staging, tests::received};
    use radmesh_protocol::{
        envelope::{at_rest::AtRestKey, reading::ReadingKey, site::SiteSecret},
        id::{Hash, NodeId},
        roster::RosterVersion,
        time::{Millis, Mono},
    };
    use radmesh_store::Memory;
    use radmesh_worker::Place;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn an_instance_that_the_coder_read_as_other_bytes_than_were_received_is_never_sealed() {
        let film = include_bytes!("../../../tests/data/pydicom/CT_small.dcm");
        let at_rest = AtRestKey::from_bytes(&[4; 32]);
        let public = ReadingKey::from_seed([5; 32]).public();
        let sealing = Sealing {
            store: Arc::new(Store::open(Arc::new(Memory::new()), &at_rest).unwrap().0),
            chance: Chance::new(ChaCha20Rng::seed_from_u64(1)),
            signer: Arc::new(SigningKey::from_seed([1; 32])),
            federation: FederationId([1; 32]),
            destination: Destination {
                pool: "south".parse().unwrap(),
                epoch: 0,
                pool_key: public,
                recovery: public,
                jurisdiction: "MW".parse().unwrap(),
                home_hub: NodeId([2; 32]),
                roster_version: RosterVersion(1),
            },
            workers: Arc::new(Workers::new(Place::InProcess)),
            profile: Profile::Fast,
        };
        let mut writing = Writing::begin(&sealing.store, Importance::Bulk, &mut sealing.chance.clone()).unwrap();
        writing.write(film).unwrap();
        let (file, key) = writing.finish().unwrap();
        let run_of = |hash: Hash| {
            let bytes = film.len() as u64;
            let told = received("1.9", "1.9.1", "1.9.1.1", 1, 1);
            let instance = ReceivedInstance { file, key: key.clone(), bytes, received: hash, ..told };
            let mut staging = Staging::new(Rules::quiet(Millis(1)), SiteSecret::from_bytes([3; 32]), at_rest.clone());
            let case = staging.take_in(instance, Mono(0));
            let run = Run { case, kind: PartKind::Series, files: vec![file], bytes };
            sealing.run(&Load::of(staging.case(&case).unwrap(), &run).unwrap())
        };
        let refused = run_of(Hash::of(b"what was received")).unwrap_err();
        assert!(matches!(refused, PackError::Unreadable { file: it } if it == file), "{refused}");
        assert_eq!(run_of(Hash::of(film)).unwrap().len(), 1);
    }
}
