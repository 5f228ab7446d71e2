//! Signed event logs: what happened to a case, told by the node where it happened.
//!
//! An order, a sealed parcel, a receipt, a claim, a report is one signed [`Event`] in a chain of its author. Every
//! node that holds a scope can check it whole, so a relay can neither leave out a report nor slip one in. Worklist,
//! claims and reports are pure folds over these events: the same on every node in whatever order they came.
//! Source: `protocol/SPEC.md`, Events.

pub mod body;
pub mod chain;
pub mod event;
pub mod held;
pub mod kind;
pub mod restored;
pub mod scope;
pub mod sync;
pub mod witness;

pub use event::{Event, EventError};
pub use held::{Inserted, Logs, Refusal};
pub use scope::Scope;
pub use sync::{Ask, Peer, Vector};

use serde::{Deserialize, Serialize};

/// The way an event came here; counted, so that a test can prove each way works alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Way {
    /// Written here.
    Own,
    /// Read back from this node's own journal at start.
    Journal,
    /// Pushed by a peer as soon as it was made.
    Pushed,
    /// Brought by gossip.
    Gossiped,
    /// Brought by anti-entropy after vectors were compared.
    Synced,
}

impl Way {
    /// Every way, in the order of [`Counters`].
    pub const ALL: [Self; 5] = [Self::Own, Self::Journal, Self::Pushed, Self::Gossiped, Self::Synced];
}

/// How many events came by each way, and how many of them were here already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    pub(crate) new: [u64; Way::ALL.len()],
    pub(crate) known: [u64; Way::ALL.len()],
    /// Events of a kind or version this build does not know: kept and forwarded.
    pub unknown_kinds: u64,
}

impl Counters {
    /// Events that were new and came by `way`.
    #[must_use]
    pub const fn new_by(&self, way: Way) -> u64 {
        self.new[way as usize]
    }

    /// Events that came by `way` though they were here already: bytes wasted.
    #[must_use]
    pub const fn known_by(&self, way: Way) -> u64 {
        self.known[way as usize]
    }

    /// Events that peers sent though they were here already, over all ways.
    #[must_use]
    pub fn sent_in_vain(&self) -> u64 {
        [Way::Pushed, Way::Gossiped, Way::Synced].into_iter().map(|way| self.known_by(way)).sum()
    }

    pub(crate) const fn count_new(&mut self, way: Way) {
        self.new[way as usize] += 1;
    }

    pub(crate) const fn count_known(&mut self, way: Way) {
        self.known[way as usize] += 1;
    }
}
