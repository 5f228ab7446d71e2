//! The link of the demo: a plain TCP forwarder that can be cut, and that counts what crosses it.
//!
//! No root is needed, and nothing but bytes is understood: what it counts is what a phone company would bill.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// A forwarder from a port of its own to a target.
#[derive(Debug)]
pub(super) struct Forwarder {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    bytes: AtomicU64,
    live: Mutex<Vec<TcpStream>>,
}

impl Forwarder {
    /// Listens on a free port of the loopback and forwards to `target`, no faster than `bytes_a_second` each way.
    pub(super) fn start(target: SocketAddr, bytes_a_second: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.cut.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(far) = TcpStream::connect(target) {
                    forward(&near, &far, &shared, bytes_a_second);
                    forward(&far, &near, &shared, bytes_a_second);
                    let mut live = shared.live.lock().expect("no forwarding thread panics");
                    live.extend([near, far]);
                }
            }
        });
        Ok(Self { address, state })
    }

    /// Where the nearer node dials.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that crossed so far, both ways.
    pub(super) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }

    /// Cuts every connection and takes no new one.
    pub(super) fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
        for stream in self.state.live.lock().expect("no forwarding thread panics").drain(..) {
            // A connection that is already gone is as cut as we want it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections again.
    pub(super) fn heal(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }
}

fn forward(from: &TcpStream, to: &TcpStream, state: &Arc<State>, bytes_a_second: u64) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let state = Arc::clone(state);
    thread::spawn(move || {
        let mut buffer = [0; 4 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            state.bytes.fetch_add(read as u64, Ordering::SeqCst);
            thread::sleep(Duration::from_micros(read as u64 * 1_000_000 / bytes_a_second));
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_ends_what_is_open_and_healing_lets_new_connections_through() {
        let far = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let link = Forwarder::start(far.local_addr().unwrap(), 1_000_000).unwrap();
        let mut near = TcpStream::connect(link.address()).unwrap();
        near.write_all(b"film").unwrap();
        let (mut other, _) = far.accept().unwrap();
        let mut got = [0; 4];
        other.read_exact(&mut got).unwrap();
        assert_eq!((&got, link.bytes()), (b"film", 4));

        link.cut();
        assert_eq!(near.read(&mut got).unwrap_or(0), 0);

        link.heal();
        let mut near = TcpStream::connect(link.address()).unwrap();
        near.write_all(b"more").unwrap();
        let (mut other, _) = far.accept().unwrap();
        other.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"more");
    }
}
