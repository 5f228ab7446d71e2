//! Members get a behaviour's handlers; to anyone else the behaviour does not exist.
//!
//! A stranger must never reach the code of gossip or transfer: what it can't speak to it can't crash. The wrapped
//! behaviour must not hear of gated connections either, or its books go wrong. Three traps, each with its test:
//! connection events of gated connections are hidden; `other_established` and `remaining_established` are counted
//! over admitted connections only; `NotifyHandler::Any` becomes one admitted connection.

use libp2p::{
    PeerId,
    core::{Endpoint, Multiaddr, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, derive_prelude::Either, dummy,
    },
};
use std::{
    collections::{HashMap, HashSet},
    task::{Context, Poll},
};

/// A behaviour behind a gate.
#[derive(Debug)]
pub(super) struct Gated<B> {
    inner: B,
    admitted: HashSet<PeerId>,
    live: HashMap<PeerId, Vec<ConnectionId>>,
}

impl<B> Gated<B> {
    /// Lets nobody in yet.
    pub(super) fn new(inner: B) -> Self {
        Self { inner, admitted: HashSet::new(), live: HashMap::new() }
    }

    /// Whom connections made from now on are opened to; who leaves the set has to be disconnected by the caller.
    pub(super) fn admit(&mut self, admitted: HashSet<PeerId>) {
        self.admitted = admitted;
    }

    /// The behaviour behind the gate.
    pub(super) const fn inner(&mut self) -> &mut B {
        &mut self.inner
    }

    fn opens_to(&mut self, peer: PeerId, connection: ConnectionId) -> bool {
        let admitted = self.admitted.contains(&peer);
        if admitted {
            self.live.entry(peer).or_default().push(connection);
        }
        admitted
    }

    fn is_open(&self, peer: &PeerId, connection: ConnectionId) -> bool {
        self.live.get(peer).is_some_and(|connections| connections.contains(&connection))
    }

    /// Forgets a connection; gives the number of others of that peer.
    fn forget(&mut self, peer: &PeerId, connection: ConnectionId) -> usize {
        let Some(connections) = self.live.get_mut(peer) else { return 0 };
        connections.retain(|open| *open != connection);
        let left = connections.len();
        if left == 0 {
            self.live.remove(peer);
        }
        left
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Gated<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.opens_to(peer, connection) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner.handle_established_inbound_connection(connection, peer, local, remote).map(Either::Left)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.opens_to(peer, connection) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port).map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(mut established) => {
                if !self.is_open(&established.peer_id, established.connection_id) {
                    return;
                }
                established.other_established = self.live[&established.peer_id].len() - 1;
                self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(established));
            }
            FromSwarm::ConnectionClosed(mut closed) => {
                if !self.is_open(&closed.peer_id, closed.connection_id) {
                    return;
                }
                closed.remaining_established = self.forget(&closed.peer_id, closed.connection_id);
                self.inner.on_swarm_event(FromSwarm::ConnectionClosed(closed));
            }
            FromSwarm::AddressChange(change) if !self.is_open(&change.peer_id, change.connection_id) => {}
            // Another behaviour may deny a connection after this gate has let it in.
            FromSwarm::ListenFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.forget(&peer, failure.connection_id);
                }
                self.inner.on_swarm_event(FromSwarm::ListenFailure(failure));
            }
            FromSwarm::DialFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.forget(&peer, failure.connection_id);
                }
                self.inner.on_swarm_event(FromSwarm::DialFailure(failure));
            }
            event => self.inner.on_swarm_event(event),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            Either::Left(event) => self.inner.on_connection_handler_event(peer, connection, event),
            Either::Right(never) => match never {},
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            let Poll::Ready(action) = self.inner.poll(cx) else { return Poll::Pending };
            let ToSwarm::NotifyHandler { peer_id, handler, event } = action else {
                return Poll::Ready(action.map_in(Either::Left));
            };
            // "Any" could pick a dummy handler, which panics on an event that is not its own.
            let open = match handler {
                NotifyHandler::One(connection) => self.is_open(&peer_id, connection).then_some(connection),
                NotifyHandler::Any => self.live.get(&peer_id).and_then(|open| open.last().copied()),
            };
            if let Some(connection) = open {
                let handler = NotifyHandler::One(connection);
                return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event: Either::Left(event) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::peer::keypair;
    use futures::task::noop_waker;
    use libp2p::{
        core::{ConnectedPoint, upgrade::DeniedUpgrade},
        swarm::{
            ConnectionClosed, ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol,
            behaviour::ConnectionEstablished, handler::ConnectionEvent,
        },
    };

    /// Hears of connections as gossipsub does, and speaks to any of them.
    #[derive(Default)]
    struct Ears {
        established: Vec<(ConnectionId, usize)>,
        closed: Vec<(ConnectionId, usize)>,
        speak_to: Option<PeerId>,
    }

    struct Mouth;

    impl ConnectionHandler for Mouth {
        type FromBehaviour = ();
        type ToBehaviour = ();
        type InboundProtocol = DeniedUpgrade;
        type OutboundProtocol = DeniedUpgrade;
        type InboundOpenInfo = ();
        type OutboundOpenInfo = ();

        fn listen_protocol(&self) -> SubstreamProtocol<DeniedUpgrade> {
            SubstreamProtocol::new(DeniedUpgrade, ())
        }

        fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), ()>> {
            Poll::Pending
        }

        fn on_behaviour_event(&mut self, (): ()) {}

        fn on_connection_event(&mut self, _: ConnectionEvent<'_, DeniedUpgrade, DeniedUpgrade>) {}
    }

    impl NetworkBehaviour for Ears {
        type ConnectionHandler = Mouth;
        type ToSwarm = ();

        fn handle_established_inbound_connection(
            &mut self,
            _: ConnectionId,
            _: PeerId,
            _: &Multiaddr,
            _: &Multiaddr,
        ) -> Result<Mouth, ConnectionDenied> {
            Ok(Mouth)
        }

        fn handle_established_outbound_connection(
            &mut self,
            _: ConnectionId,
            _: PeerId,
            _: &Multiaddr,
            _: Endpoint,
            _: PortUse,
        ) -> Result<Mouth, ConnectionDenied> {
            Ok(Mouth)
        }

        fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
            match event {
                FromSwarm::ConnectionEstablished(e) => self.established.push((e.connection_id, e.other_established)),
                FromSwarm::ConnectionClosed(e) => self.closed.push((e.connection_id, e.remaining_established)),
                _ => {}
            }
        }

        fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, (): ()) {}

        fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<(), ()>> {
            let Some(peer_id) = self.speak_to.take() else { return Poll::Pending };
            Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event: () })
        }
    }

    fn peer(seed: u8) -> PeerId {
        keypair(&[seed; 32]).public().to_peer_id()
    }

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn point() -> ConnectedPoint {
        ConnectedPoint::Listener { local_addr: Multiaddr::empty(), send_back_addr: Multiaddr::empty() }
    }

    fn connect(gated: &mut Gated<Ears>, peer_id: PeerId, number: usize, other_established: usize) {
        let (connection_id, endpoint, address) = (connection(number), point(), Multiaddr::empty());
        gated.handle_established_inbound_connection(connection_id, peer_id, &address, &address).unwrap();
        gated.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id,
            connection_id,
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established,
        }));
    }

    fn disconnect(gated: &mut Gated<Ears>, peer_id: PeerId, number: usize, remaining_established: usize) {
        let (connection_id, endpoint) = (connection(number), point());
        gated.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id,
            connection_id,
            endpoint: &endpoint,
            cause: None,
            remaining_established,
        }));
    }

    #[test]
    fn a_strangers_connection_is_never_heard_of() {
        let mut gated = Gated::new(Ears::default());
        connect(&mut gated, peer(1), 1, 0);
        disconnect(&mut gated, peer(1), 1, 0);
        assert!(gated.inner.established.is_empty() && gated.inner.closed.is_empty());
    }

    #[test]
    fn connections_from_before_the_admission_are_not_counted() {
        let mut gated = Gated::new(Ears::default());
        connect(&mut gated, peer(1), 1, 0);
        gated.admit(HashSet::from([peer(1)]));
        connect(&mut gated, peer(1), 2, 1);
        connect(&mut gated, peer(1), 3, 2);
        assert_eq!(gated.inner.established, [(connection(2), 0), (connection(3), 1)]);
        disconnect(&mut gated, peer(1), 2, 2);
        disconnect(&mut gated, peer(1), 3, 1);
        assert_eq!(gated.inner.closed, [(connection(2), 1), (connection(3), 0)]);
    }

    #[test]
    fn what_is_meant_for_any_connection_goes_to_an_admitted_one() {
        let mut gated = Gated::new(Ears::default());
        connect(&mut gated, peer(1), 1, 0);
        gated.admit(HashSet::from([peer(1)]));
        connect(&mut gated, peer(1), 2, 1);
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);

        gated.inner.speak_to = Some(peer(1));
        let Poll::Ready(ToSwarm::NotifyHandler { handler, .. }) = gated.poll(&mut cx) else { panic!("nothing said") };
        assert!(matches!(handler, NotifyHandler::One(spoken_to) if spoken_to == connection(2)));

        disconnect(&mut gated, peer(1), 2, 1);
        gated.inner.speak_to = Some(peer(1));
        assert!(gated.poll(&mut cx).is_pending(), "a gated connection was spoken to");
    }
}
