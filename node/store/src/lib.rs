//! The store of a node: journal, parcel files, staged files and index.
//!
//! When a node says "stored", a clinic deletes the only other copy; so nothing here is acknowledged before it is on
//! disk, and nothing that does not read back is passed over in silence. The journal is the truth; parcels are files
//! beside it; the index can be deleted at any time. [`Store::carry_out`] is the only code that performs the core's
//! storage work, and the simulator runs it as the driver does, over another [`medium::Medium`]. Follows
//! `protocol/SPEC.md`, Storage and Custody.

mod appending;
mod blobs;
mod carry_out;
mod index;
mod journal;
mod latch;
pub mod medium;
mod replay;
mod scratch;
mod staging;
mod store;
mod verify;

pub use blobs::Draft;
pub use index::Rebuilt;
pub use journal::{RECORD_BYTES_MAX, opening::OpenError};
pub use latch::WriteError;
pub use medium::{Disk, DiskError, Faulty, Medium, Memory, StagedId, is_out_of_files};
pub use replay::Replay;
pub use scratch::Scratch;
pub use staging::{StageWriter, StagedReader};
pub use store::{Opened, Settings, Store};
pub use verify::BrokenJournal;
