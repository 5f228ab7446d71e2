//! The place of the next byte in a data set: which element it belongs to, and which part of it.
//!
//! A byte is cheap to code where it is known to be the second digit of a Slice Location, and dear where it is any byte.
//! The rule: bytes are pushed one by one, the same in coding and decoding, and the walk only ever *guesses*: whatever
//! comes has a place, and a wrong guess costs bytes and never truth. So it is not the scanner, whose verdicts may
//! change; this reading is part of the stream's layout and stays as it is for ever. DICOM PS3.5 section 7, PS3.10
//! section 7.1.

use super::Hole;

/// Sequences and items inside one another at most; deeper ones are read as one value.
const DEPTH_MAX: usize = 64;

const ITEM: u32 = 0xFFFE_E000;
const ITEM_END: u32 = 0xFFFE_E00D;
const SEQUENCE_END: u32 = 0xFFFE_E0DD;
const TRANSFER_SYNTAX: u32 = 0x0002_0010;
const UNDEFINED: u32 = u32::MAX;

/// VRs with a 16-bit length, then those with 32 bits.
const VRS: [&[u8; 2]; 34] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US", b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR",
    b"UT", b"UV",
];
const SHORT_VRS: u8 = 21;

/// A VR by its place in [`VRS`]; or none written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vr(u8);

impl Vr {
    pub(super) const UNWRITTEN: Self = Self(VRS.len() as u8);
    /// How many there are, [`Self::UNWRITTEN`] included.
    pub(super) const COUNT: usize = VRS.len() + 1;

    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        VRS.iter().position(|vr| vr.as_slice() == bytes).map(|at| Self(at as u8))
    }

    #[cfg(test)]
    pub(super) fn named(name: &[u8; 2]) -> Self {
        Self::of(name).unwrap()
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) fn is(self, name: &[u8; 2]) -> bool {
        VRS.get(self.index()).is_some_and(|vr| *vr == name)
    }
}

/// How the bytes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// 128 bytes, `DICM`, file meta information.
    File,
    /// A data set in little endian, or file meta information without preamble.
    Little,
    /// A data set in big endian.
    Big,
    /// Anything else: no structure is sought.
    Plain,
}

impl Form {
    pub(super) const ALL: [Self; 4] = [Self::File, Self::Little, Self::Big, Self::Plain];

    /// What these bytes look like.
    pub(super) fn guess(bytes: &[u8]) -> Self {
        match bytes {
            _ if bytes.get(128..132) == Some(b"DICM") => Self::File,
            [0, 2 | 8, 0, _, ..] => Self::Big,
            [2 | 4 | 8 | 16, 0, _, _, ..] => Self::Little,
            _ => Self::Plain,
        }
    }
}

/// Where bytes were taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nowhere, or at the places that are listed.
    Listed,
    /// The value of native pixel data, or of every item of encapsulated.
    Values,
    /// The same, but for the first item: the Basic Offset Table stays.
    Fragments,
    /// As [`Self::Values`], of a data set that was deflated when it was received and stands here inflated.
    Inflated,
}

impl Taken {
    pub(super) const ALL: [Self; 4] = [Self::Listed, Self::Values, Self::Fragments, Self::Inflated];
}

/// What the next byte is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Preamble,
    Tag,
    /// Two bytes that are a VR, or the first two of a length.
    Vr,
    Reserved,
    ShortLength,
    Length,
    Value,
    /// Of what has no structure.
    Plain,
}

/// What a byte brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Within,
    /// A tag: from here on the walk's keys are those of its element.
    Tag,
    /// A head whose value follows.
    Head,
    /// An element, or the head of a sequence or item: the next byte starts another.
    Unit,
    /// What seemed a value is a sequence: its last four bytes were the tag of its first item.
    Opened,
}

#[derive(Clone, Copy)]
struct Frame {
    kind: Within,
    end: u64,
    keys: Keys,
    items: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Sequence,
    Item,
    Fragments,
}

/// Names of the place of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    /// By tags and numbers of items: the same element in another Instance.
    pub(super) slot: u64,
    /// By tags alone: the same element in any item.
    pub(super) column: u64,
}

impl Keys {
    const ROOT: Self = Self { slot: 1, column: 1 };

    const fn under(self, tag: u32, item: u32) -> Self {
        Self { slot: mixed(self.slot, tag, item), column: mixed(self.column, tag, 0) }
    }
}

const fn mixed(key: u64, tag: u32, item: u32) -> u64 {
    let x = (key ^ (tag as u64) << 24 ^ (item as u64) << 3).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^ x >> 29
}

/// The walk over one Instance.
pub(super) struct Walk {
    size: u64,
    taken: Taken,
    position: u64,
    frames: Vec<Frame>,
    is_big: bool,
    in_meta: bool,
    part: Part,
    /// Bytes of the part that have been pushed.
    at: u64,
    recent: u32,
    tag: u32,
    vr: Vr,
    length: u32,
    value_end: u64,
    keys: Keys,
    syntax: Vec<u8>,
    /// A hole that stands at this byte.
    hole: u64,
}

impl Walk {
    /// A walk over an Instance of `size` bytes, holes included.
    pub(super) fn new(form: Form, taken: Taken, size: u64) -> Self {
        let part = match form {
            Form::File => Part::Preamble,
            Form::Plain => Part::Plain,
            Form::Little | Form::Big => Part::Tag,
        };
        Self {
            size,
            taken,
            position: 0,
            frames: Vec::new(),
            is_big: form == Form::Big,
            in_meta: matches!(form, Form::File | Form::Little),
            part,
            at: 0,
            recent: 0,
            tag: 0,
            vr: Vr::UNWRITTEN,
            length: 0,
            value_end: size,
            keys: Keys::ROOT,
            syntax: Vec::new(),
            hole: 0,
        }
    }

    pub(super) const fn part(&self) -> Part {
        self.part
    }

    /// Bytes of the part before the next one.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) const fn vr(&self) -> Vr {
        self.vr
    }

    pub(super) const fn is_big(&self) -> bool {
        self.is_big
    }

    /// Of the element whose tag came last.
    pub(super) const fn keys(&self) -> Keys {
        self.keys
    }

    /// Bytes of the value from the next one on.
    pub(super) const fn value_left(&self) -> u64 {
        self.value_end.saturating_sub(self.position)
    }

    pub(super) const fn is_done(&self) -> bool {
        self.position >= self.size
    }

    /// The bytes that were taken out here, if any; asked once after each push.
    pub(super) fn take_hole(&mut self) -> Option<u64> {
        let hole = std::mem::take(&mut self.hole);
        (hole > 0).then_some(hole)
    }

    /// Passes bytes that were taken out where a list says so.
    pub(super) fn skip(&mut self, bytes: u64) -> Step {
        self.position = self.position.saturating_add(bytes);
        if self.part == Part::Value && self.position >= self.value_end { self.end_unit() } else { Step::Within }
    }

    /// Takes the next byte.
    pub(super) fn push(&mut self, byte: u8) -> Step {
        self.position += 1;
        self.at += 1;
        self.recent = self.recent << 8 | u32::from(byte);
        match self.part {
            Part::Plain => Step::Within,
            Part::Preamble if self.at < 132 => Step::Within,
            Part::Preamble => self.end_unit(),
            Part::Tag => self.tag_byte(),
            Part::Vr => self.vr_byte(),
            Part::Reserved => {
                if self.at == 2 {
                    self.enter(Part::Length, 0);
                }
                Step::Within
            }
            Part::ShortLength if self.at == 2 => {
                self.length = u32::from(self.low_half());
                self.begin()
            }
            Part::Length if self.at == 4 => {
                self.length = self.whole();
                self.begin()
            }
            Part::ShortLength | Part::Length => Step::Within,
            Part::Value => self.value_byte(byte),
        }
    }

    const fn enter(&mut self, part: Part, at: u64) {
        self.part = part;
        self.at = at;
    }

    /// The last two bytes as a number.
    const fn low_half(&self) -> u16 {
        let half = self.recent as u16;
        if self.is_big { half } else { half.swap_bytes() }
    }

    /// The last four bytes as a number.
    const fn whole(&self) -> u32 {
        if self.is_big { self.recent } else { self.recent.swap_bytes() }
    }

    /// The last four bytes as a tag.
    const fn whole_tag(&self) -> u32 {
        if self.is_big { self.recent } else { self.recent.swap_bytes().rotate_left(16) }
    }

    fn tag_byte(&mut self) -> Step {
        if self.at == 2 && self.in_meta && self.low_half() != 2 {
            self.in_meta = false;
            match self.syntax.trim_ascii_end() {
                b"1.2.840.10008.1.2.2" => self.is_big = true,
                b"1.2.840.10008.1.2.1.99" if self.taken != Taken::Inflated => self.enter(Part::Plain, 2),
                _ => {}
            }
        }
        if self.at < 4 || self.part == Part::Plain {
            return Step::Within;
        }
        self.start(self.whole_tag());
        Step::Tag
    }

    /// Starts an element, item or delimiter with this tag.
    fn start(&mut self, tag: u32) {
        self.tag = tag;
        self.vr = Vr::UNWRITTEN;
        let (keys, item) = match self.frames.last_mut() {
            Some(frame) => {
                frame.items += u32::from(tag == ITEM);
                (frame.keys, if tag == ITEM { frame.items } else { 0 })
            }
            None => (Keys::ROOT, 0),
        };
        self.keys = keys.under(tag, item);
        self.enter(if tag >> 16 == 0xFFFE { Part::Length } else { Part::Vr }, 0);
    }

    fn vr_byte(&mut self) -> Step {
        if self.at < 2 {
            return Step::Within;
        }
        match Vr::of(&(self.recent as u16).to_be_bytes()) {
            Some(vr) => {
                self.vr = vr;
                self.enter(if vr.0 < SHORT_VRS { Part::ShortLength } else { Part::Reserved }, 0);
            }
            None => self.enter(Part::Length, 2),
        }
        Step::Within
    }

    /// What follows a head.
    fn begin(&mut self) -> Step {
        let frame = self.frames.last().map(|frame| frame.kind);
        let is_pixels = frame.is_none() && matches!(self.tag, 0x7FE0_0008 | 0x7FE0_0009 | 0x7FE0_0010);
        let kind = match (self.tag, self.length) {
            (ITEM_END | SEQUENCE_END, _) => {
                self.close(self.tag);
                return self.end_unit();
            }
            (ITEM, _) if frame == Some(Within::Fragments) => None,
            (ITEM, _) => Some(Within::Item),
            (_, UNDEFINED) if is_pixels => Some(Within::Fragments),
            (_, UNDEFINED) => Some(Within::Sequence),
            _ if self.vr.is(b"SQ") => Some(Within::Sequence),
            _ => None,
        };
        let end = if self.length == UNDEFINED { u64::MAX } else { self.position.saturating_add(self.length.into()) };
        if let Some(kind) = kind.filter(|_| self.frames.len() < DEPTH_MAX) {
            self.frames.push(Frame { kind, end, keys: self.keys, items: 0 });
            return self.end_unit();
        }
        let around = self.frames.last().map_or(u64::MAX, |frame| frame.end);
        self.value_end = end.min(around).min(self.size);
        let is_first_item = self.frames.last().is_some_and(|frame| frame.items == 1);
        let is_taken = match self.taken {
            Taken::Listed => false,
            Taken::Values | Taken::Inflated => is_pixels || frame == Some(Within::Fragments),
            Taken::Fragments => is_pixels || (frame == Some(Within::Fragments) && !is_first_item),
        };
        if is_taken {
            self.hole = self.value_left();
            self.position = self.position.max(self.value_end);
        }
        if self.value_left() == 0 {
            return self.end_unit();
        }
        self.enter(Part::Value, 0);
        Step::Head
    }

    fn value_byte(&mut self, byte: u8) -> Step {
        if self.in_meta && self.tag == TRANSFER_SYNTAX && self.at <= 64 && byte != 0 {
            self.syntax.push(byte);
        }
        let may_open = self.vr == Vr::UNWRITTEN || self.vr.is(b"UN");
        if self.at == 4
            && may_open
            && self.whole_tag() == ITEM
            && self.value_left() >= 4
            && self.frames.len() < DEPTH_MAX
        {
            self.frames.push(Frame { kind: Within::Sequence, end: self.value_end, keys: self.keys, items: 0 });
            return Step::Opened;
        }
        if self.position >= self.value_end { self.end_unit() } else { Step::Within }
    }

    /// After [`Step::Opened`]: goes on with the item whose tag has been pushed.
    pub(super) fn open_item(&mut self) {
        self.start(ITEM);
    }

    fn close(&mut self, delimiter: u32) {
        let closes = |kind| (kind == Within::Item) == (delimiter == ITEM_END);
        if let Some(at) = self.frames.iter().rposition(|frame| closes(frame.kind)) {
            self.frames.truncate(at);
        }
    }

    fn end_unit(&mut self) -> Step {
        while self.frames.last().is_some_and(|frame| frame.end <= self.position) {
            self.frames.pop();
        }
        self.enter(Part::Tag, 0);
        Step::Unit
    }
}

/// The holes that `taken` makes in these bytes of an Instance of `size` bytes, if it accounts for all of them.
pub(super) fn holes_of(bytes: &[u8], form: Form, taken: Taken, size: u64) -> Option<Vec<Hole>> {
    let mut walk = Walk::new(form, taken, size);
    let mut holes = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        if walk.is_done() {
            return None;
        }
        if walk.push(*byte) == Step::Opened {
            walk.open_item();
        }
        holes.extend(walk.take_hole().map(|bytes| Hole { at: at as u64 + 1, bytes }));
    }
    walk.is_done().then_some(holes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u32, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let [g1, g0, e1, e0] = tag.to_be_bytes();
        let mut bytes = vec![g0, g1, e0, e1];
        bytes.extend_from_slice(vr);
        if Vr::named(vr).0 < SHORT_VRS {
            bytes.extend((value.len() as u16).to_le_bytes());
        } else {
            bytes.extend([0, 0]);
            bytes.extend((value.len() as u32).to_le_bytes());
        }
        bytes.extend_from_slice(value);
        bytes
    }

    fn item(tag: u32, length: u32, value: &[u8]) -> Vec<u8> {
        let [g1, g0, e1, e0] = tag.to_be_bytes();
        [&[g0, g1, e0, e1][..], &length.to_le_bytes(), value].concat()
    }

    /// Preamble and meta that say this transfer syntax.
    fn meta(syntax: &[u8]) -> Vec<u8> {
        [vec![0; 128], b"DICM".to_vec(), element(TRANSFER_SYNTAX, b"UI", syntax)].concat()
    }

    /// The part that each byte is of, and the keys behind it.
    fn walked(form: Form, taken: Taken, bytes: &[u8]) -> Vec<(Part, Keys)> {
        let mut walk = Walk::new(form, taken, bytes.len() as u64);
        let mut places = Vec::new();
        for byte in bytes {
            let part = walk.part();
            if walk.push(*byte) == Step::Opened {
                walk.open_item();
            }
            places.push((part, walk.keys()));
        }
        places
    }

    fn parts(form: Form, taken: Taken, bytes: &[u8]) -> Vec<Part> {
        walked(form, taken, bytes).into_iter().map(|(part, _)| part).collect()
    }

    fn count(parts: &[Part], of: Part) -> usize {
        parts.iter().filter(|part| **part == of).count()
    }

    #[test]
    fn every_byte_of_an_element_has_its_part() {
        use Part::{Length, Reserved, ShortLength, Tag, Value, Vr as V};
        let bytes = [element(0x0020_0013, b"IS", b"7 "), element(0x0042_0011, b"OB", b"ab")].concat();
        let short = [Tag, Tag, Tag, Tag, V, V, ShortLength, ShortLength, Value, Value];
        let long = [Tag, Tag, Tag, Tag, V, V, Reserved, Reserved, Length, Length, Length, Length, Value, Value];
        assert_eq!(parts(Form::Little, Taken::Listed, &bytes), [&short[..], &long].concat());
    }

    #[test]
    fn the_same_element_of_another_item_has_another_slot_and_the_same_column() {
        let body = element(0x0020_9057, b"UL", &[1, 0, 0, 0]);
        let items = item(ITEM, body.len() as u32, &body).repeat(2);
        let bytes = element(0x5200_9230, b"SQ", &items);
        let places = walked(Form::Little, Taken::Listed, &bytes);
        let [first, second] = [bytes.len() - 1 - items.len() / 2, bytes.len() - 1].map(|at| places[at].1);
        assert_ne!(first.slot, second.slot);
        assert_eq!(first.column, second.column);
        let alone = walked(Form::Little, Taken::Listed, &body);
        assert_ne!(alone[body.len() - 1].1.column, first.column, "outside the sequence");
    }

    #[test]
    fn pixels_are_holes_and_an_offset_table_is_one_only_where_values_are_taken() {
        let native = [element(0x0020_0013, b"IS", b"7 "), element(0x7FE0_0010, b"OW", &[5; 40])].concat();
        let residue = &native[..native.len() - 40];
        for taken in [Taken::Values, Taken::Fragments, Taken::Inflated] {
            let holes = holes_of(residue, Form::Little, taken, native.len() as u64);
            assert_eq!(holes, Some(vec![Hole { at: residue.len() as u64, bytes: 40 }]), "{taken:?}");
        }
        assert_eq!(holes_of(residue, Form::Little, Taken::Listed, native.len() as u64), None, "40 bytes are missing");

        let mut head = element(0x7FE0_0010, b"OB", &[]);
        head.splice(8..12, UNDEFINED.to_le_bytes());
        let end = item(SEQUENCE_END, 0, &[]);
        // A table of 4 bytes, then fragments of 30 and 20.
        let [with_table, without] = [&[9; 4][..], &[]].map(|table| {
            [&head, &item(ITEM, 4, table), &item(ITEM, 30, &[]), &item(ITEM, 20, &[]), &end].map(Vec::as_slice).concat()
        });
        let size = with_table.len() as u64 + 50;
        let found = |bytes: &[u8], taken| {
            let holes = holes_of(bytes, Form::Little, taken, size).unwrap_or_default();
            holes.iter().map(|hole| hole.bytes).collect::<Vec<_>>()
        };
        assert_eq!(found(&with_table, Taken::Fragments), [30, 20]);
        assert_eq!(found(&without, Taken::Values), [4, 30, 20]);
    }

    #[test]
    fn a_deflated_data_set_has_no_elements_unless_it_was_inflated() {
        let data_set = element(0x0020_0013, b"IS", b"7 ");
        let bytes = [meta(b"1.2.840.10008.1.2.1.99"), data_set.clone()].concat();
        let from = bytes.len() - data_set.len() + 2;
        assert_eq!(count(&parts(Form::File, Taken::Values, &bytes)[from..], Part::Plain), data_set.len() - 2);
        assert_eq!(count(&parts(Form::File, Taken::Inflated, &bytes), Part::Plain), 0);
    }

    #[test]
    fn numbers_turn_round_where_the_transfer_syntax_is_big_endian() {
        let little = element(0x0028_0010, b"US", &[2, 1]);
        let big = [0, 0x28, 0, 0x10, b'U', b'S', 0, 2, 1, 2];
        let bytes = [meta(b"1.2.840.10008.1.2.2\0"), big.to_vec()].concat();
        let [in_big, in_little] =
            [walked(Form::File, Taken::Listed, &bytes), walked(Form::Little, Taken::Listed, &little)];
        assert_eq!(in_big[in_big.len() - 2..].to_vec(), in_little[in_little.len() - 2..].to_vec());
    }

    #[test]
    fn what_begins_with_an_item_is_a_sequence_whatever_its_vr_says() {
        let body = element(0x0008_0060, b"CS", b"CT");
        let bytes = element(0x0029_1010, b"UN", &item(ITEM, body.len() as u32, &body));
        let parts = parts(Form::Little, Taken::Listed, &bytes);
        assert_eq!(parts[bytes.len() - 2..], [Part::Value; 2]);
        assert_eq!(parts[bytes.len() - body.len()], Part::Tag);
    }

    #[test]
    fn sequences_deeper_than_the_limit_take_no_more_memory() {
        let mut level = element(0x0040_0275, b"SQ", &[]);
        level.splice(8..12, UNDEFINED.to_le_bytes());
        level.extend(item(ITEM, UNDEFINED, &[]));
        let bytes = level.repeat(500);
        let mut walk = Walk::new(Form::Little, Taken::Listed, bytes.len() as u64);
        for byte in bytes {
            if walk.push(byte) == Step::Opened {
                walk.open_item();
            }
        }
        assert_eq!(walk.frames.len(), DEPTH_MAX);
    }

    /// Heads of all kinds, and any bytes.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<Vec<u8>>(),
            Just(element(0x0008_0060, b"CS", b"CT")),
            (0_u32..200).prop_map(|bytes| [&element(0x7FE0_0010, b"OW", &[])[..8], &bytes.to_le_bytes()].concat()),
            Just([&element(0x7FE0_0010, b"OB", &[])[..8], &UNDEFINED.to_le_bytes()].concat()),
            Just([&element(0x0040_0275, b"SQ", &[])[..8], &UNDEFINED.to_le_bytes()].concat()),
            (0_u32..200).prop_map(|bytes| item(ITEM, bytes, &[])),
            Just(item(SEQUENCE_END, 0, &[])),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_their_end(pieces in proptest::collection::vec(piece(), 0..6), form in 0_usize..4, taken in 0_usize..4, more in 0_u64..99) {
            let bytes = pieces.concat();
            let size = bytes.len() as u64 + more;
            if let Some(holes) = holes_of(&bytes, Form::ALL[form], Taken::ALL[taken], size) {
                prop_assert_eq!(holes.iter().map(|hole| hole.bytes).sum::<u64>(), more);
                prop_assert!(holes.iter().all(|hole| hole.at <= bytes.len() as u64));
            }
        }
    }
}
