//! The head of one data element: tag, value representation, length (PS3.5 section 7.1).
//!
//! Three layouts are read: implicit VR little endian, explicit VR in either byte order. Devices mix the first two
//! inside one object, so where an explicit data set shows no VR the head is read as implicit, as every viewer does.

use super::input::{Input, Stop};

/// How heads of elements are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Implicit,
    Explicit,
    ExplicitBigEndian,
}

impl Layout {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::ExplicitBigEndian => u16::from_be_bytes(bytes),
            _ => u16::from_le_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::ExplicitBigEndian => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        }
    }
}

/// Group and element as one number.
pub(super) type Tag = u32;

pub(super) const ITEM: Tag = 0xFFFE_E000;
pub(super) const ITEM_END: Tag = 0xFFFE_E00D;
pub(super) const SEQUENCE_END: Tag = 0xFFFE_E0DD;

/// What the VR means for reading on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vr {
    /// Not written: implicit VR, or an item.
    Unwritten,
    /// SQ.
    Sequence,
    /// UN.
    Unknown,
    /// Any other.
    Value,
}

/// The length written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Bytes(u64),
    Undefined,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) tag: Tag,
    pub(super) vr: Vr,
    pub(super) length: Length,
}

/// VRs whose length is 16 bits; every other, known or to come, has 32 (PS3.5 section 7.1.2).
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
];
const LONG: [&[u8; 2]; 13] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];

/// Whether these two bytes are a VR of the standard.
pub(super) fn is_known_vr(bytes: &[u8]) -> bool {
    SHORT.iter().chain(&LONG).any(|vr| vr.as_slice() == bytes)
}

/// Takes the head of the next element.
pub(super) fn take_head(input: &mut Input<'_>, layout: Layout) -> Result<Head, Stop> {
    let [a, b, c, d] = input.take()?;
    let tag = u32::from(layout.u16([a, b])) << 16 | u32::from(layout.u16([c, d]));
    let is_item = tag >> 16 == 0xFFFE;
    let vr = input.peek(2)?;
    let shows_vr = vr.len() == 2 && vr.iter().all(u8::is_ascii_uppercase);
    if layout == Layout::Implicit || is_item || !shows_vr {
        let length = length_of(layout.u32(input.take()?));
        return Ok(Head { tag, vr: Vr::Unwritten, length });
    }
    let vr: [u8; 2] = input.take()?;
    if SHORT.contains(&&vr) {
        let length = Length::Bytes(layout.u16(input.take()?).into());
        return Ok(Head { tag, vr: Vr::Value, length });
    }
    let [_, _] = input.take()?;
    let length = length_of(layout.u32(input.take()?));
    let vr = match &vr {
        b"SQ" => Vr::Sequence,
        b"UN" => Vr::Unknown,
        _ => Vr::Value,
    };
    Ok(Head { tag, vr, length })
}

const fn length_of(written: u32) -> Length {
    if written == u32::MAX { Length::Undefined } else { Length::Bytes(written as u64) }
}
