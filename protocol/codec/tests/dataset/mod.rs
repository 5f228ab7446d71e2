//! Data sets made by hand, true and false ones, for the tests and examples of the scanner.
//!
//! Nothing here uses the scanner's own code, so a rule that both got wrong would still show.

use flate2::{Compression, write::DeflateEncoder};
use std::io::Write;

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// One element in explicit VR little endian; `length` is what its head says, whatever `value` holds.
pub(crate) fn element_saying(tag: u32, vr: &[u8; 2], length: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = head(tag);
    bytes.extend(vr);
    if matches!(vr, b"OB" | b"OW" | b"SQ" | b"UN" | b"UT") {
        bytes.extend([0, 0]);
        bytes.extend(length.to_le_bytes());
    } else {
        bytes.extend((length as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

pub(crate) fn element(tag: u32, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
    element_saying(tag, vr, value.len() as u32, value)
}

/// One element in implicit VR little endian.
pub(crate) fn implicit(tag: u32, value: &[u8]) -> Vec<u8> {
    [head(tag), (value.len() as u32).to_le_bytes().to_vec(), value.to_vec()].concat()
}

/// An item or delimiter.
pub(crate) fn item(tag: u32, length: u32) -> Vec<u8> {
    [head(tag), length.to_le_bytes().to_vec()].concat()
}

fn head(tag: u32) -> Vec<u8> {
    [((tag >> 16) as u16).to_le_bytes(), (tag as u16).to_le_bytes()].concat()
}

/// Preamble and meta of a file in this transfer syntax.
pub(crate) fn meta(transfer_syntax: &str) -> Vec<u8> {
    let mut padded = transfer_syntax.as_bytes().to_vec();
    padded.resize(padded.len().next_multiple_of(2), 0);
    let syntax = element(0x0002_0010, b"UI", &padded);
    let length = element(0x0002_0000, b"UL", &(syntax.len() as u32).to_le_bytes());
    [vec![0; 128], b"DICM".to_vec(), length, syntax].concat()
}

/// The UIDs without which nothing is taken in, and a name.
pub(crate) fn identity() -> Vec<u8> {
    [
        element(0x0008_0016, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        element(0x0008_0018, b"UI", b"1.2.3.4\0"),
        element(0x0010_0010, b"PN", b"Banda^Grace "),
        element(0x0020_000D, b"UI", b"1.2.3\0"),
        element(0x0020_000E, b"UI", b"1.2.3.1\0"),
    ]
    .concat()
}

/// 265 bytes whose first element says it has 4.2 GB.
pub(crate) fn false_length() -> Vec<u8> {
    let mut file = meta(EXPLICIT);
    file.extend(element_saying(0x0008_0008, b"UT", 0xFFFF_FFF0, &[]));
    file.resize(265, b'A');
    file
}

/// 815 KB that inflate to 800 MB.
pub(crate) fn deflate_bomb() -> Vec<u8> {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    let pixels = element_saying(0x7FE0_0010, b"OW", 800 << 20, &[]);
    deflated.write_all(&[identity(), pixels].concat()).expect("a Vec takes every write");
    let zeros = vec![0; 1 << 20];
    for _ in 0..800 {
        deflated.write_all(&zeros).expect("a Vec takes every write");
    }
    [meta(DEFLATED), deflated.finish().expect("a Vec takes every write")].concat()
}

/// 240 KB of sequences, each in an item of the one before.
pub(crate) fn deep_sequences() -> Vec<u8> {
    let level = [element_saying(0x0040_0275, b"SQ", u32::MAX, &[]), item(0xFFFE_E000, u32::MAX)].concat();
    [meta(EXPLICIT), identity(), level.repeat(12_000)].concat()
}

/// Pixel data that says it goes on past the end of the file.
pub(crate) fn length_past_the_end() -> Vec<u8> {
    [meta(EXPLICIT), identity(), element_saying(0x7FE0_0010, b"OW", 4_000_000_000, &[7; 50_000])].concat()
}

/// The four hostile files, by name.
pub(crate) fn hostile() -> [(&'static str, Vec<u8>); 4] {
    [
        ("false-length.dcm", false_length()),
        ("deflate-bomb.dcm", deflate_bomb()),
        ("deep-sequences.dcm", deep_sequences()),
        ("length-past-the-end.dcm", length_past_the_end()),
    ]
}
