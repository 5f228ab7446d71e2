//! One link: what a member's connection carries.
//!
//! Two streams, ctl and bulk, each with messages both ways. A report must not wait behind a CT, so bulk starts no
//! message while a ctl message waits. What the core has queued is bounded in bytes: it holds bulk down by credit, so
//! a queue over its bound is a peer that has stopped reading, and the link is reset.

use super::{Event, frame};
use futures::{AsyncReadExt, AsyncWriteExt, io::BufReader};
use libp2p::{Stream, core::upgrade::NegotiationError};
use radmesh_protocol::{
    id::NodeId,
    limits::{BULK_MESSAGE_BYTES_MAX, CREDIT_BYTES_MAX, CTL_MESSAGE_BYTES_MAX},
    node::{Lane, LinkId},
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::{Notify, mpsc, oneshot};

/// Bytes of ctl messages queued at most.
const CTL_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of bulk messages queued at most: all the credit a peer can give, and room for their heads.
const BULK_QUEUE_BYTES_MAX: usize = CREDIT_BYTES_MAX as usize + 1024 * 1024;
/// Small messages are joined up to this many bytes into one write.
const WRITE_BYTES: usize = 64 * 1024;
/// Bytes read from a stream at once.
const READ_BYTES: usize = 64 * 1024;

/// Why a link ended.
#[derive(Debug)]
pub(super) enum End {
    /// The connection closed, or the node stops.
    Closed,
    /// The peer does not speak to us: its roster does not know us as a member.
    Unrecognized,
    /// A stream failed, or a message broke its limit.
    Broken(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<NegotiationError>());
        match inner {
            Some(NegotiationError::Failed) => Self::Unrecognized,
            _ => Self::Broken(error),
        }
    }
}

/// More is queued than a working peer can leave unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{queued} bytes wait on one lane; at most {limit} may")]
pub(super) struct Overfull {
    queued: usize,
    limit: usize,
}

/// The swarm's end of a link: streams and messages go in.
#[derive(Debug)]
pub(super) struct Outlet {
    ctl: LaneIn,
    bulk: LaneIn,
}

#[derive(Debug)]
struct LaneIn {
    stream: Option<oneshot::Sender<Stream>>,
    messages: mpsc::UnboundedSender<Vec<u8>>,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct LaneOut {
    stream: oneshot::Receiver<Stream>,
    messages: mpsc::UnboundedReceiver<Vec<u8>>,
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: AtomicUsize,
    emptied: Notify,
}

impl Queue {
    fn written(&self, bytes: usize) {
        if self.bytes.fetch_sub(bytes, Ordering::AcqRel) == bytes {
            self.emptied.notify_one();
        }
    }

    async fn wait_until_empty(&self) {
        while self.bytes.load(Ordering::Acquire) > 0 {
            self.emptied.notified().await;
        }
    }
}

fn lane() -> (LaneIn, LaneOut) {
    let (give, stream) = oneshot::channel();
    let (send, messages) = mpsc::unbounded_channel();
    let queue = Arc::new(Queue::default());
    let into = LaneIn { stream: Some(give), messages: send, queue: Arc::clone(&queue) };
    (into, LaneOut { stream, messages, queue })
}

impl Outlet {
    fn lane(&mut self, lane: Lane) -> &mut LaneIn {
        match lane {
            Lane::Ctl => &mut self.ctl,
            Lane::Bulk => &mut self.bulk,
        }
    }

    /// Gives the link its stream of a lane; a second one is dropped, which closes it.
    pub(super) fn give(&mut self, lane: Lane, stream: Stream) {
        if let Some(waiting) = self.lane(lane).stream.take() {
            // The link may have ended in the meantime; then the stream has no use.
            let _ = waiting.send(stream);
        }
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`Overfull`] when the lane's queue is over its bound; the message is dropped.
    pub(super) fn send(&mut self, lane: Lane, message: Vec<u8>) -> Result<(), Overfull> {
        let limit = match lane {
            Lane::Ctl => CTL_QUEUE_BYTES_MAX,
            Lane::Bulk => BULK_QUEUE_BYTES_MAX,
        };
        let into = self.lane(lane);
        let queued = into.queue.bytes.fetch_add(message.len(), Ordering::AcqRel) + message.len();
        if queued > limit {
            return Err(Overfull { queued, limit });
        }
        // A link that has ended takes nothing any more; its LinkDown is on the way.
        let _ = into.messages.send(message);
        Ok(())
    }
}

/// A link's own end, to be [carried](Link::carry) by its task.
#[derive(Debug)]
pub(super) struct Link {
    id: LinkId,
    peer: NodeId,
    ctl: LaneOut,
    bulk: LaneOut,
    events: mpsc::Sender<Event>,
}

impl Link {
    /// A link over a new connection; what it hears goes to `events`.
    pub(super) fn new(id: LinkId, peer: NodeId, events: mpsc::Sender<Event>) -> (Outlet, Self) {
        let (ctl_in, ctl) = lane();
        let (bulk_in, bulk) = lane();
        (Outlet { ctl: ctl_in, bulk: bulk_in }, Self { id, peer, ctl, bulk, events })
    }

    /// Runs the link from its `LinkUp` to its `LinkDown`, which come before and after all of its messages.
    pub(super) async fn carry(self) -> End {
        let Self { id, peer, ctl, bulk, events } = self;
        // A receiver that is gone means that the node stops; there is nobody left to tell.
        let _ = events.send(Event::LinkUp { link: id, peer }).await;
        let ctl_queue = Arc::clone(&ctl.queue);
        let first = Arc::default();
        let end = tokio::select! {
            end = run(id, Lane::Ctl, ctl, &first, &events) => end,
            end = run(id, Lane::Bulk, bulk, &ctl_queue, &events) => end,
        };
        let _ = events.send(Event::LinkDown { link: id }).await;
        end
    }
}

/// Runs one lane until it ends; `before` is the queue that must be empty whenever this lane starts a write.
async fn run(link: LinkId, lane: Lane, out: LaneOut, before: &Queue, events: &mpsc::Sender<Event>) -> End {
    let LaneOut { stream, messages, queue } = out;
    let Ok(stream) = stream.await else { return End::Closed };
    let (from, to) = stream.split();
    tokio::select! {
        end = hear(link, lane, from, events) => end,
        end = say(to, messages, &queue, before) => end,
    }
}

async fn hear(link: LinkId, lane: Lane, from: impl AsyncReadExt + Unpin, events: &mpsc::Sender<Event>) -> End {
    let limit = match lane {
        Lane::Ctl => CTL_MESSAGE_BYTES_MAX,
        Lane::Bulk => BULK_MESSAGE_BYTES_MAX,
    };
    let mut from = BufReader::with_capacity(READ_BYTES, from);
    loop {
        match frame::read(&mut from, limit).await {
            Ok(Some(bytes)) => {
                // Waiting here is what tells the peer to slow down: its stream's window is not renewed.
                if events.send(Event::Message { link, lane, bytes }).await.is_err() {
                    return End::Closed;
                }
            }
            Ok(None) => return End::Closed,
            Err(error) => return error.into(),
        }
    }
}

async fn say(
    mut to: impl AsyncWriteExt + Unpin,
    mut messages: mpsc::UnboundedReceiver<Vec<u8>>,
    queue: &Queue,
    before: &Queue,
) -> End {
    let mut wire = Vec::new();
    while let Some(message) = messages.recv().await {
        before.wait_until_empty().await;
        wire.clear();
        frame::push(&mut wire, &message);
        let mut taken = message.len();
        while wire.len() < WRITE_BYTES
            && let Ok(message) = messages.try_recv()
        {
            frame::push(&mut wire, &message);
            taken += message.len();
        }
        let written = async {
            to.write_all(&wire).await?;
            to.flush().await
        };
        if let Err(error) = written.await {
            return error.into();
        }
        queue.written(taken);
    }
    End::Closed
}
