//! Any bytes as a coded group: decoding never panics and never writes more than was declared.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_codec::group::{Content, decode};
use std::{
    cell::Cell,
    io::{self, Write},
};

/// Counts down what may still be written.
struct Allowed<'a>(&'a Cell<u64>);

impl Write for Allowed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get().checked_sub(bytes.len() as u64).expect("no more is written than was declared"));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|input: (Vec<u16>, Vec<u8>)| {
    let (sizes, stream) = input;
    let expected: Vec<Content> =
        sizes.iter().map(|bytes| Content { bytes: u64::from(*bytes), hash: [0; 32] }).collect();
    let left = Cell::new(expected.iter().map(|content| content.bytes).sum());
    // Past the head of each encoding, so that what follows is reached.
    let headed = |encoding: u8| {
        let mut coded = vec![encoding, 1];
        coded.extend((sizes.len() as u32).to_be_bytes());
        coded.extend(sizes.iter().flat_map(|bytes| u64::from(*bytes).to_be_bytes()));
        coded.extend(&stream);
        coded
    };
    for coded in [&headed(1), &headed(3), &stream] {
        left.set(expected.iter().map(|content| content.bytes).sum());
        let _ = decode(coded.as_slice(), &expected, |_| Ok(Box::new(Allowed(&left))));
    }
});
