//! A member whose key is no longer to be believed: the ministry revokes it, and it knows nothing of that and goes on.
//!
//! Once a run, and the network is in two parts as it is said. A home hub's clinics have their standby for their home with the same words, and another hub makes the
//! pool's keys if it was the one that did.

use crate::{checks::Violation, happened::Count, machine::Past, world::World};
use radmesh_protocol::node::Command;

impl World<'_> {
    /// The ministry revokes a spoke that is not the only one, or a hub, and says so at one node; not everybody hears of it
    /// at once.
    pub(super) fn revoke(&mut self, parted_for_ms: u64) -> Result<(), Violation> {
        let places = self.federation.places;
        if self.happened.of(Count::Revocations) > 0 {
            return Ok(());
        }
        let candidates: Vec<usize> = places.spokes().skip(1).chain(places.hubs()).collect();
        let at = candidates[self.chance.below(candidates.len())];
        let told: Vec<usize> =
            (0..self.machines.len()).filter(|to| *to != at && self.machines[*to].running.is_some()).collect();
        if told.is_empty() {
            return Ok(());
        }
        self.part(parted_for_ms);
        let to = told[self.chance.below(told.len())];
        self.trace
            .note(self.now, format_args!("{} is revoked, says {}", self.machines[at].name, self.machines[to].name));
        self.happened.count(Count::Revocations);
        self.machines[at].past = Past::Revoked;
        self.promises.nobody_asks(at);
        let statements = self.federation.revoke(at);
        self.federation.statements.extend(statements.iter().cloned());
        self.command(to, Command::Statements(statements)).map(drop)
    }
}
