//! A wall-clock time in words, for people.
//!
//! A node may boot in 1970 or in 2099, so a date is never more than what some clock said; whoever prints one also
//! prints whose clock it was. Source: Howard Hinnant, "chrono-compatible low-level date algorithms".

use radmesh_protocol::time::Wall;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// `2026-11-22 21:40 UTC`.
#[must_use]
pub fn in_words(at: Wall) -> String {
    let (year, month, day) = civil(at.0 / DAY_MS);
    let minutes = at.0 % DAY_MS / 60_000;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// Proleptic Gregorian date of a day counted from 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_as_on_a_calendar() {
        assert_eq!(in_words(Wall(0)), "1970-01-01 00:00 UTC");
        assert_eq!(in_words(Wall(951_782_400_000)), "2000-02-29 00:00 UTC");
        assert_eq!(in_words(Wall(1_795_383_661_000)), "2026-11-22 21:41 UTC");
    }
}
