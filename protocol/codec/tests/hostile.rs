//! Hostile files cost a node nothing: none takes memory worth naming, and each gets its verdict.
//!
//! Peak memory is the whole test process's, read from the kernel, with the hostile files themselves in it. That each
//! takes under 100 ms is shown by `cargo run --example hostile`; time is no assertion on a shared machine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod dataset;
mod peak;

use dataset::{deep_sequences, deflate_bomb, false_length, length_past_the_end};
use peak::peak_bytes;
use radmesh_codec::{
    scan::{Ending, Form, Identity, ScanError, scan},
    uid::TransferSyntax,
};

#[test]
fn four_hostile_files_get_their_verdict_in_little_memory() {
    let bytes = false_length();
    assert_eq!(bytes.len(), 265);
    let refused = scan(bytes.as_slice(), Form::File).unwrap_err();
    assert!(
        matches!(refused, ScanError::Missing { what: Identity::Study, ending: Ending::EndsEarly { at: 265 } }),
        "{refused}"
    );

    let bytes = deflate_bomb();
    assert!((780_000..850_000).contains(&bytes.len()), "{}", bytes.len());
    let refused = scan(bytes.as_slice(), Form::File).unwrap_err();
    let ScanError::Inflates { inflated, .. } = refused else { panic!("{refused}") };
    assert!(inflated < 32 * 1024 * 1024, "stopped after {inflated} bytes");
    let deflated = TransferSyntax::parse(dataset::DEFLATED).unwrap();
    let start = dataset::meta(dataset::DEFLATED).len();
    let refused = scan(&bytes[start..], Form::DataSet { transfer_syntax: deflated }).unwrap_err();
    assert!(matches!(refused, ScanError::Inflates { .. }), "{refused}");

    let bytes = deep_sequences();
    assert!((230_000..250_000).contains(&bytes.len()), "{}", bytes.len());
    let refused = scan(bytes.as_slice(), Form::File).unwrap_err();
    assert!(matches!(refused, ScanError::TooDeep { max: 32, .. }), "{refused}");

    let bytes = length_past_the_end();
    let taken = scan(bytes.as_slice(), Form::File).unwrap();
    assert_eq!(taken.ending, Ending::EndsEarly { at: bytes.len() as u64 });

    assert!(peak_bytes() < 64 * 1024 * 1024, "peak {} bytes", peak_bytes());
}

#[test]
fn false_lengths_and_deep_sequences_are_refused_as_c_store_data_sets() {
    let explicit = TransferSyntax::parse(dataset::EXPLICIT).unwrap();
    let start = dataset::meta(dataset::EXPLICIT).len();
    for file in [false_length(), length_past_the_end()] {
        let refused = scan(&file[start..], Form::DataSet { transfer_syntax: explicit.clone() }).unwrap_err();
        assert!(matches!(refused, ScanError::FalseLength { ending: Ending::EndsEarly { .. } }), "{refused}");
    }
    let deep = deep_sequences();
    let refused = scan(&deep[start..], Form::DataSet { transfer_syntax: explicit }).unwrap_err();
    assert!(matches!(refused, ScanError::TooDeep { .. }), "{refused}");
}
