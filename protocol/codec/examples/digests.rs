//! Says what coding gives on this processor: `cargo run --release --example digests -- FILES`.
//!
//! A line for each group and profile: SHA-256 of the coded stream and the group's name. Every processor, optimisation
//! and instruction set must print the same lines, or what one node codes another may not decode; `../processors/run`
//! compares them. Each file is a group of its own; made pictures, whose layouts no fixture has, follow.

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/dataset/mod.rs"]
mod dataset;

use radmesh_codec::group::{Profile, Source, encode};
use sha2::{Digest, Sha256};
use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    for file in std::env::args().skip(1) {
        let name = Path::new(&file).file_name().ok_or("a name of a file")?.to_string_lossy().into_owned();
        digest(&name, &[fs::read(&file)?])?;
    }
    for made in MADE {
        digest(made.name, &(0..3).map(|number| made.file(number)).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn digest(name: &str, instances: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
    let sources: Vec<&dyn Source> = instances.iter().map(|bytes| bytes as &dyn Source).collect();
    for profile in [Profile::Max, Profile::Fast] {
        let mut stream = Vec::new();
        encode(&sources, profile, &mut stream)?;
        let hex: String = Sha256::digest(&stream).iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{hex}  {profile:?} {name}");
    }
    Ok(())
}

/// Three pictures of one layout, much alike.
struct Made {
    name: &'static str,
    columns: u16,
    rows: u16,
    colours: u16,
    bits_allocated: u16,
    bits_stored: u16,
    is_signed: bool,
    photometric: &'static str,
    /// What the samples are, of column, row and noise.
    sample: fn(u32, u32, u32) -> u32,
}

const GREY: Made = Made {
    name: "",
    columns: 96,
    rows: 80,
    colours: 1,
    bits_allocated: 16,
    bits_stored: 16,
    is_signed: false,
    photometric: "MONOCHROME2 ",
    sample: |_, _, noise| noise,
};

const MADE: [Made; 7] = [
    Made { name: "noise of 16 bits", ..GREY },
    Made { name: "extremes of 16 bits, signed", is_signed: true, sample: |_, _, noise| noise % 2 * 0xFFFF, ..GREY },
    Made {
        name: "smooth, 12 bits",
        bits_stored: 12,
        sample: |x, y, noise| 300 + x * x / 20 + y * 3 + noise % 6,
        ..GREY
    },
    Made { name: "few values, 16 bits", sample: |x, y, noise| (x / 9 + y / 7 + noise % 2) * 331, ..GREY },
    Made { name: "one row", columns: 4096, rows: 1, sample: |x, _, noise| x / 3 + noise % 9, ..GREY },
    Made { name: "32 bits", bits_allocated: 32, bits_stored: 32, sample: |x, y, noise| (x * y) << 12 | noise, ..GREY },
    Made {
        name: "colours",
        colours: 3,
        bits_allocated: 8,
        bits_stored: 8,
        photometric: "RGB ",
        sample: |x, y, noise| x / 2 + y + noise % 4,
        ..GREY
    },
];

impl Made {
    /// The file of one of them; its header has floating-point columns, which are foretold by additions.
    fn file(&self, number: u32) -> Vec<u8> {
        let mut noise = 12_345 + number;
        let mut pixels = Vec::new();
        for row in 0..u32::from(self.rows) {
            for cell in 0..u32::from(self.columns) * u32::from(self.colours) {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let sample = (self.sample)(cell / u32::from(self.colours), row, noise >> 16).wrapping_add(number);
                pixels.extend_from_slice(&sample.to_le_bytes()[..usize::from(self.bits_allocated / 8)]);
            }
        }
        let us = |tag, value: u16| dataset::element(tag, b"US", &value.to_le_bytes());
        let place = 0.1 * f64::from(number) - 7.3;
        [
            dataset::meta(dataset::EXPLICIT),
            dataset::identity(),
            dataset::element(0x0018_9073, b"FD", &place.to_le_bytes()),
            dataset::element(0x0018_9089, b"FD", &[place * 1.7, 2.5, place].map(f64::to_le_bytes).concat()),
            dataset::element(0x0018_9306, b"FL", &(place as f32).to_le_bytes()),
            us(0x0028_0002, self.colours),
            dataset::element(0x0028_0004, b"CS", self.photometric.as_bytes()),
            us(0x0028_0006, 0),
            us(0x0028_0010, self.rows),
            us(0x0028_0011, self.columns),
            us(0x0028_0100, self.bits_allocated),
            us(0x0028_0101, self.bits_stored),
            us(0x0028_0103, u16::from(self.is_signed)),
            dataset::element(0x7FE0_0010, b"OW", &pixels),
        ]
        .concat()
    }
}
