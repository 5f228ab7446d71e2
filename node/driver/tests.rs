//! Real nodes in one process: driver, network on loopback, store in memory.

use super::{
    sample::{Ministry, Place, id, key},
    *,
};
use crate::clock::BUILT;
use radmesh_protocol::{
    envelope::at_rest::AtRestKey,
    id::{CaseId, EventHash, Incarnation},
    log::{
        Scope,
        body::{Body, StudyClosed},
    },
    node::{NodeConfig, Switch},
    record::Record,
    roster::Role,
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
    forged.admit(HUB, Role::Hub, Place { address: Some(hub.address()), ..Place::default() });
    forged.admit(SPOKE, Role::Spoke, Place { home: Some(id(HUB)), ..Place::default() });
    let spoke = run(SPOKE, &forged, &Arc::default(), "/ip4/127.0.0.1/tcp/0").await;
    let event = spoke.happens(1).await;
    let judged = async {
        while hub.handles.node.read().unwrap().counters().refused_statements == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(NEVER, judged).await.expect("the forged roster was never judged");
    assert_eq!(hub.handles.node.read().unwrap().roster().digest(), before);
    assert!(!hub.holds(&event));
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
    let mut hub = run(HUB, &ministry, &disk, "/ip4/127.0.0.1/tcp/0").await;
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
    let (mut hub, mut ministry) = hub_and_ministry().await;
    let spoke = run(SPOKE, &ministry, &Arc::default(), "/ip4/127.0.0.1/tcp/0").await;
    let before = spoke.happens(1).await;
    hub.hears_of(&before).await;

    ministry.revoke(SPOKE);
    let revocation = ministry.statements().pop().unwrap();
    assert_eq!(hub.ask(Command::Statements(vec![revocation])).await, Answer::Statements(1));
    let gone = async {
        while hub.handles.node.read().unwrap().links().next().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(NEVER, gone).await.expect("the link of a revoked spoke stays up");
    let after = spoke.happens(2).await;
    assert!(!hub.holds(&after));
}
