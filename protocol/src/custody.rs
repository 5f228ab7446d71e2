//! Custody: who holds every byte of a parcel, who should, and when a spoke may let go.
//!
//! A receipt is a promise to a patient: these bytes survive the loss of the clinic's disk. It is signed only after
//! the file was read back and is on disk. *Delivered* is the home hub's receipt for every parcel the closed Study
//! names; *safe* is a second custodian's too; a spoke frees nothing before *safe*. Source: `protocol/SPEC.md`, Custody.

use crate::{
    id::{CaseId, Hash, ManifestId, NodeId},
    roster::{Role, Roster, RosterVersion, Term},
    worklist::item::WorklistItem,
};
use serde::{Deserialize, Serialize};

/// A custodian holds every byte of a parcel, verified. Body kind 5.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The case the manifest names.
    pub case: CaseId,
    /// BLAKE3 of the parcel's core.
    pub core: Hash,
    /// Root over the chunk hashes, as read back.
    pub root: Hash,
    /// Term of the site's home hub when the receipt was written.
    pub term: Term,
    /// Version of the roster the custodian held.
    pub roster_version: RosterVersion,
}

impl Receipt {
    /// The parcel's name on the wire: the first 16 bytes of BLAKE3(core).
    #[must_use]
    pub fn manifest(&self) -> ManifestId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.core.0[..16]);
        ManifestId(id)
    }
}

/// Why a node keeps a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wants {
    /// It has no part in it.
    No,
    /// It signs a receipt for it: home hub or standby.
    Custodian,
    /// It passes it on: a relay on the route.
    Relay,
    /// A reader there holds the claim.
    Reader,
    /// It is the spoke's own.
    Origin,
}

impl Wants {
    /// Whether the node fetches and stores the parcel.
    #[must_use]
    pub const fn any(self) -> bool {
        !matches!(self, Self::No)
    }
}

/// Why `node` wants the parcels of a site, before or without an item: by the roster alone.
#[must_use]
pub fn wants_of_site(roster: &Roster, site: &NodeId, node: &NodeId) -> Wants {
    let Some(spoke) = roster.node(site) else { return Wants::No };
    if site == node {
        Wants::Origin
    } else if spoke.home == Some(*node) || spoke.standby == Some(*node) {
        Wants::Custodian
    } else if spoke.via.contains(node) {
        Wants::Relay
    } else {
        Wants::No
    }
}

/// Whether parcels of others may be for a node at all: of a spoke they never are.
#[must_use]
pub fn takes_parcels(roster: &Roster, node: &NodeId) -> bool {
    roster.node(node).is_some_and(|member| member.role != Role::Spoke)
}

/// Home hub and standby of a site, as far as it has them.
pub fn custodians(roster: &Roster, site: &NodeId) -> impl Iterator<Item = NodeId> + use<> {
    let spoke = roster.node(site);
    spoke.and_then(|spoke| spoke.home).into_iter().chain(spoke.and_then(|spoke| spoke.standby))
}

/// Why `node` wants the parcels of a case: home hub, standby, a relay on the route, or the node at which the
/// holder of a granted claim sits.
#[must_use]
pub fn wants(roster: &Roster, item: &WorklistItem, node: &NodeId) -> Wants {
    match wants_of_site(roster, &item.site, node) {
        Wants::No if item.claim_granted_at() == Some(*node) => Wants::Reader,
        by_roster => by_roster,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        class::Class,
        worklist::item::CustodyState,
        worklist::scene::{Scene, Who},
    };

    fn sent() -> Scene {
        let mut scene = Scene::new();
        scene.order(Class::Urgent);
        scene.parcel(1, 10);
        scene.parcel(2, 20);
        scene.close(&[(1, 10), (2, 20)]);
        scene
    }

    #[test]
    fn a_receipt_names_the_parcel_its_core_names() {
        let mut scene = sent();
        scene.receipt(Who::Home, 1);
        assert_eq!(scene.item().parcels[&crate::worklist::scene::manifest(1)].receipts.len(), 1);
    }

    #[test]
    fn a_case_is_safe_once_a_second_custodian_has_signed_for_all_of_it() {
        let mut scene = sent();
        let steps = [(Who::Home, 1), (Who::Home, 2), (Who::Standby, 1), (Who::Standby, 2)];
        let states = steps.map(|(by, parcel)| {
            scene.receipt(by, parcel);
            scene.item().custody
        });
        use CustodyState::{Delivered, Safe, Sending};
        assert_eq!(states, [Sending, Delivered, Delivered, Safe]);
    }

    #[test]
    fn a_late_parcel_makes_a_safe_case_unsafe_again() {
        let mut scene = sent();
        for by in [Who::Home, Who::Standby] {
            scene.receipt(by, 1);
            scene.receipt(by, 2);
        }
        scene.parcel(3, 1);
        scene.close(&[(1, 10), (2, 20), (3, 1)]);
        assert_eq!(scene.item().custody, CustodyState::Sending);
    }

    #[test]
    fn with_one_hub_nothing_is_ever_safe() {
        let mut scene = sent();
        scene.admit(Who::Spoke, Role::Spoke, "north", (Some(Who::Home), None), Term(1));
        for by in [Who::Home, Who::Standby] {
            scene.receipt(by, 1);
            scene.receipt(by, 2);
        }
        assert_eq!(scene.item().custody, CustodyState::Delivered);
    }

    #[test]
    fn a_receipt_of_anybody_else_makes_nothing_delivered_or_safe() {
        let mut scene = sent();
        for by in [Who::Far, Who::Relay, Who::Spoke, Who::Standby] {
            scene.receipt(by, 1);
            scene.receipt(by, 2);
        }
        assert_eq!(scene.item().custody, CustodyState::Sending);
    }

    #[test]
    fn a_receipt_for_other_bytes_under_the_same_name_counts_for_nothing() {
        let mut scene = sent();
        let mut core = Hash::of(&[1]);
        core.0[31] ^= 1;
        let Receipt { case, term, roster_version, root, .. } = match scene.receipt(Who::Home, 2).body() {
            Ok(Some(crate::log::body::Body::Receipt(receipt))) => receipt,
            other => panic!("{other:?}"),
        };
        let false_core = Receipt { case, core, root, term, roster_version };
        scene.write(Who::Home, &crate::log::body::Body::Receipt(false_core));
        assert_eq!(scene.item().custody, CustodyState::Sending);
    }

    #[test]
    fn who_wants_a_parcel_follows_from_the_roster_and_the_claim() {
        let mut scene = sent();
        let wants = |scene: &Scene, who: Who| wants(&scene.roster, &scene.item(), &who.node());
        let expected = [
            (Who::Spoke, Wants::Origin),
            (Who::Home, Wants::Custodian),
            (Who::Standby, Wants::Custodian),
            (Who::Relay, Wants::Relay),
            (Who::Far, Wants::No),
        ];
        expected.iter().for_each(|(who, want)| assert_eq!(wants(&scene, *who), *want, "{who:?}"));
        scene.request(Who::Far, Who::Phiri, "1.2.4");
        assert_eq!(wants(&scene, Who::Far), Wants::No, "a tentative claim moves no bytes");
        let mut desk = crate::claim::Desk::new(Who::Home.node());
        let granted = desk.consider(&scene.item(), &scene.roster, crate::claim::Life::First, crate::time::Mono(0));
        granted.iter().for_each(|body| drop(scene.write(Who::Home, body)));
        assert_eq!(wants(&scene, Who::Far), Wants::Reader);
    }
}
