//! An event from hostile bytes: refused, or exactly the bytes that came; its body is read without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_protocol::{id::FederationId, log::Event};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = Event::parse(bytes) {
        assert_eq!(event.bytes(), bytes);
        let _ = event.body();
        assert!(event.verify(&FederationId([1; 32])).is_err(), "a fuzzer has forged a signature");
    }
});
