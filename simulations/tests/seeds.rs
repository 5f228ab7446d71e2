//! A few seeds of every scenario, on every change; the long lists are `radmesh-sim run`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use radmesh_simulations::{
    Count, Ended, Kind, Ledger, Regression, Rule, Show, regression::regressions, run, run_seeds, scenarios, shrink,
};
use std::{collections::BTreeSet, fs};

#[test]
fn every_scenario_keeps_every_promise_and_its_faults_happen() {
    for scenario in scenarios("all").unwrap() {
        for seed in 1..=2 {
            let outcome = run(&scenario, seed, Show::Nothing);
            assert_eq!(outcome.violation, None, "radmesh-sim replay {} --seed {seed} --trace", scenario.name);
        }
    }
}

#[test]
fn a_seed_is_one_run_to_the_byte_and_another_seed_is_another() {
    let scenario = &scenarios("two_hubs").unwrap()[0];
    let first = run(scenario, 7, Show::Nothing);
    assert_eq!(run(scenario, 7, Show::Nothing), first);
    assert_ne!(run(scenario, 8, Show::Nothing).trace, first.trace);
    assert!(first.lines > 1_000, "a hash of {} lines proves little", first.lines);
}

#[test]
fn an_unknown_scenario_is_refused_by_name() {
    let refused = scenarios("two_hub").unwrap_err().to_string();
    assert!(refused.contains("two_hub") && refused.contains("link_cuts"), "{refused}");
}

#[test]
fn what_once_failed_holds() {
    let all = regressions().unwrap();
    assert!(all.len() >= 3);
    for (name, Regression { was, seed, scenario }) in all {
        assert_eq!(run(&scenario, seed, Show::Nothing).violation, None, "{name}: {was}");
    }
}

#[test]
fn seeds_run_at_once_come_to_what_they_come_to_alone() {
    let scenario = &scenarios("lost_hub").unwrap()[0];
    let mut seen = BTreeSet::new();
    run_seeds(scenario, &[3, 4, 5], 3, |seed, outcome| {
        assert_eq!(outcome, run(scenario, seed, Show::Nothing));
        assert!(outcome.happened.of(Count::LostHubs) == 1 && seen.insert(seed));
    });
    assert_eq!(seen, BTreeSet::from([3, 4, 5]));
}

#[test]
fn a_ledger_knows_what_its_own_build_has_run_whatever_a_power_cut_left_of_its_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let mut ledger = Ledger::open(&path, b"a build").unwrap();
    ledger.add("rot", 1, Ended::Well).unwrap();
    ledger.add("rot", 2, Ended::Failed).unwrap();
    ledger.add("cuts", 3, Ended::Well).unwrap();
    drop(ledger);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 3]).unwrap();
    let mut ledger = Ledger::open(&path, b"a build").unwrap();
    let known = [("rot", 1), ("rot", 2), ("rot", 3), ("cuts", 3)].map(|(scenario, seed)| ledger.of(scenario, seed));
    assert_eq!(known, [Some(Ended::Well), Some(Ended::Failed), None, None]);
    ledger.add("cuts", 3, Ended::Well).unwrap();
    assert_eq!(Ledger::open(&path, b"a build").unwrap().of("cuts", 3), Some(Ended::Well));
    assert_eq!(Ledger::open(&path, b"another build").unwrap().of("rot", 1), None);
}

#[test]
fn a_failing_run_is_made_smaller_and_fails_by_the_same_rule() {
    // Without a Study nobody signs a report, and a run must show one.
    let mut scenario = scenarios("district").unwrap().remove(0);
    scenario.studies = 0;
    let failing = run(&scenario, 1, Show::Nothing).violation.unwrap();
    assert_eq!(failing.rule, Rule::Happened);
    let (small, seed) = shrink(&scenario, 1, failing.rule, |_| {});
    assert_eq!(run(&small, seed, Show::Nothing).violation.unwrap().rule, Rule::Happened);
    assert!(small.spokes == 1 && small.hubs == 1 && !small.faults.contains_key(&Kind::Cuts), "{small:?}");
    let kept = Regression { was: failing.to_string(), seed, scenario: small };
    assert_eq!(toml::from_str::<Regression>(&toml::to_string(&kept).unwrap()).unwrap(), kept);
}
