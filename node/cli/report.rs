//! `radmesh report`: signs a report with the radiologist's own key.

use super::{CliError, NodeDir, claim, given, passphrase::Passphrase};
use crate::cli::print::say;
use crate::{
    chance,
    control::{Request, Wire},
};
use clap::{Args, ValueEnum};
use radmesh_hub::report::{SignError, WithoutClaim};
use radmesh_protocol::report::Status;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Preliminary may be followed by final, final by addenda. The text is sealed to the reading pool and the clinic
/// before it leaves this command, and goes ahead of everything else.
#[derive(Debug, Args)]
pub(super) struct Report {
    #[command(flatten)]
    node: NodeDir,
    /// The case, or the first characters of its id.
    case: String,
    /// The reader's directory, made by `radmesh person init`.
    #[arg(long = "as", value_name = "P")]
    person: PathBuf,
    /// How far the report is.
    #[arg(long)]
    status: Word,
    /// Signs though you hold no claim: kept and shown beside the case's own report, as a second read.
    #[arg(long)]
    second_read: bool,
    /// The text, UTF-8; `-` reads standard input.
    #[arg(long, value_name = "F")]
    text_file: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// Verified early results; the final may differ.
    Preliminary,
    /// Complete and signed.
    Final,
    /// Added to a final report, which stays as it is.
    Addendum,
}

impl Report {
    pub(super) fn run(self) -> Result<(), CliError> {
        let status = match self.status {
            Word::Preliminary => Status::Preliminary,
            Word::Final => Status::Final,
            Word::Addendum => Status::Addendum,
        };
        let text = read_text(&self.text_file)?;
        let context = claim::reading_context(&self.node.dir, &self.case)?;
        let (name, keys) = claim::reader(&self.person, &self.passphrase)?;
        let without = if self.second_read { WithoutClaim::SecondRead } else { WithoutClaim::Refuse };
        let signed = context.report(&keys, (status, &text, &name), without, &mut chance::os());
        let statement = signed.map_err(|error| {
            let next = match error {
                SignError::NoClaim => "claim the case first: `radmesh claim`; or add --second-read to sign one",
                _ => "nothing was signed; `radmesh worklist` shows each case's last report",
            };
            CliError::user(error.to_string()).hint(next)
        })?;
        let place: String = Wire::connect(&self.node.dir)?.ask(&Request::Report { statement })?;
        say!("{status} report signed and on its way to the clinic ({place})");
        Ok(())
    }
}

fn read_text(path: &Path) -> Result<String, CliError> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| CliError::user(format!("standard input: {error}")))?;
        return Ok(text);
    }
    fs::read_to_string(path).map_err(given(path))
}
