//! A disk on which one sync or write fails: RELIABILITY, F4.
//!
//! Linux reports a failed sync once and then calls the lost pages clean, so nobody may be told "stored" after it,
//! however many later syncs succeed.

use crate::fixture::{Ledger, event, open};
use radmesh_protocol::record::{Seq, Stored, Work};
use radmesh_store::{Faulty, Store, WriteError, medium::Fault, medium::Medium};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::sync::Arc;

fn assert_silent(store: &Store, said: &str) {
    assert!(store.faulted(), "{said}");
    for _ in 0..3 {
        assert_eq!(store.commit(), Some(Stored::Faulted), "{said}");
    }
    assert_eq!(store.carry_out(Work::Persist(Seq(999), event(999, 10))), [Stored::Faulted], "{said}");
    let refused = store.append_room(1, radmesh_protocol::id::Hash([1; 32]), vec![1]);
    assert_eq!(refused, Err(WriteError::Faulted), "{said}");
    assert!(matches!(store.draft([99; 16]), Err(WriteError::Faulted)), "{said}");
}

#[test]
fn after_any_sync_that_fails_nothing_is_acknowledged_and_what_was_is_there() {
    for nth in 1.. {
        let disk = Arc::new(Faulty::new());
        let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
        let mut ledger = Ledger::default();
        disk.inject(Fault::SyncFails(nth));
        ledger.work(&store);
        if disk.happened() == 0 {
            assert!(nth > 30, "the workload syncs more than {nth} times");
            break;
        }
        let said = format!("sync {nth}");
        assert_silent(&store, &said);
        let after = ledger.answers.iter().skip_while(|answer| **answer != Stored::Faulted);
        assert!(
            after.clone().all(|answer| matches!(answer, Stored::Faulted)),
            "{said}: {:?}",
            after.collect::<Vec<_>>()
        );
        drop(store);
        disk.crash(&mut ChaCha8Rng::seed_from_u64(nth));
        let (store, records) = open(disk).unwrap_or_else(|error| panic!("{said}: {error}"));
        // What was accepted and never acknowledged may be there or not; nothing else can be.
        let mut possible = ledger.appended.clone();
        possible.extend(ledger.refused.iter().cloned());
        assert!(records.iter().all(|record| possible.contains(record) || is_own(record)), "{said}");
        ledger.appended = records.clone();
        ledger.check(usize::MAX, &store, &records).unwrap_or_else(|wrong| panic!("{said}: {wrong}"));
    }
}

/// Records the store writes itself; the one whose sync failed may be there.
fn is_own(record: &radmesh_protocol::record::Record) -> bool {
    use radmesh_protocol::record::Record;
    matches!(record, Record::Have { .. } | Record::Freed { .. })
}

#[test]
fn after_any_write_that_fails_nothing_is_acknowledged() {
    for nth in 1.. {
        let disk = Arc::new(Faulty::new());
        let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
        let mut ledger = Ledger::default();
        disk.inject(Fault::WriteFails(nth));
        ledger.work(&store);
        if disk.happened() == 0 {
            assert!(nth > 30, "the workload writes more than {nth} times");
            break;
        }
        assert_silent(&store, &format!("write {nth}"));
        drop(store);
        disk.crash(&mut ChaCha8Rng::seed_from_u64(nth));
        let (store, records) = open(disk).unwrap();
        ledger.appended = records.clone();
        ledger.check(usize::MAX, &store, &records).unwrap_or_else(|wrong| panic!("write {nth}: {wrong}"));
    }
}

#[test]
fn reports_can_still_be_read_on_a_disk_that_failed() {
    let disk = Arc::new(Faulty::new());
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    let key = radmesh_protocol::id::Hash([1; 32]);
    store.append_room(1, key, b"report".to_vec()).unwrap();
    disk.inject(Fault::SyncFails(1));
    assert_eq!(store.append_room(1, key, b"later".to_vec()), Err(WriteError::Faulted));
    assert_eq!(store.room(1, key).unwrap().unwrap(), b"report");
}
