//! What a relay can learn, and what happens to a bit that turns over on a disk.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_codec::scan::{Fact, Form, scan};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use world::{World, files, radmesh, until};

/// What identifies the patient in a file, and a run of its pixels.
fn planted(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let found = scan(bytes.as_slice(), Form::File).unwrap();
    let name = found.facts.raw(Fact::PatientName).unwrap().to_vec();
    let uids = [found.study.as_str(), found.sop_instance.as_str()].map(|uid| uid.as_bytes().to_vec());
    let pixels = found.pixel_data.unwrap().value;
    let middle = usize::try_from((pixels.start + pixels.end) / 2).unwrap();
    uids.into_iter().chain([name, bytes[middle..middle + 64].to_vec()]).collect()
}

fn holds(bytes: &[u8], sentinel: &[u8]) -> bool {
    bytes.windows(sentinel.len()).any(|window| window == sentinel)
}

#[test]
fn a_relay_holds_nothing_of_a_patient_and_a_flipped_bit_is_found_and_fetched_again() {
    let world = World::new();
    let (hub, relay) = (world.init("hub", "hub", &[]), world.init("relay", "relay", &[]));
    let spoke = world.init("spoke", "spoke", &[]);
    world.admit("hub", &["--key-maker"]);
    world.admit("relay", &[]);
    world.admit("spoke", &["--home-hub", "hub", "--via", "relay"]);
    let running: Vec<_> = [&hub, &relay, &spoke]
        .into_iter()
        .map(|place| {
            world.join(place);
            world.start(place)
        })
        .collect();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let sent: Vec<PathBuf> =
        ["pydicom/CT_small.dcm", "pydicom-data/RG1_J2KI.dcm"].iter().map(|name| data.join(name)).collect();
    for file in &sent {
        radmesh(&["send", "--dir", spoke.dir.to_str().unwrap(), file.to_str().unwrap()]);
    }
    until("both Studies are delivered", || {
        let rows = spoke.json(&["studies"]);
        let rows = rows.as_array().unwrap();
        (rows.len() == 2 && rows.iter().all(|row| row["delivered"] == true)).then_some(())
    });

    let sentinels: Vec<Vec<u8>> = sent.iter().flat_map(|file| planted(file)).collect();
    let on_relay = files(&relay.dir);
    assert!(on_relay.iter().any(|path| path.extension().is_some_and(|e| e == "parcel")), "the relay holds the parcels");
    for path in on_relay.iter().chain(&files(&hub.dir)) {
        let Ok(bytes) = fs::read(path) else { continue };
        for sentinel in &sentinels {
            assert!(!holds(&bytes, sentinel), "{} holds {:?}", path.display(), String::from_utf8_lossy(sentinel));
        }
    }
    // The sentinels are there to be found, where they belong.
    assert!(sentinels.iter().all(|sentinel| sent.iter().any(|file| holds(&fs::read(file).unwrap(), sentinel))));

    let parcel =
        files(&hub.dir.join("parcels")).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut file = OpenOptions::new().read(true).write(true).open(&parcel).unwrap();
    let (mut byte, at) = ([0], 70_000);
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
    file.sync_all().unwrap();
    let found = hub.json(&["verify"]);
    assert_eq!(found["damaged"].as_array().unwrap().len(), 1, "{found}");
    until("the chunk is fetched again and right", || {
        (hub.json(&["verify"])["damaged"].as_array().unwrap().is_empty() && {
            file.seek(SeekFrom::Start(at)).unwrap();
            let mut now = [0];
            file.read_exact(&mut now).unwrap();
            now == byte
        })
        .then_some(())
    });
    drop(running);
}
