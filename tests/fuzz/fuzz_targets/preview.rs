//! Any bytes as an Instance: a picture within its limits or an error, never a panic of ours, never memory beyond the
//! frame. Bytes that begin with no `DICM` are put behind the header of a small image, so that its pixels, compressed in
//! every syntax, are reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_codec::scan::Form;
use radmesh_worker::preview::{Allowance, limits::PREVIEW_BYTES_MAX, render};
use std::sync::Once;

const SYNTAXES: [&[u8]; 5] = [
    b"1.2.840.10008.1.2.1\0",
    b"1.2.840.10008.1.2.5\0",
    b"1.2.840.10008.1.2.4.50",
    b"1.2.840.10008.1.2.4.70",
    b"1.2.840.10008.1.2.4.90",
];

fuzz_target!(|bytes: &[u8]| {
    // The module turns a decoder's panic into an error; libFuzzer's hook would end the process before it can.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let file = panic.location().map_or("", |at| at.file());
            if !["jpeg-decoder", "hayro-jpeg2000", "dicom-"].iter().any(|decoder| file.contains(decoder)) {
                eprintln!("{panic}");
                std::process::abort();
            }
        }));
    });
    let instance = match bytes {
        [kind, pixels @ ..] if !bytes.get(128..).is_some_and(|rest| rest.starts_with(b"DICM")) => image(*kind, pixels),
        _ => bytes.to_vec(),
    };
    for frame in [0, 1] {
        if let Ok(preview) = render(&instance, Form::File, frame, Allowance::FULL) {
            assert!(preview.image.len() <= PREVIEW_BYTES_MAX as usize);
            assert!((1..=512).contains(&preview.width) && (1..=512).contains(&preview.height));
        }
    }
});

/// A file of 16 x 16 pixels; `kind` says how they are stored.
fn image(kind: u8, pixels: &[u8]) -> Vec<u8> {
    let syntax = SYNTAXES[usize::from(kind & 7) % SYNTAXES.len()];
    let (samples, colours): (u16, &[u8]) = if kind & 8 == 0 { (1, b"MONOCHROME2 ") } else { (3, b"YBR_FULL") };
    let bits: u16 = if kind & 16 == 0 { 8 } else { 16 };
    let mut file = [[0; 128].as_slice(), b"DICM"].concat();
    let mut put = |tag: [u8; 4], vr: &[u8; 2], value: &[u8]| {
        file.extend([tag.as_slice(), vr, &(value.len() as u16).to_le_bytes(), value].concat());
    };
    put([2, 0, 0x10, 0], b"UI", syntax);
    put([8, 0, 0x18, 0], b"UI", b"1.2\0");
    put([0x20, 0, 0x0D, 0], b"UI", b"1.3\0");
    put([0x28, 0, 2, 0], b"US", &samples.to_le_bytes());
    put([0x28, 0, 4, 0], b"CS", colours);
    put([0x28, 0, 8, 0], b"IS", b"2 ");
    put([0x28, 0, 0x10, 0], b"US", &[16, 0]);
    put([0x28, 0, 0x11, 0], b"US", &[16, 0]);
    put([0x28, 0, 0, 1], b"US", &bits.to_le_bytes());
    put([0x28, 0, 1, 1], b"US", &bits.to_le_bytes());
    put([0x28, 0, 3, 1], b"US", &[kind >> 5 & 1, 0]);
    let length = (pixels.len() as u32).to_le_bytes();
    if syntax.len() == 20 && syntax[18] == b'1' {
        file.extend([b"\xE0\x7F\x10\0OB\0\0".as_slice(), &length, pixels].concat());
    } else {
        file.extend(b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\0\0\0\0");
        file.extend([b"\xFE\xFF\0\xE0".as_slice(), &length, pixels].concat());
        file.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    }
    file
}
