//! The shipping protocol and store over a simulated world.
//!
//! A promise to a patient holds only if it holds in every order of cuts, crashes and messages; nobody can wait for
//! these to happen. Here [`radmesh_protocol::node::Node`] and [`radmesh_store::Store`] run as they ship, over links
//! that are cut and disks that lose what was not synced, in virtual time, and every rule is checked as they run.
//! One seed is one run, to the byte. `radmesh-sim` is the command.

mod batch;
mod calendar;
mod chance;
mod checks;
pub mod compare;
mod disk;
mod faults;
mod federation;
mod happened;
mod late;
mod leaving;
mod ledger;
mod line;
mod machine;
mod network;
mod profile;
mod promises;
mod reading;
pub mod regression;
mod rest;
mod run;
pub mod scale;
mod scenario;
mod shrink;
mod studies;
mod trace;
mod world;

pub use batch::run_seeds;
pub use checks::{Rule, Violation};
pub use compare::Figures;
pub use faults::Kind;
pub use happened::{Count, Happened, Kept};
pub use ledger::{Ended, Ledger};
pub use regression::Regression;
pub use run::{Outcome, run};
pub use scenario::{ALL, Faults, Links, Power, Readers, Scenario, ScenarioError, Span, Work, scenarios};
pub use shrink::shrink;
pub use trace::Show;
