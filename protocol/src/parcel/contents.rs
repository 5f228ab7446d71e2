//! What the packed bytes of a parcel are: Instances as they were received, in coded groups, and what names them.
//!
//! The spoke writes it, the hub reads it years later, so it is versioned, and nothing in it is derived anew: every
//! Instance carries the hash of the bytes that the modality sent, and the hub shows nothing whose hash differs
//! (`protocol/SPEC.md`, Contents).

use crate::{
    id::Hash,
    limits::{GROUPS_MAX, INSTANCES_MAX, PARCEL_BYTES_MAX, PICTURES_MAX},
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

/// Packed bytes of a Series or late parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// [`CONTENTS_VERSION`].
    pub version: u16,
    /// The Study, so that a parcel alone tells whose it is.
    pub study: StudyInfo,
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
    pub study: StudyInfo,
    /// What is known of each Series so far.
    #[serde(deserialize_with = "at_most::<GROUPS_MAX, _, _>")]
    pub series: Vec<SeriesDigest>,
    /// Small pictures of some frames. Those of a later preview parcel are further ones; of one frame the later holds.
    #[serde(deserialize_with = "at_most::<PICTURES_MAX, _, _>")]
    pub pictures: Vec<Picture>,
}

/// A picture of one frame, not for diagnosis: a whole JPEG or PNG file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// (0020,000E), or the Instance's own UID where it has no Series.
    pub series: Phi<String>,
    /// (0008,0018).
    pub sop_instance_uid: Phi<String>,
    /// Which frame of the Instance, from 0.
    pub frame: u32,
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// The file.
    pub image: Phi<Vec<u8>>,
}

/// The Study in words for a reader: (0008,0005) decoded, empty where the modality said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StudyInfo {
    /// (0020,000D).
    pub study_instance_uid: Phi<String>,
    /// (0010,0010), as written: `FAMILY^GIVEN`.
    pub patient_name: Phi<String>,
    /// (0010,0020).
    pub patient_id: Phi<String>,
    /// (0010,0030), YYYYMMDD.
    pub birth_date: Phi<String>,
    /// (0010,0040).
    pub sex: Phi<String>,
    /// (0008,0050).
    pub accession_number: Phi<String>,
    /// (0008,0020), YYYYMMDD.
    pub study_date: Phi<String>,
    /// (0008,0030), HHMMSS.
    pub study_time: Phi<String>,
    /// (0008,1030).
    pub description: Phi<String>,
}

/// A Series in words for a reader.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeriesDigest {
    /// (0020,000E).
    pub series_instance_uid: Phi<String>,
    /// (0008,0060).
    pub modality: String,
    /// (0020,0011).
    pub number: Option<i32>,
    /// (0008,103E).
    pub description: Phi<String>,
    /// (0018,0015).
    pub body_part: Phi<String>,
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

    /// Reads packed bytes. What a hostile spoke packs is bounded by the parcel's own size, and so is what several
    /// groups decode to: only a single one may be an Instance that is larger than a parcel.
    ///
    /// # Errors
    /// [`WireError`] if they are no contents of a version this build knows.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let contents: Self = wire::decode("parcel contents", bytes, PARCEL_BYTES_MAX as usize)?;
        known(contents.version)?;
        let declared = contents.groups.iter().flat_map(|group| &group.instances).map(|entry| entry.bytes);
        let declared = declared.fold(0_u64, u64::saturating_add);
        if contents.groups.len() > 1 && declared > PARCEL_BYTES_MAX {
            let (bytes, limit) = (usize::try_from(declared).unwrap_or(usize::MAX), PARCEL_BYTES_MAX as usize);
            return Err(WireError::TooLong { what: "what the groups of one parcel decode to", bytes, limit });
        }
        Ok(contents)
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
        let contents = Contents { version: 1, study: StudyInfo::default(), groups: vec![group] };
        assert_eq!(Contents::parse(&contents.bytes()), Ok(contents.clone()));
        assert!(Contents::parse(&Contents { version: 2, ..contents }.bytes()).is_err());
    }

    #[test]
    fn a_parcel_full_of_empty_groups_is_refused_before_it_fills_the_memory() {
        let empty = Group { series: Phi::default(), instances: vec![], part: 0, parts: 1, coded: vec![] };
        let groups = |count| Contents { version: 1, study: StudyInfo::default(), groups: vec![empty.clone(); count] };
        assert!(Contents::parse(&groups(GROUPS_MAX).bytes()).is_ok());
        assert!(Contents::parse(&groups(GROUPS_MAX + 1).bytes()).is_err());
        let mut hostile = groups(0).bytes();
        let count = hostile.len() - 1;
        hostile.splice(count.., [0xff, 0xff, 0xff, 0xff, 0x0f]);
        hostile.resize(1 << 20, 0);
        assert!(Contents::parse(&hostile).is_err());
    }

    #[test]
    fn a_parcel_of_groups_that_decode_to_far_more_than_a_parcel_is_refused() {
        let long = InstanceEntry { bytes: 4 * 1024 * 1024 * 1024, ..entry(ReceivedForm::File) };
        let group = Group { series: Phi::default(), instances: vec![long], part: 0, parts: 1, coded: vec![0; 99] };
        let groups = |count| Contents { version: 1, study: StudyInfo::default(), groups: vec![group.clone(); count] };
        assert!(Contents::parse(&groups(1).bytes()).is_ok(), "one Instance may be as long");
        assert!(matches!(Contents::parse(&groups(200).bytes()), Err(WireError::TooLong { .. })));
    }

    #[test]
    fn a_preview_survives_its_bytes_and_holds_no_more_pictures_than_a_study_may_have() {
        let picture = Picture {
            series: Phi::new("1.2".into()),
            sop_instance_uid: Phi::new("1.2.3".into()),
            frame: 7,
            width: 512,
            height: 384,
            image: Phi::new(vec![0xFF, 0xD8]),
        };
        let preview = |count| PreviewContents {
            version: 1,
            study: StudyInfo::default(),
            series: Vec::new(),
            pictures: vec![picture.clone(); count],
        };
        assert_eq!(PreviewContents::parse(&preview(2).bytes()), Ok(preview(2)));
        assert!(PreviewContents::parse(&preview(PICTURES_MAX).bytes()).is_ok());
        assert!(PreviewContents::parse(&preview(PICTURES_MAX + 1).bytes()).is_err());
        assert!(!format!("{:?}", preview(1)).contains("1.2.3"));
    }

    #[test]
    fn contents_never_print_a_patient() {
        let study = StudyInfo { patient_name: Phi::new("Banda^Grace".into()), ..StudyInfo::default() };
        let series = SeriesDigest { description: Phi::new("Grace, left wrist".into()), ..SeriesDigest::default() };
        let printed = format!("{study:?} {series:?}");
        assert!(!printed.contains("Banda") && !printed.contains("Grace"), "{printed}");
    }
}
