//! Codes and decodes items, and says what it cost: the codec's side of the comparison in `compare/`.
//!
//! `... | cargo run --release --example measure -- [--profile max|fast] [--repeat N]` takes one item a line: a name and
//! the files of its Instances, in order, apart by tabs. It prints one JSON object a line and profile. An item is cut
//! into groups as the node cuts a Series. What came back is held against what was read here and its SHA-256 is
//! printed, so that a reader who shares no code with radmesh can check it again. Seconds are those of the one thread's
//! processor, and of several runs the median, so that a busy machine changes little. Coding includes the decoding by
//! which [`encode`] proves itself.

#[path = "../tests/taken/mod.rs"]
mod taken;

use radmesh_codec::{
    group::{Parts, Profile, Source, encode, plan},
    scan::{Form, scan},
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    error::Error,
    fs,
    io::{self, BufRead},
};

fn main() -> Result<(), Box<dyn Error>> {
    let (profiles, repeat) = options(std::env::args().skip(1))?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut fields = line.split('\t');
        let name = fields.next().unwrap_or_default();
        let instances = fields.map(fs::read).collect::<Result<Vec<_>, _>>()?;
        for profile in &profiles {
            let measured = measure(&instances, *profile, repeat)?;
            let object = json!({
                "name": name,
                "profile": format!("{profile:?}").to_lowercase(),
                "files": instances.len(),
                "groups": measured.groups,
                "received_bytes": instances.iter().map(|bytes| bytes.len() as u64).sum::<u64>(),
                "pixel_data_bytes": instances.iter().map(|bytes| pixel_data_bytes(bytes)).sum::<u64>(),
                "coded_bytes": measured.coded_bytes,
                "coded": {
                    "headers": measured.parts.headers,
                    "pixels": measured.parts.pixels,
                    "whole": measured.parts.whole,
                },
                "encode_seconds": median(measured.encode_seconds),
                "decode_seconds": median(measured.decode_seconds),
                "equal": measured.equal,
                "decoded_sha256": measured.hashes,
            });
            println!("{object}");
        }
    }
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<(Vec<Profile>, usize), Box<dyn Error>> {
    let (mut profiles, mut repeat) = (Vec::new(), 1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match (argument.as_str(), value.as_str()) {
            ("--profile", "max") => profiles.push(Profile::Max),
            ("--profile", "fast") => profiles.push(Profile::Fast),
            ("--repeat", times) => repeat = times.parse::<usize>()?.max(1),
            _ => return Err(format!("unknown: {argument} {value}").into()),
        }
    }
    if profiles.is_empty() {
        profiles = vec![Profile::Max, Profile::Fast];
    }
    Ok((profiles, repeat))
}

#[derive(Default)]
struct Measured {
    groups: usize,
    coded_bytes: u64,
    parts: Parts,
    /// One of each run.
    encode_seconds: Vec<f64>,
    decode_seconds: Vec<f64>,
    equal: bool,
    /// SHA-256 of each Instance as decoded, in hex.
    hashes: Vec<String>,
}

fn measure(instances: &[Vec<u8>], profile: Profile, repeat: usize) -> Result<Measured, Box<dyn Error>> {
    let sizes: Vec<u64> = instances.iter().map(|bytes| bytes.len() as u64).collect();
    let groups = plan(&sizes, profile);
    let mut measured = Measured { groups: groups.len(), equal: true, ..Measured::default() };
    for run in 0..repeat {
        let (mut encode_seconds, mut decode_seconds) = (0.0, 0.0);
        for group in &groups {
            let received = &instances[group.clone()];
            let sources: Vec<&dyn Source> = received.iter().map(|bytes| bytes as &dyn Source).collect();
            let mut stream = Vec::new();
            let (stats, seconds) = timed(|| encode(&sources, profile, &mut stream));
            let stats = stats?;
            encode_seconds += seconds;
            let (again, seconds) = timed(|| taken::decoded(&stream, &stats.contents));
            let again = again?;
            decode_seconds += seconds;
            measured.equal &= again == received;
            if run == 0 {
                measured.coded_bytes += stats.coded_bytes;
                measured.parts += stats.parts;
                measured.hashes.extend(again.iter().map(|bytes| hex(&Sha256::digest(bytes))));
            }
        }
        measured.encode_seconds.push(encode_seconds);
        measured.decode_seconds.push(decode_seconds);
    }
    Ok(measured)
}

/// Bytes of the pixel data's value as received, none where the scanner finds no pixel data.
fn pixel_data_bytes(bytes: &[u8]) -> u64 {
    let pixels = scan(bytes, Form::File).ok().and_then(|scan| scan.pixel_data);
    pixels.map_or(0, |pixels| pixels.value.end - pixels.value.start)
}

/// What `work` gives, and the seconds of this thread's processor that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let seconds = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = seconds();
    let result = work();
    (result, seconds() - start)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
