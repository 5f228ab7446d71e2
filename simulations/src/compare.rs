//! Two scenarios, or two builds, over the same seeds: their medians side by side.

use crate::run::Outcome;
use std::{
    env, fmt,
    io::{self, Write},
    process::Command,
    str::FromStr,
};

/// What a figure is, in the order in which they are written.
const HEADS: [&str; 6] =
    ["failed", "events", "kB sent", "delivered after, ms", "reported after, ms", "at rest after, ms"];

/// What a run came to; times are medians over its Studies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures([u64; HEADS.len()]);

impl Figures {
    /// Of a run.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let happened = &outcome.happened;
        let failed = u64::from(outcome.violation.is_some());
        let (delivered, reported) = (median(&happened.delivered_ms), median(&happened.reported_ms));
        Self([failed, happened.events, happened.bytes / 1000, delivered, reported, happened.rest_ms])
    }
}

/// A line of numbers.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.map(|figure| figure.to_string());
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Figures {
    type Err = io::Error;

    fn from_str(line: &str) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("no line of figures: {line}"));
        let figures = line.split(' ').map(|word| word.parse().map_err(|_| wrong())).collect::<io::Result<Vec<_>>>()?;
        Ok(Self(figures.try_into().map_err(|_| wrong())?))
    }
}

/// Prints the medians of two, each `SCENARIO` or `BUILD:SCENARIO`.
///
/// # Errors
/// A build can't be started, or fails at this.
pub fn side_by_side(sides: [&str; 2], seeds: u64) -> io::Result<()> {
    let [one, other] = sides.map(|side| medians(side, seeds));
    let (one, other, mut out) = (one?, other?, io::stdout().lock());
    writeln!(out, "{:<24}{:>16}{:>16}", format!("median of {seeds} seeds"), "first", "second")?;
    for (head, (one, other)) in HEADS.iter().zip(one.0.into_iter().zip(other.0)) {
        writeln!(out, "{head:<24}{one:>16}{other:>16}")?;
    }
    Ok(())
}

/// Of `failed` the sum, of all else the median.
fn medians(side: &str, seeds: u64) -> io::Result<Figures> {
    let (build, scenario) = match side.split_once(':') {
        Some((build, scenario)) => (build.into(), scenario),
        None => (env::current_exe()?, side),
    };
    let seeds = seeds.to_string();
    let done = Command::new(&build).args(["figures", scenario, "--seeds", &seeds]).output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(io::Error::other(format!("{}: {}", build.display(), said.trim())));
    }
    let lines = String::from_utf8(done.stdout).map_err(io::Error::other)?;
    let runs = lines.lines().map(Figures::from_str).collect::<io::Result<Vec<_>>>()?;
    let mut number = 0;
    Ok(Figures([0; HEADS.len()].map(|_: u64| {
        let of: Vec<u64> = runs.iter().map(|run| run.0[number]).collect();
        number += 1;
        if number == 1 { of.iter().sum() } else { median(&of) }
    })))
}

/// The middle one; 0 of none.
pub(crate) fn median(of: &[u64]) -> u64 {
    let mut of = of.to_vec();
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or_default()
}
