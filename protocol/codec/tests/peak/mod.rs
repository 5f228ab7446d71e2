//! Peak memory of the test process, as the kernel counts it: what a cgroup would have had to allow.

/// Peak resident memory of this process, in bytes (`proc(5)`, `VmHWM`).
pub(crate) fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux shows every process its own status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a status has its peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("the peak is a number of kB");
    kib * 1024
}
