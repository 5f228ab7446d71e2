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
use std::{future, sync::Arc};
use tokio::sync::broadcast;

/// Takes reports back until dropped.
pub(crate) async fn run(core: Arc<Core>, mut notices: broadcast::Receiver<Notice>) {
    loop {
        if let Err(error) = take_back(&core).await {
            tracing::warn!(%error, "a report could not be kept; it is tried again at the next notice");
        }
        match notices.recv().await {
            Err(broadcast::error::RecvError::Closed) => return future::pending().await,
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
        blocking(core, move |core| core.clinic.keep(KeptReport { delivered: true, ..report })).await?;
    }
    Ok(())
}
