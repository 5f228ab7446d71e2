//! The thread that does the core's storage work.
//!
//! An fsync on an SD card takes tens of milliseconds, and nothing else may wait for it. Work is done in the order
//! given; what queued up meanwhile shares one commit, so a burst of events costs one sync. All of it is
//! `Store::carry_out`, the same code that the simulator runs (`protocol/SPEC.md`, Custody).

use radmesh_protocol::record::{Stored, Work};
use radmesh_store::Store;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self as blocking, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::mpsc;

/// Pieces of work that share one commit at most.
const GROUP_MAX: usize = 256;
/// Bytes that wait to be written at which the network is no longer listened to.
const BACKLOG_BYTES_MAX: usize = 16 * 1024 * 1024;
/// On a full disk records wait in memory: they are tried again this often, as an idle node has no other work.
const FULL_PAUSE: Duration = Duration::from_secs(5);
/// What a piece of work without bytes of its own counts as.
const WORK_BYTES: usize = 1024;

/// The storage thread, from the driver's side.
#[derive(Debug)]
pub(super) struct Disk {
    work: blocking::Sender<Work>,
    answers: mpsc::UnboundedReceiver<Vec<Stored>>,
    backlog: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub(super) fn start(store: Arc<Store>) -> io::Result<Self> {
        let (work, queue) = blocking::channel();
        let (send, answers) = mpsc::unbounded_channel();
        let backlog = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&backlog);
        let thread = thread::Builder::new().name("disk".into()).spawn(move || run(&store, &queue, &send, &left))?;
        Ok(Self { work, answers, backlog, thread })
    }

    /// Queues a piece of work.
    pub(super) fn carry_out(&self, work: Work) {
        self.backlog.fetch_add(bytes(&work), Ordering::Relaxed);
        // A thread that has panicked answers no more, and the driver stops on that.
        let _ = self.work.send(work);
    }

    /// The next answers; `None` when the thread is gone.
    pub(super) async fn answers(&mut self) -> Option<Vec<Stored>> {
        self.answers.recv().await
    }

    /// Whether so much waits that no more should be taken from the network.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) > BACKLOG_BYTES_MAX
    }

    /// Does what is queued, commits it, and ends the thread.
    pub(super) fn stop(self) {
        drop(self.work);
        if self.thread.join().is_err() {
            tracing::error!("the storage thread panicked");
        }
    }
}

fn bytes(work: &Work) -> usize {
    match work {
        Work::Write { bytes, .. } => bytes.len() + WORK_BYTES,
        _ => WORK_BYTES,
    }
}

fn run(
    store: &Store,
    queue: &blocking::Receiver<Work>,
    answers: &mpsc::UnboundedSender<Vec<Stored>>,
    left: &AtomicUsize,
) {
    let mut full = false;
    loop {
        let next = if full { queue.recv_timeout(FULL_PAUSE) } else { queue.recv().map_err(Into::into) };
        let first = match next {
            Ok(work) => Some(work),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let more = std::iter::from_fn(|| queue.try_recv().ok()).take(GROUP_MAX - 1);
        for work in first.into_iter().chain(more) {
            let size = bytes(&work);
            let stored = store.carry_out(work);
            left.fetch_sub(size, Ordering::Relaxed);
            if !stored.is_empty() {
                // A driver that is gone needs no answer; the work is done all the same.
                let _ = answers.send(stored);
            }
        }
        let committed = store.commit();
        full = committed == Some(Stored::Full);
        if let Some(committed) = committed {
            let _ = answers.send(vec![committed]);
        }
    }
}
