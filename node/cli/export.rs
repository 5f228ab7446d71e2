//! `radmesh export`: a claimed case's DICOM files, for the reader's own viewer.

use super::{CliError, NodeDir, given, print, private};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::Args;
use std::{
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

/// Files get a zero preamble unless the received one was TIFF (PS3.10 section 7.1); --verbatim gives the bytes as
/// they were received. Every opening is written into the audit log first.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    node: NodeDir,
    /// The case, or the first characters of its id.
    case: String,
    /// Where to write; made if absent. Files that are there are never overwritten.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The received bytes, unchanged.
    #[arg(long)]
    verbatim: bool,
}

impl Export {
    pub(super) fn run(self) -> Result<(), CliError> {
        private::create_dir_all(&self.to).map_err(given(&self.to))?;
        let mut files = 0_usize;
        let wire = Wire::connect(&self.node.dir)?;
        let request = Request::Export { case: self.case, verbatim: self.verbatim };
        let mut progress = print::Progress::new("exporting", print::Unit::Things("Instances"), 0);
        let bytes: u64 = wire.ask_with_files(
            &request,
            |done, total| progress.at(done, total),
            |name, bytes, from| {
                files += 1;
                write_file(&self.to, name, bytes, from)
            },
        )?;
        progress.done();
        say!("{files} files, {}, in {}", print::bytes(bytes), self.to.display());
        Ok(())
    }
}

/// Writes one file under `dir`; the node names it `series/instance.dcm` by number, and anything else is refused.
fn write_file(dir: &Path, name: &str, bytes: u64, from: &mut dyn Read) -> Result<(), CliError> {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() != 2 || !parts.iter().all(|part| plain(part) && !part.starts_with('.')) {
        return Err(CliError::internal("the node named a file outside the directory"));
    }
    let folder = dir.join(parts[0]);
    private::create_dir_all(&folder).map_err(given(&folder))?;
    let path = folder.join(parts[1]);
    let file = private::create_new(&path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            CliError::user(format!("{} is there already", path.display())).hint("export into an empty directory")
        }
        _ => given(&path)(error),
    })?;
    let mut file = BufWriter::new(file);
    let written = io::copy(from, &mut file).and_then(|written| file.flush().map(|()| written)).map_err(given(&path))?;
    if written != bytes {
        return Err(CliError::internal(format!("{}: {written} of {bytes} bytes came", path.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_name_that_leaves_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../x/y", "a/../b", "/etc/passwd", "a", "a/b/c", "a/.b"] {
            assert!(write_file(dir.path(), name, 0, &mut io::empty()).is_err(), "{name}");
        }
        write_file(dir.path(), "0001/0001.dcm", 3, &mut &b"abc"[..]).unwrap();
        assert!(write_file(dir.path(), "0001/0001.dcm", 3, &mut &b"xyz"[..]).is_err());
        assert_eq!(fs::read(dir.path().join("0001/0001.dcm")).unwrap(), b"abc");
    }
}
