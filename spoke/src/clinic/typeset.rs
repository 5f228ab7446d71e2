//! Lines of text of a known width, in one of the two fonts that every node carries.
//!
//! A report that runs off the paper, or loses a letter, is a report half read. So a line is measured by the shaper
//! that draws it, a word longer than a line is broken rather than cut, and characters the font does not have are
//! counted, so that the sheet can say so. Sources: OpenType by way of rustybuzz; DejaVu Sans 2.37.

use krilla::text::Font;
use rustybuzz::UnicodeBuffer;

/// One weight of DejaVu Sans, for measuring and for drawing.
pub(super) struct Typeface {
    /// What krilla embeds, reduced to the glyphs used.
    pub(super) font: Font,
    shaper: rustybuzz::Face<'static>,
}

impl Typeface {
    /// For running text.
    pub(super) fn regular() -> Self {
        Self::of(include_bytes!("../../fonts/DejaVuSans.ttf"))
    }

    /// For names, status and warnings.
    pub(super) fn bold() -> Self {
        Self::of(include_bytes!("../../fonts/DejaVuSans-Bold.ttf"))
    }

    fn of(bytes: &'static [u8]) -> Self {
        let font = Font::new(bytes.into(), 0).expect("the font file is part of this program");
        let shaper = rustybuzz::Face::from_slice(bytes, 0).expect("the font file is part of this program");
        Self { font, shaper }
    }

    /// Width of `text` on one line, in points, at `size` points.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        let units: i32 = self.shaped(text).glyph_positions().iter().map(|glyph| glyph.x_advance).sum();
        units as f32 / self.shaper.units_per_em() as f32 * size
    }

    /// Characters for which the font has no glyph: they print as an empty box.
    pub(super) fn missing(&self, text: &str) -> usize {
        self.shaped(text).glyph_infos().iter().filter(|glyph| glyph.glyph_id == 0).count()
    }

    /// Breaks `text` into lines no wider than `width` points. Line ends in the text stay; an empty line stays empty.
    pub(super) fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        printable(text).split('\n').flat_map(|paragraph| self.wrap_paragraph(paragraph, size, width)).collect()
    }

    fn wrap_paragraph(&self, paragraph: &str, size: f32, width: f32) -> Vec<String> {
        let space = self.width(" ", size);
        let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0.0);
        for word in paragraph.trim_end().split(' ') {
            for piece in self.pieces(word, size, width) {
                let wide = self.width(&piece, size);
                if !line.is_empty() && used + space + wide > width {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                if !line.is_empty() {
                    line.push(' ');
                    used += space;
                }
                line.push_str(&piece);
                used += wide;
            }
        }
        lines.push(line);
        lines
    }

    /// A word, or what a word wider than a line is broken into.
    fn pieces(&self, word: &str, size: f32, width: f32) -> Vec<String> {
        if self.width(word, size) <= width {
            return vec![word.to_owned()];
        }
        let mut pieces = vec![String::new()];
        for letter in word.chars() {
            let last = pieces.last_mut().expect("it starts with one");
            last.push(letter);
            if self.width(last, size) > width && last.chars().count() > 1 {
                last.pop();
                pieces.push(letter.into());
            }
        }
        pieces
    }

    fn shaped(&self, text: &str) -> rustybuzz::GlyphBuffer {
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        rustybuzz::shape(&self.shaper, &[], buffer)
    }
}

/// What may reach paper or a terminal: a control character, or one that turns the direction of the text around it
/// (Unicode TR 9, explicit formatting), could make a report say what its reader never wrote; it shows as U+FFFD.
pub(crate) fn printable(text: &str) -> String {
    let joined = text.replace("\r\n", "\n").replace('\t', "    ");
    joined.chars().map(|c| if harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn harmless(c: char) -> bool {
    let turns_text = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c == '\n' || !(c.is_control() || turns_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_paper_and_no_letter_is_lost() {
        let face = Typeface::regular();
        let text = format!("Ωμέγα Щука naïve — {} end.\n\nTwo  spaces", "pneumothorax".repeat(30));
        let lines = face.wrap(&text, 11.0, 200.0);
        assert!(lines.iter().all(|line| face.width(line, 11.0) <= 201.0));
        let bare = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(bare(&lines.concat()), bare(&text));
        assert!(lines.contains(&String::new()), "the empty line between paragraphs stays");
    }

    #[test]
    fn greek_and_cyrillic_and_accents_have_glyphs_and_what_has_none_is_counted() {
        let face = Typeface::regular();
        assert_eq!(face.missing("Ünïcödé Ελληνικά Кириллица ≥ µ ½"), 0);
        assert_eq!(face.missing("ሰላም"), 3);
    }

    #[test]
    fn a_character_that_would_turn_the_text_around_is_shown_as_foreign() {
        assert_eq!(printable("no\u{202e}mass\u{1b}[2J\r\n\tok"), "no\u{fffd}mass\u{fffd}[2J\n    ok");
    }
}
