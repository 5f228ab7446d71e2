//! Many seeds of a scenario, on all cores.

use crate::{
    run::{Outcome, run},
    scenario::Scenario,
    trace::Show,
};
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// Runs each seed on one of `jobs` threads and gives what came of it to `each`, in the order in which they end.
///
/// # Panics
/// If a run panics: then nothing that was run counts.
pub fn run_seeds(scenario: &Scenario, seeds: &[u64], jobs: usize, mut each: impl FnMut(u64, Outcome)) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (ended, outcomes) = mpsc::channel();
        for _ in 0..jobs.clamp(1, seeds.len().max(1)) {
            let (next, ended) = (&next, ended.clone());
            scope.spawn(move || {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run(scenario, *seed, Show::Nothing);
                    if ended.send((*seed, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ended);
        outcomes.iter().for_each(|(seed, outcome)| each(seed, outcome));
    });
}
