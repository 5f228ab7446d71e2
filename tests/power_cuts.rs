//! The power goes while a clinic and a reading room work, and goes again while the node comes back.
//!
//! The node's directory lies on a file system of its own ([`world::disk`]); a cut takes all that was not synced. Cuts
//! come three in a row, the second and third within two seconds of the restart. Then every promise that was written
//! down outside of the nodes is looked for: first at that node alone, so that no other can mend what it lost, then in
//! the whole. `RADMESH_TEST_CUTS` sets the cuts of each node (default 3). Needs root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{thread, time::Duration};
use world::{NodePlace, Running, World, disk::Disk, load::Town, moment, until};

const IN_A_ROW: usize = 3;
/// A Study is received, closes after two seconds, is packed, travels, is opened, claimed and reported on.
const AT_WORK: Duration = Duration::from_secs(5);
const RECOVERING: Duration = Duration::from_secs(2);

fn chains() -> usize {
    world::figure("RADMESH_TEST_CUTS", IN_A_ROW).div_ceil(IN_A_ROW)
}

/// Lets the power of `victim` go three times in a row while the town works.
fn cuts(town: &Town<'_>, disk: &mut Disk, victim: &NodePlace, mut running: Running, begun: impl Fn() -> bool) -> usize {
    let mut files = 0;
    town.works_while(|| {
        until("the first promise is given", || begun().then_some(()));
        for cut in 0..IN_A_ROW {
            // The fault itself: a moment that nothing in the node has chosen.
            let wait = moment(if cut == 0 { AT_WORK } else { RECOVERING });
            thread::sleep(wait);
            running.freeze();
            let taken = disk.cut(|| running.kill());
            files += taken.files.len();
            let when = if cut == 0 { "of work" } else { "after the restart" };
            let [stored, delivered, claimed, signed, returned] = town.promised().counts();
            println!(
                "{} loses power {} ms {when}, with {stored} Instances stored, {delivered} delivered, {claimed} claims, \
                 {signed} reports signed, {returned} returned; the page cache took {:?}",
                victim.name,
                wait.as_millis(),
                taken.by_directory()
            );
            running = World::launch(victim);
        }
        running.answers();
        running.kill();
    });
    files
}

/// Cuts the power of `victim` while the town works, looks for what it promised while `other` is off, and then, with both
/// on again, for everything. `given` counts the promises that `victim` gives.
fn survives_cuts(
    town: &Town<'_>,
    disk: &mut Disk,
    [victim, other]: [&NodePlace; 2],
    given: impl Fn() -> usize,
    keeps_its_promises: impl Fn(),
) {
    let mut files = 0;
    for _ in 0..chains() {
        let (first, before) = (town.next_study(), given());
        let works_on = town.world.start(other);
        let running = town.world.start(victim);
        files += cuts(town, disk, victim, running, || given() > before);
        works_on.kill();
        let _victim = town.world.start(victim);
        keeps_its_promises();
        let _other = town.world.start(other);
        town.world.unlock(&town.hub);
        town.everything_arrives(first);
    }
    assert!(files > 0, "no cut took anything");
}

#[test]
fn what_a_spoke_acknowledged_is_there_after_three_power_cuts_in_a_row() {
    let world = World::new();
    let mut disk = Disk::new(&world.path("shelf"), &world.path("spoke"));
    let town = Town::new(&world);
    disk.sync();
    let stored = || town.promised().counts()[0];
    survives_cuts(&town, &mut disk, [&town.spoke, &town.hub], stored, || town.the_spoke_has_what_it_promised());
}

#[test]
fn what_a_hub_signed_for_is_there_after_three_power_cuts_in_a_row() {
    let world = World::new();
    let mut disk = Disk::new(&world.path("shelf"), &world.path("hub"));
    let town = Town::new(&world);
    disk.sync();
    let delivered = || town.promised().counts()[1];
    survives_cuts(&town, &mut disk, [&town.hub, &town.spoke], delivered, || town.the_hub_has_what_it_promised());
}
