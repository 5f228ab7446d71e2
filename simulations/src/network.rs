//! Links: reliable ordered streams, as one TCP connection is, that are cut, stall, or go silent.
//!
//! Nothing that arrives is altered or out of order; what a dying link carried is lost. A silent link tells nobody:
//! that the nodes find out by themselves is what is tested.

use crate::{
    chance::Chance,
    checks::Violation,
    federation::Places,
    happened::Count,
    line::Line,
    scenario::{Links, Scenario, Span, in_turn},
    world::{Event, World},
};
use radmesh_protocol::node::{Input, Lane, LinkId};
use std::{collections::BTreeMap, mem};

/// Milliseconds until a lost link is dialled again.
const REDIAL_MS: Span = Span { from: 200, to: 2_000 };
/// And until one whose peer has refused it for good is.
const REFUSED_MS: Span = Span { from: 30_000, to: 3_600_000 };
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
    /// Who has the line, and what it leads to.
    pub(crate) ends: [usize; 2],
    pub(crate) carries: Carries,
    pub(crate) line: Line,
    /// Connections of it that somebody believes in.
    links: Vec<LinkId>,
    /// When it is dialled next.
    dial_at: Option<u64>,
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
    /// When what was sent last arrives, in each direction.
    arrives_at: [u64; 2],
}

/// Every edge and link.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) edges: Vec<Edge>,
    /// Edges of each machine.
    pub(crate) of: Vec<Vec<usize>>,
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
        let line = |[from, _]: &[usize; 2]| match &scenario.links {
            Links::Drawn { rate_bytes_per_s, delay_ms } => {
                Line::plain(chance.within(*rate_bytes_per_s), chance.within(*delay_ms))
            }
            Links::Profiles { spokes, .. } if *from < relay => Line::of(in_turn(spokes, *from)),
            Links::Profiles { hubs, .. } => Line::of(hubs),
        };
        let lines: Vec<Line> = ends.iter().map(line).collect();
        let mut of = vec![Vec::new(); places.hubs().end];
        for (edge, ends) in ends.iter().enumerate() {
            ends.iter().for_each(|end| of[*end].push(edge));
        }
        let edge = |(ends, line)| Edge { ends, carries: Carries::Yes, line, links: Vec::new(), dial_at: None };
        Self { edges: ends.into_iter().zip(lines).map(edge).collect(), of, links: BTreeMap::new(), last: 0 }
    }

    /// The links of an edge.
    fn on(&mut self, edge: usize, mut each: impl FnMut(LinkId, &mut Link)) {
        for id in &self.edges[edge].links {
            each(*id, self.links.get_mut(id).expect("an edge names links that are"));
        }
    }

    /// Who is at the other end of a link in which a machine believes.
    pub(crate) fn peer_on(&self, at: usize, link: LinkId) -> Option<usize> {
        let link = self.links.get(&link)?;
        let side = link.side(&self.edges, at);
        link.believed[side].then(|| self.edges[link.edge].ends[1 - side])
    }

    /// The links of a machine that carry something.
    pub(crate) fn links_of(&self, at: usize) -> Vec<LinkId> {
        let links = self.of[at].iter().flat_map(|edge| &self.edges[*edge].links);
        links.filter(|link| self.links[link].carries == Carries::Yes).copied().collect()
    }

    /// Forgets the links of an edge in which nobody believes any more.
    fn forget_unbelieved(&mut self, edge: usize) {
        let links = &mut self.links;
        self.edges[edge].links.retain(|id| {
            let is_believed = links[id].believed != [false; 2];
            if !is_believed {
                links.remove(id);
            }
            is_believed
        });
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
        let edge = &mut self.network.edges[link.edge];
        self.happened.bytes += bytes.len() as u64;
        let Some(takes) = edge.line.takes(side, bytes.len() as u64, self.now, &mut self.chance) else {
            self.happened.count(Count::OverCap);
            return;
        };
        let start = link.free_at[side].max(self.now);
        link.free_at[side] = start + takes.sending_ms;
        link.arrives_at[side] = link.arrives_at[side].max(link.free_at[side] + takes.travelling_ms);
        let (to, at) = (edge.ends[1 - side], link.arrives_at[side]);
        self.foresee_at(at, Event::Message { to, link: id, lane, bytes });
    }

    pub(crate) fn arrive(&mut self, to: usize, id: LinkId, lane: Lane, bytes: Vec<u8>) -> Result<(), Violation> {
        let carries = |link: &&Link| link.carries == Carries::Yes && link.believed[link.side(&self.network.edges, to)];
        if self.network.links.get(&id).filter(carries).is_none() {
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
        if self.knows_revoked(at, self.network.edges[edge].ends[1 - side]) {
            self.happened.count(Count::RefusedLinks);
        }
        let Edge { ends, carries, line, .. } = &self.network.edges[edge];
        if *carries == Carries::Yes {
            let (to, after) = (ends[1 - side], line.delay_ms(self.now));
            self.foresee(after, Event::LinkEnded { to, link: id });
        }
        self.network.forget_unbelieved(edge);
        self.redial(edge);
    }

    pub(crate) fn link_ended(&mut self, to: usize, id: LinkId) -> Result<(), Violation> {
        let Some(link) = self.network.links.get_mut(&id) else { return Ok(()) };
        let (side, edge) = (link.side(&self.network.edges, to), link.edge);
        if !mem::replace(&mut link.believed[side], false) {
            return Ok(());
        }
        link.carries = Carries::No;
        self.network.forget_unbelieved(edge);
        self.trace.note(self.now, format_args!("{} loses {}", self.machines[to].name, id.0));
        self.redial(edge);
        self.input(to, Input::LinkDown(id))
    }

    fn redial(&mut self, edge: usize) {
        let [one, other] = self.network.edges[edge].ends;
        let is_refused = self.knows_revoked(one, other) || self.knows_revoked(other, one);
        let after = self.chance.within(if is_refused { REFUSED_MS } else { REDIAL_MS });
        self.dial_in(edge, after);
    }

    /// Dials an edge so many milliseconds from now, if it is not dialled before that.
    pub(crate) fn dial_in(&mut self, edge: usize, after: u64) {
        let at = self.now + after;
        let foreseen = &mut self.network.edges[edge].dial_at;
        if foreseen.is_none_or(|foreseen| at < foreseen) {
            *foreseen = Some(at);
            self.foresee(after, Event::Dial { edge });
        }
    }

    /// Connects two machines if either believes it has no link to the other.
    pub(crate) fn dial(&mut self, edge: usize) -> Result<(), Violation> {
        // An earlier one has taken its place.
        if self.network.edges[edge].dial_at != Some(self.now) {
            return Ok(());
        }
        self.network.edges[edge].dial_at = None;
        let mut believed = [false; 2];
        self.network.on(edge, |_, link| {
            (0..2).for_each(|side| believed[side] |= link.believed[side]);
        });
        let Edge { ends, carries, .. } = self.network.edges[edge];
        let up = ends.iter().all(|end| self.machines[*end].running.is_some());
        if carries == Carries::No || !up || believed == [true; 2] {
            return Ok(());
        }
        self.network.last += 1;
        let id = LinkId(self.network.last);
        let link = Link { edge, carries: Carries::Yes, believed: [true; 2], free_at: [0; 2], arrives_at: [0; 2] };
        self.network.links.insert(id, link);
        self.network.edges[edge].links.push(id);
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
        let after = self.network.edges[edge].line.delay_ms(self.now);
        self.end_links(edge, after);
    }

    /// The links of an edge carry nothing from now on, and nobody hears of it before the system's own timeout.
    pub(crate) fn fall_silent(&mut self, edge: usize) {
        self.end_links(edge, KEEPALIVE_MS);
    }

    fn end_links(&mut self, edge: usize, after: u64) {
        let ends = self.network.edges[edge].ends;
        let mut ended = Vec::new();
        self.network.on(edge, |id, link| {
            if mem::replace(&mut link.carries, Carries::No) == Carries::Yes {
                ended.push(id);
            }
        });
        for link in ended {
            ends.into_iter().for_each(|to| self.foresee(after, Event::LinkEnded { to, link }));
        }
    }

    /// What the links of an edge are given from now on waits for so long first.
    pub(crate) fn stall(&mut self, edge: usize, for_ms: u64) {
        let now = self.now;
        self.network.on(edge, |_, link| link.free_at = link.free_at.map(|free| free.max(now) + for_ms));
    }

    /// A machine has lost power: it believes in no link any more. Each peer hears of it, or does not.
    pub(crate) fn forget_links(&mut self, at: usize) {
        for edge in self.network.of[at].clone() {
            let side = usize::from(self.network.edges[edge].ends[1] == at);
            if self.chance.below(2) == 0 {
                self.break_links(edge);
            } else {
                self.fall_silent(edge);
            }
            self.network.on(edge, |_, link| link.believed[side] = false);
            self.network.forget_unbelieved(edge);
        }
    }

    /// Dials every edge of a machine.
    pub(crate) fn dial_all(&mut self, at: usize) {
        self.network.of[at].clone().into_iter().for_each(|edge| self.redial(edge));
    }
}
