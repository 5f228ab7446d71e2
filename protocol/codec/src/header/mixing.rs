//! Many opinions on one binary choice, made into one probability.
//!
//! Each opinion is a probability on the logistic scale, 256 ln(p / (1 - p)); a mixer adds them with weights that it moves
//! after every choice towards the opinions that were right (logistic mixing: M. Mahoney, "Adaptive Weighing of Context
//! Models for Lossless Data Compression", 2005). Integers only, so that every processor comes to the same bit.

/// The largest opinion: a probability of 65535 / 65536.
pub(super) const STRETCHED_MAX: i32 = 2840;
/// A weight of 1.
pub(super) const WEIGHT_ONE: i32 = 1 << 16;
const WEIGHT_MAX: i32 = 8 * WEIGHT_ONE - 1;

/// The logistic curve and its inverse.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    /// Probability in 1/65536 for each value of the scale from 0 up.
    squashed: Vec<u16>,
    /// Value of the scale for each probability, in 1/4096.
    stretched: Vec<i16>,
}

impl Curve {
    pub(super) fn new() -> Self {
        // e^(-1/256) in 1/2^62.
        const STEP: u128 = 4_593_706_758_521_714_574;
        let one = 1_u128 << 62;
        let mut power = one;
        let mut squashed = Vec::with_capacity(STRETCHED_MAX as usize + 1);
        for _ in 0..=STRETCHED_MAX {
            let p = (one << 16) / (one + power);
            squashed.push(p.min(65_535) as u16);
            power = (power * STEP) >> 62;
        }
        let mut curve = Self { squashed, stretched: Vec::with_capacity(4096) };
        let mut value = -STRETCHED_MAX;
        for p in 0..4096 {
            let middle = p * 16 + 8;
            while value < STRETCHED_MAX && i32::from(curve.squash(value)) < middle {
                value += 1;
            }
            curve.stretched.push(value as i16);
        }
        curve
    }

    /// Probability, in 1/65536 and never 0 or 1, of a value of the scale.
    pub(super) fn squash(&self, value: i32) -> u16 {
        let value = value.clamp(-STRETCHED_MAX, STRETCHED_MAX);
        if value < 0 { 65_535 - self.squashed[-value as usize] + 1 } else { self.squashed[value as usize] }
    }

    /// Value of the scale of a probability in 1/65536.
    pub(super) fn stretch(&self, p: u16) -> i32 {
        i32::from(self.stretched[usize::from(p >> 4)])
    }
}

/// Sets of weights, one of which is chosen for each choice.
#[derive(Debug, Clone)]
pub(super) struct Mixer {
    weights: Vec<i32>,
    inputs: usize,
    rate: i32,
    chosen: usize,
    said: u16,
}

impl Mixer {
    /// A mixer of `inputs` opinions that learns at `rate`, in 1/2^20, and at first gives each this `weight`.
    pub(super) fn new(inputs: usize, sets: usize, rate: i32, weight: i32) -> Self {
        Self { weights: vec![weight; inputs * sets], inputs, rate, chosen: 0, said: 1 << 15 }
    }

    /// The mix of these opinions under one set of weights, on the logistic scale.
    pub(super) fn mix(&mut self, opinions: &[i32], set: usize, curve: &Curve) -> i32 {
        self.chosen = set * self.inputs;
        let weights = &self.weights[self.chosen..self.chosen + self.inputs];
        // 13 bits of a weight times 12 of an opinion: 64 of them fit in 32 bits.
        let sum: i32 = opinions.iter().zip(weights).map(|(opinion, weight)| opinion * (weight >> 6)).sum();
        let mixed = (sum >> 10).clamp(-STRETCHED_MAX, STRETCHED_MAX);
        self.said = curve.squash(mixed);
        mixed
    }

    /// Learns what the choice was.
    pub(super) fn learn(&mut self, opinions: &[i32], bit: u32) {
        let error = ((bit as i32) << 16) - i32::from(self.said);
        let step = (error * self.rate) >> 4;
        let weights = &mut self.weights[self.chosen..self.chosen + self.inputs];
        for (weight, opinion) in weights.iter_mut().zip(opinions) {
            *weight = (*weight + ((opinion * (step >> 4) + (1 << 11)) >> 12)).clamp(-WEIGHT_MAX, WEIGHT_MAX);
        }
    }
}

/// A probability that moves by 1/(n + 1.5) of its error at the n-th choice, down to a floor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adaptive {
    /// In 1/2^22, above ten bits of count.
    state: u32,
}

impl Adaptive {
    /// A half, and no choice seen.
    pub(super) const NEW: Self = Self { state: 1 << 31 };

    /// A probability in 1/65536, as if seen `count` times.
    pub(super) const fn of(p: u16, count: u32) -> Self {
        Self { state: (p as u32) << 16 | count }
    }

    /// Whether it has seen no choice.
    pub(super) const fn is_new(self) -> bool {
        self.state & 0x3FF == 0
    }

    pub(super) const fn p(self) -> u16 {
        (self.state >> 16) as u16
    }

    /// Learns a choice; `limit` bounds the count.
    pub(super) fn learn(&mut self, bit: u32, limit: u32, shares: &Shares) {
        let count = self.state & 0x3FF;
        let p = (self.state >> 10) as i32;
        let target = ((bit << 22) - bit) as i32;
        let share = shares.0[count as usize];
        let moved = p + ((i64::from(target - p) * i64::from(share)) >> 16) as i32;
        let count = if count < limit { count + 1 } else { limit };
        self.state = (moved as u32) << 10 | count;
    }
}

/// 65536 / (n + 1.5) for each count.
#[derive(Debug, Clone)]
pub(super) struct Shares([u16; 1024]);

impl Shares {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|n| (131_072 / (2 * n + 3)) as u16))
    }

    pub(super) const fn of(&self, count: u8) -> u16 {
        self.0[count as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_the_logistic_one_and_ends_short_of_certainty() {
        let curve = Curve::new();
        assert_eq!(curve.squash(0), 32_768);
        // 65536 / (1 + e^-1) and / (1 + e^-4).
        assert_eq!(curve.squash(256), 47_910);
        assert_eq!(curve.squash(4 * 256), 64_357);
        assert_eq!((curve.squash(i32::MIN), curve.squash(i32::MAX)), (1, 65_535));
        for value in (-STRETCHED_MAX..STRETCHED_MAX).step_by(97) {
            assert!(curve.squash(value) <= curve.squash(value + 1), "{value}");
        }
        for p in [1_u16, 100, 4000, 32_768, 60_000, 65_535] {
            let back = curve.squash(curve.stretch(p));
            assert!(p.abs_diff(back) <= 20 + p.min(u16::MAX - p) / 16, "{p} {back}");
        }
    }

    #[test]
    fn a_mixer_comes_to_believe_the_opinion_that_is_right() {
        let (curve, mut mixer) = (Curve::new(), Mixer::new(2, 1, 12, WEIGHT_ONE / 4));
        for turn in 0..400_u32 {
            let bit = turn * 7 % 3 % 2;
            let opinions = [if bit == 1 { 500 } else { -500 }, if turn % 2 == 0 { 900 } else { -900 }];
            mixer.mix(&opinions, 0, &curve);
            mixer.learn(&opinions, bit);
        }
        assert!(mixer.weights[0] > 4 * mixer.weights[1].abs(), "{:?}", mixer.weights);
    }

    #[test]
    fn an_adaptive_probability_learns_fast_at_first_and_never_reaches_certainty() {
        let shares = Shares::new();
        let mut p = Adaptive::NEW;
        p.learn(1, 255, &shares);
        assert!((50_000..56_000).contains(&p.p()), "{}", p.p());
        for _ in 0..100_000 {
            p.learn(1, 1023, &shares);
        }
        assert!(p.p() > 65_000);
        for _ in 0..100_000 {
            p.learn(0, 255, &shares);
        }
        assert!(p.p() < 600);
    }
}
