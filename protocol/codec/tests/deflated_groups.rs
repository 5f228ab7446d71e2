//! Deflated Instances are coded as if they had come plain, and come back as they came.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod dataset;
mod taken;

use flate2::{Compression, write::DeflateEncoder};
use radmesh_codec::{
    EncodingId,
    deflated::deflate,
    group::{Content, DecodeError, Profile, Source, encode, parts},
    limits::GROUP_INFLATED_BYTES_MAX,
};
use std::io::Write;
use taken::decoded;

fn fixture(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/pydicom/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn round_trip(instances: &[Vec<u8>]) -> (Vec<u8>, Vec<Content>) {
    let sources: Vec<&dyn Source> = instances.iter().map(|bytes| bytes as &dyn Source).collect();
    let mut stream = Vec::new();
    let stats = encode(&sources, Profile::Max, &mut stream).unwrap();
    assert_eq!(stats.parts, parts(&stream).unwrap());
    assert_eq!(stats.coded_bytes, stream.len() as u64);
    assert!(decoded(&stream, &stats.contents).unwrap() == instances);
    (stream, stats.contents)
}

/// A slice of 128 x 128 samples of 12 bits, as a data set.
fn slice(number: u32) -> Vec<u8> {
    let samples = (0..128 * 128_u32).flat_map(|at| {
        let (x, y) = (at % 128, at / 128);
        (((x * x / 50 + y * 2) % 700 + (at.wrapping_mul(2_654_435_761) >> 20) % 6 + number) as u16).to_le_bytes()
    });
    let samples: Vec<u8> = samples.collect();
    image(number, 128, 16, &samples)
}

fn image(number: u32, side: u16, bits: u16, pixels: &[u8]) -> Vec<u8> {
    let us = |tag, value: u16| dataset::element(tag, b"US", &value.to_le_bytes());
    [
        dataset::identity(),
        dataset::element(0x0020_0013, b"IS", format!("{number:2}").as_bytes()),
        us(0x0028_0002, 1),
        dataset::element(0x0028_0004, b"CS", b"MONOCHROME2 "),
        us(0x0028_0010, side),
        us(0x0028_0011, side),
        us(0x0028_0100, bits),
        us(0x0028_0101, bits),
        us(0x0028_0103, 0),
        dataset::element(0x7FE0_0010, b"OW", pixels),
    ]
    .concat()
}

fn plain(data_set: &[u8]) -> Vec<u8> {
    [dataset::meta(dataset::EXPLICIT), data_set.to_vec()].concat()
}

/// As zlib deflates at its default level.
fn deflated(data_set: &[u8]) -> Vec<u8> {
    [dataset::meta(dataset::DEFLATED), deflate(&[6, 8], data_set, usize::MAX).unwrap()].concat()
}

#[test]
fn a_real_deflated_file_comes_back_in_far_fewer_bytes_than_zstd_makes_of_it() {
    let file = fixture("image_dfl.dcm");
    let (stream, _) = round_trip(std::slice::from_ref(&file));
    assert_eq!(stream[0], EncodingId::Inflated as u8);
    let zstd = zstd::bulk::compress(&file, 19).unwrap();
    assert!(stream.len() * 100 < zstd.len() * 55, "{} against {}", stream.len(), zstd.len());
}

#[test]
fn deflated_slices_cost_what_the_same_slices_cost_plain() {
    let slices: Vec<Vec<u8>> = (0..4).map(slice).collect();
    let [deflated, plain] = [deflated, plain].map(|form| {
        let instances: Vec<Vec<u8>> = slices.iter().map(|slice| form(slice)).collect();
        round_trip(&instances).0
    });
    assert_eq!([deflated[0], plain[0]], [EncodingId::Inflated as u8, EncodingId::Model as u8]);
    assert!(deflated.len() < plain.len() + 4 * 24, "{} against {}", deflated.len(), plain.len());
}

#[test]
fn a_data_set_without_pixels_comes_back_with_its_pad_byte_among_plain_ones() {
    let text = "No fracture is seen. The left hilum is enlarged; see the report of the CT. ".repeat(30);
    let report = [dataset::identity(), dataset::element(0x0040_A160, b"UT", text.as_bytes())].concat();
    let padded = [deflated(&report), vec![0]].concat();
    let (stream, _) = round_trip(&[plain(&report), padded, plain(&slice(1)), deflated(&slice(2))]);
    assert_eq!(stream[0], EncodingId::Inflated as u8);
}

#[test]
fn what_another_deflater_wrote_is_coded_as_received() {
    let mut other = DeflateEncoder::new(dataset::meta(dataset::DEFLATED), Compression::new(6));
    other.write_all(&slice(1)).unwrap();
    let file = other.finish().unwrap();
    let (stream, _) = round_trip(std::slice::from_ref(&file));
    assert_ne!(stream[0], EncodingId::Inflated as u8);
    assert!(stream.len() < file.len() + 40, "{} for {}", stream.len(), file.len());
}

#[test]
fn data_sets_that_inflate_to_more_than_a_group_may_are_coded_as_received() {
    // 2,300 x 2,300 of a byte, two of which are over the limit; with some noise, or the scanner would take them for bombs.
    let films = [2_654_435_761, 2_246_822_519].map(|noise| {
        let byte = |at: u32| if at.is_multiple_of(200) { (at.wrapping_mul(noise) >> 24) as u8 } else { 0 };
        deflated(&image(1, 2300, 8, &(0..2300 * 2300).map(byte).collect::<Vec<u8>>()))
    });
    let (stream, _) = round_trip(&films);
    assert_eq!((stream[0], listed(&stream).len()), (EncodingId::Inflated as u8, 14 + 2));
}

#[test]
fn a_deflated_image_that_the_model_makes_larger_is_coded_as_received() {
    // Noise, and then the same 15,001 bytes of it again and again: for deflate next to nothing, for the model as before.
    let mut chance = 1_u32;
    let mut pixels: Vec<u8> = (0..1_100_000)
        .map(|_| {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (chance >> 24) as u8
        })
        .collect();
    while pixels.len() < 1500 * 1500 {
        pixels.push(pixels[pixels.len() - 15_001]);
    }
    let (stream, _) = round_trip(&[deflated(&image(1, 1500, 8, &pixels))]);
    assert_eq!(stream[0], EncodingId::Zstd as u8);
}

/// Behind the heads of one or two Instances: which were deflated.
fn listed(stream: &[u8]) -> &[u8] {
    let from = 6 + 8 * usize::from(stream[5]);
    let length = u32::from_be_bytes(*stream[from..].first_chunk().unwrap()) as usize;
    &stream[from + 4..from + 4 + length]
}

#[test]
fn a_list_that_no_encoder_writes_is_refused() {
    let (stream, contents) = round_trip(&[deflated(&slice(1))]);
    let with = |list: &[u8]| {
        let rest = &stream[14 + 4 + listed(&stream).len()..];
        let forged = [&stream[..14], &(list.len() as u32).to_be_bytes(), list, rest].concat();
        decoded(&forged, &contents).unwrap_err()
    };
    let list = listed(&stream).to_vec();
    let bent = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut list = list.clone();
        list.splice(range, bytes.iter().copied());
        with(&list)
    };
    let too_many = (GROUP_INFLATED_BYTES_MAX as u32 + 1).to_be_bytes();
    for (what, error) in [
        ("no such Instance", bent(0..2, &[0, 1])),
        ("begins behind its end", bent(2..6, &u32::MAX.to_be_bytes())),
        ("more than the limit", bent(6..10, &too_many)),
        ("a recipe longer than the list", bent(10..14, &[0, 0, 0, 9])),
        ("a level that zlib has not", bent(14..15, &[10])),
        ("twice the same", with(&list.repeat(2))),
        ("ends early", with(&list[..9])),
    ] {
        assert!(matches!(error, DecodeError::Segment), "{what}: {error}");
    }
    // Half the bytes, so that headers and pixels no longer fit.
    assert!(!matches!(bent(6..10, &[0, 0, 64, 0]), DecodeError::Hash { .. }));
    // Another level gives other bytes: more than declared, or ones whose hash differs.
    assert!(matches!(bent(14..15, &[1]), DecodeError::Segment | DecodeError::Hash { .. } | DecodeError::EndsEarly));
}
