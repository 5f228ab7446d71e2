//! `radmesh unlock`: lets a hub open what is sealed to its pool, until it stops.

use super::{CliError, NodeDir, passphrase::Passphrase};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::Args;

/// Until then the hub still takes custody, forwards, grants claims and keeps reports; it only can't look inside.
#[derive(Debug, Args)]
pub(super) struct Unlock {
    #[command(flatten)]
    node: NodeDir,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Unlock {
    pub(super) fn run(self) -> Result<(), CliError> {
        let wire = Wire::connect(&self.node.dir)?;
        let passphrase = self.passphrase.ask("this hub")?.into();
        let () = wire.ask(&Request::Unlock { passphrase })?;
        say!("unlocked until the node stops");
        Ok(())
    }
}
