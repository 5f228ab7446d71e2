//! How much a peer may take of this node.
//!
//! A spoke has the memory of a Raspberry Pi and one disk, and any machine on the clinic's network can connect. The
//! rule: everything a peer can make us hold has a maximum here, and a figure out of range is refused when the
//! configuration is read, not when a patient waits.

use crate::wire::{PDU_BYTES_MAX, PDU_BYTES_MIN};
use std::{ops::RangeInclusive, time::Duration};

/// Limits as written in a configuration, not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Associations at once.
    pub associations: usize,
    /// Associations at once from one address.
    pub associations_per_peer: usize,
    /// Bytes of a P-DATA-TF PDU, as told to the peer.
    pub pdu_bytes: u32,
    /// Bytes of one object; a larger one gets A700.
    pub object_bytes: u64,
    /// Seconds in which a peer's next PDU must be whole.
    pub idle_seconds: u64,
    /// Seconds in which one object must be whole.
    pub object_seconds: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            associations: 32,
            associations_per_peer: 8,
            pdu_bytes: PDU_BYTES_MAX,
            // A breast tomosynthesis of both sides is near 2 GB (CAPABILITIES: 1 GB and more).
            object_bytes: 4 * 1024 * 1024 * 1024,
            idle_seconds: 60,
            // 1 GB over a modality's 10 Mbit/s Ethernet takes 15 minutes.
            object_seconds: 60 * 60,
        }
    }
}

/// Limits that were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits(Figures);

/// A figure that no node can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {found}; it can be {min} to {max}")]
pub struct LimitsError {
    /// Which figure.
    pub name: &'static str,
    /// As written.
    pub found: u64,
    /// The least it can be.
    pub min: u64,
    /// The most it can be.
    pub max: u64,
}

/// Seconds in which a peer that connected must have asked for an association (PS3.8: the ARTIM timer).
pub(super) const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Each association holds a blocking thread while an object comes in; tokio has 512.
const ASSOCIATIONS_MAX: usize = 256;

impl Limits {
    /// Checks the figures.
    ///
    /// # Errors
    /// The first figure out of its range.
    pub fn checked(figures: Figures) -> Result<Self, LimitsError> {
        let within = |name, found: u64, range: RangeInclusive<u64>| {
            let (min, max) = (*range.start(), *range.end());
            if range.contains(&found) { Ok(()) } else { Err(LimitsError { name, found, min, max }) }
        };
        let associations = figures.associations as u64;
        within("associations", associations, 1..=ASSOCIATIONS_MAX as u64)?;
        within("associations_per_peer", figures.associations_per_peer as u64, 1..=associations)?;
        within("pdu_bytes", figures.pdu_bytes.into(), PDU_BYTES_MIN.into()..=PDU_BYTES_MAX.into())?;
        within("object_bytes", figures.object_bytes, 64 * 1024..=1 << 40)?;
        within("idle_seconds", figures.idle_seconds, 1..=3_600)?;
        within("object_seconds", figures.object_seconds, figures.idle_seconds..=24 * 3_600)?;
        Ok(Self(figures))
    }

    pub(super) const fn associations(&self) -> usize {
        self.0.associations
    }

    pub(super) const fn associations_per_peer(&self) -> usize {
        self.0.associations_per_peer
    }

    pub(super) const fn pdu_bytes(&self) -> u32 {
        self.0.pdu_bytes
    }

    pub(super) const fn object_bytes(&self) -> u64 {
        self.0.object_bytes
    }

    pub(super) const fn idle(&self) -> Duration {
        Duration::from_secs(self.0.idle_seconds)
    }

    pub(super) const fn object(&self) -> Duration {
        Duration::from_secs(self.0.object_seconds)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::checked(Figures::default()).expect("the default figures are in range, as a test shows")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_figures_are_in_range() {
        let _ = Limits::default();
    }

    #[test]
    fn a_figure_out_of_range_is_named_with_its_range() {
        let error = Limits::checked(Figures { pdu_bytes: 1_000, ..Figures::default() }).unwrap_err();
        assert_eq!(error.to_string(), "pdu_bytes is 1000; it can be 4096 to 131072");
        assert!(Limits::checked(Figures { associations: 4, ..Figures::default() }).is_err());
    }
}
