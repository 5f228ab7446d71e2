//! Offers: what the peer on one link should want, the most urgent first, a few at a time.
//!
//! A clinic with a backlog of a thousand parcels names eight of each class, not a thousand: a STAT film sealed now
//! is named with the next message. What a peer is known to have is not offered again. Source: `protocol/SPEC.md`,
//! Messages.

use crate::{class::Class, id::ManifestId, limits::OFFERED_MAX};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a peer, over all its links.
#[derive(Debug, Default)]
pub struct Memory {
    has: BTreeSet<ManifestId>,
    manifests: BTreeSet<ManifestId>,
}

/// Offers on one link.
#[derive(Debug, Default)]
pub struct Offers {
    queued: BTreeMap<ManifestId, (Class, u64)>,
    queue: BTreeSet<(Class, u64, ManifestId)>,
    offered: BTreeMap<ManifestId, Class>,
}

/// Whether the manifest itself goes with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum With {
    /// The peer has not seen it.
    Manifest,
    /// It has.
    Nothing,
}

impl Memory {
    /// The peer has all of a parcel.
    pub fn has(&mut self, manifest: ManifestId) {
        self.has.insert(manifest);
    }

    /// The peer lost a parcel, or does not know its manifest after all.
    pub fn lacks(&mut self, manifest: &ManifestId) {
        self.has.remove(manifest);
        self.manifests.remove(manifest);
    }

    /// The peer has named the manifest, so it knows it.
    pub fn knows(&mut self, manifest: ManifestId) {
        self.manifests.insert(manifest);
    }

    /// The peer is met anew: its disk may be another one, and what nobody has signed for is offered again.
    pub fn met(&mut self) {
        self.has.clear();
    }
}

impl Offers {
    /// The peer should want this, at this class.
    pub fn consider(&mut self, manifest: ManifestId, class: Class, order: u64, memory: &Memory) {
        if memory.has.contains(&manifest) || self.offered.get(&manifest) == Some(&class) {
            return;
        }
        self.offered.remove(&manifest);
        self.unqueue(&manifest);
        self.queued.insert(manifest, (class, order));
        self.queue.insert((class, order, manifest));
    }

    /// The peer has it, or said no: it is offered again only when its case changes.
    pub fn withdraw(&mut self, manifest: &ManifestId) {
        self.offered.remove(manifest);
        self.unqueue(manifest);
    }

    /// Offers for which `forgotten` holds may be made again.
    pub fn forget(&mut self, forgotten: impl Fn(&ManifestId) -> bool) {
        self.offered.retain(|manifest, _| !forgotten(manifest));
    }

    /// The next offer to make.
    pub fn next(&mut self, memory: &mut Memory) -> Option<(ManifestId, Class, With)> {
        let room = |class: Class| self.offered.values().filter(|other| **other == class).count() < OFFERED_MAX;
        let next = *self.queue.iter().find(|(class, ..)| room(*class))?;
        let (class, _, manifest) = next;
        self.unqueue(&manifest);
        self.offered.insert(manifest, class);
        let with = if memory.manifests.insert(manifest) { With::Manifest } else { With::Nothing };
        Some((manifest, class, with))
    }

    fn unqueue(&mut self, manifest: &ManifestId) {
        if let Some((class, order)) = self.queued.remove(manifest) {
            self.queue.remove(&(class, order, *manifest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_offered_at_once_behind_a_backlog() {
        let (mut offers, mut memory) = (Offers::default(), Memory::default());
        for n in 0..100 {
            offers.consider(ManifestId([n; 16]), Class::Routine, u64::from(n), &memory);
        }
        let first: Vec<_> = std::iter::from_fn(|| offers.next(&mut memory)).collect();
        assert_eq!(first.len(), OFFERED_MAX);
        offers.consider(ManifestId([200; 16]), Class::Stat, 200, &memory);
        assert_eq!(offers.next(&mut memory), Some((ManifestId([200; 16]), Class::Stat, With::Manifest)));
    }

    #[test]
    fn an_offer_that_came_to_nothing_is_made_again_after_it_was_forgotten() {
        let (mut offers, mut memory) = (Offers::default(), Memory::default());
        let manifest = ManifestId([1; 16]);
        offers.consider(manifest, Class::Routine, 1, &memory);
        offers.next(&mut memory).unwrap();
        offers.consider(manifest, Class::Routine, 1, &memory);
        assert_eq!(offers.next(&mut memory), None);
        offers.forget(|_| true);
        offers.consider(manifest, Class::Routine, 1, &memory);
        assert_eq!(offers.next(&mut memory), Some((manifest, Class::Routine, With::Nothing)));
    }

    #[test]
    fn what_a_peer_has_is_not_offered_again_until_it_is_met_anew() {
        let (mut offers, mut memory) = (Offers::default(), Memory::default());
        memory.has(ManifestId([1; 16]));
        offers.consider(ManifestId([1; 16]), Class::Stat, 1, &memory);
        assert_eq!(offers.next(&mut memory), None);
        memory.met();
        offers.consider(ManifestId([1; 16]), Class::Stat, 1, &memory);
        assert!(offers.next(&mut memory).is_some());
    }

    #[test]
    fn a_case_that_becomes_stat_is_offered_again_as_stat_without_its_manifest() {
        let (mut offers, mut memory) = (Offers::default(), Memory::default());
        let manifest = ManifestId([1; 16]);
        offers.consider(manifest, Class::Routine, 1, &memory);
        assert_eq!(offers.next(&mut memory), Some((manifest, Class::Routine, With::Manifest)));
        offers.consider(manifest, Class::Stat, 1, &memory);
        assert_eq!(offers.next(&mut memory), Some((manifest, Class::Stat, With::Nothing)));
    }
}
