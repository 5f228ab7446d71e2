//! A case at a reading hospital as its reader meets it: what is open, what is given out, what is refused and why.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hospital;

use hospital::{BANDA, CASE, CLOCK, Hospital, PATIENT, PHIRI, Start, instance, radiologist};
use radmesh_hub::{
    Act, Entry, OpenedStatus, ParcelError,
    export::{ExportError, Form, Outlet},
    report::{SignError, WithoutClaim},
};
use radmesh_protocol::{
    log::body::Body,
    parcel::contents::{Flag, ReceivedForm},
    report::{MoveError, Status},
};
use radmesh_store::medium::Fault;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{collections::BTreeSet, io};

fn over_the_network() -> ReceivedForm {
    ReceivedForm::DataSet { calling_ae: "CT1".into(), called_ae: "RADMESH".into() }
}

/// A file with a program where the preamble should be, a TIFF that is also DICOM, and a data set of a C-STORE.
fn received() -> [Vec<u8>; 3] {
    let file = |head: &[u8]| {
        let mut file = head.to_vec();
        file.resize(128, 0x90);
        [&file[..], b"DICM", &[7; 3000]].concat()
    };
    [file(b"MZ"), file(b"MM\0*"), b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192".to_vec()]
}

fn three() -> Start {
    let [program, tiff, data_set] = received();
    Start::with(vec![
        instance(1, ReceivedForm::File, &program),
        instance(2, ReceivedForm::File, &tiff),
        instance(3, over_the_network(), &data_set),
    ])
}

fn at(start: Start) -> Hospital {
    let hospital = Hospital::open(start);
    hospital.unlock();
    hospital
}

/// A file's name and its bytes.
type Named = (String, Vec<u8>);

/// Keeps what it is given.
#[derive(Default)]
struct Files(Vec<Named>);

impl Outlet for Files {
    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.push((name.to_owned(), bytes.to_vec()));
        Ok(())
    }
}

fn export(hospital: &Hospital, form: Form) -> (Result<u64, ExportError>, Vec<Named>) {
    let mut files = Files::default();
    (hospital.hub.export(&CASE, form, CLOCK.wall, &mut files), files.0)
}

#[test]
fn a_locked_hub_shows_the_case_and_not_the_patient_and_opens_nothing() {
    let hospital = Hospital::open(three());
    hospital.claim(BANDA);
    let row = hospital.row();
    assert_eq!((row.order_is_open, row.patient_name, row.ready_to_read), (false, None, false));
    let (refused, files) = export(&hospital, Form::Verbatim);
    assert!(matches!(refused, Err(ExportError::Locked)) && files.is_empty());
    assert_eq!(hospital.audit_after_a_power_cut(), [], "nothing was opened, so nothing is said to have been");
}

#[test]
fn an_unlocked_hub_opens_and_counts_what_is_there_and_the_case_is_ready_to_read() {
    let hospital = at(three());
    let row = hospital.until(|hospital| Some(hospital.row()).filter(|row| row.ready_to_read));
    assert_eq!((row.patient_name.as_deref(), row.instances, row.warning), (Some(PATIENT), 3, None));
}

#[test]
fn a_case_with_fewer_instances_than_the_clinic_counted_is_never_ready_and_says_both_figures() {
    let hospital = at(Start { announced: 4, ..three() });
    let row = hospital.until(|hospital| Some(hospital.row()).filter(|row| row.warning.is_some()));
    let warning = row.warning.unwrap();
    assert!(warning.contains("holds 3 Instances where the clinic counted 4"), "{warning}");
    assert!(!row.ready_to_read);
}

#[test]
fn a_case_nobody_here_has_claimed_is_given_to_nobody_and_after_the_claim_it_is() {
    let hospital = at(three());
    let (refused, files) = export(&hospital, Form::Verbatim);
    assert!(matches!(refused, Err(ExportError::NotClaimed)) && files.is_empty());
    hospital.claim(BANDA);
    let (given, files) = export(&hospital, Form::Verbatim);
    let bytes: u64 = received().iter().map(|file| file.len() as u64).sum();
    assert_eq!((given.unwrap(), files.len()), (bytes, 3));
}

#[test]
fn verbatim_is_what_the_modality_sent_to_the_byte() {
    let hospital = at(three());
    hospital.claim(BANDA);
    let (_, files) = export(&hospital, Form::Verbatim);
    let names = ["001/00001.dcm", "001/00002.dcm", "001/00003.dcm"].map(String::from);
    assert_eq!(files, names.into_iter().zip(received()).collect::<Vec<_>>());
}

#[test]
fn a_program_in_the_preamble_leaves_as_zeros_a_tiff_stays_and_a_data_set_gets_its_file_meta() {
    let hospital = at(three());
    hospital.claim(BANDA);
    let (_, files) = export(&hospital, Form::Safe);
    let [program, tiff, data_set] = received();
    assert_eq!(files[0].1, [&[0; 128][..], &program[128..]].concat());
    assert_eq!(files[1].1, tiff);
    // PS3.10 table 7.1-1: what the association said, and who wrote this; in order of tag.
    let element = |number: u8, vr: &str, value: &str| {
        [&[2, 0, number, 0][..], vr.as_bytes(), &[value.len() as u8, 0], value.as_bytes()].concat()
    };
    let group = [
        b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\0\x01".to_vec(),
        element(0x02, "UI", "1.2.840.10008.5.1.4.1.1.2\0"),
        element(0x03, "UI", "1.2.826.1.3\0"),
        element(0x10, "UI", "1.2.840.10008.1.2.1\0"),
        element(0x12, "UI", "2.25.313467297453012811204536846264318204221"),
        element(0x13, "SH", "RADMESH_1 "),
        element(0x17, "AE", "CT1 "),
        element(0x18, "AE", "RADMESH "),
    ]
    .concat();
    let length = [b"\x02\0\0\0UL\x04\0", &(group.len() as u32).to_le_bytes()[..]].concat();
    assert_eq!(files[2].1, [&[0; 128], &b"DICM"[..], &length, &group, &data_set].concat());
}

#[test]
fn a_flipped_bit_on_the_hubs_disk_is_refused_and_no_byte_goes_out() {
    let hospital = at(three());
    hospital.claim(BANDA);
    for offset in [0, 2048, 4095] {
        hospital.flip_a_bit(offset);
        let (refused, files) = export(&hospital, Form::Verbatim);
        assert!(matches!(refused, Err(ExportError::Parcel(ParcelError::Open { .. }))), "bit at {offset}");
        assert_eq!(files, []);
        hospital.flip_a_bit(offset);
    }
    assert!(export(&hospital, Form::Verbatim).0.is_ok());
}

#[test]
fn the_studies_a_clinic_sent_before_its_node_was_revoked_still_open() {
    let hospital = at(three());
    hospital.claim(BANDA);
    hospital.until(|hospital| hospital.row().delivered.then_some(()));
    hospital.revoke_the_clinic();
    assert_eq!(export(&hospital, Form::Verbatim).1.len(), 3);
}

/// Asks, at the first byte, what a power cut now would leave of the audit log.
struct AtTheFirstByte<'a> {
    hospital: &'a Hospital,
    entries: Option<Vec<Entry>>,
}

impl Outlet for AtTheFirstByte<'_> {
    fn file(&mut self, _: &str, _: &[u8]) -> io::Result<()> {
        self.entries.get_or_insert_with(|| self.hospital.audit_after_a_power_cut());
        Ok(())
    }
}

#[test]
fn who_opened_a_case_is_on_disk_before_the_first_byte_goes_out() {
    let hospital = at(three());
    hospital.claim(BANDA);
    let mut outlet = AtTheFirstByte { hospital: &hospital, entries: None };
    hospital.hub.export(&CASE, Form::Safe, CLOCK.wall, &mut outlet).unwrap();
    let entries = outlet.entries.unwrap();
    let reader = radiologist(BANDA).signing.person_id();
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.number, entry.act, entry.case, entry.reader), (0, Act::Exported, CASE, reader));
}

#[test]
fn a_case_whose_opening_can_not_be_written_down_is_not_opened() {
    let hospital = at(three());
    hospital.claim(BANDA);
    hospital.until(|hospital| hospital.row().ready_to_read.then_some(()));
    hospital.medium.inject(Fault::FullFrom(1));
    let (refused, files) = export(&hospital, Form::Verbatim);
    assert!(matches!(refused, Err(ExportError::Audit(_))), "{refused:?}");
    assert_eq!(files, []);
}

/// A signed report of the case, or why it can't be.
fn report(hospital: &Hospital, reader: u8, status: Status) -> Result<(), SignError> {
    report_without(hospital, reader, status, WithoutClaim::Refuse)
}

fn report_without(hospital: &Hospital, reader: u8, status: Status, without: WithoutClaim) -> Result<(), SignError> {
    let rng = &mut ChaCha20Rng::seed_from_u64(3);
    let signed = hospital.context().report(&radiologist(reader), (status, "No fracture.", "Dr Banda"), without, rng)?;
    let before = hospital.row().reports.len();
    hospital.append(Body::Report, &signed);
    hospital.until(|hospital| (hospital.row().reports.len() > before).then_some(()));
    Ok(())
}

#[test]
fn an_addendum_to_nothing_and_a_second_final_are_refused_with_the_reason_and_an_addendum_follows_a_final() {
    let hospital = at(three());
    hospital.claim(BANDA);
    let early = report(&hospital, BANDA, Status::Addendum).unwrap_err();
    assert!(matches!(early, SignError::Move(MoveError::NothingToAddTo)), "{early:?}");
    assert!(early.to_string().contains("sign it as final or preliminary"), "{early}");
    report(&hospital, BANDA, Status::Preliminary).unwrap();
    report(&hospital, BANDA, Status::Final).unwrap();
    let again = report(&hospital, BANDA, Status::Final).unwrap_err();
    assert!(again.to_string().contains("the final report of this case is signed and stays as it is"), "{again}");
    report(&hospital, BANDA, Status::Addendum).unwrap();
    let places: Vec<_> = hospital.row().reports.into_iter().map(|r| (r.status, r.place)).collect();
    let expected = [("preliminary", "superseded"), ("final", "standing"), ("addendum", "standing")];
    assert_eq!(places, expected.map(|(status, place)| (status.to_owned(), place.to_owned())));
}

#[test]
fn a_reader_without_a_claim_is_told_before_she_signs_and_may_give_a_second_read() {
    let hospital = at(three());
    hospital.claim(BANDA);
    assert!(hospital.context().is_held_by(&radiologist(BANDA)) && !hospital.context().is_held_by(&radiologist(PHIRI)));
    let told = report(&hospital, PHIRI, Status::Final).unwrap_err();
    assert!(matches!(told, SignError::NoClaim), "{told}");
    report_without(&hospital, PHIRI, Status::Final, WithoutClaim::SecondRead).unwrap();
    report(&hospital, BANDA, Status::Final).unwrap();
    let places: BTreeSet<_> = hospital.row().reports.into_iter().map(|r| (r.status, r.place)).collect();
    let expected = [("final", "second_read"), ("final", "standing")];
    assert_eq!(places, expected.map(|(status, place)| (status.to_owned(), place.to_owned())).into());
}

#[test]
fn a_reader_who_holds_no_claim_can_give_none_back() {
    let hospital = at(three());
    hospital.claim(BANDA);
    let refused = hospital.context().release(&radiologist(PHIRI)).unwrap_err();
    assert_eq!(refused.to_string(), "you hold no claim on this case");
    hospital.append(Body::ClaimReleased, &hospital.context().release(&radiologist(BANDA)).unwrap());
    hospital.until(|hospital| hospital.row().claimed_by.is_none().then_some(()));
}

/// Waits until what arrived is kept opened.
fn kept(hospital: &Hospital) -> OpenedStatus {
    hospital.until(|hospital| Some(hospital.hub.opened()).filter(|opened| opened.instances == 3))
}

#[test]
fn what_has_arrived_is_opened_before_anybody_asks_and_a_reader_waits_for_no_decoder() {
    let hospital = at(three());
    let opened = kept(&hospital);
    assert_eq!((opened.waits, hospital.scratch().len()), (0, 1));
    hospital.claim(BANDA);
    let (_, files) = export(&hospital, Form::Verbatim);
    assert_eq!(files.into_iter().map(|(_, file)| file).collect::<Vec<_>>(), received());
    assert_eq!(hospital.hub.opened(), opened, "nobody waited, and nothing was decoded again");
}

#[test]
fn a_study_that_is_still_arriving_is_opened_as_far_as_it_has_come() {
    let hospital = at(Start { closed: false, ..three() });
    kept(&hospital);
    assert!(!hospital.row().ready_to_read);
}

#[test]
fn a_locked_hub_decodes_nothing() {
    let hospital = Hospital::open(three());
    hospital.claim(BANDA);
    assert_eq!((hospital.hub.opened().instances, hospital.scratch()), (0, vec![]));
    hospital.unlock();
    kept(&hospital);
}

#[test]
fn an_instance_of_another_hash_than_the_clinic_received_is_never_kept_and_its_case_never_ready() {
    let mut start = three();
    start.instances[1].0.content.0[0] ^= 1;
    let hospital = at(start);
    hospital.claim(BANDA);
    let (refused, files) = export(&hospital, Form::Verbatim);
    assert!(matches!(refused, Err(ExportError::Parcel(ParcelError::Decode { .. }))), "{refused:?}");
    assert_eq!(files.len(), 1, "the one before it is right");
    // The hub's own try may be in the middle of it.
    hospital.until(|hospital| (hospital.hub.opened().instances > 0 || hospital.scratch().is_empty()).then_some(()));
    assert_eq!(hospital.hub.opened().instances, 0);
    assert!(!hospital.row().ready_to_read);
}

#[test]
fn a_reader_whose_study_was_pushed_out_waits_once_and_gets_the_same_bytes() {
    let hospital = at(Start { opened_bytes_max: 0, ..three() });
    hospital.claim(BANDA);
    hospital.until(|hospital| hospital.row().ready_to_read.then_some(()));
    let (_, files) = export(&hospital, Form::Verbatim);
    assert_eq!(files.into_iter().map(|(_, file)| file).collect::<Vec<_>>(), received());
    assert_eq!(hospital.hub.opened().waits, 1);
}

#[test]
fn what_rotted_where_it_was_kept_is_decoded_again_and_given_out_once() {
    let hospital = at(three());
    kept(&hospital);
    hospital.claim(BANDA);
    let [file] = hospital.scratch()[..] else { panic!("one group") };
    hospital.medium.flip(file, 2000, 0);
    let (_, files) = export(&hospital, Form::Verbatim);
    assert_eq!(files.into_iter().map(|(_, file)| file).collect::<Vec<_>>(), received());
    assert_eq!(hospital.hub.opened().waits, 1);
}

#[test]
fn a_reader_is_told_what_the_clinic_found_of_the_instances() {
    let mut start = three();
    start.instances[0].0.flags = vec![Flag::StoredAsReceived];
    start.instances[2].0.flags = vec![Flag::Damaged, Flag::StoredAsReceived];
    let hospital = at(start);
    let row = hospital.until(|hospital| Some(hospital.row()).filter(|row| row.ready_to_read));
    assert_eq!((row.flagged.stored, row.flagged.damaged, row.flagged.conflicting), (2, 1, 0));
    let warning = row.warning.unwrap();
    assert!(warning.contains("2 Instances as received: the clinic's coder failed on it twice"), "{warning}");
    assert!(warning.contains("1 Instance cut off"), "{warning}");
}
