//! Every file of PyPI's pydicom and pydicom-data through the whole path: strange vendors, strange times, one promise.
//!
//! What is taken comes out again in the same bytes; what is refused is refused by name, and only where pydicom, which
//! shares no code with ours, finds no Study or SOP Instance UID either.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_protocol::id::Hash;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use world::{federation::Federation, fixtures, hashes, run};

/// Each file of the corpus, and whether pydicom finds both UIDs in it.
fn corpus() -> BTreeMap<PathBuf, bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("tests/independent/corpus.py");
    let done = Command::new(root.join("target/venv/bin/python")).arg(script).output().unwrap();
    assert!(done.status.success(), "pydicom (made by ./check): {}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).unwrap();
    lines
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(word, path)| (PathBuf::from(path), word == "both"))
        .collect()
}

#[test]
fn every_file_with_a_study_and_an_instance_uid_comes_out_as_it_went_in_and_the_others_are_refused_by_name() {
    let mut corpus = corpus();
    assert!(corpus.len() > 200, "{} files", corpus.len());
    let letter = fixtures().join("README.md");
    corpus.insert(letter, false);
    let federation = Federation::on_loopback();
    let mut args = vec!["send", "--dir", federation.spoke.text()];
    args.extend(corpus.keys().map(|path| path.to_str().unwrap()));
    let done = run(&args);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{said}");
    let refused: BTreeMap<PathBuf, &str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("refused ")?.split_once(": "))
        .map(|(path, reason)| (path.into(), reason))
        .collect();
    for (path, both) in &corpus {
        match refused.get(path) {
            None if !both => println!("taken, though pydicom finds no UIDs: {}", path.display()),
            None => {}
            Some(reason) => {
                println!("refused {}: {reason}", path.file_name().unwrap().display());
                assert!(!both, "{}: {reason}, but pydicom finds both UIDs", path.display());
                assert!(!reason.is_empty());
            }
        }
    }
    let taken: BTreeSet<Hash> = corpus
        .keys()
        .filter(|path| !refused.contains_key(*path))
        .map(|path| Hash::of(&fs::read(path).unwrap()))
        .collect();
    println!("{} files taken, {} refused", corpus.len() - refused.len(), refused.len());

    let cases = federation.spoke.json(&["studies"]).as_array().unwrap().len();
    federation.delivered(cases);
    let mut exported = BTreeSet::new();
    for (number, case) in federation.ready(cases).iter().enumerate() {
        federation.claim(case);
        exported.extend(hashes(&federation.export(case, &format!("out/{number}"), &["--verbatim"])));
    }
    assert_eq!(exported, taken);
}
