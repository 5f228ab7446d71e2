//! Threads that append at once share their syncs, and each hears only of what is on disk.

use crate::fixture::{Ledger, event, open};
use radmesh_protocol::{
    id::Hash,
    record::{Record, Seq, Stored, Work},
};
use radmesh_store::{Faulty, medium::Medium, medium::Operation, medium::Survives};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::{collections::BTreeMap, sync::Arc};

fn syncs(disk: &Faulty) -> usize {
    disk.operations().iter().filter(|done| matches!(done, Operation::Sync(_))).count()
}

#[test]
fn a_hundred_records_are_made_durable_by_one_sync() {
    let disk = Arc::new(Faulty::recording(BTreeMap::new()));
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    let before = syncs(&disk);
    for number in 1..=100 {
        assert_eq!(store.carry_out(Work::Persist(Seq(number), event(number as u32, 20))), []);
    }
    assert_eq!(syncs(&disk), before);
    assert_eq!(store.commit(), Some(Stored::Persisted(Seq(100))));
    assert_eq!(syncs(&disk), before + 1);
}

#[test]
fn a_room_that_waits_for_its_record_makes_the_cores_records_durable_too() {
    let disk = Arc::new(Faulty::recording(BTreeMap::new()));
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    store.carry_out(Work::Persist(Seq(1), event(1, 20)));
    store.append_room(1, Hash([1; 32]), vec![1]).unwrap();
    let before = syncs(&disk);
    assert_eq!(store.commit(), Some(Stored::Persisted(Seq(1))));
    assert_eq!(syncs(&disk), before, "it is on disk already");
}

#[test]
fn what_eight_threads_were_told_is_on_disk_and_each_ones_records_are_in_its_order() {
    const THREADS: u8 = 8;
    const EACH: u8 = 60;
    let disk = Arc::new(Faulty::recording(BTreeMap::new()));
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for number in 0..EACH {
                    store.append_room(u16::from(thread), Hash([number; 32]), vec![number; 100]).unwrap();
                }
            });
        }
        let mut ledger = Ledger::default();
        for number in 0..u32::from(EACH) {
            ledger.persist(&store, event(number, 50));
            ledger.commit(&store);
        }
    });
    let operations = disk.operations();
    drop(store);
    let left =
        Faulty::after(BTreeMap::new(), &operations, Survives::Nothing, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    let (store, records) = open(Arc::new(left)).unwrap();
    assert_eq!(records.len(), usize::from(THREADS + 1) * usize::from(EACH));
    for thread in 0..THREADS {
        let own = records.iter().filter_map(|record| match record {
            Record::Room { room, key, .. } if *room == u16::from(thread) => Some(key.0[0]),
            _ => None,
        });
        assert!(own.eq(0..EACH), "thread {thread}");
        assert_eq!(store.room(u16::from(thread), Hash([7; 32])).unwrap(), Some(vec![7; 100]));
    }
}
