//! The few header values that say what a frame looks like, picked out of a data set while it streams past.
//!
//! An enhanced object has 20 MB of header, of which one preview needs a hundred bytes: nothing else is kept. Values of
//! the frame's own functional groups stand before those that all frames share, and those before the data set's own
//! (PS3.3 C.7.6.16). Reads only what [`radmesh_codec::scan`] found whole.

use super::{PreviewError, limits::VALUE_BYTES_MAX};
use dicom_core::{PrimitiveValue, Tag, header::HasLength};
use dicom_dictionary_std::tags;
use dicom_parser::{
    DynStatefulDecoder,
    dataset::{LazyDataToken, lazy_read::LazyDataSetReader},
};
use dicom_transfer_syntax_registry::entries;
use std::{collections::BTreeMap, io::Read};

/// Values by where they were found, nearest to the frame first.
#[derive(Debug, Default)]
pub(super) struct Header {
    values: BTreeMap<(Place, Tag), PrimitiveValue>,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In the frame's own functional group.
    Frame,
    /// In the functional group of all frames.
    Shared,
    /// In the data set itself.
    Top,
    /// In the first item of a sequence of lookup tables.
    Table(Tag),
}

/// How the data set's elements are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Implicit,
    Explicit,
    ExplicitBigEndian,
}

impl Header {
    /// Reads `data_set` up to its pixel data, keeping what concerns `frame` (from 0).
    pub(super) fn read(data_set: &mut dyn Read, layout: Layout, frame: u32) -> Result<Self, PreviewError> {
        let syntax = match layout {
            Layout::Implicit => entries::IMPLICIT_VR_LITTLE_ENDIAN.erased(),
            Layout::Explicit => entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
            Layout::ExplicitBigEndian => entries::EXPLICIT_VR_BIG_ENDIAN.erased(),
        };
        let decoder = DynStatefulDecoder::new_with(data_set, &syntax, Default::default(), 0);
        let mut tokens = LazyDataSetReader::new(decoder.map_err(|_| PreviewError::Header)?);
        let mut header = Self::default();
        let mut path: Vec<(Tag, u64)> = Vec::new();
        while let Some(token) = tokens.advance() {
            let token = token.map_err(|_| PreviewError::Header)?;
            match &token {
                LazyDataToken::PixelSequenceStart => break,
                LazyDataToken::SequenceStart { tag, .. } => path.push((*tag, 0)),
                LazyDataToken::SequenceEnd => drop(path.pop()),
                LazyDataToken::ItemStart { .. } => {
                    if let Some((_, items)) = path.last_mut() {
                        *items += 1;
                    }
                }
                LazyDataToken::LazyValue { header: element, .. } => {
                    if path.is_empty() && PIXELS.contains(&element.tag) {
                        break;
                    }
                    let place = place(&path, element.tag, frame);
                    let is_short = element.length().get().is_some_and(|bytes| bytes <= VALUE_BYTES_MAX);
                    if let Some(key) = place.filter(|_| is_short).map(|place| (place, element.tag)) {
                        let value = token.into_value().map_err(|_| PreviewError::Header)?;
                        header.values.entry(key).or_insert(value);
                    } else {
                        token.skip().map_err(|_| PreviewError::Header)?;
                    }
                }
                LazyDataToken::LazyItemValue { .. } => token.skip().map_err(|_| PreviewError::Header)?,
                _ => {}
            }
        }
        Ok(header)
    }

    fn get(&self, tag: Tag) -> Option<&PrimitiveValue> {
        [Place::Frame, Place::Shared, Place::Top].iter().find_map(|place| self.values.get(&(*place, tag)))
    }

    /// A figure of 16 bits; a signed one as its bits.
    pub(super) fn u16(&self, tag: Tag) -> Option<u16> {
        self.words(self.get(tag)).first().copied()
    }

    /// Decimal or integer figures, written out; empty if there are none, or if one is none.
    pub(super) fn figures(&self, tag: Tag) -> Vec<f64> {
        let text = self.get(tag).map(text).unwrap_or_default();
        let figure = |part: &str| part.trim_matches(['\0', ' ']).parse().ok().filter(|figure: &f64| figure.is_finite());
        text.split('\\').map(figure).collect::<Option<_>>().unwrap_or_default()
    }

    /// A code, without padding, in capitals.
    pub(super) fn code(&self, tag: Tag) -> Option<String> {
        let text = text(self.get(tag)?);
        let code = text.split('\\').next()?.trim_matches(['\0', ' ']).to_ascii_uppercase();
        (!code.is_empty()).then_some(code)
    }

    /// The 16-bit words of a value at the top of the data set.
    pub(super) fn table(&self, tag: Tag) -> Vec<u16> {
        self.words(self.values.get(&(Place::Top, tag)))
    }

    /// The 16-bit words of a value in the first item of `sequence`.
    pub(super) fn table_in(&self, sequence: Tag, tag: Tag) -> Vec<u16> {
        self.words(self.values.get(&(Place::Table(sequence), tag)))
    }

    fn words(&self, value: Option<&PrimitiveValue>) -> Vec<u16> {
        match value {
            Some(PrimitiveValue::U16(words)) => words.to_vec(),
            Some(PrimitiveValue::I16(words)) => words.iter().map(|word| word.cast_unsigned()).collect(),
            // OB and UN come as bytes; a table of words is little endian in every syntax that has UN.
            Some(PrimitiveValue::U8(bytes)) => {
                bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
            }
            Some(value) => value.to_multi_int::<u16>().unwrap_or_default(),
            None => Vec::new(),
        }
    }
}

/// A value of text. One of unknown VR comes as bytes, and figures and codes are ASCII.
fn text(value: &PrimitiveValue) -> String {
    match value {
        PrimitiveValue::U8(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        value => value.to_multi_str().join("\\"),
    }
}

const PIXELS: [Tag; 3] = [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA];

/// Where a value that is needed stands; `None` for every other.
fn place(path: &[(Tag, u64)], tag: Tag, frame: u32) -> Option<Place> {
    let in_group = |macros: Tag| MACROS.contains(&macros) && OF_FRAME.contains(&tag);
    match path {
        [] => (OF_DATA_SET.contains(&tag) || OF_FRAME.contains(&tag)).then_some(Place::Top),
        [(sequence @ (tags::MODALITY_LUT_SEQUENCE | tags::VOILUT_SEQUENCE), 1)] => {
            OF_TABLE.contains(&tag).then_some(Place::Table(*sequence))
        }
        [(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, 1), (macros, 1)] => in_group(*macros).then_some(Place::Shared),
        [(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, item), (macros, 1)] => {
            (*item == u64::from(frame) + 1 && in_group(*macros)).then_some(Place::Frame)
        }
        _ => None,
    }
}

const MACROS: [Tag; 3] =
    [tags::FRAME_VOILUT_SEQUENCE, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tags::PIXEL_MEASURES_SEQUENCE];
const OF_TABLE: [Tag; 2] = [tags::LUT_DESCRIPTOR, tags::LUT_DATA];
const OF_FRAME: [Tag; 6] = [
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::WINDOW_CENTER,
    tags::WINDOW_WIDTH,
    tags::VOILUT_FUNCTION,
    tags::PIXEL_SPACING,
];
const OF_DATA_SET: [Tag; 25] = [
    tags::ROWS,
    tags::COLUMNS,
    tags::NUMBER_OF_FRAMES,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::PLANAR_CONFIGURATION,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_PADDING_VALUE,
    tags::PIXEL_PADDING_RANGE_LIMIT,
    tags::PIXEL_ASPECT_RATIO,
    tags::IMAGER_PIXEL_SPACING,
    tags::NOMINAL_SCANNED_PIXEL_SPACING,
    tags::PRESENTATION_LUT_SHAPE,
    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
];
