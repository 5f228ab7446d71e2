//! `radmesh retention`: what this node will free, and when.

use super::{CliError, NodeDir, print};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::Args;
use serde::{Deserialize, Serialize};

/// What others hold and is kept here for a time. Nothing else is ever freed.
#[derive(Debug, Args)]
pub(super) struct RetentionOf {
    #[command(flatten)]
    node: NodeDir,
    /// For programs; the keys are in docs/operating/lists.md.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Retention {
    /// Hours of running for which is kept what others hold.
    pub(crate) keep_hours: u32,
    /// Hours of running from the announcement to the act.
    pub(crate) notice_hours: u32,
    /// Parcels freed since this start.
    pub(crate) freed_parcels: u64,
    /// Their bytes.
    pub(crate) freed_bytes: u64,
    /// What will be freed, the next first.
    pub(crate) cases: Vec<FreedCase>,
}

/// Parcels of a case that are freed together.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FreedCase {
    /// The case.
    pub(crate) case: String,
    /// Whether the federation has been told.
    pub(crate) announced: bool,
    /// Hours of running left.
    pub(crate) hours_left: u32,
    /// Parcels.
    pub(crate) parcels: u64,
    /// Their sealed bytes.
    pub(crate) bytes: u64,
}

impl RetentionOf {
    pub(super) fn run(self) -> Result<(), CliError> {
        let found: Retention = Wire::connect(&self.node.dir)?.ask(&Request::Retention)?;
        if self.json {
            print::json(&found);
            return Ok(());
        }
        say!(
            "what others hold is kept for {} of running and freed {} after it was announced; {} freed since the start",
            days(found.keep_hours),
            days(found.notice_hours),
            print::bytes(found.freed_bytes)
        );
        let line = |row: &FreedCase| {
            let step = if row.announced { "announced" } else { "kept" };
            let parcels = row.parcels.to_string();
            vec![row.case[..12].to_owned(), step.into(), days(row.hours_left), parcels, print::bytes(row.bytes)]
        };
        let rows: Vec<_> = found.cases.iter().map(line).collect();
        print::table(&["CASE", "STEP", "FREED AFTER", "PARCELS", "BYTES"], &rows);
        Ok(())
    }
}

/// "12 d 3 h".
fn days(hours: u32) -> String {
    match (hours / 24, hours % 24) {
        (0, hours) => format!("{hours} h"),
        (days, 0) => format!("{days} d"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}
