//! A lossy JPEG comes back byte for byte and smaller, and no head or body makes its decoder take more than it may.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod peak;

use peak::peak_bytes;
use proptest::prelude::*;
use radmesh_codec::{
    frame::{BaselineError, decode_baseline, encode_baseline},
    scan::{Form, PixelForm, scan},
};

/// The frames of a fixture.
fn frames(file: &str) -> Vec<Vec<u8>> {
    let root = format!("{}/../../tests/data/pydicom", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(format!("{root}/{file}")).unwrap();
    let PixelForm::Encapsulated { fragments } = scan(bytes.as_slice(), Form::File).unwrap().pixel_data.unwrap().form
    else {
        panic!("{file}")
    };
    fragments.kept[1..].iter().map(|at| bytes[at.start as usize..at.end as usize].to_vec()).collect()
}

#[test]
fn an_ultrasound_cine_comes_back_and_smaller() {
    let frames = frames("examples_ybr_color.dcm");
    assert_eq!(frames.len(), 30);
    let (mut before, mut bodies) = (0, 0);
    let mut heads = Vec::new();
    for jpeg in &frames {
        let recoded = encode_baseline(jpeg).unwrap();
        assert_eq!(decode_baseline(&recoded.head, &recoded.body, jpeg.len()).unwrap(), *jpeg);
        before += jpeg.len();
        bodies += recoded.body.len();
        heads.extend(recoded.head);
    }
    let heads = zstd::encode_all(heads.as_slice(), 19).unwrap().len();
    assert!(heads + bodies < before * 8 / 10, "{before} became {heads} + {bodies}");
}

#[test]
fn bytes_behind_the_end_and_vendors_segments_come_back() {
    let jpeg = frames("SC_rgb_jpeg.dcm").remove(0);
    let odd = [&jpeg[..2], &[0xFF, 0xE9, 0, 6, 1, 2, 3, 4], &jpeg[2..], b"\0trailing"].concat();
    let recoded = encode_baseline(&odd).unwrap();
    assert_eq!(decode_baseline(&recoded.head, &recoded.body, odd.len()).unwrap(), odd);
}

#[test]
fn a_larger_jpeg_than_allowed_is_refused_by_its_size() {
    let jpeg = frames("SC_rgb_jpeg.dcm").remove(0);
    let recoded = encode_baseline(&jpeg).unwrap();
    let (bytes, max) = (jpeg.len(), jpeg.len() - 1);
    let refused = decode_baseline(&recoded.head, &recoded.body, max);
    assert_eq!(refused, Err(BaselineError::Large { bytes, max }));
}

/// A head's place of a mark.
fn at(head: &[u8], mark: &[u8]) -> usize {
    head.windows(mark.len()).position(|bytes| bytes == mark).unwrap()
}

#[test]
fn heads_that_would_take_gigabytes_or_hours_are_refused_before_they_are_believed() {
    let jpeg = frames("SC_rgb_jpeg.dcm").remove(0);
    let recoded = encode_baseline(&jpeg).unwrap();
    let refused = |what: &str, head: &[u8]| {
        assert_eq!(decode_baseline(head, &recoded.body, 1 << 20), Err(BaselineError::Head), "{what}");
    };
    let head = &recoded.head;
    let mut long = head.clone();
    long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    refused("segments of 4 GB", &long);
    let frame = at(head, &[0xFF, 0xC0]);
    let mut large = head.clone();
    large[frame + 5..frame + 9].fill(0x3F);
    refused("16,191 x 16,191 samples in 3 KB", &large);
    let place = at(head, b"HH\x01");
    let mut reserved = head.clone();
    reserved[place + 5..place + 9].fill(0xFF);
    refused("a scan of 4 GB", &reserved);
    let again = [&head[..place], &head[place..place + 19].repeat(2), &head[place + 19..]].concat();
    refused("the frame twice", &again);
    let scan = at(head, &[0xFF, 0xDA]);
    let scan_bytes = 2 + usize::from(u16::from_be_bytes([head[scan + 2], head[scan + 3]]));
    let mut scans = [&head[..scan], &head[scan..scan + scan_bytes].repeat(100), &head[scan + scan_bytes..]].concat();
    let segments = u32::from_le_bytes(head[8..12].try_into().unwrap()) + 99 * scan_bytes as u32;
    scans[8..12].copy_from_slice(&segments.to_le_bytes());
    refused("a hundred scans", &scans);
    let many = [head.as_slice(), b"CRS", &u32::MAX.to_le_bytes()].concat();
    refused("four thousand million restarts", &many);
    assert!(peak_bytes() < 256 * 1024 * 1024, "peak {} bytes", peak_bytes());
}

#[test]
fn a_jpeg_that_claims_more_blocks_than_it_has_bits_for_stays_as_it_is() {
    let mut jpeg = frames("SC_rgb_jpeg.dcm").remove(0);
    assert!(encode_baseline(&jpeg).is_some());
    let frame = at(&jpeg, &[0xFF, 0xC0]);
    jpeg[frame + 5..frame + 9].fill(0x3F);
    assert!(encode_baseline(&jpeg).is_none());
    assert!(peak_bytes() < 256 * 1024 * 1024, "peak {} bytes", peak_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_panics_and_never_gives_more_than_allowed(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_head: bool,
    ) {
        let jpeg = frames("SC_rgb_jpeg.dcm").remove(0);
        let mut recoded = encode_baseline(&jpeg).unwrap();
        let damaged = if in_head { &mut recoded.head } else { &mut recoded.body };
        for (at, value) in changes {
            let at = at.index(damaged.len());
            damaged[at] = value;
        }
        if let Ok(bytes) = decode_baseline(&recoded.head, &recoded.body, jpeg.len()) {
            prop_assert!(bytes.len() <= jpeg.len());
        }
        let mut jpeg = jpeg;
        let middle = jpeg.len() / 2;
        jpeg.truncate(middle + recoded.head.len() % 100);
        let _ = encode_baseline(&jpeg);
    }
}
