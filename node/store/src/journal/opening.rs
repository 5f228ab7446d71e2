//! Reading the journal at the start: the chain is checked whole, a torn end is cut, damage stops the node.
//!
//! After a power cut the last batch may be there in part; nobody was told of it, so it goes. Anything else that does
//! not follow from what came before is an error that says where, because to leave out one record in the middle is to
//! lose a Study silently. What was read is synced before it is believed: after a kill it may be in the page cache
//! only.

use super::{
    Journal, Position, SEGMENT_BYTES_MAX, make_segment,
    segment::{self, Head, JournalKey, Link, Next, SECTOR, SegmentHead},
};
use crate::{
    latch::{Latch, WriteError},
    medium::{Dir, Name, delete_if_there},
};
use radmesh_protocol::record::Record;
use std::{io, sync::Arc};

/// Contents of the file that says which layout this is.
const FORMAT: &[u8] = b"radmesh store 1\n";

/// A store that can't be opened as it is. Nothing was changed but, at most, a torn end that was cut.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Acknowledged records do not read back.
    #[error(
        "segment {segment} of the journal is damaged at byte {offset}: {what}; restore it from a backup, or replace the node"
    )]
    Damaged {
        /// Number of the segment; its file is `journal/<16 hexadecimal digits>.segment`.
        segment: u64,
        /// Byte of the file.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The journal is another node's, or the key file is.
    #[error("the journal was not written under this node's at-rest key")]
    OtherKey,
    /// Written by a later radmesh.
    #[error("this store was written by another version of radmesh; run that one, or a later one")]
    OtherVersion,
    /// The file system refused.
    #[error("the store can't be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The disk is full or fails.
    #[error("the store can't be written: {0}")]
    Unwritable(#[from] WriteError),
}

/// What was found.
pub(crate) struct Found {
    pub(crate) journal: Journal,
    pub(crate) records: u64,
    /// Bytes of a torn batch that were cut off.
    pub(crate) cut_bytes: u64,
}

/// Opens or makes the journal. `each` hears every record in order.
pub(crate) fn open(
    latch: &Arc<Latch>,
    key: JournalKey,
    segment_bytes: u64,
    each: &mut dyn FnMut(Position, &Record),
) -> Result<Found, OpenError> {
    let mut numbers = segments(latch)?;
    let made = format(latch)?;
    drop_unfinished(latch, &mut numbers, made)?;
    if numbers.is_empty() {
        let head = SegmentHead { number: 1, bytes: segment_bytes, prev: key.genesis() };
        make_segment(latch, head)?;
        numbers.push(1);
    }
    let last = numbers[numbers.len() - 1];
    // Believed only once it is durable: after a kill the last batch may be in the page cache alone.
    latch.sync_dir(Dir::Journal)?;
    latch.sync(Name::Segment(last))?;
    let (mut link, mut records, mut cut_bytes) = (key.genesis(), 0, 0);
    let mut tail = None;
    for (number, expected) in numbers.into_iter().zip(1..) {
        if number != expected {
            return Err(OpenError::Damaged { segment: expected, offset: 0, what: "the segment is missing" });
        }
        let mut walk = Walk::begin(latch, &key, number, link)?;
        while let Some((at, body)) = walk.next_batch()? {
            let mut place = 0;
            while (place as usize) < body.len() {
                let damaged = || walk.damaged(at, "a batch does not hold whole records");
                let (bytes, next) = segment::record_at(&body, place).ok_or_else(damaged)?;
                let record = postcard::from_bytes(bytes).map_err(|_| OpenError::OtherVersion)?;
                each(Position { segment: number, batch: at as u64, record: place }, &record);
                (place, records) = (next, records + 1);
            }
        }
        walk.check_end(number == last)?;
        if walk.stopped == Next::Torn {
            cut_bytes = walk.cut(latch)?;
        }
        link = walk.link;
        tail = Some((walk.head, walk.at));
    }
    if !made {
        latch.change(|medium| {
            delete_if_there(medium, Name::Format)?;
            medium.create(Name::Format)?;
            medium.write_at(Name::Format, 0, FORMAT)
        })?;
        latch.sync(Name::Format)?;
        latch.sync_dir(Dir::Root)?;
    }
    let (head, end) = tail.expect("there is at least one segment");
    let journal = Journal::new(Arc::clone(latch), key, segment_bytes, head, end, link);
    Ok(Found { journal, records, cut_bytes })
}

/// One segment, read batch by batch.
#[derive(Debug)]
pub(crate) struct Walk {
    key: JournalKey,
    head: SegmentHead,
    bytes: Vec<u8>,
    at: usize,
    link: Link,
    /// Why the last batch was the last.
    stopped: Next,
}

impl Walk {
    /// Reads a segment whole, at most a few MiB, and checks its head.
    pub(crate) fn begin(latch: &Latch, key: &JournalKey, number: u64, link: Link) -> Result<Self, OpenError> {
        let (head, bytes) = read_segment(latch, number)?;
        let damaged = |what| OpenError::Damaged { segment: number, offset: 0, what };
        let Head::Whole(head) = head else {
            return Err(damaged("the head of the segment is not what was written"));
        };
        if head.number != number || head.prev != link {
            let first = number == 1 && head.number == 1;
            return Err(if first {
                OpenError::OtherKey
            } else {
                damaged("the segment does not follow the one before it")
            });
        }
        if (bytes.len() as u64) < head.bytes && !segment::zeros(&bytes[SECTOR.min(bytes.len())..]) {
            return Err(damaged("the segment's file is shorter than it was"));
        }
        Ok(Self { key: key.clone(), head, bytes, at: SECTOR, link, stopped: Next::End })
    }

    /// The next batch's offset and body, or `None` at the end, which [`Walk::check_end`] judges.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(usize, Vec<u8>)>, OpenError> {
        match segment::read_batch(&self.key, &self.bytes, self.at, Some(&self.link)) {
            Next::Batch { body, link, end } => {
                let at = std::mem::replace(&mut self.at, end);
                self.link = link;
                Ok(Some((at, body)))
            }
            Next::Damaged(what) => Err(self.damaged(self.at, what)),
            stopped => {
                self.stopped = stopped;
                Ok(None)
            }
        }
    }

    /// A segment that another follows ends whole; the last one has no mark that another follows.
    fn check_end(&self, last: bool) -> Result<(), OpenError> {
        match (&self.stopped, last) {
            (Next::Torn, false) => Err(self.damaged(self.at, "a batch is torn, and later segments are there")),
            (Next::Continued, true) => {
                Err(OpenError::Damaged { segment: self.head.number + 1, offset: 0, what: "the segment is missing" })
            }
            _ => Ok(()),
        }
    }

    /// Zeroes what a power cut left of a batch.
    fn cut(&mut self, latch: &Latch) -> Result<u64, OpenError> {
        let rest = &mut self.bytes[self.at..];
        let written = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        rest[..written].fill(0);
        let name = Name::Segment(self.head.number);
        latch.change(|medium| medium.write_at(name, self.at as u64, &rest[..written]))?;
        latch.sync(name)?;
        Ok(written as u64)
    }

    /// Where the next batch begins.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) const fn link(&self) -> Link {
        self.link
    }

    fn damaged(&self, offset: usize, what: &'static str) -> OpenError {
        OpenError::Damaged { segment: self.head.number, offset: offset as u64, what }
    }
}

/// A segment's head, and as much of its file as the head says is the segment: how long the file is decides nothing.
fn read_segment(latch: &Latch, number: u64) -> Result<(Head, Vec<u8>), OpenError> {
    let read = |length: u64| -> Result<Vec<u8>, OpenError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let read = latch.medium().read_at(Name::Segment(number), 0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    };
    let length = match SegmentHead::decode(&read(SECTOR as u64)?) {
        Head::Whole(head) => head.bytes,
        // Whether it was never written, the whole of it says.
        Head::Unwritten | Head::Damaged => latch.medium().bytes(Name::Segment(number))?,
    };
    if length > SEGMENT_BYTES_MAX {
        return Err(OpenError::Damaged { segment: number, offset: 0, what: "no segment is as long as this one" });
    }
    let bytes = read(length.max(SECTOR as u64))?;
    Ok((SegmentHead::decode(&bytes), bytes))
}

fn segments(latch: &Latch) -> Result<Vec<u64>, OpenError> {
    let names = latch.medium().list(Dir::Journal)?;
    Ok(names
        .into_iter()
        .filter_map(|name| if let Name::Segment(number) = name { Some(number) } else { None })
        .collect())
}

/// Whether the store was made whole once. Without this file a journal that was zeroed would look like a new one.
fn format(latch: &Latch) -> Result<bool, OpenError> {
    let mut bytes = [0; FORMAT.len() + 1];
    match latch.medium().read_at(Name::Format, 0, &mut bytes) {
        Ok(read) if bytes[..read] == *FORMAT => Ok(true),
        // A power cut came before its sync; it is written again.
        Ok(read) if segment::zeros(&bytes[..read]) => Ok(false),
        Ok(_) => Err(OpenError::OtherVersion),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A segment that a power cut left without its head holds nothing, and is made again when it is needed.
fn drop_unfinished(latch: &Latch, numbers: &mut Vec<u64>, made: bool) -> Result<(), OpenError> {
    let Some(&last) = numbers.last() else {
        let what = "the segment is missing";
        return if made { Err(OpenError::Damaged { segment: 1, offset: 0, what }) } else { Ok(()) };
    };
    let name = Name::Segment(last);
    let (head, bytes) = read_segment(latch, last)?;
    match head {
        Head::Unwritten if made && last == 1 => {
            Err(OpenError::Damaged { segment: 1, offset: 0, what: "the head of the segment is not what was written" })
        }
        Head::Unwritten => {
            latch.change(|medium| medium.delete(name))?;
            numbers.pop();
            Ok(())
        }
        Head::Whole(head) if (bytes.len() as u64) < head.bytes && segment::zeros(&bytes[SECTOR.min(bytes.len())..]) => {
            // Made durable with the rest of the last segment, before anything is believed.
            Ok(latch.change(|medium| medium.reserve(name, head.bytes))?)
        }
        Head::Whole(_) | Head::Damaged => Ok(()),
    }
}
