//! `radmesh worklist`: the cases of this hub's pool.

use super::{CliError, NodeDir, print};
use crate::control::{Request, Wire};
use clap::Args;
use radmesh_hub::reading::Row;

/// STAT first, then the oldest. A locked hub shows the cases and not the patients.
#[derive(Debug, Args)]
pub(super) struct Worklist {
    #[command(flatten)]
    node: NodeDir,
    /// For programs; the keys are in docs/operating/lists.md.
    #[arg(long)]
    json: bool,
}

impl Worklist {
    pub(super) fn run(self) -> Result<(), CliError> {
        let rows: Vec<Row> = Wire::connect(&self.node.dir)?.ask(&Request::Worklist)?;
        if self.json {
            print::json(&rows);
            return Ok(());
        }
        let line = |row: &Row| {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            let claimed = row.claimed_by.as_ref().map_or_else(
                || "-".to_owned(),
                |who| if row.claim_is_tentative { format!("{who} (tentative)") } else { who.clone() },
            );
            let here = print::percent(row.sealed_bytes_here, row.sealed_bytes);
            let images = if row.ready_to_read {
                "ready".into()
            } else {
                format!("{here} of {}", print::bytes(row.sealed_bytes))
            };
            let report = row.reports.last().map_or_else(|| "-".into(), |report| report.status.clone());
            vec![
                row.case[..12].to_owned(),
                row.class.clone(),
                row.state.clone(),
                row.site.clone(),
                or_dash(&row.patient_name),
                row.modalities.join(","),
                or_dash(&row.study_description),
                images,
                claimed,
                report,
                [&row.warning, &row.indication].into_iter().flatten().cloned().collect::<Vec<_>>().join(" | "),
            ]
        };
        let heads = [
            "CASE",
            "CLASS",
            "STATE",
            "CLINIC",
            "PATIENT",
            "MOD",
            "STUDY",
            "IMAGES",
            "CLAIMED BY",
            "REPORT",
            "INDICATION",
        ];
        print::table(&heads, &rows.iter().map(line).collect::<Vec<_>>());
        if rows.iter().any(|row| !row.order_is_open) {
            eprintln!("hint: some orders are sealed; `radmesh unlock` opens them");
        }
        Ok(())
    }
}
