//! What the scanner says of data sets, true and false: named as facts, on bytes made by hand and on real files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod dataset;

use dataset::{DEFLATED, EXPLICIT, element, element_saying, identity, implicit, item, meta};
use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;
use radmesh_codec::{
    limits::{ELEMENTS_MAX, FRAGMENTS_KEPT_MAX, SEQUENCE_DEPTH_MAX, VALUE_BYTES_KEPT_MAX},
    scan::{Ending, Fact, Flaw, Form, Identity, MetaForm, PixelForm, Preamble, Scan, ScanError, scan},
    uid::{TransferSyntax, UidError},
};
use std::io::{self, Read, Write};

const ITEM: u32 = 0xFFFE_E000;
const ITEM_END: u32 = 0xFFFE_E00D;
const SEQUENCE_END: u32 = 0xFFFE_E0DD;
const SEQUENCE: u32 = 0x0040_0275;
const PIXELS: u32 = 0x7FE0_0010;

fn file(data_set: &[u8]) -> Result<Scan, ScanError> {
    scan([meta(EXPLICIT), data_set.to_vec()].concat().as_slice(), Form::File)
}

fn explicit() -> TransferSyntax {
    TransferSyntax::parse(EXPLICIT).expect("UIDs of the standard are UIDs")
}

fn data_set(data_set: &[u8]) -> Result<Scan, ScanError> {
    scan(data_set, Form::DataSet { transfer_syntax: explicit() })
}

/// Identity, one sequence holding `inside`, and a value after it.
fn with_sequence(length: u32, inside: &[u8]) -> Vec<u8> {
    [identity(), element_saying(SEQUENCE, b"SQ", length, inside), element(0x0040_A730, b"UT", b"end ")].concat()
}

#[test]
fn a_data_set_gives_its_uids_and_facts() {
    let found = data_set(&identity()).unwrap();
    assert_eq!(found.study.as_str(), "1.2.3");
    assert_eq!(found.series.as_ref().unwrap().as_str(), "1.2.3.1");
    assert_eq!(found.sop_instance.as_str(), "1.2.3.4");
    assert_eq!(found.sop_class.as_ref().unwrap().as_str(), "1.2.840.10008.5.1.4.1.1.2");
    assert_eq!(found.facts.raw(Fact::PatientName), Some(&b"Banda^Grace "[..]));
    assert_eq!(found.facts.text(Fact::PatientName).unwrap().shown(), "Banda^Grace");
    assert_eq!(found.facts.text(Fact::Modality), None);
    assert!(found.is_whole());
    assert!(!format!("{found:?}").contains("Banda"), "a scan must never print a name");
    assert!(!format!("{found:?}").contains("1.2.3.4"), "nor a UID of the patient's");
}

#[test]
fn a_file_is_told_with_and_without_preamble_and_meta() {
    let whole = [meta(EXPLICIT), identity()].concat();
    let with_both = scan(whole.as_slice(), Form::File).unwrap();
    assert_eq!(with_both.origin.preamble, Preamble::Zero);
    assert_eq!(with_both.origin.meta, MetaForm::At(132..meta(EXPLICIT).len() as u64));

    let without_preamble = scan(&whole[132..], Form::File).unwrap();
    assert_eq!(without_preamble.origin.preamble, Preamble::Absent);
    assert!(matches!(without_preamble.origin.meta, MetaForm::At(_)));

    let bare = scan(identity().as_slice(), Form::File).unwrap();
    assert_eq!((bare.origin.preamble, &bare.origin.meta), (Preamble::Absent, &MetaForm::Absent));
    assert_eq!(bare.origin.transfer_syntax.as_str(), EXPLICIT);
    assert_eq!(bare.study, with_both.study);
}

#[test]
fn an_executable_in_the_preamble_is_seen() {
    let mut polyglot = [meta(EXPLICIT), identity()].concat();
    polyglot[..4].copy_from_slice(b"MZ\x90\0");
    assert_eq!(scan(polyglot.as_slice(), Form::File).unwrap().origin.preamble, Preamble::Other);
    polyglot[..4].copy_from_slice(b"II*\0");
    assert_eq!(scan(polyglot.as_slice(), Form::File).unwrap().origin.preamble, Preamble::Tiff);
}

#[test]
fn text_and_nothing_are_not_dicom() {
    for bytes in [&b""[..], b"PK\x03\x04 a zip of something", b"Dear colleague, see attached", &[0; 4096]] {
        assert!(matches!(scan(bytes, Form::File), Err(ScanError::NotDicom)));
    }
}

#[test]
fn without_study_or_sop_instance_uid_an_instance_is_refused_by_name() {
    let only_instance = element(0x0008_0018, b"UI", b"1.2.3.4\0");
    let refused = file(&only_instance).unwrap_err();
    assert_eq!(refused.to_string(), "no Study Instance UID (the data set is whole)");
    let empty_instance = [element(0x0008_0018, b"UI", b""), element(0x0020_000D, b"UI", b"1.2.3\0")].concat();
    let refused = file(&empty_instance).unwrap_err();
    assert_eq!(refused.to_string(), "no SOP Instance UID (the data set is whole)");
}

#[test]
fn uid_with_path_separator_is_refused_and_never_shown() {
    let refused = file(&element(0x0008_0018, b"UI", b"../../etc/passwd")).unwrap_err();
    assert!(matches!(
        refused,
        ScanError::Uid { what: Identity::Instance, source: UidError::Character { at: 2, byte: b'/' } }
    ));
    assert!(!refused.to_string().contains("passwd"));
}

#[test]
fn two_study_uids_in_one_instance_are_refused() {
    let again = [identity(), element(0x0020_000D, b"UI", b"1.2.3\0")].concat();
    assert!(file(&again).is_ok(), "the same value twice says nothing else");
    let other = [identity(), element(0x0020_000D, b"UI", b"1.2.9\0")].concat();
    assert!(matches!(file(&other), Err(ScanError::Ambiguous { what: Identity::Study })));
}

#[test]
fn file_that_ends_early_is_taken_in_and_the_same_data_set_is_refused() {
    let short = [identity(), element_saying(PIXELS, b"OW", 1000, &[1; 999])].concat();
    assert!(matches!(file(&short).unwrap().ending, Ending::EndsEarly { .. }));
    assert!(matches!(data_set(&short), Err(ScanError::FalseLength { ending: Ending::EndsEarly { .. } })));
}

#[test]
fn file_that_ends_before_its_study_uid_is_refused_saying_so() {
    let short = [element(0x0008_0018, b"UI", b"1.2.3.4\0"), element_saying(0x0010_0010, b"PN", 60, b"Ban")].concat();
    let at = (meta(EXPLICIT).len() + short.len()) as u64;
    let refused = file(&short).unwrap_err();
    assert!(matches!(refused, ScanError::Missing { what: Identity::Study, ending: Ending::EndsEarly { .. } }));
    assert!(refused.to_string().contains("ends early"), "{refused} at {at}");
}

#[test]
fn native_pixel_data_is_placed_to_the_byte() {
    let bytes =
        [meta(EXPLICIT), identity(), element(PIXELS, b"OW", &[9; 300_000]), element(0xFFFC_FFFC, b"OB", &[0; 6])];
    let bytes = bytes.concat();
    let found = scan(bytes.as_slice(), Form::File).unwrap();
    let pixels = found.pixel_data.as_ref().unwrap();
    assert_eq!(pixels.form, PixelForm::Native);
    assert!(bytes[pixels.value.start as usize..pixels.value.end as usize].iter().all(|b| *b == 9));
    assert_eq!(pixels.value.end - pixels.value.start, 300_000);
    let around: u64 = found.header_ranges().iter().map(|range| range.end - range.start).sum();
    assert_eq!(around, bytes.len() as u64 - 300_000);
}

#[test]
fn encapsulated_fragments_are_placed_and_their_lengths_checked() {
    let fragments =
        [item(ITEM, 0), item(ITEM, 10), vec![0xFF; 10], item(ITEM, 4), vec![0xEE; 4], item(SEQUENCE_END, 0)];
    let bytes = [identity(), element_saying(PIXELS, b"OB", u32::MAX, &fragments.concat())].concat();
    let found = data_set(&bytes).unwrap();
    let PixelForm::Encapsulated { fragments } = &found.pixel_data.as_ref().unwrap().form else {
        panic!("encapsulated")
    };
    let values: Vec<&[u8]> =
        fragments.kept.iter().map(|range| &bytes[range.start as usize..range.end as usize]).collect();
    assert_eq!(values, [&[][..], &[0xFF; 10], &[0xEE; 4]]);

    let false_item = [identity(), element_saying(PIXELS, b"OB", u32::MAX, &item(ITEM, 4_000_000_000))].concat();
    assert!(matches!(data_set(&false_item), Err(ScanError::FalseLength { .. })));
    let no_item = [identity(), element_saying(PIXELS, b"OB", u32::MAX, &element(0x0008_0060, b"CS", b"CT"))].concat();
    assert!(matches!(
        file(&no_item).unwrap().ending,
        Ending::Malformed { flaw: Flaw::OutOfPlace { group: 0x0008, element: 0x0060 }, .. }
    ));
}

#[test]
fn fragments_beyond_the_limit_are_counted_and_not_kept() {
    let many = item(ITEM, 0).repeat(FRAGMENTS_KEPT_MAX + 5);
    let value = [many, item(SEQUENCE_END, 0)].concat();
    let found = data_set(&[identity(), element_saying(PIXELS, b"OB", u32::MAX, &value)].concat()).unwrap();
    let PixelForm::Encapsulated { fragments } = found.pixel_data.unwrap().form else { panic!("encapsulated") };
    assert_eq!((fragments.kept.len(), fragments.count), (FRAGMENTS_KEPT_MAX, FRAGMENTS_KEPT_MAX as u64 + 5));
}

#[test]
fn sequences_of_every_kind_are_walked() {
    let value = element(0x0008_0060, b"CS", b"CT");
    let defined = [item(ITEM, value.len() as u32), value.clone()].concat();
    let open_item = [item(ITEM, u32::MAX), value.clone(), item(ITEM_END, 0)].concat();
    for (length, inside) in [
        (defined.len() as u32, defined.clone()),
        (open_item.len() as u32, open_item.clone()),
        (u32::MAX, [defined, item(SEQUENCE_END, 0)].concat()),
        (u32::MAX, [open_item, item(SEQUENCE_END, 0)].concat()),
        (0, vec![]),
    ] {
        let found = data_set(&with_sequence(length, &inside)).unwrap();
        assert!(found.is_whole());
        assert_eq!(found.facts.text(Fact::Modality), None, "what stands in a sequence is not the Instance's own");
    }
}

#[test]
fn a_length_past_the_item_around_it_is_found() {
    let inner = element_saying(0x0008_0060, b"CS", 200, b"CT");
    let inside = [item(ITEM, inner.len() as u32), inner].concat();
    let bytes = with_sequence(inside.len() as u32, &inside);
    assert!(matches!(file(&bytes).unwrap().ending, Ending::Malformed { flaw: Flaw::Overruns { length: 200 }, .. }));
    assert!(matches!(data_set(&bytes), Err(ScanError::FalseLength { .. })));
}

#[test]
fn sequences_nest_to_the_limit_and_no_deeper() {
    let nested = |depth: usize| {
        let open = [element_saying(SEQUENCE, b"SQ", u32::MAX, &[]), item(ITEM, u32::MAX)].concat();
        let close = [item(ITEM_END, 0), item(SEQUENCE_END, 0)].concat();
        [identity(), open.repeat(depth), close.repeat(depth)].concat()
    };
    assert!(data_set(&nested(SEQUENCE_DEPTH_MAX)).unwrap().is_whole());
    assert!(matches!(data_set(&nested(SEQUENCE_DEPTH_MAX + 1)), Err(ScanError::TooDeep { max: 32, .. })));
}

#[test]
fn a_data_set_of_endless_small_elements_is_refused_at_the_limit() {
    struct Endless(usize);
    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let empty = element(0x0009_0010, b"LO", b"");
            for byte in &mut *out {
                *byte = empty[self.0 % empty.len()];
                self.0 += 1;
            }
            Ok(out.len())
        }
    }
    let refused = scan(identity().as_slice().chain(Endless(0)), Form::DataSet { transfer_syntax: explicit() });
    assert!(matches!(refused, Err(ScanError::TooManyElements { max: ELEMENTS_MAX })));
}

#[test]
fn implicit_sequences_of_defined_length_count_as_depth() {
    // A parser with a dictionary descends into these, so the scanner must have done so before it.
    let nested = (0..SEQUENCE_DEPTH_MAX + 1)
        .fold(vec![], |inside: Vec<u8>, _| implicit(SEQUENCE, &[item(ITEM, inside.len() as u32), inside].concat()));
    let bytes = [implicit(0x0008_0018, b"1.2.3.4\0"), implicit(0x0020_000D, b"1.2.3\0"), nested].concat();
    let syntax = TransferSyntax::parse("1.2.840.10008.1.2").unwrap();
    let refused = scan(bytes.as_slice(), Form::DataSet { transfer_syntax: syntax }).unwrap_err();
    assert!(matches!(refused, ScanError::TooDeep { .. }), "{refused}");
}

#[test]
fn trailing_zeros_are_padding_and_trailing_bytes_are_a_flaw() {
    assert!(file(&[identity(), vec![0; 3]].concat()).unwrap().is_whole());
    assert!(file(&[identity(), vec![0; 200_000]].concat()).unwrap().is_whole());
    let dirty = [identity(), vec![0; 64], b"x".to_vec()].concat();
    assert!(matches!(file(&dirty).unwrap().ending, Ending::Malformed { flaw: Flaw::Trailing, .. }));
}

#[test]
fn a_declared_syntax_that_the_bytes_contradict_is_not_believed() {
    let bytes = [meta("1.2.840.10008.1.2"), identity()].concat();
    assert_eq!(scan(bytes.as_slice(), Form::File).unwrap().origin.transfer_syntax.as_str(), EXPLICIT);
}

#[test]
fn a_declared_compression_is_believed_even_under_implicit_heads() {
    let found = scan(fixture("pydicom/SC_rgb_jpeg.dcm").as_slice(), Form::File).unwrap();
    assert_eq!(found.origin.transfer_syntax.as_str(), "1.2.840.10008.1.2.4.50");
    assert!(matches!(found.pixel_data.unwrap().form, PixelForm::Encapsulated { .. }));
}

#[test]
fn a_deflated_data_set_is_read_and_a_broken_one_is_not() {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(&[identity(), element(PIXELS, b"OW", &[5; 1000])].concat()).unwrap();
    let deflated = deflated.finish().unwrap();
    let whole = [meta(DEFLATED), deflated.clone(), vec![0]].concat();
    let found = scan(whole.as_slice(), Form::File).unwrap();
    assert!(found.is_whole());
    assert_eq!(found.study.as_str(), "1.2.3");

    let cut = [meta(DEFLATED), deflated[..deflated.len() - 6].to_vec()].concat();
    let cut = scan(cut.as_slice(), Form::File);
    assert!(!matches!(&cut, Ok(found) if found.is_whole()), "{cut:?}");

    let noise = [meta(DEFLATED), vec![0xFF; 64]].concat();
    let refused = scan(noise.as_slice(), Form::File).unwrap_err();
    let ending = Ending::Malformed { at: meta(DEFLATED).len() as u64, flaw: Flaw::Deflate };
    assert!(matches!(refused, ScanError::Missing { ending: found, .. } if found == ending), "{refused}");
}

#[test]
fn a_long_value_is_kept_cut_and_shown_so() {
    let history = vec![b'x'; 60_000];
    let found = file(&[identity(), element(0x0010_21B0, b"LT", &history)].concat()).unwrap();
    assert_eq!(found.facts.raw(Fact::AdditionalPatientHistory).unwrap().len(), VALUE_BYTES_KEPT_MAX);
    assert!(found.facts.text(Fact::AdditionalPatientHistory).unwrap().shown().ends_with("x [...]"));
}

#[test]
fn a_reader_that_fails_is_told_apart_from_a_file_that_ends() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let start = [meta(EXPLICIT), identity()].concat();
    let refused = scan(start.as_slice().chain(Broken), Form::File).unwrap_err();
    assert!(matches!(refused, ScanError::Read(error) if error.kind() == io::ErrorKind::ConnectionReset));
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR")))
        .expect("fixtures are in the repository")
}

#[test]
fn real_files_in_every_transfer_syntax_are_whole() {
    for (name, syntax, name_shown) in [
        ("pydicom/MR_small_implicit.dcm", "1.2.840.10008.1.2", "CompressedSamples^MR1"),
        ("pydicom/CT_small.dcm", "1.2.840.10008.1.2.1", "CompressedSamples^CT1"),
        ("pydicom/MR_small_bigendian.dcm", "1.2.840.10008.1.2.2", "CompressedSamples^MR1"),
        ("pydicom/image_dfl.dcm", "1.2.840.10008.1.2.1.99", "^^^^"),
        ("pydicom/examples_ybr_color.dcm", "1.2.840.10008.1.2.4.50", "PLA"),
        ("pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm", "1.2.840.10008.1.2.4.70", "Citizen^Jan"),
        ("pydicom-data/MR2_J2KR.dcm", "1.2.840.10008.1.2.4.90", "CompressedSamples^MR2"),
        ("pydicom-data/RG1_J2KI.dcm", "1.2.840.10008.1.2.4.91", "CompressedSamples^RG1"),
        ("pydicom-data/OBXXXX1A_rle_2frame.dcm", "1.2.840.10008.1.2.5", "OB^^^^"),
        ("pydicom/chrH31.dcm", "1.2.840.10008.1.2.1", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("pydicom/chrArab.dcm", "1.2.840.10008.1.2.1", "قباني^لنزار"),
    ] {
        let bytes = fixture(name);
        let found = scan(bytes.as_slice(), Form::File).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.ending, Ending::Whole, "{name}");
        assert_eq!(found.origin.transfer_syntax.as_str(), syntax, "{name}");
        assert_eq!(found.facts.text(Fact::PatientName).unwrap().shown(), name_shown, "{name}");
        assert!(found.image.rows.is_some() && found.pixel_data.is_some(), "{name}");
        let as_data_set = scan(
            &bytes[found.origin.data_set as usize..],
            Form::DataSet { transfer_syntax: found.origin.transfer_syntax.clone() },
        );
        assert_eq!(as_data_set.unwrap().facts, found.facts, "{name}: the same through C-STORE");
    }
}

#[test]
fn a_real_truncated_file_is_taken_in_as_damaged() {
    let found = scan(fixture("pydicom/MR_truncated.dcm").as_slice(), Form::File).unwrap();
    assert_eq!(found.ending, Ending::EndsEarly { at: 9630 });
}

/// What must hold of any verdict on any bytes.
fn stays_in_bounds(bytes: &[u8]) -> Result<(), TestCaseError> {
    for form in [Form::File, Form::DataSet { transfer_syntax: explicit() }] {
        let Ok(found) = scan(bytes, form) else { continue };
        let is_deflated = found.origin.transfer_syntax.as_str() == DEFLATED;
        prop_assert!(is_deflated || found.bytes <= bytes.len() as u64);
        if found.is_whole() && !is_deflated {
            prop_assert_eq!(found.bytes, bytes.len() as u64);
            let around: u64 = found.header_ranges().iter().map(|range| range.end - range.start).sum();
            let pixels = found.pixel_data.as_ref().map_or(0, |pixels| pixels.value.end - pixels.value.start);
            prop_assert_eq!(around + pixels, bytes.len() as u64);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        stays_in_bounds(&bytes)?;
        stays_in_bounds(&[meta(EXPLICIT), bytes.clone()].concat())?;
        stays_in_bounds(&[meta(DEFLATED), bytes].concat())?;
    }

    #[test]
    fn no_change_to_a_real_file_makes_it_panic(
        name in proptest::sample::select(vec![
            "pydicom/MR_small_implicit.dcm", "pydicom/MR_small_bigendian.dcm", "pydicom/image_dfl.dcm",
            "pydicom/test-SR.dcm", "pydicom/chrH31.dcm", "pydicom/nested_priv_SQ.dcm", "pydicom/SC_rgb_jpeg.dcm",
        ]),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = fixture(name);
        // Headers are where a change matters.
        let reach = bytes.len().min(3000);
        for (at, value) in changes {
            bytes[at.index(reach)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        stays_in_bounds(&bytes)?;
    }
}
