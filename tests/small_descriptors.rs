//! Nodes with 64 file descriptors run dry while a clinic and a reading room work: what they can't take they refuse or
//! delay, nothing they took is lost, and when there are descriptors again they go on.
//!
//! A process without descriptors can open no file and accept no connection. To take that for a broken disk would end
//! all receipts until somebody restarts the node; to take it for success would lose an image.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    process::Command,
};
use world::{NodePlace, RADMESH, Running, World, load::Town, until};

const DESCRIPTORS: usize = 64;
/// What the open connections of others are counted up to; the node's own work takes the rest.
const NEARLY: usize = 62;

/// Connections of everybody who may connect, held open and silent.
#[derive(Default)]
struct Held {
    commands: Vec<UnixStream>,
    connections: Vec<TcpStream>,
}

impl Held {
    /// One more of each, the TCP ones from an address of its own, as a node gives each address a few places only. What
    /// is not accepted waits in the system's queue and is accepted later.
    fn one_more(&mut self, place: &NodePlace) {
        self.commands.extend(UnixStream::connect(place.dir.join("control.sock")));
        let from = Ipv4Addr::new(127, 0, 1, 1 + (self.connections.len() % 200) as u8);
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        if socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, place.dicom_port)).into()).is_ok() {
            self.connections.push(socket.into());
        }
    }
}

fn start(town: &Town<'_>, place: &NodePlace) -> Running {
    let mut command = Command::new("prlimit");
    command.args([&format!("--nofile={DESCRIPTORS}"), "--", RADMESH]);
    town.world.start_by(place, command)
}

fn open_files(node: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap().count()
}

/// Holds what the node has until it says itself that it has no more; then lets go, one after another, so that each
/// number of free descriptors is worked with.
fn run_dry(place: &NodePlace, node: &mut Running) {
    let mut held = Held::default();
    until("nearly all descriptors are in use", || {
        held.one_more(place);
        (open_files(node) >= NEARLY).then_some(())
    });
    until("the node says that it has no more", || {
        held.one_more(place);
        node.still_runs();
        fs::read_to_string(place.log()).unwrap().contains("Too many open files").then_some(())
    });
    let (commands, connections) = (held.commands.len(), held.connections.len());
    println!("{}: {} descriptors, {commands} commands and {connections} senders hold on", place.name, open_files(node));
    until("all have let go", || {
        node.still_runs();
        let left = [held.commands.pop().is_some(), held.connections.pop().is_some()];
        (left == [false, false]).then_some(())
    });
}

#[test]
fn nodes_that_run_out_of_descriptors_lose_nothing_and_go_on_when_there_are_some() {
    let world = World::new();
    let town = Town::new(&world);
    let (mut hub, mut spoke) = (start(&town, &town.hub), start(&town, &town.spoke));
    town.works_while(|| {
        until("Studies are read", || (town.promised().counts()[3] > 0).then_some(()));
        for (place, node) in [(&town.spoke, &mut spoke), (&town.hub, &mut hub)] {
            run_dry(place, node);
            let before = town.promised().counts();
            until("it goes on", || {
                let now = town.promised().counts();
                (now[0] > before[0] && now[3] > before[3]).then_some(())
            });
        }
    });
    hub.still_runs();
    spoke.still_runs();
    town.everything_arrives(0);
    town.the_spoke_has_what_it_promised();
}
