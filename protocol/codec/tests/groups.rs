//! A group comes back byte for byte, or not at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod taken;

use proptest::prelude::*;
use radmesh_codec::{
    EncodingId,
    group::{Content, DecodeError, EncodeError, Parts, Profile, Source, decode, encode, parts, plan, store},
    limits::{GROUP_INSTANCES_MAX, INSTANCE_BYTES_MAX, WINDOW_LOG},
};
use std::io::{self, Read, Write};
use taken::decoded;

fn coded(instances: &[Vec<u8>]) -> (Vec<u8>, Vec<Content>) {
    let sources: Vec<&dyn Source> = instances.iter().map(|bytes| bytes as &dyn Source).collect();
    let mut stream = Vec::new();
    let stats = encode(&sources, Profile::Max, &mut stream).expect("bytes in memory can be coded");
    assert_eq!(stats.coded_bytes, stream.len() as u64);
    assert_eq!(parts(&stream).unwrap(), stats.parts);
    assert_eq!(stats.received_bytes, instances.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
    (stream, stats.contents)
}

fn slices() -> Vec<Vec<u8>> {
    let dir = format!("{}/../../tests/data/pydicom", env!("CARGO_MANIFEST_DIR"));
    [17106, 17136, 17166, 17196]
        .map(|slice| std::fs::read(format!("{dir}/CT2_{slice}.dcm")).expect("fixtures are in the repository"))
        .to_vec()
}

#[test]
fn a_real_series_comes_back_byte_for_byte_and_smaller() {
    let slices = slices();
    let (stream, expected) = coded(&slices);
    assert_eq!(decoded(&stream, &expected).unwrap(), slices);
    let alone: usize = slices.iter().map(|slice| coded(std::slice::from_ref(slice)).0.len()).sum();
    assert!(stream.len() < alone, "{} together, {alone} each by itself", stream.len());
}

#[test]
fn a_stream_that_an_older_node_coded_decodes_for_ever() {
    let stream = include_bytes!("vectors/zstd-1.group");
    let slices = slices();
    let expected: Vec<Content> = slices
        .iter()
        .map(|slice| Content { bytes: slice.len() as u64, hash: *blake3::hash(slice).as_bytes() })
        .collect();
    assert_eq!(decoded(stream, &expected).unwrap(), slices);
}

/// Two Instances, "abc" and an empty one, as received.
const STORED: &[u8] = b"\x03\x01\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0abc";

#[test]
fn a_group_stored_as_received_comes_back_and_decodes_for_ever() {
    let instances = [b"abc".to_vec(), vec![]];
    let sources: Vec<&dyn Source> = instances.iter().map(|bytes| bytes as &dyn Source).collect();
    let mut stream = Vec::new();
    let stats = store(&sources, &mut stream).unwrap();
    assert_eq!(stream, STORED);
    assert_eq!((stats.received_bytes, stats.coded_bytes), (3, STORED.len() as u64));
    assert_eq!((stats.parts, parts(STORED).unwrap()), (Parts { whole: 3, ..Parts::default() }, stats.parts));
    assert_eq!(decoded(STORED, &stats.contents).unwrap(), instances);
    assert!(matches!(decoded(&[STORED, b"d"].concat(), &stats.contents), Err(DecodeError::TooLong)));
    for end in 0..STORED.len() {
        assert!(matches!(decoded(&STORED[..end], &stats.contents), Err(DecodeError::EndsEarly)), "{end}");
    }
    let mut bent = STORED.to_vec();
    bent[22] ^= 1;
    assert!(matches!(decoded(&bent, &stats.contents), Err(DecodeError::Hash { index: 0 })));
}

#[test]
fn empty_instances_and_an_empty_group_come_back() {
    for instances in [vec![], vec![vec![]], vec![vec![], vec![1], vec![], vec![]]] {
        let (stream, expected) = coded(&instances);
        assert_eq!(decoded(&stream, &expected).unwrap(), instances);
    }
}

#[test]
fn a_group_cut_anywhere_is_an_error() {
    let (stream, expected) = coded(&slices());
    for end in (0..stream.len()).step_by(stream.len() / 97 + 1).chain([stream.len() - 1]) {
        let error = decoded(&stream[..end], &expected).unwrap_err();
        assert!(matches!(error, DecodeError::EndsEarly | DecodeError::Coder(_)), "{end}: {error}");
    }
    let longer = [stream, vec![0]].concat();
    assert!(matches!(decoded(&longer, &expected), Err(DecodeError::TooLong)));
}

#[test]
fn an_unknown_encoding_or_version_is_named() {
    let (mut stream, expected) = coded(&slices());
    stream[1] = 9;
    assert!(matches!(decoded(&stream, &expected), Err(DecodeError::Version { found: 9, .. })));
    stream[0] = 7;
    assert!(matches!(decoded(&stream, &expected), Err(DecodeError::Encoding { found: 7 })));
}

#[test]
fn a_stream_never_gives_more_than_was_declared() {
    let (stream, expected) = coded(&[vec![0; 1 << 20]]);
    let mut small = stream.clone();
    small[6..14].copy_from_slice(&10_u64.to_be_bytes());
    let declared = [Content { bytes: 10, ..expected[0] }];
    assert!(matches!(decoded(&stream, &declared), Err(DecodeError::Size { index: 0, found: 1048576, expected: 10 })));
    assert!(matches!(decoded(&small, &declared), Err(DecodeError::TooLong)));
    let two = [expected[0], expected[0]];
    assert!(matches!(decoded(&stream, &two), Err(DecodeError::Count { found: 1, expected: 2 })));
}

#[test]
fn a_stream_that_declares_more_than_any_instance_has_is_refused_before_it_is_read() {
    struct Untouched;
    impl Read for Untouched {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("nothing is read")
        }
    }
    for sizes in [vec![INSTANCE_BYTES_MAX + 1], vec![INSTANCE_BYTES_MAX / 2 + 1; 2], vec![u64::MAX; 2]] {
        let expected: Vec<Content> = sizes.iter().map(|bytes| Content { bytes: *bytes, hash: [0; 32] }).collect();
        let refused = decode(Untouched, &expected, |_| Ok(Box::new(io::sink()))).unwrap_err();
        assert!(matches!(refused, DecodeError::Large { .. }), "{refused}");
        let liars: Vec<Liar> = sizes.iter().map(|bytes| Liar { declared: *bytes, bytes: vec![] }).collect();
        let sources: Vec<&dyn Source> = liars.iter().map(|liar| liar as &dyn Source).collect();
        assert!(matches!(encode(&sources, Profile::Max, &mut Vec::new()), Err(EncodeError::Large { .. })));
    }
}

#[test]
fn other_bytes_of_the_same_length_are_never_accepted() {
    let (stream, mut expected) = coded(&slices());
    expected[2].hash[0] ^= 1;
    assert!(matches!(decoded(&stream, &expected), Err(DecodeError::Hash { index: 2 })));
}

#[test]
fn a_window_over_the_limit_is_refused_before_it_is_allocated() {
    let (_, expected) = coded(&[vec![7; 100]]);
    let head = [&[EncodingId::Zstd as u8, 1, 0, 0, 0, 1][..], &100_u64.to_be_bytes()].concat();
    let mut frame = zstd::stream::write::Encoder::new(head, 3).unwrap();
    frame.set_parameter(zstd::stream::raw::CParameter::WindowLog(WINDOW_LOG + 2)).unwrap();
    frame.write_all(&[7; 100]).unwrap();
    let wide = frame.finish().unwrap();
    assert!(matches!(decoded(&wide, &expected), Err(DecodeError::Coder(_))));
}

/// A source that does not keep what it declares.
struct Liar {
    declared: u64,
    bytes: Vec<u8>,
}

impl Source for Liar {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.bytes.as_slice()))
    }

    fn bytes(&self) -> u64 {
        self.declared
    }
}

#[test]
fn a_source_that_changed_since_it_was_received_is_refused() {
    for declared in [9, 11] {
        let liar = Liar { declared, bytes: vec![1; 10] };
        let refused = encode(&[&liar], Profile::Max, &mut Vec::new()).unwrap_err();
        assert!(matches!(refused, EncodeError::SourceLength { index: 0, read: 10, .. }), "{refused}");
    }
}

#[test]
fn a_full_disk_is_told_apart_from_a_coder_that_fails() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for room in [0, 100, 500] {
        let slices = slices();
        let sources: Vec<&dyn Source> = slices.iter().map(|bytes| bytes as &dyn Source).collect();
        let refused = encode(&sources, Profile::Max, &mut Full(room)).unwrap_err();
        assert!(
            matches!(&refused, EncodeError::Write(error) if error.kind() == io::ErrorKind::StorageFull),
            "{room}: {refused:?}"
        );
    }
}

#[test]
fn more_instances_than_a_group_may_hold_are_refused() {
    let one: &dyn Source = &vec![1_u8];
    let refused = encode(&vec![one; GROUP_INSTANCES_MAX + 1], Profile::Max, &mut Vec::new()).unwrap_err();
    assert!(matches!(refused, EncodeError::Instances { .. }));
    assert_eq!(plan(&[1; GROUP_INSTANCES_MAX + 1], Profile::Max).len(), 2);
    assert_eq!(plan(&[Profile::Max.group_bytes(); 2], Profile::Max).len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_group_comes_back(
        instances in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..3000),
                (any::<u8>(), 0..20_000_usize).prop_map(|(byte, bytes)| vec![byte; bytes]),
            ],
            0..12,
        ),
    ) {
        let (stream, expected) = coded(&instances);
        prop_assert_eq!(decoded(&stream, &expected).unwrap(), instances);
    }

    #[test]
    fn no_stream_makes_it_panic_or_pass(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 1..=255_u8), 1..6),
    ) {
        let slices = slices();
        let (mut stream, expected) = coded(&slices);
        for (at, change) in changes {
            let at = at.index(stream.len());
            stream[at] ^= change;
        }
        // A change may undo another; then the stream is the true one.
        if let Ok(found) = decoded(&stream, &expected) {
            prop_assert_eq!(found, slices);
        }
    }
}
