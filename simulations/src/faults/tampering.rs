//! A node in the wrong hands withholds, repeats, truncates and alters what it sends.

use crate::{
    happened::Count,
    world::{Event, World},
};

/// One message in so many is tampered with.
const ONE_IN: usize = 8;
/// Messages it remembers, to send one of them again.
const REMEMBERED: usize = 64;

impl World<'_> {
    /// The relay tampers for a while.
    pub(super) fn tamper(&mut self, for_ms: u64) {
        self.turn(self.federation.places.relay(), for_ms);
    }

    /// A machine is in the wrong hands for a while.
    pub(super) fn turn(&mut self, at: usize, for_ms: u64) {
        self.trace.note(self.now, format_args!("{} tampers for {for_ms} ms", self.machines[at].name));
        self.machines[at].is_dishonest = true;
        self.foresee(for_ms, Event::Repents { at });
    }

    /// It is put right, and starts anew with everybody: what it said before is still believed on the links it said it on.
    pub(crate) fn repent(&mut self, at: usize) {
        if !std::mem::take(&mut self.machines[at].is_dishonest) {
            return;
        }
        self.network.of[at].clone().into_iter().for_each(|edge| self.break_links(edge));
    }

    /// What a machine sends in place of this message.
    pub(crate) fn tampered(&mut self, at: usize, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        if !self.machines[at].is_dishonest {
            return Some(bytes);
        }
        let remembered = &mut self.machines[at].remembered;
        remembered.truncate(REMEMBERED - 1);
        remembered.push_front(bytes.clone());
        if self.chance.below(ONE_IN) != 0 || bytes.is_empty() {
            return Some(bytes);
        }
        match self.chance.below(4) {
            0 => {
                self.happened.count(Count::Withheld);
                return None;
            }
            1 => {
                self.happened.count(Count::Repeated);
                bytes = self.machines[at].remembered[self.chance.below(self.machines[at].remembered.len())].clone();
            }
            2 => {
                self.happened.count(Count::Truncated);
                bytes.truncate(self.chance.below(bytes.len()));
            }
            _ => {
                self.happened.count(Count::Altered);
                let byte = self.chance.below(bytes.len());
                bytes[byte] ^= 1 << self.chance.below(8);
            }
        }
        Some(bytes)
    }
}
