//! What goes wrong with one case, or with one card, holds up that case alone, and the clinic is told in words.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what it did not find")]

mod site;

use radmesh_protocol::{id::CaseId, parcel::contents::Flag, worklist::order::OrderDetails};
use radmesh_spoke::modality::Modality;
use radmesh_store::{Memory, medium::Name};
use radmesh_worker::Place;
use site::{
    Site, Start, c_store,
    data_set::Instance,
    echo, instances, outgoing,
    watched::{About, Watched},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

fn ct1() -> Modality {
    Modality { ae_title: "CT1".parse().unwrap(), address: "127.0.0.1".parse().unwrap() }
}

fn case_of(site: &Site) -> CaseId {
    site.spoke.find(&site.spoke.studies()[0].case).unwrap()
}

#[tokio::test]
async fn an_instance_with_oversized_text_travels_and_its_order_says_what_was_cut() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let mut instance = Instance::new("1.2.826.66", "1.2.826.66.1", 1);
    // No UTF-8: shown raw, each byte takes four characters.
    instance.texts = Some(vec![0xff; 4096]);
    let case = site.hand_in(&instance.file()).await.unwrap().case;
    site.spoke.close(&case).unwrap();
    assert_eq!(instances(&site.closed_groups().await), [(instance.uid.clone(), instance.file())]);
    let node = site.node.read().unwrap();
    let order = &node.worklist().items().next().unwrap().order.as_ref().unwrap().sealed;
    let order = OrderDetails::parse(&order.open(&site.keys.pool, &site.federation).unwrap()).unwrap();
    assert!(order.patient_name.reveal().ends_with("[cut: too long]"), "{} bytes", order.patient_name.reveal().len());
    assert!(order.undecoded.contains(&"patient_name".to_owned()));
}

#[tokio::test]
async fn a_case_whose_part_is_refused_waits_and_says_why_while_the_others_leave() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let (stat, other) =
        (Instance::new("1.2.826.66", "1.2.826.66.1", 1), Instance::new("1.2.826.67", "1.2.826.67.1", 1));
    let stuck = site.hand_in(&stat.file()).await.unwrap().case;
    let id = case_of(&site);
    site.refused.lock().unwrap().insert(id, 0);
    // The preview may have left before; the Series is refused in any case.
    site.spoke.close(&stuck).unwrap();
    site.later(0);
    let case = site.hand_in(&other.file()).await.unwrap().case;
    site.spoke.close(&case).unwrap();
    site.until(|site| site.spoke.studies().iter().any(|study| study.case == case && study.closed).then_some(())).await;
    site.until(|site| site.spoke.status().held_back).await;
    assert!(site.spoke.status().held_back.unwrap().contains("no room for it"));
    let state = |site: &Site| site.spoke.studies().into_iter().find(|study| study.case == stuck).unwrap().state;
    assert!(state(&site).contains("stuck") && state(&site).contains("no room for it"), "{}", state(&site));
    assert_eq!(site.refused.lock().unwrap()[&id], 1, "it is not sealed again before its wait is over");
    site.later(2);
    site.until(|site| state(site).contains("2 times").then_some(())).await;
    assert_eq!(site.refused.lock().unwrap()[&id], 2);
    site.refused.lock().unwrap().clear();
    site.later(4);
    assert_eq!(instances(&site.closed_groups().await).len(), 2);
    assert_eq!(site.spoke.status().held_back, None);
}

#[tokio::test]
async fn a_packer_that_breaks_off_over_one_case_leaves_the_door_open_and_tries_it_again() {
    let armed = Arc::new(AtomicBool::new(true));
    let once = Arc::clone(&armed);
    let disk = Watched::new(move |about, _| {
        if matches!(about, About::Create(Name::Draft(_))) && once.swap(false, Ordering::SeqCst) {
            panic!("broken off, as planned");
        }
    });
    let site = Site::open(Start { modalities: vec![ct1()], ..Start::on(Arc::new(disk)) }).await;
    let study: Vec<Instance> = (1..=2).map(|number| Instance::new("1.2.826.66", "1.2.826.66.1", number)).collect();
    c_store(&site, "CT1", vec![outgoing(&study[0], &study[0].uid)]).await;
    site.until(|site| site.spoke.studies()[0].state.contains("stuck").then_some(())).await;
    assert!(!armed.load(Ordering::SeqCst));
    let outcomes = c_store(&site, "CT1", vec![outgoing(&study[1], &study[1].uid)]).await;
    assert_eq!(outcomes, [radmesh_dimse::client::Outcome::Answered(radmesh_dimse::StoreStatus::Stored.code())]);
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    site.later(2);
    assert_eq!(instances(&site.closed_groups().await).len(), 2);
}

#[tokio::test]
async fn what_the_coder_always_dies_of_travels_as_received_with_a_flag_and_the_clinic_is_told() {
    // Children that end before they have done anything, whatever the file.
    let coder = Place::Child { program: "/bin/false".into(), arguments: Vec::new() };
    let site = Site::open(Start { coder, ..Start::on(Arc::new(Memory::new())) }).await;
    let study: Vec<Instance> = (1..=2).map(|number| Instance::new("1.2.826.66", "1.2.826.66.1", number)).collect();
    for instance in &study {
        site.hand_in(&instance.file()).await.unwrap();
    }
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    let groups = site.closed_groups().await;
    assert!(groups.iter().flat_map(|group| &group.instances).all(|entry| entry.flags == [Flag::StoredAsReceived]));
    let files: Vec<_> = study.iter().map(|instance| (instance.uid.clone(), instance.file())).collect();
    assert_eq!(instances(&groups), files);
    let line = &site.spoke.studies()[0];
    assert_eq!(line.stored, 2);
    let said = "2 Instances are sent as received, because the coder failed on them; ";
    assert!(line.state.starts_with(said), "{}", line.state);
}

#[tokio::test]
async fn a_coder_that_can_not_be_started_is_tried_again_and_stores_nothing() {
    let coder = Place::Child { program: "/nonexistent".into(), arguments: Vec::new() };
    let site = Site::open(Start { coder, ..Start::on(Arc::new(Memory::new())) }).await;
    site.hand_in(&Instance::new("1.2.826.66", "1.2.826.66.1", 1).file()).await.unwrap();
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    let line = site.until(|site| site.spoke.studies().pop().filter(|line| line.state.contains("stuck"))).await;
    assert!(line.state.contains("no child could be started for the coder"), "{}", line.state);
    assert_eq!(line.stored, 0);
}

#[tokio::test]
async fn a_card_that_stalls_in_a_sync_does_not_stall_who_only_asks_or_connects() {
    let (stalled, at) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let (armed, wait) = (Arc::new(AtomicBool::new(false)), Mutex::new(wait));
    let arm = Arc::clone(&armed);
    let disk = Watched::new(move |about, _| {
        if matches!(about, About::Sync(Name::Segment(_))) && armed.swap(false, Ordering::SeqCst) {
            stalled.send(()).unwrap();
            // Until the test lets it go, or is over.
            let _ = wait.lock().unwrap().recv();
        }
    });
    let start = Start { modalities: vec![ct1()], member: site::Membership::NotYet, ..Start::on(Arc::new(disk)) };
    let site = Site::open(start).await;
    arm.store(true, Ordering::SeqCst);
    let instance = Instance::new("1.2.826.66", "1.2.826.66.1", 1);
    let (spoke, file) = (Arc::clone(&site.spoke), instance.file());
    let handing_in = tokio::task::spawn_blocking(move || spoke.send_file("", &file[..], None, None));
    tokio::task::spawn_blocking(move || at.recv().unwrap()).await.unwrap();
    let spoke = Arc::clone(&site.spoke);
    let asked = tokio::task::spawn_blocking(move || (spoke.studies().len(), spoke.modalities().len()));
    let answer = tokio::time::timeout(Duration::from_secs(10), asked).await;
    let connected = tokio::time::timeout(Duration::from_secs(10), echo(&site, "CT1")).await;
    go.send(()).unwrap();
    handing_in.await.unwrap().unwrap();
    assert_eq!(answer.expect("studies and modalities are shown").unwrap(), (0, 1));
    assert!(connected.expect("an association is answered"));
}
