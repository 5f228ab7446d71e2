//! The site secret: made once, kept in the journal, and sealed to pool and recovery so that a replaced node gets it back.
//!
//! Case ids hang on it: with another secret a Study that is sent again would become a second case. It is drawn before
//! the first Instance is taken in; its event goes out as soon as there is a key to seal it to.

use crate::{
    ledger::OpenError,
    rooms::{Latest, Room, Rooms},
};
use radmesh_protocol::{
    envelope::{
        body::{SealBodyError, SealedBody},
        site::SiteSecret,
    },
    id::FederationId,
    log::body::Body,
};
use radmesh_store::WriteError;
use rand_core::Rng;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::pack::Destination;

#[derive(Serialize, Deserialize)]
struct SiteRecord {
    secret: [u8; 32],
    published: bool,
}

/// This site's secret and whether its event is out.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) secret: SiteSecret,
    published: AtomicBool,
}

impl Site {
    /// Reads it back, or draws it: durable when this returns.
    pub(crate) fn open(rooms: &Rooms, latest: &Latest) -> Result<Self, OpenError> {
        let known = rooms.read::<SiteRecord>(Room::Site, latest)?.pop();
        let record = match known {
            Some(record) => record,
            None => {
                let mut record = SiteRecord { secret: [0; 32], published: false };
                rooms.chance.clone().fill_bytes(&mut record.secret);
                rooms.put(Room::Site, b"", &record)?;
                record
            }
        };
        let published = AtomicBool::new(record.published);
        Ok(Self { secret: SiteSecret::from_bytes(record.secret), published })
    }

    /// The event that is still to go out, if any.
    pub(crate) fn event(
        &self,
        rooms: &Rooms,
        to: &Destination,
        federation: &FederationId,
    ) -> Result<Option<Body>, SealBodyError> {
        if self.published.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let (secret, to) = (self.secret.as_bytes(), [to.pool_key, to.recovery]);
        SealedBody::seal(secret, &to, federation, &mut rooms.chance.clone())
            .map(|sealed| Some(Body::SiteSecret(sealed)))
    }

    /// The event is on disk.
    pub(crate) fn published(&self, rooms: &Rooms) -> Result<(), WriteError> {
        rooms.put(Room::Site, b"", &SiteRecord { secret: *self.secret.as_bytes(), published: true })?;
        self.published.store(true, Ordering::SeqCst);
        Ok(())
    }
}
