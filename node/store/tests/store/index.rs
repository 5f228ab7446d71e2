//! The index is worth nothing: deleted, garbled or left from another day, everything is found all the same.

use crate::fixture::{Ledger, at_rest, parcel};
use radmesh_protocol::id::Hash;
use radmesh_store::{Disk, Rebuilt, Store};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const KEYS: u8 = 40;

fn open(directory: &Path) -> Store {
    Store::open(Arc::new(Disk::open(directory).unwrap()), &at_rest()).unwrap().0
}

/// A closed store in which each key was written twice.
fn written() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    Ledger::default().receive(&store, 1, 3000);
    for version in [1, 2] {
        let records = (0..KEYS).map(|key| (3, Hash([key; 32]), vec![key, version]));
        store.append_rooms(records).unwrap();
    }
    drop(store);
    directory
}

fn assert_finds_all(store: &Store) {
    for key in 0..KEYS {
        assert_eq!(store.room(3, Hash([key; 32])).unwrap(), Some(vec![key, 2]));
    }
    assert_eq!(store.room(4, Hash([1; 32])).unwrap(), None);
    let (manifest, id, _) = parcel(1, 3000);
    assert_eq!(store.manifest(id).unwrap(), Some(manifest));
}

fn index_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join("index")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths.collect()
}

#[test]
fn an_index_closed_in_order_is_used_again() {
    let directory = written();
    let store = open(directory.path());
    assert_eq!(store.opened().rebuilt, None);
    assert_finds_all(&store);
}

#[test]
fn deleting_the_index_directory_loses_nothing() {
    let directory = written();
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    let store = open(directory.path());
    assert_eq!(store.opened().rebuilt, Some(Rebuilt::Damaged));
    assert_finds_all(&store);
}

#[test]
fn a_garbled_index_is_rebuilt_wherever_it_is_garbled() {
    for step in [1, 997, 65_536] {
        let directory = written();
        let files = index_files(directory.path());
        assert!(!files.is_empty());
        for path in files {
            let whole = std::fs::read(&path).unwrap();
            let mut bad = whole.clone();
            bad.iter_mut().step_by(step).for_each(|byte| *byte ^= 0xff);
            for bytes in [bad, whole[..whole.len() / 2].to_vec(), Vec::new()] {
                std::fs::write(&path, &bytes).unwrap();
                let store = open(directory.path());
                assert_eq!(store.opened().rebuilt, (bytes != whole).then_some(Rebuilt::Damaged), "{}", path.display());
                assert_finds_all(&store);
                drop(store);
                assert_eq!(open(directory.path()).opened().rebuilt, None);
            }
        }
    }
}

#[test]
fn an_index_whose_node_was_killed_is_rebuilt() {
    let directory = written();
    let store = open(directory.path());
    assert!(!directory.path().join("index.seal").exists(), "an open index must not look closed");
    // What a kill leaves: no destructor runs. The files are copied, as the lock dies with the process only.
    let copy = tempfile::tempdir().unwrap();
    for entry in ["format", "journal", "parcels", "index"] {
        copy_all(&directory.path().join(entry), &copy.path().join(entry));
    }
    drop(store);
    let store = open(copy.path());
    assert_eq!(store.opened().rebuilt, Some(Rebuilt::NotSealed));
    assert_finds_all(&store);
}

#[test]
fn an_index_of_another_journal_is_rebuilt() {
    let (directory, older) = (written(), tempfile::tempdir().unwrap());
    for entry in ["index", "index.seal"] {
        copy_all(&directory.path().join(entry), &older.path().join(entry));
    }
    let store = open(directory.path());
    store.append_room(3, Hash([0; 32]), vec![0, 9]).unwrap();
    drop(store);
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    for entry in ["index", "index.seal"] {
        copy_all(&older.path().join(entry), &directory.path().join(entry));
    }
    let store = open(directory.path());
    assert_eq!(store.opened().rebuilt, Some(Rebuilt::OtherJournal));
    assert_eq!(store.room(3, Hash([0; 32])).unwrap(), Some(vec![0, 9]), "the index would have said an older version");
}

#[test]
fn a_thing_that_is_gone_is_not_found() {
    let directory = written();
    let store = open(directory.path());
    store.append_room(3, Hash([5; 32]), Vec::new()).unwrap();
    assert_eq!(store.room(3, Hash([5; 32])).unwrap(), None);
}

fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy_all(&from.join(&name), &to.join(&name));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}
