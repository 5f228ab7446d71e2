//! The spoke: a clinic's end of the network, from the modality to the outbox, and what comes back.
//!
//! It works with the cable out and after a power cut without a person: what a modality was told is stored is stored,
//! and is sealed and sent when there is a way. Each module is one step with one type in and one out (`docs/ARCHITECTURE.md`,
//! The path of a Study): [`intake`], [`staging`], pack, outbox, [`clinic`]; [`Spoke`] puts them together and is all
//! that the node sees. Nothing here opens a link or a file by itself: bytes go through the store, words through the core.

mod chance;
pub mod clinic;
pub mod intake;
mod ledger;
pub mod listing;
pub mod modality;
mod order;
mod outbox;
mod pack;
mod rooms;
mod sealed_file;
mod site;
pub mod staging;

pub use chance::Chance;
pub use ledger::{AcceptError, OpenError, Word};
pub use pack::{Destination, HeldBack};
pub use rooms::{Latest, RoomsError};

use clinic::{Clinic, NoSheet, returned};
use intake::{Intake, Refused};
use ledger::Ledger;
use listing::{ReportLine, ReportPdf, SentFile, SpokeStatus, StudyLine, case_short};
use modality::{Modality, ModalityLine};
use outbox::Away;
use pack::StepError;
use radmesh_dimse::{
    AeTitle, AeTitleError,
    server::{self, CalledAe, serve},
    sop_class::SopClasses,
};
use radmesh_protocol::{
    class::Class,
    envelope::{at_rest::AtRestKey, reading::ReadingKey, sign::SigningKey},
    id::{CaseId, FederationId, NodeId},
    limits::INDICATION_CHARS_MAX,
    log::{
        Scope,
        body::{Body, ReportDelivered},
    },
    node::{Answer, Command, Node, Notice},
    phi::Phi,
    time::{Millis, Now},
    worklist::item::CustodyState,
};
use radmesh_store::Store;
use rooms::Rooms;
use site::Site;
use staging::{Novelty, Rules, StudyRecord, Wholeness};
use std::{
    collections::BTreeMap,
    fmt, future,
    io::Read,
    net::IpAddr,
    sync::{Arc, RwLock, RwLockReadGuard},
};
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc, oneshot},
};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// How the core is told what to do.
pub type Commands = mpsc::Sender<(Command, oneshot::Sender<Answer>)>;

/// The spoke's section of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's AE title; empty = it answers to any.
    pub ae_title: String,
    /// Without a new Instance for so long, a Study is complete.
    pub quiet: Millis,
    /// Takes storage SOP Classes that are not in the conformance statement.
    pub unknown_sop_classes: bool,
    /// AE title and address of modalities that may send.
    pub modalities: Vec<(String, IpAddr)>,
}

/// What a spoke is put together from.
pub struct Parts {
    /// This node.
    pub me: NodeId,
    /// Its federation.
    pub federation: FederationId,
    /// Signs manifests.
    pub signer: SigningKey,
    /// Opens the reports that are sealed to this node.
    pub reading: ReadingKey,
    /// Seals what lies on the disk.
    pub at_rest: AtRestKey,
    /// The disk.
    pub store: Arc<Store>,
    /// Rooms' records of the journal.
    pub latest: Latest,
    /// The core, for reading.
    pub node: Arc<RwLock<Node>>,
    /// The core, for telling.
    pub commands: Commands,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub chance: Chance,
    /// The configuration.
    pub settings: Settings,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("me", &self.me).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A spoke that can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal or the disk.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The configuration.
    #[error("ae_title: {0}")]
    AeTitle(#[from] AeTitleError),
}

/// A file that was not taken in, in words for the person who handed it in.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The file.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The priority.
    #[error("priority {word:?}: it is stat, urgent or routine")]
    Priority {
        /// As given.
        word: String,
    },
    /// The clinical question.
    #[error("the indication has {chars} characters; at most {INDICATION_CHARS_MAX} are allowed")]
    Indication {
        /// As given.
        chars: usize,
    },
}

/// A case that was asked for by the beginning of its id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// None.
    #[error("no case begins with {text:?}")]
    None {
        /// As given.
        text: String,
    },
    /// More than one.
    #[error("{found} cases begin with {text:?}: give more of the id")]
    Several {
        /// As given.
        text: String,
        /// How many.
        found: usize,
    },
}

/// A report that could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// Which case?
    #[error(transparent)]
    Find(#[from] FindError),
    /// No sheet.
    #[error(transparent)]
    NoSheet(#[from] NoSheet),
}

/// What the modules share.
#[derive(Debug)]
pub(crate) struct Core {
    me: NodeId,
    pub(crate) federation: FederationId,
    signer: Arc<SigningKey>,
    reading: ReadingKey,
    node: Arc<RwLock<Node>>,
    commands: Commands,
    clock: ClockFace,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) site: Site,
    clinic: Clinic,
}

/// The running spoke. Its methods may block on the disk: call them from a thread that may.
#[derive(Debug)]
pub struct Spoke {
    core: Arc<Core>,
    intake: Intake,
    server: server::Config,
}

struct ClockFace(Clock);

impl fmt::Debug for ClockFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl Spoke {
    /// Builds the spoke from the journal. Blocks on the disk.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn open(parts: Parts) -> Result<Self, StartError> {
        let Parts { me, federation, signer, reading, at_rest, store, latest, node, commands, clock, chance, settings } =
            parts;
        let mut server = server::Config::new(AeTitle::parse(if settings.ae_title.is_empty() {
            "RADMESH"
        } else {
            &settings.ae_title
        })?);
        if settings.ae_title.is_empty() {
            server.called = CalledAe::Any;
        }
        if settings.unknown_sop_classes {
            server.sop_classes = SopClasses::AnyStorage;
        }
        let rooms = Rooms { store, at_rest, chance };
        let site = Site::open(&rooms, &latest)?;
        let clinic = Clinic::open(rooms.clone(), &latest).map_err(OpenError::from)?;
        let configured = settings.modalities.into_iter().map(|(ae_title, address)| Modality { ae_title, address });
        let rules = Rules::quiet(settings.quiet);
        let ledger = Ledger::open(rooms, &latest, site.secret.clone(), rules, configured, clock().mono)?;
        let ledger = Arc::new(ledger);
        let intake = Intake::new(Arc::clone(&ledger), Arc::clone(&clock));
        let (signer, clock) = (Arc::new(signer), ClockFace(clock));
        let core = Core { me, federation, signer, reading, node, commands, clock, ledger, site, clinic };
        Ok(Self { core: Arc::new(core), intake, server })
    }

    /// Receives, packs and takes reports back until dropped; what was promised by then is on disk.
    pub async fn run(&self, dicom: TcpListener, mut notices: broadcast::Receiver<Notice>) {
        let serving = serve(dicom, self.server.clone(), Arc::new(self.intake.clone()), future::pending());
        let returning = async {
            loop {
                if let Err(error) = take_back(&self.core).await {
                    tracing::warn!(%error, "a report could not be kept; it is tried again at the next notice");
                }
                match notices.recv().await {
                    Err(broadcast::error::RecvError::Closed) => return future::pending().await,
                    Ok(Notice::Roster | Notice::PoolKey) => self.core.ledger.bell.notify_one(),
                    // A lagging receiver missed some: looking at the whole worklist is what it does anyway.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                }
            }
        };
        tokio::join!(serving, pack::run(Arc::clone(&self.core)), returning);
    }

    /// Takes in one file that a person hands in, streamed. Its name is for that person alone.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send_file(
        &self,
        _name: &str,
        file: impl Read,
        priority: Option<&str>,
        indication: Option<&str>,
    ) -> Result<SentFile, SendError> {
        let word =
            Word { class: priority.map(class_of).transpose()?, indication: indication.map(question).transpose()? };
        let taken = self.intake.file(file, &word)?;
        Ok(SentFile {
            case: taken.case.to_string(),
            novelty: match taken.novelty {
                Novelty::New => "new",
                Novelty::OtherForm => "other_form",
                Novelty::Conflicting => "conflicting",
                Novelty::Duplicate => "duplicate",
            },
            damaged: taken.wholeness == Wholeness::Damaged,
            bytes: taken.bytes,
        })
    }

    /// What the clinic holds and how far each Study is, the most urgent that waits first.
    #[must_use]
    pub fn studies(&self) -> Vec<StudyLine> {
        outbox::studies(&self.core.ledger, &self.core.me, &self.core.away())
    }

    /// Who sends, and who waits.
    #[must_use]
    pub fn modalities(&self) -> Vec<ModalityLine> {
        self.core.ledger.modalities()
    }

    /// Accepts a sender; gives the Instances that left quarantine.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub fn accept(&self, ae_title: &str, address: impl Into<Option<IpAddr>>) -> Result<u64, AcceptError> {
        self.core.ledger.accept(ae_title, address.into(), self.core.now().mono)
    }

    /// A person says that a Study is complete. `case` is its id or the beginning of it.
    ///
    /// # Errors
    /// [`FindError`].
    pub fn close(&self, case: &str) -> Result<(), FindError> {
        let case = self.find(case)?;
        self.core.ledger.close(&case).map_err(|none| FindError::None { text: none.case })
    }

    /// The case whose id, or short form, begins so.
    ///
    /// # Errors
    /// [`FindError`].
    pub fn find(&self, text: &str) -> Result<CaseId, FindError> {
        let wanted = text.replace('-', "").to_ascii_lowercase();
        let ids = self.core.ledger.each_case(|case| case.id);
        let mut found: Vec<CaseId> = ids.into_iter().filter(|id| id.to_string().starts_with(&wanted)).collect();
        match (found.pop(), found.len()) {
            (Some(id), 0) if !wanted.is_empty() => Ok(id),
            (None, _) => Err(FindError::None { text: text.to_owned() }),
            (Some(_), others) => Err(FindError::Several { text: text.to_owned(), found: others + 1 }),
        }
    }

    /// Every report that came back, those of one case together, the newest word of each first.
    #[must_use]
    pub fn reports(&self) -> Vec<ReportLine> {
        let node = self.core.read();
        let ours = node.worklist().items().filter(|item| item.site == self.core.me);
        ours.flat_map(|item| self.core.clinic.lines(item, self.core.study(&item.case).as_ref())).collect()
    }

    /// The newest report of a case as a sheet of paper.
    ///
    /// # Errors
    /// [`PrintError`].
    pub fn report_pdf(&self, case: &str) -> Result<ReportPdf, PrintError> {
        let case = self.find(case)?;
        let sheet = {
            let node = self.core.read();
            let item = node.worklist().item(&case).ok_or(NoSheet::NoReport { case })?;
            let facility = node.roster().node(&self.core.me).map_or_else(String::new, |member| member.name.clone());
            self.core.clinic.sheet(facility, item, self.core.study(&case).as_ref(), None, self.core.now().wall)?
        };
        let bytes = sheet.pdf().map_err(NoSheet::from)?;
        Ok(ReportPdf { name: format!("report-{}.pdf", case_short(&case)), bytes })
    }

    /// How the spoke does.
    #[must_use]
    pub fn status(&self) -> SpokeStatus {
        let (ledger, away) = (&self.core.ledger, self.core.away());
        let studies = outbox::studies(ledger, &self.core.me, &away);
        let waiting = || studies.iter().filter(|study| !study.delivered);
        let tally = ledger.tally();
        let sent = |case: &CaseId| away.get(case).is_some_and(|away| away.custody != CustodyState::Sending);
        let parcels = ledger.each_case(|case| if sent(&case.id) { 0 } else { case.parts.len() });
        let staged = ledger.each_case(|case| case.staged.len());
        SpokeStatus {
            held_back: self.core.destination().err().map(|held| held.to_string()),
            cases: studies.len(),
            staged_instances: staged.into_iter().sum(),
            staged_bytes: studies.iter().map(|study| study.staged_bytes).sum(),
            quarantined_bytes: ledger.quarantined_bytes(),
            parcels_waiting: parcels.into_iter().sum(),
            bytes_waiting: waiting().map(|study| study.sealed_bytes - study.delivered_bytes).sum(),
            oldest_waiting_ms: waiting().map(|study| study.received_ms).min(),
            received: tally.received,
            refused: tally.refused,
            duplicates: tally.duplicates,
        }
    }
}

impl Core {
    pub(crate) fn now(&self) -> Now {
        (self.clock.0)()
    }

    fn read(&self) -> RwLockReadGuard<'_, Node> {
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
        }
    }

    fn study(&self, case: &CaseId) -> Option<StudyRecord> {
        self.ledger.with_case(case, |case| case.record.clone())
    }

    /// What others hold of this site's cases.
    fn away(&self) -> BTreeMap<CaseId, Away> {
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

/// Opens and keeps the reports that came, and says that they arrived.
async fn take_back(core: &Arc<Core>) -> Result<(), StepError> {
    pack::blocking(core, |core| -> Result<(), radmesh_store::WriteError> {
        let came: Vec<_> = {
            let node = core.read();
            let ours = node.worklist().items().filter(|item| item.site == core.me);
            let new = ours.flat_map(|item| item.reports.keys()).filter(|event| !core.clinic.holds(event));
            new.filter_map(|hash| node.logs().event(hash).cloned()).collect()
        };
        for event in came {
            match returned::open(&event, &core.federation, &core.reading) {
                Ok(report) => {
                    tracing::info!(case = ?report.case, status = %report.status, "report arrived");
                    core.clinic.keep(report)?;
                }
                Err(error) => tracing::warn!(event = ?event.hash(), %error, "a report can't be read here"),
            }
        }
        Ok(())
    })
    .await?;
    for report in core.clinic.undelivered() {
        core.append(Body::ReportDelivered(ReportDelivered { case: report.case, report: report.event })).await?;
        pack::blocking(core, move |core| core.clinic.keep(clinic::KeptReport { delivered: true, ..report })).await?;
    }
    Ok(())
}

fn class_of(word: &str) -> Result<Class, SendError> {
    match word {
        "stat" => Ok(Class::Stat),
        "urgent" => Ok(Class::Urgent),
        "routine" => Ok(Class::Routine),
        _ => Err(SendError::Priority { word: word.to_owned() }),
    }
}

fn question(text: &str) -> Result<Phi<String>, SendError> {
    let chars = text.chars().count();
    if chars > INDICATION_CHARS_MAX { Err(SendError::Indication { chars }) } else { Ok(Phi::new(text.to_owned())) }
}
