//! What a child may do: compute.
//!
//! It opens no file and no socket, writes no file, leaves no core dump of a patient's image, and is the first to go when
//! the machine is out of memory, before the node is. Sources: setrlimit(2), prctl(2), proc_pid_oom_score_adj(5).

use crate::limits::ADDRESS_SPACE_BYTES;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::{fs, io};

/// File descriptors: standard input, output and error, which are open already.
const FILES: u64 = 3;
const FIRST_TO_GO: &str = "1000";

/// Takes every right from this process that coding does not need. There is no way back.
pub(crate) fn confine() -> io::Result<()> {
    // A system without /proc has no other way to say it; the limits below hold all the same.
    let _ = fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let limits =
        [(Resource::As, ADDRESS_SPACE_BYTES), (Resource::Core, 0), (Resource::Fsize, 0), (Resource::Nofile, FILES)];
    for (resource, limit) in limits {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(())
}
