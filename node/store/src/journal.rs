//! The journal: the truth of a node, in order.
//!
//! Every acknowledgement a clinic gets rests on a record here. Records gather in memory; a commit writes all that
//! gathered as one batch and syncs it once, whoever asked, and the next batch is written only after that: so at most
//! one batch is ever in doubt, and it was never acknowledged. Segments take their space when they are made, so a full
//! disk refuses a record before it is accepted and never in the middle. One rule: nothing is true before its commit
//! returned. Layout: `segment.rs`; reading at the start: `opening.rs`.

pub(crate) mod opening;
pub(crate) mod segment;

use crate::{
    index::IndexKey,
    latch::{Latch, WriteError},
    medium::{Dir, Name, delete_if_there},
    replay::Extent,
};
use radmesh_protocol::record::Record;
use segment::{BATCH_HEAD, JournalKey, Link, Next, SECTOR, SegmentHead};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of one encoded record at most: a manifest with all its pages and wraps, or a large sealed room record.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that gather before an append commits by itself: memory stays bounded when nobody does.
const GATHERED_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a segment at most: opening holds one in memory.
const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
const _: () = assert!(RECORD_BYTES_MAX as u64 * 2 < SEGMENT_BYTES_MAX);

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    /// Offset of the batch in the segment.
    pub(crate) batch: u64,
    /// Offset of the record in the batch's body.
    pub(crate) record: u32,
}

/// A record's place in the order of appends of this process, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Journal {
    latch: Arc<Latch>,
    key: JournalKey,
    segment_bytes: u64,
    tail: Mutex<Tail>,
    settled: Condvar,
}

/// The end of the journal, and what has gathered for it.
#[derive(Debug)]
struct Tail {
    head: SegmentHead,
    /// Where the next batch will begin.
    end: usize,
    /// Link of the last durable batch.
    link: Link,
    gathered: Vec<u8>,
    /// Where to find what gathered, for the index.
    named: Vec<(IndexKey, u32)>,
    appended: Ticket,
    committed: Ticket,
    /// One thread is writing a batch or making a segment.
    busy: bool,
}

/// What one thread took to write.
struct Batch {
    segment: u64,
    at: usize,
    body: Vec<u8>,
    named: Vec<(IndexKey, u32)>,
    prev: Link,
    through: Ticket,
}

impl Journal {
    /// Continues after what `opening` found.
    fn new(latch: Arc<Latch>, key: JournalKey, segment_bytes: u64, head: SegmentHead, end: usize, link: Link) -> Self {
        let tail = Tail {
            head,
            end,
            link,
            gathered: Vec::new(),
            named: Vec::new(),
            appended: Ticket(0),
            committed: Ticket(0),
            busy: false,
        };
        Self { latch, key, segment_bytes, tail: Mutex::new(tail), settled: Condvar::new() }
    }

    /// Accepts a record. It is durable once [`Journal::commit`] through its ticket returns.
    ///
    /// # Errors
    /// [`WriteError::Full`] or [`WriteError::TooLarge`]: the record is not in the journal and will not be.
    pub(crate) fn append(
        &self,
        record: &Record,
        named: Option<IndexKey>,
        placed: Placed<'_>,
    ) -> Result<Ticket, WriteError> {
        let bytes = postcard::to_stdvec(record).expect("a record has no map or unsized part that postcard refuses");
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(WriteError::TooLarge { bytes: bytes.len(), limit: RECORD_BYTES_MAX });
        }
        let mut tail = self.lock();
        loop {
            if self.latch.faulted() {
                return Err(WriteError::Faulted);
            }
            let fits = tail.fits(bytes.len());
            if fits && tail.gathered.len() < GATHERED_BYTES_MAX {
                let at = segment::push_record(&mut tail.gathered, &bytes);
                tail.named.extend(named.map(|key| (key, at)));
                tail.appended.0 += 1;
                return Ok(tail.appended);
            }
            if tail.busy {
                tail = self.settled.wait(tail).unwrap_or_else(PoisonError::into_inner);
            } else if !tail.gathered.is_empty() {
                let through = tail.appended;
                drop(tail);
                self.commit(through, placed)?;
                tail = self.lock();
            } else {
                tail = self.next_segment(tail, bytes.len())?;
            }
        }
    }

    /// Waits until every record up to `through` is durable, writing and syncing if no other thread does. `placed`
    /// hears where each named record lies, in order, before anyone is told that it is durable.
    ///
    /// # Errors
    /// [`WriteError::Full`]: not durable now; a later commit may make it so.
    pub(crate) fn commit(&self, through: Ticket, placed: Placed<'_>) -> Result<(), WriteError> {
        let mut tail = self.lock();
        loop {
            if tail.committed >= through {
                return Ok(());
            }
            if self.latch.faulted() {
                return Err(WriteError::Faulted);
            }
            if tail.busy {
                tail = self.settled.wait(tail).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let batch = tail.take();
            drop(tail);
            let written = self.write(&batch);
            if written.is_ok() {
                let at = |record| Position { segment: batch.segment, batch: batch.at as u64, record };
                placed(&mut batch.named.iter().map(|(key, record)| (*key, at(*record))));
            }
            tail = self.lock();
            tail.busy = false;
            let failed = match written {
                Ok(link) => {
                    (tail.link, tail.committed) = (link, batch.through);
                    None
                }
                Err(error) => {
                    tail.put_back(batch);
                    Some(error)
                }
            };
            self.settled.notify_all();
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// The last record accepted so far.
    pub(crate) fn appended(&self) -> Ticket {
        self.lock().appended
    }

    /// The last record that is durable.
    pub(crate) fn committed(&self) -> Ticket {
        self.lock().committed
    }

    /// Link of the last durable batch: names everything the journal holds.
    pub(crate) fn link(&self) -> Link {
        self.lock().link
    }

    /// How far the journal reaches, once no batch is being written.
    pub(crate) fn extent(&self) -> Extent {
        let mut tail = self.lock();
        while tail.busy {
            tail = self.settled.wait(tail).unwrap_or_else(PoisonError::into_inner);
        }
        Extent { segment: tail.head.number, end: tail.end, link: tail.link }
    }

    pub(crate) const fn key(&self) -> &JournalKey {
        &self.key
    }

    /// Reads one record back, or `None` if it can't be read or is not what was written.
    pub(crate) fn read(&self, position: Position) -> Option<Record> {
        let name = Name::Segment(position.segment);
        let mut head = [0; BATCH_HEAD];
        self.latch.medium().read_at(name, position.batch, &mut head).ok()?;
        let length = u32::from_be_bytes(head[4..8].try_into().expect("four bytes"));
        let bytes = self.latch.medium().bytes(name).ok()?;
        let whole = segment::batch_bytes(length as usize);
        let mut batch = vec![0; whole.min(usize::try_from(bytes).ok()?)];
        self.latch.medium().read_at(name, position.batch, &mut batch).ok()?;
        let Next::Batch { body, .. } = segment::read_batch(&self.key, &batch, 0, None) else { return None };
        postcard::from_bytes(segment::record_at(&body, position.record)?.0).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, batch: &Batch) -> Result<Link, WriteError> {
        let name = Name::Segment(batch.segment);
        let (bytes, link) = segment::encode_batch(&self.key, &batch.prev, &batch.body);
        self.latch.change_own(|medium| medium.write_at(name, batch.at as u64, &bytes))?;
        self.latch.sync_own(name)?;
        Ok(link)
    }

    /// Makes the next segment, with room for a record of `record` bytes, and leaves the mark in this one.
    fn next_segment<'a>(
        &'a self,
        mut tail: MutexGuard<'a, Tail>,
        record: usize,
    ) -> Result<MutexGuard<'a, Tail>, WriteError> {
        tail.busy = true;
        let (last, end, prev) = (tail.head, tail.end, tail.link);
        drop(tail);
        let needed = SECTOR + segment::batch_bytes(4 + record) + SECTOR;
        let head = SegmentHead { number: last.number + 1, bytes: self.segment_bytes.max(needed as u64), prev };
        let made = make_segment(&self.latch, head).and_then(|()| {
            let old = Name::Segment(last.number);
            let mark = segment::encode_mark(&prev);
            self.latch.change_own(|medium| medium.write_at(old, end as u64, &mark))?;
            self.latch.sync_own(old)
        });
        let mut tail = self.lock();
        tail.busy = false;
        self.settled.notify_all();
        made?;
        (tail.head, tail.end) = (head, SECTOR);
        Ok(tail)
    }
}

/// Hears where named records lie, as they become durable.
pub(crate) type Placed<'a> = &'a dyn Fn(&mut dyn Iterator<Item = (IndexKey, Position)>);

impl Tail {
    /// Whether one more record fits this segment with the batch that gathers and the mark that ends it.
    fn fits(&self, record: usize) -> bool {
        let batch = segment::batch_bytes(self.gathered.len() + 4 + record);
        (self.end + batch + SECTOR) as u64 <= self.head.bytes
    }

    fn take(&mut self) -> Batch {
        self.busy = true;
        let body = std::mem::take(&mut self.gathered);
        let at = self.end;
        self.end += segment::batch_bytes(body.len());
        Batch {
            segment: self.head.number,
            at,
            body,
            named: std::mem::take(&mut self.named),
            prev: self.link,
            through: self.appended,
        }
    }

    /// The disk was full: what was taken gathers again, ahead of what came since.
    fn put_back(&mut self, batch: Batch) {
        self.end = batch.at;
        let moved = u32::try_from(batch.body.len()).expect("a batch fits a segment");
        let later = std::mem::replace(&mut self.gathered, batch.body);
        self.gathered.extend(later);
        let later = std::mem::replace(&mut self.named, batch.named);
        self.named.extend(later.into_iter().map(|(key, at)| (key, at + moved)));
    }
}

/// Makes a segment's file, durable with its name before anything may be written into it.
fn make_segment(latch: &Latch, head: SegmentHead) -> Result<(), WriteError> {
    let name = Name::Segment(head.number);
    let made = latch.change(|medium| {
        delete_if_there(medium, name)?;
        medium.create(name)?;
        medium.reserve(name, head.bytes)?;
        medium.write_at(name, 0, &head.encode())
    });
    if made == Err(WriteError::Full) {
        // What is left of it is never read: a segment without its head does not count.
        let _ = delete_if_there(latch.medium(), name);
    }
    made?;
    latch.sync(name)?;
    latch.sync_dir(Dir::Journal)
}
