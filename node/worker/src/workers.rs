//! The node's end: jobs go to children, as many at once as the machine has room for.
//!
//! Starting a child takes milliseconds, so one that did its job is used again; one that failed is ended, and the next
//! job gets a new one. Methods block: call them from a thread that may.

use crate::{
    fault::{Death, DecodeFault, EncodeFault, Lost, PreviewFault},
    limits::{PREVIEW_BYTES_A_SECOND, TIME_BYTES_A_SECOND},
    machine,
    message::{Came, Done, Job, Wire},
    preview::{Allowance, Preview, PreviewError, is_picture, limits::SIDE_MAX, render},
    process::{Broken, Process, Work, allowance},
    witness::Witness,
};
use radmesh_codec::{
    group::{self, Content, DecodeError, EncodeError, GroupStats, Parts, Profile, Source, Split},
    scan::Form,
};
use std::{
    ffi::OsString,
    io::{self, Read, Write},
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Where the work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the process itself: for tests that have no binary to start.
    InProcess,
    /// In children that run this program with these arguments.
    Child {
        /// Path.
        program: PathBuf,
        /// What makes it call [`crate::child::run`].
        arguments: Vec<OsString>,
    },
}

/// What a child is started with.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

/// Coders, decoders, renderers: the children of this process.
#[derive(Debug)]
pub struct Workers {
    /// `None`: in the process itself.
    program: Option<Program>,
    seats: usize,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Process>,
    busy: usize,
}

impl Workers {
    /// None started yet.
    #[must_use]
    pub fn new(place: Place) -> Self {
        let program = match place {
            Place::InProcess => None,
            Place::Child { program, arguments } => Some(Program { path: program, arguments }),
        };
        Self { program, seats: machine::seats(), pool: Mutex::default(), freed: Condvar::new() }
    }

    /// Jobs that are done at once at most.
    #[must_use]
    pub const fn seats(&self) -> usize {
        self.seats
    }

    /// Codes the Instances of one group, in order, into `out`, as [`group::encode`] does.
    ///
    /// # Errors
    /// [`EncodeFault`]; whatever `out` took by then must be dropped.
    pub fn encode(
        &self,
        sources: &[&dyn Source],
        profile: Profile,
        out: &mut dyn Write,
    ) -> Result<GroupStats, EncodeFault> {
        let Some(program) = &self.program else {
            return Ok(group::encode(sources, profile, out)?);
        };
        let sizes: Vec<u64> = sources.iter().map(|source| source.bytes()).collect();
        let received_bytes = sizes.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
        let room = group::coded_bytes_max(received_bytes, sizes.len());
        let witnesses: Vec<Witness> = sizes.iter().map(|declared| Witness::of(*declared)).collect();
        let mut work = Encoding { sources, witnesses: &witnesses, out, left: room };
        let job = Job::Encode { profile: profile.into(), sizes };
        let mut seat = self.seat();
        let parts = match seat.work(program, job, allowance(received_bytes, TIME_BYTES_A_SECOND), &mut work)? {
            Ok(Done::Encoded { headers, pixels, whole }) => Parts { headers, pixels, whole },
            Ok(Done::Source { index }) => {
                let index = index as usize;
                let Some(gave) = witnesses.get(index).and_then(Witness::other) else {
                    return Err(seat.disbelieve().into());
                };
                let why = format!("it declared {} bytes and gave {gave}", sources[index].bytes());
                return Err(EncodeFault::Source { index, why });
            }
            Ok(Done::Failed(why)) => return Err(EncodeFault::Coder(why)),
            Ok(Done::Decoded | Done::Pictured { .. }) => return Err(seat.disbelieve().into()),
            Err(Side::Take(source, error)) => {
                return Err(EncodeFault::Source { index: source as usize, why: error.to_string() });
            }
            Err(Side::Give(error)) => return Err(EncodeFault::Write(error)),
        };
        let coded_bytes = room - work.left;
        let contents = witnesses.iter().map(Witness::whole).collect::<Option<_>>();
        let contents = contents.ok_or_else(|| seat.disbelieve())?;
        Ok(GroupStats { contents, received_bytes, coded_bytes, parts })
    }

    /// Decodes a group, as [`group::decode`] does. Lengths and hashes are checked on this side too.
    ///
    /// # Errors
    /// [`DecodeFault`]; until `Ok`, nothing that was written may be shown or kept.
    pub fn decode<'o>(
        &self,
        coded: &mut dyn Read,
        expected: &[Content],
        out: impl FnMut(usize) -> io::Result<Box<dyn Write + 'o>> + 'o,
    ) -> Result<(), DecodeFault> {
        let Some(program) = &self.program else {
            return Ok(group::decode(coded, expected, out)?);
        };
        let sizes: Vec<u64> = expected.iter().map(|content| content.bytes).collect();
        let bytes = sizes.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
        let mut work = Decoding { coded: Some(coded), split: Split::new(sizes, Box::new(out)) };
        let job = Job::Decode { expected: expected.iter().map(Wire::from).collect() };
        let mut seat = self.seat();
        match seat.work(program, job, allowance(bytes, TIME_BYTES_A_SECOND), &mut work)? {
            Ok(Done::Decoded) => {
                let decoded = work.split.finish().map_err(DecodeFault::Write)?;
                if decoded == expected {
                    return Ok(());
                }
                // A child of this build finds that out by itself.
                Err(seat.disbelieve().into())
            }
            Ok(Done::Failed(why)) => Err(DecodeFault::Stream(why)),
            Ok(_) => Err(seat.disbelieve().into()),
            Err(Side::Take(_, error)) => Err(DecodeFault::Read(error)),
            Err(Side::Give(error)) => Err(DecodeFault::Write(error)),
        }
    }

    /// Renders frame `number` (from 0) of an Instance, as [`render`] does. A file that kills the child has no preview.
    ///
    /// # Errors
    /// [`PreviewFault`] says why there is no picture.
    pub fn preview(
        &self,
        source: &dyn Source,
        form: Form,
        number: u32,
        allowance: Allowance,
    ) -> Result<Preview, PreviewFault> {
        let Some(program) = &self.program else {
            return Ok(render(source, form, number, allowance)?);
        };
        let (bytes, allowed) = (source.bytes(), allowance.bytes());
        let mut work = Rendering { source, image: Vec::new(), bytes_max: allowed as usize };
        let job = Job::Preview { bytes, came: Came::from(&form), frame: number, allowed };
        let mut seat = self.seat();
        let time = self::allowance(bytes, PREVIEW_BYTES_A_SECOND);
        match seat.work(program, job, time, &mut work)? {
            Ok(Done::Pictured { width, height }) => {
                let is_a_side = |pixels| (1..=SIDE_MAX).contains(&u32::from(pixels));
                if is_a_side(width) && is_a_side(height) && is_picture(&work.image) {
                    return Ok(Preview { image: work.image, width, height });
                }
                Err(seat.disbelieve().into())
            }
            Ok(Done::Failed(why)) => Err(PreviewFault::None(why)),
            Ok(_) => Err(seat.disbelieve().into()),
            Err(Side::Take(_, error) | Side::Give(error)) => Err(PreviewFault::Read(error)),
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free seat.
    fn seat(&self) -> Seat<'_> {
        let waiting = self.freed.wait_while(self.pool(), |pool| pool.busy >= self.seats);
        waiting.unwrap_or_else(PoisonError::into_inner).busy += 1;
        Seat { workers: self, process: None }
    }
}

/// The right to have one child at work; the next one waits for it.
struct Seat<'w> {
    workers: &'w Workers,
    /// The child, once it has done its job.
    process: Option<Process>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut pool = self.workers.pool();
        pool.idle.extend(self.process.take());
        pool.busy -= 1;
        self.workers.freed.notify_one();
    }
}

/// What went wrong on the node's side of a job.
enum Side {
    Take(u32, io::Error),
    Give(io::Error),
}

impl Seat<'_> {
    fn work<'a>(
        &mut self,
        program: &Program,
        job: Job,
        allowed: Duration,
        work: &mut dyn Work<'a>,
    ) -> Result<Result<Done, Side>, Lost> {
        let idle = || self.workers.pool().idle.pop();
        let alive = std::iter::from_fn(idle).find_map(|mut process| process.is_alive().then_some(process));
        let mut process = alive.map_or_else(|| Process::start(program), Ok).map_err(Lost::Start)?;
        let done = match process.work(job, allowed, work) {
            Ok(done) => Ok(done),
            Err(Broken::Take(source, error)) => Err(Side::Take(source, error)),
            Err(Broken::Give(error)) => return Ok(Err(Side::Give(error))),
            Err(Broken::Died(death)) => return Err(Lost::Died(death)),
        };
        self.process = Some(process);
        Ok(done)
    }

    /// What the child said can't be: it is in the hands of a file, and does no other job.
    fn disbelieve(&mut self) -> Lost {
        self.process = None;
        Lost::Died(Death::Nonsense)
    }
}

struct Encoding<'a> {
    sources: &'a [&'a dyn Source],
    witnesses: &'a [Witness],
    out: &'a mut dyn Write,
    /// Bytes that the stream may still have.
    left: u64,
}

impl<'a> Work<'a> for Encoding<'a> {
    fn open(&mut self, source: u32) -> Option<io::Result<Box<dyn Read + 'a>>> {
        let index = source as usize;
        let (source, witness) = self.sources.get(index).zip(self.witnesses.get(index))?;
        Some(source.open().map(|from| witness.watch(from)))
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else { return Ok(false) };
        self.left = left;
        self.out.write_all(bytes).map(|()| true)
    }
}

struct Decoding<'a, 'o> {
    coded: Option<&'a mut dyn Read>,
    split: Split<'o>,
}

impl<'a> Work<'a> for Decoding<'a, '_> {
    fn open(&mut self, _source: u32) -> Option<io::Result<Box<dyn Read + 'a>>> {
        // A stream is read once.
        self.coded.take().map(|coded| Ok(Box::new(coded) as _))
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.split.take(bytes)
    }
}

struct Rendering<'a> {
    source: &'a dyn Source,
    image: Vec<u8>,
    bytes_max: usize,
}

impl<'a> Work<'a> for Rendering<'a> {
    fn open(&mut self, source: u32) -> Option<io::Result<Box<dyn Read + 'a>>> {
        (source == 0).then(|| self.source.open())
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.image.extend_from_slice(bytes);
        Ok(self.image.len() <= self.bytes_max)
    }
}

impl From<PreviewError> for PreviewFault {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Read(error) => Self::Read(error),
            other => Self::None(other.to_string()),
        }
    }
}

impl From<EncodeError> for EncodeFault {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Read { index, .. } | EncodeError::SourceLength { index, .. } => {
                Self::Source { index, why: error.to_string() }
            }
            EncodeError::Write(error) => Self::Write(error),
            other => Self::Coder(other.to_string()),
        }
    }
}

impl From<DecodeError> for DecodeFault {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Read(error) => Self::Read(error),
            DecodeError::Write(error) => Self::Write(error),
            other => Self::Stream(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame, message::Asked};
    use std::fmt::Write as _;

    /// A child that gives `data` and says `done`, whatever it is told.
    fn saying(data: &[u8], done: Done) -> Workers {
        let mut said = Vec::new();
        frame::write_data(&mut said, data).unwrap();
        frame::write_message(&mut said, &Asked::Done(done)).unwrap();
        let octal = said.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:03o}").unwrap();
            text
        });
        let script = format!("printf '{octal}'; exec cat >/dev/null");
        Workers::new(Place::Child { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] })
    }

    #[test]
    fn a_child_that_lies_is_found_out() {
        let expected = [Content { bytes: 3, hash: *blake3::hash(b"abc").as_bytes() }];
        let decode =
            |data: &[u8]| saying(data, Done::Decoded).decode(&mut io::empty(), &expected, |_| Ok(Box::new(io::sink())));
        decode(b"abc").unwrap();
        for other in [&b"abd"[..], b"ab"] {
            assert!(matches!(decode(other), Err(DecodeFault::Lost(Lost::Died(Death::Nonsense)))), "{other:?}");
        }
        assert!(matches!(decode(b"abcd"), Err(DecodeFault::Lost(Lost::Died(Death::Nonsense)))));
        let sources: [&dyn Source; 1] = [&vec![1; 3]];
        for lie in
            [Done::Encoded { headers: 0, pixels: 0, whole: 9 }, Done::Source { index: 0 }, Done::Source { index: 9 }]
        {
            let liar = saying(&[0; 10], lie);
            let refused = liar.encode(&sources, Profile::Max, &mut Vec::new());
            assert!(liar.pool().idle.is_empty(), "it does no other job");
            let found_out = matches!(refused, Err(EncodeFault::Lost(Lost::Died(Death::Nonsense))));
            assert!(found_out, "no Instance is struck from the books on a child's word: {refused:?}");
        }
        let fitting = |image: &[u8], width| {
            let liar = saying(image, Done::Pictured { width, height: 9 });
            liar.preview(&vec![1; 3], Form::File, 0, Allowance::FULL)
        };
        let jpeg = b"\xFF\xD8\xFF\xE0".as_slice();
        fitting(jpeg, 512).unwrap();
        let long = [jpeg, &[0; 25_000]].concat();
        for (image, width) in [(b"<script>".as_slice(), 512), (jpeg, 0), (jpeg, 513), (&long, 9)] {
            let found_out = matches!(fitting(image, width), Err(PreviewFault::Lost(Lost::Died(Death::Nonsense))));
            assert!(found_out, "no reader's browser opens what a child says is a picture: {width}");
        }
        let babble = saying(&[0; 10_000], Done::Decoded).encode(&[&vec![1; 3]], Profile::Max, &mut Vec::new());
        assert!(matches!(babble, Err(EncodeFault::Lost(Lost::Died(Death::Nonsense)))), "it fills no disk");
    }
}
