//! A signed report: what a radiologist says about a case, and which may follow which.
//!
//! A report is never lost, altered or refused a place: an illegal move is refused at the reader's desk, with the
//! reason, before it is signed; what arrives signed is always kept and shown. The words are those of FHIR
//! DiagnosticReport.status: preliminary, final, and addendum (FHIR *appended*).

use crate::{
    claim::Token,
    envelope::body::SealedBody,
    id::{CaseId, EventHash},
    limits::REPORT_TEXT_BYTES_MAX,
    phi::Phi,
    wire::{self, WireError},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Tag of a [`Report`] inside a person's statement.
pub const REPORT_TAG: &str = "radmesh/1 report";

/// How far a report is (FHIR DiagnosticReport.status).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Verified early results; the final may differ.
    Preliminary,
    /// Complete and signed.
    Final,
    /// Added to a final report, which stays as it is.
    Addendum,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preliminary => "preliminary",
            Self::Final => "final",
            Self::Addendum => "addendum",
        })
    }
}

/// A report. Body of a person's statement in event kind 10.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The case.
    pub case: CaseId,
    /// How far it is.
    pub status: Status,
    /// The report it takes the place of, or, for an addendum, adds to.
    pub replaces: Option<EventHash>,
    /// Token of the claim it was made under; `None` under a tentative claim.
    pub claim: Option<Token>,
    /// A [`ReportText`], sealed to pool, recovery and origin spoke.
    pub sealed: SealedBody,
}

/// What a report says: the plaintext of [`Report::sealed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportText {
    /// The report, plain text, UTF-8.
    pub text: Phi<String>,
    /// The reader's name as it is to be printed.
    pub reader_name: String,
}

/// A text that can't be a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("the report has no text")]
    Empty,
    /// Over the limit.
    #[error("the report has {bytes} bytes; at most {REPORT_TEXT_BYTES_MAX} are allowed (about 20 pages)")]
    TooLong {
        /// Bytes found.
        bytes: usize,
    },
    /// The name is empty or over the limit.
    #[error("the reader's name has {chars} characters; 1 to {} are allowed", crate::limits::NAME_CHARS_MAX)]
    Name {
        /// Characters found.
        chars: usize,
    },
    /// A character that could drive a terminal or printer.
    #[error("the report holds the control character U+{code:04X}; only line breaks and tabs are allowed")]
    Control {
        /// Its code point.
        code: u32,
    },
}

impl ReportText {
    /// Checks a text before it is signed.
    ///
    /// # Errors
    /// [`TextError`], in words for the reader.
    pub fn new(text: &str, reader_name: &str) -> Result<Self, TextError> {
        if text.trim().is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > REPORT_TEXT_BYTES_MAX {
            return Err(TextError::TooLong { bytes: text.len() });
        }
        let chars = reader_name.chars().count();
        if !(1..=crate::limits::NAME_CHARS_MAX).contains(&chars) {
            return Err(TextError::Name { chars });
        }
        let stray = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if let Some(c) = text.chars().chain(reader_name.chars()).find(stray) {
            return Err(TextError::Control { code: u32::from(c) });
        }
        Ok(Self { text: Phi::new(text.to_owned()), reader_name: reader_name.to_owned() })
    }

    /// Plaintext for [`SealedBody::seal`].
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(wire::encode(self))
    }

    /// Reads the plaintext of a sealed report.
    ///
    /// # Errors
    /// [`WireError`] if it does not fit.
    pub fn parse(plain: &[u8]) -> Result<Self, WireError> {
        wire::decode("a report's text", plain, crate::limits::EVENT_BYTES_MAX)
    }
}

/// A report that may not follow what is there, in words for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// An addendum with nothing to add to.
    #[error("an addendum adds to a final report, and this case has none: sign it as final or preliminary")]
    NothingToAddTo,
    /// A preliminary or second final after the final.
    #[error("the final report of this case is signed and stays as it is: a {next} can't follow it, an addendum can")]
    AfterFinal {
        /// What was to follow.
        next: Status,
    },
    /// `replaces` names another report than the one that stands.
    #[error("the case's report is another one than this was written against: read it first, then sign")]
    Stale,
}

/// What may be signed on a case whose report stands at `standing`.
#[must_use]
pub const fn next_allowed(standing: Option<Status>) -> &'static [Status] {
    match standing {
        // FHIR lets a preliminary report be issued again with more findings until the final.
        None | Some(Status::Preliminary) => &[Status::Preliminary, Status::Final],
        Some(Status::Final | Status::Addendum) => &[Status::Addendum],
    }
}

/// Checks a report before it is signed against the one that stands on the case.
///
/// # Errors
/// [`MoveError`], in words for the reader.
pub fn check_move(
    standing: Option<(EventHash, Status)>,
    next: Status,
    replaces: Option<EventHash>,
) -> Result<(), MoveError> {
    if !next_allowed(standing.map(|(_, status)| status)).contains(&next) {
        return Err(if next == Status::Addendum { MoveError::NothingToAddTo } else { MoveError::AfterFinal { next } });
    }
    if replaces != standing.map(|(event, _)| event) { Err(MoveError::Stale) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_moves_from_preliminary_to_final_to_addendum_and_never_back() {
        use Status::{Addendum, Final, Preliminary};
        let one = EventHash([1; 32]);
        let moves = [
            (None, Preliminary, Ok(())),
            (None, Final, Ok(())),
            (None, Addendum, Err(MoveError::NothingToAddTo)),
            (Some(Preliminary), Preliminary, Ok(())),
            (Some(Preliminary), Final, Ok(())),
            (Some(Preliminary), Addendum, Err(MoveError::NothingToAddTo)),
            (Some(Final), Preliminary, Err(MoveError::AfterFinal { next: Preliminary })),
            (Some(Final), Final, Err(MoveError::AfterFinal { next: Final })),
            (Some(Final), Addendum, Ok(())),
        ];
        for (standing, next, expected) in moves {
            let replaces = standing.map(|_| one);
            assert_eq!(check_move(standing.map(|s| (one, s)), next, replaces), expected, "{standing:?} -> {next:?}");
        }
    }

    #[test]
    fn a_report_written_against_another_than_the_one_that_stands_is_refused() {
        let standing = Some((EventHash([2; 32]), Status::Preliminary));
        assert_eq!(check_move(standing, Status::Final, Some(EventHash([1; 32]))), Err(MoveError::Stale));
        assert_eq!(check_move(standing, Status::Final, None), Err(MoveError::Stale));
        assert_eq!(check_move(None, Status::Final, Some(EventHash([1; 32]))), Err(MoveError::Stale));
    }

    #[test]
    fn a_refusal_tells_the_reader_what_can_be_done() {
        let words = MoveError::AfterFinal { next: Status::Preliminary }.to_string();
        assert!(words.contains("an addendum can"), "{words}");
    }

    #[test]
    fn a_text_is_refused_with_the_figure_when_it_is_empty_too_long_or_drives_a_printer() {
        assert_eq!(ReportText::new(" \n", "Dr Banda"), Err(TextError::Empty));
        let long = "x".repeat(REPORT_TEXT_BYTES_MAX + 1);
        assert_eq!(ReportText::new(&long, "Dr Banda"), Err(TextError::TooLong { bytes: REPORT_TEXT_BYTES_MAX + 1 }));
        assert!(ReportText::new(&long[1..], "Dr Banda").is_ok());
        assert_eq!(ReportText::new("no fracture", ""), Err(TextError::Name { chars: 0 }));
        assert_eq!(ReportText::new("no \u{1b}[2J", "Dr Banda"), Err(TextError::Control { code: 0x1b }));
        assert!(ReportText::new("Findings:\n\tno fracture\r\n", "Dr Banda").is_ok());
    }

    #[test]
    fn a_report_text_survives_its_plaintext_and_never_prints() {
        let text = ReportText::new("fracture of the left radius", "Dr Banda").unwrap();
        assert_eq!(ReportText::parse(&text.encode()), Ok(text.clone()));
        assert!(!format!("{text:?}").contains("fracture"));
    }

    #[test]
    fn the_longest_report_fits_into_an_event() {
        let plain = ReportText::new(&"x".repeat(REPORT_TEXT_BYTES_MAX), &"n".repeat(128)).unwrap().encode();
        let wraps = 8 * 112;
        assert!(plain.len() + 64 + wraps + 1_024 < crate::log::event::BODY_BYTES_MAX);
    }
}
