//! `radmesh join`: takes a roster from the ministry into a node.

use super::{
    CliError, NodeDir,
    federation::{self, ROSTER_FILE},
};
use crate::cli::print::say;
use crate::{
    config::Config,
    control::{Request, SOCKET, Wire},
    keystore::Keystore,
};
use clap::Args;
use radmesh_protocol::roster::Roster;
use std::path::PathBuf;

/// The first join binds the node to a federation for ever; later ones bring news. A node that runs takes them at once.
#[derive(Debug, Args)]
pub(super) struct Join {
    #[command(flatten)]
    node: NodeDir,
    /// The roster file that `radmesh federation admit` wrote.
    roster: PathBuf,
}

impl Join {
    pub(super) fn run(self) -> Result<(), CliError> {
        let dir = &self.node.dir;
        let config = Config::read(dir)?;
        let me = Keystore::open(dir)?.signing.node_id();
        let theirs = federation::roster_file(&self.roster)?;
        let held = dir.join(ROSTER_FILE);
        let roster = if held.exists() { merge(federation::roster_file(&held)?, &theirs)? } else { theirs };
        let member = roster.node(&me).filter(|member| member.standing.holds()).ok_or_else(|| {
            CliError::user("this roster does not admit this node")
                .hint(format!("bring {} to the ministry first", dir.join("request.radmesh").display()))
        })?;
        if member.role != config.role {
            return Err(CliError::configuration(format!(
                "the ministry admitted this node as {}, and its configuration says {}",
                member.role, config.role
            ))
            .hint("a role is chosen at `radmesh init` and lasts: put it back in radmesh.toml"));
        }
        federation::write_roster(dir, &roster)?;
        if dir.join(SOCKET).exists() {
            // Without a node at the socket the roster is read at the next start.
            let _: Result<(), _> = Wire::connect(dir).and_then(|wire| wire.ask(&Request::RosterChanged));
        }
        let name = roster.genesis().map_or("", |genesis| genesis.name.as_str());
        say!("member of {name:?}, federation id {}", roster.federation());
        say!("roster version {}; next: `radmesh run --dir {}`", roster.version().0, dir.display());
        Ok(())
    }
}

/// What both say, checked statement by statement.
fn merge(mut held: Roster, theirs: &Roster) -> Result<Roster, CliError> {
    if held.federation() != theirs.federation() {
        return Err(
            CliError::user("this roster is another federation's").hint("a node belongs to one federation for ever")
        );
    }
    let versions = held.versions();
    let news: Vec<Vec<u8>> = theirs.statements_after(&versions).map(<[u8]>::to_vec).collect();
    for statement in news {
        held.apply(&statement).map_err(|error| CliError::user(error.to_string()))?;
    }
    Ok(held)
}
