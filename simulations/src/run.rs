//! One run: a scenario and a seed in, what happened and the hash of its trace out.

use crate::{
    checks::{Rule, Violation},
    scenario::Scenario,
    trace::Show,
    world::World,
};

/// What a run counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Happened {
    /// Events of the world.
    pub events: u64,
    /// Links made.
    pub links: u64,
    /// Links cut, heard by both ends.
    pub cuts: u64,
    /// Links that went silent.
    pub silences: u64,
    /// Links that held everything back for a while.
    pub stalls: u64,
    /// Links that a node gave up by itself.
    pub resets: u64,
    /// Messages that died with a link.
    pub messages_lost: u64,
    /// Power cuts.
    pub crashes: u64,
    /// Of these, such that took something that was written and not synced.
    pub crashes_with_loss: u64,
    /// Reports signed.
    pub reports: u64,
    /// Virtual milliseconds until all was at rest.
    pub rest_ms: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it counted.
    pub happened: Happened,
    /// BLAKE3 of the trace, in hexadecimal.
    pub trace: String,
    /// Lines of the trace.
    pub lines: u64,
    /// The rule that did not hold.
    pub violation: Option<Violation>,
}

/// Runs a scenario from a seed.
#[must_use]
pub fn run(scenario: &Scenario, seed: u64, show: Show) -> Outcome {
    let mut world = match World::new(scenario, seed, show) {
        Ok(world) => world,
        Err(violation) => {
            let trace = String::from("none");
            return Outcome { happened: Happened::default(), trace, lines: 0, violation: Some(violation) };
        }
    };
    let ended = world
        .run_until(scenario.faults_for_ms)
        .and_then(|()| world.come_to_rest())
        .and_then(|()| world.happened.as_planned(scenario));
    Outcome { happened: world.happened, trace: world.trace.hash(), lines: world.trace.lines, violation: ended.err() }
}

impl Happened {
    /// A run in which the faults did not happen has shown nothing.
    fn as_planned(&self, scenario: &Scenario) -> Result<(), Violation> {
        let cuts = scenario.cuts.map(|_| ("cuts", self.cuts + self.silences));
        let crashes = scenario.crashes.map(|_| ("crashes", self.crashes));
        let planned = cuts.into_iter().chain(crashes).chain([("reports", self.reports)]);
        let missing = planned.into_iter().find(|(_, count)| *count == 0);
        missing.map_or(Ok(()), |(what, _)| Err(Rule::Happened.broken("world", format!("no {what}"))))
    }

    /// What no seed of a scenario met, though it is there for it: rarer than once a run, so counted over all of them.
    #[must_use]
    pub fn missing_over_all(runs: &[Self], scenario: &Scenario) -> Option<&'static str> {
        let total = |count: fn(&Self) -> u64| runs.iter().map(count).sum::<u64>();
        let lost = scenario.cuts.map(|_| ("message lost with a link", total(|run| run.messages_lost)));
        let writes = scenario.crashes.map(|_| ("write lost with the power", total(|run| run.crashes_with_loss)));
        lost.into_iter().chain(writes).find(|(_, count)| *count == 0).map(|(what, _)| what)
    }
}
