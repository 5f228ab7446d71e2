//! One chain: what one author wrote in one scope in one life, hash-linked from seq 1.
//!
//! A gap shows, a swapped event shows, and an author that says two things at one seq (a cloned disk, a stolen key)
//! shows: both are kept, for every reader to see. What comes ahead of a gap waits here, bounded, and counts as not
//! held until the gap is filled. Source: `protocol/SPEC.md`, Events.

use super::{Event, Scope, event::NO_PREV};
use crate::{
    id::{EventHash, Incarnation, NodeId},
    limits::{EVENTS_AHEAD_MAX, FORKED_EVENTS_MAX},
    time::Hlc,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainKey {
    /// Who needs it.
    pub scope: Scope,
    /// Who wrote it.
    pub author: NodeId,
    /// In which life.
    pub incarnation: Incarnation,
}

/// Names a chain on the wire: the first 8 bytes of BLAKE3(author || incarnation || scope).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainTag(pub [u8; 8]);

impl ChainKey {
    /// The chain an event belongs to.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self { scope: event.scope(), author: event.author(), incarnation: event.incarnation() }
    }

    /// The chain's name on the wire.
    #[must_use]
    pub fn tag(&self) -> ChainTag {
        let mut hash = blake3::Hasher::new();
        hash.update(self.author.as_bytes()).update(self.incarnation.as_bytes()).update(&self.scope.to_bytes());
        let mut tag = [0; 8];
        tag.copy_from_slice(&hash.finalize().as_bytes()[..8]);
        ChainTag(tag)
    }
}

/// The events of one chain.
#[derive(Debug, Default)]
pub struct Chain {
    /// `main[i]` has seq i + 1: the branch that was here first.
    main: Vec<Event>,
    /// Branches of a fork.
    side: BTreeMap<(u64, EventHash), Event>,
    /// Not linked yet; in memory only.
    ahead: BTreeMap<(u64, EventHash), Event>,
}

/// Where an event went.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed {
    /// At the end of the main branch, and after it those that had waited for it.
    Linked(Vec<Event>),
    /// Beside another event of the same seq, and after it those that had waited for it.
    Forked(Vec<Event>),
    /// Behind a gap: waiting.
    Ahead,
    /// It was here.
    Known,
    /// More events wait, or fork, than the limit allows.
    Full {
        /// The limit.
        limit: usize,
    },
}

impl Chain {
    /// Takes in one event of this chain whose signature was verified.
    pub fn insert(&mut self, event: Event) -> Placed {
        let place = (event.seq(), event.hash());
        if self.holds(place.0, &place.1) || self.ahead.contains_key(&place) {
            return Placed::Known;
        }
        if !self.links(&event) {
            return self.wait(event);
        }
        let Some(forked) = self.attach(&event) else { return Placed::Full { limit: FORKED_EVENTS_MAX } };
        let (mut events, mut forked) = (vec![event], forked);
        while let Some(next) = self.next_waiting(&events) {
            match self.attach(&next) {
                Some(beside) => forked |= beside,
                None => break,
            }
            events.push(next);
        }
        if forked { Placed::Forked(events) } else { Placed::Linked(events) }
    }

    /// Highest seq held, over all branches; 0 for none.
    #[must_use]
    pub fn last(&self) -> u64 {
        let side = self.side.last_key_value().map_or(0, |((seq, _), _)| *seq);
        side.max(self.main.len() as u64)
    }

    /// Events of the main branch.
    #[must_use]
    pub const fn main_len(&self) -> u64 {
        self.main.len() as u64
    }

    /// Hash of the last event of the main branch; [`NO_PREV`] for none.
    #[must_use]
    pub fn head(&self) -> EventHash {
        self.main.last().map_or(NO_PREV, Event::hash)
    }

    /// Whether the author said two things at one seq.
    #[must_use]
    pub fn forked(&self) -> bool {
        !self.side.is_empty()
    }

    /// Names everything held up to `seq`: events are hash-linked, so the hash of the one tip, or BLAKE3 over the
    /// sorted tips of a fork, covers all before.
    #[must_use]
    pub fn digest(&self, seq: u64) -> EventHash {
        let end = usize::try_from(seq).unwrap_or(usize::MAX).min(self.main.len());
        let main = self.main[..end].last();
        let mut side: Vec<&Event> = self.side.range(..(seq.saturating_add(1), NO_PREV)).map(|(_, e)| e).collect();
        let Some(main) = main else { return NO_PREV };
        if side.is_empty() {
            return main.hash();
        }
        let parents: Vec<EventHash> = side.iter().map(|e| e.prev()).collect();
        side.push(main);
        let mut tips: Vec<_> = side.iter().map(|e| e.hash()).filter(|hash| !parents.contains(hash)).collect();
        tips.sort_unstable();
        let mut hash = blake3::Hasher::new();
        tips.iter().for_each(|tip| {
            hash.update(tip.as_bytes());
        });
        EventHash(*hash.finalize().as_bytes())
    }

    /// Events of the main branch from `seq` on, ascending.
    pub fn main_from(&self, seq: u64) -> impl Iterator<Item = &Event> {
        let start = usize::try_from(seq.saturating_sub(1)).unwrap_or(usize::MAX).min(self.main.len());
        self.main[start..].iter()
    }

    /// Whether the event stands on the main branch.
    pub(super) fn on_main(&self, event: &Event) -> bool {
        let at = usize::try_from(event.seq() - 1).unwrap_or(usize::MAX);
        self.main.get(at).is_some_and(|main| main.hash() == event.hash())
    }

    /// Events beside the main branch, ascending.
    pub fn beside(&self) -> impl Iterator<Item = &Event> {
        self.side.values()
    }

    /// Every event held, in an order in which each follows its parent.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.main.iter().chain(self.side.values())
    }

    /// The event of this place.
    #[must_use]
    pub fn get(&self, seq: u64, hash: &EventHash) -> Option<&Event> {
        let main = usize::try_from(seq).ok().and_then(|seq| self.main.get(seq.checked_sub(1)?));
        main.filter(|event| event.hash() == *hash).or_else(|| self.side.get(&(seq, *hash)))
    }

    /// Latest hybrid clock of the chain.
    pub(super) fn latest_hlc(&self) -> Hlc {
        self.events().map(Event::hlc).max().unwrap_or_default()
    }

    /// Events that wait behind a gap.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ahead.len()
    }

    /// Their bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.ahead.values().map(|event| event.bytes().len()).sum()
    }

    /// Takes the main branch's events from `seq` on out again: nobody else had them.
    pub(super) fn withdraw_from(&mut self, seq: u64) -> Vec<Event> {
        let start = usize::try_from(seq.saturating_sub(1)).unwrap_or(usize::MAX).min(self.main.len());
        self.main.split_off(start)
    }

    /// Takes out the branch all of whose events, from the first place where two differ, are told of elsewhere; the
    /// other branch stays, as the main one. What an old copy wrote is in the journal before what it had lost, so the
    /// main branch is asked first.
    pub(super) fn drop_branch(
        &mut self,
        main_told: impl Fn(&Event) -> bool,
        side_told: impl Fn(&Event) -> bool,
    ) -> Vec<Event> {
        let Some(first) = self.side.keys().next().map(|(seq, _)| *seq) else { return Vec::new() };
        let start = usize::try_from(first - 1).expect("a side event stands beside or after a main one");
        if self.main.len() > start && self.main[start..].iter().all(main_told) {
            let gone = self.main.split_off(start);
            let side = std::mem::take(&mut self.side);
            for event in side.into_values() {
                self.insert(event);
            }
            return gone;
        }
        if self.side.values().all(side_told) {
            return std::mem::take(&mut self.side).into_values().collect();
        }
        Vec::new()
    }

    fn holds(&self, seq: u64, hash: &EventHash) -> bool {
        self.get(seq, hash).is_some()
    }

    /// Whether the event before it is here.
    pub(super) fn links(&self, event: &Event) -> bool {
        event.seq() == 1 || self.holds(event.seq() - 1, &event.prev())
    }

    /// Attaches an event whose parent is here; whether it went beside the main branch, `None` if there is no room.
    fn attach(&mut self, event: &Event) -> Option<bool> {
        if event.seq() == self.main.len() as u64 + 1 && event.prev() == self.head() {
            self.main.push(event.clone());
            return Some(false);
        }
        if self.side.len() >= FORKED_EVENTS_MAX {
            return None;
        }
        self.side.insert((event.seq(), event.hash()), event.clone());
        Some(true)
    }

    /// One waiting event whose parent is among those just attached.
    fn next_waiting(&mut self, attached: &[Event]) -> Option<Event> {
        let place = attached.iter().rev().find_map(|parent| {
            let children = (parent.seq() + 1, NO_PREV)..(parent.seq() + 2, NO_PREV);
            self.ahead.range(children).find(|(_, child)| child.prev() == parent.hash()).map(|(place, _)| *place)
        })?;
        self.ahead.remove(&place)
    }

    fn wait(&mut self, event: Event) -> Placed {
        let place = (event.seq(), event.hash());
        if self.ahead.len() >= EVENTS_AHEAD_MAX {
            // The nearest to the gap are of use first; the farthest comes again by sync.
            match self.ahead.last_key_value().map(|(last, _)| *last) {
                Some(last) if last > place => self.ahead.remove(&last),
                _ => return Placed::Full { limit: EVENTS_AHEAD_MAX },
            };
        }
        self.ahead.insert(place, event);
        Placed::Ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{envelope::sign::SigningKey, id::FederationId, log::event::Header, time::Hlc};
    use proptest::prelude::*;

    /// An event of kind 999 that says `word`, after `prev`.
    fn event(seq: u64, prev: EventHash, word: u8) -> Event {
        let key = SigningKey::from_seed([1; 32]);
        let header = Header {
            author: key.node_id(),
            incarnation: Incarnation([1; 8]),
            scope: Scope::Federation,
            seq,
            prev,
            hlc: Hlc(seq),
        };
        Event::sign_raw(&key, &FederationId([0; 32]), &header, (999, 1), &[word])
    }

    fn line(from: Option<&Event>, count: u64, word: u8) -> Vec<Event> {
        let (mut seq, mut prev) = from.map_or((0, NO_PREV), |e| (e.seq(), e.hash()));
        let mut next = |_| {
            seq += 1;
            let event = event(seq, prev, word);
            prev = event.hash();
            event
        };
        (0..count).map(&mut next).collect()
    }

    #[test]
    fn what_comes_ahead_of_a_gap_counts_only_when_the_gap_is_filled() {
        let events = line(None, 3, 0);
        let mut chain = Chain::default();
        assert_eq!(chain.insert(events[2].clone()), Placed::Ahead);
        assert_eq!(chain.insert(events[0].clone()), Placed::Linked(vec![events[0].clone()]));
        assert_eq!((chain.last(), chain.waiting()), (1, 1));
        assert_eq!(chain.insert(events[1].clone()), Placed::Linked(events[1..].to_vec()));
        assert_eq!((chain.last(), chain.waiting()), (3, 0));
    }

    #[test]
    fn an_event_that_names_another_parent_does_not_link() {
        let events = line(None, 2, 0);
        let mut chain = Chain::default();
        chain.insert(events[0].clone());
        assert_eq!(chain.insert(event(2, EventHash([5; 32]), 0)), Placed::Ahead);
        assert_eq!(chain.last(), 1);
    }

    #[test]
    fn two_events_at_one_place_are_both_kept_and_show() {
        let events = line(None, 3, 0);
        let other = line(Some(&events[0]), 2, 1);
        let mut chain = Chain::default();
        events.iter().for_each(|e| drop(chain.insert(e.clone())));
        assert!(!chain.forked());
        assert_eq!(chain.insert(other[0].clone()), Placed::Forked(vec![other[0].clone()]));
        assert!(chain.forked());
        assert_eq!(chain.insert(other[0].clone()), Placed::Known);
        assert_eq!(chain.events().count(), 4);
    }

    #[test]
    fn the_nearest_to_a_gap_stay_when_too_many_wait() {
        let events = line(None, EVENTS_AHEAD_MAX as u64 + 3, 0);
        let mut chain = Chain::default();
        for event in &events[2..] {
            chain.insert(event.clone());
        }
        assert_eq!(chain.waiting(), EVENTS_AHEAD_MAX);
        assert_eq!(chain.insert(events[EVENTS_AHEAD_MAX + 2].clone()), Placed::Full { limit: EVENTS_AHEAD_MAX });
        assert_eq!(chain.insert(events[1].clone()), Placed::Ahead);
        chain.insert(events[0].clone());
        assert_eq!(chain.last(), EVENTS_AHEAD_MAX as u64 + 1);
    }

    proptest! {
        #[test]
        fn equal_events_give_equal_digests_in_whatever_order_they_came(
            order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(), fork in 0..4usize, twice in any::<u8>(),
        ) {
            let main = line(None, 5, 0);
            let side = line(Some(&main[fork]), 4, 1);
            let all: Vec<Event> = main.iter().chain(&side).cloned().collect();
            let (mut sorted, mut shuffled) = (Chain::default(), Chain::default());
            all.iter().for_each(|e| drop(sorted.insert(e.clone())));
            for at in &order {
                shuffled.insert(all[*at].clone());
                if twice & 1 << (at % 8) != 0 { shuffled.insert(all[*at].clone()); }
            }
            prop_assert_eq!(shuffled.events().count(), 9);
            prop_assert_eq!(shuffled.last(), sorted.last());
            for seq in 0..10 {
                prop_assert_eq!(shuffled.digest(seq.min(sorted.last())), sorted.digest(seq.min(sorted.last())));
            }
        }
    }
}
