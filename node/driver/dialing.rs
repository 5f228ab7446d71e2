//! When to dial a neighbour that is out of reach.
//!
//! A link that was cut comes back in seconds or is down for the night. So: at once, then every 5 s for 3 minutes
//! beside dials still under way, then about once a minute. A neighbour counts as reached only when a message of its
//! has come; a connection alone proves nothing (a peer that turns us away would be dialled without pause).
//! A neighbour that refused our roster is left alone for longer each time: the same statements would cost a metered
//! link the same bytes. Measured, heal to first new byte: worst of 20 runs 5.1 s (`docs/replication.md`).

use super::neighbours::Neighbour;
use crate::swarm::JoinEnd;
use radmesh_protocol::{
    id::NodeId,
    time::{Millis, Mono},
};
use rand_core::Rng;
use std::collections::BTreeMap;

/// Between two dials while the link may have just been cut.
const EAGER: Millis = Millis::from_secs(5);
/// How long a neighbour is dialled eagerly.
const EAGER_FOR: Millis = Millis::from_secs(180);
/// Between two dials after that, on average.
const PATIENT: Millis = Millis::from_secs(60);
/// Spread around [`PATIENT`], so that 200 spokes don't dial a restarted hub in one second.
const PATIENT_SPREAD: Millis = Millis::from_secs(30);
/// Between two dials after a first refused roster; it doubles with each further one.
const REFUSED: Millis = PATIENT;
/// Between two dials however often the roster was refused.
const REFUSED_MAX: Millis = Millis::from_secs(3600);
/// Never dialled twice within this time, however often a link comes and goes.
const APART: Millis = Millis::from_secs(1);

/// All neighbours and how each is reached.
#[derive(Debug, Default)]
pub(super) struct Dialing {
    targets: BTreeMap<NodeId, Target>,
}

#[derive(Debug)]
struct Target {
    neighbour: Neighbour,
    state: State,
    last_dial: Option<Mono>,
    /// Whether a join has brought a dial forward since the neighbour was last reached.
    hurried: bool,
    /// How often in a row it has refused our roster.
    refusals: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Reached,
    Unreached { since: Mono, next: Mono },
}

impl Dialing {
    /// Takes the neighbours of a new roster. New ones, those whose addresses changed, and those that refused the
    /// roster before this one are dialled at once.
    pub(super) fn set(&mut self, neighbours: BTreeMap<NodeId, Neighbour>, now: Mono) {
        let mut before = std::mem::take(&mut self.targets);
        let target = |(node, neighbour): (NodeId, Neighbour)| {
            let known = before.remove(&node).filter(|target| target.neighbour == neighbour && target.refusals == 0);
            let state = State::Unreached { since: now, next: now };
            let new = Target { neighbour, state, last_dial: None, hurried: false, refusals: 0 };
            (node, known.unwrap_or(new))
        };
        self.targets = neighbours.into_iter().map(target).collect();
    }

    /// A message of this node has come over a link.
    pub(super) fn reached(&mut self, node: &NodeId) {
        if let Some(target) = self.targets.get_mut(node) {
            target.state = State::Reached;
            (target.hurried, target.refusals) = (false, 0);
        }
    }

    /// The last link over which it was reached has ended.
    pub(super) fn lost(&mut self, node: &NodeId, now: Mono) {
        if let Some(target) = self.targets.get_mut(node) {
            target.state = State::Unreached { since: now, next: target.not_before(now) };
        }
    }

    /// It did not know us, and is done with the roster it was brought. A peer that takes every roster and never knows
    /// us would be dialled without pause, so only the first join brings a dial forward.
    pub(super) fn joined(&mut self, node: &NodeId, end: JoinEnd, now: Mono, chance: &mut impl Rng) {
        let Some(target) = self.targets.get_mut(node) else { return };
        let State::Unreached { since, next } = target.state else { return };
        let next = match end {
            JoinEnd::Taken if !target.hurried => {
                target.hurried = true;
                target.not_before(now)
            }
            JoinEnd::Taken | JoinEnd::Broken => next,
            JoinEnd::Refused => {
                target.refusals += 1;
                now.after(target.pause(since, now, chance))
            }
        };
        target.state = State::Unreached { since, next };
    }

    /// Whom to dial now; each has its next dial set, patient ones by `chance`.
    pub(super) fn due(&mut self, now: Mono, chance: &mut impl Rng) -> Vec<(NodeId, Vec<String>)> {
        let out_of_reach: Vec<NodeId> = self.targets.iter().filter(|(_, t)| t.given_up(now)).map(|(n, _)| *n).collect();
        let mut due = Vec::new();
        for (node, target) in &mut self.targets {
            let State::Unreached { since, next } = target.state else { continue };
            if next > now {
                continue;
            }
            let needed = target.neighbour.stands_in_for.is_none_or(|first| out_of_reach.contains(&first));
            let pause = if needed { target.pause(since, now, chance) } else { patient(chance) };
            target.state = State::Unreached { since, next: now.after(pause) };
            if needed {
                target.last_dial = Some(now);
                due.push((*node, target.neighbour.addresses.clone()));
            }
        }
        due
    }

    /// When [`Dialing::due`] has something to say next.
    pub(super) fn next(&self) -> Option<Mono> {
        let next = |target: &Target| match target.state {
            State::Reached => None,
            State::Unreached { next, .. } => Some(next),
        };
        self.targets.values().filter_map(next).min()
    }
}

impl Target {
    fn pause(&self, since: Mono, now: Mono, chance: &mut impl Rng) -> Millis {
        match self.refusals {
            0 if now.since(since) < EAGER_FOR => EAGER,
            0 => patient(chance),
            times => {
                let doubled = REFUSED.0.saturating_mul(1 << (times - 1).min(16));
                Millis(doubled.min(REFUSED_MAX.0) + chance.next_u64() % PATIENT_SPREAD.0)
            }
        }
    }

    fn not_before(&self, now: Mono) -> Mono {
        self.last_dial.map_or(now, |last| now.max(last.after(APART)))
    }

    /// Out of reach for longer than a short cut: who stands in for it is needed.
    fn given_up(&self, now: Mono) -> bool {
        matches!(self.state, State::Unreached { since, .. } if now.since(since) >= EAGER_FOR)
    }
}

fn patient(chance: &mut impl Rng) -> Millis {
    Millis(PATIENT.0 - PATIENT_SPREAD.0 / 2 + chance.next_u64() % PATIENT_SPREAD.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance;

    const HOME: NodeId = NodeId([1; 32]);
    const STANDBY: NodeId = NodeId([2; 32]);

    fn neighbours() -> BTreeMap<NodeId, Neighbour> {
        let to = |stands_in_for| Neighbour { addresses: vec!["/ip4/192.0.2.1/tcp/4001".into()], stands_in_for };
        BTreeMap::from([(HOME, to(None)), (STANDBY, to(Some(HOME)))])
    }

    fn dialing() -> Dialing {
        let mut dialing = Dialing::default();
        dialing.set(neighbours(), Mono(0));
        dialing
    }

    /// Seconds at which `node` is dialled up to `until`.
    fn dials(dialing: &mut Dialing, node: NodeId, from: u64, until: u64) -> Vec<u64> {
        let due = |at: &u64| dialing.due(Mono(at * 1000), &mut chance::os()).iter().any(|(who, _)| *who == node);
        (from..until).filter(due).collect()
    }

    #[test]
    fn a_neighbour_out_of_reach_is_dialled_every_5_s_for_3_minutes_and_then_once_a_minute() {
        let at = dials(&mut dialing(), HOME, 0, 600);
        let eager: Vec<u64> = (0..=180).step_by(5).collect();
        assert_eq!(at[..eager.len()], eager);
        assert!(at[eager.len() - 1..].windows(2).all(|pair| (45..=76).contains(&(pair[1] - pair[0]))), "{at:?}");
    }

    #[test]
    fn a_link_that_was_cut_is_dialled_again_at_once() {
        let mut dialing = dialing();
        dialing.due(Mono(0), &mut chance::os());
        dialing.reached(&HOME);
        assert_eq!(dials(&mut dialing, HOME, 0, 100), Vec::<u64>::new());
        dialing.lost(&HOME, Mono(100_000));
        assert_eq!(dials(&mut dialing, HOME, 100, 103), [100]);
    }

    #[test]
    fn a_link_that_comes_and_goes_is_dialled_at_most_once_a_second() {
        let mut dialing = dialing();
        let mut dialled = 0;
        for at in 0..10_000 {
            dialled += dialing.due(Mono(at), &mut chance::os()).iter().filter(|(who, _)| *who == HOME).count();
            dialing.reached(&HOME);
            dialing.lost(&HOME, Mono(at));
        }
        assert_eq!(dialled, 10);
    }

    #[test]
    fn the_standby_hub_is_dialled_only_once_the_home_hub_is_out_of_reach_for_3_minutes() {
        let mut lost = dialing();
        let first = dials(&mut lost, STANDBY, 0, 600)[0];
        assert!((180..=256).contains(&first), "{first}");

        let mut reached = dialing();
        reached.reached(&HOME);
        assert_eq!(dials(&mut reached, STANDBY, 0, 600), Vec::<u64>::new());
    }

    #[test]
    fn a_roster_that_moves_a_hub_has_it_dialled_at_once() {
        let mut dialing = dialing();
        dialing.reached(&HOME);
        let mut moved = neighbours();
        moved.insert(HOME, Neighbour { addresses: vec!["/ip4/192.0.2.9/tcp/4001".into()], stands_in_for: None });
        dialing.set(moved, Mono(50_000));
        assert_eq!(dials(&mut dialing, HOME, 50, 53), [50]);
    }

    #[test]
    fn a_neighbour_that_refuses_our_roster_is_left_alone_for_longer_each_time_until_the_roster_changes() {
        let mut dialing = dialing();
        let mut at = Vec::new();
        for second in 0..6 * 3600 {
            let now = Mono(second * 1000);
            if dialing.due(now, &mut chance::os()).iter().any(|(who, _)| *who == HOME) {
                at.push(second);
                dialing.joined(&HOME, JoinEnd::Refused, now, &mut chance::os());
            }
        }
        let pauses: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((60..=91).contains(&pauses[0]) && pauses.windows(2).take(6).all(|two| two[0] < two[1]), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= 3631) && at.len() < 14, "{pauses:?}");

        let now = 6 * 3600;
        dialing.set(neighbours(), Mono(now * 1000));
        assert_eq!(dials(&mut dialing, HOME, now, now + 7), [now, now + 5]);
    }

    #[test]
    fn a_roster_that_was_taken_brings_one_dial_forward_and_not_one_after_another() {
        let mut dialing = dialing();
        let mut at = Vec::new();
        for now in 0..10_000 {
            if dialing.due(Mono(now), &mut chance::os()).iter().any(|(who, _)| *who == HOME) {
                at.push(now);
                dialing.joined(&HOME, JoinEnd::Taken, Mono(now), &mut chance::os());
            }
        }
        assert_eq!(at, [0, 1000, 6000]);
    }

    #[test]
    fn a_join_that_a_cut_ended_keeps_to_the_schedule() {
        let mut dialing = dialing();
        dialing.due(Mono(0), &mut chance::os());
        dialing.joined(&HOME, JoinEnd::Broken, Mono(2000), &mut chance::os());
        assert_eq!(dials(&mut dialing, HOME, 2, 9), [5]);
    }
}
