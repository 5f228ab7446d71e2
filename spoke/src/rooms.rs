//! The spoke's own records in the node's journal.
//!
//! A modality's 0x0000, a sealed part, an accepted sender: each stands on one record here, durable before the word is
//! given. Values are sealed under the node's at-rest key and keys are keyed hashes, so a stolen disk names nobody.
//! A later record of the same room and key replaces the earlier; an empty one says that the thing is gone.

use crate::chance::Chance;
use radmesh_protocol::{
    envelope::at_rest::AtRestKey,
    id::Hash,
    record::Record,
    wire::{self, WireError},
};
use radmesh_store::{RECORD_BYTES_MAX, Store, WriteError};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, sync::Arc};

/// Which kind of thing a record is about. Numbers as in `protocol/SPEC.md`, Storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub(crate) enum Room {
    /// The site secret.
    Site = 1,
    /// A received Instance that is not sealed yet.
    Instance = 2,
    /// A Study.
    Study = 3,
    /// A sealed part.
    Part = 4,
    /// A modality that a person accepted.
    Modality = 5,
    /// A report that was opened and kept.
    Report = 6,
}

impl Room {
    /// What the sealed value is bound to.
    const fn context(self) -> &'static str {
        match self {
            Self::Site => "radmesh/1 spoke site",
            Self::Instance => "radmesh/1 spoke instance",
            Self::Study => "radmesh/1 spoke study",
            Self::Part => "radmesh/1 spoke part",
            Self::Modality => "radmesh/1 spoke modality",
            Self::Report => "radmesh/1 spoke report",
        }
    }
}

/// Writes and reads them.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    pub(crate) store: Arc<Store>,
    pub(crate) at_rest: AtRestKey,
    pub(crate) chance: Chance,
}

/// A record that this node's key does not open, or that this build can't read: the node must not go on as if the
/// thing had never been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomsError {
    /// Another key, or other bytes.
    #[error("a journal record of room {room} does not open with this node's boot keystore")]
    Sealed {
        /// The room.
        room: u16,
    },
    /// A layout this build does not know.
    #[error("a journal record of room {room}: {source}")]
    Layout {
        /// The room.
        room: u16,
        /// What does not fit.
        source: WireError,
    },
}

impl Rooms {
    /// Writes a value; durable when this returns.
    pub(crate) fn put<T: Serialize>(&self, room: Room, name: &[u8], value: &T) -> Result<(), WriteError> {
        let plain = zeroize::Zeroizing::new(wire::encode(value));
        let sealed = self.at_rest.seal(room.context(), &plain, &mut self.chance.clone());
        self.store.append_room(room as u16, self.at_rest.keyed_hash(room.context(), name), sealed)
    }

    /// Writes several values with one sync.
    pub(crate) fn put_all<'a, T: Serialize + 'a>(
        &self,
        room: Room,
        values: impl Iterator<Item = ([u8; 16], &'a T)>,
    ) -> Result<(), WriteError> {
        let records = values.map(|(name, value)| {
            let plain = zeroize::Zeroizing::new(wire::encode(value));
            let sealed = self.at_rest.seal(room.context(), &plain, &mut self.chance.clone());
            (room as u16, self.at_rest.keyed_hash(room.context(), &name), sealed)
        });
        self.store.append_rooms(records)
    }

    /// Says that the thing is gone.
    pub(crate) fn remove(&self, room: Room, name: &[u8]) -> Result<(), WriteError> {
        self.store.append_room(room as u16, self.at_rest.keyed_hash(room.context(), name), Vec::new())
    }

    /// Several records with one sync: removals, then one value.
    pub(crate) fn replace<T: Serialize>(
        &self,
        gone: (Room, impl Iterator<Item = [u8; 16]>),
        room: Room,
        name: &[u8],
        value: &T,
    ) -> Result<(), WriteError> {
        let key = |room: Room, name: &[u8]| self.at_rest.keyed_hash(room.context(), name);
        let gone = gone.1.map(|name| (gone.0 as u16, key(gone.0, &name), Vec::new()));
        let plain = zeroize::Zeroizing::new(wire::encode(value));
        let sealed = self.at_rest.seal(room.context(), &plain, &mut self.chance.clone());
        self.store.append_rooms(gone.chain([(room as u16, key(room, name), sealed)]))
    }

    /// Every value of a room.
    pub(crate) fn read<T: DeserializeOwned>(&self, room: Room, latest: &Latest) -> Result<Vec<T>, RoomsError> {
        let number = room as u16;
        let open = |sealed: &Vec<u8>| {
            let plain = self.at_rest.open(room.context(), sealed).map_err(|_| RoomsError::Sealed { room: number })?;
            let limit = RECORD_BYTES_MAX;
            wire::decode("a room's record", &plain, limit).map_err(|source| RoomsError::Layout { room: number, source })
        };
        latest.0.range((number, Hash([0; 32]))..=(number, Hash([0xff; 32]))).map(|(_, sealed)| open(sealed)).collect()
    }
}

/// The latest record of each room and key, gathered while the journal is replayed.
#[derive(Debug, Default)]
pub struct Latest(BTreeMap<(u16, Hash), Vec<u8>>);

impl Latest {
    /// Takes the next record of the journal, in its order; others than rooms' are not its matter.
    pub fn take(&mut self, record: &Record) {
        let Record::Room { room, key, sealed } = record else { return };
        if sealed.is_empty() {
            self.0.remove(&(*room, *key));
        } else {
            self.0.insert((*room, *key), sealed.clone());
        }
    }
}
