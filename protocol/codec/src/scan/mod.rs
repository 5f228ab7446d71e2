//! The bounded DICOM scanner: who and what an Instance is, and where its pixels lie, before anything parses it.
//!
//! A library that believes a length can be made to take 4.2 GB for a file of 265 bytes, and one that recurses dies of
//! a deep sequence; either stops a clinic's node at night. This one reads forward once, through a fixed buffer, with
//! its own stack of open sequences, and keeps only the values it was written to keep ([`crate::limits`]).
//! Every length is checked against what encloses it and, at the end, against the bytes that came.
//! Rules: `protocol/SPEC.md`, Received bytes; DICOM PS3.5 sections 7 and A, PS3.10 section 7.

mod element;
mod fact;
mod found;
mod inflate;
mod input;
mod meta;
mod pixels;
mod walk;

pub use fact::{Fact, Facts};
pub use found::{Ending, Flaw, Identity, Image, MetaForm, Origin, Preamble, Scan, ScanError};
pub use pixels::{Counted, PixelData, PixelForm};

use crate::uid::TransferSyntax;
use std::io::Read;

/// What the bytes are said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A file of PS3.10, with or without preamble and file meta information; a bare data set is told by its first
    /// element.
    File,
    /// A data set as C-STORE brings it, in the transfer syntax that the association agreed on.
    DataSet {
        /// Of the presentation context.
        transfer_syntax: TransferSyntax,
    },
}

/// Reads `input` once, forward, and says what it is. Memory stays under 2 MiB whatever comes.
///
/// A whole Instance is read to its last byte. Where [`Scan::ending`] is not [`Ending::Whole`] the scan stopped
/// there, and nothing may parse the bytes further: they are stored as they came and flagged.
///
/// # Errors
/// [`ScanError`] says why an Instance is refused. A file that ends early after its Study and SOP Instance UID is not
/// refused, a data set that does is.
pub fn scan(input: impl Read, form: Form) -> Result<Scan, ScanError> {
    let mut input = input::Input::new(Box::new(input));
    let (start, data_set) = meta::open(&mut input, &form)?;
    walk::walk(input, start, data_set)?.verdict(&form)
}
