//! The only code that performs the core's storage work; driver and simulator both call it.
//!
//! The core promises nothing to a peer before it hears [`Stored`] from here, so an answer is given only after the
//! sync that makes it true. After one failure every answer is [`Stored::Faulted`]. On a full disk bulk work is answered
//! [`Stored::Full`] and nothing of it is journaled; a record waits in memory, in its order, until there is space.

use crate::{
    blobs,
    latch::WriteError,
    medium::{Name, delete_if_there},
    store::{Persisting, Store},
};
use radmesh_protocol::{
    id::{Hash, ManifestId},
    record::{Record, Seq, Stored, Work},
};
use std::sync::{MutexGuard, PoisonError};

/// Records that wait for space at most; what comes from peers stops long before, at the first [`Stored::Full`].
const WAITING_MAX: usize = 4096;

impl Store {
    /// Performs one piece of work. `Persist` only gathers: [`Store::commit`] makes it true, and answered with
    /// [`Stored::Full`] it waits for space and need not be given again. The others are done when this returns; work on a
    /// file that is not there is answered with [`Stored::NoFile`], or with `None` where something is read.
    pub fn carry_out(&self, work: Work) -> Vec<Stored> {
        match work {
            Work::Persist(seq, record) => answer(self.persist(seq, record)),
            Work::Create { manifest, bytes, importance } => {
                match blobs::create(&self.latch, manifest, bytes, importance) {
                    Err(WriteError::Full) => vec![Stored::NoRoom { manifest }],
                    made => on_file(manifest, made),
                }
            }
            Work::Write { manifest, offset, bytes } => {
                let written = self.latch.change(|medium| medium.write_at(Name::Parcel(manifest), offset, &bytes));
                on_file(manifest, written)
            }
            Work::Sync { manifest, ranges } => {
                let record = Record::Have { manifest, ranges: ranges.clone() };
                let durable = self.latch.sync(Name::Parcel(manifest)).and_then(|()| self.keep(&record));
                match durable {
                    Err(WriteError::Misplaced) => on_file(manifest, durable),
                    durable => self.after(durable, || Stored::Durable { manifest, ranges }),
                }
            }
            Work::HashChunk { manifest, chunk } => {
                let hash = blobs::read_chunk(&self.latch, manifest, chunk).map(|bytes| Hash::of(&bytes));
                vec![Stored::ChunkHashed { manifest, chunk, hash }]
            }
            Work::HashFile { manifest } => {
                vec![Stored::FileHashed { manifest, hashes: blobs::hash_file(&self.latch, manifest) }]
            }
            Work::Read { manifest, offset, length } => {
                let bytes = blobs::read(&self.latch, manifest, offset, length);
                vec![Stored::Read { manifest, offset, bytes }]
            }
            Work::Free { manifest } => {
                let name = Name::Parcel(manifest);
                // Journaled first: a file that went without its record would look like damage.
                let freed = self.keep(&Record::Freed { manifest });
                let deleted = freed.and_then(|()| self.latch.change(|medium| delete_if_there(medium, name)));
                deleted.err().map(refusal).into_iter().flatten().chain(self.reached()).collect()
            }
        }
    }

    /// Makes every record that was accepted so far durable, in one sync that other threads share. Gives the highest
    /// number that became durable since the last answer, [`Stored::Full`], or for ever [`Stored::Faulted`].
    pub fn commit(&self) -> Option<Stored> {
        if self.faulted() {
            return Some(Stored::Faulted);
        }
        let appended = self.append_waiting(&mut self.persisting());
        let committed = self.commit_through(self.journal.appended()).and(appended);
        self.reached().or_else(|| committed.err().and_then(refusal))
    }

    /// Appends, or lets wait for space: the core does not say a thing twice, and `Persisted` covers all before it.
    fn persist(&self, seq: Seq, record: Record) -> Result<(), WriteError> {
        if self.faulted() {
            return Err(WriteError::Faulted);
        }
        // Held while it is appended, so that numbers and places in the journal rise together.
        let mut persisting = self.persisting();
        persisting.waiting.push_back((seq, record));
        let appended = self.append_waiting(&mut persisting);
        let lost = match appended {
            Err(WriteError::TooLarge { .. }) => true,
            _ => persisting.waiting.len() > WAITING_MAX,
        };
        if lost {
            return Err(self
                .latch
                .fail(&std::io::Error::other("a record can't be kept, and later ones may not stand without it")));
        }
        appended
    }

    fn append_waiting(&self, persisting: &mut Persisting) -> Result<(), WriteError> {
        while let Some((seq, record)) = persisting.waiting.front() {
            persisting.last = Some((self.append(record)?, *seq));
            persisting.waiting.pop_front();
        }
        Ok(())
    }

    /// Appends a record of the store's own, after all that the core gave before, and makes it durable.
    fn keep(&self, record: &Record) -> Result<(), WriteError> {
        self.append_waiting(&mut self.persisting())?;
        self.commit_through(self.append(record)?)
    }

    /// The core's highest number, if it became durable since it was last asked and the disk never failed.
    fn reached(&self) -> Option<Stored> {
        if self.faulted() {
            return None;
        }
        let mut persisting = self.persisting();
        let (_, seq) = persisting.last.take_if(|(ticket, _)| *ticket <= self.journal.committed())?;
        Some(Stored::Persisted(seq))
    }

    fn after(&self, done: Result<(), WriteError>, stored: impl FnOnce() -> Stored) -> Vec<Stored> {
        let own = match done {
            Ok(()) => Some(stored()),
            Err(error) => refusal(error),
        };
        self.reached().into_iter().chain(own).collect()
    }

    fn persisting(&self) -> MutexGuard<'_, Persisting> {
        self.persisting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(done: Result<(), WriteError>) -> Vec<Stored> {
    done.err().and_then(refusal).into_iter().collect()
}

/// Answers work that changes a parcel's file.
fn on_file(manifest: ManifestId, done: Result<(), WriteError>) -> Vec<Stored> {
    match done {
        Err(WriteError::Misplaced) => vec![Stored::NoFile { manifest }],
        done => answer(done),
    }
}

/// What the core hears of a failure.
fn refusal(error: WriteError) -> Option<Stored> {
    match error {
        WriteError::Full => Some(Stored::Full),
        WriteError::Faulted => Some(Stored::Faulted),
        WriteError::TooLarge { .. } | WriteError::Misplaced => {
            tracing::warn!(%error, "storage work was not done");
            None
        }
    }
}
