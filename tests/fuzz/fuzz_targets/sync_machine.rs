//! A whole node in the hands of a hostile peer: any messages, in any order, on links that come and go, never make it
//! panic, and nothing it was not asked to keep reaches its disk.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use radmesh_protocol::{
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{Hash, Incarnation},
    node::{Input, Lane, LinkId, Node, NodeConfig, Output, Switch},
    record::{Record, Stored, Work},
    roster::{
        Role, Roster, Term,
        request::NodeRequest,
        statement::{AdmitNode, Genesis, KeyMaker, Statement, StatementBody},
    },
    time::{Mono, Now, Wall},
    transfer::scrub::Share,
    wire::{self, Tagged},
};

#[derive(Debug, Arbitrary)]
enum Step {
    Up(u8),
    Down(u8),
    Ctl { link: u8, kind: u8, body: Vec<u8> },
    Bulk { link: u8, bytes: Vec<u8> },
    Later(u16),
}

fuzz_target!(|steps: Vec<Step>| {
    let (peer, mut node) = member();
    let mut now = 0;
    for step in steps.into_iter().take(64) {
        let input = match step {
            Step::Up(link) => Input::LinkUp { link: LinkId(link.into()), peer },
            Step::Down(link) => Input::LinkDown(LinkId(link.into())),
            Step::Ctl { link, kind, body } => {
                let bytes = wire::encode(&Tagged { kind: kind.into(), version: 1, bytes: body });
                Input::Message { link: LinkId(link.into()), lane: Lane::Ctl, bytes }
            }
            Step::Bulk { link, bytes } => Input::Message { link: LinkId(link.into()), lane: Lane::Bulk, bytes },
            Step::Later(ms) => {
                now += u64::from(ms);
                Input::Wake
            }
        };
        feed(&mut node, input, now);
    }
});

fn feed(node: &mut Node, input: Input, now: u64) {
    let now = Now { mono: Mono(now), wall: Wall(now) };
    node.handle(input, now);
    while let Some(output) = node.poll_output() {
        match output {
            Output::Disk(Work::Persist(seq, _)) => node.handle(Input::Stored(Stored::Persisted(seq)), now),
            Output::Disk(work) => panic!("a peer without a key made the node do {work:?}"),
            _ => {}
        }
    }
}

/// A hub of a federation of two, and the id of the other.
fn member() -> (radmesh_protocol::id::NodeId, Node) {
    let [root, ministry, ours, theirs] = [1, 2, 3, 4].map(|n| SigningKey::from_seed([n; 32]));
    let reading = ReadingKey::from_seed([5; 32]).public();
    let genesis = Genesis {
        name: "F".to_owned(),
        threshold: 1,
        roots: vec![root.chain_id()],
        recovery: reading,
        ministry: ministry.chain_id(),
    };
    let federation = genesis.federation();
    let first = Statement::sign(&root, &federation, 1, Hash([0; 32]), Wall(0), &StatementBody::Genesis(genesis));
    let mut roster = Roster::from_genesis(first.bytes()).expect("a genesis");
    for key in [&ours, &theirs] {
        let request = NodeRequest {
            node: key.node_id(),
            reading,
            name: "hub".to_owned(),
            role: Role::Hub,
            addresses: Vec::new(),
            incarnation: Incarnation([1; 8]),
            epoch0: None,
        };
        let (region, jurisdiction) = ("n".parse().expect("a region"), "MW".parse().expect("a jurisdiction"));
        let (home, standby, via) = (None, None, Vec::new());
        let admit =
            AdmitNode { request, region, jurisdiction, home, standby, term: Term(0), via, key_maker: KeyMaker::No };
        let (seq, prev) = roster.next();
        let body = StatementBody::AdmitNode(Box::new(admit));
        let statement = Statement::sign(&ministry, &federation, seq, prev, Wall(0), &body);
        roster.apply(statement.bytes()).expect("a member");
    }
    let mut node = Node::new(NodeConfig {
        signing: ours,
        federation,
        incarnation: Incarnation([1; 8]),
        reserve: Incarnation([2; 8]),
        floor: Wall(0),
        keep_hours: u32::MAX,
        scrub: Share::NONE,
        gossip: Switch::On,
        anti_entropy: Switch::On,
        push: Switch::On,
    });
    roster.statements_after(&[]).for_each(|bytes| node.replay(Record::Statement(bytes.to_vec())));
    node.start(Now::default());
    (theirs.node_id(), node)
}
