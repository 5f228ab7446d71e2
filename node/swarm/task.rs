//! The task that owns libp2p's `Swarm`.
//!
//! It keeps the books: which connection is which link, who waits for a join, which gossip waits for a verdict. It
//! never waits for the driver, so the driver may always wait for it; links and joins have tasks of their own.

use super::{
    Command, Config, Event, Standing, StartError,
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
    core::{ConnectedPoint, transport::TransportError, upgrade::Version},
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
const JOIN: StreamProtocol = StreamProtocol::new("/radmesh/join/1");

/// A connection without a stream is closed after this long; 60 to 180 s suit links of 64 kbit/s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Noise and yamux together are given this long.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(60);
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
#[derive(Debug)]
enum Role {
    /// A member's link.
    Link(LinkId),
    /// A peer that did not recognize us, with the roster we bring it.
    Joining(Option<Vec<Vec<u8>>>),
    /// A stranger at the join stream.
    Stranger,
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
}

pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    switches: Switches,
    topic: TopicHash,
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
        let Config { seed, federation, listen, standings } = config;
        let key = keypair(&seed);
        let switches = Switches::default();
        let transport = Tcp::new(switches.clone())
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&key).map_err(io::Error::other)?)
            .multiplex(yamux::Config::default())
            .timeout(UPGRADE_TIMEOUT)
            .boxed();
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
            Command::Join { peer, statements } => self.bring_roster(&peer, statements),
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
            self.close(connection, "the roster changed what the peer is");
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

    fn bring_roster(&mut self, node: &NodeId, statements: Vec<Vec<u8>>) {
        let waiting = self.connections.iter_mut().find_map(|(connection, connected)| {
            let wanted = connected.node == *node && matches!(connected.role, Role::Joining(None));
            wanted.then_some((*connection, connected))
        });
        let Some((connection, connected)) = waiting else { return };
        connected.role = Role::Joining(Some(statements));
        self.swarm.behaviour_mut().join.open(connected.peer, connection, JOIN);
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
        let role = if standing.is_some() && !late { Role::Link(self.next_link()) } else { Role::Stranger };
        let link = if let Role::Link(link) = role { Some(link) } else { None };
        self.connections.insert(connection, Connected { peer, node, point, role });
        if late {
            self.close(connection, "another dial was first");
            return;
        }
        let Some(link) = link else { return };
        info!(%node, ?link, dialled, "link up");
        let (outlet, carried) = Link::new(link, node, self.events.clone());
        self.links.insert(link, (connection, outlet));
        let ended = self.ended.0.clone();
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
        let Some(connected) = self.connections.remove(&connection) else { return };
        debug!(node = %connected.node, ?cause, "connection closed");
        match connected.role {
            // Dropping the outlet ends the link's task, which then reports LinkDown.
            Role::Link(link) => drop(self.links.remove(&link)),
            Role::Joining(_) => self.tell(Event::Joined { peer: connected.node }),
            Role::Stranger => {}
        }
    }

    fn on_lane(&mut self, connection: ConnectionId, protocol: &StreamProtocol, stream: Stream) {
        let lane = if *protocol == CTL { Lane::Ctl } else { Lane::Bulk };
        let link = self.connections.get(&connection).and_then(|connected| match connected.role {
            Role::Link(link) => self.links.get_mut(&link),
            Role::Joining(_) | Role::Stranger => None,
        });
        if let Some((_, outlet)) = link {
            outlet.give(lane, stream);
        }
    }

    fn on_join(&mut self, connection: ConnectionId, pipe: Pipe) {
        let Some(connected) = self.connections.get_mut(&connection) else { return };
        let ended = self.ended.0.clone();
        match (pipe, &mut connected.role) {
            (Pipe::Opened(_, stream), Role::Joining(Some(statements))) => {
                let statements = std::mem::take(statements);
                tokio::spawn(async move {
                    let _ = ended.send(Ended::Brought(connection, join::bring(stream, statements).await));
                });
            }
            (Pipe::Accepted(_, stream), Role::Stranger) => {
                let (node, events) = (connected.node, self.events.clone());
                info!(%node, "a stranger brings a roster");
                tokio::spawn(async move {
                    let _ = ended.send(Ended::Received(connection, join::receive(stream, node, events).await));
                });
            }
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
                if let Err(error) = outcome {
                    info!(%error, "our roster could not be brought");
                }
                self.close(connection, "the roster was brought");
            }
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
        connected.role = Role::Joining(None);
        let node = connected.node;
        self.links.remove(&link);
        info!(%node, "the peer does not know us as a member");
        self.tell(Event::Unrecognized { peer: node });
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
