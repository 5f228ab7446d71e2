//! JPEG streams and RLE frames of any shape, for the tests of frames.
//!
//! The segments are written here by the standards' words (T.81 annex B, T.87 annex C); the recipe around them, as
//! `src/frame/jpeg.rs` and `rle.rs` lay it out, lets the crate's own coders fill in the rest.

use proptest::prelude::*;
use radmesh_codec::frame::{Plane, Samples};

/// What kind of picture a plane holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Picture {
    Noise,
    Constant,
    Extremes,
    Ramp,
}

pub(crate) fn picture() -> impl Strategy<Value = Picture> {
    prop_oneof![Just(Picture::Noise), Just(Picture::Constant), Just(Picture::Extremes), Just(Picture::Ramp)]
}

/// A plane of samples of at most `bits` bits.
pub(crate) fn plane(picture: Picture, width: u32, height: u32, bits: u8, seed: u32) -> Plane {
    let top = (1_u32 << bits) - 1;
    let mut chance = seed;
    let mut next = || {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        chance >> 8
    };
    let samples = (0..width * height).map(|at| {
        let value = match picture {
            Picture::Noise => next() & top,
            Picture::Constant => seed & top,
            Picture::Extremes => top * (next() >> 9 & 1),
            Picture::Ramp => (at % width * 3 + at / width * 2 + (next() & 1)) & top,
        };
        value as u16
    });
    Plane { width, height, samples: samples.collect() }
}

pub(crate) fn samples(bits: u8, planes: Vec<Plane>) -> Samples {
    Samples { bits, planes }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
}

/// SOI, a comment and the frame header: SOF3 or SOF55.
pub(crate) fn frame_header(sof: u8, bits: u8, width: u32, height: u32, planes: usize) -> Vec<u8> {
    let size = [(height as u16).to_be_bytes(), (width as u16).to_be_bytes()].concat();
    let components: Vec<u8> = (1..=planes as u8).flat_map(|id| [id, 0x11, 0]).collect();
    let frame = [&[bits], size.as_slice(), &[planes as u8], &components].concat();
    [vec![0xFF, 0xD8], segment(0xFE, b"made by hand"), segment(sof, &frame)].concat()
}

/// A Huffman table with a code for each of the 17 categories, of 2 to 14 bits.
pub(crate) fn tables(destination: u8) -> Vec<u8> {
    let counts = [0, 1, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0];
    segment(0xC4, &[&[destination], &counts[..], &(0..17).collect::<Vec<u8>>()].concat())
}

pub(crate) fn restart_interval(mcus: u32) -> Vec<u8> {
    segment(0xDD, &(mcus as u16).to_be_bytes())
}

/// LSE with MAXVAL, T1, T2, T3 and RESET.
pub(crate) fn preset(values: [u16; 5]) -> Vec<u8> {
    segment(0xF8, &[&[1], values.map(u16::to_be_bytes).concat().as_slice()].concat())
}

/// SOS over `planes` (component ids from 1) with the three parameters.
pub(crate) fn scan_header(planes: &[u8], parameters: [u8; 3]) -> Vec<u8> {
    let components: Vec<u8> = planes.iter().flat_map(|id| [*id, 0]).collect();
    segment(0xDA, &[&[planes.len() as u8], components.as_slice(), &parameters].concat())
}

fn run(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut left = bytes.len();
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    [out, bytes.to_vec()].concat()
}

/// The recipe of a JPEG stream: the segments of each scan with its padding (0 zeros, 1 ones), and a trailer.
pub(crate) fn jpeg_recipe(bits: u8, scans: &[Vec<u8>], padding: u8, trailer: &[u8]) -> Vec<u8> {
    let mut recipe = vec![1, bits, scans.len() as u8];
    for segments in scans {
        recipe.extend(run(segments));
        recipe.push(padding);
    }
    recipe.extend(run(trailer));
    recipe
}

/// The recipe of an RLE frame, each segment packed by `habit`.
pub(crate) fn rle_recipe(columns: u16, rows: u16, samples_per_pixel: u8, bits_allocated: u8, habit: u8) -> Vec<u8> {
    let mut recipe = vec![2];
    for number in [columns, rows] {
        recipe.extend(if number < 0x80 { vec![number as u8] } else { vec![number as u8 | 0x80, (number >> 7) as u8] });
    }
    recipe.extend([samples_per_pixel, bits_allocated]);
    for _ in 0..samples_per_pixel * bits_allocated / 8 {
        recipe.extend([habit, 0, 0, 0]);
    }
    recipe
}
