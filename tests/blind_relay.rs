//! What a relay can learn, and what happens to a bit that turns over on a disk.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_codec::scan::{Fact, Form, scan};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
};
use world::{
    federation::Federation,
    files, fixtures,
    network::{Network, Site},
    radmesh, until,
};

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

/// Sends a CT and a chest film from the spoke, and gives what must not be seen of them.
fn send_two_studies(federation: &Federation) -> Vec<Vec<u8>> {
    let sent = ["pydicom/CT_small.dcm", "pydicom-data/RG1_J2KI.dcm"].map(|name| fixtures().join(name));
    for file in &sent {
        radmesh(&["send", "--dir", federation.spoke.text(), file.to_str().unwrap()]);
    }
    federation.delivered(2);
    let sentinels: Vec<Vec<u8>> = sent.iter().flat_map(|file| planted(file)).collect();
    // The sentinels are there to be found, where they belong.
    assert!(sentinels.iter().all(|sentinel| sent.iter().any(|file| holds(&fs::read(file).unwrap(), sentinel))));
    sentinels
}

fn search(paths: &[PathBuf], sentinels: &[Vec<u8>]) {
    for path in paths {
        // A control socket lies there too, and can't be read.
        let Ok(bytes) = fs::read(path) else { continue };
        for sentinel in sentinels {
            assert!(!holds(&bytes, sentinel), "{} holds {:?}", path.display(), String::from_utf8_lossy(sentinel));
        }
    }
}

#[test]
fn neither_what_crosses_a_relay_nor_what_it_keeps_shows_anything_of_a_patient() {
    const IN_CLEAR: &[u8] = b"a name that crosses in clear is seen by this test";
    let network = Network::new();
    let federation = Federation::over(&network);
    let packets = federation.world.path("packets.pcap");
    let capture = network.capture(&packets);
    let speak = format!("exec 3<>/dev/tcp/10.77.1.1/4001; echo {} >&3", String::from_utf8_lossy(IN_CLEAR));
    assert!(network.inside(Site::Clinic, "bash").args(["-c", &speak]).status().unwrap().success());
    let sentinels = send_two_studies(&federation);
    let case = federation.ready(2).remove(0);
    federation.claim(&case);
    let text = federation.world.path("report.txt");
    fs::write(&text, "No acute abnormality of the chest.\n").unwrap();
    assert!(federation.sign(&case, "final", &text).status.success());
    until("the report is at the clinic", || {
        (!federation.spoke.json(&["reports"]).as_array().unwrap().is_empty()).then_some(())
    });
    capture.end();

    // Packets cut words; each direction of each connection is put together again before it is searched.
    let streams = federation.world.path("streams");
    let done = Command::new("tcpflow").arg("-r").arg(&packets).arg("-o").arg(&streams).output().unwrap();
    assert!(done.status.success(), "tcpflow: {}", String::from_utf8_lossy(&done.stderr));
    let crossed: Vec<PathBuf> =
        files(&streams).into_iter().filter(|path| path.extension().is_none_or(|e| e != "xml")).collect();
    assert!(crossed.iter().any(|path| holds(&fs::read(path).unwrap(), IN_CLEAR)), "the capture sees what crosses");
    let bytes: u64 = crossed.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes > 1_200_000, "both Studies crossed twice: {bytes} bytes");
    let kept = files(&federation.relay.dir);
    assert!(kept.iter().any(|path| path.extension().is_some_and(|e| e == "parcel")), "the relay keeps the parcels");
    let mut sentinels = sentinels;
    sentinels.push(b"No acute abnormality".to_vec());
    for paths in [&crossed, &kept, &vec![packets]] {
        search(paths, &sentinels);
    }
}

#[test]
fn a_flipped_bit_is_found_and_fetched_again() {
    let federation = Federation::on_loopback();
    let sentinels = send_two_studies(&federation);
    let hub = &federation.hub;
    search(&files(&hub.dir), &sentinels);

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
}
