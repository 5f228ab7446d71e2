//! A data set on its way out of the caller's reader.
//!
//! Exports read encrypted files from slow disks, and the network's threads must not stall with them, so each data
//! set is read on a blocking thread, two fragments ahead. The rule: the fragment that ends a data set is known to be
//! the last when it is sent, and a read error is told apart from the end, so that no peer keeps half an image.

use super::OpenDataSet;
use crate::wire::Place;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// Fragments read ahead of the network.
const FRAGMENTS_AHEAD: usize = 2;

/// One fragment, or why there is none; [`Place::Last`] comes exactly once, and nothing after it.
pub(super) type Fragment = io::Result<(Place, Vec<u8>)>;

/// Opens a data set and reads it in fragments of `bytes`, which must not be 0.
///
/// # Errors
/// The data set can't be opened.
pub(super) async fn fragments(open: OpenDataSet, bytes: usize) -> io::Result<mpsc::Receiver<Fragment>> {
    let (fragments, queue) = mpsc::channel(FRAGMENTS_AHEAD);
    let mut reader = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&mut *reader, bytes, &fragments) {
            // Who no longer listens needs no error.
            let _ = fragments.blocking_send(Err(error));
        }
    });
    Ok(queue)
}

fn read(reader: &mut dyn Read, bytes: usize, fragments: &mpsc::Sender<Fragment>) -> io::Result<()> {
    let mut fragment = next(reader, bytes)?;
    loop {
        let after = if fragment.len() < bytes { Vec::new() } else { next(reader, bytes)? };
        let place = if after.is_empty() { Place::Last } else { Place::Inner };
        if fragments.blocking_send(Ok((place, fragment))).is_err() || place == Place::Last {
            return Ok(());
        }
        fragment = after;
    }
}

/// The next fragment; shorter than `bytes` only at the end.
fn next(reader: &mut dyn Read, bytes: usize) -> io::Result<Vec<u8>> {
    let mut fragment = Vec::with_capacity(bytes);
    reader.take(bytes as u64).read_to_end(&mut fragment)?;
    Ok(fragment)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(data: Vec<u8>, bytes: usize) -> Vec<(Place, Vec<u8>)> {
        let open: OpenDataSet = Box::new(move || Ok(Box::new(io::Cursor::new(data))));
        let mut queue = fragments(open, bytes).await.unwrap();
        let mut all = Vec::new();
        while let Some(fragment) = queue.recv().await {
            all.push(fragment.unwrap());
        }
        all
    }

    #[tokio::test]
    async fn the_last_fragment_is_known_at_every_length() {
        for length in 0..=9_usize {
            let data: Vec<u8> = (0..length as u8).collect();
            let all = read_all(data.clone(), 4).await;
            assert_eq!(all.iter().flat_map(|(_, part)| part.clone()).collect::<Vec<u8>>(), data);
            let last = all.iter().position(|(place, _)| *place == Place::Last);
            assert_eq!(last, Some(all.len() - 1), "{length}");
        }
    }
}
