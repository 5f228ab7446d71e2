//! The bytes of a recipe: small numbers, and runs of bytes with their length before them.
//!
//! A recipe travels beside the samples and is coded by zstd across frames, so it is kept plain rather than packed.
//! Numbers are LEB128: seven bits a byte, the lowest first. A reader never goes past what is there.

/// Writes a number.
pub(super) fn number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes bytes behind their length.
pub(super) fn run(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    number(out, u32::try_from(bytes.len()).ok()?);
    out.extend_from_slice(bytes);
    Some(())
}

/// Reads what was written, in the same order.
pub(super) struct Reader<'r> {
    left: &'r [u8],
}

impl<'r> Reader<'r> {
    pub(super) fn new(recipe: &'r [u8]) -> Self {
        Self { left: recipe }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, left) = self.left.split_first()?;
        self.left = left;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for shift in (0..32).step_by(7) {
            let byte = self.byte()?;
            let bits = u32::from(byte & 0x7F);
            if bits > u32::MAX >> shift {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'r [u8]> {
        let (taken, left) = self.left.split_at_checked(count)?;
        self.left = left;
        Some(taken)
    }

    pub(super) fn run(&mut self) -> Option<&'r [u8]> {
        let count = self.number()?;
        self.bytes(usize::try_from(count).ok()?)
    }

    /// `Some` if nothing is left over.
    pub(super) fn end(self) -> Option<()> {
        self.left.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_runs_come_back(value: u32, bytes: Vec<u8>) {
            let mut out = Vec::new();
            number(&mut out, value);
            run(&mut out, &bytes).unwrap();
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.number(), Some(value));
            prop_assert_eq!(reader.run(), Some(bytes.as_slice()));
            prop_assert_eq!(reader.end(), Some(()));
        }
    }

    #[test]
    fn a_run_longer_than_the_recipe_is_none() {
        assert_eq!(Reader::new(&[5, 1, 2]).run(), None);
        assert_eq!(Reader::new(&[0x80; 9]).number(), None);
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0x7F]).number(), None);
    }
}
