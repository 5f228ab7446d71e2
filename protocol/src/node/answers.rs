//! Commands that wait: for a file to be read back, for a whole check to end.

use super::{Answer, Command, CommandId, Node, Output};
use crate::{
    id::ManifestId,
    log::{
        Scope,
        body::{Body, ParcelSealed},
    },
    parcel::manifest::Manifest,
    ranges::Ranges,
    record::{Record, Work},
    time::Now,
    transfer::{check::When, shelf::Checked},
};
use std::collections::{BTreeMap, BTreeSet};

/// Commands whose end is not known yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    announcing: BTreeMap<ManifestId, (CommandId, Box<ParcelSealed>)>,
    verifying: Vec<Verifying>,
}

#[derive(Debug)]
struct Verifying {
    id: CommandId,
    parcels: usize,
    left: BTreeSet<ManifestId>,
    damaged: Vec<(ManifestId, u32)>,
}

impl Waiting {
    /// Whoever waits will get no answer from the disk.
    pub(super) fn abandon(&mut self) -> Vec<CommandId> {
        let announcing = std::mem::take(&mut self.announcing).into_values().map(|(id, _)| id);
        announcing.chain(std::mem::take(&mut self.verifying).into_iter().map(|v| v.id)).collect()
    }
}

impl Node {
    pub(super) fn command(&mut self, id: CommandId, command: Command, now: Now) {
        match command {
            Command::Append { scope, body } => {
                let answer = match self.append(scope, &body, now) {
                    Ok(hash) => Answer::Appended(hash),
                    Err(error) => Answer::Refused(error.to_string()),
                };
                self.answer(id, answer);
            }
            Command::Announce { manifest, sealed } => {
                if let Err(reason) = self.announce(id, &manifest, sealed) {
                    self.answer(id, Answer::Refused(reason));
                }
            }
            Command::Statements(statements) => {
                let answer = match self.take_statements(&statements, None, now) {
                    (_, Some(error)) => Answer::Refused(error.to_string()),
                    (new, None) => Answer::Statements(new),
                };
                self.answer(id, answer);
            }
            Command::Verify => self.verify(id),
        }
    }

    /// Answers once everything journaled so far is on disk.
    fn answer(&mut self, id: CommandId, answer: Answer) {
        self.gate.after(Output::Answer(id, answer));
    }

    fn announce(&mut self, id: CommandId, bytes: &[u8], sealed: Box<ParcelSealed>) -> Result<(), String> {
        let manifest = Manifest::parse(bytes).map_err(|error| error.to_string())?;
        manifest.verify(&self.config.federation).map_err(|error| error.to_string())?;
        let name = manifest.id();
        if manifest.core().signer != self.id || (sealed.manifest, sealed.core) != (name, manifest.core_hash()) {
            return Err("the announcement is not of this manifest, or the manifest is not this node's".to_owned());
        }
        if self.announced.contains(&name) {
            self.answer(id, Answer::Announced(name));
            return Ok(());
        }
        if self.waiting.announcing.contains_key(&name) {
            return Err("this parcel is being announced already".to_owned());
        }
        self.keep(Record::Manifest(bytes.to_vec()));
        let parcel = self.shelf.add(manifest);
        let ranges = Ranges::whole(parcel.bytes());
        parcel.replay_have(&ranges);
        self.unsettled.insert(name);
        self.keep(Record::Have { manifest: name, ranges });
        self.waiting.announcing.insert(name, (id, sealed));
        self.checks.want(name, When::Soon);
        Ok(())
    }

    fn verify(&mut self, id: CommandId) {
        let checkable = self.shelf.iter().filter(|(_, parcel)| !parcel.good().is_empty());
        let left: BTreeSet<ManifestId> = checkable.map(|(manifest, _)| *manifest).collect();
        left.iter().for_each(|manifest| self.checks.want(*manifest, When::Scrub));
        self.waiting.verifying.push(Verifying { id, parcels: left.len(), left, damaged: Vec::new() });
        self.end_verifications();
    }

    /// A file was read back: checks of everything go on without it.
    pub(super) fn verified(&mut self, manifest: ManifestId, damaged: &[u32]) {
        for verifying in &mut self.waiting.verifying {
            if verifying.left.remove(&manifest) {
                verifying.damaged.extend(damaged.iter().map(|chunk| (manifest, *chunk)));
            }
        }
    }

    /// A whole file was read back: whoever announces it gets an answer. Whether it was one that is being announced.
    pub(super) fn answer_checked(&mut self, manifest: ManifestId, checked: &Checked, now: Now) -> Announcing {
        let Some((id, sealed)) = self.waiting.announcing.remove(&manifest) else { return Announcing::No };
        if !checked.damaged.is_empty() {
            let damaged = checked.damaged.len();
            self.shelf.remove(&manifest);
            self.gate.now(Output::Disk(Work::Free { manifest }));
            let reason = format!("{damaged} chunks of the sealed file are not what its manifest says; seal it again");
            self.answer(id, Answer::Refused(reason));
            return Announcing::Refused;
        }
        let answer = match self.append(Scope::Site(self.id), &Body::ParcelSealed(*sealed), now) {
            Ok(_) => Answer::Announced(manifest),
            Err(error) => Answer::Refused(error.to_string()),
        };
        self.answer(id, answer);
        Announcing::Done
    }

    /// Answers the checks of which nothing is left.
    pub(super) fn end_verifications(&mut self) {
        let (done, left) = std::mem::take(&mut self.waiting.verifying).into_iter().partition(|v| v.left.is_empty());
        self.waiting.verifying = left;
        let done: Vec<Verifying> = done;
        for Verifying { id, parcels, damaged, .. } in done {
            self.answer(id, Answer::Verified { parcels, damaged });
        }
    }
}

/// What a file that was read back was to an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announcing {
    /// Nothing.
    No,
    /// It is announced.
    Done,
    /// It is not what was sealed.
    Refused,
}
