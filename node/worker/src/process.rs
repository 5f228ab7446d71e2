//! One child, from its start to its end, and what a node says with it.
//!
//! The child may be in the hands of the file it reads. So the wait for it ends, nothing it says is believed beyond what
//! the job allows, and whatever makes no sense ends it.

use crate::{
    fault::Death,
    frame::{self, Frame},
    limits::{DATA_BYTES_MAX, READERS_MAX, TIME_FREE},
    message::{Asked, Done, Job, Told},
    workers::Program,
};
use radmesh_codec::limits::FREED_MEMORY_RETURNS;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// What a job reads and gives, on the node's side.
pub(crate) trait Work<'a> {
    /// Opens a source of the job at its first byte; `None` where the job has no such source, or no more.
    fn open(&mut self, source: u32) -> Option<io::Result<Box<dyn Read + 'a>>>;

    /// Takes the next bytes of the result; `Ok(false)` where they are more than the job can give.
    fn take(&mut self, bytes: &[u8]) -> io::Result<bool>;
}

/// Why a job was not done. After [`Self::Died`] and [`Self::Give`] there is no child left.
#[derive(Debug)]
pub(crate) enum Broken {
    Died(Death),
    /// A source can't be read, on the node's side.
    Take(u32, io::Error),
    /// The result can't be written, on the node's side.
    Give(io::Error),
}

/// A running child; ended when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    to: ChildStdin,
    from: BufReader<Patient>,
}

impl Process {
    /// Starts one, without the node's environment.
    pub(crate) fn start(program: &Program) -> io::Result<Self> {
        let mut child = Command::new(&program.path)
            .arg0("radmesh")
            .args(&program.arguments)
            .env_clear()
            .env(FREED_MEMORY_RETURNS.0, FREED_MEMORY_RETURNS.1)
            .current_dir("/")
            // Ctrl-C at a terminal is for the node, which ends its children itself.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().expect("it is piped");
        let pipe = child.stdout.take().expect("it is piped");
        Ok(Self { child, to, from: BufReader::new(Patient { pipe, left: Duration::ZERO }) })
    }

    /// Whether it is still there: the system may have ended an idle one.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Has a job done. Time in which the node itself reads or writes is not the child's.
    pub(crate) fn work<'a>(&mut self, job: Job, allowed: Duration, work: &mut dyn Work<'a>) -> Result<Done, Broken> {
        self.from.get_mut().left = allowed;
        let done = self.converse(job, work);
        done.map_err(|stopped| match stopped {
            Stopped::Pipe(error) => Broken::Died(self.death(&error, allowed)),
            Stopped::Give(error) => Broken::Give(error),
            Stopped::Take(source, error) => Broken::Take(source, error),
        })
    }

    fn converse<'a>(&mut self, job: Job, work: &mut dyn Work<'a>) -> Result<Done, Stopped> {
        let mut readers: BTreeMap<u32, (u32, io::Result<Box<dyn Read + 'a>>)> = BTreeMap::new();
        let mut unreadable = None;
        self.tell(&Told::Job(job))?;
        loop {
            let asked = match frame::read::<Asked>(&mut self.from)? {
                Frame::Message(asked) => asked,
                Frame::Data(bytes) => match work.take(&bytes) {
                    Ok(true) => continue,
                    Ok(false) => return Err(nonsense()),
                    Err(error) => return Err(Stopped::Give(error)),
                },
            };
            match asked {
                Asked::Open { reader, source } => {
                    if readers.len() == READERS_MAX {
                        return Err(nonsense());
                    }
                    readers.insert(reader, (source, work.open(source).ok_or_else(nonsense)?));
                }
                Asked::More { reader } => {
                    let (source, opened) = readers.get_mut(&reader).ok_or_else(nonsense)?;
                    match next(opened) {
                        Ok(piece) => frame::write_data(&mut self.to, &piece)?,
                        Err(error) => {
                            unreadable = Some((*source, error));
                            self.tell(&Told::Unreadable)?;
                        }
                    }
                }
                Asked::Close { reader } => drop(readers.remove(&reader)),
                Asked::Done(done) => {
                    return match unreadable {
                        Some((source, error)) => Err(Stopped::Take(source, error)),
                        None => Ok(done),
                    };
                }
            }
        }
    }

    fn tell(&mut self, told: &Told) -> io::Result<()> {
        frame::write_message(&mut self.to, told)
    }

    /// Ends it and says why it had to be.
    fn death(&mut self, error: &io::Error, allowed: Duration) -> Death {
        match error.kind() {
            io::ErrorKind::TimedOut => return Death::Time { seconds: allowed.as_secs() },
            io::ErrorKind::InvalidData => return Death::Nonsense,
            _ => {}
        }
        // Its pipe is gone, so it has ended; one that only closed its pipe has to.
        let _ = self.child.kill();
        let status = self.child.wait();
        if self.last_words().as_deref() == Some(OUT_OF_MEMORY) {
            return Death::Memory;
        }
        match status {
            Ok(status) => status.signal().map_or_else(|| Death::Exit(status.code().unwrap_or(-1)), Death::Signal),
            Err(_) => Death::Nonsense,
        }
    }

    /// The beginning of what it left on standard error. Nobody is waited for: it may have left the pipe to another.
    fn last_words(&mut self) -> Option<Vec<u8>> {
        let stderr = self.child.stderr.as_mut()?;
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(stderr, PollFlags::IN)], Some(&now)).ok().filter(|ready| *ready > 0)?;
        let mut said = vec![0; OUT_OF_MEMORY.len()];
        let read = stderr.read(&mut said).ok()?;
        said.truncate(read);
        Some(said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Time for a job that is about so many received bytes, of which a second is allowed for each `bytes_a_second`.
pub(crate) fn allowance(bytes: u64, bytes_a_second: u64) -> Duration {
    TIME_FREE + Duration::from_secs(bytes / bytes_a_second)
}

/// What the standard library says before it aborts over an allocation.
const OUT_OF_MEMORY: &[u8] = b"memory allocation of ";

enum Stopped {
    Pipe(io::Error),
    Give(io::Error),
    Take(u32, io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

fn nonsense() -> Stopped {
    Stopped::Pipe(io::ErrorKind::InvalidData.into())
}

/// The next bytes of a source; empty at its end.
fn next(opened: &mut io::Result<Box<dyn Read + '_>>) -> io::Result<Vec<u8>> {
    let reader = match opened {
        Ok(reader) => reader,
        Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
    };
    let mut piece = Vec::with_capacity(DATA_BYTES_MAX);
    reader.take(DATA_BYTES_MAX as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

/// A child's pipe, read for so long and no longer.
#[derive(Debug)]
struct Patient {
    pipe: ChildStdout,
    left: Duration,
}

impl Read for Patient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = Instant::now();
        let left = Timespec::try_from(self.left).map_err(io::Error::other)?;
        let ready = poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], Some(&left));
        self.left = self.left.saturating_sub(from.elapsed());
        match ready {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => self.pipe.read(into),
            // Whoever reads tries again after an interruption.
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TIME_BYTES_A_SECOND;

    struct Nothing;

    impl<'a> Work<'a> for Nothing {
        fn open(&mut self, _source: u32) -> Option<io::Result<Box<dyn Read + 'a>>> {
            None
        }

        fn take(&mut self, _bytes: &[u8]) -> io::Result<bool> {
            Ok(false)
        }
    }

    /// How a child ends that runs this script.
    fn death(script: &str, allowed: Duration) -> Death {
        let program = Program { path: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
        let mut process = Process::start(&program).unwrap();
        let job = Job::Encode { profile: radmesh_codec::group::Profile::Max.into(), sizes: vec![] };
        match process.work(job, allowed, &mut Nothing) {
            Err(Broken::Died(death)) => death,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_end_of_a_child_is_told_with_its_cause() {
        let long = Duration::from_secs(60);
        assert_eq!(death("exec sleep 60", Duration::from_millis(50)), Death::Time { seconds: 0 });
        assert_eq!(death("exit 7", long), Death::Exit(7));
        assert_eq!(death("kill -9 $$", long), Death::Signal(9));
        assert_eq!(death("kill -11 $$", long), Death::Signal(11));
        assert_eq!(death("echo 'memory allocation of 99 bytes failed' >&2; kill -6 $$", long), Death::Memory);
        assert_eq!(death("echo hello, node; exec sleep 60", long), Death::Nonsense);
        // A data frame of one byte, where none can come.
        assert_eq!(death(r"printf '\001\000\000\000\001x'; exec sleep 60", long), Death::Nonsense);
    }

    #[test]
    fn a_large_file_has_time_in_proportion() {
        assert_eq!(allowance(0, TIME_BYTES_A_SECOND), TIME_FREE);
        assert_eq!(allowance(500_000_000, TIME_BYTES_A_SECOND), TIME_FREE + Duration::from_secs(5_000));
    }
}
