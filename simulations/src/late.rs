//! What a revoked member says after the site's home hub knew of it: kept, and of no account (I7).

use crate::{
    checks::{Rule, Violation, events},
    happened::Count,
    machine::{Past, Running},
    world::World,
};
use radmesh_protocol::{
    claim::Token,
    id::{CaseId, EventHash, ManifestId},
    log::{Event, Scope, body::Body},
    roster::Standing,
    worklist::item::Review,
};

/// What it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    Report(CaseId),
    Grant(CaseId, Token),
    Receipt(CaseId, ManifestId),
    /// Something that counts for nothing by itself.
    Other,
}

/// When a machine made what it holds of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Earlier,
    Now,
}

impl World<'_> {
    /// Whether a machine's node knows that another is revoked.
    pub(crate) fn knows_revoked(&self, at: usize, other: usize) -> bool {
        let standing = |running: &Running| {
            running.node.roster().node(&self.machines[other].key.node_id()).map(|member| member.standing)
        };
        self.machines[other].past == Past::Revoked
            && matches!(self.machines[at].running.as_ref().and_then(standing), Some(Standing::Revoked { .. }))
    }

    /// A revoked machine has made an event, or another has taken it in.
    pub(crate) fn check_late(&mut self, at: usize, event: &Event, made: Made) -> Result<(), Violation> {
        let by = self.number_of(&event.author());
        if self.machines[by].past != Past::Revoked {
            return Ok(());
        }
        if by != at {
            if self.seen.late.contains_key(&event.hash()) {
                self.happened.count(Count::SaidTooLate);
                return self.late_counts_not(at, &event.hash());
            }
            return Ok(());
        }
        let Scope::Site(site) = event.scope() else { return Ok(()) };
        if made == Made::Earlier {
            return Ok(());
        }
        let spoke = self.number_of(&site);
        // What a home hub says under the roster it has counts as long as somebody hears it.
        if self.federation.places.first_home(spoke) == by || !self.knows_revoked(self.federation.homes[spoke], by) {
            return Ok(());
        }
        let late = match event.body() {
            Ok(Some(Body::Report(said))) => Late::Report(said.case()),
            Ok(Some(Body::Grant(grant))) => Late::Grant(grant.case, grant.token),
            Ok(Some(Body::Receipt(receipt))) => Late::Receipt(receipt.case, receipt.manifest()),
            _ => Late::Other,
        };
        self.seen.late.insert(event.hash(), late);
        Ok(())
    }

    /// At rest.
    pub(crate) fn nothing_said_too_late_counts(&self) -> Result<(), Violation> {
        let all = (0..self.machines.len()).filter(|at| self.machines[*at].past.counts());
        all.into_iter().try_for_each(|at| self.seen.late.keys().try_for_each(|late| self.late_counts_not(at, late)))
    }

    fn late_counts_not(&self, at: usize, hash: &EventHash) -> Result<(), Violation> {
        let machine = &self.machines[at];
        let Some(running) = &machine.running else { return Ok(()) };
        let item = |case: CaseId| running.node.worklist().item(&case);
        let Some(event) = running.node.logs().event(hash) else { return Ok(()) };
        let by = event.author();
        if !self.knows_revoked(at, self.number_of(&by)) {
            return Ok(());
        }
        let counts = match self.seen.late[hash] {
            Late::Report(case) => {
                item(case).and_then(|item| item.reports.get(hash)).is_some_and(|report| report.review == Review::Sound)
            }
            Late::Grant(case, token) => item(case).is_some_and(|item| item.token == Some(token)),
            Late::Receipt(case, manifest) => {
                let of_earlier = events(machine).any(|other| {
                    other.author() == by
                        && !self.seen.late.contains_key(&other.hash())
                        && matches!(other.body(), Ok(Some(Body::Receipt(receipt))) if receipt.manifest() == manifest)
                });
                let signed = item(case).and_then(|item| item.parcels.get(&manifest)).map(|parcel| &parcel.receipts);
                !of_earlier && signed.is_some_and(|receipts| receipts.contains_key(&by))
            }
            Late::Other => false,
        };
        if counts {
            let what = format!("{:?} of {by}, revoked before it was made, counts", self.seen.late[hash]);
            return Err(Rule::Revoked.broken(&machine.name, what));
        }
        Ok(())
    }
}
