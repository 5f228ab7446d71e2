//! What came before: every byte so far, and where each element of it lies.
//!
//! The same element of the Instance before is the best forecast of the next one, so each is found again by its place:
//! its *slot* (tags and item numbers) and its *column* (tags alone; the row above in a long sequence). Tables are of a
//! fixed size, whatever comes: an entry that another overwrites costs bytes, never memory.

use super::walk::Keys;
use std::ops::Range;

const SLOT_BITS: u32 = 15;
const COLUMN_BITS: u32 = 13;
const SEEN_BITS: u32 = 12;
const MATCH_BITS: u32 = 18;
/// Bytes that must agree for a place to count as the same text.
const MATCH_BYTES: usize = 6;
/// Bytes that are compared to tell how well it agrees.
const MATCH_COMPARED: usize = 32;

/// An element that was seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    check: u32,
    /// Where its tag begins; its value; where it ends.
    pub(super) head: u32,
    pub(super) value: u32,
    pub(super) end: u32,
    /// The value in the row before this one.
    before: (u32, u32),
    /// Number of the Instance it was seen in, from 1.
    instance: u32,
    /// The slot of this Instance that had the same value earlier.
    link: u32,
    /// Outcomes of its last choices whether it is as before, the newest lowest, under a leading 1.
    pub(super) outcomes: u8,
}

impl Row {
    pub(super) const fn value(&self) -> Range<usize> {
        self.value as usize..self.end as usize
    }

    /// The value in the row before.
    pub(super) const fn before(&self) -> Range<usize> {
        self.before.0 as usize..self.before.1 as usize
    }
}

/// Rows by a key.
#[derive(Debug, Clone)]
struct Rows {
    rows: Vec<Row>,
    bits: u32,
}

impl Rows {
    fn new(bits: u32) -> Self {
        Self { rows: vec![Row::default(); 1 << bits], bits }
    }

    const fn place(&self, key: u64) -> (usize, u32) {
        let spread = key.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        ((spread >> (64 - self.bits)) as usize, spread as u32 | 1)
    }

    fn find(&self, key: u64) -> Option<&Row> {
        let (at, check) = self.place(key);
        Some(&self.rows[at]).filter(|row| row.check == check)
    }

    /// Puts a row where the one of this key was, which it remembers.
    fn put(&mut self, key: u64, mut row: Row) -> u32 {
        let (at, check) = self.place(key);
        let old = self.rows[at];
        row.check = check;
        if old.check == check {
            row.before = (old.value, old.end);
            if row.link == 0 {
                row.link = old.link;
            }
        }
        self.rows[at] = row;
        at as u32
    }
}

/// All that came before.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) bytes: Vec<u8>,
    /// Where each element begins, in order.
    heads: Vec<u32>,
    slots: Rows,
    columns: Rows,
    /// Values of this Instance: hash and Instance, and the slot.
    seen: Vec<(u64, u32)>,
    /// Where bytes with this hash came last.
    matches: Vec<u32>,
    /// Where the bytes that have just come, came before.
    met: usize,
    instance: u32,
    /// Where this Instance begins.
    start: usize,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            heads: Vec::new(),
            slots: Rows::new(SLOT_BITS),
            columns: Rows::new(COLUMN_BITS),
            seen: vec![(0, 0); 1 << SEEN_BITS],
            matches: vec![0; 1 << MATCH_BITS],
            met: 0,
            instance: 0,
            start: 0,
        }
    }

    /// Begins an Instance and gives where the one before began.
    pub(super) fn begin(&mut self) -> Option<usize> {
        let before = (self.instance > 0).then_some(self.start);
        self.instance += 1;
        self.start = self.bytes.len();
        before
    }

    /// The bytes of this Instance.
    pub(super) fn current(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn begin_element(&mut self, at: usize) {
        self.heads.push(at as u32);
    }

    /// The bytes from this place to where the element there ends.
    pub(super) fn element_at(&self, at: usize) -> Option<Range<usize>> {
        let next = self.heads.partition_point(|head| *head as usize <= at);
        let end = self.heads.get(next).map_or(self.bytes.len(), |head| *head as usize);
        (end > at).then_some(at..end)
    }

    /// The last element of this slot, else of its column.
    pub(super) fn row(&self, keys: Keys) -> Option<&Row> {
        self.slots.find(keys.slot).or_else(|| self.columns.find(keys.column))
    }

    /// The last element of this column.
    pub(super) fn column(&self, keys: Keys) -> Option<&Row> {
        self.columns.find(keys.column)
    }

    /// The value of the element of this Instance that had the same value as this slot's when both came last.
    pub(super) fn linked(&self, row: &Row) -> Option<Range<usize>> {
        let linked = self.slots.rows.get(row.link.checked_sub(1)? as usize)?;
        (linked.instance == self.instance).then(|| linked.value())
    }

    /// Keeps an element that has ended.
    pub(super) fn keep(&mut self, keys: Keys, (head, value, end): (usize, usize, usize), outcomes: u8) {
        let was = self.slots.find(keys.slot).map(Row::value);
        let changed = was.is_none_or(|was| self.bytes[was] != self.bytes[value..end]);
        let hash = if changed && end - value >= 2 { self.hash(&self.bytes[value..end]) } else { 0 };
        let link = if hash == 0 { 0 } else { self.seen_before(hash) };
        let row = Row {
            head: head as u32,
            value: value as u32,
            end: end as u32,
            instance: self.instance,
            outcomes,
            link,
            ..Row::default()
        };
        self.columns.put(keys.column, row);
        let slot = self.slots.put(keys.slot, row);
        if hash != 0 && link == 0 {
            self.seen[(hash >> (64 - SEEN_BITS)) as usize] = (hash, slot + 1);
        }
    }

    fn seen_before(&self, hash: u64) -> u32 {
        let (seen, slot) = self.seen[(hash >> (64 - SEEN_BITS)) as usize];
        if seen == hash { slot } else { 0 }
    }

    /// Of a value in this Instance.
    fn hash(&self, value: &[u8]) -> u64 {
        let start = u64::from(self.instance).wrapping_mul(0x2545_F491_4F6C_DD1D) ^ value.len() as u64;
        value.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
        let here = self.bytes.len();
        let Some(from) = here.checked_sub(MATCH_BYTES) else { return };
        let spread = self.bytes[from..]
            .iter()
            .fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let last = &mut self.matches[(spread >> (64 - MATCH_BITS)) as usize];
        self.met = *last as usize;
        *last = here as u32;
    }

    /// The place after the last bytes that were the same as those that have just come, and how many of them agree.
    pub(super) fn matching(&self) -> Option<(usize, usize)> {
        let (at, here) = (self.met, self.bytes.len());
        let agree = |n: &usize| self.bytes[at - 1 - n] == self.bytes[here - 1 - n];
        let agreed = (0..MATCH_COMPARED.min(at)).take_while(agree).count();
        (agreed >= MATCH_BYTES).then_some((at, agreed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Keys = Keys { slot: 11, column: 1 };
    const PLACE: Keys = Keys { slot: 12, column: 2 };

    impl History {
        /// An element with a head of four bytes.
        fn element(&mut self, keys: Keys, value: &[u8]) {
            let head = self.bytes.len();
            self.begin_element(head);
            b"head".iter().chain(value).for_each(|byte| self.push(*byte));
            self.keep(keys, (head, head + 4, self.bytes.len()), 1);
        }

        fn value(&self, row: Option<&Row>) -> Option<&[u8]> {
            row.map(|row| &self.bytes[row.value()])
        }
    }

    #[test]
    fn an_element_finds_itself_in_the_instance_before_and_the_one_before_that() {
        let mut history = History::new();
        for number in [b"101", b"102", b"103"] {
            history.begin();
            history.element(PLACE, b"-7.5");
            history.element(NUMBER, number);
        }
        let row = history.row(NUMBER).unwrap();
        assert_eq!((&history.bytes[row.value()], &history.bytes[row.before()]), (&b"103"[..], &b"102"[..]));
        assert_eq!(history.begin(), Some(2 * (8 + 7)), "where the Instance before began");
        assert_eq!(history.current(), b"");
    }

    #[test]
    fn an_element_that_is_new_in_its_item_finds_the_row_above() {
        let mut history = History::new();
        history.begin();
        history.element(Keys { slot: 21, column: 3 }, b"first row");
        let next = Keys { slot: 22, column: 3 };
        assert_eq!(history.value(history.row(next)), Some(&b"first row"[..]));
        assert_eq!(history.value(history.column(next)), Some(&b"first row"[..]));
        assert!(history.row(Keys { slot: 23, column: 4 }).is_none());
    }

    #[test]
    fn values_that_were_equal_are_expected_to_be_equal_in_the_next_instance() {
        let mut history = History::new();
        for uid in [b"1.2.3", b"1.2.9"] {
            history.begin();
            history.element(NUMBER, uid);
            if history.instance == 2 {
                let row = *history.row(PLACE).unwrap();
                assert_eq!(history.linked(&row).map(|at| &history.bytes[at]), Some(&b"1.2.9"[..]));
            }
            history.element(PLACE, uid);
        }
        history.begin();
        let row = *history.row(PLACE).unwrap();
        assert_eq!(history.linked(&row), None, "the other has not come yet in this Instance");
    }

    #[test]
    fn text_is_met_again_after_six_equal_bytes_and_not_before() {
        let mut history = History::new();
        history.begin();
        b"Siemens Healthineers; ".iter().for_each(|byte| history.push(*byte));
        for (byte, met) in b"Siemens".iter().zip([None, None, None, None, None, Some((6, 6)), Some((7, 7))]) {
            history.push(*byte);
            assert_eq!(history.matching(), met);
        }
    }

    #[test]
    fn an_element_reaches_to_the_next_head() {
        let mut history = History::new();
        history.begin();
        history.element(NUMBER, b"12");
        history.element(PLACE, b"345");
        assert_eq!(history.element_at(0), Some(0..6));
        assert_eq!(history.element_at(4), Some(4..6));
        assert_eq!(history.element_at(6), Some(6..13));
        assert_eq!(history.element_at(13), None);
    }

    #[test]
    fn another_key_of_the_same_place_is_never_taken_for_it() {
        let mut rows = Rows::new(1);
        rows.put(1, Row { value: 10, ..Row::default() });
        for key in 2..50 {
            assert!(rows.find(key).is_none(), "{key}");
            rows.put(key, Row { value: key as u32, ..Row::default() });
            let row = *rows.find(key).unwrap();
            assert_eq!((row.value, row.before()), (key as u32, 0..0), "nothing of the one it overwrote");
        }
    }
}
