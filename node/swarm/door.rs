//! Who may connect at all, and how many at once.
//!
//! The revoked are turned away before any handler exists. A stranger is let as far as `/radmesh/join/1`: a hub must
//! be able to meet a spoke that was admitted after the hub last saw the ministry. A key costs nothing and an address
//! does, so places for strangers and for unfinished handshakes are counted by address too: whoever finds the port
//! fills the places of his own addresses, and the clinic beside him still gets in.

use super::{Standing, peer::node_id, tcp::ip_address};
use libp2p::{
    PeerId,
    core::{Endpoint, Multiaddr, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
};

/// Strangers connected at once at most.
pub(super) const STRANGERS_MAX: usize = 8;
/// Strangers connected at once from one address at most: clinics behind one provider's NAT take turns.
const STRANGERS_PER_ADDRESS_MAX: usize = 2;
/// Connections of one member at most: parallel dials, and those not yet known to be dead.
const CONNECTIONS_PER_PEER_MAX: usize = 8;
/// Handshakes under way at once at most: what the hub's memory and file descriptors allow.
const HANDSHAKES_MAX: usize = 256;
/// Handshakes under way at once from one address at most.
const HANDSHAKES_PER_ADDRESS_MAX: usize = 8;

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("the peer is revoked")]
    Revoked,
    #[error("the peer's key is not Ed25519")]
    NoNode,
    #[error("{STRANGERS_MAX} strangers are connected; no more are taken")]
    Strangers,
    #[error("{STRANGERS_PER_ADDRESS_MAX} strangers are connected from this address; no more are taken")]
    StrangersThere,
    #[error("the stranger is connected already")]
    StrangerTwice,
    #[error("the peer has {CONNECTIONS_PER_PEER_MAX} connections; no more are taken")]
    Connections,
    #[error("{HANDSHAKES_MAX} handshakes are under way; no more are taken")]
    Handshakes,
    #[error("{HANDSHAKES_PER_ADDRESS_MAX} handshakes are under way from this address; no more are taken")]
    HandshakesThere,
}

/// What one party can't multiply at will: an IPv4 address, or an IPv6 network of /64, which is what one line is
/// given (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    V4([u8; 4]),
    V6([u8; 8]),
    /// No IP address: all of these count as one.
    Elsewhere,
}

impl Origin {
    fn of(address: &Multiaddr) -> Self {
        match ip_address(address).map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => Self::V4(ip.octets()),
            Some(IpAddr::V6(ip)) => Self::V6(*ip.octets().first_chunk().expect("16 bytes begin with 8")),
            None => Self::Elsewhere,
        }
    }
}

/// A connection whose peer has proved its key.
#[derive(Debug, Clone, Copy)]
struct Inside {
    peer: PeerId,
    origin: Origin,
    /// What the peer was when the connection was made; `None` is a stranger.
    then: Option<Standing>,
}

/// The behaviour that stands before all others.
#[derive(Debug, Default)]
pub(super) struct Door {
    standings: HashMap<PeerId, Standing>,
    inside: HashMap<ConnectionId, Inside>,
    handshakes: HashMap<ConnectionId, Origin>,
}

impl Door {
    /// Replaces what is known of whom; gives the connections whose peer is no longer what it was. They must be
    /// closed: a new member comes back with its handlers, a revoked one does not come back.
    pub(super) fn set(&mut self, standings: HashMap<PeerId, Standing>) -> Vec<ConnectionId> {
        self.standings = standings;
        let changed = self.inside.iter().filter(|(_, inside)| self.standings.get(&inside.peer) != inside.then.as_ref());
        changed.map(|(connection, _)| *connection).collect()
    }

    /// What a connection's peer was when the connection was made; `None` is a stranger.
    pub(super) fn standing(&self, connection: ConnectionId) -> Option<Standing> {
        self.inside.get(&connection).and_then(|inside| inside.then)
    }

    fn knock(&mut self, connection: ConnectionId, origin: Origin) -> Result<(), TurnedAway> {
        if self.handshakes.values().filter(|other| **other == origin).count() >= HANDSHAKES_PER_ADDRESS_MAX {
            return Err(TurnedAway::HandshakesThere);
        }
        if self.handshakes.len() >= HANDSHAKES_MAX {
            return Err(TurnedAway::Handshakes);
        }
        self.handshakes.insert(connection, origin);
        Ok(())
    }

    fn enter(&mut self, connection: ConnectionId, peer: PeerId, origin: Origin) -> Result<(), TurnedAway> {
        self.handshakes.remove(&connection);
        let then = self.standings.get(&peer).copied();
        if then == Some(Standing::Revoked) {
            return Err(TurnedAway::Revoked);
        }
        if node_id(&peer).is_none() {
            return Err(TurnedAway::NoNode);
        }
        if then.is_none() {
            self.place_for_stranger(peer, origin)?;
        }
        if self.inside.values().filter(|other| other.peer == peer).count() >= CONNECTIONS_PER_PEER_MAX {
            return Err(TurnedAway::Connections);
        }
        self.inside.insert(connection, Inside { peer, origin, then });
        Ok(())
    }

    fn place_for_stranger(&self, peer: PeerId, origin: Origin) -> Result<(), TurnedAway> {
        let strangers = || self.inside.values().filter(|other| other.then.is_none());
        if strangers().any(|other| other.peer == peer) {
            return Err(TurnedAway::StrangerTwice);
        }
        if strangers().filter(|other| other.origin == origin).count() >= STRANGERS_PER_ADDRESS_MAX {
            return Err(TurnedAway::StrangersThere);
        }
        if strangers().count() >= STRANGERS_MAX { Err(TurnedAway::Strangers) } else { Ok(()) }
    }

    fn leave(&mut self, connection: ConnectionId) {
        self.handshakes.remove(&connection);
        self.inside.remove(&connection);
    }
}

impl NetworkBehaviour for Door {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.knock(connection, Origin::of(remote)).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(connection, peer, Origin::of(remote))
            .map(|()| dummy::ConnectionHandler)
            .map_err(ConnectionDenied::new)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(connection, peer, Origin::of(address))
            .map(|()| dummy::ConnectionHandler)
            .map_err(ConnectionDenied::new)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.leave(closed.connection_id),
            FromSwarm::ListenFailure(failure) => self.leave(failure.connection_id),
            FromSwarm::DialFailure(failure) => self.leave(failure.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, never: THandlerOutEvent<Self>) {
        match never {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(seed: u8) -> PeerId {
        super::super::peer::keypair(&[seed; 32]).public().to_peer_id()
    }

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    /// Of the documentation's network 198.51.100.0/24.
    fn origin(host: u8) -> Origin {
        Origin::of(&format!("/ip4/198.51.100.{host}/tcp/4001").parse().unwrap())
    }

    fn host(number: usize) -> u8 {
        u8::try_from(number).unwrap()
    }

    #[test]
    fn the_ninth_stranger_is_turned_away_and_a_member_is_not() {
        let mut door = Door::default();
        door.set(HashMap::from([(peer(99), Standing::Member)]));
        for n in 0..STRANGERS_MAX {
            assert_eq!(door.enter(connection(n), peer(host(n)), origin(host(n))), Ok(()));
        }
        assert_eq!(door.enter(connection(20), peer(20), origin(20)), Err(TurnedAway::Strangers));
        assert_eq!(door.enter(connection(21), peer(99), origin(20)), Ok(()));
        door.leave(connection(0));
        assert_eq!(door.enter(connection(22), peer(20), origin(20)), Ok(()));
    }

    #[test]
    fn one_stranger_has_one_connection_and_one_address_two_strangers_so_a_new_clinic_still_gets_in() {
        let mut door = Door::default();
        assert_eq!(door.enter(connection(1), peer(1), origin(1)), Ok(()));
        assert_eq!(door.enter(connection(2), peer(1), origin(1)), Err(TurnedAway::StrangerTwice));
        assert_eq!(door.enter(connection(3), peer(2), origin(1)), Ok(()));
        assert_eq!(door.enter(connection(4), peer(3), origin(1)), Err(TurnedAway::StrangersThere));
        assert_eq!(door.enter(connection(5), peer(4), origin(2)), Ok(()));
    }

    #[test]
    fn a_whole_ipv6_network_counts_as_one_address() {
        let of = |address: &str| Origin::of(&address.parse().unwrap());
        assert_eq!(of("/ip6/2001:db8:0:1::1/tcp/1"), of("/ip6/2001:db8:0:1:ffff::2/tcp/2"));
        assert_ne!(of("/ip6/2001:db8:0:1::1/tcp/1"), of("/ip6/2001:db8:0:2::1/tcp/1"));
        assert_eq!(of("/ip6/::ffff:198.51.100.7/tcp/1"), origin(7));
    }

    #[test]
    fn a_member_that_was_revoked_is_named_for_closing_and_does_not_come_back() {
        let mut door = Door::default();
        door.set(HashMap::from([(peer(1), Standing::Member), (peer(2), Standing::Member)]));
        door.enter(connection(1), peer(1), origin(1)).unwrap();
        door.enter(connection(2), peer(2), origin(1)).unwrap();
        let changed = door.set(HashMap::from([(peer(1), Standing::Revoked), (peer(2), Standing::Member)]));
        assert_eq!(changed, vec![connection(1)]);
        door.leave(connection(1));
        assert_eq!(door.enter(connection(3), peer(1), origin(1)), Err(TurnedAway::Revoked));
    }

    #[test]
    fn an_address_that_leaves_its_handshakes_unfinished_keeps_out_nobody_else() {
        let mut door = Door::default();
        for n in 0..HANDSHAKES_PER_ADDRESS_MAX {
            door.knock(connection(n), origin(1)).unwrap();
        }
        assert_eq!(door.knock(connection(90), origin(1)), Err(TurnedAway::HandshakesThere));
        assert_eq!(door.knock(connection(91), origin(2)), Ok(()));
        door.enter(connection(0), peer(1), origin(1)).unwrap();
        assert_eq!(door.knock(connection(92), origin(1)), Ok(()));
    }

    #[test]
    fn unfinished_handshakes_of_all_addresses_together_are_bounded() {
        let mut door = Door::default();
        for n in 0..HANDSHAKES_MAX {
            door.knock(connection(n), origin(host(n / HANDSHAKES_PER_ADDRESS_MAX))).unwrap();
        }
        assert_eq!(door.knock(connection(500), origin(200)), Err(TurnedAway::Handshakes));
    }
}
