//! The join stream: the one thing a stranger may speak.
//!
//! A spoke may be admitted after a hub last saw the ministry. It brings the roster's statements itself: each at most
//! `STATEMENT_BYTES_MAX`, together at most `JOIN_BYTES_MAX`, each judged before the next is read, and the first bad
//! one ends it. Who is a member afterwards connects again (`protocol/SPEC.md`, Roster).

use super::{Event, Verdict, frame};
use futures::{AsyncReadExt, AsyncWriteExt, io::BufReader};
use libp2p::Stream;
use radmesh_protocol::{
    id::NodeId,
    limits::{JOIN_BYTES_MAX, STATEMENT_BYTES_MAX},
};
use std::{io, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// A join takes at most this long: 256 KiB at 64 kbit/s is 33 s.
const JOIN_TIMEOUT: Duration = Duration::from_secs(180);

/// Why a join ended before its last statement.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    #[error("the stream failed: {0}")]
    Stream(#[from] io::Error),
    #[error("a statement was refused")]
    Refused,
    #[error("over {JOIN_BYTES_MAX} bytes of roster were brought")]
    TooLong,
    #[error("it took over 3 minutes")]
    TooSlow,
}

/// Brings our roster to a peer that does not know us, and waits until it has closed: only its answer counts.
pub(super) async fn bring(mut stream: Stream, statements: Vec<Vec<u8>>) -> Result<(), JoinError> {
    let all = async {
        for statement in statements {
            let mut wire = Vec::with_capacity(statement.len() + 4);
            frame::push(&mut wire, &statement);
            stream.write_all(&wire).await?;
        }
        stream.close().await?;
        let mut rest = Vec::new();
        // The peer says nothing; whatever ends the stream is its word that it is done.
        let _ = (&mut stream).take(1).read_to_end(&mut rest).await;
        Ok(())
    };
    timeout(JOIN_TIMEOUT, all).await.unwrap_or(Err(JoinError::TooSlow))
}

/// Takes a stranger's statements, one at a time.
pub(super) async fn receive(stream: Stream, from: NodeId, events: mpsc::Sender<Event>) -> Result<(), JoinError> {
    let all = async {
        let mut stream = BufReader::new(stream);
        let mut left = JOIN_BYTES_MAX;
        while let Some(bytes) = frame::read(&mut stream, STATEMENT_BYTES_MAX).await? {
            left = left.checked_sub(bytes.len()).ok_or(JoinError::TooLong)?;
            let (verdict, judged) = oneshot::channel();
            // A driver that is gone judges nothing.
            let _ = events.send(Event::Statement { from, bytes, verdict }).await;
            match judged.await {
                Ok(Verdict::Accepted) => {}
                Ok(Verdict::Refused) | Err(_) => return Err(JoinError::Refused),
            }
        }
        Ok(())
    };
    timeout(JOIN_TIMEOUT, all).await.unwrap_or(Err(JoinError::TooSlow))
}
