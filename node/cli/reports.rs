//! `radmesh reports`: what has come back to the clinic.

use super::{CliError, NodeDir, given, print, private};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::Args;
use serde_json::Value;
use std::{io, path::PathBuf};

/// Every report ever signed for this clinic's cases is here, the newest marked; none is lost or altered.
#[derive(Debug, Args)]
pub(super) struct Reports {
    #[command(flatten)]
    node: NodeDir,
    /// Writes this case's report as an A4 PDF.
    #[arg(long, value_name = "CASE", requires = "to")]
    pdf: Option<String>,
    /// The PDF file to write; never over one that is there.
    #[arg(long, value_name = "FILE", requires = "pdf")]
    to: Option<PathBuf>,
    /// For programs; the keys are in docs/operating/lists.md.
    #[arg(long)]
    json: bool,
}

impl Reports {
    pub(super) fn run(self) -> Result<(), CliError> {
        if let (Some(case), Some(to)) = (self.pdf, self.to) {
            let request = Request::ReportPdf { case };
            let () = Wire::connect(&self.node.dir)?.ask_with_files(
                &request,
                |_, _| (),
                |_, _, from| {
                    let mut file = private::create_new(&to).map_err(given(&to))?;
                    io::copy(from, &mut file).map(drop).map_err(given(&to))
                },
            )?;
            say!("{}", to.display());
            return Ok(());
        }
        let rows: Vec<Value> = Wire::connect(&self.node.dir)?.ask(&Request::Reports)?;
        if self.json {
            print::json(&rows);
            return Ok(());
        }
        for (number, row) in rows.iter().enumerate() {
            let text = |key: &str| print::shown(row[key].as_str().unwrap_or("-"));
            if number > 0 {
                say!("");
            }
            say!(
                "{}  {}  {}",
                &text("case")[..12.min(text("case").len())],
                text("status").to_uppercase(),
                text("patient_name")
            );
            say!("  signed by {} ({})", text("reader"), text("place").replace('_', " "));
            if row["warning"].is_string() {
                say!("  ! {}", text("warning"));
            }
            for line in row["text"].as_str().unwrap_or_default().lines() {
                say!("  | {}", print::shown(line));
            }
        }
        if rows.is_empty() {
            say!("no report has come back yet");
        }
        Ok(())
    }
}
