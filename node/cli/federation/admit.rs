//! `radmesh federation admit`: the ministry's word that a node or a person is a member.

use super::{FederationKeys, read_roster, write_roster};
use crate::cli::print::say;
use crate::{
    cli::{CliError, given, passphrase::Passphrase},
    clock::Clock,
};
use clap::Args;
use radmesh_protocol::{
    id::{NodeId, Region},
    roster::{
        Roster,
        request::{NodeRequest, PersonRequest},
        statement::{AdmitNode, AdmitPerson, KeyMaker, Statement, StatementBody},
    },
};
use std::{fs, path::PathBuf};

/// Admitting a node again replaces what was said of it: another home hub, another route.
#[derive(Debug, Args)]
pub(in crate::cli) struct Admit {
    /// The federation's directory.
    #[arg(long, value_name = "FED")]
    dir: PathBuf,
    /// The file that `radmesh init` or `radmesh person init` wrote.
    request: PathBuf,
    /// The region, which is also the reading pool.
    #[arg(long, value_name = "R")]
    region: Region,
    /// A spoke's home hub, by name or id.
    #[arg(long, value_name = "NODE")]
    home_hub: Option<String>,
    /// A spoke's second custodian, by name or id.
    #[arg(long, value_name = "NODE")]
    standby_hub: Option<String>,
    /// A relay between the spoke and its home hub, nearest first.
    #[arg(long, value_name = "RELAY")]
    via: Vec<String>,
    /// This hub makes the pool's keys; one hub a region, admitted before its spokes.
    #[arg(long)]
    key_maker: bool,
    /// Whose law holds for what the node makes [default: the region].
    #[arg(long, value_name = "COUNTRY")]
    jurisdiction: Option<Region>,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Admit {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let bytes = fs::read(&self.request).map_err(given(&self.request))?;
        let mut roster = read_roster(&self.dir)?;
        let (body, who) = match NodeRequest::parse(&bytes) {
            Ok(request) => {
                let who = format!("{} {:?}", request.role, request.name);
                (StatementBody::AdmitNode(Box::new(self.node(request, &roster)?)), who)
            }
            Err(node_error) => {
                let request = PersonRequest::parse(&bytes).map_err(|_| {
                    CliError::user(format!("{}: {node_error}", self.request.display())).hint(
                        "a request is the file request.radmesh that `radmesh init` or `radmesh person init` wrote",
                    )
                })?;
                let who = format!("{:?}", request.name);
                (StatementBody::AdmitPerson(self.person(request)?), who)
            }
        };
        let keys = FederationKeys::open(&self.dir, &self.passphrase)?;
        let (seq, prev) = roster.next();
        let wall = Clock::start().now().wall;
        let statement = Statement::sign(&keys.ministry, &roster.federation(), seq, prev, wall, &body);
        roster.apply(statement.bytes()).map_err(|error| {
            CliError::user(format!("the roster does not take this: {error}"))
                .hint("hubs and relays are admitted first; a spoke then names its hub with --home-hub NODE")
        })?;
        let path = write_roster(&self.dir, &roster)?;
        say!("admitted {who} in {}; bring {} to the nodes", self.region, path.display());
        Ok(())
    }

    fn node(&self, request: NodeRequest, roster: &Roster) -> Result<AdmitNode, CliError> {
        let find = |name: &Option<String>| name.as_deref().map(|name| named(roster, name)).transpose();
        let (home, standby) = (find(&self.home_hub)?, find(&self.standby_hub)?);
        let via = self.via.iter().map(|name| named(roster, name)).collect::<Result<_, _>>()?;
        Ok(AdmitNode {
            region: self.region.clone(),
            jurisdiction: self.jurisdiction.clone().unwrap_or_else(|| self.region.clone()),
            home,
            standby,
            term: roster.term_with_home(&request.node, home),
            via,
            key_maker: if self.key_maker { KeyMaker::Yes } else { KeyMaker::No },
            request,
        })
    }

    fn person(&self, request: PersonRequest) -> Result<AdmitPerson, CliError> {
        let for_nodes = self.home_hub.is_some() || self.standby_hub.is_some() || !self.via.is_empty() || self.key_maker;
        if for_nodes {
            return Err(CliError::user(
                "--home-hub, --standby-hub, --via and --key-maker are for nodes, and this is a person",
            )
            .hint("a person needs --region alone"));
        }
        let PersonRequest { person, reading, name, role, .. } = request;
        Ok(AdmitPerson { person, reading, name, roles: vec![role], region: self.region.clone() })
    }
}

/// The one member with this name, or whose id begins so.
pub(super) fn named(roster: &Roster, name: &str) -> Result<NodeId, CliError> {
    let fits: Vec<_> = roster
        .members()
        .filter(|member| member.standing.holds() && (member.name == name || member.node.to_string().starts_with(name)))
        .collect();
    match fits.as_slice() {
        [one] => Ok(one.node),
        [] => {
            let known = roster.members().map(|member| member.name.clone()).collect::<Vec<_>>();
            let known =
                if known.is_empty() { "none yet; hubs and relays are admitted first".into() } else { known.join(", ") };
            Err(CliError::user(format!("no member is called {name:?}")).hint(format!("members: {known}")))
        }
        several => Err(CliError::user(format!("{} members are called {name:?}", several.len()))
            .hint("name the node by the first characters of its id")),
    }
}
