//! What a case has already taken in, remembered after its files are gone.
//!
//! A technician who sends a Study again after a power cut must not make a second case of it, and a device that uses
//! one SOP Instance UID for two images must not overwrite the first. So of every Instance three keyed hashes stay:
//! its UID, its content, its received bytes. Without the node's key they tell nothing.

use super::ReceivedInstance;
use radmesh_protocol::{envelope::at_rest::AtRestKey, id::Hash};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The first 16 bytes of a keyed hash: enough to tell apart, half the memory.
type Short = [u8; 16];

/// What is remembered of one Instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trace {
    pub(crate) series: Short,
    uid: Short,
    content: Short,
    received: Short,
}

impl Trace {
    /// Of an Instance just received.
    #[must_use]
    pub fn of(instance: &ReceivedInstance, key: &AtRestKey) -> Self {
        let received = [instance.received.as_bytes(), instance.form_name().as_bytes()].concat();
        Self {
            series: short(key.keyed_hash("trace series", instance.series_or_self().as_bytes())),
            uid: short(key.keyed_hash("trace uid", instance.sop_instance.reveal().as_bytes())),
            content: short(key.keyed_hash("trace content", instance.content.as_bytes())),
            received: short(key.keyed_hash("trace received", &received)),
        }
    }
}

/// How an Instance stands to what is known of its case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// Its UID was not here.
    New,
    /// The same data set in other received bytes (a file where a C-STORE was): kept, and it is one Instance.
    OtherForm,
    /// Its UID was here with another content: both are kept and flagged, a person decides.
    Conflicting,
    /// These very bytes are here.
    Duplicate,
}

/// The traces of one case.
#[derive(Debug, Clone, Default)]
pub struct Known(HashMap<Short, Vec<Trace>>);

impl Known {
    /// How `trace` stands to those remembered.
    #[must_use]
    pub fn judge(&self, trace: &Trace) -> Novelty {
        let Some(same_uid) = self.0.get(&trace.uid) else { return Novelty::New };
        let same_content = || same_uid.iter().filter(|known| known.content == trace.content);
        match (same_content().any(|known| known.received == trace.received), same_content().next()) {
            (true, _) => Novelty::Duplicate,
            (false, Some(_)) => Novelty::OtherForm,
            (false, None) => Novelty::Conflicting,
        }
    }

    /// Remembers it.
    pub fn remember(&mut self, trace: Trace) {
        let same_uid = self.0.entry(trace.uid).or_default();
        if !same_uid.contains(&trace) {
            same_uid.push(trace);
        }
    }

    /// Whether that content of that UID is here, in whichever received bytes.
    #[must_use]
    pub fn holds_content_of(&self, trace: &Trace) -> bool {
        self.0.get(&trace.uid).is_some_and(|same_uid| same_uid.iter().any(|known| known.content == trace.content))
    }

    /// Forgets it.
    pub fn forget(&mut self, trace: &Trace) {
        if let Some(same_uid) = self.0.get_mut(&trace.uid) {
            same_uid.retain(|known| known != trace);
            if same_uid.is_empty() {
                self.0.remove(&trace.uid);
            }
        }
    }

    /// UIDs that stand for more than one content.
    #[must_use]
    pub fn conflicting(&self) -> usize {
        self.0.values().filter(|same_uid| same_uid.iter().any(|known| known.content != same_uid[0].content)).count()
    }

    /// Whether one UID stands for more than one content.
    #[must_use]
    pub fn is_conflicting(&self, trace: &Trace) -> bool {
        self.0.get(&trace.uid).is_some_and(|same_uid| same_uid.iter().any(|known| known.content != trace.content))
    }

    /// SOP Instance UIDs known.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.0.len()
    }
}

fn short(hash: Hash) -> Short {
    *hash.0.first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::tests::received;

    fn traces(list: &[(&str, u8, u8)]) -> Vec<Trace> {
        let key = AtRestKey::from_bytes(&[7; 32]);
        let of =
            |&(uid, content, bytes): &(&str, u8, u8)| Trace::of(&received("1.2", "1.2.3", uid, content, bytes), &key);
        list.iter().map(of).collect()
    }

    #[test]
    fn the_same_bytes_again_are_a_duplicate_and_another_form_of_them_is_not() {
        let traces = traces(&[("1", 5, 5), ("1", 5, 5), ("1", 5, 6), ("2", 5, 5)]);
        let mut known = Known::default();
        assert_eq!(known.judge(&traces[0]), Novelty::New);
        known.remember(traces[0]);
        assert_eq!(known.judge(&traces[1]), Novelty::Duplicate);
        assert_eq!(known.judge(&traces[2]), Novelty::OtherForm);
        assert_eq!(known.judge(&traces[3]), Novelty::New);
    }

    #[test]
    fn one_uid_with_two_contents_is_told_of_both() {
        let traces = traces(&[("1", 5, 5), ("1", 6, 6)]);
        let mut known = Known::default();
        known.remember(traces[0]);
        assert!(!known.is_conflicting(&traces[0]));
        assert_eq!(known.judge(&traces[1]), Novelty::Conflicting);
        known.remember(traces[1]);
        assert!(known.is_conflicting(&traces[0]) && known.is_conflicting(&traces[1]));
        assert_eq!(known.instances(), 1);
    }
}
