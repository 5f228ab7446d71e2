//! A group as it was received: the form for what the coder can't be trusted with.
//!
//! A file that makes the coder die, twice, must still reach its reader. This looks at no byte of it, so the node's own
//! process may do it; the price is the link's time, and the reader is told (`Flag::StoredAsReceived` of the contents).

use super::{
    GroupStats, Parts, Source,
    encode::{EncodeError, checked_sizes, copy},
    stream::head,
};
use crate::EncodingId;
use std::io::Write;

/// Writes the Instances of one group, in order, into `out` as they are. Memory is one buffer.
///
/// # Errors
/// [`EncodeError`]; whatever `out` took by then must be dropped.
pub fn store(sources: &[&dyn Source], out: &mut dyn Write) -> Result<GroupStats, EncodeError> {
    let sizes = checked_sizes(sources)?;
    let head = head(EncodingId::Stored, &sizes);
    out.write_all(&head).map_err(EncodeError::Write)?;
    let copied = sources
        .iter()
        .enumerate()
        .map(|(index, source)| copy(index, *source, |bytes| out.write_all(bytes).map_err(EncodeError::Write)));
    let contents = copied.collect::<Result<_, _>>()?;
    out.flush().map_err(EncodeError::Write)?;
    let received_bytes: u64 = sizes.iter().sum();
    let parts = Parts { whole: received_bytes, ..Parts::default() };
    Ok(GroupStats { contents, received_bytes, coded_bytes: head.len() as u64 + received_bytes, parts })
}
