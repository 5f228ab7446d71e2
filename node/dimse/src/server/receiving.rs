//! One object on its way into a sink.
//!
//! Disks stall, above all cheap ones with a modality writing to them, and the network's threads must not stall with
//! them. So each object's [`Sink`] lives on a blocking thread of its own, fed through a queue of two pieces: a slow
//! disk slows its sender by TCP, and nobody else. The rule: only [`Receiving::finish`] makes the sink finish; in
//! every other way that this value ends, the sink is dropped and the object with it.

use super::{Incoming, Intake, Sink};
use crate::StoreStatus;
use std::sync::Arc;
use tokio::{sync::mpsc, task::JoinHandle};

/// Pieces between the network and the disk: one is being written, one waits.
const PIECES_MAX: usize = 2;

enum Piece {
    Bytes(Vec<u8>),
    End,
}

#[derive(Debug)]
pub(super) struct Receiving {
    pieces: mpsc::Sender<Piece>,
    outcome: JoinHandle<StoreStatus>,
}

impl Receiving {
    pub(super) fn begin<I: Intake>(intake: Arc<I>, incoming: Incoming) -> Self {
        let (pieces, queue) = mpsc::channel(PIECES_MAX);
        let outcome = tokio::task::spawn_blocking(move || sink(&*intake, incoming, queue));
        Self { pieces, outcome }
    }

    /// Hands on the next bytes. A sink that has given up hears no more of them; [`Self::finish`] says why.
    pub(super) async fn write(&self, bytes: Vec<u8>) {
        // An error means that the sink has returned its status already.
        let _ = self.pieces.send(Piece::Bytes(bytes)).await;
    }

    /// The object is whole: waits until the sink has it on disk.
    pub(super) async fn finish(self) -> StoreStatus {
        // As above.
        let _ = self.pieces.send(Piece::End).await;
        self.outcome.await.unwrap_or_else(|_| {
            tracing::error!("the sink of an object panicked");
            StoreStatus::OutOfResources
        })
    }
}

fn sink<I: Intake>(intake: &I, incoming: Incoming, mut queue: mpsc::Receiver<Piece>) -> StoreStatus {
    let mut sink = match intake.begin(incoming) {
        Ok(sink) => sink,
        Err(status) => return status,
    };
    while let Some(piece) = queue.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => match sink.write(&bytes) {
                Ok(()) => {}
                Err(status) => return status,
            },
            Piece::End => return sink.finish(),
        }
    }
    // The peer vanished, or the object was cut off: nobody is left to hear this.
    StoreStatus::OutOfResources
}
