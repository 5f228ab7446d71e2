//! TCP as a link over a satellite or a 2G modem needs it.
//!
//! libp2p's own TCP gives no say over congestion control, keepalive or timeouts, and a connection on a dead path
//! can take a quarter of an hour to end. Here every option is set before the first byte, and each connection has
//! a [`KillSwitch`] that resets it at once, so a stalled transfer starts again in seconds (`docs/replication.md`).

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture, task::AtomicWaker};
use libp2p::core::{
    ConnectedPoint, Transport,
    multiaddr::{Multiaddr, Protocol},
    transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use socket2::{SockRef, TcpKeepalive};
use std::{
    collections::{HashMap, VecDeque},
    future::{Future, Ready, ready},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, Sleep, sleep, timeout},
};

/// A dial is given this long; others run beside it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// An idle connection is probed this often by the kernel: no ping of ours (1.4 MB a day, measured).
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Unacknowledged bytes older than this end the connection; our own stall detection is far quicker.
const USER_TIMEOUT: Duration = Duration::from_secs(600);
/// Congestion control that holds its rate under loss, where the kernel lets us: 80% instead of 28% of 1 Mbit/s at
/// 600 ms and 2% loss (measured).
const CONGESTION_CONTROL: &[u8] = b"bbr";
/// A path with a longer round trip gets a cork: 1.2 instead of 2.2 kB for a handshake. Never a LAN: 48 instead of
/// 390 MB/s.
const CORK_ABOVE_RTT: Duration = Duration::from_millis(50);
/// How long small writes are collected under the cork.
const CORK: Duration = Duration::from_millis(3);
/// Connections the kernel holds for us between two polls.
const BACKLOG: i32 = 256;
/// Pause after a failed accept: out of file descriptors, trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Resets one connection at once, whatever state the path is in.
#[derive(Debug, Default)]
pub(super) struct KillSwitch {
    fired: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl KillSwitch {
    fn fire(&self) {
        self.fired.store(true, Ordering::SeqCst);
        self.reader.wake();
        self.writer.wake();
    }
}

/// How a connection's switch is found again once libp2p has given the connection a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Socket {
    /// One we dialled: the tag that [`Switches::tagged`] put into the address.
    Dialled(u64),
    /// One we accepted: the peer's address and port.
    Accepted(SocketAddr),
}

impl Socket {
    fn of(point: &ConnectedPoint) -> Option<Self> {
        match point {
            ConnectedPoint::Dialer { address, .. } => tag(address).map(Self::Dialled),
            ConnectedPoint::Listener { send_back_addr, .. } => socket_address(send_back_addr).map(Self::Accepted),
        }
    }
}

/// The kill switches of all live connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Switches {
    live: Arc<Mutex<HashMap<Socket, Weak<KillSwitch>>>>,
    last_tag: Arc<AtomicU64>,
}

impl Switches {
    /// `address` with a tag that no other dial carries.
    pub(super) fn tagged(&self, address: Multiaddr) -> Multiaddr {
        address.with(Protocol::Memory(self.last_tag.fetch_add(1, Ordering::Relaxed)))
    }

    /// Resets the connection at `point`, if it is alive.
    pub(super) fn kill(&self, point: &ConnectedPoint) {
        let live = self.live.lock().expect("no thread panics while it holds the switches");
        if let Some(switch) = Socket::of(point).and_then(|socket| live.get(&socket)).and_then(Weak::upgrade) {
            switch.fire();
        }
    }

    fn add(&self, socket: Socket) -> Arc<KillSwitch> {
        let switch = Arc::new(KillSwitch::default());
        let mut live = self.live.lock().expect("no thread panics while it holds the switches");
        live.retain(|_, switch| switch.strong_count() > 0);
        live.insert(socket, Arc::downgrade(&switch));
        switch
    }
}

/// The transport.
#[derive(Debug)]
pub(super) struct Tcp {
    switches: Switches,
    listeners: Vec<Listener>,
    ready: VecDeque<TransportEvent<Ready<io::Result<Connection>>, io::Error>>,
}

#[derive(Debug)]
struct Listener {
    id: ListenerId,
    address: Multiaddr,
    socket: TcpListener,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Tcp {
    /// A transport whose connections can be reset through `switches`.
    pub(super) const fn new(switches: Switches) -> Self {
        Self { switches, listeners: Vec::new(), ready: VecDeque::new() }
    }
}

impl Transport for Tcp {
    type Output = Connection;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Connection>>;
    type Dial = BoxFuture<'static, io::Result<Connection>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let at = socket_address(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        let socket = listener(at).map_err(TransportError::Other)?;
        let address = multiaddr(socket.local_addr().map_err(TransportError::Other)?);
        self.listeners.push(Listener { id, address: address.clone(), socket, pause: None });
        self.ready.push_back(TransportEvent::NewAddress { listener_id: id, listen_addr: address });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let before = self.listeners.len();
        self.listeners.retain(|listener| listener.id != id);
        before != self.listeners.len()
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let (Some(host), Some(tag)) = (Host::of(&address), tag(&address)) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let switches = self.switches.clone();
        let dial = async move {
            let at = host.resolve().await?;
            let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            tune(&SockRef::from(&socket))?;
            let asked = Instant::now();
            let stream = socket.connect(at).await?;
            let cork = (asked.elapsed() > CORK_ABOVE_RTT).then(Cork::default);
            Ok(Connection { stream, switch: switches.add(Socket::Dialled(tag)), cork })
        };
        Ok(async { timeout(CONNECT_TIMEOUT, dial).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) }
            .boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let this = &mut *self;
        if let Some(event) = this.ready.pop_front() {
            return Poll::Ready(event);
        }
        for listener in &mut this.listeners {
            if let Poll::Ready(event) = listener.poll(&this.switches, cx) {
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }
}

impl Listener {
    fn poll(
        &mut self,
        switches: &Switches,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Ready<io::Result<Connection>>, io::Error>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let accepted = std::task::ready!(self.socket.poll_accept(cx));
        let listener_id = self.id;
        Poll::Ready(match accepted.and_then(|(stream, from)| tune(&SockRef::from(&stream)).map(|()| (stream, from))) {
            Ok((stream, from)) => TransportEvent::Incoming {
                listener_id,
                upgrade: ready(Ok(Connection { stream, switch: switches.add(Socket::Accepted(from)), cork: None })),
                local_addr: self.address.clone(),
                send_back_addr: multiaddr(from),
            },
            Err(error) => {
                self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                TransportEvent::ListenerError { listener_id, error }
            }
        })
    }
}

/// Options every connection needs; those a kernel may lack or forbid are tried.
fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    // A container may forbid bbr, an old kernel may lack both: slower, never wrong.
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
    let _ = socket.set_tcp_congestion(CONGESTION_CONTROL);
    Ok(())
}

fn listener(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(at), socket2::Type::STREAM, None)?;
    // A node that was killed must come back on its port at once.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Where an address points before names are looked up.
enum Host {
    At(SocketAddr),
    Named(String, u16),
}

impl Host {
    fn of(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let (host, Protocol::Tcp(port)) = (parts.next()?, parts.next()?) else { return None };
        match host {
            Protocol::Ip4(ip) => Some(Self::At(SocketAddr::new(ip.into(), port))),
            Protocol::Ip6(ip) => Some(Self::At(SocketAddr::new(ip.into(), port))),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => Some(Self::Named(name.into(), port)),
            _ => None,
        }
    }

    /// Looked up at every dial: a hub behind a dynamic address is found again after it has moved.
    async fn resolve(self) -> io::Result<SocketAddr> {
        match self {
            Self::At(address) => Ok(address),
            Self::Named(name, port) => {
                tokio::net::lookup_host((name, port)).await?.next().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }
}

pub(super) fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    match Host::of(address)? {
        Host::At(at) => Some(at),
        Host::Named(..) => None,
    }
}

/// The IP address in a multiaddr, if it has one.
pub(super) fn ip_address(address: &Multiaddr) -> Option<IpAddr> {
    socket_address(address).map(|at| at.ip())
}

fn tag(address: &Multiaddr) -> Option<u64> {
    address.iter().find_map(|part| if let Protocol::Memory(tag) = part { Some(tag) } else { None })
}

fn multiaddr(at: SocketAddr) -> Multiaddr {
    Multiaddr::empty().with(at.ip().into()).with(Protocol::Tcp(at.port()))
}

/// Collects the many small writes of multistream, noise and yamux into one segment.
#[derive(Debug, Default)]
struct Cork {
    until: Option<Pin<Box<Sleep>>>,
}

impl Cork {
    fn put_in(&mut self, stream: &TcpStream) {
        if self.until.is_none() {
            // A kernel that refuses the cork sends small segments: more bytes, nothing wrong.
            let _ = SockRef::from(stream).set_tcp_cork(true);
            self.until = Some(Box::pin(sleep(CORK)));
        }
    }

    fn pull_when_due(&mut self, stream: &TcpStream, cx: &mut Context<'_>) {
        if self.until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready()) {
            let _ = SockRef::from(stream).set_tcp_cork(false);
            self.until = None;
        }
    }
}

/// One TCP connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    switch: Arc<KillSwitch>,
    cork: Option<Cork>,
}

impl Connection {
    fn alive(&self, waker: &AtomicWaker, cx: &Context<'_>) -> io::Result<()> {
        waker.register(cx.waker());
        if !self.switch.fired.load(Ordering::SeqCst) {
            return Ok(());
        }
        // Linger 0: the close sends RST, so the peer learns of it too, and no byte waits in the kernel.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn pull_cork(&mut self, cx: &mut Context<'_>) {
        if let Some(cork) = &mut self.cork {
            cork.pull_when_due(&self.stream, cx);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.alive(&self.switch.reader, cx)?;
        self.pull_cork(cx);
        let mut buffer = tokio::io::ReadBuf::new(into);
        std::task::ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.stream), cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.alive(&self.switch.writer, cx)?;
        let this = &mut *self;
        if let Some(cork) = &mut this.cork {
            cork.put_in(&this.stream);
        }
        this.pull_cork(cx);
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut this.stream), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel flushes by itself; waiting for the cork here would add its 3 ms to every message.
        self.pull_cork(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive(&self.switch.writer, cx)?;
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.stream), cx)
    }
}
