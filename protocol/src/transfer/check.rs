//! Check: whole files are read back one at a time, those that somebody waits for first.
//!
//! A receipt is signed only after it, and `radmesh verify` is nothing else over everything that is here. Source:
//! `protocol/SPEC.md`, Custody.

use crate::{id::ManifestId, record::Work};
use std::collections::{BTreeSet, VecDeque};

/// Files to read back.
#[derive(Debug, Default)]
pub struct Checks {
    running: Option<ManifestId>,
    soon: VecDeque<ManifestId>,
    scrub: VecDeque<ManifestId>,
    known: BTreeSet<ManifestId>,
}

/// How soon a check is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A receipt or a peer waits for it.
    Soon,
    /// When nothing else is to be checked.
    Scrub,
}

impl Checks {
    /// Wants a file checked; one that waits already is not checked twice.
    pub fn want(&mut self, manifest: ManifestId, when: When) {
        if self.known.insert(manifest) {
            match when {
                When::Soon => self.soon.push_back(manifest),
                When::Scrub => self.scrub.push_back(manifest),
            }
        }
    }

    /// The next file, if none is being read.
    pub fn start_next(&mut self) -> Option<Work> {
        if self.running.is_some() {
            return None;
        }
        let manifest = self.soon.pop_front().or_else(|| self.scrub.pop_front())?;
        self.known.remove(&manifest);
        self.running = Some(manifest);
        Some(Work::HashFile { manifest })
    }

    /// A file was read.
    pub fn done(&mut self, manifest: &ManifestId) {
        self.running = self.running.filter(|running| running != manifest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_does_not_wait_for_a_scrub() {
        let mut checks = Checks::default();
        let id = |n| ManifestId([n; 16]);
        checks.want(id(1), When::Scrub);
        checks.want(id(2), When::Scrub);
        assert_eq!(checks.start_next(), Some(Work::HashFile { manifest: id(1) }));
        checks.want(id(3), When::Soon);
        assert_eq!(checks.start_next(), None);
        checks.done(&id(1));
        assert_eq!(checks.start_next(), Some(Work::HashFile { manifest: id(3) }));
    }
}
