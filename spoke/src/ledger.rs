//! The ledger: every change of what the spoke holds, first on disk, then in memory.
//!
//! Associations, the packer, a person at the keyboard and the clinic's page all change the same few lists. Each change
//! is one method here that writes its record, waits until it is durable, and only then changes the lists: so what
//! memory says was always on disk before, and a crash between the two repeats work but loses nothing. Nobody waits for
//! the disk while holding the lists: a card that stalls for 20 s must not stall who only asks.

use crate::{
    Word,
    allowance::Allowances,
    held::Held,
    modality::{AllowList, Modality, ModalityLine, NotWaiting, Standing},
    quarantine::{self, Bounds, Place, Quarantine, QuarantineFull},
    rooms::{Latest, Room, Rooms, RoomsError},
    sealed_file,
    staging::{
        Case, Copies, Next, NoSuchCase, Novelty, PartRecord, PartStep, ReceivedInstance, Rules, Sender, Shown, Staging,
        StagingId, StudyRecord, Task,
    },
};
use radmesh_dimse::{AeTitle, AeTitleError};
use radmesh_protocol::{
    envelope::site::SiteSecret,
    id::{CaseId, Hash, ManifestId},
    time::Mono,
};
use radmesh_store::WriteError;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};
use tokio::sync::Notify;

/// What became of an Instance whose bytes are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It belongs to this case.
    Staged(CaseId, Novelty),
    /// Its sender is unknown: it waits.
    Quarantined(CaseId),
}

/// Why an Instance that could be read was not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdmitted {
    /// Unknown senders have filled what they may.
    #[error(transparent)]
    QuarantineFull(#[from] QuarantineFull),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] WriteError),
}

/// What happened since the node started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) received: u64,
    pub(crate) refused: u64,
    pub(crate) duplicates: u64,
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) rooms: Rooms,
    /// Rung when the packer may have something to do.
    pub(crate) bell: Notify,
    held: Held,
    quarantine_room: Arc<quarantine::Room>,
    pub(crate) allowances: Allowances,
    allowed: RwLock<AllowList>,
    lists: Mutex<Lists>,
    // Held over a write of a Study's record, by threads that may block: of two writers the later one knows the other's.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Lists {
    staging: Staging,
    quarantine: Quarantine,
    tally: Tally,
}

/// What a ledger is built from besides the journal.
#[derive(Debug)]
pub(crate) struct Founding {
    pub(crate) site: SiteSecret,
    pub(crate) rules: Rules,
    pub(crate) configured: Vec<Modality>,
    pub(crate) quarantine: Bounds,
    pub(crate) sender_bytes_a_day: u64,
    pub(crate) held: Held,
}

impl Ledger {
    /// Builds the lists from the journal's latest records and removes files that nothing acknowledged names.
    pub(crate) fn open(rooms: Rooms, records: &Latest, founding: Founding, now: Mono) -> Result<Self, OpenError> {
        let Founding { site, rules, configured, quarantine, sender_bytes_a_day, held } = founding;
        let mut staging = Staging::new(rules, site, rooms.at_rest.clone());
        let (mut allowed, mut waiting) = (AllowList::new(configured), Quarantine::default());
        let quarantine_room = quarantine::Room::new(quarantine);
        for modality in rooms.read::<Modality>(Room::Modality, records)? {
            allowed.accept(modality);
        }
        for study in rooms.read::<StudyRecord>(Room::Study, records)? {
            staging.restore_study(study, now);
        }
        for part in rooms.read::<PartRecord>(Room::Part, records)? {
            let manifest = part.sealed.manifest;
            // The store keeps a sealed file only once its manifest is journaled: without it the part is packed again,
            // under a new key, from the staging files that are all still here.
            if !matches!(part.step, PartStep::Sealed { .. }) || rooms.store.chunk(manifest, 0).is_some() {
                staging.add_part(manifest, part);
            } else {
                rooms.remove(Room::Part, &manifest.0)?;
            }
        }
        let mut files = sealed_file::all(&rooms.store)?;
        let (mut lost, mut here) = (BTreeMap::new(), BTreeSet::new());
        for instance in rooms.read::<ReceivedInstance>(Room::Instance, records)? {
            let (file, case) = (instance.file, staging.case_of(&instance.study));
            let quarantined = allowed.standing(&instance.sender) == Standing::Quarantined;
            let is_here = files.remove(&file);
            if !is_here && quarantined {
                tracing::error!(?file, "a file in quarantine that the journal names is not there");
                rooms.remove(Room::Instance, &file.0)?;
            } else if !is_here {
                lost.insert(file, instance);
            } else if quarantined {
                let place = quarantine_room.place_of(&instance);
                waiting.put(instance, place);
            } else if here.insert((case, staging.trace_of(&instance))) {
                staging.take_in(instance, now);
            } else {
                // It came by two associations at once, and the power failed before the second was put away.
                rooms.remove(Room::Instance, &file.0)?;
                sealed_file::remove(&rooms.store, file)?;
            }
        }
        for (file, instance) in lost {
            let case = staging.case_of(&instance.study);
            // Sealed and compared is as good as staged: its file goes when the part is announced.
            if staging.case(&case).is_some_and(|case| case.is_sealed(&file)) {
                continue;
            }
            tracing::error!(?case, ?file, "an acknowledged Instance is gone from this disk; it must be sent again");
            staging.take_in(instance, now);
            staging.lost(&case, file);
            let record = staging.case(&case).map(|case| &case.record).expect("it was just taken in");
            rooms.put(Room::Study, &case.0, record)?;
            rooms.remove(Room::Instance, &file.0)?;
        }
        for nobodys in files {
            sealed_file::remove(&rooms.store, nobodys)?;
        }
        let lists = Mutex::new(Lists { staging, quarantine: waiting, tally: Tally::default() });
        let (allowed, bell, writing) = (RwLock::new(allowed), Notify::new(), Mutex::default());
        let allowances = Allowances::new(sender_bytes_a_day);
        Ok(Self { rooms, bell, held, quarantine_room, allowances, allowed, lists, writing })
    }

    // A step that panics while it only looks leaves the lists as they were; nobody else has to stop for it.
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a sender stands.
    pub(crate) fn standing(&self, sender: &Sender) -> Standing {
        self.allowed.read().unwrap_or_else(PoisonError::into_inner).standing(sender)
    }

    /// A place in quarantine for an Instance that an unknown sender is about to send.
    pub(crate) fn place(&self) -> Result<Place, QuarantineFull> {
        self.quarantine_room.place()
    }

    /// Takes in an Instance whose file is on disk; when this returns, its record is too. The file of one that is here
    /// already, or is not admitted, is removed. `place` is its room in quarantine, if it was thought to go there.
    pub(crate) fn admit(
        &self,
        instance: ReceivedInstance,
        place: Option<Place>,
        word: &Word,
        now: Mono,
    ) -> Result<Admitted, NotAdmitted> {
        let case = self.lists().staging.case_of(&instance.study);
        if self.standing(&instance.sender) == Standing::Quarantined {
            return self.put_aside(instance, place, now).map(|()| Admitted::Quarantined(case));
        }
        let novelty = match self.judge(&instance, now)? {
            Novelty::Duplicate => {
                self.lists().tally.duplicates += 1;
                sealed_file::remove(&self.rooms.store, instance.file)?;
                Novelty::Duplicate
            }
            novelty => self.stage(instance, novelty, now)?,
        };
        self.say(&case, word)?;
        self.bell.notify_one();
        Ok(Admitted::Staged(case, novelty))
    }

    /// How an Instance stands to what is really here: a copy that rotted is no copy, and is forgotten.
    fn judge(&self, instance: &ReceivedInstance, now: Mono) -> Result<Novelty, WriteError> {
        let (novelty, case, copies) = {
            let staging = &self.lists().staging;
            (staging.judge(instance), staging.case_of(&instance.study), staging.copies(instance))
        };
        let parcel =
            |(id, signed): &(ManifestId, Option<Vec<u8>>)| self.held.parcel(&case, *id, signed.as_deref(), now);
        let held = || {
            let packed = !copies.parts.is_empty() && copies.parts.iter().all(parcel);
            packed || copies.files.iter().any(|file| self.held.file(file))
        };
        if novelty != Novelty::Duplicate || held() {
            return Ok(novelty);
        }
        tracing::error!(?case, "the copy here of an Instance that was sent again is damaged; the new one is kept");
        self.forget(&case, copies)?;
        Ok(self.lists().staging.judge(instance))
    }

    /// Forgets copies that do not give back what was received.
    fn forget(&self, case: &CaseId, copies: Copies) -> Result<(), WriteError> {
        for (manifest, unannounced) in copies.parts {
            match (unannounced, self.part(&manifest)) {
                (Some(_), _) => self.unseal(&manifest)?,
                (None, Some(part)) => {
                    let damaged = PartRecord { step: PartStep::Damaged, ..part };
                    self.rooms.put(Room::Part, &manifest.0, &damaged)?;
                    self.lists().staging.part_damaged(&manifest);
                }
                (None, None) => {}
            }
        }
        copies.files.iter().try_for_each(|instance| self.lost(case, instance.file))
    }

    /// Keeps an Instance of a known sender: its record, then its place in its case.
    fn stage(&self, instance: ReceivedInstance, novelty: Novelty, now: Mono) -> Result<Novelty, WriteError> {
        let file = instance.file;
        self.put_instance(&instance)?;
        {
            let mut lists = self.lists();
            if lists.staging.judge(&instance) != Novelty::Duplicate {
                lists.tally.received += 1;
                lists.staging.take_in(instance, now);
                return Ok(novelty);
            }
            lists.tally.duplicates += 1;
        }
        // The same Instance came by another association meanwhile, and is on disk.
        self.discard(file)?;
        Ok(Novelty::Duplicate)
    }

    /// Keeps an Instance of an unknown sender apart.
    fn put_aside(&self, instance: ReceivedInstance, place: Option<Place>, now: Mono) -> Result<(), NotAdmitted> {
        let file = instance.file;
        let before = self.lists().quarantine.same_as(&instance).cloned();
        if before.as_ref().is_some_and(|before| self.held.file(before)) {
            self.lists().tally.duplicates += 1;
            return Ok(sealed_file::remove(&self.rooms.store, file)?);
        }
        let place =
            place.map_or_else(|| self.place().and_then(|mut place| place.grow(instance.bytes).map(|()| place)), Ok);
        let place = match place {
            Ok(place) => place,
            Err(full) => {
                sealed_file::remove(&self.rooms.store, file)?;
                return Err(full.into());
            }
        };
        self.put_instance(&instance)?;
        let sender = instance.sender.clone();
        {
            let mut lists = self.lists();
            lists.tally.received += 1;
            lists.quarantine.put(instance, place);
        }
        if let Some(damaged) = before {
            self.lists().quarantine.take(&damaged.file);
            self.discard(damaged.file)?;
        }
        // A person accepted its sender meanwhile.
        if self.standing(&sender) != Standing::Quarantined {
            self.release(&file, now)?;
            self.bell.notify_one();
        }
        Ok(())
    }

    fn put_instance(&self, instance: &ReceivedInstance) -> Result<(), WriteError> {
        self.rooms.put(Room::Instance, &instance.file.0, instance).inspect_err(|_| {
            // Without its record the file is nobody's; if it can't be removed now, the next start does it.
            let _ = sealed_file::remove(&self.rooms.store, instance.file);
        })
    }

    /// Removes an Instance from the disk, its record first: a file without one goes at the next start.
    fn discard(&self, file: StagingId) -> Result<(), WriteError> {
        self.rooms.remove(Room::Instance, &file.0)?;
        sealed_file::remove(&self.rooms.store, file)
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self) {
        self.lists().tally.refused += 1;
    }

    /// Accepts a modality and stages what it had sent. If the disk fails on the way, the rest waits in quarantine as
    /// before, and accepting again goes on.
    pub(crate) fn accept(&self, title: &str, address: Option<IpAddr>, now: Mono) -> Result<u64, AcceptError> {
        let title = AeTitle::parse(title)?;
        let meant = self.lists().quarantine.meant(&title, address)?;
        let moved = meant.into_iter().try_fold(0, |moved, modality| {
            let name = postcard::to_stdvec(&modality).expect("a title and an address encode");
            self.rooms.put(Room::Modality, &name, &modality)?;
            self.allowed.write().unwrap_or_else(PoisonError::into_inner).accept(modality.clone());
            let files = self.lists().quarantine.of(&modality);
            files.iter().try_fold(moved, |moved, file| Ok::<_, WriteError>(moved + self.release(file, now)?))
        });
        self.bell.notify_one();
        Ok(moved?)
    }

    /// Moves one Instance from quarantine into its case; gives how many did.
    fn release(&self, file: &StagingId, now: Mono) -> Result<u64, WriteError> {
        let Some(instance) = self.lists().quarantine.get(file).cloned() else { return Ok(0) };
        if self.judge(&instance, now)? == Novelty::Duplicate {
            // Held twice over: an accepted modality had sent the same before.
            self.discard(*file)?;
            self.lists().quarantine.take(file);
            return Ok(0);
        }
        let mut lists = self.lists();
        let Some(instance) = lists.quarantine.take(file) else { return Ok(0) };
        lists.staging.take_in(instance, now);
        Ok(1)
    }

    /// A person says that a Study is complete.
    pub(crate) fn close(&self, case: &CaseId) -> Result<(), NoSuchCase> {
        self.lists().staging.close(case)?;
        self.bell.notify_one();
        Ok(())
    }

    /// Keeps a person's word on a case.
    fn say(&self, case: &CaseId, word: &Word) -> Result<(), WriteError> {
        let Word { class, indication } = word;
        if class.is_none() && indication.is_none() {
            return Ok(());
        }
        let say = |record: &mut StudyRecord| record.say(*class, indication.clone());
        self.change(case, say, |staging| {
            staging.prioritise(case, *class, indication.clone()).expect("the case was just taken in");
        })
    }

    /// Changes a Study: its record on disk, then the lists.
    fn change(
        &self,
        case: &CaseId,
        on_disk: impl FnOnce(&mut StudyRecord),
        in_memory: impl FnOnce(&mut Staging),
    ) -> Result<(), WriteError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut record) = self.with_case(case, |case| case.record.clone()) else { return Ok(()) };
        on_disk(&mut record);
        self.rooms.put(Room::Study, &case.0, &record)?;
        in_memory(&mut self.lists().staging);
        Ok(())
    }

    /// What the packer does next.
    pub(crate) fn next(&self, now: Mono) -> Next {
        self.lists().staging.next(now)
    }

    /// A step failed: its case waits, and says why.
    pub(crate) fn failed(&self, task: &Task, why: String, now: Mono) {
        self.lists().staging.failed(task, why, now);
    }

    /// A step was done.
    pub(crate) fn succeeded(&self, task: &Task) {
        self.lists().staging.succeeded(task);
    }

    /// The order was published under this digest.
    pub(crate) fn order_made(&self, case: &CaseId, digest: Hash) -> Result<(), WriteError> {
        self.change(case, |record| record.order = Some(digest), |staging| staging.order_made(case, digest))
    }

    /// The preview was sealed under this digest.
    pub(crate) fn preview_made(&self, case: &CaseId, digest: Hash, shown: &Shown) -> Result<(), WriteError> {
        self.change(case, |record| record.preview = Some(digest), |staging| staging.preview_made(case, digest, shown))
    }

    /// `StudyClosed` is on disk.
    pub(crate) fn closed(&self, case: &CaseId) -> Result<(), WriteError> {
        let parts = self.with_case(case, |case| case.parts.len()).unwrap_or_default();
        self.change(case, |record| record.close(parts), |staging| staging.closed(case))
    }

    /// Parts are sealed, read back and compared: from here on they are announced, not packed again. Those of one
    /// Instance become durable together.
    pub(crate) fn sealed(&self, parts: Vec<PartRecord>) -> Result<(), WriteError> {
        self.rooms.put_all(Room::Part, parts.iter().map(|part| (part.sealed.manifest.0, part)))?;
        let mut lists = self.lists();
        for part in parts {
            lists.staging.add_part(part.sealed.manifest, part);
        }
        Ok(())
    }

    /// A staging file does not give back what was received: the Instance is forgotten, so that sent again it is new.
    pub(crate) fn lost(&self, case: &CaseId, file: StagingId) -> Result<(), WriteError> {
        let trace = self.with_case(case, |case| case.staged.get(&file).map(|staged| staged.trace)).flatten();
        let Some(trace) = trace else { return Ok(()) };
        self.change(case, |record| record.lose(trace), |staging| staging.lost(case, file))?;
        self.discard(file)
    }

    /// The core does not take a sealed part, or it is damaged before anybody heard of it: it is forgotten, and what is
    /// in it is packed again under a new key.
    pub(crate) fn unseal(&self, manifest: &ManifestId) -> Result<(), WriteError> {
        self.rooms.remove(Room::Part, &manifest.0)?;
        self.lists().staging.unseal(manifest);
        Ok(())
    }

    /// The core does not take the sealed parts of a case.
    pub(crate) fn unseal_all(&self, case: &CaseId) -> Result<(), WriteError> {
        let unannounced = self.with_case(case, Case::unannounced).unwrap_or_default();
        unannounced.iter().try_for_each(|manifest| self.unseal(manifest))
    }

    /// A part by its name.
    pub(crate) fn part(&self, manifest: &ManifestId) -> Option<PartRecord> {
        self.lists().staging.part(manifest).cloned()
    }

    /// A part is announced: its staging files go. Their records go first; a file without one goes at the next start.
    pub(crate) fn announced(&self, manifest: &ManifestId) -> Result<(), WriteError> {
        let Some(part) = self.part(manifest) else { return Ok(()) };
        let files = if let PartStep::Sealed { files, .. } = &part.step { files.clone() } else { Vec::new() };
        let gone = files.iter().map(|file| file.0);
        let announced = PartRecord { step: PartStep::Announced, ..part };
        self.rooms.replace((Room::Instance, gone), Room::Part, &manifest.0, &announced)?;
        for file in files {
            sealed_file::remove(&self.rooms.store, file)?;
        }
        self.lists().staging.announced(manifest);
        Ok(())
    }

    /// Looks at one case.
    pub(crate) fn with_case<T>(&self, case: &CaseId, look: impl FnOnce(&Case) -> T) -> Option<T> {
        self.lists().staging.case(case).map(look)
    }

    /// Looks at every case.
    pub(crate) fn each_case<T>(&self, look: impl FnMut(&Case) -> T) -> Vec<T> {
        self.lists().staging.cases().map(look).collect()
    }

    pub(crate) fn modalities(&self) -> Vec<ModalityLine> {
        self.allowed.read().unwrap_or_else(PoisonError::into_inner).listing(&self.lists().quarantine)
    }

    /// Bytes of unknown senders, those on their way in too.
    pub(crate) fn quarantined_bytes(&self) -> u64 {
        self.quarantine_room.bytes()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.lists().tally
    }
}

/// A modality that could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Not a title.
    #[error(transparent)]
    AeTitle(#[from] AeTitleError),
    /// None of that name.
    #[error(transparent)]
    NotWaiting(#[from] NotWaiting),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] WriteError),
}

/// A ledger that can't be built from the journal.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A record.
    #[error(transparent)]
    Rooms(#[from] RoomsError),
    /// The disk, writing.
    #[error(transparent)]
    Disk(#[from] WriteError),
    /// The disk, reading.
    #[error("the staging files can't be listed: {0}")]
    List(#[from] std::io::Error),
}
