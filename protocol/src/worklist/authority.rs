//! Whose word counts on a case, by the roster of today and the home hubs it has named, term by term.
//!
//! The home hub of a site grants, refuses and bears witness in its term, and nobody else does. A statement of somebody
//! revoked counts as made before that only if the home hub named it in an event written with an earlier roster version;
//! everyone folds the same events, so everyone marks the same ones. Source: `protocol/SPEC.md`, Roster.

use super::{
    facts::{Facts, Said},
    item::Review,
};
use crate::{
    id::{EventHash, Hash, ManifestId, NodeId},
    roster::{Role, Roster, RosterVersion, Standing, Term},
};

/// The roster, as seen from one site.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority<'a> {
    pub(super) roster: &'a Roster,
    pub(super) site: NodeId,
}

impl Authority<'_> {
    /// Whether `author` was the site's home hub in `term`, as the roster has named them.
    fn was_home(&self, author: &NodeId, term: Term) -> bool {
        self.roster.node(&self.site).is_some_and(|spoke| spoke.homes.get(&term) == Some(author))
    }

    /// Whether `author` was the site's home hub in `term` and, if it was revoked since, wrote under an earlier roster.
    pub(super) fn decided(&self, author: &NodeId, term: Term, version: RosterVersion) -> bool {
        let before = |standing| match standing {
            Standing::Member => true,
            Standing::Revoked { at } => version < at,
        };
        self.was_home(author, term) && self.roster.node(author).is_some_and(|hub| before(hub.standing))
    }

    /// Whether `author` may end what was granted in `term`: the home hub of that term or of a later one.
    pub(super) fn may_end(&self, author: &NodeId, term: Term) -> bool {
        let stands = self.roster.node(author).is_some_and(|hub| hub.standing.holds());
        stands && self.roster.node(&self.site).is_some_and(|spoke| spoke.homes.range(term..).any(|(_, h)| h == author))
    }

    /// Whether `author` is, or was, the site's home hub: what it refused stays refused after a takeover.
    pub(super) fn was_ever_home(&self, author: &NodeId) -> bool {
        self.roster.node(&self.site).is_some_and(|spoke| spoke.homes.values().any(|home| home == author))
    }

    /// Whether `author` is a hub.
    pub(super) fn is_hub(&self, author: &NodeId) -> bool {
        self.roster.node(author).is_some_and(|member| member.role == Role::Hub)
    }

    /// Whether a person's statement counts, or waits for a person's eye.
    pub(super) fn review<T>(&self, facts: &Facts, hash: &EventHash, said: &Said<T>) -> Review {
        let person = self.roster.person(&said.person).and_then(|p| Some([p.standing, p.radiologist?]));
        let node = self.roster.node(&said.place.0);
        let (Some(person), Some(node)) = (person, node) else { return Review::Marked };
        let mut standings = person.into_iter().chain([node.standing]);
        if standings.all(|standing| self.counts(facts, hash, standing)) { Review::Sound } else { Review::Marked }
    }

    /// Whether what a custodian signed in an event counts.
    pub(super) fn receipt_counts(&self, facts: &Facts, hash: &EventHash, author: &NodeId) -> bool {
        self.roster.node(author).is_some_and(|member| self.counts(facts, hash, member.standing))
    }

    /// Of somebody revoked only that counts which the home hub saw before.
    fn counts(&self, facts: &Facts, hash: &EventHash, standing: Standing) -> bool {
        match standing {
            Standing::Member => true,
            Standing::Revoked { at } => self.seen_before(facts, hash, at),
        }
    }

    /// Whether the home hub's receipt for this very core was written with a roster version before `revoked`.
    pub(super) fn received_before(
        &self,
        facts: &Facts,
        (manifest, core): (ManifestId, Hash),
        revoked: RosterVersion,
    ) -> bool {
        facts.receipts_of(&manifest).any(|(by, _, fact)| {
            fact.core == core && fact.roster_version < revoked && self.decided(&by, fact.term, fact.roster_version)
        })
    }

    /// Whether the home hub named the event with a roster version before `revoked`.
    fn seen_before(&self, facts: &Facts, hash: &EventHash, revoked: RosterVersion) -> bool {
        let from = (*hash, NodeId([0; 32]), Term(0));
        let named = facts.witnesses.range(from..).take_while(|((seen, ..), _)| seen == hash);
        let mut named = named.filter(|((_, author, term), version)| self.decided(author, *term, **version));
        let in_grant = |fact: &&super::facts::GrantFact| {
            let about = fact.grant.request == *hash || fact.grant.reports.contains(hash);
            about && self.decided(&fact.author, fact.grant.token.term, fact.grant.roster_version)
        };
        named.any(|(_, version)| *version < revoked)
            || facts.grants.values().filter(in_grant).any(|fact| fact.grant.roster_version < revoked)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        class::Class,
        custody::Receipt,
        envelope::reading::ReadingKey,
        log::body::Body,
        parcel::{
            PartKind,
            manifest::Manifest,
            open::{OpenError, Vouched, Witness},
            seal::{SealFacts, seal},
        },
        roster::{
            Term,
            statement::{StatementBody, Subject},
        },
        worklist::scene::{CASE, Scene, Who, region},
    };
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
    use std::convert::Infallible;

    /// A case with a parcel of it, really sealed by its spoke.
    fn sealed_by_the_spoke(packed: &[u8]) -> (Scene, Manifest) {
        let mut scene = Scene::new();
        scene.order(Class::Stat);
        let facts = SealFacts {
            federation: scene.federation,
            case: CASE,
            kind: PartKind::Series,
            roster_version: scene.roster.version(),
            jurisdiction: region("MW"),
            pool: region("north"),
            epoch: 0,
            class: Class::Stat,
            home_hub: Who::Home.node(),
            pool_key: ReadingKey::from_seed([103; 32]).public(),
            recovery: ReadingKey::from_seed([102; 32]).public(),
        };
        let rng = &mut ChaCha12Rng::seed_from_u64(packed.len() as u64);
        let sealed = seal(packed, &facts, &Who::Spoke.key(), rng, &mut |_| Ok::<(), Infallible>(())).unwrap();
        (scene, sealed.manifest)
    }

    fn receipt(scene: &mut Scene, by: Who, manifest: &Manifest) {
        let (core, root) = (manifest.core_hash(), manifest.core().root);
        let roster_version = scene.roster.version();
        scene.write(by, &Body::Receipt(Receipt { case: CASE, core, root, term: Term(1), roster_version }));
    }

    fn witness(scene: &Scene, manifest: &Manifest) -> Witness {
        scene.folded(&scene.written).witness(manifest, &scene.roster)
    }

    #[test]
    fn a_parcel_the_home_hub_signed_for_before_its_spoke_was_revoked_still_opens() {
        let (mut scene, manifest) = sealed_by_the_spoke(b"before the theft");
        receipt(&mut scene, Who::Home, &manifest);
        scene.state(&StatementBody::Revoke(Subject::Node(Who::Spoke.node())));
        receipt(&mut scene, Who::Home, &manifest);
        let witness = witness(&scene, &manifest);
        assert_eq!(witness, Witness::HomeHub);
        assert!(Vouched::by(&scene.roster, &manifest, witness).is_ok());
    }

    #[test]
    fn a_parcel_of_a_revoked_spoke_stays_shut_when_only_others_or_a_later_receipt_speak_for_it() {
        let (mut scene, manifest) = sealed_by_the_spoke(b"after the theft");
        let (_, another) = sealed_by_the_spoke(b"another parcel of this case");
        receipt(&mut scene, Who::Home, &another);
        for by in [Who::Far, Who::Relay, Who::Spoke, Who::Standby] {
            receipt(&mut scene, by, &manifest);
        }
        scene.state(&StatementBody::Revoke(Subject::Node(Who::Spoke.node())));
        receipt(&mut scene, Who::Home, &manifest);
        let witness = witness(&scene, &manifest);
        let (signer, at) = (Who::Spoke.node(), scene.roster.version());
        assert_eq!(Vouched::by(&scene.roster, &manifest, witness).unwrap_err(), OpenError::Revoked { signer, at });
    }
}
