//! Retention: what is let go of, when, and what never is.

use super::world::{SealedParcel, World};
use crate::{
    class::Class,
    id::CaseId,
    log::{
        Scope,
        body::{Body, StudyClosed},
    },
    node::{
        Command,
        retention::{NOTICE_HOURS, Step},
    },
    roster::Role::{Hub, Relay, Spoke},
};

const SPOKE: usize = 0;
const HUB: usize = 1;
const STANDBY: usize = 2;
const CASE: CaseId = CaseId([1; 32]);
const KEEP_HOURS: u32 = 100;

/// These nodes, all connected to all, of which each keeps what others hold for 100 hours.
fn keeping(roles: &[crate::roster::Role]) -> World {
    let mut world = World::new(roles);
    world.configure(|config| config.keep_hours = KEEP_HOURS);
    for b in 1..roles.len() {
        (0..b).for_each(|a| {
            world.connect(a, b);
        });
    }
    world
}

fn announce(world: &mut World) -> SealedParcel {
    let parcel = world.announce_of(SPOKE, CASE, 10_000, Class::Routine);
    world.run(1_000);
    parcel
}

fn close(world: &mut World, parcels: &[&SealedParcel]) {
    let parcels = parcels.iter().map(|parcel| (parcel.manifest.id(), 1)).collect();
    let (scope, body) = (Scope::Site(world.node(SPOKE).id()), Body::StudyClosed(StudyClosed { case: CASE, parcels }));
    world.command(SPOKE, Command::Append { scope, body: Box::new(body) });
    world.run(10_000);
}

fn hours(world: &mut World, hours: u32) {
    world.run(u64::from(hours) * 3_600_000);
}

fn is_here(world: &World, at: usize, parcel: &SealedParcel) -> bool {
    let id = parcel.manifest.id();
    assert_eq!(world.machines[at].disk.files.contains_key(&id), world.node(at).parcel(&id).is_some());
    world.node(at).parcel(&id).is_some()
}

#[test]
fn a_spoke_frees_what_is_safe_when_its_time_is_over_and_not_an_hour_before_and_custodians_nothing() {
    let mut world = keeping(&[Spoke, Hub, Hub, Relay]);
    let parcel = announce(&mut world);
    close(&mut world, &[&parcel]);
    let id = parcel.manifest.id();
    hours(&mut world, KEEP_HOURS - NOTICE_HOURS - 1);
    assert_eq!(world.node(SPOKE).aging()[0].step, Step::Kept);
    assert!(world.node(HUB).holders(&id).contains(&world.node(SPOKE).id()));
    hours(&mut world, 3);
    let aging = world.node(SPOKE).aging();
    assert_eq!((aging[0].step, aging[0].manifest, aging[0].bytes), (Step::Announced, id, parcel.bytes.len() as u64));
    assert!(!world.node(HUB).holders(&id).contains(&world.node(SPOKE).id()), "a hub relies on it no more");
    hours(&mut world, aging[0].hours - 1);
    assert!(is_here(&world, SPOKE, &parcel) && is_here(&world, 3, &parcel));
    hours(&mut world, 2);
    assert!(!is_here(&world, SPOKE, &parcel) && !is_here(&world, 3, &parcel));
    assert!(world.is_complete(HUB, &parcel) && world.is_complete(STANDBY, &parcel));
    assert_eq!(world.node(SPOKE).counters().freed_parcels, 1);
    let before = world.fragment_bytes(HUB) + world.fragment_bytes(STANDBY);
    world.power_cut(SPOKE);
    world.connect(SPOKE, HUB);
    hours(&mut world, 24);
    assert!(!is_here(&world, SPOKE, &parcel) && world.node(SPOKE).mending().next().is_none());
    assert_eq!(world.fragment_bytes(HUB) + world.fragment_bytes(STANDBY), before, "nothing comes back");
    assert!(world.is_complete(HUB, &parcel) && world.is_complete(STANDBY, &parcel));
}

#[test]
fn what_is_only_delivered_or_still_open_is_never_freed() {
    let mut world = keeping(&[Spoke, Hub, Hub]);
    let open = world.announce_of(SPOKE, CaseId([2; 32]), 10_000, Class::Routine);
    let closed = announce(&mut world);
    close(&mut world, &[&closed]);
    world.power_cut(STANDBY);
    let late = announce(&mut world);
    close(&mut world, &[&closed, &late]);
    hours(&mut world, KEEP_HOURS + NOTICE_HOURS);
    assert!([&open, &closed, &late].iter().all(|parcel| is_here(&world, SPOKE, parcel)));
    assert!(world.node(SPOKE).aging().is_empty());
}

#[test]
fn what_is_announced_and_unsafe_again_stays_and_is_announced_anew() {
    let mut world = keeping(&[Spoke, Hub, Hub]);
    let parcel = announce(&mut world);
    close(&mut world, &[&parcel]);
    hours(&mut world, KEEP_HOURS - 10);
    assert_eq!(world.node(SPOKE).aging()[0].step, Step::Announced);
    world.power_cut(STANDBY);
    let late = announce(&mut world);
    close(&mut world, &[&parcel, &late]);
    hours(&mut world, 24);
    assert!(is_here(&world, SPOKE, &parcel) && world.node(SPOKE).aging().is_empty());
    world.connect(HUB, STANDBY);
    hours(&mut world, 2);
    let aging = world.node(SPOKE).aging();
    assert!(aging.len() == 2 && aging.iter().all(|a| a.step == Step::Kept && a.hours > KEEP_HOURS - 3));
    hours(&mut world, KEEP_HOURS + 1);
    assert!(!is_here(&world, SPOKE, &parcel) && !is_here(&world, SPOKE, &late));
}

#[test]
fn a_custodian_that_was_revoked_holds_nothing_for_anybody_after_a_restart_either() {
    let mut world = keeping(&[Spoke, Hub, Hub]);
    let parcel = announce(&mut world);
    close(&mut world, &[&parcel]);
    hours(&mut world, 2);
    assert_eq!(world.node(SPOKE).aging().len(), 1);
    let revoked = world.ministry.revoke(world.node(STANDBY).id());
    world.command(SPOKE, Command::Statements(vec![revoked]));
    hours(&mut world, 2);
    let before = world.node(SPOKE).aging();
    world.power_cut(SPOKE);
    assert_eq!(world.node(SPOKE).aging(), before);
    assert!(before.is_empty(), "{before:?}");
}

#[test]
fn where_one_hub_is_all_there_is_nothing_goes_in_the_first_thirty_days() {
    let mut world = keeping(&[Spoke, Hub]);
    let parcel = announce(&mut world);
    close(&mut world, &[&parcel]);
    hours(&mut world, 30 * 24 - 1);
    assert!(is_here(&world, SPOKE, &parcel));
    hours(&mut world, 3);
    assert!(!is_here(&world, SPOKE, &parcel));
}

#[test]
fn only_hours_that_the_node_has_run_count_over_any_number_of_power_cuts() {
    let mut world = keeping(&[Spoke, Hub, Hub]);
    let parcel = announce(&mut world);
    close(&mut world, &[&parcel]);
    for _ in 0..KEEP_HOURS - 1 {
        world.run(70 * 60_000);
        assert!(is_here(&world, SPOKE, &parcel));
        world.power_cut(SPOKE);
    }
    let left = world.node(SPOKE).aging()[0];
    assert!(left.step == Step::Announced && left.hours == 1, "{left:?}");
    hours(&mut world, 2);
    assert!(!is_here(&world, SPOKE, &parcel));
}

#[test]
fn a_time_that_was_made_shorter_is_announced_first() {
    let mut world = keeping(&[Spoke, Hub, Hub]);
    let parcel = announce(&mut world);
    close(&mut world, &[&parcel]);
    hours(&mut world, 20);
    world.configure(|config| config.keep_hours = 1);
    hours(&mut world, NOTICE_HOURS);
    assert!(is_here(&world, SPOKE, &parcel));
    hours(&mut world, 2);
    assert!(!is_here(&world, SPOKE, &parcel));
}
