//! A line between two places: how long it takes for what it is given, and when it breaks by itself.
//!
//! Loss is seen as TCP shows it: a lost segment holds everything behind it back for a round trip.

use crate::{
    calendar::is_day,
    chance::Chance,
    profile::{self, DAY_MS, LinkProfile, MINUTE_MS},
    scenario::Span,
};

/// Bytes of a segment.
const SEGMENT_BYTES: u64 = 1_400;
const MILLION: u64 = 1_000_000;
const MONTH_MS: u64 = 30 * DAY_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Line {
    /// From the node that has it, and to it.
    bytes_per_s: [u64; 2],
    delay_ms: u64,
    jitter_ms: u64,
    /// Segments lost, of a million.
    loss: u64,
    /// Share of rate and delay by day, of a million.
    by_day: [u64; 2],
    cap_bytes: Option<u64>,
    /// Month, and bytes carried in it.
    carried: (u64, u64),
    /// How it breaks by itself.
    pub(crate) breaks: Vec<Breaks>,
}

/// Breaks of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Breaks {
    /// Mean milliseconds from the end of one to the next.
    pub(crate) every_ms: u64,
    /// Mean milliseconds of one.
    pub(crate) for_ms: u64,
    pub(crate) kind: Break,
}

/// What a break does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Connections end, or die silently.
    Outage,
    /// Everything waits.
    Pause,
}

/// How long a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Takes {
    pub(crate) sending_ms: u64,
    pub(crate) travelling_ms: u64,
}

impl Line {
    /// A line that never changes.
    pub(crate) fn plain(bytes_per_s: u64, delay_ms: u64) -> Self {
        Self {
            bytes_per_s: [bytes_per_s; 2],
            delay_ms,
            jitter_ms: 0,
            loss: 0,
            by_day: [MILLION; 2],
            cap_bytes: None,
            carried: (0, 0),
            breaks: Vec::new(),
        }
    }

    /// The line of a profile, whose name was looked up when the scenario was read.
    pub(crate) fn of(name: &str) -> Self {
        let profile: LinkProfile = profile::link(name).expect("a scenario's profiles were looked up when it was read");
        let kbit = |kbit: u64| kbit * 1000 / 8;
        let outage = |every_ms, for_ms| Breaks { every_ms, for_ms, kind: Break::Outage };
        let mut breaks = vec![outage(profile.mean_up_min * MINUTE_MS, profile.mean_down_min * MINUTE_MS)];
        let long_every_ms = YEAR_MS.checked_div(profile.long_outages_per_year);
        breaks.extend(long_every_ms.map(|every_ms| outage(every_ms, profile.long_outage_days * DAY_MS)));
        if profile.micro_break_s > 0 {
            let every_ms = profile.micro_break_every_min * MINUTE_MS;
            breaks.push(Breaks { every_ms, for_ms: profile.micro_break_s * 1000, kind: Break::Pause });
        }
        Self {
            bytes_per_s: [kbit(profile.up), kbit(profile.down)],
            delay_ms: profile.rtt / 2,
            jitter_ms: profile.jitter,
            loss: profile.loss,
            by_day: [profile.factor_08_17, profile.rtt_factor_08_17],
            cap_bytes: profile.cap_gb_month.map(|gb| gb * 1_000_000_000),
            carried: (0, 0),
            breaks,
        }
    }

    fn by_day(&self, what: usize, now: u64) -> u64 {
        if is_day(now) { self.by_day[what] } else { MILLION }
    }

    /// Milliseconds from end to end.
    pub(crate) fn delay_ms(&self, now: u64) -> u64 {
        self.delay_ms * self.by_day(1, now) / MILLION
    }

    /// How long `bytes` bytes take, from the side that has the line (0) or to it (1). `None` when the month's data are
    /// used up: then they are lost.
    pub(crate) fn takes(&mut self, side: usize, bytes: u64, now: u64, chance: &mut Chance) -> Option<Takes> {
        let month = now / MONTH_MS;
        if self.carried.0 != month {
            self.carried = (month, 0);
        }
        self.carried.1 += bytes;
        if self.cap_bytes.is_some_and(|cap| self.carried.1 > cap) {
            return None;
        }
        let rate = (self.bytes_per_s[side] * self.by_day(0, now) / MILLION).max(1);
        let delay_ms = self.delay_ms(now);
        let mut sending_ms = (bytes * 1000).div_ceil(rate);
        if self.loss > 0 {
            let lost = |chance: &mut Chance| (chance.below(MILLION as usize) as u64) < self.loss;
            sending_ms += (0..bytes.div_ceil(SEGMENT_BYTES)).filter(|_| lost(chance)).count() as u64 * 2 * delay_ms;
        }
        let jitter_ms = if self.jitter_ms > 0 { chance.within(Span { from: 0, to: self.jitter_ms }) } else { 0 };
        Some(Takes { sending_ms, travelling_ms: delay_ms + jitter_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::HOUR_MS;

    #[test]
    fn a_line_takes_what_its_profile_says_by_night_and_longer_by_day() {
        let (mut line, mut chance) = (Line::of("edge_2g"), Chance::new(1));
        // The world begins at 14 h.
        let mut up = |hours: u64| {
            let all = (0..100).map(|_| line.takes(0, 7_500, hours * HOUR_MS, &mut chance).unwrap());
            all.map(|takes| takes.sending_ms).sum::<u64>() / 100
        };
        // 7,500 bytes at 60 kbit/s are a second, and of six segments 0.18 are lost, at 700 ms each.
        let (night, day) = (up(10), up(0));
        assert!((1_080..1_180).contains(&night), "{night} ms");
        assert!((3_250..3_500).contains(&day), "{day} ms");
    }

    #[test]
    fn a_month_s_data_end_and_begin_anew() {
        let (mut line, mut chance) = (Line::of("edge_2g"), Chance::new(1));
        line.loss = 0;
        assert!(line.takes(0, 2_999_999_999, 0, &mut chance).is_some());
        assert!(line.takes(0, 10, 0, &mut chance).is_none());
        assert!(line.takes(0, 10, MONTH_MS, &mut chance).is_some());
    }
}
