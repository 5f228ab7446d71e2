//! Links: reliable ordered streams, as one TCP connection is, that are cut, stall, or go silent.
//!
//! Nothing that arrives is altered or out of order; what a dying link carried is lost. A silent link tells nobody:
//! that the nodes find out by themselves is what is tested.

use crate::{
    chance::Chance,
    checks::Violation,
    federation::Places,
    happened::Count,
    scenario::{Scenario, Span},
    world::{Event, World},
};
use radmesh_protocol::node::{Input, Lane, LinkId};
use std::collections::BTreeMap;

/// Milliseconds until a lost link is dialled again.
const REDIAL_MS: Span = Span { from: 200, to: 2_000 };
/// Milliseconds after which the system ends a connection that has gone silent (TCP keepalive and user timeout).
const KEEPALIVE_MS: u64 = 120_000;

/// Whether an edge or link carries anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    Yes,
    No,
}

/// Two machines that can reach each other.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) ends: [usize; 2],
    pub(crate) carries: Carries,
    rate: u64,
    delay: u64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) edge: usize,
    carries: Carries,
    /// Which ends believe it is there.
    believed: [bool; 2],
    /// When each direction has sent all it was given.
    free_at: [u64; 2],
}

/// Every edge and link.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) edges: Vec<Edge>,
    links: BTreeMap<LinkId, Link>,
    last: u64,
}

impl Network {
    /// Spokes to the relay, the relay to each hub, and the hubs to each other.
    pub(crate) fn new(scenario: &Scenario, places: Places, chance: &mut Chance) -> Self {
        let relay = places.relay();
        let mut ends: Vec<[usize; 2]> = places.spokes().map(|spoke| [spoke, relay]).collect();
        for hub in places.hubs() {
            ends.push([relay, hub]);
            ends.extend((places.hubs().start..hub).map(|other| [other, hub]));
        }
        let edges = ends.into_iter().map(|ends| Edge {
            ends,
            carries: Carries::Yes,
            rate: chance.within(scenario.rate_bytes_per_s),
            delay: chance.within(scenario.delay_ms),
        });
        Self { edges: edges.collect(), links: BTreeMap::new(), last: 0 }
    }
}

impl Link {
    fn side(&self, edges: &[Edge], at: usize) -> usize {
        usize::from(edges[self.edge].ends[1] == at)
    }
}

impl World<'_> {
    pub(crate) fn send(&mut self, from: usize, id: LinkId, lane: Lane, bytes: Vec<u8>) {
        let Some(bytes) = self.tampered(from, bytes) else { return };
        let Some(link) = self.network.links.get_mut(&id) else { return };
        if link.carries == Carries::No {
            self.happened.count(Count::MessagesLost);
            return;
        }
        let side = link.side(&self.network.edges, from);
        let edge = &self.network.edges[link.edge];
        let start = link.free_at[side].max(self.now);
        link.free_at[side] = start + (bytes.len() as u64 * 1000).div_ceil(edge.rate);
        let (to, at) = (edge.ends[1 - side], link.free_at[side] + edge.delay);
        self.foresee_at(at, Event::Message { to, link: id, lane, bytes });
    }

    pub(crate) fn arrive(&mut self, to: usize, id: LinkId, lane: Lane, bytes: Vec<u8>) -> Result<(), Violation> {
        let link = &self.network.links[&id];
        if link.carries == Carries::No || !link.believed[link.side(&self.network.edges, to)] {
            self.happened.count(Count::MessagesLost);
            return Ok(());
        }
        let (name, hash) = (&self.machines[to].name, blake3::hash(&bytes).to_hex());
        let (length, hash) = (bytes.len(), &hash[..16]);
        self.trace.note(self.now, format_args!("{name} hears {lane:?} {length} B {hash} on {}", id.0));
        self.input(to, Input::Message { link: id, lane, bytes })
    }

    /// An end lets a link go.
    pub(crate) fn reset(&mut self, at: usize, id: LinkId, reason: &'static str) {
        self.trace.note(self.now, format_args!("{} resets {}: {reason}", self.machines[at].name, id.0));
        self.happened.count(Count::Resets);
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let (side, edge) = (link.side(&self.network.edges, at), link.edge);
        link.believed[side] = false;
        link.carries = Carries::No;
        let Edge { ends, carries, delay, .. } = self.network.edges[edge];
        if carries == Carries::Yes {
            self.foresee(delay, Event::LinkEnded { to: ends[1 - side], link: id });
        }
        self.redial(edge);
    }

    pub(crate) fn link_ended(&mut self, to: usize, id: LinkId) -> Result<(), Violation> {
        let Some(link) = self.network.links.get_mut(&id) else { return Ok(()) };
        let (side, edge) = (link.side(&self.network.edges, to), link.edge);
        if !std::mem::replace(&mut link.believed[side], false) {
            return Ok(());
        }
        link.carries = Carries::No;
        self.trace.note(self.now, format_args!("{} loses {}", self.machines[to].name, id.0));
        self.redial(edge);
        self.input(to, Input::LinkDown(id))
    }

    fn redial(&mut self, edge: usize) {
        let after = self.chance.within(REDIAL_MS);
        self.foresee(after, Event::Dial { edge });
    }

    /// Connects two machines if either believes it has no link to the other.
    pub(crate) fn dial(&mut self, edge: usize) -> Result<(), Violation> {
        let Edge { ends, carries, .. } = self.network.edges[edge];
        let believed = |side: usize| self.network.links.values().any(|link| link.edge == edge && link.believed[side]);
        let up = ends.iter().all(|end| self.machines[*end].running.is_some());
        if carries == Carries::No || !up || (believed(0) && believed(1)) {
            return Ok(());
        }
        self.network.last += 1;
        let id = LinkId(self.network.last);
        let link = Link { edge, carries: Carries::Yes, believed: [true; 2], free_at: [0; 2] };
        self.network.links.insert(id, link);
        self.happened.count(Count::Links);
        self.trace.note(self.now, format_args!("link {} between {ends:?}", id.0));
        for side in [0, 1] {
            let peer = self.machines[ends[1 - side]].key.node_id();
            self.input(ends[side], Input::LinkUp { link: id, peer })?;
        }
        Ok(())
    }

    pub(crate) fn heal(&mut self, edge: usize) -> Result<(), Violation> {
        self.network.edges[edge].carries = Carries::Yes;
        self.redial(edge);
        Ok(())
    }

    /// The links of an edge carry nothing from now on; both ends hear of it.
    pub(crate) fn break_links(&mut self, edge: usize) {
        let delay = self.network.edges[edge].delay;
        let ends = self.network.edges[edge].ends;
        for link in self.silence(edge) {
            ends.into_iter().for_each(|to| self.foresee(delay, Event::LinkEnded { to, link }));
        }
    }

    /// The links of an edge carry nothing from now on, and nobody hears of it before the system's own timeout.
    pub(crate) fn fall_silent(&mut self, edge: usize) {
        let ends = self.network.edges[edge].ends;
        for link in self.silence(edge) {
            ends.into_iter().for_each(|to| self.foresee(KEEPALIVE_MS, Event::LinkEnded { to, link }));
        }
    }

    fn silence(&mut self, edge: usize) -> Vec<LinkId> {
        let links = self.network.links.iter_mut().filter(|(_, link)| link.edge == edge && link.carries == Carries::Yes);
        links
            .map(|(id, link)| {
                link.carries = Carries::No;
                *id
            })
            .collect()
    }

    /// What the links of an edge are given from now on waits for so long first.
    pub(crate) fn stall(&mut self, edge: usize, for_ms: u64) {
        for link in self.network.links.values_mut().filter(|link| link.edge == edge) {
            link.free_at = link.free_at.map(|free| free.max(self.now) + for_ms);
        }
    }

    /// A machine has lost power: it believes in no link any more. Each peer hears of it, or does not.
    pub(crate) fn forget_links(&mut self, at: usize) {
        for edge in 0..self.network.edges.len() {
            let Edge { ends, .. } = self.network.edges[edge];
            let Some(side) = ends.iter().position(|end| *end == at) else { continue };
            if self.chance.below(2) == 0 {
                self.break_links(edge);
            } else {
                self.fall_silent(edge);
            }
            let links = self.network.links.values_mut().filter(|link| link.edge == edge);
            links.for_each(|link| link.believed[side] = false);
        }
    }

    /// Dials every edge of a machine.
    pub(crate) fn dial_all(&mut self, at: usize) {
        for edge in 0..self.network.edges.len() {
            if self.network.edges[edge].ends.contains(&at) {
                self.redial(edge);
            }
        }
    }
}
