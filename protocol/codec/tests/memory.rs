//! Coding takes the same memory for a group of CT slices and for an Instance that fits in no memory.
//!
//! The goal is a spoke that packs 1,000 Instances of 512 KB inside 200 MB, one coder of 64 MiB included. The figure is
//! the peak of the whole test process, read from the kernel, so this file holds one test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod peak;

use peak::peak_bytes;
use radmesh_codec::group::{Profile, Source, decode, encode};
use std::io::{self, Read, Seek, SeekFrom};

/// Pixels of nothing but noise, made as they are read: they lie nowhere.
struct Pixels {
    bytes: u64,
}

struct Made {
    left: u64,
    state: u32,
}

impl Read for Made {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let step = usize::try_from(self.left).unwrap_or(out.len()).min(out.len());
        for byte in &mut out[..step] {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (self.state >> 24) as u8;
        }
        self.left -= step as u64;
        Ok(step)
    }
}

impl Source for Pixels {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Made { left: self.bytes, state: 1 }))
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[test]
fn coding_and_decoding_stay_under_64_mib_whatever_the_size() {
    // More than the window, so that every table is in use.
    let cine = Pixels { bytes: 9 * 512 * 1024 };
    let mut coded = tempfile::tempfile().unwrap();
    let stats = encode(&[&cine], Profile::Max, &mut coded).unwrap();
    coded.seek(SeekFrom::Start(0)).unwrap();
    decode(coded, &stats.contents, |_| Ok(Box::new(io::sink()))).unwrap();
    assert!(peak_bytes() < 64 * 1024 * 1024, "peak {} bytes", peak_bytes());
}
