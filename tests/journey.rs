//! A Study's whole journey through real processes, as an installer and a radiologist would walk it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_protocol::id::Hash;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use world::{NodePlace, RADMESH, Running, World, files, radmesh, run, until};

/// A spoke that reaches only a relay, the relay, and the hub, all admitted and running; the hub is unlocked.
struct Federation {
    world: World,
    spoke: NodePlace,
    hub: NodePlace,
    running: Vec<Running>,
}

fn federation() -> Federation {
    let world = World::new();
    let hub = world.init("hub", "hub", &[]);
    let relay = world.init("relay", "relay", &[]);
    let spoke = world.init("spoke", "spoke", &[]);
    world.admit("hub", &["--key-maker"]);
    world.admit("relay", &[]);
    world.admit("spoke", &["--home-hub", "hub", "--via", "relay"]);
    world.person("banda");
    let running = [&hub, &relay, &spoke].map(|place| {
        world.join(place);
        world.start(place)
    });
    world.unlock(&hub);
    Federation { world, spoke, hub, running: running.into() }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn hashes(dir: &Path) -> BTreeSet<Hash> {
    files(dir).iter().map(|path| Hash::of(&fs::read(path).unwrap())).collect()
}

impl Federation {
    fn dir(place: &NodePlace) -> &str {
        place.dir.to_str().unwrap()
    }

    fn delivered(&self, cases: usize) {
        until(&format!("{cases} cases delivered"), || {
            let rows = self.spoke.json(&["studies"]);
            let rows = rows.as_array().unwrap();
            (rows.len() == cases && rows.iter().all(|row| row["delivered"] == true)).then_some(())
        });
    }

    fn claim_and_export(&self, case: &str, to: &str, form: &[&str]) -> PathBuf {
        let (person, pass) = (self.world.text("banda"), self.world.text("passphrase"));
        let hub = Self::dir(&self.hub);
        radmesh(&["claim", "--dir", hub, case, "--as", &person, "--passphrase-file", &pass]);
        let to = self.world.path(to);
        let mut args = vec!["export", "--dir", hub, case, "--to", to.to_str().unwrap()];
        args.extend(form);
        radmesh(&args);
        to
    }

    fn cases(&self) -> Vec<String> {
        let rows = self.hub.json(&["worklist"]);
        rows.as_array().unwrap().iter().map(|row| row["case"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn every_file_handed_in_is_exported_verbatim_and_what_can_not_be_taken_is_refused_by_name() {
    let federation = federation();
    let sent = federation.world.path("sent");
    fs::create_dir(&sent).unwrap();
    for path in files(&fixtures()).iter().filter(|path| path.extension().is_some_and(|e| e == "dcm")) {
        fs::copy(path, sent.join(path.file_name().unwrap())).unwrap();
    }
    fs::write(sent.join("letter.dcm"), "Dear colleague, no image here").unwrap();
    let spoke = Federation::dir(&federation.spoke);
    let done = run(&["send", "--dir", spoke, sent.to_str().unwrap()]);
    assert!(done.status.success());
    let said = String::from_utf8(done.stderr).unwrap();
    let refused: BTreeSet<PathBuf> =
        said.lines().filter_map(|line| Some(line.strip_prefix("refused ")?.split(": ").next()?.into())).collect();
    assert!(refused.contains(&sent.join("letter.dcm")), "{said}");
    let taken: BTreeSet<Hash> = files(&sent)
        .iter()
        .filter(|path| !refused.contains(*path))
        .map(|path| Hash::of(&fs::read(path).unwrap()))
        .collect();
    assert!(taken.len() > 20);

    let cases = federation.spoke.json(&["studies"]).as_array().unwrap().len();
    federation.delivered(cases);
    until("the hub has opened everything", || {
        let rows = federation.hub.json(&["worklist"]);
        let rows = rows.as_array().unwrap();
        (rows.len() == cases && rows.iter().all(|row| row["ready_to_read"] == true)).then_some(())
    });
    let mut exported = BTreeSet::new();
    for (number, case) in federation.cases().iter().enumerate() {
        exported.extend(hashes(&federation.claim_and_export(case, &format!("out/{number}"), &["--verbatim"])));
    }
    assert_eq!(exported, taken);
    drop(federation.running);
}

#[test]
fn a_modality_sends_a_reader_signs_and_a_nurse_prints() {
    let federation = federation();
    let port = federation.spoke.dicom_port.to_string();
    let dcmtk = |tool: &str, args: &[&str], paths: &[PathBuf]| {
        let done = Command::new(tool).args(args).args(["127.0.0.1", &port]).args(paths).output().unwrap();
        assert!(done.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    dcmtk("echoscu", &["-aet", "STRANGER", "-aec", "RADMESH"], &[]);

    // A stranger's image waits in quarantine and goes nowhere; the same machine, accepted, goes on.
    let ct = fixtures().join("pydicom/CT_small.dcm");
    dcmtk("storescu", &["-aet", "STRANGER", "-aec", "RADMESH"], std::slice::from_ref(&ct));
    assert_eq!(federation.spoke.json(&["studies"]), serde_json::json!([]));
    let waiting = federation.spoke.json(&["modality", "list"]);
    assert!(waiting.as_array().unwrap().iter().any(|row| row["ae_title"] == "STRANGER"), "{waiting}");

    let spoke = Federation::dir(&federation.spoke);
    radmesh(&["modality", "accept", "--dir", spoke, "MODALITY", "--address", "127.0.0.1"]);
    let from = ["-aet", "MODALITY", "-aec", "RADMESH"];
    let data = |name: &str| fixtures().join(name);
    dcmtk("storescu", &[&from[..], &["-xe"]].concat(), &[ct]);
    dcmtk("storescu", &[&from[..], &["-xi"]].concat(), &[data("pydicom/MR_small_implicit.dcm")]);
    dcmtk("storescu", &[&from[..], &["-xr"]].concat(), &[data("pydicom-data/OBXXXX1A_rle_2frame.dcm")]);
    dcmtk("storescu", &[&from[..], &["-xv"]].concat(), &[data("pydicom-data/MR2_J2KR.dcm")]);
    dcmtk("storescu", &[&from[..], &["-xs"]].concat(), &[data("pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm")]);
    dcmtk("dcmsend", &from, &[data("pydicom-data/gdcm-US-ALOKA-16_big.dcm"), data("pydicom/MR_small_bigendian.dcm")]);

    let cases = until("the Studies are closed", || {
        let rows = federation.spoke.json(&["studies"]);
        let rows = rows.as_array().unwrap();
        let instances: u64 = rows.iter().map(|row| row["instances"].as_u64().unwrap()).sum();
        (instances >= 6 && rows.iter().all(|row| row["closed"] == true)).then_some(rows.len())
    });
    federation.delivered(cases);
    let case = until("a case is ready to read", || {
        let rows = federation.hub.json(&["worklist"]);
        let row = rows.as_array().unwrap().iter().find(|row| row["ready_to_read"] == true)?;
        Some(row["case"].as_str().unwrap().to_owned())
    });
    let out = federation.claim_and_export(&case, "read", &[]);
    assert!(files(&out).iter().all(|path| fs::read(path).unwrap()[128..132] == *b"DICM"));

    let (person, pass, text) =
        (federation.world.text("banda"), federation.world.text("passphrase"), federation.world.text("report.txt"));
    fs::write(&text, "Fracture of the distal radius.\nSplint, and refer.\n").unwrap();
    let hub = Federation::dir(&federation.hub);
    let sign = |status: &str| {
        run(&[
            "report",
            "--dir",
            hub,
            &case,
            "--as",
            &person,
            "--status",
            status,
            "--text-file",
            &text,
            "--passphrase-file",
            &pass,
        ])
    };
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
    radmesh(&["reports", "--dir", spoke, "--pdf", &case, "--to", &pdf]);
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
    assert!(Path::new(RADMESH).exists());
}
