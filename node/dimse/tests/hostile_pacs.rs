//! The client against a PACS that answers wrongly, takes little, or says nothing, spoken PDU by PDU.
#![expect(clippy::unwrap_used, reason = "what the tests share fails as a test does")]

use dicom_ul::pdu::{
    AssociationAC, PDataValueType, Pdu, PresentationContextResult, PresentationContextResultReason, UserVariableItem,
};
use radmesh_dimse::{
    AeTitle, SopClassUid, SopInstanceUid, Status, TransferSyntax,
    client::{self, Batch, ClientError, Outcome, Outgoing},
    command::{CommandField, CommandSet},
    wire::{PDU_BYTES_MAX, PduError, Pdus, command_pdus},
};
use std::{io, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const WITHIN: Duration = Duration::from_secs(60);
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";

/// A PACS that accepts every context in `syntax` and takes PDUs of `pdu_bytes`; its only association.
async fn accept(listener: TcpListener, syntax: &str, pdu_bytes: u32) -> Pdus<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut pdus = Pdus::new(stream, PDU_BYTES_MAX);
    let Pdu::AssociationRQ(request) = pdus.read(WITHIN).await.unwrap() else { panic!("no request") };
    let answer = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title,
        called_ae_title: request.called_ae_title,
        application_context_name: request.application_context_name,
        presentation_contexts: request
            .presentation_contexts
            .iter()
            .map(|context| PresentationContextResult {
                id: context.id,
                reason: PresentationContextResultReason::Acceptance,
                transfer_syntax: syntax.to_owned(),
            })
            .collect(),
        user_variables: vec![UserVariableItem::MaxLength(pdu_bytes)],
    };
    pdus.write(&Pdu::AssociationAC(answer), WITHIN).await.unwrap();
    pdus
}

/// Reads one message: its command set, the lengths of the PDUs of its data set, and the data set.
async fn message(pdus: &mut Pdus<TcpStream>) -> (CommandSet, Vec<usize>, Vec<u8>) {
    let (mut command, mut lengths, mut data_set) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let Pdu::PData { data } = pdus.read(WITHIN).await.unwrap() else { panic!("no data") };
        for value in data {
            match value.value_type {
                PDataValueType::Command => command.extend_from_slice(&value.data),
                PDataValueType::Data => {
                    lengths.push(value.data.len() + 6);
                    data_set.extend_from_slice(&value.data);
                    if value.is_last {
                        return (CommandSet::parse(&command).unwrap(), lengths, data_set);
                    }
                }
            }
        }
    }
}

fn objects(count: u8) -> Vec<Outgoing> {
    (0..count)
        .map(|n| Outgoing {
            sop_class_uid: SopClassUid::parse(CT).unwrap(),
            sop_instance_uid: SopInstanceUid::parse(format!("1.2.{n}")).unwrap(),
            transfer_syntax: TransferSyntax::parse(EXPLICIT).unwrap(),
            open: Box::new(|| Ok(Box::new(io::Cursor::new(pattern())))),
        })
        .collect()
}

fn pattern() -> Vec<u8> {
    (0..50_000_u32).map(|n| (n % 251) as u8).collect()
}

/// Sends two objects to a PACS that behaves as `pacs`.
async fn send_to<F>(pacs: impl FnOnce(TcpListener) -> F) -> Result<Batch, ClientError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _pacs: JoinHandle<()> = tokio::spawn(pacs(listener));
    let title = |text| AeTitle::parse(text).unwrap();
    let config =
        client::Config { response: Duration::from_secs(1), ..client::Config::new(title("HUB"), title("PACS")) };
    client::store(address, &config, objects(2)).await
}

#[tokio::test]
async fn a_peer_that_takes_little_gets_little_at_a_time() {
    let batch = send_to(async |listener| {
        let mut pdus = accept(listener, EXPLICIT, 1_000).await;
        for _ in 0..2 {
            let (command, lengths, data_set) = message(&mut pdus).await;
            assert!(lengths.iter().all(|length| *length <= 1_000), "{lengths:?}");
            assert_eq!(data_set, pattern());
            for pdu in command_pdus(1, &command.respond(Status::SUCCESS, "").encode(), 0) {
                pdus.write(&pdu, WITHIN).await.unwrap();
            }
        }
        assert_eq!(pdus.read(WITHIN).await, Ok(Pdu::ReleaseRQ));
        pdus.write(&Pdu::ReleaseRP, WITHIN).await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(batch.outcomes, [Outcome::Answered(Status::SUCCESS); 2]);
    assert_eq!(batch.ended, Ok(()));
}

#[tokio::test]
async fn an_answer_to_another_request_is_no_answer() {
    let wrong: [fn(&mut CommandSet); 3] = [
        |response| response.message_id += 1,
        |response| response.field = CommandField::C_ECHO.response(),
        |response| response.status = None,
    ];
    for change in wrong {
        let batch = send_to(async move |listener| {
            let mut pdus = accept(listener, EXPLICIT, 0).await;
            let (command, ..) = message(&mut pdus).await;
            let mut response = command.respond(Status::SUCCESS, "");
            change(&mut response);
            for pdu in command_pdus(1, &response.encode(), 0) {
                pdus.write(&pdu, WITHIN).await.unwrap();
            }
            assert!(matches!(pdus.read(WITHIN).await, Ok(Pdu::AbortRQ { .. })));
        })
        .await
        .unwrap();
        assert_eq!(batch.outcomes, [Outcome::NotSent; 2]);
        assert!(matches!(batch.ended, Err(ClientError::Unexpected(_))), "{:?}", batch.ended);
    }
}

#[tokio::test]
async fn a_peer_that_accepts_another_syntax_than_proposed_gets_nothing() {
    let batch = send_to(async |listener| {
        let mut pdus = accept(listener, IMPLICIT, 0).await;
        assert_eq!(pdus.read(WITHIN).await, Ok(Pdu::ReleaseRQ));
        pdus.write(&Pdu::ReleaseRP, WITHIN).await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(batch.outcomes, [Outcome::NotTaken; 2]);
}

#[tokio::test]
async fn a_silent_peer_costs_its_time_and_no_more() {
    let batch = send_to(async |listener| {
        let mut pdus = accept(listener, EXPLICIT, 0).await;
        message(&mut pdus).await;
        assert!(matches!(pdus.read(WITHIN).await, Ok(Pdu::AbortRQ { .. })));
    })
    .await
    .unwrap();
    assert_eq!(batch.outcomes, [Outcome::NotSent; 2]);
    assert_eq!(batch.ended, Err(ClientError::Pdu(PduError::Late(Duration::from_secs(1)))));
}

#[tokio::test]
async fn a_peer_that_vanishes_after_one_object_leaves_the_other_not_sent() {
    let batch = send_to(async |listener| {
        let mut pdus = accept(listener, EXPLICIT, 0).await;
        let (command, ..) = message(&mut pdus).await;
        for pdu in command_pdus(1, &command.respond(Status(0xB000), "").encode(), 0) {
            pdus.write(&pdu, WITHIN).await.unwrap();
        }
    })
    .await
    .unwrap();
    assert_eq!(batch.outcomes, [Outcome::Answered(Status(0xB000)), Outcome::NotSent]);
    assert!(matches!(batch.ended, Err(ClientError::Pdu(_))), "{:?}", batch.ended);
}

#[tokio::test]
async fn more_kinds_of_objects_than_one_association_names_are_refused_before_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let kinds = (0..129)
        .zip(objects(129))
        .map(|(n, object)| Outgoing { sop_class_uid: SopClassUid::parse(format!("1.3.{n}")).unwrap(), ..object });
    let config = client::Config::new(AeTitle::parse("HUB").unwrap(), AeTitle::parse("PACS").unwrap());
    let error = client::store(address, &config, kinds.collect()).await.unwrap_err();
    assert_eq!(error, ClientError::TooManyContexts { wanted: 129 });
}
