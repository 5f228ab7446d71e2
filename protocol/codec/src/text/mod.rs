//! What a name, a date or an indication reads, in whatever alphabet the modality wrote it.
//!
//! The wrong letters are the wrong patient, so there are two outcomes and no third: text that is exact, or the bytes
//! themselves, escaped and flagged. Nothing is guessed and no replacement character is ever shown.
//! Rules: Specific Character Set (0008,0005), PS3.3 section C.12.1.1.2; PS3.5 section 6.1 and annexes H to K.

mod charset;
mod date;
mod iso2022;

pub use charset::CharacterSet;

use std::{fmt, fmt::Write};

/// How the text of an element is laid out (PS3.5 section 6.2): what ends a code extension, and what may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person's name (PN): `^` between components, `=` between groups, `\` between values.
    Name,
    /// A line (LO, SH, UC): `\` between values.
    Line,
    /// Paragraphs (LT, ST, UT): one value, in which line ends stand for themselves.
    Paragraphs,
    /// A word of the default repertoire (CS, IS, DS, TM, AS, UI).
    Code,
    /// A date (DA).
    Date,
}

/// Text, or the bytes where there is no text to be had. Identifies a patient, so Debug prints none of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Exactly what the bytes say, padding dropped.
    Text(String),
    /// What can't be decoded: printable ASCII as it is, every other byte as `\xNN`. To be shown as such.
    Raw(String),
}

impl Decoded {
    /// What a person sees, either way.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self {
            Self::Text(text) | Self::Raw(text) => text,
        }
    }

    /// Whether a person must be told that this is bytes and not text.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        matches!(self, Self::Raw(_))
    }

    fn raw(bytes: &[u8]) -> Self {
        Self::Raw(bytes.iter().fold(String::with_capacity(bytes.len()), |mut shown, &byte| {
            match byte {
                b' '..=b'~' => shown.push(char::from(byte)),
                _ => write!(shown, "\\x{byte:02X}").expect("a String takes every write"),
            }
            shown
        }))
    }
}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_raw() { "Raw({PHI})" } else { "Text({PHI})" })
    }
}

/// Drops the padding of PS3.5 section 6.2: NUL and spaces at the end, spaces before all but paragraphs.
fn unpadded(bytes: &[u8], kind: Kind) -> &[u8] {
    let end = bytes.iter().rposition(|b| !matches!(b, 0 | b' ')).map_or(0, |last| last + 1);
    let start = match kind {
        Kind::Paragraphs => 0,
        _ => bytes[..end].iter().position(|b| *b != b' ').unwrap_or(end),
    };
    &bytes[start..end]
}
