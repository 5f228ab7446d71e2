//! Streams on a chosen connection.
//!
//! libp2p-stream opens on any connection to a peer, and with one of two connections dead 4 of 10 opens hung for
//! 20 s (measured). Here the caller names the connection and learns on which one a stream came. An open that
//! "succeeds" proves nothing (V1Lazy sends its request with the first bytes): trust only what the peer answers.

use futures::future::{Ready, ready};
use libp2p::{
    PeerId, Stream, StreamProtocol,
    core::{
        Endpoint, Multiaddr,
        transport::PortUse,
        upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    },
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, SubstreamProtocol, THandlerInEvent, ToSwarm,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    task::{Context, Poll},
};

/// What became of a stream.
#[derive(Debug)]
pub(super) enum Pipe {
    /// The peer opened it.
    Accepted(StreamProtocol, Stream),
    /// We opened it.
    Opened(StreamProtocol, Stream),
    /// It could not be opened.
    Failed,
}

/// A [`Pipe`] and the connection it belongs to.
#[derive(Debug)]
pub(super) struct PipeOn {
    /// The connection.
    pub(super) connection: ConnectionId,
    /// What happened there.
    pub(super) pipe: Pipe,
}

/// Opens and accepts streams of the given protocols.
#[derive(Debug)]
pub(super) struct Pipes {
    protocols: Protocols,
    out: VecDeque<ToSwarm<PipeOn, StreamProtocol>>,
}

impl Pipes {
    /// Accepts streams of `protocols`.
    pub(super) fn new(protocols: &[StreamProtocol]) -> Self {
        Self { protocols: Protocols(protocols.to_vec()), out: VecDeque::new() }
    }

    /// Opens a stream on this connection and no other.
    pub(super) fn open(&mut self, peer_id: PeerId, connection: ConnectionId, protocol: StreamProtocol) {
        let handler = NotifyHandler::One(connection);
        self.out.push_back(ToSwarm::NotifyHandler { peer_id, handler, event: protocol });
    }

    fn handler(&self) -> Handler {
        Handler { protocols: self.protocols.clone(), open: VecDeque::new(), out: VecDeque::new() }
    }
}

impl NetworkBehaviour for Pipes {
    type ConnectionHandler = Handler;
    type ToSwarm = PipeOn;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, connection: ConnectionId, pipe: Pipe) {
        self.out.push_back(ToSwarm::GenerateEvent(PipeOn { connection, pipe }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<PipeOn, THandlerInEvent<Self>>> {
        self.out.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// One connection's side of [`Pipes`].
#[derive(Debug)]
pub(super) struct Handler {
    protocols: Protocols,
    open: VecDeque<StreamProtocol>,
    out: VecDeque<Pipe>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = StreamProtocol;
    type ToBehaviour = Pipe;
    type InboundProtocol = Protocols;
    type OutboundProtocol = Protocols;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = StreamProtocol;

    fn listen_protocol(&self) -> SubstreamProtocol<Protocols> {
        SubstreamProtocol::new(self.protocols.clone(), ())
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Protocols, StreamProtocol, Pipe>> {
        if let Some(pipe) = self.out.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(pipe));
        }
        let Some(protocol) = self.open.pop_front() else { return Poll::Pending };
        let protocol = SubstreamProtocol::new(Protocols(vec![protocol.clone()]), protocol);
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, protocol: StreamProtocol) {
        self.open.push_back(protocol);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Protocols, Protocols, (), StreamProtocol>) {
        self.out.push_back(match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol), ..
            }) => Pipe::Accepted(protocol, stream),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, protocol), ..
            }) => Pipe::Opened(protocol, stream),
            ConnectionEvent::DialUpgradeError(_) => Pipe::Failed,
            _ => return,
        });
    }
}

/// An upgrade that changes nothing and says which protocol was agreed on.
#[derive(Debug, Clone)]
pub(super) struct Protocols(Vec<StreamProtocol>);

impl UpgradeInfo for Protocols {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
