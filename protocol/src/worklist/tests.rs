//! The worklist as a clinic and a reader would see it, from events in any order.

use super::{
    Worklist,
    item::{CustodyState, Place, Reading, Review, State},
    scene::{CASE, Scene, Who, at, manifest},
};
use crate::{
    claim::{Answer, ClaimState, Desk, Grant, Lapsed, Life, Token, Transaction},
    class::Class,
    envelope::reading::ReadingKey,
    id::EventHash,
    log::{Event, Scope, body::Body, witness::Witnessed},
    report::Status,
    roster::{
        PersonRole, RosterVersion, Term,
        statement::{AdmitPerson, StatementBody, Subject},
    },
    time::{Millis, Wall},
};
use proptest::prelude::*;

fn token(counter: u64) -> Token {
    Token { term: Term(1), counter }
}

fn grant(scene: &mut Scene, reader: Who, uid: &str, counter: u64, reports: &[EventHash]) -> Event {
    let request = scene.request(Who::Home, reader, uid);
    scene.write(
        Who::Home,
        &Body::Grant(Grant {
            case: CASE,
            claimant: reader.person(),
            transaction: Transaction::of(uid),
            request: request.hash(),
            token: token(counter),
            ttl: Millis::from_secs(3600),
            reports: reports.to_vec(),
            roster_version: scene.roster.version(),
        }),
    )
}

fn open_case() -> Scene {
    let mut scene = Scene::new();
    scene.order(Class::Stat);
    scene
}

fn place(scene: &Scene, report: EventHash) -> Place {
    scene.item().reports[&report].place
}

#[test]
fn a_case_goes_from_scheduled_to_in_progress_to_completed_and_delivered() {
    let mut scene = open_case();
    assert_eq!((scene.item().state, scene.item().class), (State::Scheduled, Class::Stat));
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    assert_eq!(scene.item().state, State::InProgress);
    let report = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    let item = scene.item();
    assert_eq!((item.state, item.standing), (State::Completed, Some(report)));
    assert_eq!(item.reports[&report].place, Place::Standing);
    scene.shown(report);
    assert_eq!(scene.item().reports[&report].delivered, super::item::Delivered::Yes);
}

#[test]
fn the_latest_order_gives_the_class() {
    let mut scene = open_case();
    scene.order(Class::Routine);
    let last = scene.order(Class::Urgent);
    let item = scene.item();
    assert_eq!((item.class, item.order.map(|order| order.event)), (Class::Urgent, Some(last.hash())));
}

#[test]
fn ready_to_read_needs_every_parcel_opened_by_one_hub_and_counted_equal() {
    let mut scene = open_case();
    scene.parcel(1, 10);
    scene.parcel(2, 20);
    scene.opened(Who::Home, &[(1, 10), (2, 20)]);
    assert!(matches!(scene.item().reading, Reading::NotYet { counted: 30, expected: 30 }), "the Study is still open");
    scene.close(&[(1, 10), (2, 20), (3, 5)]);
    assert_eq!(scene.item().reading, Reading::NotYet { counted: 30, expected: 35 });
    scene.parcel(3, 5);
    scene.opened(Who::Standby, &[(3, 5)]);
    assert_eq!(scene.item().reading, Reading::NotYet { counted: 30, expected: 35 }, "two hubs, each with a part");
    scene.opened(Who::Home, &[(3, 5)]);
    assert_eq!(scene.item().reading, Reading::Ready { hub: Who::Home.node() });
}

#[test]
fn a_count_that_differs_is_shown_and_never_ready() {
    let mut scene = open_case();
    scene.parcel(1, 10);
    scene.close(&[(1, 10)]);
    scene.opened(Who::Home, &[(1, 9)]);
    let expected = Reading::Miscounted { manifest: manifest(1), hub: Who::Home.node(), found: 9, announced: 10 };
    assert_eq!(scene.item().reading, expected);
}

#[test]
fn a_relay_that_says_opened_is_not_believed() {
    let mut scene = open_case();
    scene.parcel(1, 10);
    scene.close(&[(1, 10)]);
    scene.opened(Who::Relay, &[(1, 10)]);
    assert_eq!(scene.item().reading, Reading::NotYet { counted: 0, expected: 10 });
}

#[test]
fn another_node_cannot_order_announce_or_close_for_a_clinic() {
    let mut scene = open_case();
    scene.parcel(1, 10);
    scene.close(&[(1, 10)]);
    let before = scene.item();
    let stolen: Vec<Body> = scene.written.iter().map(|event| event.body().unwrap().unwrap()).collect();
    for mut body in stolen {
        match &mut body {
            Body::Order(order) => order.class = Class::Prior,
            Body::ParcelSealed(parcel) => parcel.manifest = manifest(77),
            Body::StudyClosed(closed) => closed.parcels.clear(),
            _ => {}
        }
        scene.write(Who::Home, &body);
    }
    assert_eq!(scene.item(), before);
}

#[test]
fn out_of_the_home_hubs_reach_the_lower_hub_holds_the_case_and_it_says_tentative() {
    let mut scene = open_case();
    scene.request(Who::Far, Who::Phiri, "1.2.4");
    scene.request(Who::Standby, Who::Banda, "1.2.3");
    let first = [Who::Far, Who::Standby].into_iter().min_by_key(|who| who.node()).unwrap();
    let ClaimState::Tentative { hub, .. } = scene.item().claim else { panic!("{:?}", scene.item().claim) };
    assert_eq!((hub, scene.item().state), (first.node(), State::InProgress));
    grant(&mut scene, Who::Phiri, "1.2.9", 1, &[]);
    assert_eq!(scene.item().claim.token_of(&Who::Phiri.person()), Some(token(1)), "a granted claim is above");
}

#[test]
fn a_grant_by_anybody_but_the_home_hub_is_nothing() {
    for author in [Who::Far, Who::Standby, Who::Relay, Who::Spoke] {
        let mut scene = open_case();
        let body = match grant(&mut scene, Who::Banda, "1.2", 1, &[]).body() {
            Ok(Some(Body::Grant(grant))) => grant,
            other => panic!("{other:?}"),
        };
        let mut forged = open_case();
        forged.write(author, &Body::Grant(body));
        assert_eq!((forged.item().claim, forged.item().token), (ClaimState::Free, None), "{author:?}");
    }
}

#[test]
fn a_hub_that_was_never_home_can_grant_lapse_and_vouch_in_no_term() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    for term in [Term(0), Term(2)] {
        let token = Token { term, counter: 1 };
        let Ok(Some(Body::Grant(genuine))) = scene.written.last().unwrap().body() else { panic!() };
        let grant = Grant { claimant: Who::Phiri.person(), token, ttl: Millis(u64::MAX), ..genuine.clone() };
        scene.write(Who::Standby, &Body::Grant(grant));
        scene.write(Who::Standby, &Body::ClaimLapsed(Lapsed { case: CASE, token: Token { term, counter: 9 } }));
        scene.write(Who::Home, &Body::Grant(genuine));
        assert_eq!(scene.item().claim.token_of(&Who::Banda.person()), Some(self::token(1)), "term {term}");
    }
    scene.state(&StatementBody::Revoke(Subject::Person(Who::Banda.person())));
    let forged = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    for term in [Term(0), Term(1), Term(2)] {
        let seen = Witnessed { case: CASE, events: vec![forged], term, roster_version: RosterVersion(1) };
        scene.write(Who::Standby, &Body::Witnessed(seen));
        assert_eq!(scene.item().reports[&forged].review, Review::Marked, "term {term}");
    }
}

#[test]
fn a_lease_longer_than_any_policy_is_counted_as_the_longest() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let Ok(Some(Body::Grant(genuine))) = scene.written.last().unwrap().body() else { panic!() };
    scene.write(Who::Home, &Body::Grant(Grant { token: token(2), ttl: Millis(u64::MAX), ..genuine }));
    let ClaimState::Granted { ttl, .. } = scene.item().claim else { panic!() };
    assert_eq!(ttl, *crate::roster::fold::CLAIM_LEASE_RANGE.end());
}

#[test]
fn a_report_on_its_way_while_its_reader_renewed_still_stands() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    grant(&mut scene, Who::Banda, "1.9", 2, &[]);
    let report = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    assert_eq!(scene.item().standing, Some(report));
}

#[test]
fn a_token_that_names_no_grant_outranks_none() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let early = scene.report(Who::Home, Who::Banda, Status::Preliminary, Some(token(u64::MAX)), None);
    let later = scene.report(Who::Home, Who::Banda, Status::Preliminary, Some(token(1)), Some(early));
    assert_eq!((scene.item().standing, place(&scene, early)), (Some(later), Place::Superseded));
}

#[test]
fn a_reader_who_lost_the_role_keeps_the_reports_the_home_hub_had_seen_and_signs_no_more() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let before = scene.report(Who::Home, Who::Banda, Status::Preliminary, Some(token(1)), None);
    let (_, seen) =
        scene.folded(&scene.written).to_witness((&CASE, &Who::Spoke.node()), &Who::Home.node(), &scene.roster).unwrap();
    scene.write(Who::Home, &Body::Witnessed(seen));
    let banda = |roles| {
        StatementBody::AdmitPerson(AdmitPerson {
            person: Who::Banda.person(),
            reading: ReadingKey::from_seed([Who::Banda as u8; 32]).public(),
            name: "Dr Banda".into(),
            roles,
            region: super::scene::region("north"),
        })
    };
    scene.state(&banda(vec![PersonRole::Clinician]));
    let after = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), Some(before));
    let item = scene.item();
    assert_eq!((item.reports[&before].review, item.standing), (Review::Sound, Some(before)));
    assert_eq!(item.reports[&after].review, Review::Marked);
    scene.state(&banda(vec![PersonRole::Radiologist]));
    assert_eq!(scene.item().reports[&after].review, Review::Sound, "a role can be given back; a key can not");
}

#[test]
fn a_revoked_standby_makes_safe_only_what_the_home_hub_had_seen_it_sign() {
    let mut scene = open_case();
    scene.parcel(1, 10);
    scene.close(&[(1, 10)]);
    scene.receipt(Who::Home, 1);
    scene.receipt(Who::Standby, 1);
    let (_, seen) =
        scene.folded(&scene.written).to_witness((&CASE, &Who::Spoke.node()), &Who::Home.node(), &scene.roster).unwrap();
    scene.write(Who::Home, &Body::Witnessed(seen));
    scene.state(&StatementBody::Revoke(Subject::Node(Who::Standby.node())));
    assert_eq!(scene.item().custody, CustodyState::Safe);
    scene.parcel(2, 10);
    scene.close(&[(1, 10), (2, 10)]);
    scene.receipt(Who::Home, 2);
    scene.receipt(Who::Standby, 2);
    assert_eq!(scene.item().custody, CustodyState::Delivered, "signed with a stolen key");
}

#[test]
fn a_revoked_home_hub_grants_and_vouches_no_more() {
    let mut scene = open_case();
    let report = scene.report(Who::Home, Who::Banda, Status::Final, None, None);
    scene.state(&StatementBody::Revoke(Subject::Node(Who::Home.node())));
    grant(&mut scene, Who::Phiri, "1.2", 1, &[report]);
    let version = scene.roster.version();
    scene.state(&StatementBody::Revoke(Subject::Person(Who::Banda.person())));
    let seen = Witnessed { case: CASE, events: vec![report], term: Term(1), roster_version: version };
    scene.write(Who::Home, &Body::Witnessed(seen));
    let item = scene.item();
    assert_eq!((item.claim.holder(), item.token), (None, None));
    assert_eq!(item.reports[&report].review, Review::Marked);
}

#[test]
fn two_clinics_with_one_case_id_hide_nothing_of_each_other() {
    let mut scene = open_case();
    let other = Scope::Site(Who::Far.node());
    let mut list = scene.folded(&scene.written);
    let body = scene.written[0].body().unwrap().unwrap();
    let event = scene.logs(Who::Far).append(&Who::Far.key(), other, &body, Wall(1)).unwrap();
    assert_eq!(list.apply(&event, &scene.roster), Some((CASE, Who::Far.node())));
    scene.receipt(Who::Home, 1);
    let sites = [Who::Spoke.node(), Who::Far.node()];
    let listed = sites.map(|site| list.item_of(&CASE, &site).map(|item| item.site));
    assert_eq!(listed, sites.map(Some));
    assert!(list.item(&CASE).is_none(), "the id alone says which no more");
}

#[test]
fn a_lapse_by_anybody_but_the_home_hub_is_nothing() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    scene.write(Who::Far, &Body::ClaimLapsed(Lapsed { case: CASE, token: token(1) }));
    assert_eq!(scene.item().state, State::InProgress);
    scene.write(Who::Home, &Body::ClaimLapsed(Lapsed { case: CASE, token: token(1) }));
    assert_eq!(scene.item().state, State::Scheduled);
}

#[test]
fn a_release_by_another_reader_frees_nothing() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    scene.release(Who::Home, Who::Phiri, "1.2");
    assert_eq!(scene.item().claim.holder(), Some(Who::Banda.person()));
    scene.release(Who::Home, Who::Banda, "1.2");
    assert_eq!(scene.item().claim, ClaimState::Free);
}

#[test]
fn report_with_older_token_is_kept_as_second_read() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    grant(&mut scene, Who::Phiri, "1.3", 2, &[]);
    let late = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    assert_eq!((place(&scene, late), scene.item().standing), (Place::SecondRead, None));
    assert_eq!(scene.item().state, State::InProgress, "the holder reads on");
    let report = scene.report(Who::Far, Who::Phiri, Status::Final, Some(token(2)), None);
    assert_eq!((place(&scene, late), scene.item().standing), (Place::SecondRead, Some(report)));
}

#[test]
fn a_final_the_hub_had_seen_before_it_granted_again_stays_the_final() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let first = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    grant(&mut scene, Who::Phiri, "1.3", 2, &[first]);
    let second = scene.report(Who::Far, Who::Phiri, Status::Final, Some(token(2)), None);
    assert_eq!(scene.item().standing, Some(first));
    assert_eq!(place(&scene, second), Place::SecondRead);
}

#[test]
fn a_renewed_claim_is_the_same_claim_for_its_report() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    grant(&mut scene, Who::Banda, "1.2", 2, &[]);
    let report = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    assert_eq!(scene.item().standing, Some(report));
}

#[test]
fn a_tentative_report_stands_until_a_granted_one_arrives_and_the_clinic_sees_changed() {
    let mut scene = open_case();
    scene.request(Who::Far, Who::Phiri, "1.1");
    let tentative = scene.report(Who::Far, Who::Phiri, Status::Final, None, None);
    assert_eq!((scene.item().standing, place(&scene, tentative)), (Some(tentative), Place::StandingTentative));
    assert_eq!(scene.item().state, State::Completed);
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let granted = scene.report(Who::Home, Who::Banda, Status::Preliminary, Some(token(1)), None);
    assert_eq!((scene.item().standing, place(&scene, tentative)), (Some(granted), Place::Changed));
    assert_eq!(scene.item().state, State::InProgress, "a preliminary does not complete the case");
}

#[test]
fn a_reader_who_never_asked_for_a_case_gives_a_second_read_and_takes_nothing_from_its_holder() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let stray = scene.report(Who::Far, Who::Phiri, Status::Final, None, None);
    assert_eq!((place(&scene, stray), scene.item().standing), (Place::SecondRead, None));
    assert_eq!(scene.item().claim.holder(), Some(Who::Banda.person()));
}

#[test]
fn a_final_under_a_claim_that_was_refused_leaves_the_case_with_its_holder() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    scene.request(Who::Far, Who::Phiri, "1.3");
    let tentative = scene.report(Who::Far, Who::Phiri, Status::Final, None, None);
    assert_eq!(place(&scene, tentative), Place::StandingTentative);
    assert_eq!(scene.item().claim.holder(), Some(Who::Banda.person()));
    let granted = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    assert_eq!((scene.item().standing, place(&scene, tentative)), (Some(granted), Place::Changed));
}

#[test]
fn a_report_made_out_of_reach_counts_as_granted_once_the_hub_gave_its_reader_the_case() {
    let mut scene = open_case();
    let report = scene.report(Who::Far, Who::Phiri, Status::Final, None, None);
    grant(&mut scene, Who::Phiri, "1.2", 1, &[]);
    assert_eq!(place(&scene, report), Place::Standing);
}

#[test]
fn a_report_with_the_token_of_another_reader_is_a_second_read() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let borrowed = scene.report(Who::Far, Who::Phiri, Status::Final, Some(token(1)), None);
    assert_eq!((place(&scene, borrowed), scene.item().standing), (Place::SecondRead, None));
}

#[test]
fn preliminary_then_final_then_addendum_all_stay_in_sight() {
    use Place::{SecondRead, Standing, Superseded};
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let early = scene.report(Who::Home, Who::Banda, Status::Preliminary, Some(token(1)), None);
    let better = scene.report(Who::Home, Who::Banda, Status::Preliminary, Some(token(1)), Some(early));
    assert_eq!((place(&scene, early), scene.item().standing), (Superseded, Some(better)));
    let fin = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), Some(better));
    let more = scene.report(Who::Home, Who::Banda, Status::Addendum, Some(token(1)), Some(fin));
    let again = scene.report(Who::Far, Who::Phiri, Status::Addendum, None, Some(more));
    let second = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), Some(fin));
    let places: Vec<Place> = [early, better, fin, more, again, second].map(|r| place(&scene, r)).into();
    assert_eq!(places, [Superseded, Superseded, Standing, Standing, Standing, SecondRead]);
    assert_eq!(scene.item().standing_report(), Some((fin, Status::Final)));
}

#[test]
fn a_statement_signed_by_one_and_sent_as_anothers_leaves_no_trace() {
    let mut scene = open_case();
    scene.request(Who::Home, Who::Banda, "1.2");
    let said = match scene.written.last().map(Event::body) {
        Some(Ok(Some(Body::ClaimRequest(said)))) => said,
        other => panic!("{other:?}"),
    };
    let mut forged = open_case();
    // Another node, another kind: the signature is over both.
    forged.write(Who::Far, &Body::ClaimRequest(said.clone()));
    forged.write(Who::Home, &Body::Report(said.clone()));
    forged.write(Who::Home, &Body::ClaimReleased(said));
    let item = forged.item();
    assert!(item.requests.is_empty() && item.reports.is_empty() && item.released.is_empty());
}

#[test]
fn a_statement_of_another_federation_leaves_no_trace() {
    let mut scene = open_case();
    scene.federation.0[0] ^= 1;
    scene.request(Who::Home, Who::Banda, "1.2");
    scene.federation.0[0] ^= 1;
    assert!(scene.item().requests.is_empty());
}

#[test]
fn a_claim_on_what_no_spoke_announced_makes_no_item() {
    let mut scene = Scene::new();
    scene.request(Who::Home, Who::Banda, "1.2");
    let list = scene.folded(&scene.written);
    assert!(list.item(&CASE).is_none() && list.items().next().is_none());
    scene.order(Class::Routine);
    assert_eq!(scene.item().requests.len(), 1, "and is there when the order comes");
}

#[test]
fn a_report_signed_with_a_stolen_key_after_the_revocation_never_stands() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    scene.state(&StatementBody::Revoke(Subject::Person(Who::Banda.person())));
    let forged = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    let witnessed =
        Witnessed { case: CASE, events: vec![forged], term: Term(1), roster_version: scene.roster.version() };
    scene.write(Who::Home, &Body::Witnessed(witnessed));
    let item = scene.item();
    assert_eq!((item.reports[&forged].review, item.standing), (Review::Marked, None));
}

#[test]
fn a_report_the_home_hub_saw_before_the_revocation_stays_good() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let report = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    let list = scene.folded(&scene.written);
    let (scope, witnessed) = list.to_witness((&CASE, &Who::Spoke.node()), &Who::Home.node(), &scene.roster).unwrap();
    assert_eq!(scope, Scope::Site(Who::Spoke.node()));
    assert!(list.to_witness((&CASE, &Who::Spoke.node()), &Who::Far.node(), &scene.roster).is_none());
    let unseen = scene.roster.version();
    scene.write(Who::Home, &Body::Witnessed(witnessed));
    assert!(
        scene
            .folded(&scene.written)
            .to_witness((&CASE, &Who::Spoke.node()), &Who::Home.node(), &scene.roster)
            .is_none()
    );
    scene.state(&StatementBody::Revoke(Subject::Person(Who::Banda.person())));
    assert!(scene.roster.version() > unseen);
    let item = scene.item();
    assert_eq!((item.reports[&report].review, item.standing), (Review::Sound, Some(report)));
}

#[test]
fn a_witness_that_is_not_the_home_hub_saves_no_report_of_a_revoked_reader() {
    let mut scene = open_case();
    let report = scene.report(Who::Far, Who::Banda, Status::Final, None, None);
    for author in [Who::Far, Who::Relay, Who::Spoke, Who::Standby] {
        let seen = Witnessed { case: CASE, events: vec![report], term: Term(1), roster_version: RosterVersion(1) };
        scene.write(author, &Body::Witnessed(seen));
    }
    assert_eq!(scene.item().reports[&report].review, Review::Sound, "not revoked yet");
    scene.state(&StatementBody::Revoke(Subject::Person(Who::Banda.person())));
    assert_eq!(scene.item().reports[&report].review, Review::Marked);
}

#[test]
fn a_revocation_that_arrives_after_the_events_changes_the_list_all_the_same() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let report = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    let mut list = scene.folded(&scene.written);
    assert_eq!(list.item(&CASE).unwrap().standing, Some(report));
    scene.state(&StatementBody::Revoke(Subject::Person(Who::Banda.person())));
    list.roster_changed(&scene.roster);
    assert_eq!(list.item(&CASE), Some(&scene.item()));
    assert_eq!(scene.item().standing, None);
}

#[test]
fn a_revoked_spokes_parcels_are_marked_unless_the_home_hub_had_signed_for_them() {
    let mut scene = open_case();
    scene.parcel(1, 10);
    scene.receipt(Who::Home, 1);
    scene.state(&StatementBody::Revoke(Subject::Node(Who::Spoke.node())));
    assert_eq!(scene.item().review, Review::Sound);
    scene.parcel(2, 10);
    scene.receipt(Who::Home, 2);
    assert_eq!(scene.item().review, Review::Marked);
}

#[test]
fn stat_is_read_before_routine_and_open_before_completed() {
    let mut scene = open_case();
    grant(&mut scene, Who::Banda, "1.2", 1, &[]);
    let done = scene.report(Who::Home, Who::Banda, Status::Final, Some(token(1)), None);
    let mut completed = scene.item();
    let mut routine = open_case().item();
    routine.class = Class::Routine;
    let stat = open_case().item();
    completed.class = Class::Stat;
    assert_eq!(completed.standing, Some(done));
    let mut items = [&completed, &routine, &stat];
    items.sort_by(|a, b| super::priority::first_to_read(a, b));
    assert_eq!(
        items.map(|item| (item.class, item.state)),
        [(Class::Stat, State::Scheduled), (Class::Routine, State::Scheduled), (Class::Stat, State::Completed),]
    );
}

/// A busy case: everything that can happen to it, by chance.
fn busy(steps: &[(u8, u8)]) -> Scene {
    let mut scene = open_case();
    let mut desk = Desk::new(Who::Home.node());
    let readers = [(Who::Home, Who::Banda), (Who::Far, Who::Phiri), (Who::Standby, Who::Banda)];
    let mut last = None;
    for (step, (what, n)) in steps.iter().enumerate() {
        let (hub, reader) = readers[*n as usize % readers.len()];
        let uid = format!("1.2.{}", n % 4);
        match what % 12 {
            0 => drop(scene.order([Class::Stat, Class::Urgent, Class::Routine][*n as usize % 3])),
            1 => drop(scene.parcel(n % 5, 10)),
            2 => drop(scene.close(&[(n % 5, 10), (0, 10)])),
            3 => drop(scene.receipt([Who::Home, Who::Standby, Who::Far][*n as usize % 3], n % 5)),
            4 => drop(scene.opened([Who::Home, Who::Far][*n as usize % 2], &[(n % 5, 9 + u32::from(n % 2)), (0, 10)])),
            5 | 6 => drop(scene.request(hub, reader, &uid)),
            7 => drop(scene.release(hub, reader, &uid)),
            8 | 9 => {
                let status = [Status::Preliminary, Status::Final, Status::Addendum][*n as usize % 3];
                let held = scene.item().claim.token_of(&reader.person());
                last = Some(scene.report(hub, reader, status, held.filter(|_| n % 5 != 0), last));
            }
            10 => {
                if let Some(report) = last {
                    scene.shown(report);
                }
            }
            _ => {
                let over = desk.lapsed(at(1_000_000 * step as u64).mono);
                over.into_iter().for_each(|(_, body)| drop(scene.write(Who::Home, &body)));
            }
        }
        // The home hub is not always in reach.
        if n % 3 != 0 {
            let decided = desk.consider(&scene.item(), &scene.roster, Life::First, at(1_000_000 * step as u64).mono);
            decided.iter().for_each(|body| drop(scene.write(Who::Home, body)));
        }
    }
    scene
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_order_and_any_repetition_of_the_same_events_give_the_same_list(
        steps in prop::collection::vec((any::<u8>(), any::<u8>()), 1..40), shuffle in any::<u64>(), revoke in any::<bool>(),
    ) {
        let mut scene = busy(&steps);
        if revoke {
            scene.state(&StatementBody::Revoke(Subject::Person(Who::Banda.person())));
        }
        let expected = scene.item();
        let mut events = scene.written.clone();
        let mut chance = shuffle;
        let mut next = |below: usize| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) as usize % below
        };
        let twice: Vec<Event> = (0..events.len() / 2).map(|_| events[next(events.len())].clone()).collect();
        events.extend(twice);
        for at in (1..events.len()).rev() {
            events.swap(at, next(at + 1));
        }
        let list = scene.folded(&events);
        prop_assert_eq!(list.item(&CASE), Some(&expected));
    }

    #[test]
    fn the_desk_never_gives_one_token_twice_nor_one_case_to_two(
        steps in prop::collection::vec((any::<u8>(), any::<u8>()), 1..60),
    ) {
        let scene = busy(&steps);
        let grants: Vec<Grant> = scene.written.iter().filter_map(|event| match event.body() {
            Ok(Some(Body::Grant(grant))) => Some(grant),
            _ => None,
        }).collect();
        for pair in grants.windows(2) {
            prop_assert!(pair[0].token < pair[1].token);
        }
        let waiting = scene.item().requests.values().filter(|r| matches!(r.answer, Answer::Granted { .. })).count();
        prop_assert!(waiting <= grants.len());
    }
}

#[test]
fn an_event_costs_its_bytes_once_and_makes_one_case_new() {
    let mut scene = Scene::new();
    let mut logs = scene.logs(Who::Home);
    let mut list = Worklist::new(scene.federation);
    let Ok(Some(Body::Receipt(receipt))) = scene.receipt(Who::Home, 1).body() else { panic!() };
    let scope = Scope::Site(Who::Spoke.node());
    let mut bytes = 0;
    for n in 0..10_000u32 {
        let mut receipt = receipt.clone();
        receipt.case.0[..4].copy_from_slice(&(n % 100).to_be_bytes());
        receipt.core.0[..4].copy_from_slice(&n.to_be_bytes());
        let event = logs.append(&Who::Home.key(), scope, &Body::Receipt(receipt), Wall(1)).unwrap();
        bytes += event.bytes().len();
        list.apply(&event, &scene.roster);
    }
    assert_eq!(logs.len(), 10_000);
    assert!(bytes / 10_000 < 320, "{} bytes an event", bytes / 10_000);
    assert_eq!(list.cases.len(), 100);
}
