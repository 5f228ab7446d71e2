//! Pace of one link: how fast, how far, how much may be on its way, and when silence means it is dead.
//!
//! A queue that exists can't be jumped, so the bytes in flight are bounded beforehand: a STAT film offered while a
//! CT is on its way waits a second and a half, not a minute. Rate and round trip are measured from what the peer
//! acknowledges; nothing is sent to measure them. Source: `protocol/SPEC.md`, Messages; the figures are those of
//! `docs/replication.md`.

use crate::{
    limits::{CREDIT_BYTES_MAX, FRAGMENT_BYTES_MAX},
    time::{Millis, Mono},
};
use std::collections::VecDeque;

/// Bytes in flight before anything was measured, and at least.
const WINDOW_BYTES_MIN: u64 = 12 * 1024;
/// Bytes in flight that a queue of 1.5 s justifies, at most.
const WINDOW_BYTES_QUEUED_MAX: u64 = 256 * 1024;
/// The queue in front of the link.
const QUEUE: Millis = Millis(1500);
/// A queue this short hurts nobody, however many bytes it is.
const QUEUE_FAST: Millis = Millis(50);
/// Smallest fragment.
const FRAGMENT_BYTES_MIN: u32 = 2048;
/// A fragment takes an eighth of a second at most.
const FRAGMENTS_A_SECOND: u64 = 8;
/// A rate is measured over at least this.
const SAMPLE_MIN: Millis = Millis(50);
/// Rates remembered; the highest counts, since a sender with little to send measures too little.
const SAMPLES: usize = 8;
/// Silence is at least this long before it means anything.
const SILENCE_MIN: Millis = Millis::from_secs(5);
/// Round trip assumed before one was measured.
const RTT_ASSUMED: Millis = Millis(600);

/// What one direction of a link has shown of itself.
#[derive(Debug, Clone)]
pub struct Pace {
    sent: u64,
    acknowledged: u64,
    /// The peer's bound, counted from what it acknowledged.
    credit: u64,
    marks: VecDeque<(u64, Mono)>,
    srtt: Option<Millis>,
    /// Of the link's whole life: on a busy link every later one holds our own queue.
    shortest: Option<Millis>,
    rates: VecDeque<u64>,
    sample: Option<(Mono, u64)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            sent: 0,
            acknowledged: 0,
            credit: u64::from(CREDIT_BYTES_MAX),
            marks: VecDeque::new(),
            srtt: None,
            shortest: None,
            rates: VecDeque::new(),
            sample: None,
        }
    }
}

impl Pace {
    /// A round trip was measured: HELLO to WELCOME, or a fragment to its acknowledgement.
    pub fn round_trip(&mut self, took: Millis) {
        let took = Millis(took.0.max(1));
        self.srtt = Some(Millis(self.srtt.map_or(took.0, |srtt| (srtt.0 * 7 + took.0).div_ceil(8))));
        self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
    }

    /// The peer lets this many bytes be on their way.
    pub fn allowed(&mut self, credit: u32) {
        self.credit = u64::from(credit.min(CREDIT_BYTES_MAX));
    }

    /// `bytes` were sent.
    pub fn sent(&mut self, bytes: u64, now: Mono) {
        if self.in_flight() == 0 {
            self.sample = Some((now, self.acknowledged));
        }
        self.sent += bytes;
        match self.marks.back_mut() {
            // One mark a millisecond is as fine as the clock.
            Some((to, at)) if *at == now => *to = self.sent,
            _ => self.marks.push_back((self.sent, now)),
        }
    }

    /// The peer has `bytes` in all, and lets `credit` more be on their way.
    pub fn acknowledged(&mut self, bytes: u64, credit: u32, now: Mono) {
        self.allowed(credit);
        let bytes = bytes.min(self.sent);
        if bytes <= self.acknowledged {
            return;
        }
        self.acknowledged = bytes;
        let mut left_at = None;
        while let Some((_, at)) = self.marks.front().filter(|(to, _)| *to <= bytes) {
            left_at = Some(*at);
            self.marks.pop_front();
        }
        if let Some(at) = left_at {
            self.round_trip(now.since(at));
        }
        let (since, from) = *self.sample.get_or_insert((now, bytes));
        let took = now.since(since);
        if took >= SAMPLE_MIN && took >= self.base_rtt() {
            self.rates.push_back((bytes - from) * 1000 / took.0);
            if self.rates.len() > SAMPLES {
                self.rates.pop_front();
            }
            self.sample = Some((now, bytes));
        }
    }

    /// Bytes sent and not acknowledged.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged
    }

    /// Bytes that may be in flight.
    #[must_use]
    pub fn window(&self) -> u64 {
        let rate = self.rate();
        let queued = (rate * QUEUE.0 / 1000).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_QUEUED_MAX);
        let on_the_way = 2 * rate * self.base_rtt().0 / 1000;
        queued.max(on_the_way).max(rate * QUEUE_FAST.0 / 1000).min(self.credit)
    }

    /// Bytes of one fragment: a power of two, so that fragments end where chunks do.
    #[must_use]
    pub fn fragment(&self) -> u32 {
        let bytes = (self.rate() / FRAGMENTS_A_SECOND).clamp(u64::from(FRAGMENT_BYTES_MIN), FRAGMENT_BYTES_MAX.into());
        1 << bytes.ilog2()
    }

    /// Bytes a second; 0 before any were measured.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rates.iter().copied().max().unwrap_or(0)
    }

    /// The smoothed round trip, queues included, once measured.
    #[must_use]
    pub const fn srtt(&self) -> Option<Millis> {
        self.srtt
    }

    /// How long nothing may be heard while something is due.
    #[must_use]
    pub fn silence(&self) -> Millis {
        Millis(3 * self.srtt.unwrap_or(RTT_ASSUMED).0).max(SILENCE_MIN)
    }

    fn base_rtt(&self) -> Millis {
        self.shortest.unwrap_or(RTT_ASSUMED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as much as the window allows over a link of `rate` bytes a second and `rtt`, for `secs`.
    fn drive(rate: u64, rtt: u64, secs: u64) -> (Pace, u64) {
        let (mut pace, mut on_the_way, mut delivered, mut budget) = (Pace::default(), VecDeque::new(), 0, 0);
        pace.round_trip(Millis(rtt));
        let (mut queue, mut acks) = (VecDeque::new(), VecDeque::new());
        for now in 0..secs * 1000 {
            let fragment = u64::from(pace.fragment());
            while pace.in_flight() + fragment <= pace.window() {
                pace.sent(fragment, Mono(now));
                queue.push_back(fragment);
            }
            budget = (budget + rate).min(rate * 10 + 70_000_000);
            while let Some(bytes) = queue.front().copied().filter(|bytes| bytes * 1000 <= budget) {
                budget -= bytes * 1000;
                queue.pop_front();
                on_the_way.push_back((now + rtt / 2, bytes));
            }
            if queue.is_empty() {
                budget = 0;
            }
            while let Some((_, bytes)) = on_the_way.front().copied().filter(|(at, _)| *at <= now) {
                on_the_way.pop_front();
                delivered += bytes;
                acks.push_back((now + rtt / 2, delivered));
            }
            while let Some((_, bytes)) = acks.front().copied().filter(|(at, _)| *at <= now) {
                acks.pop_front();
                pace.acknowledged(bytes, CREDIT_BYTES_MAX, Mono(now));
            }
        }
        (pace, delivered)
    }

    #[test]
    fn a_slow_link_holds_a_second_and_a_half_and_is_kept_busy() {
        let (pace, delivered) = drive(8_000, 600, 60);
        assert!(pace.window() <= 14_000, "{}", pace.window());
        assert_eq!(pace.fragment(), 2048);
        assert!(delivered >= 8_000 * 60 * 92 / 100, "{delivered}");
    }

    #[test]
    fn a_long_fast_link_is_filled_within_seconds() {
        let (pace, delivered) = drive(7_875_000, 320, 30);
        assert_eq!(pace.fragment(), FRAGMENT_BYTES_MAX);
        assert!(delivered >= 7_875_000 * 30 * 80 / 100, "{delivered}");
    }

    #[test]
    fn a_peer_without_room_stops_the_sender() {
        let mut pace = Pace::default();
        pace.sent(2048, Mono(1));
        pace.acknowledged(2048, 0, Mono(600));
        assert_eq!(pace.window(), 0);
    }

    #[test]
    fn a_peer_that_acknowledges_what_was_never_sent_gains_nothing() {
        let mut pace = Pace::default();
        pace.sent(2048, Mono(1));
        pace.acknowledged(u64::MAX, u32::MAX, Mono(2));
        assert_eq!(pace.in_flight(), 0);
        pace.sent(2048, Mono(3));
        assert_eq!(pace.in_flight(), 2048);
    }
}
