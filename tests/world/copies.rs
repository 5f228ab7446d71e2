//! Real files with their UIDs made new, so that each is a Study, or an Instance of one, that was never sent.

use radmesh_codec::scan::{Form, scan};
use std::fs;

/// A file of the fixtures with other UIDs of the same length: Study and Series end in `study`, the Instance in
/// `instance`, five digits each.
pub(crate) fn renewed(name: &str, study: usize, instance: usize) -> Vec<u8> {
    let bytes = fs::read(super::fixtures().join(name)).unwrap();
    let found = scan(bytes.as_slice(), Form::File).unwrap();
    let series = found.series.as_ref().map(|uid| (uid.as_str(), study));
    let uids = [(found.study.as_str(), study), (found.sop_instance.as_str(), instance)];
    uids.into_iter().chain(series).fold(bytes, |bytes, (uid, number)| {
        let digits = (number + 10_000).to_string();
        let (head, _) = uid.split_at(uid.len() - digits.len());
        replaced(&bytes, uid.as_bytes(), format!("{head}{digits}").as_bytes())
    })
}

/// With `from`, wherever it stands, made into `to`, which has the same length.
pub(crate) fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = bytes.to_vec();
    for at in 0..=out.len() - from.len() {
        if &bytes[at..at + from.len()] == from {
            out[at..at + to.len()].copy_from_slice(to);
        }
    }
    out
}
