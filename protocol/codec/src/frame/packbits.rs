//! PackBits, and the habits of those who write it (PS3.5 G.3.1).
//!
//! The standard says how runs are read and leaves open where one begins: GDCM ends a literal run behind the first of
//! two equal bytes, pydicom before them, DCMTK only where three are equal, some start anew at each row and some
//! don't. A [`Habit`] is one such way, told by position alone; what an encoder did otherwise goes into a short list
//! of exceptions, so that a device nobody has heard of still comes back byte for byte.

use super::recipe::{self, Reader};

/// One control byte and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// So many bytes as they are.
    Literal(usize),
    /// One byte so many times.
    Repeated(usize),
    /// Nothing (control byte 128).
    Nothing,
}

/// Bytes of one run at most.
const RUN_MAX: usize = 128;

impl Run {
    fn of(control: u8) -> Self {
        match control {
            0..=127 => Self::Literal(usize::from(control) + 1),
            128 => Self::Nothing,
            129..=255 => Self::Repeated(257 - usize::from(control)),
        }
    }

    fn control(self) -> u8 {
        match self {
            Self::Literal(count) => (count - 1) as u8,
            Self::Repeated(count) => (257 - count) as u8,
            Self::Nothing => 128,
        }
    }

    /// Bytes it stands for.
    fn bytes(self) -> usize {
        match self {
            Self::Literal(count) | Self::Repeated(count) => count,
            Self::Nothing => 0,
        }
    }
}

/// What ends a literal run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LiteralEnd {
    BeforeTwo,
    BeforeThree,
    BehindFirstOfTwo,
}

/// A way to write PackBits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Habit {
    literal_end: LiteralEnd,
    /// Equal bytes from which a run starts as repeated.
    repeated_min: usize,
    /// A last byte left over of a longer run is a literal of its own, or opens what follows.
    rest_alone: bool,
    /// Two equal bytes at the very end are repeated, whatever `repeated_min`.
    last_two_repeated: bool,
    /// Each row starts anew.
    by_row: bool,
}

impl Habit {
    const ALL: u8 = 48;

    /// One of the [`Habit::ALL`] ways there are.
    fn numbered(number: u8) -> Option<Self> {
        let literal_end =
            [LiteralEnd::BeforeTwo, LiteralEnd::BeforeThree, LiteralEnd::BehindFirstOfTwo][usize::from(number % 3)];
        let bit = |index: u32| (number / 3) >> index & 1 == 1;
        (number < Self::ALL).then_some(Self {
            literal_end,
            repeated_min: if bit(0) { 3 } else { 2 },
            rest_alone: bit(1),
            last_two_repeated: bit(2),
            by_row: bit(3),
        })
    }

    /// The next run of `bytes` at `at`; `before` is the run that ended there.
    fn next(self, bytes: &[u8], at: usize, row_bytes: usize, before: Option<Run>) -> Run {
        let end = if self.by_row { (at / row_bytes + 1) * row_bytes } else { bytes.len() }.min(bytes.len());
        let left = &bytes[at..end];
        let equal = left.iter().take(RUN_MAX).take_while(|byte| **byte == left[0]).count();
        let goes_on = before == Some(Run::Repeated(RUN_MAX)) && bytes[at - 1] == left[0];
        let goes_on = goes_on && (!self.by_row || !at.is_multiple_of(row_bytes));
        if goes_on && self.rest_alone {
            return if equal >= 2 { Run::Repeated(equal) } else { Run::Literal(1) };
        }
        if equal >= self.repeated_min || (self.last_two_repeated && equal == 2 && left.len() == 2) {
            return Run::Repeated(equal);
        }
        let starts = |from: usize, count: usize| {
            left.get(from..from + count).is_some_and(|run| run.iter().all(|byte| *byte == run[0]))
                || (count == 3 && self.last_two_repeated && from + 2 == left.len() && left[from] == left[from + 1])
        };
        let ends = |count: &usize| match self.literal_end {
            LiteralEnd::BeforeTwo => starts(*count, 2),
            LiteralEnd::BeforeThree => starts(*count, 3),
            LiteralEnd::BehindFirstOfTwo => starts(*count - 1, 2),
        };
        let most = left.len().min(RUN_MAX);
        Run::Literal((1..most).find(ends).unwrap_or(most))
    }
}

/// How the bytes of one segment were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Writing {
    habit: u8,
    /// Runs that the habit does not give: how many runs lie before it, since the last one listed, and its control.
    exceptions: Vec<(u32, u8)>,
}

/// The bytes that `packed` stands for up to `count`, and how many of `packed` they took. A last run may go on past
/// `count`: GDCM packs the pad byte of an odd frame too.
pub(super) fn unpack(packed: &[u8], count: usize) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::new();
    let mut at = 0;
    while out.len() < count {
        let run = Run::of(*packed.get(at)?);
        at += 1;
        match run {
            Run::Literal(bytes) => {
                out.extend_from_slice(packed.get(at..at + bytes)?);
                at += bytes;
            }
            Run::Repeated(bytes) => {
                out.resize(out.len() + bytes, *packed.get(at)?);
                at += 1;
            }
            Run::Nothing => {}
        }
    }
    Some((out, at))
}

impl Writing {
    /// How `bytes` became `packed`; `None` where no habit fits it, but for few exceptions.
    pub(super) fn of(bytes: &[u8], packed: &[u8], row_bytes: usize) -> Option<Self> {
        let mut best: Option<Self> = None;
        for habit in 0..Habit::ALL {
            let allowed = best.as_ref().map_or(packed.len() / 16, |best| best.exceptions.len().saturating_sub(1));
            best = Self::by(habit, bytes, packed, row_bytes, allowed).or(best);
            if best.as_ref().is_some_and(|best| best.exceptions.is_empty()) {
                break;
            }
        }
        best
    }

    fn by(habit: u8, bytes: &[u8], packed: &[u8], row_bytes: usize, exceptions_max: usize) -> Option<Self> {
        let expected = Habit::numbered(habit)?;
        let (mut exceptions, mut since) = (Vec::new(), 0);
        let (mut at, mut packed_at, mut before) = (0, 0, None);
        while at < bytes.len() {
            let control = *packed.get(packed_at)?;
            let run = Run::of(control);
            if run == expected.next(bytes, at, row_bytes, before) {
                since += 1;
            } else if exceptions.len() < exceptions_max {
                exceptions.push((since, control));
                since = 0;
            } else {
                return None;
            }
            packed_at += 1 + match run {
                Run::Literal(count) => count,
                Run::Repeated(_) => 1,
                Run::Nothing => 0,
            };
            at += run.bytes();
            before = Some(run);
        }
        Some(Self { habit, exceptions })
    }

    /// Packs `bytes` behind `out`. `None` if they are not what was unpacked.
    pub(super) fn pack(&self, bytes: &[u8], row_bytes: usize, out: &mut Vec<u8>) -> Option<()> {
        let habit = Habit::numbered(self.habit)?;
        let mut exceptions = self.exceptions.iter();
        let mut exception = exceptions.next();
        let (mut at, mut since, mut before) = (0, 0, None);
        while at < bytes.len() {
            let run = match exception {
                Some((runs, control)) if *runs == since => {
                    exception = exceptions.next();
                    since = 0;
                    Run::of(*control)
                }
                _ => {
                    since += 1;
                    habit.next(bytes, at, row_bytes, before)
                }
            };
            let covered = bytes.get(at..at + run.bytes())?;
            out.push(run.control());
            match run {
                Run::Literal(_) => out.extend_from_slice(covered),
                Run::Repeated(_) => {
                    if covered.iter().any(|byte| *byte != covered[0]) {
                        return None;
                    }
                    out.push(covered[0]);
                }
                Run::Nothing => {}
            }
            at += run.bytes();
            before = Some(run);
        }
        Some(())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        out.push(self.habit);
        recipe::number(out, u32::try_from(self.exceptions.len()).ok()?);
        for (runs, control) in &self.exceptions {
            recipe::number(out, *runs);
            out.push(*control);
        }
        Some(())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let habit = reader.byte()?;
        let count = reader.number()?;
        let mut exceptions = Vec::new();
        for _ in 0..count {
            exceptions.push((reader.number()?, reader.byte()?));
        }
        Some(Self { habit, exceptions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows of eight bytes in which runs are common.
    fn rows() -> impl Strategy<Value = Vec<u8>> {
        let run = (0..4_u8, prop_oneof![1..4_usize, 1..300_usize]);
        proptest::collection::vec(run, 1..40).prop_map(|runs| {
            let mut bytes: Vec<u8> = runs.into_iter().flat_map(|(byte, count)| vec![byte; count]).collect();
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes
        })
    }

    proptest! {
        #[test]
        fn every_habit_is_recognised_and_repeated(bytes in rows(), habit in 0..Habit::ALL) {
            let mut packed = Vec::new();
            Writing { habit, exceptions: Vec::new() }.pack(&bytes, 8, &mut packed).unwrap();
            prop_assert_eq!(unpack(&packed, bytes.len()), Some((bytes.clone(), packed.len())));
            let writing = Writing::of(&bytes, &packed, 8).unwrap();
            prop_assert!(writing.exceptions.is_empty());
            let mut again = Vec::new();
            writing.pack(&bytes, 8, &mut again).unwrap();
            prop_assert_eq!(again, packed);
        }
    }

    #[test]
    fn what_no_habit_explains_is_listed_and_repeated() {
        let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
        let mut packed = Vec::new();
        let odd = Writing { habit: 0, exceptions: vec![(3, Run::Literal(7).control()), (5, Run::Nothing.control())] };
        odd.pack(&bytes, 64, &mut packed).unwrap();
        let writing = Writing::of(&bytes, &packed, 64).unwrap();
        assert!(!writing.exceptions.is_empty());
        let mut again = Vec::new();
        writing.pack(&bytes, 64, &mut again).unwrap();
        assert_eq!(again, packed);
    }

    #[test]
    fn a_run_over_bytes_that_differ_is_refused() {
        let lie = Writing { habit: 0, exceptions: vec![(0, Run::Repeated(3).control())] };
        assert_eq!(lie.pack(&[1, 2, 3], 3, &mut Vec::new()), None);
        assert_eq!(lie.pack(&[1, 1], 2, &mut Vec::new()), None);
    }

    #[test]
    fn runs_without_end_take_no_more_than_their_recipe() {
        let idle = Writing { habit: 0, exceptions: vec![(0, 128); 1000] };
        let mut out = Vec::new();
        idle.pack(&[1], 1, &mut out).unwrap();
        assert_eq!(out.len(), 1002);
    }
}
