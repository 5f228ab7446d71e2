//! A peer that vanishes, dribbles, or breaks the protocol, spoken PDU by PDU.
#![expect(clippy::unwrap_used, reason = "what the tests share fails as a test does")]

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, PDataValue, PDataValueType, Pdu, PresentationContextProposed, UserVariableItem,
};
use radmesh_dimse::{
    AeTitle, SopClassUid, SopInstanceUid, Status, StoreStatus, UidError,
    command::{CommandField, CommandSet, DataSet},
    server::{Config, Ended, Figures, How, Incoming, Intake, Limits, Sender, Sink, Verdict, associate, serve},
    wire::{PDU_BYTES_MAX, PduError, Pdus, Place, command_pdus, data_pdu},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver as Fates, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

const WITHIN: Duration = Duration::from_secs(3_600);
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
/// The context of CT in [`request`].
const CONTEXT: u8 = 1;

/// What a sink was told.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Begun,
    Written,
    Finished(usize),
    Discarded(usize),
}

struct Door(UnboundedSender<Fate>);

struct Counting {
    say: UnboundedSender<Fate>,
    bytes: usize,
    finished: bool,
}

impl Intake for Door {
    type Sink = Counting;

    fn judge(&self, _: &Sender) -> Verdict {
        Verdict::Accepted
    }

    fn begin(&self, _: Incoming) -> Result<Counting, StoreStatus> {
        self.0.send(Fate::Begun).unwrap();
        Ok(Counting { say: self.0.clone(), bytes: 0, finished: false })
    }
}

impl Sink for Counting {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreStatus> {
        self.bytes += bytes.len();
        self.say.send(Fate::Written).unwrap();
        Ok(())
    }

    fn finish(mut self) -> StoreStatus {
        self.finished = true;
        StoreStatus::Stored
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let fate = if self.finished { Fate::Finished(self.bytes) } else { Fate::Discarded(self.bytes) };
        self.say.send(fate).unwrap();
    }
}

fn request() -> AssociationRQ {
    AssociationRQ {
        protocol_version: 1,
        calling_ae_title: "CT1".into(),
        called_ae_title: "SPOKE".into(),
        application_context_name: "1.2.840.10008.3.1.1.1".into(),
        presentation_contexts: vec![PresentationContextProposed {
            id: CONTEXT,
            abstract_syntax: CT.into(),
            transfer_syntaxes: vec![EXPLICIT.into()],
        }],
        user_variables: vec![UserVariableItem::MaxLength(16_384)],
    }
}

fn config(figures: Figures) -> Config {
    Config { limits: Limits::checked(figures).unwrap(), ..Config::new(AeTitle::parse("SPOKE").unwrap()) }
}

/// A peer with an open association, what its objects came to, and how the server saw the end.
struct Peer {
    pdus: Pdus<DuplexStream>,
    fates: Fates<Fate>,
    server: JoinHandle<Ended>,
}

fn connect() -> (DuplexStream, Fates<Fate>, JoinHandle<Ended>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (say, fates) = unbounded_channel();
    let server = tokio::spawn(async move {
        associate(far, IpAddr::V4(Ipv4Addr::LOCALHOST), &config(Figures::default()), Arc::new(Door(say))).await
    });
    (near, fates, server)
}

async fn peer() -> Peer {
    let (near, fates, server) = connect();
    let mut pdus = Pdus::new(near, PDU_BYTES_MAX);
    assert!(matches!(open(&mut pdus).await, Pdu::AssociationAC(AssociationAC { .. })));
    Peer { pdus, fates, server }
}

async fn open<S: AsyncRead + AsyncWrite + Unpin>(pdus: &mut Pdus<S>) -> Pdu {
    pdus.write(&Pdu::AssociationRQ(request()), WITHIN).await.unwrap();
    pdus.read(WITHIN).await.unwrap()
}

fn store(class: &str) -> CommandSet {
    CommandSet::store_request(9, SopClassUid::parse(class).unwrap(), SopInstanceUid::parse("1.2.3").unwrap())
}

/// Lets time pass for a server that waits. While a sink is open, tokio's paused clock stands by itself.
async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

/// What became of the next object; `None` if no sink was opened.
async fn fate(fates: &mut Fates<Fate>) -> Option<Fate> {
    loop {
        match fates.recv().await {
            Some(Fate::Begun | Fate::Written) => {}
            end => return end,
        }
    }
}

impl Peer {
    async fn command(&mut self, command: &CommandSet) {
        for pdu in command_pdus(CONTEXT, &command.encode(), 0) {
            self.pdus.write(&pdu, WITHIN).await.unwrap();
        }
    }

    async fn data(&mut self, place: Place, bytes: usize) {
        self.pdus.write(&data_pdu(CONTEXT, place, vec![0; bytes]), WITHIN).await.unwrap();
    }

    async fn status(&mut self) -> Option<Status> {
        match self.pdus.read(WITHIN).await.unwrap() {
            Pdu::PData { data } => CommandSet::parse(&data[0].data).unwrap().status,
            other => panic!("no response: {other:?}"),
        }
    }

    /// Begins an object and waits until its sink is open.
    async fn begin_object(&mut self) {
        self.command(&store(CT)).await;
        assert_eq!(self.fates.recv().await, Some(Fate::Begun));
    }

    /// Sends a fragment that is not the last, and waits until the sink has it.
    async fn part(&mut self, bytes: usize) {
        self.data(Place::Inner, bytes).await;
        assert_eq!(self.fates.recv().await, Some(Fate::Written));
    }

    /// The server ended it with A-ABORT: how, and what became of the object.
    async fn aborted(mut self) -> (How, Option<Fate>) {
        // On a paused clock a server that goes on would be waited for without end.
        let word = tokio::select! {
            biased;
            word = self.pdus.read(WITHIN) => word,
            () = async { for _ in 0..10_000 { tokio::task::yield_now().await; } } => panic!("the server goes on"),
        };
        assert!(matches!(word, Ok(Pdu::AbortRQ { .. })), "{word:?}");
        drop(self.pdus);
        (self.server.await.unwrap().how, fate(&mut self.fates).await)
    }
}

#[tokio::test]
async fn an_object_whose_sender_vanishes_is_discarded() {
    let mut peer = peer().await;
    peer.begin_object().await;
    peer.part(5_000).await;
    drop(peer.pdus);
    assert_eq!(peer.server.await.unwrap().how, How::Broken(PduError::Closed));
    assert_eq!(fate(&mut peer.fates).await, Some(Fate::Discarded(5_000)));
}

#[tokio::test]
async fn an_object_whose_sender_aborts_is_discarded() {
    let mut peer = peer().await;
    peer.begin_object().await;
    peer.part(5_000).await;
    let abort = Pdu::AbortRQ { source: dicom_ul::pdu::AbortRQSource::ServiceUser };
    peer.pdus.write(&abort, WITHIN).await.unwrap();
    assert_eq!(peer.server.await.unwrap().how, How::AbortedByPeer);
    assert_eq!(fate(&mut peer.fates).await, Some(Fate::Discarded(5_000)));
}

#[tokio::test]
async fn a_release_inside_an_object_discards_it() {
    let mut peer = peer().await;
    peer.begin_object().await;
    peer.part(5_000).await;
    peer.pdus.write(&Pdu::ReleaseRQ, WITHIN).await.unwrap();
    let (how, fate) = peer.aborted().await;
    assert!(matches!(how, How::Violation(_)), "{how}");
    assert_eq!(fate, Some(Fate::Discarded(5_000)));
}

#[tokio::test]
async fn a_silent_sender_loses_its_seat_and_its_object() {
    tokio::time::pause();
    let mut peer = peer().await;
    peer.begin_object().await;
    for _ in 0..3 {
        peer.part(2).await;
        pass(59).await;
        assert!(!peer.server.is_finished());
    }
    pass(2).await;
    let (how, fate) = peer.aborted().await;
    assert_eq!(how, How::Broken(PduError::Late(Duration::from_secs(60))));
    assert_eq!(fate, Some(Fate::Discarded(6)));
}

#[tokio::test]
async fn a_sender_that_dribbles_one_object_for_an_hour_loses_its_seat() {
    tokio::time::pause();
    let mut peer = peer().await;
    peer.begin_object().await;
    // 50 s between fragments is never idle, and the last stretch is no longer: only the object's own hour ends this.
    for _ in 0..71 {
        peer.part(2).await;
        pass(50).await;
    }
    peer.part(2).await;
    pass(49).await;
    assert!(!peer.server.is_finished());
    pass(2).await;
    let (how, fate) = peer.aborted().await;
    assert!(matches!(how, How::Broken(PduError::Late(_))), "{how}");
    assert_eq!(fate, Some(Fate::Discarded(144)));
}

#[tokio::test]
async fn a_peer_that_asks_for_nothing_is_cut_after_ten_seconds() {
    tokio::time::pause();
    let (mut near, _fates, server) = connect();
    near.write_all(&[1, 0, 0]).await.unwrap();
    assert_eq!(server.await.unwrap().how, How::Broken(PduError::Late(Duration::from_secs(10))));
}

#[tokio::test]
async fn an_unknown_service_is_answered_and_the_next_object_stored() {
    let mut peer = peer().await;
    // N-CREATE with a data set, and C-FIND without one.
    for (field, data_set) in [(0x0140, DataSet::Follows), (0x0020, DataSet::Absent)] {
        peer.command(&CommandSet { field: CommandField(field), data_set, ..store(CT) }).await;
        if data_set == DataSet::Follows {
            peer.data(Place::Last, 100).await;
        }
        assert_eq!(peer.status().await, Some(Status::UNRECOGNIZED_OPERATION));
    }
    let cancel = CommandSet { field: CommandField::C_CANCEL, data_set: DataSet::Absent, ..store(CT) };
    peer.command(&cancel).await;
    peer.command(&store(CT)).await;
    peer.data(Place::Last, 100).await;
    assert_eq!(peer.status().await, Some(Status::SUCCESS));
    assert_eq!(fate(&mut peer.fates).await, Some(Fate::Finished(100)));
    peer.pdus.write(&Pdu::ReleaseRQ, WITHIN).await.unwrap();
    assert_eq!(peer.pdus.read(WITHIN).await, Ok(Pdu::ReleaseRP));
    let ended = peer.server.await.unwrap();
    assert_eq!((ended.how, ended.stored, ended.refused), (How::Released, 1, 0));
}

#[tokio::test]
async fn a_command_that_contradicts_its_context_stores_nothing() {
    let mut peer = peer().await;
    let broken_uid = CommandSet { sop_instance_uid: Some(Err(UidError::Empty)), ..store(CT) };
    for (command, status) in [(store(MR), StoreStatus::DoesNotMatch), (broken_uid, StoreStatus::CannotUnderstand)] {
        peer.command(&command).await;
        peer.data(Place::Last, 100).await;
        assert_eq!(peer.status().await, Some(status.code()));
    }
    peer.command(&CommandSet { data_set: DataSet::Absent, ..store(CT) }).await;
    assert_eq!(peer.status().await, Some(StoreStatus::CannotUnderstand.code()));
    drop(peer.pdus);
    assert_eq!(peer.server.await.unwrap().refused, 3);
    assert_eq!(peer.fates.recv().await, None, "a sink was opened");
}

#[tokio::test]
async fn a_message_out_of_order_is_aborted() {
    let value = |context, value_type, is_last, data| Pdu::PData {
        data: vec![PDataValue { presentation_context_id: context, value_type, is_last, data }],
    };
    let response = store(CT).respond(Status::SUCCESS, "").encode();
    for out_of_order in [
        value(CONTEXT, PDataValueType::Data, true, vec![0; 4]),
        value(3, PDataValueType::Command, true, store(CT).encode()),
        value(CONTEXT, PDataValueType::Command, true, vec![0; 7]),
        value(CONTEXT, PDataValueType::Command, false, vec![0; 5_000]),
        value(CONTEXT, PDataValueType::Command, true, response),
        Pdu::AssociationRQ(request()),
        Pdu::ReleaseRP,
    ] {
        let mut peer = peer().await;
        peer.pdus.write(&out_of_order, WITHIN).await.unwrap();
        let (how, fate) = peer.aborted().await;
        assert!(matches!(how, How::Violation(_)), "{how}");
        assert_eq!(fate, None);
    }
}

#[tokio::test]
async fn a_command_inside_an_object_is_aborted_and_the_object_discarded() {
    let mut peer = peer().await;
    peer.begin_object().await;
    peer.part(10).await;
    peer.command(&store(CT)).await;
    let (how, fate) = peer.aborted().await;
    assert!(matches!(how, How::Violation(_)), "{how}");
    assert_eq!(fate, Some(Fate::Discarded(10)));
}

#[tokio::test]
async fn a_peer_without_a_seat_is_told_to_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (say, _fates) = unbounded_channel();
    let figures = Figures { associations: 3, associations_per_peer: 2, ..Figures::default() };
    tokio::spawn(serve(listener, config(figures), Arc::new(Door(say)), std::future::pending()));
    let mut seated = Vec::new();
    for _ in 0..2 {
        let mut pdus = Pdus::new(TcpStream::connect(address).await.unwrap(), PDU_BYTES_MAX);
        assert!(matches!(open(&mut pdus).await, Pdu::AssociationAC(_)));
        seated.push(pdus);
    }
    let mut third = Pdus::new(TcpStream::connect(address).await.unwrap(), PDU_BYTES_MAX);
    let Pdu::AssociationRJ(rejection) = open(&mut third).await else { panic!("not rejected") };
    assert_eq!(rejection.result, dicom_ul::pdu::AssociationRJResult::Transient);
    assert_eq!(rejection.source.to_string(), "local limit exceeded");
    // A seat that is given up is there for the next.
    drop(seated.pop());
    loop {
        let mut next = Pdus::new(TcpStream::connect(address).await.unwrap(), PDU_BYTES_MAX);
        if matches!(open(&mut next).await, Pdu::AssociationAC(_)) {
            break;
        }
    }
}
