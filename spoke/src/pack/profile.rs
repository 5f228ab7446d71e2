//! For fewest bytes or for speed: which profile the coder runs under.
//!
//! On nearly every clinic's link a byte less is worth more than a processor's time, so the rule is: fewest bytes, unless
//! coding is what the patient waits for. That is so on a link that carries away more than a core codes, and where so
//! much waits to be coded that the newest Study would wait for a quarter of an hour.

use radmesh_codec::group::Profile;

/// Received bytes that one core codes in a second for fewest bytes, and decodes again (`docs/codec.md`).
const CODED_A_SECOND: u64 = 1_000_000;
/// Received bytes for one sealed byte, at least, of what clinics send.
const RATIO: u64 = 3;
/// What waits to be coded may take this long, all cores together.
const BACKLOG_SECONDS: u64 = 15 * 60;

/// What the choice depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pressure {
    /// Bytes a second that the fastest open link has shown; `None` before any were measured.
    pub(crate) link: Option<u64>,
    /// Received bytes that wait to be coded.
    pub(crate) staged: u64,
    /// Groups that are coded at once.
    pub(crate) seats: usize,
}

/// A profile, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) profile: Profile,
    /// In words for the technician.
    pub(crate) why: String,
}

impl Pressure {
    /// The profile that what is coded next gets.
    pub(crate) fn choose(&self) -> Choice {
        let link = self.link.map(|rate| format!("link {:.1} Mbit/s", rate as f64 * 8.0 / 1e6));
        if self.link.is_some_and(|rate| rate.saturating_mul(RATIO) > CODED_A_SECOND) {
            let why = format!("speed: {}, more than a core keeps up with", link.unwrap_or_default());
            return Choice { profile: Profile::Fast, why };
        }
        let backlog_seconds = self.staged / (CODED_A_SECOND * self.seats.max(1) as u64);
        if backlog_seconds > BACKLOG_SECONDS {
            let why = format!("speed: {} min of coding wait", backlog_seconds / 60);
            return Choice { profile: Profile::Fast, why };
        }
        let why = format!("fewest bytes: {}", link.as_deref().unwrap_or("no link is measured yet"));
        Choice { profile: Profile::Max, why }
    }
}

/// The profile's word on the command line and in lists.
pub(crate) const fn word(profile: Profile) -> &'static str {
    match profile {
        Profile::Max => "max",
        Profile::Fast => "fast",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(link: Option<u64>, staged: u64, seats: usize) -> (Profile, String) {
        let Choice { profile, why } = Pressure { link, staged, seats }.choose();
        (profile, why)
    }

    #[test]
    fn a_clinics_link_gets_fewest_bytes_and_a_fast_one_speed() {
        assert_eq!(choice(None, 0, 2), (Profile::Max, "fewest bytes: no link is measured yet".into()));
        assert_eq!(choice(Some(40_000), 0, 2), (Profile::Max, "fewest bytes: link 0.3 Mbit/s".into()));
        assert_eq!(choice(Some(333_000), 0, 2).0, Profile::Max, "a core keeps up with 2.6 Mbit/s");
        let fast = "speed: link 80.0 Mbit/s, more than a core keeps up with";
        assert_eq!(choice(Some(10_000_000), 0, 2), (Profile::Fast, fast.into()));
    }

    #[test]
    fn a_backlog_of_more_than_a_quarter_of_an_hour_gets_speed() {
        assert_eq!(choice(Some(40_000), 900_000_000, 1).0, Profile::Max);
        assert_eq!(choice(Some(40_000), 1_000_000_000, 1), (Profile::Fast, "speed: 16 min of coding wait".into()));
        assert_eq!(choice(None, 1_000_000_000, 2).0, Profile::Max, "two cores code it in half the time");
    }
}
