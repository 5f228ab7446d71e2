//! A federation of real processes for tests: the ministry's commands, nodes on loopback, kill -9.
//!
//! Everything goes through the command line, as a field installer would do it. Each test has a directory and ports
//! of its own; nothing waits for a length of time, only for a thing to become true, and gives up with the logs.

#![allow(dead_code, reason = "each test file uses its own part of the world")]

pub(crate) mod copies;
pub(crate) mod disk;
pub(crate) mod federation;
pub(crate) mod load;
pub(crate) mod network;

use network::{Network, Site};
use radmesh_protocol::id::Hash;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::{
    collections::BTreeSet,
    env,
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write,
    iter,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long anything may take before a test gives up and shows the logs.
const PATIENCE: Duration = Duration::from_secs(300);

/// The binary under test.
pub(crate) const RADMESH: &str = env!("CARGO_BIN_EXE_radmesh");

/// A federation in a temporary directory.
pub(crate) struct World {
    dir: tempfile::TempDir,
}

/// A node's directory and ports, whether it runs or not.
#[derive(Clone, Debug)]
pub(crate) struct NodePlace {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) dicom_port: u16,
}

/// A running node; killed when dropped.
pub(crate) struct Running {
    child: Child,
    place: NodePlace,
}

/// Runs one command and returns everything it said.
pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> Output {
    Command::new(RADMESH).args(args).stdin(Stdio::null()).output().expect("the binary under test starts")
}

/// Runs one command that must succeed and returns its standard output.
pub(crate) fn radmesh<S: AsRef<OsStr>>(args: &[S]) -> String {
    let done = run(args);
    let named = args.iter().map(|a| a.as_ref().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    assert!(done.status.success(), "radmesh {named}:\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("output is UTF-8")
}

/// A TCP port of the loopback that is free now, and that the system gives to no connection while its node is down: it is
/// below the range of those. Each process of tests has its own thousand or so.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (process::id() % 200) as u16 * 100;
    let next = || first + NEXT.fetch_add(1, Ordering::Relaxed) % 1000;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    iter::repeat_with(next).take(1000).find(is_free).expect("a port is free")
}

/// Waits until `ask` gives something; fails with `what` when patience ends.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let from = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(from.elapsed() < PATIENCE, "waited {} s in vain: {what}", PATIENCE.as_secs());
        // What is waited for happens in other processes, which call nobody: they are asked again.
        thread::sleep(Duration::from_millis(100));
    }
}

/// A figure that `./check --long` raises.
pub(crate) fn figure(variable: &str, default: usize) -> usize {
    env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// A different moment in each run, up to `longest`; who takes it prints it.
pub(crate) fn moment(longest: Duration) -> Duration {
    static SALT: AtomicU16 = AtomicU16::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let hash = Hash::of(format!("{nanos}/{}", SALT.fetch_add(1, Ordering::Relaxed)).as_bytes());
    longest * u32::from(u16::from_be_bytes([hash.0[0], hash.0[1]])) / u32::from(u16::MAX)
}

impl World {
    /// A federation whose ministry exists and has admitted nobody.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// The same in memory: a disk on which much is free, however full that of the machine is.
    pub(crate) fn in_memory() -> Self {
        Self::in_dir(tempfile::tempdir_in("/dev/shm").unwrap(), &[])
    }

    /// The same, with more options for `federation init`.
    pub(crate) fn with(options: &[&str]) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), options)
    }

    fn in_dir(dir: tempfile::TempDir, options: &[&str]) -> Self {
        let world = Self { dir };
        fs::write(world.path("passphrase"), "correct horse battery staple\n").unwrap();
        let (fed, pass) = (world.text("fed"), world.text("passphrase"));
        let mut args =
            vec!["federation", "init", "--dir", &fed, "--name", "Ministry of Health", "--passphrase-file", &pass];
        args.extend(options);
        radmesh(&args);
        world
    }

    /// A path in the world's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Makes a node; its request waits for [`World::admit`].
    pub(crate) fn init(&self, name: &str, role: &str, options: &[&str]) -> NodePlace {
        self.init_at(name, role, &format!("/ip4/127.0.0.1/tcp/{}", free_port()), options)
    }

    /// The same, listening at a chosen address.
    pub(crate) fn init_at(&self, name: &str, role: &str, listen: &str, options: &[&str]) -> NodePlace {
        let dicom_port = free_port();
        let place = NodePlace { name: name.into(), dir: self.path(name), dicom_port };
        let (dir, pass) = (self.text(name), self.text("passphrase"));
        let dicom = format!("127.0.0.1:{dicom_port}");
        let mut args = vec!["init", "--dir", &dir, "--name", name, "--role", role, "--listen", listen];
        match role {
            "hub" => args.extend(["--passphrase-file", &pass]),
            "spoke" => args.extend(["--dicom-listen", &dicom, "--quiet-period", "2"]),
            _ => {}
        }
        args.extend(options);
        radmesh(&args);
        place
    }

    /// The ministry admits a node, or a person by the directory's name.
    pub(crate) fn admit(&self, name: &str, options: &[&str]) {
        let (fed, request, pass) =
            (self.text("fed"), self.text(&format!("{name}/request.radmesh")), self.text("passphrase"));
        let mut args =
            vec!["federation", "admit", "--dir", &fed, &request, "--region", "Central", "--passphrase-file", &pass];
        args.extend(options);
        radmesh(&args);
    }

    /// A radiologist with a key of their own.
    pub(crate) fn person(&self, name: &str) -> PathBuf {
        let (dir, pass) = (self.text(name), self.text("passphrase"));
        radmesh(&[
            "person",
            "init",
            "--dir",
            &dir,
            "--name",
            name,
            "--role",
            "radiologist",
            "--passphrase-file",
            &pass,
        ]);
        self.admit(name, &[]);
        self.path(name)
    }

    /// Takes the ministry's roster into a node.
    pub(crate) fn join(&self, place: &NodePlace) {
        let (dir, roster) = (self.text(&place.name), self.text("fed/roster.radmesh"));
        radmesh(&["join", "--dir", &dir, &roster]);
    }

    /// Starts a node; a hub is still locked. Its log is [`NodePlace::log`].
    pub(crate) fn start(&self, place: &NodePlace) -> Running {
        self.start_by(place, Command::new(RADMESH))
    }

    /// The same, logging everything of this level and above, of every library.
    pub(crate) fn start_at_level(&self, place: &NodePlace, level: &str) -> Running {
        let mut command = Command::new(RADMESH);
        command.env("RUST_LOG", level);
        self.start_by(place, command)
    }

    /// The same, in a network of its own.
    pub(crate) fn start_in(&self, place: &NodePlace, network: &Network, site: Site) -> Running {
        self.start_by(place, network.inside(site, RADMESH))
    }

    /// The same, by a command to which the arguments of `run` are added.
    pub(crate) fn start_by(&self, place: &NodePlace, command: Command) -> Running {
        let mut running = Self::launch_by(place, command);
        running.answers();
        running
    }

    /// Starts a node and does not wait until it answers.
    pub(crate) fn launch(place: &NodePlace) -> Running {
        Self::launch_by(place, Command::new(RADMESH))
    }

    fn launch_by(place: &NodePlace, mut command: Command) -> Running {
        let mut log = OpenOptions::new().create(true).append(true).open(place.log()).unwrap();
        writeln!(log, "--- start").unwrap();
        let child = command
            .args([OsStr::new("run"), OsStr::new("--dir"), place.dir.as_os_str()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Running { child, place: place.clone() }
    }

    /// Opens a hub's keys.
    pub(crate) fn unlock(&self, place: &NodePlace) {
        radmesh(&["unlock", "--dir", place.dir.to_str().unwrap(), "--passphrase-file", &self.text("passphrase")]);
    }
}

impl Running {
    /// Waits until the node answers on its control socket.
    pub(crate) fn answers(&mut self) {
        until(&format!("{} answers on its control socket", self.place.name), || {
            self.still_runs();
            run(&["status", "--dir", self.place.text(), "--json"]).status.success().then_some(())
        });
    }

    /// Fails, with its log, if the node has ended by itself.
    pub(crate) fn still_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} ended with {status}:\n{}", self.place.name, fs::read_to_string(self.place.log()).unwrap());
        }
    }

    /// SIGSTOP: when this returns, no thread of the node does anything any more.
    pub(crate) fn freeze(&mut self) {
        self.still_runs();
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{} ended before it was stopped: {status:?}", self.place.name);
    }

    /// SIGKILL, as a power button.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A `--json` list or object of this node.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        self.place.json(args)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl NodePlace {
    /// The directory as text.
    pub(crate) fn text(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    /// Where the node logs to.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// A `--json` list or object of the node that runs here.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = args.to_vec();
        all.extend(["--dir", self.dir.to_str().unwrap(), "--json"]);
        serde_json::from_str(&radmesh(&all)).unwrap()
    }
}

/// Real files that lie in the tree.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// BLAKE3 of every file below `dir`.
pub(crate) fn hashes(dir: &Path) -> BTreeSet<Hash> {
    files(dir).iter().map(|path| Hash::of(&fs::read(path).unwrap())).collect()
}

/// Every file below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
