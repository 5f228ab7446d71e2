//! JPEG-LS, without loss or nearly so: median prediction, 365 contexts and Golomb codes (ITU-T T.87; LOCO-I, Weinberger et al. 2000).
//!
//! Scanners and archives that care for bytes store it (PS3.5 A.4.3). Everything its coder learns follows from the
//! samples and a few parameters, so the same samples give the same bytes. Rule: one walk over the lines serves both
//! directions ([`line::Learned`]); what differs is whether a [`golomb::Codes`] tells the next value or is told it.
//! A lossy scan (NEAR above 0) is decoded to be shown, and otherwise stays as it is: its errors are whole steps, which cost
//! less than samples of which nobody knows that they lie on steps. So do scans with restart intervals.

mod golomb;
mod line;
mod preset;

pub(super) use preset::Preset;

use super::{
    Plane, PutTogetherError,
    jpeg::{Decoded, Padding, within},
    segments::{Headers, Scan},
};
use golomb::{Codes, Telling, Told};
use line::{Learned, Line};
use preset::Parameters;

/// How the planes of a scan take turns (T.87 C.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interleave {
    /// A line of each, or of the only one.
    Line,
    /// A sample of each.
    Sample,
}

/// What a scan is coded with, checked.
struct Plan {
    width: usize,
    height: usize,
    planes: usize,
    interleave: Interleave,
    parameters: Parameters,
}

impl Plan {
    fn new(headers: &Headers, scan: &Scan) -> Option<Self> {
        let frame = headers.frame.as_ref()?;
        let planes = scan.planes.len();
        let interleave = match (scan.interleave, planes) {
            (0, 1) | (1, _) => Interleave::Line,
            (2, 2..) => Interleave::Sample,
            _ => return None,
        };
        if scan.transform != 0 || headers.restart_interval != 0 {
            return None;
        }
        let (width, height) = frame.size(scan.planes.first()?.0)?;
        let parameters = headers.preset.parameters(frame.bits, scan.selection)?;
        Some(Self { width: width as usize, height: height as usize, planes, interleave, parameters })
    }

    fn is_lossless(&self) -> bool {
        self.parameters.near == 0
    }

    /// Codes every line. `turn` is given the lines of all planes before (encoding fills them) and after (decoding
    /// takes them), with the codes and the row.
    fn walk<C: Codes>(
        &self,
        codes: &mut C,
        mut before: impl FnMut(usize, &mut [Line]) -> Option<()>,
        mut after: impl FnMut(&mut C, &[Line]) -> Option<()>,
    ) -> Option<()> {
        let mut learned = Learned::new(&self.parameters, self.planes);
        let mut above = vec![Line::new(self.width); self.planes];
        let mut lines = above.clone();
        for row in 0..self.height {
            before(row, &mut lines)?;
            for (line, above) in lines.iter_mut().zip(&mut above) {
                line.begin(above);
            }
            match self.interleave {
                Interleave::Line => {
                    for (plane, (line, above)) in lines.iter_mut().zip(&above).enumerate() {
                        learned.code_line(codes, plane, above, line);
                    }
                }
                Interleave::Sample => learned.code_samples(codes, &above, &mut lines),
            }
            after(codes, &lines)?;
            std::mem::swap(&mut above, &mut lines);
        }
        Some(())
    }
}

pub(super) fn decode(headers: &Headers, scan: &Scan, data: &[u8]) -> Option<Decoded> {
    let plan = Plan::new(headers, scan)?;
    let mut planes = vec![Vec::new(); plan.planes];
    let mut codes = Telling::new(data);
    plan.walk(
        &mut codes,
        |_, _| Some(()),
        |codes, lines| {
            for (plane, line) in planes.iter_mut().zip(lines) {
                plane.extend_from_slice(line.samples());
            }
            (!codes.is_over()).then_some(())
        },
    )?;
    let (bytes, pad) = codes.align()?;
    let (width, height) = (plan.width as u32, plan.height as u32);
    let planes = planes.into_iter().map(|samples| Plane { width, height, samples }).collect();
    Some(Decoded { planes, padding: Padding::of(&[pad]), bytes })
}

pub(super) fn encode(
    headers: &Headers,
    scan: &Scan,
    planes: &[&Plane],
    padding: &Padding,
    out: Vec<u8>,
    bytes_max: usize,
) -> Result<Vec<u8>, PutTogetherError> {
    let plan = Plan::new(headers, scan).filter(Plan::is_lossless).ok_or(PutTogetherError::Recipe)?;
    let largest = planes.iter().flat_map(|plane| &plane.samples).max();
    if largest.is_some_and(|largest| i32::from(*largest) > plan.parameters.sample_max) {
        return Err(PutTogetherError::Samples);
    }
    let mut codes = Told::new(out);
    let whole = plan.walk(
        &mut codes,
        |row, lines| {
            for (line, plane) in lines.iter_mut().zip(planes) {
                line.fill(&plane.samples[row * plan.width..(row + 1) * plan.width]);
            }
            Some(())
        },
        |codes, _| within(codes.written(), bytes_max).ok(),
    );
    whole.ok_or(PutTogetherError::Large { max: bytes_max })?;
    codes.align(padding).ok_or(PutTogetherError::Recipe)
}
