//! The order in which a list shows cases: what must not wait comes first.
//!
//! Open cases before completed ones, the class of the order, free ones before those somebody reads, then the
//! oldest. The last word is the case id, so that two nodes show one order. Clocks order display only.

use super::item::{State, WorklistItem};
use std::cmp::Ordering;

/// Compares two items: the one to read first is less.
#[must_use]
pub fn first_to_read(a: &WorklistItem, b: &WorklistItem) -> Ordering {
    let rank = |item: &WorklistItem| match item.state {
        State::Scheduled | State::InProgress => 0,
        State::Completed => 1,
    };
    let key = |item: &WorklistItem| (rank(item), item.class, item.state, item.since, item.case, item.site);
    key(a).cmp(&key(b))
}
