//! How many children this machine has room for.
//!
//! A clinic's node may be a small computer with four cores and little memory, or a corner of a large one that a memory
//! cgroup cuts off; a child too many there is ended by the system in the middle of a Study. Sources: cgroups(7),
//! proc_meminfo(5).

use crate::limits::{CHILD_BYTES, NODE_BYTES};
use std::{fs, num::NonZero, path::Path, thread};

/// Children at once: one a core, as far as memory goes, and always one.
pub(crate) fn seats() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    seats_in(cores, memory_bytes())
}

fn seats_in(cores: usize, memory: Option<u64>) -> usize {
    let fit = memory.map_or(u64::MAX, |bytes| bytes.saturating_sub(NODE_BYTES) / CHILD_BYTES);
    cores.min(usize::try_from(fit).unwrap_or(usize::MAX)).max(1)
}

/// The machine's memory, or what the tightest memory cgroup around this process leaves of it.
fn memory_bytes() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(limit_file).flat_map(|(root, group, file)| {
        let inside = Path::new(&group).ancestors().map(|above| root.join(above.strip_prefix("/").unwrap_or(above)));
        inside.filter_map(|dir| read(&dir.join(file))?.trim().parse().ok()).collect::<Vec<u64>>()
    });
    limits.chain(read(Path::new("/proc/meminfo")).as_deref().and_then(total)).min()
}

/// Where a line of /proc/self/cgroup has its memory limit: the hierarchy, the group, the file in each.
fn limit_file(line: &str) -> Option<(&'static Path, String, &'static str)> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
    if controllers.is_empty() {
        return Some((Path::new("/sys/fs/cgroup"), group.to_owned(), "memory.max"));
    }
    let is_memory = controllers.split(',').any(|controller| controller == "memory");
    is_memory.then(|| (Path::new("/sys/fs/cgroup/memory"), group.to_owned(), "memory.limit_in_bytes"))
}

fn total(meminfo: &str) -> Option<u64> {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?;
    kib.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_gets_one_child_whatever_its_cores() {
        assert_eq!(seats_in(64, Some(200_000_000)), 1);
        assert_eq!(seats_in(4, Some(10)), 1);
        assert_eq!(seats_in(4, Some(1_000_000_000)), 4);
        assert_eq!(seats_in(4, None), 4);
    }

    #[test]
    fn the_limit_of_either_kind_of_cgroup_is_found() {
        let second = limit_file("0::/system.slice/radmesh.service").unwrap();
        assert_eq!(second, (Path::new("/sys/fs/cgroup"), "/system.slice/radmesh.service".into(), "memory.max"));
        let first = limit_file("9:cpu,memory:/clinic").unwrap();
        assert_eq!(first, (Path::new("/sys/fs/cgroup/memory"), "/clinic".into(), "memory.limit_in_bytes"));
        assert_eq!(limit_file("3:cpuset:/"), None);
    }

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:        1024 kB\n"), Some(1024 * 1024));
        assert!(memory_bytes().is_some_and(|bytes| bytes > NODE_BYTES));
    }
}
