//! `radmesh codec decode`: the files that were coded, byte for byte.

use super::archive::{self, Archive, Place, damaged, place_in};
use crate::cli::{
    CliError, codec_worker, given, print,
    print::{say, shown},
    private,
    private::Part,
};
use blake3::Hasher;
use clap::Args;
use radmesh_codec::group::Content;
use radmesh_worker::{DecodeFault, Workers};
use std::{
    cell::RefCell,
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufWriter, Write},
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

/// Each file gets its own name and folders again, below the one that is named. Another file of that name is never
/// overwritten, and one whose bytes are not what was coded is never written: of a damaged file, what can be read is
/// written, and what is lost is named.
#[derive(Debug, Args)]
pub(in crate::cli) struct Decode {
    /// The file that `radmesh codec encode` made.
    #[arg(value_name = "F")]
    file: PathBuf,
    /// Where to write; made if absent.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// A group, and where its files go.
struct Meant<'a> {
    group: &'a Place,
    files: Vec<Target>,
}

/// Where a file goes.
struct Target {
    path: PathBuf,
    /// It is there already, byte for byte.
    is_there: bool,
}

/// What became of a group.
enum Became {
    Written,
    /// It is damaged, or its decoder died of it: none of its files is written.
    Lost(String),
}

impl Decode {
    pub(super) fn run(self) -> Result<(), CliError> {
        let Archive { groups, rest, .. } = archive::read(&self.file)?;
        let (mut meant, mut lost) = (Vec::new(), 0);
        for group in &groups {
            match self.meant(group)? {
                Some(group) => meant.push(group),
                None => lost += say_lost(group, "a name in it is damaged"),
            }
        }
        let files: u64 = groups.iter().map(|group| group.head.files.len() as u64).sum();
        let total = groups.iter().map(Place::bytes).sum();
        let workers = codec_worker::workers();
        let mut progress = print::Progress::new("decoding", print::Unit::Bytes, total);
        let mut done = 0;
        let mut waiting = meant.iter();
        thread::scope(|scope| {
            let mut running = VecDeque::new();
            loop {
                let free = workers.seats() - running.len();
                let (here, workers) = (&self, &*workers);
                let decode = |meant| (meant, scope.spawn(move || here.decode(workers, meant)));
                running.extend(waiting.by_ref().take(free).map(decode));
                let Some((meant, first)) = running.pop_front() else { return Ok::<_, CliError>(()) };
                if let Became::Lost(why) = first.join().unwrap_or_else(|panicked| resume_unwind(panicked))? {
                    lost += say_lost(meant.group, &why);
                }
                done += meant.group.bytes();
                progress.at(done, total);
            }
        })?;
        progress.done();
        let written = files - lost;
        let in_dir = format!("{}, in {}", print::count(written, "file"), self.to.display());
        let Some(fault) = rest.or_else(|| (lost > 0).then(|| damaged(&self.file))) else {
            say!("{}, {}, in {}", print::count(files, "file"), print::bytes(total), self.to.display());
            return Ok(());
        };
        let hint = fault.hint.clone().unwrap_or_default();
        let named = if lost > 0 { format!(", {lost} are lost and named above") } else { String::new() };
        Err(CliError {
            message: format!("{}; what could be read of it is written: {in_dir}{named}", fault.message),
            ..fault
        }
        .hint(hint))
    }

    /// Where the files of a group go. `None` if one of them would leave the directory.
    fn meant<'a>(&self, group: &'a Place) -> Result<Option<Meant<'a>>, CliError> {
        let paths = group.head.files.iter().map(|file| place_in(&self.to, &file.name));
        let Some(paths) = paths.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let target = |(path, file): (PathBuf, _)| Ok(Target { is_there: is_there(&path, file)?, path });
        let files = paths.into_iter().zip(&group.head.files).map(target).collect::<Result<_, CliError>>()?;
        Ok(Some(Meant { group, files }))
    }

    /// Writes the files of one group. None gets its name before all are decoded.
    fn decode(&self, workers: &Workers, Meant { group, files }: &Meant<'_>) -> Result<Became, CliError> {
        if files.iter().all(|file| file.is_there) {
            return Ok(Became::Written);
        }
        let mut coded = group.coded(&self.file).map_err(given(&self.file))?;
        let expected: Vec<Content> = group.head.files.iter().map(archive::Named::content).collect();
        let made = RefCell::new(Vec::new());
        let open = |index: usize| -> io::Result<Box<dyn Write>> {
            let Target { path, is_there } = &files[index];
            if *is_there {
                return Ok(Box::new(io::sink()));
            }
            let dir = path.parent().unwrap_or(&self.to);
            private::create_dir_all(dir)?;
            let part = Part::begin(dir, (group.at << 10) + index as u64)?;
            let file = part.file().try_clone()?;
            made.borrow_mut().push((part, path));
            Ok(Box::new(BufWriter::new(file)))
        };
        match workers.decode(&mut coded, &expected, open) {
            Ok(()) => {}
            Err(DecodeFault::Stream(_)) => return Ok(Became::Lost("it is damaged".to_owned())),
            Err(DecodeFault::Lost(lost)) => return Ok(Became::Lost(lost.to_string())),
            Err(DecodeFault::Read(error)) => return Err(given(&self.file)(error)),
            Err(DecodeFault::Write(error)) => return Err(given(&self.to)(error)),
        }
        for (part, path) in made.into_inner() {
            part.keep_as(path).map_err(|error| taken(path, error))?;
        }
        Ok(Became::Written)
    }
}

/// Says which files of a group are lost, and how many.
fn say_lost(group: &Place, why: &str) -> u64 {
    for file in &group.head.files {
        eprintln!("lost {}: {why}", shown(&file.name.join("/")));
    }
    group.head.files.len() as u64
}

/// Whether a file is there already, byte for byte, from a decode that was stopped. Another one of its name is never
/// overwritten, which is said before anything is written.
fn is_there(path: &Path, meant: &archive::Named) -> Result<bool, CliError> {
    let Ok(facts) = fs::symlink_metadata(path) else { return Ok(false) };
    let mut hash = Hasher::new();
    let same = facts.is_file()
        && facts.len() == meant.bytes
        && hash.update_reader(File::open(path).map_err(given(path))?).map_err(given(path))?.finalize() == meant.hash;
    if same { Ok(true) } else { Err(taken(path, io::ErrorKind::AlreadyExists.into())) }
}

fn taken(path: &Path, error: io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => CliError::user(format!("{} is there already", path.display()))
            .hint("nothing is overwritten: decode into an empty directory"),
        _ => given(path)(error),
    }
}
