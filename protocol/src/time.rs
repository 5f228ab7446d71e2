//! Time as an input.
//!
//! The core never reads a clock. `mono` decides leases, stalls and budgets; `wall` and the hybrid clock are for
//! people's eyes only, because a node may boot in 1970 (`protocol/SPEC.md`, Time).

use serde::{Deserialize, Serialize};

/// Milliseconds since this process started; never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Mono(pub u64);

/// Milliseconds since 1970-01-01T00:00:00Z by the node's own, possibly wrong, clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Wall(pub u64);

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Millis(pub u64);

/// The moment at which an input is handled. Made only in `node/clock.rs` and in simulations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For decisions.
    pub mono: Mono,
    /// For display.
    pub wall: Wall,
}

impl Mono {
    /// The moment `later` after this one.
    #[must_use]
    pub const fn after(self, later: Millis) -> Self {
        Self(self.0.saturating_add(later.0))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Millis {
    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }
}

/// Hybrid logical clock: 48 bits of milliseconds, 16 bits of counter. Orders display, decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hlc(pub u64);

/// Physical milliseconds ahead of our own floor beyond which a peer's clock is not adopted: 24 h.
pub const HLC_AHEAD_MAX: Millis = Millis::from_secs(24 * 3600);

impl Hlc {
    /// The physical part, for display.
    #[must_use]
    pub const fn wall(self) -> Wall {
        Wall(self.0 >> 16)
    }

    /// The next reading for an event of our own: never at or below `self`.
    #[must_use]
    pub const fn tick(self, wall: Wall) -> Self {
        let physical = wall.0.saturating_mul(1 << 16);
        if physical > self.0 { Self(physical) } else { Self(self.0 + 1) }
    }

    /// Learns from a peer's event, unless it is more than 24 h ahead of `floor`.
    #[must_use]
    pub const fn heard(self, other: Self, floor: Wall) -> Self {
        let ahead = other.wall().0 > floor.0.saturating_add(HLC_AHEAD_MAX.0);
        if ahead || other.0 <= self.0 { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_made_after_another_sorts_after_it_even_when_the_clock_went_back() {
        let first = Hlc::default().tick(Wall(1_700_000_000_000));
        assert!(first.tick(Wall(0)) > first);
    }

    #[test]
    fn a_peer_from_the_year_2300_is_not_followed() {
        let ours = Hlc::default().tick(Wall(1_700_000_000_000));
        let theirs = Hlc::default().tick(Wall(10_400_000_000_000));
        assert_eq!(ours.heard(theirs, Wall(1_700_000_000_000)), ours);
    }
}
