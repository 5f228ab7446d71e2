//! `radmesh federation`: what the ministry does, on a machine of its own.
//!
//! Its directory holds the root key, the ministry's key and the recovery key, each under the passphrase, and the
//! roster, which is public.

mod activate_standby;
mod admit;
mod init;
mod recover;

use super::{
    CliError, at, given,
    passphrase::{self, Passphrase},
};
use crate::durable;
use clap::Subcommand;
use radmesh_protocol::{
    envelope::{passphrase::LockedSecret, reading::ReadingKey, sign::SigningKey},
    roster::Roster,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a federation: its root, the ministry's key and the recovery key.
    Init(init::Init),
    /// Admit a node or a person by the request they wrote.
    Admit(admit::Admit),
    /// Make a standby hub the home hub of its spokes: their own is lost.
    ActivateStandby(activate_standby::ActivateStandby),
    /// Open a parcel with the recovery key.
    Recover(recover::Recover),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Init(command) => command.run(),
            Self::Admit(command) => command.run(),
            Self::ActivateStandby(command) => command.run(),
            Self::Recover(command) => command.run(),
        }
    }
}

const KEYS_FILE: &str = "federation.keys";
/// Name of the roster in the federation's and in a node's directory.
pub(super) const ROSTER_FILE: &str = "roster.radmesh";

/// The federation's private keys.
struct FederationKeys {
    root: SigningKey,
    ministry: SigningKey,
    recovery: ReadingKey,
}

impl FederationKeys {
    fn of(secret: &[u8; 96]) -> Self {
        let part = |at: usize| {
            let mut seed = Zeroizing::new([0; 32]);
            seed.copy_from_slice(&secret[at..at + 32]);
            seed
        };
        Self {
            root: SigningKey::from_seed(*part(0)),
            ministry: SigningKey::from_seed(*part(32)),
            recovery: ReadingKey::from_seed(*part(64)),
        }
    }

    fn create(dir: &Path, passphrase: &Passphrase) -> Result<Self, CliError> {
        use rand_core::Rng;
        let mut secret = Zeroizing::new([0; 96]);
        crate::chance::os().fill_bytes(&mut *secret);
        let passphrase = passphrase.choose("the federation's keys")?;
        let locked = LockedSecret::lock(&*secret, &passphrase, &mut crate::chance::os());
        let text = serde_json::to_vec_pretty(&locked).expect("a locked secret is bytes and numbers");
        durable::write_private(&dir.join(KEYS_FILE), &text)?;
        Ok(Self::of(&secret))
    }

    fn open(dir: &Path, passphrase: &Passphrase) -> Result<Self, CliError> {
        let path = dir.join(KEYS_FILE);
        let text = fs::read(&path).map_err(at(&path))?;
        let broken = || CliError::configuration(format!("{}: this is no key file of a federation", path.display()));
        let locked: LockedSecret = serde_json::from_slice(&text).map_err(|_| broken())?;
        let passphrase = passphrase.ask("the federation")?;
        let secret = locked.unlock(&passphrase).map_err(|_| passphrase::wrong("the federation"))?;
        let secret: &[u8; 96] = secret.as_slice().try_into().map_err(|_| broken())?;
        Ok(Self::of(secret))
    }
}

fn read_roster(dir: &Path) -> Result<Roster, CliError> {
    if !dir.join(KEYS_FILE).exists() {
        return Err(CliError::user(format!("{} holds no federation", dir.display()))
            .hint("name it with --dir, or make one with `radmesh federation init --dir FED --name NAME`"));
    }
    roster_file(&dir.join(ROSTER_FILE))
}

/// Reads and checks a roster file.
pub(super) fn roster_file(path: &Path) -> Result<Roster, CliError> {
    let bytes = fs::read(path).map_err(given(path))?;
    Roster::from_file(&bytes).map_err(|error| {
        CliError::user(format!("{}: {error}", path.display()))
            .hint("a roster is the file roster.radmesh that `radmesh federation admit` wrote")
    })
}

/// Writes a roster file whole or not at all.
pub(super) fn write_roster(dir: &Path, roster: &Roster) -> Result<PathBuf, CliError> {
    let path = dir.join(ROSTER_FILE);
    durable::write_whole(&path, &roster.to_file())?;
    Ok(path)
}
