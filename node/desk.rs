//! The desk: where the running node answers the commands of people on its own machine.
//!
//! Each request is answered on a thread of its own, so that an export or a verify holds up nobody. What an answer may
//! say about patients goes to the person at this socket and into no log. The core is never held while something is
//! computed or waited for: its driver, and with it every link, would wait too.

mod checking;
mod claiming;
mod retention;
mod socket;
mod status;

use crate::{
    cli::CliError,
    clock::Clock,
    control::{Reply, Request, Wire},
    keystore::ReadingKeys,
};
use radmesh_hub::{
    Hub, UnlockedKeys,
    export::{ExportError, Form, Outlet},
};
use radmesh_protocol::{
    id::{CaseId, EventHash, FederationId, ManifestId},
    limits::EVENT_BYTES_MAX,
    log::{Scope, body::Body},
    node::{Answer, Command, Node, Notice},
    person::Statement,
    report::Report,
    wire,
};
use radmesh_spoke::{SendError, Spoke};
use radmesh_store::Store;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    io,
    path::PathBuf,
    sync::{Arc, RwLock},
};
use tokio::{
    net::UnixListener,
    runtime,
    sync::{broadcast, mpsc, oneshot},
};

/// What the answers are made from.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) dir: PathBuf,
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) node: Arc<RwLock<Node>>,
    pub(crate) store: Arc<Store>,
    pub(crate) commands: mpsc::Sender<(Command, oneshot::Sender<Answer>)>,
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) runtime: runtime::Handle,
    pub(crate) spoke: Option<Arc<Spoke>>,
    pub(crate) hub: Option<Arc<Hub>>,
}

impl Desk {
    /// Opens the node's control socket.
    pub(crate) fn open(&self) -> Result<UnixListener, CliError> {
        socket::bind(&self.dir)
    }

    /// Answers whoever comes.
    pub(crate) async fn attend(self, listener: UnixListener) -> Infallible {
        socket::serve(listener, move |stream| self.converse(Wire::new(stream))).await
    }

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
                value(&spoke.accept(&ae_title, address).map_err(refused)?)
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
                    outcome => value(&outcome.map_err(refused)?),
                }
            }
            Request::CloseStudy { case } => {
                let spoke = self.spoke()?;
                value(&spoke.close(&case).map_err(no_case)?)
            }
            Request::Unlock { passphrase } => {
                let hub = self.hub()?;
                let ReadingKeys { hub: own, epoch_0 } = ReadingKeys::unlock(&self.dir, passphrase.reveal())?;
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
                let id: ManifestId = id.parse().map_err(refused)?;
                value(&self.read(|node| node.manifest(&id).map(|manifest| manifest.bytes().to_vec())))
            }
            Request::Verify => self.verify(),
            Request::Missing => self.missing(),
            Request::Retention => self.retention(),
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
        let statement: Statement = wire::decode("a signed statement", bytes, EVENT_BYTES_MAX).map_err(refused)?;
        let federation: FederationId = self.read(|node| node.roster().federation());
        statement.verify(&federation).map_err(refused)?;
        let member = self.read(|node| node.roster().person(&statement.person()).is_some_and(|p| p.standing.holds()));
        if !member {
            return Err(CliError::user("the roster has no member with this key")
                .hint("the ministry admits the person: `radmesh federation admit P/request.radmesh --region R`"));
        }
        Ok(statement)
    }

    fn report(&self, bytes: &[u8]) -> Result<String, CliError> {
        let statement = self.statement(bytes)?;
        let case = statement.case();
        let _: Report = wire::decode("a report", statement.body(), EVENT_BYTES_MAX).map_err(refused)?;
        let event = self.append(case, Body::Report(statement))?;
        let place = self.read(|node| Some(node.worklist().item(&case)?.reports.get(&event)?.place));
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
        let instances = self.read(|node| {
            let item = node.worklist().item(&case)?;
            Some(item.parcels.values().map(|parcel| u64::from(parcel.instances)).sum())
        });
        let mut outlet = ToWire { wire, done: 0, total: instances.unwrap_or(0) };
        let bytes = hub.export(&case, form, self.clock.now().wall, &mut outlet).map_err(|error| {
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
}

/// Gives an export's files to whoever asked, and says how far it has come.
struct ToWire<'a> {
    wire: &'a mut Wire,
    done: u64,
    total: u64,
}

impl Outlet for ToWire<'_> {
    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.wire.say(&Reply::File { name: name.to_owned(), bytes: bytes.len() as u64 })?;
        self.wire.data(bytes)?;
        self.done += 1;
        self.wire.say(&Reply::Progress { done: self.done, total: self.total })
    }
}

fn value<T: Serialize>(of: &T) -> Result<Value, CliError> {
    serde_json::to_value(of).map_err(|error| CliError::internal(error.to_string()))
}

/// What the person at the keyboard can mend.
fn refused(error: impl std::fmt::Display) -> CliError {
    CliError::user(error.to_string())
}

fn no_case(error: impl std::fmt::Display) -> CliError {
    refused(error).hint("`radmesh worklist` at a hub and `radmesh studies` at a spoke list the cases")
}
