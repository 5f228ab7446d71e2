//! `radmesh release`: gives a claimed case back, for another reader.

use super::{CliError, NodeDir, claim, passphrase::Passphrase};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::Args;
use std::path::PathBuf;

/// A claim also ends by itself when its lease does.
#[derive(Debug, Args)]
pub(super) struct Release {
    #[command(flatten)]
    node: NodeDir,
    /// The case, or the first characters of its id.
    case: String,
    /// The reader's directory, made by `radmesh person init`.
    #[arg(long = "as", value_name = "P")]
    person: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Release {
    pub(super) fn run(self) -> Result<(), CliError> {
        let context = claim::reading_context(&self.node.dir, &self.case)?;
        let (_, keys) = claim::reader(&self.person, &self.passphrase)?;
        let statement = context
            .release(&keys)
            .map_err(|error| CliError::user(error.to_string()).hint("`radmesh worklist` shows who holds each case"))?;
        let () = Wire::connect(&self.node.dir)?.ask(&Request::Release { statement })?;
        say!("given back");
        Ok(())
    }
}
