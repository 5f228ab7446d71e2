//! The model of headers: Instances in, choices out, and the other way round.
//!
//! A CT slice's header differs from the one before in ten of its two hundred elements: most are settled by one choice
//! ([`Repeats`]), what is left byte by byte ([`Octets`]). Rule: one code path, [`Model::instance`], writes, reads and
//! learns the dictionary; a [`Decisions`] says which. Whatever the bytes, its memory is fixed but for the bytes
//! themselves, and its time is in proportion to them.

use super::{
    Hole,
    decisions::Decisions,
    expected::Expected,
    history::History,
    mixing::{Adaptive, Curve, Shares},
    octet::{Octets, Place},
    repeats::{Asked, Repeats},
    walk::{Form, Part, Step, Taken, Walk},
};
use std::ops::Range;

/// Bytes of a long value that one choice may settle.
const BLOCK_BYTES: usize = 32;
/// Bytes of such a block that one choice may settle where it differs.
const FEW_BYTES: usize = 8;
/// Bytes of a value that is asked about a few bytes at a time at least; shorter ones cost more so, and take no time.
const LONG_VALUE_BYTES: u64 = 256;
/// Bytes that must have matched before a choice is about the next ones.
const MATCHED_BYTES_MIN: usize = 16;

/// How an Instance is walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'h> {
    pub(super) form: Form,
    pub(super) taken: Taken,
    /// Holes where [`Taken::Listed`].
    pub(super) listed: &'h [Hole],
    /// Bytes of the Instance, holes included.
    pub(super) size: u64,
}

/// All that is learned while headers are coded.
#[derive(Debug, Clone)]
pub(super) struct Model {
    curve: Curve,
    shares: Shares,
    history: History,
    repeats: Repeats,
    octets: Octets,
    symbols: [Adaptive; 8],
    expected: Expected,
    /// Where the element that is being coded begins.
    head: usize,
    /// Where its value does; its head until then.
    value: usize,
    outcomes: u8,
    place: Place,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            curve: Curve::new(),
            shares: Shares::new(),
            history: History::new(),
            repeats: Repeats::new(),
            octets: Octets::new(),
            symbols: [Adaptive::NEW; 8],
            expected: Expected::default(),
            head: 0,
            value: 0,
            outcomes: 1,
            place: Place { previous_column: 0, prefix: 0, changed: 0, value_length: 0 },
        }
    }

    /// Bytes of all Instances so far.
    pub(super) fn bytes(&self) -> usize {
        self.history.bytes.len()
    }

    /// The bytes of the last Instance.
    pub(super) fn current(&self) -> &[u8] {
        self.history.current()
    }

    /// Codes a form and what was taken out.
    pub(super) fn shape(&mut self, decisions: &mut impl Decisions, form: Form, taken: Taken) -> (Form, Taken) {
        let form = self.symbol(decisions, 0, form as usize);
        let taken = self.symbol(decisions, 4, taken as usize);
        (Form::ALL[form], Taken::ALL[taken])
    }

    /// Codes a number below four.
    fn symbol(&mut self, decisions: &mut impl Decisions, from: usize, number: usize) -> usize {
        let mut node = 1;
        for shift in [1, 0] {
            let p = &mut self.symbols[from + node];
            let bit = decisions.decide((number >> shift & 1) as u32, p.p());
            p.learn(bit, 30, &self.shares);
            node = node << 1 | bit as usize;
        }
        node & 3
    }

    /// Codes one Instance, of which `original` is what stays, where that is known. Gives its holes; `None` where all
    /// Instances together come to more than `bytes_max`.
    pub(super) fn instance(
        &mut self,
        decisions: &mut impl Decisions,
        original: Option<&[u8]>,
        shape: Shape<'_>,
        bytes_max: usize,
    ) -> Option<Vec<Hole>> {
        let mut walk = Walk::new(shape.form, shape.taken, shape.size);
        let mut holes = Vec::new();
        let mut listed = shape.listed.iter().peekable();
        let before = self.history.begin();
        let start = self.bytes();
        self.begin_element(start, before, 0);
        loop {
            let at = self.bytes() - start;
            while let Some(hole) = listed.next_if(|hole| hole.at == at as u64) {
                holes.push(*hole);
                let step = walk.skip(hole.bytes);
                self.follow(step, &mut walk);
            }
            if walk.is_done() {
                return Some(holes);
            }
            if self.bytes() >= bytes_max {
                return None;
            }
            let ahead = original.map(|original| original.get(at..).unwrap_or_default());
            self.expected.find_match(&self.history);
            let settled = self.ask(decisions, &walk, ahead).unwrap_or_else(|| {
                let original = ahead.and_then(<[u8]>::first).copied().unwrap_or(0);
                let context = (&self.history, &walk, &self.expected, &self.place);
                vec![self.octets.code(decisions, original, context, (&self.curve, &self.shares))]
            });
            for byte in settled {
                self.take(byte, &mut walk, start, &mut holes);
                let is_cut = listed.peek().is_some_and(|hole| hole.at == (self.bytes() - start) as u64);
                if is_cut || walk.is_done() || self.bytes() >= bytes_max {
                    break;
                }
            }
        }
    }

    /// Takes a byte that is settled.
    fn take(&mut self, byte: u8, walk: &mut Walk, start: usize, holes: &mut Vec<Hole>) {
        self.expected.meet(byte, &self.history, walk);
        self.history.push(byte);
        let step = walk.push(byte);
        if let Some(bytes) = walk.take_hole() {
            holes.push(Hole { at: (self.bytes() - start) as u64, bytes });
        }
        self.place.prefix = (self.place.prefix ^ u64::from(byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.follow(step, walk);
    }

    /// What a step of the walk means.
    fn follow(&mut self, step: Step, walk: &mut Walk) {
        match step {
            Step::Within => {}
            Step::Tag => self.tag_known(walk),
            Step::Head => {
                self.value = self.bytes();
                self.place.value_length = walk.value_left();
                self.place.prefix = walk.keys().column ^ 0x5555;
                self.expected.begin_value(&self.history, walk);
            }
            Step::Unit => self.end_element(walk, self.bytes()),
            Step::Opened => {
                self.end_element(walk, self.bytes() - 4);
                walk.open_item();
                self.tag_known(walk);
            }
        }
    }

    /// Begins an element at `head`, which may be the one at `above`.
    fn begin_element(&mut self, head: usize, above: Option<usize>, previous_column: u64) {
        self.history.begin_element(head);
        (self.head, self.value) = (head, head);
        self.place.previous_column = previous_column;
        self.place.prefix = previous_column;
        self.outcomes = 1;
        self.expected.begin_element(above.map_or(0..0, |above| above..head));
    }

    fn tag_known(&mut self, walk: &Walk) {
        self.place.prefix = walk.keys().column;
        if let Some(outcomes) = self.expected.tag_known(&self.history, walk) {
            self.outcomes = outcomes;
        }
    }

    fn end_element(&mut self, walk: &Walk, end: usize) {
        let keys = walk.keys();
        let value = if self.value > self.head { self.value.min(end) } else { end };
        if self.outcomes & 1 == 0 && end > self.value {
            self.place.changed = self.place.prefix;
        }
        let next = self.history.row(keys).map(|row| row.end as usize);
        self.history.keep(keys, (self.head, value, end), self.outcomes);
        self.begin_element(end, next, keys.column);
    }

    /// Asks whether an element, a value or a block is as it was before; gives its bytes if so.
    fn ask(&mut self, decisions: &mut impl Decisions, walk: &Walk, ahead: Option<&[u8]>) -> Option<Vec<u8>> {
        let column = walk.keys().column;
        match (walk.part(), walk.at()) {
            (Part::Value, 0) => self.ask_value(decisions, walk, ahead),
            (Part::Tag | Part::Preamble, 0) if !self.expected.above.is_empty() => {
                let element = self.history.element_at(self.expected.above.start)?;
                self.decide(decisions, Asked::Element, self.place.previous_column, &element, ahead)
            }
            (Part::Value | Part::Plain, at) if at % FEW_BYTES as u64 == 0 => {
                let left = walk.value_left();
                if at % BLOCK_BYTES as u64 == 0 && left >= BLOCK_BYTES as u64 {
                    let block = self.ask_block(decisions, column, BLOCK_BYTES, ahead);
                    if block.is_some() {
                        return block;
                    }
                }
                let is_long = self.place.value_length >= LONG_VALUE_BYTES && left >= FEW_BYTES as u64;
                if is_long { self.ask_block(decisions, column, FEW_BYTES, ahead) } else { None }
            }
            _ => None,
        }
    }

    fn ask_block(
        &mut self,
        decisions: &mut impl Decisions,
        column: u64,
        bytes: usize,
        ahead: Option<&[u8]>,
    ) -> Option<Vec<u8>> {
        let above = &self.expected.above;
        let (asked, from) = match self.expected.matched(MATCHED_BYTES_MIN) {
            _ if !above.is_empty() => (if bytes < BLOCK_BYTES { Asked::Few } else { Asked::Block }, above.start),
            Some(matched) if bytes == BLOCK_BYTES => (Asked::Matched, matched),
            _ => return None,
        };
        let block = from..from + bytes;
        if block.end > self.bytes() { None } else { self.decide(decisions, asked, column, &block, ahead) }
    }

    fn ask_value(&mut self, decisions: &mut impl Decisions, walk: &Walk, ahead: Option<&[u8]>) -> Option<Vec<u8>> {
        let column = walk.keys().column;
        let fits = |length: usize| length as u64 == self.place.value_length;
        let asked = if self.expected.is_linked { Asked::Linked } else { Asked::Forecast };
        let foreseen = self.expected.foreseen.clone().filter(|value| fits(value.len()));
        let [above, other] =
            [&self.expected.above, &self.expected.column].map(|row| Some(row.clone()).filter(|row| fits(row.len())));
        if let Some(value) = &foreseen
            && self.settle(decisions, asked, column, ahead.is_some_and(|ahead| ahead.starts_with(value)))
        {
            return foreseen;
        }
        let is_new = |bytes: &[u8]| foreseen.as_deref() != Some(bytes);
        let above = above.filter(|row| is_new(&self.history.bytes[row.clone()]));
        if let Some(row) = &above
            && let Some(bytes) = self.decide(decisions, Asked::Above, column, row, ahead)
        {
            return Some(bytes);
        }
        let bytes = &self.history.bytes;
        let refused = above.map(|row| &bytes[row]);
        let other = other.filter(|row| is_new(&bytes[row.clone()]) && refused != Some(&bytes[row.clone()]))?;
        self.decide(decisions, Asked::Column, column, &other, ahead)
    }

    /// Settles whether these bytes of the history come again; gives them if so.
    fn decide(
        &mut self,
        decisions: &mut impl Decisions,
        asked: Asked,
        column: u64,
        range: &Range<usize>,
        ahead: Option<&[u8]>,
    ) -> Option<Vec<u8>> {
        let is_so = ahead.is_some_and(|ahead| ahead.starts_with(&self.history.bytes[range.clone()]));
        // Copied only once it is settled, or a long element that is asked about often would cost time without end.
        self.settle(decisions, asked, column, is_so).then(|| self.history.bytes[range.clone()].to_vec())
    }

    fn settle(&mut self, decisions: &mut impl Decisions, asked: Asked, column: u64, is_so: bool) -> bool {
        let about = (asked, column, &mut self.outcomes);
        self.repeats.decide(decisions, about, is_so, (&self.curve, &self.shares))
    }
}
