//! Huffman codes of difference categories (T.81 annexes C and F, table H.2).
//!
//! A category says how many bits a difference has, 0 to 16. Codes of up to [`FAST_BITS`] bits, which is nearly all
//! that occur, are found by one look; longer ones by the smallest code of each length.

use super::bits::{BitReader, BitWriter, ZeroByte};

/// Bits by which a code is looked up.
const FAST_BITS: u32 = 10;

/// One table, both ways.
#[derive(Debug, Clone)]
pub(super) struct Huffman {
    /// By the next [`FAST_BITS`] bits: length of the code and category, or length 0 where the code is longer.
    fast: Box<[(u8, u8); 1 << FAST_BITS]>,
    /// By length: the first code behind those of this length, aligned to 16 bits, and where its symbols are.
    lengths: [(u32, i32); 17],
    symbols: Vec<u8>,
    /// By category: code and length, 0 if it has none.
    codes: [(u16, u8); 17],
}

impl Huffman {
    /// From the number of codes of each length 1 to 16 and the categories in order. `None` if they make no code.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            fast: Box::new([(0, 0); 1 << FAST_BITS]),
            lengths: [(0, 0); 17],
            symbols: symbols.to_vec(),
            codes: [(0, 0); 17],
        };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(counts) {
            let first_index = index;
            let first_code = code;
            for _ in 0..count {
                let symbol = *symbols.get(index)?;
                if code >> length != 0 {
                    return None;
                }
                if length <= FAST_BITS {
                    let from = (code << (FAST_BITS - length)) as usize;
                    table.fast[from..from + (1 << (FAST_BITS - length))].fill((length as u8, symbol));
                }
                // A category that stands twice is written by its first, shorter code.
                if let Some(known) = table.codes.get_mut(usize::from(symbol)).filter(|known| known.1 == 0) {
                    *known = (code as u16, length as u8);
                }
                code += 1;
                index += 1;
            }
            table.lengths[length as usize] = (code << (16 - length), first_index as i32 - first_code as i32);
            code <<= 1;
        }
        Some(table)
    }

    /// The length of the code at the top of `next`, and its category.
    #[inline(always)]
    fn look_up(&self, next: u64) -> Option<(u32, u8)> {
        let (length, symbol) = self.fast[(next >> (64 - FAST_BITS)) as usize];
        if length > 0 { Some((u32::from(length), symbol)) } else { self.look_up_long(next) }
    }

    #[cold]
    fn look_up_long(&self, next: u64) -> Option<(u32, u8)> {
        let sixteen = (next >> 48) as u32;
        let length = (FAST_BITS + 1..=16).find(|length| sixteen < self.lengths[*length as usize].0)?;
        let index = (sixteen >> (16 - length)) as i32 + self.lengths[length as usize].1;
        Some((length, *self.symbols.get(usize::try_from(index).ok()?)?))
    }

    /// Reads one difference, modulo 65536. `None` if the next bits are no code.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut BitReader<'_, ZeroByte>) -> Option<u16> {
        bits.fill();
        let (length, category) = self.look_up(bits.peek())?;
        bits.skip(length);
        match category {
            0 => Some(0),
            1..=15 => {
                let value = bits.take(u32::from(category)) as i32;
                let negative = value < 1 << (category - 1);
                Some((if negative { value + 1 - (1 << category) } else { value }) as u16)
            }
            // The one difference of this category needs no bits to say which.
            16 => Some(32768),
            _ => None,
        }
    }

    /// Writes one difference. `None` if its category has no code.
    #[inline(always)]
    pub(super) fn write(&self, difference: u16, bits: &mut BitWriter<ZeroByte>) -> Option<()> {
        let signed = i32::from(difference as i16);
        let category = 32 - signed.unsigned_abs().leading_zeros();
        let (code, length) = self.codes[category as usize];
        if length == 0 {
            return None;
        }
        if category == 16 {
            bits.put(u32::from(code), u32::from(length));
        } else {
            let below = (signed + (signed >> 31)) as u32 & ((1 << category) - 1);
            bits.put(u32::from(code) << category | below, u32::from(length) + category);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All categories: two short codes, then ever longer ones up to 16 bits.
    fn table() -> Huffman {
        let mut counts = [0; 16];
        counts[1..16].fill(1);
        counts[15] = 3;
        Huffman::new(&counts, &(0..17).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn every_difference_comes_back_by_codes_of_every_length() {
        let table = table();
        let mut writer = BitWriter::new(Vec::new());
        for difference in 0..=u16::MAX {
            table.write(difference, &mut writer).unwrap();
        }
        writer.align(|_| Some(0)).unwrap();
        let mut reader = BitReader::new(&writer.out);
        for difference in 0..=u16::MAX {
            assert_eq!(table.read(&mut reader), Some(difference));
        }
        assert!(!reader.is_over());
    }

    #[test]
    fn more_codes_than_a_length_has_make_no_table() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Huffman::new(&counts, &[0, 1, 2]).is_none());
        counts[0] = 2;
        assert!(Huffman::new(&counts, &[0]).is_none());
    }

    #[test]
    fn a_difference_without_a_code_is_not_written() {
        let mut counts = [0; 16];
        counts[0] = 1;
        let table = Huffman::new(&counts, &[0]).unwrap();
        let mut writer = BitWriter::new(Vec::new());
        assert!(table.write(0, &mut writer).is_some());
        assert!(table.write(1, &mut writer).is_none());
    }
}
