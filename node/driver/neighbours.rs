//! Who is what to this node, and whom it dials: both read from the roster alone.
//!
//! Each pair of neighbours has one side that dials, so that two dials can't pass each other: a spoke the first relay
//! on its route, each relay the next, the last one the home hub; hubs of a pool each other, the lower id dialling.
//! A spoke often sits behind a modem that nobody can dial (`docs/replication.md`).

use crate::swarm::Standing;
use radmesh_protocol::{
    id::{ChainId, NodeId},
    limits::{JOIN_BYTES_MAX, STATEMENT_BYTES_MAX},
    roster::{Member, Role, Roster},
    wire,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Whether hubs gossip with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gossip {
    /// They do.
    On,
    /// Events come by push and sync alone.
    Off,
}

/// A node to be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// Multiaddrs as they stand in the roster.
    pub(super) addresses: Vec<String>,
    /// Dialled only while this one is out of reach: the standby hub for the home hub.
    pub(super) stands_in_for: Option<NodeId>,
}

/// What every node of the roster is, as seen by `me`.
pub(super) fn standings(me: &NodeId, roster: &Roster, gossip: Gossip) -> HashMap<NodeId, Standing> {
    let is_hub = |member: &Member| member.role == Role::Hub && member.standing.holds();
    let gossips = gossip == Gossip::On && roster.node(me).is_some_and(is_hub);
    let others = roster.members().filter(|member| member.node != *me);
    let standing = |member: &Member| match member.standing.holds() {
        false => Standing::Revoked,
        true if gossips && is_hub(member) => Standing::Gossips,
        true => Standing::Member,
    };
    others.map(|member| (member.node, standing(member))).collect()
}

/// Whom `me` dials.
pub(super) fn neighbours(me: &NodeId, roster: &Roster) -> BTreeMap<NodeId, Neighbour> {
    let mut found = BTreeMap::new();
    let mut add = |node: NodeId, stands_in_for: Option<NodeId>| {
        let member = roster.node(&node).filter(|member| member.standing.holds() && !member.addresses.is_empty());
        if let Some(member) = member.filter(|member| member.node != *me) {
            let neighbour = Neighbour { addresses: member.addresses.clone(), stands_in_for };
            // The same hub may be one spoke's home and another's standby: being needed now wins.
            let known = found.entry(node).or_insert_with(|| neighbour.clone());
            if known.stands_in_for.is_some() {
                *known = neighbour;
            }
        }
    };
    match roster.node(me).map(|member| member.role) {
        None => {}
        Some(Role::Hub) => hubs_to_dial(me, roster).into_iter().for_each(|hub| add(hub, None)),
        Some(Role::Spoke | Role::Relay) => {
            for spoke in roster.members().filter(|m| m.role == Role::Spoke && m.standing.holds()) {
                match next_on_route(me, spoke) {
                    Some(Next::Relay(relay)) => add(relay, None),
                    Some(Next::HomeHub) => {
                        spoke.home.into_iter().for_each(|home| add(home, None));
                        spoke.standby.into_iter().for_each(|standby| add(standby, spoke.home));
                    }
                    None => {}
                }
            }
        }
    }
    found
}

/// The word that says which statements a roster holds, as a join stream carries it.
pub(super) fn holds(roster: &Roster) -> Vec<u8> {
    wire::encode(&roster.versions())
}

/// What one who `holds` so much lacks of `roster`, as far as one join stream carries it. What is over comes with the
/// next join, which begins where this one ended.
pub(super) fn lacking(roster: &Roster, holds: &[u8]) -> Vec<Vec<u8>> {
    // Of a peer that can't say what it holds nothing is known.
    let versions: Vec<(ChainId, u64)> = wire::decode("roster versions", holds, STATEMENT_BYTES_MAX).unwrap_or_default();
    let mut left = JOIN_BYTES_MAX;
    let fits = |statement: &&[u8]| {
        left.checked_sub(statement.len()).is_some_and(|rest| {
            left = rest;
            true
        })
    };
    roster.statements_after(&versions).take_while(fits).map(<[u8]>::to_vec).collect()
}

enum Next {
    Relay(NodeId),
    HomeHub,
}

/// Where `me` hands on what comes from `spoke`; `None` if it is not on that route.
fn next_on_route(me: &NodeId, spoke: &Member) -> Option<Next> {
    let ahead = if spoke.node == *me {
        spoke.via.as_slice()
    } else {
        let place = spoke.via.iter().position(|relay| relay == me)?;
        &spoke.via[place + 1..]
    };
    Some(ahead.first().map_or(Next::HomeHub, |relay| Next::Relay(*relay)))
}

/// Hubs that share a pool with `me` and that wait for `me` to dial.
fn hubs_to_dial(me: &NodeId, roster: &Roster) -> BTreeSet<NodeId> {
    let regions: BTreeSet<_> = roster.members().map(|member| &member.region).collect();
    let pools = regions.into_iter().map(|region| roster.pool_hubs(region)).filter(|hubs| hubs.contains(me));
    let can_be_dialled = |node: &NodeId| roster.node(node).is_some_and(|member| !member.addresses.is_empty());
    // The lower id dials, unless only the higher one can.
    let i_dial = |other: &NodeId| other != me && can_be_dialled(other) && (me < other || !can_be_dialled(me));
    pools.flatten().filter(i_dial).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Ministry, Place, id};
    use super::*;

    const HUB: u8 = 1;
    const STANDBY: u8 = 2;
    const NEAR: u8 = 3;
    const FAR: u8 = 4;
    const SPOKE: u8 = 5;
    const ELSEWHERE: u8 = 6;

    fn at(address: &str) -> Place<'_> {
        Place { address: Some(address.to_owned()), ..Place::default() }
    }

    fn federation(via: &[NodeId]) -> Ministry {
        let mut ministry = Ministry::begin();
        ministry.admit(HUB, Role::Hub, at("/ip4/192.0.2.1/tcp/4001"));
        ministry.admit(STANDBY, Role::Hub, at("/ip4/192.0.2.2/tcp/4001"));
        ministry.admit(NEAR, Role::Relay, at("/ip4/192.0.2.3/tcp/4001"));
        ministry.admit(FAR, Role::Relay, at("/ip4/192.0.2.4/tcp/4001"));
        let elsewhere = Place { region: Some("south"), ..at("/ip4/192.0.2.6/tcp/4001") };
        ministry.admit(ELSEWHERE, Role::Hub, elsewhere);
        let place = Place { home: Some(id(HUB)), standby: Some(id(STANDBY)), via, ..Place::default() };
        ministry.admit(SPOKE, Role::Spoke, place);
        ministry
    }

    /// Whom `seed` dials, and instead of whom.
    fn dialled(ministry: &Ministry, seed: u8) -> BTreeMap<NodeId, Option<NodeId>> {
        let found = neighbours(&id(seed), &ministry.roster);
        found.into_iter().map(|(node, neighbour)| (node, neighbour.stands_in_for)).collect()
    }

    #[test]
    fn each_node_of_a_route_dials_the_next() {
        let ministry = federation(&[id(NEAR), id(FAR)]);
        assert_eq!(dialled(&ministry, SPOKE), BTreeMap::from([(id(NEAR), None)]));
        assert_eq!(dialled(&ministry, NEAR), BTreeMap::from([(id(FAR), None)]));
        let hubs = BTreeMap::from([(id(HUB), None), (id(STANDBY), Some(id(HUB)))]);
        assert_eq!(dialled(&ministry, FAR), hubs);
    }

    #[test]
    fn a_spoke_without_relay_dials_its_home_hub_and_the_standby_in_its_place() {
        let hubs = BTreeMap::from([(id(HUB), None), (id(STANDBY), Some(id(HUB)))]);
        assert_eq!(dialled(&federation(&[]), SPOKE), hubs);
    }

    #[test]
    fn of_two_hubs_of_a_pool_exactly_one_dials_and_hubs_of_other_pools_do_not() {
        let ministry = federation(&[]);
        let (lower, higher) = if id(HUB) < id(STANDBY) { (HUB, STANDBY) } else { (STANDBY, HUB) };
        assert_eq!(dialled(&ministry, lower), BTreeMap::from([(id(higher), None)]));
        assert_eq!(dialled(&ministry, higher), BTreeMap::new());
        assert_eq!(dialled(&ministry, ELSEWHERE), BTreeMap::new());
    }

    #[test]
    fn a_hub_without_an_address_dials_whatever_its_id() {
        let mut ministry = federation(&[]);
        let (lower, higher) = if id(HUB) < id(STANDBY) { (HUB, STANDBY) } else { (STANDBY, HUB) };
        ministry.admit(higher, Role::Hub, Place::default());
        assert_eq!(dialled(&ministry, lower), BTreeMap::new());
        assert_eq!(dialled(&ministry, higher), BTreeMap::from([(id(lower), None)]));
    }

    #[test]
    fn a_revoked_hub_is_neither_dialled_nor_let_in() {
        let mut ministry = federation(&[]);
        ministry.revoke(HUB);
        assert!(!dialled(&ministry, SPOKE).contains_key(&id(HUB)));
        assert_eq!(standings(&id(SPOKE), &ministry.roster, Gossip::On)[&id(HUB)], Standing::Revoked);
    }

    #[test]
    fn hubs_gossip_with_hubs_alone_and_not_at_all_when_it_is_off() {
        let ministry = federation(&[]);
        let of = |me: u8, gossip| standings(&id(me), &ministry.roster, gossip);
        assert_eq!(of(HUB, Gossip::On)[&id(STANDBY)], Standing::Gossips);
        assert_eq!(of(HUB, Gossip::On)[&id(SPOKE)], Standing::Member);
        assert_eq!(of(SPOKE, Gossip::On)[&id(HUB)], Standing::Member);
        assert_eq!(of(HUB, Gossip::Off)[&id(STANDBY)], Standing::Member);
    }
}
