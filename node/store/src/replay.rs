//! The journal's records, in order, one segment in memory at a time.
//!
//! What a node knows after a power cut is what this yields: the core and the rooms fold it before they answer
//! anyone. Every batch is checked against the chain as it is read, and the last link against the one that was found
//! when the store was opened.

use crate::{
    journal::{
        Position,
        opening::{OpenError, Walk},
        segment::{JournalKey, Link, record_at},
    },
    latch::Latch,
};
use radmesh_protocol::record::Record;
use std::sync::Arc;

/// How far the journal reached at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) segment: u64,
    /// Where the last batch of the last segment ends.
    pub(crate) end: usize,
    pub(crate) link: Link,
}

/// Iterator over records; after an error it ends.
#[derive(Debug)]
pub struct Replay {
    latch: Arc<Latch>,
    key: JournalKey,
    until: Extent,
    /// The link of the last batch read.
    link: Link,
    next_segment: u64,
    walk: Option<Walk>,
    batch: usize,
    body: Vec<u8>,
    place: u32,
    over: bool,
}

impl Replay {
    pub(crate) fn new(latch: Arc<Latch>, key: JournalKey, until: Extent) -> Self {
        let link = key.genesis();
        let (walk, body) = (None, Vec::new());
        Self { latch, key, until, link, next_segment: 1, walk, batch: 0, body, place: 0, over: false }
    }

    /// The next record and where it lies.
    pub(crate) fn next_placed(&mut self) -> Option<Result<(Position, Record), OpenError>> {
        while !self.over {
            if (self.place as usize) < self.body.len() {
                return Some(self.record());
            }
            if let Err(error) = self.advance() {
                self.over = true;
                return Some(Err(error));
            }
        }
        None
    }

    fn record(&mut self) -> Result<(Position, Record), OpenError> {
        let segment = self.next_segment - 1;
        let position = Position { segment, batch: self.batch as u64, record: self.place };
        let read = record_at(&self.body, self.place).and_then(|(bytes, next)| {
            self.place = next;
            postcard::from_bytes(bytes).ok()
        });
        self.over |= read.is_none();
        let what = "a batch does not hold whole records";
        read.map(|record| (position, record)).ok_or(OpenError::Damaged { segment, offset: self.batch as u64, what })
    }

    /// Reads the next batch, going on to the next segment where one ends.
    fn advance(&mut self) -> Result<(), OpenError> {
        (self.body, self.place) = (Vec::new(), 0);
        let walk = match &mut self.walk {
            Some(walk) => walk,
            none => {
                let walk = Walk::begin(&self.latch, &self.key, self.next_segment, self.link)?;
                self.next_segment += 1;
                none.insert(walk)
            }
        };
        let last = self.next_segment > self.until.segment;
        let batch = if last && walk.at() >= self.until.end { None } else { walk.next_batch()? };
        self.link = walk.link();
        match batch {
            Some((at, body)) => (self.batch, self.body) = (at, body),
            None if last && self.link == self.until.link => self.over = true,
            None if last => {
                let what = "the journal ends before its last durable batch";
                return Err(OpenError::Damaged { segment: self.until.segment, offset: walk.at() as u64, what });
            }
            None => self.walk = None,
        }
        Ok(())
    }
}

impl Iterator for Replay {
    type Item = Result<Record, OpenError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_placed()?.map(|(_, record)| record))
    }
}
