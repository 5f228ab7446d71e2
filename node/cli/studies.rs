//! `radmesh studies`: what a spoke holds and how far each Study has come.

use super::{CliError, NodeDir, print};
use crate::control::{Request, Wire};
use clap::Args;
use serde_json::Value;

/// A Study is *delivered* when its home hub has verified every byte and signed for it.
#[derive(Debug, Args)]
pub(super) struct Studies {
    #[command(flatten)]
    node: NodeDir,
    /// Closes this Study now instead of after the quiet period.
    #[arg(long, value_name = "CASE")]
    close: Option<String>,
    /// For programs; the keys are in docs/operating/lists.md.
    #[arg(long)]
    json: bool,
}

impl Studies {
    pub(super) fn run(self) -> Result<(), CliError> {
        if let Some(case) = self.close {
            let () = Wire::connect(&self.node.dir)?.ask(&Request::CloseStudy { case })?;
        }
        let rows: Vec<Value> = Wire::connect(&self.node.dir)?.ask(&Request::Studies)?;
        if self.json {
            print::json(&rows);
            return Ok(());
        }
        let line = |row: &Value| {
            let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            let number = |key: &str| row[key].as_u64().unwrap_or(0);
            let modalities = row["modalities"].as_array().map(Vec::as_slice).unwrap_or_default();
            let modalities = modalities.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
            vec![
                text("case")[..12.min(text("case").len())].to_owned(),
                text("class"),
                text("patient_name"),
                modalities,
                text("study_description"),
                number("instances").to_string(),
                print::bytes(number("bytes")),
                print::bytes(number("sealed_bytes")),
                print::percent(number("delivered_bytes"), number("sealed_bytes")),
                text("state"),
            ]
        };
        let heads = ["CASE", "CLASS", "PATIENT", "MOD", "STUDY", "INSTANCES", "RECEIVED", "SEALED", "SENT", "STATE"];
        print::table(&heads, &rows.iter().map(line).collect::<Vec<_>>());
        Ok(())
    }
}
