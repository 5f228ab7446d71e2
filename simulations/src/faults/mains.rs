//! Mains that fail as a site's profile says, and lines that break as theirs says.

use crate::{
    checks::Violation,
    happened::Count,
    line::Break,
    network::Carries,
    profile::{self, DAY_MS, MINUTE_MS, PowerProfile},
    scenario::in_turn,
    world::{Event, World},
};

/// Cuts of a site's mains.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cuts {
    /// Mean milliseconds from one to the next.
    every_ms: u64,
    /// Mean milliseconds of one.
    for_ms: u64,
    /// Milliseconds that a battery bridges.
    bridged_ms: u64,
}

const MONTH_MS: u64 = 30 * DAY_MS;

/// The kinds of cuts that a profile has.
pub(crate) fn cuts(profile: &PowerProfile) -> Vec<Cuts> {
    let bridged_ms = profile.ups_min * MINUTE_MS;
    let short = Cuts { every_ms: profile.cut_every_ms, for_ms: profile.mean_off_min * MINUTE_MS, bridged_ms };
    let long_every_ms = MONTH_MS.checked_div(profile.long_per_month);
    let long = long_every_ms.map(|every_ms| Cuts { every_ms, for_ms: profile.long_ms, bridged_ms });
    [short].into_iter().chain(long).collect()
}

impl World<'_> {
    /// When each line breaks first, and each site's mains.
    pub(super) fn first_breaks(&mut self) {
        for edge in 0..self.network.edges.len() {
            for number in 0..self.network.edges[edge].line.breaks.len() {
                self.foresee_break(edge, number, 0);
            }
        }
        let Some(power) = &self.scenario.power else { return };
        let of = |at: usize| if at < self.federation.places.relay() { in_turn(&power.spokes, at) } else { &power.hubs };
        let cuts_of =
            |at| cuts(&profile::power(of(at)).expect("a scenario's profiles were looked up when it was read"));
        let all: Vec<(usize, Cuts)> =
            (0..self.machines.len()).flat_map(|at| cuts_of(at).into_iter().map(move |cuts| (at, cuts))).collect();
        all.into_iter().for_each(|(at, cuts)| self.foresee_cut(at, cuts, 0));
    }

    fn foresee_break(&mut self, edge: usize, number: usize, after: u64) {
        let wait = self.chance.exponential(self.network.edges[edge].line.breaks[number].every_ms);
        if self.now + after + wait < self.scenario.faults_for_ms {
            self.foresee(after + wait, Event::LineBreaks { edge, number });
        }
    }

    pub(crate) fn line_breaks(&mut self, edge: usize, number: usize) {
        let breaks = self.network.edges[edge].line.breaks[number];
        let for_ms = self.chance.exponential(breaks.for_ms);
        self.foresee_break(edge, number, for_ms);
        if self.network.edges[edge].carries == Carries::No {
            return;
        }
        self.trace.note(self.now, format_args!("edge {edge}: {:?} of {for_ms} ms", breaks.kind));
        match breaks.kind {
            Break::Pause => {
                self.happened.count(Count::Stalls);
                return self.stall(edge, for_ms);
            }
            Break::Outage if self.chance.below(2) == 0 => self.break_links(edge),
            Break::Outage => self.fall_silent(edge),
        }
        self.happened.count(Count::Outages);
        self.network.edges[edge].carries = Carries::No;
        self.foresee(for_ms, Event::Heal { edge });
    }

    fn foresee_cut(&mut self, at: usize, cuts: Cuts, after: u64) {
        let wait = self.chance.exponential(cuts.every_ms);
        if self.now + after + wait < self.scenario.faults_for_ms {
            self.foresee(after + wait, Event::MainsFail { at, cuts });
        }
    }

    /// The mains fail; the machine, when the battery is empty before they come back.
    pub(crate) fn mains_fail(&mut self, at: usize, cuts: Cuts) {
        let off_ms = self.chance.exponential(cuts.for_ms);
        self.happened.count(Count::MainsFailures);
        self.foresee_cut(at, cuts, off_ms);
        if let Some(down_ms) = off_ms.checked_sub(cuts.bridged_ms) {
            self.foresee(cuts.bridged_ms, Event::BatteryEmpty { at, down_ms });
        }
    }

    pub(crate) fn battery_empty(&mut self, at: usize, down_ms: u64) -> Result<(), Violation> {
        if self.machines[at].running.is_none() {
            return Ok(());
        }
        self.crash(at, down_ms)
    }
}
