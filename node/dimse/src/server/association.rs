//! One association, from its request to its end.
//!
//! The peer speaks first and may speak nonsense, so the state is small and closed: no message, a command set in
//! parts, or a data set in parts. The rule: one response for each request, after the whole of it was read; whatever
//! fits no state ends the association with A-ABORT, and with it the object that was coming in. PS3.7 section 6.3,
//! PS3.8 section 9.2.

use super::{
    Config, Incoming, Intake, Limits,
    limits::REQUEST_WITHIN,
    negotiation::{Accepted, Rejection, negotiate},
    receiving::Receiving,
};
use crate::{
    AeTitle, SopClassUid, Status, StoreStatus, TransferSyntax,
    command::{COMMAND_BYTES_MAX, CommandField, CommandSet, DataSet},
    wire::{PduError, Pdus, command_pdus},
};
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AbortRQSource, AssociationRQ, PDataValue, PDataValueType, Pdu,
};
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// How an association ended, and what it brought. Its `Display` is safe to log: no UID, no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The AE title that called, once it was known and accepted.
    pub calling_ae: Option<AeTitle>,
    /// Objects answered with 0x0000.
    pub stored: u64,
    /// Objects answered with another status.
    pub refused: u64,
    /// The way it ended.
    pub how: How,
}

/// The ways an association ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum How {
    /// A-RELEASE, as it should.
    #[error("released")]
    Released,
    /// The peer sent A-ABORT.
    #[error("aborted by the peer")]
    AbortedByPeer,
    /// It was never accepted.
    #[error("rejected: {0}")]
    Rejected(Rejection),
    /// The stream broke, was silent too long, or carried what is no PDU.
    #[error("broken: {0}")]
    Broken(PduError),
    /// The peer sent what has no place there; aborted by us.
    #[error("aborted: {0}")]
    Violation(&'static str),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(title) = &self.calling_ae {
            write!(f, "from {title}: ")?;
        }
        write!(f, "{}; {} objects stored, {} refused", self.how, self.stored, self.refused)
    }
}

/// How long a peer may take to close after our last word.
const LINGER: Duration = Duration::from_secs(2);

/// Serves one association on a stream that is already accepted, plain or TLS, to its end.
pub async fn associate<S, I>(stream: S, address: IpAddr, config: &Config, intake: Arc<I>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
    I: Intake,
{
    let before = |how| Ended { calling_ae: None, stored: 0, refused: 0, how };
    let mut pdus = Pdus::new(stream, config.limits.pdu_bytes());
    let request = match read_request(&mut pdus).await {
        Ok(request) => request,
        Err(how) => return before(how),
    };
    let accepted = match negotiate(request, address, config, |sender| intake.judge(sender)) {
        Ok(accepted) => accepted,
        Err(rejection) => {
            reject(&mut pdus, rejection).await;
            return before(How::Rejected(rejection));
        }
    };
    let calling_ae = Some(accepted.sender.calling_ae.clone());
    if let Err(error) = pdus.write(&Pdu::AssociationAC(accepted.answer.clone()), config.limits.idle()).await {
        return Ended { calling_ae, ..before(How::Broken(error)) };
    }
    let mut open =
        Open { pdus, accepted, limits: config.limits, intake, message: Message::None, stored: 0, refused: 0 };
    let how = match open.serve().await {
        Ok(how) => how,
        Err(how) => {
            open.abort(how).await;
            how
        }
    };
    Ended { calling_ae, stored: open.stored, refused: open.refused, how }
}

/// Tells a peer that found no seat so, after its request, as PS3.8 wants it.
pub(super) async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(stream: S, rejection: Rejection, limits: &Limits) {
    let mut pdus = Pdus::new(stream, limits.pdu_bytes());
    if read_request(&mut pdus).await.is_ok() {
        reject(&mut pdus, rejection).await;
    }
}

async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(pdus: &mut Pdus<S>) -> Result<AssociationRQ, How> {
    match pdus.read(REQUEST_WITHIN).await {
        Ok(Pdu::AssociationRQ(request)) => Ok(request),
        Ok(_) => Err(How::Violation("a PDU other than A-ASSOCIATE-RQ came first")),
        Err(error) => Err(How::Broken(error)),
    }
}

async fn reject<S: AsyncRead + AsyncWrite + Unpin>(pdus: &mut Pdus<S>, rejection: Rejection) {
    if pdus.write(&rejection.pdu(), LINGER).await.is_ok() {
        pdus.linger(LINGER).await;
    }
}

/// An association that was accepted.
struct Open<S, I> {
    pdus: Pdus<S>,
    accepted: Accepted,
    limits: Limits,
    intake: Arc<I>,
    message: Message,
    stored: u64,
    refused: u64,
}

/// What is being read.
enum Message {
    None,
    Command { context: u8, bytes: Vec<u8> },
    DataSet { context: u8, request: CommandSet, bytes: u64, until: Instant, to: Destination },
}

/// Where a data set goes.
enum Destination {
    Sink(Receiving),
    /// Nowhere: it is read because the response comes after it.
    Nowhere(Answer),
}

/// What a request is answered with.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Store(StoreStatus),
    Echoed,
    UnrecognizedOperation,
}

impl Answer {
    const fn status(self) -> Status {
        match self {
            Self::Store(status) => status.code(),
            Self::Echoed => Status::SUCCESS,
            Self::UnrecognizedOperation => Status::UNRECOGNIZED_OPERATION,
        }
    }

    const fn comment(self) -> &'static str {
        match self {
            Self::Store(status) => status.comment(),
            Self::Echoed => "",
            Self::UnrecognizedOperation => "this service is not offered here",
        }
    }
}

impl<S, I> Open<S, I>
where
    S: AsyncRead + AsyncWrite + Unpin,
    I: Intake,
{
    /// `Err`: we end it, with A-ABORT.
    async fn serve(&mut self) -> Result<How, How> {
        loop {
            let within = match &self.message {
                Message::DataSet { until, .. } => self.limits.idle().min(until.duration_since(Instant::now())),
                Message::None | Message::Command { .. } => self.limits.idle(),
            };
            match self.pdus.read(within).await {
                Ok(Pdu::PData { data }) => {
                    for value in data {
                        self.take(value).await?;
                    }
                }
                Ok(Pdu::ReleaseRQ) if matches!(self.message, Message::None) => {
                    let answered = self.pdus.write(&Pdu::ReleaseRP, self.limits.idle()).await;
                    return answered.map(|()| How::Released).map_err(How::Broken);
                }
                Ok(Pdu::ReleaseRQ) => return Err(How::Violation("A-RELEASE-RQ inside a message")),
                Ok(Pdu::AbortRQ { .. }) => return Ok(How::AbortedByPeer),
                Ok(_) => return Err(How::Violation("a PDU that has no place in an open association")),
                Err(error @ (PduError::Closed | PduError::Broken(_))) => return Ok(How::Broken(error)),
                Err(error) => return Err(How::Broken(error)),
            }
        }
    }

    async fn take(&mut self, value: PDataValue) -> Result<(), How> {
        let id = value.presentation_context_id;
        if !self.accepted.contexts.contains_key(&id) {
            return Err(How::Violation("data in a presentation context that was not accepted"));
        }
        match (&value.value_type, &mut self.message) {
            (PDataValueType::Command, Message::None) => {
                self.message = Message::Command { context: id, bytes: Vec::new() };
                self.take_command(value).await
            }
            (PDataValueType::Command, Message::Command { context, .. }) if *context == id => {
                self.take_command(value).await
            }
            (PDataValueType::Data, Message::DataSet { context, .. }) if *context == id => self.take_data(value).await,
            _ => Err(How::Violation("a fragment that is not the next of its message")),
        }
    }

    async fn take_command(&mut self, value: PDataValue) -> Result<(), How> {
        let Message::Command { context, bytes } = &mut self.message else { return Ok(()) };
        if bytes.len() + value.data.len() > COMMAND_BYTES_MAX {
            return Err(How::Violation("a command set of more than 4 KiB"));
        }
        bytes.extend_from_slice(&value.data);
        if !value.is_last {
            return Ok(());
        }
        let context = *context;
        let request = CommandSet::parse(bytes).map_err(|_| How::Violation("a command set that cannot be read"))?;
        self.message = Message::None;
        match request.field {
            // It names an operation that is over: nothing here outlasts its response.
            CommandField::C_CANCEL => Ok(()),
            field if field.is_response() => Err(How::Violation("a response to a request that nobody made")),
            _ => self.start(context, request).await,
        }
    }

    async fn start(&mut self, context: u8, request: CommandSet) -> Result<(), How> {
        let to = match request.field {
            CommandField::C_ECHO => Destination::Nowhere(Answer::Echoed),
            CommandField::C_STORE => match self.incoming(context, &request) {
                Ok(incoming) => Destination::Sink(Receiving::begin(Arc::clone(&self.intake), incoming)),
                Err(status) => Destination::Nowhere(Answer::Store(status)),
            },
            _ => Destination::Nowhere(Answer::UnrecognizedOperation),
        };
        match request.data_set {
            DataSet::Absent => {
                let answer = match to {
                    Destination::Sink(_) => Answer::Store(StoreStatus::CannotUnderstand),
                    Destination::Nowhere(answer) => answer,
                };
                self.answer(context, &request, answer).await
            }
            DataSet::Follows => {
                let until = Instant::now() + self.limits.object();
                self.message = Message::DataSet { context, request, bytes: 0, until, to };
                Ok(())
            }
        }
    }

    /// What the sink is told, or why there is none.
    fn incoming(&self, context: u8, request: &CommandSet) -> Result<Incoming, StoreStatus> {
        let (agreed, transfer_syntax): &(SopClassUid, TransferSyntax) =
            self.accepted.contexts.get(&context).ok_or(StoreStatus::CannotUnderstand)?;
        if request.data_set == DataSet::Absent {
            return Err(StoreStatus::CannotUnderstand);
        }
        let (Some(Ok(class)), Some(Ok(instance))) = (&request.sop_class_uid, &request.sop_instance_uid) else {
            return Err(StoreStatus::CannotUnderstand);
        };
        if class != agreed {
            return Err(StoreStatus::DoesNotMatch);
        }
        if class.as_str() == dicom_dictionary_std::uids::VERIFICATION {
            return Err(StoreStatus::SopClassNotSupported);
        }
        Ok(Incoming {
            sender: self.accepted.sender.clone(),
            verdict: self.accepted.verdict,
            priority: request.priority,
            sop_class_uid: class.clone(),
            sop_instance_uid: instance.clone(),
            transfer_syntax: transfer_syntax.clone(),
        })
    }

    async fn take_data(&mut self, value: PDataValue) -> Result<(), How> {
        let Message::DataSet { bytes, to, .. } = &mut self.message else { return Ok(()) };
        let max = self.limits.object_bytes();
        *bytes += value.data.len() as u64;
        if *bytes > max.saturating_mul(2) {
            return Err(How::Violation("an object of more than twice the bytes that one may have"));
        }
        match to {
            // Read to its end for the sake of the batch: an abort would cost the objects behind it too.
            Destination::Sink(_) if *bytes > max => {
                *to = Destination::Nowhere(Answer::Store(StoreStatus::OutOfResources));
            }
            Destination::Sink(receiving) if !value.data.is_empty() => receiving.write(value.data).await,
            Destination::Sink(_) | Destination::Nowhere(_) => {}
        }
        if !value.is_last {
            return Ok(());
        }
        let Message::DataSet { context, request, to, .. } = std::mem::replace(&mut self.message, Message::None) else {
            return Ok(());
        };
        let answer = match to {
            Destination::Sink(receiving) => Answer::Store(receiving.finish().await),
            Destination::Nowhere(answer) => answer,
        };
        self.answer(context, &request, answer).await
    }

    async fn answer(&mut self, context: u8, request: &CommandSet, answer: Answer) -> Result<(), How> {
        match answer {
            Answer::Store(StoreStatus::Stored) => self.stored += 1,
            Answer::Store(_) => self.refused += 1,
            Answer::Echoed | Answer::UnrecognizedOperation => {}
        }
        let bytes = request.respond(answer.status(), answer.comment()).encode();
        for pdu in command_pdus(context, &bytes, self.accepted.peer_pdu_bytes) {
            self.pdus.write(&pdu, self.limits.idle()).await.map_err(How::Broken)?;
        }
        Ok(())
    }

    async fn abort(&mut self, how: How) {
        // The object that was coming in is discarded before the peer hears of it.
        self.message = Message::None;
        let reason = match how {
            How::Broken(PduError::Unrecognized { .. }) => AbortReason::UnrecognizedPdu,
            How::Broken(PduError::Malformed { .. } | PduError::TooLong { .. }) => AbortReason::InvalidPduParameter,
            How::Violation(_) => AbortReason::UnexpectedPdu,
            How::Released | How::AbortedByPeer | How::Rejected(_) | How::Broken(_) => AbortReason::ReasonNotSpecified,
        };
        if self.pdus.write(&Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) }, LINGER).await.is_ok() {
            self.pdus.linger(LINGER).await;
        }
    }
}
