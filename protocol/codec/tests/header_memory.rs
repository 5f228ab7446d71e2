//! Two coded bytes can't make a decoder of headers take the memory of the Instance they declare.
//!
//! The figure is the peak of the whole test process, read from the kernel, so this file holds one test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod peak;

use peak::peak_bytes;
use radmesh_codec::{
    header::{HeaderError, decode},
    limits::{HEADER_BYTES_MAX, INSTANCE_BYTES_MAX},
};
use std::io::{self, Read};

#[test]
fn a_bomb_is_refused_at_the_limit_of_headers_and_costs_no_more_memory_than_that() {
    let refused = decode(&[1, 0], &[INSTANCE_BYTES_MAX]).unwrap_err();
    assert!(matches!(refused, HeaderError::TooLong), "{refused}");
    // A frame of zeros, coded 20,000 to one, against a small Instance.
    let mut bomb = vec![0, 0];
    zstd::stream::copy_encode(io::repeat(0).take(4 * HEADER_BYTES_MAX as u64), &mut bomb, 1).unwrap();
    assert!(matches!(decode(&bomb, &[1000]).unwrap_err(), HeaderError::Size));
    assert!(peak_bytes() < 96 * 1024 * 1024, "peak {} bytes", peak_bytes());
}
