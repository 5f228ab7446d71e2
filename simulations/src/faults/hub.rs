//! A hub that burns down: its disk is gone, and the ministry names the standby home in its place.

use crate::{
    checks::Violation,
    happened::Count,
    world::{Event, World},
};
use radmesh_protocol::node::Command;

impl World<'_> {
    /// The first spoke's home hub is gone for ever, once a run.
    pub(super) fn lose_hub(&mut self, for_ms: u64) {
        let at = self.federation.homes[0];
        if self.happened.of(Count::LostHubs) > 0 || self.machines[at].running.is_none() {
            return;
        }
        self.trace.note(self.now, format_args!("{} burns down", self.machines[at].name));
        self.happened.count(Count::LostHubs);
        self.forget_links(at);
        self.machines[at].destroy();
        self.promises.only_told(at);
        self.promises.nobody_has(at);
        self.foresee(for_ms, Event::NameStandby { lost: at });
    }

    /// The ministry says that each spoke of the lost hub has the next one for its home.
    pub(crate) fn name_standby(&mut self, lost: usize) -> Result<(), Violation> {
        let statements = self.federation.name_standby(lost);
        let Some(at) = self.federation.places.hubs().find(|at| self.machines[*at].running.is_some()) else {
            self.foresee(1_000, Event::NameStandby { lost });
            return Ok(());
        };
        self.federation.statements.extend(statements.iter().cloned());
        self.command(at, Command::Statements(statements)).map(drop)
    }
}
