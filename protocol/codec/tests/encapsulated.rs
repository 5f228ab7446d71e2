//! Compressed frames cost what they show, however they were cut into fragments, and come back as they were cut.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod dataset;
mod taken;

use proptest::{collection::vec, prelude::*, sample::Index};
use radmesh_codec::{
    EncodingId,
    group::{Content, DecodeError, Profile, Source, encode},
    limits::SEGMENT_RECEIVED_BYTES,
    scan::{Form, PixelForm, scan},
};
use taken::decoded;

const BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const RLE: &str = "1.2.840.10008.1.2.5";

/// Frames of one kind.
#[derive(Debug, Clone)]
struct Frames {
    syntax: &'static str,
    columns: u16,
    rows: u16,
    bits_allocated: u16,
    frames: Vec<Vec<u8>>,
}

/// All frames of a real file, each of which has a fragment of its own.
fn real(syntax: &'static str, file: &str) -> Frames {
    let bytes = std::fs::read(format!("{}/../../tests/data/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let found = scan(bytes.as_slice(), Form::File).unwrap();
    let PixelForm::Encapsulated { fragments } = found.pixel_data.unwrap().form else { panic!("{file} is native") };
    Frames {
        syntax,
        columns: found.image.columns.unwrap(),
        rows: found.image.rows.unwrap(),
        bits_allocated: found.image.bits_allocated.unwrap(),
        frames: fragments.kept[1..].iter().map(|at| bytes[at.start as usize..at.end as usize].to_vec()).collect(),
    }
}

fn kinds() -> [Frames; 4] {
    let mut kinds = [
        real(JPEG_LOSSLESS, "pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm"),
        real(JPEG_LS, "pydicom-data/emri_small_jpeg_ls_lossless.dcm"),
        real(RLE, "pydicom-data/OBXXXX1A_rle_2frame.dcm"),
        real(BASELINE, "pydicom/examples_ybr_color.dcm"),
    ];
    for kind in &mut kinds {
        kind.frames.truncate(3);
    }
    kinds
}

impl Frames {
    /// A file of these frames; `cut` gives the fragments of one.
    fn file(&self, mut cut: impl FnMut(&[u8]) -> Vec<Vec<u8>>) -> Vec<u8> {
        let us = |tag, value: u16| dataset::element(tag, b"US", &value.to_le_bytes());
        let mut file = [
            dataset::meta(self.syntax),
            dataset::identity(),
            us(0x0028_0002, 1),
            dataset::element(0x0028_0008, b"IS", format!("{:2}", self.frames.len()).as_bytes()),
            us(0x0028_0010, self.rows),
            us(0x0028_0011, self.columns),
            us(0x0028_0100, self.bits_allocated),
            dataset::element_saying(0x7FE0_0010, b"OB", u32::MAX, &[]),
            dataset::item(0xFFFE_E000, 0),
        ]
        .concat();
        for fragment in self.frames.iter().flat_map(|frame| cut(frame)) {
            file.extend(dataset::item(0xFFFE_E000, fragment.len() as u32));
            file.extend(fragment);
        }
        file.extend(dataset::item(0xFFFE_E0DD, 0));
        file
    }
}

fn round_trip(file: Vec<u8>) -> (Vec<u8>, Vec<Content>) {
    let instances = [file];
    let mut stream = Vec::new();
    let stats = encode(&[&instances[0] as &dyn Source], Profile::Fast, &mut stream).unwrap();
    assert!(decoded(&stream, &stats.contents).unwrap() == instances);
    (stream, stats.contents)
}

#[test]
fn a_frame_in_five_fragments_costs_what_it_costs_in_one() {
    for kind in kinds() {
        let (whole, _) = round_trip(kind.file(|frame| vec![frame.to_vec()]));
        let (cut, _) = round_trip(kind.file(|frame| frame.chunks(frame.len() / 5 + 1).map(<[u8]>::to_vec).collect()));
        assert_eq!([whole[0], cut[0]], [EncodingId::Model as u8; 2], "{}", kind.syntax);
        let heads = 16 * kind.frames.len();
        assert!(cut.len() < whole.len() + heads, "{}: {} against {}", kind.syntax, cut.len(), whole.len());
    }
}

#[test]
fn frames_that_come_again_in_other_fragments_are_named() {
    let mut kind = real(BASELINE, "pydicom/examples_ybr_color.dcm");
    kind.frames.truncate(1);
    let once = round_trip(kind.file(|frame| vec![frame.to_vec()])).0.len();
    kind.frames = vec![kind.frames[0].clone(); 4];
    let mut pieces = 0;
    let (again, _) = round_trip(kind.file(|frame| {
        pieces += 1;
        frame.chunks(frame.len() / pieces + 1).map(<[u8]>::to_vec).collect()
    }));
    assert!(again.len() < once + 150, "{} against {once}", again.len());
}

#[test]
fn a_long_cine_whose_frames_share_their_scans_costs_little_more_than_one_frame() {
    let mut kind = real(BASELINE, "pydicom/examples_ybr_color.dcm");
    let frame = kind.frames[0].clone();
    // A comment (T.81 B.2.4.5) tells the frames apart: none is a repetition of another.
    let numbered = |number: u16| [&frame[..2], &[0xFF, 0xFE, 0, 4], &number.to_be_bytes(), &frame[2..]].concat();
    kind.frames = (0..600).map(numbered).collect();
    let file = kind.file(|frame| vec![frame.to_vec()]);
    assert!(file.len() > SEGMENT_RECEIVED_BYTES, "{}", file.len());
    let (stream, _) = round_trip(file);
    assert!(stream.len() < 4 * frame.len(), "{} against {}", stream.len(), frame.len());
}

#[test]
fn a_segment_that_joins_more_holes_than_there_are_is_refused() {
    let mut kind = real(JPEG_LS, "pydicom-data/emri_small_jpeg_ls_lossless.dcm");
    kind.frames.truncate(1);
    let (stream, contents) =
        round_trip(kind.file(|frame| frame.chunks(frame.len() / 2 + 1).map(<[u8]>::to_vec).collect()));
    let headers = 14 + 4 + u32::from_be_bytes(*stream[14..].first_chunk().unwrap()) as usize;
    assert_eq!(stream[headers + 4..headers + 8], [7, 0, 2, 4], "a new frame in two fragments");
    for (at, byte, what) in [
        (6, 1, "one hole is no joint"),
        (6, 0, "nor is none"),
        (6, 3, "no third hole"),
        (5, 1, "no 258th"),
        (7, 0, "bytes fill what they fill"),
        (7, 7, "joined twice"),
    ] {
        let mut forged = stream.clone();
        forged[headers + at] = byte;
        assert!(matches!(decoded(&forged, &contents), Err(DecodeError::Segment)), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn frames_cut_anywhere_come_back(
        kind in prop::sample::select(vec![1_usize, 2]),
        places in vec(vec(any::<Index>(), 0..5), 3),
        lost in 0_usize..3,
    ) {
        let mut kind = kinds()[kind].clone();
        // Without its first bytes a fragment begins no frame.
        kind.frames[1].drain(..lost);
        let mut places = places.into_iter();
        let file = kind.file(|frame| {
            let mut ends: Vec<usize> = places.next().unwrap_or_default().iter().map(|at| at.index(frame.len())).collect();
            ends.sort_unstable();
            ends.push(frame.len());
            // Two cuts at one place make an empty fragment.
            let mut from = 0;
            ends.into_iter().map(|end| frame[std::mem::replace(&mut from, end)..end].to_vec()).collect()
        });
        round_trip(file);
    }
}
