//! A data set that zlib deflated comes back byte for byte, whatever the level, and no data takes it hours.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;
use radmesh_codec::{
    deflated::{DeflateError, deflate, inflate},
    limits::DEFLATE_STEPS_PER_BYTE_MAX,
    scan::{Form, scan},
};
use std::io::Write;

const INFLATED_MAX: usize = 1 << 24;

fn data(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Streams of zlib 1.2.13 at each level (`tests/deflated/make.py`), and what they were made from.
fn zlib_streams() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let folder = format!("{}/tests/deflated", env!("CARGO_MANIFEST_DIR"));
    let plain = data("pydicom/MR_small_implicit.dcm");
    let mut streams = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".deflate") {
            streams.push((name, std::fs::read(&path).unwrap(), plain.clone()));
        }
    }
    assert!(streams.len() >= 11);
    streams
}

#[test]
fn every_level_of_zlib_comes_back() {
    for (name, stream, plain) in zlib_streams() {
        let inflated = inflate(&stream, INFLATED_MAX).unwrap_or_else(|| panic!("{name} stays deflated"));
        assert!(inflated.data_set == plain, "{name}");
        assert_eq!(inflated.recipe.len(), 2, "{name}");
        assert!(deflate(&inflated.recipe, &plain, stream.len()).unwrap() == stream, "{name}");
    }
}

#[test]
fn a_real_deflated_file_comes_back_with_its_pad_byte() {
    let file = data("pydicom/image_dfl.dcm");
    let start = scan(file.as_slice(), Form::File).unwrap().origin.data_set as usize;
    let inflated = inflate(&file[start..], INFLATED_MAX).unwrap();
    assert_eq!(deflate(&inflated.recipe, &inflated.data_set, file.len()).unwrap(), file[start..]);
    let padded = [&file[start..], b"\0\0"].concat();
    let inflated = inflate(&padded, INFLATED_MAX).unwrap();
    assert_eq!(deflate(&inflated.recipe, &inflated.data_set, file.len()).unwrap(), padded);
}

#[test]
fn what_another_deflater_wrote_stays_deflated() {
    let plain = data("pydicom/MR_small_implicit.dcm");
    let mut other = DeflateEncoder::new(Vec::new(), Compression::new(6));
    other.write_all(&plain).unwrap();
    assert_eq!(inflate(&other.finish().unwrap(), INFLATED_MAX), None);
}

#[test]
fn a_bomb_is_left_as_soon_as_it_is_over_its_limit() {
    let mut bomb = DeflateEncoder::new(Vec::new(), Compression::best());
    for _ in 0..1024 {
        bomb.write_all(&[0; 64 * 1024]).unwrap();
    }
    assert_eq!(inflate(&bomb.finish().unwrap(), 1 << 20), None);
}

#[test]
fn a_stream_that_ends_in_other_bits_than_zlibs_stays_deflated() {
    for (name, mut stream, plain) in zlib_streams() {
        assert_eq!(inflate(&stream, plain.len() - 1), None, "{name} inflates to more than allowed");
        // The last byte is filled up with zeros behind the last code.
        *stream.last_mut().unwrap() ^= 0x80;
        assert_eq!(inflate(&stream, INFLATED_MAX), None, "{name}");
    }
}

#[test]
fn more_bytes_than_declared_are_refused() {
    let (_, stream, plain) = zlib_streams().remove(0);
    let recipe = inflate(&stream, INFLATED_MAX).unwrap().recipe;
    let max = stream.len() - 1;
    assert_eq!(deflate(&recipe, &plain, max), Err(DeflateError::Large { max }));
    for recipe in [&[][..], &[6], &[0, 8], &[10, 8], &[6, 7]] {
        assert_eq!(deflate(recipe, &plain, INFLATED_MAX), Err(DeflateError::Recipe));
    }
}

#[test]
fn data_made_to_be_slow_is_refused_and_not_searched_for_hours() {
    // Three zeros and two bytes by chance: level 9 compares every fifth position with 4,096 others.
    let mut chance = 1_u32;
    let slow: Vec<u8> = (0..40_000)
        .flat_map(|_| {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [0, 0, 0, (chance >> 24) as u8, (chance >> 16) as u8]
        })
        .collect();
    const { assert!(DEFLATE_STEPS_PER_BYTE_MAX < 4096 / 5) };
    let refused = deflate(&[9, 8], &slow, INFLATED_MAX).err();
    assert_eq!(refused, Some(DeflateError::Large { max: INFLATED_MAX }));
    assert!(deflate(&[6, 8], &slow, INFLATED_MAX).is_ok());
}

proptest! {
    #[test]
    fn what_is_deflated_by_any_level_inflates_and_is_recognised(
        runs in proptest::collection::vec((any::<u8>(), 1..400_usize, any::<bool>()), 0..60),
        level in 1..=9_u8,
        memory_level in 8..=9_u8,
    ) {
        let plain: Vec<u8> = runs
            .iter()
            .flat_map(|&(byte, count, same)| (0..count).map(move |at| if same { byte } else { byte ^ ((at * at) >> 3) as u8 }))
            .collect();
        let stream = deflate(&[level, memory_level], &plain, INFLATED_MAX).unwrap();
        let inflated = inflate(&stream, INFLATED_MAX).unwrap();
        prop_assert_eq!(&inflated.data_set, &plain);
        prop_assert_eq!(deflate(&inflated.recipe, &plain, stream.len()), Ok(stream));
    }

    #[test]
    fn any_bytes_inflate_or_are_refused_without_panic(bytes: Vec<u8>, recipe: Vec<u8>) {
        let _ = inflate(&bytes, 1 << 16);
        let _ = deflate(&recipe, &bytes, 1 << 16);
    }
}
