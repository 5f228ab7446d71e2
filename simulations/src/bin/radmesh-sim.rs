//! `radmesh-sim`: runs scenarios from seeds, replays one that failed, and makes it smaller.

use clap::{Parser, Subcommand};
use radmesh_simulations::{
    ALL, Ended, Figures, Happened, Kept, Ledger, Outcome, Regression, Scenario, ScenarioError, Show, Violation,
    compare, regression, run, run_seeds, scale, scenarios, shrink,
};
use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{self, ExitCode},
    thread,
    time::Instant,
};

/// Says one line on standard output. Who reads it may have seen enough (`| head`): that ends the run.
macro_rules! say {
    ($($text:tt)*) => {
        if writeln!(io::stdout().lock(), $($text)*).is_err() {
            process::exit(1);
        }
    };
}

/// Runs the shipping protocol and store over a simulated world.
#[derive(Debug, Parser)]
#[command(name = "radmesh-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Wanted,
}

#[derive(Debug, Subcommand)]
enum Wanted {
    /// Runs a scenario, or all, from several seeds; the last line counts seeds run and failed. `all` runs first what
    /// once failed (simulations/regressions).
    Run {
        /// A scenario's name, or all.
        scenario: String,
        /// Seeds of each scenario.
        #[arg(long)]
        seeds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        first_seed: u64,
        /// Seeds that are run at once; as many as there are cores unless said.
        #[arg(long)]
        jobs: Option<usize>,
        /// Notes each seed in this file, and runs none that is there, run by this very build.
        #[arg(long, value_name = "FILE")]
        ledger: Option<PathBuf>,
        /// Spokes, in place of the scenario's.
        #[arg(long)]
        spokes: Option<usize>,
        /// Days in which faults happen, in place of the scenario's time.
        #[arg(long)]
        days: Option<u64>,
    },
    /// Runs one seed again.
    Replay {
        /// A scenario's name, or the file of a run that once failed.
        scenario: String,
        /// The seed; a file has its own.
        #[arg(long)]
        seed: Option<u64>,
        /// Prints every event.
        #[arg(long)]
        trace: bool,
    },
    /// Runs the same seeds of two scenarios, or of two builds, and prints the medians side by side.
    Compare {
        /// A scenario's name, or the file of one; `BUILD:SCENARIO` has another build of radmesh-sim run it.
        one: String,
        /// The other.
        other: String,
        /// Seeds of each.
        #[arg(long, default_value_t = 20)]
        seeds: u64,
    },
    /// Prints a line a seed, for `compare`: its figures in the order of their heads.
    Figures {
        /// A scenario's name, or the file of one.
        scenario: String,
        /// Seeds.
        #[arg(long)]
        seeds: u64,
    },
    /// Runs the fleet with more and more spokes, and prints what an event costs.
    Scale {
        /// How many.
        #[arg(long, value_delimiter = ',', default_value = "10,30,100,300,1000")]
        spokes: Vec<usize>,
        /// Days of each.
        #[arg(long, default_value_t = 1)]
        days: u64,
        /// A picture of it (SVG).
        #[arg(long, value_name = "FILE")]
        plot: Option<PathBuf>,
    },
    /// Makes a failing run smaller and writes it to simulations/regressions.
    Shrink {
        /// The scenario's name.
        scenario: String,
        /// The seed.
        #[arg(long)]
        seed: u64,
    },
}

/// Seeds run, and how many of them failed.
#[derive(Debug, Default)]
struct Tally {
    run: u64,
    failed: u64,
    /// Of those run, in an earlier sitting.
    before: u64,
    /// The promises of all of them.
    kept: Kept,
}

fn main() -> ExitCode {
    match carry_out(Cli::parse().command) {
        // Nothing that is counted.
        Ok(Tally { run: 0, .. }) => ExitCode::SUCCESS,
        Ok(Tally { run, failed, before, kept }) => {
            say!("{kept}");
            let earlier = if before > 0 { format!(" ({before} of them before)") } else { String::new() };
            say!("{run} seeds run{earlier}, {failed} failed");
            if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(1)
        }
    }
}

fn carry_out(command: Wanted) -> Result<Tally, ScenarioError> {
    let mut tally = Tally::default();
    match command {
        Wanted::Run { scenario, seeds, first_seed, jobs, ledger, spokes, days } => {
            let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
            let mut ledger = ledger.map(|path| Ledger::open(&path, &fs::read(env::current_exe()?)?)).transpose()?;
            let seeds: Vec<u64> = (first_seed..first_seed.saturating_add(seeds)).collect();
            if scenario == ALL {
                for (name, once) in regression::regressions()? {
                    one(&name, &once.scenario, once.seed, Show::Nothing, &mut tally);
                }
            }
            for mut scenario in scenarios(&scenario)? {
                scenario.resize(spokes, days);
                all_seeds(&scenario, &seeds, jobs, ledger.as_mut(), &mut tally)?;
            }
        }
        Wanted::Replay { scenario, seed, trace } => {
            let show = if trace { Show::Lines } else { Show::Nothing };
            let Once { name, scenario, seed: its } = named(&scenario)?;
            one(&name, &scenario, seed.or(its).ok_or(ScenarioError::NoSeed)?, show, &mut tally);
        }
        Wanted::Compare { one, other, seeds } => compare::side_by_side([&one, &other], seeds)?,
        Wanted::Figures { scenario, seeds } => {
            let Once { scenario, .. } = named(&scenario)?;
            (1..=seeds).for_each(|seed| say!("{}", Figures::of(&run(&scenario, seed, Show::Nothing))));
        }
        Wanted::Scale { spokes, days, plot } => {
            let costs = scale::costs(&spokes, days, |cost| say!("{cost}"))?;
            if let Some(plot) = plot {
                fs::write(&plot, scale::picture(&costs, days))?;
            }
        }
        Wanted::Shrink { scenario, seed } => {
            for scenario in scenarios(&scenario)? {
                tally.run += 1;
                match run(&scenario, seed, Show::Nothing).violation {
                    Some(violation) => {
                        tally.failed += 1;
                        say!("wrote {}", made_smaller(&scenario, seed, &violation)?.display());
                    }
                    None => say!("{} seed {seed}: every rule held", scenario.name),
                }
            }
        }
    }
    Ok(tally)
}

/// A scenario that was named, with the seed of one that once failed.
struct Once {
    name: String,
    scenario: Scenario,
    seed: Option<u64>,
}

fn named(name: &str) -> Result<Once, ScenarioError> {
    if Path::new(name).extension().is_some_and(|end| end == "toml") {
        let (name, Regression { seed, scenario, .. }) = regression::read(Path::new(name))?;
        return Ok(Once { name, scenario, seed: Some(seed) });
    }
    let scenario = scenarios(name)?.into_iter().next().expect("a name that is known has a scenario");
    Ok(Once { name: name.to_owned(), scenario, seed: None })
}

/// Runs the seeds; if the scenario's own fault never happened in any of them, they have shown nothing.
fn all_seeds(
    scenario: &Scenario,
    seeds: &[u64],
    jobs: usize,
    mut ledger: Option<&mut Ledger>,
    tally: &mut Tally,
) -> io::Result<()> {
    let name = &scenario.name;
    let before: Vec<Ended> = seeds.iter().filter_map(|seed| ledger.as_ref()?.of(name, *seed)).collect();
    let is_left = |seed: &u64| ledger.as_ref().is_none_or(|ledger| ledger.of(name, *seed).is_none());
    let left: Vec<u64> = seeds.iter().copied().filter(is_left).collect();
    let (begun, mut total, mut done, mut tenths, mut failed) = (Instant::now(), Happened::default(), 0, 0, 0);
    let mut noted = Ok(());
    run_seeds(scenario, &left, jobs, |seed, outcome| {
        total.add(&outcome.happened);
        done += 1;
        let ended = if outcome.violation.is_some() { Ended::Failed } else { Ended::Well };
        if let Some(ledger) = &mut ledger
            && noted.is_ok()
        {
            noted = ledger.add(name, seed, ended);
        }
        if let Some(violation) = outcome.violation {
            failed += 1;
            say!("{name} seed {seed}: FAILED, {}\n  {violation}", outcome.happened);
            say!("  replay: radmesh-sim replay {name} --seed {seed} --trace");
        }
        if done * 10 / left.len() > tenths {
            tenths = done * 10 / left.len();
            let rate = total.events as f64 / begun.elapsed().as_secs_f64();
            eprintln!("{name}: {done} of {} seeds, {rate:.0} events a second", left.len());
        }
    });
    noted?;
    let missing = total.missing_over_all(scenario).filter(|_| !left.is_empty() && before.is_empty());
    if let Some(what) = missing {
        say!("{name}: FAILED, in no seed were there {what}");
        failed = left.len() as u64;
    }
    say!("{name}: {} seeds, {failed} failed, {total}", left.len());
    tally.run += seeds.len() as u64;
    tally.kept.add(&total.kept);
    tally.before += before.len() as u64;
    tally.failed += failed + before.iter().filter(|ended| **ended == Ended::Failed).count() as u64;
    Ok(())
}

fn one(name: &str, scenario: &Scenario, seed: u64, show: Show, tally: &mut Tally) {
    let Outcome { happened, trace, violation, .. } = run(scenario, seed, show);
    let state = if violation.is_some() { "FAILED" } else { "ok" };
    say!("{name} seed {seed}: {state}, {happened}, at rest after {} s, trace {trace}", happened.rest_ms / 1000);
    tally.run += 1;
    tally.kept.add(&happened.kept);
    if let Some(violation) = violation {
        tally.failed += 1;
        say!("  {violation}");
    }
}

fn made_smaller(scenario: &Scenario, seed: u64, violation: &Violation) -> io::Result<PathBuf> {
    let (scenario, seed) = shrink(scenario, seed, violation.rule, |step| say!("still with {step}"));
    regression::write(&Regression { was: violation.to_string(), seed, scenario })
}
