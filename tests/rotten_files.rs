//! Bits turn over on the disks of running nodes: nothing wrong is shown or given out, what is damaged is said, and it
//! comes again from whoever holds it.
//!
//! A card that rots tells nobody. An image with one wrong bit can hide a fracture, so what does not have its hash is
//! not shown at all; and a journal with one wrong bit is not believed from there on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_protocol::id::Hash;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use world::{NodePlace, RADMESH, World, copies, files, radmesh, run, until};

const SENT: [&str; 3] =
    ["pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm", "pydicom-data/RG1_J2KI.dcm", "pydicom/CT_small.dcm"];
/// Places of the journal that are tried while the node runs.
const JOURNAL_FLIPS: u64 = 12;

/// A spoke and its home hub that have one Study of each file, claimed by a reader.
struct Pair<'w> {
    world: &'w World,
    spoke: NodePlace,
    hub: NodePlace,
    sent: BTreeSet<Hash>,
    cases: Vec<String>,
}

impl<'w> Pair<'w> {
    fn new(world: &'w World) -> (Self, [world::Running; 2]) {
        let (hub, spoke) = (world.init("hub", "hub", &[]), world.init("spoke", "spoke", &[]));
        world.admit("hub", &["--key-maker"]);
        world.admit("spoke", &["--home-hub", "hub"]);
        world.person("banda");
        [&hub, &spoke].into_iter().for_each(|place| world.join(place));
        let running = [world.start(&hub), world.start(&spoke)];
        world.unlock(&hub);
        let folder = world.path("sent");
        fs::create_dir(&folder).unwrap();
        let write = |(number, name): (usize, &&str)| {
            let bytes = copies::renewed(name, number, number);
            fs::write(folder.join(number.to_string()), &bytes).unwrap();
            Hash::of(&bytes)
        };
        let sent: BTreeSet<Hash> = SENT.iter().enumerate().map(write).collect();
        radmesh(&["send", "--dir", spoke.text(), folder.to_str().unwrap()]);
        let rows = until("every Study is ready to read", || {
            let rows = hub.json(&["worklist"]).as_array().unwrap().clone();
            let ready = |row: &Value| row["ready_to_read"] == true && row["delivered"] == true;
            (rows.len() == SENT.len() && rows.iter().all(ready)).then_some(rows)
        });
        let cases: Vec<String> = rows.iter().map(|row| row["case"].as_str().unwrap().to_owned()).collect();
        let (person, pass) = (world.text("banda"), world.text("passphrase"));
        for case in &cases {
            radmesh(&["claim", "--dir", hub.text(), case, "--as", &person, "--passphrase-file", &pass]);
        }
        (Self { world, spoke, hub, sent, cases }, running)
    }

    /// What the hub gives out of all cases; whatever it writes was sent so, also when it can't go on.
    fn given(&self) -> BTreeSet<Hash> {
        let to = self.world.path("export");
        for (number, case) in self.cases.iter().enumerate() {
            let to = to.join(number.to_string());
            run(&["export", "--dir", self.hub.text(), case, "--to", to.to_str().unwrap(), "--verbatim"]);
        }
        let given = world::hashes(&to);
        fs::remove_dir_all(&to).unwrap();
        assert!(given.is_subset(&self.sent), "what is given out was sent so");
        given
    }

    /// What people are shown; how much of it the next hop has said it holds counts from each start.
    fn shown(&self) -> Vec<Value> {
        let mut studies = self.spoke.json(&["studies"]);
        for row in studies.as_array_mut().unwrap() {
            row.as_object_mut().unwrap().remove("delivered_bytes");
        }
        vec![studies, self.spoke.json(&["reports"]), self.hub.json(&["worklist"])]
    }
}

/// What a check of every byte finds, whatever is left for a person to do.
fn verified(place: &NodePlace) -> Value {
    serde_json::from_slice(&run(&["verify", "--dir", place.text(), "--json"]).stdout).unwrap()
}

/// Turns over one bit of a byte in the file, and says what the byte was.
fn turn_over(path: &Path, at: u64) -> u8 {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << (at % 8)], at).unwrap();
    file.sync_all().unwrap();
    byte[0]
}

/// A different number below `below` in each run.
fn any(below: u64) -> u64 {
    world::moment(Duration::from_nanos(below - 1)).as_nanos() as u64
}

fn read_all(paths: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
    paths.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_bit_that_turns_over_in_every_parcel_is_never_shown_and_comes_again_from_the_other_node() {
    let world = World::new();
    let (pair, _running) = Pair::new(&world);
    let shown = pair.shown();
    for victim in [&pair.hub, &pair.spoke] {
        let parcels = files(&victim.dir.join("parcels"));
        let whole = read_all(&parcels);
        let rot = |paths: &[PathBuf]| {
            for path in paths {
                let at = any(fs::metadata(path).unwrap().len());
                turn_over(path, at);
                println!("{}: byte {at} of {}", victim.name, path.file_name().unwrap().display());
            }
        };
        let comes_again = || {
            until("every byte is what it was", || {
                let sound = verified(victim)["damaged"].as_array().unwrap().is_empty();
                (sound && read_all(&parcels) == whole).then_some(())
            });
            until("every Instance is given out", || (pair.given() == pair.sent).then_some(()));
            assert_eq!(pair.shown(), shown);
        };
        rot(&parcels);
        let found = verified(victim);
        assert_eq!(found["damaged"].as_array().unwrap().len(), parcels.len(), "each is said: {found}");
        assert_eq!(found["journal_damage"], Value::Null);
        comes_again();
        rot(&parcels);
        let said = radmesh(&["verify", "--dir", victim.text(), "--repair"]);
        let mended = said.lines().filter(|line| line.starts_with("damaged: parcel ") && line.ends_with("; mended"));
        assert_eq!(mended.count(), parcels.len(), "{said}");
        assert_eq!(read_all(&parcels), whole, "--repair waits");
        // Before anybody has looked for damage; and what a hub keeps opened for readers rots too.
        rot(&parcels);
        rot(&files(&victim.dir.join("staging")));
        println!("{} of {} Instances are given out", pair.given().len(), pair.sent.len());
        comes_again();
    }
}

#[test]
fn a_bit_that_turns_over_in_the_journal_is_said_and_a_node_does_not_start_on_it() {
    let world = World::new();
    let (pair, [hub, spoke]) = Pair::new(&world);
    let shown = pair.shown();
    let victims = [(&pair.hub, hub), (&pair.spoke, spoke)];
    let segments = victims.each_ref().map(|(victim, _)| files(&victim.dir.join("journal")).remove(0));
    let written = segments.each_ref().map(|path| {
        let bytes = fs::read(path).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1
    });
    for ((victim, _), (segment, written)) in victims.iter().zip(segments.iter().zip(written)) {
        for _ in 0..JOURNAL_FLIPS {
            let at = any(written);
            turn_over(segment, at);
            let found = verified(victim);
            println!("{}: byte {at} of the journal: {}", victim.name, found["journal_damage"]);
            assert!(found["journal_damage"].as_str().unwrap().contains("is damaged at byte"), "{found}");
            assert_eq!(pair.shown(), shown);
            assert_eq!(pair.given(), pair.sent);
            turn_over(segment, at);
        }
        assert_eq!(verified(victim)["journal_damage"], Value::Null);
    }
    let mut started_again = Vec::new();
    for ((victim, running), (segment, written)) in victims.into_iter().zip(segments.iter().zip(written)) {
        running.kill();
        let at = any(written);
        turn_over(segment, at);
        let before = fs::read(segment).unwrap();
        // One that starts all the same is ended.
        let refused = Command::new("timeout").args(["60", RADMESH, "run", "--dir", victim.text()]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("is damaged at byte") && said.contains("nothing was changed"), "byte {at}: {said}");
        assert_eq!((refused.status.code(), fs::read(segment).unwrap()), (Some(255), before), "byte {at}");
        turn_over(segment, at);
        started_again.push(world.start(victim));
    }
    world.unlock(&pair.hub);
    until("every list is what it was", || (pair.shown() == shown).then_some(()));
    assert_eq!(pair.given(), pair.sent);
}
