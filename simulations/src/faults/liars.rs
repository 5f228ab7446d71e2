//! Members in the wrong hands: three of ten, each with a key that the others believe.
//!
//! Each tampers with what it sends, as a relay may, and signs another event in a place of its own log that is taken: a
//! home hub gives a token to another reader. Some of its peers are told of the one, and some of the other. A hub among
//! them signs for parcels that it does not have.

use crate::{
    checks::{Violation, events},
    happened::Count,
    machine::Past,
    world::World,
};
use radmesh_protocol::{
    custody::{self, Receipt, Wants},
    id::{Hash, NodeId, PersonId},
    log::{Event, Scope, Way, body::Body, event::Header},
    node::{Command, Lane},
    roster::Term,
    time::Hlc,
    transfer::{message::Message, shelf::Progress},
};

impl World<'_> {
    /// One of the liars tampers for a while, and lies once.
    pub(super) fn lie(&mut self, for_ms: u64) -> Result<(), Violation> {
        let liars = self.federation.places.liars();
        let at = liars[self.chance.below(liars.len())];
        self.turn(at, for_ms);
        if self.chance.below(2) == 0
            && let Some((site, receipt)) = self.receipt_for_nothing(at)
        {
            self.happened.count(Count::FalseReceipts);
            self.promises.false_receipts.insert((at, receipt.manifest()));
            let body = Box::new(Body::Receipt(receipt));
            return self.command(at, Command::Append { scope: Scope::Site(site), body }).map(drop);
        }
        let Some(lie) = self.other_event_of(at) else { return Ok(()) };
        let links = self.network.links_of(at);
        let told: Vec<_> = links.into_iter().filter(|_| self.chance.below(2) == 0).collect();
        if told.is_empty() {
            return Ok(());
        }
        self.machines[at].past = Past::Lied;
        self.happened.count(Count::Forks);
        let bytes = Message::Events(Way::Pushed, vec![lie.bytes().to_vec()]).encode();
        told.into_iter().for_each(|link| self.send(at, link, Lane::Ctl, bytes.clone()));
        Ok(())
    }

    /// A receipt by a custodian for a parcel that it does not have.
    fn receipt_for_nothing(&mut self, at: usize) -> Option<(NodeId, Receipt)> {
        let node = &self.machines[at].running.as_ref()?.node;
        let items = node.worklist().items();
        let signs = items.filter(|item| custody::wants(node.roster(), item, &node.id()) == Wants::Custodian);
        let unsigned = signs.flat_map(|item| {
            let lacks = |manifest| node.parcel(manifest).is_none_or(|view| view.progress != Progress::Complete);
            let parcels = item.parcels.iter();
            let parcels =
                parcels.filter(move |(manifest, of)| !of.receipts.contains_key(&node.id()) && lacks(manifest));
            parcels.map(|(_, of)| (item.site, item.case, of.core))
        });
        let unsigned: Vec<_> = unsigned.collect();
        let (site, case, core) = *unsigned.get(self.chance.below(unsigned.len().max(1)))?;
        let roster_version = node.roster().version();
        Some((site, Receipt { case, core, root: Hash::of(&core.0), term: Term(1), roster_version }))
    }

    /// An event of a machine beside one that it has signed: what it said elsewhere, or its grant to another reader.
    fn other_event_of(&mut self, at: usize) -> Option<Event> {
        let machine = &self.machines[at];
        let own: Vec<&Event> = events(machine).filter(|event| event.author() == machine.key.node_id()).collect();
        let place = *own.get(self.chance.below(own.len().max(1)))?;
        let said: Vec<&&Event> = own.iter().filter(|event| event.scope() == place.scope()).collect();
        let said = said[self.chance.below(said.len())];
        let header = Header {
            author: place.author(),
            incarnation: place.incarnation(),
            scope: place.scope(),
            seq: place.seq(),
            prev: place.prev(),
            hlc: Hlc(place.hlc().0 + 1),
        };
        let (key, federation) = (&machine.key, &self.federation.id);
        if let Ok(Some(Body::Grant(mut grant))) = said.body() {
            grant.claimant = self.other_reader(grant.claimant);
            return Some(Event::sign(key, federation, &header, &Body::Grant(grant)));
        }
        Some(Event::sign_raw(key, federation, &header, said.kind(), said.body_bytes()))
    }

    fn other_reader(&self, reader: PersonId) -> PersonId {
        let readers = self.federation.readers.iter().map(|key| key.person_id());
        readers.into_iter().find(|other| *other != reader).expect("each hub has a reader")
    }
}
