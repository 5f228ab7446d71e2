//! Clocks that are wrong: small computers without a battery start in 1970, and people set the year by hand.

use crate::{
    happened::Count,
    world::{FLOOR, World},
};

const DAY_MS: i64 = 86_400_000;

impl World<'_> {
    /// One machine's wall clock jumps, and stays wrong.
    pub(super) fn jump_clock(&mut self) {
        let at = self.chance.below(self.machines.len());
        let to_1970 = -((FLOOR + self.now) as i64);
        let errors = [DAY_MS, -DAY_MS, 3650 * DAY_MS, -3650 * DAY_MS, to_1970, 0];
        let error = errors[self.chance.below(errors.len())];
        self.trace.note(self.now, format_args!("{}'s clock is {error} ms off", self.machines[at].name));
        self.machines[at].set_clock(error);
        self.happened.count(Count::ClockJumps);
    }
}
