//! Bits between markers: how JPEG streams keep a 0xFF of the data from being read as a marker.
//!
//! T.81 (F.1.2.3) puts a zero byte behind every 0xFF; T.87 (A.1) lets the byte behind a 0xFF carry seven bits.
//! Readers and writers are fast where no 0xFF is near. Rule: what a reader gives up at [`BitReader::align`], the place
//! and the padding, is all that a [`BitWriter`] needs to write the same bytes.

/// How a 0xFF is told from a marker.
pub(super) trait Stuffing {
    /// Bits that the byte behind a 0xFF carries.
    const BITS_BEHIND_FF: u32;
}

/// T.81: a zero byte is put in.
pub(super) struct ZeroByte;

/// T.87: a zero bit is put in.
pub(super) struct ZeroBit;

impl Stuffing for ZeroByte {
    const BITS_BEHIND_FF: u32 = 0;
}

impl Stuffing for ZeroBit {
    const BITS_BEHIND_FF: u32 = 7;
}

/// Bits a caller may read after one [`BitReader::fill`].
pub(super) const FILLED_BITS: u32 = 56;

/// Reads bits, most significant first. Past the end it gives zeros, and [`BitReader::align`] says so.
pub(super) struct BitReader<'b, S> {
    bytes: &'b [u8],
    at: usize,
    /// The next bits, from the top; zeros below.
    next: u64,
    /// How many of them came from `bytes`; negative once more were read than there are.
    count: i64,
    stuffing: std::marker::PhantomData<S>,
}

/// What stands between the last bit read and the next byte: `bits` of them, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pad {
    pub(super) value: u8,
    pub(super) bits: u32,
}

/// Whether some byte is 0xFF.
fn has_ff(bytes: u64) -> bool {
    let inverted = !bytes;
    inverted.wrapping_sub(0x0101_0101_0101_0101) & bytes & 0x8080_8080_8080_8080 != 0
}

impl<'b, S: Stuffing> BitReader<'b, S> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, next: 0, count: 0, stuffing: std::marker::PhantomData }
    }

    /// Makes at least [`FILLED_BITS`] bits ready, as far as there are any.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if self.count >= i64::from(FILLED_BITS) {
            return;
        }
        let behind_ff = self.at > 0 && self.bytes[self.at - 1] == 0xFF;
        if let Some(eight) = self.bytes.get(self.at..self.at + 8)
            && !behind_ff
            && self.count >= 0
        {
            let eight = u64::from_be_bytes(eight.try_into().expect("eight bytes were asked for"));
            if !has_ff(eight) {
                let whole = (64 - self.count as u32) / 8;
                // Bits beyond the whole bytes are cut, since they are filled in again later.
                let kept = if whole == 8 { eight } else { eight & !(u64::MAX >> (8 * whole)) };
                self.next |= kept >> self.count;
                self.count += i64::from(8 * whole);
                self.at += whole as usize;
                return;
            }
        }
        self.fill_slowly();
    }

    #[cold]
    fn fill_slowly(&mut self) {
        while (0..=i64::from(FILLED_BITS)).contains(&self.count) {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            let behind = self.bytes.get(self.at + 1).copied();
            let mut bits = 8;
            if S::BITS_BEHIND_FF == 0 {
                if byte == 0xFF {
                    if behind != Some(0) {
                        return;
                    }
                    self.at += 1;
                }
            } else {
                if byte == 0xFF && behind.is_none_or(|behind| behind >= 0x80) {
                    return;
                }
                if self.at > 0 && self.bytes[self.at - 1] == 0xFF {
                    bits = S::BITS_BEHIND_FF;
                }
            }
            self.next |= u64::from(byte) << (64 - bits) >> self.count;
            self.count += i64::from(bits);
            self.at += 1;
        }
    }

    /// The next bits from the top down; zeros past the end.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        self.next
    }

    /// Passes over `bits`, at most 63.
    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.next <<= bits;
        self.count -= i64::from(bits);
    }

    /// Reads `bits`, at most 32.
    #[inline(always)]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        // Two shifts, since one of 64 is none.
        let value = self.next >> 1 >> (63 - bits);
        self.skip(bits);
        value as u32
    }

    /// Whether more was read than there is.
    pub(super) fn is_over(&self) -> bool {
        self.count < 0
    }

    /// Goes back to the byte behind the last one of which a bit was read. Gives its offset and the bits passed over;
    /// `None` where more was read than there is.
    pub(super) fn align(&mut self) -> Option<(usize, Pad)> {
        let mut left = u32::try_from(self.count).ok()?;
        loop {
            let stuffed = self.at >= 2 && self.bytes[self.at - 2] == 0xFF;
            let (bits, bytes) = match S::BITS_BEHIND_FF {
                0 if stuffed && self.bytes[self.at - 1] == 0 => (8, 2),
                bits if bits > 0 && stuffed => (bits, 1),
                _ => (8, 1),
            };
            if left < bits {
                break;
            }
            left -= bits;
            self.at -= bytes;
        }
        let pad = Pad { value: (self.next >> 1 >> (63 - left)) as u8, bits: left };
        (self.next, self.count) = (0, 0);
        Some((self.at, pad))
    }

    /// Passes over these bytes if they are next; only after [`BitReader::align`].
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(bytes).then(|| self.at += bytes.len())
    }
}

/// Writes bits, most significant first, behind what `out` holds already.
pub(super) struct BitWriter<S> {
    pub(super) out: Vec<u8>,
    held: u64,
    count: u32,
    /// The last byte written was a 0xFF of the data.
    behind_ff: bool,
    stuffing: std::marker::PhantomData<S>,
}

impl<S: Stuffing> BitWriter<S> {
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self { out, held: 0, count: 0, behind_ff: false, stuffing: std::marker::PhantomData }
    }

    /// Writes the `bits` low bits of `value`, which has no others; at most 32.
    #[inline(always)]
    pub(super) fn put(&mut self, value: u32, bits: u32) {
        self.held = self.held << bits | u64::from(value);
        self.count += bits;
        if self.count >= 32 {
            self.spill();
        }
    }

    #[inline(always)]
    fn spill(&mut self) {
        let four = (self.held >> (self.count - 32)) as u32;
        if !self.behind_ff && !has_ff(u64::from(four)) {
            self.out.extend_from_slice(&four.to_be_bytes());
            self.count -= 32;
        } else {
            self.spill_slowly();
        }
    }

    #[cold]
    fn spill_slowly(&mut self) {
        loop {
            let bits = if self.behind_ff && S::BITS_BEHIND_FF > 0 { S::BITS_BEHIND_FF } else { 8 };
            if self.count < bits {
                return;
            }
            self.count -= bits;
            let byte = (self.held >> self.count) as u8 & (0xFF >> (8 - bits));
            self.byte(byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
        self.behind_ff = byte == 0xFF;
        if self.behind_ff && S::BITS_BEHIND_FF == 0 {
            self.out.push(0);
            self.behind_ff = false;
        }
    }

    /// Ends on a whole byte. `padding` gives a value for as many bits as it is told are open.
    pub(super) fn align(&mut self, padding: impl FnOnce(u32) -> Option<u8>) -> Option<()> {
        self.spill_slowly();
        let bits = if self.behind_ff && S::BITS_BEHIND_FF > 0 { S::BITS_BEHIND_FF } else { 8 };
        // With no bit waiting nothing is open; a stuffed byte behind a last 0xFF is the trailer's.
        let open = if self.count == 0 { 0 } else { bits - self.count };
        let value = padding(open)?;
        if open > 0 {
            let byte = (self.held << open) as u8 & (0xFF >> (8 - bits)) | value & (0xFF >> (8 - open));
            self.byte(byte);
        }
        (self.held, self.count, self.behind_ff) = (0, 0, false);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back<S: Stuffing>(values: &[(u32, u32)], pad: u8) {
        let mut writer = BitWriter::<S>::new(Vec::new());
        for &(value, bits) in values {
            writer.put(value, bits);
        }
        writer.align(|_| Some(pad)).unwrap();
        let written = writer.out.clone();
        if S::BITS_BEHIND_FF > 0 && written.last() == Some(&0xFF) {
            writer.out.push(0);
        }
        writer.out.extend([0xFF, 0xD9]);
        let mut reader = BitReader::<S>::new(&writer.out);
        for &(value, bits) in values {
            reader.fill();
            assert_eq!(reader.take(bits), value);
        }
        let (at, found) = reader.align().unwrap();
        assert_eq!(at, written.len());
        assert_eq!(u32::from(found.value), u32::from(pad) & ((1 << found.bits) - 1));
    }

    proptest! {
        #[test]
        fn bits_padding_and_place_come_back(
            values in proptest::collection::vec((prop_oneof![any::<u32>(), Just(u32::MAX), Just(0)], 0..=32_u32), 0..200),
            ones: bool,
        ) {
            let values: Vec<_> = values.iter().map(|(v, n)| ((u64::from(*v) & ((1_u64 << n) - 1)) as u32, *n)).collect();
            let pad = if ones { 0x7F } else { 0 };
            there_and_back::<ZeroByte>(&values, pad);
            there_and_back::<ZeroBit>(&values, pad);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, takes in proptest::collection::vec(0..=32_u32, 0..100)) {
            let mut stuffed = BitReader::<ZeroByte>::new(&bytes);
            let mut bit = BitReader::<ZeroBit>::new(&bytes);
            for bits in takes {
                stuffed.fill();
                stuffed.take(bits);
                bit.fill();
                bit.take(bits);
            }
            let _ = (stuffed.align(), bit.align());
        }
    }

    #[test]
    fn what_is_read_past_a_marker_counts_as_over() {
        let mut reader = BitReader::<ZeroByte>::new(&[0x12, 0xFF, 0xD9]);
        reader.fill();
        assert_eq!(reader.take(8), 0x12);
        assert!(!reader.is_over());
        reader.fill();
        assert_eq!(reader.take(1), 0);
        assert!(reader.is_over());
        assert_eq!(reader.align(), None);
    }
}
