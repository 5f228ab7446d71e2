//! The loop: network, disk, command or timer in; `Node::handle`; its outputs carried out, in order.
//!
//! The core decides and this obeys: no receipt leaves before the disk has answered, because the core puts it out only
//! then. Rooms read the folds through the shared [`Node`]; only this task writes to it, and never holds it while it
//! waits (`docs/ARCHITECTURE.md`).

mod dialing;
mod disk;
mod neighbours;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub(crate) use neighbours::Gossip;

use crate::{
    chance,
    clock::Clock,
    swarm::{self, Command as Net, Event, Network, Patience, StartError, Verdict},
};
use dialing::Dialing;
use disk::Disk;
use libp2p::Multiaddr;
use radmesh_protocol::{
    id::{FederationId, NodeId},
    node::{Answer, Command, CommandId, Input, LinkId, Node, Notice, Output},
    time::Mono,
};
use radmesh_store::Store;
use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{Arc, RwLock},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::sleep_until,
};
use zeroize::Zeroizing;

/// Commands from the rooms that may wait.
const COMMANDS_MAX: usize = 64;
/// Notices a room may be behind before it must read the folds anew.
const NOTICES_MAX: usize = 1024;

/// A command, and where its answer goes.
pub(crate) type Asked = (Command, oneshot::Sender<Answer>);

/// What a node is driven with.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The core, with its journal replayed and not yet started.
    pub(crate) node: Node,
    /// Where its storage work is done.
    pub(crate) store: Arc<Store>,
    /// The process's clock.
    pub(crate) clock: Clock,
    /// The node's Ed25519 seed.
    pub(crate) seed: Zeroizing<[u8; 32]>,
    /// The federation it belongs to.
    pub(crate) federation: FederationId,
    /// Where it listens.
    pub(crate) listen: Vec<Multiaddr>,
    /// Whether it gossips, if it is a hub.
    pub(crate) gossip: Gossip,
}

/// What the rooms hold of a running node.
#[derive(Debug, Clone)]
pub(crate) struct Handles {
    /// The folds, to read.
    pub(crate) node: Arc<RwLock<Node>>,
    /// Takes commands; the answer comes once what the command wrote is on disk.
    pub(crate) commands: mpsc::Sender<Asked>,
    /// Says what became true; who lags behind reads the folds anew.
    pub(crate) notices: broadcast::Sender<Notice>,
    /// Where the node listens, ports filled in.
    pub(crate) listening: Vec<Multiaddr>,
}

/// Why a node stopped by itself, or did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    /// The network could not be started.
    #[error(transparent)]
    Network(#[from] StartError),
    /// The system gives no thread for the disk.
    #[error("the storage thread can't be started: {0}")]
    Thread(#[from] io::Error),
    /// The storage thread has ended.
    #[error("the storage thread has ended")]
    Disk,
    /// The network task has ended.
    #[error("the network has ended")]
    NetworkEnded,
}

/// Who waits for a command's answer.
#[derive(Debug)]
enum Waiting {
    Room(oneshot::Sender<Answer>),
    Stranger(oneshot::Sender<Verdict>),
}

#[derive(Debug)]
struct Linked {
    peer: NodeId,
    /// Whether a message has come: only then is the peer reached.
    heard: bool,
}

/// A node about to run.
#[derive(Debug)]
pub(crate) struct Driver {
    node: Arc<RwLock<Node>>,
    me: NodeId,
    clock: Clock,
    gossip: Gossip,
    network: Network,
    disk: Disk,
    commands: mpsc::Receiver<Asked>,
    notices: broadcast::Sender<Notice>,
    waiting: HashMap<CommandId, Waiting>,
    last_command: u64,
    links: HashMap<LinkId, Linked>,
    dialing: Dialing,
    wake_at: Option<Mono>,
}

/// Starts network and disk and the core on top of them. Nothing is heard until [`Driver::run`].
///
/// # Errors
/// [`DriverError`] when an address can't be listened on, or no thread is given.
pub(crate) async fn start(parts: Parts) -> Result<(Handles, Driver), DriverError> {
    let Parts { node, store, clock, seed, federation, listen, gossip } = parts;
    let me = node.id();
    let standings = neighbours::standings(&me, node.roster(), gossip);
    let network =
        swarm::start(swarm::Config { seed, federation, listen, standings, patience: Patience::FIELD }).await?;
    let (ask, commands) = mpsc::channel(COMMANDS_MAX);
    let (notices, _) = broadcast::channel(NOTICES_MAX);
    let node = Arc::new(RwLock::new(node));
    let handles = Handles {
        node: Arc::clone(&node),
        commands: ask,
        notices: notices.clone(),
        listening: network.listening.clone(),
    };
    let mut driver = Driver {
        node,
        me,
        clock,
        gossip,
        network,
        disk: Disk::start(store)?,
        commands,
        notices,
        waiting: HashMap::new(),
        last_command: 0,
        links: HashMap::new(),
        dialing: Dialing::default(),
        wake_at: None,
    };
    driver.step(|node, clock| node.start(clock.now()));
    driver.read_roster();
    Ok((handles, driver))
}

impl Driver {
    /// Drives the node until `stop` is ready; what is queued for the disk is done before it returns.
    ///
    /// # Errors
    /// [`DriverError`] when disk thread or network have ended by themselves.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), DriverError> {
        tokio::pin!(stop);
        let ended = loop {
            self.dial();
            let alarm = [self.wake_at, self.dialing.next()].into_iter().flatten().min();
            let alarm = alarm.map(|at| self.clock.instant(at));
            tokio::select! {
                () = &mut stop => break Ok(()),
                answers = self.disk.answers() => match answers {
                    Some(answers) => answers.into_iter().for_each(|stored| self.feed(Input::Stored(stored))),
                    None => break Err(DriverError::Disk),
                },
                Some((command, answer)) = self.commands.recv() => self.command(command, Waiting::Room(answer)),
                // Peers wait while the disk is behind: their windows fill, and their own cores slow down.
                event = self.network.events.recv(), if !self.disk.is_behind() => match event {
                    Some(event) => self.on_network(event),
                    None => break Err(DriverError::NetworkEnded),
                },
                () = async { match alarm { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                    if self.wake_at.is_some_and(|at| at <= self.clock.now().mono) {
                        self.wake_at = None;
                        self.feed(Input::Wake);
                    }
                }
            }
        };
        // Joining the thread waits for fsyncs; a runtime thread must not.
        let disk = self.disk;
        let stopped = tokio::task::spawn_blocking(move || disk.stop()).await;
        stopped.map_err(|_| DriverError::Disk).and(ended)
    }

    fn on_network(&mut self, event: Event) {
        match event {
            Event::LinkUp { link, peer } => {
                self.links.insert(link, Linked { peer, heard: false });
                self.feed(Input::LinkUp { link, peer });
            }
            Event::LinkDown { link } => self.on_link_down(link),
            Event::Message { link, lane, bytes } => {
                if let Some(linked) = self.links.get_mut(&link).filter(|linked| !linked.heard) {
                    linked.heard = true;
                    self.dialing.reached(&linked.peer);
                }
                self.feed(Input::Message { link, lane, bytes });
            }
            Event::Gossip { bytes, token } => self.feed(Input::Gossip { bytes, token }),
            Event::Unrecognized { peer, holds, lacks } => {
                tracing::info!(%peer, "a peer does not know this node: it is brought the roster it lacks");
                // Nobody takes them if the connection has ended in the meantime.
                let _ = lacks.send(self.read(|node| neighbours::lacking(node.roster(), &holds)));
            }
            Event::Joined { peer, end } => self.dialing.joined(&peer, end, self.clock.now().mono, &mut chance::os()),
            Event::Stranger { holds } => {
                let _ = holds.send(self.read(|node| neighbours::holds(node.roster())));
            }
            Event::Statement { from, bytes, verdict } => {
                tracing::info!(%from, bytes = bytes.len(), "a stranger's roster statement");
                self.command(Command::Statements(vec![bytes]), Waiting::Stranger(verdict));
            }
        }
    }

    fn on_link_down(&mut self, link: LinkId) {
        if let Some(Linked { peer, heard }) = self.links.remove(&link) {
            let still = self.links.values().any(|other| other.peer == peer && other.heard);
            if heard && !still {
                self.dialing.lost(&peer, self.clock.now().mono);
            }
        }
        self.feed(Input::LinkDown(link));
    }

    fn command(&mut self, command: Command, waiting: Waiting) {
        self.last_command += 1;
        let id = CommandId(self.last_command);
        self.waiting.insert(id, waiting);
        self.feed(Input::Command(id, command));
    }

    fn feed(&mut self, input: Input) {
        self.step(|node, clock| node.handle(input, clock.now()));
    }

    fn step(&mut self, step: impl FnOnce(&mut Node, &Clock)) {
        let outputs: Vec<Output> = {
            let mut node = self.node.write().expect("a core that panicked takes the node down with it");
            step(&mut node, &self.clock);
            std::iter::from_fn(|| node.poll_output()).collect()
        };
        outputs.into_iter().for_each(|output| self.carry_out(output));
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Disk(work) => self.disk.carry_out(work),
            Output::Send { link, lane, bytes } => self.tell(Net::Send { link, lane, bytes }),
            Output::Publish(event) => self.tell(Net::Publish(event)),
            Output::GossipVerdict { token, judgement } => self.tell(Net::Verdict { token, judgement }),
            Output::Reset { link, reason } => self.tell(Net::Reset { link, reason }),
            Output::WakeAt(at) => self.wake_at = Some(at),
            Output::Answer(id, answer) => self.answer(id, answer),
            Output::Notice(notice) => {
                if notice == Notice::Roster {
                    self.read_roster();
                }
                // With no room listening nobody misses it.
                let _ = self.notices.send(notice);
            }
        }
    }

    fn answer(&mut self, id: CommandId, answer: Answer) {
        match self.waiting.remove(&id) {
            // Whoever asked may have gone away in the meantime; what was done stays done.
            Some(Waiting::Room(room)) => {
                let _ = room.send(answer);
            }
            Some(Waiting::Stranger(verdict)) => {
                let refused = matches!(answer, Answer::Refused(_));
                let _ = verdict.send(if refused { Verdict::Refused } else { Verdict::Accepted });
            }
            None => {}
        }
    }

    /// Who is a member and whom to dial, as the roster is now.
    fn read_roster(&mut self) {
        let (me, gossip) = (self.me, self.gossip);
        let (standings, neighbours) = self.read(|node| {
            let roster = node.roster();
            (neighbours::standings(&me, roster, gossip), neighbours::neighbours(&me, roster))
        });
        self.dialing.set(neighbours, self.clock.now().mono);
        self.tell(Net::Standings(standings));
    }

    fn dial(&mut self) {
        for (peer, addresses) in self.dialing.due(self.clock.now().mono, &mut chance::os()) {
            self.tell(Net::Dial { peer, addresses });
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Node) -> T) -> T {
        look(&self.node.read().expect("a core that panicked takes the node down with it"))
    }

    fn tell(&self, command: Net) {
        // A network that has ended is noticed where its events are read.
        let _ = self.network.commands.send(command);
    }
}

/// Ready when the node is asked to stop: SIGTERM from a service manager, or Ctrl-C.
///
/// # Errors
/// What the system says when a signal can't be listened to.
pub(crate) fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
