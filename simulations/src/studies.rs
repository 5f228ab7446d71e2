//! The clinic: seals Studies, announces their parcels, closes them.
//!
//! Does what the spoke's rooms do with the store and the core, on one sentence over and over; after a crash it goes on as
//! they do: a part whose file is there is announced again, one whose file is gone is sealed again.

use crate::{
    calendar::{BUSY_MAX, busy},
    chance::Chance,
    checks::{Rule, Violation},
    federation::region,
    leaving::plaintext,
    machine::{Machine, Running},
    profile::{self, DAY_MS, Examinations},
    scenario::{Scenario, Work, in_turn},
    world::{Event, World},
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
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

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

/// How far a Study is, as people see it.
#[derive(Debug)]
struct Watched {
    begins: u64,
    seen: Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nothing,
    Delivered,
    Reported,
}

/// Milliseconds from one look of a room at what it has open to the next.
pub(crate) const LOOK_MS: u64 = 500;

/// Every Study of one spoke.
#[derive(Debug)]
pub(crate) struct Clinic {
    /// Its spoke.
    pub(crate) at: usize,
    /// In the order in which they begin.
    pub(crate) studies: Vec<Study>,
    /// How far each is, as people see it.
    watched: BTreeMap<CaseId, Watched>,
    /// Studies that have begun.
    begun: usize,
    /// Of these, those that are not closed.
    open: BTreeSet<usize>,
    /// Whether its next look is foreseen.
    is_roused: bool,
}

impl Clinic {
    pub(crate) fn new(at: usize, scenario: &Scenario, chance: &mut Chance) -> Self {
        let studies = match &scenario.work {
            Work::Drawn { studies, parcels, packed_bytes, every_ms } => {
                let mut begins = 3_000;
                let study = |_| {
                    begins += chance.within(*every_ms);
                    let parts = (0..chance.within(*parcels)).map(|_| chance.within(*packed_bytes)).collect();
                    let class = [Class::Stat, Class::Urgent, Class::Routine][chance.below(3)];
                    Study::new(CaseId(chance.bytes()), class, begins, parts)
                };
                (0..*studies).map(study).collect()
            }
            Work::Profiles { spokes, bytes_per_mb } => {
                by_the_hour(in_turn(spokes, at), *bytes_per_mb, scenario.faults_for_ms, chance)
            }
        };
        Self::of(at, studies)
    }

    fn of(at: usize, studies: Vec<Study>) -> Self {
        let watched = |study: &Study| (study.case, Watched { begins: study.begins, seen: Seen::Nothing });
        let watched = studies.iter().map(watched).collect();
        Self { at, studies, watched, begun: 0, open: BTreeSet::new(), is_roused: false }
    }

    /// Notes that a case was seen to be so far; how long that took, the first time.
    fn sees(&mut self, case: &CaseId, seen: Seen, now: u64) -> Option<u64> {
        let watched = self.watched.get_mut(case).filter(|watched| watched.seen < seen)?;
        watched.seen = seen;
        Some(now - watched.begins)
    }

    pub(crate) fn has(&self, case: &CaseId) -> bool {
        self.watched.contains_key(case)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.begun == self.studies.len() && self.open.is_empty()
    }
}

/// Studies as a workload says: a Poisson stream that is as busy as the hour, thinned from the busiest.
fn by_the_hour(name: &str, bytes_per_mb: u64, for_ms: u64, chance: &mut Chance) -> Vec<Study> {
    let workload = profile::workload(name).expect("a scenario's profiles were looked up when it was read");
    let mut studies = Vec::new();
    for Examinations { per_day, mb } in workload.into_values() {
        let mut now = 0;
        loop {
            // `busy` counts in thousandths of an average day.
            now += chance.exponential(DAY_MS * 1000 / (per_day * BUSY_MAX));
            if now >= for_ms {
                break;
            }
            if (chance.below(BUSY_MAX as usize) as u64) < busy(now) {
                let class = if chance.below(100) < 8 { Class::Urgent } else { Class::Routine };
                studies.push(Study::new(CaseId(chance.bytes()), class, now, vec![(mb * bytes_per_mb).max(1)]));
            }
        }
    }
    studies.sort_by_key(|study| study.begins);
    studies
}

impl Study {
    fn new(case: CaseId, class: Class, begins: u64, parts: Vec<u64>) -> Self {
        let parts = parts.into_iter().map(|packed_bytes| Part::Unsealed { packed_bytes }).collect();
        Self { case, class, begins, parts, closing: Closing::Open }
    }

    /// Parcels announced, in order.
    pub(crate) fn parcels(&self) -> impl Iterator<Item = ManifestId> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Announced(manifest) => Some(*manifest),
            Part::Unsealed { .. } | Part::Sealed { .. } => None,
        })
    }
}

impl World<'_> {
    /// Has the rooms of a machine look at what they have.
    pub(crate) fn rouse(&mut self, at: usize) {
        let places = self.federation.places;
        if places.spokes().contains(&at) && at < self.clinics.len() {
            self.rouse_clinic(at);
        } else if places.hubs().contains(&at) {
            let Some(running) = &self.machines[at].running else { return };
            let cases: Vec<CaseId> = running.node.worklist().items().map(|item| item.case).collect();
            self.look_at(at - places.hubs().start, cases);
        }
    }

    pub(crate) fn rouse_clinic(&mut self, clinic: usize) {
        if !mem::replace(&mut self.clinics[clinic].is_roused, true) {
            self.foresee(LOOK_MS, Event::Clinic { clinic });
        }
    }

    /// Goes on with what is open, and comes again while something is, or when the next Study begins.
    pub(crate) fn clinic_works(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        let clinic = &mut self.clinics[number];
        clinic.is_roused = false;
        let at = clinic.at;
        let begun = clinic.studies[clinic.begun..].iter().take_while(|study| study.begins <= now).count();
        clinic.open.extend(clinic.begun..clinic.begun + begun);
        clinic.begun += begun;
        let (open, mut studies) = (clinic.open.clone(), mem::take(&mut clinic.studies));
        let worked = open.iter().try_for_each(|number| self.study_goes_on(at, &mut studies[*number]));
        let clinic = &mut self.clinics[number];
        clinic.studies = studies;
        clinic.open.retain(|open| !matches!(clinic.studies[*open].closing, Closing::Closed));
        worked?;
        let clinic = &self.clinics[number];
        if !clinic.open.is_empty() {
            self.rouse_clinic(number);
        } else if let Some(next) = clinic.studies.get(clinic.begun) {
            self.foresee_at(next.begins, Event::Clinic { clinic: number });
            self.clinics[number].is_roused = true;
        }
        Ok(())
    }

    /// A case of a clinic has changed: whether its report is back.
    pub(crate) fn clinic_hears(&mut self, at: usize, case: &CaseId) {
        let Some(running) = self.machines[at].running.as_ref() else { return };
        let is_back = running.node.worklist().item(case).is_some_and(|item| item.standing.is_some());
        let clinic = self.clinics.get_mut(at).filter(|_| is_back);
        let after = clinic.and_then(|clinic| clinic.sees(case, Seen::Reported, self.now));
        self.happened.reported_ms.extend(after);
    }

    /// A reader has seen that a case is delivered.
    pub(crate) fn seen_delivered(&mut self, spoke: usize, case: &CaseId) {
        let after = self.clinics[spoke].sees(case, Seen::Delivered, self.now);
        self.happened.delivered_ms.extend(after);
    }

    fn study_goes_on(&mut self, at: usize, study: &mut Study) -> Result<(), Violation> {
        let joined = |running: &Running| running.node.roster().home_hub(&running.node.id()).is_some();
        if !self.machines[at].running.as_ref().is_some_and(joined) {
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
                // What can't be sealed now is sealed later.
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

    /// Seals bytes into a file of the spoke's store; `None` where its disk takes nothing, or nobody makes keys.
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
        let Some((_, pool_key)) = roster.pool_key0(&region()) else { return Ok(None) };
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
            pool_key,
            recovery: roster.recovery().expect("the federation has begun"),
        };
        let packed = plaintext(packed_bytes as usize, fill);
        let (manifest, chunks) = match seal_into(&running.store, draft_id, &packed, &facts, machine, &mut self.chance) {
            Ok(sealed) => sealed,
            Err(SealError::Out(WriteError::Full)) => return Ok(None),
            Err(SealError::Out(WriteError::Faulted)) => {
                self.disk_failed(at);
                return Ok(None);
            }
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
