//! The way home: each report that came for this clinic is opened, kept on disk, and said to have arrived.
//!
//! A ward acts on what it can read. A report counts as delivered only once it lies readable on this node's own disk.

use super::{KeptReport, returned};
use crate::{
    Core,
    pack::{StepError, blocking},
};
use radmesh_protocol::{
    log::body::{Body, ReportDelivered},
    node::Notice,
};
use radmesh_store::WriteError;
use std::{sync::Arc, time::Duration};
use tokio::{sync::broadcast, time::timeout};

/// Takes reports back until the core is gone.
pub(crate) async fn run(core: Arc<Core>, mut notices: broadcast::Receiver<Notice>) {
    let mut wait = RETRY_MIN;
    loop {
        let heard = match take_back(&core).await {
            Ok(()) => {
                wait = RETRY_MIN;
                notices.recv().await
            }
            Err(StepError::Stopping) => return,
            Err(error) => {
                tracing::warn!(%error, "a report could not be kept; it is tried again by itself");
                let heard = timeout(wait, notices.recv()).await;
                wait = RETRY_MAX.min(wait * 2);
                let Ok(heard) = heard else { continue };
                heard
            }
        };
        match heard {
            Err(broadcast::error::RecvError::Closed) => return,
            Ok(Notice::Roster | Notice::PoolKey) => core.ledger.bell.notify_one(),
            // A lagging receiver missed some: looking at the whole worklist is what it does anyway.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
        }
    }
}

/// Opens and keeps the reports that came, and says that they arrived.
async fn take_back(core: &Arc<Core>) -> Result<(), StepError> {
    blocking(core, |core| -> Result<(), WriteError> {
        let came: Vec<_> = {
            let node = core.read();
            let ours = node.worklist().items().filter(|item| item.site == core.me);
            let new = ours.flat_map(|item| item.reports.keys()).filter(|event| core.clinic.is_new(event));
            new.filter_map(|hash| node.logs().event(hash).cloned()).collect()
        };
        for event in came {
            match returned::open(&event, &core.federation, &core.reading) {
                Ok(report) => {
                    tracing::info!(case = ?report.case, status = %report.status, "report arrived");
                    core.clinic.keep(report)?;
                }
                Err(error) => {
                    tracing::warn!(event = ?event.hash(), %error, "a report can't be read here");
                    core.clinic.refuse(event.hash());
                }
            }
        }
        Ok(())
    })
    .await?;
    for report in core.clinic.undelivered() {
        core.append(Body::ReportDelivered(ReportDelivered { case: report.case, report: report.event })).await?;
        blocking(core, move |core| core.clinic.keep(KeptReport { delivered: true, ..report })).await?;
    }
    Ok(())
}

/// First wait after a report could not be kept, and the longest: a full disk may have room again at any time.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
