//! Says what coding gives on this processor: `cargo run --release --example digests`.
//!
//! A line for each group of `../tests/made` and profile: SHA-256 of the coded stream and the group's name. Every
//! processor, optimisation and instruction set must print the same lines, or what one node codes another may not decode;
//! `../processors/run` compares them. `-- --write DIR` also writes each stream, as `tests/vectors.rs` reads it.

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/dataset/mod.rs"]
mod dataset;
#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/made/mod.rs"]
mod made;

use made::Case;
use radmesh_codec::group::{Profile, Source, encode};
use sha2::{Digest, Sha256};
use std::{error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = match arguments.as_slice() {
        [] => None,
        [write, folder] if write == "--write" => Some(PathBuf::from(folder)),
        _ => return Err("digests [--write DIR]".into()),
    };
    for case in made::cases() {
        for (profile, name) in [(Profile::Max, "max"), (Profile::Fast, "fast")] {
            let stream = coded(&case, profile)?;
            let hex: String = Sha256::digest(&stream).iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{hex}  {}.{name}", case.name);
            if let Some(folder) = &folder {
                fs::write(folder.join(format!("{}.{name}.group", case.name)), stream)?;
            }
        }
    }
    Ok(())
}

fn coded(case: &Case, profile: Profile) -> Result<Vec<u8>, Box<dyn Error>> {
    let sources: Vec<&dyn Source> = case.instances.iter().map(|bytes| bytes as &dyn Source).collect();
    let mut stream = Vec::new();
    encode(&sources, profile, &mut stream)?;
    Ok(stream)
}
