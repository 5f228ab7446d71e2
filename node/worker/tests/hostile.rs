//! Files that claim what they don't hold get an error that says so, in the memory of what they do hold.
//!
//! The peak of the whole test process is read from the kernel, so this file holds one test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use radmesh_codec::scan::Form;
use radmesh_worker::preview::{Allowance, PreviewError, StreamFlaw, render};

const NATIVE: &str = "1.2.840.10008.1.2.1\0";
const RLE: &str = "1.2.840.10008.1.2.5\0";
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
const PEAK_BYTES_MAX: u64 = 64 * 1024 * 1024;

fn element(tag: u32, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let tag = [((tag >> 16) as u16).to_le_bytes(), (tag as u16).to_le_bytes()].concat();
    [&tag, vr.as_slice(), &(value.len() as u16).to_le_bytes(), value].concat()
}

/// An image of 16 bits of grey that says it has these dimensions and frames.
fn image(syntax: &str, rows: u16, columns: u16, frames: &str, pixels: &[u8]) -> Vec<u8> {
    let figure = |tag, figure: u16| element(tag, b"US", &figure.to_le_bytes());
    let mut file = [
        vec![0; 128],
        b"DICM".to_vec(),
        element(0x0002_0010, b"UI", syntax.as_bytes()),
        element(0x0008_0018, b"UI", b"1.2\0"),
        element(0x0020_000D, b"UI", b"1.3\0"),
        figure(0x0028_0002, 1),
        element(0x0028_0008, b"IS", frames.as_bytes()),
        figure(0x0028_0010, rows),
        figure(0x0028_0011, columns),
        figure(0x0028_0100, 16),
        figure(0x0028_0101, 16),
    ]
    .concat();
    let length = (pixels.len() as u32).to_le_bytes();
    let head = b"\xE0\x7F\x10\0OB\0\0".as_slice();
    if syntax == NATIVE {
        file.extend([head, &length, pixels].concat());
    } else {
        let item = b"\xFE\xFF\0\xE0".as_slice();
        let end = b"\xFE\xFF\xDD\xE0\0\0\0\0".as_slice();
        file.extend([head, &[0xFF; 4], item, &[0; 4], item, &length, pixels, end].concat());
    }
    file
}

fn why(file: &[u8], frame: u32) -> PreviewError {
    render(&file.to_vec(), Form::File, frame, Allowance::FULL).expect_err("no picture can be right")
}

/// Peak resident memory of this process, in bytes (`proc(5)`, `VmHWM`).
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A JPEG header of these dimensions, and no image.
fn jpeg(rows: u16, columns: u16) -> Vec<u8> {
    let ([r0, r1], [c0, c1]) = (rows.to_be_bytes(), columns.to_be_bytes());
    vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, r0, r1, c0, c1, 1, 1, 0x11, 0, 0xFF, 0xD9]
}

#[test]
fn false_claims_are_refused_in_the_memory_of_what_is_there() {
    let flaw = |file: &[u8]| match why(file, 0) {
        PreviewError::Stream { flaw } => flaw,
        other => panic!("{other}"),
    };
    let huge = image(NATIVE, 65_535, 65_535, "1 ", &[0; 4]);
    assert!(huge.len() < 300);
    assert!(matches!(why(&huge, 0), PreviewError::TooLarge { pixels: 4_294_836_225, .. }));
    assert!(matches!(why(&image(NATIVE, 0, 9, "1 ", &[0; 4]), 0), PreviewError::Empty { what: "Rows" }));
    assert!(matches!(why(&image(NATIVE, 9, 0, "1 ", &[0; 4]), 0), PreviewError::Empty { what: "Columns" }));
    let cine = image(NATIVE, 1, 2, "4294967295", &[0; 8]);
    for frame in [2, 3_000_000_000, u32::MAX] {
        assert!(matches!(why(&cine, frame), PreviewError::NoFrame { .. }), "frame {frame}");
    }
    assert!(render(&cine, Form::File, 1, Allowance::FULL).is_ok(), "the second frame is there");
    let short = image(NATIVE, 8000, 8000, "1 ", &[0; 100]);
    assert!(matches!(why(&short, 0), PreviewError::PixelsShort { needed: 128_000_000, there: 100 }));
    let mut cut = image(NATIVE, 8, 8, "1 ", &[0; 128]);
    cut.truncate(cut.len() - 1);
    assert!(matches!(why(&cut, 0), PreviewError::NotWhole { .. }));

    let claims = image(JPEG, 8000, 8000, "1 ", &jpeg(8000, 8000));
    assert!(matches!(flaw(&claims), StreamFlaw::Claim { pixels: 64_000_000, .. }));
    let other = image(JPEG, 16, 16, "1 ", &jpeg(8000, 8000));
    assert_eq!(flaw(&other), StreamFlaw::Contradicts { rows: 8000, columns: 8000, components: 1 });
    assert_eq!(flaw(&image(JPEG, 16, 16, "1 ", &jpeg(16, 16))), StreamFlaw::Decoder);
    let segments = [u32::MAX.to_le_bytes().as_slice(), &[0; 60]].concat();
    assert_eq!(flaw(&image(RLE, 16, 16, "1 ", &segments)), StreamFlaw::Header);
    let size = [900_u32, 900, 0, 0, 1, 1, 0, 0].map(u32::to_be_bytes);
    let of_tiles = [&[0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0], size.as_flattened(), &[0, 1, 15, 1, 1, 0]].concat();
    assert_eq!(flaw(&image(JPEG_2000, 900, 900, "1 ", &of_tiles)), StreamFlaw::Process, "810,000 tiles");
    assert_eq!(flaw(&image(JPEG_2000, 9, 9, "1 ", &[0xFF, 0x4F])), StreamFlaw::Header);
    assert!(matches!(why(&image(JPEG, 9, 9, "9 ", &jpeg(9, 9)), 8), PreviewError::NoFrame { frame: 8, .. }));

    let peak = peak_bytes();
    assert!(peak < PEAK_BYTES_MAX, "{peak} bytes at the peak");
}
