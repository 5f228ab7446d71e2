//! The join stream: the one thing a stranger may speak.
//!
//! A spoke may be admitted after a hub last saw the ministry. It is told which statements the hub holds and brings
//! those it lacks, so that a join costs a metered link a few hundred bytes and not the whole roster. Each is at most
//! `STATEMENT_BYTES_MAX`, together at most `JOIN_BYTES_MAX`, each judged before the next is read, and the first bad
//! one ends it. What was taken stays taken, and the hub's last word says whether it took all; who is a member
//! afterwards connects again (`protocol/SPEC.md`, Roster).

use super::{Event, JoinEnd, Verdict, frame};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, io::BufReader};
use libp2p::Stream;
use radmesh_protocol::{
    id::NodeId,
    limits::{JOIN_BYTES_MAX, STATEMENT_BYTES_MAX},
};
use std::{convert::Infallible, future, io, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Bringing a roster takes at most this long: 256 KiB at 60 kbit/s and 2% loss are 41 s.
const BRING_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of the word that says which statements a node holds: a chain id and a count, two chains.
const HOLDS_BYTES_MAX: usize = 1024;

/// The last word on a stream whose every statement was taken.
const TAKEN: [u8; 1] = [1];
/// The last word on a stream of which a statement was refused.
const REFUSED: [u8; 1] = [0];

/// Why a join ended before its last statement.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    #[error("the stream failed: {0}")]
    Stream(#[from] io::Error),
    #[error("a statement was refused")]
    Refused,
    #[error("over {JOIN_BYTES_MAX} bytes of roster were brought")]
    TooLong,
    #[error("it took over {} s", BRING_TIMEOUT.as_secs())]
    TooSlow,
}

impl From<JoinError> for JoinEnd {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Refused | JoinError::TooLong => Self::Refused,
            JoinError::Stream(_) | JoinError::TooSlow => Self::Broken,
        }
    }
}

/// Brings a peer that does not know us what its roster lacks, and waits for its last word.
pub(super) async fn bring(stream: &mut Stream, peer: NodeId, events: mpsc::Sender<Event>) -> Result<(), JoinError> {
    let all = async {
        let (mut from, mut to) = stream.split();
        let holds = frame::read(&mut from, HOLDS_BYTES_MAX).await?.ok_or_else(cut)?;
        let (lacks, lacking) = oneshot::channel();
        // A driver that is gone brings nothing.
        let _ = events.send(Event::Unrecognized { peer, holds, lacks }).await;
        let mut wire = Vec::new();
        lacking.await.unwrap_or_default().iter().for_each(|statement| frame::push(&mut wire, statement));
        frame::push(&mut wire, &[]);
        let say = async {
            to.write_all(&wire).await?;
            to.flush().await?;
            future::pending::<io::Result<Infallible>>().await
        };
        tokio::select! {
            biased;
            // It may come before all is said: then the rest is of no use.
            answer = frame::read(&mut from, TAKEN.len()) => match answer? {
                Some(word) if word == TAKEN => Ok(()),
                Some(_) => Err(JoinError::Refused),
                None => Err(cut().into()),
            },
            Err(broken) = say => Err(broken.into()),
        }
    };
    timeout(BRING_TIMEOUT, all).await.unwrap_or(Err(JoinError::TooSlow))
}

/// Takes a stranger's statements, one at a time. Whoever calls bounds its time by the connection's.
pub(super) async fn receive(stream: Stream, from: NodeId, events: mpsc::Sender<Event>) -> Result<(), JoinError> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let (tell, told) = oneshot::channel();
    // A driver that is gone holds nothing and judges nothing.
    let _ = events.send(Event::Stranger { holds: tell }).await;
    say(&mut write, &told.await.unwrap_or_default()).await?;
    let outcome = judge(&mut read, from, &events).await;
    say(&mut write, if outcome.is_ok() { &TAKEN } else { &REFUSED }).await?;
    // The reset that follows must not overtake the answer: the stranger closes first, or has said all it may.
    let mut rest = read.take(JOIN_BYTES_MAX as u64);
    let _ = futures::io::copy(&mut rest, &mut futures::io::sink()).await;
    outcome
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

async fn say(to: &mut (impl AsyncWrite + Unpin), word: &[u8]) -> io::Result<()> {
    let mut wire = Vec::new();
    frame::push(&mut wire, word);
    to.write_all(&wire).await?;
    to.flush().await
}

async fn judge(
    stream: &mut (impl AsyncRead + Unpin),
    from: NodeId,
    events: &mpsc::Sender<Event>,
) -> Result<(), JoinError> {
    let mut left = JOIN_BYTES_MAX;
    loop {
        let bytes = frame::read(stream, STATEMENT_BYTES_MAX).await?.ok_or_else(cut)?;
        // An empty one says that it was the last.
        if bytes.is_empty() {
            return Ok(());
        }
        left = left.checked_sub(bytes.len()).ok_or(JoinError::TooLong)?;
        let (verdict, judged) = oneshot::channel();
        let _ = events.send(Event::Statement { from, bytes, verdict }).await;
        match judged.await {
            Ok(Verdict::Accepted) => {}
            Ok(Verdict::Refused) | Err(_) => return Err(JoinError::Refused),
        }
    }
}
