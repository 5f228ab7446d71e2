//! Networks on loopback: who gets through the gate, what a link carries, and what happens when it ends.

use super::{
    pipes::{Pipe, PipeOn, Pipes},
    task::JOIN,
    tcp::{Switches, Tcp},
    *,
};
use futures::{AsyncWriteExt, StreamExt};
use libp2p::{
    PeerId, Stream, Swarm, Transport,
    core::upgrade::Version,
    noise,
    swarm::{ConnectionId, SwarmEvent},
    yamux,
};
use radmesh_protocol::{
    limits::{FRAGMENT_BYTES_MAX, JOIN_BYTES_MAX, STATEMENT_BYTES_MAX},
    node::Judgement,
};
use tokio::io::AsyncReadExt;

/// An event that has not come by now never comes: the test fails instead of hanging.
const NEVER: Duration = Duration::from_secs(20);

/// A running network and who it is.
struct Node {
    id: NodeId,
    network: Network,
}

fn id(seed: u8) -> NodeId {
    peer::node_id(&peer::keypair(&[seed; 32]).public().to_peer_id()).unwrap()
}

fn roster(members: &[(u8, Standing)]) -> HashMap<NodeId, Standing> {
    members.iter().map(|(seed, standing)| (id(*seed), *standing)).collect()
}

async fn node(seed: u8, knows: &[(u8, Standing)]) -> Node {
    node_with(Patience::FIELD, seed, knows).await
}

/// A node that bears strangers shortly.
async fn impatient(seed: u8) -> Node {
    let soon = Duration::from_millis(300);
    node_with(Patience { handshake: soon, stay: soon }, seed, &[]).await
}

async fn node_with(patience: Patience, seed: u8, knows: &[(u8, Standing)]) -> Node {
    let config = Config {
        seed: Zeroizing::new([seed; 32]),
        federation: FederationId([9; 32]),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        standings: roster(knows),
        patience,
    };
    Node { id: id(seed), network: start(config).await.unwrap() }
}

impl Node {
    fn tell(&self, command: Command) {
        self.network.commands.send(command).unwrap();
    }

    fn dial(&self, other: &Self) {
        let addresses = other.network.listening.iter().map(ToString::to_string).collect();
        self.tell(Command::Dial { peer: other.id, addresses });
    }

    fn send(&self, link: LinkId, lane: Lane, bytes: &[u8]) {
        self.tell(Command::Send { link, lane, bytes: bytes.to_vec() });
    }

    async fn next(&mut self) -> Event {
        tokio::time::timeout(NEVER, self.network.events.recv()).await.expect("no event came").unwrap()
    }

    async fn up(&mut self, with: NodeId) -> LinkId {
        loop {
            if let Event::LinkUp { link, peer, .. } = self.next().await {
                assert_eq!(peer, with);
                return link;
            }
        }
    }

    async fn down(&mut self) -> LinkId {
        loop {
            if let Event::LinkDown { link } = self.next().await {
                return link;
            }
        }
    }

    async fn message(&mut self) -> (LinkId, Lane, Vec<u8>) {
        loop {
            if let Event::Message { link, lane, bytes } = self.next().await {
                return (link, lane, bytes);
            }
        }
    }
}

/// What the hub's roster holds, as these tests say it.
const HOLDS: &[u8] = b"genesis";

/// A stranger brings `statements` and the hub gives each its `verdict`: what the hub heard, and how it ended.
async fn join(spoke: &mut Node, statements: &[Vec<u8>], hub: &mut Node, verdict: Verdict) -> (Vec<Vec<u8>>, JoinEnd) {
    let mut heard = Vec::new();
    loop {
        tokio::select! {
            event = spoke.next() => match event {
                Event::LinkUp { .. } | Event::LinkDown { .. } => {}
                Event::Unrecognized { holds, lacks, .. } => {
                    assert_eq!(holds, HOLDS);
                    lacks.send(statements.to_vec()).unwrap();
                }
                Event::Joined { end, .. } => return (heard, end),
                other => panic!("the stranger heard {other:?}"),
            },
            event = hub.next() => match event {
                Event::Stranger { holds } => holds.send(HOLDS.to_vec()).unwrap(),
                Event::Statement { from, bytes, verdict: takes } => {
                    assert_eq!(from, spoke.id);
                    heard.push(bytes);
                    takes.send(verdict).unwrap();
                }
                other => panic!("of a stranger the hub heard {other:?}"),
            },
        }
    }
}

/// A program that speaks as much of the protocol as it likes.
struct Guest {
    swarm: Swarm<Pipes>,
    connection: ConnectionId,
    hub: PeerId,
}

impl Guest {
    async fn at(hub: &Node) -> Self {
        let key = peer::keypair(&[66; 32]);
        let switches = Switches::default();
        let address = switches.tagged(hub.network.listening[0].clone());
        let transport = Tcp::new(switches)
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let settings = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(NEVER);
        let mut swarm = Swarm::new(transport, Pipes::new(&[JOIN]), key.public().to_peer_id(), settings);
        swarm.dial(address).unwrap();
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { connection_id: connection, peer_id: hub, .. } => {
                    return Self { swarm, connection, hub };
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }

    /// Opens a join stream, which the hub notices once something is written or read.
    async fn open(&mut self) -> Stream {
        self.swarm.behaviour_mut().open(self.hub, self.connection, JOIN);
        loop {
            if let SwarmEvent::Behaviour(PipeOn { pipe: Pipe::Opened(_, mut stream), .. }) =
                self.swarm.select_next_some().await
            {
                stream.flush().await.unwrap();
                return stream;
            }
        }
    }

    async fn closed(mut self) {
        let closed =
            async { while !matches!(self.swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {} };
        tokio::time::timeout(NEVER, closed).await.expect("the hub still bears the stranger");
    }
}

async fn linked() -> (Node, Node, LinkId, LinkId) {
    let mut spoke = node(1, &[(2, Standing::Member)]).await;
    let mut hub = node(2, &[(1, Standing::Member)]).await;
    spoke.dial(&hub);
    let ours = spoke.up(hub.id).await;
    let theirs = hub.up(spoke.id).await;
    (spoke, hub, ours, theirs)
}

#[tokio::test]
async fn members_exchange_messages_on_both_lanes_in_both_directions() {
    let (mut spoke, mut hub, ours, theirs) = linked().await;
    for lane in [Lane::Ctl, Lane::Bulk] {
        hub.send(theirs, lane, b"from the side that did not dial");
        assert_eq!(spoke.message().await, (ours, lane, b"from the side that did not dial".to_vec()));
        spoke.send(ours, lane, b"from the side that dialled");
        assert_eq!(hub.message().await, (theirs, lane, b"from the side that dialled".to_vec()));
    }
}

#[tokio::test]
async fn a_stranger_gets_no_link_and_its_roster_makes_it_a_member() {
    let mut spoke = node(1, &[(2, Standing::Member)]).await;
    let mut hub = node(2, &[]).await;
    spoke.dial(&hub);
    let refused = spoke.up(hub.id).await;
    spoke.send(refused, Lane::Ctl, b"hello");
    assert_eq!(spoke.down().await, refused);

    let statements = [b"root admits ministry".to_vec(), b"ministry admits spoke".to_vec()];
    // The hub hears nothing else of the stranger: no link, no message.
    assert_eq!(join(&mut spoke, &statements, &mut hub, Verdict::Accepted).await, (statements.to_vec(), JoinEnd::Taken));
    hub.tell(Command::Standings(roster(&[(1, Standing::Member)])));

    spoke.dial(&hub);
    let link = spoke.up(hub.id).await;
    spoke.send(link, Lane::Ctl, b"hello");
    hub.up(spoke.id).await;
    assert_eq!(hub.message().await.2, b"hello");
}

#[tokio::test]
async fn the_first_bad_statement_ends_a_join_and_the_stranger_is_told() {
    let mut spoke = node(1, &[(2, Standing::Member)]).await;
    let mut hub = node(2, &[]).await;
    spoke.dial(&hub);
    let (heard, end) = join(&mut spoke, &[b"forged".to_vec(), b"next".to_vec()], &mut hub, Verdict::Refused).await;
    assert_eq!((heard, end), (vec![b"forged".to_vec()], JoinEnd::Refused));
}

#[tokio::test]
async fn a_join_of_over_256_kib_is_cut_off() {
    let mut spoke = node(1, &[(2, Standing::Member)]).await;
    let mut hub = node(2, &[]).await;
    spoke.dial(&hub);
    let whole = JOIN_BYTES_MAX / STATEMENT_BYTES_MAX;
    let statements = vec![vec![7; STATEMENT_BYTES_MAX]; whole + 1];
    let (heard, end) = join(&mut spoke, &statements, &mut hub, Verdict::Accepted).await;
    assert_eq!((heard.len(), end), (whole, JoinEnd::Refused));
}

#[tokio::test]
async fn a_stranger_that_opens_a_second_join_stream_is_sent_away() {
    let mut hub = node(2, &[]).await;
    let mut guest = Guest::at(&hub).await;
    let _first = guest.open().await;
    assert!(matches!(hub.next().await, Event::Stranger { .. }));
    let _second = guest.open().await;
    guest.closed().await;
    assert!(hub.network.events.try_recv().is_err(), "a stranger has two joins");
}

#[tokio::test]
async fn a_stranger_that_says_nothing_gives_up_its_place() {
    let hub = impatient(2).await;
    Guest::at(&hub).await.closed().await;
}

#[tokio::test]
async fn a_connection_that_never_shakes_hands_is_closed() {
    let hub = impatient(2).await;
    let at = tcp::socket_address(&hub.network.listening[0]).unwrap();
    let mut silent = tokio::net::TcpStream::connect(at).await.unwrap();
    let said = tokio::time::timeout(NEVER, silent.read(&mut [0])).await.expect("it may stay for ever");
    assert!(matches!(said, Ok(0) | Err(_)));
}

#[tokio::test]
async fn the_revoked_are_denied_and_a_revocation_ends_the_link() {
    let (mut spoke, mut hub, ours, theirs) = linked().await;
    hub.tell(Command::Standings(roster(&[(1, Standing::Revoked)])));
    assert_eq!(hub.down().await, theirs);
    assert_eq!(spoke.down().await, ours);

    spoke.dial(&hub);
    let denied = spoke.up(hub.id).await;
    spoke.send(denied, Lane::Ctl, b"hello");
    assert_eq!(spoke.down().await, denied);
    assert!(hub.network.events.try_recv().is_err(), "the hub heard of a revoked node");
}

#[tokio::test]
async fn a_link_that_is_reset_ends_on_both_sides_and_a_new_dial_replaces_it() {
    let (mut spoke, mut hub, ours, theirs) = linked().await;
    spoke.tell(Command::Reset { link: ours, reason: "stalled" });
    assert_eq!(spoke.down().await, ours);
    assert_eq!(hub.down().await, theirs);

    spoke.dial(&hub);
    let again = spoke.up(hub.id).await;
    assert_ne!(again, ours);
    spoke.send(again, Lane::Ctl, b"again");
    assert_eq!(hub.message().await.2, b"again");
}

#[tokio::test]
async fn a_peer_that_dies_is_noticed() {
    let (mut spoke, hub, ours, _) = linked().await;
    drop(hub);
    assert_eq!(spoke.down().await, ours);
}

#[tokio::test]
async fn of_parallel_dials_one_link_remains() {
    let mut spoke = node(1, &[(2, Standing::Member)]).await;
    let mut hub = node(2, &[(1, Standing::Member)]).await;
    for _ in 0..3 {
        spoke.dial(&hub);
    }
    let link = spoke.up(hub.id).await;
    // Links that lost are gone once this comes back; the one that won carries it.
    spoke.send(link, Lane::Ctl, b"who won");
    let (answered, ..) = hub.message().await;
    hub.send(answered, Lane::Ctl, b"you");
    loop {
        match spoke.next().await {
            Event::Message { link: from, .. } => break assert_eq!(from, link),
            Event::LinkUp { .. } => panic!("a second link came up"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_hundred_megabytes_cross_the_bulk_lane_whole() {
    const TOTAL: usize = 100 * 1024 * 1024;
    let (spoke, mut hub, ours, theirs) = linked().await;
    let fragment = vec![0x5a; FRAGMENT_BYTES_MAX as usize];
    let credit = 8 * 1024 * 1024;
    let (mut sent, mut got) = (0, 0);
    while got < TOTAL {
        while sent < TOTAL && sent - got < credit {
            spoke.send(ours, Lane::Bulk, &fragment);
            sent += fragment.len();
        }
        let (link, lane, bytes) = hub.message().await;
        assert_eq!((link, lane, &bytes), (theirs, Lane::Bulk, &fragment));
        got += bytes.len();
    }
    assert_eq!(got, TOTAL);
}

#[tokio::test]
async fn a_report_overtakes_the_bulk_that_waits() {
    let (spoke, mut hub, ours, _) = linked().await;
    let fragment = vec![1; FRAGMENT_BYTES_MAX as usize];
    // The hub does not read yet, so all of it piles up; then the report is sent.
    for _ in 0..160 {
        spoke.send(ours, Lane::Bulk, &fragment);
    }
    spoke.send(ours, Lane::Ctl, b"report");
    let mut before = 0;
    while hub.message().await.1 == Lane::Bulk {
        before += 1;
    }
    assert!(before < 159, "the report came after {before} of 160 fragments");
}

#[tokio::test]
async fn a_peer_that_stops_reading_loses_its_link_and_not_our_memory() {
    let (mut spoke, _hub, ours, _) = linked().await;
    let fragment = vec![1; FRAGMENT_BYTES_MAX as usize];
    // The hub's driver never reads: readers, windows, sockets and at last the queue fill up.
    for _ in 0..2048 {
        spoke.send(ours, Lane::Bulk, &fragment);
    }
    assert_eq!(spoke.down().await, ours);
}

#[tokio::test]
async fn an_event_gossiped_by_a_hub_reaches_another_only_through_the_one_between_them_accepting_it() {
    let gossips = |seeds: [u8; 2]| seeds.map(|seed| (seed, Standing::Gossips));
    let mut a = node(1, &gossips([2, 3])).await;
    let mut b = node(2, &gossips([1, 3])).await;
    let mut c = node(3, &gossips([1, 2])).await;
    a.dial(&b);
    b.dial(&c);
    a.up(b.id).await;
    c.up(b.id).await;
    // An event published before the subscriptions have crossed is lost: gossip is a hint. So each try is another.
    let mut tries = 0u64;
    let heard = loop {
        tries += 1;
        a.tell(Command::Publish(tries.to_be_bytes().to_vec()));
        tokio::select! {
            event = b.next() => if let Event::Gossip { bytes, token } = event {
                let judgement = if bytes[7] % 2 == 0 { Judgement::Accept } else { Judgement::Reject };
                b.tell(Command::Verdict { token, judgement });
            },
            event = c.next() => if let Event::Gossip { bytes, .. } = event { break bytes },
            () = tokio::task::yield_now() => {}
        }
    };
    assert_eq!(heard[7] % 2, 0, "an event that was refused on the way was forwarded");
}

#[tokio::test]
async fn a_spoke_takes_no_part_in_gossip() {
    let mut hub = node(1, &[(2, Standing::Gossips), (3, Standing::Member)]).await;
    let mut other = node(2, &[(1, Standing::Gossips)]).await;
    let mut spoke = node(3, &[(1, Standing::Member)]).await;
    other.dial(&hub);
    spoke.dial(&hub);
    other.up(hub.id).await;
    let link = spoke.up(hub.id).await;
    spoke.send(link, Lane::Ctl, b"hello");
    let (from, ..) = hub.message().await;
    let mut tries = 0u64;
    loop {
        tries += 1;
        hub.tell(Command::Publish(tries.to_be_bytes().to_vec()));
        tokio::select! {
            event = other.next() => if let Event::Gossip { .. } = event { break },
            () = tokio::task::yield_now() => {}
        }
    }
    // The other hub has heard it; whatever the spoke were to hear of it would come before this.
    hub.send(from, Lane::Ctl, b"after");
    assert!(matches!(spoke.next().await, Event::Message { bytes, .. } if bytes == b"after"));
}
