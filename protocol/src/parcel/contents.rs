//! What the packed bytes of a parcel are: Instances as they were received, in coded groups, and what names them.
//!
//! The spoke writes it, the hub reads it years later, so it is versioned, and nothing in it is derived anew: every
//! Instance carries the hash of the bytes that the modality sent, and the hub shows nothing whose hash differs
//! (`protocol/SPEC.md`, Contents; DICOM PS3.10 section 7.1 for the file meta).

use crate::{
    id::Hash,
    limits::{GROUPS_MAX, INSTANCES_MAX, PARCEL_BYTES_MAX},
    phi::Phi,
    wire::{self, WireError, serde_bytes_vec},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// Version of the layout of [`Contents`] and [`PreviewContents`].
pub const CONTENTS_VERSION: u16 = 1;

/// UID under 2.25 (PS3.5 annex B.2) of whoever writes a file meta: this project.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.313467297453012811204536846264318204221";
/// Name beside it; at most 16 characters (PS3.10 table 7.1-1).
pub const IMPLEMENTATION_VERSION_NAME: &str = "RADMESH_1";

/// Packed bytes of a Series or late parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// [`CONTENTS_VERSION`].
    pub version: u16,
    /// The Study, so that a parcel alone tells whose it is.
    pub study: Phi<StudyInfo>,
    /// In the order in which they were coded.
    #[serde(deserialize_with = "at_most::<GROUPS_MAX, _, _>")]
    pub groups: Vec<Group>,
}

/// Packed bytes of a preview parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewContents {
    /// [`CONTENTS_VERSION`].
    pub version: u16,
    /// The Study.
    pub study: Phi<StudyInfo>,
    /// What is known of each Series so far.
    #[serde(deserialize_with = "at_most::<GROUPS_MAX, _, _>")]
    pub series: Vec<Phi<SeriesDigest>>,
    /// Small pictures; none in this version.
    #[serde(deserialize_with = "at_most::<GROUPS_MAX, _, _>")]
    pub previews: Vec<Vec<u8>>,
}

/// The Study in words for a reader: (0008,0005) decoded, empty where the modality said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StudyInfo {
    /// (0020,000D).
    pub study_instance_uid: String,
    /// (0010,0010), as written: `FAMILY^GIVEN`.
    pub patient_name: String,
    /// (0010,0020).
    pub patient_id: String,
    /// (0010,0030), YYYYMMDD.
    pub birth_date: String,
    /// (0010,0040).
    pub sex: String,
    /// (0008,0050).
    pub accession_number: String,
    /// (0008,0020), YYYYMMDD.
    pub study_date: String,
    /// (0008,0030), HHMMSS.
    pub study_time: String,
    /// (0008,1030).
    pub description: String,
}

/// A Series in words for a reader.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeriesDigest {
    /// (0020,000E).
    pub series_instance_uid: String,
    /// (0008,0060).
    pub modality: String,
    /// (0020,0011).
    pub number: Option<i32>,
    /// (0008,103E).
    pub description: String,
    /// (0018,0015).
    pub body_part: String,
    /// Instances so far.
    pub instances: u32,
    /// Bytes received so far.
    pub bytes: u64,
}

/// A run of Instances of one Series, coded as one: the unit of order and access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Series Instance UID.
    pub series: Phi<String>,
    /// The Instances, in the order in which the group decodes to them.
    #[serde(deserialize_with = "at_most::<INSTANCES_MAX, _, _>")]
    pub instances: Vec<InstanceEntry>,
    /// Which part of the coded bytes this is, from 0.
    pub part: u16,
    /// How many parts there are; more than 1 only where one parcel can't hold the group.
    pub parts: u16,
    /// The coded bytes, or this part of them.
    #[serde(with = "serde_bytes_vec")]
    pub coded: Vec<u8>,
}

/// One Instance as received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceEntry {
    /// (0008,0018).
    pub sop_instance_uid: Phi<String>,
    /// (0008,0016).
    pub sop_class_uid: String,
    /// Of the data set.
    pub transfer_syntax: String,
    /// As a file or over the network.
    pub received: ReceivedForm,
    /// Bytes received.
    pub bytes: u64,
    /// BLAKE3 of the bytes received.
    pub content: Hash,
    /// What a reader must be told.
    pub flags: Vec<Flag>,
}

/// How an Instance came: what its received bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceivedForm {
    /// A whole file, with or without preamble and file meta.
    File,
    /// The data set of a C-STORE; the file meta is written from what the association said.
    DataSet {
        /// AE title of the sender.
        calling_ae: String,
        /// AE title it called.
        called_ae: String,
    },
}

/// What a reader must be told of an Instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Flag {
    /// The file ends before its data set does.
    Damaged,
    /// Another Instance of this UID has other content; both are kept.
    ConflictingContent,
    /// (0008,0005) names a character set that can't be decoded; text is shown raw.
    UnknownCharset,
    /// The coder failed on it twice; it is stored as it came.
    StoredAsReceived,
}

impl Contents {
    /// The packed bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads packed bytes. What a hostile spoke packs is bounded by the parcel's own size.
    ///
    /// # Errors
    /// [`WireError`] if they are no contents of a version this build knows.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let contents: Self = wire::decode("parcel contents", bytes, PARCEL_BYTES_MAX as usize)?;
        known(contents.version).map(|()| contents)
    }
}

impl PreviewContents {
    /// The packed bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads packed bytes.
    ///
    /// # Errors
    /// [`WireError`] if they are no preview of a version this build knows.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let contents: Self = wire::decode("preview contents", bytes, PARCEL_BYTES_MAX as usize)?;
        known(contents.version).map(|()| contents)
    }
}

/// A list of at most `N` items: 32 MiB of empty groups would take half a gigabyte of memory.
fn at_most<'de, const N: usize, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct AtMost<const N: usize, T>(PhantomData<T>);
    impl<'de, const N: usize, T: Deserialize<'de>> Visitor<'de> for AtMost<N, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {N} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(item) = items.next_element()? {
                if all.len() == N {
                    return Err(A::Error::invalid_length(N + 1, &self));
                }
                all.push(item);
            }
            Ok(all)
        }
    }
    from.deserialize_seq(AtMost::<N, T>(PhantomData))
}

fn known(version: u16) -> Result<(), WireError> {
    let what = "parcel contents of another version";
    if version == CONTENTS_VERSION { Ok(()) } else { Err(WireError::Malformed { what }) }
}

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

    fn entry(received: ReceivedForm) -> InstanceEntry {
        InstanceEntry {
            sop_instance_uid: Phi::new("1.2.3".into()),
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
            transfer_syntax: "1.2.840.10008.1.2.1".into(),
            received,
            bytes: 3,
            content: Hash::of(b"abc"),
            flags: vec![Flag::Damaged],
        }
    }

    #[test]
    fn contents_survive_their_bytes_and_a_later_version_is_refused() {
        let group = Group {
            series: Phi::new("1.2".into()),
            instances: vec![entry(ReceivedForm::File)],
            part: 0,
            parts: 1,
            coded: b"abc".to_vec(),
        };
        let contents = Contents { version: 1, study: Phi::new(StudyInfo::default()), groups: vec![group] };
        assert_eq!(Contents::parse(&contents.bytes()), Ok(contents.clone()));
        assert!(Contents::parse(&Contents { version: 2, ..contents }.bytes()).is_err());
    }

    #[test]
    fn a_parcel_full_of_empty_groups_is_refused_before_it_fills_the_memory() {
        let empty = Group { series: Phi::default(), instances: vec![], part: 0, parts: 1, coded: vec![] };
        let groups = |count| Contents { version: 1, study: Phi::default(), groups: vec![empty.clone(); count] };
        assert!(Contents::parse(&groups(GROUPS_MAX).bytes()).is_ok());
        assert!(Contents::parse(&groups(GROUPS_MAX + 1).bytes()).is_err());
        let mut hostile = groups(0).bytes();
        let count = hostile.len() - 1;
        hostile.splice(count.., [0xff, 0xff, 0xff, 0xff, 0x0f]);
        hostile.resize(1 << 20, 0);
        assert!(Contents::parse(&hostile).is_err());
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

    #[test]
    fn contents_never_print_a_patient() {
        let study = StudyInfo { patient_name: "Banda^Grace".into(), ..StudyInfo::default() };
        let contents = PreviewContents { version: 1, study: Phi::new(study), series: vec![], previews: vec![] };
        assert!(!format!("{contents:?}").contains("Banda"));
    }
}
