//! Which Instances of a Series are coded together.
//!
//! Rule, for sizes in the order in which a Series is read: Instances join until the next would take the group over
//! [`Profile::group_bytes`] or [`GROUP_INSTANCES_MAX`]; one larger than that is a group of its own. For fewest bytes a
//! group is sixteen CT slices, for speed eight, so that a part keeps four processor cores busy. A reader waits for no
//! more than that to see the first, and damage spoils no more (`docs/decisions/group-length.md`).

use super::Profile;
use crate::limits::GROUP_INSTANCES_MAX;
use std::ops::Range;

/// The groups that a profile asks for, as ranges of indices into `sizes` (bytes of each Instance), in order and without a gap.
#[must_use]
pub fn plan(sizes: &[u64], profile: Profile) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0_u64;
    for (index, &size) in sizes.iter().enumerate() {
        bytes = bytes.saturating_add(size);
        match groups.last_mut() {
            Some(group) if bytes <= profile.group_bytes() && group.len() < GROUP_INSTANCES_MAX => group.end = index + 1,
            _ => {
                groups.push(index..index + 1);
                bytes = size;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::GROUP_BYTES_MAX;
    use proptest::prelude::*;

    #[test]
    fn ct_slices_go_sixteen_to_a_group_and_eight_for_speed() {
        assert_eq!(plan(&[512 * 1024; 20], Profile::Max), [0..16, 16..20]);
        assert_eq!(plan(&[512 * 1024; 20], Profile::Fast), [0..8, 8..16, 16..20]);
    }

    #[test]
    fn an_instance_over_the_group_size_stands_alone() {
        assert_eq!(plan(&[10, 500_000_000, 10, 10], Profile::Max), [0..1, 1..2, 2..4]);
    }

    proptest! {
        #[test]
        fn every_instance_is_in_one_group_in_order(
            sizes in proptest::collection::vec(0..3 * GROUP_BYTES_MAX, 0..200),
            is_fast: bool,
        ) {
            let profile = if is_fast { Profile::Fast } else { Profile::Max };
            let groups = plan(&sizes, profile);
            prop_assert!(groups.iter().cloned().flatten().eq(0..sizes.len()));
            for group in groups {
                let total: u64 = sizes[group.clone()].iter().sum();
                prop_assert!(group.len() == 1 || total <= profile.group_bytes());
            }
        }
    }
}
