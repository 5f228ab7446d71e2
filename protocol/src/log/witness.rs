//! What a home hub saw, and under which roster.
//!
//! A report by somebody whom the ministry revoked next month was good when it was signed, and must stay good in
//! every list; one signed with a stolen key after the revocation must not. Nobody's clock decides that: a statement
//! counts as made before the revocation only if the home hub's log names its hash in an event written with an
//! earlier roster version. This is that event. Source: `protocol/SPEC.md`, Roster.

use crate::{
    id::{CaseId, EventHash},
    roster::{RosterVersion, Term},
};
use serde::{Deserialize, Serialize};

/// Events of one case, seen by its home hub. Body kind 15, in the site's scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// The case.
    pub case: CaseId,
    /// Hashes of the events seen, at most [`WITNESSED_MAX`].
    pub events: Vec<EventHash>,
    /// Term in which the hub is the site's home hub.
    pub term: Term,
    /// Version of the roster the hub held when it wrote this.
    pub roster_version: RosterVersion,
}

/// Events named by one [`Witnessed`] at most.
pub const WITNESSED_MAX: usize = 256;
