//! The control socket: how commands speak to the running node.
//!
//! A Unix socket in the node's directory that only its owner can open. One request a connection; the answer is a
//! run of frames: progress, files, and last either a value or an error with its hint. Files travel over it in
//! both directions, so the node never needs a right to the caller's folders. A frame may hold a passphrase or a
//! patient's image: its memory is wiped when it has been read.

use crate::cli::CliError;
use radmesh_protocol::id::{hex, unhex};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
};
use std::{
    fmt,
    io::{self, Read, Write},
    net::IpAddr,
    os::unix::net::UnixStream,
    path::Path,
};
use zeroize::Zeroizing;

/// Name of the socket in a node's directory.
pub(crate) const SOCKET: &str = "control.sock";

/// Bytes of one frame at most.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// Bytes of file data in one frame.
const DATA_FRAME_BYTES: usize = 256 * 1024;

/// Bytes of a usual request.
const SENTENCE_BYTES: usize = 64 * 1024;

/// What a command asks of the running node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// How the node does.
    Status,
    /// What the spoke holds.
    Studies,
    /// The cases of the hub's pool.
    Worklist,
    /// Reports that came back.
    Reports,
    /// One case's reports as a PDF.
    ReportPdf { case: String },
    /// Who sends, who waits.
    Modalities,
    /// Lets a quarantined sender in.
    AcceptModality { ae_title: String, address: IpAddr },
    /// One file follows as data.
    SendFile { name: String, bytes: u64, priority: Option<String>, indication: Option<String> },
    /// Closes a Study now.
    CloseStudy { case: String },
    /// Opens the pool's keys until the node stops.
    Unlock { passphrase: Secret },
    /// What a person's statement about a case must name.
    ReadingContext { case: String },
    /// A signed claim request.
    Claim { statement: Vec<u8> },
    /// A signed release.
    Release { statement: Vec<u8> },
    /// A signed report.
    Report { statement: Vec<u8> },
    /// The case's files come back as data.
    Export { case: String, verbatim: bool },
    /// The signed manifest of a parcel that is here.
    Manifest { id: String },
    /// Checks every byte.
    Verify,
    /// What is damaged and has not come again.
    Missing,
    /// What is freed, and when.
    Retention,
    /// The roster file changed.
    RosterChanged,
}

/// A passphrase on its way to the node: it prints nothing and is wiped when dropped. It travels in hexadecimal, as a
/// JSON reader copies a text with escapes into a buffer that nobody wipes.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// What nobody but the key's lock may see.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<String>> for Secret {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{SECRET}")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Zeroizing::new(hex(self.0.as_bytes())))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let digits = <&str>::deserialize(from)?;
        let bytes = Zeroizing::new(unhex(digits).ok_or_else(|| D::Error::custom("hexadecimal digits"))?);
        let text = std::str::from_utf8(&bytes).map_err(|_| D::Error::custom("text in UTF-8"))?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

/// What the node says before the last word.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// How far it has come.
    Progress { done: u64, total: u64 },
    /// A file follows as data, in frames, up to its bytes.
    File { name: String, bytes: u64 },
    /// The answer.
    Done(serde_json::Value),
    /// Not done.
    Refused(CliError),
}

enum Frame {
    Json(Zeroizing<Vec<u8>>),
    Data(Zeroizing<Vec<u8>>),
}

/// One connection, at either end.
#[derive(Debug)]
pub(crate) struct Wire(UnixStream);

impl Wire {
    /// The node's end.
    pub(crate) const fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Connects to the node that runs in `dir`.
    pub(crate) fn connect(dir: &Path) -> Result<Self, CliError> {
        UnixStream::connect(dir.join(SOCKET)).map(Self).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "no node runs here".to_owned(),
                io::ErrorKind::PermissionDenied => "this user may not speak to the node".to_owned(),
                _ => error.to_string(),
            };
            CliError::user(format!("{}: {why}", dir.display()))
                .hint(format!("start it with `radmesh run --dir {}`", dir.display()))
        })
    }

    /// Sends a request or reply.
    pub(crate) fn say<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        // Room from the start: a vector that grows leaves its bytes behind where it was.
        let mut bytes = Zeroizing::new(Vec::with_capacity(SENTENCE_BYTES));
        serde_json::to_writer(&mut *bytes, value)?;
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(io::Error::other(format!("an answer of {} bytes is over the limit", bytes.len())));
        }
        self.frame(0, &bytes)
    }

    /// Sends file data.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.chunks(DATA_FRAME_BYTES).try_for_each(|part| self.frame(1, part))
    }

    /// Sends what `from` has, `bytes` of it.
    pub(crate) fn data_from(&mut self, from: &mut dyn Read, bytes: u64) -> io::Result<()> {
        let mut left = bytes;
        let mut part = Zeroizing::new(vec![0; DATA_FRAME_BYTES]);
        while left > 0 {
            let wanted = part.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            from.read_exact(&mut part[..wanted])?;
            self.frame(1, &part[..wanted])?;
            left -= wanted as u64;
        }
        Ok(())
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes();
        let head = [kind, length[0], length[1], length[2], length[3]];
        self.0.write_all(&head)?;
        self.0.write_all(payload)
    }

    fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::other(format!("a frame of {length} bytes is over the limit")));
        }
        let mut payload = Zeroizing::new(vec![0; length]);
        self.0.read_exact(&mut payload)?;
        match head[0] {
            0 => Ok(Frame::Json(payload)),
            1 => Ok(Frame::Data(payload)),
            kind => Err(io::Error::other(format!("a frame of unknown kind {kind}"))),
        }
    }

    /// Reads a request or reply.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        match self.receive()? {
            Frame::Json(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Frame::Data(_) => Err(io::Error::other("file data where a sentence was due")),
        }
    }

    /// A reader over the next `bytes` bytes of file data.
    pub(crate) fn file(&mut self, bytes: u64) -> FileReader<'_> {
        FileReader { wire: self, left: bytes, part: Zeroizing::default(), at: 0 }
    }

    /// Asks, shows progress, gives files to `on_file`, and returns the answer.
    pub(crate) fn ask_with_files<T: DeserializeOwned>(
        mut self,
        request: &Request,
        mut on_progress: impl FnMut(u64, u64),
        mut on_file: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), CliError>,
    ) -> Result<T, CliError> {
        self.say(request).map_err(lost)?;
        loop {
            match self.hear::<Reply>().map_err(lost)? {
                Reply::Progress { done, total } => on_progress(done, total),
                Reply::File { name, bytes } => on_file(&name, bytes, &mut self.file(bytes))?,
                Reply::Done(value) => {
                    return serde_json::from_value(value)
                        .map_err(|error| CliError::internal(format!("the node's answer can't be read: {error}")));
                }
                Reply::Refused(error) => return Err(error),
            }
        }
    }

    /// Asks and returns the answer.
    pub(crate) fn ask<T: DeserializeOwned>(self, request: &Request) -> Result<T, CliError> {
        self.ask_with_files(request, |_, _| (), |_, _, _| Ok(()))
    }

    /// Sends one file with its request and returns the answer.
    pub(crate) fn send_file<T: DeserializeOwned>(
        mut self,
        request: &Request,
        from: &mut dyn Read,
        bytes: u64,
    ) -> Result<T, CliError> {
        self.say(request).map_err(lost)?;
        let sent = self.data_from(from, bytes);
        match self.hear::<Reply>() {
            Ok(Reply::Done(value)) => serde_json::from_value(value).map_err(|e| CliError::internal(e.to_string())),
            Ok(Reply::Refused(error)) => Err(error),
            Ok(_) => Err(CliError::internal("the node answered a file with something else")),
            Err(error) => Err(lost(sent.err().unwrap_or(error))),
        }
    }
}

fn lost(error: io::Error) -> CliError {
    CliError::network(format!("the node went away in the middle: {error}"))
        .hint("see its log, and run the command again")
}

/// File data as it comes over a [`Wire`].
#[derive(Debug)]
pub(crate) struct FileReader<'a> {
    wire: &'a mut Wire,
    left: u64,
    part: Zeroizing<Vec<u8>>,
    at: usize,
}

impl Read for FileReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.part.len() {
            if self.left == 0 {
                return Ok(0);
            }
            let Frame::Data(part) = self.wire.receive()? else {
                return Err(io::Error::other("a sentence where file data was due"));
            };
            if part.len() as u64 > self.left || part.is_empty() {
                return Err(io::Error::other("file data that is not the announced length"));
            }
            self.left -= part.len() as u64;
            (self.part, self.at) = (part, 0);
        }
        let taken = into.len().min(self.part.len() - self.at);
        into[..taken].copy_from_slice(&self.part[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_crosses_the_socket_whole() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let sent: Vec<u8> = (0..DATA_FRAME_BYTES * 2 + 77).map(|i| i as u8).collect();
        let expected = sent.clone();
        let node = std::thread::spawn(move || {
            let mut wire = Wire::new(theirs);
            assert!(matches!(wire.hear::<Request>().unwrap(), Request::Status));
            let mut got = Vec::new();
            wire.file(expected.len() as u64).read_to_end(&mut got).unwrap();
            wire.say(&Reply::Done(serde_json::json!(got == expected))).unwrap();
        });
        let equal: bool = Wire(ours).send_file(&Request::Status, &mut sent.as_slice(), sent.len() as u64).unwrap();
        node.join().unwrap();
        assert!(equal);
    }

    #[test]
    fn a_passphrase_reaches_the_node_whole_and_never_prints() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let typed = "quo\"te \\ \u{e9}t\u{e9}\tcorrect horse";
        let passphrase = Secret::from(Zeroizing::new(typed.to_owned()));
        Wire(ours).say(&Request::Unlock { passphrase }).unwrap();
        let heard: Request = Wire::new(theirs).hear().unwrap();
        let printed = format!("{heard:?}");
        assert!(!printed.contains("horse"), "{printed}");
        assert!(matches!(heard, Request::Unlock { passphrase } if passphrase.reveal() == typed));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_is_read() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(&[0, 0xff, 0xff, 0xff, 0xff]).unwrap();
        assert!(Wire::new(theirs).hear::<Reply>().is_err());
    }
}
