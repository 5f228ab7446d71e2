//! Parcels: one sealed part of a case, which anyone can verify, store, relay and resume and only the pool can open.
//!
//! A Study leaves a clinic in parts as they are ready: a preview within minutes, each Series as it is coded, what
//! comes late. Each is sealed once, and what travels is always the stored ciphertext: nothing is ever encrypted
//! again under the same key (`protocol/SPEC.md`, Parcels).

pub mod chunk;
pub mod contents;
pub mod file_meta;
pub mod manifest;
pub mod open;
pub mod seal;

#[cfg(test)]
mod attacks;

use serde::{Deserialize, Serialize};

/// Which part of a case a parcel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartKind {
    /// Header digests and previews: small, and first.
    Preview,
    /// One Series, or a run of its Instances.
    Series,
    /// Instances that came after the Study was closed.
    Late,
}
