//! The core as the hub's rooms see it: folds to read, commands to give.

use radmesh_protocol::node::{Answer, Command, Node};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use tokio::sync::{mpsc, oneshot};

/// Reads the core's folds and gives it commands.
#[derive(Debug, Clone)]
pub struct Core {
    node: Arc<RwLock<Node>>,
    commands: mpsc::Sender<(Command, oneshot::Sender<Answer>)>,
}

/// A command that was not carried out, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Core {
    /// Over the driver's own node and command queue.
    #[must_use]
    pub const fn new(node: Arc<RwLock<Node>>, commands: mpsc::Sender<(Command, oneshot::Sender<Answer>)>) -> Self {
        Self { node, commands }
    }

    /// The folds, as of now. Held shortly: the driver waits.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Node> {
        self.node.read().expect("the core does not panic")
    }

    /// Gives a command and waits until what it wrote is on disk. Blocks: never on the runtime's own threads.
    ///
    /// # Errors
    /// [`Refused`] in the core's words, or because the node is stopping.
    pub fn command(&self, command: Command) -> Result<Answer, Refused> {
        let (to, answer) = oneshot::channel();
        let stopping = || Refused("the node is stopping".into());
        self.commands.blocking_send((command, to)).map_err(|_| stopping())?;
        match answer.blocking_recv().map_err(|_| stopping())? {
            Answer::Refused(why) => Err(Refused(why)),
            done => Ok(done),
        }
    }
}
