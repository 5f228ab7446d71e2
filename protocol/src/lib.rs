//! The pure core of radmesh: types, wire format, cryptography and state machines.
//!
//! No clock, socket, file, thread or OS randomness: all of them are inputs, so the simulator runs the code that
//! ships. `protocol/SPEC.md` states every construction byte by byte; `tests/vectors/` proves it.

pub mod claim;
pub mod class;
pub mod custody;
pub mod envelope;
pub mod id;
pub mod limits;
pub mod log;
pub mod node;
pub mod parcel;
pub mod person;
pub mod phi;
pub mod pool;
pub mod ranges;
pub mod record;
pub mod report;
pub mod roster;
pub mod time;
pub mod transfer;
pub mod wire;
pub mod worklist;
