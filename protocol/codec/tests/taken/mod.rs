//! What a group decodes to, in memory.

use radmesh_codec::group::{Content, DecodeError, decode};
use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
};

/// Takes the bytes of one Instance.
#[derive(Clone, Default)]
pub(crate) struct Taken(pub(crate) Rc<RefCell<Vec<u8>>>);

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every Instance of a stream.
pub(crate) fn decoded(stream: &[u8], expected: &[Content]) -> Result<Vec<Vec<u8>>, DecodeError> {
    let taken: Vec<Taken> = expected.iter().map(|_| Taken::default()).collect();
    let into = taken.clone();
    decode(stream, expected, move |index| Ok(Box::new(into[index].clone())))?;
    Ok(taken.into_iter().map(|taken| taken.0.take()).collect())
}
