//! The ground that the steps stand on: this node's keys and lists, the core, and the time.
//!
//! The core is asked and told here and nowhere else, so every step has its answer only once the word is on disk.

use crate::{
    Clock, Commands,
    clinic::Clinic,
    ledger::Ledger,
    outbox::Away,
    pack::{self, Destination, HeldBack, Pressure, StepError},
    site::Site,
    staging::{Case, StudyRecord},
};
use radmesh_protocol::{
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{CaseId, FederationId, NodeId},
    log::{Scope, body::Body},
    node::{Answer, Command, LinkState, Node},
    time::Now,
};
use radmesh_worker::Workers;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, RwLock, RwLockReadGuard},
};
use tokio::sync::oneshot;

/// What the modules share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) me: NodeId,
    pub(crate) federation: FederationId,
    pub(crate) signer: Arc<SigningKey>,
    pub(crate) reading: ReadingKey,
    pub(crate) node: Arc<RwLock<Node>>,
    pub(crate) commands: Commands,
    pub(crate) clock: ClockFace,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) site: Site,
    pub(crate) clinic: Clinic,
    pub(crate) workers: Arc<Workers>,
}

pub(crate) struct ClockFace(pub(crate) Clock);

impl fmt::Debug for ClockFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl Core {
    pub(crate) fn now(&self) -> Now {
        (self.clock.0)()
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Node> {
        self.node.read().expect("the core does not panic")
    }

    /// Where parts go today.
    pub(crate) fn destination(&self) -> Result<Destination, HeldBack> {
        let node = self.read();
        pack::destination(node.roster(), node.logs().events(Scope::Federation), &self.me)
    }

    pub(crate) fn sealing(&self, destination: Destination) -> pack::Sealing {
        pack::Sealing {
            store: Arc::clone(&self.ledger.rooms.store),
            chance: self.ledger.rooms.chance.clone(),
            signer: Arc::clone(&self.signer),
            federation: self.federation,
            destination,
            workers: Arc::clone(&self.workers),
            profile: self.pressure().choose().profile,
        }
    }

    /// What the coder's profile depends on, as it is now.
    pub(crate) fn pressure(&self) -> Pressure {
        let link = {
            let node = self.read();
            let open = node.links().filter(|link| link.state == LinkState::Open);
            open.map(|link| link.bytes_per_second).max().filter(|rate| *rate > 0)
        };
        let staged = self.ledger.each_case(Case::staged_bytes).into_iter().sum();
        Pressure { link, staged, seats: self.workers.seats() }
    }

    pub(crate) fn study(&self, case: &CaseId) -> Option<StudyRecord> {
        self.ledger.with_case(case, |case| case.record.clone())
    }

    /// What others hold of this site's cases.
    pub(crate) fn away(&self) -> BTreeMap<CaseId, Away> {
        let node = self.read();
        let ours = node.worklist().items().filter(|item| item.site == self.me);
        ours.map(|item| (item.case, Away::of(item, |manifest| node.acknowledged(manifest)))).collect()
    }

    /// Tells the core something and waits until it is on disk.
    pub(crate) async fn ask(&self, command: Command) -> Result<Answer, StepError> {
        let (to, answer) = oneshot::channel();
        self.commands.send((command, to)).await.map_err(|_| StepError::Stopping)?;
        match answer.await.map_err(|_| StepError::Stopping)? {
            Answer::Refused(why) => Err(StepError::Refused(why)),
            done => Ok(done),
        }
    }

    /// Appends an event to this site's log.
    pub(crate) async fn append(&self, body: Body) -> Result<(), StepError> {
        self.ask(Command::Append { scope: Scope::Site(self.me), body: Box::new(body) }).await.map(drop)
    }
}
