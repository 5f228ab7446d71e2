//! `radmesh codec stat`: what the bytes of a coded file are spent on.

use super::archive::{self, Archive, damaged};
use crate::cli::{CliError, given, print, print::say};
use clap::Args;
use radmesh_codec::group::{Parts, parts};
use std::{fs, io::Read, path::PathBuf};

/// Read from the coded file itself. Nothing is decoded, so only `decode` finds out whether every byte is as it was.
#[derive(Debug, Args)]
pub(in crate::cli) struct Stat {
    /// The file that `radmesh codec encode` made.
    #[arg(value_name = "F")]
    file: PathBuf,
}

impl Stat {
    pub(super) fn run(self) -> Result<(), CliError> {
        let Archive { groups, picture_bytes, pictures_lost, rest } = archive::read(&self.file)?;
        if let Some(rest) = rest {
            return Err(rest);
        }
        if pictures_lost > 0 {
            return Err(damaged(&self.file));
        }
        let length = fs::metadata(&self.file).map_err(given(&self.file))?.len();
        let (mut spent, mut received, mut files) = (Parts::default(), 0, 0);
        let total = groups.len() as u64;
        let mut progress = print::Progress::new("looking", print::Unit::Things("groups"), total);
        for (done, group) in (1..).zip(&groups) {
            let mut coded = Vec::new();
            let read = group.coded(&self.file).and_then(|mut from| from.read_to_end(&mut coded));
            read.map_err(given(&self.file))?;
            spent += parts(&coded).map_err(|_| damaged(&self.file))?;
            files += group.head.files.len();
            received += group.head.files.iter().map(|file| file.bytes).sum::<u64>();
            progress.at(done, total);
        }
        progress.done();
        say!(
            "{}, {}, in {}: {}, {:.2} to 1",
            print::count(files as u64, "file"),
            print::bytes(received),
            print::count(groups.len() as u64, "group"),
            print::bytes(length),
            received as f64 / length as f64
        );
        let rest = length.saturating_sub(picture_bytes + spent.headers + spent.pixels + spent.whole);
        let rows = [
            ("previews", picture_bytes),
            ("headers", spent.headers),
            ("pixels", spent.pixels),
            ("headers and pixels in one", spent.whole),
            ("names, lengths and hashes", rest),
        ];
        let rows = rows.map(|(what, bytes)| vec![what.into(), bytes.to_string(), print::percent(bytes, length)]);
        print::table(&["PART", "BYTES", "SHARE"], &rows);
        Ok(())
    }
}
