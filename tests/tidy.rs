//! The rules that hold the house: who may import whom, what the pure crates may touch, how files are named and
//! opened, which licences we depend on. Over `cargo metadata` and the sources, so that a wall can't move unseen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Workspace crates and the libraries that the table of docs/ARCHITECTURE.md governs, and who may import them.
const ALLOWED: &[(&str, &[&str])] = &[
    ("radmesh-protocol", &[]),
    ("radmesh-codec", &["zstd", "lepton_jpeg"]),
    ("radmesh-store", &["radmesh-protocol", "sled"]),
    ("radmesh-dimse", &["radmesh-codec", "dicom-*", "tokio", "rustls"]),
    ("radmesh-worker", &["radmesh-codec", "dicom-*"]),
    (
        "radmesh-spoke",
        &["radmesh-protocol", "radmesh-codec", "radmesh-store", "radmesh-dimse", "radmesh-worker", "tokio", "axum"],
    ),
    (
        "radmesh-hub",
        &["radmesh-protocol", "radmesh-codec", "radmesh-store", "radmesh-dimse", "radmesh-worker", "tokio", "axum"],
    ),
    (
        "radmesh",
        &[
            "radmesh-protocol",
            "radmesh-codec",
            "radmesh-store",
            "radmesh-dimse",
            "radmesh-worker",
            "radmesh-spoke",
            "radmesh-hub",
            "libp2p",
            "tokio",
            "axum",
            "rustls",
            "dicom-*",
            "sled",
            "zstd",
        ],
    ),
    ("radmesh-simulations", &["radmesh-protocol", "radmesh-store", "plotters"]),
    ("radmesh-fuzz", &["radmesh-protocol", "radmesh-codec", "radmesh-store", "radmesh-dimse", "radmesh-worker"]),
];

/// What the table governs; everything else is a small pure helper and free.
fn governed(name: &str) -> bool {
    name.starts_with("radmesh")
        || name.starts_with("dicom-")
        || ["tokio", "libp2p", "sled", "axum", "rustls", "zstd", "lepton_jpeg", "plotters"].contains(&name)
}

/// What the pure crates never write, in code.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant::now",
    "tokio::",
    "getrandom",
    "OsRng",
    "SysRng",
    "thread_rng",
];

/// SPDX licences that MIT/Apache-2.0 work may be built from.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "BSL-1.0",
    "MIT-0",
    "NCSA",
    // The Independent JPEG Group's: permissive, asks to be named.
    "IJG",
];

const STEMS_REFUSED: &[&str] = &["manager", "handler", "helper", "service", "util", "common", "misc"];
const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().expect("cargo metadata runs in a workspace")
}

fn rust_files(under: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![under.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["target", "node_modules", ".git"].contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// A file's code: without comments, and without its test module.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
    shipped.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_crate_imports_only_what_the_table_allows() {
    let metadata = metadata();
    let table: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        let allowed =
            table.get(package.name.as_str()).unwrap_or_else(|| panic!("{} is not in the table", package.name));
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal && governed(&d.name))
        {
            let fits = |rule: &&str| {
                rule.strip_suffix('*').map_or(dependency.name == **rule, |p| dependency.name.starts_with(p))
            };
            if !allowed.iter().any(fits) {
                broken.push(format!("{} imports {}", package.name, dependency.name));
            }
        }
    }
    assert!(broken.is_empty(), "not in the table of docs/ARCHITECTURE.md:\n{}", broken.join("\n"));
}

#[test]
fn the_pure_crates_touch_no_clock_disk_socket_thread_or_chance() {
    let mut broken = Vec::new();
    for file in ["protocol/src", "protocol/codec/src"].iter().flat_map(|dir| rust_files(&root().join(dir))) {
        let code = code(&file);
        broken
            .extend(IMPURE.iter().filter(|word| code.contains(**word)).map(|word| format!("{}: {word}", shown(&file))));
    }
    assert!(broken.is_empty(), "the core takes these as inputs:\n{}", broken.join("\n"));
}

#[test]
fn only_the_clock_file_reads_the_clock_and_only_the_chance_file_asks_the_system_for_chance() {
    let mut broken = Vec::new();
    for dir in ["node", "spoke", "hub", "simulations"] {
        for file in rust_files(&root().join(dir)).iter().filter(|f| !shown(f).contains("/tests/")) {
            let code = code(file);
            let name = shown(file);
            if name != "node/clock.rs" && code.contains("SystemTime::now") {
                broken.push(format!("{name}: the wall clock is read in node/clock.rs alone"));
            }
            if name != "node/chance.rs" && ["SysRng", "getrandom::", "OsRng"].iter().any(|word| code.contains(word)) {
                broken.push(format!("{name}: chance comes from node/chance.rs alone"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn spoke_and_hub_leave_the_disk_to_the_store() {
    let files = ["spoke/src", "hub/src"].into_iter().flat_map(|dir| rust_files(&root().join(dir)));
    let broken: Vec<_> = files.filter(|file| code(file).contains("std::fs")).map(|file| shown(&file)).collect();
    assert!(broken.is_empty(), "std::fs belongs to store, simulations and node:\n{}", broken.join("\n"));
}

/// Name and licence of every package that some target is built from; `cargo metadata` also names those behind
/// features that are off.
fn built() -> BTreeSet<(String, String)> {
    let args = ["tree", "--workspace", "--edges", "normal,build", "--prefix", "none", "--format", "{p}\t{l}"];
    let tree = Command::new(env!("CARGO")).args(args).current_dir(root()).output().expect("cargo tree runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).expect("package names are UTF-8");
    lines.lines().filter_map(|line| line.split_once('\t')).map(|(p, l)| (p.to_owned(), l.to_owned())).collect()
}

#[test]
fn every_dependency_has_a_licence_we_may_build_from() {
    let mut broken = BTreeSet::new();
    for (package, licence) in built() {
        let licence = licence.replace('/', " OR ").replace(" (*)", "");
        // An expression is met when, with every choice open, one alternative of each AND part is on the list.
        let part_is_met = |part: &str| {
            part.split(" OR ")
                .map(|l| l.trim_matches(|c| c == '(' || c == ')' || c == ' '))
                .any(|l| LICENCES.contains(&l))
        };
        if !licence.split(" AND ").all(part_is_met) {
            broken.insert(format!("{package}: {licence:?}"));
        }
    }
    assert!(broken.is_empty(), "licences:\n{}", broken.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_dependency_says_why_it_is_here() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let mute: Vec<_> = section
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with("radmesh-") && !line.starts_with('#'))
        .filter(|line| !line.contains(" # "))
        .collect();
    assert!(mute.is_empty(), "no reason or RFC behind:\n{}", mute.join("\n"));
}

#[test]
fn a_file_is_named_after_a_thing_opens_by_saying_it_and_holds_one_idea() {
    let mut broken = Vec::new();
    for file in rust_files(&root()) {
        let name = shown(&file);
        let stem = file.file_stem().unwrap().to_string_lossy().to_lowercase();
        if STEMS_REFUSED.iter().any(|refused| stem.contains(refused)) {
            broken.push(format!("{name}: name the thing or the effect"));
        }
        let text = fs::read_to_string(&file).unwrap();
        if !text.starts_with("//!") && !text.starts_with("#!") {
            broken.push(format!("{name}: does not open with //!"));
        }
        if text.lines().count() > LINES_MAX {
            broken.push(format!("{name}: {} lines; two ideas?", text.lines().count()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_marker_of_unfinished_work_is_left() {
    let markers = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]];
    let markers: Vec<String> = markers.iter().map(|parts| parts.concat()).collect();
    let mut broken = Vec::new();
    for file in rust_files(&root()) {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let stands_alone = |marker: &String| {
                let before = line.split(marker.as_str()).next().and_then(|head| head.chars().last());
                line.contains(marker.as_str()) && !before.is_some_and(char::is_alphanumeric)
            };
            if markers.iter().any(stands_alone) {
                broken.push(format!("{}:{}: {}", shown(&file), number + 1, line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn an_allowed_lint_gives_its_reason() {
    let mut broken = Vec::new();
    for file in rust_files(&root()) {
        let text = fs::read_to_string(&file).unwrap();
        let allows = text.match_indices("#[allow(").chain(text.match_indices("#![allow(")).map(|(at, _)| at);
        for at in allows {
            let attribute = text[at..].split(")]").next().unwrap_or_default();
            if !attribute.contains("reason") && !shown(&file).ends_with("tests/tidy.rs") {
                broken.push(format!("{}: {attribute})]", shown(&file)));
            }
        }
    }
    assert!(broken.is_empty(), "no reason given:\n{}", broken.join("\n"));
}

/// What `protocol/SPEC.md` can be cited by: its numbered sections, and the paragraphs that open in bold.
fn spec_headings() -> BTreeSet<String> {
    let spec = fs::read_to_string(root().join("protocol/SPEC.md")).unwrap();
    let section = |line: &str| Some(line.strip_prefix("## ")?.split_once(' ')?.1.to_owned());
    let paragraph = |line: &str| Some(line.strip_prefix("**")?.split_once("**")?.0.trim_end_matches('.').to_owned());
    spec.lines().filter_map(|line| section(line).or_else(|| paragraph(line))).collect()
}

/// The sections that a file's comments name behind the specification; "Storage and Custody" are two.
fn cited_sections(text: &str) -> Vec<String> {
    let words = text.lines().map(|line| line.trim_start().trim_start_matches(['/', '!']).trim());
    let prose = words.collect::<Vec<_>>().join(" ");
    let citations = prose.split("SPEC.md`, ").skip(1).filter_map(|rest| rest.split(['.', ',', ';', ':', ')']).next());
    let begins_large = |name: &&str| name.starts_with(char::is_uppercase);
    citations
        .flat_map(|named| named.split(" and ").filter(begins_large).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn every_section_of_the_specification_that_is_cited_exists() {
    assert_eq!(cited_sections("//! (`protocol/SPEC.md`,\n//! Storage and Custody; PS3.4)"), ["Storage", "Custody"]);
    let headings = spec_headings();
    let mut broken = Vec::new();
    for file in rust_files(&root()) {
        let cited = cited_sections(&fs::read_to_string(&file).unwrap());
        broken.extend(
            cited.iter().filter(|name| !headings.contains(*name)).map(|name| format!("{}: {name}", shown(&file))),
        );
    }
    assert!(broken.is_empty(), "`protocol/SPEC.md` has no such section:\n{}", broken.join("\n"));
}
