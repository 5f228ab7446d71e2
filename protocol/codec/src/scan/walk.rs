//! Walks a data set element by element, with its own stack of open sequences and items.
//!
//! Recursion would let a file choose how much stack a node needs; a `Vec` with a limit does not. Every length is held
//! against the item or sequence around it, so whatever parses the same bytes later can't be led past their end.
//! Rules: PS3.5 section 7.5 (sequences), 6.2.2 (UN), A.4 (encapsulated pixels).

use super::{
    Counted, Ending, Fact, Facts, Flaw, Form, Identity, Image, Origin, PixelData, PixelForm, Scan, ScanError,
    element::{self, Head, ITEM, ITEM_END, Layout, Length, SEQUENCE_END, Tag, Vr},
    input::{Input, Stop},
    meta::DataSet,
};
use crate::{
    limits::{ELEMENTS_MAX, SEQUENCE_DEPTH_MAX, VALUE_BYTES_KEPT_MAX},
    uid::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, UID_BYTES_MAX, UidError},
};

const FLOAT_PIXELS: Tag = 0x7FE0_0008;
const DOUBLE_PIXELS: Tag = 0x7FE0_0009;
const PIXELS: Tag = 0x7FE0_0010;

/// A sequence or item that is open.
struct Open {
    what: Within,
    /// Where it ends, if its length is defined.
    end: Option<u64>,
    /// The nearest end around whatever stands in it.
    bound: Option<u64>,
    /// How the elements in it are laid out.
    layout: Layout,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Sequence,
    Item,
}

/// All that a walk gathers.
pub(super) struct Walk<'r> {
    input: Input<'r>,
    origin: Origin,
    layout: Layout,
    open: Vec<Open>,
    elements: u64,
    study: Option<StudyInstanceUid>,
    series: Option<SeriesInstanceUid>,
    sop_instance: Option<SopInstanceUid>,
    sop_class: Option<SopClassUid>,
    facts: Facts,
    image: Image,
    pixel_data: Option<PixelData>,
    ending: Ending,
}

/// Walks to the end of the data set, or to what ends it early.
pub(super) fn walk(input: Input<'_>, origin: Origin, data_set: DataSet) -> Result<Walk<'_>, ScanError> {
    let mut walk = Walk {
        input: if data_set.deflated { input.inflated() } else { input },
        origin,
        layout: data_set.layout,
        open: Vec::with_capacity(2 * SEQUENCE_DEPTH_MAX),
        elements: 0,
        study: None,
        series: None,
        sop_instance: None,
        sop_class: None,
        facts: Facts::default(),
        image: Image::default(),
        pixel_data: None,
        ending: Ending::Whole,
    };
    loop {
        let at = walk.input.position();
        match walk.step() {
            Ok(Step::On) => {}
            Ok(Step::Done) => return Ok(walk),
            Err(Stop::Ended) => {
                walk.ending = Ending::EndsEarly { at: walk.input.position() };
                return Ok(walk);
            }
            Err(Stop::Flawed(flaw)) => {
                walk.ending = Ending::Malformed { at, flaw };
                return Ok(walk);
            }
            Err(Stop::Refused(error)) => return Err(error),
        }
    }
}

enum Step {
    On,
    Done,
}

impl Walk<'_> {
    /// What the walk found, if an Instance in this form may be taken in at all.
    pub(super) fn verdict(self, form: &Form) -> Result<Scan, ScanError> {
        let ending = self.ending;
        if ending != Ending::Whole && *form != Form::File {
            return Err(ScanError::FalseLength { ending });
        }
        Ok(Scan {
            study: self.study.ok_or(ScanError::Missing { what: Identity::Study, ending })?,
            sop_instance: self.sop_instance.ok_or(ScanError::Missing { what: Identity::Instance, ending })?,
            series: self.series,
            sop_class: self.sop_class,
            origin: self.origin,
            facts: self.facts,
            image: self.image,
            pixel_data: self.pixel_data,
            bytes: self.input.position(),
            ending,
        })
    }

    /// Takes one element, item or delimiter.
    fn step(&mut self) -> Result<Step, Stop> {
        let here = self.input.position();
        while self.open.last().is_some_and(|open| open.end == Some(here)) {
            self.open.pop();
        }
        let within = self.open.last().map(|open| open.what);
        if within.is_none() {
            if self.input.at_end()? {
                return Ok(Step::Done);
            }
            if here > self.origin.data_set && self.input.peek(4)?.iter().all(|b| *b == 0) {
                let all_zeros = self.input.zeros_to_the_end()?;
                return if all_zeros { Ok(Step::Done) } else { Err(Stop::Flawed(Flaw::Trailing)) };
            }
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(Stop::Refused(ScanError::TooManyElements { max: ELEMENTS_MAX }));
        }
        let layout = self.open.last().map_or(self.layout, |open| open.layout);
        let head = element::take_head(&mut self.input, layout)?;
        self.check_bound(0)?;
        match (within, head.tag) {
            (Some(Within::Sequence), ITEM) => self.enter(Within::Item, head.length, layout)?,
            (Some(Within::Sequence), SEQUENCE_END) => self.leave(&head)?,
            (Some(Within::Item), ITEM_END) => self.leave(&head)?,
            // A stray delimiter between elements says nothing; toolkits write it after sequences of defined length.
            (None | Some(Within::Item), SEQUENCE_END) | (None, ITEM_END) if head.length == Length::Bytes(0) => {}
            (Some(Within::Sequence), _) | (_, ITEM | ITEM_END | SEQUENCE_END) => {
                return Err(Stop::Flawed(out_of_place(head.tag)));
            }
            (None | Some(Within::Item), _) => self.element(head, layout)?,
        }
        Ok(Step::On)
    }

    fn element(&mut self, head: Head, layout: Layout) -> Result<(), Stop> {
        let top = self.open.is_empty();
        let is_pixels = matches!(head.tag, PIXELS | FLOAT_PIXELS | DOUBLE_PIXELS);
        match (head.length, head.vr) {
            (Length::Bytes(length), vr) => {
                self.check_bound(length)?;
                if vr == Vr::Sequence
                    || (vr == Vr::Unwritten && !is_pixels && self.shows_items(head, length, layout)?)
                {
                    self.enter(Within::Sequence, head.length, layout)
                } else if top && is_pixels {
                    let start = self.input.position();
                    self.pixel_data = Some(PixelData { value: start..start + length, form: PixelForm::Native });
                    self.input.skip(length)
                } else if top {
                    self.value(head.tag, length, layout)
                } else {
                    self.input.skip(length)
                }
            }
            (Length::Undefined, Vr::Sequence) => self.enter(Within::Sequence, head.length, layout),
            (Length::Undefined, Vr::Unwritten) if !is_pixels => self.enter(Within::Sequence, head.length, layout),
            // UN of undefined length is a sequence in implicit VR little endian (PS3.5 section 6.2.2).
            (Length::Undefined, Vr::Unknown) if !is_pixels => {
                self.enter(Within::Sequence, head.length, Layout::Implicit)
            }
            (Length::Undefined, _) => {
                let start = self.input.position();
                let fragments = self.fragments(layout)?;
                if top && is_pixels {
                    let value = start..self.input.position();
                    self.pixel_data = Some(PixelData { value, form: PixelForm::Encapsulated { fragments } });
                }
                Ok(())
            }
        }
    }

    /// Whether an element without a VR is a sequence of defined length: its value starts with an item that fits.
    /// Private elements are left closed, as by every reader that has no dictionary of them.
    fn shows_items(&mut self, head: Head, length: u64, layout: Layout) -> Result<bool, Stop> {
        let is_private = head.tag >> 16 & 1 == 1;
        if is_private || length < 8 {
            return Ok(false);
        }
        let [a, b, c, d, rest @ ..] = self.input.peek(8)? else {
            return Ok(false);
        };
        let tag = u32::from(layout.u16([*a, *b])) << 16 | u32::from(layout.u16([*c, *d]));
        let item = rest.try_into().map_or(u32::MAX, |rest| layout.u32(rest));
        Ok(tag == ITEM && (item == u32::MAX || u64::from(item) + 8 <= length))
    }

    fn enter(&mut self, what: Within, length: Length, layout: Layout) -> Result<(), Stop> {
        let at = self.input.position();
        let depth = self.open.iter().filter(|open| open.what == Within::Sequence).count();
        if what == Within::Sequence && depth >= SEQUENCE_DEPTH_MAX {
            return Err(Stop::Refused(ScanError::TooDeep { at, max: SEQUENCE_DEPTH_MAX }));
        }
        let end = match length {
            Length::Undefined => None,
            Length::Bytes(length) => {
                self.check_bound(length)?;
                Some(at + length)
            }
        };
        let bound = end.or_else(|| self.open.last().and_then(|open| open.bound));
        let layout = if what == Within::Item { self.layout_of_item(layout)? } else { layout };
        self.open.push(Open { what, end, bound, layout });
        Ok(())
    }

    /// Devices put implicit items into explicit data sets and the other way round; the first element shows which.
    fn layout_of_item(&mut self, around: Layout) -> Result<Layout, Stop> {
        let is_implicit_throughout = self.layout == Layout::Implicit;
        if is_implicit_throughout || self.layout == Layout::ExplicitBigEndian {
            return Ok(around);
        }
        let [_, _, _, _, vr @ ..] = self.input.peek(6)? else {
            return Ok(around);
        };
        Ok(if element::is_known_vr(vr) { Layout::Explicit } else { around })
    }

    fn leave(&mut self, head: &Head) -> Result<(), Stop> {
        let closed = self.open.pop().expect("only called within a sequence or item");
        if closed.end.is_some() || head.length != Length::Bytes(0) {
            return Err(Stop::Flawed(out_of_place(head.tag)));
        }
        Ok(())
    }

    /// Takes encapsulated fragments to their delimiter.
    fn fragments(&mut self, layout: Layout) -> Result<Counted, Stop> {
        let mut fragments = Counted::default();
        loop {
            let head = element::take_head(&mut self.input, layout)?;
            match (head.tag, head.length) {
                (ITEM, Length::Bytes(length)) => {
                    self.check_bound(length)?;
                    let start = self.input.position();
                    self.input.skip(length)?;
                    fragments.push(start..start + length);
                }
                (ITEM, Length::Undefined) => return Err(Stop::Flawed(Flaw::Undefined)),
                (SEQUENCE_END, Length::Bytes(0)) => return self.check_bound(0).map(|()| fragments),
                (tag, _) => return Err(Stop::Flawed(out_of_place(tag))),
            }
        }
    }

    /// `length` more bytes must fit in everything that is open.
    fn check_bound(&self, length: u64) -> Result<(), Stop> {
        let end = self.input.position() + length;
        let bound = self.open.last().and_then(|open| open.bound);
        if bound.is_some_and(|bound| end > bound) { Err(Stop::Flawed(Flaw::Overruns { length })) } else { Ok(()) }
    }

    /// Takes a value at the top of the data set, keeping it if an order needs it.
    fn value(&mut self, tag: Tag, length: u64, layout: Layout) -> Result<(), Stop> {
        if let Some(fact) = Fact::of(tag) {
            let bytes = self.input.keep(length, VALUE_BYTES_KEPT_MAX)?;
            self.facts.keep(fact, bytes, length);
            return Ok(());
        }
        match tag {
            0x0020_000D => self.uid(length, Identity::Study),
            0x0020_000E => self.uid(length, Identity::Series),
            0x0008_0018 => self.uid(length, Identity::Instance),
            0x0008_0016 => self.uid(length, Identity::Class),
            0x0028_0002 | 0x0028_0006 | 0x0028_0008 | 0x0028_0010 | 0x0028_0011 | 0x0028_0100 | 0x0028_0101
            | 0x0028_0103 => self.figure(tag, length, layout),
            _ => self.input.skip(length),
        }
    }

    fn uid(&mut self, length: u64, what: Identity) -> Result<(), Stop> {
        let value = self.input.keep(length, 4 * UID_BYTES_MAX)?;
        let kept = match what {
            Identity::Study => keep(&mut self.study, StudyInstanceUid::parse(&value)),
            Identity::Series => keep(&mut self.series, SeriesInstanceUid::parse(&value)),
            Identity::Instance => keep(&mut self.sop_instance, SopInstanceUid::parse(&value)),
            Identity::Class => keep(&mut self.sop_class, SopClassUid::parse(&value)),
        };
        match kept {
            Kept::Yes => Ok(()),
            Kept::Broken(source) => Err(Stop::Refused(ScanError::Uid { what, source })),
            Kept::Other => Err(Stop::Refused(ScanError::Ambiguous { what })),
        }
    }

    fn figure(&mut self, tag: Tag, length: u64, layout: Layout) -> Result<(), Stop> {
        let value = self.input.keep(length, 16)?;
        if tag == 0x0028_0008 {
            self.image.frames =
                std::str::from_utf8(&value).ok().and_then(|text| text.trim_matches(['\0', ' ']).parse().ok());
            return Ok(());
        }
        let figure = <[u8; 2]>::try_from(value.as_slice()).ok().map(|bytes| layout.u16(bytes));
        *match tag {
            0x0028_0002 => &mut self.image.samples_per_pixel,
            0x0028_0006 => &mut self.image.planar_configuration,
            0x0028_0010 => &mut self.image.rows,
            0x0028_0011 => &mut self.image.columns,
            0x0028_0100 => &mut self.image.bits_allocated,
            0x0028_0101 => &mut self.image.bits_stored,
            _ => &mut self.image.pixel_representation,
        } = figure;
        Ok(())
    }
}

enum Kept {
    Yes,
    Broken(UidError),
    Other,
}

/// An empty UID counts as absent; a second one must be the same.
fn keep<U: PartialEq>(place: &mut Option<U>, parsed: Result<U, UidError>) -> Kept {
    match (parsed, place.as_ref()) {
        (Err(UidError::Empty), _) => Kept::Yes,
        (Err(error), _) => Kept::Broken(error),
        (Ok(uid), Some(first)) if *first != uid => Kept::Other,
        (Ok(uid), _) => {
            *place = Some(uid);
            Kept::Yes
        }
    }
}

const fn out_of_place(tag: Tag) -> Flaw {
    Flaw::OutOfPlace { group: (tag >> 16) as u16, element: tag as u16 }
}
