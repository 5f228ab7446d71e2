//! Which Instances of a Series are coded together.
//!
//! Rule, for sizes in the order in which a Series is read: Instances join until the next would take the group over
//! [`GROUP_BYTES`] or [`GROUP_INSTANCES_MAX`]; one larger than that is a group of its own. 4 MiB is eight CT slices:
//! a reader waits for no more than that to see the first, and the coder needs no more memory than that.

use crate::limits::{GROUP_BYTES, GROUP_INSTANCES_MAX};
use std::ops::Range;

/// The groups, as ranges of indices into `sizes` (bytes of each Instance), in order and without a gap.
#[must_use]
pub fn plan(sizes: &[u64]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0_u64;
    for (index, &size) in sizes.iter().enumerate() {
        bytes = bytes.saturating_add(size);
        match groups.last_mut() {
            Some(group) if bytes <= GROUP_BYTES && group.len() < GROUP_INSTANCES_MAX => group.end = index + 1,
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
    use proptest::prelude::*;

    #[test]
    fn ct_slices_go_eight_to_a_group() {
        assert_eq!(plan(&[512 * 1024; 20]), [0..8, 8..16, 16..20]);
    }

    #[test]
    fn an_instance_over_the_group_size_stands_alone() {
        assert_eq!(plan(&[10, 500_000_000, 10, 10]), [0..1, 1..2, 2..4]);
    }

    proptest! {
        #[test]
        fn every_instance_is_in_one_group_in_order(sizes in proptest::collection::vec(0..3 * GROUP_BYTES, 0..200)) {
            let groups = plan(&sizes);
            prop_assert!(groups.iter().cloned().flatten().eq(0..sizes.len()));
            for group in groups {
                let total: u64 = sizes[group.clone()].iter().sum();
                prop_assert!(group.len() == 1 || total <= GROUP_BYTES);
            }
        }
    }
}
