//! Links that are cut, stall or go silent, and a network in two parts.

use crate::{
    happened::Count,
    network::Carries,
    world::{Event, World},
};

impl World<'_> {
    /// Strikes one edge: its links end, or stall, or go silent.
    pub(super) fn cut(&mut self, for_ms: u64) {
        let edge = self.chance.below(self.network.edges.len());
        if self.network.edges[edge].carries == Carries::No {
            return;
        }
        let kind = self.chance.below(4);
        self.trace.note(self.now, format_args!("edge {edge} struck ({kind}) for {for_ms} ms"));
        match kind {
            0 | 1 => {
                self.happened.count(Count::Cuts);
                self.break_links(edge);
            }
            2 => {
                self.happened.count(Count::Silences);
                self.fall_silent(edge);
            }
            _ => {
                self.happened.count(Count::Stalls);
                self.stall(edge, for_ms);
                return;
            }
        }
        self.network.edges[edge].carries = Carries::No;
        self.foresee(for_ms, Event::Heal { edge });
    }

    /// Puts each machine into one of two groups, unless the network is in two parts already; no edge between them carries
    /// anything.
    pub(super) fn part(&mut self, for_ms: u64) {
        if self.now < self.parted_until {
            return;
        }
        self.parted_until = self.now + for_ms;
        let sides: Vec<usize> = (0..self.machines.len()).map(|_| self.chance.below(2)).collect();
        self.trace.note(self.now, format_args!("in two parts {sides:?} for {for_ms} ms"));
        let mut parted = false;
        for edge in 0..self.network.edges.len() {
            let [a, b] = self.network.edges[edge].ends;
            if sides[a] == sides[b] || self.network.edges[edge].carries == Carries::No {
                continue;
            }
            parted = true;
            self.fall_silent(edge);
            self.network.edges[edge].carries = Carries::No;
            self.foresee(for_ms, Event::Heal { edge });
        }
        if parted {
            self.happened.count(Count::Partitions);
        }
    }
}
