//! The rules that are checked while a run goes on.
//!
//! Numbers are those of RELIABILITY: I1 what was acknowledged is readable, I2 a receipt is true after a crash,
//! I3 reports only grow, I4 no author uses a seq twice, I5 a token is granted once. I6 to I10: `leaving` and `late`.

use crate::{
    happened::Count,
    late::{Late, Made},
    machine::Machine,
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
    fmt, mem,
    ops::RangeInclusive,
};

/// What must hold in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// I1: what a node has acknowledged it can read, with the hash it had.
    Acknowledged,
    /// I2: nothing is freed that two custodians do not hold, or at a relay one.
    Freed,
    /// I2: a custodian whose receipt was read by another has every byte of that parcel, after any crash.
    Receipt,
    /// I3: reports only grow: what a node has taken in it holds.
    ReportsGrow,
    /// I4: no author has two events with one seq.
    OneSeq,
    /// I5: a token of a case is granted once.
    OneGrant,
    /// I6: what is sealed leaves no machine in the open, and lies on no disk so.
    Sealed,
    /// I7: nobody speaks to a member that it knows to be revoked, and nothing counts that such a one says after that.
    Revoked,
    /// I8: of the membership that a node has told others it forgets nothing.
    Roster,
    /// I9: messages are as long as they may be, and a disk holds no file that is nobody's.
    Bounds,
    /// I10: each link that a node ends it counts, with a reason.
    Counted,
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
    places: BTreeMap<(NodeId, (Incarnation, Scope, u64)), EventHash>,
    grants: BTreeMap<(CaseId, Token), EventHash>,
    /// What a revoked member said after the site's home hub knew of it.
    pub(crate) late: BTreeMap<EventHash, Late>,
}

/// The part of a set that is of one machine.
fn every_of<T, const N: usize>(at: usize, of: fn([u8; N]) -> T) -> RangeInclusive<(usize, T)> {
    (at, of([0; N]))..=(at, of([0xff; N]))
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
    /// After every input of a node: the events that it took in are checked, each once.
    pub(crate) fn check(&mut self, at: usize) -> Result<(), Violation> {
        let Some(running) = &mut self.machines[at].running else { return Ok(()) };
        let fresh = mem::take(&mut running.fresh);
        let held = running.node.logs().len();
        let before = mem::replace(&mut running.checked, held);
        let expected = before + fresh.len();
        // One whose disk was put back signs anew what nobody has.
        if held != expected && !self.machines[at].past.is_torn() {
            let what = format!("it holds {held} events; it held, and wrote to its disk, {expected}");
            return Err(Rule::ReportsGrow.broken(&self.machines[at].name, what));
        }
        // What it reads at its start it made earlier.
        let made = if before == 0 { Made::Earlier } else { Made::Now };
        fresh.iter().try_for_each(|event| self.check_event(at, event).and_then(|()| self.check_late(at, event, made)))
    }

    fn check_event(&mut self, at: usize, event: &Event) -> Result<(), Violation> {
        let (hash, author) = (event.hash(), event.author());
        let by = self.number_of(&author);
        let place = (event.incarnation(), event.scope(), event.seq());
        // What nobody else has seen may be gone after a power cut, and its place used for something else. So may what a
        // disk that was put back has of its own, until a peer has shown it its later log; and not every peer knows it.
        let first = self.first_at(at, by, hash, place);
        if let Some(first) = first.filter(|first| *first != hash && !self.machines[by].past.is_torn()) {
            let what = format!("{author}'s {place:?} is {first} and {hash}");
            return Err(Rule::OneSeq.broken(&self.machines[at].name, what));
        }
        if by != at {
            self.promises.told.insert((by, said(event)));
        }
        match event.body() {
            Ok(Some(Body::Grant(grant))) => {
                let first = self.first_grant(at, by, hash, (grant.case, grant.token));
                if let Some(first) = first.filter(|first| *first != hash) {
                    // In its old life, if it has met nobody who knows of the grant that it has forgotten.
                    if self.machines[by].past.is_torn() {
                        self.happened.count(Count::TokensTwice);
                        return Ok(());
                    }
                    let what = format!("{:?} of {} granted by {first} and {hash}", grant.token, grant.case);
                    return Err(Rule::OneGrant.broken(&self.machines[at].name, what));
                }
            }
            Ok(Some(Body::Receipt(receipt))) if by != at => {
                let receipt = (by, receipt.manifest());
                if !self.promises.false_receipts.contains(&receipt) {
                    self.promises.receipted.insert(receipt);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What was first seen in a place: by another than its author, or by its author in this life.
    fn first_at(
        &mut self,
        at: usize,
        by: usize,
        hash: EventHash,
        place: (Incarnation, Scope, u64),
    ) -> Option<EventHash> {
        let author = self.machines[by].key.node_id();
        let own = &mut self.machines[by].running;
        if by == at {
            if let Some(running) = own {
                running.own.insert(place, hash);
            }
            return self.seen.places.get(&(author, place)).copied();
        }
        let own = own.as_ref().and_then(|running| running.own.get(&place)).copied();
        let seen = *self.seen.places.entry((author, place)).or_insert(hash);
        own.filter(|own| *own != hash).or(Some(seen))
    }

    /// The same of a token of a case.
    fn first_grant(&mut self, at: usize, by: usize, hash: EventHash, of: (CaseId, Token)) -> Option<EventHash> {
        let own = &mut self.machines[by].running;
        if by == at {
            if let Some(running) = own {
                running.own_grants.insert(of, hash);
            }
            return self.seen.grants.get(&of).copied();
        }
        let own = own.as_ref().and_then(|running| running.own_grants.get(&of)).copied();
        let seen = *self.seen.grants.entry(of).or_insert(hash);
        own.filter(|own| *own != hash).or(Some(seen))
    }

    /// A machine has answered for an event: what it says is a promise. One whose disk was put back may have taken the
    /// event out again by now, to sign it anew.
    pub(crate) fn appended(&mut self, at: usize, event: &EventHash) -> Option<Hash> {
        let running = self.machines[at].running.as_ref().expect("it has just answered");
        let found = running.node.logs().event(event).map(said);
        assert!(found.is_some() || self.machines[at].past.is_torn(), "what it answered for it holds");
        self.promises.appended.extend(found.map(|said| (at, said)));
        found
    }

    /// What a machine has promised: after every start, and at rest.
    pub(crate) fn check_promises(&self, at: usize) -> Result<(), Violation> {
        let machine = &self.machines[at];
        let held: BTreeSet<Hash> = events(machine).map(said).collect();
        let of = |all: &BTreeSet<(usize, Hash)>| {
            all.range(every_of(at, Hash)).find(|(_, said)| !held.contains(said)).map(|(_, said)| *said)
        };
        if let Some(gone) = of(&self.promises.appended) {
            let is_report = self.promises.reports.iter().any(|(_, report)| *report == gone);
            let rule = if is_report { Rule::ReportsGrow } else { Rule::Acknowledged };
            return Err(rule.broken(&machine.name, format!("event {gone} was acknowledged and is gone")));
        }
        if let Some(gone) = of(&self.promises.told) {
            return Err(Rule::Told.broken(&machine.name, format!("event {gone} is held by others and gone here")));
        }
        let files = [(&self.promises.announced, Rule::Acknowledged), (&self.promises.receipted, Rule::Receipt)];
        for (promised, rule) in files {
            let manifests = promised.range(every_of(at, ManifestId)).map(|(_, manifest)| *manifest);
            manifests.into_iter().try_for_each(|manifest| self.check_file(at, manifest, rule))?;
        }
        Ok(())
    }

    /// A machine frees a parcel: from now on others have to have it.
    pub(crate) fn check_freed(&mut self, at: usize, manifest: ManifestId) -> Result<(), Violation> {
        let is_relay = at == self.federation.places.relay();
        // One that was sealed and never announced was nobody's.
        if !is_relay && !self.promises.announced.remove(&(at, manifest)) {
            return Ok(());
        }
        self.happened.count(Count::Freed);
        self.promises.rotten.remove(&(at, manifest));
        // One that was revoked counts where nobody has heard of that.
        let has_signed =
            |by: &usize| self.promises.receipted.contains(&(*by, manifest)) && !self.knows_revoked(at, *by);
        let signed: Vec<usize> = (0..self.machines.len()).filter(has_signed).collect();
        let members = signed.iter().filter(|by| self.machines[**by].past.counts());
        members.into_iter().try_for_each(|by| self.check_file(*by, manifest, Rule::Freed))?;
        if signed.len() < if is_relay { 1 } else { 2 } {
            let what = format!("{manifest} was freed with {} custodians", signed.len());
            return Err(Rule::Freed.broken(&self.machines[at].name, what));
        }
        Ok(())
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
        self.promises.chunks_right.update(|right| right + sealed.len() as u64);
        Ok(())
    }
}
