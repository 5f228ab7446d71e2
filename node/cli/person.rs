//! `radmesh person`: a person's own keys, under their own passphrase.

use super::{CliError, init::REQUEST_FILE, passphrase::Passphrase};
use crate::cli::print::say;
use crate::{chance, durable};
use clap::{Args, Subcommand, ValueEnum};
use radmesh_protocol::{person::PersonKeyFile, roster::PersonRole};
use std::path::PathBuf;

/// Name of the key file in a person's directory.
pub(super) const KEY_FILE: &str = "person.key";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a person's keys and the request that the ministry admits.
    Init(Init),
}

/// The directory stays with the person; the keys in it are under their passphrase.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The person's directory; made if absent.
    #[arg(long, value_name = "P")]
    dir: PathBuf,
    /// Their name, as a report shows it.
    #[arg(long, value_parser = crate::cli::name)]
    name: String,
    /// What they do.
    #[arg(long)]
    role: Word,
    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// Claims and reports.
    Radiologist,
    /// Sends and receives at a clinic.
    Clinician,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        let Self::Init(init) = self;
        let path = init.dir.join(KEY_FILE);
        if path.exists() {
            return Err(CliError::user(format!("{} is there already", path.display()))
                .hint("a person's keys are never written over; choose another directory"));
        }
        let role = match init.role {
            Word::Radiologist => PersonRole::Radiologist,
            Word::Clinician => PersonRole::Clinician,
        };
        let passphrase = init.passphrase.choose(&init.name)?;
        let (file, keys) = PersonKeyFile::make(&init.name, &passphrase, &mut chance::os());
        let request = file.request(role, &keys);
        durable::folder(&init.dir)?;
        durable::write_private(&path, &file.bytes())?;
        let request_path = init.dir.join(REQUEST_FILE);
        durable::write_whole(&request_path, &request)?;
        say!("{:?}, person id {}", init.name, file.person);
        say!("next: bring {} to the ministry", request_path.display());
        Ok(())
    }
}
