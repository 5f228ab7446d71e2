//! `radmesh codec decode`: the files that were coded, byte for byte.

use super::archive::{self, Place, damaged, place_in};
use crate::cli::{CliError, codec_worker, given, print, print::say, private};
use clap::Args;
use radmesh_codec::group::Content;
use radmesh_worker::{DecodeFault, Workers};
use std::{
    cell::RefCell,
    collections::VecDeque,
    fs,
    io::{self, BufWriter, Write},
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

/// Each file gets its own name and folders again, below the one that is named. A file of that name is never overwritten,
/// and one whose bytes are not what was coded is never written.
#[derive(Debug, Args)]
pub(in crate::cli) struct Decode {
    /// The file that `radmesh codec encode` made.
    #[arg(value_name = "F")]
    file: PathBuf,
    /// Where to write; made if absent.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

impl Decode {
    pub(super) fn run(self) -> Result<(), CliError> {
        let groups = archive::read(&self.file)?.groups;
        let named = groups.iter().flat_map(|group| &group.head.files);
        for path in named.clone().map(|file| place_in(&self.to, &file.name).ok_or_else(|| damaged(&self.file))) {
            is_free(&path?)?;
        }
        let (files, total) = (named.clone().count(), named.map(|file| file.bytes).sum());
        let workers = codec_worker::workers();
        let mut progress = print::Progress::new("decoding", print::Unit::Bytes, total);
        let mut done = 0;
        let mut waiting = groups.iter();
        thread::scope(|scope| {
            let mut running = VecDeque::new();
            loop {
                let free = workers.seats() - running.len();
                let (here, workers) = (&self, &*workers);
                running
                    .extend(waiting.by_ref().take(free).map(|group| scope.spawn(move || here.decode(workers, group))));
                let Some(first) = running.pop_front() else { return Ok::<_, CliError>(()) };
                done += first.join().unwrap_or_else(|panicked| resume_unwind(panicked))?;
                progress.at(done, total);
            }
        })?;
        progress.done();
        say!("{files} files, {}, in {}", print::bytes(total), self.to.display());
        Ok(())
    }

    /// Writes the files of one group; gives their bytes. After an error none of them is there.
    fn decode(&self, workers: &Workers, group: &Place) -> Result<u64, CliError> {
        let places = group.head.files.iter().map(|file| place_in(&self.to, &file.name)).collect::<Option<Vec<_>>>();
        let places = places.ok_or_else(|| damaged(&self.file))?;
        let mut coded = group.coded(&self.file).map_err(given(&self.file))?;
        let expected: Vec<Content> = group.head.files.iter().map(archive::Named::content).collect();
        let made = RefCell::new(Vec::new());
        let open = |index: usize| {
            let path: &PathBuf = &places[index];
            path.parent().map_or(Ok(()), private::create_dir_all)?;
            let file = private::create_new(path)?;
            made.borrow_mut().push(path.clone());
            Ok(Box::new(BufWriter::new(file)) as Box<dyn Write>)
        };
        let done = workers.decode(&mut coded, &expected, open);
        done.map_err(|fault| {
            let written = made.borrow();
            written.iter().for_each(|path| drop(fs::remove_file(path)));
            match fault {
                DecodeFault::Stream(_) => damaged(&self.file),
                DecodeFault::Read(error) => given(&self.file)(error),
                DecodeFault::Write(error) => places
                    .get(written.len())
                    .or(places.last())
                    .map_or_else(|| damaged(&self.file), |path| taken(path, error)),
                DecodeFault::Lost(lost) => CliError::internal(lost.to_string())
                    .hint("the file was made to do harm, or this machine has too little memory"),
            }
        })?;
        Ok(expected.iter().map(|content| content.bytes).sum())
    }
}

/// Nothing is overwritten; it is said before anything is written.
fn is_free(path: &Path) -> Result<(), CliError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(taken(path, io::ErrorKind::AlreadyExists.into())),
        Err(_) => Ok(()),
    }
}

fn taken(path: &Path, error: io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => CliError::user(format!("{} is there already", path.display()))
            .hint("nothing is overwritten: decode into an empty directory"),
        _ => given(path)(error),
    }
}
