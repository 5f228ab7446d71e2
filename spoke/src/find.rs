//! Finding a case by the beginning of its id, as people read it out over the telephone.
//!
//! Two cases of a clinic must never be taken for one another: a beginning that fits more than one is refused.

use crate::ledger::Ledger;
use radmesh_protocol::id::CaseId;

/// The case whose id, or short form, begins so.
///
/// # Errors
/// [`FindError`].
pub(crate) fn find(ledger: &Ledger, text: &str) -> Result<CaseId, FindError> {
    let wanted = text.replace('-', "").to_ascii_lowercase();
    let ids = ledger.each_case(|case| case.id);
    let mut found: Vec<CaseId> = ids.into_iter().filter(|id| id.to_string().starts_with(&wanted)).collect();
    match (found.pop(), found.len()) {
        (Some(id), 0) if !wanted.is_empty() => Ok(id),
        (None, _) => Err(FindError::None { text: text.to_owned() }),
        (Some(_), others) => Err(FindError::Several { text: text.to_owned(), found: others + 1 }),
    }
}

/// A case that was asked for by the beginning of its id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// None.
    #[error("no case begins with {text:?}")]
    None {
        /// As given.
        text: String,
    },
    /// More than one.
    #[error("{found} cases begin with {text:?}: give more of the id")]
    Several {
        /// As given.
        text: String,
        /// How many.
        found: usize,
    },
}
