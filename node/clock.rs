//! The only maker of [`Now`].
//!
//! `mono` counts from the start of this process and never goes back, so a lease or a stall can't be decided by a
//! clock that jumps (a Raspberry Pi boots in 1970). `wall` is for people's eyes (`protocol/SPEC.md`, Time).

use radmesh_protocol::time::{Millis, Mono, Now, Wall};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The lowest the time can be: when this version was made, 2026-11-22. A clock that boots in 1970 is wrong.
pub(crate) const BUILT: Wall = Wall(1_795_305_600_000);

/// This process's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Now {
        // A clock before 1970 reads 0: display only, and the newest verified statement lifts it.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: Mono(millis(self.started.elapsed())), wall: Wall(millis(wall)) }
    }

    /// The runtime's instant of a moment, to sleep until.
    pub(crate) fn instant(&self, at: Mono) -> Instant {
        // A moment centuries ahead means "never"; an hour later we look again.
        let Millis(ahead) = at.since(self.now().mono);
        Instant::now() + Duration::from_millis(ahead.min(3_600_000))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started_before(ago: Duration) -> Clock {
        Clock { started: Instant::now().checked_sub(ago).unwrap() }
    }

    #[test]
    fn mono_counts_from_the_start_of_the_process() {
        let Mono(mono) = started_before(Duration::from_millis(1500)).now().mono;
        assert!((1500..60_000).contains(&mono), "{mono}");
    }

    #[test]
    fn a_moment_that_has_passed_is_not_waited_for() {
        let clock = started_before(Duration::from_secs(9));
        assert!(clock.instant(Mono(5)) <= Instant::now());
    }

    #[test]
    fn a_moment_ahead_is_waited_for_to_the_millisecond() {
        let clock = started_before(Duration::from_secs(9));
        let before = clock.started + Duration::from_millis(20_000 - 2);
        assert!(clock.instant(Mono(20_000)) >= before);
    }
}
