//! What the headers of a folder of DICOM files cost: `cargo run --release --example headers -- FOLDER [FILES]`.
//!
//! Files are taken in order of their names, FILES of them a group (20 unless said; 1 for each by itself), their pixel
//! data left out. Printed beside it: zstd -19 of the same bytes in one frame, and of each file with the one before as
//! its dictionary.

mod residue;

use radmesh_codec::header::{DataSet, Header, Residue, decode, encode};
use residue::{cut, size};
use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("usage: headers FOLDER [FILES]")?;
    let group = args.next().map_or(Ok(20), |files| files.parse::<usize>())?.max(1);
    let mut files = Vec::new();
    gather(Path::new(&folder), &mut files)?;
    files.sort();

    let (mut bytes, mut coded_bytes, mut solid, mut previous) = (0, 0, 0, 0);
    let (mut encoding, mut decoding) = (Duration::ZERO, Duration::ZERO);
    // The dictionary is read once a process.
    decode(&encode(&[]), &[])?;
    for names in files.chunks(group) {
        let headers = names.iter().map(|file| fs::read(file).map(cut)).collect::<io::Result<Vec<Header>>>()?;
        let residues: Vec<_> =
            headers.iter().map(|h| Residue { bytes: &h.bytes, holes: &h.holes, data_set: DataSet::Received }).collect();
        let start = Instant::now();
        let coded = encode(&residues);
        encoding += start.elapsed();
        let start = Instant::now();
        let found = decode(&coded, &headers.iter().map(size).collect::<Vec<_>>())?;
        decoding += start.elapsed();
        if found != headers {
            return Err(format!("{names:?} come back as other bytes").into());
        }
        let all: Vec<u8> = headers.iter().flat_map(|header| header.bytes.iter().copied()).collect();
        bytes += all.len();
        coded_bytes += coded.len();
        solid += zstd::bulk::compress(&all, 19)?.len();
        let mut before: &[u8] = &[];
        for header in &headers {
            previous += zstd::bulk::Compressor::with_dictionary(19, before)?.compress(&header.bytes)?.len();
            before = &header.bytes;
        }
    }
    let speed = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e6;
    println!("{} files in groups of {group}: {bytes} B of headers", files.len());
    println!("coded {coded_bytes} B, {:.2} MB/s; decoded {:.2} MB/s", speed(encoding), speed(decoding));
    println!("zstd -19: {solid} B a group as one frame, {previous} B with the file before as dictionary");
    Ok(())
}

fn gather(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        gather(&entry?.path(), files)?;
    }
    Ok(())
}
