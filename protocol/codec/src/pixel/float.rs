//! Powers and logarithms of 2 that give the same bits on every processor.
//!
//! A Study coded on one kind of computer must decode on any other for ever, so nothing here calls a mathematics library,
//! whose last bit differs from one to the next. Rule: IEEE 754 addition, subtraction, multiplication and division of
//! single precision in a fixed order, and integer operations on the bits; Rust never fuses a multiplication with an
//! addition by itself. Lanes of eight are plain arrays that the compiler turns into vector instructions.

/// Eight numbers that go through the same steps.
pub(super) type Lanes = [f32; 8];

/// The lesser and the greater of two numbers, one instruction each; the second where one is no number.
#[inline(always)]
pub(super) fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline(always)]
pub(super) fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// `x`, or the bound it lies beyond.
#[inline(always)]
pub(super) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    min(max(x, low), high)
}

/// 2 to the power `x`, for `x` from -126 to 126 (clamped); relative error under 1e-5.
#[inline(always)]
pub(super) fn exp2(x: f32) -> f32 {
    let x = clamp(x, -126.0, 126.0);
    let whole = (x + 1024.5) as i32 - 1024;
    let part = x - whole as f32;
    // Taylor polynomial of 2^part on [-0.5, 0.5].
    let power = 1.0
        + part
            * (std::f32::consts::LN_2
                + part * (0.240_226_5 + part * (0.055_504_11 + part * (0.009_618_13 + part * 0.001_333_36))));
    f32::from_bits(((whole + 127) as u32) << 23) * power
}

/// Logarithm of a positive normal number to the base 2; absolute error under 2e-5.
#[inline(always)]
pub(super) fn log2(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    let exponent = ((bits >> 23) & 0xFF) - 127;
    let mantissa = f32::from_bits(((bits & 0x7F_FFFF) | 0x3F80_0000) as u32);
    // From [1, 2) to [sqrt 1/2, sqrt 2), where the series of atanh converges fast.
    let upper = mantissa > std::f32::consts::SQRT_2;
    let mantissa = if upper { mantissa * 0.5 } else { mantissa };
    let exponent = if upper { exponent + 1 } else { exponent };
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let t2 = t * t;
    exponent as f32 + t * (2.885_39 + t2 * (0.961_796_7 + t2 * (0.577_078 + t2 * 0.412_198_6)))
}

/// `to + factor * lanes`. A copy is worked on, so that the compiler sees eight lanes that nothing else touches.
#[inline(always)]
pub(super) fn add_scaled(to: &mut Lanes, factor: f32, lanes: &Lanes) {
    let mut result = *to;
    for lane in 0..8 {
        result[lane] += factor * lanes[lane];
    }
    *to = result;
}

/// The sum of eight lanes in one fixed order.
#[inline(always)]
pub(super) fn sum(a: &Lanes) -> f32 {
    ((a[0] + a[4]) + (a[1] + a[5])) + ((a[2] + a[6]) + (a[3] + a[7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_and_logarithms_agree_with_the_library_to_what_is_promised() {
        for step in -11_800..12_000 {
            let x = step as f32 * 0.01;
            let (ours, exact) = (f64::from(exp2(x)), f64::from(x).exp2());
            assert!((ours / exact - 1.0).abs() < 1e-5, "2^{x}: {ours} {exact}");
            assert!((f64::from(log2(exp2(x))) - f64::from(x)).abs() < 2e-5, "log2 of 2^{x}");
        }
    }
}
