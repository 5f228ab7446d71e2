//! `radmesh-sim`: runs scenarios from seeds, and replays the one that failed.

use clap::{Parser, Subcommand};
use radmesh_simulations::{Happened, Outcome, Scenario, ScenarioError, Show, run, scenarios};
use std::{ops::Range, process::ExitCode};

/// Runs the shipping protocol and store over a simulated world.
#[derive(Debug, Parser)]
#[command(name = "radmesh-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Wanted,
}

#[derive(Debug, Subcommand)]
enum Wanted {
    /// Runs a scenario, or all, from several seeds; the last line counts seeds run and failed.
    Run {
        /// link_cuts, crashes, two_hubs, or all.
        scenario: String,
        /// Seeds of each scenario.
        #[arg(long)]
        seeds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        first_seed: u64,
    },
    /// Runs one seed again.
    Replay {
        /// link_cuts, crashes or two_hubs.
        scenario: String,
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// Prints every event.
        #[arg(long)]
        trace: bool,
    },
}

/// How a seed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seed {
    Passed,
    Failed,
}

fn main() -> ExitCode {
    match carry_out(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(1)
        }
    }
}

fn carry_out(command: Wanted) -> Result<ExitCode, ScenarioError> {
    let results: Vec<Seed> = match command {
        Wanted::Run { scenario, seeds, first_seed } => {
            let scenarios = scenarios(&scenario)?;
            scenarios.iter().flat_map(|scenario| all_seeds(scenario, first_seed..first_seed + seeds)).collect()
        }
        Wanted::Replay { scenario, seed, trace } => {
            let show = if trace { Show::Lines } else { Show::Nothing };
            scenarios(&scenario)?.iter().map(|scenario| one_seed(scenario, seed, show).0).collect()
        }
    };
    let failed = results.iter().filter(|seed| **seed == Seed::Failed).count();
    println!("{} seeds run, {failed} failed", results.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Runs the seeds; if the scenario's own fault never happened in any of them, they have shown nothing.
fn all_seeds(scenario: &Scenario, seeds: Range<u64>) -> Vec<Seed> {
    let runs: Vec<(Seed, Happened)> = seeds.map(|seed| one_seed(scenario, seed, Show::Nothing)).collect();
    let mut total = Happened::default();
    runs.iter().for_each(|(_, happened)| total.add(happened));
    let mut results: Vec<Seed> = runs.into_iter().map(|(seed, _)| seed).collect();
    if let Some(what) = total.missing_over_all(scenario) {
        println!("{}: FAILED, in no seed were there {what}", scenario.name);
        results.fill(Seed::Failed);
    }
    results
}

fn one_seed(scenario: &Scenario, seed: u64, show: Show) -> (Seed, Happened) {
    let Outcome { happened, trace, violation, .. } = run(scenario, seed, show);
    let name = &scenario.name;
    let state = if violation.is_some() { "FAILED" } else { "ok" };
    println!("{name} seed {seed}: {state}, {happened}, at rest after {} s, trace {trace}", happened.rest_ms / 1000);
    let Some(violation) = violation else { return (Seed::Passed, happened) };
    println!("  {violation}");
    println!("  replay: radmesh-sim replay {name} --seed {seed} --trace");
    (Seed::Failed, happened)
}
