//! What the node itself saw of the Instances that it gave to a child.
//!
//! An Instance that can't be read back is struck from the spoke's books and must be sent again, so a child that is in
//! the hands of a file must not be believed when it says so: lengths and hashes are those of the bytes that the node read.

use radmesh_codec::group::Content;
use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// The node's own account of one source.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    declared: u64,
    seen: Rc<Cell<Seen>>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Seen {
    /// It was not read as far as it declared.
    #[default]
    Beginning,
    /// As many bytes as it declared, of this hash.
    Whole([u8; 32]),
    /// It ended after so many bytes, or went on for so many.
    Other(u64),
}

impl Witness {
    /// Of a source that declares so many bytes.
    pub(crate) fn of(declared: u64) -> Self {
        Self { declared, seen: Rc::default() }
    }

    /// Watches one reading, from the first byte.
    pub(crate) fn watch<'a>(&self, from: Box<dyn Read + 'a>) -> Box<dyn Read + 'a> {
        Box::new(Watched { from, witness: self.clone(), bytes: 0, hasher: blake3::Hasher::new() })
    }

    /// What the source is; `None` if it was never read as far as it declared.
    pub(crate) fn whole(&self) -> Option<Content> {
        match self.seen.get() {
            Seen::Whole(hash) => Some(Content { bytes: self.declared, hash }),
            Seen::Beginning | Seen::Other(_) => None,
        }
    }

    /// How many bytes it gave, where these are not what it declared.
    pub(crate) fn other(&self) -> Option<u64> {
        match self.seen.get() {
            Seen::Other(bytes) => Some(bytes),
            Seen::Beginning | Seen::Whole(_) => None,
        }
    }
}

struct Watched<'a> {
    from: Box<dyn Read + 'a>,
    witness: Witness,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl Read for Watched<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        let (declared, over) = (self.witness.declared, read == 0 && !into.is_empty());
        let left = usize::try_from(declared.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        self.hasher.update(&into[..read.min(left)]);
        self.bytes += read as u64;
        if self.bytes > declared || (over && self.bytes < declared) {
            self.witness.seen.set(Seen::Other(self.bytes));
        } else if self.bytes == declared && self.witness.other().is_none() {
            self.witness.seen.set(Seen::Whole(*self.hasher.finalize().as_bytes()));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(declared: u64, reads: usize) -> (Option<Content>, Option<u64>) {
        let witness = Witness::of(declared);
        let mut reading = witness.watch(Box::new(&b"abc"[..]));
        for _ in 0..reads {
            let _ = reading.read(&mut [0; 2]).unwrap();
        }
        (witness.whole(), witness.other())
    }

    #[test]
    fn only_what_was_read_as_far_as_it_declared_is_known() {
        let abc = Content { bytes: 3, hash: *blake3::hash(b"abc").as_bytes() };
        assert_eq!(seen(3, 1), (None, None));
        assert_eq!(seen(3, 2), (Some(abc), None));
        assert_eq!(seen(3, 3), (Some(abc), None));
        assert_eq!(seen(2, 2), (None, Some(3)));
        assert_eq!(seen(4, 2), (None, None));
        assert_eq!(seen(4, 3), (None, Some(3)));
    }

    #[test]
    fn an_empty_source_is_known_once_it_was_read() {
        let witness = Witness::of(0);
        assert_eq!(witness.whole(), None);
        witness.watch(Box::new(io::empty())).read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(witness.whole(), Some(Content { bytes: 0, hash: *blake3::hash(b"").as_bytes() }));
    }
}
