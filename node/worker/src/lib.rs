//! Coding, decoding and previews in a child of the same binary, with memory and time limits.
//!
//! A modality's file may be made to kill the program that reads it; what dies must be a child, never the node that
//! holds every other patient's Study. The node keeps the keys, the disk and the network; the child gets bytes through
//! one pipe, gives bytes through another, and can open nothing. [`Workers`] is the node's end, [`child`] the other.
//! Why this is a crate of its own: `docs/decisions/codec-in-a-child.md`.

pub mod child;
mod confine;
mod fault;
mod frame;
pub mod limits;
mod machine;
mod message;
pub mod preview;
mod process;
mod series;
mod witness;
mod workers;

pub use fault::{Death, DecodeFault, EncodeFault, Lost, PreviewFault};
pub use series::{Coded, Form};
pub use workers::{Place, Workers};
