//! A whole association from hostile bytes: it ends, and every object is finished or discarded, never both.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_dimse::{
    AeTitle, StoreStatus,
    server::{CalledAe, Config, Incoming, Intake, Sender, Sink, Verdict, rehearse},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    finished: AtomicU64,
    dropped: AtomicU64,
}

struct Door(Arc<Counts>);
struct Object(Arc<Counts>);

impl Intake for Door {
    type Sink = Object;

    fn judge(&self, _: &Sender) -> Verdict {
        Verdict::Quarantined
    }

    fn begin(&self, _: Incoming) -> Result<Object, StoreStatus> {
        self.0.begun.fetch_add(1, SeqCst);
        Ok(Object(Arc::clone(&self.0)))
    }
}

impl Sink for Object {
    fn write(&mut self, _: &[u8]) -> Result<(), StoreStatus> {
        Ok(())
    }

    fn finish(self) -> StoreStatus {
        self.0.finished.fetch_add(1, SeqCst);
        StoreStatus::Stored
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let counts = Arc::new(Counts::default());
    let title = AeTitle::parse("FUZZ").expect("an AE title");
    let config = Config { called: CalledAe::Any, ..Config::new(title) };
    // The first byte chooses whether the association is open already, so that the fuzzer gets past the handshake.
    let (opened, rest) = bytes.split_first().map_or((false, bytes), |(first, rest)| (first & 1 == 1, rest));
    let sent = if opened { [REQUEST, rest].concat() } else { rest.to_vec() };
    let ended = rehearse(&sent, IpAddr::V4(Ipv4Addr::LOCALHOST), &config, Arc::new(Door(Arc::clone(&counts))));
    assert_eq!(counts.begun.load(SeqCst), counts.dropped.load(SeqCst));
    assert_eq!(counts.finished.load(SeqCst), ended.stored);
});

/// A-ASSOCIATE-RQ with one context: 1, CT Image Storage, Explicit VR Little Endian.
const REQUEST: &[u8] = b"\x01\0\0\0\0\xa5\0\x01\0\0FUZZ            FUZZ            \
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \x10\0\0\x151.2.840.10008.3.1.1.1\
    \x20\0\0\x38\x01\0\0\0\x30\0\0\x191.2.840.10008.5.1.4.1.1.2\x40\0\0\x131.2.840.10008.1.2.1\
    \x50\0\0\x08\x51\0\0\x04\0\0\x40\0";
