//! The association client: C-ECHO and C-STORE to a PACS, a printer's gateway, or another node.
//!
//! A referral PACS that takes 199 of 200 images must not look like one that took all, so every object gets its own
//! [`Outcome`], and an object without an answer counts as not sent. The rule: objects go out in the transfer syntax
//! they are in, to the byte, or not at all; only a deflated data set of odd length gets the NUL that PS3.5 annex A.5
//! wants. PS3.7, PS3.4 annex B.

mod association;
mod reading;

use crate::{
    AeTitle, SopClassUid, SopInstanceUid, Status, TransferSyntax, command::CommandError, server::CONTEXTS_MAX,
    wire::PduError,
};
use association::Open;
use dicom_dictionary_std::uids;
use dicom_ul::pdu::AssociationRJSource;
use std::{collections::BTreeSet, fmt, io, time::Duration};
use tokio::net::{TcpStream, ToSocketAddrs};

/// Who calls whom, and how long to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Our own AE title.
    pub calling: AeTitle,
    /// The AE title of the peer.
    pub called: AeTitle,
    /// For the connection, for the answer to the association request, and for the release.
    pub connect: Duration,
    /// For the response to one object: a slow PACS writes to disk first.
    pub response: Duration,
}

impl Config {
    /// 10 s to connect and 60 s for each response.
    #[must_use]
    pub const fn new(calling: AeTitle, called: AeTitle) -> Self {
        Self { calling, called, connect: Duration::from_secs(10), response: Duration::from_secs(60) }
    }
}

/// One object to send: what it is, and where its data set is read from.
pub struct Outgoing {
    /// Its SOP Class UID.
    pub sop_class_uid: SopClassUid,
    /// Its SOP Instance UID.
    pub sop_instance_uid: SopInstanceUid,
    /// How the data set is encoded; it goes out in no other.
    pub transfer_syntax: TransferSyntax,
    /// Opens the data set when its turn comes, on a blocking thread.
    pub open: OpenDataSet,
}

/// Opens a data set: positioned after the file meta, to be read to its end.
pub type OpenDataSet = Box<dyn FnOnce() -> io::Result<Box<dyn io::Read + Send>> + Send>;

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("sop_class_uid", &self.sop_class_uid)
            .field("transfer_syntax", &self.transfer_syntax)
            .finish_non_exhaustive()
    }
}

/// What became of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The peer answered; see [`Status::is_stored`].
    Answered(Status),
    /// The peer takes no object of this SOP Class in this transfer syntax.
    NotTaken,
    /// Its data set could not be opened, or not be read to its end; the peer has nothing of it.
    Unreadable(io::ErrorKind),
    /// The association ended before an answer; it may be sent again.
    NotSent,
}

/// What came of a batch.
#[derive(Debug)]
pub struct Batch {
    /// One for each object, in the order given.
    pub outcomes: Vec<Outcome>,
    /// `Ok` if the association was released after the last object.
    pub ended: Result<(), ClientError>,
}

/// Why an association did not come about, or broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at that address.
    #[error("cannot connect ({0})")]
    Connect(io::ErrorKind),
    /// Nobody answered in time.
    #[error("no connection within {} s", .0.as_secs())]
    ConnectLate(Duration),
    /// More pairs of SOP Class and transfer syntax than one association can name.
    #[error("the objects are of {wanted} pairs of SOP Class and transfer syntax; one association takes {CONTEXTS_MAX}")]
    TooManyContexts {
        /// Pairs in the batch.
        wanted: usize,
    },
    /// A-ASSOCIATE-RJ, with the peer's reason.
    #[error("the peer rejects the association: {0}")]
    Rejected(AssociationRJSource),
    /// The peer takes associations but not this service.
    #[error("the peer does not take the Verification SOP Class")]
    NotTaken,
    /// A-ABORT.
    #[error("the peer aborted the association")]
    Aborted,
    /// The stream broke, was silent too long, or carried what is no PDU.
    #[error(transparent)]
    Pdu(#[from] PduError),
    /// The peer's response can't be read.
    #[error("the peer's response cannot be read: {0}")]
    Command(#[from] CommandError),
    /// The peer sent what has no place there.
    #[error("the peer sent {0}")]
    Unexpected(&'static str),
    /// One of our own objects could not be read to its end; the association was aborted so that the peer keeps no part.
    #[error("an object to send cannot be read ({0})")]
    Reading(io::ErrorKind),
}

/// Asks whether the peer is there: C-ECHO. Gives its status.
///
/// # Errors
/// Why there was no answer.
pub async fn echo(peer: impl ToSocketAddrs, config: &Config) -> Result<Status, ClientError> {
    let verification = SopClassUid::parse(uids::VERIFICATION).expect("a UID of the dictionary is a UID");
    let implicit = TransferSyntax::parse(uids::IMPLICIT_VR_LITTLE_ENDIAN).expect("as above");
    let stream = connect(peer, config).await?;
    let mut open = Open::request(stream, config, [(verification.clone(), implicit)].into()).await?;
    let status = match open.echo(verification).await {
        Ok(status) => status,
        Err(error) => {
            open.abort().await;
            return Err(error);
        }
    };
    open.release().await?;
    Ok(status)
}

/// Sends `objects` over one association, in their order, one at a time.
///
/// # Errors
/// Why no association came about; nothing was sent then.
pub async fn store(peer: impl ToSocketAddrs, config: &Config, objects: Vec<Outgoing>) -> Result<Batch, ClientError> {
    let mut batch = Batch { outcomes: Vec::with_capacity(objects.len()), ended: Ok(()) };
    let pairs: BTreeSet<_> =
        objects.iter().map(|object| (object.sop_class_uid.clone(), object.transfer_syntax.clone())).collect();
    if pairs.is_empty() {
        return Ok(batch);
    }
    if pairs.len() > CONTEXTS_MAX {
        return Err(ClientError::TooManyContexts { wanted: pairs.len() });
    }
    let total = objects.len();
    let mut open = Open::request(connect(peer, config).await?, config, pairs).await?;
    for object in objects {
        match open.store(object).await {
            Ok(outcome) => batch.outcomes.push(outcome),
            Err(error) => {
                if let ClientError::Reading(kind) = error {
                    batch.outcomes.push(Outcome::Unreadable(kind));
                }
                batch.ended = Err(error);
                batch.outcomes.resize(total, Outcome::NotSent);
                open.abort().await;
                return Ok(batch);
            }
        }
    }
    batch.ended = open.release().await;
    Ok(batch)
}

async fn connect(peer: impl ToSocketAddrs, config: &Config) -> Result<TcpStream, ClientError> {
    let connected = tokio::time::timeout(config.connect, TcpStream::connect(peer)).await;
    let stream = connected
        .map_err(|_| ClientError::ConnectLate(config.connect))?
        .map_err(|error| ClientError::Connect(error.kind()))?;
    // With Nagle and delayed ACK each object would cost 40 ms.
    stream.set_nodelay(true).map_err(|error| ClientError::Connect(error.kind()))?;
    Ok(stream)
}
