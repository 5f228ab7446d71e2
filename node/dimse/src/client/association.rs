//! One association that we asked for.
//!
//! Every pair of SOP Class and transfer syntax in the batch has a presentation context of its own with that one
//! syntax, so the peer can refuse a form and can't make us send another. The rule: one request at a time, and the
//! response must name it. PS3.7 section 9.1, PS3.8 section 7.1.

use super::{ClientError, Config, Outcome, Outgoing, reading::fragments};
use crate::{
    SopClassUid, Status, TransferSyntax,
    command::{COMMAND_BYTES_MAX, CommandError, CommandField, CommandSet, DataSet},
    server::{PROTOCOL_VERSION, peer_pdu_bytes, user_variables},
    wire::{PDU_BYTES_MAX, Pdus, Place, command_pdus, data_pdu, fragment_bytes},
};
use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AbortRQSource, AssociationRQ, PDataValueType, Pdu, PresentationContextProposed, PresentationContextResultReason,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite};

type Pair = (SopClassUid, TransferSyntax);

pub(super) struct Open<S> {
    pdus: Pdus<S>,
    contexts: BTreeMap<Pair, u8>,
    peer_pdu_bytes: u32,
    message_id: u16,
    connect: Duration,
    response: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Open<S> {
    /// Asks for an association with one context for each of `pairs`, of which there are at most 128.
    pub(super) async fn request(stream: S, config: &Config, pairs: BTreeSet<Pair>) -> Result<Self, ClientError> {
        let mut pdus = Pdus::new(stream, PDU_BYTES_MAX);
        let proposed: BTreeMap<u8, Pair> = (1..=u8::MAX).step_by(2).zip(pairs).collect();
        let request = AssociationRQ {
            protocol_version: PROTOCOL_VERSION,
            calling_ae_title: config.calling.as_str().to_owned(),
            called_ae_title: config.called.as_str().to_owned(),
            application_context_name: uids::DICOM_APPLICATION_CONTEXT.to_owned(),
            presentation_contexts: proposed
                .iter()
                .map(|(id, (class, syntax))| PresentationContextProposed {
                    id: *id,
                    abstract_syntax: class.as_str().to_owned(),
                    transfer_syntaxes: vec![syntax.as_str().to_owned()],
                })
                .collect(),
            user_variables: user_variables(PDU_BYTES_MAX),
        };
        pdus.write(&Pdu::AssociationRQ(request), config.connect).await?;
        let answer = match pdus.read(config.connect).await? {
            Pdu::AssociationAC(answer) => answer,
            Pdu::AssociationRJ(rejection) => return Err(ClientError::Rejected(rejection.source)),
            Pdu::AbortRQ { .. } => return Err(ClientError::Aborted),
            _ => return Err(ClientError::Unexpected("no answer to the association request")),
        };
        let contexts = answer
            .presentation_contexts
            .iter()
            .filter(|context| context.reason == PresentationContextResultReason::Acceptance)
            .filter_map(|context| {
                let pair = proposed.get(&context.id)?;
                // A peer that accepts another syntax than the one proposed would misread the data set.
                let agreed = context.transfer_syntax.trim_end_matches('\0') == pair.1.as_str();
                agreed.then(|| (pair.clone(), context.id))
            })
            .collect();
        Ok(Self {
            pdus,
            contexts,
            peer_pdu_bytes: peer_pdu_bytes(&answer.user_variables),
            message_id: 0,
            connect: config.connect,
            response: config.response,
        })
    }

    pub(super) async fn echo(&mut self, verification: SopClassUid) -> Result<Status, ClientError> {
        let context = *self.contexts.values().next().ok_or(ClientError::NotTaken)?;
        let request = CommandSet::echo_request(self.next_message(), verification);
        self.send_command(context, &request).await?;
        self.response(context, request.field, request.message_id).await
    }

    /// `Err` means that the association is of no further use.
    pub(super) async fn store(&mut self, object: Outgoing) -> Result<Outcome, ClientError> {
        let Outgoing { sop_class_uid, sop_instance_uid, transfer_syntax, open } = object;
        let pair = (sop_class_uid, transfer_syntax);
        let Some(&context) = self.contexts.get(&pair) else { return Ok(Outcome::NotTaken) };
        let mut data_set = match fragments(open, fragment_bytes(self.peer_pdu_bytes)).await {
            Ok(data_set) => data_set,
            Err(error) => return Ok(Outcome::Unreadable(error.kind())),
        };
        let request = CommandSet::store_request(self.next_message(), pair.0.clone(), sop_instance_uid);
        self.send_command(context, &request).await?;
        let mut place = Place::Inner;
        while place == Place::Inner {
            let fragment = data_set.recv().await.ok_or(ClientError::Reading(std::io::ErrorKind::Other))?;
            let (next, mut bytes) = fragment.map_err(|error| ClientError::Reading(error.kind()))?;
            // A deflated data set of odd length is padded with one NUL (PS3.5 annex A.5); files are often written
            // without, and DCMTK aborts the association, and with it the batch, at a fragment of odd length.
            if bytes.len() % 2 == 1 && pair.1.as_str() == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
                bytes.push(0);
            }
            self.pdus.write(&data_pdu(context, next, bytes), self.response).await?;
            place = next;
        }
        self.response(context, request.field, request.message_id).await.map(Outcome::Answered)
    }

    /// Ends the association as it should end.
    pub(super) async fn release(mut self) -> Result<(), ClientError> {
        self.pdus.write(&Pdu::ReleaseRQ, self.connect).await?;
        match self.pdus.read(self.connect).await? {
            Pdu::ReleaseRP => Ok(()),
            Pdu::AbortRQ { .. } => Err(ClientError::Aborted),
            _ => Err(ClientError::Unexpected("no answer to the release")),
        }
    }

    /// Ends it at once; the peer discards what is not whole.
    pub(super) async fn abort(mut self) {
        if self.pdus.write(&Pdu::AbortRQ { source: AbortRQSource::ServiceUser }, self.connect).await.is_ok() {
            self.pdus.linger(self.connect).await;
        }
    }

    fn next_message(&mut self) -> u16 {
        self.message_id = self.message_id.wrapping_add(1);
        self.message_id
    }

    async fn send_command(&mut self, context: u8, command: &CommandSet) -> Result<(), ClientError> {
        for pdu in command_pdus(context, &command.encode(), self.peer_pdu_bytes) {
            self.pdus.write(&pdu, self.response).await?;
        }
        Ok(())
    }

    /// The status of the response to `message_id`.
    async fn response(&mut self, context: u8, field: CommandField, message_id: u16) -> Result<Status, ClientError> {
        let mut bytes = Vec::new();
        loop {
            let values = match self.pdus.read(self.response).await? {
                Pdu::PData { data } => data,
                Pdu::AbortRQ { .. } => return Err(ClientError::Aborted),
                _ => return Err(ClientError::Unexpected("a PDU that is no response")),
            };
            for value in values {
                if value.value_type != PDataValueType::Command || value.presentation_context_id != context {
                    return Err(ClientError::Unexpected("a data set where a response belongs"));
                }
                bytes.extend_from_slice(&value.data);
                if bytes.len() > COMMAND_BYTES_MAX {
                    return Err(CommandError::TooLong { bytes: bytes.len() }.into());
                }
                if value.is_last {
                    return status(&CommandSet::parse(&bytes)?, field, message_id);
                }
            }
        }
    }
}

fn status(response: &CommandSet, field: CommandField, message_id: u16) -> Result<Status, ClientError> {
    let names_ours = response.field == field.response() && response.message_id == message_id;
    match response.status {
        Some(status) if names_ours && response.data_set == DataSet::Absent => Ok(status),
        _ => Err(ClientError::Unexpected("a response to another request")),
    }
}
