//! `radmesh codec`: what goes in comes out, and what was bent, cut or made to do harm does nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_codec::scan::{Form, scan};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use world::{RADMESH, files, fixtures, radmesh, run, until};

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
    (coded(&dir.join("slices"), ["CT2_17106.dcm", "CT2_17136.dcm"]), dir.join("out"))
}

/// Makes a folder of these files, and beside it a file that is coded from it.
fn coded(folder: &Path, names: [&str; 2]) -> PathBuf {
    let coded = folder.with_file_name("coded");
    fs::create_dir(folder).unwrap();
    for name in names {
        fs::copy(fixtures().join("pydicom").join(name), folder.join(name)).unwrap();
    }
    radmesh(&["codec", "encode", text(folder), "--out", text(&coded)]);
    coded
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
        // The last is in the group; those before it are of previews.
        let at = bytes.windows(name.len()).rposition(|window| window == name).unwrap();
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

/// A coded file of two Series, and the folder they were in.
fn two_series(dir: &Path) -> (PathBuf, PathBuf) {
    let folder = dir.join("both");
    (coded(&folder, ["CT2_17106.dcm", "MR_small_implicit.dcm"]), folder)
}

#[test]
fn of_a_damaged_or_cut_file_the_other_groups_are_written_and_what_is_lost_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (coded, folder) = two_series(dir.path());
    let (whole, out) = (fs::read(&coded).unwrap(), dir.path().join("out"));
    // In the last group, and in the record behind it.
    for (at, groups_lost) in [(whole.len() - 200, 1), (whole.len() - 3, 0)] {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        for bytes in [bent, whole[..at].to_vec()] {
            fs::write(&coded, bytes).unwrap();
            let done = decode(&coded, &out);
            let said = String::from_utf8(done.stderr).unwrap();
            assert!(done.status.code() == Some(1) && said.contains("hint: "), "{said}");
            let mut expected = below(&folder);
            expected.retain(|name, _| below(&out.join("both")).contains_key(name));
            assert_eq!(below(&out.join("both")), expected, "{said}");
            assert_eq!(expected.len(), 2 - groups_lost, "{said}");
            assert!(said.contains(&format!("{} file", 2 - groups_lost)), "{said}");
            fs::remove_dir_all(&out).unwrap();
        }
    }
    let mut bent = whole.clone();
    bent[whole.len() - 200] ^= 1;
    fs::write(&coded, bent).unwrap();
    let said = String::from_utf8(decode(&coded, &out).stderr).unwrap();
    let lost = below(&folder).into_keys().find(|name| !out.join("both").join(name).exists()).unwrap();
    assert!(said.contains(&format!("lost both/{}", text(&lost))), "{said}");
}

#[test]
fn a_preview_that_is_damaged_costs_no_image() {
    let dir = tempfile::tempdir().unwrap();
    let (coded, out) = two_slices(dir.path());
    let mut bytes = fs::read(&coded).unwrap();
    // Behind the magic, the version, the record's head and its hash.
    bytes[10 + 5 + 32 + 40] ^= 1;
    fs::write(&coded, bytes).unwrap();
    assert!(decode(&coded, &out).status.success());
    assert_eq!(below(&out.join("slices")), below(&dir.path().join("slices")));
    assert_eq!(run(&["codec", "stat", text(&coded)]).status.code(), Some(1));
}

#[test]
fn a_decode_that_was_stopped_goes_on_where_it_was_and_leaves_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let (coded, folder) = two_series(dir.path());
    let out = dir.path().join("out");
    fs::create_dir_all(out.join("both")).unwrap();
    fs::copy(folder.join("CT2_17106.dcm"), out.join("both/CT2_17106.dcm")).unwrap();
    assert!(decode(&coded, &out).status.success());
    assert!(decode(&coded, &out).status.success(), "all of it is there");
    assert_eq!(below(&out.join("both")), below(&folder));
    fs::write(out.join("both/CT2_17106.dcm"), "a person's own").unwrap();
    assert_eq!(decode(&coded, &out).status.code(), Some(1));
    assert_eq!(fs::read(out.join("both/CT2_17106.dcm")).unwrap(), b"a person's own");
}

#[test]
fn an_encode_that_is_killed_leaves_no_file_of_that_name() {
    let dir = tempfile::tempdir().unwrap();
    let (coded, fixtures) = (dir.path().join("coded"), fixtures());
    let arguments = ["codec", "encode", text(&fixtures), "--out", text(&coded)];
    let mut encode = Command::new(RADMESH).args(arguments).stderr(Stdio::null()).spawn().unwrap();
    let begun = || files(dir.path()).iter().any(|path| path.extension().is_some_and(|end| end == "part"));
    until("it begins to write", || {
        assert!(encode.try_wait().unwrap().is_none(), "it ended before it began to write");
        begun().then_some(())
    });
    encode.kill().unwrap();
    encode.wait().unwrap();
    assert!(!coded.exists());
    radmesh(&["codec", "encode", text(&fixtures.join("pydicom/CT_small.dcm")), "--out", text(&coded)]);
    assert_eq!(files(dir.path()), [coded], "what was left over is used again");
}

#[test]
fn what_is_no_file_or_is_cut_short_is_said_and_the_others_are_coded() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, coded) = (dir.path().join("mixed"), dir.path().join("coded"));
    fs::create_dir(&folder).unwrap();
    fs::copy(fixtures().join("pydicom/MR_truncated.dcm"), folder.join("cut.dcm")).unwrap();
    std::os::unix::fs::symlink("nothing", folder.join("dangling.dcm")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    let done = run(&["codec", "encode", text(&folder), text(&folder.join("cut.dcm")), "--out", text(&coded)]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "a person must not think that all is in it: {said}");
    for line in ["cut.dcm: the data set ends early", "left out", "dangling.dcm", "socket: neither a file nor a folder"]
    {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(decode(&coded, &dir.path().join("out")).status.success());
}
