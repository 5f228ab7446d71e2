//! The pool's key: which one is current, and how a new hub gets it.
//!
//! Epoch 0 comes with the key maker's request, so a spoke can seal from the minute it joins. Its private half is in
//! that hub alone until it is unlocked and wraps it to the pool's other hubs, in an event that everybody carries and
//! only they can open (`protocol/SPEC.md`, Keys).

use crate::Hub;
use radmesh_protocol::{
    envelope::reading::ReadingPublic,
    id::{NodeId, Region},
    log::{Scope, body::Body},
    node::{Command, Node},
    pool::PoolKey,
};
use std::collections::BTreeSet;

/// Every pool key event of the pool's own key maker.
fn pool_keys(node: &Node) -> impl Iterator<Item = PoolKey> + '_ {
    let made = node.logs().events(Scope::Federation).filter_map(|event| match event.body() {
        Ok(Some(Body::PoolKey(key))) => Some((event.author(), key)),
        _ => None,
    });
    made.filter(|(author, key)| node.roster().pool_key0(&key.pool).is_some_and(|(maker, _)| maker == *author))
        .map(|(_, key)| key)
}

/// The newest epoch of a pool and its public key.
pub(crate) fn current_key(node: &Node, pool: &Region) -> Option<(u32, ReadingPublic)> {
    let (_, first) = node.roster().pool_key0(pool)?;
    let later = pool_keys(node).filter(|key| key.pool == *pool).map(|key| (key.epoch, key.public));
    later.chain([(0, first)]).max_by_key(|(epoch, _)| *epoch)
}

impl Hub {
    /// Learns the epochs that are wrapped to this hub, and, as key maker, wraps to hubs that lack them.
    pub(crate) fn keep_pool_keys(&self) {
        let lacking = {
            let node = self.core.read();
            let federation = node.roster().federation();
            let mut keys = self.keys.write().expect("no holder of the keys panics");
            let Some(keys) = keys.as_mut() else { return };
            for key in pool_keys(&node) {
                keys.learn(&key, &self.me, &federation);
            }
            lacking(&node, &self.me)
        };
        for (pool, hubs) in lacking {
            self.wrap_epoch_0(pool, &hubs);
        }
    }

    fn wrap_epoch_0(&self, pool: Region, hubs: &[(NodeId, ReadingPublic)]) {
        let made = {
            let node = self.core.read();
            let keys = self.keys.read().expect("no holder of the keys panics");
            let Some(keys) = keys.as_ref() else { return };
            PoolKey::make(pool, 0, keys.epoch_0(), hubs, &node.roster().federation(), &mut *self.rng())
        };
        match made {
            Ok(key) => {
                let body = Box::new(Body::PoolKey(key));
                if let Err(error) = self.core.command(Command::Append { scope: Scope::Federation, body }) {
                    tracing::warn!(%error, "the pool's key was not given to a new hub; the next change tries again");
                }
            }
            Err(error) => tracing::warn!(%error, "a hub's reading key can't be sealed to"),
        }
    }
}

/// Pools of which this hub makes the keys, and their hubs that have no wrap of epoch 0.
fn lacking(node: &Node, me: &NodeId) -> Vec<(Region, Vec<(NodeId, ReadingPublic)>)> {
    let roster = node.roster();
    let pools: BTreeSet<Region> = roster.members().map(|member| member.region.clone()).collect();
    let ours = pools.into_iter().filter(|pool| roster.pool_key0(pool).is_some_and(|(maker, _)| maker == *me));
    let with_gaps = ours.map(|pool| {
        let given: BTreeSet<NodeId> = pool_keys(node)
            .filter(|key| key.pool == pool && key.epoch == 0)
            .flat_map(|key| key.wraps.into_iter().map(|(hub, _)| hub))
            .collect();
        let hubs = roster.pool_hubs(&pool).into_iter().filter(|hub| hub != me && !given.contains(hub));
        let hubs = hubs.filter_map(|hub| Some((hub, roster.node(&hub)?.reading))).collect::<Vec<_>>();
        (pool, hubs)
    });
    with_gaps.filter(|(_, hubs)| !hubs.is_empty()).collect()
}
