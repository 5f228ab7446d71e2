//! The child: takes a job from standard input, asks for the bytes it needs, gives its result on standard output.
//!
//! It ends with its node, at once and in the middle of any work: one thread does nothing but listen, and standard input
//! that ends is the node's end. (`PR_SET_PDEATHSIG` would follow the thread that started the child, which a runtime may
//! retire while the node lives.) It says nothing on standard error but what the system says of its death.

use crate::{
    confine::confine,
    frame::{self, Frame},
    limits::WORDS_CHARS_MAX,
    message::{Asked, Came, Done, Job, Told, Wire},
    preview::{Allowance, render},
};
use radmesh_codec::group::{self, Content, EncodeError, Source};
use std::{
    cell::RefCell,
    io::{self, BufWriter, Read, Write},
    process,
    rc::Rc,
    sync::mpsc::{self, Receiver},
    thread,
};

/// Gives up every right that coding does not need and works for whoever is at the other end of `from` and `to`, which
/// are standard input and output, until `from` ends.
///
/// # Errors
/// If the process can't be confined; then it has read nothing.
pub fn run(from: impl Read + Send + 'static, to: impl Write + 'static) -> io::Result<()> {
    // A panic's words may hold what a file says.
    std::panic::set_hook(Box::new(|_| {}));
    confine()?;
    serve(from, to)
}

/// Works until `from` ends; then the process ends.
fn serve(mut from: impl Read + Send + 'static, to: impl Write + 'static) -> io::Result<()> {
    let (tell, told) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        while let Ok(frame) = frame::read::<Told>(&mut from) {
            if tell.send(frame).is_err() {
                break;
            }
        }
        process::exit(0)
    })?;
    let line = Line(Rc::new(RefCell::new(Ends { told, to: BufWriter::new(Box::new(to)), readers: 0 })));
    loop {
        let Frame::Message(Told::Job(job)) = line.hear() else { process::exit(NO_SENSE) };
        let done = match job {
            Job::Encode { profile, sizes } => line.encode(profile.into(), &sizes),
            Job::Decode { expected } => line.decode(&expected),
            Job::Preview { bytes, came, frame, allowed } => line.preview(bytes, &came, frame, allowed),
        };
        line.ask(&Asked::Done(done));
    }
}

/// What a child ends with that was told something else than it asked for.
const NO_SENSE: i32 = 9;

/// Both pipes. Where one of them is gone, so is the node, and the child ends.
#[derive(Clone)]
struct Line(Rc<RefCell<Ends>>);

struct Ends {
    told: Receiver<Frame<Told>>,
    to: BufWriter<Box<dyn Write>>,
    readers: u32,
}

impl Line {
    fn hear(&self) -> Frame<Told> {
        self.0.borrow().told.recv().unwrap_or_else(|_| process::exit(0))
    }

    /// Says something that the node must have before it goes on.
    fn ask(&self, asked: &Asked) {
        let to = &mut self.0.borrow_mut().to;
        frame::write_message(to, asked).and_then(|()| to.flush()).unwrap_or_else(|_| process::exit(0));
    }

    fn encode(&self, profile: group::Profile, sizes: &[u64]) -> Done {
        let sources: Vec<Far> = (0..).zip(sizes).map(|(source, &bytes)| self.source(source, bytes)).collect();
        let sources: Vec<&dyn Source> = sources.iter().map(|source| source as &dyn Source).collect();
        match group::encode(&sources, profile, &mut self.clone()) {
            Ok(stats) => {
                let group::Parts { headers, pixels, whole } = stats.parts;
                Done::Encoded { headers, pixels, whole }
            }
            Err(error) => match &error {
                EncodeError::Read { index, .. } | EncodeError::SourceLength { index, .. } => {
                    Done::Source { index: u32::try_from(*index).unwrap_or(u32::MAX) }
                }
                _ => Done::Failed(words(&error)),
            },
        }
    }

    fn decode(&self, expected: &[Wire]) -> Done {
        let expected: Vec<Content> = expected.iter().map(Content::from).collect();
        let stream = FarReader::open(self, 0);
        let out = self.clone();
        match group::decode(stream, &expected, move |_| Ok(Box::new(out.clone()))) {
            Ok(()) => Done::Decoded,
            Err(error) => Done::Failed(words(&error)),
        }
    }

    fn preview(&self, bytes: u64, came: &Came, frame: u32, allowed: u32) -> Done {
        let (Some(form), Some(allowance)) = (came.form(), Allowance::of_bytes(allowed)) else {
            process::exit(NO_SENSE)
        };
        match render(&self.source(0, bytes), form, frame, allowance) {
            Ok(preview) => {
                // A node that is gone is noticed at the next word.
                let _ = self.clone().write_all(&preview.image);
                Done::Pictured { width: preview.width, height: preview.height }
            }
            Err(error) => Done::Failed(words(&error)),
        }
    }

    fn source(&self, source: u32, bytes: u64) -> Far {
        Far { line: self.clone(), source, bytes }
    }
}

/// Our own errors say figures and what zstd says; never a byte of a file.
fn words(error: &dyn std::error::Error) -> String {
    error.to_string().chars().take(WORDS_CHARS_MAX).collect()
}

/// Results go to the node.
impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            frame::write_data(&mut self.0.borrow_mut().to, bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().to.flush()
    }
}

/// An Instance that the node reads.
struct Far {
    line: Line,
    source: u32,
    bytes: u64,
}

impl Source for Far {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(FarReader::open(&self.line, self.source)))
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

struct FarReader {
    line: Line,
    reader: u32,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl FarReader {
    fn open(line: &Line, source: u32) -> Self {
        let reader = {
            let mut ends = line.0.borrow_mut();
            ends.readers = ends.readers.wrapping_add(1);
            ends.readers
        };
        line.ask(&Asked::Open { reader, source });
        Self { line: line.clone(), reader, piece: Vec::new(), at: 0, ended: false }
    }
}

impl Read for FarReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && !self.ended {
            self.line.ask(&Asked::More { reader: self.reader });
            match self.line.hear() {
                Frame::Data(piece) => {
                    self.ended = piece.is_empty();
                    (self.piece, self.at) = (piece, 0);
                }
                Frame::Message(Told::Unreadable) => return Err(io::Error::other("the node can't read it")),
                Frame::Message(Told::Job(_)) => process::exit(NO_SENSE),
            }
        }
        let some = into.len().min(self.piece.len() - self.at);
        into[..some].copy_from_slice(&self.piece[self.at..self.at + some]);
        self.at += some;
        Ok(some)
    }
}

impl Drop for FarReader {
    fn drop(&mut self) {
        self.line.ask(&Asked::Close { reader: self.reader });
    }
}
