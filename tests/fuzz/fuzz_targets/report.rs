//! A person's statement, a report and its text from hostile bytes, as they come out of an event that verified.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_protocol::{
    envelope::reading::ReadingKey,
    id::FederationId,
    limits::EVENT_BYTES_MAX,
    person::Statement,
    report::{Report, ReportText},
    wire,
};

fuzz_target!(|bytes: &[u8]| {
    let federation = FederationId([1; 32]);
    if let Ok(statement) = wire::decode::<Statement>("statement", bytes, EVENT_BYTES_MAX) {
        assert!(statement.verify(&federation).is_err(), "a fuzzer has forged a signature");
        read(statement.body());
    }
    read(bytes);
    let _ = ReportText::parse(bytes);
});

fn read(bytes: &[u8]) {
    if let Ok(report) = wire::decode::<Report>("report", bytes, EVENT_BYTES_MAX) {
        assert!(report.sealed.open(&ReadingKey::from_seed([2; 32]), &FederationId([1; 32])).is_err());
    }
}
