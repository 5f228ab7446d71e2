//! Reading rooms: a reader at each hub claims what is delivered and signs a report.
//!
//! Who gets the claim signs the final; who is told no signs a preliminary all the same, which must be kept.

use crate::{
    checks::Violation,
    federation::reading_key,
    happened::Count,
    leaving::PATIENTS_WORDS,
    scenario::Readers,
    studies::{Asked, LOOK_MS},
    world::{Event, World},
};
use radmesh_protocol::{
    claim::{self, REQUEST_TAG, Request},
    envelope::body::SealedBody,
    id::CaseId,
    log::{Scope, body::Body},
    node::{Answer, Command},
    person::{SignedAt, Statement},
    report::{REPORT_TAG, Report, ReportText, Status},
    wire,
    worklist::item::{CustodyState, WorklistItem},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

/// What a reader does next with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Claim,
    Sign { status: Status, claim: Option<claim::Token> },
}

/// One reader at one hub.
#[derive(Debug)]
pub(crate) struct Room {
    at: usize,
    /// Cases that may be this reader's to go on with.
    open: BTreeSet<CaseId>,
    /// Commands without an answer, by case.
    asked: BTreeMap<CaseId, (Asked, Step)>,
    /// Whether its next look is foreseen.
    is_roused: bool,
}

/// What a look at a case came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Look again.
    Open,
    /// Nothing is to be done before it changes.
    Done,
}

impl Room {
    /// The reader of the hub at this place.
    pub(crate) const fn new(at: usize) -> Self {
        Self { at, open: BTreeSet::new(), asked: BTreeMap::new(), is_roused: false }
    }
}

impl World<'_> {
    /// Has a reader look at cases, soon.
    pub(crate) fn look_at(&mut self, room: usize, cases: impl IntoIterator<Item = CaseId>) {
        let Some(reader) = self.rooms.get_mut(room) else { return };
        reader.open.extend(cases);
        if !reader.open.is_empty() && !mem::replace(&mut reader.is_roused, true) {
            self.foresee(LOOK_MS, Event::Room { room });
        }
    }

    pub(crate) fn room_works(&mut self, room: usize) -> Result<(), Violation> {
        self.rooms[room].is_roused = false;
        if self.machines[self.rooms[room].at].running.is_none() {
            return Ok(());
        }
        for case in self.rooms[room].open.clone() {
            if self.look(room, &case)? == Looked::Done {
                self.rooms[room].open.remove(&case);
            }
        }
        self.look_at(room, []);
        Ok(())
    }

    fn look(&mut self, room: usize, case: &CaseId) -> Result<Looked, Violation> {
        let at = self.rooms[room].at;
        let life = self.machines[at].life;
        let Some(running) = &self.machines[at].running else { return Ok(Looked::Open) };
        let item = running.node.worklist().item(case).filter(|item| item.custody >= CustodyState::Delivered);
        let Some(item) = item.cloned() else { return Ok(Looked::Done) };
        let spoke = self.number_of(&item.site);
        self.seen_delivered(spoke, case);
        if self.scenario.readers == Readers::TakeTheirOwn && self.federation.homes[spoke] != at {
            return Ok(Looked::Done);
        }
        if let Some((asked, step)) = self.rooms[room].asked.get(case).copied().filter(|(asked, _)| asked.life == life) {
            let Some(answer) = self.answer(at, asked.id) else { return Ok(Looked::Open) };
            self.rooms[room].asked.remove(case);
            if let Answer::Appended(hash) = answer {
                let said = self.appended(at, &hash);
                if matches!(step, Step::Sign { .. }) && self.machines[at].past.counts() {
                    self.promises.reports.extend(said.map(|said| (*case, said)));
                    self.happened.count(Count::Reports);
                }
            }
            return Ok(Looked::Open);
        }
        let Some(step) = next_step(&item, self.federation.readers[room].person_id()) else { return Ok(Looked::Done) };
        let command = match step {
            Step::Claim => self.claim(room, &item),
            Step::Sign { status, claim } => self.sign(room, &item, status, claim),
        };
        let asked = self.asks(at, command)?;
        self.rooms[room].asked.insert(*case, (asked, step));
        Ok(Looked::Open)
    }

    fn claim(&mut self, room: usize, item: &WorklistItem) -> Command {
        let key = &self.federation.readers[room];
        let uid = format!("2.25.{}", u64::from_be_bytes(self.chance.bytes()));
        let to = reading_key(key).public();
        let request = Request::new(item.case, &uid, &to, &self.federation.id, &mut self.chance.rng);
        let request = request.expect("a reader's key is a key");
        let statement = self.statement(room, REQUEST_TAG, item.case, &wire::encode(&request));
        append(item, Body::ClaimRequest(statement))
    }

    fn sign(&mut self, room: usize, item: &WorklistItem, status: Status, claim: Option<claim::Token>) -> Command {
        let text = ReportText::new(PATIENTS_WORDS, "Dr Banda").expect("a text a reader may sign");
        let spoke = self.number_of(&item.site);
        let of = |at: usize| reading_key(&self.machines[at].key).public();
        let (origin, home) = (of(spoke), of(self.federation.homes[spoke]));
        let sealed = SealedBody::seal(&text.encode(), &[origin, home], &self.federation.id, &mut self.chance.rng);
        let sealed = sealed.expect("members' keys are keys");
        let replaces = item.standing_report().map(|(hash, _)| hash);
        let report = Report { case: item.case, status, replaces, claim, sealed };
        let statement = self.statement(room, REPORT_TAG, item.case, &wire::encode(&report));
        append(item, Body::Report(statement))
    }

    fn statement(&self, room: usize, tag: &'static str, case: CaseId, body: &[u8]) -> Statement {
        let machine = &self.machines[self.rooms[room].at];
        let running = machine.running.as_ref().expect("a reader works while the hub runs");
        let signed = SignedAt {
            key: &self.federation.readers[room],
            node: machine.key.node_id(),
            federation: &self.federation.id,
            roster_version: running.node.roster().version(),
        };
        Statement::sign(signed, tag, case, &[], body)
    }
}

fn append(item: &WorklistItem, body: Body) -> Command {
    Command::Append { scope: Scope::Site(item.site), body: Box::new(body) }
}

fn next_step(item: &WorklistItem, person: radmesh_protocol::id::PersonId) -> Option<Step> {
    if item.reports.values().any(|report| report.person == person) {
        return None;
    }
    if let Some(token) = item.claim.token_of(&person) {
        return Some(Step::Sign { status: Status::Final, claim: Some(token) });
    }
    let mut mine = item.requests.values().filter(|request| request.claimant == person);
    match mine.next_back().map(|request| &request.answer) {
        None => Some(Step::Claim),
        Some(claim::Answer::Refused(_)) => Some(Step::Sign { status: Status::Preliminary, claim: None }),
        Some(claim::Answer::Waiting | claim::Answer::Granted { .. }) => None,
    }
}
