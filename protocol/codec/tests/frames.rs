//! A coded frame comes apart into its samples and together again byte for byte, whoever coded it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod peak;
mod stream;

use peak::peak_bytes;
use proptest::prelude::*;
use radmesh_codec::{
    frame::{Cells, Coding, Plane, PutTogetherError, TakenApart, decode_jpeg, put_together, shape, take_apart},
    scan::{Form, PixelForm, scan},
};
use std::path::PathBuf;
use stream::*;

const SAMPLES_MAX: usize = 1 << 24;
const JPEG_LOSSLESS: u8 = 0xC3;
const JPEG_LS: u8 = 0xF7;

/// One frame of `tests/frames`: the image it shows, and who coded it.
struct Coded {
    image: String,
    encoder: String,
    bytes: Vec<u8>,
}

fn folder() -> PathBuf {
    PathBuf::from(format!("{}/tests/frames", env!("CARGO_MANIFEST_DIR")))
}

fn coded_frames() -> Vec<Coded> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let (image, encoder) = (path.file_stem().unwrap(), path.extension().unwrap());
        let (image, encoder) = (image.to_str().unwrap().to_owned(), encoder.to_str().unwrap().to_owned());
        if encoder != "raw" && encoder != "py" {
            found.push(Coded { image, encoder, bytes: std::fs::read(&path).unwrap() });
        }
    }
    assert!(found.len() >= 40);
    found
}

fn coding(frame: &Coded) -> Coding {
    let (columns, rows, samples_per_pixel, bits_allocated) = match frame.image.as_str() {
        "grey8" => (29, 24, 1, 8),
        "grey12" => (31, 19, 1, 16),
        "grey16" => (21, 17, 1, 16),
        _ => (25, 18, 3, 8),
    };
    match frame.encoder.ends_with("rle") {
        true => Coding::Rle(Cells { columns, rows, samples_per_pixel, bits_allocated }),
        false => Coding::Jpeg,
    }
}

/// Takes apart and asserts that it comes together again.
fn apart(coding: Coding, coded: &[u8]) -> Option<TakenApart> {
    let parts = take_apart(coding, coded, SAMPLES_MAX)?;
    assert_eq!(shape(&parts.recipe).unwrap(), parts.samples.shape());
    assert_eq!(put_together(&parts.recipe, &parts.samples, coded.len()).unwrap(), coded);
    Some(parts)
}

/// How far off an encoder was told that a sample may be.
fn near(encoder: &str) -> u16 {
    let digits = encoder.split_once("near").map(|(_, near)| near.trim_end_matches("-sample"));
    digits.map_or(0, |digits| digits.parse().unwrap())
}

#[test]
fn frames_of_the_encoders_that_hospitals_run_show_the_samples_that_were_coded() {
    for frame in coded_frames() {
        let name = format!("{}.{}", frame.image, frame.encoder);
        let raw = std::fs::read(folder().join(format!("{}.raw", frame.image))).unwrap();
        let cut = u32::from(frame.encoder.ends_with("-pt"));
        let expected: Vec<u16> = raw.chunks_exact(2).map(|s| u16::from_le_bytes([s[0], s[1]]) >> cut).collect();
        let near = near(&frame.encoder);
        let shown = if near == 0 {
            let parts = apart(coding(&frame), &frame.bytes).unwrap_or_else(|| panic!("{name} stays as it is"));
            assert!(parts.recipe.len() < 256, "{name} has a recipe of {} bytes", parts.recipe.len());
            parts.samples
        } else {
            assert!(apart(coding(&frame), &frame.bytes).is_none(), "{name} would cost more");
            decode_jpeg(&frame.bytes, SAMPLES_MAX).unwrap_or_else(|| panic!("{name} can't be shown"))
        };
        let samples: Vec<u16> = shown.planes.into_iter().flat_map(|plane| plane.samples).collect();
        let is_near = |(shown, coded): (&u16, &u16)| shown.abs_diff(*coded) <= near;
        let is_shown = samples.len() == expected.len() && samples.iter().zip(&expected).all(is_near);
        assert!(is_shown && (near == 0 || samples != expected), "{name} shows other samples");
    }
}

#[test]
fn frames_of_real_files_come_apart() {
    let root = format!("{}/../../tests/data", env!("CARGO_MANIFEST_DIR"));
    for (file, frames) in [
        ("pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm", 1),
        ("pydicom-data/emri_small_jpeg_ls_lossless.dcm", 10),
        ("pydicom-data/OBXXXX1A_rle_2frame.dcm", 2),
    ] {
        let bytes = std::fs::read(format!("{root}/{file}")).unwrap();
        let found = scan(bytes.as_slice(), Form::File).unwrap();
        let PixelForm::Encapsulated { fragments } = found.pixel_data.unwrap().form else { panic!("{file}") };
        let image = found.image;
        let coding = match found.origin.transfer_syntax.as_str() {
            "1.2.840.10008.1.2.5" => Coding::Rle(Cells {
                columns: image.columns.unwrap(),
                rows: image.rows.unwrap(),
                samples_per_pixel: image.samples_per_pixel.unwrap(),
                bits_allocated: image.bits_allocated.unwrap(),
            }),
            _ => Coding::Jpeg,
        };
        assert_eq!(fragments.kept.len(), frames + 1);
        for fragment in &fragments.kept[1..] {
            assert!(apart(coding, &bytes[fragment.start as usize..fragment.end as usize]).is_some(), "{file}");
        }
    }
}

/// What a proptest draws of a frame.
fn drawn() -> impl Strategy<Value = (u32, u32, usize, Vec<Picture>, u32)> {
    let size = prop_oneof![Just(1_u32), 1..40_u32];
    (size.clone(), size, prop_oneof![Just(1_usize), Just(3)], proptest::collection::vec(picture(), 3), any::<u32>())
}

fn planes(pictures: &[Picture], count: usize, size: (u32, u32), bits: u8, seed: u32) -> Vec<Plane> {
    let plane = |at: usize| plane(pictures[at], size.0, size.1, bits, seed.wrapping_add(at as u32));
    (0..count).map(plane).collect()
}

proptest! {
    #[test]
    fn jpeg_lossless_of_any_depth_predictor_and_scans_comes_back(
        (width, height, count, pictures, seed) in drawn(),
        (bits, predictor, cut) in (2..=16_u8, 1..=7_u8, 0..=1_u8),
        (restart_rows, interleaved, padding) in (0..4_u32, any::<bool>(), 0..=1_u8),
    ) {
        let samples = samples(bits, planes(&pictures, count, (width, height), bits - cut, seed));
        let head = [frame_header(JPEG_LOSSLESS, bits, width, height, count), tables(0),
            restart_interval(restart_rows * width)].concat();
        let ids: Vec<u8> = (1..=count as u8).collect();
        let mut scans: Vec<Vec<u8>> = if interleaved { vec![scan_header(&ids, [predictor, 0, cut])] } else {
            ids.iter().map(|id| scan_header(&[*id], [predictor, 0, cut])).collect()
        };
        scans[0] = [head, scans[0].clone()].concat();
        let samples = radmesh_codec::frame::Samples { bits: bits - cut, ..samples };
        let recipe = jpeg_recipe(bits - cut, &scans, padding, &[0xFF, 0xD9, 0]);
        let coded = put_together(&recipe, &samples, usize::MAX).unwrap();
        prop_assert_eq!(apart(Coding::Jpeg, &coded).map(|parts| parts.samples), Some(samples));
    }

    #[test]
    fn jpeg_ls_of_any_depth_interleave_and_preset_comes_back(
        (width, height, count, pictures, seed) in drawn(),
        (bits, interleave, reset) in (2..=16_u8, 0..=2_u8, prop_oneof![Just(0_u16), 3..200_u16]),
    ) {
        let samples = samples(bits, planes(&pictures, count, (width, height), bits, seed));
        let interleave = if count == 1 { 0 } else { interleave };
        let head = [frame_header(JPEG_LS, bits, width, height, count), preset([0, 0, 0, 0, reset])].concat();
        let ids: Vec<u8> = (1..=count as u8).collect();
        let mut scans: Vec<Vec<u8>> = if interleave > 0 { vec![scan_header(&ids, [0, interleave, 0])] } else {
            ids.iter().map(|id| [&[0], scan_header(&[*id], [0, 0, 0]).as_slice()].concat()).collect()
        };
        scans[0] = [head, scans[0].clone()].concat();
        // Behind a scan a zero: a last byte of ones needs the byte with a stuffed bit that every encoder writes.
        let recipe = jpeg_recipe(bits, &scans, 0, &[0, 0xFF, 0xD9]);
        let coded = put_together(&recipe, &samples, usize::MAX).unwrap();
        prop_assert_eq!(apart(Coding::Jpeg, &coded).map(|parts| parts.samples), Some(samples));
    }

    #[test]
    fn rle_of_any_depth_and_habit_comes_back(
        (width, height, count, pictures, seed) in drawn(),
        (bytes, habit) in (prop_oneof![Just(1_usize), Just(2), Just(4)], 0..48_u8),
    ) {
        let bits = 8 * bytes.min(2) as u8;
        let pictures = pictures.repeat(2);
        let samples = samples(bits, planes(&pictures, count * bytes.div_ceil(2), (width, height), bits, seed));
        let (columns, rows) = (width as u16, height as u16);
        let recipe = rle_recipe(columns, rows, count as u8, 8 * bytes as u8, habit);
        let coded = put_together(&recipe, &samples, usize::MAX).unwrap();
        let cells = Cells { columns, rows, samples_per_pixel: count as u16, bits_allocated: 8 * bytes as u16 };
        prop_assert_eq!(apart(Coding::Rle(cells), &coded).map(|parts| parts.samples), Some(samples));
    }

    #[test]
    fn damaged_frames_recipes_and_samples_never_panic(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        kept in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let frames = coded_frames();
        let frame = which.get(&frames);
        let damage = |bytes: &[u8]| {
            let mut bytes = bytes[..if cut { kept.index(bytes.len()) } else { bytes.len() }].to_vec();
            for (at, value) in changes.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            bytes
        };
        let _ = apart(coding(frame), &damage(&frame.bytes));
        if coding(frame) == Coding::Jpeg {
            let _ = decode_jpeg(&damage(&frame.bytes), SAMPLES_MAX);
        }
        let Some(mut parts) = apart(coding(frame), &frame.bytes) else { return Ok(()) };
        let recipe = damage(&parts.recipe);
        let _ = shape(&recipe);
        for max in [0, frame.bytes.len(), 1 << 20] {
            if let Ok(bytes) = put_together(&recipe, &parts.samples, max) {
                prop_assert!(bytes.len() <= max);
            }
        }
        for (at, value) in &changes {
            let plane = &mut parts.samples.planes[0].samples;
            let at = at.index(plane.len());
            plane[at] = u16::from(*value) << 8;
        }
        let _ = put_together(&parts.recipe, &parts.samples, 1 << 20);
    }
}

fn sample_frame() -> (Vec<u8>, TakenApart) {
    let coded = std::fs::read(folder().join("grey12.dcmtk-el6")).unwrap();
    let parts = apart(Coding::Jpeg, &coded).unwrap();
    (coded, parts)
}

#[test]
fn segments_of_a_vendor_and_bytes_behind_the_end_come_back() {
    let (coded, parts) = sample_frame();
    let private = [&coded[..2], &[0xFF, 0xE9, 0, 6, 1, 0xFF, 0xDA, 4], &coded[2..], b"\0ends here\xFF"].concat();
    assert_eq!(apart(Coding::Jpeg, &private).unwrap().samples, parts.samples);
}

#[test]
fn a_larger_frame_than_allowed_is_neither_taken_apart_nor_put_together() {
    let (coded, parts) = sample_frame();
    let samples = 31 * 19;
    assert!(take_apart(Coding::Jpeg, &coded, samples).is_some());
    assert!(take_apart(Coding::Jpeg, &coded, samples - 1).is_none());
    let max = coded.len() - 1;
    assert_eq!(put_together(&parts.recipe, &parts.samples, max), Err(PutTogetherError::Large { max }));
}

#[test]
fn samples_of_another_shape_or_number_are_refused() {
    let (_, parts) = sample_frame();
    let mut fewer = parts.samples.clone();
    fewer.planes[0].samples.pop();
    let mut turned = parts.samples.clone();
    (turned.planes[0].width, turned.planes[0].height) = (19, 31);
    for samples in [fewer, turned] {
        assert_eq!(put_together(&parts.recipe, &samples, usize::MAX), Err(PutTogetherError::Samples));
    }
}

#[test]
fn a_short_stream_that_claims_a_large_frame_takes_no_more_memory_than_its_bytes_code() {
    let head = |sof| frame_header(sof, 16, 60_000, 60_000, 1);
    let lossless = [head(JPEG_LOSSLESS), tables(0), scan_header(&[1], [1, 0, 0]), vec![0x55; 100]].concat();
    let ls = [head(JPEG_LS), scan_header(&[1], [0, 0, 0]), vec![0x55; 100]].concat();
    let rle = [[1_u8, 0, 0, 0], [64, 0, 0, 0]].concat();
    let rle = [rle, vec![0; 56], vec![0x81, 0, 0x81, 0]].concat();
    let cells = Cells { columns: 60_000, rows: 60_000, samples_per_pixel: 1, bits_allocated: 8 };
    for (coding, coded) in [(Coding::Jpeg, lossless), (Coding::Jpeg, ls), (Coding::Rle(cells), rle)] {
        assert!(take_apart(coding, &coded, usize::MAX).is_none());
    }
    assert!(peak_bytes() < 256 * 1024 * 1024, "peak {} bytes", peak_bytes());
}

#[test]
fn samples_of_more_bits_than_said_are_refused() {
    for name in ["grey8.gdcm-jpeg", "grey8.dcmtk-jls", "grey8.dcmtk-rle"] {
        let (image, encoder) = name.split_once('.').unwrap();
        let bytes = std::fs::read(folder().join(name)).unwrap();
        let frame = Coded { image: image.to_owned(), encoder: encoder.to_owned(), bytes };
        let mut parts = apart(coding(&frame), &frame.bytes).unwrap();
        parts.samples.planes[0].samples[5] = 1 << parts.samples.bits;
        let refused = put_together(&parts.recipe, &parts.samples, usize::MAX);
        assert_eq!(refused, Err(PutTogetherError::Samples), "{name}");
    }
}

#[test]
fn samples_above_the_largest_that_a_preset_allows_are_refused() {
    let segments =
        [frame_header(JPEG_LS, 8, 4, 1, 1), preset([200, 0, 0, 0, 0]), scan_header(&[1], [0, 0, 0])].concat();
    let recipe = jpeg_recipe(8, &[segments], 0, &[0xFF, 0xD9]);
    let row = |last| samples(8, vec![Plane { width: 4, height: 1, samples: vec![1, 2, 3, last] }]);
    assert!(put_together(&recipe, &row(200), usize::MAX).is_ok());
    assert_eq!(put_together(&recipe, &row(201), usize::MAX), Err(PutTogetherError::Samples));
}

#[test]
fn a_lossy_frame_stays_as_it_is() {
    let coded = std::fs::read(folder().join("grey12.dcmtk-jls")).unwrap();
    let header = coded.windows(4).position(|bytes| bytes == [0xFF, 0xDA, 0, 8]).unwrap();
    let mut lossy = coded.clone();
    // NEAR stands behind the marker, its length, the count and the one component.
    lossy[header + 7] = 1;
    let parts = apart(Coding::Jpeg, &coded).unwrap();
    assert!(take_apart(Coding::Jpeg, &lossy, SAMPLES_MAX).is_none());
    let header = parts.recipe.windows(4).position(|bytes| bytes == [0xFF, 0xDA, 0, 8]).unwrap();
    let mut recipe = parts.recipe;
    recipe[header + 7] = 1;
    assert_eq!(put_together(&recipe, &parts.samples, lossy.len()), Err(PutTogetherError::Recipe));
}

#[test]
fn the_pad_byte_that_gdcm_packs_with_an_odd_frame_comes_back() {
    // What GDCM 3.0.21 writes for one 8-bit sample: a literal run of the sample and the data set's pad byte.
    let header = [[1_u8, 0, 0, 0], [64, 0, 0, 0]].concat();
    let frame = [header, vec![0; 56], vec![0x01, 0xFF, 0x00, 0x00]].concat();
    let cells = Cells { columns: 1, rows: 1, samples_per_pixel: 1, bits_allocated: 8 };
    assert_eq!(apart(Coding::Rle(cells), &frame).unwrap().samples.planes[0].samples, [0xFF]);
}

#[test]
fn an_rle_header_that_says_more_than_its_segments_comes_back() {
    let mut frame = std::fs::read(folder().join("grey8.dcmtk-rle")).unwrap();
    frame[60] = 7;
    let cells = Cells { columns: 29, rows: 24, samples_per_pixel: 1, bits_allocated: 8 };
    assert!(apart(Coding::Rle(cells), &frame).is_some());
}
