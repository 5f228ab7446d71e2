//! Contacts: every link of a node, and of which of them something is due.
//!
//! A relay of a country has a thousand links, and nearly all are quiet at any moment: what one message costs must not
//! grow with the links that it is not about. So a contact that is given out to be changed is noted, and looked at again
//! before anything is asked of all of them; what it is found by is kept beside it.

use super::contact::Contact;
use crate::{id::NodeId, log::Scope, node::LinkId, time::Mono};
use std::collections::{BTreeMap, BTreeSet};

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    all: BTreeMap<LinkId, Contact>,
    /// Given out to be changed since they were last looked at: what they are found by may be out of date.
    touched: BTreeSet<LinkId>,
    due_at: BTreeMap<LinkId, Mono>,
    dues: BTreeSet<(Mono, LinkId)>,
    moving_parcels: BTreeSet<LinkId>,
    holding_back: BTreeSet<LinkId>,
    of_peer: BTreeSet<(NodeId, LinkId)>,
    of_scope: BTreeSet<(Scope, LinkId)>,
}

impl Contacts {
    pub(super) fn insert(&mut self, contact: Contact) {
        let link = contact.link;
        self.remove(link);
        self.touched.insert(link);
        self.of_peer.insert((contact.peer, link));
        self.of_scope.extend(contact.shared.iter().map(|scope| (*scope, link)));
        self.all.insert(link, contact);
    }

    pub(super) fn remove(&mut self, link: LinkId) -> Option<Contact> {
        let gone = self.all.remove(&link)?;
        self.touched.remove(&link);
        self.set_due(link, None);
        self.moving_parcels.remove(&link);
        self.holding_back.remove(&link);
        self.of_peer.remove(&(gone.peer, link));
        for scope in &gone.shared {
            self.of_scope.remove(&(*scope, link));
        }
        Some(gone)
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Contact> {
        self.all.get(&link)
    }

    pub(super) fn get_mut(&mut self, link: LinkId) -> Option<&mut Contact> {
        let contact = self.all.get_mut(&link)?;
        self.touched.insert(link);
        Some(contact)
    }

    /// All, by link.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.all.values()
    }

    /// Those to one peer, by link.
    pub(super) fn with(&self, peer: NodeId) -> impl DoubleEndedIterator<Item = &Contact> {
        let of_peer = self.of_peer.range((peer, LinkId(0))..=(peer, LinkId(u64::MAX)));
        of_peer.filter_map(|(_, link)| self.all.get(link))
    }

    /// Those whose both ends hold a scope, by link.
    pub(super) fn sharing(&self, scope: Scope) -> impl Iterator<Item = &Contact> {
        let of_scope = self.of_scope.range((scope, LinkId(0))..=(scope, LinkId(u64::MAX)));
        of_scope.filter_map(|(_, link)| self.all.get(link))
    }

    /// Both ends of a link hold these scopes from now on.
    pub(super) fn share(&mut self, link: LinkId, scopes: BTreeSet<Scope>) {
        let Some(contact) = self.all.get_mut(&link) else { return };
        for scope in &contact.shared {
            self.of_scope.remove(&(*scope, link));
        }
        self.of_scope.extend(scopes.iter().map(|scope| (*scope, link)));
        contact.shared = scopes;
    }

    /// Those to which parcels go, or may go, by link.
    pub(super) fn moving_parcels(&self) -> impl Iterator<Item = &Contact> {
        self.among(&self.moving_parcels).filter(|contact| contact.moves_parcels())
    }

    /// Those to which something of our own log is held back, by link.
    pub(super) fn holding_back(&self) -> impl Iterator<Item = &Contact> {
        self.among(&self.holding_back).filter(|contact| !contact.held_back.is_empty())
    }

    /// Those of which something may be due, by link: all of which something is, and some that were just touched.
    pub(super) fn due(&self, now: Mono) -> BTreeSet<LinkId> {
        let due = self.dues.range(..=(now, LinkId(u64::MAX))).map(|(_, link)| *link);
        due.chain(self.touched.iter().copied()).collect()
    }

    /// The peer may owe us more, or less, than when the contact was last looked at.
    pub(super) fn touch(&mut self, link: LinkId) {
        if self.all.contains_key(&link) {
            self.touched.insert(link);
        }
    }

    /// Looks at everyone that was touched; `note` may change them.
    pub(super) fn look(&mut self, mut note: impl FnMut(&mut Contact)) {
        for link in std::mem::take(&mut self.touched) {
            let Some(contact) = self.all.get_mut(&link) else { continue };
            note(contact);
            let due = contact.next_due();
            if contact.moves_parcels() {
                self.moving_parcels.insert(link);
            } else {
                self.moving_parcels.remove(&link);
            }
            if contact.held_back.is_empty() {
                self.holding_back.remove(&link);
            } else {
                self.holding_back.insert(link);
            }
            self.set_due(link, due);
        }
    }

    fn set_due(&mut self, link: LinkId, due: Option<Mono>) {
        let before = match due {
            Some(due) => self.due_at.insert(link, due),
            None => self.due_at.remove(&link),
        };
        if before != due {
            before.map(|before| self.dues.remove(&(before, link)));
            self.dues.extend(due.map(|due| (due, link)));
        }
    }

    /// When something is due of any of them, as they were last looked at.
    pub(super) fn next_due(&self) -> Option<Mono> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// Those of a set, and those of which it is not known whether they are of it by now.
    fn among<'a>(&'a self, links: &'a BTreeSet<LinkId>) -> impl Iterator<Item = &'a Contact> {
        links.union(&self.touched).filter_map(|link| self.all.get(link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([7; 32]);

    fn contacts(links: &[u64]) -> Contacts {
        let mut contacts = Contacts::default();
        links.iter().for_each(|link| contacts.insert(Contact::new(LinkId(*link), PEER, false, Mono(0))));
        contacts.look(|_| ());
        contacts
    }

    fn links<'a>(of: impl Iterator<Item = &'a Contact>) -> Vec<u64> {
        of.map(|contact| contact.link.0).collect()
    }

    #[test]
    fn a_due_that_is_moved_earlier_or_later_is_found_where_it_is_now() {
        let mut contacts = contacts(&[1, 2]);
        let hello = contacts.next_due().unwrap();
        for (by, due) in [(Mono(5), Mono(5)), (Mono(50), Mono(50)), (Mono(hello.0 + 1), hello)] {
            contacts.get_mut(LinkId(2)).unwrap().show_by = Some(by);
            contacts.look(|_| ());
            assert_eq!(contacts.next_due(), Some(due));
        }
        contacts.get_mut(LinkId(2)).unwrap().show_by = Some(Mono(50));
        contacts.look(|_| ());
        assert_eq!((contacts.due(Mono(49)).len(), contacts.due(Mono(50))), (0, BTreeSet::from([LinkId(2)])));
    }

    #[test]
    fn what_was_touched_and_not_looked_at_again_may_be_due_and_is_found_as_it_is() {
        let mut contacts = contacts(&[1, 2]);
        contacts.get_mut(LinkId(1)).unwrap().held_back.insert(Scope::Federation);
        assert_eq!(links(contacts.holding_back()), [1]);
        assert_eq!(contacts.due(Mono(0)), BTreeSet::from([LinkId(1)]));
        contacts.look(|_| ());
        assert_eq!((links(contacts.holding_back()), contacts.due(Mono(0)).len()), (vec![1], 0));
        contacts.get_mut(LinkId(1)).unwrap().held_back.clear();
        assert_eq!(links(contacts.holding_back()).len(), 0);
        contacts.get_mut(LinkId(2)).unwrap().takes_parcels = true;
        assert_eq!(links(contacts.moving_parcels()), [2]);
        contacts.look(|_| ());
        assert_eq!(links(contacts.moving_parcels()), [2]);
    }

    #[test]
    fn a_contact_that_goes_is_due_no_more_and_found_no_more() {
        let mut contacts = contacts(&[1, 2]);
        for link in [1, 2] {
            let contact = contacts.get_mut(LinkId(link)).unwrap();
            (contact.show_by, contact.takes_parcels) = (Some(Mono(link)), true);
            contact.held_back.insert(Scope::Federation);
            contacts.share(LinkId(link), BTreeSet::from([Scope::Federation]));
        }
        contacts.look(|_| ());
        let found = |contacts: &Contacts| {
            let (moving, holding) = (links(contacts.moving_parcels()), links(contacts.holding_back()));
            [links(contacts.with(PEER)), links(contacts.sharing(Scope::Federation)), moving, holding]
        };
        assert_eq!(found(&contacts), [[1, 2]; 4]);
        assert_eq!(contacts.remove(LinkId(1)).map(|contact| contact.link), Some(LinkId(1)));
        assert_eq!(found(&contacts), [[2]; 4]);
        assert_eq!((contacts.next_due(), contacts.due(Mono(9))), (Some(Mono(2)), BTreeSet::from([LinkId(2)])));
        contacts.get_mut(LinkId(2)).unwrap();
        contacts.remove(LinkId(2));
        contacts.look(|_| ());
        assert_eq!((contacts.next_due(), contacts.due(Mono(9)).len()), (None, 0));
    }

    #[test]
    fn scopes_that_are_shared_no_more_find_nobody() {
        let mut contacts = contacts(&[1]);
        let site = Scope::Site(PEER);
        contacts.share(LinkId(1), BTreeSet::from([Scope::Federation]));
        contacts.share(LinkId(1), BTreeSet::from([site]));
        assert_eq!((links(contacts.sharing(Scope::Federation)), links(contacts.sharing(site))), (vec![], vec![1]));
    }
}
