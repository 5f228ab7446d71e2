//! The spoke: a clinic's end of the network, from the modality to the outbox, and what comes back.
//!
//! It works with the cable out and after a power cut without a person: what a modality was told is stored is stored,
//! and is sealed and sent when there is a way. Each module is one step with one type in and one out (`docs/ARCHITECTURE.md`,
//! The path of a Study): [`intake`], [`staging`], pack, outbox, [`clinic`]; [`Spoke`] puts them together and is all
//! that the node sees. Nothing here opens a link or a file by itself: bytes go through the store, words through the core.

mod allowance;
mod chance;
mod check;
pub mod clinic;
mod find;
mod ground;
mod held;
pub mod intake;
mod ledger;
pub mod listing;
pub mod modality;
mod order;
mod outbox;
mod pack;
mod parts;
mod quarantine;
mod rooms;
mod sealed_file;
mod site;
mod spoke;
pub mod staging;
mod word;

pub use allowance::OverAllowance;
pub use chance::Chance;
pub use check::StagedCheck;
pub use clinic::PrintError;
pub use find::FindError;
pub use ledger::{AcceptError, OpenError};
pub use pack::{Destination, HeldBack};
pub use parts::{Clock, Commands, Parts, Settings, StartError};
pub use quarantine::QuarantineFull;
pub use rooms::{Latest, RoomsError};
pub use spoke::{Ended, Spoke};
pub use word::{SendError, Word};

pub(crate) use ground::Core;
