//! The roster as it comes and as it is passed on: first in every contact, and a revocation before anything else.

use super::{Node, Notice, Output, contact::Contact};
use crate::{
    custody,
    id::{CaseId, NodeId},
    limits::CTL_MESSAGE_BYTES_MAX,
    log::scope,
    node::LinkId,
    record::Record,
    roster::{Applied, RosterError, RosterVersion},
    time::Now,
    transfer::message::Message,
};

impl Node {
    /// Applies statements in order, up to the first that does not hold; how many were new, and what was wrong.
    pub(super) fn take_statements(
        &mut self,
        statements: &[Vec<u8>],
        from: Option<LinkId>,
        now: Now,
    ) -> (usize, Option<RosterError>) {
        let (mut new, mut wrong) = (0, None);
        for statement in statements {
            match self.roster.apply(statement) {
                Ok(Applied::New) => {
                    self.keep(Record::Statement(statement.clone()));
                    new += 1;
                }
                Ok(Applied::Known) => {}
                Err(error) => {
                    self.counters.refused_statements += 1;
                    wrong = Some(error);
                    break;
                }
            }
        }
        if new > 0 {
            self.roster_changed(from, now);
        }
        (new, wrong)
    }

    pub(super) fn hear_roster(&mut self, link: LinkId, statements: &[Vec<u8>], now: Now) {
        self.take_statements(statements, Some(link), now);
        let version = self.roster.version();
        if let Some(contact) = self.contacts.get_mut(link) {
            contact.roster = contact.roster.max(version);
        }
    }

    /// Sends a peer the statements it lacks.
    pub(super) fn send_roster(&mut self, link: LinkId, theirs: RosterVersion) {
        let Some(contact) = self.contacts.get_mut(link) else { return };
        contact.roster = self.roster.version();
        let held = self.roster.genesis().map(|genesis| vec![(genesis.ministry, theirs.0)]).unwrap_or_default();
        // A member holds the genesis; what else the root has said is a few statements, and known ones cost nothing.
        let lacking: Vec<Vec<u8>> = self.roster.statements_after(&held).map(<[u8]>::to_vec).collect();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for statement in lacking {
            if bytes + statement.len() > CTL_MESSAGE_BYTES_MAX / 2 {
                self.tell(link, &Message::Roster(std::mem::take(&mut batch)));
                bytes = 0;
            }
            bytes += statement.len();
            batch.push(statement);
        }
        if !batch.is_empty() {
            self.tell(link, &Message::Roster(batch));
        }
    }

    fn roster_changed(&mut self, from: Option<LinkId>, now: Now) {
        self.gate.after(Output::Notice(Notice::Roster));
        self.worklist.roster_changed(&self.roster);
        let version = self.roster.version();
        let links: Vec<(LinkId, NodeId, RosterVersion)> =
            self.contacts.iter().map(|c| (c.link, c.peer, c.roster)).collect();
        for (link, peer, theirs) in links {
            let takes_parcels = custody::takes_parcels(&self.roster, &peer);
            self.contacts.get_mut(link).into_iter().for_each(|contact| contact.takes_parcels = takes_parcels);
            if self.roster.node(&peer).is_some_and(|member| !member.standing.holds()) {
                self.counters.refused_links += 1;
                self.reset(link, "the peer was revoked", now);
                continue;
            }
            if !self.contacts.get(link).is_some_and(Contact::is_open) {
                continue;
            }
            if Some(link) != from && theirs < version {
                self.send_roster(link, theirs);
            }
            self.share_scopes(link, now);
        }
        let cases: Vec<(CaseId, NodeId)> = self.worklist.items().map(|item| (item.case, item.site)).collect();
        self.changed.extend(cases);
        self.retention.roster_changed();
        self.reconsider_shelf(now);
    }

    /// Works out anew which scopes both ends hold; those that are new are compared.
    fn share_scopes(&mut self, link: LinkId, now: Now) {
        let Some(contact) = self.contacts.get(link) else { return };
        let shared = scope::shared(&self.roster, &self.id, &contact.peer);
        let new: Vec<_> = shared.difference(&contact.shared).copied().collect();
        self.contacts.share(link, shared);
        if !new.is_empty() {
            self.send_digests(link, &new, now);
        }
    }
}
