//! Intake: the door through which every Instance comes, from a modality or from a person's hand.
//!
//! A modality deletes its copy when it hears 0x0000, so that word is given only when the sealed file and its journal
//! record are both on disk. What can't be taken is refused with the reason, never dropped; what comes from an unknown
//! sender is kept apart. Source: PS3.4 annex B; `protocol/SPEC.md`, Received bytes.

mod receive;

pub use receive::{Declared, INSTANCE_BYTES_MAX, Refused};

use crate::{
    Clock, Word,
    ledger::{Admitted, Ledger, NotAdmitted},
    modality::{Modality, Standing},
    staging::{Novelty, ReceivedInstance, Sender, Wholeness},
};
use radmesh_dimse::{
    StoreStatus,
    server::{self, Incoming, Sink, Verdict},
};
use radmesh_protocol::id::CaseId;
use radmesh_store::WriteError;
use receive::Receiving;
use std::{fmt, io::Read, sync::Arc};

/// What became of an Instance that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its case.
    pub case: CaseId,
    /// How it stood to what was here.
    pub novelty: Novelty,
    /// Whether it is all there.
    pub wholeness: Wholeness,
    /// Bytes received.
    pub bytes: u64,
}

/// The door.
#[derive(Clone)]
pub struct Intake {
    ledger: Arc<Ledger>,
    clock: Clock,
}

impl Intake {
    pub(crate) const fn new(ledger: Arc<Ledger>, clock: Clock) -> Self {
        Self { ledger, clock }
    }

    /// Takes in a file that a person hands in, streamed from `file`. Blocks until it is on disk.
    ///
    /// # Errors
    /// [`Refused`], in words for that person.
    pub fn file(&self, mut file: impl Read, word: &Word) -> Result<Taken, Refused> {
        let taken = self.begin().and_then(|mut receiving| {
            let mut buffer = vec![0; COPY_BYTES];
            loop {
                match file.read(&mut buffer).map_err(Refused::Input)? {
                    0 => return self.finish(receiving, &Declared::File, Sender::Hand, word),
                    read => receiving.write(&buffer[..read])?,
                }
            }
        });
        taken.inspect_err(|_| self.ledger.refused())
    }

    fn begin(&self) -> Result<Receiving, Refused> {
        Receiving::begin(&self.ledger.rooms.store, &self.ledger.rooms.chance)
    }

    fn finish(&self, receiving: Receiving, declared: &Declared, sender: Sender, word: &Word) -> Result<Taken, Refused> {
        let now = (self.clock)();
        let instance = receiving.finish(&self.ledger.rooms.store, declared, sender, now.wall)?;
        let ReceivedInstance { wholeness, bytes, .. } = instance;
        let (case, novelty) = match self.ledger.admit(instance, word, now.mono) {
            Ok(Admitted::Staged(case, novelty)) => (case, novelty),
            Ok(Admitted::Quarantined(case)) => (case, Novelty::New),
            Err(NotAdmitted::QuarantineFull { waiting }) => return Err(Refused::QuarantineFull { waiting }),
            Err(NotAdmitted::Disk(fault)) => return Err(fault.into()),
        };
        Ok(Taken { case, novelty, wholeness, bytes })
    }
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Intake")
    }
}

/// An Instance that is coming in over an association.
#[derive(Debug)]
pub struct Arriving {
    intake: Intake,
    receiving: Receiving,
    declared: Declared,
    sender: Sender,
}

impl server::Intake for Intake {
    type Sink = Arriving;

    fn judge(&self, sender: &server::Sender) -> Verdict {
        match self.ledger.standing(&of(sender)) {
            Standing::Configured | Standing::Accepted => Verdict::Accepted,
            Standing::Quarantined => Verdict::Quarantined,
        }
    }

    fn begin(&self, incoming: Incoming) -> Result<Arriving, StoreStatus> {
        let declared = Declared::Association {
            sop_class: incoming.sop_class_uid,
            sop_instance: incoming.sop_instance_uid,
            transfer_syntax: incoming.transfer_syntax,
            calling_ae: incoming.sender.calling_ae.as_str().to_owned(),
            called_ae: incoming.sender.called_ae.as_str().to_owned(),
        };
        let receiving = self.begin().map_err(|refused| self.status(&refused))?;
        Ok(Arriving { intake: self.clone(), receiving, declared, sender: of(&incoming.sender) })
    }
}

impl Sink for Arriving {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreStatus> {
        self.receiving.write(bytes).map_err(|refused| self.intake.status(&refused))
    }

    fn finish(self) -> StoreStatus {
        let Self { intake, receiving, declared, sender } = self;
        match intake.finish(receiving, &declared, sender, &Word::default()) {
            Ok(taken) => {
                tracing::info!(case = ?taken.case, bytes = taken.bytes, novelty = ?taken.novelty, "instance stored");
                StoreStatus::Stored
            }
            Err(refused) => intake.status(&refused),
        }
    }
}

impl Intake {
    /// The status that the modality is told, and a line for the technician who looks why.
    fn status(&self, refused: &Refused) -> StoreStatus {
        self.ledger.refused();
        tracing::warn!(%refused, "instance refused");
        status_of(refused)
    }
}

/// PS3.4 table B.2-1.
const fn status_of(refused: &Refused) -> StoreStatus {
    match refused {
        Refused::DoesNotMatch { .. } => StoreStatus::DoesNotMatch,
        Refused::Scan(_) => StoreStatus::CannotUnderstand,
        Refused::TooLarge | Refused::ReadBack | Refused::QuarantineFull { .. } | Refused::Input(_) => {
            StoreStatus::OutOfResources
        }
        Refused::Disk(WriteError::Full | WriteError::Faulted | WriteError::TooLarge { .. } | WriteError::Misplaced) => {
            StoreStatus::OutOfResources
        }
    }
}

fn of(sender: &server::Sender) -> Sender {
    Sender::Modality(Modality { ae_title: sender.calling_ae.clone(), address: sender.address })
}

const COPY_BYTES: usize = 64 * 1024;
