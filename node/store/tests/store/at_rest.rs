//! A stolen disk: no name, UID or key of a patient's record lies in any file in clear (THREATS, T5).

use crate::fixture::{Ledger, at_rest, open, parcel};
use radmesh_store::{Disk, medium::Medium};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::{path::Path, sync::Arc};

const SENTINEL: &str = "Banda^Grace 1.2.840.99999.7";

fn files_below(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn no_file_holds_a_planted_name_or_what_it_is_looked_up_by() {
    let directory = tempfile::tempdir().unwrap();
    let medium: Arc<dyn Medium> = Arc::new(Disk::open(directory.path()).unwrap());
    let (store, _) = open(medium).unwrap();
    let key = at_rest().keyed_hash("radmesh/1 test", SENTINEL.as_bytes());
    let id = Ledger::default().receive(&store, 1, 3000);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for version in 0..30 {
        let plain = format!("{SENTINEL} version {version}");
        store.append_room(5, key, at_rest().seal("radmesh/1 test", plain.as_bytes(), &mut rng)).unwrap();
    }
    drop(store);
    let mut files = Vec::new();
    files_below(directory.path(), &mut files);
    let index: Vec<_> = files.iter().filter(|(path, _)| path.contains("/index/")).collect();
    assert!(index.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 1000, "the index must hold something");
    let holds = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    for (path, bytes) in &files {
        assert!(!holds(bytes, b"Banda") && !holds(bytes, b"1.2.840.99999"), "{path}");
    }
    // The index keeps deleted values, so not even the ids that the journal may show are in it.
    for (path, bytes) in index {
        assert!(!holds(bytes, &key.0) && !holds(bytes, &id.0) && !holds(bytes, &parcel(1, 3000).0[..32]), "{path}");
    }
}
