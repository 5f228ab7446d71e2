//! The previews of real Instances of every modality look as an independent toolkit shows them.
//!
//! Each is opened as a browser opens it and held against an 8 x 8 thumbnail that pydicom made of the same frame
//! (`tests/independent/make_pictures.py`): a wrong window, byte order, colour space, frame or side is far outside.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use radmesh_codec::scan::Form;
use radmesh_worker::preview::{Allowance, Preview, PreviewError, limits::PREVIEW_BYTES_MAX, render};
use std::{fs, path::Path};

const CELLS: usize = 8;
/// Mean distance, of 255, from what pydicom shows. Without a window ours leaves the background out and its does not.
const DISTANCE_MAX: f64 = 6.0;
/// How closely the cells must go together, as a dark picture is near to a black one.
const CORRELATION_MIN: f64 = 0.97;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)).unwrap()
}

fn preview(name: &str, frame: u32) -> Result<Preview, PreviewError> {
    render(&fixture(name), Form::File, frame, Allowance::FULL)
}

/// Width, height and RGB samples.
fn opened(preview: &Preview) -> (usize, usize, Vec<u8>) {
    let (size, samples) = if preview.image.starts_with(b"\x89PNG") {
        let mut reader = png::Decoder::new(std::io::Cursor::new(&preview.image)).read_info().unwrap();
        let mut samples = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut samples).unwrap();
        ((info.width, info.height), samples)
    } else {
        let mut decoder = jpeg_decoder::Decoder::new(preview.image.as_slice());
        let samples = decoder.decode().unwrap();
        let info = decoder.info().unwrap();
        ((info.width.into(), info.height.into()), samples)
    };
    let (width, height) = (size.0 as usize, size.1 as usize);
    let samples =
        if samples.len() == width * height { samples.iter().flat_map(|s| [*s; 3]).collect() } else { samples };
    (width, height, samples)
}

/// Means of 8 x 8 cells, RGB.
fn thumbnail((width, height, samples): &(usize, usize, Vec<u8>)) -> Vec<f64> {
    let mut cells = vec![(0.0, 0.0); CELLS * CELLS * 3];
    for (index, sample) in samples.iter().enumerate() {
        let (x, y, channel) = (index / 3 % width, index / 3 / width, index % 3);
        let cell = &mut cells[(y * CELLS / height * CELLS + x * CELLS / width) * 3 + channel];
        *cell = (cell.0 + f64::from(*sample), cell.1 + 1.0);
    }
    cells.iter().map(|(sum, count)| sum / count).collect()
}

/// Pearson's.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (of_a, of_b) = (mean(a), mean(b));
    let spread = |values: &[f64], of: f64| values.iter().map(|value| (value - of).powi(2)).sum::<f64>();
    let both = a.iter().zip(b).map(|(a, b)| (a - of_a) * (b - of_b)).sum::<f64>();
    both / (spread(a, of_a) * spread(b, of_b)).sqrt()
}

#[test]
fn every_modality_of_the_fixtures_looks_as_pydicom_shows_it() {
    let mut wrong = Vec::new();
    let expected = include_str!("pictures.txt");
    for line in expected.lines().filter(|line| !line.starts_with('#')) {
        let [name, frame, channels, cells] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let cells = (0..cells.len()).step_by(2).map(|at| u8::from_str_radix(&cells[at..at + 2], 16).unwrap());
        let cells: Vec<f64> = match channels {
            "1" => cells.flat_map(|cell| [f64::from(cell); 3]).collect(),
            _ => cells.map(f64::from).collect(),
        };
        let preview = preview(name, frame.parse().unwrap()).unwrap();
        assert!(preview.image.len() <= PREVIEW_BYTES_MAX as usize, "{name}");
        let opened = opened(&preview);
        assert_eq!((opened.0, opened.1), (preview.width.into(), preview.height.into()), "{name}");
        assert!(opened.0.max(opened.1) <= 512, "{name}");
        let shown = thumbnail(&opened);
        let distance = shown.iter().zip(&cells).map(|(a, b)| (a - b).abs()).sum::<f64>() / cells.len() as f64;
        let correlation = correlation(&shown, &cells);
        println!("{name} {frame}: distance {distance:.2}, correlation {correlation:.3}, {} bytes", preview.image.len());
        // What is even has no correlation; its distance alone tells.
        if distance > DISTANCE_MAX || correlation < CORRELATION_MIN {
            wrong.push(format!("{name} frame {frame}: distance {distance:.1}, correlation {correlation:.3}"));
        }
    }
    assert!(wrong.is_empty(), "far from what pydicom shows: {wrong:?}");
}

#[test]
fn what_has_no_preview_says_why() {
    let why = |name| preview(name, 0).unwrap_err();
    assert!(matches!(why("pydicom/MR_truncated.dcm"), PreviewError::NotWhole { .. }));
    assert!(matches!(why("pydicom/test-SR.dcm"), PreviewError::NoPixels));
    assert!(matches!(why("pydicom/nested_priv_SQ.dcm"), PreviewError::Scan(_)));
}
