//! The report as an A4 sheet that a nurse prints and puts into the patient's file.
//!
//! Paper leaves the network: nobody can correct it later. So every page says whose report it is, of which patient
//! and case, what its status is, and, if a newer one is here, that this one must not be acted on. The one rule:
//! nothing of the reader's words is left out silently; a character without a glyph is counted on the sheet.
//! PDF by krilla, with both fonts embedded (ISO 32000).

use super::{
    calendar::in_words,
    typeset::{Typeface, printable},
};
use krilla::{
    Document,
    color::rgb,
    geom::{PathBuilder, Point, Rect},
    metadata::Metadata,
    page::PageSettings,
    paint::{Fill, Stroke},
    surface::Surface,
    text::TextDirection,
};
use radmesh_protocol::{phi::Phi, report::Status, time::Wall};

/// One report as printed.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Preliminary, final or addendum.
    pub status: Status,
    /// Whether it may be acted on.
    pub standing: Standing,
    /// The radiologist, by the name in the roster or in the statement.
    pub reader: String,
    /// When it was signed, by the clock of the node it was signed at.
    pub signed_at: Wall,
    /// The reader's words.
    pub text: Phi<String>,
}

/// Whether a report is the one to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The newest word on the case.
    Newest,
    /// The newest word, and another than what was shown here before.
    Changed,
    /// It stands, and an addendum to it is here.
    AddedTo,
    /// Another version of the case's report stands in its place.
    Superseded,
    /// It was given under no granted claim, and one that was is the case's report.
    GaveWay,
    /// A second reader's; the case's report is another.
    SecondRead,
    /// Its signer is no member by the roster here, or was revoked: kept and marked.
    Unconfirmed,
}

/// Everything on the sheet.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The clinic's name, as the roster has it.
    pub facility: String,
    /// The case in a form that can be read out over the telephone.
    pub case_short: String,
    /// Label and value: name, id, birth date, age, sex, as the modality sent them.
    pub patient: Phi<Vec<(&'static str, String)>>,
    /// Label and value: what was examined, when, and the question.
    pub study: Phi<Vec<(&'static str, String)>>,
    /// The case's report.
    pub report: Entry,
    /// All its addenda, in the order they were signed.
    pub addenda: Vec<Entry>,
    /// A line for every other report that is kept: there is another opinion.
    pub also_kept: Vec<String>,
    /// When the sheet was made, by this node's clock.
    pub printed_at: Wall,
}

/// The PDF could not be made; the words of the report are on the screen all the same.
#[derive(Debug, thiserror::Error)]
#[error("the report could not be set as a PDF: {reason}")]
pub struct SheetError {
    /// What the PDF library said; never the text.
    pub reason: String,
}

impl Sheet {
    /// A4, as many pages as the text needs.
    ///
    /// # Errors
    /// [`SheetError`] if the PDF library refuses.
    pub fn pdf(&self) -> Result<Vec<u8>, SheetError> {
        let ink = Ink { regular: Typeface::regular(), bold: Typeface::bold() };
        let (head, pages) = (self.head(&ink), self.paginate(&ink));
        let mut document = Document::new();
        // The title is what a printer queue shows: never a name.
        document.set_metadata(Metadata::new().title(format!("Report of case {}", self.case_short)));
        for (index, lines) in pages.iter().enumerate() {
            let settings = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT).expect("A4 is a page");
            let mut page = document.start_page_with(settings);
            let mut surface = page.surface();
            self.frame(&ink, &mut surface, index + 1, pages.len());
            let mut y = self.top();
            for line in if index == 0 { &head[..] } else { &[] }.iter().chain(lines) {
                y += line.height;
                ink.draw(&mut surface, line, MARGIN + line.indent, y);
            }
            surface.finish();
            page.finish();
        }
        document.finish().map_err(|fault| SheetError { reason: format!("{fault:?}") })
    }

    fn top(&self) -> f32 {
        MARGIN + 62.0 + if self.report.standing.warning().is_some() { 40.0 } else { 0.0 }
    }

    /// Status in large, then patient, Study and reader: on the first page only.
    fn head(&self, ink: &Ink) -> Vec<Line> {
        let mut head = vec![Line::bold(status_words(self.report.status), 28.0, 36.0), Line::gap(6.0)];
        for (label, value) in self.patient.reveal().iter().chain(self.study.reveal()) {
            head.extend(ink.labelled(label, value));
        }
        head.extend(ink.labelled("Reported by", &self.report.reader));
        head.extend(
            ink.labelled("Signed", &format!("{}, by the reading node's clock", in_words(self.report.signed_at))),
        );
        let missing = self.missing(ink);
        if missing > 0 {
            let words =
                format!("{missing} characters of this report can't be printed here. Read it on the screen too.");
            head.push(Line::bold(&words, 10.0, 16.0));
        }
        head.push(Line::gap(12.0));
        head
    }

    /// The words, line by line, cut into pages; the first page has less room.
    fn paginate(&self, ink: &Ink) -> Vec<Vec<Line>> {
        let width = PAGE_WIDTH - 2.0 * MARGIN;
        let bold = |text: &str, size, height| {
            let wrapped = ink.bold.wrap(&text.replace('\n', " "), size, width);
            wrapped.iter().map(|line| Line::bold(line, size, height)).collect::<Vec<_>>()
        };
        let mut lines: Vec<Line> = self.also_kept.iter().flat_map(|other| bold(other, 10.0, 15.0)).collect();
        if !lines.is_empty() {
            lines.push(Line::gap(10.0));
        }
        lines.extend(ink.running(self.report.text.reveal()));
        for addendum in &self.addenda {
            let title = format!(
                "{}, {}, {}",
                status_words(addendum.status),
                printable(&addendum.reader),
                in_words(addendum.signed_at)
            );
            lines.push(Line::gap(14.0));
            lines.extend(bold(&title, 11.0, 18.0));
            lines.extend(ink.running(addendum.text.reveal()));
        }
        let bottom = PAGE_HEIGHT - MARGIN - FOOT_HEIGHT;
        let (mut pages, mut page) = (Vec::new(), Vec::new());
        let mut y = self.top() + self.head(ink).iter().map(|line| line.height).sum::<f32>();
        for line in lines {
            if y + line.height > bottom {
                pages.push(std::mem::take(&mut page));
                y = self.top();
            }
            y += line.height;
            page.push(line);
        }
        pages.push(page);
        pages
    }

    fn missing(&self, ink: &Ink) -> usize {
        let texts = std::iter::once(&self.report).chain(&self.addenda).flat_map(|e| [e.text.reveal(), &e.reader]);
        let fields = self.patient.reveal().iter().chain(self.study.reveal()).map(|(_, value)| value);
        texts
            .chain(fields)
            .chain(&self.also_kept)
            .map(|text| ink.regular.missing(&printable(text).replace('\n', " ")))
            .sum()
    }

    /// What every page repeats: facility, patient, case, status, the warning, and which page of how many.
    fn frame(&self, ink: &Ink, surface: &mut Surface<'_>, page: usize, pages: usize) {
        let right = PAGE_WIDTH - MARGIN;
        let text_width = right - MARGIN;
        let first = |face: &Typeface, text: &str, size, width| {
            let mut lines = face.wrap(&text.replace('\n', " "), size, width);
            if lines.len() > 1 { format!("{} ...", lines.swap_remove(0)) } else { lines.swap_remove(0) }
        };
        let case = format!("Case {}", self.case_short);
        let room = text_width - ink.bold.width(&case, 13.0) - 40.0;
        ink.draw(surface, &Line::bold(&first(&ink.bold, &self.facility, 13.0, room), 13.0, 0.0), MARGIN, MARGIN + 12.0);
        let case_x = right - ink.bold.width(&case, 13.0);
        ink.draw(surface, &Line::bold(&case, 13.0, 0.0), case_x, MARGIN + 12.0);
        let who: Vec<&str> = self.patient.reveal().iter().take(2).map(|(_, value)| value.as_str()).collect();
        let who = first(&ink.regular, &who.join("   "), 10.0, text_width - 190.0);
        ink.draw(surface, &Line::plain(&who, 10.0, 0.0), MARGIN, MARGIN + 28.0);
        let status = status_words(self.report.status);
        let status_x = right - ink.bold.width(status, 10.0);
        ink.draw(surface, &Line::bold(status, 10.0, 0.0), status_x, MARGIN + 28.0);
        rule(surface, MARGIN + 36.0);
        if let Some(warning) = self.report.standing.warning() {
            let edges = Rect::from_xywh(MARGIN, MARGIN + 46.0, text_width, 30.0).expect("a box inside the page");
            boxed(surface, edges);
            ink.draw(surface, &Line::bold(warning, WARNING_SIZE, 0.0), MARGIN + 10.0, MARGIN + 65.0);
        }
        let foot = PAGE_HEIGHT - MARGIN;
        rule(surface, foot - 14.0);
        let note = format!("Printed {} by this node's clock. Clocks may be wrong.", in_words(self.printed_at));
        ink.draw(surface, &Line::plain(&note, 8.5, 0.0), MARGIN, foot);
        let number = format!("Page {page} of {pages}");
        ink.draw(surface, &Line::plain(&number, 8.5, 0.0), right - ink.regular.width(&number, 8.5), foot);
    }
}

impl Standing {
    /// What must be read before anyone acts on it.
    #[must_use]
    pub const fn warning(self) -> Option<&'static str> {
        match self {
            Self::Newest => None,
            Self::Changed => Some("CHANGED: this stands in place of another report."),
            Self::Superseded => Some("SUPERSEDED: another report stands in its place. Do not act on this."),
            Self::GaveWay => Some("CHANGED: another is the case's own report. Read the one marked STANDING."),
            Self::AddedTo => Some("ADDED TO: this report has an addendum. Read all of it."),
            Self::SecondRead => Some("SECOND READ: the case's own report is another one."),
            Self::Unconfirmed => Some("NOT CONFIRMED: its signer is no member by the roster here. Ask first."),
        }
    }
}

/// The status as it stands in large letters on the sheet.
#[must_use]
pub const fn status_words(status: Status) -> &'static str {
    match status {
        Status::Preliminary => "PRELIMINARY REPORT",
        Status::Final => "FINAL REPORT",
        Status::Addendum => "ADDENDUM",
    }
}

struct Line {
    parts: Vec<(f32, bool, String)>,
    size: f32,
    height: f32,
    indent: f32,
}

impl Line {
    fn of(text: &str, bold: bool, size: f32, height: f32) -> Self {
        Self { parts: vec![(0.0, bold, text.to_owned())], size, height, indent: 0.0 }
    }

    fn plain(text: &str, size: f32, height: f32) -> Self {
        Self::of(text, false, size, height)
    }

    fn bold(text: &str, size: f32, height: f32) -> Self {
        Self::of(text, true, size, height)
    }

    const fn gap(height: f32) -> Self {
        Self { parts: Vec::new(), size: 1.0, height, indent: 0.0 }
    }
}

struct Ink {
    regular: Typeface,
    bold: Typeface,
}

impl Ink {
    fn running(&self, text: &str) -> Vec<Line> {
        let lines = self.regular.wrap(text, BODY_SIZE, PAGE_WIDTH - 2.0 * MARGIN);
        lines.iter().map(|line| Line::plain(line, BODY_SIZE, 15.5)).collect()
    }

    fn labelled(&self, label: &str, value: &str) -> Vec<Line> {
        let width = PAGE_WIDTH - 2.0 * MARGIN - LABEL_WIDTH;
        let values = self.regular.wrap(value, 10.5, width);
        let rows = values.into_iter().enumerate().map(|(row, value)| {
            let mut parts = vec![(LABEL_WIDTH, false, value)];
            if row == 0 {
                parts.push((0.0, true, label.to_owned()));
            }
            Line { parts, size: 10.5, height: 15.0, indent: 0.0 }
        });
        rows.collect()
    }

    fn draw(&self, surface: &mut Surface<'_>, line: &Line, x: f32, y: f32) {
        for (offset, bold, text) in &line.parts {
            let face = if *bold { &self.bold } else { &self.regular };
            let at = Point::from_xy(x + offset, y);
            surface.draw_text(at, face.font.clone(), line.size, text, false, TextDirection::Auto);
        }
    }
}

fn rule(surface: &mut Surface<'_>, y: f32) {
    let mut path = PathBuilder::new();
    path.move_to(MARGIN, y);
    path.line_to(PAGE_WIDTH - MARGIN, y);
    stroke(surface, path, 0.7);
}

fn boxed(surface: &mut Surface<'_>, edges: Rect) {
    let mut path = PathBuilder::new();
    path.push_rect(edges);
    stroke(surface, path, 2.0);
}

fn stroke(surface: &mut Surface<'_>, path: PathBuilder, width: f32) {
    let black = rgb::Color::new(0, 0, 0);
    surface.set_fill(None);
    surface.set_stroke(Some(Stroke { paint: black.into(), width, ..Stroke::default() }));
    surface.draw_path(&path.finish().expect("a path with two points"));
    surface.set_stroke(None);
    surface.set_fill(Some(Fill { paint: black.into(), ..Fill::default() }));
}

// ISO 216 A4 in points of 1/72 inch.
const PAGE_WIDTH: f32 = 595.28;
const PAGE_HEIGHT: f32 = 841.89;
// 18 mm: what every office printer reaches.
const MARGIN: f32 = 51.0;
const FOOT_HEIGHT: f32 = 22.0;
const LABEL_WIDTH: f32 = 96.0;
const BODY_SIZE: f32 = 11.0;
const WARNING_SIZE: f32 = 10.5;

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn sheet(text: &str, status: Status, standing: Standing) -> Sheet {
        let patient = [
            ("Patient", "Mbewe, Grâce Ελένη"),
            ("Patient ID", "KAS-0412-7"),
            ("Born", "1981-03-09"),
            ("Age", "45 years"),
            ("Sex", "F"),
        ];
        let study =
            [("Study", "CT, 2026-11-22, Head without contrast"), ("Question", "Fall, headache for 3 days. Bleeding?")];
        let owned = |rows: &[(&'static str, &str)]| Phi::new(rows.iter().map(|(l, v)| (*l, (*v).to_owned())).collect());
        Sheet {
            facility: "Kasungu District Hospital".into(),
            case_short: "0412-9C1F".into(),
            patient: owned(&patient),
            study: owned(&study),
            report: Entry {
                status,
                standing,
                reader: "Dr Banda".into(),
                signed_at: Wall(1_795_383_661_000),
                text: Phi::new(text.into()),
            },
            addenda: Vec::new(),
            also_kept: Vec::new(),
            printed_at: Wall(1_795_384_000_000),
        }
    }

    fn page_count(pdf: &[u8]) -> usize {
        // The tree of pages says /Count; krilla writes it uncompressed.
        let text = String::from_utf8_lossy(pdf);
        let (_, count) = text.rsplit_once("/Count ").unwrap();
        count.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }

    #[test]
    fn a_short_report_is_one_page_and_the_longest_allowed_one_is_paginated() {
        let short = sheet("No acute finding.", Status::Final, Standing::Newest).pdf().unwrap();
        assert!(short.starts_with(b"%PDF-"));
        assert_eq!(page_count(&short), 1);
        let words = "Findings: no fracture. ".repeat(radmesh_protocol::limits::REPORT_TEXT_BYTES_MAX / 23);
        let long = sheet(&words, Status::Preliminary, Standing::Superseded).pdf().unwrap();
        assert!(page_count(&long) > 5, "{} pages", page_count(&long));
        assert!(long.len() < 400_000, "fonts are reduced to what is used: {} bytes", long.len());
    }

    #[test]
    fn a_superseded_report_and_a_second_read_warn_and_the_newest_does_not() {
        assert!(Standing::Superseded.warning().unwrap().contains("Do not act"));
        assert!(Standing::SecondRead.warning().is_some());
        assert_eq!(Standing::Newest.warning(), None);
    }

    #[test]
    fn every_warning_fits_its_box() {
        use Standing::{AddedTo, Changed, GaveWay, SecondRead, Superseded, Unconfirmed};
        let face = Typeface::bold();
        for standing in [Changed, GaveWay, Superseded, AddedTo, SecondRead, Unconfirmed] {
            let words = standing.warning().unwrap();
            assert!(face.width(words, WARNING_SIZE) <= PAGE_WIDTH - 2.0 * MARGIN - 20.0, "{words}");
        }
    }

    #[test]
    fn the_name_of_the_document_is_not_the_name_of_the_patient() {
        let pdf = sheet("x", Status::Final, Standing::Newest).pdf().unwrap();
        assert!(!String::from_utf8_lossy(&pdf).contains("Mbewe"));
    }
}
