//! A Series is coded, whatever is in it.
//!
//! Its groups are coded on all cores and given out in order. A group on which a child fails twice is taken apart: each
//! Instance is coded alone, and one that fails alone, twice, goes as it was received, flagged, so that one file that was
//! made to do harm costs its Series some bytes, and nobody a Study. Failures are counted within one call: after a restart of the node
//! such a file may try twice again.

use crate::{Workers, fault::EncodeFault, limits::TRIES};
use radmesh_codec::group::{self, GroupStats, Profile, Source};
use std::{
    collections::VecDeque,
    io::{self, Write},
    ops::Range,
    panic::resume_unwind,
    thread,
};

/// A coded group.
#[derive(Debug)]
pub struct Coded<W> {
    /// Which of the sources.
    pub instances: Range<usize>,
    /// What took the stream.
    pub out: W,
    /// What it became.
    pub stats: GroupStats,
    /// How.
    pub form: Form,
}

/// How a group is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By the coder.
    Coded,
    /// As it was received: the coder failed on it twice.
    StoredAsReceived,
}

impl Workers {
    /// Codes the Instances of a Series in groups as [`group::plan`] has them, as many at once as there are seats.
    /// `fresh` gives what takes the stream of a group, anew for each try; `give` gets the groups in order.
    ///
    /// # Errors
    /// [`EncodeFault`] for what is not the fault of an Instance; and whatever `give` says.
    pub fn series<W: Write + Send, E: From<EncodeFault>>(
        &self,
        sources: &[&(dyn Source + Sync)],
        profile: Profile,
        fresh: impl Fn() -> io::Result<W> + Sync,
        mut give: impl FnMut(Coded<W>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sizes: Vec<u64> = sources.iter().map(|source| source.bytes()).collect();
        let mut groups = group::plan(&sizes, profile).into_iter();
        let code = |instances| self.surely(sources, instances, profile, &fresh);
        thread::scope(|scope| {
            let mut running = VecDeque::new();
            loop {
                let free = self.seats() - running.len();
                running.extend(groups.by_ref().take(free).map(|instances| scope.spawn(move || code(instances))));
                let Some(first) = running.pop_front() else { return Ok(()) };
                let coded = first.join().unwrap_or_else(|panicked| resume_unwind(panicked))?;
                coded.into_iter().try_for_each(&mut give)?;
            }
        })
    }

    /// One group, or, where a child fails on it, its Instances one by one.
    fn surely<W: Write>(
        &self,
        sources: &[&(dyn Source + Sync)],
        instances: Range<usize>,
        profile: Profile,
        fresh: &impl Fn() -> io::Result<W>,
    ) -> Result<Vec<Coded<W>>, EncodeFault> {
        let group: Vec<&dyn Source> = sources[instances.clone()].iter().map(|source| *source as &dyn Source).collect();
        let here = |fault| match fault {
            EncodeFault::Source { index, why } => EncodeFault::Source { index: instances.start + index, why },
            fault => fault,
        };
        for _ in 0..TRIES {
            let mut out = fresh().map_err(EncodeFault::Write)?;
            match self.encode(&group, profile, &mut out) {
                Ok(stats) => return Ok(vec![Coded { instances, out, stats, form: Form::Coded }]),
                Err(fault) if fault.is_the_files() => {
                    tracing::warn!(%fault, instances = instances.len(), "a group was not coded");
                }
                Err(fault) => return Err(here(fault)),
            }
        }
        if instances.len() > 1 {
            let alone = instances.map(|one| self.surely(sources, one..one + 1, profile, fresh));
            return Ok(alone.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
        }
        tracing::error!("the coder failed on an Instance {TRIES} times; it is sent as it was received");
        let mut out = fresh().map_err(EncodeFault::Write)?;
        let stats = group::store(&group, &mut out).map_err(|error| here(error.into()))?;
        Ok(vec![Coded { instances, out, stats, form: Form::StoredAsReceived }])
    }
}
