//! The trace of a run: every event, one line each, and their BLAKE3.
//!
//! Two runs with one hash took every step alike; so a hash proves that a seed is one run. No line holds sealed bytes.

use std::fmt;

/// Whether the lines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Each, on standard output.
    Lines,
    /// Only hashed.
    Nothing,
}

/// Hashes every line, and prints it if asked.
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    show: Show,
    pub(crate) lines: u64,
}

impl Trace {
    pub(crate) fn new(show: Show) -> Self {
        Self { hasher: blake3::Hasher::new(), show, lines: 0 }
    }

    pub(crate) fn note(&mut self, at_ms: u64, line: fmt::Arguments<'_>) {
        let line = format!("{at_ms:>9} {line}\n");
        self.hasher.update(line.as_bytes());
        self.lines += 1;
        if self.show == Show::Lines {
            print!("{line}");
        }
    }

    pub(crate) fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}
