//! Scope of an event: who needs it, and so who holds it.
//!
//! A clinic's link carries only what concerns that clinic. `site/<spoke>` is every event of that spoke's cases,
//! whoever wrote it; `federation` is what concerns all. Source: `protocol/SPEC.md`, Events.

use crate::{
    id::NodeId,
    roster::{Member, Role, Roster},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Bytes of a scope inside a signed event: tag and spoke.
pub const SCOPE_BYTES: usize = 33;

/// Which events belong together and travel together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Pool keys and home-hub matters: every hub, spoke and relay holds it.
    Federation,
    /// Every event of this spoke's cases.
    Site(NodeId),
}

impl Scope {
    /// As signed: tag 0 and 32 zero bytes, or tag 1 and the spoke.
    #[must_use]
    pub fn to_bytes(self) -> [u8; SCOPE_BYTES] {
        let mut bytes = [0; SCOPE_BYTES];
        if let Self::Site(spoke) = self {
            bytes[0] = 1;
            bytes[1..].copy_from_slice(spoke.as_bytes());
        }
        bytes
    }

    /// Reads the signed form; `None` for any other tag, or a federation scope that names a spoke.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; SCOPE_BYTES]) -> Option<Self> {
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[1..]);
        match (bytes[0], id == [0; 32]) {
            (0, true) => Some(Self::Federation),
            (1, false) => Some(Self::Site(NodeId(id))),
            _ => None,
        }
    }

    /// The spoke of a site scope.
    #[must_use]
    pub const fn site(self) -> Option<NodeId> {
        match self {
            Self::Federation => None,
            Self::Site(spoke) => Some(spoke),
        }
    }
}

/// Whether `node` holds `scope`. The federation's is held by every member; a site's by the spoke, its home and
/// standby hubs, the hubs of its pool, and the relays on its route.
#[must_use]
pub fn holds(roster: &Roster, node: &NodeId, scope: Scope) -> Holding {
    let member = roster.node(node).filter(|member| member.standing.holds());
    let Some(member) = member else { return Holding::No };
    let Scope::Site(site) = scope else { return Holding::Yes };
    let Some(spoke) = roster.node(&site).filter(|spoke| spoke.role == Role::Spoke) else { return Holding::No };
    let named = site == *node || spoke.home == Some(*node) || spoke.standby == Some(*node) || spoke.via.contains(node);
    let of_pool = member.role == Role::Hub && member.region == spoke.region;
    if named || of_pool { Holding::Yes } else { Holding::No }
}

/// Every scope `node` holds, the federation's first.
#[must_use]
pub fn held_by(roster: &Roster, node: &NodeId) -> BTreeSet<Scope> {
    let is_site = |member: &&Member| member.role == Role::Spoke;
    // A spoke is nobody's hub or relay: of sites it holds its own alone.
    let own = roster.node(node).filter(is_site);
    let of_others = own.is_none().then(|| roster.members().filter(is_site));
    let sites = own.into_iter().chain(of_others.into_iter().flatten()).map(|spoke| Scope::Site(spoke.node));
    sites.chain([Scope::Federation]).filter(|scope| holds(roster, node, *scope) == Holding::Yes).collect()
}

/// Every scope that both nodes hold.
#[must_use]
pub fn shared(roster: &Roster, one: &NodeId, other: &NodeId) -> BTreeSet<Scope> {
    let is_site = |node: &NodeId| roster.node(node).is_some_and(|member| member.role == Role::Spoke);
    // Of the two the one that holds less is asked first: a relay that holds a country meets a clinic.
    let (less, more) = if is_site(other) { (other, one) } else { (one, other) };
    held_by(roster, less).into_iter().filter(|scope| holds(roster, more, *scope) == Holding::Yes).collect()
}

/// Whether a node holds a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holding {
    /// It stores and forwards it.
    Yes,
    /// It is not to have it.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        roster::statement::{StatementBody, Subject},
        worklist::scene::{Scene, Who},
    };

    #[test]
    fn two_nodes_share_what_both_hold_whoever_asks() {
        let scene = Scene::new();
        let everybody = [Who::Spoke, Who::Home, Who::Standby, Who::Relay, Who::Far].map(|who| who.node());
        let site = Scope::Site(Who::Spoke.node());
        for one in &everybody {
            for other in &everybody {
                let both = |scope: &Scope| [one, other].iter().all(|n| holds(&scene.roster, n, *scope) == Holding::Yes);
                let expected: BTreeSet<Scope> = [Scope::Federation, site].into_iter().filter(both).collect();
                assert_eq!(shared(&scene.roster, one, other), expected);
            }
        }
    }

    #[test]
    fn a_clinics_events_are_held_by_the_clinic_its_hubs_and_the_relays_on_its_route() {
        use Holding::{No, Yes};
        let scene = Scene::new();
        let site = Scope::Site(Who::Spoke.node());
        let holders = [Who::Spoke, Who::Home, Who::Standby, Who::Relay, Who::Far];
        let holding = holders.map(|who| holds(&scene.roster, &who.node(), site));
        assert_eq!(holding, [Yes, Yes, Yes, Yes, No], "a hub of another region is not to have them");
        assert_eq!(held_by(&scene.roster, &Who::Far.node()), [Scope::Federation].into());
        assert_eq!(held_by(&scene.roster, &Who::Relay.node()), [Scope::Federation, site].into());
    }

    #[test]
    fn a_revoked_node_and_a_stranger_hold_nothing() {
        let mut scene = Scene::new();
        scene.state(&StatementBody::Revoke(Subject::Node(Who::Standby.node())));
        assert!(held_by(&scene.roster, &Who::Standby.node()).is_empty());
        assert_eq!(holds(&scene.roster, &NodeId([1; 32]), Scope::Federation), Holding::No);
        assert_eq!(holds(&scene.roster, &Who::Home.node(), Scope::Site(Who::Relay.node())), Holding::No);
    }

    #[test]
    fn a_scope_has_one_signed_form() {
        let site = Scope::Site(Who::Spoke.node());
        for scope in [Scope::Federation, site] {
            assert_eq!(Scope::from_bytes(&scope.to_bytes()), Some(scope));
        }
        let mut odd = site.to_bytes();
        for tag in [0, 2, 255] {
            odd[0] = tag;
            assert_eq!(Scope::from_bytes(&odd), None);
        }
        let mut nobody = [0; SCOPE_BYTES];
        nobody[0] = 1;
        assert_eq!(Scope::from_bytes(&nobody), None);
    }
}
