//! Start: everything is rebuilt from the journal, and what the power cut interrupted goes on.

use super::Node;
use crate::{
    custody::Wants,
    id::{CaseId, ManifestId, NodeId},
    log::{Event, Inserted, Way},
    parcel::{chunk::Page, manifest::Manifest},
    record::Record,
    time::{Now, Wall},
    transfer::shelf::Progress,
};

impl Node {
    /// Takes in one record of the journal; in order, before [`Node::start`]. What was journaled was checked when it
    /// came, and the journal has its own checksums: signatures are not verified again.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Event(bytes) => self.replay_event(&bytes),
            Record::Statement(bytes) => {
                if self.roster.replay(&bytes).is_err() {
                    self.counters.refused_statements += 1;
                }
                self.retention.roster_changed();
            }
            Record::Manifest(bytes) => match Manifest::parse(&bytes) {
                Ok(manifest) => {
                    self.retention.fetched(&manifest.id());
                    self.shelf.add(manifest);
                }
                Err(_) => self.counters.refused_manifests += 1,
            },
            Record::Have { manifest, ranges } => {
                if let Some(parcel) = self.shelf.get_mut(&manifest) {
                    parcel.replay_have(&ranges);
                }
            }
            Record::Lost { manifest, ranges } => {
                if let Some(parcel) = self.shelf.get_mut(&manifest) {
                    if parcel.progress() != Progress::Partial {
                        self.mending.insert(manifest);
                    }
                    ranges.iter().for_each(|range| parcel.lose(range));
                }
            }
            Record::Freed { manifest } => {
                self.shelf.remove(&manifest);
                self.mending.remove(&manifest);
                self.retention.freed(manifest);
            }
            Record::Ran { hours } => self.hour_ended(hours),
            Record::Page { manifest, page, hashes } => {
                let parcel = self.shelf.get_mut(&manifest);
                if let (Some(parcel), Ok(hashes)) = (parcel, Page::parse(&hashes)) {
                    // A page that is not the manifest's is as good as none: it is asked for again.
                    let _ = parcel.learn_page(page, hashes);
                }
            }
            Record::Room { .. } => {}
        }
    }

    /// The journal has been read: goes on where it ended.
    pub fn start(&mut self, now: Now) {
        self.logs.replayed();
        if self.logs.take_gone() > 0 {
            self.fold_anew();
        }
        self.worklist.roster_changed(&self.roster);
        let cases: Vec<(CaseId, NodeId)> = self.worklist.items().map(|item| (item.case, item.site)).collect();
        self.changed.extend(cases);
        let all: Vec<ManifestId> = self.shelf.iter().map(|(id, _)| *id).collect();
        self.unsettled.extend(&all);
        for manifest in all {
            self.start_parcel(manifest);
        }
        let gone = self.receipted.iter().filter(|id| self.shelf.get(id).is_none() && !self.retention.has_freed(id));
        self.mending.extend(gone.copied());
        // Nobody is to be told what they were told before.
        self.fresh.clear();
        self.retention.start(now.mono);
        self.settle(now);
    }

    fn start_parcel(&mut self, manifest: ManifestId) {
        let Some(parcel) = self.shelf.get(&manifest) else { return };
        let signed = parcel.manifest();
        let (class, why) = (self.class_of(signed), self.wants(signed, &self.id));
        let unsigned = why == Wants::Custodian && !self.receipted.contains(&manifest);
        let once_whole = self.receipted.contains(&manifest) || why == Wants::Origin;
        match parcel.progress() {
            Progress::Unread if !unsigned && parcel.knows_all_pages() => {
                self.shelf.get_mut(&manifest).into_iter().for_each(|parcel| parcel.trust());
                self.mending.remove(&manifest);
            }
            Progress::Unread => {
                self.receiver.want(manifest, class);
                self.receiver.whole_if_so(&manifest, &self.shelf);
            }
            Progress::Partial if why.any() => {
                self.receiver.want(manifest, class);
                if once_whole {
                    self.mending.insert(manifest);
                }
                let mut out = Vec::new();
                self.receiver.prove_what_is_here(&manifest, &self.shelf, &mut out);
                self.carry_out(out);
            }
            // What nobody may have any more is not asked for.
            Progress::Partial | Progress::Complete => {
                self.mending.remove(&manifest);
            }
        }
    }

    fn replay_event(&mut self, bytes: &[u8]) {
        let Ok(event) = Event::parse(bytes) else {
            self.counters.forged_events += 1;
            return;
        };
        // Our own clock was right for us when we wrote; another's is followed as far as ours reaches.
        let floor = if event.author() == self.id { Wall(u64::MAX) } else { self.logs.hlc().wall() };
        match self.logs.insert(event, Way::Journal, floor.max(self.config.floor)) {
            Inserted::New(events) | Inserted::Fork(events) => {
                for event in events {
                    self.fold(&event);
                }
            }
            Inserted::Known | Inserted::Ahead | Inserted::Refused(_) => {}
        }
    }
}
