//! The path of a Study through a spoke: from the modality's bytes to what the hub opens, and the report back.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what it did not find")]

mod site;

use radmesh_dimse::{StoreStatus, client::Outcome};
use radmesh_protocol::{
    id::EventHash,
    log::{Scope, body::Body},
    parcel::contents::{Picture, PreviewContents},
    report::Status,
    worklist::order::OrderDetails,
};
use radmesh_spoke::{StagedCheck, modality::Modality};
use radmesh_store::{Memory, medium::Name};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use site::{
    Membership, Site, Start, c_store, claim,
    data_set::{Instance, PATIENT},
    instances, outgoing, report,
};
use std::{collections::BTreeSet, sync::Arc};

fn ct1() -> Modality {
    Modality { ae_title: "CT1".parse().unwrap(), address: "127.0.0.1".parse().unwrap() }
}

fn study() -> Vec<Instance> {
    let series = |series, count| (1..=count).map(move |number| Instance::new("1.2.826.77", series, number));
    series("1.2.826.77.1", 3).chain(series("1.2.826.77.2", 2)).collect()
}

async fn hand_in(site: &Site, study: &[Instance]) -> String {
    let mut case = String::new();
    for instance in study {
        case = site.hand_in(&instance.file()).await.unwrap().case;
    }
    case
}

fn sent(files: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let mut sent: Vec<_> = files.collect();
    sent.sort();
    sent
}

fn as_files(study: &[Instance]) -> Vec<(String, Vec<u8>)> {
    sent(study.iter().map(|instance| (instance.uid.clone(), instance.file())))
}

#[tokio::test]
async fn what_is_handed_in_opens_at_the_hub_and_with_the_recovery_key_to_the_same_bytes() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let case = hand_in(&site, &study()).await;
    site.spoke.close(&case[..8]).unwrap();
    let groups = site.closed_groups().await;
    assert_eq!(instances(&groups), as_files(&study()));
    assert_eq!(instances(&site.groups(&site.keys.recovery)), as_files(&study()));

    let node = site.node.read().unwrap();
    let item = node.worklist().items().next().unwrap();
    let counted: u32 = item.closed.as_ref().unwrap().values().sum();
    assert_eq!(counted, 5, "StudyClosed counts every Instance once");
    let order = item.order.as_ref().unwrap().sealed.open(&site.keys.pool, &site.federation).unwrap();
    assert_eq!(OrderDetails::parse(&order).unwrap().patient_name.reveal(), PATIENT);
    let secret = node.logs().events(Scope::Site(site.me())).find_map(|event| match event.body() {
        Ok(Some(Body::SiteSecret(sealed))) => Some(sealed),
        _ => None,
    });
    let secret = secret.expect("a replaced node gets its site secret back");
    assert_eq!(secret.open(&site.keys.recovery, &site.federation).unwrap().len(), 32);
}

#[tokio::test]
async fn pictures_of_a_series_reach_the_hub_before_its_first_part_and_name_what_they_show() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let slices = [
        include_bytes!("../../tests/data/pydicom/CT2_17106.dcm").as_slice(),
        include_bytes!("../../tests/data/pydicom/CT2_17136.dcm"),
        include_bytes!("../../tests/data/pydicom/CT2_17166.dcm"),
        include_bytes!("../../tests/data/pydicom/CT2_17196.dcm"),
    ];
    let mut case = String::new();
    for slice in slices {
        case = site.hand_in(slice).await.unwrap().case;
    }
    site.spoke.close(&case).unwrap();
    let groups = site.closed_groups().await;
    let sent: Vec<String> = instances(&groups).into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(sent.len(), 4);
    let opened = site.opened(&site.keys.pool);
    let pictures: Vec<Picture> =
        opened.iter().filter_map(|packed| PreviewContents::parse(packed).ok()).flat_map(|p| p.pictures).collect();
    let shown: BTreeSet<&String> = pictures.iter().map(|picture| picture.sop_instance_uid.reveal()).collect();
    assert_eq!(shown.len(), pictures.len(), "no frame twice");
    assert!((3..=4).contains(&shown.len()), "the first that came, the middle, the first and the last: {}", shown.len());
    for picture in &pictures {
        assert!(sent.contains(picture.sop_instance_uid.reveal()));
        assert_eq!(picture.series.reveal(), groups[0].series.reveal());
        let image = picture.image.reveal();
        assert!(image.starts_with(&[0xFF, 0xD8]) || image.starts_with(b"\x89PNG"));
        assert!((1..=512).contains(&picture.width) && picture.frame == 0);
    }
}

#[tokio::test]
async fn a_study_is_closed_by_a_quiet_period_without_a_person() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    hand_in(&site, &study()).await;
    site.mono.store(61_000, std::sync::atomic::Ordering::SeqCst);
    // The clock is an input; any word wakes the packer, which then sees that a minute is over.
    let again = site.hand_in(&study()[0].file()).await.unwrap();
    assert_eq!(again.novelty, "duplicate");
    assert_eq!(instances(&site.closed_groups().await), as_files(&study()));
}

#[tokio::test]
async fn a_known_modality_is_told_stored_and_its_data_set_arrives_as_it_was() {
    let modalities = vec![ct1()];
    let site = Site::open(Start { modalities, ..Start::on(Arc::new(Memory::new())) }).await;
    let study = study();
    let outcomes =
        c_store(&site, "CT1", study.iter().map(|instance| outgoing(instance, &instance.uid)).collect()).await;
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Outcome::Answered(status) if status.0 == 0)),
        "{outcomes:?}"
    );
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    let groups = site.closed_groups().await;
    assert_eq!(instances(&groups), sent(study.iter().map(|i| (i.uid.clone(), i.data_set()))));
}

#[tokio::test]
async fn a_data_set_of_another_instance_than_announced_is_a900_and_a_false_length_is_c000() {
    let modalities = vec![ct1()];
    let medium = Arc::new(Memory::new());
    let site = Site::open(Start { modalities, ..Start::on(medium.clone()) }).await;
    let instance = &study()[0];
    let mut cut = outgoing(instance, &instance.uid);
    let data_set = instance.data_set();
    cut.open = Box::new(move || Ok(Box::new(std::io::Cursor::new(data_set[..data_set.len() - 100].to_vec()))));
    let outcomes = c_store(&site, "CT1", vec![outgoing(instance, "1.2.3"), cut]).await;
    let code = |status: StoreStatus| Outcome::Answered(status.code());
    assert_eq!(outcomes, [code(StoreStatus::DoesNotMatch), code(StoreStatus::CannotUnderstand)]);
    assert_eq!(site.spoke.status().refused, 2);
    assert!(!medium.files().keys().any(|name| matches!(name, Name::Staged(_) | Name::Staging(_))), "nothing is left");
}

#[tokio::test]
async fn an_unknown_sender_goes_nowhere_until_a_person_accepts_it() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let instance = &study()[0];
    let outcomes = c_store(&site, "WHO", vec![outgoing(instance, &instance.uid)]).await;
    assert_eq!(outcomes, [Outcome::Answered(StoreStatus::Stored.code())]);
    assert!(site.spoke.studies().is_empty());
    let waiting = &site.spoke.modalities()[0];
    assert_eq!((waiting.ae_title.as_str(), waiting.instances), ("WHO", 1));
    assert_eq!(site.spoke.accept("WHO", None).unwrap(), 1);
    site.spoke.close(&site.spoke.studies()[0].case).unwrap();
    assert_eq!(instances(&site.closed_groups().await).len(), 1);
}

#[tokio::test]
async fn a_late_instance_travels_as_a_late_part_and_the_study_is_closed_again() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let study = study();
    let case = hand_in(&site, &study[..4]).await;
    site.spoke.close(&case).unwrap();
    assert_eq!(instances(&site.closed_groups().await).len(), 4);
    assert_eq!(site.hand_in(&study[4].file()).await.unwrap().case, case);
    site.spoke.close(&case).unwrap();
    assert_eq!(instances(&site.closed_groups().await), as_files(&study));
    let node = site.node.read().unwrap();
    let item = node.worklist().items().next().unwrap();
    assert_eq!(item.closed.as_ref().unwrap().values().sum::<u32>(), 5);
    assert!(item.parcels.values().any(|parcel| parcel.kind == radmesh_protocol::parcel::PartKind::Late));
}

#[tokio::test]
async fn one_uid_with_two_contents_is_kept_twice_and_flagged_and_the_same_again_is_one() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let first = Instance::new("1.2.826.77", "1.2.826.77.1", 1);
    let other = first.clone().with_pixels(vec![7; 4096]);
    let case = site.hand_in(&first.file()).await.unwrap().case;
    assert_eq!(site.hand_in(&first.file()).await.unwrap().novelty, "duplicate");
    assert_eq!(site.hand_in(&first.data_set()).await.unwrap().novelty, "other_form");
    assert_eq!(site.hand_in(&other.file()).await.unwrap().novelty, "conflicting");
    site.spoke.close(&case).unwrap();
    let groups = site.closed_groups().await;
    assert_eq!(instances(&groups).len(), 3, "each received form is kept");
    let flagged = groups.iter().flat_map(|g| &g.instances).filter(|entry| !entry.flags.is_empty()).count();
    assert_eq!(flagged, 3, "nobody can say which content is right");
    assert_eq!(site.spoke.studies()[0].conflicting, 1);
}

#[tokio::test]
async fn a_spoke_without_a_key_to_seal_to_keeps_everything_and_says_so_until_it_has_one() {
    let medium = Arc::new(Memory::new());
    let site = Site::open(Start { member: Membership::NotYet, ..Start::on(medium.clone()) }).await;
    let case = hand_in(&site, &study()).await;
    site.spoke.close(&case).unwrap();
    let status = site.spoke.status();
    assert!(status.held_back.unwrap().contains("not a member"));
    assert_eq!(status.staged_instances, 5);
    site.join().await;
    assert_eq!(instances(&site.closed_groups().await), as_files(&study()));
    assert_eq!(site.spoke.status().held_back, None);
}

#[tokio::test]
async fn no_file_of_the_spoke_holds_a_name_a_uid_or_a_row_of_pixels_in_clear() {
    let medium = Arc::new(Memory::new());
    let site = Site::open(Start::on(medium.clone())).await;
    let case = hand_in(&site, &study()).await;
    let planted = |bytes: &[u8]| {
        let pixels = study()[0].pixels[1000..1064].to_vec();
        let needles = [PATIENT.as_bytes().to_vec(), b"KAS-0412-7".to_vec(), b"1.2.826.77".to_vec(), pixels];
        needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle))
    };
    assert!(planted(&study()[0].file()), "the needles are in what was handed in");
    assert!(medium.files().values().all(|bytes| !planted(bytes)), "while staged");
    site.spoke.close(&case).unwrap();
    site.closed_groups().await;
    assert!(medium.files().values().all(|bytes| !planted(bytes)), "when sealed");
    assert!(!medium.files().keys().any(|name| matches!(name, Name::Staged(_))), "staging is gone once it is announced");
}

#[tokio::test]
async fn a_staged_instance_that_rotted_is_said_to_be_lost_and_is_new_when_sent_again() {
    let medium = Arc::new(Memory::new());
    let site = Site::open(Start { member: Membership::NotYet, ..Start::on(medium.clone()) }).await;
    let study = study();
    let case = hand_in(&site, &study).await;
    let staged = *medium.files().keys().find(|name| matches!(name, Name::Staged(_))).unwrap();
    medium.flip(staged, 100, 3);
    site.spoke.close(&case).unwrap();
    site.join().await;
    assert_eq!(instances(&site.closed_groups().await).len(), 4);
    assert!(site.spoke.studies()[0].state.contains("send the Study again"));
    let mut again: Vec<&'static str> = Vec::new();
    for instance in &study {
        again.push(site.hand_in(&instance.file()).await.unwrap().novelty);
    }
    assert_eq!(again.iter().filter(|novelty| **novelty == "new").count(), 1);
    site.spoke.close(&case).unwrap();
    assert_eq!(instances(&site.closed_groups().await), as_files(&study));
}

#[tokio::test]
async fn a_staged_instance_that_rotted_is_found_by_a_check_while_it_still_waits() {
    let medium = Arc::new(Memory::new());
    let site = Site::open(Start { member: Membership::NotYet, ..Start::on(medium.clone()) }).await;
    let case = hand_in(&site, &study()).await;
    assert_eq!(site.spoke.check_staged().unwrap(), StagedCheck { whole: 5, lost: Vec::new() });
    let staged = *medium.files().keys().find(|name| matches!(name, Name::Staged(_))).unwrap();
    medium.flip(staged, 100, 3);
    assert_eq!(
        site.spoke.check_staged().unwrap(),
        StagedCheck { whole: 4, lost: vec![site.spoke.find(&case).unwrap()] }
    );
    assert!(site.spoke.studies()[0].state.contains("send the Study again"));
    assert_eq!(site.spoke.check_staged().unwrap(), StagedCheck { whole: 4, lost: Vec::new() }, "it is said once");
}

#[tokio::test]
async fn an_instance_that_no_parcel_holds_goes_in_pieces_and_is_counted_once() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let mut noise = vec![0; 20 * 1024 * 1024];
    ChaCha20Rng::seed_from_u64(7).fill_bytes(&mut noise);
    let long = Instance::new("1.2.826.77", "1.2.826.77.1", 1).with_pixels(noise);
    let case = site.hand_in(&long.file()).await.unwrap().case;
    site.spoke.close(&case).unwrap();
    let groups = site.closed_groups().await;
    assert_eq!(groups.len(), 2, "noise can't be made smaller: 20 MiB are two pieces of at most 16");
    assert!(instances(&groups) == as_files(&[long]), "the pieces decode to what was handed in");
    let node = site.node.read().unwrap();
    let counted: u32 =
        node.worklist().items().flat_map(|item| item.closed.iter().flatten()).map(|(_, count)| count).sum();
    assert_eq!(counted, 1);
}

#[tokio::test]
async fn a_file_without_a_study_is_refused_with_the_reason() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let refused = site.hand_in(b"hello, this is no DICOM file").await.unwrap_err();
    assert!(refused.to_string().contains("not a DICOM file"), "{refused}");
    assert_eq!(site.spoke.status().refused, 1);
}

#[tokio::test]
async fn a_report_comes_home_is_shown_with_its_warning_and_printed_and_said_to_be_delivered() {
    let site = Site::open(Start::on(Arc::new(Memory::new()))).await;
    let case = hand_in(&site, &study()).await;
    site.spoke.close(&case).unwrap();
    site.closed_groups().await;
    claim(&site).await;
    let first = report(&site, Status::Preliminary, None, "No bleeding seen.").await;
    let delivered = |site: &Site, event: EventHash| {
        let node = site.node.read().unwrap();
        let item = node.worklist().items().next().unwrap();
        (item.reports[&event].delivered == radmesh_protocol::worklist::item::Delivered::Yes).then_some(())
    };
    site.until(|site| delivered(site, first)).await;
    let shown = site.spoke.reports();
    assert_eq!(
        (shown[0].text.as_str(), shown[0].reader.as_str(), &shown[0].warning),
        ("No bleeding seen.", "Dr Banda", &None)
    );
    let second = report(&site, Status::Final, Some(first), "Small subdural haematoma.").await;
    site.until(|site| delivered(site, second)).await;
    let shown = site.spoke.reports();
    assert_eq!(shown[0].text, "Small subdural haematoma.");
    assert!(shown[0].warning.as_ref().unwrap().starts_with("CHANGED"), "{:?}", shown[0].warning);
    assert!(shown[1].warning.as_ref().unwrap().starts_with("SUPERSEDED"), "{:?}", shown[1].warning);
    let pdf = site.spoke.report_pdf(&case[..8]).unwrap();
    assert!(pdf.bytes.starts_with(b"%PDF-") && pdf.name.ends_with(".pdf"));
    assert_eq!(format!("{pdf:?}"), "ReportPdf {PHI}");
}
