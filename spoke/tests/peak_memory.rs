//! A long Series passes through a small machine: what a spoke holds in memory does not grow with the Study.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what it did not find")]

mod site;

use radmesh_store::Disk;
use site::{Site, Start, data_set::Instance, instances};
use std::sync::Arc;

const INSTANCES: u32 = 160;
const INSTANCE_BYTES: u32 = 512 * 1024;
// The cgroup of the acceptance test has 200 MB for the whole process tree.
const PEAK_KIB_MAX: u64 = 180 * 1024;

/// The most memory this process ever had, in KiB (proc(5), VmHWM).
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn slice(number: u32) -> Instance {
    // Noise in the low bits, as a CT slice has: about as compressible as one.
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    let pixels = (0..INSTANCE_BYTES).map(|i| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        if i % 2 == 0 { (state & 0x3f) as u8 } else { (i >> 15) as u8 }
    });
    Instance::new("1.2.826.99", "1.2.826.99.1", number).with_pixels(pixels.collect())
}

#[tokio::test]
#[ignore = "minutes of coding; ./check --long runs it"]
async fn a_long_series_is_taken_in_and_packed_in_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::open(Start::on(Arc::new(Disk::open(directory.path()).unwrap()))).await;
    let mut case = String::new();
    for number in 1..=INSTANCES {
        case = site.hand_in(&slice(number).file()).await.unwrap().case;
    }
    site.spoke.close(&case).unwrap();
    site.until(|site| site.spoke.studies().iter().all(|study| study.closed).then_some(())).await;
    let peak = peak_kib();
    println!("peak of {INSTANCES} Instances of {INSTANCE_BYTES} bytes: {peak} KiB");
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
    assert_eq!(instances(&site.groups(&site.keys.pool)).len(), INSTANCES as usize);
}
