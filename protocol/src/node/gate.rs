//! Gate: what depends on the journal waits here until the journal is on disk.
//!
//! An answer, an event, a receipt leaves this node only after [`Stored::Persisted`](crate::record::Stored), so a
//! power cut takes nothing back that somebody was told. Source: `protocol/SPEC.md`, Custody.

use super::Output;
use crate::record::{Record, Seq, Work};
use std::collections::VecDeque;

/// Outputs in order, some of them held back.
#[derive(Debug, Default)]
pub(super) struct Gate {
    issued: Seq,
    persisted: Seq,
    held: VecDeque<(Seq, Output)>,
    ready: VecDeque<Output>,
}

impl Gate {
    /// Journals a record.
    pub(super) fn keep(&mut self, record: Record) -> Seq {
        self.issued = Seq(self.issued.0 + 1);
        self.ready.push_back(Output::Disk(Work::Persist(self.issued, record)));
        self.issued
    }

    /// Puts out at once.
    pub(super) fn now(&mut self, output: Output) {
        self.ready.push_back(output);
    }

    /// Puts out once everything journaled so far is on disk.
    pub(super) fn after(&mut self, output: Output) {
        if self.issued == self.persisted {
            self.ready.push_back(output);
        } else {
            self.held.push_back((self.issued, output));
        }
    }

    /// Everything up to `seq` is on disk.
    pub(super) fn persisted(&mut self, seq: Seq) {
        self.persisted = seq.clamp(self.persisted, self.issued);
        while self.held.front().is_some_and(|(needs, _)| *needs <= self.persisted) {
            let Some((_, output)) = self.held.pop_front() else { break };
            self.ready.push_back(output);
        }
    }

    /// The disk has failed: what is held will never be true. Given back for the answers among it.
    pub(super) fn abandon(&mut self) -> Vec<Output> {
        self.held.drain(..).map(|(_, output)| output).collect()
    }

    /// The next output.
    pub(super) fn pop(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::ManifestId, node::Notice};

    #[test]
    fn nothing_leaves_before_what_it_rests_on_is_on_disk() {
        let mut gate = Gate::default();
        let notice = |n| Output::Notice(Notice::ParcelComplete(ManifestId([n; 16])));
        let first = gate.keep(Record::Event(vec![1]));
        gate.after(notice(1));
        let second = gate.keep(Record::Event(vec![2]));
        gate.after(notice(2));
        let works = std::iter::from_fn(|| gate.pop()).collect::<Vec<_>>();
        assert!(works.iter().all(|output| matches!(output, Output::Disk(_))) && works.len() == 2);
        gate.persisted(first);
        assert!(matches!(gate.pop(), Some(Output::Notice(Notice::ParcelComplete(id))) if id.0[0] == 1));
        assert!(gate.pop().is_none());
        gate.persisted(second);
        assert!(matches!(gate.pop(), Some(Output::Notice(Notice::ParcelComplete(id))) if id.0[0] == 2));
    }
}
