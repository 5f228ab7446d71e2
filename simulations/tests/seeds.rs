//! A few seeds of every scenario, on every change; the long lists are `radmesh-sim run`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use radmesh_simulations::{Show, run, scenarios};

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
