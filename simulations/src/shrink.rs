//! A failing run made smaller: fewer nodes, Studies and faults that still break the same rule.
//!
//! Whoever has to find the fault reads the trace; one of 300 lines is read, one of 30,000 is not. Each simpler scenario
//! is another run, so a few seeds of it are tried.

use crate::{
    checks::Rule,
    run::run,
    scenario::{Scenario, Span, Work},
    trace::Show,
};

/// Seeds of a simpler scenario that are tried.
const SEEDS: u64 = 12;
/// Virtual milliseconds below which a run is short enough.
const SHORT_MS: u64 = 20_000;

/// The simplest scenario found that breaks `rule`, and its seed. `say` hears of each step.
pub fn shrink(scenario: &Scenario, seed: u64, rule: Rule, mut say: impl FnMut(&str)) -> (Scenario, u64) {
    let mut found = (scenario.clone(), seed);
    loop {
        let step = simpler(&found.0).into_iter().find_map(|(what, scenario)| {
            let breaks = |seed: &u64| run(&scenario, *seed, Show::Nothing).violation.is_some_and(|v| v.rule == rule);
            let seed = std::iter::once(found.1).chain(1..=SEEDS).find(breaks)?;
            Some((what, scenario, seed))
        });
        let Some((what, scenario, seed)) = step else { return found };
        say(&what);
        found = (scenario, seed);
    }
}

/// Each scenario that is one step simpler, and which step.
fn simpler(scenario: &Scenario) -> Vec<(String, Scenario)> {
    let mut all = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut Scenario)| {
        let mut other = scenario.clone();
        change(&mut other);
        if other != *scenario {
            all.push((what, other));
        }
    };
    for kind in scenario.faults.keys() {
        add(format!("without {kind:?}"), &|other| other.faults.retain(|other, _| other != kind));
    }
    let spokes = scenario.spokes.div_ceil(2);
    add(format!("{spokes} spokes"), &|other| other.spokes = spokes);
    if scenario.hubs > 1 {
        add(format!("{} hubs", scenario.hubs - 1), &|other| other.hubs -= 1);
    }
    if let Work::Drawn { studies, .. } = scenario.work {
        let half = studies.div_ceil(2);
        add(format!("{half} Studies"), &|other| {
            if let Work::Drawn { studies, .. } = &mut other.work {
                *studies = half;
            }
        });
        add("one parcel a Study".to_owned(), &|other| {
            if let Work::Drawn { parcels, .. } = &mut other.work {
                *parcels = Span { from: 1, to: 1 };
            }
        });
        add("small parcels".to_owned(), &|other| {
            if let Work::Drawn { packed_bytes, .. } = &mut other.work {
                *packed_bytes = Span { from: 2000, to: 2000 };
            }
        });
    }
    add("power that never fails by itself".to_owned(), &|other| other.power = None);
    if scenario.faults_for_ms > SHORT_MS {
        let half = scenario.faults_for_ms / 2;
        add(format!("{half} ms of faults"), &|other| other.faults_for_ms = half);
    }
    all
}
