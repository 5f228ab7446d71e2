//! Seats: how many associations are open, over all and from one address.
//!
//! One broken modality that opens a connection a second must not shut out the CT next to it. The rule: a seat is
//! held by a value, so whatever way an association ends, its seat is free.

use super::negotiation::Rejection;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

#[derive(Debug)]
pub(super) struct Seats {
    max: usize,
    max_per_peer: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One association's place; free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("all {0} associations are taken")]
    Everywhere(usize),
    #[error("all {0} associations of this address are taken")]
    ForThisPeer(usize),
}

impl Full {
    pub(super) const fn rejection(self) -> Rejection {
        match self {
            Self::Everywhere(_) => Rejection::Busy,
            Self::ForThisPeer(_) => Rejection::PeerBusy,
        }
    }
}

impl Seats {
    pub(super) fn new(max: usize, max_per_peer: usize) -> Self {
        Self { max, max_per_peer, taken: Arc::default() }
    }

    pub(super) fn take(&self, address: IpAddr) -> Result<Seat, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.max {
            return Err(Full::Everywhere(self.max));
        }
        let of_peer = taken.entry(address).or_default();
        if *of_peer >= self.max_per_peer {
            return Err(Full::ForThisPeer(self.max_per_peer));
        }
        *of_peer += 1;
        Ok(Seat { address, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_peer) = taken.get_mut(&self.address) {
            *of_peer -= 1;
            if *of_peer == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_its_association_ends() {
        let (seats, a, b) = (Seats::new(3, 2), IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = seats.take(a).unwrap();
        let _second = seats.take(a).unwrap();
        assert_eq!(seats.take(a).unwrap_err(), Full::ForThisPeer(2));
        let _third = seats.take(b).unwrap();
        assert_eq!(seats.take(b).unwrap_err(), Full::Everywhere(3));
        drop(first);
        assert!(seats.take(a).is_ok());
    }
}
