//! Messages of both lanes: whatever a member's stolen key sends is read, skipped or refused, and what is read is
//! written again as it came in meaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_protocol::transfer::message::{Frag, Message, Parsed};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Parsed::Known(message)) = Message::parse(bytes) {
        assert_eq!(Message::parse(&message.encode()), Ok(Parsed::Known(message)));
    }
    if let Ok(Parsed::Known(frag)) = Frag::parse(bytes) {
        assert_eq!(Frag::parse(&frag.encode()), Ok(Parsed::Known(frag)));
    }
});
