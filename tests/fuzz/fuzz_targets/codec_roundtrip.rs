//! Any Instances through a group and back: the same bytes, whatever they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_codec::{
    group::{Profile, Source, decode, encode},
    limits::GROUP_INSTANCES_MAX,
};
use std::io;

fuzz_target!(|instances: Vec<Vec<u8>>| {
    let instances = &instances[..instances.len().min(GROUP_INSTANCES_MAX)];
    let sources: Vec<&dyn Source> = instances.iter().map(|bytes| bytes as &dyn Source).collect();
    let mut stream = Vec::new();
    let stats = encode(&sources, Profile::Max, &mut stream).expect("bytes in memory can be coded");
    let hashes: Vec<[u8; 32]> = instances.iter().map(|bytes| *blake3::hash(bytes).as_bytes()).collect();
    assert!(stats.contents.iter().map(|content| content.hash).eq(hashes));
    decode(stream.as_slice(), &stats.contents, |_| Ok(Box::new(io::sink()))).expect("what was coded decodes");
});
