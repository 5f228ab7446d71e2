//! DICOM associations and DIMSE services: how Instances come in from a modality and go out to a PACS.
//!
//! A modality frees its own copy once we answer a C-STORE with 0x0000, so the one rule here is that this answer
//! follows the caller's [`server::Sink::finish`], which returns only when the Instance is on disk. Pixel data
//! passes through as it came, in pieces; no Instance is ever whole in memory and none is transcoded.
//!
//! dicom-ul reads and writes the PDUs (PS3.8); [`wire`] bounds what it is given, and the association state, the
//! command sets (PS3.7) and the choice of transfer syntaxes are ours, because a hostile peer can reach all of them.

pub mod ae_title;
pub mod client;
pub mod command;
pub mod server;
pub mod sop_class;
pub mod status;
pub mod transfer_syntax;
pub mod wire;

pub use ae_title::{AeTitle, AeTitleError};
pub use command::Priority;
/// The identifiers that an association and a data set share are those of the scanner, so that they compare as they are.
pub use radmesh_codec::uid::{SopClassUid, SopInstanceUid, TransferSyntax, UidError};
pub use status::{Status, StoreStatus};
