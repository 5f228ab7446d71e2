//! `radmesh federation activate-standby`: a standby hub takes the place of a home hub that is lost.

use super::{FederationKeys, admit::named, read_roster, write_roster};
use crate::{
    cli::{CliError, passphrase::Passphrase, print, print::say},
    clock::Clock,
};
use clap::Args;
use radmesh_protocol::{
    id::NodeId,
    roster::{
        Roster,
        statement::{AdmitNode, Statement, StatementBody},
    },
};
use std::{collections::BTreeMap, path::PathBuf};

/// Every spoke whose standby it is has it for its home hub from then on, in a later term, and no standby until one is
/// named. Claims are granted by the new home; what the lost one had alone is asked of the spokes again.
#[derive(Debug, Args)]
pub(in crate::cli) struct ActivateStandby {
    /// The federation's directory.
    #[arg(long, value_name = "FED")]
    dir: PathBuf,
    /// The standby hub, by name or id.
    #[arg(value_name = "HUB")]
    hub: String,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl ActivateStandby {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let mut roster = read_roster(&self.dir)?;
        let hub = named(&roster, &self.hub)?;
        let spokes: Vec<AdmitNode> = admitted(&roster)
            .into_values()
            .filter(|admit| admit.standby == Some(hub))
            .filter(|admit| roster.node(&admit.request.node).is_some_and(|member| member.standing.holds()))
            .collect();
        if spokes.is_empty() {
            return Err(CliError::user(format!("{:?} is no spoke's standby", self.hub))
                .hint("a spoke's standby is named when it is admitted, with --standby-hub"));
        }
        let keys = FederationKeys::open(&self.dir, &self.passphrase)?;
        let names: Vec<String> = spokes.iter().map(|admit| format!("{:?}", admit.request.name)).collect();
        for admit in spokes {
            let term = roster.term_with_home(&admit.request.node, Some(hub));
            let admit = AdmitNode { home: Some(hub), standby: None, term, ..admit };
            let (seq, prev) = roster.next();
            let wall = Clock::start().now().wall;
            let body = StatementBody::AdmitNode(Box::new(admit));
            let statement = Statement::sign(&keys.ministry, &roster.federation(), seq, prev, wall, &body);
            roster.apply(statement.bytes()).map_err(|error| CliError::internal(error.to_string()))?;
        }
        let path = write_roster(&self.dir, &roster)?;
        let (count, names) = (print::count(names.len() as u64, "spoke"), names.join(", "));
        say!("{:?} is the home hub of {count}: {names}; bring {} to it and to them", self.hub, path.display());
        Ok(())
    }
}

/// What was last said of each node.
fn admitted(roster: &Roster) -> BTreeMap<NodeId, AdmitNode> {
    let bodies = roster.statements_after(&[]).filter_map(|bytes| Statement::parse(bytes).ok()?.body().ok()?);
    let admitted = bodies.filter_map(|body| match body {
        StatementBody::AdmitNode(admit) => Some((admit.request.node, *admit)),
        _ => None,
    });
    admitted.collect()
}
