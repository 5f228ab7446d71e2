//! `radmesh claim`: asks the case's home hub for the right to read it.

use super::{
    CliError, NodeDir, given,
    passphrase::{self, Passphrase},
    print,
};
use crate::cli::print::say;
use crate::{
    chance,
    control::{Request, Wire},
};
use clap::Args;
use radmesh_hub::report::ReadingContext;
use radmesh_protocol::person::{PersonKeyFile, PersonKeys};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A claim is a lease: it ends by itself unless it is renewed by claiming again. Out of the home hub's reach it is
/// tentative, and said to be.
#[derive(Debug, Args)]
pub(super) struct Claim {
    #[command(flatten)]
    node: NodeDir,
    /// The case, or the first characters of its id.
    case: String,
    /// The reader's directory, made by `radmesh person init`.
    #[arg(long = "as", value_name = "P")]
    person: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
    /// For programs; the keys are in docs/operating/lists.md.
    #[arg(long)]
    json: bool,
}

/// How the home hub answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum ClaimOutcome {
    /// It is theirs.
    Granted {
        /// Who holds it.
        holder: String,
        /// Seconds until it ends, unless renewed.
        lease_s: u64,
        /// Fencing token's counter.
        counter: u64,
    },
    /// The home hub has not answered.
    Tentative {
        /// The home hub.
        home_hub: String,
        /// Who is first, as far as is known here.
        holder: String,
        /// How the reader stands to that.
        first: First,
    },
    /// It is not.
    Refused {
        /// Why, with the holder and the time left.
        reason: String,
        /// What to do.
        next: String,
    },
}

/// Who comes first while the home hub is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum First {
    /// The reader who asks.
    You,
    /// Another asked before, and has no answer either.
    AnotherAsked,
    /// Another held it when the home hub was last heard.
    AnotherHolds,
}

/// The reader's name and keys, from their directory.
pub(super) fn reader(dir: &Path, passphrase: &Passphrase) -> Result<(String, PersonKeys), CliError> {
    let path = dir.join(super::person::KEY_FILE);
    let bytes = fs::read(&path).map_err(given(&path))?;
    let file = PersonKeyFile::parse(&bytes)
        .map_err(|_| CliError::user(format!("{}: this is no person's key file", path.display())))?;
    let secret = passphrase.ask(&file.name)?;
    let keys = file.unlock(&secret).map_err(|_| passphrase::wrong(&file.name))?;
    Ok((file.name, keys))
}

/// What a statement about a case must name.
pub(super) fn reading_context(dir: &Path, case: &str) -> Result<ReadingContext, CliError> {
    Wire::connect(dir)?.ask(&Request::ReadingContext { case: case.to_owned() })
}

/// What a reader without an answer must know before she reads.
fn tentative(holder: &str, first: First) -> String {
    match first {
        First::You => "nobody else is known to have asked, and another reader may still get the case".into(),
        First::AnotherAsked => format!("{holder} asked before you"),
        First::AnotherHolds => format!("{holder} held the case when it was last heard"),
    }
}

impl Claim {
    pub(super) fn run(self) -> Result<(), CliError> {
        let context = reading_context(&self.node.dir, &self.case)?;
        let (_, keys) = reader(&self.person, &self.passphrase)?;
        let renews = context.is_held_by(&keys);
        let signed = context.claim(&keys, &mut chance::os());
        let (statement, _) = signed.map_err(|error| CliError::user(error.to_string()))?;
        let outcome: ClaimOutcome = Wire::connect(&self.node.dir)?.ask(&Request::Claim { statement })?;
        if self.json {
            print::json(&outcome);
        }
        match outcome {
            ClaimOutcome::Refused { reason, next } => Err(CliError::user(reason).hint(next)),
            _ if self.json => Ok(()),
            ClaimOutcome::Granted { lease_s, .. } if renews => {
                say!("you hold it; renewed for {}; claim again to renew", print::seconds(lease_s));
                Ok(())
            }
            ClaimOutcome::Granted { holder, lease_s, .. } => {
                say!("granted to {holder} for {}; claim again to renew", print::seconds(lease_s));
                Ok(())
            }
            ClaimOutcome::Tentative { home_hub, holder, first } => {
                say!("tentative: {home_hub}, the case's home hub, has not answered; {}", tentative(&holder, first));
                say!(
                    "the request is kept: {home_hub} answers it when it is in reach, and `radmesh worklist` shows how"
                );
                Ok(())
            }
        }
    }
}
