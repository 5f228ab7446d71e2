//! Pictures of every kind come back byte for byte, in far fewer bytes than they were, whatever surrounds them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod taken;

use proptest::prelude::*;
use radmesh_codec::{
    EncodingId,
    group::{Content, DecodeError, Profile, Source, decode, encode, parts},
};
use taken::{Taken, decoded};

/// How pixels are laid out.
#[derive(Debug, Clone)]
struct Layout {
    syntax: &'static str,
    columns: u16,
    rows: u16,
    frames: u32,
    samples: u16,
    planar: u16,
    allocated: u16,
    stored: u16,
    signed: u16,
    photometric: &'static str,
}

impl Layout {
    fn is_big(&self) -> bool {
        self.syntax == "1.2.840.10008.1.2.2"
    }

    fn pixel_bytes(&self) -> usize {
        let cells = usize::from(self.columns)
            * usize::from(self.rows)
            * self.frames as usize
            * if self.photometric == "YBR_FULL_422" { 2 } else { usize::from(self.samples) };
        if self.allocated == 1 { cells.div_ceil(8) } else { cells * usize::from(self.allocated / 8) }
    }

    /// A file of these pixels, as a modality writes it.
    fn file(&self, instance: usize, pixels: &[u8]) -> Vec<u8> {
        let mut meta = Vec::new();
        element(&mut meta, false, (2, 0x10), b"UI", self.syntax.as_bytes());
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        element(&mut file, false, (2, 0), b"UL", &(meta.len() as u32).to_le_bytes());
        file.extend(meta);
        let big = self.is_big();
        let number = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut add = |tag, vr: &[u8; 2], value: &[u8]| element(&mut file, big, tag, vr, value);
        add((8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.7");
        add((8, 0x18), b"UI", format!("1.2.3.{instance}").as_bytes());
        add((0x20, 0xD), b"UI", b"1.2.3");
        add((0x20, 0xE), b"UI", b"1.2.4");
        add((0x28, 2), b"US", &number(self.samples));
        add((0x28, 4), b"CS", self.photometric.as_bytes());
        add((0x28, 6), b"US", &number(self.planar));
        add((0x28, 8), b"IS", self.frames.to_string().as_bytes());
        add((0x28, 0x10), b"US", &number(self.rows));
        add((0x28, 0x11), b"US", &number(self.columns));
        add((0x28, 0x100), b"US", &number(self.allocated));
        add((0x28, 0x101), b"US", &number(self.stored));
        add((0x28, 0x102), b"US", &number(self.stored.max(1) - 1));
        add((0x28, 0x103), b"US", &number(self.signed));
        add((0x7FE0, 0x10), b"OW", pixels);
        file
    }
}

fn element(file: &mut Vec<u8>, big: bool, (group, number): (u16, u16), vr: &[u8; 2], value: &[u8]) {
    let word = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let length = value.len() + value.len() % 2;
    file.extend(word(group));
    file.extend(word(number));
    file.extend_from_slice(vr);
    if vr == b"OW" {
        file.extend([0; 2]);
        file.extend(if big { (length as u32).to_be_bytes() } else { (length as u32).to_le_bytes() });
    } else {
        file.extend(word(length as u16));
    }
    file.extend_from_slice(value);
    if value.len() % 2 == 1 {
        file.push(if vr == b"UI" || vr == b"OW" { 0 } else { b' ' });
    }
}

/// What a picture shows.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Constant,
    Noise,
    Extremes,
    Ramp,
    Anatomy,
    Text,
}

/// Pixel bytes of a kind of picture, the later frames much like the first.
fn pixels(layout: &Layout, kind: Kind, seed: u64) -> Vec<u8> {
    let bytes = layout.pixel_bytes();
    let wide = if layout.allocated == 16 { 2 } else { 1 };
    let greatest = (1_u32 << layout.stored.min(16)) - 1;
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u32
    };
    let mut out = Vec::with_capacity(bytes + 2);
    let mut cell = 0_u32;
    while out.len() < bytes {
        let (x, y) = (cell % u32::from(layout.columns), cell / u32::from(layout.columns) % u32::from(layout.rows));
        let value = match kind {
            Kind::Constant => seed as u32,
            Kind::Noise => random(),
            Kind::Extremes => [0, greatest, greatest / 2, 1][random() as usize % 4],
            Kind::Ramp => x * 3 + y,
            Kind::Anatomy => 300 + (x * x / 50 + y * 2) % 700 + random() % 6,
            Kind::Text => {
                if ((x / 3) ^ (y / 5)) % 7 == 0 {
                    greatest
                } else {
                    12
                }
            }
        };
        let value = if matches!(kind, Kind::Noise) && seed.is_multiple_of(5) { value } else { value & greatest };
        match (wide, layout.is_big()) {
            (1, _) => out.push(value as u8),
            (_, false) => out.extend((value as u16).to_le_bytes()),
            (_, true) => out.extend((value as u16).to_be_bytes()),
        }
        cell += 1;
    }
    out.truncate(bytes);
    out
}

fn round_trip(instances: &[Vec<u8>]) -> (Vec<u8>, Vec<Content>) {
    round_trip_by(instances, Profile::Max)
}

fn round_trip_by(instances: &[Vec<u8>], profile: Profile) -> (Vec<u8>, Vec<Content>) {
    let sources: Vec<&dyn Source> = instances.iter().map(|bytes| bytes as &dyn Source).collect();
    let mut stream = Vec::new();
    let stats = encode(&sources, profile, &mut stream).unwrap();
    assert_eq!(decoded(&stream, &stats.contents).unwrap(), instances);
    (stream, stats.contents)
}

fn layouts() -> impl Strategy<Value = Layout> {
    let kinds = prop::sample::select(vec![
        (1, 0, 1, 1, "MONOCHROME2"),
        (1, 0, 8, 8, "MONOCHROME2"),
        (1, 0, 8, 8, "PALETTE COLOR"),
        (1, 0, 16, 10, "MONOCHROME1"),
        (1, 0, 16, 12, "MONOCHROME2"),
        (1, 0, 16, 16, "MONOCHROME2"),
        (1, 0, 32, 32, "MONOCHROME2"),
        (3, 0, 8, 8, "RGB"),
        (3, 1, 8, 8, "RGB"),
        (3, 0, 16, 16, "RGB"),
        (3, 0, 8, 8, "YBR_FULL"),
        (3, 0, 8, 8, "YBR_FULL_422"),
    ]);
    let sides = prop_oneof![(1_u16..40, 1_u16..40), Just((1, 1)), Just((4096, 1)), Just((1, 300))];
    let syntaxes = prop::sample::select(vec!["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]);
    (kinds, sides, 1_u32..4, 0_u16..2, syntaxes).prop_map(
        |((samples, planar, allocated, stored, photometric), (columns, rows), frames, signed, syntax)| Layout {
            syntax,
            columns,
            rows,
            frames,
            samples,
            planar,
            allocated,
            stored,
            signed,
            photometric,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn pictures_of_every_layout_and_kind_come_back(
        layout in layouts(),
        kind in prop::sample::select(vec![Kind::Constant, Kind::Noise, Kind::Extremes, Kind::Ramp, Kind::Anatomy, Kind::Text]),
        seeds in prop::collection::vec(any::<u64>(), 1..4),
        profile in prop::sample::select(vec![Profile::Max, Profile::Fast]),
        missing in 0_usize..3,
        more in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let instances: Vec<Vec<u8>> = seeds
            .iter()
            .enumerate()
            .map(|(index, seed)| {
                let mut pixels = pixels(&layout, kind, *seed);
                // Some devices write too few bytes, some too many.
                pixels.truncate(pixels.len().saturating_sub(missing));
                pixels.extend_from_slice(&more);
                layout.file(index, &pixels)
            })
            .collect();
        round_trip_by(&instances, profile);
    }
}

fn slices(count: usize) -> Vec<Vec<u8>> {
    let layout = Layout {
        syntax: "1.2.840.10008.1.2.1",
        columns: 128,
        rows: 128,
        frames: 1,
        samples: 1,
        planar: 0,
        allocated: 16,
        stored: 12,
        signed: 0,
        photometric: "MONOCHROME2",
    };
    (0..count).map(|index| layout.file(index, &pixels(&layout, Kind::Anatomy, index as u64 * 7 + 3))).collect()
}

#[test]
fn slices_are_coded_by_the_model_and_the_stream_says_what_its_bytes_hold() {
    let instances = slices(6);
    let (stream, _) = round_trip(&instances);
    assert_eq!(stream[0], EncodingId::Model as u8);
    let parts = parts(&stream).unwrap();
    assert!(parts.headers > 0 && parts.headers < 1000, "{parts:?}");
    // Noise of six values takes 2.6 bits of the sixteen that a sample has; three with what has to be learnt.
    assert!(parts.pixels < 6 * 128 * 128 * 3 / 8, "{parts:?}");
}

#[test]
fn a_stream_cut_after_a_segment_has_given_every_instance_before_it() {
    let instances = slices(3);
    let (stream, contents) = round_trip(&instances);
    let taken: Vec<Taken> = instances.iter().map(|_| Taken::default()).collect();
    let into = taken.clone();
    let cut = decode(&stream[..stream.len() - 10], &contents, move |index| Ok(Box::new(into[index].clone())));
    assert!(matches!(cut, Err(DecodeError::EndsEarly)), "{cut:?}");
    assert_eq!(*taken[0].0.borrow(), instances[0]);
    assert_eq!(*taken[1].0.borrow(), instances[1]);
}

#[test]
fn a_flipped_bit_is_an_error_and_never_another_picture() {
    let (stream, contents) = round_trip(&slices(2));
    for at in (6 + 16..stream.len()).step_by(stream.len() / 61) {
        let mut flipped = stream.clone();
        flipped[at] ^= 0x10;
        assert!(decoded(&flipped, &contents).is_err(), "byte {at}");
    }
}

#[test]
fn an_overlay_in_the_bits_above_costs_next_to_nothing() {
    let plain = slices(2);
    let mut marked = plain.clone();
    for file in &mut marked {
        let start = file.len() - 128 * 128 * 2;
        for row in 40..60 {
            for column in 30..90 {
                file[start + (row * 128 + column) * 2 + 1] |= 0x80;
            }
        }
    }
    let (without, _) = round_trip(&plain);
    let (with, _) = round_trip(&marked);
    assert!(with.len() < without.len() + 400, "{} against {}", with.len(), without.len());
}

#[test]
fn colours_that_go_with_each_other_cost_little_more_than_one_of_them() {
    // A screen of 64 colours in disorder, one plane of it, and all three of them.
    let side = 96_u16;
    let mut state = 7_u32;
    let indices: Vec<u8> = (0..u32::from(side) * u32::from(side))
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 26) as u8
        })
        .collect();
    let grey: Vec<u8> = indices.iter().map(|index| index.wrapping_mul(37)).collect();
    let colour: Vec<u8> =
        indices.iter().flat_map(|index| [151, 37, 101].map(|factor: u8| index.wrapping_mul(factor))).collect();
    let layout = |samples, photometric| Layout {
        syntax: "1.2.840.10008.1.2.1",
        columns: side,
        rows: side,
        frames: 1,
        samples,
        planar: 0,
        allocated: 8,
        stored: 8,
        signed: 0,
        photometric,
    };
    let (grey, _) = round_trip(&[layout(1, "MONOCHROME2").file(1, &grey)]);
    let (colour, _) = round_trip(&[layout(3, "RGB").file(1, &colour)]);
    assert!(colour.len() * 2 < grey.len() * 3, "{} against {}", colour.len(), grey.len());
}

#[test]
fn the_fast_profile_is_another_model_and_close_in_bytes() {
    let instances = slices(4);
    let (max, _) = round_trip_by(&instances, Profile::Max);
    let (fast, _) = round_trip_by(&instances, Profile::Fast);
    assert_ne!(max, fast);
    assert!(fast.len() * 100 < max.len() * 105, "{} against {}", fast.len(), max.len());
}

/// The stream of one slice, with these segments in place of its own.
fn with_segments(segments: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, DecodeError> {
    let (stream, contents) = round_trip(&slices(1));
    let headers = 4 + u32::from_be_bytes(*stream[14..].first_chunk().unwrap()) as usize;
    let mut forged = stream[..14 + headers].to_vec();
    for segment in segments {
        forged.extend((segment.len() as u32).to_be_bytes());
        forged.extend_from_slice(segment);
    }
    decoded(&forged, &contents)
}

/// A segment of one picture of bytes, by a new model.
fn picture_anew(columns: u16, rows: u16) -> Vec<u8> {
    let mut segment = vec![2];
    segment.extend(columns.to_be_bytes());
    segment.extend(rows.to_be_bytes());
    segment.extend([1, 0, 0, 0, 0, 0, 1, 0, 1]);
    segment
}

#[test]
fn a_segment_that_asks_for_more_than_its_hole_is_refused_before_anything_is_made_of_it() {
    let refused = |segment: Vec<u8>| matches!(with_segments(&[segment]), Err(DecodeError::Segment));
    assert!(refused(picture_anew(u16::MAX, u16::MAX)));
    assert!(refused(picture_anew(200, 200)), "40,000 bytes, where the slice has 32,768");
    assert!(refused(picture_anew(20_000, 1)), "more columns than the model takes");
    assert!(refused(picture_anew(0, 1)));
    for form in [1, 3, 6, 7, 255] {
        assert!(refused(vec![form, 0, 1]), "form {form} with nothing in force");
    }
    assert!(refused(vec![]));
}

#[test]
fn a_stream_may_not_begin_a_model_for_every_few_bytes() {
    let many = vec![picture_anew(16, 1); 66];
    assert!(matches!(with_segments(&many), Err(DecodeError::Segment)));
    let some = vec![picture_anew(16, 1); 60];
    assert!(matches!(with_segments(&some), Err(DecodeError::EndsEarly)));
}
