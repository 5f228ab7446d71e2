//! Custody: who holds every byte of a parcel, who should, and when a spoke may let go.
//!
//! A receipt is a promise to a patient: these bytes survive the loss of the clinic's disk. It is signed only after
//! the file was read back and is on disk. *Delivered* is the home hub's receipt for every parcel the closed Study
//! names; *safe* is a second custodian's too; a spoke frees nothing before *safe*. Source: `protocol/SPEC.md`, Custody.

use crate::{
    id::{CaseId, Hash, ManifestId, NodeId},
    roster::{Roster, RosterVersion, Term},
    time::Millis,
    worklist::item::{CustodyState, State, WorklistItem},
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

/// Why `node` wants the parcels of a case: home hub, standby, a relay on the route, or the node at which the
/// holder of a granted claim sits.
#[must_use]
pub fn wants(roster: &Roster, item: &WorklistItem, node: &NodeId) -> Wants {
    match wants_of_site(roster, &item.site, node) {
        Wants::No if item.claim_granted_at() == Some(*node) => Wants::Reader,
        by_roster => by_roster,
    }
}

/// A node's memory of when a case came to rest here, in its own monotonic time: never a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rested {
    /// How long ago the home hub had signed for all of it, as counted here: zero at a restart.
    pub since_delivered: Millis,
    /// How long ago the final report was signed, as counted here: zero at a restart.
    pub since_report: Millis,
}

/// Days after *delivered* that a spoke keeps a parcel where no standby hub is named: 30.
pub const ONE_HUB_KEEP: Millis = Millis::from_secs(30 * 24 * 3600);
/// Time after the home hub's receipt that a relay keeps a parcel: a day.
pub const RELAY_KEEP: Millis = Millis::from_secs(24 * 3600);
/// Time after the final report that the claimant's hub keeps a parcel: seven days.
pub const READER_KEEP: Millis = Millis::from_secs(7 * 24 * 3600);

/// Whether a node may let go of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Keep {
    /// It may.
    #[error("may be freed")]
    MayFree,
    /// A custodian's own copy: retention of the archive decides, not this.
    #[error("kept: this node is its custodian")]
    Custodian,
    /// The home hub has not signed for every parcel of the closed Study.
    #[error("kept: the home hub has not signed for all of it")]
    NotDelivered,
    /// No second custodian has.
    #[error("kept: no second custodian has signed for all of it")]
    NotSafe,
    /// The time has not passed.
    #[error("kept for {} more hours", left.0.div_ceil(3_600_000))]
    Until {
        /// How long still.
        left: Millis,
    },
    /// The claim is held or no final report is signed.
    #[error("kept: a reader here holds the claim, or the report is not final")]
    Reading,
}

/// Whether `node` may free the parcels of a case.
///
/// A spoke frees nothing before *safe*; where the roster names no standby hub, nothing before 30 days after
/// *delivered*. `rested` counts in the node's own monotonic time, from when it saw the receipts.
#[must_use]
pub fn may_free(roster: &Roster, item: &WorklistItem, node: &NodeId, rested: Rested) -> Keep {
    let after = |keep: Millis, passed: Millis| match keep.0.checked_sub(passed.0) {
        None | Some(0) => Keep::MayFree,
        Some(left) => Keep::Until { left: Millis(left) },
    };
    let one_hub = roster.node(&item.site).is_some_and(|spoke| spoke.standby.is_none() || spoke.standby == spoke.home);
    match (wants(roster, item, node), item.custody) {
        (Wants::Custodian, _) => Keep::Custodian,
        (_, CustodyState::Sending) => Keep::NotDelivered,
        (Wants::Origin, CustodyState::Safe) => Keep::MayFree,
        (Wants::Origin, CustodyState::Delivered) if one_hub => after(ONE_HUB_KEEP, rested.since_delivered),
        (Wants::Origin, CustodyState::Delivered) => Keep::NotSafe,
        (Wants::Relay, _) => after(RELAY_KEEP, rested.since_delivered),
        (Wants::Reader, _) => Keep::Reading,
        (Wants::No, _) if item.state == State::Completed => after(READER_KEEP, rested.since_report),
        (Wants::No, _) => Keep::Reading,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        class::Class,
        roster::Role,
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

    fn rested(hours: u64) -> Rested {
        let passed = Millis::from_secs(hours * 3600);
        Rested { since_delivered: passed, since_report: passed }
    }

    fn keep(scene: &Scene, who: Who, hours: u64) -> Keep {
        may_free(&scene.roster, &scene.item(), &who.node(), rested(hours))
    }

    #[test]
    fn a_receipt_names_the_parcel_its_core_names() {
        let mut scene = sent();
        scene.receipt(Who::Home, 1);
        assert_eq!(scene.item().parcels[&crate::worklist::scene::manifest(1)].receipts.len(), 1);
    }

    #[test]
    fn a_spoke_keeps_everything_until_a_second_custodian_has_signed_for_all_of_it() {
        let mut scene = sent();
        scene.receipt(Who::Home, 1);
        assert_eq!(keep(&scene, Who::Spoke, 9_999), Keep::NotDelivered);
        scene.receipt(Who::Home, 2);
        assert_eq!(keep(&scene, Who::Spoke, 9_999), Keep::NotSafe);
        scene.receipt(Who::Standby, 1);
        assert_eq!(keep(&scene, Who::Spoke, 9_999), Keep::NotSafe);
        scene.receipt(Who::Standby, 2);
        assert_eq!(keep(&scene, Who::Spoke, 0), Keep::MayFree);
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
        assert_eq!(keep(&scene, Who::Spoke, 9_999), Keep::NotDelivered);
    }

    #[test]
    fn with_one_hub_a_spoke_keeps_everything_for_thirty_days() {
        let mut scene = sent();
        scene.admit(Who::Spoke, Role::Spoke, "north", (Some(Who::Home), None), Term(1));
        scene.receipt(Who::Home, 1);
        scene.receipt(Who::Home, 2);
        assert_eq!(scene.item().custody, CustodyState::Delivered);
        assert_eq!(keep(&scene, Who::Spoke, 30 * 24 - 1), Keep::Until { left: Millis::from_secs(3600) });
        assert_eq!(keep(&scene, Who::Spoke, 30 * 24), Keep::MayFree);
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
        let granted = desk.consider(&scene.item(), &scene.roster, crate::time::Mono(0));
        granted.iter().for_each(|body| drop(scene.write(Who::Home, body)));
        assert_eq!(wants(&scene, Who::Far), Wants::Reader);
        assert_eq!(keep(&scene, Who::Far, 9_999), Keep::NotDelivered);
    }

    #[test]
    fn a_relay_frees_after_the_home_hubs_receipts_and_a_day() {
        let mut scene = sent();
        scene.receipt(Who::Home, 1);
        assert_eq!(keep(&scene, Who::Relay, 9_999), Keep::NotDelivered);
        scene.receipt(Who::Home, 2);
        assert_eq!(keep(&scene, Who::Relay, 23), Keep::Until { left: Millis::from_secs(3600) });
        assert_eq!(keep(&scene, Who::Relay, 24), Keep::MayFree);
        assert_eq!(keep(&scene, Who::Home, 99_999), Keep::Custodian);
    }
}
