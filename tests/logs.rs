//! No log says who a patient is.
//!
//! A log goes where the patient's consent does not: to whoever looks after the machine, into a ticket, onto a
//! stick. Real nodes at `RUST_LOG=trace`, with every library at its most talkative, walk the whole path of every
//! fixture: in by C-STORE and by file, packed, carried, opened, listed, claimed, exported, reported, printed. Then
//! nothing that identifies a patient may stand in any log, as text or as a list of byte values. What the fixtures
//! say is read by dicom-object, which shares no code with the scanner that the nodes use.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use dicom_object::{DefaultDicomObject, InMemDicomObject, OpenFileOptions, file::ReadPreamble};
use radmesh_codec::scan::{Form, scan};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use world::{NodePlace, World, files, radmesh, run, until};

/// Value representations (PS3.5 section 6.2) that can say who somebody is, and when and where they were examined.
const IDENTIFYING: &[&str] = &["PN", "UI", "LO", "SH", "LT", "ST", "UT", "UC", "DA", "DT"];
/// Characters below which a value is no more than a word of any log.
const CHARS_MIN: usize = 4;
/// UIDs that the standard itself gave out (PS3.6): SOP classes and transfer syntaxes, the same for everybody.
const STANDARD_UID: &str = "1.2.840.10008.";

const INDICATION: &str = "fell from a mango tree near Linthipe, can't bear weight";
const FINDINGS: &str = "Undisplaced fracture of the left calcaneus.";
const FILE_NAME: &str = "CHISALE_GRACE_born_1987.dcm";
const PASSPHRASE: &str = "correct horse battery staple";

fn fixtures() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    files(&data).into_iter().filter(|path| path.extension().is_some_and(|e| e == "dcm")).collect()
}

/// Every value of the data set that could identify a patient, sequences included, with the file it is from.
fn collect(object: &InMemDicomObject, file: &str, into: &mut BTreeMap<String, String>) {
    for element in object {
        if let Some(items) = element.items() {
            items.iter().for_each(|item| collect(item, file, into));
        }
        let (Ok(text), vr) = (element.to_str(), element.vr()) else { continue };
        if !IDENTIFYING.contains(&vr.to_string()) {
            continue;
        }
        // A name is one with its carets and one of its parts (PS3.5 section 6.2.1).
        let parts = text.split(['\\', '^', '=', '\n', '\r']);
        for value in std::iter::once(&*text).chain(parts).map(|value| value.trim_matches([' ', '\0'])) {
            if value.chars().count() >= CHARS_MIN && !value.starts_with(STANDARD_UID) {
                into.insert(value.to_owned(), format!("{vr} of {file}"));
            }
        }
    }
}

/// What no log may hold, with where it comes from.
fn identifying(of: &[PathBuf]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for path in of {
        let file = path.file_name().unwrap().to_str().unwrap();
        let read = OpenFileOptions::new().read_preamble(ReadPreamble::Auto).open_file(path);
        if let Ok(object) = read.map(DefaultDicomObject::into_inner) {
            collect(&object, file, &mut found);
        }
        // Files that are no file for dicom-object (without meta, cut off) have at least their UIDs.
        if let Ok(facts) = scan(fs::read(path).unwrap().as_slice(), Form::File) {
            for uid in [facts.study.as_str(), facts.sop_instance.as_str()] {
                found.insert(uid.to_owned(), format!("UI of {file}"));
            }
        }
    }
    for planted in [INDICATION, FINDINGS, FILE_NAME, PASSPHRASE] {
        found.insert(planted.to_owned(), "this test".to_owned());
    }
    found
}

/// Hub, relay and spoke after a whole journey, stopped; and what the clinic could print.
fn journey(world: &World, sent: &Path) -> [NodePlace; 3] {
    let (hub, relay) = (world.init("hub", "hub", &[]), world.init("relay", "relay", &[]));
    let spoke = world.init("spoke", "spoke", &[]);
    world.admit("hub", &["--key-maker"]);
    world.admit("relay", &[]);
    world.admit("spoke", &["--home-hub", "hub", "--via", "relay"]);
    world.person("banda");
    let places = [hub, relay, spoke];
    let running = places.each_ref().map(|place| {
        world.join(place);
        world.start_at_level(place, "trace")
    });
    let [hub, _, spoke] = &places;
    world.unlock(hub);
    let (at_hub, at_spoke) = (hub.dir.to_str().unwrap(), spoke.dir.to_str().unwrap());
    let (person, pass) = (world.text("banda"), world.text("passphrase"));

    // By C-STORE, from a stranger and from a modality; then everything as files, with an order.
    let port = spoke.dicom_port.to_string();
    radmesh(&["modality", "accept", "--dir", at_spoke, "MODALITY", "--address", "127.0.0.1"]);
    for calling in ["STRANGER", "MODALITY"] {
        let ct = sent.join("CT_small.dcm");
        let args = ["-aet", calling, "-aec", "RADMESH", "127.0.0.1", &port];
        assert!(Command::new("storescu").args(args).arg(ct).status().unwrap().success());
    }
    run(&["send", "--dir", at_spoke, sent.to_str().unwrap(), "--priority", "stat", "--indication", INDICATION]);
    let cases = until("every Study is delivered and opened", || {
        let (studies, worklist) = (spoke.json(&["studies"]), hub.json(&["worklist"]));
        let (studies, worklist) = (studies.as_array().unwrap(), worklist.as_array().unwrap().clone());
        let delivered = studies.iter().all(|row| row["delivered"] == true);
        let opened = |row: &Value| row["ready_to_read"] == true && row["indication"] == INDICATION;
        let opened = worklist.len() == studies.len() && worklist.iter().all(opened);
        (delivered && opened).then_some(worklist)
    });

    // The findings are written for one case; every case is opened.
    let text = world.text("report.txt");
    fs::write(&text, FINDINGS).unwrap();
    for (number, row) in cases.iter().enumerate() {
        let case = row["case"].as_str().unwrap();
        radmesh(&["claim", "--dir", at_hub, case, "--as", &person, "--passphrase-file", &pass]);
        radmesh(&["export", "--dir", at_hub, case, "--to", &world.text(&format!("out/{number}"))]);
    }
    let case = cases[0]["case"].as_str().unwrap();
    let with = ["--as", &person, "--passphrase-file", &pass, "--text-file", &text, "--status", "final"];
    radmesh(&[&["report", "--dir", at_hub, case], &with[..]].concat());
    until("the report is at the clinic", || {
        let rows = spoke.json(&["reports"]);
        rows.as_array().unwrap().iter().any(|row| row["text"] == FINDINGS).then_some(())
    });
    radmesh(&["reports", "--dir", at_spoke, "--pdf", case, "--to", &world.text("report.pdf")]);
    places.iter().for_each(|place| drop(place.json(&["verify"])));
    drop(running);
    places
}

/// The values of `forbidden` that stand in `log` as words of their own: hexadecimal ids hold any eight digits by chance.
fn told<'a>(log: &[u8], forbidden: &'a BTreeMap<String, String>) -> BTreeSet<&'a str> {
    let as_bytes = |value: &str| value.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let written: Vec<(&str, String)> = forbidden
        .keys()
        .flat_map(|value| [value.clone(), value.escape_debug().to_string(), as_bytes(value)].map(|w| (&**value, w)))
        .collect();
    let search = aho_corasick::AhoCorasick::new(written.iter().map(|(_, written)| written)).unwrap();
    let part_of_a_word = |at: Option<usize>| at.and_then(|at| log.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    search
        .find_overlapping_iter(log)
        .filter(|found| !part_of_a_word(found.start().checked_sub(1)) && !part_of_a_word(Some(found.end())))
        .map(|found| written[found.pattern().as_usize()].0)
        .collect()
}

#[test]
fn no_log_says_who_a_patient_is() {
    let world = World::new();
    let sent = world.path("sent");
    fs::create_dir(&sent).unwrap();
    let fixtures = fixtures();
    for path in &fixtures {
        fs::copy(path, sent.join(path.file_name().unwrap())).unwrap();
    }
    fs::copy(sent.join("chrGreek.dcm"), sent.join(FILE_NAME)).unwrap();
    let forbidden = identifying(&fixtures);
    assert!(forbidden.len() > 300, "{} values are few for {} files", forbidden.len(), fixtures.len());

    let places = journey(&world, &sent);
    let mut leaks = Vec::new();
    for place in places {
        let log = fs::read(place.log()).unwrap();
        let lines = log.split(|byte| *byte == b'\n').count();
        assert!(lines > 1_000, "{} said {lines} lines: this is no trace", place.name);
        leaks.extend(
            told(&log, &forbidden).into_iter().map(|value| format!("{}: {value:?}, {}", place.name, forbidden[value])),
        );
    }
    assert!(leaks.is_empty(), "in the logs:\n{}", leaks.join("\n"));
}

#[test]
fn a_name_is_found_as_text_and_as_bytes_and_not_inside_a_longer_word() {
    let forbidden = BTreeMap::from([("Grace".to_owned(), String::new())]);
    for log in ["name=\"Grace\"", "name=Chisale^Grace", "[71, 114, 97, 99, 101]", "[10, 71, 114, 97, 99, 101, 32]"] {
        assert_eq!(told(log.as_bytes(), &forbidden).len(), 1, "{log}");
    }
    assert!(told(b"case 04Grace17", &forbidden).is_empty());
}
