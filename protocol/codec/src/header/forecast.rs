//! What a value will be, from the two before it in its column.
//!
//! From slice to slice positions, times, Instance numbers and the last component of a UID go on by the same step. The
//! rule is one for all: the next number is twice the last less the one before, written as the last was written. It is
//! told by the bytes and not by the VR, since implicit and private elements (UN) show none. A false forecast costs a
//! fraction of a bit.

use super::walk::Vr;

/// Bytes of a value that is forecast at most; longer ones are tables and pictures.
const BYTES_MAX: usize = 512;
/// Digits of a number at most, so that all arithmetic fits in 128 bits.
const DIGITS_MAX: usize = 36;

/// The value after `before` and `last`, or `None` where nothing is to be told.
pub(super) fn forecast(before: &[u8], last: &[u8], vr: Vr, is_big: bool) -> Option<Vec<u8>> {
    if before == last || last.len() > BYTES_MAX || before.len() > BYTES_MAX || last.is_empty() {
        return None;
    }
    if is_text(before) && is_text(last) {
        return text(before, last);
    }
    let width = match vr {
        _ if vr.is(b"FD") || vr.is(b"SV") || vr.is(b"UV") || vr.is(b"OD") => 8,
        _ if [b"UL", b"SL", b"FL", b"OF", b"OL", b"AT"].into_iter().any(|name| vr.is(name)) => 4,
        _ if vr.is(b"US") || vr.is(b"SS") || vr.is(b"OW") => 2,
        _ => match last.len() {
            2 => 2,
            length if length % 4 == 0 => 4,
            _ => return None,
        },
    };
    if before.len() != last.len() || !last.len().is_multiple_of(width) {
        return None;
    }
    let is_float = vr.is(b"FD") || vr.is(b"OD") || vr.is(b"FL") || vr.is(b"OF");
    let next = before.chunks_exact(width).zip(last.chunks_exact(width)).flat_map(|(before, last)| {
        let next = binary(number(before, is_big), number(last, is_big), width, is_float);
        let bytes = next.to_le_bytes();
        let mut bytes = bytes[..width].to_vec();
        if is_big {
            bytes.reverse();
        }
        bytes
    });
    Some(next.collect())
}

fn binary(before: u64, last: u64, width: usize, is_float: bool) -> u64 {
    match (is_float, width) {
        (true, 8) => {
            let (before, last) = (f64::from_bits(before), f64::from_bits(last));
            exact_bits_f64(last + (last - before), last)
        }
        (true, _) => {
            let (before, last) = (f32::from_bits(before as u32), f32::from_bits(last as u32));
            exact_bits_f32(last + (last - before), last)
        }
        (false, _) => last.wrapping_mul(2).wrapping_sub(before),
    }
}

/// Bits of a NaN differ between processors; the last value's stand in for it.
fn exact_bits_f64(next: f64, last: f64) -> u64 {
    if next.is_nan() { last.to_bits() } else { next.to_bits() }
}

fn exact_bits_f32(next: f32, last: f32) -> u64 {
    u64::from(if next.is_nan() { last.to_bits() } else { next.to_bits() })
}

fn number(bytes: &[u8], is_big: bool) -> u64 {
    let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    if is_big { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
}

fn is_text(bytes: &[u8]) -> bool {
    let (end, body) = bytes.split_last().expect("only called with bytes");
    body.iter().all(|byte| matches!(byte, b' '..=b'~')) && matches!(end, 0 | b' '..=b'~')
}

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    /// Without its point.
    mantissa: i128,
    decimals: u32,
    /// Digits before the point.
    width: usize,
    has_leading_zero: bool,
    has_sign: bool,
}

/// Cuts the next number or other byte off.
fn token<'t>(text: &'t [u8], whole: &'t [u8]) -> (Option<Written>, &'t [u8]) {
    let before = whole.len() - text.len();
    let previous = before.checked_sub(1).map(|at| whole[at]);
    let (has_sign, unsigned) = match text {
        [b'-', b'0'..=b'9', ..] if !previous.is_some_and(|byte| byte.is_ascii_digit()) => (true, &text[1..]),
        _ => (false, text),
    };
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let width = digits(unsigned);
    if width == 0 || width > DIGITS_MAX {
        return (None, &text[1..]);
    }
    let decimals = match &unsigned[width..] {
        // A component of a UID has a point on its other side too.
        [b'.', rest @ ..] if previous != Some(b'.') || has_sign => {
            let decimals = digits(rest);
            let is_uid = rest.get(decimals) == Some(&b'.');
            if is_uid || width + decimals > DIGITS_MAX { 0 } else { decimals }
        }
        _ => 0,
    };
    let end = if decimals > 0 { width + 1 + decimals } else { width };
    let (number, rest) = unsigned.split_at(end);
    let magnitude =
        number.iter().filter(|byte| **byte != b'.').fold(0_i128, |sum, byte| sum * 10 + i128::from(byte - b'0'));
    let written = Written {
        mantissa: if has_sign { -magnitude } else { magnitude },
        decimals: decimals as u32,
        width,
        has_leading_zero: width > 1 && number[0] == b'0',
        has_sign,
    };
    (Some(written), rest)
}

fn text(before: &[u8], last: &[u8]) -> Option<Vec<u8>> {
    let pad = last.last().copied().filter(|byte| matches!(byte, 0 | b' '));
    let (before, trimmed) = (trim(before), trim(last));
    let (mut older, mut newer) = (before, trimmed);
    let mut next = Vec::with_capacity(last.len() + 8);
    while !newer.is_empty() {
        if older.is_empty() {
            next.extend(newer);
            break;
        }
        let (a, older_rest) = token(older, before);
        let (b, newer_rest) = token(newer, trimmed);
        match (a, b) {
            (Some(a), Some(b)) if a != b => write(&mut next, a, b),
            (Some(_), Some(_)) => next.extend(&newer[..newer.len() - newer_rest.len()]),
            (None, None) if older[0] == newer[0] => next.push(newer[0]),
            _ => {
                next.extend(newer);
                break;
            }
        }
        (older, newer) = (older_rest, newer_rest);
    }
    if last.len().is_multiple_of(2) && next.len() % 2 == 1 {
        let is_uid = trimmed.iter().filter(|byte| **byte == b'.').count() > 2;
        next.push(pad.unwrap_or(if is_uid { 0 } else { b' ' }));
    }
    Some(next)
}

fn trim(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |at| at + 1);
    &text[..end]
}

/// Writes the number after `before` and `last` as `last` was written.
fn write(next: &mut Vec<u8>, before: Written, last: Written) {
    let decimals = before.decimals.max(last.decimals);
    let scaled = |number: Written| 10_i128.checked_pow(decimals - number.decimals)?.checked_mul(number.mantissa);
    let (Some(a), Some(b)) = (scaled(before), scaled(last)) else {
        return next.extend(shown(last.mantissa.unsigned_abs(), last.decimals, 1).as_bytes());
    };
    let value = b.saturating_mul(2).saturating_sub(a);
    // What was never written with a sign has none: a component of a UID, a date.
    let value = if value < 0 && !before.has_sign && !last.has_sign && last.decimals == 0 { b } else { value };
    if value < 0 {
        next.push(b'-');
    }
    let width = if last.has_leading_zero { last.width } else { 1 };
    let mut text = shown(value.unsigned_abs(), decimals, width);
    if before.decimals != last.decimals {
        text.truncate(text.trim_end_matches('0').len());
        if text.ends_with('.') {
            text.push('0');
        }
    }
    next.extend(text.as_bytes());
}

fn shown(magnitude: u128, decimals: u32, width: usize) -> String {
    if decimals == 0 {
        return format!("{magnitude:0width$}");
    }
    let unit = 10_u128.pow(decimals);
    format!("{:0width$}.{:02$}", magnitude / unit, magnitude % unit, decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn goes_on(before: &str, last: &str, next: &str) {
        let found = forecast(before.as_bytes(), last.as_bytes(), Vr::UNWRITTEN, false).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), next);
    }

    #[test]
    fn numbers_go_on_by_their_step_as_they_were_written() {
        goes_on("8 ", "9 ", "10");
        goes_on("-12.5 ", "-10.0 ", "-7.5");
        goes_on("1.5 ", "-1.25 ", "-4.0");
        goes_on("0.5\\-7.25\\100 ", "0.5\\-8.75\\100 ", "0.5\\-10.25\\100");
        goes_on("093000.25 ", "093001.50 ", "093002.75 ");
        goes_on("1.2.840.99.7.1\0", "1.2.840.99.7.2\0", "1.2.840.99.7.3");
        goes_on("1.2.840.99.9", "1.2.840.99.10\0", "1.2.840.99.11\0");
        goes_on("Series 1 ", "Series 3 ", "Series 5");
        goes_on("2", "1", "0");
    }

    #[test]
    fn binary_numbers_go_on_in_their_byte_order() {
        let next = |before: &[u8], last: &[u8], vr, is_big| forecast(before, last, Vr::named(vr), is_big).unwrap();
        assert_eq!(next(&[1, 0], &[3, 0], b"US", false), [5, 0]);
        assert_eq!(next(&[0, 1, 9, 9], &[1, 0, 9, 9], b"US", true), [1, 255, 9, 9]);
        let (a, b) = (1.5_f32.to_le_bytes(), 2.0_f32.to_le_bytes());
        assert_eq!(next(&a, &b, b"FL", false), 2.5_f32.to_le_bytes());
        let nan = f64::NAN.to_le_bytes();
        assert_eq!(next(&[0; 8], &nan, b"FD", false), nan);
    }

    #[test]
    fn no_two_values_make_it_fail() {
        let pieces =
            ["-", ".", "0", "00", "9", "99999999999999999999999999999999999", "\\", " ", "\0", "A", "1.", ".1"];
        let mut made = vec![String::new()];
        for _ in 0..3 {
            made = made.iter().flat_map(|start| pieces.map(|piece| format!("{start}{piece}"))).collect();
        }
        for (index, last) in made.iter().enumerate() {
            for before in made.iter().skip(index % 7).step_by(7) {
                let _ = forecast(before.as_bytes(), last.as_bytes(), Vr::UNWRITTEN, false);
            }
        }
    }
}
