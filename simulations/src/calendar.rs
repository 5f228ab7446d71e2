//! The hour and the weekday of a moment: links are slow by day, and clinics send in the morning.

use crate::{
    profile::{DAY_MS, HOUR_MS},
    world::FLOOR,
};

/// Hours of the day, 0 to 23, UTC.
pub(crate) const fn hour(now: u64) -> u64 {
    (FLOOR + now) % DAY_MS / HOUR_MS
}

/// Whether it is between 8 and 17 h.
pub(crate) const fn is_day(now: u64) -> bool {
    8 <= hour(now) && hour(now) < 17
}

/// Whether it is Monday: 1970 began with a Thursday.
const fn is_monday(now: u64) -> bool {
    ((FLOOR + now) / DAY_MS + 3).is_multiple_of(7)
}

/// Of the Studies of an average day, how many would come in 24 hours such as this one, in thousandths: 55 % of them come
/// between 9 and 12 h, and on Mondays 1.6 times as many (`profiles/links.toml`).
pub(crate) const fn busy(now: u64) -> u64 {
    let by_hour = if 9 <= hour(now) && hour(now) < 12 { 550 * 24 / 3 } else { 450 * 24 / 21 };
    // Over a week as many as said: 1.6 + 6 * 0.9.
    if is_monday(now) { by_hour * 16 / 10 } else { by_hour * 9 / 10 }
}

/// The most that [`busy`] says.
pub(crate) const BUSY_MAX: u64 = 550 * 24 / 3 * 16 / 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_seven_average_days() {
        let week: u64 = (0..7 * 24).map(|number| busy(number * HOUR_MS)).sum();
        assert!((6_950..=7_050).contains(&(week / 24)), "{week}");
        // 1 790 000 000 is Monday, 21 September 2026, 14:13 UTC.
        assert!(is_monday(0) && !is_monday(DAY_MS) && is_monday(7 * DAY_MS));
        assert_eq!(hour(0), 14);
        assert!((0..24 * 7).all(|number| busy(number * HOUR_MS) <= BUSY_MAX));
    }
}
