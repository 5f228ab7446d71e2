//! The home hub and its disk are lost in the middle of the day: the standby takes its place by the ministry's word.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use serde_json::Value;
use std::fs;
use world::{NodePlace, World, fixtures, hashes, radmesh, run, until};

fn text(place: &NodePlace) -> &str {
    place.dir.to_str().unwrap()
}

fn row(hub: &NodePlace, case: &str) -> Option<Value> {
    hub.json(&["worklist"]).as_array()?.iter().find(|row| row["case"] == case).cloned()
}

/// Sends a file and gives its case.
fn send(spoke: &NodePlace, file: &str) -> String {
    let before: Vec<Value> = spoke.json(&["studies"]).as_array().unwrap().clone();
    radmesh(&["send", "--dir", text(spoke), fixtures().join(file).to_str().unwrap()]);
    until("the clinic lists the new Study", || {
        let rows = spoke.json(&["studies"]);
        let known = |row: &&Value| before.iter().all(|other| other["case"] != row["case"]);
        Some(rows.as_array()?.iter().find(known)?["case"].as_str()?.to_owned())
    })
}

#[test]
fn a_standby_hub_goes_on_with_what_is_safe_and_asks_the_clinic_for_the_rest() {
    let world = World::new();
    let (home, standby) = (world.init("home", "hub", &[]), world.init("standby", "hub", &[]));
    let spoke = world.init("spoke", "spoke", &[]);
    world.admit("home", &["--key-maker"]);
    world.admit("standby", &[]);
    world.admit("spoke", &["--home-hub", "home", "--standby-hub", "standby"]);
    world.person("banda");
    [&home, &standby, &spoke].into_iter().for_each(|place| world.join(place));
    let home_runs = world.start(&home);
    let standby_runs = world.start(&standby);
    let _spoke = world.start(&spoke);
    world.unlock(&home);
    world.unlock(&standby);

    let safe = send(&spoke, "pydicom/CT_small.dcm");
    until("two hubs have signed for the first Study", || (row(&home, &safe)?["safe"] == true).then_some(()));
    let reader = |hub: &NodePlace, command: &str, case: &str, more: &[&str]| {
        let (person, pass) = (world.text("banda"), world.text("passphrase"));
        let mut args = vec![command, "--dir", text(hub), case, "--as", &person, "--passphrase-file", &pass];
        args.extend(more);
        run(&args)
    };
    assert!(reader(&home, "claim", &safe, &[]).status.success());

    // A second Study reaches the home hub alone, which then burns down.
    standby_runs.kill();
    let delivered = send(&spoke, "pydicom/MR_small_implicit.dcm");
    until("the home hub has signed for the second", || (row(&home, &delivered)?["delivered"] == true).then_some(()));
    home_runs.kill();
    fs::remove_dir_all(&home.dir).unwrap();

    let (fed, pass) = (world.text("fed"), world.text("passphrase"));
    let refused = run(&["federation", "activate-standby", "--dir", &fed, "home", "--passphrase-file", &pass]);
    assert_eq!(refused.status.code(), Some(1), "it stands by for nobody");
    let said = radmesh(&["federation", "activate-standby", "--dir", &fed, "standby", "--passphrase-file", &pass]);
    assert!(said.contains("is the home hub of 1 spoke: \"spoke\""), "{said}");
    let _standby = world.start(&standby);
    world.unlock(&standby);
    [&standby, &spoke].into_iter().for_each(|place| world.join(place));

    until("what was only delivered has come from the clinic", || {
        (row(&standby, &delivered)?["delivered"] == true).then_some(())
    });
    for (case, file) in [(&safe, "pydicom/CT_small.dcm"), (&delivered, "pydicom/MR_small_implicit.dcm")] {
        let granted = reader(&standby, "claim", case, &["--json"]);
        let granted: Value = serde_json::from_slice(&granted.stdout).unwrap();
        assert_eq!(granted["outcome"], "granted", "{granted}");
        let to = world.path(&format!("out-{case}"));
        let export = ["export", "--dir", text(&standby), case, "--to", to.to_str().unwrap(), "--verbatim"];
        radmesh(&export);
        assert!(hashes(&to).contains(&radmesh_protocol::id::Hash::of(&fs::read(fixtures().join(file)).unwrap())));
        let words = world.path("words.txt");
        fs::write(&words, "No fracture.").unwrap();
        let signed = reader(&standby, "report", case, &["--status", "final", "--text-file", words.to_str().unwrap()]);
        assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
        until("the report is back at the clinic", || {
            let reports = spoke.json(&["reports"]);
            reports.as_array()?.iter().any(|report| report["case"] == **case).then_some(())
        });
    }
}
