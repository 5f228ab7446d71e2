//! The task that owns libp2p's `Swarm`.
//!
//! It keeps the books: which connection is which link, who waits for a join, which gossip waits for a verdict. It
//! never waits for the driver, so the driver may always wait for it; links and joins have tasks of their own.

use super::{
    Command, Config, Event, JoinEnd, Standing, StartError,
    door::Door,
    gate::Gated,
    gossip::{self, Gossip},
    join,
    link::{End, Link, Outlet},
    peer::{keypair, node_id, peer_id},
    pipes::{Pipe, PipeOn, Pipes},
    tcp::{Switches, Tcp},
};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, Transport,
    core::{
        ConnectedPoint,
        transport::{TransportError, timeout::TransportTimeout},
        upgrade::Version,
    },
    gossipsub::{self, MessageAcceptance, MessageId, TopicHash},
    noise,
    swarm::{
        self, ConnectionId, NetworkBehaviour, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
    yamux,
};
use radmesh_protocol::{
    id::NodeId,
    node::{Judgement, Lane, LinkId},
};
use std::{
    collections::{HashMap, VecDeque},
    io,
    time::Duration,
};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// Small messages, always first.
const CTL: StreamProtocol = StreamProtocol::new("/radmesh/ctl/1");
/// Fragments.
const BULK: StreamProtocol = StreamProtocol::new("/radmesh/bulk/1");
/// Roster statements from a stranger.
pub(super) const JOIN: StreamProtocol = StreamProtocol::new("/radmesh/join/1");

/// A connection without a stream is closed after this long; 60 to 180 s suit links of 64 kbit/s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connect, noise and yamux together are given this long when we dial.
const DIAL_TIMEOUT: Duration = Duration::from_secs(60);
/// Dials to one peer under way at once at most.
const DIALS_PER_PEER_MAX: usize = 4;
/// Gossip that waits for its verdict at most; older ones are dropped, as sync brings them anyway.
const VERDICTS_MAX: usize = 1024;

#[derive(NetworkBehaviour)]
struct Behaviour {
    // First, so that it turns away before any other behaviour has made a handler.
    door: Door,
    links: Gated<Pipes>,
    gossip: Gated<Gossip>,
    join: Pipes,
}

/// What a connection is to us.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// A member's link.
    Link(LinkId),
    /// A peer that did not recognize us; how bringing it our roster has ended so far.
    Joining(JoinEnd),
    /// A stranger that has not opened its join stream.
    Stranger,
    /// A stranger at its one join stream.
    Guest,
    /// A dial that another was ahead of.
    Late,
}

#[derive(Debug)]
struct Connected {
    peer: PeerId,
    node: NodeId,
    point: ConnectedPoint,
    role: Role,
}

/// Word from a link's or join's task.
#[derive(Debug)]
enum Ended {
    Link(ConnectionId, End),
    Brought(ConnectionId, Result<(), join::JoinError>),
    Received(ConnectionId, Result<(), join::JoinError>),
    Stayed(ConnectionId),
}

pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    switches: Switches,
    topic: TopicHash,
    /// A stranger's, whatever it does.
    stay: Duration,
    listen: Vec<Multiaddr>,
    connections: HashMap<ConnectionId, Connected>,
    links: HashMap<LinkId, (ConnectionId, Outlet)>,
    last_link: u64,
    dials: HashMap<ConnectionId, PeerId>,
    verdicts: VecDeque<(u64, MessageId, PeerId)>,
    last_token: u64,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<Event>,
    ended: (mpsc::UnboundedSender<Ended>, mpsc::UnboundedReceiver<Ended>),
}

impl Task {
    pub(super) fn new(
        config: Config,
        commands: mpsc::UnboundedReceiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, StartError> {
        let Config { seed, federation, listen, standings, patience } = config;
        let key = keypair(&seed);
        let switches = Switches::default();
        let transport = Tcp::new(switches.clone())
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&key).map_err(io::Error::other)?)
            .multiplex(yamux::Config::default())
            .boxed();
        let transport = TransportTimeout::with_ingoing_timeout(transport, patience.handshake);
        let transport = TransportTimeout::with_outgoing_timeout(transport, DIAL_TIMEOUT).boxed();
        let behaviour = Behaviour {
            door: Door::default(),
            links: Gated::new(Pipes::new(&[CTL, BULK])),
            gossip: Gated::new(gossip::behaviour(&federation)?),
            join: Pipes::new(&[JOIN]),
        };
        // V1Lazy on streams too: the first payload leaves after 2.5 round trips instead of 3.5.
        let settings = swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(IDLE_TIMEOUT)
            .with_substream_upgrade_protocol_override(Version::V1Lazy);
        let mut task = Self {
            swarm: Swarm::new(transport, behaviour, key.public().to_peer_id(), settings),
            switches,
            topic: gossip::topic(&federation),
            stay: patience.stay,
            listen,
            connections: HashMap::new(),
            links: HashMap::new(),
            last_link: 0,
            dials: HashMap::new(),
            verdicts: VecDeque::new(),
            last_token: 0,
            commands,
            events,
            ended: mpsc::unbounded_channel(),
        };
        task.set_standings(&standings);
        Ok(task)
    }

    /// Binds every address; gives them with their ports.
    pub(super) async fn listening(&mut self) -> Result<Vec<Multiaddr>, StartError> {
        let mut bound = Vec::new();
        for address in std::mem::take(&mut self.listen) {
            let listened = self.swarm.listen_on(address.clone());
            listened.map_err(|error| {
                let reason = match error {
                    TransportError::Other(error) => error.to_string(),
                    TransportError::MultiaddrNotSupported(_) => {
                        "only /ip4|ip6/ADDRESS/tcp/PORT is supported".to_owned()
                    }
                };
                StartError::Listen { address, reason }
            })?;
            loop {
                let event = self.swarm.select_next_some().await;
                if let SwarmEvent::NewListenAddr { address, .. } = event {
                    bound.push(address);
                    break;
                }
                self.on_swarm(event);
            }
        }
        Ok(bound)
    }

    /// Runs until the driver drops its end.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                Some(ended) = self.ended.1.recv() => self.on_ended(ended),
                event = self.swarm.select_next_some() => self.on_swarm(event),
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial { peer, addresses } => self.dial(&peer, &addresses),
            Command::Send { link, lane, bytes } => self.send(link, lane, bytes),
            Command::Publish(event) => {
                // Nobody subscribed, or the same event twice: gossip is a hint, sync makes it true.
                let published = self.swarm.behaviour_mut().gossip.inner().publish(self.topic.clone(), event);
                if let Err(error) = published {
                    debug!(%error, "not gossiped");
                }
            }
            Command::Verdict { token, judgement } => self.judge(token, judgement),
            Command::Reset { link, reason } => self.reset_link(link, reason),
            Command::Standings(standings) => self.set_standings(&standings),
        }
    }

    fn set_standings(&mut self, standings: &HashMap<NodeId, Standing>) {
        let of_peers = standings.iter().filter_map(|(node, standing)| Some((peer_id(node)?, *standing)));
        let of_peers: HashMap<PeerId, Standing> = of_peers.collect();
        let which = |wanted: &[Standing]| {
            of_peers.iter().filter(|(_, standing)| wanted.contains(standing)).map(|(peer, _)| *peer).collect()
        };
        let (members, gossips) = (which(&[Standing::Member, Standing::Gossips]), which(&[Standing::Gossips]));
        let behaviour = self.swarm.behaviour_mut();
        behaviour.links.admit(members);
        behaviour.gossip.admit(gossips);
        for connection in behaviour.door.set(of_peers) {
            // Whose own roster has just made it a member is told so first; the end of its join closes this.
            if !self.connections.get(&connection).is_some_and(|guest| {
                matches!(guest.role, Role::Guest) && standings.get(&guest.node) != Some(&Standing::Revoked)
            }) {
                self.close(connection, "the roster changed what the peer is");
            }
        }
    }

    fn dial(&mut self, peer: &NodeId, addresses: &[String]) {
        let Some(peer) = peer_id(peer) else { return };
        if self.dials.values().filter(|dialled| **dialled == peer).count() >= DIALS_PER_PEER_MAX {
            return;
        }
        let tagged = |text: &String| match text.parse() {
            Ok(address) => Some(self.switches.tagged(address)),
            Err(error) => {
                warn!(%text, %error, "an address in the roster can't be dialled");
                None
            }
        };
        let dial = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(addresses.iter().filter_map(tagged).collect())
            .build();
        let connection = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => {
                self.dials.insert(connection, peer);
            }
            Err(error) => debug!(%peer, %error, "not dialled"),
        }
    }

    fn send(&mut self, link: LinkId, lane: Lane, bytes: Vec<u8>) {
        // A link that has just ended: the core hears of it by LinkDown.
        let Some((connection, outlet)) = self.links.get_mut(&link) else { return };
        if let Err(overfull) = outlet.send(lane, bytes) {
            let connection = *connection;
            warn!(?link, ?lane, %overfull, "the peer has stopped reading");
            self.close(connection, "the peer has stopped reading");
        }
    }

    fn judge(&mut self, token: u64, judgement: Judgement) {
        let Some(place) = self.verdicts.iter().position(|(waiting, ..)| *waiting == token) else { return };
        let Some((_, id, from)) = self.verdicts.remove(place) else { return };
        let acceptance = match judgement {
            Judgement::Accept => MessageAcceptance::Accept,
            Judgement::Ignore => MessageAcceptance::Ignore,
            Judgement::Reject => MessageAcceptance::Reject,
        };
        self.swarm.behaviour_mut().gossip.inner().report_message_validation_result(&id, &from, acceptance);
    }

    fn reset_link(&mut self, link: LinkId, reason: &'static str) {
        if let Some((connection, _)) = self.links.get(&link) {
            self.close(*connection, reason);
        }
    }

    /// Resets a connection. libp2p alone may wait for a dead path for minutes, so its socket is killed first.
    fn close(&mut self, connection: ConnectionId, reason: &'static str) {
        if let Some(connected) = self.connections.get(&connection) {
            info!(node = %connected.node, reason, "connection reset");
            self.switches.kill(&connected.point);
        }
        self.swarm.close_connection(connection);
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(connection_id, peer_id, endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => self.on_closed(connection_id, cause),
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error, .. } => {
                self.dials.remove(&connection_id);
                debug!(?peer_id, %error, "dial failed");
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                debug!(%send_back_addr, %error, "connection turned away");
            }
            SwarmEvent::ListenerError { error, .. } => warn!(%error, "a connection could not be accepted"),
            SwarmEvent::Behaviour(BehaviourEvent::Links(PipeOn { connection, pipe })) => match pipe {
                Pipe::Accepted(protocol, stream) | Pipe::Opened(protocol, stream) => {
                    self.on_lane(connection, &protocol, stream);
                }
                Pipe::Failed => self.close(connection, "a stream could not be opened"),
            },
            SwarmEvent::Behaviour(BehaviourEvent::Join(PipeOn { connection, pipe })) => self.on_join(connection, pipe),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => self.on_gossip(message_id, propagation_source, message.data),
            _ => {}
        }
    }

    fn on_connected(&mut self, connection: ConnectionId, peer: PeerId, point: ConnectedPoint) {
        self.dials.remove(&connection);
        let node = node_id(&peer).expect("the door turns away keys that are no node's");
        let dialled = point.is_dialer();
        // A dial that completes after another has won is reset on arrival: two that replace each other flapped up
        // to 9 times (measured).
        let late = dialled && self.connections.values().any(|other| other.node == node && other.point.is_dialer());
        let standing = self.swarm.behaviour().door.standing(connection);
        let role = match standing {
            _ if late => Role::Late,
            Some(_) => Role::Link(self.next_link()),
            None => Role::Stranger,
        };
        self.connections.insert(connection, Connected { peer, node, point, role });
        let ended = self.ended.0.clone();
        let link = match role {
            Role::Link(link) => link,
            Role::Late => return self.close(connection, "another dial was first"),
            Role::Joining(_) | Role::Stranger | Role::Guest => {
                let stay = self.stay;
                tokio::spawn(async move {
                    tokio::time::sleep(stay).await;
                    let _ = ended.send(Ended::Stayed(connection));
                });
                return;
            }
        };
        info!(%node, ?link, dialled, "link up");
        let (outlet, carried) = Link::new(link, node, self.events.clone());
        self.links.insert(link, (connection, outlet));
        tokio::spawn(async move {
            // The task that keeps the books is gone only when the node stops.
            let _ = ended.send(Ended::Link(connection, carried.carry().await));
        });
        if dialled {
            let pipes = self.swarm.behaviour_mut().links.inner();
            pipes.open(peer, connection, CTL);
            pipes.open(peer, connection, BULK);
        }
    }

    fn next_link(&mut self) -> LinkId {
        self.last_link += 1;
        LinkId(self.last_link)
    }

    fn on_closed(&mut self, connection: ConnectionId, cause: Option<swarm::ConnectionError>) {
        while let Ok(ended) = self.ended.1.try_recv() {
            self.on_ended(ended);
        }
        let Some(connected) = self.connections.remove(&connection) else { return };
        debug!(node = %connected.node, ?cause, "connection closed");
        match connected.role {
            // Dropping the outlet ends the link's task, which then reports LinkDown.
            Role::Link(link) => drop(self.links.remove(&link)),
            Role::Joining(end) => self.tell(Event::Joined { peer: connected.node, end }),
            Role::Stranger | Role::Guest | Role::Late => {}
        }
    }

    fn on_lane(&mut self, connection: ConnectionId, protocol: &StreamProtocol, stream: Stream) {
        let lane = if *protocol == CTL { Lane::Ctl } else { Lane::Bulk };
        let link = self.connections.get(&connection).and_then(|connected| match connected.role {
            Role::Link(link) => self.links.get_mut(&link),
            Role::Joining(_) | Role::Stranger | Role::Guest | Role::Late => None,
        });
        if let Some((_, outlet)) = link {
            outlet.give(lane, stream);
        }
    }

    fn on_join(&mut self, connection: ConnectionId, pipe: Pipe) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        let (node, events, ended) = (connected.node, self.events.clone(), self.ended.0.clone());
        match (pipe, connected.role) {
            (Pipe::Opened(_, stream), Role::Joining(_)) => {
                tokio::spawn(async move {
                    let mut stream = stream;
                    let outcome = join::bring(&mut stream, node, events).await;
                    // Before the stream goes: the peer then closes the connection, and how it ended must be known.
                    let _ = ended.send(Ended::Brought(connection, outcome));
                });
            }
            (Pipe::Accepted(_, stream), Role::Stranger) => {
                connected.role = Role::Guest;
                info!(%node, "a stranger brings a roster");
                tokio::spawn(async move {
                    let _ = ended.send(Ended::Received(connection, join::receive(stream, node, events).await));
                });
            }
            (Pipe::Accepted(..), Role::Guest) => self.close(connection, "a stranger opened a second join stream"),
            (Pipe::Failed, _) => self.close(connection, "the join stream could not be opened"),
            // A member has nothing to bring here: rosters travel on its ctl stream.
            (Pipe::Opened(..) | Pipe::Accepted(..), _) => {}
        }
    }

    fn on_gossip(&mut self, id: MessageId, from: PeerId, bytes: Vec<u8>) {
        self.last_token += 1;
        let token = self.last_token;
        self.verdicts.push_back((token, id, from));
        let heard = self.events.try_send(Event::Gossip { bytes, token }).is_ok();
        // A driver that is behind does not need hints as well.
        let dropped = if heard { None } else { self.verdicts.pop_back() };
        let oldest = if self.verdicts.len() > VERDICTS_MAX { self.verdicts.pop_front() } else { None };
        for (_, id, from) in dropped.into_iter().chain(oldest) {
            let gossip = self.swarm.behaviour_mut().gossip.inner();
            gossip.report_message_validation_result(&id, &from, MessageAcceptance::Ignore);
        }
    }

    fn on_ended(&mut self, ended: Ended) {
        match ended {
            Ended::Link(connection, End::Unrecognized) => self.on_unrecognized(connection),
            Ended::Link(connection, End::Broken(error)) => {
                debug!(%error, "a stream failed");
                self.close(connection, "a stream failed");
            }
            Ended::Link(connection, End::Closed) => self.close(connection, "the link ended"),
            Ended::Brought(connection, outcome) => {
                let end = outcome.map_or_else(
                    |error| {
                        info!(%error, "our roster was not taken");
                        error.into()
                    },
                    |()| JoinEnd::Taken,
                );
                if let Some(connected) = self.connections.get_mut(&connection) {
                    connected.role = Role::Joining(end);
                }
                self.close(connection, "the roster was brought");
            }
            Ended::Stayed(connection) => self.close(connection, "a stranger's time is over"),
            Ended::Received(connection, outcome) => {
                if let Err(error) = outcome {
                    info!(%error, "a stranger's roster was not taken");
                }
                self.close(connection, "the join is over");
            }
        }
    }

    fn on_unrecognized(&mut self, connection: ConnectionId) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        let Role::Link(link) = connected.role else { return };
        connected.role = Role::Joining(JoinEnd::Broken);
        info!(node = %connected.node, "the peer does not know us as a member");
        self.links.remove(&link);
        self.swarm.behaviour_mut().join.open(connected.peer, connection, JOIN);
    }

    /// Tells the driver without waiting for it: the order among these events does not matter.
    fn tell(&self, event: Event) {
        let events = self.events.clone();
        tokio::spawn(async move {
            // A driver that is gone has stopped; there is nobody to tell.
            let _ = events.send(event).await;
        });
    }
}
