//! A journal with any of its bytes changed opens to the first of its records or to an error that says where, and
//! never to other records: what a node believes after a power cut is what it wrote before.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_protocol::{envelope::at_rest::AtRestKey, id::Hash, record::Record};
use radmesh_store::{Memory, Settings, Store, medium::Name};
use std::{collections::BTreeMap, sync::Arc, sync::LazyLock};

const SETTINGS: Settings = Settings { segment_bytes: 2048, reserve_bytes: 0 };

fn open(files: BTreeMap<Name, Vec<u8>>) -> Option<(Arc<Memory>, Store, Vec<Record>)> {
    let medium = Arc::new(Memory::holding(files));
    let (store, replay) = Store::open_with(medium.clone(), &AtRestKey::from_bytes(&[1; 32]), SETTINGS).ok()?;
    let records = replay.collect::<Result<_, _>>().ok()?;
    Some((medium, store, records))
}

/// Files of a store, and the records it holds.
type Written = (BTreeMap<Name, Vec<u8>>, Vec<Record>);

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let (medium, store, _) = open(BTreeMap::new()).expect("an empty store opens");
    for key in 0..6 {
        store.append_room(1, Hash([key; 32]), vec![key; 400]).expect("memory takes it");
    }
    drop(store);
    let (_, _, records) = open(medium.files()).expect("a whole store opens");
    (medium.files(), records)
});

fuzz_target!(|changes: Vec<(u8, u16, u8)>| {
    let (mut files, written) = WRITTEN.clone();
    for (segment, offset, byte) in changes {
        let count = files.len();
        let file = files.values_mut().nth(usize::from(segment) % count).expect("there are files");
        if let Some(at) = file.get_mut(usize::from(offset)) {
            *at = byte;
        }
    }
    if let Some((_, _, records)) = open(files) {
        assert_eq!(records, written[..records.len()]);
    }
});
