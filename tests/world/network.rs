//! Three networks on one machine: a clinic's, a hospital's, and a relay's between them, which is all that both reach.
//!
//! Each is a Linux network namespace (ip-netns(8)) and needs root. The relay's forwards no packets, so that what
//! crosses it crosses it through the relay's own process.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, Command, Stdio, id},
    sync::atomic::{AtomicU32, Ordering},
};

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Where a process runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Site {
    Clinic,
    Between,
    Hospital,
}

impl Site {
    /// Where a node of this name stands.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "spoke" => Self::Clinic,
            "relay" => Self::Between,
            _ => Self::Hospital,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Clinic => "clinic",
            Self::Between => "between",
            Self::Hospital => "hospital",
        }
    }
}

/// The three namespaces; gone when dropped.
#[derive(Debug)]
pub(crate) struct Network {
    prefix: String,
}

const SITES: [Site; 3] = [Site::Clinic, Site::Between, Site::Hospital];
const CLINIC: &str = "10.77.1.2";
const TO_CLINIC: &str = "10.77.1.1";
const HOSPITAL: &str = "10.77.2.2";
const TO_HOSPITAL: &str = "10.77.2.1";

impl Network {
    /// Makes the namespaces and the two cables.
    pub(crate) fn new() -> Self {
        let network = Self { prefix: format!("rm{}x{}", id(), NETWORKS.fetch_add(1, Ordering::SeqCst)) };
        for site in SITES {
            ip(&format!("netns add {}", network.namespace(site)));
            ip(&format!("-n {} link set lo up", network.namespace(site)));
        }
        network.cable(Site::Clinic, CLINIC, TO_CLINIC);
        network.cable(Site::Hospital, HOSPITAL, TO_HOSPITAL);
        network
    }

    fn namespace(&self, site: Site) -> String {
        format!("{}-{}", self.prefix, site.word())
    }

    fn cable(&self, to: Site, far: &str, near: &str) {
        let (between, there) = (self.namespace(Site::Between), self.namespace(to));
        let plug = to.word();
        ip(&format!("-n {between} link add {plug} type veth peer name uplink netns {there}"));
        ip(&format!("-n {between} addr add {near}/24 dev {plug}"));
        ip(&format!("-n {there} addr add {far}/24 dev uplink"));
        ip(&format!("-n {between} link set {plug} up"));
        ip(&format!("-n {there} link set uplink up"));
    }

    /// A command that runs at `site`.
    pub(crate) fn inside(&self, site: Site, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(site)]).arg(program);
        command
    }

    /// Where the clinic dials the relay.
    pub(crate) const fn relay() -> &'static str {
        "/ip4/10.77.1.1/tcp/4001"
    }

    /// Where the relay dials the hub.
    pub(crate) const fn hub() -> &'static str {
        "/ip4/10.77.2.2/tcp/4001"
    }

    /// Whether the clinic has a way to the hospital that is not the relay's process.
    pub(crate) fn clinic_has_a_route_to_the_hospital(&self) -> bool {
        let mut command = self.inside(Site::Clinic, "ip");
        command.args(["route", "get", HOSPITAL]).stderr(Stdio::null()).status().unwrap().success()
    }

    /// Writes every packet that crosses the relay's cables into `file` (tcpdump, pcap) until it is ended.
    pub(crate) fn capture(&self, file: &Path) -> Capture {
        let mut command = self.inside(Site::Between, "tcpdump");
        command.args(["-i", "any", "-y", "LINUX_SLL", "-U", "-s", "0", "-Z", "root", "-w"]).arg(file);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            let read = std::io::BufRead::read_line(&mut said, &mut line).unwrap();
            assert!(read > 0, "tcpdump ended before it listened");
        }
        Capture { child }
    }
}

/// A running tcpdump.
#[derive(Debug)]
pub(crate) struct Capture {
    child: Child,
}

impl Capture {
    /// Ends the capture; the file is whole then.
    pub(crate) fn end(mut self) {
        let done = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success() && self.child.wait().unwrap().success(), "tcpdump ends cleanly");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for site in SITES {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(site)]).status();
        }
    }
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "ip {arguments}: {said} (network namespaces need root)");
}
