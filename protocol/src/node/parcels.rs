//! Parcels as they are offered, asked for, read back and signed for.
//!
//! Whoever the roster names on a spoke's route is offered its parcels, and only they get them. The receipt of a home
//! or standby hub is an event like any other: signed after the whole file was read back, sent after it is on disk.
//! Source: `protocol/SPEC.md`, Messages and Custody.

use super::{LinkId, Node, Notice, Output, answers::Announcing, contact::Contact};
use crate::{
    class::Class,
    custody::{self, Receipt, Wants},
    id::{Hash, ManifestId, NodeId},
    limits::{INCOMPLETE_BYTES_MAX, INCOMPLETE_MAX, RANGES_MAX, SEEKS_MAX, UNOPENED_MAX},
    log::{Scope, body::Body},
    node::Lane,
    parcel::{PartKind, manifest::Manifest},
    ranges::Ranges,
    record::Record,
    roster::Role,
    time::Now,
    transfer::{
        check::When,
        message::{Message, Need, Offer, Slot, Why},
        offers::With,
        receiver::Happened,
        shelf::Progress,
    },
};

impl Node {
    pub(super) fn hear_offer(&mut self, link: LinkId, offer: Offer, now: Now) {
        let manifest = offer.manifest;
        if let Some(contact) = self.contacts.get_mut(link) {
            contact.manifest_due = (offer.with == With::Manifest).then_some(manifest);
        }
        let Some(parcel) = self.shelf.get(&manifest) else {
            let waiting = self.unopened.range((link, ManifestId([0; 16]))..=(link, ManifestId([0xff; 16]))).count();
            if waiting >= UNOPENED_MAX {
                return self.tell(link, &Message::Decline(manifest));
            }
            self.unopened.insert((link, manifest), offer.class);
            if offer.with == With::Nothing {
                self.tell(link, &Message::Seek(manifest));
            }
            return;
        };
        if parcel.progress() == Progress::Complete {
            let whole = Ranges::whole(parcel.bytes());
            return self.tell(link, &Message::Dack(manifest, whole));
        }
        if !self.receiver.wants(&manifest) && !self.is_wanted_here(&manifest) {
            return self.tell(link, &Message::Decline(manifest));
        }
        self.receiver.want(manifest, offer.class);
        self.take_offer(&manifest, link, now);
    }

    pub(super) fn hear_manifest(&mut self, link: LinkId, bytes: &[u8], now: Now) {
        let due = self.contacts.get_mut(link).and_then(|contact| contact.manifest_due.take());
        let Some(id) = due else { return };
        let Some(class) = self.unopened.remove(&(link, id)) else { return };
        let taken = Manifest::parse(bytes).ok().filter(|manifest| manifest.id() == id && self.takes(manifest));
        let Some(manifest) = taken else {
            self.counters.refused_manifests += 1;
            return self.tell(link, &Message::Decline(id));
        };
        if self.shelf.get(&id).is_none() {
            self.keep(Record::Manifest(bytes.to_vec()));
            self.retention.fetched(&id);
            self.shelf.add(manifest);
            self.unsettled.insert(id);
        }
        self.receiver.want(id, class);
        self.take_offer(&id, link, now);
    }

    /// Whether a manifest is signed by a spoke whose parcels come here, and there is room for one more of it.
    fn takes(&self, manifest: &Manifest) -> bool {
        let signer = self.roster.node(&manifest.core().signer);
        let sealed_by_spoke = signer.is_some_and(|member| member.role == Role::Spoke);
        sealed_by_spoke
            && manifest.verify(&self.config.federation).is_ok()
            && self.wants(manifest, &self.id).any()
            && (self.shelf.get(&manifest.id()).is_some() || self.has_room_for(manifest))
    }

    /// What a spoke announces and does not send is bounded: a manifest is small, and the parcel it asks room for is not.
    fn has_room_for(&self, manifest: &Manifest) -> bool {
        let core = manifest.core();
        let to_come = self.receiver.wanted().filter(|id| !self.mending.contains(id));
        let parcels = to_come.filter_map(|id| self.shelf.get(id));
        let of_spoke = parcels.filter(|parcel| parcel.manifest().core().signer == core.signer);
        let (count, bytes) = of_spoke.fold((0, core.sealed_bytes), |(n, all), parcel| (n + 1, all + parcel.bytes()));
        count < INCOMPLETE_MAX && bytes <= INCOMPLETE_BYTES_MAX
    }

    pub(super) fn hear_need(&mut self, link: LinkId, need: &Need) {
        let Some(peer) = self.contacts.get(link).map(|contact| contact.peer) else { return };
        let may = |manifest: &Manifest| self.wants(manifest, &peer).any();
        let parcel = self.shelf.get(&need.manifest).filter(|parcel| may(parcel.manifest()));
        let Some(parcel) = parcel else {
            return self.refuse_need(link, need, Why::NotHeld);
        };
        if !parcel.have().is_empty() && !parcel.knows_all_pages() && parcel.progress() != Progress::Partial {
            self.checks.want(need.manifest, When::Soon);
        }
        let class = self.class_of(parcel.manifest());
        let Some(contact) = self.contacts.get_mut(link) else { return };
        if let Err(why) = contact.sender.need(need, class, parcel) {
            return self.refuse_need(link, need, why);
        }
        let memory = self.memories.entry(peer).or_default();
        memory.lacks(&need.manifest);
        memory.knows(need.manifest);
        self.fill(link);
    }

    /// The peer forgets an offer that was not kept; so do we, and make it again when there is more to offer.
    fn refuse_need(&mut self, link: LinkId, need: &Need, why: Why) {
        if let Some(contact) = self.contacts.get_mut(link) {
            contact.offers.withdraw(&need.manifest);
        }
        self.tell(link, &Message::Cancel(need.slot, why));
    }

    pub(super) fn hear_dack(&mut self, link: LinkId, manifest: ManifestId, ranges: &Ranges) {
        let Some(parcel) = self.shelf.get(&manifest) else { return };
        let Some(contact) = self.contacts.get_mut(link) else { return };
        let (peer, end) = (contact.peer, parcel.bytes());
        let there = self.durable.entry(manifest).or_default().entry(peer).or_default();
        if ranges.iter().all(|range| range.end <= end) && there.iter().count() < RANGES_MAX {
            there.extend(ranges);
        }
        if ranges.covers(&(0..end)) {
            contact.sender.settled(&manifest);
            contact.offers.withdraw(&manifest);
            let memory = self.memories.entry(peer).or_default();
            memory.knows(manifest);
            memory.has(manifest);
            self.make_offers(link);
            self.fill(link);
        }
    }

    pub(super) fn hear_cancel(&mut self, link: LinkId, slot: Slot, why: Why, now: Now) {
        let Some(contact) = self.contacts.get_mut(link) else { return };
        // The same message ends what we send (our peer's slots) and what we fetch (our slots): a peer that serves us
        // says only NotHeld.
        if why == Why::NotHeld {
            self.receiver.cancelled(link, slot, why);
            return self.start_fetches(now);
        }
        let Some(manifest) = contact.sender.cancel(slot) else { return };
        if self.shelf.get(&manifest).is_some_and(|parcel| parcel.progress() == Progress::Partial) {
            // It is offered again when more of it is here.
            contact.offers.withdraw(&manifest);
        }
        if why == Why::Damaged && self.shelf.get(&manifest).is_some_and(|p| p.progress() == Progress::Complete) {
            // Our own disk may be at fault.
            self.checks.want(manifest, When::Soon);
        }
        self.fill(link);
    }

    pub(super) fn hear_seek(&mut self, link: LinkId, manifest: ManifestId) {
        let Some(contact) = self.contacts.get(link) else { return };
        let Some(parcel) = self.shelf.get(&manifest) else { return };
        if parcel.good().is_empty() || !self.wants(parcel.manifest(), &contact.peer).any() {
            return;
        }
        let (class, bytes) = (self.class_of(parcel.manifest()), parcel.bytes());
        let offer = Offer { manifest, class, bytes, with: With::Manifest };
        let signed = parcel.manifest().bytes().to_vec();
        self.memories.entry(contact.peer).or_default().lacks(&manifest);
        self.tell(link, &Message::Offer(offer));
        self.tell(link, &Message::Manifest(signed));
    }

    /// Serves a link as far as its window goes.
    pub(super) fn fill(&mut self, link: LinkId) {
        let mut out = Vec::new();
        let Some(contact) = self.contacts.get_mut(link).filter(|contact| contact.is_open()) else { return };
        for piece in contact.sender.fill(link, &contact.bulk, &self.shelf, &mut out) {
            self.reads.entry((piece.manifest, piece.offset)).or_default().push_back((link, piece));
        }
        self.carry_out(out);
    }

    pub(super) fn piece_read(&mut self, manifest: ManifestId, offset: u64, bytes: Option<Vec<u8>>, now: Now) {
        let Some(waiting) = self.reads.get_mut(&(manifest, offset)) else { return };
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.reads.remove(&(manifest, offset));
        }
        let Some((link, piece)) = next else { return };
        let whole = bytes.filter(|bytes| bytes.len() == piece.length as usize);
        if whole.is_none() {
            self.checks.want(manifest, When::Soon);
        }
        let Some(contact) = self.contacts.get_mut(link) else { return };
        let Some(bytes) = whole else {
            contact.sender.unread(piece);
            contact.offers.withdraw(&piece.manifest);
            return self.tell(link, &Message::Cancel(piece.slot, Why::NotHeld));
        };
        if let Some(frag) = contact.sender.read(piece, &bytes, &mut contact.bulk, now.mono) {
            self.counters.fragment_bytes_sent += bytes.len() as u64;
            self.gate.now(Output::Send { link, lane: Lane::Bulk, bytes: frag });
        } else {
            self.fill(link);
        }
    }

    /// What fetches came to.
    pub(super) fn fetched(&mut self) {
        for happened in self.receiver.happened() {
            match happened {
                Happened::Whole(manifest) => self.checks.want(manifest, When::Soon),
                Happened::Good(manifest) => {
                    // A peer that left when we ran dry comes back only when it is told that there is more.
                    self.reconsider(&manifest);
                    let links: Vec<LinkId> = self.contacts.moving_parcels().map(|contact| contact.link).collect();
                    for link in links {
                        self.make_offers(link);
                        if self.contacts.get(link).is_some_and(|contact| contact.sender.serves(&manifest)) {
                            self.fill(link);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn file_hashed(&mut self, manifest: ManifestId, hashes: &[Option<Hash>], now: Now) {
        self.checks.done(&manifest);
        self.scrub.done(&manifest, now.mono);
        let Some(parcel) = self.shelf.get_mut(&manifest) else { return };
        if parcel.progress() == Progress::Partial {
            // Not all of it has come, or bytes were lost while it was read and come again.
            let damaged = parcel.gone_bad(hashes);
            self.verified(manifest, &damaged);
            if !damaged.is_empty() {
                self.damaged(manifest, &damaged, now);
            }
            return self.end_verifications();
        }
        let checked = parcel.check(hashes);
        let pages = checked.learned.iter().filter_map(|page| Some((*page, parcel.page(*page)?.bytes())));
        let pages: Vec<(u32, Vec<u8>)> = pages.collect();
        for (page, hashes) in pages {
            self.keep(Record::Page { manifest, page, hashes });
        }
        self.verified(manifest, &checked.damaged);
        let announcing = self.answer_checked(manifest, &checked, now);
        if announcing != Announcing::Refused {
            if checked.damaged.is_empty() {
                self.completed(manifest, announcing, now);
            } else {
                self.damaged(manifest, &checked.damaged, now);
            }
        }
        self.end_verifications();
    }

    /// What a class a parcel travels at: by the latest order, or as it was sealed while there is none.
    pub(super) fn class_of(&self, manifest: &Manifest) -> Class {
        let core = manifest.core();
        match self.worklist.item_of(&core.case, &core.signer).filter(|item| item.order.is_some()) {
            Some(item) if core.kind == PartKind::Preview => item.class.of_preview(),
            Some(item) => item.class,
            None => core.class,
        }
    }

    /// Why a node is to have a parcel.
    pub(super) fn wants(&self, manifest: &Manifest, node: &NodeId) -> Wants {
        let core = manifest.core();
        match self.worklist.item_of(&core.case, &core.signer) {
            Some(item) => custody::wants(&self.roster, item, node),
            None => custody::wants_of_site(&self.roster, &core.signer, node),
        }
    }

    /// A parcel may be wanted by others now, or at another class.
    pub(super) fn reconsider(&mut self, manifest: &ManifestId) {
        let Some(parcel) = self.shelf.get(manifest) else { return };
        let (class, order) = (self.class_of(parcel.manifest()), parcel.order());
        let peers: Vec<(LinkId, bool)> =
            self.takers().map(|contact| (contact.link, self.should_offer(manifest, &contact.peer))).collect();
        if self.is_settled(parcel.manifest()) {
            self.unsettled.remove(manifest);
        } else {
            self.unsettled.insert(*manifest);
        }
        for (link, should) in peers {
            let Some(contact) = self.contacts.get_mut(link) else { continue };
            contact.sender.reclass(manifest, class);
            if should {
                let memory = self.memories.entry(contact.peer).or_default();
                contact.offers.consider(*manifest, class, order, memory);
            } else {
                contact.offers.withdraw(manifest);
            }
        }
        if self.receiver.wants(manifest) {
            self.receiver.want(*manifest, class);
        }
    }

    /// Whether nobody may want a parcel any more: all its custodians have signed for it, and none but them reads it.
    fn is_settled(&self, manifest: &Manifest) -> bool {
        let core = manifest.core();
        let item = self.worklist.item_of(&core.case, &core.signer);
        let Some((item, parcel)) = item.and_then(|item| Some((item, item.parcels.get(&manifest.id())?))) else {
            return false;
        };
        let mut custodians = custody::custodians(&self.roster, &core.signer);
        let reader = item.claim_granted_at();
        let read_elsewhere = reader.is_some_and(|reader| !parcel.receipts.contains_key(&reader));
        !read_elsewhere && custodians.all(|custodian| parcel.receipts.contains_key(&custodian))
    }

    /// Open links to peers that parcels may be for: a spoke takes nobody's.
    fn takers(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.moving_parcels().filter(|contact| contact.is_open() && contact.takes_parcels)
    }

    /// Offers every taker what waits for it.
    pub(super) fn make_all_offers(&mut self) {
        let links: Vec<LinkId> = self.takers().map(|contact| contact.link).collect();
        links.into_iter().for_each(|link| self.make_offers(link));
    }

    /// Everything on the shelf may be wanted by others, or need a receipt: the roster has changed.
    pub(super) fn reconsider_shelf(&mut self, now: Now) {
        let all: Vec<ManifestId> = self.shelf.iter().map(|(id, _)| *id).collect();
        for manifest in &all {
            self.reconsider(manifest);
            self.sign_for(manifest, now);
        }
        self.make_all_offers();
    }

    /// Offers a peer what it should want.
    pub(super) fn offer_shelf(&mut self, link: LinkId) {
        let taker = self.contacts.get(link).filter(|contact| contact.takes_parcels);
        let Some(peer) = taker.map(|contact| contact.peer) else { return };
        let wanted = self.unsettled.iter().filter(|id| self.should_offer(id, &peer));
        let wanted = wanted.filter_map(|id| Some((*id, self.shelf.get(id)?)));
        let wanted: Vec<(ManifestId, Class, u64)> =
            wanted.map(|(id, parcel)| (id, self.class_of(parcel.manifest()), parcel.order())).collect();
        let Some(contact) = self.contacts.get_mut(link) else { return };
        let memory = self.memories.entry(peer).or_default();
        for (manifest, class, order) in wanted {
            contact.offers.consider(manifest, class, order, memory);
        }
        self.make_offers(link);
    }

    /// Offers again what the peer still lacks and is not being sent: no misunderstanding outlives a comparison.
    pub(super) fn offer_anew(&mut self, link: LinkId) {
        let Some(contact) = self.contacts.get_mut(link) else { return };
        let sender = &contact.sender;
        contact.offers.forget(|manifest| !sender.serves(manifest));
        self.offer_shelf(link);
    }

    pub(super) fn make_offers(&mut self, link: LinkId) {
        loop {
            let Some(contact) = self.contacts.get_mut(link).filter(|contact| contact.is_open()) else { return };
            let memory = self.memories.entry(contact.peer).or_default();
            let Some((manifest, class, with)) = contact.offers.next(memory) else { return };
            let Some(parcel) = self.shelf.get(&manifest) else { continue };
            let (bytes, signed) = (parcel.bytes(), parcel.manifest().bytes().to_vec());
            self.tell(link, &Message::Offer(Offer { manifest, class, bytes, with }));
            if with == With::Manifest {
                self.tell(link, &Message::Manifest(signed));
            }
        }
    }

    fn take_offer(&mut self, manifest: &ManifestId, link: LinkId, now: Now) {
        let mut out = Vec::new();
        self.receiver.offered(manifest, link, &mut out);
        self.carry_out(out);
        self.start_fetches(now);
    }

    pub(super) fn start_fetches(&mut self, now: Now) {
        let mut out = Vec::new();
        self.receiver.start(&self.shelf, now.mono, &mut out);
        self.carry_out(out);
    }

    /// A parcel that this node has signed for is not here: its disk was put back to an older copy.
    pub(super) fn seek_if_gone(&mut self, manifest: ManifestId) {
        let is_here = self.shelf.get(&manifest).is_some_and(|parcel| parcel.progress() == Progress::Complete);
        if is_here || self.retention.has_freed(&manifest) {
            return;
        }
        self.mending.insert(manifest);
        let open: Vec<LinkId> = self.contacts.iter().filter(|contact| contact.is_open()).map(|c| c.link).collect();
        open.into_iter().for_each(|link| self.tell(link, &Message::Seek(manifest)));
    }

    /// Asks a peer for what is damaged or gone here: one that lacked it may have it by now.
    pub(super) fn seek_what_is_damaged(&mut self, link: LinkId) {
        let sought: Vec<ManifestId> = self.mending.iter().copied().take(SEEKS_MAX).collect();
        for manifest in sought {
            if !self.receiver.is_served(&manifest) {
                self.tell(link, &Message::Seek(manifest));
            }
        }
    }

    /// Signs for a parcel that is complete here, if it is ours to sign for and was not signed for.
    pub(super) fn sign_for(&mut self, manifest: &ManifestId, now: Now) {
        let Some(parcel) = self.shelf.get(manifest).filter(|parcel| parcel.progress() == Progress::Complete) else {
            return;
        };
        let core = parcel.manifest().core();
        let custodian = custody::wants_of_site(&self.roster, &core.signer, &self.id) == Wants::Custodian;
        if !custodian || self.receipted.contains(manifest) {
            return;
        }
        let receipt = Receipt {
            case: core.case,
            core: parcel.manifest().core_hash(),
            root: core.root,
            term: self.roster.term(&core.signer),
            roster_version: self.roster.version(),
        };
        let scope = Scope::Site(core.signer);
        self.counters.receipts += 1;
        self.append_or_count(scope, &Body::Receipt(receipt), now);
    }

    /// Every byte of a parcel was read back and is right.
    fn completed(&mut self, manifest: ManifestId, announcing: Announcing, now: Now) {
        self.mending.remove(&manifest);
        let fetched = self.receiver.wants(&manifest);
        let mut out = Vec::new();
        self.receiver.complete(&manifest, &self.shelf, &mut out);
        self.carry_out(out);
        self.sign_for(&manifest, now);
        self.reconsider(&manifest);
        let links: Vec<LinkId> = self.contacts.moving_parcels().map(|contact| contact.link).collect();
        for link in links {
            self.make_offers(link);
            self.fill(link);
        }
        if fetched && announcing == Announcing::No {
            self.gate.after(Output::Notice(Notice::ParcelComplete(manifest)));
        }
        self.start_fetches(now);
    }

    /// Chunks of a parcel are not what they were: whoever has them is asked.
    fn damaged(&mut self, manifest: ManifestId, chunks: &[u32], now: Now) {
        self.counters.damaged_files += 1;
        let Some(parcel) = self.shelf.get(&manifest) else { return };
        let class = self.class_of(parcel.manifest());
        self.mending.insert(manifest);
        if !self.receiver.wants(&manifest) {
            self.receiver.want(manifest, class);
        }
        let mut out = Vec::new();
        self.receiver.lose(&manifest, chunks.iter().copied(), &mut self.shelf, now.mono, &mut out);
        self.carry_out(out);
        if !self.receiver.is_served(&manifest) {
            let open: Vec<LinkId> = self.contacts.iter().filter(|c| c.is_open()).map(|c| c.link).collect();
            open.into_iter().for_each(|link| self.tell(link, &Message::Seek(manifest)));
        }
    }

    fn is_wanted_here(&self, manifest: &ManifestId) -> bool {
        self.shelf.get(manifest).is_some_and(|parcel| self.wants(parcel.manifest(), &self.id).any())
    }

    /// Whether a peer is to be offered a parcel: it has a part in it, has not signed for it, and bytes are here.
    fn should_offer(&self, manifest: &ManifestId, peer: &NodeId) -> bool {
        let Some(parcel) = self.shelf.get(manifest).filter(|parcel| !parcel.good().is_empty()) else { return false };
        let core = parcel.manifest().core();
        let why = self.wants(parcel.manifest(), peer);
        let item = self.worklist.item_of(&core.case, &core.signer).and_then(|item| item.parcels.get(manifest));
        let signed = |node: &NodeId| item.is_some_and(|parcel| parcel.receipts.contains_key(node));
        let home_signed = self.roster.home_hub(&core.signer).is_some_and(|home| signed(&home));
        match why {
            Wants::No | Wants::Origin => false,
            Wants::Custodian => !signed(peer),
            Wants::Relay => !home_signed,
            Wants::Reader => true,
        }
    }
}
