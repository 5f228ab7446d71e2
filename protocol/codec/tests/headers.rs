//! Headers come back byte for byte, whatever they are, and cost less than zstd makes of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod dataset;
#[path = "../examples/residue/mod.rs"]
mod residue;

use proptest::{collection::vec, prelude::*, sample::Index};
use radmesh_codec::{
    header::{DataSet, Header, HeaderError, Hole, Residue, decode, encode},
    limits::{GROUP_INSTANCES_MAX, HEADER_BYTES_MAX, INSTANCE_BYTES_MAX},
};
use residue::{cut, size};
use std::{path::PathBuf, sync::LazyLock};

#[track_caller]
fn comes_back(headers: &[Header]) -> Vec<u8> {
    let residues: Vec<_> =
        headers.iter().map(|h| Residue { bytes: &h.bytes, holes: &h.holes, data_set: DataSet::Received }).collect();
    let coded = encode(&residues);
    let sizes: Vec<u64> = headers.iter().map(size).collect();
    let found = decode(&coded, &sizes).unwrap();
    assert!(found == headers, "{} Instances come back as others", headers.len());
    coded
}

fn whole(bytes: Vec<u8>) -> Header {
    Header { bytes, holes: Vec::new() }
}

fn fixtures() -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in ["pydicom", "pydicom-data"] {
        let folder = format!("{}/../../tests/data/{folder}", env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            files.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

fn slices() -> Vec<Header> {
    let is_slice = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("CT2_");
    fixtures().into_iter().filter(|(path, _)| is_slice(path)).map(|(_, bytes)| cut(bytes)).collect()
}

/// Files in every layout: explicit, implicit, big endian, encapsulated, deflated, without meta.
fn layouts() -> Vec<Header> {
    let names = [
        "CT_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "OBXXXX1A_rle_2frame.dcm",
        "image_dfl.dcm",
        "ExplVR_LitEndNoMeta.dcm",
        "test-SR.dcm",
    ];
    let fixtures = fixtures();
    let of = |name: &str| fixtures.iter().find(|(path, _)| path.ends_with(name)).unwrap().1.clone();
    names.map(|name| cut(of(name))).to_vec()
}

#[test]
fn every_fixture_comes_back_and_is_smaller_than_zstd_makes_it() {
    for (path, bytes) in fixtures() {
        let header = cut(bytes);
        let coded = comes_back(std::slice::from_ref(&header));
        let zstd = zstd::bulk::compress(&header.bytes, 19).unwrap();
        assert!(coded.len() < zstd.len(), "{}: {} B, zstd {} B", path.display(), coded.len(), zstd.len());
    }
}

#[test]
fn slices_of_a_series_cost_a_fraction_of_the_first() {
    let slices = slices();
    assert_eq!(slices.len(), 4);
    let [first, all] = [&slices[..1], &slices[..]].map(|slices| comes_back(slices).len());
    assert!((all - first) / 3 < first / 4, "{first} B the first, {all} B all four");
}

#[test]
fn rows_of_a_sequence_are_coded_against_each_other() {
    let item = |frame: usize| {
        let body = [
            dataset::element(0x0020_9056, b"SH", b"1 "),
            dataset::element(0x0020_9057, b"UL", &(frame as u32).to_le_bytes()),
            dataset::element(0x0020_0032, b"DS", format!("-115.5\\-1.85\\{:.2} ", 700.25 + frame as f64).as_bytes()),
        ]
        .concat();
        [dataset::item(0xFFFE_E000, body.len() as u32), body].concat()
    };
    let frames = |count| -> Vec<u8> { (0..count).flat_map(item).collect() };
    let object = |count| {
        let sequence = dataset::element(0x5200_9230, b"SQ", &frames(count));
        whole([dataset::meta(dataset::EXPLICIT), dataset::identity(), sequence].concat())
    };
    let [few, many] = [20, 220].map(|count| comes_back(&[object(count)]).len());
    assert!(many - few < 200, "{} B for 200 items", many - few);
}

#[test]
fn pixels_at_their_place_cost_nothing_to_find() {
    let mut file = [dataset::meta(dataset::EXPLICIT), dataset::identity()].concat();
    file.extend(dataset::element_saying(0x7FE0_0010, b"OW", 5000, &[]));
    let at = file.len() as u64;
    file.extend(dataset::element(0xFFFC_FFFC, b"OB", &[0; 10]));
    let taken = Header { bytes: file.clone(), holes: vec![Hole { at, bytes: 5000 }] };
    let cut_short = Header { bytes: file[..at as usize].to_vec(), holes: vec![Hole { at, bytes: 700 }] };
    let elsewhere = Header { bytes: file, holes: vec![Hole { at: at - 40, bytes: 5000 }, Hole { at, bytes: 1 }] };
    let [taken, cut_short, elsewhere] = [taken, cut_short, elsewhere].map(|header| comes_back(&[header])[1]);
    assert_eq!((taken, cut_short, elsewhere), (0, 0, 1), "lists of holes");
}

#[test]
fn a_list_that_fits_no_instance_comes_back_too() {
    let header = |holes: &[(u64, u64)]| Header {
        bytes: vec![7; 100],
        holes: holes.iter().map(|(at, bytes)| Hole { at: *at, bytes: *bytes }).collect(),
    };
    for holes in [&[(0, 5)][..], &[(100, 5)], &[(50, 1), (50, 2)], &[(0, 1), (1, 1), (99, 1 << 30)]] {
        comes_back(&[header(holes), whole(Vec::new()), header(holes)]);
    }
}

#[test]
fn every_layout_truncated_anywhere_comes_back() {
    for header in layouts() {
        let step = (header.bytes.len() / 40).max(1);
        let cut_short: Vec<Header> =
            (0..header.bytes.len()).step_by(step).map(|length| whole(header.bytes[..length].to_vec())).collect();
        comes_back(&cut_short);
    }
    let small = dataset::identity();
    comes_back(&(0..small.len()).map(|length| whole(small[..length].to_vec())).collect::<Vec<_>>());
}

#[test]
fn what_is_no_dicom_comes_back() {
    let deep = whole(dataset::deep_sequences());
    let text = whole("<html>The page you asked for is not here.</html>".repeat(200).into_bytes());
    let false_length = whole(dataset::false_length());
    comes_back(&[whole(vec![]), text.clone(), deep, whole(vec![0; 3000]), false_length, whole(vec![0xFF; 999]), text]);
}

#[test]
fn bytes_that_nothing_foretells_are_stored() {
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..100_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    let file = [dataset::meta(dataset::EXPLICIT), dataset::identity(), dataset::element(0x0042_0011, b"OB", &noise)];
    let header = whole(file.concat());
    let coded = comes_back(std::slice::from_ref(&header));
    assert!(coded.len() < header.bytes.len() + 40, "{} B", coded.len());
    let huge = whole(vec![7; HEADER_BYTES_MAX + 1]);
    assert_eq!(comes_back(&[huge])[0], 0, "zstd codes what the model may not");
}

#[test]
fn headers_that_an_older_node_coded_decode_for_ever() {
    let coded = include_bytes!("vectors/model-1.headers");
    let headers: Vec<Header> = slices().into_iter().chain(layouts()).collect();
    let sizes: Vec<u64> = headers.iter().map(size).collect();
    assert!(decode(coded, &sizes).unwrap() == headers);
    assert_eq!(comes_back(&headers), coded, "the coder may change only with a new number");
}

#[test]
fn a_stream_can_ask_for_no_more_than_was_declared() {
    let refused = decode(&[1, 0], &vec![1; GROUP_INSTANCES_MAX + 1]).unwrap_err();
    assert!(matches!(refused, HeaderError::Large { .. }), "{refused}");
    let refused = decode(&[1, 0], &[INSTANCE_BYTES_MAX, 1]).unwrap_err();
    assert!(matches!(refused, HeaderError::Large { .. }), "{refused}");
    assert!(matches!(decode(&[], &[1]).unwrap_err(), HeaderError::EndsEarly));
    assert!(matches!(decode(&[2, 0], &[1]).unwrap_err(), HeaderError::Stage { found: 2 }));
    // Lists: an Instance that is not there, a hole larger than the Instance, numbers without end.
    for list in [
        &[1, 9, 1, 0, 1][..],
        &[1, 0, 1, 8, 1],
        &[1, 0, 1, 0, 9],
        &[1, 0, 1, 9, 1],
        &[1, 0, 1, 0, 0],
        &[1; 40],
        &[0xFF; 20],
    ] {
        for stage in [0, 1] {
            let coded = [&[stage], list, &zstd::bulk::compress(&[0; 8], 1).unwrap()].concat();
            assert!(decode(&coded, &[8]).is_err(), "{coded:?}");
        }
    }
    // A frame of more than was declared, or less.
    let coded = encode(&[Residue { bytes: &vec![7; HEADER_BYTES_MAX + 1], holes: &[], data_set: DataSet::Received }]);
    for size in [10, HEADER_BYTES_MAX as u64, HEADER_BYTES_MAX as u64 + 2] {
        assert!(matches!(decode(&coded, &[size]).unwrap_err(), HeaderError::Size), "{size}");
    }
}

fn uid() -> impl Strategy<Value = Vec<u8>> {
    proptest::string::string_regex("1\\.2\\.[0-9]{1,20}\\.[0-9]{1,5}").unwrap().prop_map(String::into_bytes)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        uid(),
        (-900_000_i32..900_000, 1..9_i32).prop_map(|(a, b)| format!("{}\\{b}", f64::from(a) / 1000.0).into_bytes()),
        any::<f64>().prop_map(|number| number.to_le_bytes().to_vec()),
        vec(any::<u8>(), 0..70),
        (any::<u8>(), 0..400_usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

/// An element in one of three layouts; now and then with a length that is false.
fn element() -> impl Strategy<Value = Vec<u8>> {
    const VRS: &[u8; 68] = b"AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUSOBODOFOLOVOWSQSVUCUNURUTUV";
    (any::<u16>(), 0..20_u16, 0..34_usize, value(), 0..3, 0..30_u32).prop_map(
        |(group, tag, vr, value, layout, wrong)| {
            let vr = &VRS[2 * vr..2 * vr + 2];
            let group = [0x0008_u16, 0x0009, 0x0020, 0x0028, 0x7FE0, 0xFFFE][usize::from(group) % 6];
            let tag = if group == 0xFFFE { [0xE000, 0xE00D, 0xE0DD][usize::from(tag) % 3] } else { tag };
            let length = match wrong {
                0 => u32::MAX,
                1 => 100_000,
                2 => 1,
                _ => value.len() as u32,
            };
            let is_short = !matches!(vr, b"SQ" | b"UN" | b"UT" | b"UC" | b"UR" | b"SV" | b"UV") && vr[0] != b'O';
            let mut bytes = Vec::new();
            let mut number = |le: &[u8], is_big: bool| {
                let mut le = le.to_vec();
                if is_big {
                    le.reverse();
                }
                bytes.extend(le);
            };
            let is_big = layout == 2;
            number(&group.to_le_bytes(), is_big);
            number(&tag.to_le_bytes(), is_big);
            if layout == 1 || group == 0xFFFE {
                number(&length.to_le_bytes(), is_big);
            } else {
                number(vr, false);
                if is_short {
                    number(&(length as u16).to_le_bytes(), is_big);
                } else {
                    number(&[0, 0], false);
                    number(&length.to_le_bytes(), is_big);
                }
            }
            bytes.extend(value);
            bytes
        },
    )
}

fn object() -> impl Strategy<Value = Header> {
    let syntaxes = prop_oneof![
        Just(dataset::EXPLICIT),
        Just("1.2.840.10008.1.2"),
        Just("1.2.840.10008.1.2.2"),
        Just(dataset::DEFLATED)
    ];
    let holes = vec((any::<Index>(), 1..70_000_u64), 0..4);
    (proptest::option::of(syntaxes), vec(element(), 0..40), vec(any::<u8>(), 0..9), holes).prop_map(
        |(syntax, elements, trailing, holes)| {
            let meta = syntax.map_or_else(Vec::new, dataset::meta);
            let bytes = [meta, elements.concat(), trailing].concat();
            let mut holes: Vec<Hole> = holes
                .into_iter()
                .map(|(at, taken)| Hole { at: at.index(bytes.len() + 1) as u64, bytes: taken })
                .collect();
            holes.sort_by_key(|hole| hole.at);
            Header { bytes, holes }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_data_set_comes_back(objects in vec(object(), 0..6), again in any::<Index>()) {
        let mut objects = objects;
        if !objects.is_empty() {
            objects.push(objects[again.index(objects.len())].clone());
        }
        comes_back(&objects);
    }

    #[test]
    fn every_string_of_bytes_comes_back(objects in vec(vec(any::<u8>(), 0..600), 0..5)) {
        comes_back(&objects.into_iter().map(whole).collect::<Vec<_>>());
    }

    #[test]
    fn no_coded_bytes_make_it_panic_or_give_more_than_declared(
        changes in vec((any::<Index>(), any::<u8>()), 0..5),
        noise in vec(any::<u8>(), 0..60),
        stage in 0..2_u8,
        sizes in vec(0..3000_u64, 0..6),
    ) {
        static SLICES: LazyLock<(Vec<u8>, Vec<u64>)> = LazyLock::new(|| {
            let slices = slices();
            (comes_back(&slices), slices.iter().map(size).collect())
        });
        let (mut coded, declared) = SLICES.clone();
        for (at, byte) in changes {
            let at = at.index(coded.len());
            coded[at] = byte;
        }
        let noise = [&[stage, 0][..], &noise].concat();
        for (coded, sizes) in [(&coded, &declared), (&coded, &sizes), (&noise, &sizes)] {
            if let Ok(found) = decode(coded, sizes) {
                prop_assert_eq!(found.iter().map(size).collect::<Vec<_>>(), sizes.clone());
            }
        }
    }
}
