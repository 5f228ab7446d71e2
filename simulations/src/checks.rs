//! The rules that are checked while a run goes on.
//!
//! Numbers are those of RELIABILITY: I1 what was acknowledged is readable, I2 a receipt is true after a crash,
//! I3 reports only grow, I4 no author uses a seq twice, I5 a token is granted once.

use crate::{
    happened::Count,
    machine::{Machine, Past},
    world::World,
};
use radmesh_protocol::{
    claim::Token,
    id::{CaseId, EventHash, Hash, Incarnation, ManifestId, NodeId},
    limits::CHUNK_BYTES,
    log::{Event, Scope, body::Body},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What must hold in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// I1: what a node has acknowledged it can read, with the hash it had.
    Acknowledged,
    /// I2: a custodian whose receipt was read by another has every byte of that parcel, after any crash.
    Receipt,
    /// I3: reports only grow.
    ReportsGrow,
    /// I4: no author has two events with one seq.
    OneSeq,
    /// I5: a token of a case is granted once.
    OneGrant,
    /// What a peer was told is still known to who told it, after any crash.
    Told,
    /// A store opens after any crash.
    Opens,
    /// A node comes to rest.
    Rests,
    /// Q1: at rest all worklists are equal.
    Equal,
    /// Q2: at rest every Study is at its home hub.
    Delivered,
    /// Q3: at rest every report is at its origin spoke.
    Reported,
    /// Q4: at rest everybody says of an author that it has forked.
    ForksKnown,
    /// At rest what had rotted is mended from a peer.
    Mended,
    /// What the scenario is about did happen.
    Happened,
}

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule:?} broken at {at}: {what}")]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// At which node.
    pub at: String,
    /// What was found, in ids and figures.
    pub what: String,
}

impl Rule {
    pub(crate) fn broken(self, at: &str, what: impl fmt::Display) -> Violation {
        Violation { rule: self, at: at.to_owned(), what: what.to_string() }
    }
}

/// What the rules remember of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    places: BTreeMap<(NodeId, Incarnation, Scope, u64), EventHash>,
    grants: BTreeMap<(CaseId, Token), EventHash>,
}

/// What an event says, whichever life of its author signed it: one whose disk was put back signs anew.
pub(crate) fn said(event: &Event) -> Hash {
    Hash::of(event.body_bytes())
}

/// Every event a machine's node holds.
pub(crate) fn events(machine: &Machine) -> impl Iterator<Item = &Event> {
    let logs = machine.running.iter().map(|running| running.node.logs());
    logs.flat_map(|logs| logs.scopes().into_iter().flat_map(|scope| logs.events(scope)))
}

impl World<'_> {
    /// After every input of a node.
    pub(crate) fn check(&mut self, at: usize) -> Result<(), Violation> {
        let machine = &self.machines[at];
        let Some(running) = &machine.running else { return Ok(()) };
        let held = running.node.logs().len();
        if held == running.checked {
            return Ok(());
        }
        let mut reports = BTreeSet::new();
        for event in events(machine) {
            let (hash, author) = (event.hash(), event.author());
            let place = (author, event.incarnation(), event.scope(), event.seq());
            let by = self.machines.iter().position(|other| other.key.node_id() == author);
            let by = by.expect("only members write");
            // What nobody else has seen may be gone after a power cut, and its seq used for something else. So may what a
            // disk that was put back has of its own, until a peer has shown it its later log.
            let may_be_anew = by == at && machine.past == Past::PutBack;
            if by != at {
                self.promises.told.insert((by, said(event)));
                self.seen.places.entry(place).or_insert(hash);
            }
            if let Some(first) = self.seen.places.get(&place).filter(|first| **first != hash && !may_be_anew) {
                // Only a peer can show a machine whose disk was put back what it had said, and not every peer knows.
                if self.machines[by].past != Past::PutBack {
                    return Err(Rule::OneSeq.broken(&machine.name, format!("{place:?} is {first} and {hash}")));
                }
            }
            match event.body() {
                Ok(Some(Body::Grant(grant))) => {
                    let granted = (grant.case, grant.token);
                    if by != at {
                        self.seen.grants.entry(granted).or_insert(hash);
                    }
                    if let Some(first) = self.seen.grants.get(&granted).filter(|first| **first != hash && !may_be_anew)
                    {
                        // In its old life, if it has met nobody who knows of the grant that it has forgotten.
                        if self.machines[by].past == Past::PutBack {
                            self.happened.count(Count::TokensTwice);
                            continue;
                        }
                        let what = format!("{:?} of {} granted by {first} and {hash}", grant.token, grant.case);
                        return Err(Rule::OneGrant.broken(&machine.name, what));
                    }
                }
                Ok(Some(Body::Receipt(receipt))) if by != at => {
                    self.promises.receipted.insert((by, receipt.manifest()));
                }
                Ok(Some(Body::Report(_))) => {
                    reports.insert(said(event));
                }
                _ => {}
            }
        }
        // One whose disk was put back signs anew what nobody has, which takes it a moment.
        let gone = running.reports.difference(&reports).next().filter(|_| machine.past != Past::PutBack);
        if let Some(gone) = gone {
            return Err(Rule::ReportsGrow.broken(&machine.name, format!("report {gone} is gone")));
        }
        let running = self.machines[at].running.as_mut().expect("it was running just now");
        (running.checked, running.reports) = (held, reports);
        Ok(())
    }

    /// A machine has answered for an event: what it says is a promise. One whose disk was put back may have taken the
    /// event out again by now, to sign it anew.
    pub(crate) fn appended(&mut self, at: usize, event: &EventHash) -> Option<Hash> {
        let running = self.machines[at].running.as_ref().expect("it has just answered");
        let found = running.node.logs().event(event).map(said);
        assert!(found.is_some() || self.machines[at].past == Past::PutBack, "what it answered for it holds");
        self.promises.appended.extend(found.map(|said| (at, said)));
        found
    }

    /// What a machine has promised: after every start, and at rest.
    pub(crate) fn check_promises(&self, at: usize) -> Result<(), Violation> {
        let machine = &self.machines[at];
        let held: BTreeSet<Hash> = events(machine).map(said).collect();
        let of = |all: &BTreeSet<(usize, Hash)>| {
            all.iter().find(|(by, said)| *by == at && !held.contains(said)).map(|(_, said)| *said)
        };
        if let Some(gone) = of(&self.promises.appended) {
            let is_report = self.promises.reports.iter().any(|(_, report)| *report == gone);
            let rule = if is_report { Rule::ReportsGrow } else { Rule::Acknowledged };
            return Err(rule.broken(&machine.name, format!("event {gone} was acknowledged and is gone")));
        }
        if let Some(gone) = of(&self.promises.told) {
            return Err(Rule::Told.broken(&machine.name, format!("event {gone} is held by others and gone here")));
        }
        let announced = self.promises.announced.iter().filter(|(by, _)| *by == at);
        announced
            .map(|(_, manifest)| *manifest)
            .try_for_each(|manifest| self.check_file(at, manifest, Rule::Acknowledged))?;
        let receipted = self.promises.receipted.iter().filter(|(by, _)| *by == at);
        receipted.map(|(_, manifest)| *manifest).try_for_each(|manifest| self.check_file(at, manifest, Rule::Receipt))
    }

    /// Reads a parcel's file, chunk by chunk, and compares it with what was sealed.
    pub(crate) fn check_file(&self, at: usize, manifest: ManifestId, rule: Rule) -> Result<(), Violation> {
        let machine = &self.machines[at];
        let Some(running) = machine.running.as_ref().filter(|_| !self.promises.rotten.contains(&(at, manifest))) else {
            return Ok(());
        };
        let sealed = &self.promises.sealed[&manifest];
        for (chunk, hash) in (0_u32..).zip(sealed) {
            let read = running.store.chunk(manifest, chunk);
            let bytes = read.as_ref().map_or(0, Vec::len);
            if read.is_none_or(|bytes| Hash::of(&bytes) != *hash) {
                let of = sealed.len();
                let what = format!("chunk {chunk} of {of} of {manifest} ({bytes} of {CHUNK_BYTES} B) is not as sealed");
                return Err(rule.broken(&machine.name, what));
            }
        }
        Ok(())
    }
}
