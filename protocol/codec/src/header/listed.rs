//! Holes that no rule accounts for, in a list before the headers.
//!
//! Where pixel data lies as its element says, the walk finds the holes again and they cost nothing. Where a file ends
//! early, or something else was taken out, they are listed: `lists | lists x (instance | holes | holes x (at | bytes))`,
//! every number in LEB128, `at` counted from the hole before.

use super::{HeaderError, Hole};

/// Bytes of a LEB128 number of 64 bits at most.
const NUMBER_BYTES_MAX: usize = 10;

pub(super) fn write(lists: &[(usize, &[Hole])], out: &mut Vec<u8>) {
    number(lists.len() as u64, out);
    for (instance, holes) in lists {
        number(*instance as u64, out);
        number(holes.len() as u64, out);
        let mut from = 0;
        for hole in *holes {
            number(hole.at - from, out);
            number(hole.bytes, out);
            from = hole.at;
        }
    }
}

/// Takes the lists of all Instances: empty for most.
pub(super) fn take(coded: &mut &[u8], sizes: &[u64]) -> Result<Vec<Vec<Hole>>, HeaderError> {
    let mut all = vec![Vec::new(); sizes.len()];
    for _ in 0..take_number(coded)? {
        let instance = usize::try_from(take_number(coded)?).map_err(|_| HeaderError::Holes)?;
        let list: &mut Vec<Hole> = all.get_mut(instance).ok_or(HeaderError::Holes)?;
        let (mut at, mut left) = (0_u64, sizes[instance]);
        for _ in 0..take_number(coded)? {
            at = at.checked_add(take_number(coded)?).ok_or(HeaderError::Holes)?;
            let bytes = take_number(coded)?;
            left = left.checked_sub(bytes).ok_or(HeaderError::Holes)?;
            if bytes == 0 || at > sizes[instance] {
                return Err(HeaderError::Holes);
            }
            list.push(Hole { at, bytes });
        }
    }
    Ok(all)
}

fn number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(coded: &mut &[u8]) -> Result<u64, HeaderError> {
    let mut number = 0_u64;
    for index in 0..NUMBER_BYTES_MAX {
        let (byte, rest) = coded.split_first().ok_or(HeaderError::EndsEarly)?;
        *coded = rest;
        number |= u64::from(byte & 0x7F) << (7 * index);
        if *byte < 0x80 {
            return Ok(number);
        }
    }
    Err(HeaderError::Holes)
}
