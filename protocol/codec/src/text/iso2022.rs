//! ISO 2022 code extensions as DICOM allows them: escape sequences that switch alphabets inside a value.
//!
//! Two sets are current: the low one for bytes 21 to 7E, the high one for bytes A0 to FF. An escape sequence puts
//! another set in either place; `^` and `=` in a name, `\` between values and every line end bring back the ones the
//! value started with (PS3.5 section 6.1.2.5.3). A sequence names its set by its registration, so one that
//! (0008,0005) forgot to list still reads exactly. Byte pairs are looked up through the matching EUC encoding.

use super::Kind;
use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8,
    ISO_8859_15, SHIFT_JIS, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// The set of bytes 21 to 7E (G0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Low {
    /// ISO_IR 6.
    Ascii,
    /// JIS X 0201 romaji, ISO_IR 14: ASCII but for two signs.
    Romaji,
    /// JIS X 0208, ISO_IR 87: pairs.
    Kanji,
    /// JIS X 0212, ISO_IR 159: pairs.
    SupplementaryKanji,
}

/// The set of bytes A0 to FF (G1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum High {
    /// Nothing may stand there.
    None,
    /// One of the single-byte sets.
    Single(&'static Encoding),
    /// JIS X 0201 katakana, ISO_IR 13.
    Katakana,
    /// KS X 1001, ISO_IR 149: pairs.
    Korean,
    /// GB 2312, ISO_IR 58: pairs.
    Chinese,
}

impl High {
    /// The single-byte set of an ISO-IR registration. Windows code pages stand in where they agree from A0 up, which
    /// is all that is ever asked of them here.
    pub(super) fn single(registration: u16) -> Option<Self> {
        Some(Self::Single(match registration {
            100 => WINDOWS_1252,
            101 => ISO_8859_2,
            109 => ISO_8859_3,
            110 => ISO_8859_4,
            126 => ISO_8859_7,
            127 => ISO_8859_6,
            138 => ISO_8859_8,
            144 => ISO_8859_5,
            148 => WINDOWS_1254,
            166 => WINDOWS_874,
            203 => ISO_8859_15,
            _ => return None,
        }))
    }
}

enum Designation {
    Low(Low),
    High(High),
}

/// What stands after an escape character, and in how many bytes (PS3.3 tables C.12-3 and C.12-4).
fn designation(after: &[u8]) -> Option<(Designation, usize)> {
    let single = |registration| High::single(registration).map(Designation::High);
    Some(match after {
        [b'(', b'B', ..] => (Designation::Low(Low::Ascii), 2),
        [b'(', b'J', ..] => (Designation::Low(Low::Romaji), 2),
        [b'$', b'B', ..] => (Designation::Low(Low::Kanji), 2),
        [b'$', b'(', b'D', ..] => (Designation::Low(Low::SupplementaryKanji), 3),
        [b')', b'I', ..] => (Designation::High(High::Katakana), 2),
        [b'$', b')', b'C', ..] => (Designation::High(High::Korean), 3),
        [b'$', b')', b'A', ..] => (Designation::High(High::Chinese), 3),
        [b'-', last, ..] => {
            let registration = match last {
                b'A' => 100,
                b'B' => 101,
                b'C' => 109,
                b'D' => 110,
                b'F' => 126,
                b'G' => 127,
                b'H' => 138,
                b'L' => 144,
                b'M' => 148,
                b'T' => 166,
                b'b' => 203,
                _ => return None,
            };
            (single(registration)?, 2)
        }
        _ => return None,
    })
}

/// The text, or `None` where a byte has no meaning in the set that is current.
pub(super) fn decode(bytes: &[u8], start_low: Low, start_high: High, kind: Kind) -> Option<String> {
    let (mut low, mut high) = (start_low, start_high);
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        let taken = match byte {
            0x1B => {
                let (designation, length) = designation(after)?;
                match designation {
                    Designation::Low(set) => low = set,
                    Designation::High(set) => high = set,
                }
                1 + length
            }
            0x00..=0x20 => {
                text.push(char::from(*byte));
                if *byte != b' ' {
                    (low, high) = (start_low, start_high);
                }
                1
            }
            0x21..=0x7E => match low {
                Low::Ascii | Low::Romaji => {
                    let is_value_end = *byte == b'\\' && kind != Kind::Paragraphs;
                    if is_value_end || kind == Kind::Name && matches!(byte, b'^' | b'=') {
                        (low, high) = (start_low, start_high);
                        text.push(char::from(*byte));
                    } else {
                        text.push(if low == Low::Romaji { romaji(*byte) } else { char::from(*byte) });
                    }
                    1
                }
                Low::Kanji => push(&mut text, EUC_JP, &[byte | 0x80, pair(after, 0x21..=0x7E)? | 0x80], 2)?,
                Low::SupplementaryKanji => {
                    push(&mut text, EUC_JP, &[0x8F, byte | 0x80, pair(after, 0x21..=0x7E)? | 0x80], 2)?
                }
            },
            0x7F..=0x9F => return None,
            0xA0..=0xFF => match high {
                High::None => return None,
                High::Single(encoding) => push(&mut text, encoding, &[*byte], 1)?,
                High::Katakana if (0xA1..=0xDF).contains(byte) => push(&mut text, SHIFT_JIS, &[*byte], 1)?,
                High::Katakana => return None,
                High::Korean => push(&mut text, EUC_KR, &[*byte, pair(after, 0xA1..=0xFE)?], 2)?,
                High::Chinese => push(&mut text, GBK, &[*byte, pair(after, 0xA1..=0xFE)?], 2)?,
            },
        };
        rest = &rest[taken..];
    }
    Some(text)
}

/// JIS X 0201 differs from ASCII in two signs.
fn romaji(byte: u8) -> char {
    match byte {
        b'\\' => '¥',
        b'~' => '‾',
        other => char::from(other),
    }
}

fn pair(after: &[u8], range: std::ops::RangeInclusive<u8>) -> Option<u8> {
    after.first().copied().filter(|second| range.contains(second))
}

fn push(text: &mut String, encoding: &'static Encoding, character: &[u8], taken: usize) -> Option<usize> {
    text.push_str(&encoding.decode_without_bom_handling_and_without_replacement(character)?);
    Some(taken)
}
