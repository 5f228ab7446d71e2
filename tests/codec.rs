//! `radmesh codec`: what goes in comes out, and what was bent, cut or made to do harm does nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_codec::scan::{Form, scan};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};
use world::{files, fixtures, radmesh, run};

/// Every file below a folder by its path there.
fn below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = files(dir).into_iter();
    all.map(|path| (path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn decode(coded: &Path, to: &Path) -> Output {
    run(&["codec", "decode", text(coded), "--to", text(to)])
}

#[test]
fn every_fixture_comes_back_under_its_name_byte_for_byte_and_the_rest_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (coded, out) = (dir.path().join("coded"), dir.path().join("out"));
    for profile in ["max", "fast"] {
        let done = run(&["codec", "encode", text(&fixtures()), "--out", text(&coded), "--profile", profile]);
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.success(), "{said}");
        assert!(decode(&coded, &out).status.success());
        let back = below(&out.join("data"));
        for (name, bytes) in below(&fixtures()) {
            match (scan(bytes.as_slice(), Form::File), back.get(&name)) {
                (Ok(_), Some(came)) => assert!(*came == bytes, "{name:?}"),
                (Ok(_), None) => panic!("{name:?} is missing"),
                (Err(_), came) => {
                    assert!(came.is_none());
                    assert!(
                        said.lines().any(|line| line.starts_with("refused ") && line.contains(text(&name))),
                        "{name:?}"
                    );
                }
            }
        }
        let stat = radmesh(&["codec", "stat", text(&coded)]);
        let previews = stat.lines().find(|line| line.starts_with("previews")).unwrap();
        let previews: u64 = previews.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((100_000..2_000_000).contains(&previews), "no more than each Study may have: {stat}");
        let bytes = stat.lines().filter_map(|line| line.split("  ").find_map(|cell| cell.trim().parse::<u64>().ok()));
        assert_eq!(bytes.sum::<u64>(), fs::metadata(&coded).unwrap().len(), "the parts are the whole: {stat}");
        fs::remove_file(&coded).unwrap();
        fs::remove_dir_all(&out).unwrap();
    }
}

/// A coded file of two slices that were in a folder, and the folder it may be decoded into.
fn two_slices(dir: &Path) -> (PathBuf, PathBuf) {
    let (folder, coded) = (dir.join("slices"), dir.join("coded"));
    fs::create_dir(&folder).unwrap();
    for name in ["CT2_17106.dcm", "CT2_17136.dcm"] {
        fs::copy(fixtures().join("pydicom").join(name), folder.join(name)).unwrap();
    }
    radmesh(&["codec", "encode", text(&folder), "--out", text(&coded)]);
    (coded, dir.join("out"))
}

#[test]
fn a_file_cut_off_or_bent_anywhere_writes_nothing_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (coded, out) = two_slices(dir.path());
    let (whole, bent) = (fs::read(&coded).unwrap(), dir.path().join("bent"));
    let step = whole.len() / 11;
    let cuts = (0..whole.len()).step_by(step).map(|end| whole[..end].to_vec());
    let turned = (0..whole.len()).step_by(step).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        bytes
    });
    for bytes in cuts.chain(turned) {
        fs::write(&bent, &bytes).unwrap();
        let done = decode(&bent, &out);
        let said = String::from_utf8(done.stderr).unwrap();
        // A name may be bent into another name; what is in it is right.
        if done.status.success() {
            assert!(below(&out).into_values().eq(below(&dir.path().join("slices")).into_values()));
            fs::remove_dir_all(&out).unwrap();
            continue;
        }
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
        assert!(!out.exists() || files(&out).is_empty(), "{said}");
    }
}

#[test]
fn a_name_that_leaves_the_folder_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (coded, out) = two_slices(dir.path());
    let bytes = fs::read(&coded).unwrap();
    for (name, other) in
        [(&b"slices"[..], &b"../../"[..]), (b"CT2_17106.dcm", b"/tmp/evil.dcm"), (b"slices", b"a\x1b[2Jb")]
    {
        let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
        let mut hostile = bytes.clone();
        hostile[at..at + other.len()].copy_from_slice(other);
        fs::write(&coded, hostile).unwrap();
        let done = decode(&coded, &out);
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(1) && said.contains("damaged"), "{said}");
        assert!(!out.exists());
    }
}

#[test]
fn nothing_is_overwritten_and_two_files_of_one_name_are_not_mixed_up() {
    let dir = tempfile::tempdir().unwrap();
    let (coded, out) = two_slices(dir.path());
    let before = fs::read(&coded).unwrap();
    let slices = dir.path().join("slices");
    let again = run(&["codec", "encode", text(&slices), "--out", text(&coded)]);
    assert_eq!((again.status.code(), fs::read(&coded).unwrap()), (Some(1), before));
    fs::create_dir_all(out.join("slices")).unwrap();
    let mine = out.join("slices/CT2_17136.dcm");
    fs::write(&mine, "a person's own").unwrap();
    let refused = decode(&coded, &out);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("CT2_17136.dcm is there already") && said.contains("empty directory"), "{said}");
    assert_eq!(below(&out), BTreeMap::from([("slices/CT2_17136.dcm".into(), b"a person's own".to_vec())]));

    let other = dir.path().join("b/slices");
    fs::create_dir_all(&other).unwrap();
    fs::copy(slices.join("CT2_17106.dcm"), other.join("CT2_17106.dcm")).unwrap();
    let made = dir.path().join("made");
    let both = run(&["codec", "encode", text(&slices), text(&other), "--out", text(&made)]);
    let said = String::from_utf8(both.stderr).unwrap();
    assert!(said.contains("two files would both be called slices/CT2_17106.dcm"), "{said}");
    assert!(both.status.code() == Some(1) && !made.exists());
}
