//! A reading pool's key: the hubs of a region open what the clinics of that region seal.
//!
//! The hub that the roster names as key maker makes an X25519 key each epoch and gives its private half to the
//! member hubs, never to a spoke: a stolen spoke opens nothing. Epoch 0's public half comes with that hub's own
//! request, so that a clinic can seal from the minute it joins (`protocol/SPEC.md`, Keys).

use crate::{
    envelope::{
        OpenError,
        reading::{ReadingKey, ReadingPublic},
        tag,
        wrap::{BadRecipient, Wrap, unwrap, wrap},
    },
    id::{FederationId, NodeId, Region},
    limits::POOL_HUBS_MAX,
    wire::cursor::Put,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// An epoch's key of a pool, wrapped to its member hubs. Body of event kind 13.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolKey {
    /// The pool.
    pub pool: Region,
    /// Its epoch, from 0.
    pub epoch: u32,
    /// What parcels and orders are sealed to.
    pub public: ReadingPublic,
    /// The private half, to each member hub.
    #[serde(deserialize_with = "bounded")]
    pub wraps: Vec<(NodeId, Wrap)>,
}

impl PoolKey {
    /// Wraps `key` to the reading keys of the pool's member hubs, the first [`POOL_HUBS_MAX`] of them.
    ///
    /// # Errors
    /// [`BadRecipient`] names the hub's key that can't be sealed to.
    pub fn make(
        pool: Region,
        epoch: u32,
        key: &ReadingKey,
        hubs: &[(NodeId, ReadingPublic)],
        federation: &FederationId,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, BadRecipient> {
        let public = key.public();
        let info = info(federation, &pool, epoch, &public);
        let wraps = hubs.iter().take(POOL_HUBS_MAX).map(|(hub, reading)| {
            let wrapped = wrap(key.secret().as_bytes(), reading, &info, rng)?;
            Ok((*hub, wrapped))
        });
        let wraps = wraps.collect::<Result<_, _>>()?;
        Ok(Self { pool, epoch, public, wraps })
    }

    /// The private half, for a member hub that is unlocked.
    ///
    /// # Errors
    /// [`OpenError::NotARecipient`] if `hub` is not among the members, [`OpenError::Refused`] if the wrap does not
    /// open or opens to a key whose public half is another.
    pub fn open(&self, hub: &NodeId, key: &ReadingKey, federation: &FederationId) -> Result<ReadingKey, OpenError> {
        let (_, ours) = self.wraps.iter().find(|(to, _)| to == hub).ok_or(OpenError::NotARecipient)?;
        let secret = unwrap(ours, key, &info(federation, &self.pool, self.epoch, &self.public))?;
        let opened = ReadingKey::from_seed(*secret);
        if opened.public() == self.public { Ok(opened) } else { Err(OpenError::Refused) }
    }
}

fn info(federation: &FederationId, pool: &Region, epoch: u32, public: &ReadingPublic) -> Vec<u8> {
    let mut put = Put::default();
    put.bytes(tag::POOL_WRAP.as_bytes()).bytes(federation.as_bytes()).short_text(pool.as_str());
    put.u32(epoch).bytes(public.as_bytes());
    put.into_bytes()
}

fn bounded<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(NodeId, Wrap)>, D::Error> {
    let wraps = Vec::<(NodeId, Wrap)>::deserialize(from)?;
    if wraps.len() > POOL_HUBS_MAX { Err(D::Error::custom("a pool has at most 64 member hubs")) } else { Ok(wraps) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    const OURS: FederationId = FederationId([1; 32]);

    fn north(hub: &ReadingKey) -> (ReadingKey, PoolKey) {
        let key = ReadingKey::from_seed([7; 32]);
        let to = [(NodeId([5; 32]), hub.public())];
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let made = PoolKey::make("north".parse().unwrap(), 0, &key, &to, &OURS, rng).unwrap();
        (key, made)
    }

    #[test]
    fn member_hub_gets_the_pools_key_and_another_hub_does_not() {
        let hub = ReadingKey::from_seed([2; 32]);
        let (key, made) = north(&hub);
        assert_eq!(made.open(&NodeId([5; 32]), &hub, &OURS).unwrap().public(), key.public());
        let stranger = made.open(&NodeId([6; 32]), &hub, &OURS);
        assert_eq!(stranger.unwrap_err(), OpenError::NotARecipient);
    }

    #[test]
    fn wrap_moved_to_another_pool_or_epoch_does_not_open() {
        let hub = ReadingKey::from_seed([2; 32]);
        let (_, made) = north(&hub);
        let open = |moved: PoolKey| moved.open(&NodeId([5; 32]), &hub, &OURS).unwrap_err();
        assert_eq!(open(PoolKey { epoch: 1, ..made.clone() }), OpenError::Refused);
        assert_eq!(open(PoolKey { pool: "south".parse().unwrap(), ..made }), OpenError::Refused);
    }

    #[test]
    fn key_maker_who_announces_one_key_and_wraps_another_is_found_out() {
        let hub = ReadingKey::from_seed([2; 32]);
        let (_, mut made) = north(&hub);
        made.public = ReadingKey::from_seed([8; 32]).public();
        let info = info(&OURS, &made.pool, made.epoch, &made.public);
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        made.wraps = vec![(NodeId([5; 32]), wrap(&[7; 32], &hub.public(), &info, rng).unwrap())];
        assert_eq!(made.open(&NodeId([5; 32]), &hub, &OURS).unwrap_err(), OpenError::Refused);
    }
}
