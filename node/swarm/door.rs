//! Who may connect at all, and how many at once.
//!
//! The revoked are turned away before any handler exists. A stranger is let as far as `/radmesh/join/1`, eight at
//! a time: a hub must be able to meet a spoke that was admitted after the hub last saw the ministry, and must not
//! be drowned by whoever finds its port. Unfinished handshakes and connections of one peer are counted too.

use super::{Standing, peer::node_id};
use libp2p::{
    PeerId,
    core::{Endpoint, Multiaddr, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};
use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    task::{Context, Poll},
};

/// Strangers connected at once at most.
pub(super) const STRANGERS_MAX: usize = 8;
/// Connections of one peer at most: parallel dials, and those not yet known to be dead.
const CONNECTIONS_PER_PEER_MAX: usize = 8;
/// Handshakes under way at once at most.
const HANDSHAKES_MAX: usize = 64;

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("the peer is revoked")]
    Revoked,
    #[error("the peer's key is not Ed25519")]
    NoNode,
    #[error("{STRANGERS_MAX} strangers are connected; no more are taken")]
    Strangers,
    #[error("the peer has {CONNECTIONS_PER_PEER_MAX} connections; no more are taken")]
    Connections,
    #[error("{HANDSHAKES_MAX} handshakes are under way; no more are taken")]
    Handshakes,
}

/// The behaviour that stands before all others.
#[derive(Debug, Default)]
pub(super) struct Door {
    standings: HashMap<PeerId, Standing>,
    /// Each connection and what its peer was when it was made; `None` is a stranger.
    inside: HashMap<ConnectionId, (PeerId, Option<Standing>)>,
    handshakes: HashSet<ConnectionId>,
}

impl Door {
    /// Replaces what is known of whom; gives the connections whose peer is no longer what it was. They must be
    /// closed: a new member comes back with its handlers, a revoked one does not come back.
    pub(super) fn set(&mut self, standings: HashMap<PeerId, Standing>) -> Vec<ConnectionId> {
        self.standings = standings;
        let changed = self.inside.iter().filter(|(_, (peer, then))| self.standings.get(peer) != then.as_ref());
        changed.map(|(connection, _)| *connection).collect()
    }

    /// What a connection's peer was when the connection was made; `None` is a stranger.
    pub(super) fn standing(&self, connection: ConnectionId) -> Option<Standing> {
        self.inside.get(&connection).and_then(|(_, standing)| *standing)
    }

    fn enter(&mut self, connection: ConnectionId, peer: PeerId) -> Result<(), TurnedAway> {
        self.handshakes.remove(&connection);
        let standing = self.standings.get(&peer).copied();
        if standing == Some(Standing::Revoked) {
            return Err(TurnedAway::Revoked);
        }
        if node_id(&peer).is_none() {
            return Err(TurnedAway::NoNode);
        }
        if standing.is_none() && self.inside.values().filter(|(_, then)| then.is_none()).count() >= STRANGERS_MAX {
            return Err(TurnedAway::Strangers);
        }
        if self.inside.values().filter(|(other, _)| *other == peer).count() >= CONNECTIONS_PER_PEER_MAX {
            return Err(TurnedAway::Connections);
        }
        self.inside.insert(connection, (peer, standing));
        Ok(())
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
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.handshakes.len() >= HANDSHAKES_MAX {
            return Err(ConnectionDenied::new(TurnedAway::Handshakes));
        }
        self.handshakes.insert(connection);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(connection, peer).map(|()| dummy::ConnectionHandler).map_err(ConnectionDenied::new)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(connection, peer).map(|()| dummy::ConnectionHandler).map_err(ConnectionDenied::new)
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

    #[test]
    fn the_ninth_stranger_is_turned_away_and_a_member_is_not() {
        let mut door = Door::default();
        door.set(HashMap::from([(peer(99), Standing::Member)]));
        for n in 0..STRANGERS_MAX {
            assert_eq!(door.enter(connection(n), peer(n as u8)), Ok(()));
        }
        assert_eq!(door.enter(connection(20), peer(20)), Err(TurnedAway::Strangers));
        assert_eq!(door.enter(connection(21), peer(99)), Ok(()));
        door.leave(connection(0));
        assert_eq!(door.enter(connection(22), peer(20)), Ok(()));
    }

    #[test]
    fn a_member_that_was_revoked_is_named_for_closing_and_does_not_come_back() {
        let mut door = Door::default();
        door.set(HashMap::from([(peer(1), Standing::Member), (peer(2), Standing::Member)]));
        door.enter(connection(1), peer(1)).unwrap();
        door.enter(connection(2), peer(2)).unwrap();
        let changed = door.set(HashMap::from([(peer(1), Standing::Revoked), (peer(2), Standing::Member)]));
        assert_eq!(changed, vec![connection(1)]);
        door.leave(connection(1));
        assert_eq!(door.enter(connection(3), peer(1)), Err(TurnedAway::Revoked));
    }

    #[test]
    fn the_sixty_fifth_unfinished_handshake_is_turned_away() {
        let mut door = Door::default();
        let address = Multiaddr::empty();
        for n in 0..HANDSHAKES_MAX {
            door.handle_pending_inbound_connection(connection(n), &address, &address).unwrap();
        }
        assert!(door.handle_pending_inbound_connection(connection(90), &address, &address).is_err());
        door.enter(connection(0), peer(1)).unwrap();
        assert!(door.handle_pending_inbound_connection(connection(91), &address, &address).is_ok());
    }
}
