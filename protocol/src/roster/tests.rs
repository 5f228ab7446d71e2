//! The roster under attack: what it takes, and what changes nothing.

use super::{
    Applied, Role, Roster, RosterError, RosterVersion, Standing, Term,
    fold::file_statements,
    sample::{Sample, genesis, node},
    statement::{AdmitNode, Genesis, KeyMaker, Policy, Statement, StatementBody, Subject},
};
use crate::{
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{ChainId, FederationId, Hash, NodeId},
    time::{Millis, Wall},
};

fn apply(roster: &mut Roster, statement: &Statement) -> Result<Applied, RosterError> {
    let before = (roster.digest(), roster.members().cloned().collect::<Vec<_>>());
    let result = roster.apply(statement.bytes());
    if result != Ok(Applied::New) {
        assert_eq!((roster.digest(), roster.members().cloned().collect()), before, "a refusal changes nothing");
    }
    result
}

#[test]
fn roster_says_who_is_a_member_and_where() {
    let Sample { roster, hub, relay, spoke, reader, pool, recovery, .. } = Sample::new();
    let (hub, relay, spoke) = (hub.node_id(), relay.node_id(), spoke.node_id());
    let north = "north".parse().unwrap();
    assert_eq!(roster.version(), RosterVersion(4));
    assert_eq!((roster.home_hub(&spoke), roster.term(&spoke)), (Some(hub), Term(1)));
    assert_eq!(roster.node(&spoke).unwrap().via, [relay]);
    assert_eq!(roster.pool_of(&spoke), Some(&north));
    assert_eq!(roster.pool_key0(&north), Some((hub, pool.public())));
    assert_eq!(roster.pool_hubs(&north), [hub]);
    assert_eq!(roster.recovery(), Some(recovery.public()));
    assert!(roster.person(&reader.person_id()).unwrap().standing.holds());
    assert_eq!(roster.node(&NodeId([1; 32])), None);
}

#[test]
fn roster_file_gives_the_same_roster_and_a_cut_one_is_refused() {
    let Sample { roster, .. } = Sample::new();
    let file = roster.to_file();
    assert_eq!(Roster::from_file(&file).unwrap().digest(), roster.digest());
    for end in 0..file.len() {
        let cut = Roster::from_file(&file[..end]);
        assert!(cut.is_err() || cut.unwrap().version() < roster.version(), "{end} bytes");
    }
}

#[test]
fn peer_gets_exactly_the_statements_it_lacks() {
    let Sample { roster, .. } = Sample::new();
    let mut behind = Roster::new(roster.federation());
    let all: Vec<_> = roster.statements_after(&behind.versions()).map(<[u8]>::to_vec).collect();
    assert_eq!(all.len(), 5);
    all[..3].iter().for_each(|statement| assert_eq!(behind.apply(statement), Ok(Applied::New)));
    let versions = behind.versions();
    let rest: Vec<_> = roster.statements_after(&versions).map(<[u8]>::to_vec).collect();
    assert_eq!(rest, all[3..]);
    rest.iter().for_each(|statement| assert_eq!(behind.apply(statement), Ok(Applied::New)));
    assert_eq!(behind.digest(), roster.digest());
    assert_eq!(behind.apply(&all[1]), Ok(Applied::Known));
}

#[test]
fn statement_with_a_flipped_bit_changes_nothing() {
    let mut sample = Sample::new();
    let good = sample.next(&StatementBody::Policy(Policy { claim_lease: Millis(2000) }));
    for bit in 0..good.bytes().len() * 8 {
        let mut bent = good.bytes().to_vec();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(sample.roster.apply(&bent).is_err(), "bit {bit}");
        assert_eq!(sample.roster.version(), RosterVersion(4));
    }
    assert_eq!(apply(&mut sample.roster, &good), Ok(Applied::New));
    assert_eq!(sample.roster.claim_lease(), Millis(2000));
}

#[test]
fn skipped_and_reordered_statements_are_refused() {
    let Sample { roster, .. } = Sample::new();
    let file = roster.to_file();
    let all = file_statements(&file).unwrap();
    let mut fresh = Roster::from_genesis(all[0]).unwrap();
    assert_eq!(fresh.apply(all[2]), Err(RosterError::Gap { seq: 2, expected: 1 }));
    assert_eq!(fresh.apply(all[1]), Ok(Applied::New));
    assert_eq!(fresh.apply(all[3]), Err(RosterError::Gap { seq: 3, expected: 2 }));
    assert_eq!(fresh.version(), RosterVersion(1));
}

#[test]
fn forged_statement_of_another_key_is_refused() {
    let mut sample = Sample::new();
    let stranger = SigningKey::from_seed([99; 32]);
    let (seq, prev) = sample.roster.next();
    let federation = sample.roster.federation();
    let body = StatementBody::Revoke(Subject::Node(sample.hub.node_id()));
    let forged = Statement::sign(&stranger, &federation, seq, prev, Wall(0), &body);
    let refused = apply(&mut sample.roster, &forged);
    assert_eq!(refused, Err(RosterError::NotDelegated { chain: stranger.chain_id() }));
    // The stranger's signature under the ministry's name.
    let mut posing = forged.bytes().to_vec();
    posing[..32].copy_from_slice(&sample.ministry.public());
    assert_eq!(sample.roster.apply(&posing), Err(RosterError::Signature { seq }));
    // The ministry's own signature, for another federation.
    let elsewhere = Statement::sign(&sample.ministry, &FederationId([1; 32]), seq, prev, Wall(0), &body);
    assert_eq!(apply(&mut sample.roster, &elsewhere), Err(RosterError::Signature { seq }));
}

#[test]
fn what_was_journaled_is_not_verified_again_and_all_else_of_it_is_checked() {
    let Sample { roster, .. } = Sample::new();
    let file = roster.to_file();
    let all = file_statements(&file).unwrap();
    let mut bent = all[1].to_vec();
    *bent.last_mut().unwrap() ^= 1;
    let mut again = Roster::new(roster.federation());
    assert_eq!(again.replay(all[0]), Ok(Applied::New));
    assert_eq!(again.apply(&bent), Err(RosterError::Signature { seq: 1 }));
    assert_eq!(again.replay(all[2]), Err(RosterError::Gap { seq: 2, expected: 1 }));
    assert_eq!(again.replay(&bent), Ok(Applied::New));
    assert_eq!(again.replay(all[2]), Err(RosterError::Fork { seq: 2 }), "it names another before it");
}

#[test]
fn two_histories_under_one_key_are_named_a_fork() {
    let mut sample = Sample::new();
    let (two, three) =
        [2000, 3000].map(|lease| sample.next(&StatementBody::Policy(Policy { claim_lease: Millis(lease) }))).into();
    assert_eq!(apply(&mut sample.roster, &two), Ok(Applied::New));
    assert_eq!(apply(&mut sample.roster, &three), Err(RosterError::Fork { seq: 5 }));
    let body = StatementBody::Policy(Policy { claim_lease: Millis(4000) });
    let federation = sample.roster.federation();
    let beside = Statement::sign(&sample.ministry, &federation, 6, three.hash(), Wall(0), &body);
    assert_eq!(apply(&mut sample.roster, &beside), Err(RosterError::Fork { seq: 6 }));
}

#[test]
fn no_chain_says_more_than_it_may() {
    let mut sample = Sample::new();
    let federation = sample.roster.federation();
    let genesis_hash = Statement::parse(file_statements(&sample.roster.to_file()).unwrap()[0]).unwrap().hash();
    let root = |body: &StatementBody| Statement::sign(&sample.root, &federation, 2, genesis_hash, Wall(0), body);
    let by_root = [
        (root(&StatementBody::Revoke(Subject::Node(sample.hub.node_id()))), "revoke"),
        (root(&StatementBody::Policy(Policy { claim_lease: Millis(2000) })), "admit or set policy"),
        (root(&node(sample.admit_spoke())), "admit or set policy"),
    ];
    for (statement, act) in by_root {
        assert_eq!(apply(&mut sample.roster, &statement), Err(RosterError::Scope { seq: 2, act }));
    }
    let again = genesis(&sample.root, &sample.ministry, &sample.recovery);
    let by_ministry = sample.next(&StatementBody::Genesis(again));
    let refused = apply(&mut sample.roster, &by_ministry);
    assert_eq!(refused, Err(RosterError::Scope { seq: 5, act: "begin a federation" }));
    // A hub that was admitted has no chain of its own.
    let (seq, prev) = sample.roster.next();
    let by_hub = Statement::sign(&sample.hub, &federation, seq, prev, Wall(0), &node(sample.admit_spoke()));
    assert!(matches!(apply(&mut sample.roster, &by_hub), Err(RosterError::NotDelegated { .. })));
}

#[test]
fn revocation_is_for_ever_and_the_first_one_counts() {
    let mut sample = Sample::new();
    let (spoke, reader) = (sample.spoke.node_id(), sample.reader.person_id());
    let at = sample.revoke(Subject::Node(spoke));
    sample.revoke(Subject::Person(reader));
    sample.revoke(Subject::Node(spoke));
    assert_eq!(sample.roster.node(&spoke).unwrap().standing, Standing::Revoked { at });
    assert!(!sample.roster.person(&reader).unwrap().standing.holds());
    let back = sample.next(&node(sample.admit_spoke()));
    assert_eq!(apply(&mut sample.roster, &back), Err(RosterError::Revoked { seq: 8 }));
    let nobody = sample.next(&StatementBody::Revoke(Subject::Node(NodeId([1; 32]))));
    assert_eq!(apply(&mut sample.roster, &nobody), Err(RosterError::Unknown { seq: 8 }));
}

#[test]
fn revoked_key_maker_and_home_hub_count_no_more() {
    let mut sample = Sample::new();
    sample.revoke(Subject::Node(sample.hub.node_id()));
    let north = "north".parse().unwrap();
    assert_eq!(sample.roster.pool_key0(&north), None);
    assert!(sample.roster.pool_hubs(&north).is_empty());
}

#[test]
fn home_hub_changes_only_with_a_higher_term() {
    let mut sample = Sample::new();
    let second = SigningKey::from_seed([16; 32]);
    sample.say(&node(sample.admit(&second, Role::Hub)));
    let (spoke, home) = (sample.spoke.node_id(), Some(second.node_id()));
    let moved = |term| node(AdmitNode { home, term: Term(term), ..sample.admit_spoke() });
    let (low, lower, right) = (sample.next(&moved(1)), sample.next(&moved(0)), sample.next(&moved(2)));
    assert!(matches!(apply(&mut sample.roster, &low), Err(RosterError::Facts { .. })));
    assert!(matches!(apply(&mut sample.roster, &lower), Err(RosterError::Facts { .. })));
    assert_eq!(sample.roster.term_with_home(&spoke, home), Term(2));
    assert_eq!(apply(&mut sample.roster, &right), Ok(Applied::New));
    assert_eq!((sample.roster.home_hub(&spoke), sample.roster.term(&spoke)), (home, Term(2)));
}

#[test]
fn facts_that_do_not_go_together_are_refused_in_words() {
    let mut sample = Sample::new();
    let (spoke, hub) = (sample.admit_spoke(), sample.hub.node_id());
    let second = sample.admit(&SigningKey::from_seed([16; 32]), Role::Hub);
    let bad = [
        AdmitNode { home: None, ..spoke.clone() },
        AdmitNode { home: Some(sample.relay.node_id()), ..spoke.clone() },
        AdmitNode { standby: Some(hub), ..spoke.clone() },
        AdmitNode { via: vec![sample.spoke.node_id()], ..spoke.clone() },
        AdmitNode { via: vec![sample.relay.node_id(); 17], ..spoke.clone() },
        AdmitNode { key_maker: KeyMaker::Yes, ..spoke.clone() },
        AdmitNode { key_maker: KeyMaker::Yes, ..second.clone() },
        AdmitNode { home: Some(hub), ..second },
        sample.admit(&sample.spoke, Role::Hub),
    ];
    for admit in bad {
        let statement = sample.next(&node(admit.clone()));
        let refused = apply(&mut sample.roster, &statement);
        assert!(matches!(refused, Err(RosterError::Facts { seq: 5, .. })), "{admit:?}: {refused:?}");
    }
    let mut escape = spoke;
    escape.request.name = "\u{1b}[31m".into();
    let statement = sample.next(&node(escape));
    assert!(matches!(apply(&mut sample.roster, &statement), Err(RosterError::Text { .. })));
    let forever = sample.next(&StatementBody::Policy(Policy { claim_lease: Millis(u64::MAX) }));
    assert!(matches!(apply(&mut sample.roster, &forever), Err(RosterError::Facts { .. })));
}

#[test]
fn genesis_of_another_federation_root_or_threshold_is_refused() {
    let [root, ministry, other] = [1, 2, 3].map(|seed| SigningKey::from_seed([seed; 32]));
    let recovery = ReadingKey::from_seed([4; 32]);
    let begin = |genesis: Genesis, key: &SigningKey| {
        let federation = genesis.federation();
        Statement::sign(key, &federation, 1, Hash([0; 32]), Wall(0), &StatementBody::Genesis(genesis))
    };
    let good = genesis(&root, &ministry, &recovery);
    let elsewhere = Roster::new(FederationId([9; 32])).apply(begin(good.clone(), &root).bytes());
    assert_eq!(elsewhere, Err(RosterError::Signature { seq: 1 }));
    let forged = Roster::from_genesis(begin(good.clone(), &other).bytes());
    assert_eq!(forged.unwrap_err(), RosterError::NotDelegated { chain: other.chain_id() });
    let two = Genesis { roots: vec![root.chain_id(), ChainId([8; 32])], threshold: 2, ..good.clone() };
    let refused = Roster::from_genesis(begin(two, &root).bytes()).unwrap_err();
    assert_eq!(refused, RosterError::Threshold { roots: 2, threshold: 2 });
    let one_key = Genesis { ministry: root.chain_id(), ..good };
    assert!(matches!(Roster::from_genesis(begin(one_key, &root).bytes()), Err(RosterError::Facts { .. })));
}
