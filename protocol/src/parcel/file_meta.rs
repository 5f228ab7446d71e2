//! The file meta of an Instance that came by C-STORE, which brings a data set and no file.
//!
//! A radiologist's viewer wants a file; every hub must hand out the same one, so the meta is written by one fixed rule
//! from what the association said. Source: `protocol/SPEC.md`, Contents; DICOM PS3.10 section 7.1.

use super::contents::{InstanceEntry, ReceivedForm};

/// UID under 2.25 (PS3.5 annex B.2) of whoever writes a file meta: this project.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.313467297453012811204536846264318204221";
/// Name beside it; at most 16 characters (PS3.10 table 7.1-1).
pub const IMPLEMENTATION_VERSION_NAME: &str = "RADMESH_1";

/// 128 zero bytes, `DICM` and group 0002 for a data set that came by C-STORE: the one fixed rule, so that every hub
/// exports the same file. Empty for an Instance that came as a file.
///
/// Explicit VR little endian, in order of tag: group length, version, SOP Class and Instance UID, Transfer Syntax
/// UID, implementation class and version, sending and receiving AE title (PS3.10 table 7.1-1).
#[must_use]
pub fn file_meta(entry: &InstanceEntry) -> Vec<u8> {
    let ReceivedForm::DataSet { calling_ae, called_ae } = &entry.received else { return Vec::new() };
    let mut group = Vec::new();
    group.extend_from_slice(&[0x02, 0x00, 0x01, 0x00, b'O', b'B', 0, 0, 2, 0, 0, 0, 0, 1]);
    put(&mut group, 0x0002, b"UI", &entry.sop_class_uid, 0);
    put(&mut group, 0x0003, b"UI", entry.sop_instance_uid.reveal(), 0);
    put(&mut group, 0x0010, b"UI", &entry.transfer_syntax, 0);
    put(&mut group, 0x0012, b"UI", IMPLEMENTATION_CLASS_UID, 0);
    put(&mut group, 0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b' ');
    put(&mut group, 0x0017, b"AE", calling_ae, b' ');
    put(&mut group, 0x0018, b"AE", called_ae, b' ');
    let mut file = vec![0; 128];
    file.extend_from_slice(b"DICM");
    file.extend_from_slice(&[0x02, 0x00, 0x00, 0x00, b'U', b'L', 4, 0]);
    file.extend_from_slice(&(group.len() as u32).to_le_bytes());
    file.extend_from_slice(&group);
    file
}

// Values are UIDs and AE titles of at most 64 bytes where they come from; what is longer is cut, never wrapped round.
fn put(group: &mut Vec<u8>, element: u16, vr: &[u8; 2], value: &str, pad: u8) {
    let value = value.trim_end_matches(['\0', ' ']).as_bytes();
    let value = &value[..value.len().min(1024)];
    let bytes = value.len().next_multiple_of(2);
    group.extend_from_slice(&[0x02, 0x00]);
    group.extend_from_slice(&element.to_le_bytes());
    group.extend_from_slice(vr);
    group.extend_from_slice(&(bytes as u16).to_le_bytes());
    group.extend_from_slice(value);
    group.extend(std::iter::repeat_n(pad, bytes - value.len()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::Hash, phi::Phi};

    fn entry(received: ReceivedForm) -> InstanceEntry {
        InstanceEntry {
            sop_instance_uid: Phi::new("1.2.3".into()),
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
            transfer_syntax: "1.2.840.10008.1.2.1".into(),
            received,
            bytes: 3,
            content: Hash::of(b"abc"),
            flags: Vec::new(),
        }
    }

    #[test]
    fn file_meta_is_the_same_on_every_hub_and_its_group_length_is_true() {
        let data_set = ReceivedForm::DataSet { calling_ae: "CT1".into(), called_ae: "RADMESH".into() };
        let meta = file_meta(&entry(data_set));
        assert_eq!(meta[..132], [[0; 128].as_slice(), b"DICM"].concat());
        let length = u32::from_le_bytes(meta[140..144].try_into().unwrap());
        assert_eq!(length as usize, meta.len() - 144);
        assert!(meta.len().is_multiple_of(2));
        assert!(meta.windows(8).any(|at| at == [0x02, 0, 0x17, 0, b'A', b'E', 4, 0]));
        assert!(file_meta(&entry(ReceivedForm::File)).is_empty());
    }
}
