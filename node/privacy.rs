//! What a node writes and holds in memory is for its own user alone.
//!
//! A clinic's computer is shared: whoever else has an account there must read neither keys, nor images, nor the
//! socket that exports them, and a crash must not write an unlocked hub's keys into a file. Everything is made with
//! no rights for others (umask 077), in a directory that others can't enter, by a process that leaves no core dump
//! and lets nobody of its own user look into it (`PR_SET_DUMPABLE`, prctl(2)).

use crate::cli::{CliError, at};
use rustix::{
    fs::Mode,
    process::{DumpableBehavior, set_dumpable_behavior, umask},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Rights of the group and of others.
const OTHERS: u32 = 0o077;

/// Closes this process to others; the first thing a node does.
pub(crate) fn close_process() -> Result<(), CliError> {
    umask(Mode::from_raw_mode(OTHERS));
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| CliError::internal(format!("core dumps can't be switched off: {error}")))
}

/// Refuses a directory that others may enter.
pub(crate) fn check_directory(dir: &Path) -> Result<(), CliError> {
    let mode = fs::metadata(dir).map_err(at(dir))?.permissions().mode() & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let shown = dir.display();
    Err(CliError::configuration(format!("{shown}: others may enter this directory (mode {mode:03o})"))
        .hint(format!("a node's keys and images lie in it: chmod 700 {shown}")))
}
