//! A disk that fills up at any write: RELIABILITY, F5.
//!
//! The modality is told to keep its Study; what was acknowledged before stays, and work goes on once there is space.

use crate::fixture::{Ledger, event, open};
use radmesh_protocol::{
    id::{Hash, ManifestId},
    record::{Importance, Record, Seq, Stored, Work},
};
use radmesh_store::{Faulty, OpenError, StagedId, Store, WriteError, medium::Fault, medium::Medium};
use std::{iter, sync::Arc};

#[test]
fn a_disk_full_at_any_write_loses_nothing_acknowledged_and_nothing_that_waited() {
    for nth in 1.. {
        let disk = Arc::new(Faulty::new());
        let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
        let mut ledger = Ledger::default();
        disk.inject(Fault::FullFrom(nth));
        ledger.work(&store);
        if disk.happened() == 0 {
            assert!(nth > 40, "the workload writes more than {nth} times");
            break;
        }
        assert!(!store.faulted(), "write {nth}: a full disk is not a failing one");
        disk.heal();
        // There is space again: what waited becomes durable.
        if let Some(answer) = store.commit() {
            assert!(matches!(answer, Stored::Persisted(_)), "write {nth}: {answer:?}");
        }
        store.append_room(7, Hash([7; 32]), b"after".to_vec()).unwrap();
        drop(store);
        let (store, records) = open(disk).unwrap_or_else(|error| panic!("write {nth}: {error}"));
        check_full(&ledger, &store, &records).unwrap_or_else(|wrong| panic!("write {nth}: {wrong}"));
    }
}

/// As [`Ledger::check`], for a ledger in which the records of rooms may have overtaken those that waited for space.
fn check_full(ledger: &Ledger, store: &Store, records: &[Record]) -> Result<(), String> {
    let is_core = |record: &&Record| matches!(record, Record::Event(_) | Record::Manifest(_));
    if !ledger.appended.iter().filter(is_core).eq(records.iter().filter(is_core)) {
        return Err("the core's records are not all there, once each and in their order".into());
    }
    if let Some(record) = ledger.appended.iter().find(|record| !records.contains(record)) {
        return Err(format!("an acknowledged record is missing: {record:?}"));
    }
    ledger.check_files(usize::MAX, store, records)
}

#[test]
fn the_cores_records_wait_for_space_and_keep_their_order() {
    let disk = Arc::new(Faulty::new());
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    let mut ledger = Ledger::default();
    ledger.persist(&store, event(0, 5000));
    ledger.commit(&store);
    disk.inject(Fault::FullFrom(1));
    // No space for another segment; a smaller one would fit this one, and must not overtake.
    ledger.persist(&store, event(1, 5000));
    ledger.persist(&store, event(2, 10));
    assert_eq!(ledger.answers[1..], [Stored::Full, Stored::Full]);
    assert_eq!(store.commit(), Some(Stored::Full));
    disk.heal();
    assert_eq!(store.commit(), Some(Stored::Persisted(Seq(3))));
    drop(store);
    assert_eq!(open(disk).unwrap().1, ledger.appended);
}

#[test]
fn strangers_are_refused_before_the_clinics_own_and_those_before_stat() {
    let disk = Arc::new(Faulty::new());
    disk.limit(1024 * 1024);
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    let mut next = 0;
    let mut stage = |importance| {
        next += 1;
        let mut writer = store.stage(StagedId([next; 16]), importance)?;
        writer.append(&[7; 10_000])?;
        writer.finish()
    };
    let mut rungs = Vec::new();
    for importance in [Importance::Stranger, Importance::Bulk, Importance::Stat] {
        let fit = iter::repeat_with(|| stage(importance)).take_while(Result::is_ok).count();
        assert!(fit >= 5, "{fit} of {importance:?} after {rungs:?}");
        rungs.push(fit);
        // Of those that come from peers, what is more important still finds room.
        let finds_room = |wanted| {
            let manifest = ManifestId([1; 16]);
            let made = store.carry_out(Work::Create { manifest, bytes: 20_000, importance: wanted });
            assert!(made.is_empty() || made == [Stored::NoRoom { manifest }], "{made:?}");
            store.carry_out(Work::Free { manifest });
            made.is_empty()
        };
        for wanted in [Importance::Stranger, Importance::Bulk, Importance::Stat] {
            assert_eq!(finds_room(wanted), wanted > importance, "{wanted:?} after {importance:?}");
        }
    }
    // Reports and claims go on.
    let mut ledger = Ledger::default();
    ledger.persist(&store, event(1, 400));
    ledger.commit(&store);
    assert!(!ledger.answers.contains(&Stored::Full));
}

#[test]
fn bulk_data_leaves_a_reserve_that_reports_and_claims_live_from() {
    let disk = Arc::new(Faulty::new());
    disk.limit(512 * 1024);
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    let mut ledger = Ledger::default();
    let staged = (0..=u8::MAX).take_while(|id| ledger.stage(&store, *id, &[7; 10_000]).is_ok()).count();
    assert!((20..40).contains(&staged), "{staged} files of 10,000 bytes fit");
    let manifest = ManifestId([1; 16]);
    assert_eq!(
        store.carry_out(Work::Create { manifest, bytes: 20_000, importance: Importance::Bulk }),
        [Stored::NoRoom { manifest }]
    );
    for number in 0..50 {
        ledger.persist(&store, event(number, 400));
        ledger.commit(&store);
        store.append_room(1, Hash([1; 32]), vec![1; 200]).unwrap();
    }
    assert!(!ledger.answers.contains(&Stored::Full));
    // The modality is refused, what is sent and safe is deleted, and intake goes on.
    for id in 0..10 {
        store.remove_staged(StagedId([id; 16])).unwrap();
    }
    ledger.stage(&store, 200, &[7; 10_000]).unwrap();
}

#[test]
fn a_disk_full_at_the_first_start_is_an_error_and_the_next_start_works() {
    for nth in 1.. {
        let disk = Arc::new(Faulty::new());
        disk.inject(Fault::FullFrom(nth));
        match open(disk.clone() as Arc<dyn Medium>) {
            Ok(_) => {
                assert!(nth > 5, "a store is made with more than {nth} writes");
                break;
            }
            Err(error) => assert!(matches!(error, OpenError::Unwritable(WriteError::Full)), "{error}"),
        }
        disk.heal();
        open(disk).unwrap();
    }
}

#[test]
fn a_parcel_for_which_there_is_no_space_leaves_no_file() {
    let disk = Arc::new(Faulty::new());
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    // The file is made and its space is not there.
    disk.inject(Fault::FullFrom(2));
    let manifest = ManifestId([1; 16]);
    assert_eq!(
        store.carry_out(Work::Create { manifest, bytes: 4096, importance: Importance::Bulk }),
        [Stored::NoRoom { manifest }]
    );
    assert_eq!(store.parcels().unwrap(), []);
}

#[test]
fn a_commit_on_a_full_disk_says_full_and_the_next_one_keeps_the_order() {
    let disk = Arc::new(Faulty::new());
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    let mut ledger = Ledger::default();
    ledger.persist(&store, event(1, 10));
    disk.inject(Fault::FullFrom(1));
    assert_eq!(store.commit(), Some(Stored::Full));
    ledger.persist(&store, event(2, 10));
    assert_eq!(store.commit(), Some(Stored::Full));
    disk.heal();
    assert_eq!(store.commit(), Some(Stored::Persisted(Seq(2))));
    assert_eq!(store.commit(), None);
    drop(store);
    assert_eq!(open(disk).unwrap().1, ledger.appended);
}
