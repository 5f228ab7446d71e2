//! The dictionary: typical headers that the model has read before the first of a group.
//!
//! The first Instance of a group has none before it, and a single radiograph never has; with the dictionary it costs
//! two thirds. It was trained on the MIT-licensed files of pydicom and pydicom-data by
//! `protocol/codec/compare/train_dictionary.py`, which replaces whatever could name a person, a place or an examination.
//! A dictionary is part of the stream's layout: a new one gets a new number, and this one stays for ever.

use super::{
    decisions::Rehearsing,
    model::{Model, Shape},
    walk::{Form, Taken},
};
use flate2::read::ZlibDecoder;
use std::{io::Read, sync::OnceLock};

/// zlib (RFC 1950) of: each header as its length, u16 little endian, and its bytes.
const DICTIONARY: &[u8] = include_bytes!("dictionary.bin");

/// A model that has read the dictionary. Read once a process, about 20 MB; copied for each group.
pub(super) fn primed() -> Model {
    static PRIMED: OnceLock<Model> = OnceLock::new();
    PRIMED.get_or_init(read).clone()
}

fn inflated() -> Vec<u8> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(DICTIONARY).read_to_end(&mut bytes).expect("the dictionary is part of the program");
    bytes
}

fn read() -> Model {
    let mut model = Model::new();
    let dictionary = inflated();
    let mut rest = dictionary.as_slice();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (header, after) = after.split_at(usize::from(u16::from_le_bytes(*length)));
        let shape = Shape { form: Form::guess(header), taken: Taken::Listed, listed: &[], size: header.len() as u64 };
        model
            .instance(&mut Rehearsing, Some(header), shape, usize::MAX)
            .expect("no number of bytes is more than all that can be counted");
        rest = after;
    }
    model
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Fact, scan};

    #[test]
    fn it_is_the_one_that_streams_were_coded_with() {
        assert_eq!(
            blake3::hash(&inflated()).to_hex().as_str(),
            "dca74a0aaeac0aca538fc0165c38a1f5acf7644b1e9ea41909f7604c33fc1a0a",
            "a new dictionary needs a new number in the stream, and this one must stay"
        );
    }

    #[test]
    fn it_names_nobody_in_the_files_it_was_trained_on() {
        let dictionary = inflated();
        let facts = [
            Fact::PatientName,
            Fact::PatientId,
            Fact::PatientBirthDate,
            Fact::AccessionNumber,
            Fact::StudyDate,
            Fact::InstitutionName,
            Fact::ReferringPhysicianName,
        ];
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");
        let mut looked_for = 0;
        for folder in ["pydicom", "pydicom-data"] {
            for file in std::fs::read_dir(format!("{data}/{folder}")).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                let Ok(scan) = scan(bytes.as_slice(), crate::scan::Form::File) else { continue };
                let uids = [scan.study.as_str().as_bytes(), scan.sop_instance.as_str().as_bytes()];
                let values = facts.iter().filter_map(|fact| scan.facts.raw(*fact));
                let maker = scan.facts.raw(Fact::Manufacturer).unwrap_or_default().trim_ascii_end();
                let values = uids.into_iter().chain(values).map(<[u8]>::trim_ascii_end);
                // Shorter ones occur in any header by chance; a maker's own hospital is called like the maker, and some
                // files have "11111111" for a number, as the script does.
                for value in
                    values.filter(|value| value.len() >= 6 && !maker.starts_with(value) && value != b"11111111")
                {
                    looked_for += 1;
                    assert!(!dictionary.windows(value.len()).any(|window| window == value), "{value:?}");
                }
            }
        }
        assert!(looked_for > 60, "{looked_for}");
    }
}
