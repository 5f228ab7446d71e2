//! Transfer: parcels from node to node over links that are cut every few minutes.
//!
//! The receiver drives. It asks for ranges, keeps every byte as it comes, checks each chunk once it is whole, and
//! what its disk holds is the only truth about where to go on: a cut costs what was in flight and nothing else.
//! Each machine here is pure: [`shelf`] knows what is held, [`receiver`] fetches, [`sender`] serves one link,
//! [`offers`] says what a peer should want, [`pace`] measures the link. Source: `protocol/SPEC.md`, Messages.

pub mod check;
mod fetches;
pub mod message;
pub mod offers;
pub mod pace;
pub mod receiver;
pub mod schedule;
pub mod scrub;
pub mod sender;
pub mod shelf;

use crate::{node::LinkId, record::Work};
use message::Message;

/// What a machine wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send on the ctl lane.
    Tell(LinkId, Message),
    /// Work for the disk.
    Disk(Work),
    /// A record for the journal.
    Keep(crate::record::Record),
}
