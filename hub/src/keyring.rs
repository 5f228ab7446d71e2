//! The reading keys of an unlocked hub: its own, and the pools' by epoch.
//!
//! Locked, a hub takes custody, forwards and keeps reports, and can open nothing; a stolen hub is a locked hub. The
//! keys come with `radmesh unlock` and go when the process ends (`protocol/SPEC.md`, Keys).

use radmesh_protocol::{
    envelope::{OpenError, body::SealedBody, reading::ReadingKey},
    id::{FederationId, NodeId, Region},
    parcel::{
        manifest::Manifest,
        open::{self, Vouched},
        seal::ParcelKey,
    },
    pool::PoolKey,
};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What `radmesh unlock` brings.
#[derive(Debug)]
pub struct UnlockedKeys {
    /// What is wrapped to this hub.
    pub hub: ReadingKey,
    /// The epoch-0 key in this hub's request: a pool's, if the ministry named it key maker.
    pub epoch_0: ReadingKey,
}

/// Every reading key this hub holds now.
#[derive(Debug)]
pub(crate) struct KeyRing {
    keys: UnlockedKeys,
    pools: BTreeMap<(Region, u32), ReadingKey>,
}

impl KeyRing {
    pub(crate) const fn new(keys: UnlockedKeys) -> Self {
        Self { keys, pools: BTreeMap::new() }
    }

    /// Takes the key of an epoch that is wrapped to this hub; whether it was new.
    pub(crate) fn learn(&mut self, pool_key: &PoolKey, hub: &NodeId, federation: &FederationId) -> bool {
        let place = (pool_key.pool.clone(), pool_key.epoch);
        if self.pools.contains_key(&place) {
            return false;
        }
        let Ok(key) = pool_key.open(hub, &self.keys.hub, federation) else { return false };
        self.pools.insert(place, key);
        true
    }

    /// The key this hub made for epoch 0, to be wrapped to the pool's other hubs.
    pub(crate) const fn epoch_0(&self) -> &ReadingKey {
        &self.keys.epoch_0
    }

    /// Opens an order or another sealed body.
    pub(crate) fn open_body(
        &self,
        sealed: &SealedBody,
        federation: &FederationId,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = self.all().find(|key| sealed.recipients().any(|to| to == key.public()));
        sealed.open(key.ok_or(OpenError::NotARecipient)?, federation)
    }

    /// Unwraps a parcel's key.
    pub(crate) fn parcel_key(&self, parcel: &Vouched<'_>, manifest: &Manifest) -> Result<ParcelKey, open::OpenError> {
        let key = self.all().find(|key| manifest.recipients().any(|to| to == key.public()));
        parcel.unwrap_key(key.ok_or(OpenError::NotARecipient)?)
    }

    fn all(&self) -> impl Iterator<Item = &ReadingKey> {
        [&self.keys.epoch_0, &self.keys.hub].into_iter().chain(self.pools.values())
    }
}
