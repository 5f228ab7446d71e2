//! The power fails, the disk fills up, fails or lies: what a modality was told is stored is stored, and travels once.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what it did not find")]

mod site;

use radmesh_spoke::{SendError, intake::Refused};
use radmesh_store::{
    Faulty, WriteError,
    medium::{Fault, Medium, Name, Operation, Survives},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use site::{
    Site, Start,
    data_set::Instance,
    instances,
    watched::{About, Watched},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const STUDY: &str = "1.2.826.88";

fn instance(number: u32) -> Instance {
    Instance::new(STUDY, if number.is_multiple_of(2) { "1.2.826.88.2" } else { "1.2.826.88.1" }, number)
}

/// What the disk was asked to do while four Instances were taken in, packed and closed, and after how many operations
/// each Instance was acknowledged.
async fn recorded() -> (Vec<Operation>, Vec<(usize, Instance)>) {
    let disk = Arc::new(Faulty::recording(BTreeMap::new()));
    let site = Site::open(Start::on(disk.clone())).await;
    let mut acknowledged = Vec::new();
    for number in 1..=4 {
        site.hand_in(&instance(number).file()).await.unwrap();
        acknowledged.push((disk.operations().len(), instance(number)));
    }
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    assert_eq!(instances(&site.closed_groups().await).len(), 4);
    (disk.operations(), acknowledged)
}

#[tokio::test]
async fn after_a_power_cut_at_any_moment_every_acknowledged_instance_travels_once_and_nothing_twice() {
    let (operations, acknowledged) = recorded().await;
    // Every third moment, each with another choice of what survives: the store's own tests take every one.
    let modes = [Survives::Nothing, Survives::Sectors(512), Survives::Everything];
    for (turn, cut) in (0..=operations.len()).step_by(3).enumerate() {
        let mut rng = ChaCha20Rng::seed_from_u64(cut as u64);
        let survives = modes[turn % modes.len()];
        let disk = Faulty::after(BTreeMap::new(), &operations[..cut], survives, &mut rng).unwrap();
        let disk = Arc::new(disk);
        let site = Site::open(Start { seed: 100 + cut as u64, ..Start::on(disk.clone()) }).await;
        let told: Vec<&Instance> = acknowledged.iter().filter(|(at, _)| *at <= cut).map(|(_, told)| told).collect();
        let Some(study) = site.spoke.studies().pop() else {
            assert!(told.is_empty(), "cut at {cut}, {survives:?}: {} Instances are gone", told.len());
            continue;
        };
        site.spoke.close(&study.case).unwrap();
        let found = instances(&site.closed_groups().await);
        for instance in told {
            let copies = found.iter().filter(|(uid, bytes)| *uid == instance.uid && *bytes == instance.file()).count();
            assert_eq!(copies, 1, "cut at {cut}, {survives:?}: Instance {}", instance.number);
        }
        let uids: BTreeSet<&String> = found.iter().map(|(uid, _)| uid).collect();
        assert_eq!(uids.len(), found.len(), "cut at {cut}, {survives:?}: an Instance travels twice");
        assert_eq!(site.spoke.studies().len(), 1, "a Study is one case before and after");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_with_a_reason_leaves_nothing_and_loses_nothing_that_was_acknowledged() {
    let mut refused = 0;
    for n in 1..40 {
        let disk = Arc::new(Faulty::new());
        let site = Site::open(Start::on(disk.clone())).await;
        site.hand_in(&instance(1).file()).await.unwrap();
        disk.inject(Fault::FullFrom(n));
        let answer = site.hand_in(&instance(2).file()).await;
        if let Err(error) = &answer {
            assert!(matches!(error, SendError::Refused(Refused::Disk(WriteError::Full))), "{error}");
            refused += 1;
        }
        disk.heal();
        let parts = disk.list(radmesh_store::medium::Dir::Staging).unwrap();
        assert!(!parts.iter().any(|name| matches!(name, Name::Staging(_))), "an unfinished file is left");
        site.spoke.close(&site.spoke.studies()[0].case).unwrap();
        let found = instances(&site.closed_groups().await);
        assert_eq!(found.len(), 1 + usize::from(answer.is_ok()), "full from operation {n}");
    }
    assert!(refused > 2, "the disk was full before some acknowledgement");
}

#[tokio::test]
async fn a_sync_that_fails_is_never_followed_by_an_acknowledgement() {
    let mut faulted = 0;
    for n in 1..12 {
        let disk = Arc::new(Faulty::new());
        let site = Site::open(Start::on(disk.clone())).await;
        disk.inject(Fault::SyncFails(n));
        let mut told = Vec::new();
        for number in 1..=3 {
            match site.hand_in(&instance(number).file()).await {
                Ok(_) => told.push(instance(number)),
                Err(error) => {
                    assert!(matches!(error, SendError::Refused(Refused::Disk(WriteError::Faulted))), "{error}");
                    faulted += 1;
                }
            }
        }
        drop(site);
        disk.cut(Survives::Nothing, &mut ChaCha20Rng::seed_from_u64(n));
        let site = Site::open(Start { seed: 50 + n, ..Start::on(disk) }).await;
        let Some(study) = site.spoke.studies().pop() else {
            assert!(told.is_empty(), "sync {n}");
            continue;
        };
        site.spoke.close(&study.case).unwrap();
        let found = instances(&site.closed_groups().await);
        for instance in told {
            assert!(found.contains(&(instance.uid.clone(), instance.file())), "sync {n}: Instance {}", instance.number);
        }
    }
    assert!(faulted > 2, "some sync before an acknowledgement failed");
}

#[tokio::test]
async fn what_the_disk_gives_back_otherwise_than_it_was_written_is_refused_and_leaves_nothing() {
    let lies = AtomicBool::new(true);
    let disk = Watched::new(move |about, disk| match about {
        About::Sync(name @ Name::Staging(_)) if lies.swap(false, Ordering::SeqCst) => disk.flip(name, 100, 3),
        _ => {}
    });
    let site = Site::open(Start::on(Arc::new(disk))).await;
    let refused = site.hand_in(&instance(1).file()).await.unwrap_err();
    assert!(matches!(refused, SendError::Refused(Refused::ReadBack)), "{refused}");
    assert_eq!((site.spoke.studies().len(), site.store.staged().unwrap().len()), (0, 0));
    site.hand_in(&instance(1).file()).await.unwrap();
}

#[tokio::test]
async fn a_parcel_that_does_not_read_back_as_it_was_packed_is_not_announced_and_sealed_again() {
    let lies = AtomicBool::new(true);
    let disk = Watched::new(move |about, disk| {
        let About::Write(name @ Name::Draft(_)) = about else { return };
        // Its first chunk rots while the second one is written.
        let has_one = disk.bytes(name).is_ok_and(|bytes| bytes > 0);
        if has_one && lies.swap(false, Ordering::SeqCst) {
            disk.flip(name, 100, 3);
        }
    });
    let site = Site::open(Start::on(Arc::new(disk))).await;
    let mut noise = vec![0; 200_000];
    ChaCha20Rng::seed_from_u64(7).fill_bytes(&mut noise);
    let long = instance(1).with_pixels(noise);
    site.hand_in(&long.file()).await.unwrap();
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    let state = |site: &Site| site.spoke.studies()[0].state.clone();
    site.until(|site| state(site).contains("stuck").then_some(())).await;
    assert!(state(&site).contains("does not read back"), "{}", state(&site));
    assert_eq!(instances(&site.closed_groups().await), [(long.uid.clone(), long.file())]);
}
