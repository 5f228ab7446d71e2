//! A coded group decodes for ever: streams of every path, as older nodes wrote them, give the Instances they were coded
//! of.
//!
//! A Study that lies in an archive was coded by a node that nobody runs any more. `vectors/NAME.PROFILE.group` is the
//! group NAME of `made`, written once by `cargo run --release --example digests -- --write DIR`; a test only reads it.
//! What decodes otherwise takes a new encoding or version, whose vectors come beside these. Each stream must also say
//! that it took the path its case is for: one that fell back to zstd would prove nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod dataset;
mod made;
mod taken;

use made::{Case, Model, Process, Segment};
use radmesh_codec::{EncodingId, group::Content};
use std::{collections::BTreeSet, fs};
use taken::decoded;

/// Profiles, and the number of the model that each codes by.
const PROFILES: [(&str, u8); 2] = [("max", 1), ("fast", 2)];
/// Vectors of other tests.
const OTHERS: [&str; 2] = ["zstd-1.group", "model-1.headers"];

fn folder() -> String {
    format!("{}/tests/vectors", env!("CARGO_MANIFEST_DIR"))
}

/// Every case with each of its streams and the number of its model.
fn vectors() -> impl Iterator<Item = (Case, u8, Vec<u8>)> {
    PROFILES.into_iter().flat_map(|(profile, model)| {
        made::cases().into_iter().map(move |case| {
            let name = format!("{}/{}.{profile}.group", folder(), case.name);
            let stream = fs::read(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
            (case, model, stream)
        })
    })
}

#[test]
fn streams_of_every_path_that_an_older_node_coded_decode_for_ever() {
    for (case, model, stream) in vectors() {
        let content = |bytes: &Vec<u8>| Content { bytes: bytes.len() as u64, hash: *blake3::hash(bytes).as_bytes() };
        let expected: Vec<Content> = case.instances.iter().map(content).collect();
        let decoded = decoded(&stream, &expected).unwrap_or_else(|error| panic!("{} {model}: {error}", case.name));
        assert!(decoded == case.instances, "{} {model}", case.name);
    }
}

#[test]
fn each_stream_that_decodes_for_ever_took_the_path_it_is_kept_for() {
    for (case, model, stream) in vectors() {
        assert_eq!(stream[0], case.encoding as u8, "{} {model}", case.name);
        assert_eq!(segments(&stream, model), case.segments, "{} {model}", case.name);
    }
}

#[test]
fn every_stream_that_decodes_for_ever_is_of_a_case_and_every_case_is_another() {
    let mut expected: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    for case in made::cases() {
        for (profile, _) in PROFILES {
            assert!(expected.insert(format!("{}.{profile}.group", case.name)), "{} twice", case.name);
        }
    }
    let found = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_paths_that_decode_for_ever_are_all_there_are() {
    let mut forms = BTreeSet::new();
    let (mut cells, mut arrangements, mut leads) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for segment in made::cases().into_iter().flat_map(|case| case.segments) {
        forms.insert(form(&segment));
        if let Segment::PicturesAnew { raster: [_, _, _, _, cell, arrangement, lead, ..], .. } = segment {
            cells.insert(cell);
            arrangements.insert(arrangement);
            leads.insert(lead);
        }
    }
    assert_eq!(forms, (0..=7).collect(), "forms");
    assert_eq!(cells, (0..=5).collect(), "cells");
    assert_eq!(arrangements, (0..=3).collect(), "arrangements");
    assert_eq!(leads, (0..=1).collect(), "leads");
}

const fn form(segment: &Segment) -> u8 {
    match segment {
        Segment::Bytes => 0,
        Segment::Pictures { .. } => 1,
        Segment::PicturesAnew { .. } => 2,
        Segment::Frame => 3,
        Segment::FrameAnew { .. } => 4,
        Segment::Lepton => 5,
        Segment::Again { .. } => 6,
        Segment::Joined { .. } => 7,
    }
}

/// What the segments of a stream say, the new models in it being of this number.
fn segments(stream: &[u8], model: u8) -> Vec<Segment> {
    let mut cut = Cut(stream);
    let [encoding, _version] = *cut.array();
    let count = cut.u32();
    cut.bytes(8 * count);
    if encoding == EncodingId::Inflated as u8 {
        assert!(!cut.block().0.is_empty(), "no deflated Instances");
    }
    cut.block();
    let mut segments = Vec::new();
    while !cut.0.is_empty() {
        segments.push(segment(cut.block(), model));
    }
    segments
}

fn segment(mut cut: Cut<'_>, model: u8) -> Segment {
    match cut.byte() {
        0 => Segment::Bytes,
        1 => Segment::Pictures { bands: cut.u16() },
        2 => {
            let raster = *cut.array();
            assert_eq!(cut.byte(), model, "of another profile");
            Segment::PicturesAnew { raster, bands: cut.u16() }
        }
        3 => Segment::Frame,
        4 => {
            let begun = match cut.byte() {
                0 => Model::Kept,
                new => {
                    assert_eq!(new, model, "of another profile");
                    Model::New
                }
            };
            let recipe = zstd::decode_all(cut.block().0).unwrap();
            Segment::FrameAnew { process: process(&recipe), model: begun }
        }
        5 => Segment::Lepton,
        6 => Segment::Again { back: cut.u16() },
        7 => Segment::Joined { holes: cut.u16(), frame: Box::new(segment(cut, model)) },
        form => panic!("form {form}"),
    }
}

/// By the recipe: RLE says so; a JPEG has its frame header in it (T.81 B.2.2: SOF3; T.87 C.2.2: SOF55).
fn process(recipe: &[u8]) -> Process {
    let has = |marker: u8| recipe.windows(2).any(|two| two == [0xFF, marker]);
    match (recipe[0], has(0xC3), has(0xF7)) {
        (2, ..) => Process::Rle,
        (1, true, false) => Process::JpegLossless,
        (1, false, true) => Process::JpegLs,
        _ => panic!("a recipe of neither"),
    }
}

/// Takes numbers off the front of a stream.
struct Cut<'s>(&'s [u8]);

impl<'s> Cut<'s> {
    fn bytes(&mut self, count: u32) -> &'s [u8] {
        let (bytes, rest) = self.0.split_at(count as usize);
        self.0 = rest;
        bytes
    }

    fn array<const N: usize>(&mut self) -> &'s [u8; N] {
        self.bytes(N as u32).try_into().unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(*self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(*self.array())
    }

    /// A length and so many bytes.
    fn block(&mut self) -> Cut<'s> {
        let length = self.u32();
        Cut(self.bytes(length))
    }
}
