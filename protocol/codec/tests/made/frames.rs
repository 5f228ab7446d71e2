//! Compressed frames: real ones of many encoders (`tests/frames`, fixtures) in files made around them.

use super::{Case, Model, Process, Segment, fixture};
use crate::dataset;
use radmesh_codec::{
    EncodingId,
    scan::{Form, PixelForm, scan},
};

const BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
const RLE: &str = "1.2.840.10008.1.2.5";

/// What a file says of its frames.
#[derive(Clone, Copy)]
struct Layout {
    syntax: &'static str,
    columns: u16,
    rows: u16,
    colours: u16,
    bits_allocated: u16,
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        jpeg_lossless(),
        jpeg_lossless_layouts(),
        jpeg_ls(),
        jpeg_ls_layouts(),
        rle_layouts(),
        rle_of_32_bits(),
        rle_too_large_to_chain(),
        unknown_among_known(),
        joined(),
        baseline_again(),
        jpeg_2000(),
    ]
}

/// One picture by six predictors: a recipe for each, one model for all, and the first frame once more.
fn jpeg_lossless() -> Case {
    let mut frames: Vec<Vec<u8>> = (2..=7).map(|predictor| coded(&format!("grey12.dcmtk-el{predictor}"))).collect();
    frames.push(frames[0].clone());
    let layout = Layout { syntax: JPEG_LOSSLESS, ..GREY_12 };
    let mut segments = vec![anew(Process::JpegLossless, Model::New)];
    segments.extend(vec![anew(Process::JpegLossless, Model::Kept); 5]);
    segments.push(Segment::Again { back: 6 });
    case("jpeg-lossless", vec![layout.file(&whole(&frames))], segments)
}

const GREY_8: Layout = Layout { syntax: JPEG_LS, columns: 29, rows: 24, colours: 1, bits_allocated: 8 };
const GREY_12: Layout = Layout { syntax: JPEG_LS, columns: 31, rows: 19, colours: 1, bits_allocated: 16 };
const GREY_16: Layout = Layout { syntax: JPEG_LS, columns: 21, rows: 17, colours: 1, bits_allocated: 16 };
const RGB: Layout = Layout { syntax: JPEG_LS, columns: 25, rows: 18, colours: 3, bits_allocated: 8 };

/// Instances of one frame each; each is of another shape than the one before, or of the same.
fn layouts(name: &'static str, syntax: &'static str, process: Process, frames: &[(&str, Layout, Model)]) -> Case {
    let file = |(frame, layout, _): &(&str, Layout, Model)| Layout { syntax, ..*layout }.file(&whole(&[coded(frame)]));
    let segments = frames.iter().map(|(.., model)| anew(process, *model)).collect();
    case(name, frames.iter().map(file).collect(), segments)
}

fn jpeg_lossless_layouts() -> Case {
    layouts(
        "jpeg-lossless-layouts",
        JPEG_LOSSLESS,
        Process::JpegLossless,
        &[
            ("grey8.gdcm-jpeg", GREY_8, Model::New),
            ("grey16.dcmtk-e1-pt", GREY_16, Model::New),
            ("grey12.gdcm-jpeg", GREY_12, Model::New),
            ("rgb8.gdcm-jpeg", RGB, Model::New),
        ],
    )
}

fn jpeg_ls_layouts() -> Case {
    layouts(
        "jpeg-ls-layouts",
        JPEG_LS,
        Process::JpegLs,
        &[
            ("grey8.dcmtk-jls", GREY_8, Model::New),
            ("grey12.dcmtk-jls-preset", GREY_12, Model::New),
            ("grey16.gdcm-jls", GREY_16, Model::New),
            ("rgb8.dcmtk-jls", RGB, Model::New),
            ("rgb8.dcmtk-jls-sample", RGB, Model::Kept),
            ("rgb8.dcmtk-jls-none", RGB, Model::Kept),
        ],
    )
}

fn rle_layouts() -> Case {
    layouts(
        "rle-layouts",
        RLE,
        Process::Rle,
        &[
            ("grey8.dcmtk-rle", GREY_8, Model::New),
            ("grey8.pydicom-rle", GREY_8, Model::Kept),
            ("grey12.gdcm-rle", GREY_12, Model::New),
            ("grey16.gdcm-rle", GREY_16, Model::New),
            ("rgb8.dcmtk-rle", RGB, Model::New),
            ("rgb8.pylibjpeg-rle", RGB, Model::Kept),
        ],
    )
}

const MR: Layout = Layout { syntax: JPEG_LS, columns: 64, rows: 64, colours: 1, bits_allocated: 16 };

/// The first frames of a real object.
fn mr_frames() -> Vec<Vec<u8>> {
    fragments(&fixture("pydicom-data/emri_small_jpeg_ls_lossless.dcm")).drain(..3).collect()
}

/// Frames of one recipe.
fn jpeg_ls() -> Case {
    let segments = vec![anew(Process::JpegLs, Model::New), Segment::Frame];
    case("jpeg-ls", vec![MR.file(&whole(&mr_frames()[..2]))], segments)
}

/// A frame that nothing understands between two that are understood.
fn unknown_among_known() -> Case {
    let mut frames = mr_frames();
    frames[1].truncate(1000);
    let segments = vec![anew(Process::JpegLs, Model::New), Segment::Bytes, Segment::Frame];
    case("unknown-among-known", vec![MR.file(&whole(&frames))], segments)
}

/// Frames in several fragments, the last of them the first again, cut elsewhere.
fn joined() -> Case {
    let frames = mr_frames();
    let cut = |frame: &[u8], pieces| frame.chunks(frame.len().div_ceil(pieces)).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let joined = |holes, frame| Segment::Joined { holes, frame: Box::new(frame) };
    case(
        "joined",
        vec![MR.file(&[cut(&frames[0], 3), cut(&frames[1], 2), cut(&frames[0], 4)])],
        vec![
            joined(3, anew(Process::JpegLs, Model::New)),
            joined(2, Segment::Frame),
            joined(4, Segment::Again { back: 2 }),
        ],
    )
}

/// A lossy frame in two fragments, and the same in two more Instances.
fn baseline_again() -> Case {
    let frame = fragments(&fixture("pydicom/SC_rgb_jpeg.dcm")).remove(0);
    let (half, rest) = frame.split_at(frame.len() / 2);
    let layout = Layout { syntax: BASELINE, columns: 100, rows: 100, colours: 3, bits_allocated: 8 };
    let whole = layout.file(&[vec![frame.clone()]]);
    case(
        "baseline-again",
        vec![layout.file(&[vec![half.to_vec(), rest.to_vec()]]), whole.clone(), whole],
        vec![
            Segment::Joined { holes: 2, frame: Box::new(Segment::Lepton) },
            Segment::Again { back: 1 },
            Segment::Again { back: 1 },
        ],
    )
}

/// What no stage of the codec understands.
fn jpeg_2000() -> Case {
    let frame: Vec<u8> = (0..600_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    case("jpeg-2000", vec![Layout { syntax: JPEG_2000, ..MR }.file(&[vec![frame]])], vec![Segment::Bytes])
}

/// Samples of which each has two planes.
fn rle_of_32_bits() -> Case {
    let layout = Layout { syntax: RLE, columns: 40, rows: 30, colours: 1, bits_allocated: 32 };
    let frame = |number: u32| {
        let mut noise = number;
        let samples = (0..40 * 30_u32).map(|at| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (at % 40, at / 40);
            (1000 + x * x + y * 3 + (noise >> 16) % 6) << 16 | noise >> 29
        });
        let samples: Vec<u32> = samples.collect();
        let plane = |shift: u32| samples.iter().map(|sample| (sample >> shift) as u8).collect();
        rle(layout.columns, &[24, 16, 8, 0].map(plane))
    };
    let frames = [frame(0), frame(1)];
    case(
        "rle-32-bits",
        vec![layout.file(&whole(&frames))],
        vec![anew(Process::Rle, Model::New), anew(Process::Rle, Model::Kept)],
    )
}

/// More samples than others are predicted from; air but for one corner.
fn rle_too_large_to_chain() -> Case {
    let (columns, rows) = (2048_u16, 1600_u16);
    let layout = Layout { syntax: RLE, columns, rows, colours: 1, bits_allocated: 8 };
    let mut noise = 1_u32;
    let samples = (0..u32::from(rows)).flat_map(|y| (0..u32::from(columns)).map(move |x| (x, y))).map(|(x, y)| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if x < 128 && y < 96 { (40 + x / 2 + y + (noise >> 16) % 4) as u8 } else { 4 }
    });
    let frame = rle(columns, &[samples.collect()]);
    case("rle-large", vec![layout.file(&whole(&[frame]))], vec![anew(Process::Rle, Model::New)])
}

fn case(name: &'static str, instances: Vec<Vec<u8>>, segments: Vec<Segment>) -> Case {
    Case { name, instances, encoding: EncodingId::Model, segments }
}

fn anew(process: Process, model: Model) -> Segment {
    Segment::FrameAnew { process, model }
}

/// One of `tests/frames`.
fn coded(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/frames/{name}", env!("CARGO_MANIFEST_DIR"))).expect("it is in the repository")
}

/// The fragments of a file, without the offset table.
fn fragments(file: &[u8]) -> Vec<Vec<u8>> {
    let data = scan(file, Form::File).expect("fixtures can be scanned").pixel_data.expect("it has pixels");
    let PixelForm::Encapsulated { fragments } = data.form else { panic!("its pixels are native") };
    fragments.kept[1..].iter().map(|at| file[at.start as usize..at.end as usize].to_vec()).collect()
}

/// Each frame as the one fragment that it is.
fn whole(frames: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    frames.iter().map(|frame| vec![frame.clone()]).collect()
}

/// A frame of byte planes by RLE (PS3.5 section G): rows apart, a run as soon as two bytes are equal.
fn rle(columns: u16, planes: &[Vec<u8>]) -> Vec<u8> {
    let (mut header, mut segments) = (vec![planes.len() as u32], Vec::new());
    for plane in planes {
        header.push(64 + segments.len() as u32);
        for row in plane.chunks(usize::from(columns)) {
            let runs: Vec<&[u8]> = row.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(128)).collect();
            for run in runs.chunk_by(|a, b| a.len() == 1 && b.len() == 1) {
                for some in run.chunks(128) {
                    match some {
                        [repeated] if repeated.len() > 1 => {
                            segments.extend([(257 - repeated.len()) as u8, repeated[0]]);
                        }
                        literal => {
                            segments.push((literal.len() - 1) as u8);
                            segments.extend(literal.concat());
                        }
                    }
                }
            }
        }
        segments.resize(segments.len().next_multiple_of(2), 0);
    }
    header.resize(16, 0);
    [header.into_iter().flat_map(u32::to_le_bytes).collect(), segments].concat()
}

impl Layout {
    /// A file of frames, each with its fragments.
    fn file(&self, frames: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let us = |tag, value: u16| dataset::element(tag, b"US", &value.to_le_bytes());
        let mut file = [
            dataset::meta(self.syntax),
            dataset::identity(),
            us(0x0028_0002, self.colours),
            dataset::element(0x0028_0008, b"IS", format!("{:2}", frames.len()).as_bytes()),
            us(0x0028_0010, self.rows),
            us(0x0028_0011, self.columns),
            us(0x0028_0100, self.bits_allocated),
            us(0x0028_0101, self.bits_allocated),
            dataset::element_saying(0x7FE0_0010, b"OB", u32::MAX, &[]),
            dataset::item(0xFFFE_E000, 0),
        ]
        .concat();
        for fragment in frames.iter().flatten() {
            file.extend(dataset::item(0xFFFE_E000, fragment.len() as u32));
            file.extend(fragment);
        }
        file.extend(dataset::item(0xFFFE_E0DD, 0));
        file
    }
}
