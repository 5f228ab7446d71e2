//! What the rooms may see of a node: parcels and how far they are, links, counters.

use super::{LinkId, Node, contact::Stage};
use crate::{
    id::{CaseId, ManifestId, NodeId},
    log::Logs,
    parcel::manifest::Manifest,
    ranges::Ranges,
    roster::Roster,
    time::Millis,
    transfer::{
        receiver,
        shelf::{Parcel, Progress},
    },
    worklist::Worklist,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// One parcel, as far as it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParcelView {
    /// Its name.
    pub manifest: ManifestId,
    /// The case it is a part of.
    pub case: CaseId,
    /// The spoke that sealed it.
    pub site: NodeId,
    /// Sealed bytes.
    pub bytes: u64,
    /// Of these, bytes that are on disk here.
    pub bytes_here: u64,
    /// Whether all is here and was read back.
    pub progress: Progress,
    /// The peer it is being fetched from.
    pub from: Option<NodeId>,
}

/// One link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkView {
    /// The connection.
    pub link: LinkId,
    /// Who.
    pub peer: NodeId,
    /// Where it stands.
    pub state: LinkState,
    /// Smoothed round trip, queues included, once measured.
    pub round_trip: Option<Millis>,
    /// Bytes a second that went out when most did; 0 before any were measured.
    pub bytes_per_second: u64,
}

/// Where a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// HELLO is out.
    Greeting,
    /// Another link to the same peer is in use.
    Spare,
    /// In use.
    Open,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "greeting",
            Self::Spare => "spare",
            Self::Open => "open",
        })
    }
}

/// Everything a node counts. Events are counted in its logs ([`Logs::counters`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// What fetching has cost.
    pub received: receiver::Counters,
    /// Bytes of fragments sent.
    pub fragment_bytes_sent: u64,
    /// Messages of a kind or version this build does not know.
    pub unknown_messages: u64,
    /// Messages that do not fit their kind.
    pub malformed_messages: u64,
    /// Events that are none, or not signed by their author.
    pub forged_events: u64,
    /// Events by somebody the roster does not know, or of a scope this node does not hold.
    pub foreign_events: u64,
    /// Events for which there is no room.
    pub events_without_room: u64,
    /// Events of our own that did not fit.
    pub events_not_written: u64,
    /// Peers whose roster is as long as ours and another: two histories were signed with one key of the ministry.
    pub roster_forks: u64,
    /// Roster statements that do not hold.
    pub refused_statements: u64,
    /// Manifests that are none, forged, or not for this node.
    pub refused_manifests: u64,
    /// Links reset because nothing came though something was due.
    pub stalls: u64,
    /// Links reset because another to the same peer is used.
    pub superseded: u64,
    /// Links refused or reset because the peer is no member, says too much before the link is in use, or this node's own
    /// disk has failed.
    pub refused_links: u64,
    /// Times the disk was full.
    pub disk_full: u64,
    /// Files read back and found damaged.
    pub damaged_files: u64,
    /// Files read back by the scrub, which reads everything in turn.
    pub scrubbed_files: u64,
    /// Receipts signed.
    pub receipts: u64,
    /// Parcels freed by retention.
    pub freed_parcels: u64,
    /// Their bytes.
    pub freed_bytes: u64,
    /// Digests and vectors sent.
    pub comparisons: u64,
}

impl Node {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Who is a member.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Every case of the scopes held.
    #[must_use]
    pub const fn worklist(&self) -> &Worklist {
        &self.worklist
    }

    /// Every event held.
    #[must_use]
    pub const fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Everything counted since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        Counters { received: *self.receiver.counters(), scrubbed_files: self.scrub.read(), ..self.counters }
    }

    /// Every parcel known, by manifest.
    pub fn parcels(&self) -> impl Iterator<Item = ParcelView> + '_ {
        self.shelf.iter().map(|(_, parcel)| self.view(parcel))
    }

    /// One parcel.
    #[must_use]
    pub fn parcel(&self, manifest: &ManifestId) -> Option<ParcelView> {
        self.shelf.get(manifest).map(|parcel| self.view(parcel))
    }

    /// Parcels of which bytes were here and are lost, until they have come again.
    pub fn mending(&self) -> impl Iterator<Item = &ManifestId> {
        self.mending.iter()
    }

    /// Others who have signed for every byte of a parcel, or sealed it, and have not said that they free it.
    #[must_use]
    pub fn holders(&self, manifest: &ManifestId) -> BTreeSet<NodeId> {
        let Some(parcel) = self.shelf.get(manifest) else { return BTreeSet::new() };
        let core = parcel.manifest().core();
        let item = self.worklist.item_of(&core.case, &core.signer).and_then(|item| item.parcels.get(manifest));
        let signed = item.into_iter().flat_map(|parcel| parcel.receipts.keys().copied());
        let frees = |node: &NodeId| item.is_some_and(|parcel| parcel.freeing.contains(node));
        signed.chain([core.signer]).filter(|node| *node != self.id && !frees(node)).collect()
    }

    /// A parcel's manifest.
    #[must_use]
    pub fn manifest(&self, manifest: &ManifestId) -> Option<&Manifest> {
        self.shelf.get(manifest).map(Parcel::manifest)
    }

    /// Bytes of a parcel that are on the disk of the peer that has most of it, as peers have said since this start.
    #[must_use]
    pub fn acknowledged(&self, manifest: &ManifestId) -> u64 {
        let most = self.durable.get(manifest).and_then(|peers| peers.values().map(Ranges::bytes).max());
        most.unwrap_or(0)
    }

    /// Every link.
    pub fn links(&self) -> impl Iterator<Item = LinkView> + '_ {
        self.contacts.iter().map(|contact| LinkView {
            link: contact.link,
            peer: contact.peer,
            state: match contact.stage {
                Stage::Greeting => LinkState::Greeting,
                Stage::Spare(..) => LinkState::Spare,
                Stage::Open => LinkState::Open,
            },
            round_trip: contact.bulk.srtt(),
            bytes_per_second: contact.bulk.rate(),
        })
    }

    fn view(&self, parcel: &Parcel) -> ParcelView {
        let (manifest, core) = (parcel.manifest().id(), parcel.manifest().core());
        let from = self.receiver.from(&manifest).and_then(|link| self.contacts.get(link));
        ParcelView {
            manifest,
            case: core.case,
            site: core.signer,
            bytes: parcel.bytes(),
            bytes_here: parcel.have().bytes(),
            progress: parcel.progress(),
            from: from.map(|contact| contact.peer),
        }
    }
}
