//! From stored values to grey: Modality LUT, VOI LUT, and where no window is given one found in the values.
//!
//! A chest CT shown from its lowest to its highest value is an even grey in which no bleed and no lung can be seen;
//! the window is what makes it a picture. Sources: PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT, window functions),
//! C.7.6.3 (Photometric Interpretation), C.7.5.1.1.2 (Pixel Padding Value), C.11.6 (Presentation LUT Shape).

use super::{frame::Frame, header::Header, limits::STATISTIC_SAMPLES_MAX, shape::Meaning, shape::Stored};
use dicom_dictionary_std::tags;

/// How a stored value becomes grey.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tone {
    padding: Option<(f32, f32)>,
    modality: Modality,
    voi: Voi,
    direction: Direction,
}

#[derive(Debug, Clone, PartialEq)]
enum Modality {
    Rescale { slope: f32, intercept: f32 },
    Table(Table),
}

#[derive(Debug, Clone, PartialEq)]
enum Voi {
    Linear { low: f32, width: f32 },
    Sigmoid { centre: f32, width: f32 },
    Table(Table),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    LowIsBlack,
    LowIsWhite,
}

/// A lookup table: the output for input `first`, and so on; inputs outside it have the outermost output.
#[derive(Debug, Clone, PartialEq)]
struct Table {
    first: f32,
    outputs: Vec<u16>,
    /// The output that is white: all bits of the largest. Descriptors say 16 bits of tables that have 12.
    white: f32,
}

impl Table {
    /// The table in the first item of `sequence`; its first input is signed where its own inputs are.
    fn of(header: &Header, sequence: dicom_core::Tag, signed: bool) -> Option<Self> {
        let descriptor = header.table_in(sequence, tags::LUT_DESCRIPTOR);
        let mut outputs = header.table_in(sequence, tags::LUT_DATA);
        let [entries, first, _bits] = *descriptor else { return None };
        let entries = if entries == 0 { 65_536 } else { usize::from(entries) };
        if outputs.len() < entries && 2 * outputs.len() >= entries {
            // Tables of 8 bits may be packed two to a word.
            outputs = outputs.iter().flat_map(|word| [word & 0xFF, word >> 8]).collect();
        }
        outputs.truncate(entries);
        let first = if signed { f32::from(first.cast_signed()) } else { f32::from(first) };
        let largest = outputs.iter().copied().max()?.max(1);
        let white = (u16::MAX >> largest.leading_zeros()).into();
        Some(Self { first, outputs, white })
    }

    fn output(&self, value: f32) -> f32 {
        let index = (value - self.first).round().clamp(0.0, (self.outputs.len() - 1) as f32);
        self.outputs[index as usize].into()
    }
}

impl Tone {
    /// The tone of a frame of grey.
    pub(super) fn of(frame: &Frame) -> Self {
        let header = &frame.header;
        let is_signed = matches!(frame.shape.stored, Stored::Integer { sign: super::shape::Sign::Signed, .. });
        let modality =
            Table::of(header, tags::MODALITY_LUT_SEQUENCE, is_signed).map_or_else(|| rescale(header), Modality::Table);
        let is_inverse = header.code(tags::PRESENTATION_LUT_SHAPE).is_some_and(|shape| shape == "INVERSE");
        // Both say the same thing of one image: INVERSE is what MONOCHROME1 must have.
        let is_white = frame.shape.meaning == Meaning::LowIsWhite || is_inverse;
        let direction = if is_white { Direction::LowIsWhite } else { Direction::LowIsBlack };
        let padding = padding(frame, is_signed);
        let mut tone = Self { padding, modality, voi: Voi::Linear { low: 0.0, width: 1.0 }, direction };
        let values = tone.statistic(frame);
        let found = voi(header, &tone.modality, is_signed).filter(|voi| shows(voi, &values));
        tone.voi = found.unwrap_or_else(|| percentiles(values));
        tone
    }

    /// Grey from 0 (black) to 255 (white) of a stored value. Padding is no part of the patient, and black.
    pub(super) fn grey(&self, stored: f32) -> f32 {
        if self.is_padding(stored) {
            return 0.0;
        }
        let grey = 255.0 * self.voi.of(self.modality.of(stored));
        match self.direction {
            Direction::LowIsBlack => grey,
            Direction::LowIsWhite => 255.0 - grey,
        }
    }

    fn is_padding(&self, stored: f32) -> bool {
        self.padding.is_some_and(|(low, high)| (low..=high).contains(&stored))
    }

    /// Values after the Modality LUT, evenly taken from the frame, without padding.
    fn statistic(&self, frame: &Frame) -> Vec<f32> {
        let (rows, columns) = (frame.shape.rows as usize, frame.shape.columns as usize);
        let step = ((rows * columns / STATISTIC_SAMPLES_MAX) as f32).sqrt().ceil().max(1.0) as usize;
        let mut row = vec![0.0; columns];
        let mut values = Vec::new();
        for y in (0..rows).step_by(step) {
            frame.row(y as u32, &mut row);
            let shown = row.iter().step_by(step).filter(|stored| !self.is_padding(**stored));
            values.extend(shown.map(|stored| self.modality.of(*stored)));
        }
        values
    }
}

impl Modality {
    fn of(&self, stored: f32) -> f32 {
        match self {
            Self::Rescale { slope, intercept } => stored * slope + intercept,
            Self::Table(table) => table.output(stored),
        }
    }
}

impl Voi {
    /// From 0 to 1.
    fn of(&self, value: f32) -> f32 {
        match self {
            Self::Linear { low, width } => ((value - low) / width).clamp(0.0, 1.0),
            Self::Sigmoid { centre, width } => 1.0 / (1.0 + (-4.0 * (value - centre) / width).exp()),
            Self::Table(table) => (table.output(value) / table.white).clamp(0.0, 1.0),
        }
    }
}

fn rescale(header: &Header) -> Modality {
    let figure = |tag, default: f32| header.figures(tag).first().map_or(default, |figure| *figure as f32);
    let slope = figure(tags::RESCALE_SLOPE, 1.0);
    let slope = if slope == 0.0 || !slope.is_finite() { 1.0 } else { slope };
    Modality::Rescale { slope, intercept: figure(tags::RESCALE_INTERCEPT, 0.0) }
}

/// The values that are no part of the image: one, or all from it to the limit.
fn padding(frame: &Frame, is_signed: bool) -> Option<(f32, f32)> {
    let figure = |tag| {
        let bits = frame.header.u16(tag)?;
        Some(if is_signed { f32::from(bits.cast_signed()) } else { f32::from(bits) })
    };
    let value = figure(tags::PIXEL_PADDING_VALUE)?;
    let limit = figure(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
    Some((value.min(limit), value.max(limit)))
}

/// The VOI LUT that the object brings: its table, or the first of its windows.
fn voi(header: &Header, modality: &Modality, is_signed: bool) -> Option<Voi> {
    let goes_below_zero = match modality {
        Modality::Rescale { intercept, .. } => is_signed || *intercept < 0.0,
        Modality::Table(_) => false,
    };
    if let Some(table) = Table::of(header, tags::VOILUT_SEQUENCE, goes_below_zero) {
        return Some(Voi::Table(table));
    }
    let first = |tag| header.figures(tag).first().map(|figure| *figure as f32);
    let (centre, width) = (first(tags::WINDOW_CENTER)?, first(tags::WINDOW_WIDTH)?);
    let is_usable = centre.is_finite() && width.is_finite() && width > 0.0;
    match header.code(tags::VOILUT_FUNCTION).as_deref() {
        _ if !is_usable => None,
        Some("SIGMOID") => Some(Voi::Sigmoid { centre, width }),
        Some("LINEAR_EXACT") => Some(Voi::Linear { low: centre - width / 2.0, width }),
        // LINEAR asks for widths of 1 and more; where its line has no length it is a step (C.11.2.1.2.1).
        _ => Some(Voi::Linear { low: centre - 0.5 - (width - 1.0) / 2.0, width: (width - 1.0).max(f32::EPSILON) }),
    }
}

/// Whether a VOI LUT shows anything of these values: some devices leave the window of another image in the header.
fn shows(voi: &Voi, values: &[f32]) -> bool {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    let (mut first, mut last) = (f32::INFINITY, f32::NEG_INFINITY);
    for value in values {
        let grey = voi.of(*value);
        (low, high) = (low.min(grey), high.max(grey));
        (first, last) = (first.min(*value), last.max(*value));
    }
    first >= last || high - low >= SHOWN_MIN
}

/// The part of the range from black to white that a window must use.
const SHOWN_MIN: f32 = 0.02;

/// A window over most values, the edges and what fills the background left out.
fn percentiles(mut values: Vec<f32>) -> Voi {
    values.sort_unstable_by(f32::total_cmp);
    let shown = without_background(&values);
    let at = |part: f32| shown.get(((shown.len() as f32 - 1.0) * part) as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(LOW_PART), at(HIGH_PART));
    let (low, high) = if high > low { (low, high) } else { (at(0.0), at(1.0)) };
    if high > low {
        return Voi::Linear { low, width: high - low };
    }
    // All of it is one value, or the background and one value: a mask.
    let (first, last) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
    Voi::Linear { low: first, width: (last - first).max(1.0) }
}

const LOW_PART: f32 = 0.005;
const HIGH_PART: f32 = 0.995;
/// The part of all values that an outermost one must have to be background: air, or a collimated edge.
const BACKGROUND_PART: f32 = 0.03;

/// Sorted values without the lowest and without the highest one, where that is background.
fn without_background(sorted: &[f32]) -> &[f32] {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return sorted;
    };
    let lowest = sorted.partition_point(|value| value <= first);
    let highest = sorted.len() - sorted.partition_point(|value| value < last);
    let is_background = |count: usize| count as f32 > BACKGROUND_PART * sorted.len() as f32;
    let start = if is_background(lowest) { lowest } else { 0 };
    let end = if is_background(highest) { sorted.len() - highest } else { sorted.len() };
    if start < end { &sorted[start..end] } else { sorted }
}
