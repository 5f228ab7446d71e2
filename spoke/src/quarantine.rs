//! The quarantine: what unknown senders sent, stored apart and within bounds.
//!
//! It may be a patient's only images, so it is stored; it may be junk, so it must not take the disk from the clinic's
//! own modalities. The one rule: an unknown sender's byte has its room here before it is written to the disk.

use crate::{
    modality::{Modality, NotWaiting},
    staging::{ReceivedInstance, Sender, StagingId},
};
use radmesh_dimse::AeTitle;
use radmesh_protocol::id::Hash;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How much unknown senders may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) bytes: u64,
    pub(crate) instances: u64,
}

/// Of every spoke: a large CT Study fits, and what is remembered of so many Instances fits its memory.
pub(crate) const BOUNDS: Bounds = Bounds { bytes: 2 * 1024 * 1024 * 1024, instances: 5_000 };

/// Unknown senders fill what they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown senders hold {} bytes in {} Instances; {} bytes and {} Instances are all they may until one is accepted",
    held.bytes, held.instances, bounds.bytes, bounds.instances
)]
pub struct QuarantineFull {
    held: Bounds,
    bounds: Bounds,
}

/// The room there is, shared by all that is in quarantine or on its way in.
#[derive(Debug)]
pub(crate) struct Room {
    bounds: Bounds,
    held: Mutex<Bounds>,
}

impl Room {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, held: Mutex::new(Bounds { bytes: 0, instances: 0 }) })
    }

    fn held(&self) -> MutexGuard<'_, Bounds> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes in quarantine or on their way in.
    pub(crate) fn bytes(&self) -> u64 {
        self.held().bytes
    }

    /// A place for one Instance that is about to come.
    pub(crate) fn place(self: &Arc<Self>) -> Result<Place, QuarantineFull> {
        let mut held = self.held();
        if held.instances >= self.bounds.instances {
            return Err(QuarantineFull { held: *held, bounds: self.bounds });
        }
        held.instances += 1;
        drop(held);
        Ok(Place { room: Arc::clone(self), bytes: 0 })
    }

    /// The place of one that is on disk: it was promised, so it has its place whatever the bounds say.
    pub(crate) fn place_of(self: &Arc<Self>, instance: &ReceivedInstance) -> Place {
        let mut held = self.held();
        held.instances += 1;
        held.bytes += instance.bytes;
        drop(held);
        Place { room: Arc::clone(self), bytes: instance.bytes }
    }
}

/// One Instance's room; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    bytes: u64,
}

impl Place {
    /// Takes room for bytes that are about to be written.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), QuarantineFull> {
        let mut held = self.room.held();
        if held.bytes + bytes > self.room.bounds.bytes {
            return Err(QuarantineFull { held: *held, bounds: self.room.bounds });
        }
        held.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.room.held();
        held.bytes -= self.bytes;
        held.instances -= 1;
    }
}

/// Sender, received bytes, and whether they were a file: what makes two Instances in quarantine the same.
type Same = (Sender, Hash, &'static str);

fn same(instance: &ReceivedInstance) -> Same {
    (instance.sender.clone(), instance.received, instance.form_name())
}

/// What waits for a person's word.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    waiting: BTreeMap<StagingId, (ReceivedInstance, Place)>,
    by_bytes: HashMap<Same, StagingId>,
}

impl Quarantine {
    /// Puts an Instance aside. It is on disk with its record.
    pub(crate) fn put(&mut self, instance: ReceivedInstance, place: Place) {
        self.by_bytes.insert(same(&instance), instance.file);
        self.waiting.insert(instance.file, (instance, place));
    }

    /// The Instance of the same sender and received bytes that waits already.
    pub(crate) fn same_as(&self, other: &ReceivedInstance) -> Option<&ReceivedInstance> {
        self.by_bytes.get(&same(other)).and_then(|file| self.get(file))
    }

    pub(crate) fn get(&self, file: &StagingId) -> Option<&ReceivedInstance> {
        self.waiting.get(file).map(|(instance, _)| instance)
    }

    /// Lets one go: staged, or removed from the disk.
    pub(crate) fn take(&mut self, file: &StagingId) -> Option<ReceivedInstance> {
        let (instance, _) = self.waiting.remove(file)?;
        if self.by_bytes.get(&same(&instance)) == Some(file) {
            self.by_bytes.remove(&same(&instance));
        }
        Some(instance)
    }

    /// Files of one sender.
    pub(crate) fn of(&self, modality: &Modality) -> Vec<StagingId> {
        let sender = Sender::from(modality.clone());
        self.instances().filter(|held| held.sender == sender).map(|held| held.file).collect()
    }

    /// Everything that waits.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &ReceivedInstance> {
        self.waiting.values().map(|(instance, _)| instance)
    }

    /// Which modalities an `accept` means: those that wait under that title, at that address if one is given.
    pub(crate) fn meant(&self, ae_title: &AeTitle, address: Option<IpAddr>) -> Result<BTreeSet<Modality>, NotWaiting> {
        let fits = |m: &Modality| m.ae_title == *ae_title && address.is_none_or(|address| address == m.address);
        let mut meant: BTreeSet<Modality> =
            self.instances().filter_map(|held| Modality::of(&held.sender)).filter(fits).collect();
        if let (true, Some(address)) = (meant.is_empty(), address) {
            meant.insert(Modality { ae_title: ae_title.clone(), address });
        }
        if meant.is_empty() { Err(NotWaiting { ae_title: ae_title.clone() }) } else { Ok(meant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::tests::received_from;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));

    fn modality(ae_title: &str) -> Modality {
        Modality { ae_title: AeTitle::parse(ae_title).unwrap(), address: HERE }
    }

    #[test]
    fn unknown_senders_never_hold_more_than_their_room_even_while_they_send() {
        let room = Room::new(Bounds { bytes: 1000, instances: 2 });
        let mut first = room.place().unwrap();
        let mut second = room.place().unwrap();
        assert!(room.place().is_err(), "a third Instance");
        first.grow(600).unwrap();
        let full = second.grow(401).unwrap_err();
        assert!(full.to_string().contains("600 bytes in 2 Instances; 1000 bytes"), "{full}");
        drop(first);
        second.grow(1000).unwrap();
        assert_eq!(room.bytes(), 1000);
        assert!(room.place().is_ok());
    }

    #[test]
    fn what_leaves_quarantine_gives_its_room_back() {
        let room = Room::new(Bounds { bytes: 1000, instances: 1 });
        let mut list = Quarantine::default();
        let instance = received_from("1.1", 1, modality("US1").into());
        list.put(instance.clone(), room.place_of(&instance));
        assert_eq!(list.same_as(&instance), Some(&instance));
        assert!(room.place().is_err());
        list.take(&instance.file).unwrap();
        assert_eq!((room.bytes(), list.same_as(&instance)), (0, None));
    }

    #[test]
    fn accepting_a_sender_means_what_it_sent_and_nothing_else() {
        let (mut list, room) = (Quarantine::default(), Room::new(BOUNDS));
        let (ours, theirs) = (modality("US1"), modality("XX"));
        for (uid, content, sender) in [("1.1", 1, &ours), ("1.2", 2, &theirs)] {
            let instance = received_from(uid, content, sender.clone().into());
            list.put(instance.clone(), room.place_of(&instance));
        }
        assert_eq!(list.meant(&ours.ae_title, None), Ok(BTreeSet::from([ours.clone()])));
        assert_eq!(list.of(&ours).len(), 1);
    }

    #[test]
    fn accepting_who_never_sent_needs_an_address() {
        let (list, never) = (Quarantine::default(), modality("CT9"));
        assert_eq!(list.meant(&never.ae_title, None), Err(NotWaiting { ae_title: never.ae_title.clone() }));
        assert_eq!(list.meant(&never.ae_title, Some(HERE)), Ok(BTreeSet::from([never.clone()])));
    }
}
