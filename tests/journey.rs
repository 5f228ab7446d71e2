//! A Study's whole journey through real processes, as an installer and a radiologist would walk it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use serde_json::Value;
use std::{fs, process::Command};
use world::{World, federation::Federation, fixtures, radmesh, run, until};

#[test]
fn a_clinic_sends_a_reader_signs_and_a_nurse_prints() {
    let federation = Federation::on_loopback();
    let film = fixtures().join("pydicom-data/RG1_J2KI.dcm");
    radmesh(&["send", "--dir", federation.spoke.text(), film.to_str().unwrap(), "--follow"]);
    let case = federation.ready(1).remove(0);
    federation.claim(&case);

    let text = federation.world.path("report.txt");
    fs::write(&text, "Fracture of the distal radius.\nSplint, and refer.\n").unwrap();
    let sign = |status| federation.sign(&case, status, &text);
    assert!(!sign("addendum").status.success(), "an addendum before any report");
    assert!(sign("preliminary").status.success());
    assert!(sign("final").status.success());
    assert!(!sign("preliminary").status.success(), "a preliminary after the final");

    until("the final report is at the clinic", || {
        let rows = federation.spoke.json(&["reports"]);
        let finals =
            rows.as_array().unwrap().iter().filter(|row| row["status"] == "final" && row["place"] == "standing");
        (finals.count() == 1).then_some(())
    });
    let pdf = federation.world.text("report.pdf");
    radmesh(&["reports", "--dir", federation.spoke.text(), "--pdf", &case, "--to", &pdf]);
    let printed = Command::new("pdftotext").args([&pdf, "-"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("Fracture of the distal radius") && printed.contains("FINAL"), "{printed}");
}

#[test]
fn a_command_without_a_running_node_says_how_to_start_it() {
    let world = World::new();
    let spoke = world.init("spoke", "spoke", &[]);
    let done = run(&["studies", "--dir", spoke.dir.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("radmesh run --dir"), "{said}");
}

#[test]
fn a_reader_who_claims_her_own_case_again_has_renewed_it() {
    let federation = Federation::on_loopback();
    let film = fixtures().join("pydicom-data/RG1_J2KI.dcm");
    radmesh(&["send", "--dir", federation.spoke.text(), film.to_str().unwrap(), "--follow"]);
    let case = federation.ready(1).remove(0);
    let (person, pass) = (federation.world.text("banda"), federation.world.text("passphrase"));
    let claim = |form: &[&str]| {
        let hub = federation.hub.text();
        let done = run(&[&["claim", "--dir", hub, &case, "--as", &person, "--passphrase-file", &pass], form].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let counter = |said: &str| serde_json::from_str::<Value>(said).unwrap()["counter"].as_u64().unwrap();
    let first = counter(&claim(&["--json"]));
    let said = claim(&[]);
    assert!(said.contains("you hold it; renewed for 60 min"), "{said}");
    assert_eq!(counter(&claim(&["--json"])), first + 2, "each renewal raises the fencing token");
}
