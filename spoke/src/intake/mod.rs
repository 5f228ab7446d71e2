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
    quarantine::Place,
    staging::{Novelty, ReceivedInstance, Sender, Wholeness},
};
use radmesh_dimse::{
    Priority, StoreStatus,
    server::{self, Incoming, Sink, Verdict},
};
use radmesh_protocol::{class::Class, id::CaseId, record::Importance};
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
        let importance = if word.class == Some(Class::Stat) { Importance::Stat } else { Importance::Bulk };
        let taken = self.receive(importance).and_then(|mut receiving| {
            let mut buffer = vec![0; COPY_BYTES];
            loop {
                match file.read(&mut buffer).map_err(Refused::Input)? {
                    0 => return self.finish(receiving, &Declared::File, Sender::Hand, None, word),
                    read => receiving.write(&buffer[..read])?,
                }
            }
        });
        taken.inspect_err(|_| self.ledger.refused())
    }

    fn receive(&self, importance: Importance) -> Result<Receiving, Refused> {
        Receiving::begin(&self.ledger.rooms.store, importance, &self.ledger.rooms.chance)
    }

    fn finish(
        &self,
        receiving: Receiving,
        declared: &Declared,
        sender: Sender,
        place: Option<Place>,
        word: &Word,
    ) -> Result<Taken, Refused> {
        let now = (self.clock)();
        let instance = receiving.finish(&self.ledger.rooms.store, declared, sender, now.wall)?;
        let ReceivedInstance { wholeness, bytes, .. } = instance;
        let (case, novelty) = match self.ledger.admit(instance, place, word, now.mono) {
            Ok(Admitted::Staged(case, novelty)) => (case, novelty),
            Ok(Admitted::Quarantined(case)) => (case, Novelty::New),
            Err(NotAdmitted::QuarantineFull(full)) => return Err(full.into()),
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
    /// Its room in quarantine, if its sender is unknown.
    place: Option<Place>,
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
        let place = match incoming.verdict {
            Verdict::Quarantined => Some(self.ledger.place().map_err(|full| self.status(&full.into()))?),
            Verdict::Accepted | Verdict::Refused => None,
        };
        let importance = match (incoming.verdict, incoming.priority) {
            (Verdict::Quarantined | Verdict::Refused, _) => Importance::Stranger,
            (Verdict::Accepted, Priority::High) => Importance::Stat,
            (Verdict::Accepted, Priority::Medium | Priority::Low) => Importance::Bulk,
        };
        let receiving = self.receive(importance).map_err(|refused| self.status(&refused))?;
        Ok(Arriving { intake: self.clone(), receiving, declared, sender: of(&incoming.sender), place })
    }
}

impl Sink for Arriving {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreStatus> {
        let (many, intake) = (bytes.len() as u64, &self.intake);
        let room = match &mut self.place {
            Some(place) => place.grow(many).map_err(Refused::from),
            None => intake.ledger.allowances.take(&self.sender, many, (intake.clock)().mono).map_err(Refused::from),
        };
        let written = room.and_then(|()| self.receiving.write(bytes));
        written.map_err(|refused| self.intake.status(&refused))
    }

    fn finish(self) -> StoreStatus {
        let Self { intake, receiving, declared, sender, place } = self;
        match intake.finish(receiving, &declared, sender, place, &Word::default()) {
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
        Refused::TooLarge | Refused::ReadBack | Refused::QuarantineFull(_) => StoreStatus::OutOfResources,
        Refused::OverAllowance(_) | Refused::Input(_) => StoreStatus::OutOfResources,
        Refused::Disk(WriteError::Full | WriteError::Faulted | WriteError::TooLarge { .. } | WriteError::Misplaced) => {
            StoreStatus::OutOfResources
        }
    }
}

fn of(sender: &server::Sender) -> Sender {
    Sender::Modality(Modality { ae_title: sender.calling_ae.clone(), address: sender.address })
}

const COPY_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chance, Latest, held::Held, ledger::Founding, quarantine::Bounds, rooms::Rooms, staging::Rules};
    use radmesh_dimse::{AeTitle, SopClassUid, SopInstanceUid, TransferSyntax};
    use radmesh_protocol::{
        envelope::{at_rest::AtRestKey, sign::SigningKey, site::SiteSecret},
        id::{FederationId, Incarnation},
        node::{Node, NodeConfig, Switch},
        time::{Millis, Mono, Now, Wall},
        transfer::scrub::Share,
    };
    use radmesh_store::{Memory, Store};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    use server::Intake as _;
    use std::{net::Ipv4Addr, sync::RwLock};

    const ROOM: Bounds = Bounds { bytes: 100_000, instances: 2 };
    const ALLOWANCE: u64 = 50_000;

    fn door(disk: &Arc<Memory>) -> Intake {
        let (signing, at_rest) = (SigningKey::from_seed([2; 32]), AtRestKey::from_bytes(&[9; 32]));
        let me = signing.node_id();
        let (store, _) = Store::open(disk.clone(), &at_rest).unwrap();
        let store = Arc::new(store);
        let node = Node::new(NodeConfig {
            signing,
            federation: FederationId([1; 32]),
            incarnation: Incarnation([1; 8]),
            reserve: Incarnation([2; 8]),
            floor: Wall(1),
            keep_hours: u32::MAX,
            scrub: Share::NONE,
            gossip: Switch::On,
            anti_entropy: Switch::On,
            push: Switch::On,
        });
        let chance = Chance::new(ChaCha20Rng::seed_from_u64(1));
        let founding = Founding {
            site: SiteSecret::from_bytes([3; 32]),
            rules: Rules::quiet(Millis::from_secs(60)),
            configured: Vec::new(),
            quarantine: ROOM,
            sender_bytes_a_day: ALLOWANCE,
            held: Held::new(Arc::clone(&store), Arc::new(RwLock::new(node)), me),
        };
        let ledger = Ledger::open(Rooms { store, at_rest, chance }, &Latest::default(), founding, Mono(0)).unwrap();
        Intake::new(Arc::new(ledger), Arc::new(|| Now { mono: Mono(0), wall: Wall(1) }))
    }

    fn incoming(verdict: Verdict) -> Incoming {
        let title = |text| AeTitle::parse(text).unwrap();
        Incoming {
            sender: server::Sender {
                calling_ae: title("WHO"),
                called_ae: title("RADMESH"),
                address: Ipv4Addr::LOCALHOST.into(),
            },
            verdict,
            priority: Priority::Medium,
            sop_class_uid: SopClassUid::parse("1.2.840.10008.5.1.4.1.1.2").unwrap(),
            sop_instance_uid: SopInstanceUid::parse("1.2.3").unwrap(),
            transfer_syntax: TransferSyntax::parse("1.2.840.10008.1.2.1").unwrap(),
        }
    }

    fn on_disk(disk: &Memory) -> usize {
        disk.files().values().map(Vec::len).sum()
    }

    #[test]
    fn an_accepted_sender_is_refused_once_it_has_stored_what_it_may_in_a_day() {
        let disk = Arc::new(Memory::new());
        let door = door(&disk);
        let mut arriving = door.begin(incoming(Verdict::Accepted)).unwrap();
        let taken = (0..1000).take_while(|_| Sink::write(&mut arriving, &[0; 1000]).is_ok()).count();
        assert_eq!(taken, 50);
        assert_eq!(Sink::write(&mut arriving, &[0; 1000]), Err(StoreStatus::OutOfResources));
    }

    #[test]
    fn an_unknown_sender_is_refused_before_it_has_written_more_than_the_quarantine_holds() {
        let disk = Arc::new(Memory::new());
        let door = door(&disk);
        let before = on_disk(&disk);
        let mut first = door.begin(incoming(Verdict::Quarantined)).unwrap();
        let refused = (0..1000).find_map(|_| Sink::write(&mut first, &[0; 1000]).err());
        assert_eq!(refused, Some(StoreStatus::OutOfResources));
        assert!(on_disk(&disk) - before <= ROOM.bytes as usize + 1000, "{} bytes", on_disk(&disk) - before);
        let _second = door.begin(incoming(Verdict::Quarantined)).unwrap();
        assert_eq!(door.begin(incoming(Verdict::Quarantined)).unwrap_err(), StoreStatus::OutOfResources);
        assert!(door.begin(incoming(Verdict::Accepted)).is_ok(), "the clinic's own modalities go on");
        drop(first);
        assert!(door.begin(incoming(Verdict::Quarantined)).is_ok(), "what was refused gave its room back");
    }
}
