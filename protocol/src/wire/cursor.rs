//! Hand-laid bytes: what is hashed or signed is written and read field by field, big-endian.
//!
//! Reading never panics and never allocates by a length it was told: a field that is not wholly there is `None`,
//! and the caller names the field in its error.

/// Reads fields from the front.
#[derive(Debug, Clone)]
pub struct Cursor<'a>(&'a [u8]);

/// Writes fields one after the other.
#[derive(Debug, Clone, Default)]
pub struct Put(Vec<u8>);

impl<'a> Cursor<'a> {
    /// At the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `bytes` bytes.
    pub const fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let Some((head, rest)) = self.0.split_at_checked(bytes) else { return None };
        self.0 = rest;
        Some(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// UTF-8 behind its length in one byte.
    pub fn short_text(&mut self) -> Option<&'a str> {
        let length = self.u8()?;
        std::str::from_utf8(self.take(usize::from(length))?).ok()
    }

    /// Everything that is left.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.0;
        self.0 = &[];
        rest
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}

impl Put {
    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// UTF-8 behind its length in one byte.
    ///
    /// # Panics
    /// If `text` has more than 255 bytes; for text that a type already bounds.
    pub fn short_text(&mut self, text: &str) -> &mut Self {
        self.u8(u8::try_from(text.len()).expect("bounded by its type")).bytes(text.as_bytes())
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_past_the_end_is_none_and_takes_nothing() {
        let mut from = Cursor::new(&[9, b'a', b'b']);
        assert_eq!(from.clone().short_text(), None);
        assert_eq!(from.u8(), Some(9));
        assert_eq!(from.u32(), None);
        assert_eq!(from.rest(), b"ab");
    }
}
