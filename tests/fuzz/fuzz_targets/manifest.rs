//! A manifest from hostile bytes: refused, or exactly the bytes that came, with sizes that fit each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_protocol::{id::FederationId, parcel::manifest::Manifest};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(manifest.bytes(), bytes);
        assert!(manifest.core().sealed_bytes <= radmesh_protocol::limits::PARCEL_BYTES_MAX);
        assert!(manifest.verify(&FederationId([1; 32])).is_err(), "a fuzzer has forged a signature");
    }
});
