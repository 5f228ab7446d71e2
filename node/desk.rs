//! The running node's answers to the control socket.
//!
//! Each request is handled on a thread of its own, so that an export or a verify holds up nobody. What a request may
//! say about patients goes to the person at this socket and into no log.

use crate::{
    cli::{ClaimOutcome, CliError, First, VerifyOutcome},
    clock::Clock,
    control::{Reply, Request, SOCKET, Wire},
    keystore::ReadingKeys,
};
use radmesh_hub::{
    Hub, UnlockedKeys,
    export::{ExportError, Form, Outlet},
};
use radmesh_protocol::{
    claim::{self, ClaimState, Transaction},
    id::{CaseId, EventHash, FederationId, Hash, ManifestId, PersonId},
    log::{Scope, Way, body::Body},
    node::{Answer, Command, Node},
    person::Statement,
    report::Report,
    roster::Roster,
    wire,
};
use radmesh_spoke::{SendError, Spoke};
use radmesh_store::Store;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    io,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    sync::{Arc, RwLock},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

/// How long a claim waits for the home hub's answer before it is called tentative.
const CLAIM_PATIENCE: Duration = Duration::from_secs(10);

/// What the control socket can ask.
#[derive(Debug)]
pub(crate) struct Rooms {
    pub(crate) dir: PathBuf,
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) node: Arc<RwLock<Node>>,
    pub(crate) store: Arc<Store>,
    pub(crate) commands: mpsc::Sender<(Command, oneshot::Sender<Answer>)>,
    pub(crate) spoke: Option<Arc<Spoke>>,
    pub(crate) hub: Option<Arc<Hub>>,
}

/// Listens on the node's control socket; each connection gets a thread.
pub(crate) fn listen(rooms: Arc<Rooms>) -> Result<(), CliError> {
    let path = rooms.dir.join(SOCKET);
    // The store's lock says that no other node runs here, so a socket that is there is a dead one's.
    let _ = std::fs::remove_file(&path);
    let bound = UnixListener::bind(&path).and_then(|listener| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map(|()| listener)
    });
    let listener = bound.map_err(crate::cli::at(&path))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let rooms = Arc::clone(&rooms);
            thread::spawn(move || rooms.converse(Wire::new(stream)));
        }
    });
    Ok(())
}

impl Rooms {
    fn converse(&self, mut wire: Wire) {
        let Ok(request) = wire.hear::<Request>() else { return };
        let answer = match self.answer(request, &mut wire) {
            Ok(value) => Reply::Done(value),
            Err(error) => Reply::Refused(error),
        };
        // Who asked may have gone; there is nobody left to tell.
        let _ = wire.say(&answer);
    }

    fn answer(&self, request: Request, wire: &mut Wire) -> Result<Value, CliError> {
        match request {
            Request::Status => self.status(),
            Request::Studies => value(&self.spoke()?.studies()),
            Request::Reports => value(&self.spoke()?.reports()),
            Request::Modalities => value(&self.spoke()?.modalities()),
            Request::Worklist => value(&self.hub()?.worklist()),
            Request::ReportPdf { case } => self.report_pdf(&case, wire),
            Request::AcceptModality { ae_title, address } => {
                let spoke = self.spoke()?;
                value(&spoke.accept(&ae_title, address).map_err(user)?)
            }
            Request::SendFile { name, bytes, priority, indication } => {
                let spoke = self.spoke()?;
                let mut file = wire.file(bytes);
                let outcome = spoke.send_file(&name, &mut file, priority.as_deref(), indication.as_deref());
                // What was not read is still on its way; it must be out of the way before the answer.
                io::copy(&mut file, &mut io::sink()).map_err(|error| CliError::network(error.to_string()))?;
                match outcome {
                    // One file is refused by name and the others go on; all else ends the command.
                    Err(SendError::Refused(why)) => Ok(json!({ "refused": why.to_string() })),
                    outcome => value(&outcome.map_err(user)?),
                }
            }
            Request::CloseStudy { case } => {
                let spoke = self.spoke()?;
                value(&spoke.close(&case).map_err(no_case)?)
            }
            Request::Unlock { passphrase } => {
                let (hub, passphrase) = (self.hub()?, Zeroizing::new(passphrase));
                let ReadingKeys { hub: own, epoch_0 } = ReadingKeys::unlock(&self.dir, &passphrase)?;
                hub.unlock(UnlockedKeys { hub: own, epoch_0 });
                Ok(Value::Null)
            }
            Request::ReadingContext { case } => {
                let hub = self.hub()?;
                let case = hub.find(&case).map_err(no_case)?;
                let context = hub.reading_context(&case).ok_or_else(|| {
                    CliError::user("this case's pool has no key yet, so nothing can be sealed for it").hint(
                        "the ministry admits a key maker: `radmesh federation admit REQUEST --region R --key-maker`",
                    )
                })?;
                value(&context)
            }
            Request::Claim { statement } => value(&self.claim(&statement)?),
            Request::Release { statement } => {
                let statement = self.statement(&statement)?;
                self.append(statement.case(), Body::ClaimReleased(statement)).map(|_| Value::Null)
            }
            Request::Report { statement } => value(&self.report(&statement)?),
            Request::Export { case, verbatim } => self.export(&case, verbatim, wire),
            Request::Manifest { id } => {
                let id: ManifestId = id.parse().map_err(user)?;
                value(&self.read(|node| node.manifest(&id).map(|manifest| manifest.bytes().to_vec())))
            }
            Request::Verify => self.verify(),
            Request::RosterChanged => {
                let roster = crate::cli::roster_of(&self.dir)?;
                let statements = roster.statements_after(&[]).map(<[u8]>::to_vec).collect();
                self.command(Command::Statements(statements)).map(|_| Value::Null)
            }
        }
    }

    fn spoke(&self) -> Result<&Spoke, CliError> {
        self.spoke
            .as_deref()
            .ok_or_else(|| CliError::user("this node is no spoke").hint("name the spoke's directory with --dir"))
    }

    fn hub(&self) -> Result<&Hub, CliError> {
        self.hub
            .as_deref()
            .ok_or_else(|| CliError::user("this node is no hub").hint("name the hub's directory with --dir"))
    }

    fn read<T>(&self, look: impl FnOnce(&Node) -> T) -> T {
        look(&self.node.read().expect("the core does not panic"))
    }

    fn command(&self, command: Command) -> Result<Answer, CliError> {
        let (to, answer) = oneshot::channel();
        let stopping = || CliError::network("the node is stopping");
        self.commands.blocking_send((command, to)).map_err(|_| stopping())?;
        match answer.blocking_recv().map_err(|_| stopping())? {
            Answer::Refused(why) => Err(CliError::user(why)),
            done => Ok(done),
        }
    }

    /// Appends an event about a case in its site's scope.
    fn append(&self, case: CaseId, body: Body) -> Result<EventHash, CliError> {
        let site = self.read(|node| node.worklist().item(&case).map(|item| item.site));
        let site = site.ok_or_else(|| CliError::user("this case is not here"))?;
        match self.command(Command::Append { scope: Scope::Site(site), body: Box::new(body) })? {
            Answer::Appended(event) => Ok(event),
            other => Err(CliError::internal(format!("the core answered an append with {other:?}"))),
        }
    }

    /// A statement that a person signed here, for this federation.
    fn statement(&self, bytes: &[u8]) -> Result<Statement, CliError> {
        let statement: Statement = wire::decode("a signed statement", bytes, radmesh_protocol::limits::EVENT_BYTES_MAX)
            .map_err(|error| CliError::user(error.to_string()))?;
        let federation: FederationId = self.read(|node| node.roster().federation());
        statement.verify(&federation).map_err(|error| CliError::user(error.to_string()))?;
        let member = self.read(|node| node.roster().person(&statement.person()).is_some_and(|p| p.standing.holds()));
        if !member {
            return Err(CliError::user("the roster has no member with this key")
                .hint("the ministry admits the person: `radmesh federation admit P/request.radmesh --region R`"));
        }
        Ok(statement)
    }

    fn claim(&self, bytes: &[u8]) -> Result<ClaimOutcome, CliError> {
        let statement = self.statement(bytes)?;
        let (case, person) = (statement.case(), statement.person());
        let request: claim::Request = wire::decode("a claim request", statement.body(), wire_limit())
            .map_err(|error| CliError::user(error.to_string()))?;
        let event = self.append(case, Body::ClaimRequest(statement))?;
        let from = Instant::now();
        loop {
            if let Some(outcome) = self.read(|node| outcome_of(node, &case, &event)) {
                return Ok(outcome);
            }
            if from.elapsed() > CLAIM_PATIENCE {
                return self
                    .read(|node| unanswered(node, &case, &person, request.transaction))
                    .ok_or_else(|| CliError::internal("the case is no longer listed here"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn report(&self, bytes: &[u8]) -> Result<String, CliError> {
        let statement = self.statement(bytes)?;
        let case = statement.case();
        let _: Report =
            wire::decode("a report", statement.body(), wire_limit()).map_err(|e| CliError::user(e.to_string()))?;
        let event = self.append(case, Body::Report(statement))?;
        let place = self.read(|node| {
            let item = node.worklist().item(&case)?;
            Some(item.reports.get(&event)?.place)
        });
        Ok(place.map_or_else(|| "kept".into(), |place| place.to_string().replace('_', " ")))
    }

    fn report_pdf(&self, case: &str, wire: &mut Wire) -> Result<Value, CliError> {
        let pdf = self.spoke()?.report_pdf(case).map_err(no_case)?;
        let sent = wire.say(&Reply::File { name: pdf.name, bytes: pdf.bytes.len() as u64 });
        sent.and_then(|()| wire.data(&pdf.bytes)).map_err(|error| CliError::network(error.to_string()))?;
        Ok(Value::Null)
    }

    fn export(&self, case: &str, verbatim: bool, wire: &mut Wire) -> Result<Value, CliError> {
        let hub = self.hub()?;
        let case = hub.find(case).map_err(no_case)?;
        let form = if verbatim { Form::Verbatim } else { Form::Safe };
        let bytes = hub.export(&case, form, self.clock.now().wall, &mut ToWire(wire)).map_err(|error| {
            let hint = match &error {
                ExportError::Locked => Some("unlock it with `radmesh unlock`"),
                ExportError::NotClaimed => Some("claim it with `radmesh claim CASE --as P`"),
                ExportError::NotHere { .. } => Some("`radmesh worklist` shows how far they are"),
                ExportError::NoCase | ExportError::Audit(_) | ExportError::Parcel(_) => None,
            };
            let refused = CliError::user(error.to_string());
            hint.map_or(refused.clone(), |hint| refused.hint(hint))
        })?;
        value(&bytes)
    }

    fn verify(&self) -> Result<Value, CliError> {
        let journal = self.store.check_journal();
        match self.command(Command::Verify)? {
            Answer::Verified { parcels, damaged } => value(&VerifyOutcome::of(journal, parcels, &damaged)),
            other => Err(CliError::internal(format!("the core answered a check with {other:?}"))),
        }
    }

    fn status(&self) -> Result<Value, CliError> {
        let mut status = self.read(|node| {
            let roster = node.roster();
            let links = node.links().map(|link| {
                json!({ "peer": roster.node_name(&link.peer), "state": format!("{:?}", link.state), "rtt_ms": link.round_trip.map(|rtt| rtt.0) })
            });
            json!({
                "name": self.name,
                "node": node.id().to_string(),
                "role": roster.node(&node.id()).map(|member| member.role.to_string()),
                "federation": roster.genesis().map(|genesis| genesis.name.clone()),
                "roster_version": roster.version().0,
                "links": links.collect::<Vec<_>>(),
                "cases": node.worklist().items().count(),
                "parcels": node.parcels().count(),
                "events": node.logs().len(),
                "worklist_digest": digest(node),
                "forked_authors": node.logs().forked_authors().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "counters": node.counters(),
                "events_by_way": Way::ALL.map(|way| (way_word(way), json!({
                    "new": node.logs().counters().new_by(way), "known": node.logs().counters().known_by(way),
                }))).into_iter().collect::<serde_json::Map<_, _>>(),
            })
        });
        if let Some(spoke) = &self.spoke {
            status["spoke"] = value(&spoke.status())?;
        }
        if let Some(hub) = &self.hub {
            status["hub"] = json!({ "unlocked": hub.is_unlocked() });
        }
        Ok(status)
    }
}

/// How the home hub has answered a request, if it has.
fn outcome_of(node: &Node, case: &CaseId, event: &EventHash) -> Option<ClaimOutcome> {
    let (item, roster) = (node.worklist().item(case)?, node.roster());
    let request = item.requests.get(event)?;
    match &request.answer {
        claim::Answer::Waiting => None,
        claim::Answer::Granted { token, ttl } => Some(match item.claim {
            ClaimState::Granted { token: latest, .. } if latest != *token => over(ttl.0),
            ClaimState::Free | ClaimState::Tentative { .. } => over(ttl.0),
            ClaimState::Granted { .. } | ClaimState::Completed { .. } => ClaimOutcome::Granted {
                holder: roster.person_name(&request.claimant),
                lease_s: ttl.0.div_ceil(1000),
                counter: token.counter,
            },
        }),
        claim::Answer::Refused(reason) => Some(refused(roster, reason)),
    }
}

/// The link was slower than the lease.
fn over(ttl_ms: u64) -> ClaimOutcome {
    let seconds = ttl_ms.div_ceil(1000);
    let reason = format!("granted, but the lease of {seconds} seconds was over before the home hub's answer came");
    ClaimOutcome::Refused { reason, next: "claim it again".into() }
}

/// What is known here of a claim that the home hub has not answered.
fn unanswered(node: &Node, case: &CaseId, person: &PersonId, asked: Transaction) -> Option<ClaimOutcome> {
    let (item, roster) = (node.worklist().item(case)?, node.roster());
    let home = roster.home_hub(&item.site)?;
    let (first, holder) = match item.claim {
        ClaimState::Tentative { claimant, transaction, .. } if transaction != asked => (First::AnotherAsked, claimant),
        ClaimState::Granted { claimant, transaction, .. } if transaction != asked => (First::AnotherHolds, claimant),
        _ => (First::You, *person),
    };
    let (home_hub, holder) = (roster.node_name(&home), roster.person_name(&holder));
    Some(ClaimOutcome::Tentative { home_hub, holder, first })
}

fn refused(roster: &Roster, reason: &claim::Reason) -> ClaimOutcome {
    let (reason, next) = match reason {
        claim::Reason::Held { holder, left, .. } => {
            let (holder, left) = (roster.person_name(holder), crate::cli::seconds(left.0.div_ceil(1000)));
            (
                format!("{holder} holds this case for at most {left} more, unless renewed"),
                "take another case from `radmesh worklist`, or claim this one again then",
            )
        }
        claim::Reason::Completed { .. } => {
            (reason.to_string(), "`radmesh report --status addendum` adds to the final report")
        }
        claim::Reason::Released => (reason.to_string(), "claim it again"),
        claim::Reason::NotAReader => {
            (reason.to_string(), "the ministry admits radiologists: `radmesh federation admit`")
        }
    };
    ClaimOutcome::Refused { reason, next: next.into() }
}

struct ToWire<'a>(&'a mut Wire);

impl Outlet for ToWire<'_> {
    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.say(&Reply::File { name: name.to_owned(), bytes: bytes.len() as u64 })?;
        self.0.data(bytes)
    }
}

fn wire_limit() -> usize {
    radmesh_protocol::limits::EVENT_BYTES_MAX
}

fn value<T: Serialize>(of: &T) -> Result<Value, CliError> {
    serde_json::to_value(of).map_err(|error| CliError::internal(error.to_string()))
}

fn user(error: impl std::fmt::Display) -> CliError {
    CliError::user(error.to_string())
}

fn no_case(error: impl std::fmt::Display) -> CliError {
    user(error).hint("`radmesh worklist` at a hub and `radmesh studies` at a spoke list the cases")
}

/// Equal on two nodes that fold the same events to the same items.
fn digest(node: &Node) -> String {
    let items: Vec<_> = node.worklist().items().collect();
    Hash::of(format!("{items:?}").as_bytes()).to_string()
}

/// The way an event came, as `status` names it.
fn way_word(way: Way) -> String {
    match way {
        Way::Own => "own",
        Way::Journal => "journal",
        Way::Pushed => "pushed",
        Way::Gossiped => "gossiped",
        Way::Synced => "synced",
    }
    .to_owned()
}
