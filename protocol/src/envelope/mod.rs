//! Sealing and signing: every key operation of the project is in this folder.
//!
//! A chest film crosses nodes that must carry it and must not read it. One construction each for signatures,
//! wraps, short bodies, long streams, secrets under a passphrase and values at rest; nothing else in the tree
//! touches a primitive. Whoever opens learns that it opens or that it doesn't, never which step failed
//! (`protocol/SPEC.md`, Keys).

pub mod at_rest;
pub mod body;
pub(crate) mod derive;
pub(crate) mod fixed;
pub(crate) mod pad;
pub mod passphrase;
pub mod reading;
pub mod sign;
pub mod site;
pub mod stream;
pub mod tag;
pub mod wrap;

/// What was sealed stays closed.
///
/// An unwrap that fails, a commitment that does not match and a broken MAC are all [`OpenError::Refused`]: telling
/// them apart would be an oracle for whoever may choose what we open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// None of the wraps names this key; said openly, because the recipients stand in clear beside the wraps.
    #[error("it is not sealed to this key")]
    NotARecipient,
    /// It does not open.
    #[error("it does not open with this key")]
    Refused,
}
