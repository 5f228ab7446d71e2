//! Real nodes in one process: driver, network on loopback, store in memory.

use super::{
    sample::{Ministry, Place, id, key},
    *,
};
use crate::{
    clock::BUILT,
    swarm::{JoinEnd, Standing},
};
use radmesh_protocol::{
    envelope::at_rest::AtRestKey,
    id::{CaseId, EventHash, Incarnation},
    limits::JOIN_BYTES_MAX,
    log::{
        Scope,
        body::{Body, StudyClosed},
    },
    node::{NodeConfig, Switch},
    record::Record,
    roster::Role,
    transfer::scrub::Share,
};
use radmesh_store::Memory;
use std::time::Duration;
use tokio::task::JoinHandle;

const HUB: u8 = 1;
const SPOKE: u8 = 2;

/// What has not come true by now never does: the test fails instead of hanging.
const NEVER: Duration = Duration::from_secs(30);

struct Running {
    handles: Handles,
    notices: broadcast::Receiver<Notice>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), DriverError>>,
}

/// A node as run does it: what is in `disk` is replayed, then `ministry`'s statements.
async fn run(seed: u8, ministry: &Ministry, disk: &Arc<Memory>, listen: &str) -> Running {
    let (store, replay) = Store::open(disk.clone(), &AtRestKey::from_bytes(&[seed; 32])).unwrap();
    let mut node = Node::new(NodeConfig {
        signing: key(seed),
        federation: ministry.federation(),
        incarnation: Incarnation([seed; 8]),
        reserve: Incarnation([seed + 100; 8]),
        floor: BUILT,
        keep_hours: u32::MAX,
        scrub: Share::NONE,
        gossip: Switch::On,
        anti_entropy: Switch::On,
        push: Switch::On,
    });
    ministry.statements().into_iter().for_each(|statement| node.replay(Record::Statement(statement)));
    replay.for_each(|record| node.replay(record.unwrap()));
    let parts = Parts {
        node,
        store: Arc::new(store),
        clock: Clock::start(),
        seed: Zeroizing::new([seed; 32]),
        federation: ministry.federation(),
        listen: vec![listen.parse().unwrap()],
        gossip: Gossip::On,
    };
    let (handles, driver) = start(parts).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let notices = handles.notices.subscribe();
    let task = tokio::spawn(driver.run(async { drop(stopped.await) }));
    Running { handles, notices, stop, task }
}

/// A free port of the loopback that the system gives to no connection meanwhile: below its own range.
fn lasting_port() -> u16 {
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..first + 1000).find(is_free).unwrap()
}

impl Running {
    fn address(&self) -> String {
        self.handles.listening[0].to_string()
    }

    async fn ask(&self, command: Command) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.handles.commands.send((command, answer)).await.unwrap();
        tokio::time::timeout(NEVER, answered).await.expect("no answer came").unwrap()
    }

    /// Appends an event of the spoke; gives its hash once it is on disk.
    async fn happens(&self, case: u8) -> EventHash {
        let body = Box::new(Body::StudyClosed(StudyClosed { case: CaseId([case; 32]), parcels: Vec::new() }));
        let answer = self.ask(Command::Append { scope: Scope::Site(id(SPOKE)), body }).await;
        let Answer::Appended(hash) = answer else { panic!("{answer:?}") };
        hash
    }

    fn holds(&self, event: &EventHash) -> bool {
        self.handles.node.read().unwrap().logs().event(event).is_some()
    }

    async fn hears_of(&mut self, event: &EventHash) {
        let hears = async {
            while !self.holds(event) {
                self.notices.recv().await.unwrap();
            }
        };
        tokio::time::timeout(NEVER, hears).await.expect("the event never came");
    }

    async fn stops(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

/// A network without a node behind it: a peer that says what the test wants.
struct Bare {
    network: Network,
}

impl Bare {
    /// The network of node `seed`, which knows one other.
    async fn start(seed: u8, knows: u8) -> Self {
        let config = swarm::Config {
            seed: Zeroizing::new([seed; 32]),
            federation: Ministry::begin().federation(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            standings: HashMap::from([(id(knows), Standing::Member)]),
            patience: Patience::FIELD,
        };
        Self { network: swarm::start(config).await.unwrap() }
    }

    fn dial(&self, peer: u8, address: String) {
        self.network.commands.send(Net::Dial { peer: id(peer), addresses: vec![address] }).unwrap();
    }

    /// What `tell` makes of the first event of which it makes something.
    async fn hears<T>(&mut self, mut tell: impl FnMut(Event) -> Option<T>) -> T {
        loop {
            let event = tokio::time::timeout(NEVER, self.network.events.recv()).await.expect("no event came");
            if let Some(told) = tell(event.expect("the network runs")) {
                return told;
            }
        }
    }
}

/// A hub that was last told of itself alone, and a ministry that has admitted a spoke since.
async fn hub_and_ministry() -> (Running, Ministry) {
    let mut ministry = Ministry::begin();
    ministry.admit(HUB, Role::Hub, Place::default());
    let hub = run(HUB, &ministry, &Arc::default(), "/ip4/127.0.0.1/tcp/0").await;
    ministry.admit(HUB, Role::Hub, Place { address: Some(hub.address()), ..Place::default() });
    ministry.admit(SPOKE, Role::Spoke, Place { home: Some(id(HUB)), ..Place::default() });
    (hub, ministry)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_admitted_after_the_hub_last_saw_the_ministry_brings_the_roster_and_its_events() {
    let (mut hub, ministry) = hub_and_ministry().await;
    let spoke = run(SPOKE, &ministry, &Arc::default(), "/ip4/127.0.0.1/tcp/0").await;
    let event = spoke.happens(1).await;
    hub.hears_of(&event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_that_no_ministry_admitted_brings_nothing() {
    let (hub, _) = hub_and_ministry().await;
    let before = hub.handles.node.read().unwrap().roster().digest();
    // Its roster is signed by another ministry, of a federation with the same name.
    let mut forged = Ministry::begin_as(77);
    forged.admit(HUB, Role::Hub, Place::default());
    forged.admit(SPOKE, Role::Spoke, Place { home: Some(id(HUB)), ..Place::default() });
    let mut spoke = Bare::start(SPOKE, HUB).await;
    spoke.dial(HUB, hub.address());
    let end = spoke
        .hears(|event| match event {
            Event::Unrecognized { lacks, .. } => {
                lacks.send(forged.statements()).unwrap();
                None
            }
            Event::Joined { end, .. } => Some(end),
            _ => None,
        })
        .await;
    assert_eq!(end, JoinEnd::Refused);
    let node = hub.handles.node.read().unwrap();
    assert_eq!((node.roster().digest(), node.counters().refused_statements), (before, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_whose_roster_makes_it_a_member_is_told_that_it_was_taken() {
    let (hub, ministry) = hub_and_ministry().await;
    let mut spoke = Bare::start(SPOKE, HUB).await;
    spoke.dial(HUB, hub.address());
    let end = spoke
        .hears(|event| match event {
            Event::Unrecognized { holds, lacks, .. } => {
                lacks.send(neighbours::lacking(&ministry.roster, &holds)).unwrap();
                None
            }
            Event::Joined { end, .. } => Some(end),
            _ => None,
        })
        .await;
    assert_eq!(end, JoinEnd::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_brings_what_the_hub_lacks_and_nothing_it_holds() {
    let mut hub = Bare::start(HUB, 99).await;
    let mut ministry = Ministry::begin();
    ministry.admit(HUB, Role::Hub, Place { address: Some(hub.network.listening[0].to_string()), ..Place::default() });
    let held = neighbours::holds(&ministry.roster);
    ministry.admit(SPOKE, Role::Spoke, Place { home: Some(id(HUB)), ..Place::default() });
    let _spoke = run(SPOKE, &ministry, &Arc::default(), "/ip4/127.0.0.1/tcp/0").await;
    let mut brought = Vec::new();
    hub.hears(|event| match event {
        Event::Stranger { holds } => {
            holds.send(held.clone()).unwrap();
            None
        }
        Event::Statement { bytes, verdict, .. } => {
            brought.push(bytes);
            verdict.send(Verdict::Refused).unwrap();
            Some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(brought, ministry.statements()[2..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_larger_than_one_join_carries_is_brought_in_several() {
    let mut ministry = Ministry::begin();
    ministry.admit(HUB, Role::Hub, Place::default());
    let mut hub = run(HUB, &ministry, &Arc::default(), "/ip4/127.0.0.1/tcp/0").await;
    ministry.admit(HUB, Role::Hub, Place { address: Some(hub.address()), ..Place::default() });
    for n in 0..1100 {
        let address = Some(format!("/dns4/relay-{n}.{}.example/tcp/4001", "r".repeat(60)));
        ministry.admit(3, Role::Relay, Place { address, ..Place::default() });
    }
    ministry.admit(SPOKE, Role::Spoke, Place { home: Some(id(HUB)), ..Place::default() });
    assert!(ministry.statements().concat().len() > JOIN_BYTES_MAX);
    let spoke = run(SPOKE, &ministry, &Arc::default(), "/ip4/127.0.0.1/tcp/0").await;
    let event = spoke.happens(1).await;
    hub.hears_of(&event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_restart() {
    let (_hub, ministry) = hub_and_ministry().await;
    let disk = Arc::default();
    let spoke = run(SPOKE, &ministry, &disk, "/ip4/127.0.0.1/tcp/0").await;
    let event = spoke.happens(1).await;
    spoke.stops().await;
    let again = run(SPOKE, &ministry, &disk, "/ip4/127.0.0.1/tcp/0").await;
    assert!(again.holds(&event));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_restarts_is_found_again_and_told_what_it_missed() {
    let mut ministry = Ministry::begin();
    ministry.admit(HUB, Role::Hub, Place::default());
    let disk = Arc::default();
    let mut hub = run(HUB, &ministry, &disk, &format!("/ip4/127.0.0.1/tcp/{}", lasting_port())).await;
    let address = hub.address();
    ministry.admit(HUB, Role::Hub, Place { address: Some(address.clone()), ..Place::default() });
    ministry.admit(SPOKE, Role::Spoke, Place { home: Some(id(HUB)), ..Place::default() });
    let spoke = run(SPOKE, &ministry, &Arc::default(), "/ip4/127.0.0.1/tcp/0").await;
    let before = spoke.happens(1).await;
    hub.hears_of(&before).await;

    hub.stops().await;
    let missed = spoke.happens(2).await;
    let mut hub = run(HUB, &ministry, &disk, &address).await;
    hub.hears_of(&missed).await;
    assert!(hub.holds(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_spoke_is_heard_no_more() {
    let (hub, mut ministry) = hub_and_ministry().await;
    assert_eq!(hub.ask(Command::Statements(ministry.statements())).await, Answer::Statements(2));
    let mut spoke = Bare::start(SPOKE, HUB).await;
    spoke.dial(HUB, hub.address());
    spoke.hears(|event| matches!(event, Event::Message { .. }).then_some(())).await;

    ministry.revoke(SPOKE);
    let revocation = ministry.statements().pop().unwrap();
    assert_eq!(hub.ask(Command::Statements(vec![revocation])).await, Answer::Statements(1));
    spoke.hears(|event| matches!(event, Event::LinkDown { .. }).then_some(())).await;

    spoke.dial(HUB, hub.address());
    spoke
        .hears(|event| {
            assert!(!matches!(event, Event::Message { .. }), "the hub speaks to a revoked spoke");
            matches!(event, Event::LinkDown { .. }).then_some(())
        })
        .await;
}
