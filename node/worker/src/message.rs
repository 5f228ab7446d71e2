//! What a node and its child say to each other.
//!
//! The child asks for every byte, so that the node never holds more than one buffer of an Instance, however large it
//! is and however often the coder reads it: received bytes lie encrypted on the disk, and only the node has the keys.

use radmesh_codec::{
    group::{Content, Profile},
    scan::Form,
    uid::TransferSyntax,
};
use serde::{Deserialize, Serialize};

/// The node to its child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// Do this.
    Job(Job),
    /// The source that was asked for can't be read.
    Unreadable,
}

/// What a child is for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Code a group: sources 0.. are its Instances, of these sizes; data is the stream.
    Encode { profile: Speed, sizes: Vec<u64> },
    /// Decode one: source 0 is the stream; data is what was received, one Instance after the other.
    Decode { expected: Vec<Wire> },
    /// Render a frame in at most `allowed` bytes: source 0 is its Instance, of `bytes`; data is the picture.
    Preview { bytes: u64, came: Came, frame: u32, allowed: u32 },
}

/// [`Profile`] on the pipe.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Speed {
    Max,
    Fast,
}

impl From<Profile> for Speed {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Max => Self::Max,
            Profile::Fast => Self::Fast,
        }
    }
}

impl From<Speed> for Profile {
    fn from(speed: Speed) -> Self {
        match speed {
            Speed::Max => Self::Max,
            Speed::Fast => Self::Fast,
        }
    }
}

/// [`Content`] on the pipe.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Wire(u64, [u8; 32]);

impl From<&Content> for Wire {
    fn from(content: &Content) -> Self {
        Self(content.bytes, content.hash)
    }
}

impl From<&Wire> for Content {
    fn from(wire: &Wire) -> Self {
        Self { bytes: wire.0, hash: wire.1 }
    }
}

/// [`Form`] on the pipe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Came {
    File,
    /// In this transfer syntax.
    DataSet(String),
}

impl From<&Form> for Came {
    fn from(form: &Form) -> Self {
        match form {
            Form::File => Self::File,
            Form::DataSet { transfer_syntax } => Self::DataSet(transfer_syntax.as_str().to_owned()),
        }
    }
}

impl Came {
    /// `None` where a node names a transfer syntax that is none.
    pub(crate) fn form(&self) -> Option<Form> {
        match self {
            Self::File => Some(Form::File),
            Self::DataSet(uid) => {
                TransferSyntax::parse(uid).ok().map(|transfer_syntax| Form::DataSet { transfer_syntax })
            }
        }
    }
}

/// A child to its node. Everything else that it gives is data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// Open a source at its first byte, under this number.
    Open { reader: u32, source: u32 },
    /// Its next bytes.
    More { reader: u32 },
    /// It is read no more.
    Close { reader: u32 },
    /// The job is over.
    Done(Done),
}

/// How a job ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Done {
    Encoded {
        headers: u64,
        pixels: u64,
        whole: u64,
    },
    Decoded,
    /// The picture was given, of so many pixels.
    Pictured {
        width: u16,
        height: u16,
    },
    /// A source gave more or fewer bytes than it declared, or could not be read.
    Source {
        index: u32,
    },
    /// The coder failed, or the stream is not what was expected of it.
    Failed(String),
}
