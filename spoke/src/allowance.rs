//! Allowance: how many bytes one accepted sender may store in a day.
//!
//! A modality that resends its archive night after night, or anything on the LAN that has its AE title, would fill the
//! disk that all others need. The allowance fills up again steadily, by the monotonic clock: no wall clock, and no
//! midnight at which it all begins anew. Unknown senders have the quarantine's room instead.

use crate::staging::Sender;
use radmesh_protocol::time::Mono;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

const DAY_MS: u128 = 24 * 3600 * 1000;

/// A sender has stored what it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its sender has stored {} MB within a day, which is all that one may: see sender_gb_a_day in radmesh.toml",
    bytes_a_day / 1_000_000
)]
pub struct OverAllowance {
    bytes_a_day: u64,
}

/// What each sender may still store.
#[derive(Debug)]
pub(crate) struct Allowances {
    bytes_a_day: u64,
    left: Mutex<BTreeMap<Sender, Left>>,
}

#[derive(Debug, Clone, Copy)]
struct Left {
    bytes: u64,
    at: Mono,
}

impl Allowances {
    pub(crate) const fn new(bytes_a_day: u64) -> Self {
        Self { bytes_a_day, left: Mutex::new(BTreeMap::new()) }
    }

    /// Takes bytes of a sender's allowance, before they are written. A person at the keyboard has no bounds.
    pub(crate) fn take(&self, sender: &Sender, bytes: u64, now: Mono) -> Result<(), OverAllowance> {
        if *sender == Sender::Hand {
            return Ok(());
        }
        let mut senders = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Left { bytes: self.bytes_a_day, at: now };
        let left = senders.entry(sender.clone()).or_insert(full);
        let filled = u128::from(self.bytes_a_day) * u128::from(now.since(left.at).0) / DAY_MS;
        if filled > 0 {
            let filled = u64::try_from(filled).unwrap_or(u64::MAX);
            *left = Left { bytes: left.bytes.saturating_add(filled).min(self.bytes_a_day), at: now };
        }
        left.bytes = left.bytes.checked_sub(bytes).ok_or(OverAllowance { bytes_a_day: self.bytes_a_day })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modality::Modality;
    use radmesh_dimse::AeTitle;
    use std::net::Ipv4Addr;

    fn sender(ae_title: &str) -> Sender {
        Sender::from(Modality { ae_title: AeTitle::parse(ae_title).unwrap(), address: Ipv4Addr::LOCALHOST.into() })
    }

    #[test]
    fn a_sender_stores_what_it_may_in_a_day_and_leaves_the_others_theirs() {
        let allowances = Allowances::new(1_000);
        let (ct, cr) = (sender("CT"), sender("CR"));
        let at = |hours: u64| Mono(hours * 3_600_000);
        assert_eq!(allowances.take(&ct, 900, at(0)), Ok(()));
        let refused = allowances.take(&ct, 101, at(0)).unwrap_err();
        assert!(refused.to_string().contains("sender_gb_a_day"), "{refused}");
        assert_eq!(allowances.take(&ct, 100, at(0)), Ok(()), "a smaller one still fits");
        assert_eq!(allowances.take(&cr, 1_000, at(0)), Ok(()));
        assert_eq!(allowances.take(&Sender::Hand, u64::MAX, at(0)), Ok(()));
        assert_eq!(allowances.take(&ct, 500, at(12)), Ok(()));
        assert!(allowances.take(&ct, 1, at(12)).is_err());
        assert_eq!(allowances.take(&ct, 1_000, at(48)), Ok(()));
        assert!(allowances.take(&ct, 1, at(48)).is_err(), "what was not used does not add up");
    }

    #[test]
    fn many_small_writes_take_no_more_time_to_fill_up_than_one() {
        let (allowances, ct) = (Allowances::new(1_000), sender("CT"));
        allowances.take(&ct, 1_000, Mono(0)).unwrap();
        // Less than a byte fills up between two looks.
        let stored = (0..24 * 3600).filter(|second| allowances.take(&ct, 1, Mono(second * 1_000)).is_ok()).count();
        assert!((990..=1_000).contains(&stored), "{stored}");
    }
}
