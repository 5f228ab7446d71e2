//! `radmesh federation init`: the ministry's keys and the first two statements of the roster.

use super::{FederationKeys, KEYS_FILE, write_roster};
use crate::cli::print::say;
use crate::{
    cli::{CliError, passphrase::Passphrase},
    clock::Clock,
    durable,
};
use clap::Args;
use radmesh_protocol::{
    id::Hash,
    roster::{
        Roster,
        statement::{Genesis, Policy, Statement, StatementBody},
    },
    time::Millis,
};
use std::path::PathBuf;

/// Keep the directory on a machine without network, and a copy of it in another building: the recovery key opens
/// every parcel, and nobody can make it anew.
#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// The federation's directory; made if absent.
    #[arg(long, value_name = "FED")]
    dir: PathBuf,
    /// Its name, e.g. "Ministry of Health".
    #[arg(long, value_parser = crate::cli::name)]
    name: String,
    /// How long a claim lasts unless it is renewed.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    claim_lease: u64,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Init {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        if self.dir.join(KEYS_FILE).exists() {
            return Err(CliError::user(format!("{} holds a federation already", self.dir.display()))
                .hint("its keys are never written over; choose another directory"));
        }
        durable::folder(&self.dir)?;
        let keys = FederationKeys::create(&self.dir, &self.passphrase)?;
        let genesis = Genesis {
            name: self.name.clone(),
            threshold: 1,
            roots: vec![keys.root.chain_id()],
            recovery: keys.recovery.public(),
            ministry: keys.ministry.chain_id(),
        };
        let federation = genesis.federation();
        let wall = Clock::start().now().wall;
        let first = StatementBody::Genesis(genesis);
        let first = Statement::sign(&keys.root, &federation, 1, Hash([0; 32]), wall, &first);
        let refused = |error| CliError::user(format!("{error}"));
        let mut roster = Roster::from_genesis(first.bytes()).map_err(refused)?;
        let (seq, prev) = roster.next();
        let policy = StatementBody::Policy(Policy { claim_lease: Millis::from_secs(self.claim_lease) });
        let policy = Statement::sign(&keys.ministry, &federation, seq, prev, wall, &policy);
        roster.apply(policy.bytes()).map_err(refused)?;
        let path = write_roster(&self.dir, &roster)?;
        say!("federation {:?}, id {federation}", self.name);
        say!("next: admit nodes with `radmesh federation admit`; the roster is {}", path.display());
        Ok(())
    }
}
