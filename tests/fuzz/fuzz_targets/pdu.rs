//! PDUs and command sets from whoever connects: no bytes may panic or make more memory than they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_dimse::{command::CommandSet, wire};

fuzz_target!(|bytes: &[u8]| {
    let _ = wire::parse(bytes, wire::PDU_BYTES_MAX);
    if let Ok(command) = CommandSet::parse(bytes) {
        // What was understood is written so that it is understood again.
        assert_eq!(CommandSet::parse(&command.encode()).map(|again| again.message_id), Ok(command.message_id));
    }
});
