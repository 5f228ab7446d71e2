//! The clinic: seals Studies, announces their parcels, closes them.
//!
//! Does what the spoke's rooms do with the store and the core, on bytes of no meaning; after a crash it goes on as
//! they do: a part whose file is there is announced again, one whose file is gone is sealed again.

use crate::{
    chance::Chance,
    checks::{Rule, Violation},
    federation::region,
    machine::{Machine, Running},
    scenario::Scenario,
    world::World,
};
use radmesh_protocol::{
    class::Class,
    id::{CaseId, Hash, ManifestId},
    log::{
        Scope,
        body::{Body, ParcelSealed, StudyClosed},
    },
    node::{Answer, Command, CommandId},
    parcel::{
        PartKind,
        manifest::Manifest,
        seal::{SealError, SealFacts, seal},
    },
};
use radmesh_store::{Store, WriteError};

/// A command and the life of the machine that was given it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) id: CommandId,
    pub(crate) life: u64,
}

/// How far a part is.
#[derive(Debug)]
enum Part {
    Unsealed { packed_bytes: u64 },
    Sealed { manifest: Box<Manifest>, packed_bytes: u64, asked: Option<Asked> },
    Announced(ManifestId),
}

/// Whether a Study is closed.
#[derive(Debug)]
enum Closing {
    Open,
    Asked(Asked),
    Closed,
}

/// One Study.
#[derive(Debug)]
pub(crate) struct Study {
    pub(crate) case: CaseId,
    class: Class,
    begins: u64,
    parts: Vec<Part>,
    closing: Closing,
}

/// Every Study of one spoke.
#[derive(Debug)]
pub(crate) struct Clinic {
    /// Its spoke.
    pub(crate) at: usize,
    pub(crate) studies: Vec<Study>,
}

impl Clinic {
    pub(crate) fn new(at: usize, scenario: &Scenario, chance: &mut Chance) -> Self {
        let mut begins = 3_000;
        let studies = (0..scenario.studies).map(|_| {
            begins += chance.within(scenario.study_every_ms);
            let parts = (0..chance.within(scenario.parcels))
                .map(|_| Part::Unsealed { packed_bytes: chance.within(scenario.packed_bytes) });
            let parts = parts.collect();
            let class = [Class::Stat, Class::Urgent, Class::Routine][chance.below(3)];
            Study { case: CaseId(chance.bytes()), class, begins, parts, closing: Closing::Open }
        });
        Self { at, studies: studies.collect() }
    }

    pub(crate) fn has(&self, case: &CaseId) -> bool {
        self.studies.iter().any(|study| study.case == *case)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.studies.iter().all(|study| matches!(study.closing, Closing::Closed))
    }
}

impl Study {
    /// Parcels announced, in order.
    pub(crate) fn parcels(&self) -> impl Iterator<Item = ManifestId> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Announced(manifest) => Some(*manifest),
            Part::Unsealed { .. } | Part::Sealed { .. } => None,
        })
    }
}

impl World<'_> {
    pub(crate) fn clinic_works(&mut self, clinic: usize) -> Result<(), Violation> {
        let at = self.clinics[clinic].at;
        let mut studies = std::mem::take(&mut self.clinics[clinic].studies);
        let worked = studies.iter_mut().try_for_each(|study| self.study_goes_on(at, study));
        self.clinics[clinic].studies = studies;
        worked
    }

    fn study_goes_on(&mut self, at: usize, study: &mut Study) -> Result<(), Violation> {
        let joined = |running: &Running| running.node.roster().home_hub(&running.node.id()).is_some();
        if self.now < study.begins || !self.machines[at].running.as_ref().is_some_and(joined) {
            return Ok(());
        }
        for part in &mut study.parts {
            self.part_goes_on(at, part, study.case, study.class)?;
        }
        let all: Vec<(ManifestId, u32)> = study.parcels().map(|manifest| (manifest, 1)).collect();
        if all.len() == study.parts.len() {
            self.close(at, study, all)?;
        }
        Ok(())
    }

    fn part_goes_on(&mut self, at: usize, part: &mut Part, case: CaseId, class: Class) -> Result<(), Violation> {
        let life = self.machines[at].life;
        match part {
            Part::Announced(_) => {}
            Part::Unsealed { packed_bytes } => {
                let packed_bytes = *packed_bytes;
                // Where the disk is full, later.
                let Some(manifest) = self.seal(at, case, class, packed_bytes)? else { return Ok(()) };
                let manifest = Box::new(manifest);
                let asked = Some(self.announce(at, &manifest)?);
                *part = Part::Sealed { manifest, packed_bytes, asked };
            }
            Part::Sealed { manifest, packed_bytes, asked: Some(asked) } if asked.life == life => {
                match self.answer(at, asked.id) {
                    None => {}
                    Some(Answer::Announced(manifest)) => {
                        self.promises.announced.insert((at, manifest));
                        *part = Part::Announced(manifest);
                    }
                    Some(Answer::Refused(_)) => *part = Part::Unsealed { packed_bytes: *packed_bytes },
                    Some(other) => {
                        let what = format!("announcing {} was answered {other:?}", manifest.id());
                        return Err(Rule::Acknowledged.broken(&self.machines[at].name, what));
                    }
                }
            }
            Part::Sealed { manifest, packed_bytes, asked } => {
                let store = self.machines[at].running.as_ref().map(|running| &running.store);
                if store.is_some_and(|store| store.chunk(manifest.id(), 0).is_some()) {
                    *asked = Some(self.announce(at, manifest)?);
                } else {
                    *part = Part::Unsealed { packed_bytes: *packed_bytes };
                }
            }
        }
        Ok(())
    }

    /// Seals bytes of no meaning into a file of the spoke's store; `None` where its disk is full.
    fn seal(
        &mut self,
        at: usize,
        case: CaseId,
        class: Class,
        packed_bytes: u64,
    ) -> Result<Option<Manifest>, Violation> {
        let (draft_id, fill) = (self.chance.bytes(), self.chance.bytes::<1>()[0]);
        let machine = &self.machines[at];
        let running = machine.running.as_ref().expect("the clinic works while its node runs");
        let (roster, id) = (running.node.roster(), running.node.id());
        let facts = SealFacts {
            federation: self.federation.id,
            case,
            kind: PartKind::Series,
            roster_version: roster.version(),
            jurisdiction: region(),
            pool: region(),
            epoch: 0,
            class,
            home_hub: roster.home_hub(&id).expect("the spoke has joined"),
            pool_key: roster.pool_key0(&region()).expect("the first hub makes the keys").1,
            recovery: roster.recovery().expect("the federation has begun"),
        };
        let packed = vec![fill; packed_bytes as usize];
        let (manifest, chunks) = match seal_into(&running.store, draft_id, &packed, &facts, machine, &mut self.chance) {
            Ok(sealed) => sealed,
            Err(SealError::Out(WriteError::Full)) => return Ok(None),
            Err(error) => return Err(Rule::Acknowledged.broken(&machine.name, format!("sealing: {error}"))),
        };
        self.trace.note(self.now, format_args!("{} seals {} of {case}", self.machines[at].name, manifest.id()));
        self.promises.sealed.insert(manifest.id(), chunks);
        Ok(Some(manifest))
    }

    fn announce(&mut self, at: usize, manifest: &Manifest) -> Result<Asked, Violation> {
        let core = manifest.core();
        let sealed = ParcelSealed {
            case: core.case,
            parcel: core.parcel,
            manifest: manifest.id(),
            core: manifest.core_hash(),
            pool: core.pool.clone(),
            epoch: core.epoch,
            kind: core.kind,
            sealed_bytes: core.sealed_bytes,
            instances: 1,
        };
        self.asks(at, Command::Announce { manifest: manifest.bytes().to_vec(), sealed: Box::new(sealed) })
    }

    /// Gives a machine a command, and notes in which life.
    pub(crate) fn asks(&mut self, at: usize, command: Command) -> Result<Asked, Violation> {
        let life = self.machines[at].life;
        Ok(Asked { id: self.command(at, command)?, life })
    }

    fn close(&mut self, at: usize, study: &mut Study, parcels: Vec<(ManifestId, u32)>) -> Result<(), Violation> {
        match study.closing {
            Closing::Closed => {}
            Closing::Asked(asked) if asked.life == self.machines[at].life => match self.answer(at, asked.id) {
                None => {}
                Some(Answer::Appended(hash)) => {
                    self.appended(at, &hash);
                    study.closing = Closing::Closed;
                }
                Some(_) => study.closing = Closing::Open,
            },
            Closing::Asked(_) | Closing::Open => {
                let scope = Scope::Site(self.machines[at].key.node_id());
                let body = Box::new(Body::StudyClosed(StudyClosed { case: study.case, parcels }));
                study.closing = Closing::Asked(self.asks(at, Command::Append { scope, body })?);
            }
        }
        Ok(())
    }
}

/// A parcel and the hash of each of its chunks.
fn seal_into(
    store: &Store,
    draft_id: [u8; 16],
    packed: &[u8],
    facts: &SealFacts,
    machine: &Machine,
    chance: &mut Chance,
) -> Result<(Manifest, Vec<Hash>), SealError<WriteError>> {
    let mut draft = store.draft(draft_id).map_err(SealError::Out)?;
    let mut chunks = Vec::new();
    let mut out = |chunk: &[u8]| {
        chunks.push(Hash::of(chunk));
        draft.append(chunk)
    };
    let manifest = seal(packed, facts, &machine.key, &mut chance.rng, &mut out)?.manifest;
    draft.adopt(manifest.id()).map_err(SealError::Out)?;
    Ok((manifest, chunks))
}
