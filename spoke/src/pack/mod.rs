//! The packer: does what staging asks for, one thing at a time, the most urgent and smallest first.
//!
//! Each step ends with something durable: an event, a sealed file with its record, an announcement. A crash between
//! two steps repeats the second one; so a Study is never lost and never sent twice under two names.

mod destination;
mod part;
mod picture;
mod profile;

pub(crate) use destination::destination;
pub use destination::{Destination, HeldBack};

use crate::{
    Core, order,
    staging::{Case, Next, PartStep, Run, Task},
};
pub(crate) use part::Sealing;
use part::{Load, PackError, names, preview};
use picture::Sitting;
pub(crate) use profile::{Pressure, word};
use radmesh_protocol::{
    id::{CaseId, Hash, ManifestId},
    log::body::{Body, StudyClosed},
    node::Command,
};
use radmesh_store::WriteError;
use std::{sync::Arc, time::Duration};
use tokio::task::spawn_blocking;

/// Why a step was not done. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// Sealing.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] WriteError),
    /// The core does not do it.
    #[error("the node does not take it: {0}")]
    Refused(String),
    /// The step broke off. Its case waits; the others, and the door, go on.
    #[error("a fault of this program broke the step off; its log says where")]
    Panicked,
    /// The core is gone.
    #[error("the node is stopping")]
    Stopping,
    /// An event's body could not be sealed.
    #[error("sealing an event: {0}")]
    Seal(#[from] radmesh_protocol::envelope::body::SealBodyError),
}

/// Packs until the core is gone. What fails for one case holds up that case alone.
pub(crate) async fn run(core: Arc<Core>) {
    let mut failures = 0;
    loop {
        let rung = core.ledger.bell.notified();
        let step = match core.destination() {
            Ok(to) => next(&core, to).await,
            Err(_) => Ok(Wait::ForBell),
        };
        let wait = match step {
            Ok(wait) => {
                failures = 0;
                wait
            }
            Err(StepError::Stopping) => return,
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, "packing is tried again");
                Wait::For(RETRY_MIN.saturating_mul(1 << failures.min(4)))
            }
        };
        match wait {
            Wait::Not => {}
            Wait::ForBell => rung.await,
            Wait::For(time) => drop(tokio::time::timeout(time, rung).await),
        }
    }
}

enum Wait {
    Not,
    ForBell,
    For(Duration),
}

/// Does one thing.
async fn next(core: &Arc<Core>, to: Destination) -> Result<Wait, StepError> {
    publish_site(core, &to).await?;
    let now = core.now().mono;
    let task = match core.ledger.next(now) {
        Next::Idle => return Ok(Wait::ForBell),
        Next::At(time) => return Ok(Wait::For(Duration::from_millis(time.since(now).0.max(1)))),
        Next::Task(task) => task,
    };
    let done = match task.clone() {
        Task::Order(case) => publish_order(core, to, case).await,
        Task::Preview(case) => seal_preview(core, to, case).await,
        Task::Part(run) => seal_run(core, to, run).await,
        Task::Announce(_, manifest) => announce(core, manifest).await,
        Task::Close(case) => close(core, case).await,
    };
    match done {
        Ok(()) => core.ledger.succeeded(&task),
        Err(StepError::Stopping) => return Err(StepError::Stopping),
        Err(error) => {
            tracing::warn!(case = ?task.case(), %error, "a step failed; its case is tried again");
            core.ledger.failed(&task, error.to_string(), core.now().mono);
        }
    }
    Ok(Wait::Not)
}

async fn publish_site(core: &Arc<Core>, to: &Destination) -> Result<(), StepError> {
    if let Some(body) = core.site.event(&core.ledger.rooms, to, &core.federation)? {
        core.append(body).await?;
        blocking(core, |core| core.site.published(&core.ledger.rooms)).await?;
        tracing::info!("site secret sealed to pool and recovery");
    }
    Ok(())
}

async fn publish_order(core: &Arc<Core>, to: Destination, case: CaseId) -> Result<(), StepError> {
    let made = blocking(core, move |core| {
        let made = core.ledger.with_case(&case, |case| {
            let (details, digest) = order::details(case);
            if case.record.order == Some(digest) {
                return Ok((None, digest));
            }
            let to = [to.pool_key, to.recovery];
            let sealed = order::sealed(case, &details, &to, &core.federation, &mut core.ledger.rooms.chance.clone());
            sealed.map(|order| (Some(order), digest))
        });
        made.transpose()
    });
    let Some((order, digest)) = made.await? else { return Ok(()) };
    if let Some(order) = order {
        core.append(Body::Order(order)).await?;
        tracing::info!(?case, "order published");
    }
    blocking(core, move |core| core.ledger.order_made(&case, digest)).await
}

async fn seal_preview(core: &Arc<Core>, to: Destination, case: CaseId) -> Result<(), StepError> {
    blocking(core, move |core| -> Result<(), StepError> {
        let begun = |case: &Case| (preview(case), Sitting::of(case), case.begin_preview(), case.record.clone());
        let Some((mut contents, sitting, mut shown, record)) = core.ledger.with_case(&case, begun) else {
            return Ok(());
        };
        let digest = Hash::of(&contents.bytes());
        let taken = sitting.take(&core.ledger.rooms.store, &core.workers);
        shown.frames = taken.iter().map(|(frame, picture)| (*frame, picture.image.reveal().len())).collect();
        contents.pictures = taken.into_iter().map(|(_, picture)| picture).collect();
        if record.preview != Some(digest) || !contents.pictures.is_empty() {
            let part = core.sealing(to).preview(case, record.class, &contents)?;
            tracing::info!(?case, manifest = ?part.sealed.manifest, pictures = shown.frames.len(), "preview sealed");
            core.ledger.sealed(vec![part])?;
        }
        Ok(core.ledger.preview_made(&case, digest, &shown)?)
    })
    .await
}

async fn seal_run(core: &Arc<Core>, to: Destination, run: Run) -> Result<(), StepError> {
    blocking(core, move |core| -> Result<(), StepError> {
        let load = core.ledger.with_case(&run.case, |case| Load::of(case, &run)).flatten();
        let Some(load) = load else { return Ok(()) };
        let parts = match core.sealing(to).run(&load) {
            Err(PackError::Unreadable { file }) => {
                tracing::error!(case = ?run.case, ?file, "a staged Instance is damaged on disk; it must be sent again");
                return Ok(core.ledger.lost(&run.case, file)?);
            }
            sealed => sealed?,
        };
        let parcels = names(&parts);
        tracing::info!(case = ?run.case, instances = run.files.len(), bytes = run.bytes, parts = ?parcels, "sealed");
        Ok(core.ledger.sealed(parts)?)
    })
    .await
}

async fn announce(core: &Arc<Core>, manifest: ManifestId) -> Result<(), StepError> {
    let Some(part) = core.ledger.part(&manifest) else { return Ok(()) };
    if let PartStep::Sealed { manifest: bytes, .. } = part.step {
        let case = part.sealed.case;
        let asked = core.ask(Command::Announce { manifest: bytes, sealed: Box::new(part.sealed) }).await;
        if let Err(StepError::Refused(why)) = asked {
            tracing::error!(?case, ?manifest, why, "a sealed part was refused; it is packed again");
            blocking(core, move |core| core.ledger.unseal_all(&case)).await?;
            return Err(StepError::Refused(why));
        }
        asked?;
    }
    blocking(core, move |core| core.ledger.announced(&manifest)).await
}

async fn close(core: &Arc<Core>, case: CaseId) -> Result<(), StepError> {
    let parcels = core.ledger.with_case(&case, |case| {
        case.named_parts().map(|(manifest, part)| (*manifest, part.sealed.instances)).collect::<Vec<_>>()
    });
    let Some(parcels) = parcels else { return Ok(()) };
    tracing::info!(?case, parcels = parcels.len(), "study closed");
    core.append(Body::StudyClosed(StudyClosed { case, parcels })).await?;
    blocking(core, move |core| core.ledger.closed(&case)).await
}

/// Does what waits for the disk, or computes for long, away from the network's threads.
pub(crate) async fn blocking<T: Send + 'static, E: Into<StepError> + Send + 'static>(
    core: &Arc<Core>,
    work: impl FnOnce(&Core) -> Result<T, E> + Send + 'static,
) -> Result<T, StepError> {
    let core = Arc::clone(core);
    match spawn_blocking(move || work(&core)).await {
        Ok(done) => done.map_err(Into::into),
        Err(ended) if ended.is_panic() => Err(StepError::Panicked),
        // The runtime is being shut down: nobody waits for an answer any more.
        Err(_) => Err(StepError::Stopping),
    }
}

const RETRY_MIN: Duration = Duration::from_secs(2);
