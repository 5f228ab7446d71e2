//! Which seeds were run by which build, so that a long run goes on in several sittings.
//!
//! A line a seed: build, scenario, seed, how it ended. What another build has run proves nothing of this one.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// How a seed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every rule held.
    Well,
    /// One did not.
    Failed,
}

/// See the module's page.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    build: String,
    known: BTreeMap<(String, u64), Ended>,
}

impl Ledger {
    /// Opens the ledger of this name, or begins one, for the program of these bytes.
    ///
    /// # Errors
    /// The file can't be read or written. A line that does not fit is one that was being written as the power failed,
    /// and is passed over.
    pub fn open(path: &Path, program: &[u8]) -> io::Result<Self> {
        let build = blake3::hash(program).to_hex()[..16].to_owned();
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let known = text.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let (by, scenario, seed) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
            let ended = match words.next()? {
                "well" => Ended::Well,
                "failed" => Ended::Failed,
                _ => return None,
            };
            (by == build && words.next().is_none()).then(|| ((scenario.to_owned(), seed), ended))
        });
        let known = known.collect();
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { file, build, known })
    }

    /// How this build's run of a seed ended, if there was one.
    #[must_use]
    pub fn of(&self, scenario: &str, seed: u64) -> Option<Ended> {
        self.known.get(&(scenario.to_owned(), seed)).copied()
    }

    /// Notes how a seed ended.
    ///
    /// # Errors
    /// As the medium fails.
    pub fn add(&mut self, scenario: &str, seed: u64, ended: Ended) -> io::Result<()> {
        let word = match ended {
            Ended::Well => "well",
            Ended::Failed => "failed",
        };
        writeln!(self.file, "{} {scenario} {seed} {word}", self.build)?;
        self.known.insert((scenario.to_owned(), seed), ended);
        Ok(())
    }
}
