//! Who may speak to the running node on this machine, how many at once, and for how long.
//!
//! The socket lies in the node's own directory, which nobody else may enter ([`crate::privacy`]). A command that hangs
//! must not keep out the next one: each conversation ends when its other side is silent, and those over the limit
//! wait their turn instead of taking threads and file descriptors.

use crate::{
    cli::{CliError, at},
    control::SOCKET,
};
use std::{convert::Infallible, fs, io, os::unix::net::UnixStream, path::Path, sync::Arc, time::Duration};
use tokio::{net::UnixListener, sync::Semaphore, time::sleep};

/// Conversations at once at most.
const CONVERSATIONS_MAX: usize = 32;
/// A command that neither reads nor writes for so long has gone: a slow stick in a slow laptop still answers.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Pause after a failed accept: out of file descriptors, trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Opens the control socket of the node in `dir`.
pub(super) fn bind(dir: &Path) -> Result<UnixListener, CliError> {
    let path = dir.join(SOCKET);
    // The store's lock says that no other node runs here, so a socket that is there is a dead one's.
    let _ = fs::remove_file(&path);
    UnixListener::bind(&path).map_err(at(&path))
}

/// Takes connections; each gets a thread in which `converse` may block.
pub(super) async fn serve(listener: UnixListener, converse: impl Fn(UnixStream) + Send + Sync + 'static) -> Infallible {
    let (places, converse) = (Arc::new(Semaphore::new(CONVERSATIONS_MAX)), Arc::new(converse));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        match listener.accept().await.and_then(|(stream, _)| blocking(stream)) {
            Ok(stream) => {
                let converse = Arc::clone(&converse);
                tokio::task::spawn_blocking(move || {
                    converse(stream);
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a command could not be listened to");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn blocking(stream: tokio::net::UnixStream) -> io::Result<UnixStream> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Read,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tokio::sync::mpsc;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_thirty_third_command_is_answered_when_another_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let listener = bind(dir.path()).unwrap();
        let (begin, mut begun) = mpsc::unbounded_channel();
        let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let peak = Arc::clone(&most);
        let serving = tokio::spawn(serve(listener, move |mut stream| {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            begin.send(()).unwrap();
            // Until the command hangs up.
            let _ = stream.read(&mut [0]);
            now.fetch_sub(1, Ordering::SeqCst);
        }));
        let mut commands: Vec<UnixStream> =
            (0..3 * CONVERSATIONS_MAX).map(|_| UnixStream::connect(dir.path().join(SOCKET)).unwrap()).collect();
        for _ in 0..CONVERSATIONS_MAX {
            begun.recv().await.unwrap();
        }
        for _ in CONVERSATIONS_MAX..3 * CONVERSATIONS_MAX {
            commands.remove(0);
            begun.recv().await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), CONVERSATIONS_MAX);
        serving.abort();
    }
}
