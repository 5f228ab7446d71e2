//! A long Study passes through a small machine: what a spoke holds in memory does not grow with the Study.
//!
//! The whole process tree runs in a memory cgroup of 200 MB; a machine out of memory would kill it at the moment the
//! patient lies in the scanner. Needs root, as cgroups do. Minutes of coding: `./check --long` runs it and prints the
//! peak of anonymous memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_codec::scan::{Form, scan};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use world::{RADMESH, World, fixtures, radmesh};

const LIMIT_BYTES: u64 = 200_000_000;
const INSTANCES: usize = 1000;
const INSTANCE_BYTES_MIN: usize = 512 * 1024;
/// How often the memory in use is looked at: the kernel keeps no high-water mark of anonymous memory alone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A memory cgroup, of version 1 or 2 as the machine has it; gone when dropped.
struct Cgroup {
    dir: PathBuf,
    limit: &'static str,
    anonymous: &'static str,
    kills: &'static str,
}

impl Cgroup {
    fn new() -> Self {
        let name = format!("radmesh-test-{}", std::process::id());
        let first = Path::new("/sys/fs/cgroup/memory");
        let cgroup = if first.is_dir() {
            Self {
                dir: first.join(name),
                limit: "memory.limit_in_bytes",
                anonymous: "rss ",
                kills: "memory.oom_control",
            }
        } else {
            Self {
                dir: Path::new("/sys/fs/cgroup").join(name),
                limit: "memory.max",
                anonymous: "anon ",
                kills: "memory.events",
            }
        };
        fs::create_dir(&cgroup.dir).expect("root, and a cgroup file system");
        fs::write(cgroup.dir.join(cgroup.limit), LIMIT_BYTES.to_string()).unwrap();
        cgroup
    }

    /// A command that puts itself into the cgroup before it becomes `program`.
    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        let enter = format!("echo $$ > '{}' && exec '{program}' \"$@\"", self.dir.join("cgroup.procs").display());
        command.args(["-c", &enter, "sh"]);
        command
    }

    fn value(&self, file: &str, key: &str) -> u64 {
        let text = fs::read_to_string(self.dir.join(file)).unwrap();
        text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().parse().unwrap()
    }

    fn anonymous_bytes(&self) -> u64 {
        self.value("memory.stat", self.anonymous)
    }

    fn kills(&self) -> u64 {
        self.value(self.kills, "oom_kill ")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.dir);
    }
}

/// Slices of a real MR, each with other rows first and other noise in its lowest two bits, as long as an uncompressed
/// CT slice of 512 x 512. Without the noise one slice would be coded from the other in no time and no space.
fn slices(into: &Path) {
    let mut noise: u32 = 1;
    fs::create_dir(into).unwrap();
    let file = fs::read(fixtures().join("pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm")).unwrap();
    let found = scan(file.as_slice(), Form::File).unwrap();
    let pixels = found.pixel_data.unwrap().value;
    let [start, end] = [pixels.start, pixels.end].map(|at| usize::try_from(at).unwrap());
    let row_bytes = 484 * 2;
    let uid = found.sop_instance.as_str().as_bytes();
    let at: Vec<usize> = (0..start).filter(|at| file[*at..].starts_with(uid)).collect();
    assert_eq!((end - start) % row_bytes, 0);
    for number in 0..INSTANCES {
        let mut head = file[..start].to_vec();
        for at in &at {
            head[at + uid.len() - 4..at + uid.len()].copy_from_slice(format!("{number:04}").as_bytes());
        }
        let mut rows = file[start..end].to_vec();
        rows.rotate_left(number % 484 * row_bytes);
        for low in rows.iter_mut().step_by(2) {
            // Xorshift (Marsaglia 2003).
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            *low ^= (noise >> 30) as u8;
        }
        // The padding element (PS3.5 section 7.2, Data Set Trailing Padding) makes up the length.
        let missing = INSTANCE_BYTES_MIN.saturating_sub(file.len() + 12).next_multiple_of(2);
        let mut padding = vec![0xfc, 0xff, 0xfc, 0xff, b'O', b'B', 0, 0];
        padding.extend(u32::try_from(missing).unwrap().to_le_bytes());
        padding.resize(12 + missing, 0);
        fs::write(into.join(format!("{number:04}.dcm")), [head, rows, file[end..].to_vec(), padding].concat()).unwrap();
    }
}

#[test]
#[ignore = "minutes of coding; ./check --long runs it"]
fn a_study_of_a_thousand_instances_is_taken_in_and_packed_in_200_megabytes() {
    let world = World::new();
    let (hub, spoke) = (world.init("hub", "hub", &[]), world.init("spoke", "spoke", &[]));
    world.admit("hub", &["--key-maker"]);
    world.admit("spoke", &["--home-hub", "hub"]);
    world.join(&hub);
    world.join(&spoke);
    let folder = world.path("series");
    slices(&folder);
    let cgroup = Arc::new(Cgroup::new());
    let running = world.start_by(&spoke, cgroup.inside(RADMESH));
    let (peak, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let watch = {
        let (cgroup, peak, over) = (Arc::clone(&cgroup), Arc::clone(&peak), Arc::clone(&over));
        thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                peak.fetch_max(cgroup.anonymous_bytes(), Ordering::SeqCst);
                thread::sleep(LOOK_EVERY);
            }
        })
    };
    let from = Instant::now();
    radmesh(&["send", "--dir", spoke.text(), folder.to_str().unwrap()]);
    let taken = from.elapsed();
    let packed = loop {
        let row = spoke.json(&["studies"])[0].clone();
        if row["closed"] == true && row["staged_bytes"] == 0 {
            break row;
        }
        thread::sleep(Duration::from_millis(500));
    };
    over.store(true, Ordering::SeqCst);
    watch.join().unwrap();
    println!(
        "{} Instances, {} bytes, taken in in {:.0} s and packed into {} bytes after {:.0} s: peak of anonymous memory \
         {:.1} MB",
        packed["instances"],
        packed["bytes"],
        taken.as_secs_f64(),
        packed["sealed_bytes"],
        from.elapsed().as_secs_f64(),
        peak.load(Ordering::SeqCst) as f64 / 1e6
    );
    assert_eq!((&packed["instances"], cgroup.kills()), (&INSTANCES.into(), 0));
    drop(running);
}
