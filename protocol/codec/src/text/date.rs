//! A date (DA) as people write it, if it is one.
//!
//! `YYYYMMDD`, or `YYYY.MM.DD` of the standard before 1993 (PS3.5 section 6.2). A day that is in no calendar is kept
//! as the device wrote it: a corrected birth date would be another patient's.

/// `YYYY-MM-DD`, or `None` where the bytes are no date.
pub(super) fn readable(bytes: &[u8]) -> Option<String> {
    let digits: [u8; 8] = match bytes {
        [] => return Some(String::new()),
        [y @ .., b'.', m1, m2, b'.', d1, d2] if y.len() == 4 => [y[0], y[1], y[2], y[3], *m1, *m2, *d1, *d2],
        plain => plain.try_into().ok()?,
    };
    let text = std::str::from_utf8(&digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit))?;
    let (year, month, day): (u16, u16, u16) =
        (text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day).then(|| format!("{year:04}-{month:02}-{day:02}"))
}
