//! JPEG lossless: each sample by what its neighbours predict and a Huffman-coded difference (T.81 annex H).
//!
//! It is the commonest compressed syntax of archives (PS3.5 A.4.2: process 14, all predictors, and its first selection
//! value alone). Given its tables a difference has one code, so the same samples give the same bytes. A wrong
//! predictor of some encoder does no harm: prediction here is undone exactly as it was done, and only the samples
//! would be worse to code. Rule: a row's differences are read first and then summed up, or taken first and then
//! written; restart intervals are whole rows (H.1.1).

use super::{
    Plane, PutTogetherError,
    bits::{BitReader, BitWriter, ZeroByte},
    huffman::Huffman,
    jpeg::{Decoded, Padding, within},
    segments::{Headers, Scan},
};

/// How a sample is predicted: table H.1, by selection value.
#[derive(Debug, Clone, Copy)]
struct Predictor(u8);

/// What a scan is coded with, checked.
struct Plan<'h> {
    width: usize,
    height: usize,
    tables: Vec<&'h Huffman>,
    predictor: Predictor,
    /// Of the first sample of all and of each restart interval.
    start: u16,
    /// Rows of a restart interval.
    rows: usize,
}

impl<'h> Plan<'h> {
    fn new(headers: &'h Headers, scan: &Scan) -> Option<Self> {
        let frame = headers.frame.as_ref()?;
        let (width, height) = frame.size(scan.planes.first()?.0)?;
        let tables = scan.planes.iter().map(|(_, table)| headers.huffman.get(*table)?.as_ref());
        let rows = match headers.restart_interval {
            0 => height,
            interval if interval.is_multiple_of(width) => interval / width,
            _ => return None,
        };
        let (1..=7, Some(half)) = (scan.selection, frame.bits.checked_sub(scan.transform + 1)) else { return None };
        Some(Self {
            width: width as usize,
            height: height as usize,
            tables: tables.collect::<Option<_>>()?,
            predictor: Predictor(scan.selection),
            start: 1 << half,
            rows: rows as usize,
        })
    }

    /// Where a restart marker stands: before the rows that these are.
    fn restarts_at(&self, row: usize) -> bool {
        row > 0 && row.is_multiple_of(self.rows)
    }
}

/// Restart marker before interval `interval`, counted from 1.
fn restart_marker(interval: usize) -> [u8; 2] {
    [0xFF, 0xD0 | ((interval - 1) % 8) as u8]
}

pub(super) fn decode(headers: &Headers, scan: &Scan, data: &[u8]) -> Option<Decoded> {
    let plan = Plan::new(headers, scan)?;
    let mut bits = BitReader::new(data);
    let mut planes: Vec<Vec<u16>> = vec![Vec::new(); plan.tables.len()];
    let mut pads = Vec::new();
    for row in 0..plan.height {
        if plan.restarts_at(row) {
            pads.push(bits.align()?.1);
            bits.pass(&restart_marker(pads.len()))?;
        }
        // A row at a time, so that a short stream that claims a large frame never takes a large frame's memory.
        for plane in &mut planes {
            plane.resize((row + 1) * plan.width, 0);
        }
        read_row(&mut bits, &plan, &mut planes, row)?;
        for plane in &mut planes {
            let (above, now) = plane.split_at_mut(row * plan.width);
            let above = if row.is_multiple_of(plan.rows) { &[] } else { &above[(row - 1) * plan.width..] };
            plan.predictor.sum(above, now, plan.start);
        }
        if bits.is_over() {
            return None;
        }
    }
    let (bytes, pad) = bits.align()?;
    pads.push(pad);
    let (width, height) = (plan.width as u32, plan.height as u32);
    let planes = planes.into_iter().map(|samples| Plane { width, height, samples }).collect();
    Some(Decoded { planes, padding: Padding::of(&pads), bytes })
}

/// Reads the differences of a row into the place of its samples.
fn read_row(bits: &mut BitReader<'_, ZeroByte>, plan: &Plan<'_>, planes: &mut [Vec<u16>], row: usize) -> Option<()> {
    let from = row * plan.width;
    if let ([plane], [table]) = (&mut *planes, plan.tables.as_slice()) {
        for difference in &mut plane[from..] {
            *difference = table.read(bits)?;
        }
        return Some(());
    }
    for column in from..from + plan.width {
        for (plane, table) in planes.iter_mut().zip(&plan.tables) {
            plane[column] = table.read(bits)?;
        }
    }
    Some(())
}

pub(super) fn encode(
    headers: &Headers,
    scan: &Scan,
    planes: &[&Plane],
    padding: &Padding,
    out: Vec<u8>,
    bytes_max: usize,
) -> Result<Vec<u8>, PutTogetherError> {
    let plan = Plan::new(headers, scan).ok_or(PutTogetherError::Recipe)?;
    let mut bits = BitWriter::new(out);
    let mut differences: Vec<Vec<u16>> = vec![vec![0; plan.width]; planes.len()];
    let mut interval = 0;
    for row in 0..plan.height {
        if plan.restarts_at(row) {
            bits.align(|_| padding.value(interval)).ok_or(PutTogetherError::Recipe)?;
            interval += 1;
            bits.out.extend(restart_marker(interval));
        }
        for (differences, plane) in differences.iter_mut().zip(planes) {
            let (above, now) = plane.samples[..(row + 1) * plan.width].split_at(row * plan.width);
            let above = if row.is_multiple_of(plan.rows) { &[] } else { &above[(row - 1) * plan.width..] };
            plan.predictor.difference(above, now, plan.start, differences);
        }
        write_row(&mut bits, &plan, &differences).ok_or(PutTogetherError::Samples)?;
        within(&bits.out, bytes_max)?;
    }
    bits.align(|_| padding.value(interval)).ok_or(PutTogetherError::Recipe)?;
    Ok(bits.out)
}

fn write_row(bits: &mut BitWriter<ZeroByte>, plan: &Plan<'_>, differences: &[Vec<u16>]) -> Option<()> {
    if let ([row], [table]) = (differences, plan.tables.as_slice()) {
        return row.iter().try_for_each(|difference| table.write(*difference, bits));
    }
    for column in 0..plan.width {
        for (row, table) in differences.iter().zip(&plan.tables) {
            table.write(row[column], bits)?;
        }
    }
    Some(())
}

impl Predictor {
    /// Prediction from the samples to the left (a), above (b) and above left (c), modulo 65536.
    #[inline(always)]
    fn predict(selection: u8, a: u16, b: u16, c: u16) -> u16 {
        let (wide_a, wide_b, wide_c) = (i32::from(a), i32::from(b), i32::from(c));
        match selection {
            1 => a,
            2 => b,
            3 => c,
            4 => a.wrapping_add(b).wrapping_sub(c),
            5 => (wide_a + ((wide_b - wide_c) >> 1)) as u16,
            6 => (wide_b + ((wide_a - wide_c) >> 1)) as u16,
            _ => ((wide_a + wide_b) >> 1) as u16,
        }
    }

    /// Differences to samples, in place. `above` is empty in the first row of an interval.
    fn sum(self, above: &[u16], row: &mut [u16], start: u16) {
        match self.0 {
            1 => Self::sum_by::<1>(above, row, start),
            2 => Self::sum_by::<2>(above, row, start),
            3 => Self::sum_by::<3>(above, row, start),
            4 => Self::sum_by::<4>(above, row, start),
            5 => Self::sum_by::<5>(above, row, start),
            6 => Self::sum_by::<6>(above, row, start),
            _ => Self::sum_by::<7>(above, row, start),
        }
    }

    fn sum_by<const SELECTION: u8>(above: &[u16], row: &mut [u16], start: u16) {
        let Some((first, rest)) = row.split_first_mut() else { return };
        let Some((&above_first, above_rest)) = above.split_first() else {
            *first = first.wrapping_add(start);
            let mut left = *first;
            for sample in rest {
                left = left.wrapping_add(*sample);
                *sample = left;
            }
            return;
        };
        *first = first.wrapping_add(above_first);
        let (mut a, mut c) = (*first, above_first);
        for (sample, &b) in rest.iter_mut().zip(above_rest) {
            a = sample.wrapping_add(Self::predict(SELECTION, a, b, c));
            *sample = a;
            c = b;
        }
    }

    /// Samples to differences.
    fn difference(self, above: &[u16], row: &[u16], start: u16, out: &mut [u16]) {
        match self.0 {
            1 => Self::difference_by::<1>(above, row, start, out),
            2 => Self::difference_by::<2>(above, row, start, out),
            3 => Self::difference_by::<3>(above, row, start, out),
            4 => Self::difference_by::<4>(above, row, start, out),
            5 => Self::difference_by::<5>(above, row, start, out),
            6 => Self::difference_by::<6>(above, row, start, out),
            _ => Self::difference_by::<7>(above, row, start, out),
        }
    }

    fn difference_by<const SELECTION: u8>(above: &[u16], row: &[u16], start: u16, out: &mut [u16]) {
        let (Some(&first), Some(out_first)) = (row.first(), out.first_mut()) else { return };
        *out_first = first.wrapping_sub(above.first().copied().unwrap_or(start));
        let lefts = row.iter().zip(&row[1..]).zip(&mut out[1..]);
        if above.is_empty() {
            for ((&a, &sample), out) in lefts {
                *out = sample.wrapping_sub(a);
            }
        } else {
            for (((&a, &sample), out), (&c, &b)) in lefts.zip(above.iter().zip(&above[1..])) {
                *out = sample.wrapping_sub(Self::predict(SELECTION, a, b, c));
            }
        }
    }
}
