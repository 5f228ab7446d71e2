//! Names as people know them: what a list shows beside a case.
//!
//! A reader must see who holds a case, not a key. The roster has the name the ministry admitted; a list that reaches
//! a node before the roster does still tells two strangers apart, by the head of their ids.

use super::Roster;
use crate::id::{NodeId, PersonId};

/// Characters of an id that stand in for a name.
const HEAD_CHARS: usize = 12;

impl Roster {
    /// A node's name, or the head of its id.
    #[must_use]
    pub fn node_name(&self, node: &NodeId) -> String {
        self.node(node).map_or_else(|| node.to_string()[..HEAD_CHARS].to_owned(), |member| member.name.clone())
    }

    /// A person's name, or the head of their id.
    #[must_use]
    pub fn person_name(&self, person: &PersonId) -> String {
        self.person(person).map_or_else(|| person.to_string()[..HEAD_CHARS].to_owned(), |member| member.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        id::{NodeId, PersonId},
        roster::sample::Sample,
    };

    #[test]
    fn who_is_admitted_has_a_name_and_two_strangers_are_told_apart() {
        let sample = Sample::new();
        assert_eq!(sample.roster.person_name(&sample.reader.person_id()), "Dr Banda");
        let [one, two] = [1, 2].map(|seed| NodeId([seed; 32]));
        assert_ne!(sample.roster.node_name(&one), sample.roster.node_name(&two));
        assert_eq!(sample.roster.person_name(&PersonId([0xab; 32])), "abababababab");
    }
}
