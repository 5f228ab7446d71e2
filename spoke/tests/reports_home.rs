//! A report that came is shown as what it is: by whom the roster says it is, kept or not yet, readable or not.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what it did not find")]

mod site;

use radmesh_protocol::{envelope::sign::SigningKey, report::Status, worklist::item::Delivered};
use radmesh_store::{Faulty, Memory, medium::Fault};
use site::{Site, Start, data_set::Instance, report, signed_report};
use std::sync::Arc;

async fn with_a_closed_study(start: Start) -> Site {
    let site = Site::open(start).await;
    let case = site.hand_in(&Instance::new("1.2.826.44", "1.2.826.44.1", 1).file()).await.unwrap().case;
    site.spoke.close(&case).unwrap();
    site.closed_groups().await;
    site
}

fn delivered(site: &Site) -> Option<()> {
    let node = site.node.read().unwrap();
    let item = node.worklist().items().next().unwrap();
    let all = !item.reports.is_empty() && item.reports.values().all(|report| report.delivered == Delivered::Yes);
    all.then_some(())
}

#[tokio::test]
async fn a_report_that_found_the_disk_full_is_kept_once_there_is_room_without_another_word() {
    let mut said = 0;
    for n in 1..10 {
        let disk = Arc::new(Faulty::new());
        let site = Arc::new(with_a_closed_study(Start::on(disk.clone())).await);
        disk.inject(Fault::FullFrom(n));
        let signing = Arc::clone(&site);
        let signed = tokio::spawn(async move { report(&signing, Status::Final, None, "Bleeding.").await });
        site.until(|site| (disk.happened() > 0).then_some(()).or_else(|| delivered(site))).await;
        let shown = site.spoke.reports();
        assert!(shown.iter().all(|line| !line.text.contains("can't be opened")), "it can, once it is kept");
        said += u32::from(shown.iter().any(|line| line.text.contains("being taken in") && !line.reader.is_empty()));
        disk.heal();
        signed.await.unwrap();
        site.until(delivered).await;
        assert_eq!(site.spoke.reports()[0].text, "Bleeding.", "full from operation {n}");
    }
    assert!(said > 0, "in one of these turns the event was on disk and the report was not");
}

#[tokio::test]
async fn a_report_that_is_not_for_this_node_is_said_to_be_so_and_the_next_one_is_read() {
    let site = with_a_closed_study(Start::on(Arc::new(Memory::new()))).await;
    let to = [site.keys.pool.public()];
    let reader = (&site.keys.reader, "Dr Banda");
    signed_report(&site, reader, &to, (Status::Preliminary, None, "Not for the ward.")).await;
    site.until(|site| site.spoke.reports().first()?.text.contains("can't be opened").then_some(())).await;
    assert!(site.spoke.report_pdf(&site.spoke.studies()[0].case).unwrap_err().to_string().contains("can't be opened"));
    report(&site, Status::Final, None, "Bleeding.").await;
    site.until(|site| site.spoke.reports().iter().any(|line| line.text == "Bleeding.").then_some(())).await;
}

#[tokio::test]
async fn a_report_prints_under_its_signers_name_by_the_roster_and_not_under_the_one_it_gives_itself() {
    let site = with_a_closed_study(Start::on(Arc::new(Memory::new()))).await;
    let to = [site.keys.spoke_reading.public()];
    signed_report(&site, (&site.keys.reader, "Dr Phiri"), &to, (Status::Final, None, "Bleeding.")).await;
    site.until(delivered).await;
    assert_eq!(site.spoke.reports()[0].reader, "Dr Banda");

    let stranger = SigningKey::from_seed([77; 32]);
    signed_report(&site, (&stranger, "Dr Banda"), &to, (Status::Final, None, "No bleeding.")).await;
    let line = |site: &Site| site.spoke.reports().into_iter().find(|line| line.text == "No bleeding.");
    let line = site.until(line).await;
    assert_eq!(line.reader, "Dr Banda (name as signed; not in the roster)");
}
