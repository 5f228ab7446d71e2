//! Client and server over real sockets on 127.0.0.1: what a modality and a PACS would notice.
#![expect(clippy::unwrap_used, reason = "what the tests share fails as a test does")]

use radmesh_dimse::{
    AeTitle, SopClassUid, SopInstanceUid, Status, StoreStatus, TransferSyntax,
    client::{self, Batch, ClientError, Outcome, Outgoing},
    server::{self, CalledAe, Figures, Incoming, Intake, Limits, Sender, Sink, Verdict},
    transfer_syntax,
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};
use tokio::{net::TcpListener, sync::Notify};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const RT_PLAN: &str = "1.2.840.10008.5.1.4.1.1.481.5";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const SEND: &str = "1.2.840.10008.1.2.4.70";

/// Where a sink of [`Shelf`] gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivesUp {
    Never,
    AtBegin(StoreStatus),
    AtWrite(StoreStatus),
    AtFinish(StoreStatus),
}

/// An intake that keeps whole objects in memory and says when one is discarded.
struct Shelf {
    verdict: Verdict,
    gives_up: GivesUp,
    whole: Mutex<Vec<(Incoming, Vec<u8>)>>,
    discarded: mpsc::Sender<usize>,
    /// A sink's `finish` waits for a word from here, if there is one.
    may_finish: Mutex<Option<mpsc::Receiver<()>>>,
    /// A sink's `finish` was entered.
    finishing: Notify,
    finished: AtomicBool,
}

struct Slot {
    shelf: Arc<Shelf>,
    incoming: Incoming,
    bytes: Vec<u8>,
    whole: bool,
}

/// The shelf as an [`Intake`].
struct Door(Arc<Shelf>);

impl Intake for Door {
    type Sink = Slot;

    fn judge(&self, _: &Sender) -> Verdict {
        self.0.verdict
    }

    fn begin(&self, incoming: Incoming) -> Result<Slot, StoreStatus> {
        match self.0.gives_up {
            GivesUp::AtBegin(status) => Err(status),
            _ => Ok(Slot { shelf: Arc::clone(&self.0), incoming, bytes: Vec::new(), whole: false }),
        }
    }
}

impl Sink for Slot {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreStatus> {
        self.bytes.extend_from_slice(bytes);
        match self.shelf.gives_up {
            GivesUp::AtWrite(status) => Err(status),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> StoreStatus {
        if let GivesUp::AtFinish(status) = self.shelf.gives_up {
            return status;
        }
        self.shelf.finishing.notify_one();
        if let Some(word) = &*self.shelf.may_finish.lock().unwrap() {
            word.recv().unwrap();
        }
        self.whole = true;
        self.shelf.finished.store(true, Ordering::SeqCst);
        let object = (self.incoming.clone(), std::mem::take(&mut self.bytes));
        self.shelf.whole.lock().unwrap().push(object);
        StoreStatus::Stored
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.whole {
            // A test that doesn't ask has dropped the other end.
            let _ = self.shelf.discarded.send(self.bytes.len());
        }
    }
}

struct Spoke {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    discarded: mpsc::Receiver<usize>,
}

fn title(text: &str) -> AeTitle {
    AeTitle::parse(text).unwrap()
}

async fn spoke(verdict: Verdict, gives_up: GivesUp, figures: Figures) -> Spoke {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (say, discarded) = mpsc::channel();
    let shelf = Arc::new(Shelf {
        verdict,
        gives_up,
        whole: Mutex::default(),
        discarded: say,
        may_finish: Mutex::default(),
        finishing: Notify::new(),
        finished: AtomicBool::new(false),
    });
    let config = server::Config { limits: Limits::checked(figures).unwrap(), ..server::Config::new(title("SPOKE")) };
    tokio::spawn(server::serve(listener, config, Arc::new(Door(Arc::clone(&shelf))), std::future::pending()));
    Spoke { address, shelf, discarded }
}

async fn open_spoke() -> Spoke {
    spoke(Verdict::Accepted, GivesUp::Never, Figures::default()).await
}

fn object(class: &str, instance: &str, syntax: &str, data: Vec<u8>) -> Outgoing {
    Outgoing {
        sop_class_uid: SopClassUid::parse(class).unwrap(),
        sop_instance_uid: SopInstanceUid::parse(instance).unwrap(),
        transfer_syntax: TransferSyntax::parse(syntax).unwrap(),
        open: Box::new(move || Ok(Box::new(io::Cursor::new(data)))),
    }
}

async fn send(spoke: &Spoke, objects: Vec<Outgoing>) -> Batch {
    client::store(spoke.address, &client::Config::new(title("CT1"), title("SPOKE")), objects).await.unwrap()
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn an_echo_is_answered() {
    let spoke = open_spoke().await;
    let config = client::Config::new(title("CT1"), title("SPOKE"));
    assert_eq!(client::echo(spoke.address, &config).await, Ok(Status::SUCCESS));
}

#[tokio::test]
async fn every_transfer_syntax_arrives_as_it_is_to_the_byte() {
    let spoke = open_spoke().await;
    // Lengths around one and two PDUs of 128 KiB; even for the fourth, which is deflated.
    let lengths = [1, 131_065, 131_066, 131_068, 262_132, 262_133, 1_000_003];
    let objects: Vec<_> = transfer_syntax::TAKEN
        .iter()
        .enumerate()
        .map(|(n, syntax)| {
            object(if n % 2 == 0 { CT } else { MR }, &format!("1.2.{n}"), syntax, pattern(lengths[n % 7]))
        })
        .collect();
    let batch = send(&spoke, objects).await;
    assert_eq!(batch.ended, Ok(()));
    assert_eq!(batch.outcomes, [Outcome::Answered(Status::SUCCESS); 20]);
    let whole = spoke.shelf.whole.lock().unwrap();
    for (n, (incoming, bytes)) in whole.iter().enumerate() {
        assert_eq!(incoming.transfer_syntax.as_str(), transfer_syntax::TAKEN[n]);
        assert_eq!(incoming.sop_instance_uid.as_str(), format!("1.2.{n}"));
        assert_eq!((incoming.sender.calling_ae.as_str(), incoming.sender.called_ae.as_str()), ("CT1", "SPOKE"));
        assert!(*bytes == pattern(lengths[n % 7]), "object {n} has other bytes");
    }
    assert_eq!(whole.len(), 20);
}

#[tokio::test]
async fn a_deflated_data_set_goes_out_padded_to_even_length_and_no_other_does() {
    let spoke = open_spoke().await;
    let odd = |syntax| object(CT, "1.2", syntax, vec![1; 3]);
    send(&spoke, vec![odd(DEFLATED), odd(EXPLICIT)]).await;
    let whole = spoke.shelf.whole.lock().unwrap();
    assert_eq!([&whole[0].1[..], &whole[1].1[..]], [&[1, 1, 1, 0][..], &[1, 1, 1]]);
}

#[tokio::test]
async fn a_failing_sink_becomes_its_status_and_costs_no_other_object() {
    for status in [
        StoreStatus::OutOfResources,
        StoreStatus::DoesNotMatch,
        StoreStatus::CannotUnderstand,
        StoreStatus::SopClassNotSupported,
        StoreStatus::NotAuthorised,
    ] {
        for gives_up in [GivesUp::AtBegin(status), GivesUp::AtWrite(status), GivesUp::AtFinish(status)] {
            let spoke = spoke(Verdict::Accepted, gives_up, Figures::default()).await;
            let objects = (0..2).map(|n| object(CT, &format!("1.{n}"), EXPLICIT, pattern(700_000))).collect();
            let batch = send(&spoke, objects).await;
            assert_eq!(batch.outcomes, [Outcome::Answered(status.code()); 2], "{gives_up:?}");
            assert_eq!(batch.ended, Ok(()));
        }
    }
}

#[tokio::test]
async fn success_is_answered_only_after_the_object_is_on_disk() {
    let spoke = open_spoke().await;
    let (say, word) = mpsc::channel();
    *spoke.shelf.may_finish.lock().unwrap() = Some(word);
    let sent = send(&spoke, vec![object(CT, "1.2", EXPLICIT, pattern(10))]);
    tokio::pin!(sent);
    tokio::select! {
        batch = &mut sent => panic!("answered before the sink had finished: {batch:?}"),
        () = spoke.shelf.finishing.notified() => {}
    }
    assert!(!spoke.shelf.finished.load(Ordering::SeqCst));
    say.send(()).unwrap();
    assert_eq!(sent.await.outcomes, [Outcome::Answered(Status::SUCCESS)]);
    assert!(spoke.shelf.finished.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_unknown_sender_is_marked_so() {
    let spoke = spoke(Verdict::Quarantined, GivesUp::Never, Figures::default()).await;
    let batch = send(&spoke, vec![object(CT, "1.2", EXPLICIT, pattern(10))]).await;
    assert_eq!(batch.outcomes, [Outcome::Answered(Status::SUCCESS)]);
    assert_eq!(spoke.shelf.whole.lock().unwrap()[0].0.verdict, Verdict::Quarantined);
}

#[tokio::test]
async fn a_rejection_says_which_title_is_wrong() {
    let refusing = spoke(Verdict::Refused, GivesUp::Never, Figures::default()).await;
    let reason = |called: &str, address| {
        let config = client::Config::new(title("CT1"), title(called));
        async move {
            match client::echo(address, &config).await {
                Err(ClientError::Rejected(source)) => source.to_string(),
                other => panic!("not rejected: {other:?}"),
            }
        }
    };
    assert_eq!(reason("SPOKE", refusing.address).await, "calling AE title not recognized");
    assert_eq!(reason("OTHER", open_spoke().await.address).await, "called AE title not recognized");
}

#[tokio::test]
async fn any_called_title_is_answered_where_the_clinic_wants_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shelf = open_spoke().await.shelf;
    let config = server::Config { called: CalledAe::Any, ..server::Config::new(title("SPOKE")) };
    tokio::spawn(server::serve(listener, config, Arc::new(Door(shelf)), std::future::pending()));
    let asked = client::Config::new(title("CT1"), title("ANY-NAME"));
    assert_eq!(client::echo(address, &asked).await, Ok(Status::SUCCESS));
}

#[tokio::test]
async fn an_object_that_is_not_taken_costs_no_other_object() {
    let spoke = open_spoke().await;
    let objects = vec![
        object(RT_PLAN, "1.1", EXPLICIT, pattern(10)),
        object(CT, "1.2", "1.2.3.4.5", pattern(10)),
        object(CT, "1.3", IMPLICIT, pattern(10)),
    ];
    let batch = send(&spoke, objects).await;
    assert_eq!(batch.outcomes, [Outcome::NotTaken, Outcome::NotTaken, Outcome::Answered(Status::SUCCESS)]);
}

#[tokio::test]
async fn an_object_over_the_limit_gets_a700_and_leaves_nothing() {
    let figures = Figures { object_bytes: 300_000, ..Figures::default() };
    let spoke = spoke(Verdict::Accepted, GivesUp::Never, figures).await;
    let objects = vec![object(CT, "1.1", SEND, pattern(300_001)), object(CT, "1.2", SEND, pattern(300_000))];
    let batch = send(&spoke, objects).await;
    let expected = [StoreStatus::OutOfResources.code(), Status::SUCCESS].map(Outcome::Answered);
    assert_eq!(batch.outcomes, expected);
    assert!(spoke.discarded.recv().unwrap() <= 300_000);
}

#[tokio::test]
async fn an_endless_object_ends_the_association() {
    let figures = Figures { object_bytes: 300_000, ..Figures::default() };
    let spoke = spoke(Verdict::Accepted, GivesUp::Never, figures).await;
    let mut endless = object(CT, "1.1", SEND, vec![]);
    endless.open = Box::new(|| Ok(Box::new(io::repeat(0))));
    let batch = send(&spoke, vec![endless, object(CT, "1.2", SEND, pattern(10))]).await;
    assert_eq!(batch.outcomes, [Outcome::NotSent; 2]);
    assert!(batch.ended.is_err());
    assert!(spoke.shelf.whole.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_data_set_that_cannot_be_read_to_its_end_is_never_kept_by_the_peer() {
    struct Torn(usize);
    impl io::Read for Torn {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
            buf.fill(7);
            Ok(buf.len())
        }
    }
    let spoke = open_spoke().await;
    let mut torn = object(CT, "1.1", SEND, vec![]);
    torn.open = Box::new(|| Ok(Box::new(Torn(9))));
    let mut missing = object(CT, "1.0", SEND, vec![]);
    missing.open = Box::new(|| Err(io::ErrorKind::NotFound.into()));
    let batch = send(&spoke, vec![missing, torn, object(CT, "1.2", SEND, pattern(10))]).await;
    let expected = [
        Outcome::Unreadable(io::ErrorKind::NotFound),
        Outcome::Unreadable(io::ErrorKind::InvalidData),
        Outcome::NotSent,
    ];
    assert_eq!(batch.outcomes, expected);
    spoke.discarded.recv().unwrap();
    assert!(spoke.shelf.whole.lock().unwrap().is_empty());
}
