//! One run: a scenario and a seed in, what happened and the hash of its trace out.

use crate::{checks::Violation, happened::Happened, scenario::Scenario, trace::Show, world::World};

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
    run_timed(scenario, seed, show, |_| ())
}

/// A moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Every machine has power and the roster: the first event comes.
    Begun,
    /// The time in which faults happen is over, after so many events.
    FaultsOver { events: u64 },
}

/// The same; `at` is called at each [`Moment`].
pub(crate) fn run_timed(scenario: &Scenario, seed: u64, show: Show, mut at: impl FnMut(Moment)) -> Outcome {
    let mut world = match World::new(scenario, seed, show) {
        Ok(world) => world,
        Err(violation) => {
            let trace = String::from("none");
            return Outcome { happened: Happened::default(), trace, lines: 0, violation: Some(violation) };
        }
    };
    at(Moment::Begun);
    let faults_over = world.run_until(scenario.faults_for_ms);
    at(Moment::FaultsOver { events: world.happened.events });
    let ended = faults_over.and_then(|()| world.come_to_rest()).and_then(|()| world.happened.as_planned(scenario));
    world.happened.kept = world.promises.kept();
    Outcome { happened: world.happened, trace: world.trace.hash(), lines: world.trace.lines, violation: ended.err() }
}
