//! What a power cut at any moment leaves: every prefix of the disk's operations, with any of what was not synced.
//!
//! RELIABILITY, F2 and F3 (layer L2). A Study that a clinic was told is stored must be there afterwards.
//! `RADMESH_TEST_STATES` sets the random states at each operation (default 180: 20,000 in all; 9,000 make a million).

use crate::fixture::{Ledger, SETTINGS, at_rest, event, open, parcel};
use radmesh_protocol::{
    id::Hash,
    ranges::Ranges,
    record::{Importance, Record, Seq, Stored, Work},
};
use radmesh_store::{
    Faulty, Memory, Store,
    medium::{Medium, Name, Operation, Survives},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::{collections::BTreeMap, env, sync::Arc};

/// Random cuts at each operation, besides nothing and everything surviving.
const CUTS: u64 = 180;

fn cuts_at_each() -> u64 {
    env::var("RADMESH_TEST_STATES").map_or(CUTS, |states| states.parse().expect("RADMESH_TEST_STATES is a number"))
}

fn cuts(random: u64) -> impl Iterator<Item = (Survives, u64)> {
    let whole = [(Survives::Nothing, 0), (Survives::Everything, 0)];
    whole.into_iter().chain((0..random).map(|seed| (Survives::Sectors(if seed % 3 == 0 { 4096 } else { 512 }), seed)))
}

fn worked() -> (Arc<Faulty>, Ledger) {
    let disk = Arc::new(Faulty::recording(BTreeMap::new()));
    let mut ledger = Ledger { clock: Some(Arc::clone(&disk)), ..Ledger::default() };
    let (store, _) = open(Arc::clone(&disk) as Arc<dyn Medium>).unwrap();
    ledger.work(&store);
    assert!(ledger.refused.is_empty());
    let segments = disk.files().into_keys().filter(|name| matches!(name, Name::Segment(_))).count();
    assert!(segments >= 3, "the workload must begin segments, this has {segments}");
    drop(store);
    (disk, ledger)
}

#[test]
fn every_acknowledged_record_and_byte_survives_a_power_cut_at_any_operation() {
    let (disk, ledger) = worked();
    let operations = disk.operations();
    let (mut states, mut torn, mut swept) = (0, 0, 0);
    let random = cuts_at_each();
    for done in 0..=operations.len() {
        for (survives, seed) in cuts(random) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (done as u64) << 8);
            let left = Arc::new(Faulty::after(BTreeMap::new(), &operations[..done], survives, &mut rng).unwrap());
            let said = || format!("cut after {done} operations, {survives:?}, seed {seed}");
            let (store, records) = open(left.clone()).unwrap_or_else(|error| panic!("{}: {error}", said()));
            ledger.check(done, &store, &records).unwrap_or_else(|wrong| panic!("{}: {wrong}", said()));
            torn += u64::from(store.opened().cut_bytes > 0);
            swept += store.opened().swept;
            states += 1;
            // It goes on from there, and what it finds the next time is the same and the new.
            store.append_room(9, Hash([9; 32]), vec![9; 600]).unwrap();
            drop(store);
            let (store, again) = open(left).unwrap_or_else(|error| panic!("{} and again: {error}", said()));
            assert_eq!(again[..records.len()], records, "{}", said());
            assert_eq!((again.len(), store.opened().cut_bytes), (records.len() + 1, 0), "{}", said());
        }
    }
    println!("{states} crash states, {torn} with a torn batch, {swept} files swept");
    assert!(states >= 20_000 && torn > 0 && swept > 0, "the faults must have happened");
}

#[test]
fn a_second_cut_during_recovery_loses_nothing_either() {
    let (disk, ledger) = worked();
    let operations = disk.operations();
    let mut states = 0;
    for done in (0..=operations.len()).step_by(3) {
        for (survives, seed) in cuts(CUTS).skip(1).step_by(30) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (done as u64) << 8);
            let files = Faulty::after(BTreeMap::new(), &operations[..done], survives, &mut rng).unwrap().files();
            let recovering = Arc::new(Faulty::recording(files.clone()));
            let (store, first) = open(recovering.clone() as Arc<dyn Medium>).unwrap();
            let opened = recovering.operations().len();
            store.append_room(9, Hash([9; 32]), vec![9; 1800]).unwrap();
            drop(store);
            let recovery = recovering.operations();
            for again in 0..=recovery.len() {
                let left = Faulty::after(files.clone(), &recovery[..again], survives, &mut rng).unwrap();
                let said = format!("cut after {done}, {survives:?} {seed}, and after {again} of {}", recovery.len());
                let (store, records) = open(Arc::new(left)).unwrap_or_else(|error| panic!("{said}: {error}"));
                let kept = records.len().min(first.len());
                ledger.check(done, &store, &records[..kept]).unwrap_or_else(|wrong| panic!("{said}: {wrong}"));
                assert!(again < opened || kept == first.len(), "{said}: believed, and lost");
                assert!(again < recovery.len() || records.len() == kept + 1, "{said}: the new one is lost");
                states += 1;
            }
        }
    }
    println!("{states} states after two cuts");
}

#[test]
fn what_a_killed_process_left_in_the_page_cache_is_synced_before_it_is_believed() {
    let (disk, ledger) = worked();
    let operations = disk.operations();
    // Believed alone, and believed and built upon.
    for (done, more) in (0..=operations.len()).flat_map(|done| [(done, 0), (done, 1)]) {
        let said = format!("killed after {done} operations, then cut");
        // The process is gone; the page cache, which holds all that it wrote, is not.
        let cached = Arc::new(Faulty::new());
        operations[..done].iter().for_each(|operation| repeat(&cached, operation));
        let (store, believed) = open(cached.clone() as Arc<dyn Medium>).unwrap();
        ledger.check(done, &store, &believed).unwrap_or_else(|wrong| panic!("{said}: {wrong}"));
        (0..more).for_each(|key| store.append_room(9, Hash([key; 32]), vec![9; 600]).unwrap());
        drop(store);
        cached.cut(Survives::Nothing, &mut ChaCha8Rng::seed_from_u64(0));
        let (store, records) = open(cached).unwrap_or_else(|error| panic!("{said}: {error}"));
        assert_eq!(records.len(), believed.len() + usize::from(more), "{said}: believed, and lost");
        ledger.check(done, &store, &records[..believed.len()]).unwrap_or_else(|wrong| panic!("{said}: {wrong}"));
    }
}

#[test]
fn a_parcels_file_that_a_killed_process_had_made_is_there_after_a_cut_once_its_bytes_are_acknowledged() {
    let disk = Arc::new(Faulty::new());
    let (signed, manifest, sealed) = parcel(1, 3000);
    let bytes = sealed.len() as u64;
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    store.carry_out(Work::Persist(Seq(1), Record::Manifest(signed)));
    store.commit();
    drop(store);
    // Killed before it had synced the file's name.
    disk.create(Name::Parcel(manifest)).unwrap();
    disk.reserve(Name::Parcel(manifest), bytes).unwrap();
    let (store, _) = open(disk.clone() as Arc<dyn Medium>).unwrap();
    assert_eq!(store.carry_out(Work::Create { manifest, bytes, importance: Importance::Bulk }), []);
    assert_eq!(store.carry_out(Work::Write { manifest, offset: 0, bytes: sealed.clone() }), []);
    let ranges = Ranges::whole(bytes);
    let synced = store.carry_out(Work::Sync { manifest, ranges: ranges.clone() });
    assert_eq!(synced, [Stored::Durable { manifest, ranges }]);
    drop(store);
    disk.cut(Survives::Nothing, &mut ChaCha8Rng::seed_from_u64(0));
    let (store, _) = open(disk).unwrap();
    let read = store.carry_out(Work::Read { manifest, offset: 0, length: bytes as u32 });
    assert_eq!(read, [Stored::Read { manifest, offset: 0, bytes: Some(sealed) }]);
}

#[test]
fn a_store_that_was_made_is_never_taken_for_a_new_one_after_a_cut() {
    let disk = Arc::new(Faulty::new());
    drop(open(disk.clone() as Arc<dyn Medium>).unwrap());
    disk.cut(Survives::Nothing, &mut ChaCha8Rng::seed_from_u64(0));
    disk.delete(Name::Segment(1)).unwrap();
    assert!(open(disk).is_err(), "a journal that is gone must not look like a first start");
}

fn repeat(disk: &Faulty, operation: &Operation) {
    match operation {
        Operation::Create(name) => disk.create(*name),
        Operation::Reserve(name, bytes) => disk.reserve(*name, *bytes),
        Operation::Write { name, offset, bytes } => disk.write_at(*name, *offset, bytes),
        Operation::Sync(name) => disk.sync(*name),
        Operation::SyncDir(dir) => disk.sync_dir(*dir),
        Operation::Rename(from, to) => disk.rename(*from, *to),
        Operation::Delete(name) => disk.delete(*name),
    }
    .unwrap();
}

#[test]
fn the_same_seed_leaves_the_same_bytes() {
    let cut = || {
        let disk = Arc::new(Faulty::new());
        let (store, _) = Store::open_with(disk.clone(), &at_rest(), SETTINGS).unwrap();
        Ledger::default().work(&store);
        store.carry_out(Work::Persist(Seq(99), event(99, 900)));
        drop(store);
        disk.crash(&mut ChaCha8Rng::seed_from_u64(7));
        disk.files()
    };
    assert_eq!(cut(), cut());
}

#[test]
fn an_empty_medium_of_each_kind_opens_and_keeps_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let media: [Arc<dyn Medium>; 3] = [
        Arc::new(radmesh_store::Disk::open(directory.path()).unwrap()),
        Arc::new(Memory::new()),
        Arc::new(Faulty::new()),
    ];
    for medium in media {
        let mut ledger = Ledger::default();
        let (store, _) = open(medium.clone()).unwrap();
        ledger.work(&store);
        ledger.check(usize::MAX, &store, &ledger.appended).unwrap();
        drop(store);
        let (store, records) = open(medium).unwrap();
        ledger.check(usize::MAX, &store, &records).unwrap();
    }
}
