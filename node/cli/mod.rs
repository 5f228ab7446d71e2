//! The command line: one file a command, one error type, one way to print.
//!
//! Every list has `--json` with stable keys. An error has a kind (its exit code), a sentence that says what is
//! wrong, and a hint that says what to do next.

mod claim;
mod codec;
mod codec_worker;
mod demo;
mod export;
mod federation;
mod files;
mod init;
mod join;
mod modality;
mod passphrase;
mod person;
mod print;
mod private;
mod release;
mod report;
mod reports;
mod retention;
mod run;
mod send;
mod status;
mod studies;
mod unlock;
mod verify;
mod worklist;

pub(crate) use claim::{ClaimOutcome, First};
pub(crate) use passphrase::wrong;
pub(crate) use print::seconds;
pub(crate) use retention::{FreedCase, Retention};
pub(crate) use verify::{Holder, Missing, Outcome as VerifyOutcome};

use crate::config::ConfigError;
use clap::{Args, Parser, Subcommand};
use radmesh_protocol::limits::NAME_CHARS_MAX;
use std::{path::PathBuf, process::ExitCode};

/// Who has to act on an error; the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The person at the keyboard: exit 1.
    User,
    /// Whoever set the node up: exit 2.
    Configuration,
    /// The link or the peer: exit 3.
    Network,
    /// Us: exit 255.
    Internal,
}

impl Kind {
    const fn exit_code(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Configuration => 2,
            Self::Network => 3,
            Self::Internal => 255,
        }
    }
}

/// An error as a person meets it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct CliError {
    /// Who has to act.
    pub(crate) kind: Kind,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl CliError {
    /// The person at the keyboard can mend this.
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self { kind: Kind::User, message: message.into(), hint: None }
    }

    /// Whoever set the node up can mend this.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self { kind: Kind::Configuration, message: message.into(), hint: None }
    }

    /// The link or the peer is at fault.
    pub(crate) fn network(message: impl Into<String>) -> Self {
        Self { kind: Kind::Network, message: message.into(), hint: None }
    }

    /// We are at fault.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { kind: Kind::Internal, message: message.into(), hint: None }
    }

    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let next = self.hint.as_deref().unwrap_or(match self.kind {
            Kind::User => "add --help to the command to see what it takes",
            Kind::Configuration => {
                "see docs/operating/install.md; `df` and `ls -l` show a full disk or a missing right"
            }
            Kind::Network => "run the command again; the node's log says more",
            Kind::Internal => "this is a fault of radmesh: keep the node's directory and log, and report it",
        });
        write!(f, "{}\nhint: {next}", self.message)
    }
}

/// An I/O error at a path that a person typed: theirs to mend.
pub(crate) fn given(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> CliError + '_ {
    move |error| {
        CliError::user(format!("{}: {error}", print::shown(&path.to_string_lossy()))).hint(match error.kind() {
            std::io::ErrorKind::StorageFull => "make room on that disk, or name a place on another one",
            std::io::ErrorKind::ResourceBusy => "another radmesh is writing there: wait until it has ended",
            _ => "see that the path is right and that this user may open it",
        })
    }
}

/// An I/O error at a path of the node's own, so that it names what could not be read or written.
pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> CliError + '_ {
    move |error| CliError::configuration(format!("{}: {error}", path.display()))
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let refused = Self::configuration(error.to_string());
        match error {
            ConfigError::Absent { .. } => refused.hint(
                "make one with `radmesh init --dir NODE --name NAME --role spoke|hub|relay`, or name it with --dir",
            ),
            ConfigError::Unreadable { .. } => refused.hint("run as the user that owns the node's directory"),
            ConfigError::Flawed { .. } => refused.hint("mend that line, and start the node again"),
        }
    }
}

/// Federated teleradiology for slow links, power cuts and few radiologists.
#[derive(Debug, Parser)]
#[command(name = "radmesh", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The roster that `radmesh join` brought.
pub(crate) fn roster_of(dir: &std::path::Path) -> Result<radmesh_protocol::roster::Roster, CliError> {
    let path = dir.join(federation::ROSTER_FILE);
    if !path.exists() {
        return Err(CliError::configuration(format!("{} has joined no federation", dir.display()))
            .hint("bring request.radmesh to the ministry, then `radmesh join --dir NODE ROSTER`"));
    }
    federation::roster_file(&path)
}

/// A name as typed, held to the rule that a roster holds it to.
pub(crate) fn name(typed: &str) -> Result<String, String> {
    let chars = typed.chars().count();
    if (1..=NAME_CHARS_MAX).contains(&chars) && !typed.chars().any(char::is_control) {
        return Ok(typed.to_owned());
    }
    Err(format!("a name has 1 to {NAME_CHARS_MAX} characters and no control characters; this has {chars}"))
}

/// Which node a command speaks to.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeDir {
    /// The node's directory.
    #[arg(long, env = "RADMESH_DIR", default_value = "/var/lib/radmesh", value_name = "NODE")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The ministry's commands: make a federation, admit its members, recover a parcel.
    #[command(subcommand)]
    Federation(federation::Command),
    /// Make a node: its keys, its configuration and the request that the ministry admits.
    Init(init::Init),
    /// Make a person's keys and the request that the ministry admits.
    #[command(subcommand)]
    Person(person::Command),
    /// Take a roster from the ministry into a node.
    Join(join::Join),
    /// Run the node.
    Run(run::Run),
    /// Let a hub open what is sealed to its pool, until it stops.
    Unlock(unlock::Unlock),
    /// Hand DICOM files and folders to a spoke, as if a modality had sent them.
    Send(send::Send),
    /// What a spoke holds and how far each Study has come.
    Studies(studies::Studies),
    /// The cases of this hub's pool.
    Worklist(worklist::Worklist),
    /// Reports that have come back to a spoke.
    Reports(reports::Reports),
    /// Modalities that may send to a spoke, and those that wait for a word.
    #[command(subcommand)]
    Modality(modality::Command),
    /// How the running node does.
    Status(status::Status),
    /// Claim a case for reading.
    Claim(claim::Claim),
    /// Give a claimed case back.
    Release(release::Release),
    /// Sign a report.
    Report(report::Report),
    /// Write a claimed case's DICOM files into a directory.
    Export(export::Export),
    /// Check every stored byte against its hash; what is damaged is fetched again.
    Verify(verify::Verify),
    /// Which images that others hold are freed here, and when.
    Retention(retention::RetentionOf),
    /// Code DICOM files into fewer bytes, and back.
    #[command(subcommand)]
    Codec(codec::Command),
    /// A child in which this program codes and decodes; it is started by the program itself.
    #[command(hide = true)]
    CodecWorker,
    /// The whole journey of a Study on this machine, with real images.
    Demo(demo::Demo),
}

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => {
            // Help and version go to standard output; a mistyped command line is the typist's to mend.
            let code = if said.use_stderr() { Kind::User.exit_code() } else { 0 };
            return said.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code));
        }
    };
    let outcome = match cli.command {
        Command::Federation(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Person(command) => command.run(),
        Command::Join(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Unlock(command) => command.run(),
        Command::Send(command) => command.run(),
        Command::Studies(command) => command.run(),
        Command::Worklist(command) => command.run(),
        Command::Reports(command) => command.run(),
        Command::Modality(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Claim(command) => command.run(),
        Command::Release(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Retention(command) => command.run(),
        Command::Codec(command) => command.run(),
        Command::CodecWorker => codec_worker::run(),
        Command::Demo(command) => command.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.kind.exit_code())
        }
    }
}
