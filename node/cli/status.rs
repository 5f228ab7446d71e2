//! `radmesh status`: how the running node does.

use super::{CliError, NodeDir, print};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::Args;
use serde_json::Value;

/// Who it is, whom it reaches, what waits and why, which way events came.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    node: NodeDir,
    /// For programs; the keys are in docs/operating/lists.md.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(self) -> Result<(), CliError> {
        let status: Value = Wire::connect(&self.node.dir)?.ask(&Request::Status)?;
        if self.json {
            print::json(&status);
        } else {
            lines("", &status);
        }
        Ok(())
    }
}

/// One line a fact; a fact inside another is named after it.
fn lines(name: &str, value: &Value) {
    match value {
        Value::Object(facts) => {
            for (key, fact) in facts {
                let key = key.replace('_', " ");
                lines(&if name.is_empty() { key } else { format!("{name}: {key}") }, fact);
            }
        }
        Value::Array(items) if items.is_empty() => say!("{name}: none"),
        Value::Array(items) => items.iter().for_each(|item| lines(name, item)),
        Value::Null => say!("{name}: -"),
        Value::String(text) => say!("{name}: {}", print::shown(text)),
        other => say!("{name}: {other}"),
    }
}
