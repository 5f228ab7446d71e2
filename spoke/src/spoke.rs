//! One spoke, put together and running: all that the node, and the people at it, see of this crate.

use crate::{
    Core, FindError, OpenError, Parts, PrintError, SendError, Settings, StagedCheck, StartError, Word, check,
    clinic::{Clinic, NoSheet, homecoming},
    find,
    ground::ClockFace,
    held::Held,
    intake::Intake,
    ledger::{AcceptError, Founding, Ledger},
    listing::{ReportLine, ReportPdf, SentFile, SpokeStatus, StudyLine, case_short},
    modality::ModalityLine,
    outbox, pack, quarantine,
    rooms::Rooms,
    site::Site,
    staging::{Novelty, Rules, Wholeness},
};
use radmesh_dimse::server::{self, serve};
use radmesh_protocol::{id::CaseId, node::Notice, worklist::item::CustodyState};
use radmesh_store::WriteError;
use std::{future, io::Read, net::IpAddr, sync::Arc};
use tokio::{net::TcpListener, sync::broadcast, task::JoinSet};

/// A task of the spoke came to its end: the others were stopped, because a spoke that does half its work looks whole.
#[derive(Debug, thiserror::Error)]
#[error("the spoke's {task} ended: {why}")]
pub struct Ended {
    task: &'static str,
    why: String,
}

/// The running spoke. Its methods may block on the disk: call them from a thread that may.
#[derive(Debug)]
pub struct Spoke {
    core: Arc<Core>,
    intake: Intake,
    server: server::Config,
}

impl Spoke {
    /// Builds the spoke from the journal. Blocks on the disk.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn open(parts: Parts) -> Result<Self, StartError> {
        let Parts { me, federation, signer, reading, at_rest, store, latest, node, .. } = parts;
        let Parts { commands, clock, chance, workers, settings, .. } = parts;
        let Settings { ae_title, quiet, sop_classes, modalities, sender_bytes_a_day } = settings;
        let server = server::Config { sop_classes, ..server::Config::new(ae_title) };
        let rooms = Rooms { store, at_rest, chance };
        let site = Site::open(&rooms, &latest)?;
        let clinic = Clinic::open(rooms.clone(), &latest).map_err(OpenError::from)?;
        let founding = Founding {
            site: site.secret.clone(),
            rules: Rules::quiet(quiet),
            configured: modalities,
            quarantine: quarantine::BOUNDS,
            sender_bytes_a_day,
            held: Held::new(Arc::clone(&rooms.store), Arc::clone(&node), me),
        };
        let ledger = Ledger::open(rooms, &latest, founding, clock().mono)?;
        let ledger = Arc::new(ledger);
        let intake = Intake::new(Arc::clone(&ledger), Arc::clone(&clock));
        let (signer, clock) = (Arc::new(signer), ClockFace(clock));
        let core = Core { me, federation, signer, reading, node, commands, clock, ledger, site, clinic, workers };
        Ok(Self { core: Arc::new(core), intake, server })
    }

    /// Receives, packs and takes reports back until dropped, or until one of these ends; what was promised by then is
    /// on disk.
    pub async fn run(&self, dicom: TcpListener, notices: broadcast::Receiver<Notice>) -> Ended {
        let core = || Arc::clone(&self.core);
        let (server, intake) = (self.server.clone(), Arc::new(self.intake.clone()));
        let mut tasks = JoinSet::new();
        let ids = [
            tasks.spawn(serve(dicom, server, intake, future::pending())).id(),
            tasks.spawn(pack::run(core())).id(),
            tasks.spawn(homecoming::run(core(), notices)).id(),
        ];
        let ended = tasks.join_next_with_id().await.expect("there are three");
        let (id, why) = match ended {
            Ok((id, ())) => (id, "the node's core is gone".to_owned()),
            Err(broken) => (broken.id(), broken.to_string()),
        };
        let names = ids.iter().zip(["DICOM door", "packer", "way home of reports"]);
        let task = names.into_iter().find(|(known, _)| **known == id).map_or("", |(_, name)| name);
        Ended { task, why }
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
        let taken = self.intake.file(file, &Word::parse(priority, indication)?)?;
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
        find::find(&self.core.ledger, text)
    }

    /// Every report that came back, those of one case together, the newest word of each first.
    #[must_use]
    pub fn reports(&self) -> Vec<ReportLine> {
        let node = self.core.read();
        let ours = node.worklist().items().filter(|item| item.site == self.core.me);
        ours.flat_map(|item| self.core.clinic.lines(item, self.core.study(&item.case).as_ref(), node.roster()))
            .collect()
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
            self.core.clinic.sheet(
                facility,
                item,
                self.core.study(&case).as_ref(),
                node.roster(),
                self.core.now().wall,
            )?
        };
        let bytes = sheet.pdf().map_err(NoSheet::from)?;
        Ok(ReportPdf { name: format!("report-{}.pdf", case_short(&case)), bytes })
    }

    /// Reads every staged Instance back; one that is damaged is missed from now on. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn check_staged(&self) -> Result<StagedCheck, WriteError> {
        check::staged(&self.core.ledger)
    }

    /// How the spoke does.
    #[must_use]
    pub fn status(&self) -> SpokeStatus {
        let (ledger, away) = (&self.core.ledger, self.core.away());
        let studies = outbox::studies(ledger, &self.core.me, &away);
        let waiting = || studies.iter().filter(|study| !study.delivered);
        let tally = ledger.tally();
        let sent = |case: &CaseId| away.get(case).is_some_and(|away| away.custody != CustodyState::Sending);
        let parcels = ledger.each_case(|case| if sent(&case.id) { 0 } else { case.named_parts().count() });
        let staged = ledger.each_case(|case| case.staged.len());
        let pressure = self.core.pressure();
        let choice = pressure.choose();
        SpokeStatus {
            held_back: self.core.destination().err().map(|held| held.to_string()).or_else(|| outbox::stuck(ledger)),
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
            profile: pack::word(choice.profile),
            codes_for: choice.why,
            link_bytes_per_second: pressure.link,
        }
    }
}
