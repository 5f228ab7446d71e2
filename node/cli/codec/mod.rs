//! `radmesh codec`: DICOM files into fewer bytes and back, without a node.
//!
//! The same coder, in the same children, as the one that packs a Study: to see what it saves on a hospital's own
//! images, or to carry them on a stick. The file it makes is not sealed: whoever has it can read it.

mod archive;
mod decode;
mod encode;
mod pictures;
mod stat;

use super::CliError;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Code DICOM files and folders into one file.
    Encode(encode::Encode),
    /// Write the files that were coded, byte for byte.
    Decode(decode::Decode),
    /// What the bytes of a coded file are spent on.
    Stat(stat::Stat),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Encode(command) => command.run(),
            Self::Decode(command) => command.run(),
            Self::Stat(command) => command.run(),
        }
    }
}
