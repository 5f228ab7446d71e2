//! A clinic and a reading room at work while something breaks: Instances come in, Studies are claimed, exported and
//! reported on, reports come back.
//!
//! What each was promised is written down here, outside of the nodes: it is what must be there afterwards. A promise
//! is what a modality, a technician or a reader was told: C-STORE Success, `send` that succeeded, `delivered` in the
//! clinic's list, a claim granted, a report signed, a report shown at the clinic.

use super::{
    NodePlace, World,
    copies::{renewed, replaced},
    files, radmesh, run, until,
};
use radmesh_codec::scan::{Form, scan};
use radmesh_dimse::{
    AeTitle,
    client::{self, Outcome, Outgoing},
};
use radmesh_protocol::id::Hash;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Output,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Instances of one Study, alternately by C-STORE and by `radmesh send`.
const INSTANCES: usize = 32;
/// A modality whose node is down, and a reader with nothing to read, try again after so long: as people do, and nobody
/// calls them.
const TRIES_AGAIN: Duration = Duration::from_millis(20);

/// A spoke, its home hub, a reader, and what they were promised.
pub(crate) struct Town<'w> {
    pub(crate) world: &'w World,
    pub(crate) spoke: NodePlace,
    pub(crate) hub: NodePlace,
    promised: Mutex<Promised>,
    exports: AtomicUsize,
}

/// What was promised, by Study number, which is also its (0010,0020).
#[derive(Debug, Default)]
pub(crate) struct Promised {
    studies: BTreeMap<usize, Study>,
    /// Words of reports that were shown at the clinic.
    returned: BTreeSet<String>,
}

#[derive(Debug, Default, Clone)]
struct Study {
    /// Every Instance that was sent, acknowledged or not.
    sent: BTreeSet<Hash>,
    stored: BTreeSet<Hash>,
    /// Of these, those that the clinic was shown as delivered, and in how many parcels.
    delivered: BTreeSet<Hash>,
    parcels: u64,
    /// Fencing token of the granted claim.
    claimed: Option<u64>,
    /// Words of the reports that were signed.
    signed: BTreeSet<String>,
}

impl Promised {
    /// Instances stored and delivered, claims granted, reports signed and returned.
    pub(crate) fn counts(&self) -> [usize; 5] {
        let sum = |count: fn(&Study) -> usize| self.studies.values().map(count).sum();
        let claimed = sum(|study| usize::from(study.claimed.is_some()));
        [sum(|s| s.stored.len()), sum(|s| s.delivered.len()), claimed, sum(|s| s.signed.len()), self.returned.len()]
    }
}

impl<'w> Town<'w> {
    /// Both nodes are in the federation and down; `MODALITY` may send. The spoke or the hub may have a disk of its own
    /// at `World::path` of its name.
    pub(crate) fn new(world: &'w World) -> Self {
        let (hub, spoke) = (world.init("hub", "hub", &[]), world.init("spoke", "spoke", &[]));
        world.admit("hub", &["--key-maker"]);
        world.admit("spoke", &["--home-hub", "hub"]);
        world.person("banda");
        [&hub, &spoke].into_iter().for_each(|place| world.join(place));
        let running = world.start(&spoke);
        radmesh(&["modality", "accept", "--dir", spoke.text(), "MODALITY", "--address", "127.0.0.1"]);
        running.kill();
        Self { world, spoke, hub, promised: Mutex::default(), exports: AtomicUsize::new(0) }
    }

    pub(crate) fn promised(&self) -> MutexGuard<'_, Promised> {
        self.promised.lock().unwrap()
    }

    /// Works until `broken` is done. Nodes that are down or locked are tried again; a hub is unlocked.
    pub(crate) fn works_while(&self, broken: impl FnOnce()) {
        struct AtTheEnd<'a>(&'a AtomicBool);
        impl Drop for AtTheEnd<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let _end = AtTheEnd(&over);
            scope.spawn(|| self.clinic(&over));
            scope.spawn(|| self.reading_room(&over));
            broken();
        });
    }

    fn clinic(&self, over: &AtomicBool) {
        for study in self.next_study().. {
            for number in 0..INSTANCES {
                let by_send = number % 2 == 0;
                let (file, data_set) = instance(study, study * INSTANCES + number);
                let hash = Hash::of(&file[if by_send { 0 } else { data_set }..]);
                self.promised().studies.entry(study).or_default().sent.insert(hash);
                while !(if by_send { self.sends(&file) } else { self.stores(&file, data_set) }) {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    thread::sleep(TRIES_AGAIN);
                }
                self.promised().studies.entry(study).or_default().stored.insert(hash);
                if over.load(Ordering::SeqCst) {
                    return;
                }
            }
            self.looks_at_studies();
        }
    }

    fn sends(&self, file: &[u8]) -> bool {
        let path = self.world.path("to-send.dcm");
        fs::write(&path, file).unwrap();
        run(&["send", "--dir", self.spoke.text(), path.to_str().unwrap()]).status.success()
    }

    /// One association for one data set, as it lies in the file.
    fn stores(&self, file: &[u8], data_set: usize) -> bool {
        let found = scan(file, Form::File).unwrap();
        let bytes = file[data_set..].to_vec();
        let outgoing = Outgoing {
            sop_class_uid: found.sop_class.unwrap(),
            sop_instance_uid: found.sop_instance,
            transfer_syntax: found.origin.transfer_syntax,
            open: Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes)))),
        };
        let config = client::Config::new(AeTitle::parse("MODALITY").unwrap(), AeTitle::parse("RADMESH").unwrap());
        let address = ("127.0.0.1", self.spoke.dicom_port);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let batch = runtime.block_on(client::store(address, &config, vec![outgoing]));
        batch.is_ok_and(|batch| matches!(batch.outcomes[..], [Outcome::Answered(status)] if status.is_stored()))
    }

    /// What the list says is delivered is what had been acknowledged before it was asked for.
    fn looks_at_studies(&self) {
        let before = self.promised().studies.clone();
        for row in asked(&self.spoke, "studies").unwrap_or_default() {
            if row["delivered"] == true {
                let number = study_of(&row);
                let mut promised = self.promised();
                let study = promised.studies.get_mut(&number).unwrap();
                study.delivered.extend(&before[&number].stored);
                study.parcels = study.parcels.max(row["parcels"].as_u64().unwrap());
            }
        }
    }

    fn reading_room(&self, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            let Some(rows) = asked(&self.hub, "worklist") else {
                thread::sleep(TRIES_AGAIN);
                continue;
            };
            if rows.iter().any(|row| row["order_is_open"] == false) {
                run(&["unlock", "--dir", self.hub.text(), "--passphrase-file", &self.world.text("passphrase")]);
                continue;
            }
            let unread = |row: &&Value| self.promised().studies[&study_of(row)].signed.is_empty();
            match rows.iter().filter(|row| row["ready_to_read"] == true).find(unread) {
                Some(row) => self.reads(study_of(row), row["case"].as_str().unwrap()),
                None => thread::sleep(TRIES_AGAIN),
            }
            self.looks_at_studies();
            let shown = asked(&self.spoke, "reports").unwrap_or_default();
            self.promised().returned.extend(shown.iter().filter_map(words));
        }
    }

    /// Claims, looks at the images, signs; what fails is done again later.
    fn reads(&self, study: usize, case: &str) {
        if !self.claims(study, case) {
            return;
        }
        if let Some(images) = self.exports(case) {
            let sent = self.promised().studies[&study].sent.clone();
            assert!(images.iter().all(|image| sent.contains(image)), "what is shown was sent so");
        }
        let words = format!("Study {study}: no fracture.");
        let text = self.world.path("words.txt");
        fs::write(&text, &words).unwrap();
        let status = ["--status", "preliminary", "--text-file", text.to_str().unwrap()];
        if self.as_reader("report", case, &status).status.success() {
            self.promised().studies.get_mut(&study).unwrap().signed.insert(words);
        }
    }

    fn claims(&self, study: usize, case: &str) -> bool {
        let done = self.as_reader("claim", case, &["--json"]);
        let granted = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
        if granted["outcome"] != "granted" {
            return false;
        }
        self.promised().studies.get_mut(&study).unwrap().claimed = granted["counter"].as_u64();
        true
    }

    fn as_reader(&self, command: &str, case: &str, more: &[&str]) -> Output {
        let (person, pass) = (self.world.text("banda"), self.world.text("passphrase"));
        let own = [command, "--dir", self.hub.text(), case, "--as", &person, "--passphrase-file", &pass];
        run(&[&own, more].concat())
    }

    /// Hashes of the images as they were received, if all were given out.
    fn exports(&self, case: &str) -> Option<Vec<Hash>> {
        let to = self.world.path(&format!("export-{}", self.exports.fetch_add(1, Ordering::SeqCst)));
        let done = run(&["export", "--dir", self.hub.text(), case, "--to", to.to_str().unwrap(), "--verbatim"]);
        let images: Vec<Hash> = files(&to).iter().map(|path| Hash::of(&fs::read(path).unwrap())).collect();
        fs::remove_dir_all(&to).unwrap();
        done.status.success().then_some(images)
    }

    /// The spoke alone, its hub down: nothing it was trusted with is missing.
    pub(crate) fn the_spoke_has_what_it_promised(&self) {
        let (promised, rows) = (self.promised(), asked(&self.spoke, "studies").unwrap());
        for (number, study) in promised.studies.iter().filter(|(_, study)| !study.stored.is_empty()) {
            let row = rows.iter().find(|row| study_of(row) == *number);
            let row = row.unwrap_or_else(|| panic!("Study {number} was acknowledged and is gone"));
            let (here, stored) = (row["instances"].as_u64().unwrap(), study.stored.len() as u64);
            assert!(here >= stored, "of Study {number} {stored} Instances were acknowledged, {here} are here");
            assert_eq!(row["lost"], 0, "Study {number}");
        }
        let shown: BTreeSet<String> = asked(&self.spoke, "reports").unwrap().iter().filter_map(words).collect();
        let forgotten: Vec<_> = promised.returned.difference(&shown).collect();
        assert!(forgotten.is_empty(), "reports that were shown before: {forgotten:?}");
        nothing_is_damaged(&self.spoke);
    }

    /// The hub alone, the spoke down: every byte it signed for is here and right, and given out to who had claimed it;
    /// what it granted holds, what was signed is there. New claims it answers only once a peer has shown its log, and
    /// it may not have heard yet that a Study is closed, or of a part that came late: such a one is not ready to be read.
    pub(crate) fn the_hub_has_what_it_promised(&self) {
        self.world.unlock(&self.hub);
        let studies = self.promised().studies.clone();
        for (number, study) in studies {
            if study.delivered.is_empty() && study.claimed.is_none() {
                continue;
            }
            let row = until(&format!("the hub alone has opened Study {number}"), || {
                let rows = asked(&self.hub, "worklist")?;
                let row = rows.into_iter().find(|row| study_of(row) == number);
                let row = row.unwrap_or_else(|| panic!("Study {number} was signed for and is gone"));
                (row["ready_to_read"] == true || row["delivered"] == false).then_some(row)
            });
            assert_holds(number, &study, &row);
            assert!(row["parcels"].as_u64() >= Some(study.parcels), "Study {number}: a parcel is forgotten: {row}");
            if row["parcels"] == study.parcels {
                assert_eq!(row["sealed_bytes_here"], row["sealed_bytes"], "Study {number} was signed for: {row}");
            }
            if row["ready_to_read"] == true && study.claimed.is_some() {
                let given = self.exports(row["case"].as_str().unwrap());
                assert_right(number, &study, &study.delivered, &given.expect("a claimed Study is given out"));
            }
        }
        nothing_is_damaged(&self.hub);
    }

    /// Both run: all that was acknowledged arrives, once and in the same bytes, and every report comes back. Studies of
    /// before were looked at before: those from `first` on.
    pub(crate) fn everything_arrives(&self, first: usize) {
        until("every Study is delivered", || {
            let (promised, rows) = (self.promised(), asked(&self.spoke, "studies")?);
            promised
                .studies
                .range(first..)
                .filter(|(_, study)| !study.stored.is_empty())
                .all(|(number, study)| {
                    let row = rows.iter().find(|row| study_of(row) == *number).unwrap();
                    row["delivered"] == true && row["instances"].as_u64().unwrap() >= study.stored.len() as u64
                })
                .then_some(())
        });
        let studies: Vec<_> = self
            .promised()
            .studies
            .range(first..)
            .filter(|(_, study)| !study.stored.is_empty())
            .map(|(n, s)| (*n, s.clone()))
            .collect();
        for (number, study) in studies {
            let row = until("the hub has opened the Study", || {
                let rows = asked(&self.hub, "worklist")?;
                rows.into_iter().find(|row| study_of(row) == number).filter(|row| row["ready_to_read"] == true)
            });
            assert_holds(number, &study, &row);
            let case = row["case"].as_str().unwrap();
            until("the Study is claimed", || (study.claimed.is_some() || self.claims(number, case)).then_some(()));
            assert_right(number, &study, &study.stored, &self.exports(case).expect("a claimed Study is given out"));
        }
        until("every report is back at the clinic", || {
            let shown: BTreeSet<String> = asked(&self.spoke, "reports")?.iter().filter_map(words).collect();
            self.promised().studies.values().all(|study| study.signed.is_subset(&shown)).then_some(())
        });
    }

    /// The number of the next Study.
    pub(crate) fn next_study(&self) -> usize {
        self.promised().studies.keys().next_back().map_or(0, |last| last + 1)
    }
}

/// What a reader was told holds: her claim, and that her reports are kept.
fn assert_holds(number: usize, study: &Study, row: &Value) {
    if let Some(token) = study.claimed {
        assert_eq!(row["claimed_by"], "banda", "the claim of Study {number} is forgotten: {row}");
        assert!(row["claim_counter"].as_u64() >= Some(token), "Study {number}: token {token} was given before: {row}");
    }
    assert!(
        row["reports"].as_array().unwrap().len() >= study.signed.len(),
        "a report on Study {number} is lost: {row}"
    );
}

/// All that is `owed` is given, nothing twice, and nothing that was not sent.
fn assert_right(number: usize, study: &Study, owed: &BTreeSet<Hash>, given: &[Hash]) {
    let once: BTreeSet<Hash> = given.iter().copied().collect();
    assert_eq!(once.len(), given.len(), "Study {number}: nothing twice");
    assert!(owed.is_subset(&once), "Study {number}: {} of {} Instances", owed.intersection(&once).count(), owed.len());
    assert!(once.is_subset(&study.sent), "Study {number}: what is shown was sent so");
}

fn nothing_is_damaged(place: &NodePlace) {
    let found = place.json(&["verify"]);
    assert_eq!((&found["journal_damage"], &found["damaged"]), (&Value::Null, &Value::Array(vec![])), "{found}");
}

/// A CT of its Study, and where its data set begins.
fn instance(study: usize, number: usize) -> (Vec<u8>, usize) {
    let file = replaced(&renewed("pydicom/CT_small.dcm", study, number), b"1CT1", format!("{study:04}").as_bytes());
    let data_set = scan(file.as_slice(), Form::File).unwrap().origin.data_set;
    (file, usize::try_from(data_set).unwrap())
}

/// A list, if the node answers.
fn asked(place: &NodePlace, list: &str) -> Option<Vec<Value>> {
    let done = run(&[list, "--dir", place.text(), "--json"]);
    done.status.success().then(|| serde_json::from_slice(&done.stdout).unwrap())
}

fn study_of(row: &Value) -> usize {
    row["patient_id"].as_str().unwrap().trim().parse().unwrap()
}

/// What was signed; a report that has only just come shows that in its place.
fn words(report: &Value) -> Option<String> {
    let words = report["text"].as_str().unwrap().trim();
    words.starts_with("Study").then(|| words.to_owned())
}
