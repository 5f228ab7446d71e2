//! The demo's nodes: each is this same binary's `run` command in a process of its own, over real sockets.

use crate::cli::{CliError, at};
use std::{
    ffi::OsStr,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a node may take to answer on its control socket.
const START: Duration = Duration::from_secs(60);

/// A running node; ends with the demo.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    dir: PathBuf,
}

impl Running {
    /// Starts `radmesh run --dir DIR`; what it logs goes to `DIR/log`.
    pub(super) fn start(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join("log");
        let log = File::create(&path).map_err(at(&path))?;
        let same = log.try_clone().map_err(at(&path))?;
        let child = this_binary()?
            .args([OsStr::new("run"), OsStr::new("--dir"), dir.as_os_str()])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(same)
            .spawn()
            .map_err(|error| CliError::internal(format!("a node can't be started: {error}")))?;
        let mut running = Self { child, dir: dir.to_owned() };
        running.wait_until_it_answers()?;
        Ok(running)
    }

    fn wait_until_it_answers(&mut self) -> Result<(), CliError> {
        let from = Instant::now();
        let socket = self.dir.join(crate::control::SOCKET);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || from.elapsed() > START {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                return Err(CliError::internal(format!("{} did not start:\n{log}", self.dir.display())));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This binary, as a command.
pub(super) fn this_binary() -> Result<Command, CliError> {
    let path = std::env::current_exe().map_err(|error| CliError::internal(format!("who am I? {error}")))?;
    Ok(Command::new(path))
}

/// Runs one command of this binary and returns what it printed.
pub(super) fn radmesh<S: AsRef<OsStr>>(args: &[S]) -> Result<String, CliError> {
    let done = this_binary()?.args(args).stdin(Stdio::null()).output();
    let done = done.map_err(|error| CliError::internal(format!("a command can't be started: {error}")))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let named = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect::<Vec<_>>().join(" ");
        return Err(CliError::internal(format!("radmesh {named}: {}", said.trim())));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A port of the loopback that is free now.
pub(super) fn free_port() -> Result<SocketAddr, CliError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener
        .and_then(|listener| listener.local_addr())
        .map_err(|error| CliError::internal(format!("no port of the loopback is free: {error}")))
}
