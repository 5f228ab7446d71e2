//! The store's promises, tested on disks that fail in every way RELIABILITY names: F1 to F6.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests, and clippy exempts only their functions")]

mod at_rest;
mod crash_states;
mod damage;
mod failing_disk;
mod fixture;
mod full_disk;
mod index;
mod real_disk;
mod receiving;
mod size;
mod together;
