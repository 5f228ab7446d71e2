//! `radmesh codec encode`: DICOM files into fewer bytes.

use super::{
    archive::{self, Head, Named, name_of},
    pictures,
};
use crate::cli::{
    CliError, codec_worker,
    files::Files,
    given, print,
    print::{say, shown},
    private::Part,
};
use clap::{Args, ValueEnum};
use radmesh_codec::{
    group::{Profile, Source},
    scan::{Ending, Fact, Form, scan},
};
use radmesh_protocol::id::Hash;
use radmesh_worker::{Coded, EncodeFault, Form as Coding, Workers};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Why a file can't be coded under the name it has.
const NO_NAME: &str = "this name can't be kept on every machine: letters, digits, spaces and signs but / and \\, in \
                       UTF-8, at most 32 folders deep";

/// The files of a Series are coded with each other, on all cores. What was coded is decoded again and compared before it
/// is written. Ahead of them go the previews that each Study would send. A file that is no DICOM, or has no Study or SOP
/// Instance UID, is refused by name, and the others go on; so is one that can't be read, and then the exit code is 1.
#[derive(Debug, Args)]
pub(in crate::cli) struct Encode {
    /// Files and folders.
    #[arg(required = true, value_name = "IN")]
    paths: Vec<PathBuf>,
    /// The file to make; one that is there is never overwritten. It is not sealed.
    #[arg(long, value_name = "F")]
    out: PathBuf,
    /// What it is judged by.
    #[arg(long, default_value = "max")]
    profile: Judged,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Judged {
    /// Fewest bytes.
    Max,
    /// Speed, for a few bytes more.
    Fast,
}

/// One file that is coded.
#[derive(Debug)]
pub(super) struct Input {
    path: PathBuf,
    pub(super) name: Vec<String>,
    bytes: u64,
    /// Its Study Instance UID.
    pub(super) study: String,
    /// (0008,0060).
    pub(super) modality: String,
    /// At least 1.
    pub(super) frames: u32,
    /// Its place in its Series: (0020,0013), and the UID where devices number nothing.
    place: (u64, String),
}

impl Source for Input {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(BufReader::new(File::open(&self.path)?)))
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Encode {
    pub(super) fn run(self) -> Result<(), CliError> {
        // Said before an hour of coding, not after.
        if fs::symlink_metadata(&self.out).is_ok() {
            return Err(self.refused(io::ErrorKind::AlreadyExists.into()));
        }
        let Looked { series, refused, left_out } = self.look()?;
        if series.is_empty() {
            return Err(CliError::user("no file was taken").hint("name DICOM files, or folders that hold some"));
        }
        // Half a file would look like a whole one.
        let dir = self.out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let part = Part::begin(dir, number_of(&self.out)).map_err(given(&self.out))?;
        let tally = self.write(BufWriter::new(part.file()), series)?;
        part.keep_as(&self.out).map_err(|error| self.refused(error))?;
        if tally.as_received > 0 {
            eprintln!(
                "{} stored as received: the coder failed on them",
                print::count(tally.as_received as u64, "file")
            );
        }
        say!(
            "{}, {}, in {}: {}, {:.2} to 1; {refused} refused",
            print::count(tally.files as u64, "file"),
            print::bytes(tally.received),
            self.out.display(),
            print::bytes(tally.written),
            tally.received as f64 / tally.written as f64
        );
        match left_out {
            0 => Ok(()),
            _ => Err(CliError::user(format!("{} left out, named above", print::count(left_out, "file")))
                .hint("the others are coded; mend what is said of each, and code those into a file of their own")),
        }
    }

    fn refused(&self, error: io::Error) -> CliError {
        match error.kind() {
            io::ErrorKind::AlreadyExists => CliError::user(format!("{} is there already", self.out.display()))
                .hint("nothing is overwritten: choose another name for --out"),
            _ => given(&self.out)(error),
        }
    }

    /// Finds the files that are named, and what each is: those that can't be coded are named and left out.
    fn look(&self) -> Result<Looked, CliError> {
        let mut files = Vec::new();
        let mut looked = Looked::default();
        for named in &self.paths {
            let mut below = Files::default();
            below.collect(named)?;
            files.extend(below.taken.into_iter().map(|(path, bytes)| (named, path, bytes)));
            below.left_out.iter().for_each(|(path, why)| looked.leave_out(path, why));
        }
        let mut names = BTreeMap::new();
        let mut done = 0;
        let total = files.iter().map(|(.., bytes)| bytes).sum();
        let mut progress = print::Progress::new("looking", print::Unit::Bytes, total);
        for (named, path, bytes) in files {
            done += bytes;
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) => {
                    looked.leave_out(&path, &error.to_string());
                    continue;
                }
            };
            match scan(BufReader::new(file), Form::File) {
                Ok(found) => {
                    let Some(name) = name_of(&path, named) else {
                        looked.leave_out(&path, NO_NAME);
                        continue;
                    };
                    let real = fs::canonicalize(&path).map_err(given(&path))?;
                    match names.insert(name.clone(), real.clone()) {
                        None => {}
                        // Named twice.
                        Some(other) if other == real => continue,
                        Some(_) => {
                            return Err(CliError::user(format!("two files would both be called {}", name.join("/")))
                                .hint("name the folder that holds both, or code them into two files"));
                        }
                    }
                    if found.ending != Ending::Whole {
                        eprintln!("{}: the data set {}; kept as it is", shown(&path.to_string_lossy()), found.ending);
                    }
                    let uid = found.sop_instance.as_str().to_owned();
                    let number = found.facts.text(Fact::InstanceNumber);
                    let number = number.and_then(|text| text.shown().trim().parse().ok()).unwrap_or(u64::MAX);
                    let of = found.series.as_ref().map_or_else(|| uid.clone(), |series| series.as_str().to_owned());
                    let modality = found.facts.text(Fact::Modality).map(|text| text.shown().to_owned());
                    looked.series.entry(of).or_default().push(Input {
                        path,
                        name,
                        bytes,
                        study: found.study.as_str().to_owned(),
                        modality: modality.unwrap_or_default(),
                        frames: found.image.frames.unwrap_or(1).max(1),
                        place: (number, uid),
                    });
                }
                Err(why) => {
                    looked.refused += 1;
                    eprintln!("refused {}: {why}", shown(&path.to_string_lossy()));
                }
            }
            progress.at(done, total);
        }
        progress.done();
        looked.series.values_mut().for_each(|inputs| inputs.sort_by(|one, other| one.place.cmp(&other.place)));
        Ok(looked)
    }

    fn write(&self, mut out: BufWriter<&File>, series: BTreeMap<String, Vec<Input>>) -> Result<Tally, CliError> {
        let written = given(&self.out);
        archive::begin(&mut out).map_err(written)?;
        let workers = codec_worker::workers();
        let mut tally = Tally::default();
        for picture in pictures::of(&workers, &series) {
            archive::write_picture(&mut out, &picture).map_err(given(&self.out))?;
        }
        let total = series.values().flatten().map(|input| input.bytes).sum();
        let mut progress = print::Progress::new("coding", print::Unit::Bytes, total);
        for inputs in series.into_values() {
            self.write_series(&workers, &inputs, |coded| {
                tally.add(&coded);
                self.write_group(&mut out, &inputs, coded)?;
                progress.at(tally.received, total);
                Ok(())
            })?;
        }
        let end = archive::end(&mut out, tally.groups).and_then(|()| out.flush());
        tally.written = end.and_then(|()| out.get_ref().metadata()).map_err(given(&self.out))?.len();
        progress.done();
        Ok(tally)
    }

    fn write_series(
        &self,
        workers: &Workers,
        inputs: &[Input],
        mut give: impl FnMut(Coded<File>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let profile = match self.profile {
            Judged::Max => Profile::Max,
            Judged::Fast => Profile::Fast,
        };
        let sources: Vec<&(dyn Source + Sync)> = inputs.iter().map(|input| input as _).collect();
        let number = AtomicU64::new(0);
        let fresh = || spool(&self.out, number.fetch_add(1, Ordering::Relaxed));
        let done = workers.series(&sources, profile, fresh, |coded| give(coded).map_err(Stopped::Out));
        done.map_err(|stopped| match stopped {
            Stopped::Out(error) => error,
            Stopped::Coder(EncodeFault::Source { index, why }) => {
                CliError::user(format!("{}: {why}", inputs[index].path.display()))
                    .hint("see that the file may be read and that nobody is writing it, and run the command again")
            }
            Stopped::Coder(EncodeFault::Write(error)) => given(&self.out)(error),
            Stopped::Coder(fault) => CliError::internal(fault.to_string()),
        })
    }

    fn write_group(
        &self,
        out: &mut BufWriter<&File>,
        inputs: &[Input],
        mut coded: Coded<File>,
    ) -> Result<(), CliError> {
        let named = inputs[coded.instances.clone()].iter().zip(&coded.stats.contents);
        let files = named
            .map(|(input, content)| Named { name: input.name.clone(), bytes: content.bytes, hash: content.hash })
            .collect();
        let head = Head { files, coded_bytes: coded.stats.coded_bytes };
        let copy = archive::write_head(out, &head)
            .and_then(|()| coded.out.rewind())
            .and_then(|()| io::copy(&mut coded.out, out));
        copy.map(drop).map_err(given(&self.out))
    }
}

/// What was found to be coded.
#[derive(Debug, Default)]
struct Looked {
    series: BTreeMap<String, Vec<Input>>,
    /// Files that are no DICOM.
    refused: u64,
    /// Files that may be, and can't be read or named.
    left_out: u64,
}

impl Looked {
    fn leave_out(&mut self, path: &Path, why: &str) {
        self.left_out += 1;
        eprintln!("left out {}: {why}", shown(&path.to_string_lossy()));
    }
}

/// A number for the unfinished file of this name.
fn number_of(out: &Path) -> u64 {
    let hash = Hash::of(out.file_name().unwrap_or_default().as_encoded_bytes());
    u64::from_be_bytes(*hash.0.first_chunk().expect("a hash has 32 bytes"))
}

enum Stopped {
    Out(CliError),
    Coder(EncodeFault),
}

impl From<EncodeFault> for Stopped {
    fn from(fault: EncodeFault) -> Self {
        Self::Coder(fault)
    }
}

/// What was coded.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    as_received: usize,
    groups: u32,
    received: u64,
    written: u64,
}

impl Tally {
    fn add(&mut self, coded: &Coded<File>) {
        self.groups += 1;
        self.files += coded.instances.len();
        self.received += coded.stats.received_bytes;
        if coded.form == Coding::StoredAsReceived {
            self.as_received += coded.instances.len();
        }
    }
}

/// A file without a name, beside the one that is made: a coded group may be larger than the memory.
fn spool(out: &Path, number: u64) -> io::Result<File> {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{number}.part", std::process::id()));
    let path = out.with_file_name(name);
    let made = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(made)
}
