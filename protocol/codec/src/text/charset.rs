//! Specific Character Set (0008,0005): which letters the bytes of a data set stand for.
//!
//! The first defined term says how a value starts; with more than one, escape sequences switch in the middle
//! ([`super::iso2022`]). UTF-8, GB18030 and GBK know no switching. Terms are compared without spaces, `_` and `-`,
//! because `ISO IR 100` and `ISO-IR 100` are what many devices write. Of an unknown term only the default repertoire
//! is sure: ASCII reads as text, everything else stays bytes. PS3.3 tables C.12-2 to C.12-5.

use super::{
    Decoded, Kind, date,
    iso2022::{self, High, Low},
    unpadded,
};
use encoding_rs::{Encoding, GB18030, GBK, UTF_8};

/// The character set of one data set; by default the default repertoire, ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CharacterSet {
    coding: Coding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// One encoding from the first byte to the last.
    Whole(&'static Encoding),
    /// ISO 2022, starting with these two sets.
    Switching { low: Low, high: High },
    /// A term that is not in the standard.
    Unknown,
}

impl Default for CharacterSet {
    fn default() -> Self {
        Self { coding: Coding::Switching { low: Low::Ascii, high: High::None } }
    }
}

impl CharacterSet {
    /// Parses the value of (0008,0005).
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let terms: Vec<String> = value.split(|b| *b == b'\\').map(plain).collect();
        let coding = match terms.first().map_or("", String::as_str) {
            "ISOIR192" => Coding::Whole(UTF_8),
            "GB18030" => Coding::Whole(GB18030),
            "GBK" => Coding::Whole(GBK),
            first => switching(first),
        };
        Self { coding }
    }

    /// Whether its term is in the standard.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.coding != Coding::Unknown
    }

    /// The text of a value, padding dropped, or its bytes where they are no text of this set.
    #[must_use]
    pub fn decode(&self, value: &[u8], kind: Kind) -> Decoded {
        let bytes = unpadded(value, kind);
        let text = match (kind, self.coding) {
            (Kind::Date, _) => date::readable(bytes),
            (Kind::Code, _) | (_, Coding::Unknown) => iso2022::decode(bytes, Low::Ascii, High::None, kind)
                .filter(|_| bytes.is_ascii() && !bytes.contains(&0x1B)),
            (_, Coding::Whole(encoding)) => {
                encoding.decode_without_bom_handling_and_without_replacement(bytes).map(String::from)
            }
            (_, Coding::Switching { low, high }) => iso2022::decode(bytes, low, high, kind),
        };
        text.filter(|text| !text.chars().any(|c| c.is_control() && !is_layout(c, kind)))
            .map_or_else(|| Decoded::raw(bytes), Decoded::Text)
    }
}

/// Control characters that stand in paragraphs (PS3.5 section 6.1.3).
const fn is_layout(c: char, kind: Kind) -> bool {
    matches!(kind, Kind::Paragraphs) && matches!(c, '\r' | '\n' | '\t' | '\x0C')
}

/// A defined term without what devices vary.
fn plain(term: &[u8]) -> String {
    term.iter().filter(|b| !matches!(b, b' ' | b'_' | b'-' | 0)).map(|b| char::from(b.to_ascii_uppercase())).collect()
}

/// The sets a value starts with, with or without code extensions.
fn switching(term: &str) -> Coding {
    let number = term.strip_prefix("ISO2022IR").or_else(|| term.strip_prefix("ISOIR"));
    let (low, high) = match (term, number.and_then(|number| number.parse::<u16>().ok())) {
        // The two sets that are only reached by an escape sequence: what stands before it is ASCII.
        ("", _) | (_, Some(6 | 87 | 159)) => (Low::Ascii, High::None),
        (_, Some(13)) => (Low::Romaji, High::Katakana),
        (_, Some(149)) => (Low::Ascii, High::Korean),
        (_, Some(58)) => (Low::Ascii, High::Chinese),
        (_, Some(registration)) => match High::single(registration) {
            Some(high) => (Low::Ascii, high),
            None => return Coding::Unknown,
        },
        _ => return Coding::Unknown,
    };
    Coding::Switching { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(set: &[u8], bytes: &[u8]) -> Decoded {
        CharacterSet::parse(set).decode(bytes, Kind::Name)
    }

    fn text(shown: &str) -> Decoded {
        Decoded::Text(shown.to_owned())
    }

    #[test]
    fn japanese_with_escapes_of_annex_h_3_1() {
        let bytes = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(name(b"\\ISO 2022 IR 87", bytes), text("Yamada^Tarou=山田^太郎=やまだ^たろう"));
    }

    #[test]
    fn japanese_with_half_width_katakana_of_annex_h_3_2() {
        let bytes =
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J";
        assert_eq!(name(b"ISO 2022 IR 13\\ISO 2022 IR 87", bytes), text("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"));
    }

    #[test]
    fn korean_of_annex_i_2() {
        let bytes = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
        assert_eq!(name(b"\\ISO 2022 IR 149", bytes), text("Hong^Gildong=洪^吉洞=홍^길동"));
    }

    #[test]
    fn korean_paragraphs_of_annex_i_3_switch_anew_in_each_line() {
        let bytes = b"\x1b$)CThe first line includes \xb1\xe6\xb5\xbf.\r\n\x1b$)CThe second line includes \xb1\xe6\xb5\xbf, too.\r\nThe third line.";
        let read = CharacterSet::parse(b"\\ISO 2022 IR 149").decode(bytes, Kind::Paragraphs);
        assert_eq!(
            read,
            text("The first line includes 길동.\r\nThe second line includes 길동, too.\r\nThe third line.")
        );
        let forgotten =
            CharacterSet::parse(b"\\ISO 2022 IR 149").decode(b"\x1b$)C\xb1\xe6\r\n\xb5\xbf", Kind::Paragraphs);
        assert!(forgotten.is_raw(), "a line without its escape has no Korean");
    }

    #[test]
    fn chinese_of_annexes_j_and_k() {
        assert_eq!(name(b"ISO_IR 192", "Wang^XiaoDong=王^小東=".as_bytes()), text("Wang^XiaoDong=王^小東="));
        assert_eq!(name(b"GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="), text("Wang^XiaoDong=王^小东="));
        assert_eq!(name(b"GBK", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"), text("Wang^XiaoDong=王^小东"));
        assert_eq!(
            name(b"\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="),
            text("Zhang^XiaoDong=张^小东=")
        );
    }

    #[test]
    fn single_byte_sets_of_c_12_2() {
        assert_eq!(name(b"ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1"), text("قباني^لنزار"));
        assert_eq!(name(b"ISO_IR 100", b"Buc^J\xe9r\xf4me"), text("Buc^Jérôme"));
        assert_eq!(name(b"ISO_IR 100", b"\xc4neas^R\xfcdiger"), text("Äneas^Rüdiger"));
        assert_eq!(name(b"ISO_IR 101", b"Wa\xb3\xeasa^Lech"), text("Wałęsa^Lech"));
        assert_eq!(name(b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"), text("Διονυσιος"));
        assert_eq!(name(b"ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4"), text("שרון^דבורה"));
        assert_eq!(name(b"ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3"), text("Люкceмбypг"));
        assert_eq!(name(b"ISO_IR 148", b"\xc7avu\xfeo\xf0lu"), text("Çavuşoğlu"));
        assert_eq!(name(b"ISO_IR 166", b"\xbb\xc3\xd0\xe0\xb7\xc8\xe4\xb7\xc2"), text("ประเทศไทย"));
        assert_eq!(name(b"ISO_IR 203", b"\xbd\xa4"), text("œ€"));
        assert_eq!(name(b"ISO_IR 109", b"\xa1g"), text("Ħg"));
        assert_eq!(name(b"ISO_IR 110", b"\xe0bols"), text("ābols"));
        assert_eq!(name(b"ISO_IR 13", b"\xd4\xcf\xc0\xde"), text("ﾔﾏﾀﾞ"));
    }

    #[test]
    fn a_delimiter_ends_a_code_extension() {
        let set = b"ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126";
        assert_eq!(name(set, b"Dionysios is \x1b-F\xc4\xe9\xef^\xc4"), text("Dionysios is Διο^Ä"));
        let line = CharacterSet::parse(set).decode(b"\x1b-F\xc4\\\xc4", Kind::Line);
        assert_eq!(line, text("Δ\\Ä"));
    }

    #[test]
    fn supplementary_kanji_are_read() {
        // 丂 is the first of JIS X 0212.
        assert_eq!(name(b"\\ISO 2022 IR 159", b"\x1b$(D0!\x1b(B"), text("丂"));
    }

    #[test]
    fn misspelt_terms_are_read() {
        assert_eq!(name(b"ISO-IR 100", b"J\xe9r\xf4me"), text("Jérôme"));
        assert_eq!(name(b"ISO IR 192 ", "Jérôme".as_bytes()), text("Jérôme"));
    }

    #[test]
    fn what_is_no_text_of_the_set_is_shown_as_bytes() {
        assert_eq!(name(b"", b"J\xe9r\xf4me"), Decoded::Raw(r"J\xE9r\xF4me".into()));
        assert_eq!(name(b"ISO_IR 192", b"J\xe9r"), Decoded::Raw(r"J\xE9r".into()));
        assert_eq!(name(b"ISO_IR 100", b"J\x92"), Decoded::Raw(r"J\x92".into()));
        assert_eq!(name(b"KLINGON", b"J\xe9r"), Decoded::Raw(r"J\xE9r".into()));
        assert_eq!(name(b"KLINGON", b"Banda^Grace"), text("Banda^Grace"));
        assert_eq!(name(b"\\ISO 2022 IR 87", b"\x1b$X;3"), Decoded::Raw(r"\x1B$X;3".into()));
        assert_eq!(name(b"\\ISO 2022 IR 87", b"\x1b$B;"), Decoded::Raw(r"\x1B$B;".into()));
    }

    #[test]
    fn terminal_control_in_a_name_is_shown_as_bytes() {
        assert_eq!(name(b"ISO_IR 192", b"\x1b[31mBanda"), Decoded::Raw(r"\x1B[31mBanda".into()));
        assert_eq!(name(b"", b"Ban\x07da"), Decoded::Raw(r"Ban\x07da".into()));
        assert_eq!(name(b"ISO_IR 192", b"Ban\r\nda"), Decoded::Raw(r"Ban\x0D\x0Ada".into()));
    }

    #[test]
    fn malformed_dates_are_shown_as_they_came() {
        let date = |bytes| CharacterSet::default().decode(bytes, Kind::Date);
        assert_eq!(date(b"20260229"), Decoded::Raw("20260229".into()));
        assert_eq!(date(b"20240229"), text("2024-02-29"));
        assert_eq!(date(b"1997.04.01"), text("1997-04-01"));
        assert_eq!(date(b"19971301"), Decoded::Raw("19971301".into()));
        assert_eq!(date(b""), text(""));
    }

    #[test]
    fn a_decoded_name_never_prints() {
        assert_eq!(format!("{:?}", name(b"", b"Banda^Grace")), "Text({PHI})");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_show_a_control_character(
            set in proptest::sample::select(vec![
                &b""[..], b"ISO_IR 13", b"ISO_IR 192", b"GB18030", b"GBK", b"\\ISO 2022 IR 87\\ISO 2022 IR 159",
                b"ISO 2022 IR 149", b"ISO 2022 IR 58", b"ISO_IR 100", b"x",
            ]),
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x1B), Just(b'$'), Just(b')')], 0..64),
        ) {
            for kind in [Kind::Name, Kind::Line, Kind::Code, Kind::Date] {
                let decoded = CharacterSet::parse(set).decode(&bytes, kind);
                prop_assert!(!decoded.shown().chars().any(char::is_control));
            }
        }
    }
}
