//! Every `--json` list has exactly the keys that its page promises.
//!
//! A ministry's own programs count on these keys for years, and none of them tells anyone when a key is gone. So the
//! page is read here: a key that no node ever prints, and a key that no page names, both fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use serde_json::Value;
use std::{collections::BTreeSet, fs, os::unix::fs::FileExt, path::Path, process::Command};
use world::{NodePlace, World, files, radmesh, run, until};

type Keys = BTreeSet<String>;

/// The keys that docs/operating/lists.md names for a command, as paths: `links[].peer`.
fn promised(command: &str) -> Keys {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating/lists.md")).unwrap();
    let heading = format!("## `radmesh {command} --json`");
    let section = page.split_once(&heading).unwrap_or_else(|| panic!("no section {heading}")).1;
    let rows = section.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split(" | ").next().unwrap().split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The keys of what was printed, as the same paths.
fn printed(value: &Value, path: &str, into: &mut Keys) {
    match value {
        Value::Object(facts) => {
            for (key, fact) in facts {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                printed(fact, &path, into);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let path = if path.is_empty() { String::new() } else { format!("{path}[]") };
            items.iter().for_each(|item| printed(item, &path, into));
        }
        _ => drop(into.insert(path.to_owned())),
    }
}

/// Fails unless the command, as it printed `samples`, has the promised keys and no other.
fn holds(command: &str, samples: &[Value]) {
    let mut keys = Keys::new();
    samples.iter().for_each(|sample| printed(sample, "", &mut keys));
    let promised = promised(command);
    // A list that is empty at one node shows its own path there, and its rows' keys at the other.
    keys.retain(|key| promised.contains(key) || !promised.iter().any(|row| row.starts_with(&format!("{key}[]"))));
    assert_eq!(keys, promised, "radmesh {command} --json (left: printed, right: promised)");
}

/// `claim --json` says its outcome even when it is refused.
fn claim(world: &World, hub: &NodePlace, case: &str, reader: &str) -> Value {
    let (dir, person, pass) = (hub.dir.to_str().unwrap(), world.text(reader), world.text("passphrase"));
    let done = run(&["claim", "--dir", dir, case, "--as", &person, "--passphrase-file", &pass, "--json"]);
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn every_list_has_the_keys_that_its_page_promises() {
    let world = World::new();
    let (hub, spoke) = (world.init("hub", "hub", &[]), world.init("spoke", "spoke", &[]));
    world.admit("hub", &["--key-maker"]);
    world.admit("spoke", &["--home-hub", "hub"]);
    world.person("banda");
    world.person("phiri");
    let [hub_running, spoke_running] = [&hub, &spoke].map(|place| {
        world.join(place);
        world.start(place)
    });
    world.unlock(&hub);
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pydicom/CT_small.dcm");
    let port = spoke.dicom_port.to_string();
    let stranger = ["-aet", "STRANGER", "-aec", "RADMESH", "127.0.0.1", &port];
    assert!(Command::new("storescu").args(stranger).arg(&film).status().unwrap().success());
    radmesh(&["send", "--dir", spoke.dir.to_str().unwrap(), film.to_str().unwrap()]);
    let case = until("the case can be read", || {
        let rows = hub.json(&["worklist"]);
        (rows[0]["ready_to_read"] == true).then(|| rows[0]["case"].as_str().unwrap().to_owned())
    });

    // A home hub that has just started and reaches nobody grants nothing; then the clinic is back.
    spoke_running.kill();
    hub_running.kill();
    let hub_running = world.start(&hub);
    let alone = claim(&world, &hub, &case, "banda");
    let spoke_running = world.start(&spoke);
    world.unlock(&hub);
    until("the claim is granted", || (hub.json(&["worklist"])[0]["claim_is_tentative"] == false).then_some(()));
    let claims = [alone, claim(&world, &hub, &case, "banda"), claim(&world, &hub, &case, "phiri")];
    assert_eq!(claims.each_ref().map(|claim| claim["outcome"].as_str().unwrap()), ["tentative", "granted", "refused"]);
    holds("claim", &claims);

    let (dir, person, pass) = (hub.dir.to_str().unwrap(), world.text("banda"), world.text("passphrase"));
    let with = ["--as", &person, "--status", "final", "--text-file", &pass, "--passphrase-file", &pass];
    radmesh(&[&["report", "--dir", dir, &case], &with[..]].concat());
    let reports = until("the report is back", || {
        let rows = spoke.json(&["reports"]);
        (!rows.as_array().unwrap().is_empty()).then_some(rows)
    });
    holds("reports", &[reports]);
    holds("studies", &[spoke.json(&["studies"])]);
    holds("worklist", &[hub.json(&["worklist"])]);
    holds("modality list", &[spoke.json(&["modality", "list"])]);
    holds("retention", &[spoke.json(&["retention"])]);
    holds("status", &[spoke.json(&["status"]), hub.json(&["status"])]);

    let parcel = files(&hub.dir.join("parcels")).pop().unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(parcel).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 0).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 0).unwrap();
    holds("verify", &[hub.json(&["verify"])]);
    drop((hub_running, spoke_running));
}

#[test]
fn every_command_with_json_has_a_section() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating/commands.md")).unwrap();
    let with_json =
        page.lines().filter_map(|line| line.strip_prefix("radmesh ")).filter(|line| line.contains("[--json]"));
    let mut seen = 0;
    for line in with_json {
        assert!(!promised(line.split(" --").next().unwrap()).is_empty(), "{line}");
        seen += 1;
    }
    assert_eq!(seen, 8);
}
