//! Modalities that are not ours send to a clinic, and the hospital has what they sent: three networks, one path.
//!
//! The spoke and the hub reach only the relay. DCMTK and pynetdicom send; what is kept and read again is compared
//! with what was sent: the same transfer syntax, the same bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use radmesh_codec::scan::{Form, scan};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use world::{
    federation::Federation,
    files, fixtures,
    network::{Network, Site},
    radmesh, until,
};

const FROM: [&str; 4] = ["-aet", "MODALITY", "-aec", "RADMESH"];

/// What must not change on the way: SOP Instance UID, Transfer Syntax UID, the bytes of the pixels.
fn kept(file: &Path) -> (String, String, Vec<u8>) {
    let bytes = fs::read(file).unwrap();
    let found = scan(bytes.as_slice(), Form::File).unwrap();
    let pixels = found.pixel_data.unwrap().value;
    let pixels = usize::try_from(pixels.start).unwrap()..usize::try_from(pixels.end).unwrap();
    (found.sop_instance.as_str().to_owned(), found.origin.transfer_syntax.as_str().to_owned(), bytes[pixels].to_vec())
}

/// The data set of a file: what follows the file meta (PS3.10 section 7.1).
fn data_set(file: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes(file[140..144].try_into().unwrap());
    &file[144 + usize::try_from(length).unwrap()..]
}

struct Clinic {
    network: Network,
    federation: Federation,
}

impl Clinic {
    fn dcmtk(&self, tool: &str, args: &[&str], paths: &[PathBuf]) {
        let port = self.federation.spoke.dicom_port.to_string();
        let mut command = self.network.inside(Site::Clinic, tool);
        let done = command.args(args).args(["127.0.0.1", &port]).args(paths).output().unwrap();
        assert!(done.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn storescu(&self, syntax: &str, path: &Path) {
        self.dcmtk("storescu", &[&FROM[..], &[syntax]].concat(), &[path.to_owned()]);
    }

    fn pynetdicom(&self, path: &Path) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut python = self.network.inside(Site::Clinic, root.join("target/venv/bin/python"));
        let port = self.federation.spoke.dicom_port.to_string();
        let script = root.join("tests/independent/store_known_bytes.py");
        let done = python.arg(script).args(["127.0.0.1", &port, "MODALITY"]).arg(path).output().unwrap();
        assert!(done.status.success(), "pynetdicom (made by ./check): {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn what_modalities_send_is_read_at_the_hospital_in_the_same_bytes() {
    let network = Network::new();
    assert!(!network.clinic_has_a_route_to_the_hospital());
    let federation = Federation::over(&network);
    let clinic = Clinic { network, federation };
    let federation = &clinic.federation;
    clinic.dcmtk("echoscu", &["-aet", "STRANGER", "-aec", "RADMESH"], &[]);

    // A stranger's image waits in quarantine and goes nowhere until a person has accepted its sender.
    let data = |name: &str| fixtures().join(name);
    let ct = data("pydicom/CT_small.dcm");
    clinic.dcmtk("storescu", &["-aet", "STRANGER", "-aec", "RADMESH"], std::slice::from_ref(&ct));
    assert_eq!(federation.spoke.json(&["studies"]), serde_json::json!([]));
    let waiting = federation.spoke.json(&["modality", "list"]);
    assert!(waiting.as_array().unwrap().iter().any(|row| row["ae_title"] == "STRANGER"), "{waiting}");
    radmesh(&["modality", "accept", "--dir", federation.spoke.text(), "MODALITY", "--address", "127.0.0.1"]);

    let by_storescu = [
        ("-xe", "pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm"),
        ("-xi", "pydicom/MR_small_implicit.dcm"),
        ("-xb", "pydicom-data/gdcm-US-ALOKA-16_big.dcm"),
        ("-xr", "pydicom-data/OBXXXX1A_rle_2frame.dcm"),
        ("-xw", "pydicom-data/RG1_J2KI.dcm"),
        ("-xs", "pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm"),
    ];
    for (syntax, name) in by_storescu {
        clinic.storescu(syntax, &data(name));
    }
    let by_dcmsend = ["pydicom/CT2_17106.dcm", "pydicom-data/emri_small_jpeg_ls_lossless.dcm"].map(data);
    clinic.dcmtk("dcmsend", &FROM, &by_dcmsend);
    clinic.pynetdicom(&ct);

    let sent: BTreeSet<_> =
        by_storescu.iter().map(|(_, name)| data(name)).chain(by_dcmsend).map(|path| kept(&path)).collect();
    let cases = until("the Studies are closed", || {
        let rows = federation.spoke.json(&["studies"]);
        let rows = rows.as_array().unwrap();
        let instances: u64 = rows.iter().map(|row| row["instances"].as_u64().unwrap()).sum();
        (instances == 9 && rows.iter().all(|row| row["closed"] == true)).then_some(rows.len())
    });
    federation.delivered(cases);
    let (mut read, mut verbatim) = (BTreeSet::new(), Vec::new());
    for (number, case) in federation.ready(cases).iter().enumerate() {
        federation.claim(case);
        let written = files(&federation.export(case, &format!("read/{number}"), &[]));
        read.extend(written.iter().map(|path| kept(path)));
        let as_it_came = files(&federation.export(case, &format!("verbatim/{number}"), &["--verbatim"]));
        verbatim.extend(as_it_came.iter().map(|path| fs::read(path).unwrap()));
        for path in written.iter().filter(|path| kept(path).0 == kept(&ct).0) {
            assert_eq!(data_set(&fs::read(path).unwrap()), data_set(&fs::read(&ct).unwrap()));
        }
    }
    let known = data_set(&fs::read(&ct).unwrap()).to_vec();
    assert!(verbatim.contains(&known), "the data set as pynetdicom sent it");
    assert!(read.contains(&kept(&ct)));
    assert_eq!(sent.difference(&read).map(|(uid, syntax, _)| (uid, syntax)).collect::<Vec<_>>(), []);
    let syntaxes: BTreeSet<_> = sent.iter().map(|(_, syntax, _)| syntax).collect();
    assert!(syntaxes.len() >= 6, "{syntaxes:?}");
}
