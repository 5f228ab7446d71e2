//! A few seeds of every scenario, on every change; the long lists are `radmesh-sim run`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use radmesh_simulations::{
    Count, Ended, Figures, Kind, Ledger, Regression, Rule, Show, Work, regression::regressions, run, run_seeds, scale,
    scenarios, shrink,
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
fn a_revoked_member_that_others_still_believe_is_heard_and_counts_for_nothing() {
    let scenario = &scenarios("revocations").unwrap()[0];
    let (mut said, mut refused) = (0, 0);
    for seed in 1..=40 {
        let outcome = run(scenario, seed, Show::Nothing);
        assert_eq!(outcome.violation, None, "seed {seed}");
        said += outcome.happened.of(Count::SaidTooLate);
        refused += outcome.happened.of(Count::RefusedLinks);
    }
    assert!(said > 0 && refused > 0, "{said} events of a revoked member heard, {refused} of its links refused");
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
    if let Work::Drawn { studies, .. } = &mut scenario.work {
        *studies = 0;
    }
    let failing = run(&scenario, 1, Show::Nothing).violation.unwrap();
    assert_eq!(failing.rule, Rule::Happened);
    let (small, seed) = shrink(&scenario, 1, failing.rule, |_| {});
    assert_eq!(run(&small, seed, Show::Nothing).violation.unwrap().rule, Rule::Happened);
    assert!(small.spokes == 1 && small.hubs == 1 && !small.faults.contains_key(&Kind::Cuts), "{small:?}");
    let kept = Regression { was: failing.to_string(), seed, scenario: small };
    assert_eq!(toml::from_str::<Regression>(&toml::to_string(&kept).unwrap()).unwrap(), kept);
}

#[test]
fn a_small_fleet_keeps_every_promise_with_the_outages_and_power_cuts_of_its_profiles() {
    let mut fleet = scenarios("fleet").unwrap().remove(0);
    fleet.resize(Some(6), Some(3));
    let outcome = run(&fleet, 1, Show::Nothing);
    assert_eq!(outcome.violation, None);
    let happened = outcome.happened;
    // Three days of six health centres, each with six films a day.
    assert!((80..140).contains(&happened.reported_ms.len()), "{happened}");
    assert_eq!(happened.reported_ms.len(), happened.delivered_ms.len());
    assert_eq!(happened.of(Count::Reports), happened.reported_ms.len() as u64);
    for count in [Count::Outages, Count::MainsFailures, Count::Stalls] {
        assert!(happened.of(count) > 0, "{happened}");
    }
    assert!(
        happened.kept.chunks_right >= 3 * happened.kept.delivered && happened.kept.stored > happened.kept.delivered
    );
}

#[test]
fn figures_are_read_as_they_are_written() {
    let outcome = run(&scenarios("two_hubs").unwrap()[0], 1, Show::Nothing);
    let figures = Figures::of(&outcome);
    assert_eq!(figures.to_string().parse::<Figures>().unwrap(), figures);
    assert!("1 2 3".parse::<Figures>().is_err() && "1 2 3 4 5 x".parse::<Figures>().is_err());
}

#[test]
fn what_an_event_costs_is_drawn() {
    let costs = scale::costs(&[2, 4], 1, |_| {}).unwrap();
    let picture = scale::picture(&costs, 1);
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");
    assert!(costs[0].spokes == 2 && costs.iter().all(|cost| cost.micros() > 0.0 && cost.events > 1_000), "{costs:?}");
}
