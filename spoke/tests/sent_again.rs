//! A Study that is sent again mends what rotted here, and what strangers send is neither lost nor lets them fill the disk.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what it did not find")]

mod site;

use radmesh_dimse::{StoreStatus, client::Outcome};
use radmesh_spoke::modality::{Modality, Standing};
use radmesh_store::{
    Faulty, Memory,
    medium::{Fault, Medium, Name},
};
use site::{
    Membership, Site, Start, c_store,
    data_set::{CT, Instance},
    instances, outgoing,
};
use std::sync::Arc;

fn study(instances: u32) -> Vec<Instance> {
    (1..=instances).map(|number| Instance::new("1.2.826.55", "1.2.826.55.1", number)).collect()
}

async fn hand_in(site: &Site, study: &[Instance]) -> Vec<&'static str> {
    let mut novelties = Vec::new();
    for instance in study {
        novelties.push(site.hand_in(&instance.file()).await.unwrap().novelty);
    }
    novelties
}

fn as_files(study: &[Instance]) -> Vec<(String, Vec<u8>)> {
    study.iter().map(|instance| (instance.uid.clone(), instance.file())).collect()
}

#[tokio::test]
async fn a_resend_is_kept_when_the_announced_parcel_rotted_before_anybody_had_it() {
    let disk = Arc::new(Memory::new());
    let site = Site::open(Start::on(disk.clone())).await;
    let study = study(3);
    hand_in(&site, &study).await;
    let case = site.spoke.studies()[0].case.clone();
    site.spoke.close(&case).unwrap();
    site.closed_groups().await;
    assert_eq!(hand_in(&site, &study).await, ["duplicate"; 3], "the parcel is whole");
    site.later(600);
    let rotted: Vec<Name> = disk.files().into_keys().filter(|name| matches!(name, Name::Parcel(_))).collect();
    rotted.iter().for_each(|name| disk.flip(*name, 100, 3));
    assert_eq!(instances(&site.groups(&site.keys.pool)).len(), 0, "nobody can open what rotted");
    assert_eq!(hand_in(&site, &study[..1]).await, ["new"]);
    assert_eq!(site.spoke.studies()[0].lost, 2, "the clinic is told that two are still missed");
    assert_eq!(hand_in(&site, &study[1..]).await, ["new"; 2]);
    assert_eq!(site.spoke.studies()[0].lost, 0);
    site.spoke.close(&case).unwrap();
    assert_eq!(instances(&site.closed_groups().await), as_files(&study));
    let node = site.node.read().unwrap();
    let closed = node.worklist().items().next().unwrap().closed.clone().unwrap();
    assert_eq!(closed.values().sum::<u32>(), 3, "the Study is delivered without the parcel that nobody can deliver");
}

#[tokio::test]
async fn a_resend_is_kept_when_the_staged_file_rotted() {
    let disk = Arc::new(Memory::new());
    let site = Site::open(Start { member: Membership::NotYet, ..Start::on(disk.clone()) }).await;
    let study = study(3);
    hand_in(&site, &study).await;
    let staged = *disk.files().keys().find(|name| matches!(name, Name::Staged(_))).unwrap();
    disk.flip(staged, 100, 3);
    let mut again = hand_in(&site, &study).await;
    again.sort_unstable();
    assert_eq!(again, ["duplicate", "duplicate", "new"]);
    assert_eq!(site.spoke.studies()[0].lost, 0);
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    site.join().await;
    assert_eq!(instances(&site.closed_groups().await), as_files(&study));
}

#[tokio::test]
async fn an_acknowledged_instance_whose_file_is_gone_is_missed_in_words_until_it_is_sent_again() {
    let disk = Arc::new(Memory::new());
    let site = Site::open(Start { member: Membership::NotYet, ..Start::on(disk.clone()) }).await;
    let study = study(2);
    hand_in(&site, &study).await;
    drop(site);
    let staged = *disk.files().keys().find(|name| matches!(name, Name::Staged(_))).unwrap();
    disk.delete(staged).unwrap();
    for start in 1..=2 {
        let site = Site::open(Start { member: Membership::NotYet, seed: 9 + start, ..Start::on(disk.clone()) }).await;
        let shown = &site.spoke.studies()[0];
        assert_eq!(shown.lost, 1, "start {start}");
        assert!(shown.state.contains("send the Study again"), "{}", shown.state);
    }
    let site = Site::open(Start { seed: 20, ..Start::on(disk) }).await;
    let mut again = hand_in(&site, &study).await;
    again.sort_unstable();
    assert_eq!(again, ["duplicate", "new"]);
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    assert_eq!(instances(&site.closed_groups().await), as_files(&study));
    assert_eq!(site.spoke.studies()[0].lost, 0);
}

fn whole(modality: &str) -> Vec<Modality> {
    vec![Modality { ae_title: modality.parse().unwrap(), address: "127.0.0.1".parse().unwrap() }]
}

#[tokio::test]
async fn accepting_a_sender_on_a_full_disk_loses_sight_of_none_of_its_instances() {
    let (mut refused, study) = (0, study(6));
    for n in 1..16 {
        let disk = Arc::new(Faulty::new());
        let start = Start { modalities: whole("CT1"), member: Membership::NotYet, ..Start::on(disk.clone()) };
        let site = Site::open(start).await;
        let sent = |from: usize| study[from..].iter().map(|instance| outgoing(instance, &instance.uid)).collect();
        c_store(&site, "CT1", sent(3)).await;
        c_store(&site, "WHO", sent(0)).await;
        disk.inject(Fault::FullFrom(n));
        refused += u32::from(site.spoke.accept("WHO", None).is_err());
        disk.heal();
        let waiting: u64 = site.spoke.modalities().iter().map(|line| line.instances).sum();
        let staged = site.spoke.studies()[0].instances as u64;
        assert!(waiting + staged >= 6, "full from operation {n}: {waiting} wait, {staged} are staged");
        // Where all moved at once there is nothing left to accept.
        let _ = site.spoke.accept("WHO", None);
        assert_eq!(site.spoke.studies()[0].instances, 6, "full from operation {n}");
    }
    assert!(refused > 2, "the disk was full in the middle of it");
}

#[tokio::test]
async fn a_sender_that_a_person_accepted_is_accepted_after_a_restart() {
    let disk = Arc::new(Memory::new());
    let site = Site::open(Start { member: Membership::NotYet, ..Start::on(disk.clone()) }).await;
    let study = study(2);
    c_store(&site, "WHO", vec![outgoing(&study[0], &study[0].uid)]).await;
    assert_eq!(site.spoke.accept("WHO", None).unwrap(), 1);
    drop(site);
    let site = Site::open(Start { seed: 2, member: Membership::NotYet, ..Start::on(disk) }).await;
    assert_eq!(site.spoke.modalities()[0].standing, Standing::Accepted);
    c_store(&site, "WHO", vec![outgoing(&study[1], &study[1].uid)]).await;
    assert_eq!(site.spoke.studies()[0].instances, 2);
}

#[tokio::test]
async fn a_data_set_that_does_not_name_its_class_is_of_the_class_that_its_command_names() {
    let site = Site::open(Start { modalities: whole("CT1"), ..Start::on(Arc::new(Memory::new())) }).await;
    let instance = Instance { sop_class: None, ..study(1).remove(0) };
    let outcomes = c_store(&site, "CT1", vec![outgoing(&instance, &instance.uid)]).await;
    assert_eq!(outcomes, [Outcome::Answered(StoreStatus::Stored.code())]);
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    assert_eq!(site.closed_groups().await[0].instances[0].sop_class_uid, CT);
}
