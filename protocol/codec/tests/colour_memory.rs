//! A colour picture, which takes three models, is coded and decoded in the memory of a small computer.
//!
//! The figure is the peak of the whole test process, read from the kernel, so this file holds one test. It starts itself
//! anew as the node starts its children: with an allocator that gives back what is freed (mallopt(3)).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod dataset;
mod peak;

use dataset::element;
use peak::peak_bytes;
use radmesh_codec::{
    group::{Profile, Source, decode, encode},
    limits::FREED_MEMORY_RETURNS,
};
use std::{
    env::{current_exe, var_os},
    io,
    process::Command,
};

const COLUMNS: u16 = 640;
const ROWS: u16 = 480;

/// One frame of an ultrasound's size, each colour a slope with noise.
fn picture() -> Vec<u8> {
    let samples = u32::from(COLUMNS) * u32::from(ROWS) * 3;
    let noise = |at: u32| at.wrapping_mul(2_654_435_761) >> 28;
    let pixels: Vec<u8> = (0..samples).map(|at| (at / 30_000 + at % 3 * 20 + noise(at)) as u8).collect();
    let us = |tag, value: u16| element(tag, b"US", &value.to_le_bytes());
    [
        dataset::meta(dataset::EXPLICIT),
        dataset::identity(),
        us(0x0028_0002, 3),
        element(0x0028_0004, b"CS", b"RGB "),
        us(0x0028_0006, 0),
        us(0x0028_0010, ROWS),
        us(0x0028_0011, COLUMNS),
        us(0x0028_0100, 8),
        us(0x0028_0101, 8),
        us(0x0028_0103, 0),
        element(0x7FE0_0010, b"OB", &pixels),
    ]
    .concat()
}

#[test]
fn a_colour_picture_takes_less_than_64_mib() {
    let (name, value) = FREED_MEMORY_RETURNS;
    if var_os(name).is_none() {
        let again = Command::new(current_exe().unwrap()).env(name, value).status().unwrap();
        assert!(again.success());
        return;
    }
    let picture = picture();
    let mut coded = Vec::new();
    let stats = encode(&[&picture as &dyn Source], Profile::Max, &mut coded).unwrap();
    assert!(stats.parts.pixels > 0, "it went as {:?}", stats.parts);
    decode(&coded[..], &stats.contents, |_| Ok(Box::new(io::sink()))).unwrap();
    assert!(peak_bytes() < 64 * 1024 * 1024, "peak {} bytes", peak_bytes());
}
