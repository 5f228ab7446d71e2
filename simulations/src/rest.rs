//! The rules that are checked at rest, when every fault is over and everything had its time.
//!
//! Q1 all nodes show one worklist, Q2 every Study is at its home hub, Q3 every report is back at its spoke.

use crate::{
    checks::{Rule, Violation},
    world::{HOME, SPOKE, World},
};
use radmesh_protocol::{
    log::Scope,
    transfer::shelf::Progress,
    worklist::item::{CustodyState, WorklistItem},
};
use radmesh_store::medium::Survives;

/// Virtual milliseconds after the last fault within which all must have come to rest.
const REST_MS: u64 = 3_600_000;
/// Between two looks at whether it has.
const LOOK_MS: u64 = 5_000;

impl World<'_> {
    /// Heals everything, waits until the rules at rest hold, and then takes every node's power away once more. They
    /// must hold at two looks: what came just before the first may not be on disk yet, and nobody was told it is.
    pub(crate) fn come_to_rest(&mut self) -> Result<(), Violation> {
        self.heal_all()?;
        let latest = self.now + REST_MS;
        let mut looks = 0;
        while looks < 2 {
            self.run_until(self.now + LOOK_MS)?;
            looks = match self.at_rest() {
                Ok(()) => looks + 1,
                Err(missing) if self.now >= latest => return Err(missing),
                Err(_) => 0,
            };
        }
        self.happened.rest_ms = self.now;
        for at in 0..self.machines.len() {
            self.forget_links(at);
            self.machines[at].crash(Some(Survives::Nothing), &mut self.chance);
            self.boot(at)?;
        }
        self.at_rest()
    }

    fn at_rest(&self) -> Result<(), Violation> {
        if !self.clinic.is_done() {
            return Err(Rule::Rests.broken("spoke", "not every Study is closed"));
        }
        let nodes = || self.machines.iter().filter_map(|machine| Some((machine.name, &machine.running.as_ref()?.node)));
        let scope = Scope::Site(self.machines[SPOKE].key.node_id());
        let spoke = &self.machines[SPOKE].running.as_ref().expect("all run at rest").node;
        let items: Vec<&WorklistItem> = spoke.worklist().items().collect();
        for (name, node) in nodes() {
            let (here, there) = (node.logs().digest(scope), spoke.logs().digest(scope));
            if here != there {
                return Err(Rule::Equal.broken(name, "holds other events than the spoke"));
            }
            if node.worklist().items().collect::<Vec<_>>() != items {
                return Err(Rule::Equal.broken(name, "shows another worklist than the spoke"));
            }
        }
        self.delivered()?;
        self.reported(&items)
    }

    /// Q2.
    fn delivered(&self) -> Result<(), Violation> {
        let hub = self.machines[HOME].running.as_ref().expect("all run at rest");
        for study in &self.clinic.studies {
            let custody = hub.node.worklist().item(&study.case).map(|item| item.custody);
            if custody < Some(CustodyState::Delivered) {
                return Err(Rule::Delivered.broken("hub", format!("case {} is {custody:?}", study.case)));
            }
            for manifest in study.parcels() {
                let progress = hub.node.parcel(&manifest).map(|view| view.progress);
                if progress != Some(Progress::Complete) {
                    return Err(Rule::Delivered.broken("hub", format!("parcel {manifest} is {progress:?}")));
                }
                self.check_file(HOME, manifest, Rule::Delivered)?;
            }
        }
        Ok(())
    }

    /// Q3.
    fn reported(&self, at_spoke: &[&WorklistItem]) -> Result<(), Violation> {
        let here = |hash| at_spoke.iter().any(|item| item.reports.contains_key(hash));
        if let Some(gone) = self.promises.reports.iter().find(|hash| !here(hash)) {
            return Err(Rule::Reported.broken("spoke", format!("report {gone} was signed and is not here")));
        }
        // Whoever was given the case signs: a Study without a report still has its reader before it.
        let unread = self
            .clinic
            .studies
            .iter()
            .find(|study| !at_spoke.iter().any(|item| item.case == study.case && item.standing.is_some()));
        unread.map_or(Ok(()), |study| Err(Rule::Reported.broken("spoke", format!("case {} has no report", study.case))))
    }
}
