//! Fetches: every parcel that is to come, and which of them something is to be done about.
//!
//! A relay fetches for hundreds of clinics at once, and one fragment is about one of them. A fetch that is given out to be
//! changed is noted, and looked at again before anything is asked of all of them; what it is found by is kept beside it.

use super::message::Slot;
use crate::{
    class::Class,
    id::ManifestId,
    limits::DAMAGED_CHUNKS_MAX,
    node::LinkId,
    ranges::Ranges,
    time::{Millis, Mono},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

/// A peer that brought damage is tried again after this: its disk may have been mended.
const BLAME_AGE: Millis = Millis::from_secs(600);

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    all: BTreeMap<ManifestId, Fetch>,
    /// Given out to be changed since they were last looked at: what they are found by may be out of date.
    touched: BTreeSet<ManifestId>,
    seen: BTreeMap<ManifestId, Seen>,
    /// Links that have offered what comes from nowhere yet.
    waiting: BTreeSet<(LinkId, ManifestId)>,
    blamed: BTreeSet<ManifestId>,
    drying: BTreeSet<ManifestId>,
    /// What waits for an fsync that has not begun, since when.
    to_sync: BTreeSet<(Mono, ManifestId)>,
    /// Links whose peers may owe us more, or less, than when this was last asked.
    stirred: BTreeSet<LinkId>,
}

/// One parcel that is to come.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) class: Class,
    pub(super) order: u64,
    pub(super) offered: BTreeSet<LinkId>,
    pub(super) damaged: BTreeMap<LinkId, Blame>,
    /// Links that brought all there is of a chunk not yet proved; none where several did.
    pub(super) sole: BTreeMap<u32, LinkId>,
    /// Links left because they had nothing more.
    pub(super) dried: BTreeSet<LinkId>,
    pub(super) from: Option<(LinkId, Slot)>,
    /// Bytes asked of `from` that have not come.
    pub(super) asked: u64,
    /// Bytes that came of pages not yet known.
    pub(super) blind: u64,
    /// Bytes that came in this slot, and after how many of them the sender had nothing more.
    pub(super) came: u64,
    pub(super) dry_after: Option<u64>,
    pub(super) pending: Ranges,
    pub(super) pending_since: Mono,
    /// Whether bytes wait for an fsync, or one is running.
    pub(super) is_unsynced: bool,
    pub(super) syncing: Option<Ranges>,
    pub(super) proving: BTreeSet<u32>,
}

/// Damage that a link brought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blame {
    chunks: u32,
    last: Mono,
}

/// What a fetch was found by when it was last looked at.
#[derive(Debug, Default)]
struct Seen {
    from: Option<LinkId>,
    waits_for: BTreeSet<LinkId>,
    to_sync: Option<Mono>,
}

impl Fetches {
    /// A parcel is to come.
    pub(super) fn want(&mut self, manifest: ManifestId, class: Class, order: u64) {
        self.touched.insert(manifest);
        self.all.entry(manifest).or_insert_with(|| Fetch::new(class, order)).class = class;
    }

    pub(super) fn remove(&mut self, manifest: &ManifestId) -> Option<Fetch> {
        let gone = self.all.remove(manifest)?;
        self.touched.insert(*manifest);
        Some(gone)
    }

    pub(super) fn get(&self, manifest: &ManifestId) -> Option<&Fetch> {
        self.all.get(manifest)
    }

    pub(super) fn get_mut(&mut self, manifest: &ManifestId) -> Option<&mut Fetch> {
        let fetch = self.all.get_mut(manifest)?;
        self.touched.insert(*manifest);
        Some(fetch)
    }

    /// All, by manifest.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ManifestId, &Fetch)> {
        self.all.iter()
    }

    /// A link is gone.
    pub(super) fn link_down(&mut self, link: LinkId) {
        for (id, fetch) in &mut self.all {
            if fetch.forget(link) {
                self.touched.insert(*id);
            }
        }
    }

    /// Looks at every fetch that was touched.
    pub(super) fn look(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            let before = self.seen.remove(&id).unwrap_or_default();
            self.stirred.extend(before.from);
            let fetch = self.all.get(&id);
            let from = fetch.and_then(|fetch| fetch.from).map(|(link, _)| link);
            self.stirred.extend(from);
            let offered = fetch.filter(|_| from.is_none()).map(|fetch| &fetch.offered);
            let waits_for = if offered.is_some_and(|offered| *offered == before.waits_for) {
                before.waits_for
            } else {
                for link in before.waits_for {
                    self.waiting.remove(&(link, id));
                }
                let waits_for = offered.cloned().unwrap_or_default();
                self.waiting.extend(waits_for.iter().map(|link| (*link, id)));
                waits_for
            };
            keep_if(&mut self.blamed, id, fetch.is_some_and(|fetch| !fetch.damaged.is_empty()));
            keep_if(&mut self.drying, id, fetch.is_some_and(|fetch| fetch.dry_after.is_some()));
            let to_sync = fetch.and_then(Fetch::to_sync);
            if to_sync != before.to_sync {
                before.to_sync.map(|since| self.to_sync.remove(&(since, id)));
                self.to_sync.extend(to_sync.map(|since| (since, id)));
            }
            if fetch.is_some() {
                self.seen.insert(id, Seen { from, waits_for, to_sync });
            }
        }
    }

    /// Links whose peers may owe us more, or less, than when this was last asked.
    pub(super) fn stirred(&mut self) -> BTreeSet<LinkId> {
        self.look();
        std::mem::take(&mut self.stirred)
    }

    /// The link after `last` that has offered what comes from nowhere yet.
    pub(super) fn next_waited_for(&mut self, last: Option<LinkId>) -> Option<LinkId> {
        self.look();
        let after = last.map_or(Bound::Unbounded, |last| Bound::Excluded((last, ManifestId([0xff; 16]))));
        self.waiting.range((after, Bound::Unbounded)).next().map(|(link, _)| *link)
    }

    /// What a link has offered and comes from nowhere yet.
    pub(super) fn waiting_for(&mut self, link: LinkId) -> Vec<ManifestId> {
        self.look();
        let of_link = (link, ManifestId([0; 16]))..=(link, ManifestId([0xff; 16]));
        self.waiting.range(of_link).map(|(_, id)| *id).collect()
    }

    /// Fetches whose source has said that it has nothing more.
    pub(super) fn drying(&mut self) -> Vec<ManifestId> {
        self.look();
        self.drying.iter().copied().collect()
    }

    /// Forgets blame that is old.
    pub(super) fn forgive(&mut self, now: Mono) {
        self.look();
        for id in &self.blamed {
            if let Some(fetch) = self.all.get_mut(id) {
                fetch.damaged.retain(|_, blame| now < blame.last.after(BLAME_AGE));
                self.touched.insert(*id);
            }
        }
    }

    /// When blame is next forgiven of what comes from nowhere.
    pub(super) fn next_forgiven(&mut self) -> Option<Mono> {
        self.look();
        let blamed = self.blamed.iter().filter_map(|id| self.all.get(id)).filter(|fetch| fetch.from.is_none());
        blamed.flat_map(|fetch| fetch.damaged.values()).map(|blame| blame.last.after(BLAME_AGE)).min()
    }

    /// Since when the oldest bytes wait for an fsync that has not begun.
    pub(super) fn unsynced_since(&mut self) -> Option<Mono> {
        self.look();
        self.to_sync.first().map(|(since, _)| *since)
    }
}

impl Fetch {
    const fn new(class: Class, order: u64) -> Self {
        Self {
            class,
            order,
            offered: BTreeSet::new(),
            damaged: BTreeMap::new(),
            sole: BTreeMap::new(),
            dried: BTreeSet::new(),
            from: None,
            asked: 0,
            blind: 0,
            came: 0,
            dry_after: None,
            pending: Ranges::new(),
            pending_since: Mono(0),
            is_unsynced: false,
            syncing: None,
            proving: BTreeSet::new(),
        }
    }

    /// Whether the source has said that it has nothing more, and nothing has come since.
    pub(super) fn is_dry(&self) -> bool {
        self.dry_after.is_some_and(|sent| self.came <= sent)
    }

    /// Counts damaged chunks against a link.
    pub(super) fn blame(&mut self, link: LinkId, chunks: u32, now: Mono) {
        let before = self.damaged.get(&link).map_or(0, |blame| blame.chunks);
        self.damaged.insert(link, Blame { chunks: before + chunks, last: now });
    }

    /// Whether a link has brought so much damage that nothing is fetched from it.
    pub(super) fn distrusts(&self, link: &LinkId) -> bool {
        self.damaged.get(link).is_some_and(|blame| blame.chunks >= DAMAGED_CHUNKS_MAX)
    }

    /// A link is gone; whether it was of any matter here.
    fn forget(&mut self, link: LinkId) -> bool {
        let was_source = self.from.take_if(|(from, _)| *from == link).is_some();
        let had_offered = self.offered.remove(&link);
        let was_blamed = self.damaged.remove(&link).is_some();
        let had_dried = self.dried.remove(&link);
        was_source || had_offered || was_blamed || had_dried
    }

    /// Since when bytes wait for an fsync that has not begun.
    fn to_sync(&self) -> Option<Mono> {
        (self.is_unsynced && self.syncing.is_none() && !self.pending.is_empty()).then_some(self.pending_since)
    }
}

/// Puts an id into a set, or takes it out.
fn keep_if(set: &mut BTreeSet<ManifestId>, id: ManifestId, belongs: bool) {
    if belongs {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ManifestId = ManifestId([1; 16]);

    fn wanted(offered: &[u64]) -> Fetches {
        let mut fetches = Fetches::default();
        fetches.want(ID, Class::Routine, 1);
        fetches.get_mut(&ID).unwrap().offered.extend(offered.iter().map(|link| LinkId(*link)));
        fetches
    }

    fn waited_for(fetches: &mut Fetches) -> Vec<LinkId> {
        let mut last = None;
        let next = || {
            last = fetches.next_waited_for(last);
            last
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_parcel_waits_for_every_link_that_offered_it_until_it_comes_from_one_or_is_here() {
        let mut fetches = wanted(&[1, 3]);
        assert_eq!(waited_for(&mut fetches), [LinkId(1), LinkId(3)]);
        assert_eq!((fetches.waiting_for(LinkId(3)), fetches.waiting_for(LinkId(2))), (vec![ID], vec![]));
        fetches.get_mut(&ID).unwrap().from = Some((LinkId(3), Slot(0)));
        assert_eq!(waited_for(&mut fetches), []);
        fetches.link_down(LinkId(3));
        assert_eq!(waited_for(&mut fetches), [LinkId(1)]);
        fetches.remove(&ID);
        assert_eq!(waited_for(&mut fetches), []);
    }

    #[test]
    fn a_link_is_stirred_when_a_parcel_begins_to_come_from_it_changes_or_comes_no_more() {
        let mut fetches = wanted(&[1]);
        assert_eq!(fetches.stirred(), BTreeSet::new());
        fetches.get_mut(&ID).unwrap().from = Some((LinkId(1), Slot(0)));
        assert_eq!(fetches.stirred(), BTreeSet::from([LinkId(1)]));
        assert_eq!(fetches.stirred(), BTreeSet::new());
        fetches.get_mut(&ID).unwrap().asked = 9;
        assert_eq!(fetches.stirred(), BTreeSet::from([LinkId(1)]));
        fetches.remove(&ID);
        assert_eq!(fetches.stirred(), BTreeSet::from([LinkId(1)]));
    }

    #[test]
    fn what_waits_for_an_fsync_is_found_by_since_when_until_one_runs() {
        let mut fetches = wanted(&[]);
        assert_eq!(fetches.unsynced_since(), None);
        let change = |fetches: &mut Fetches, since, syncing| {
            let fetch = fetches.get_mut(&ID).unwrap();
            (fetch.is_unsynced, fetch.pending, fetch.syncing) = (true, Ranges::whole(9), syncing);
            fetch.pending_since = Mono(since);
            fetches.unsynced_since()
        };
        assert_eq!(change(&mut fetches, 7, None), Some(Mono(7)));
        assert_eq!(change(&mut fetches, 5, None), Some(Mono(5)));
        assert_eq!(change(&mut fetches, 8, None), Some(Mono(8)));
        assert_eq!(change(&mut fetches, 8, Some(Ranges::whole(9))), None);
        assert_eq!(change(&mut fetches, 9, None), Some(Mono(9)));
        fetches.remove(&ID);
        assert_eq!(fetches.unsynced_since(), None);
    }

    #[test]
    fn blame_is_forgiven_when_it_is_old_and_due_only_of_what_comes_from_nowhere() {
        let mut fetches = wanted(&[1]);
        fetches.get_mut(&ID).unwrap().blame(LinkId(1), 1, Mono(3));
        let old = Mono(3).after(BLAME_AGE);
        assert_eq!(fetches.next_forgiven(), Some(old));
        fetches.get_mut(&ID).unwrap().from = Some((LinkId(1), Slot(0)));
        assert_eq!(fetches.next_forgiven(), None);
        fetches.get_mut(&ID).unwrap().from = None;
        fetches.forgive(Mono(old.0 - 1));
        assert_eq!(fetches.next_forgiven(), Some(old));
        fetches.forgive(old);
        assert_eq!(fetches.next_forgiven(), None);
    }
}
