//! Native pictures, made: a case for each way in which samples lie, and for each thing a model learns.

use super::{Case, Segment};
use crate::dataset;
use radmesh_codec::{EncodingId, deflated::deflate};

const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Pictures of one layout, much alike.
#[derive(Clone, Copy)]
struct Made {
    name: &'static str,
    syntax: &'static str,
    columns: u16,
    rows: u16,
    frames: u32,
    colours: u16,
    planar: u16,
    bits_allocated: u16,
    bits_stored: u16,
    is_signed: bool,
    photometric: &'static str,
    /// What the samples are, of column, row and noise.
    sample: fn(u32, u32, u32) -> u32,
    /// The raster in the stream, behind its columns and rows: cell, arrangement, lead, flip, split.
    lies: [u8; 6],
}

const BIT: u8 = 0;
const BYTE: u8 = 1;
const LITTLE: u8 = 2;
const BIG: u8 = 3;
const LONG_LITTLE: u8 = 4;
const LONG_BIG: u8 = 5;

const SINGLE: u8 = 0;
const INTERLEAVED: u8 = 1;
const PLANAR: u8 = 2;
const SUBSAMPLED: u8 = 3;

const GREY: Made = Made {
    name: "grey-12",
    syntax: dataset::EXPLICIT,
    columns: 72,
    rows: 56,
    frames: 1,
    colours: 1,
    planar: 0,
    bits_allocated: 16,
    bits_stored: 12,
    is_signed: false,
    photometric: "MONOCHROME2 ",
    sample: |x, y, noise| 300 + x * x / 20 + y * 3 + noise % 6,
    lies: [LITTLE, SINGLE, 0, 0, 0, 0],
};

const BYTES: Made = Made {
    bits_allocated: 8,
    bits_stored: 8,
    sample: |x, y, noise| x / 2 + y + noise % 4,
    lies: [BYTE, SINGLE, 0, 0, 0, 0],
    ..GREY
};

const COLOURS: Made = Made {
    name: "rgb",
    colours: 3,
    photometric: "RGB ",
    columns: 48,
    rows: 40,
    lies: [BYTE, INTERLEAVED, 1, 0, 0, 0],
    ..BYTES
};

/// Each is a group of three Instances.
const BITS_32: Made = Made {
    name: "bits-32",
    columns: 32,
    rows: 24,
    bits_allocated: 32,
    bits_stored: 32,
    sample: |x, y, noise| (1000 + x * x + y * 3 + noise % 6) << 16 | noise >> 13,
    lies: [LONG_LITTLE, SINGLE, 0, 0, 0, 0],
    ..GREY
};

const THREES: [Made; 25] = [
    GREY,
    Made { name: "grey-8", ..BYTES },
    Made {
        name: "grey-8-signed",
        columns: 48,
        rows: 36,
        is_signed: true,
        lies: [BYTE, SINGLE, 0, 0, 0x80, 0],
        ..BYTES
    },
    Made {
        name: "grey-12-signed",
        is_signed: true,
        sample: |x, y, noise| (x * x / 20 + y * 3 + noise % 6).wrapping_sub(150),
        lies: [LITTLE, SINGLE, 0, 0x80, 0, 0],
        ..GREY
    },
    Made {
        name: "grey-12-big-endian",
        columns: 48,
        rows: 36,
        syntax: BIG_ENDIAN,
        lies: [BIG, SINGLE, 0, 0, 0, 0],
        ..GREY
    },
    Made {
        name: "grey-16-big-endian-signed",
        columns: 48,
        rows: 36,
        syntax: BIG_ENDIAN,
        bits_stored: 16,
        is_signed: true,
        sample: |x, y, noise| (x * y + noise % 40).wrapping_sub(900),
        lies: [BIG, SINGLE, 0, 0x80, 0, 0],
        ..GREY
    },
    Made { name: "noise-16", columns: 32, rows: 24, bits_stored: 16, sample: |_, _, noise| noise, ..GREY },
    Made {
        name: "extremes-16-signed",
        bits_stored: 16,
        is_signed: true,
        sample: |_, _, noise| noise % 2 * 0xFFFF,
        lies: [LITTLE, SINGLE, 0, 0x80, 0, 0],
        ..GREY
    },
    Made { name: "few-values-16", bits_stored: 16, sample: |x, y, noise| (x / 9 + y / 7 + noise % 2) * 331, ..GREY },
    Made {
        name: "palette-8",
        photometric: "PALETTE COLOR ",
        sample: |x, y, noise| ((x / 5) ^ (y / 3)) % 11 * 23 + noise / 4096 % 9 / 8,
        ..BYTES
    },
    Made {
        name: "letters-8",
        sample: |x, y, _| if ((x % 13 / 3) ^ (y % 11 / 5)) % 7 == 0 { 255 } else { 12 },
        ..BYTES
    },
    Made {
        name: "enlarged-12",
        sample: |x, y, _| ((x / 2 * 7919) ^ (y / 2 * 104_729)).wrapping_mul(2_654_435_761) >> 24,
        ..GREY
    },
    Made { name: "constant-12", sample: |_, _, _| 7, ..GREY },
    Made { name: "one-row", columns: 2048, rows: 1, sample: |x, _, noise| x / 3 + noise % 9, ..GREY },
    Made { name: "one-column", columns: 1, rows: 700, sample: |_, y, noise| y / 3 + noise % 9, ..GREY },
    BITS_32,
    Made { name: "bits-32-big-endian", syntax: BIG_ENDIAN, lies: [LONG_BIG, SINGLE, 0, 0, 0, 0], ..BITS_32 },
    Made {
        name: "bits-1",
        bits_allocated: 1,
        bits_stored: 1,
        sample: |x, y, noise| u32::from(x * x + y * y < 2000 + noise % 90),
        lies: [BIT, SINGLE, 0, 0, 0, 0],
        ..GREY
    },
    Made {
        name: "overlay",
        sample: |x, y, noise| (300 + x * 3 + y + noise % 6) | if (x / 8 + y / 8) % 5 == 0 { 0x8000 } else { 0 },
        lies: [LITTLE, SINGLE, 0, 0, 0, 12],
        ..GREY
    },
    Made {
        name: "overlay-big-endian",
        columns: 48,
        rows: 36,
        syntax: BIG_ENDIAN,
        bits_stored: 10,
        sample: |x, y, noise| (300 + x * 3 + y + noise % 6) | if (x / 8 + y / 8) % 5 == 0 { 0x1000 } else { 0 },
        lies: [BIG, SINGLE, 0, 0, 0, 10],
        ..GREY
    },
    COLOURS,
    Made { name: "rgb-planar", columns: 32, rows: 24, planar: 1, lies: [BYTE, PLANAR, 1, 0, 0, 0], ..COLOURS },
    Made {
        name: "rgb-16",
        columns: 24,
        rows: 20,
        bits_allocated: 16,
        bits_stored: 16,
        sample: |x, y, noise| x * 40 + y * 90 + noise % 32,
        lies: [LITTLE, INTERLEAVED, 1, 0, 0, 0],
        ..COLOURS
    },
    Made {
        name: "ybr",
        columns: 32,
        rows: 24,
        photometric: "YBR_FULL",
        lies: [BYTE, INTERLEAVED, 0, 0, 0, 0],
        ..COLOURS
    },
    Made { name: "ybr-422", photometric: "YBR_FULL_422", lies: [BYTE, SUBSAMPLED, 0, 0, 0, 0], ..COLOURS },
];

/// Two cines, whose frames are chained as the slices of a Series are.
const CINE: Made = Made { name: "cine", columns: 40, rows: 32, frames: 4, ..BYTES };

/// Frames of an odd number of bytes, so that one is left over.
const ODD: Made = Made { name: "odd-bytes", columns: 51, rows: 37, ..BYTES };

/// Too large to be predicted from: coded in bands of 64 rows, each a segment. Air but for a corner of each.
const LARGE: Made = Made {
    name: "large-in-bands",
    columns: 16_384,
    rows: 193,
    sample: |x, y, noise| if x < 128 && y % 64 < 16 { 40 + x + y % 64 + noise % 3 } else { 4 },
    ..GREY
};

/// The same in colours, which foretell each other: in bands of 42 rows, three in the first segment.
const LARGE_RGB: Made = Made {
    name: "large-rgb-in-bands",
    columns: 8192,
    rows: 129,
    sample: |x, y, noise| if x < 64 && y % 42 < 12 { 40 + x + y % 42 + noise % 3 } else { 4 },
    ..COLOURS
};

pub(super) fn cases() -> Vec<Case> {
    let next = Segment::Pictures { bands: 1 };
    let threes = THREES.iter().map(|made| made.case(3));
    let [small, other] = [Made { columns: 40, rows: 32, ..GREY }, Made { columns: 32, rows: 40, ..BYTES }];
    let rasters = Case {
        name: "rasters-in-turn",
        instances: vec![small.file(0), other.file(1), small.file(2)],
        encoding: EncodingId::Model,
        segments: vec![small.anew(1), other.anew(1), small.anew(1)],
    };
    let large = LARGE.as_one(vec![LARGE.anew(1), next.clone(), next.clone(), next.clone()]);
    let large_rgb = LARGE_RGB.as_one(vec![LARGE_RGB.anew(3), next.clone()]);
    // Deflated at two levels among plain ones, one of them with a pad byte behind it.
    let deflated = Case {
        name: "deflated-among-plain",
        instances: vec![
            GREY.file(0),
            GREY.deflated(1, [6, 8]),
            GREY.file(2),
            [GREY.deflated(3, [1, 9]), vec![0]].concat(),
        ],
        encoding: EncodingId::Inflated,
        segments: vec![GREY.anew(1), next.clone(), next.clone(), next],
    };
    threes.chain([CINE.case(2), ODD.case(2), rasters, large, large_rgb, deflated]).collect()
}

impl Made {
    /// A group of Instances whose frames are each one band.
    fn case(&self, instances: u32) -> Case {
        let bands = self.frames as u16;
        let mut segments = Vec::new();
        for number in 0..instances {
            segments.push(if number == 0 { self.anew(bands) } else { Segment::Pictures { bands } });
            segments.extend((self.cells() % 2 == 1 && self.bits_allocated == 8).then_some(Segment::Bytes));
        }
        let instances = (0..instances).map(|number| self.file(number)).collect();
        Case { name: self.name, instances, encoding: EncodingId::Model, segments }
    }

    /// A group of one Instance.
    fn as_one(&self, segments: Vec<Segment>) -> Case {
        Case { name: self.name, instances: vec![self.file(0)], encoding: EncodingId::Model, segments }
    }

    fn anew(&self, bands: u16) -> Segment {
        let ([c0, c1], [r0, r1]) = (self.columns.to_be_bytes(), self.rows.to_be_bytes());
        let [cell, arrangement, lead, f0, f1, split] = self.lies;
        Segment::PicturesAnew { raster: [c0, c1, r0, r1, cell, arrangement, lead, f0, f1, split], bands }
    }

    /// Samples of all frames.
    fn cells(&self) -> u32 {
        let per_pixel = if self.photometric == "YBR_FULL_422" { 2 } else { u32::from(self.colours) };
        u32::from(self.columns) * u32::from(self.rows) * self.frames * per_pixel
    }

    /// The pixel data of one of them.
    fn pixels(&self, number: u32) -> Vec<u8> {
        let mut noise = 12_345 + number;
        let (columns, rows) = (u32::from(self.columns), u32::from(self.rows));
        let together = if self.planar == 1 { 1 } else { self.cells() / (columns * rows * self.frames) };
        let cells = (0..self.cells()).map(|cell| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pixel = cell / together;
            (self.sample)(pixel % columns, pixel / columns % rows, noise >> 16).wrapping_add(number)
        });
        let mut pixels: Vec<u8> = match self.bits_allocated {
            1 => {
                let bits: Vec<u32> = cells.collect();
                bits.chunks(8)
                    .map(|eight| eight.iter().rev().fold(0, |byte, bit| byte << 1 | (bit & 1) as u8))
                    .collect()
            }
            8 => cells.map(|cell| cell as u8).collect(),
            16 => cells.flat_map(|cell| self.ordered((cell as u16).to_le_bytes())).collect(),
            _ => cells.flat_map(|cell| self.ordered(cell.to_le_bytes())).collect(),
        };
        pixels.resize(pixels.len().next_multiple_of(2), 0);
        pixels
    }

    /// The data set of one of them; it has floating-point columns, which are foretold by additions.
    fn data_set(&self, number: u32) -> Vec<u8> {
        let us = |tag, value: u16| self.element(tag, b"US", &self.ordered(value.to_le_bytes()));
        let place = 0.1 * f64::from(number) - 7.3;
        let places = [place * 1.7, 2.5, place].map(|place| self.ordered(place.to_le_bytes())).concat();
        [
            self.element(0x0008_0016, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
            self.element(0x0008_0018, b"UI", format!("1.2.3.{number:02}\0").as_bytes()),
            self.element(0x0010_0010, b"PN", b"Banda^Grace "),
            self.element(0x0018_9073, b"FD", &self.ordered(place.to_le_bytes())),
            self.element(0x0018_9089, b"FD", &places),
            self.element(0x0018_9306, b"FL", &self.ordered((place as f32).to_le_bytes())),
            self.element(0x0020_000D, b"UI", b"1.2.3\0"),
            self.element(0x0020_000E, b"UI", b"1.2.3.1\0"),
            us(0x0028_0002, self.colours),
            self.element(0x0028_0004, b"CS", self.photometric.as_bytes()),
            us(0x0028_0006, self.planar),
            self.element(0x0028_0008, b"IS", format!("{:2}", self.frames).as_bytes()),
            us(0x0028_0010, self.rows),
            us(0x0028_0011, self.columns),
            us(0x0028_0100, self.bits_allocated),
            us(0x0028_0101, self.bits_stored),
            us(0x0028_0103, u16::from(self.is_signed)),
            self.element(0x7FE0_0010, b"OW", &self.pixels(number)),
        ]
        .concat()
    }

    fn file(&self, number: u32) -> Vec<u8> {
        [dataset::meta(self.syntax), self.data_set(number)].concat()
    }

    /// As zlib deflates at a level with a memory level.
    fn deflated(&self, number: u32, levels: [u8; 2]) -> Vec<u8> {
        let stream = deflate(&levels, &self.data_set(number), usize::MAX).expect("zlib has these levels");
        [dataset::meta(dataset::DEFLATED), stream].concat()
    }

    /// One element in explicit VR.
    fn element(&self, tag: u32, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let (group, number) = ((tag >> 16) as u16, tag as u16);
        let mut element = [self.ordered(group.to_le_bytes()), self.ordered(number.to_le_bytes()), *vr].concat();
        match vr {
            b"OW" => element.extend([&[0; 2], &self.ordered((value.len() as u32).to_le_bytes())[..]].concat()),
            _ => element.extend(self.ordered((value.len() as u16).to_le_bytes())),
        }
        element.extend(value);
        element
    }

    /// Bytes of a number, given with the lowest first, in the order of the file.
    fn ordered<const N: usize>(&self, mut bytes: [u8; N]) -> [u8; N] {
        if self.syntax == BIG_ENDIAN {
            bytes.reverse();
        }
        bytes
    }
}
