//! `radmesh send`: hands in files and folders as if a modality had sent them.

use super::{CliError, NodeDir, files::Files, given, print};
use crate::cli::print::say;
use crate::control::{Request, Wire};
use clap::{Args, ValueEnum};
use radmesh_protocol::class::Class;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// With or without preamble and file meta; whatever is received is kept byte for byte. A file that is no DICOM, or
/// has no Study or SOP Instance UID, is refused by name with the reason, and the others go on.
#[derive(Debug, Args)]
pub(super) struct Send {
    #[command(flatten)]
    node: NodeDir,
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How urgent the Studies are.
    #[arg(long)]
    priority: Option<Priority>,
    /// The clinical question.
    #[arg(long, value_name = "TEXT")]
    indication: Option<String>,
    /// Stays until the home hub has signed for every byte.
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Priority {
    /// Ahead of everything but reports.
    Stat,
    /// Before routine.
    Urgent,
    /// In turn.
    Routine,
}

impl Priority {
    const fn class(self) -> Class {
        match self {
            Self::Stat => Class::Stat,
            Self::Urgent => Class::Urgent,
            Self::Routine => Class::Routine,
        }
    }
}

impl Send {
    pub(super) fn run(self) -> Result<(), CliError> {
        let mut files = Files::default();
        for path in &self.paths {
            files.collect(path)?;
        }
        let Files { taken: files, left_out } = files;
        let total: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let mut progress = print::Progress::new("handing in", print::Unit::Bytes, total);
        let (mut done, mut taken, mut refused, mut known) = (0, 0_usize, left_out.len(), 0_usize);
        for (path, why) in &left_out {
            eprintln!("refused {}: {why}", print::shown(&path.to_string_lossy()));
        }
        let mut cases = BTreeSet::new();
        for (path, bytes) in &files {
            let answer = self.hand_in(path, *bytes)?;
            match answer["refused"].as_str() {
                None => {
                    taken += 1;
                    known += usize::from(answer["novelty"] == "duplicate");
                    cases.extend(answer["case"].as_str().map(str::to_owned));
                    if answer["damaged"] == true {
                        eprintln!("{}: ends early or is malformed; kept as it is, and flagged", path.display());
                    }
                }
                Some(reason) => {
                    refused += 1;
                    eprintln!("refused {}: {reason}", path.display());
                }
            }
            done += bytes;
            progress.at(done, total);
        }
        progress.done();
        say!("{taken} files taken ({known} were here already), {refused} refused, {} cases", cases.len());
        if self.follow {
            self.follow(&cases)?;
        }
        if taken == 0 {
            return Err(CliError::user("no file was taken").hint("name DICOM files, or folders that hold some"));
        }
        Ok(())
    }

    fn hand_in(&self, path: &Path, bytes: u64) -> Result<Value, CliError> {
        let mut file = File::open(path).map_err(given(path))?;
        let request = Request::SendFile {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes,
            priority: self.priority.map(|priority| priority.class().to_string()),
            indication: self.indication.clone(),
        };
        Wire::connect(&self.node.dir)?.send_file(&request, &mut file, bytes)
    }

    /// Says each change of state until everything is delivered.
    fn follow(&self, cases: &BTreeSet<String>) -> Result<(), CliError> {
        let mut said = BTreeSet::new();
        loop {
            let rows: Vec<Value> = Wire::connect(&self.node.dir)?.ask(&Request::Studies)?;
            let ours: Vec<&Value> =
                rows.iter().filter(|row| row["case"].as_str().is_some_and(|case| cases.contains(case))).collect();
            for row in &ours {
                let state =
                    format!("{}: {}", row["case_short"].as_str().unwrap_or("-"), row["state"].as_str().unwrap_or("-"));
                if said.insert(state.clone()) {
                    say!("{}", print::shown(&state));
                }
            }
            if ours.len() == cases.len() && ours.iter().all(|row| row["delivered"] == true) {
                return Ok(());
            }
            // The control socket answers and does not call: a command that waits asks again.
            thread::sleep(Duration::from_millis(500));
        }
    }
}
