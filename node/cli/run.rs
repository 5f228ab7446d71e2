//! `radmesh run`: the node itself.

use super::{CliError, NodeDir, codec_worker, roster_of};
use crate::{
    chance,
    clock::{BUILT, Clock},
    config::{Config, ModalityConfig, SpokeConfig},
    desk::Desk,
    driver::{self, Gossip, Handles},
    keystore::Keystore,
    privacy,
};
use clap::Args;
use radmesh_dimse::sop_class::SopClasses;
use radmesh_hub::{Core, Hub, Parts as HubParts, limits::OPENED_BYTES_MAX};
use radmesh_protocol::{
    id::{FederationId, Incarnation},
    node::{Node, NodeConfig, Switch},
    record::Record,
    roster::{Role, Roster},
    time::Millis,
};
use radmesh_spoke::{Chance, Latest, Parts as SpokeParts, Settings, Spoke, modality::Modality};
use radmesh_store::{Disk, Store};
use rand_core::Rng;
use std::{path::Path, sync::Arc};
use tokio::{net::TcpListener, task::JoinSet};

/// Stays in the foreground; SIGTERM or Ctrl-C stops it, and a power cut does no harm. It logs to standard error, without
/// patient data; RUST_LOG=debug says more.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    node: NodeDir,
}

impl Run {
    pub(super) fn run(self) -> Result<(), CliError> {
        privacy::close_process()?;
        let config = Config::read(&self.node.dir)?;
        privacy::check_directory(&self.node.dir)?;
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::internal(format!("no runtime: {error}")))?;
        let outcome = runtime.block_on(run(&self.node.dir, config));
        // What is still on a blocking thread has promised nothing: it may end with the process.
        runtime.shutdown_background();
        outcome
    }
}

async fn run(dir: &Path, config: Config) -> Result<(), CliError> {
    let (keys, roster) = (Keystore::open(dir)?, roster_of(dir)?);
    let (me, federation) = (keys.signing.node_id(), roster.federation());
    agree(&config, &roster, &keys)?;
    let clock = Clock::start();
    let Woken { node, store, latest, rooms } = wake(dir, &config, &keys, &roster)?;
    let driven = driver::Parts {
        node,
        store: Arc::clone(&store),
        clock,
        seed: keys.signing_seed.clone(),
        federation,
        listen: config.listen.clone(),
        gossip: if config.network.gossip { Gossip::On } else { Gossip::Off },
    };
    let refused = |error: driver::DriverError| {
        CliError::configuration(error.to_string())
            .hint("see `listen` in radmesh.toml, and whether another node runs here")
    };
    let (handles, driver) = driver::start(driven).await.map_err(refused)?;

    let mut parts = JoinSet::new();
    let spoke = match &config.spoke {
        Some(section) => {
            Some(start_spoke(section, &keys, (latest, &store, &handles), federation, clock, &mut parts).await?)
        }
        None => None,
    };
    let hub = (config.role == Role::Hub).then(|| {
        let core = Core::new(Arc::clone(&handles.node), handles.commands.clone());
        let made_of = HubParts {
            core,
            store: Arc::clone(&store),
            at_rest: keys.at_rest.clone(),
            me,
            rng: Box::new(chance::os()),
            workers: codec_worker::workers(),
            opened_bytes_max: OPENED_BYTES_MAX,
        };
        let hub = Arc::new(Hub::new(made_of));
        rooms.iter().for_each(|record| hub.replay(record));
        let (running, notices) = (Arc::clone(&hub), handles.notices.subscribe());
        parts.spawn(async move {
            running.run(notices).await;
            "the hub's part ended".to_owned()
        });
        hub
    });
    let desk = Desk {
        dir: dir.to_owned(),
        name: config.name.clone(),
        clock,
        node: handles.node,
        store,
        commands: handles.commands,
        notices: handles.notices,
        runtime: tokio::runtime::Handle::current(),
        spoke,
        hub,
    };
    let socket = desk.open()?;
    parts.spawn(async move { match desk.attend(socket).await {} });
    let listening = handles.listening.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    tracing::info!(name = %config.name, role = %config.role, node = %me, listening, "running");
    let asked = driver::asked_to_stop().map_err(|error| CliError::internal(error.to_string()))?;
    let mut outcome = Ok(());
    let stop = async { outcome = until_asked(asked, &mut parts).await };
    driver.run(stop).await.map_err(|error| CliError::internal(error.to_string()))?;
    outcome
}

/// Waits until the node is asked to stop. A part that ends by itself stops it too, as an error: a spoke that takes no
/// images in must not look alive, and the service manager starts it again.
async fn until_asked(asked: impl Future<Output = ()>, parts: &mut JoinSet<String>) -> Result<(), CliError> {
    let ended = tokio::select! {
        () = asked => return Ok(()),
        Some(ended) = parts.join_next() => ended,
    };
    let what = ended.unwrap_or_else(|error| format!("a part of the node broke: {error}"));
    Err(CliError::internal(what).hint("its log says why; what was promised is on disk, and `radmesh run` goes on"))
}

/// The ministry's word and the configuration must say the same.
fn agree(config: &Config, roster: &Roster, keys: &Keystore) -> Result<(), CliError> {
    let me = keys.signing.node_id();
    let member = roster.node(&me).filter(|member| member.standing.holds()).ok_or_else(|| {
        CliError::configuration("the roster in this directory does not admit this node")
            .hint("bring request.radmesh to the ministry, then `radmesh join` with the new roster")
    })?;
    if member.role == config.role {
        return Ok(());
    }
    let (theirs, ours) = (member.role, config.role);
    Err(CliError::configuration(format!("the ministry admitted this node as {theirs}, radmesh.toml says {ours}"))
        .hint("a role is chosen at `radmesh init` and lasts: put it back in radmesh.toml"))
}

/// A node as the journal left it.
struct Woken {
    node: Node,
    store: Arc<Store>,
    latest: Latest,
    /// The rooms' records, in the journal's order.
    rooms: Vec<Record>,
}

fn wake(dir: &Path, config: &Config, keys: &Keystore, roster: &Roster) -> Result<Woken, CliError> {
    let disk = Disk::open(dir).map_err(|error| {
        CliError::configuration(error.to_string()).hint("one node runs in a directory; `radmesh status` asks it")
    })?;
    let damaged = |error: radmesh_store::OpenError| {
        CliError::internal(error.to_string()).hint("nothing was changed; keep the directory and ask for help")
    };
    let (store, replay) = Store::open(Arc::new(disk), &keys.at_rest).map_err(damaged)?;
    let mut reserve = [0; 8];
    chance::os().fill_bytes(&mut reserve);
    let switch = |on: bool| if on { Switch::On } else { Switch::Off };
    let mut node = Node::new(NodeConfig {
        signing: keys.signing.clone(),
        federation: roster.federation(),
        incarnation: keys.incarnation,
        reserve: Incarnation(reserve),
        floor: BUILT,
        keep_hours: config.store.keep_hours(config.role),
        scrub: config.store.scrub(),
        gossip: switch(config.network.gossip),
        anti_entropy: switch(config.network.anti_entropy),
        push: switch(config.network.push),
    });
    let (mut latest, mut rooms) = (Latest::default(), Vec::new());
    // The roster's file is as durable as the journal, and newer after a `radmesh join`.
    for statement in roster.statements_after(&[]) {
        node.replay(Record::Statement(statement.to_vec()));
    }
    for record in replay {
        let record = record.map_err(damaged)?;
        latest.take(&record);
        match record {
            Record::Room { .. } if config.role == Role::Hub => rooms.push(record),
            Record::Room { .. } => {}
            record => node.replay(record),
        }
    }
    Ok(Woken { node, store: Arc::new(store), latest, rooms })
}

async fn start_spoke(
    section: &SpokeConfig,
    keys: &Keystore,
    (latest, store, handles): (Latest, &Arc<Store>, &Handles),
    federation: FederationId,
    clock: Clock,
    parts: &mut JoinSet<String>,
) -> Result<Arc<Spoke>, CliError> {
    let reading = keys.reading.clone().ok_or_else(|| CliError::configuration("node.key holds no reading key"))?;
    let made_of = SpokeParts {
        me: keys.signing.node_id(),
        federation,
        signer: keys.signing.clone(),
        reading,
        at_rest: keys.at_rest.clone(),
        store: Arc::clone(store),
        latest,
        node: Arc::clone(&handles.node),
        commands: handles.commands.clone(),
        clock: Arc::new(move || clock.now()),
        chance: Chance::new(chance::os()),
        workers: codec_worker::workers(),
        settings: Settings {
            ae_title: section.ae_title.clone(),
            quiet: Millis::from_secs(section.quiet_period_s),
            sop_classes: if section.unknown_sop_classes { SopClasses::AnyStorage } else { SopClasses::default() },
            modalities: section.modalities.iter().map(modality).collect(),
            sender_bytes_a_day: u64::from(section.sender_gb_a_day) * 1_000_000_000,
        },
    };
    let opened = tokio::task::spawn_blocking(|| Spoke::open(made_of)).await;
    let spoke = opened.map_err(|error| CliError::internal(error.to_string()))?;
    let spoke = Arc::new(spoke.map_err(|error| CliError::configuration(error.to_string()))?);
    let dicom = TcpListener::bind(section.dicom_listen).await.map_err(|error| {
        CliError::configuration(format!("{}: {error}", section.dicom_listen))
            .hint("see dicom_listen in radmesh.toml, and whether another DICOM service runs here")
    })?;
    let (running, notices) = (Arc::clone(&spoke), handles.notices.subscribe());
    parts.spawn(async move { running.run(dicom, notices).await.to_string() });
    Ok(spoke)
}

fn modality(configured: &ModalityConfig) -> Modality {
    Modality { ae_title: configured.ae_title.clone(), address: configured.address }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_or_ends_stops_the_node_with_an_error() {
        let mut parts = JoinSet::new();
        parts.spawn(async { panic!("a fault of ours") });
        assert!(until_asked(std::future::pending(), &mut parts).await.is_err());
        parts.spawn(async { "the packer ended".to_owned() });
        let ended = until_asked(std::future::pending(), &mut parts).await.unwrap_err();
        assert_eq!(ended.message, "the packer ended");
    }

    #[tokio::test]
    async fn a_node_that_is_asked_to_stop_stops_without_one() {
        let mut parts = JoinSet::new();
        parts.spawn(std::future::pending());
        assert!(until_asked(async {}, &mut parts).await.is_ok());
    }
}
