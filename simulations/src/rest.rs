//! The rules that are checked at rest, when every fault is over and everything had its time.
//!
//! Q1 all nodes have one roster and show one worklist, Q2 every Study is at its home hub, Q3 every report is back at its spoke.

use crate::{
    checks::{Rule, Violation, events, said},
    machine::DiskThread,
    studies::Clinic,
    world::World,
};
use radmesh_protocol::{
    id::{CaseId, Hash},
    log::{Logs, Scope, body::Body},
    transfer::shelf::Progress,
    worklist::item::CustodyState,
};
use radmesh_store::medium::Survives;
use std::collections::{BTreeMap, BTreeSet};

/// Virtual milliseconds after the last fault within which all must have come to rest.
const REST_MS: u64 = 3_600_000;
/// What a full disk has refused is written again by then.
const DISKS_MS: u64 = 10_000;
/// Between two looks at whether it has.
const LOOK_MS: u64 = 5_000;

impl World<'_> {
    /// Heals everything, waits until the rules at rest hold, and then takes every node's power away once more. They
    /// must hold at two looks between which no event came: what has just come may not be on disk yet, and nobody was
    /// told it is.
    pub(crate) fn come_to_rest(&mut self) -> Result<(), Violation> {
        self.heal_all()?;
        self.run_until(self.now + DISKS_MS)?;
        self.wait_until_at_rest()?;
        self.happened.rest_ms = self.now;
        for at in self.members() {
            self.forget_links(at);
            self.machines[at].crash(Some(Survives::Nothing), &mut self.chance);
            self.boot(at)?;
        }
        // One that was put back takes out of its log, when it starts, where it contradicted itself; its peers have it.
        if self.machines.iter().any(|machine| machine.past.is_torn()) {
            (0..self.machines.len()).for_each(|at| self.dial_all(at));
            return self.wait_until_at_rest();
        }
        self.at_rest()
    }

    fn wait_until_at_rest(&mut self) -> Result<(), Violation> {
        let latest = self.now + REST_MS;
        let mut held_before = None;
        loop {
            self.run_until(self.now + LOOK_MS)?;
            self.mended();
            held_before = match self.at_rest().and_then(|()| self.disks_are_idle()) {
                Ok(()) if held_before == Some(self.events_held()) => return Ok(()),
                Ok(()) => Some(self.events_held()),
                Err(missing) if self.now >= latest => return Err(missing),
                Err(_) => None,
            };
        }
    }

    /// Nothing is on its way to a disk.
    fn disks_are_idle(&self) -> Result<(), Violation> {
        let is_busy = |at: &usize| self.machines[*at].running.as_ref().is_some_and(|run| run.disk == DiskThread::Busy);
        let busy = self.members().into_iter().find(is_busy);
        busy.map_or(Ok(()), |at| Err(Rule::Rests.broken(&self.machines[at].name, "its disk is not done")))
    }

    fn events_held(&self) -> usize {
        self.machines.iter().filter_map(|machine| machine.running.as_ref()).map(|run| run.node.logs().len()).sum()
    }

    /// Machines that are still members: all of them run at rest.
    fn members(&self) -> Vec<usize> {
        (0..self.machines.len()).filter(|at| self.machines[*at].past.counts()).collect()
    }

    /// Members that hold a spoke's events: the spoke first, if it is one.
    fn holders_of(&self, spoke: usize) -> Vec<usize> {
        self.federation.holders_of(spoke).filter(|at| self.machines[*at].past.counts()).collect()
    }

    /// What was rotten and reads well again.
    fn mended(&mut self) {
        for (at, manifest) in std::mem::take(&mut self.promises.rotten) {
            if self.check_file(at, manifest, Rule::Mended).is_err() {
                self.promises.rotten.insert((at, manifest));
            }
        }
    }

    fn at_rest(&self) -> Result<(), Violation> {
        if let Some((at, manifest)) = self.promises.rotten.first() {
            return Err(Rule::Mended.broken(&self.machines[*at].name, format!("parcel {manifest} is still rotten")));
        }
        // What is soon looked at first: most looks find something missing.
        if let Some(clinic) = self.clinics.iter().find(|clinic| !clinic.is_done()) {
            return Err(Rule::Rests.broken(&self.machines[clinic.at].name, "not every Study is closed"));
        }
        self.same_roster()?;
        self.clinics.iter().try_for_each(|clinic| self.same_events(clinic))?;
        let reports = self.reports_by_clinic();
        self.clinics.iter().try_for_each(|clinic| self.site_at_rest(clinic, &reports[clinic.at]))?;
        self.forks_are_known()?;
        self.nothing_said_too_late_counts()?;
        self.members().into_iter().try_for_each(|at| self.check_promises(at).and_then(|()| self.check_disk(at)))
    }

    /// Reports that were signed, by the clinic whose case it is.
    fn reports_by_clinic(&self) -> Vec<Vec<Hash>> {
        let clinic_of = |case: &CaseId| self.clinics.iter().position(|clinic| clinic.has(case));
        let mut by_clinic = vec![Vec::new(); self.clinics.len()];
        for (case, report) in &self.promises.reports {
            by_clinic[clinic_of(case).expect("a report is of a clinic's case")].push(*report);
        }
        by_clinic
    }

    /// All members know the same of who is one.
    fn same_roster(&self) -> Result<(), Violation> {
        let roster = |at: usize| self.machines[at].running.as_ref().expect("all run at rest").node.roster();
        let members = self.members();
        let other = members.iter().copied().find(|at| roster(*at).digest() != roster(members[0]).digest());
        other.map_or(Ok(()), |at| {
            let (has, first) = (roster(at).version(), roster(members[0]).version());
            Err(Rule::Equal.broken(&self.machines[at].name, format!("has roster {has:?}, others {first:?}")))
        })
    }

    /// All who hold a site's events hold the same.
    fn same_events(&self, clinic: &Clinic) -> Result<(), Violation> {
        let scope = Scope::Site(self.machines[clinic.at].key.node_id());
        let node = |at: usize| &self.machines[at].running.as_ref().expect("all run at rest").node;
        let holders = self.holders_of(clinic.at);
        let digest = node(holders[0]).logs().digest(scope);
        let Some(at) = holders.iter().copied().find(|at| node(*at).logs().digest(scope) != digest) else {
            return Ok(());
        };
        let (here, there) = (node(at).logs(), node(holders[0]).logs());
        let only = |one: &Logs, of: &Logs| {
            let missing = one.events(scope).find(|event| !of.holds(&event.hash()));
            missing.map_or_else(String::new, |e| format!("{} {} {}", e.author(), e.incarnation(), e.seq()))
        };
        let what = format!(
            "holds not the events of {}: more {:?}, less {:?}",
            self.machines[holders[0]].name,
            only(here, there),
            only(there, here)
        );
        Err(Rule::Equal.broken(&self.machines[at].name, what))
    }

    /// Q4: of whom two events have one seq, or two grants one token, everybody says so.
    fn forks_are_known(&self) -> Result<(), Violation> {
        let (mut places, mut grants, mut forked) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for event in self.members().into_iter().flat_map(|at| events(&self.machines[at])) {
            let place = (event.author(), event.incarnation(), event.scope(), event.seq());
            let mut others = *places.entry(place).or_insert(event.hash()) != event.hash();
            if let Ok(Some(Body::Grant(grant))) = event.body() {
                others |= *grants.entry((grant.case, grant.token)).or_insert(event.hash()) != event.hash();
            }
            forked.extend(others.then_some((event.author(), event.scope())));
        }
        for (author, scope) in forked {
            for at in self.members() {
                let logs = self.machines[at].running.as_ref().expect("all run at rest").node.logs();
                if logs.scopes().contains(&scope) && !logs.forked_authors().contains(&author) {
                    let what = format!("{author} has forked in {scope:?}, and it is not said");
                    return Err(Rule::ForksKnown.broken(&self.machines[at].name, what));
                }
            }
        }
        Ok(())
    }

    fn site_at_rest(&self, clinic: &Clinic, reports: &[Hash]) -> Result<(), Violation> {
        let (spoke, home) = (clinic.at, self.federation.homes[clinic.at]);
        let node = |at: usize| &self.machines[at].running.as_ref().expect("all run at rest").node;
        let holders = self.holders_of(spoke);
        for study in &clinic.studies {
            let item = node(holders[0]).worklist().item(&study.case);
            if let Some(at) = holders.iter().find(|at| node(**at).worklist().item(&study.case) != item) {
                let what = format!("shows another worklist than {}", self.machines[holders[0]].name);
                return Err(Rule::Equal.broken(&self.machines[*at].name, what));
            }
        }
        if holders[0] != spoke {
            return Ok(());
        }
        self.delivered(clinic, home)?;
        self.reported(clinic, reports)
    }

    /// Q2.
    fn delivered(&self, clinic: &Clinic, home: usize) -> Result<(), Violation> {
        let name = &self.machines[home].name;
        let hub = self.machines[home].running.as_ref().expect("all run at rest");
        for study in &clinic.studies {
            let custody = hub.node.worklist().item(&study.case).map(|item| item.custody);
            if custody < Some(CustodyState::Delivered) {
                return Err(Rule::Delivered.broken(name, format!("case {} is {custody:?}", study.case)));
            }
            for manifest in study.parcels() {
                let progress = hub.node.parcel(&manifest).map(|view| view.progress);
                if progress != Some(Progress::Complete) {
                    return Err(Rule::Delivered.broken(name, format!("parcel {manifest} is {progress:?}")));
                }
                self.check_file(home, manifest, Rule::Delivered)?;
            }
        }
        Ok(())
    }

    /// Q3.
    fn reported(&self, clinic: &Clinic, signed: &[Hash]) -> Result<(), Violation> {
        let spoke = &self.machines[clinic.at];
        let held: BTreeSet<Hash> = events(spoke).map(said).collect();
        if let Some(gone) = signed.iter().find(|report| !held.contains(report)) {
            return Err(Rule::Reported.broken(&spoke.name, format!("report {gone} was signed and is not here")));
        }
        // Whoever was given the case signs: a Study without a report still has its reader before it.
        let worklist = spoke.running.as_ref().expect("all run at rest").node.worklist();
        let is_read = |case| worklist.item(case).is_some_and(|item| item.standing.is_some());
        let unread = clinic.studies.iter().find(|study| !is_read(&study.case));
        unread.map_or(Ok(()), |study| {
            Err(Rule::Reported.broken(&spoke.name, format!("case {} has no report", study.case)))
        })
    }
}
