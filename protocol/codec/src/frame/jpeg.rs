//! A JPEG stream as scans of samples between verbatim segments, for both lossless processes.
//!
//! The recipe has every byte that is not entropy-coded: the segments up to and including each scan's header, how each
//! scan was padded, and what follows the last scan (EOI, a pad byte, whatever a vendor left there). It reads
//! `bits u8 | scans number | scans x (segments run, padding) | trailer run`. Each plane is coded by one scan only, so
//! no recipe can ask for more work than its samples are worth.

use super::{
    Plane, PutTogetherError, Samples, Shape,
    bits::Pad,
    jpeg_lossless, jpeg_ls,
    recipe::{self, Reader},
    segments::{Headers, Next, Process, Scan},
};

/// What fills the last byte of each restart interval of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Padding {
    /// Ones, as T.81 F.1.2.3 has it.
    Ones,
    /// Zeros, as T.87 A.1 has it.
    Zeros,
    /// Something else: the value for each interval.
    Listed(Vec<u8>),
}

impl Padding {
    pub(super) fn of(pads: &[Pad]) -> Self {
        if pads.iter().all(|pad| pad.value == 0) {
            Self::Zeros
        } else if pads.iter().all(|pad| u32::from(pad.value) == (1 << pad.bits) - 1) {
            Self::Ones
        } else {
            Self::Listed(pads.iter().map(|pad| pad.value).collect())
        }
    }

    /// The value that fills the open bits at the end of an interval.
    pub(super) fn value(&self, interval: usize) -> Option<u8> {
        match self {
            Self::Ones => Some(u8::MAX),
            Self::Zeros => Some(0),
            Self::Listed(values) => values.get(interval).copied(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Ones => out.push(1),
            Self::Zeros => out.push(0),
            Self::Listed(values) => {
                out.push(2);
                recipe::run(out, values)?;
            }
        }
        Some(())
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        match reader.byte()? {
            0 => Some(Self::Zeros),
            1 => Some(Self::Ones),
            2 => Some(Self::Listed(reader.run()?.to_vec())),
            _ => None,
        }
    }
}

/// A scan taken apart: its planes in its order, its padding, and the bytes it had.
pub(super) struct Decoded {
    pub(super) planes: Vec<Plane>,
    pub(super) padding: Padding,
    pub(super) bytes: usize,
}

pub(super) fn take_apart(coded: &[u8], samples_max: usize, recipe: &mut Vec<u8>) -> Option<Samples> {
    let mut headers = Headers::default();
    let mut planes = Vec::new();
    let (mut scans, mut scan_count, mut bits) = (Vec::new(), 0, 0);
    let mut at = 0;
    loop {
        let (next, segments) = headers.read(&coded[at..])?;
        let Next::Scan(scan) = next else { break };
        let frame = headers.frame.as_ref()?;
        if scan_count == 0 {
            let shape = frame.shape(frame.bits)?;
            if shape.samples() > samples_max as u64 {
                return None;
            }
            planes.resize(shape.planes.len(), None);
        }
        let data = &coded[at + segments..];
        let decoded = match frame.process {
            Process::Lossless => jpeg_lossless::decode(&headers, &scan, data)?,
            Process::JpegLs => jpeg_ls::decode(&headers, &scan, data)?,
        };
        recipe::run(&mut scans, &coded[at..at + segments])?;
        decoded.padding.write(&mut scans)?;
        scan_count += 1;
        bits = bits.max(frame.bits.saturating_sub(scan.transform));
        for (plane, &(index, _)) in decoded.planes.into_iter().zip(&scan.planes) {
            if planes[index].replace(plane).is_some() {
                return None;
            }
        }
        at += segments + decoded.bytes;
    }
    let planes = planes.into_iter().collect::<Option<Vec<Plane>>>().filter(|planes| !planes.is_empty())?;
    let mut samples = Samples { bits, planes };
    // Differences are taken modulo 65536, so a stream may hold samples of more bits than it says.
    samples.bits = bits.max(samples.bits_found() as u8);
    recipe.push(samples.bits);
    recipe::number(recipe, scan_count);
    recipe.extend(scans);
    recipe::run(recipe, &coded[at..])?;
    Some(samples)
}

pub(super) fn shape(mut reader: Reader<'_>) -> Option<Shape> {
    let bits = reader.byte().filter(|bits| (1..=16).contains(bits))?;
    reader.number()?;
    let mut headers = Headers::default();
    headers.read(reader.run()?)?;
    headers.frame?.shape(bits)
}

pub(super) fn put_together(
    mut reader: Reader<'_>,
    samples: &Samples,
    bytes_max: usize,
) -> Result<Vec<u8>, PutTogetherError> {
    let (Some(_bits), Some(scan_count)) = (reader.byte(), reader.number()) else {
        return Err(PutTogetherError::Recipe);
    };
    let mut headers = Headers::default();
    let mut left: Vec<Option<&Plane>> = samples.planes.iter().map(Some).collect();
    let mut out = Vec::new();
    for _ in 0..scan_count {
        let (scan, padding) = next_scan(&mut reader, &mut headers, &mut out).ok_or(PutTogetherError::Recipe)?;
        let frame = headers.frame.as_ref().ok_or(PutTogetherError::Recipe)?;
        let planes = scan.planes.iter().map(|(index, _)| left.get_mut(*index)?.take());
        let planes = planes.collect::<Option<Vec<&Plane>>>().ok_or(PutTogetherError::Recipe)?;
        // Told here, so that no scan starts on an output that is full already.
        within(&out, bytes_max)?;
        out = match frame.process {
            Process::Lossless => jpeg_lossless::encode(&headers, &scan, &planes, &padding, out, bytes_max)?,
            Process::JpegLs => jpeg_ls::encode(&headers, &scan, &planes, &padding, out, bytes_max)?,
        };
    }
    let trailer = reader.run().ok_or(PutTogetherError::Recipe)?;
    reader.end().ok_or(PutTogetherError::Recipe)?;
    if left.iter().any(Option::is_some) {
        return Err(PutTogetherError::Recipe);
    }
    out.extend_from_slice(trailer);
    within(&out, bytes_max)?;
    Ok(out)
}

/// Reads a scan's segments from the recipe into `out` and `headers`.
fn next_scan(reader: &mut Reader<'_>, headers: &mut Headers, out: &mut Vec<u8>) -> Option<(Scan, Padding)> {
    let segments = reader.run()?;
    let (Next::Scan(scan), used) = headers.read(segments)? else { return None };
    if used != segments.len() {
        return None;
    }
    out.extend_from_slice(segments);
    Some((scan, Padding::read(reader)?))
}

/// That what was written so far is no more than was declared.
pub(super) fn within(out: &[u8], bytes_max: usize) -> Result<(), PutTogetherError> {
    if out.len() > bytes_max { Err(PutTogetherError::Large { max: bytes_max }) } else { Ok(()) }
}
