//! A year of a district is read at the start, and how long that takes is printed: nobody waits for the node after a
//! power cut. No test fails by the clock.

use crate::fixture::at_rest;
use radmesh_protocol::record::{Importance, Record, Seq, Stored, Work};
use radmesh_store::{Disk, Store};
use std::{sync::Arc, time::Instant};

/// Events of a year of `district_ct`.
const EVENTS: u64 = 117_000;

#[test]
fn a_year_of_a_district_is_there_when_the_store_opens() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(Arc::new(Disk::open(directory.path()).unwrap()), &at_rest()).unwrap();
    let (store, _) = open();
    for number in 1..=EVENTS {
        let mut event = vec![0; 650];
        blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut event);
        assert_eq!(store.carry_out(Work::Persist(Seq(number), Record::Event(event))), []);
    }
    assert_eq!(store.commit(), Some(Stored::Persisted(Seq(EVENTS))));
    drop(store);
    let begun = Instant::now();
    let (store, replay) = open();
    let opened = begun.elapsed();
    let replayed = replay.fold(0, |count, record| record.map(|_| count + 1).unwrap());
    let all = begun.elapsed();
    println!("{EVENTS} events in {} segments: opened in {opened:?}, replayed in {all:?}", store.opened().segments);
    assert_eq!(replayed, EVENTS);
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_own_and_one_over_the_limit_is_refused() {
    let disk = Arc::new(radmesh_store::Memory::new());
    let (store, _) = crate::fixture::open(disk.clone()).unwrap();
    let key = radmesh_protocol::id::Hash([1; 32]);
    store.append_room(1, key, vec![3; 100_000]).unwrap();
    let refused = store.append_room(1, key, vec![4; radmesh_store::RECORD_BYTES_MAX]);
    assert!(matches!(refused, Err(radmesh_store::WriteError::TooLarge { .. })));
    drop(store);
    let (store, _) = crate::fixture::open(disk).unwrap();
    assert_eq!(store.room(1, key).unwrap(), Some(vec![3; 100_000]));
}

#[test]
fn an_unfinished_file_is_deleted_when_it_is_dropped_and_after_a_kill() {
    let disk = Arc::new(radmesh_store::Memory::new());
    let (store, _) = crate::fixture::open(disk.clone()).unwrap();
    let id = radmesh_store::StagedId([1; 16]);
    let mut dropped = store.stage(id, Importance::Bulk).unwrap();
    dropped.append(b"part").unwrap();
    drop(dropped);
    let mut killed = store.stage(id, Importance::Bulk).unwrap();
    killed.append(b"part").unwrap();
    std::mem::forget(killed);
    std::mem::forget(store.draft([2; 16]).unwrap());
    drop(store);
    let (store, _) = crate::fixture::open(disk.clone()).unwrap();
    assert_eq!(store.opened().swept, 2);
    assert_eq!(store.staged().unwrap(), []);
    let mut kept = store.stage(id, Importance::Bulk).unwrap();
    kept.append(b"whole").unwrap();
    kept.finish().unwrap();
    assert_eq!(store.staged().unwrap(), [(id, 5)]);
    store.remove_staged(id).unwrap();
    assert_eq!(store.staged().unwrap(), []);
}

#[test]
fn a_parcel_whose_manifest_was_never_journaled_is_deleted_at_the_next_start_and_no_other() {
    let disk = Arc::new(radmesh_store::Memory::new());
    let (store, _) = crate::fixture::open(disk.clone()).unwrap();
    let mut ledger = crate::fixture::Ledger::default();
    let (received, sealed) = (ledger.receive(&store, 1, 3000), ledger.seal(&store, 2, 3000).unwrap());
    let mut orphan = store.draft([3; 16]).unwrap();
    orphan.append(b"sealed, and killed before its manifest was journaled").unwrap();
    orphan.adopt(radmesh_protocol::id::ManifestId([3; 16])).unwrap();
    assert_eq!(store.parcels().unwrap().len(), 3);
    drop(store);
    let (store, _) = crate::fixture::open(disk).unwrap();
    let mut expected = [received, sealed];
    expected.sort_unstable();
    assert!(store.parcels().unwrap().into_iter().map(|(id, _)| id).eq(expected));
}
