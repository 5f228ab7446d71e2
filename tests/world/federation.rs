//! A spoke that reaches only a relay, the relay, and the hub: admitted, running, the hub unlocked, one radiologist.

use super::{
    NodePlace, Running, World,
    network::{Network, Site},
    radmesh, run, until,
};
use std::{
    path::{Path, PathBuf},
    process::Output,
};

/// The three nodes of a Study's path and the directory they live in.
pub(crate) struct Federation {
    pub(crate) world: World,
    pub(crate) spoke: NodePlace,
    pub(crate) relay: NodePlace,
    pub(crate) hub: NodePlace,
    running: Vec<Running>,
}

impl Federation {
    /// All three on this machine's loopback.
    pub(crate) fn on_loopback() -> Self {
        let world = World::new();
        let (relay, hub) = (world.init("relay", "relay", &[]), world.init("hub", "hub", &[]));
        Self::admit(world, relay, hub, World::start)
    }

    /// Each in a network of its own; the spoke's DICOM port is on its own loopback.
    pub(crate) fn over(network: &Network) -> Self {
        let world = World::new();
        let relay = world.init_at("relay", "relay", Network::relay(), &[]);
        let hub = world.init_at("hub", "hub", Network::hub(), &[]);
        Self::admit(world, relay, hub, |world, place| world.start_in(place, network, Site::of(&place.name)))
    }

    fn admit(world: World, relay: NodePlace, hub: NodePlace, start: impl Fn(&World, &NodePlace) -> Running) -> Self {
        let spoke = world.init("spoke", "spoke", &[]);
        world.admit("hub", &["--key-maker"]);
        world.admit("relay", &[]);
        world.admit("spoke", &["--home-hub", "hub", "--via", "relay"]);
        world.person("banda");
        let running = [&hub, &relay, &spoke].map(|place| {
            world.join(place);
            start(&world, place)
        });
        world.unlock(&hub);
        Self { world, spoke, relay, hub, running: running.into() }
    }

    /// Waits until the spoke says that the home hub has signed for every case.
    pub(crate) fn delivered(&self, cases: usize) {
        until(&format!("{cases} cases delivered"), || {
            let rows = self.spoke.json(&["studies"]);
            let rows = rows.as_array().unwrap();
            (rows.len() == cases && rows.iter().all(|row| row["delivered"] == true)).then_some(())
        });
    }

    /// Waits until the hub has opened every case, and names them.
    pub(crate) fn ready(&self, cases: usize) -> Vec<String> {
        until(&format!("{cases} cases ready to read"), || {
            let rows = self.hub.json(&["worklist"]);
            let rows = rows.as_array().unwrap();
            let ready = rows.len() == cases && rows.iter().all(|row| row["ready_to_read"] == true);
            ready.then(|| rows.iter().map(|row| row["case"].as_str().unwrap().to_owned()).collect())
        })
    }

    /// The radiologist claims a case.
    pub(crate) fn claim(&self, case: &str) {
        let (person, pass) = (self.world.text("banda"), self.world.text("passphrase"));
        radmesh(&["claim", "--dir", self.hub.text(), case, "--as", &person, "--passphrase-file", &pass]);
    }

    /// The radiologist signs a report of this status with the text of a file; what was said.
    pub(crate) fn sign(&self, case: &str, status: &str, text: &Path) -> Output {
        let (person, pass) = (self.world.text("banda"), self.world.text("passphrase"));
        let mut args = vec!["report", "--dir", self.hub.text(), case, "--as", &person, "--passphrase-file", &pass];
        args.extend(["--status", status, "--text-file", text.to_str().unwrap()]);
        run(&args)
    }

    /// Writes a case's images into a new directory of the world.
    pub(crate) fn export(&self, case: &str, to: &str, form: &[&str]) -> PathBuf {
        let to = self.world.path(to);
        let mut args = vec!["export", "--dir", self.hub.text(), case, "--to", to.to_str().unwrap()];
        args.extend(form);
        radmesh(&args);
        to
    }
}
