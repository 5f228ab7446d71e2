//! Makes the four hostile files and times the scanner on each: `cargo run --example hostile [-- DIR]` also writes them.

#[path = "../tests/dataset/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it than this example")]
mod dataset;

use radmesh_codec::scan::{Form, scan};
use std::{error::Error, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1);
    for (name, bytes) in dataset::hostile() {
        let start = Instant::now();
        let verdict = match scan(bytes.as_slice(), Form::File) {
            Ok(scan) => format!("taken in: the data set {}", scan.ending),
            Err(error) => format!("refused: {error}"),
        };
        println!("{name}: {} B, {:.1} ms, {verdict}", bytes.len(), start.elapsed().as_secs_f64() * 1e3);
        if let Some(dir) = &dir {
            std::fs::write(std::path::Path::new(dir).join(name), bytes)?;
        }
    }
    Ok(())
}
