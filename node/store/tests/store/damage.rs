//! Bytes that are not what was written: RELIABILITY, F6. Found at the next reading, and never passed over.

use crate::fixture::{Ledger, SETTINGS, event, open, parcel};
use radmesh_protocol::{
    envelope::at_rest::AtRestKey,
    id::Hash,
    record::{Record, Seq, Stored, Work},
};
use radmesh_store::{Memory, OpenError, Store, medium::Medium, medium::Name};
use std::{collections::BTreeMap, sync::Arc};

/// A closed store with a few segments, and its records.
fn written() -> (BTreeMap<Name, Vec<u8>>, Vec<Record>) {
    let disk = Arc::new(Memory::new());
    let (store, _) = open(disk.clone()).unwrap();
    let mut ledger = Ledger::default();
    for number in 0..6 {
        ledger.persist(&store, event(number, 1200));
        ledger.persist(&store, event(number, 900));
        ledger.commit(&store);
    }
    drop(store);
    (disk.files(), ledger.appended)
}

fn reopen(files: &BTreeMap<Name, Vec<u8>>) -> Result<Vec<Record>, OpenError> {
    open(Arc::new(Memory::holding(files.clone()))).map(|(_, records)| records)
}

#[test]
fn a_bit_turned_over_at_any_byte_is_found_or_changes_nothing() {
    let (files, records) = written();
    let mut harmless = 0;
    let names: Vec<Name> = files.keys().copied().collect();
    for name in names {
        let written = files[&name].iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for offset in 0..files[&name].len() {
            let mut bad = files.clone();
            bad.get_mut(&name).unwrap()[offset] ^= 1 << (offset % 8);
            match reopen(&bad) {
                Err(_) => {}
                Ok(read) => {
                    assert!(offset >= written, "{name} byte {offset} was written, and its loss was not found");
                    assert_eq!(read, records, "{name} byte {offset}");
                    harmless += 1;
                }
            }
        }
    }
    println!("{harmless} flips in space not yet written changed nothing");
}

#[test]
fn a_zeroed_sector_is_found_wherever_a_later_record_proves_that_it_was_written() {
    let (files, records) = written();
    let segments: Vec<Name> = files.keys().copied().filter(|name| matches!(name, Name::Segment(_))).collect();
    let mut cut = 0;
    for name in segments {
        for sector in 0..files[&name].len() / 512 {
            let mut bad = files.clone();
            bad.get_mut(&name).unwrap()[sector * 512..(sector + 1) * 512].fill(0);
            if let Ok(read) = reopen(&bad) {
                // Indistinguishable from a power cut before the last sync: only the last batch can go.
                assert!(read == records || read == records[..records.len() - 2], "{name} sector {sector}");
                cut += usize::from(read != records);
            }
        }
    }
    assert_eq!(cut, 5, "the last batch has five sectors");
}

#[test]
fn damage_in_the_middle_says_which_segment_and_byte() {
    let (mut files, _) = written();
    files.get_mut(&Name::Segment(1)).unwrap()[512 + 2560 + 90] ^= 1;
    let error = reopen(&files).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { segment: 1, offset: 3072, .. }), "{error}");
}

#[test]
fn a_segment_that_is_missing_shorter_zeroed_or_another_one_is_an_error() {
    let (files, _) = written();
    let count = files.keys().filter(|name| matches!(name, Name::Segment(_))).count() as u64;
    assert!(count >= 2);
    for number in 1..=count {
        let name = Name::Segment(number);
        let mut without = files.clone();
        without.remove(&name);
        let mut short = files.clone();
        short.get_mut(&name).unwrap().truncate(5000);
        let mut zeroed = files.clone();
        zeroed.get_mut(&name).unwrap().fill(0);
        let mut other = files.clone();
        other.insert(name, files[&Name::Segment(number % count + 1)].clone());
        for (what, bad) in [("missing", without), ("shorter", short), ("zeroed", zeroed), ("another", other)] {
            assert!(reopen(&bad).is_err(), "segment {number} {what}");
        }
    }
}

#[test]
fn a_zeroed_journal_of_one_segment_is_an_error_and_not_a_new_node() {
    let disk = Arc::new(Memory::new());
    let (store, _) = open(disk.clone()).unwrap();
    let mut ledger = Ledger::default();
    ledger.persist(&store, event(1, 300));
    ledger.commit(&store);
    drop(store);
    let mut files = disk.files();
    files.get_mut(&Name::Segment(1)).unwrap().fill(0);
    let error = reopen(&files).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { segment: 1, offset: 0, .. }), "{error}");
}

#[test]
fn a_segment_under_the_name_of_one_that_held_nothing_is_an_error() {
    let disk = Arc::new(Memory::new());
    let (store, _) = open(disk.clone()).unwrap();
    let mut ledger = Ledger::default();
    // Too large for the first segment, which ends before it: the second one continues the same link.
    ledger.persist(&store, event(1, 9000));
    ledger.commit(&store);
    drop(store);
    let mut files = disk.files();
    let second = files.remove(&Name::Segment(2)).unwrap();
    files.insert(Name::Segment(1), second);
    let error = reopen(&files).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { segment: 1, offset: 0, .. }), "{error}");
}

#[test]
fn a_segment_missing_between_others_is_named() {
    let (mut files, _) = written();
    files.remove(&Name::Segment(1));
    let error = reopen(&files).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { segment: 1, what: "the segment is missing", .. }), "{error}");
}

#[test]
fn two_whole_batches_in_each_others_place_are_an_error() {
    let (mut files, _) = written();
    let segment = files.get_mut(&Name::Segment(1)).unwrap();
    let (first, second) = segment[512..512 + 2 * 2560].split_at_mut(2560);
    first.swap_with_slice(second);
    assert!(matches!(reopen(&files).unwrap_err(), OpenError::Damaged { segment: 1, offset: 512, .. }));
}

#[test]
fn an_old_batch_written_again_at_the_end_is_an_error() {
    let (mut files, _) = written();
    let last = files.keys().rfind(|name| matches!(name, Name::Segment(_))).copied().unwrap();
    let old = files[&Name::Segment(1)][512..512 + 2560].to_vec();
    let segment = files.get_mut(&last).unwrap();
    let end = (segment.iter().rposition(|byte| *byte != 0).unwrap() + 1).next_multiple_of(512);
    segment[end - 2560..end].copy_from_slice(&old);
    assert!(matches!(reopen(&files).unwrap_err(), OpenError::Damaged { .. }));
}

#[test]
fn a_segment_file_of_any_length_takes_no_more_memory_than_a_segment() {
    let directory = tempfile::tempdir().unwrap();
    let open = || open(Arc::new(radmesh_store::Disk::open(directory.path()).unwrap()));
    let (store, _) = open().unwrap();
    let mut ledger = Ledger::default();
    ledger.persist(&store, event(1, 300));
    ledger.commit(&store);
    drop(store);
    let path = directory.path().join("journal").join(Name::Segment(1).to_string());
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(8 << 40).unwrap();
    let (_, records) = open().unwrap();
    assert_eq!(records, ledger.appended);
}

#[test]
fn a_whole_journal_that_is_gone_is_an_error_and_not_a_new_node() {
    let (mut files, _) = written();
    files.retain(|name, _| !matches!(name, Name::Segment(_)));
    assert!(matches!(reopen(&files).unwrap_err(), OpenError::Damaged { segment: 1, .. }));
}

#[test]
fn the_journal_of_another_node_is_refused_as_such() {
    let (files, _) = written();
    let other = AtRestKey::from_bytes(&[1; 32]);
    let error = Store::open_with(Arc::new(Memory::holding(files)), &other, SETTINGS).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::OtherKey), "{error}");
}

#[test]
fn a_torn_end_is_cut_and_said_and_the_records_before_it_are_there() {
    let (mut files, records) = written();
    let last = files.keys().rfind(|name| matches!(name, Name::Segment(_))).copied().unwrap();
    let segment = files.get_mut(&last).unwrap();
    let end = segment.iter().rposition(|byte| *byte != 0).unwrap();
    segment[end / 512 * 512..].fill(0);
    let (store, read) = open(Arc::new(Memory::holding(files))).unwrap();
    assert_eq!(read, records[..records.len() - 2]);
    assert!(store.opened().cut_bytes > 1000);
}

#[test]
fn damage_to_the_journal_is_found_while_the_node_runs() {
    let disk = Arc::new(Memory::new());
    let (store, _) = open(disk.clone()).unwrap();
    let mut ledger = Ledger::default();
    ledger.work(&store);
    assert_eq!(store.check_journal().unwrap(), ledger.appended.len() as u64);
    disk.flip(Name::Segment(2), 700, 3);
    let broken = store.check_journal().unwrap_err();
    assert!(matches!(broken.source, OpenError::Damaged { segment: 2, .. }) && broken.records > 0, "{broken}");
}

#[test]
fn a_last_batch_that_is_gone_is_found_while_the_node_runs() {
    let disk = Arc::new(Memory::new());
    let (store, _) = open(disk.clone()).unwrap();
    let mut ledger = Ledger::default();
    for number in 0..2 {
        ledger.persist(&store, event(number, 100));
        ledger.commit(&store);
    }
    assert_eq!(store.check_journal().unwrap(), 2);
    // Nothing follows that would prove it: after a power cut this would be the end.
    disk.write_at(Name::Segment(1), 1024, &[0; 512]).unwrap();
    let broken = store.check_journal().unwrap_err();
    assert!(matches!(broken.source, OpenError::Damaged { segment: 1, .. }) && broken.records == 1, "{broken}");
}

#[test]
fn a_flipped_bit_of_any_chunk_changes_its_hash() {
    let disk = Arc::new(Memory::new());
    let (store, _) = open(disk.clone()).unwrap();
    let id = Ledger::default().receive(&store, 1, 150_000);
    let (_, _, sealed) = parcel(1, 150_000);
    let hashes = |store: &Store| match &store.carry_out(Work::HashFile { manifest: id })[..] {
        [Stored::FileHashed { hashes, .. }] => hashes.clone(),
        other => panic!("{other:?}"),
    };
    let whole: Vec<_> = sealed.chunks(65_536).map(|chunk| Some(Hash::of(chunk))).collect();
    assert_eq!(hashes(&store), whole);
    for chunk in 0..whole.len() {
        disk.flip(Name::Parcel(id), chunk as u64 * 65_536 + 77, 5);
        let bad = hashes(&store);
        let differing: Vec<_> = (0..whole.len()).filter(|at| bad[*at] != whole[*at]).collect();
        assert_eq!(differing, [chunk]);
        let one = store.carry_out(Work::HashChunk { manifest: id, chunk: chunk as u32 });
        assert_eq!(one, [Stored::ChunkHashed { manifest: id, chunk: chunk as u32, hash: bad[chunk] }]);
        disk.flip(Name::Parcel(id), chunk as u64 * 65_536 + 77, 5);
    }
}

#[test]
fn a_room_record_that_was_damaged_is_an_error_and_never_an_older_one() {
    let disk = Arc::new(Memory::new());
    let (store, _) = open(disk.clone()).unwrap();
    let key = Hash([1; 32]);
    store.append_room(1, key, b"older".to_vec()).unwrap();
    store.append_room(1, key, b"newer".to_vec()).unwrap();
    // Two batches of one sector each after the head; the second one's body.
    disk.flip(Name::Segment(1), 1024 + 100, 1);
    assert!(store.room(1, key).is_err());
}

#[test]
fn a_parcel_that_is_not_there_is_read_as_nothing_and_never_acknowledged() {
    let disk = Arc::new(Memory::new());
    let (store, _) = open(disk as Arc<dyn Medium>).unwrap();
    let manifest = radmesh_protocol::id::ManifestId([1; 16]);
    let ranges = radmesh_protocol::ranges::Ranges::whole(10);
    assert_eq!(store.carry_out(Work::Sync { manifest, ranges }), [Stored::NoFile { manifest }]);
    let write = Work::Write { manifest, offset: 0, bytes: vec![1] };
    assert_eq!(store.carry_out(write), [Stored::NoFile { manifest }]);
    assert_eq!(
        store.carry_out(Work::Read { manifest, offset: 0, length: 1 }),
        [Stored::Read { manifest, offset: 0, bytes: None }]
    );
    assert_eq!(store.carry_out(Work::Persist(Seq(1), event(1, 1))), []);
    assert_eq!(store.commit(), Some(Stored::Persisted(Seq(1))));
}
