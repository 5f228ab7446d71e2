//! The golden vectors hold: what this build writes is what `vectors/` says, and what it says opens.
//!
//! After a change of format that is meant (a new version in `SPEC.md`), write them anew:
//! `RADMESH_WRITE_VECTORS=1 cargo test -p radmesh-protocol --test vectors`, and look at the difference.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;

use golden::World;
use radmesh_protocol::{
    id::{FederationId, unhex},
    limits::CHUNK_BYTES,
    log::{Event, body::Body},
    parcel::{
        contents::Contents,
        manifest::Manifest,
        open::{Vouched, Witness},
    },
    report::{REPORT_TAG, Report, ReportText, Status},
    roster::Roster,
    wire,
};
use serde_json::Value;

const FILES: [(&str, &str); 4] = [
    ("parcel.json", include_str!("vectors/parcel.json")),
    ("event.json", include_str!("vectors/event.json")),
    ("roster.json", include_str!("vectors/roster.json")),
    ("report.json", include_str!("vectors/report.json")),
];

fn vector(name: &str) -> Value {
    let (_, text) = FILES.iter().find(|(file, _)| *file == name).unwrap();
    serde_json::from_str(text).unwrap()
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    unhex(vector[field].as_str().unwrap()).unwrap()
}

fn federation(vector: &Value) -> FederationId {
    vector["federation"].as_str().unwrap().parse().unwrap()
}

#[test]
fn this_build_writes_the_vectors_to_the_byte() {
    for (name, made) in World::new().vectors() {
        if std::env::var_os("RADMESH_WRITE_VECTORS").is_some() {
            let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        } else {
            assert_eq!(vector(name), made, "{name}: the format has changed");
        }
    }
}

#[test]
fn parcel_of_the_vector_opens_to_its_contents() {
    let (vector, world) = (vector("parcel.json"), World::new());
    let manifest = Manifest::parse(&bytes(&vector, "manifest")).unwrap();
    let file = bytes(&vector, "file");
    let chunks: Vec<&[u8]> = file.chunks(CHUNK_BYTES as usize).collect();
    let vouched = Vouched::by(&world.roster, &manifest, Witness::None).unwrap();
    for key in [&world.pool, &world.recovery] {
        let key = vouched.unwrap_key(key).unwrap();
        let packed = vouched.open(&key, &mut |index| chunks.get(index as usize).map(|chunk| chunk.to_vec())).unwrap();
        let contents = Contents::parse(&packed).unwrap();
        let [group] = contents.groups.as_slice() else { panic!("one group") };
        assert_eq!(group.instances[0].content, radmesh_protocol::id::Hash::of(&group.coded));
    }
    assert!(vouched.unwrap_key(&world.spoke_reading).is_err(), "the spoke opens nothing it sent");
}

#[test]
fn roster_of_the_vector_says_who_is_a_member() {
    let vector = vector("roster.json");
    let roster = Roster::from_file(&bytes(&vector, "file")).unwrap();
    assert_eq!(roster.federation(), federation(&vector));
    let lost = roster.members().find(|member| member.name == "Lost").unwrap();
    assert!(!lost.standing.holds());
}

#[test]
fn order_of_the_vector_opens_for_pool_and_recovery_only() {
    let (vector, world) = (vector("event.json"), World::new());
    let event = Event::parse(&bytes(&vector, "event")).unwrap();
    assert_eq!(event.verify(&federation(&vector)), Ok(()));
    let Body::Order(order) = event.body().unwrap().unwrap() else { panic!("an order") };
    for key in [&world.pool, &world.recovery] {
        assert_eq!(**order.sealed.open(key, &federation(&vector)).unwrap(), bytes(&vector, "plaintext"));
    }
    assert!(order.sealed.open(&world.spoke_reading, &federation(&vector)).is_err());
}

#[test]
fn report_of_the_vector_is_the_radiologists_and_opens_at_the_clinic() {
    let (vector, world) = (vector("report.json"), World::new());
    let event = Event::parse(&bytes(&vector, "event")).unwrap();
    assert_eq!(event.verify(&federation(&vector)), Ok(()));
    let Body::Report(statement) = event.body().unwrap().unwrap() else { panic!("a report") };
    assert_eq!((statement.tag(), statement.verify(&federation(&vector))), (REPORT_TAG, Ok(())));
    assert_eq!(statement.person(), world.reader.person_id());
    let report: Report = wire::decode("report", statement.body(), 64 * 1024).unwrap();
    assert_eq!(report.status, Status::Final);
    let plain = report.sealed.open(&world.spoke_reading, &federation(&vector)).unwrap();
    assert_eq!(ReportText::parse(&plain).unwrap().text.reveal(), vector["text"].as_str().unwrap());
}
