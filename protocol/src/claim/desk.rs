//! The home hub's desk: the one place where a case is given to a reader.
//!
//! One hub grants, so two readers never hold a case: the grant is on that hub's disk before anyone hears of it,
//! its token is higher than every one before, and the lease is counted here in monotonic time, in full again after
//! a restart and a tenth longer than the holder counts. Who asks and loses is told who has it and for how long.
//! Source: `protocol/SPEC.md`, Claims.

use super::{Answer, ClaimState, Grant, Lapsed, Reason, Refused, Token, Transaction};
use crate::{
    id::{CaseId, EventHash, Incarnation, NodeId, PersonId},
    log::body::Body,
    roster::{PersonRole, Roster},
    time::{Millis, Mono},
    worklist::item::{ItemRequest, WorklistItem},
};
use std::collections::BTreeMap;

/// Reports a grant names as seen, at most.
pub const REPORTS_NAMED_MAX: usize = 256;

/// The granting machine of one hub. It decides from the item as folded, so a restart loses nothing but the time a
/// lease has run. The caller appends what it decides to the site's scope, and folds it, at once; and lets no event
/// leave before it is on disk.
#[derive(Debug)]
pub struct Desk {
    hub: NodeId,
    leases: BTreeMap<(CaseId, NodeId), Lease>,
}

/// In which of its lives a hub decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It has written everything in its first incarnation, and knows of every token it gave.
    First,
    /// Its disk was put back once: it goes on in this incarnation, and may have forgotten tokens.
    Anew(Incarnation),
}

impl Life {
    /// The counter after this one. In a life after the first its lower half is of that life, so that it is none that was
    /// forgotten.
    fn next(self, counter: u64) -> u64 {
        match self {
            Self::First => counter + 1,
            Self::Anew(Incarnation([a, b, c, d, ..])) => {
                ((counter >> 32) + 1) << 32 | u64::from(u32::from_be_bytes([a, b, c, d]))
            }
        }
    }
}

/// A claim that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    claimant: PersonId,
    transaction: Transaction,
    token: Token,
    ttl: Millis,
    ends: Mono,
}

impl Desk {
    /// The desk of this hub.
    #[must_use]
    pub const fn new(hub: NodeId) -> Self {
        Self { hub, leases: BTreeMap::new() }
    }

    /// Decides what is open on a case: to be called for every item at start, after every event of a case, and for
    /// every item when the roster has changed. Empty where this hub is not the site's home hub.
    pub fn consider(&mut self, item: &WorklistItem, roster: &Roster, life: Life, now: Mono) -> Vec<Body> {
        let key = (item.case, item.site);
        let Some(spoke) = roster.node(&item.site).filter(|spoke| spoke.home == Some(self.hub)) else {
            self.leases.remove(&key);
            return Vec::new();
        };
        self.follow(item, now);
        let mut decided = Vec::new();
        if let Some(lease) = self.leases.get(&key).filter(|lease| !may_claim(roster, &lease.claimant)) {
            decided.push(Body::ClaimLapsed(Lapsed { case: item.case, token: lease.token }));
            self.leases.remove(&key);
        }
        let mut token = item.token.filter(|token| token.term == spoke.term);
        for (event, request) in waiting(item) {
            if let Some(reason) = self.reason_against(item, request, roster, now) {
                decided.push(Body::ClaimRefused(Refused { case: item.case, request: event, reason }));
                continue;
            }
            let counter = life.next(token.map_or(0, |token| token.counter));
            let next = *token.insert(Token { term: spoke.term, counter });
            let ttl = roster.claim_lease();
            let lease = Lease {
                claimant: request.claimant,
                transaction: request.transaction,
                token: next,
                ttl,
                ends: ends(now, ttl),
            };
            self.leases.insert(key, lease);
            decided.push(Body::Grant(Grant {
                case: item.case,
                claimant: request.claimant,
                transaction: request.transaction,
                request: event,
                token: next,
                ttl,
                reports: item.reports.keys().copied().take(REPORTS_NAMED_MAX).collect(),
                roster_version: roster.version(),
            }));
        }
        decided
    }

    /// A grant is on disk: its lease runs from now.
    pub fn durable(&mut self, grant: &Grant, site: &NodeId, now: Mono) {
        let lease = self.leases.get_mut(&(grant.case, *site));
        if let Some(lease) = lease.filter(|lease| lease.token == grant.token) {
            lease.ends = ends(now, lease.ttl);
        }
    }

    /// Claims nobody renewed, with their sites: to be appended like what [`Desk::consider`] gives.
    pub fn lapsed(&mut self, now: Mono) -> Vec<(NodeId, Body)> {
        let over: Vec<_> =
            self.leases.iter().filter(|(_, lease)| lease.ends <= now).map(|(key, l)| (*key, *l)).collect();
        let lapse = |((case, site), lease): ((CaseId, NodeId), Lease)| {
            self.leases.remove(&(case, site));
            (site, Body::ClaimLapsed(Lapsed { case, token: lease.token }))
        };
        over.into_iter().map(lapse).collect()
    }

    /// When the next lease ends.
    #[must_use]
    pub fn next_due(&self) -> Option<Mono> {
        self.leases.values().map(|lease| lease.ends).min()
    }

    /// Takes over from the item what was granted: after a restart, or as the new home hub, in full.
    fn follow(&mut self, item: &WorklistItem, now: Mono) {
        let key = (item.case, item.site);
        let ClaimState::Granted { claimant, transaction, token, ttl, .. } = item.claim else {
            self.leases.remove(&key);
            return;
        };
        if self.leases.get(&key).is_none_or(|lease| lease.token < token) {
            self.leases.insert(key, Lease { claimant, transaction, token, ttl, ends: ends(now, ttl) });
        }
    }

    fn reason_against(&self, item: &WorklistItem, request: &ItemRequest, roster: &Roster, now: Mono) -> Option<Reason> {
        if !may_claim(roster, &request.claimant) {
            return Some(Reason::NotAReader);
        }
        if item.released.contains(&(request.claimant, request.transaction)) {
            return Some(Reason::Released);
        }
        let lease = self.leases.get(&(item.case, item.site));
        // Each time she asks she does so under a fresh Transaction UID: the lease is hers, whatever its name.
        let renews = |lease: &&Lease| lease.claimant == request.claimant;
        match (lease.filter(renews), item.claim) {
            (Some(_), _) => None,
            (None, ClaimState::Completed { report }) => Some(Reason::Completed { report }),
            (None, _) => lease.map(|lease| Reason::Held {
                holder: lease.claimant,
                token: lease.token,
                left: lease.ends.since(now),
            }),
        }
    }
}

/// The hub waits a tenth longer than the holder may count.
const fn ends(now: Mono, ttl: Millis) -> Mono {
    now.after(Millis(ttl.0.saturating_add(ttl.0 / 10)))
}

/// Requests without an answer; the one the lists show as tentative first.
fn waiting(item: &WorklistItem) -> Vec<(EventHash, &ItemRequest)> {
    let open = item.requests.iter().filter(|(_, request)| request.answer == Answer::Waiting);
    let mut open: Vec<_> = open.map(|(event, request)| (*event, request)).collect();
    open.sort_by_key(|(_, request)| request.place);
    open
}

fn may_claim(roster: &Roster, person: &PersonId) -> bool {
    let person = roster.person(person).filter(|person| person.standing.holds());
    person.is_some_and(|person| person.roles.contains(&PersonRole::Radiologist))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        class::Class,
        report::Status,
        roster::statement::{StatementBody, Subject},
        worklist::scene::{CASE, Scene, Who, at},
    };

    /// What a home hub's node does: consider, append, fold, until nothing is open.
    fn settle(scene: &mut Scene, desk: &mut Desk, who: Who, secs: u64) -> Vec<Body> {
        let mut all = Vec::new();
        loop {
            let decided = desk.consider(&scene.item(), &scene.roster, Life::First, at(secs).mono);
            if decided.is_empty() {
                return all;
            }
            decided.iter().for_each(|body| drop(scene.write(who, body)));
            all.extend(decided);
        }
    }

    fn open_case() -> (Scene, Desk) {
        let mut scene = Scene::new();
        scene.order(Class::Stat);
        (scene, Desk::new(Who::Home.node()))
    }

    fn lease_secs(scene: &Scene) -> u64 {
        scene.roster.claim_lease().0 / 1000
    }

    #[test]
    fn a_life_after_the_first_gives_no_token_of_another() {
        let lives = [Life::First, Life::Anew(Incarnation([7; 8])), Life::Anew(Incarnation([0, 0, 0, 2, 9, 9, 9, 9]))];
        let given = |life: Life, from| std::iter::successors(Some(life.next(from)), move |last| Some(life.next(*last)));
        let mut all: Vec<u64> = lives.into_iter().flat_map(|life| given(life, 0).take(100)).collect();
        assert!(lives.into_iter().all(|life| given(life, 5).take(100).is_sorted() && life.next(5) > 5));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 300);
    }

    #[test]
    fn of_two_who_ask_one_gets_it_and_the_other_hears_who_and_how_long() {
        let (mut scene, mut desk) = open_case();
        let first = scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        let second = scene.request(Who::Far, Who::Phiri, "1.2.4");
        settle(&mut scene, &mut desk, Who::Home, 60);
        let item = scene.item();
        let token = Token { term: crate::roster::Term(1), counter: 1 };
        let ttl = scene.roster.claim_lease();
        assert_eq!(item.claim.holder(), Some(Who::Banda.person()));
        assert_eq!(item.requests[&first.hash()].answer, Answer::Granted { token, ttl });
        let Answer::Refused(Reason::Held { holder, token: held, left }) = &item.requests[&second.hash()].answer else {
            panic!("{:?}", item.requests[&second.hash()].answer)
        };
        assert_eq!((*holder, *held), (Who::Banda.person(), token));
        assert_eq!(left.0, ttl.0 + ttl.0 / 10 - 60_000);
    }

    #[test]
    fn two_requests_in_one_breath_make_one_grant() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        scene.request(Who::Far, Who::Phiri, "1.2.4");
        let decided = settle(&mut scene, &mut desk, Who::Home, 0);
        assert_eq!(decided.iter().filter(|body| matches!(body, Body::Grant(_))).count(), 1);
        assert_eq!(decided.iter().filter(|body| matches!(body, Body::ClaimRefused(_))).count(), 1);
    }

    #[test]
    fn a_renewal_raises_the_token_and_the_lease_runs_anew() {
        let (mut scene, mut desk) = open_case();
        let lease = lease_secs(&scene);
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, lease);
        let item = scene.item();
        assert_eq!(item.claim.token_of(&Who::Banda.person()).map(|token| token.counter), Some(2));
        assert!(desk.lapsed(at(lease * 2).mono).is_empty());
        assert_eq!(desk.lapsed(at(lease * 2 + lease / 10 + 1).mono).len(), 1);
    }

    #[test]
    fn a_reader_who_claims_again_renews_her_own_claim_under_the_newer_transaction() {
        let (mut scene, mut desk) = open_case();
        let lease = lease_secs(&scene);
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        let again = scene.request(Who::Home, Who::Banda, "1.2.9");
        settle(&mut scene, &mut desk, Who::Home, lease);
        let item = scene.item();
        let token = Token { term: crate::roster::Term(1), counter: 2 };
        let ttl = scene.roster.claim_lease();
        assert_eq!(item.requests[&again.hash()].answer, Answer::Granted { token, ttl });
        let ClaimState::Granted { transaction, .. } = item.claim else { panic!("{:?}", item.claim) };
        assert_eq!(transaction, Transaction::of("1.2.9"));
        assert_eq!(desk.next_due(), Some(at(lease * 2 + lease / 10).mono), "the lease runs anew");
        scene.release(Who::Home, Who::Banda, "1.2.9");
        assert_eq!(scene.item().claim, ClaimState::Free);
    }

    #[test]
    fn a_request_refused_by_the_old_home_hub_is_not_granted_by_the_new_one() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        scene.request(Who::Far, Who::Phiri, "1.2.4");
        settle(&mut scene, &mut desk, Who::Home, 1);
        scene.release(Who::Home, Who::Banda, "1.2.3");
        let role = crate::roster::Role::Spoke;
        scene.admit(Who::Spoke, role, "north", (Some(Who::Standby), None), crate::roster::Term(2));
        let mut taker = Desk::new(Who::Standby.node());
        assert!(settle(&mut scene, &mut taker, Who::Standby, 9_000).is_empty());
        assert_eq!(scene.item().claim, ClaimState::Free);
    }

    #[test]
    fn a_hub_of_another_region_that_takes_over_ends_the_leases_of_the_hub_before_it() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        let role = crate::roster::Role::Spoke;
        scene.admit(Who::Spoke, role, "north", (Some(Who::Far), None), crate::roster::Term(2));
        let mut taker = Desk::new(Who::Far.node());
        assert!(settle(&mut scene, &mut taker, Who::Far, 0).is_empty());
        assert_eq!(scene.item().claim.holder(), Some(Who::Banda.person()), "the old hub's grant is still a grant");
        let lapsed = taker.lapsed(taker.next_due().unwrap());
        lapsed.into_iter().for_each(|(_, body)| drop(scene.write(Who::Far, &body)));
        assert_eq!(scene.item().claim, ClaimState::Free);
    }

    #[test]
    fn a_reader_who_lost_power_frees_the_study_after_the_lease_and_a_tenth() {
        let (mut scene, mut desk) = open_case();
        let lease = lease_secs(&scene);
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        let due = desk.next_due().unwrap();
        assert_eq!(due, at(lease + lease / 10).mono);
        assert!(desk.lapsed(Mono(due.0 - 1)).is_empty());
        for (_, body) in desk.lapsed(due) {
            scene.write(Who::Home, &body);
        }
        assert_eq!(scene.item().claim, ClaimState::Free);
        scene.request(Who::Far, Who::Phiri, "1.2.4");
        settle(&mut scene, &mut desk, Who::Home, lease * 2);
        let item = scene.item();
        assert_eq!(item.claim.token_of(&Who::Phiri.person()).map(|token| token.counter), Some(2));
    }

    #[test]
    fn the_lease_runs_from_when_the_grant_was_on_disk() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        let decided = settle(&mut scene, &mut desk, Who::Home, 0);
        let Some(Body::Grant(grant)) = decided.first() else { panic!() };
        desk.durable(grant, &Who::Spoke.node(), at(30).mono);
        let lease = lease_secs(&scene);
        assert_eq!(desk.next_due(), Some(at(30 + lease + lease / 10).mono));
    }

    #[test]
    fn a_hub_that_restarts_grants_nothing_twice_and_counts_the_lease_in_full() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        let mut restarted = Desk::new(Who::Home.node());
        assert!(settle(&mut scene, &mut restarted, Who::Home, 5).is_empty());
        let lease = lease_secs(&scene);
        assert_eq!(restarted.next_due(), Some(at(5 + lease + lease / 10).mono));
        scene.request(Who::Far, Who::Phiri, "1.2.4");
        let decided = settle(&mut scene, &mut restarted, Who::Home, 6);
        assert!(matches!(decided[..], [Body::ClaimRefused(_)]));
    }

    #[test]
    fn a_hub_killed_between_request_and_grant_grants_once_after_the_restart() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        // Decided, and lost with the power before it was on disk.
        let lost = desk.consider(&scene.item(), &scene.roster, Life::First, at(0).mono);
        assert_eq!(lost.len(), 1);
        let mut restarted = Desk::new(Who::Home.node());
        let decided = settle(&mut scene, &mut restarted, Who::Home, 100);
        assert_eq!(decided.len(), 1);
        assert_eq!(scene.item().token.map(|token| token.counter), Some(1));
    }

    #[test]
    fn a_refused_request_is_not_granted_hours_later() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        scene.request(Who::Far, Who::Phiri, "1.2.4");
        settle(&mut scene, &mut desk, Who::Home, 0);
        let holder = scene.item().claim.holder();
        let banda = holder == Some(Who::Banda.person());
        let (reader, uid) = if banda { (Who::Banda, "1.2.3") } else { (Who::Phiri, "1.2.4") };
        scene.release(Who::Home, reader, uid);
        assert!(settle(&mut scene, &mut desk, Who::Home, 10).is_empty());
        assert_eq!(scene.item().claim, ClaimState::Free);
    }

    #[test]
    fn a_transaction_given_back_never_holds_the_case_again() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        scene.release(Who::Home, Who::Banda, "1.2.3");
        let again = scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 1);
        assert_eq!(scene.item().requests[&again.hash()].answer, Answer::Refused(Reason::Released));
        scene.request(Who::Home, Who::Banda, "1.2.9");
        settle(&mut scene, &mut desk, Who::Home, 2);
        assert_eq!(scene.item().claim.holder(), Some(Who::Banda.person()));
    }

    #[test]
    fn a_case_with_its_final_report_is_given_to_nobody() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        let token = scene.item().claim.token_of(&Who::Banda.person());
        let report = scene.report(Who::Home, Who::Banda, Status::Final, token, None);
        let late = scene.request(Who::Far, Who::Phiri, "1.2.4");
        settle(&mut scene, &mut desk, Who::Home, 10);
        let item = scene.item();
        assert_eq!(item.claim, ClaimState::Completed { report });
        assert_eq!(item.requests[&late.hash()].answer, Answer::Refused(Reason::Completed { report }));
        assert_eq!(desk.next_due(), None);
    }

    #[test]
    fn a_stranger_and_a_revoked_reader_get_nothing() {
        let (mut scene, mut desk) = open_case();
        let stranger = scene.request(Who::Home, Who::Relay, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        assert_eq!(scene.item().requests[&stranger.hash()].answer, Answer::Refused(Reason::NotAReader));
        scene.request(Who::Home, Who::Banda, "1.2.4");
        settle(&mut scene, &mut desk, Who::Home, 1);
        assert_eq!(scene.item().claim.holder(), Some(Who::Banda.person()));
        scene.state(&StatementBody::Revoke(Subject::Person(Who::Banda.person())));
        settle(&mut scene, &mut desk, Who::Home, 2);
        assert_eq!(scene.item().claim, ClaimState::Free);
    }

    #[test]
    fn only_the_home_hub_decides() {
        let (mut scene, _) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        for other in [Who::Standby, Who::Far, Who::Relay] {
            assert!(Desk::new(other.node()).consider(&scene.item(), &scene.roster, Life::First, at(0).mono).is_empty());
        }
        assert!(matches!(scene.item().claim, ClaimState::Tentative { .. }));
    }

    #[test]
    fn a_standby_that_takes_over_outranks_every_old_token() {
        let (mut scene, mut desk) = open_case();
        scene.request(Who::Home, Who::Banda, "1.2.3");
        settle(&mut scene, &mut desk, Who::Home, 0);
        let role = crate::roster::Role::Spoke;
        scene.admit(Who::Spoke, role, "north", (Some(Who::Standby), None), crate::roster::Term(2));
        let mut taker = Desk::new(Who::Standby.node());
        assert!(settle(&mut scene, &mut taker, Who::Standby, 0).is_empty(), "the old lease still runs");
        assert!(settle(&mut scene, &mut desk, Who::Home, 0).is_empty(), "the old home hub decides no more");
        let lapsed = taker.lapsed(taker.next_due().unwrap());
        lapsed.into_iter().for_each(|(_, body)| drop(scene.write(Who::Standby, &body)));
        scene.request(Who::Far, Who::Phiri, "1.2.4");
        settle(&mut scene, &mut taker, Who::Standby, 9_000);
        let token = scene.item().claim.token_of(&Who::Phiri.person()).unwrap();
        assert_eq!(token, Token { term: crate::roster::Term(2), counter: 1 });
        assert_eq!(scene.item().case, CASE);
    }
}
