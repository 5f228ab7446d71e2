//! The walk along a line: contexts, prediction and what is learned from each error (T.87 annex A).
//!
//! Names follow the standard: a is the sample to the left, b above, c above left, d above right; a context's n counts
//! occurrences, sum_abs (A) sums error sizes, bias (B) sums errors and correction (C) mends the prediction.

use super::{
    golomb::{Codes, Limit, RUN_BITS},
    preset::Parameters,
};

/// One line of a plane, with the sample that stands left of its first and the one right of its last (A.2.1).
#[derive(Debug, Clone)]
pub(super) struct Line(Vec<u16>);

impl Line {
    pub(super) fn new(width: usize) -> Self {
        Self(vec![0; width + 2])
    }

    pub(super) fn fill(&mut self, samples: &[u16]) {
        let width = self.0.len() - 2;
        self.0[1..=width].copy_from_slice(samples);
    }

    pub(super) fn samples(&self) -> &[u16] {
        &self.0[1..self.0.len() - 1]
    }

    /// Sets the borders: right of the line above stands its last sample, left of this line the first of the above.
    pub(super) fn begin(&mut self, above: &mut Self) {
        let width = above.0.len() - 2;
        above.0[width + 1] = above.0[width];
        self.0[0] = above.0[1];
    }
}

/// Regular contexts: 9 x 9 x 9 gradient classes less the mirrored ones.
const CONTEXTS: usize = 365;
const CORRECTION: std::ops::RangeInclusive<i32> = -128..=127;

#[derive(Debug, Clone, Copy)]
struct Context {
    n: i32,
    sum_abs: u32,
    bias: i32,
    correction: i32,
}

/// What codes the sample that ends a run.
#[derive(Debug, Clone, Copy)]
struct RunContext {
    n: i32,
    sum_abs: u32,
    negative: i32,
    /// 1 where a and b are as good as equal (RItype).
    kind: i32,
}

/// What samples and errors are: errors are whole numbers of steps of 2 NEAR + 1, modulo RANGE.
#[derive(Debug, Clone, Copy)]
struct Steps {
    sample_max: i32,
    near: i32,
    width: i32,
    range: i32,
}

impl Steps {
    /// The sample so many steps from its prediction; a damaged stream may be further out than RANGE allows.
    #[inline(always)]
    fn sample(self, predicted: i32, steps: i32) -> u16 {
        let (value, whole) = (predicted + steps * self.width, self.range * self.width);
        let value = if value < -self.near { value + whole } else { value };
        let value = if value > self.sample_max + self.near { value - whole } else { value };
        value.clamp(0, self.sample_max) as u16
    }
}

/// All that is learned in a scan.
pub(super) struct Learned {
    steps: Steps,
    reset: i32,
    limit: Limit,
    /// Class of each gradient from `-steepest` to `steepest`; beyond, it no longer changes.
    classes: Vec<i8>,
    steepest: i32,
    contexts: Vec<Context>,
    run_contexts: [RunContext; 2],
    /// One a plane when planes take turns by lines.
    run_indices: Vec<usize>,
}

impl Learned {
    pub(super) fn new(parameters: &Parameters, planes: usize) -> Self {
        let Parameters { sample_max, near, range, .. } = *parameters;
        let sum_abs = ((range + 32) / 64).max(2) as u32;
        let run_context = |kind| RunContext { n: 1, sum_abs, negative: 0, kind };
        let [t1, t2, t3] = parameters.thresholds;
        let class = |gradient: i32| {
            let size = gradient.abs();
            let class = i8::from(size > near) + i8::from(size >= t1) + i8::from(size >= t2) + i8::from(size >= t3);
            if gradient < 0 { -class } else { class }
        };
        Self {
            steps: Steps { sample_max, near, width: 2 * near + 1, range },
            reset: parameters.reset,
            limit: Limit { bits: parameters.limit, value_bits: parameters.error_bits },
            classes: (-t3..=t3).map(class).collect(),
            steepest: t3,
            contexts: vec![Context { n: 1, sum_abs, bias: 0, correction: 0 }; CONTEXTS],
            run_contexts: [run_context(0), run_context(1)],
            run_indices: vec![0; planes],
        }
    }

    /// Codes a line of one plane.
    pub(super) fn code_line<C: Codes>(&mut self, codes: &mut C, plane: usize, above: &Line, line: &mut Line) {
        let width = line.0.len() - 2;
        let (above, line) = (&above.0[..width + 2], &mut line.0[..width + 2]);
        let mut x = 1;
        while x <= width {
            let (a, b, c, d) = neighbours(above, line, x);
            let context = self.context(a, b, c, d);
            if context != 0 {
                line[x] = self.code_regular(codes, context, a, b, c, line[x]);
                x += 1;
                continue;
            }
            let left = width + 1 - x;
            let mut index = self.run_indices[plane];
            let a = line[x - 1];
            let known = || line[x..=width].iter().take_while(|sample| **sample == a).count();
            let run = codes.run(&mut index, left, known);
            line[x..x + run].fill(a);
            x += run;
            if x <= width {
                let b = above[x];
                let is_level = i32::from(a.abs_diff(b)) <= self.steps.near;
                line[x] = self.code_run_end(codes, usize::from(is_level), index, a, b, line[x]);
                index = index.saturating_sub(1);
                x += 1;
            }
            self.run_indices[plane] = index;
        }
    }

    /// Codes a line of all planes, a sample of each in turn. Runs are common to them, and a run ends for all by the
    /// first kind of context.
    pub(super) fn code_samples<C: Codes>(&mut self, codes: &mut C, above: &[Line], lines: &mut [Line]) {
        let width = lines[0].0.len() - 2;
        let mut contexts = vec![0; lines.len()];
        let mut x = 1;
        while x <= width {
            for ((context, line), above) in contexts.iter_mut().zip(&*lines).zip(above) {
                let (a, b, c, d) = neighbours(&above.0, &line.0, x);
                *context = self.context(a, b, c, d);
            }
            if contexts.iter().any(|context| *context != 0) {
                for ((&context, line), above) in contexts.iter().zip(&mut *lines).zip(above) {
                    let (a, b, c, _) = neighbours(&above.0, &line.0, x);
                    line.0[x] = self.code_regular(codes, context, a, b, c, line.0[x]);
                }
                x += 1;
                continue;
            }
            let mut index = self.run_indices[0];
            let goes_on = |at: &usize| lines.iter().all(|line| line.0[*at] == line.0[x - 1]);
            let run = codes.run(&mut index, width + 1 - x, || (x..=width).take_while(goes_on).count());
            for line in &mut *lines {
                let a = line.0[x - 1];
                line.0[x..x + run].fill(a);
            }
            x += run;
            if x <= width {
                for (line, above) in lines.iter_mut().zip(above) {
                    line.0[x] = self.code_run_end(codes, 0, index, line.0[x - 1], above.0[x], line.0[x]);
                }
                index = index.saturating_sub(1);
                x += 1;
            }
            self.run_indices[0] = index;
        }
    }

    /// The three gradients as one number; its sign is the context's, 0 is a run's.
    #[inline(always)]
    fn context(&self, a: i32, b: i32, c: i32, d: i32) -> i32 {
        let class = |gradient: i32| {
            i32::from(self.classes[(gradient.clamp(-self.steepest, self.steepest) + self.steepest) as usize])
        };
        81 * class(d - b) + 9 * class(b - c) + class(c - a)
    }

    #[inline(always)]
    fn code_regular<C: Codes>(&mut self, codes: &mut C, context: i32, a: i32, b: i32, c: i32, known: u16) -> u16 {
        let (steps, sign) = (self.steps, if context < 0 { -1 } else { 1 });
        let learned = &mut self.contexts[context.unsigned_abs() as usize];
        let median = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let predicted = (median + sign * learned.correction).clamp(0, steps.sample_max);
        let k = parameter(learned.n, learned.sum_abs);
        // Without loss, with k = 0 and a bias below, the two signs change places (A.5.2).
        let swapped = steps.near == 0 && k == 0 && 2 * learned.bias <= -learned.n;
        let mapped = codes.value(k, self.limit, || {
            let error = wrap(sign * (i32::from(known) - predicted), steps.range);
            let error = if swapped { -error - 1 } else { error };
            (if error >= 0 { 2 * error } else { -2 * error - 1 }) as u32
        });
        let mapped = (mapped as i32).clamp(0, steps.range - 1);
        let error = (mapped >> 1) ^ -(mapped & 1);
        let error = if swapped { -error - 1 } else { error };

        learned.bias += error * steps.width;
        learned.sum_abs += error.unsigned_abs();
        if learned.n == self.reset {
            learned.sum_abs >>= 1;
            learned.bias >>= 1;
            learned.n >>= 1;
        }
        learned.n += 1;
        if learned.bias <= -learned.n {
            learned.bias = (learned.bias + learned.n).max(1 - learned.n);
            learned.correction = (learned.correction - 1).max(*CORRECTION.start());
        } else if learned.bias > 0 {
            learned.bias = (learned.bias - learned.n).min(0);
            learned.correction = (learned.correction + 1).min(*CORRECTION.end());
        }
        steps.sample(predicted, sign * error)
    }

    #[inline(always)]
    fn code_run_end<C: Codes>(&mut self, codes: &mut C, kind: usize, index: usize, a: u16, b: u16, known: u16) -> u16 {
        let limit = Limit { bits: self.limit.bits - RUN_BITS[index] - 1, ..self.limit };
        let (steps, learned) = (self.steps, &mut self.run_contexts[kind]);
        let (a, b) = (i32::from(a), i32::from(b));
        let (predicted, sign) = if learned.kind == 1 { (a, 1) } else { (b, if a > b { -1 } else { 1 }) };
        let k = parameter(learned.n, learned.sum_abs + if learned.kind == 1 { learned.n as u32 >> 1 } else { 0 });
        // Which sign is the likelier, and so takes the smaller of two codes (A.7.2.2).
        let mostly_negative = 2 * learned.negative >= learned.n;
        let mapped = codes.value(k, limit, || {
            let error = wrap(sign * (i32::from(known) - predicted), steps.range);
            let odd = if error < 0 { k != 0 || mostly_negative } else { error > 0 && k == 0 && !mostly_negative };
            (2 * error.abs() - learned.kind - i32::from(odd)) as u32
        });
        let mapped = (mapped as i32).clamp(0, steps.range - learned.kind);
        let odd = (mapped + learned.kind) & 1;
        let size = (mapped + learned.kind + odd) / 2;
        let error = if (k != 0 || mostly_negative) == (odd == 1) { -size } else { size };

        learned.negative += i32::from(error < 0);
        learned.sum_abs += ((mapped + 1 - learned.kind) >> 1) as u32;
        if learned.n == self.reset {
            learned.sum_abs >>= 1;
            learned.negative >>= 1;
            learned.n >>= 1;
        }
        learned.n += 1;
        steps.sample(predicted, sign * error)
    }
}

#[inline(always)]
fn neighbours(above: &[u16], line: &[u16], x: usize) -> (i32, i32, i32, i32) {
    (i32::from(line[x - 1]), i32::from(above[x]), i32::from(above[x - 1]), i32::from(above[x + 1]))
}

/// Golomb parameter: the least k with n * 2^k >= sum (A.5.1).
#[inline(always)]
fn parameter(n: i32, sum: u32) -> u32 {
    let n = n as u32;
    let mut k = n.leading_zeros().saturating_sub(sum.leading_zeros());
    if u64::from(n) << k < u64::from(sum) {
        k += 1;
    }
    k
}

/// An error modulo RANGE, to the middle (A.4.5).
#[inline(always)]
fn wrap(error: i32, range: i32) -> i32 {
    let error = if error < 0 { error + range } else { error };
    if error >= (range + 1) / 2 { error - range } else { error }
}
