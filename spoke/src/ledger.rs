//! The ledger: every change of what the spoke holds, first on disk, then in memory.
//!
//! Associations, the packer, a person at the keyboard and the clinic's page all change the same few lists. Each change
//! is one method here that writes its record, waits until it is durable, and only then changes the machine, under one
//! lock: so what memory says was always on disk before, and a crash between the two repeats work but loses nothing.

use crate::{
    Word,
    modality::{Modalities, Modality, ModalityLine, NotWaiting, QUARANTINE_BYTES_MAX, Standing},
    rooms::{Latest, Room, Rooms, RoomsError},
    sealed_file,
    staging::{
        Case, Next, NoSuchCase, Novelty, PartRecord, PartStep, ReceivedInstance, Rules, Sender, Staging, StagingId,
        StudyRecord,
    },
};
use radmesh_protocol::{
    envelope::site::SiteSecret,
    id::{CaseId, Hash, ManifestId},
    time::Mono,
};
use radmesh_store::WriteError;
use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard},
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
    #[error("unknown senders hold {waiting} bytes; the limit is {QUARANTINE_BYTES_MAX}")]
    QuarantineFull {
        /// Bytes they hold.
        waiting: u64,
    },
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
    lists: Mutex<Lists>,
}

#[derive(Debug)]
struct Lists {
    staging: Staging,
    modalities: Modalities,
    tally: Tally,
}

impl Ledger {
    /// Builds the lists from the journal's latest records and removes files that nothing acknowledged names.
    pub(crate) fn open(
        rooms: Rooms,
        records: &Latest,
        site: SiteSecret,
        rules: Rules,
        configured: impl IntoIterator<Item = Modality>,
        now: Mono,
    ) -> Result<Self, OpenError> {
        let mut staging = Staging::new(rules, site, rooms.at_rest.clone());
        let mut modalities = Modalities::new(configured);
        for study in rooms.read::<StudyRecord>(Room::Study, records)? {
            staging.restore_study(study, now);
        }
        for part in rooms.read::<PartRecord>(Room::Part, records)? {
            let manifest = part.sealed.manifest;
            // The store keeps a sealed file only once its manifest is journaled: without it the part is packed again,
            // under a new key, from the staging files that are all still here.
            if part.step == PartStep::Announced || rooms.store.chunk(manifest, 0).is_some() {
                staging.add_part(manifest, part);
            } else {
                rooms.remove(Room::Part, &manifest.0)?;
            }
        }
        let mut files = sealed_file::all(&rooms.store)?;
        for instance in rooms.read::<ReceivedInstance>(Room::Instance, records)? {
            if !files.remove(&instance.file) {
                // A record whose write failed may still be found; its file was removed and nobody was told it is here.
                tracing::error!(file = ?instance.file, "a staging file that the journal names is not there");
                rooms.remove(Room::Instance, &instance.file.0)?;
                continue;
            }
            match modalities.standing(&instance.sender) {
                Standing::Quarantined => modalities.quarantine(instance),
                Standing::Configured | Standing::Accepted => drop(staging.take_in(instance, now)),
            }
        }
        for nobodys in files {
            sealed_file::remove(&rooms.store, nobodys)?;
        }
        let lists = Mutex::new(Lists { staging, modalities, tally: Tally::default() });
        Ok(Self { rooms, bell: Notify::new(), lists })
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().expect("nothing panics while it holds the lists")
    }

    /// How a sender stands.
    pub(crate) fn standing(&self, sender: &Sender) -> Standing {
        self.lists().modalities.standing(sender)
    }

    /// Takes in an Instance whose file is on disk; when this returns, its record is too. The file of one that is here
    /// already, or is not admitted, is removed.
    pub(crate) fn admit(&self, instance: ReceivedInstance, word: &Word, now: Mono) -> Result<Admitted, NotAdmitted> {
        let mut lists = self.lists();
        let file = instance.file;
        let case = lists.staging.case_of(&instance.study);
        let quarantined = lists.modalities.standing(&instance.sender) == Standing::Quarantined;
        let novelty = match quarantined {
            true if lists.modalities.holds(&instance) => Novelty::Duplicate,
            true => Novelty::New,
            false => lists.staging.judge(&instance),
        };
        if novelty == Novelty::Duplicate {
            lists.tally.duplicates += 1;
            sealed_file::remove(&self.rooms.store, file)?;
            if quarantined {
                return Ok(Admitted::Quarantined(case));
            }
            self.say(&mut lists.staging, &case, word)?;
            drop(lists);
            self.bell.notify_one();
            return Ok(Admitted::Staged(case, novelty));
        }
        let waiting = lists.modalities.waiting_bytes();
        if quarantined && waiting + instance.bytes > QUARANTINE_BYTES_MAX {
            sealed_file::remove(&self.rooms.store, file)?;
            return Err(NotAdmitted::QuarantineFull { waiting });
        }
        if let Err(fault) = self.rooms.put(Room::Instance, &file.0, &instance) {
            // Without its record the file is nobody's; if it can't be removed now, the next start does it.
            let _ = sealed_file::remove(&self.rooms.store, file);
            return Err(fault.into());
        }
        lists.tally.received += 1;
        if quarantined {
            lists.modalities.quarantine(instance);
            return Ok(Admitted::Quarantined(case));
        }
        lists.staging.take_in(instance, now);
        self.say(&mut lists.staging, &case, word)?;
        drop(lists);
        self.bell.notify_one();
        Ok(Admitted::Staged(case, novelty))
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self) {
        self.lists().tally.refused += 1;
    }

    /// Accepts a modality and stages what it had sent.
    pub(crate) fn accept(&self, title: &str, address: Option<IpAddr>, now: Mono) -> Result<u64, AcceptError> {
        let mut lists = self.lists();
        let meant = lists.modalities.meant(title, address)?;
        let mut moved = 0;
        for modality in meant {
            let name = postcard::to_stdvec(&modality).expect("a title and an address encode");
            self.rooms.put(Room::Modality, &name, &modality)?;
            for instance in lists.modalities.accept(modality) {
                // Held twice over: an accepted modality had sent the same before.
                if lists.staging.judge(&instance) == Novelty::Duplicate {
                    self.rooms.remove(Room::Instance, &instance.file.0)?;
                    sealed_file::remove(&self.rooms.store, instance.file)?;
                    continue;
                }
                moved += 1;
                lists.staging.take_in(instance, now);
            }
        }
        drop(lists);
        self.bell.notify_one();
        Ok(moved)
    }

    /// A person says that a Study is complete.
    pub(crate) fn close(&self, case: &CaseId) -> Result<(), NoSuchCase> {
        self.lists().staging.close(case)?;
        self.bell.notify_one();
        Ok(())
    }

    /// Keeps a person's word on a case.
    fn say(&self, staging: &mut Staging, case: &CaseId, word: &Word) -> Result<(), WriteError> {
        if word.class.is_none() && word.indication.is_none() {
            return Ok(());
        }
        staging.prioritise(case, word.class, word.indication.clone()).expect("the case was just taken in");
        self.write_study(staging, case)
    }

    /// What the packer does next.
    pub(crate) fn next(&self, now: Mono) -> Next {
        self.lists().staging.next(now)
    }

    /// The order was published under this digest.
    pub(crate) fn order_made(&self, case: &CaseId, digest: Hash) -> Result<(), WriteError> {
        let mut lists = self.lists();
        lists.staging.order_made(case, digest);
        self.write_study(&lists.staging, case)
    }

    /// The preview was sealed under this digest.
    pub(crate) fn preview_made(&self, case: &CaseId, digest: Hash) -> Result<(), WriteError> {
        let mut lists = self.lists();
        lists.staging.preview_made(case, digest);
        self.write_study(&lists.staging, case)
    }

    /// `StudyClosed` is on disk.
    pub(crate) fn closed(&self, case: &CaseId) -> Result<(), WriteError> {
        let mut lists = self.lists();
        lists.staging.closed(case);
        self.write_study(&lists.staging, case)
    }

    /// Parts are sealed, read back and compared: from here on they are announced, not packed again. Those of one
    /// Instance become durable together.
    pub(crate) fn sealed(&self, parts: Vec<PartRecord>) -> Result<(), WriteError> {
        let mut lists = self.lists();
        self.rooms.put_all(Room::Part, parts.iter().map(|part| (part.sealed.manifest.0, part)))?;
        for part in parts {
            lists.staging.add_part(part.sealed.manifest, part);
        }
        Ok(())
    }

    /// A staging file does not give back what was received: the Instance is forgotten, so that sent again it is new.
    pub(crate) fn lost(&self, case: &CaseId, file: StagingId) -> Result<(), WriteError> {
        let mut lists = self.lists();
        lists.staging.lost(case, file);
        self.rooms.remove(Room::Instance, &file.0)?;
        self.write_study(&lists.staging, case)?;
        sealed_file::remove(&self.rooms.store, file)
    }

    /// The core does not take the sealed parts of a case: they are forgotten, and packed again under a new key.
    pub(crate) fn unseal(&self, case: &CaseId) -> Result<(), WriteError> {
        let refused = self.lists().staging.unseal(case);
        refused.iter().try_for_each(|manifest| self.rooms.remove(Room::Part, &manifest.0))
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

    fn write_study(&self, staging: &Staging, case: &CaseId) -> Result<(), WriteError> {
        let Some(case) = staging.case(case) else { return Ok(()) };
        self.rooms.put(Room::Study, &case.id.0, &case.record)
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
        self.lists().modalities.listing()
    }

    pub(crate) fn quarantined_bytes(&self) -> u64 {
        self.lists().modalities.waiting_bytes()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.lists().tally
    }
}

/// A modality that could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
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
