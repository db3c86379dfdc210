//! The listening socket, the accepting thread, and the shutdown of all connections.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firesteel_core::{CancelFlag, FlushDenormals};
use parking_lot::Mutex;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tracing::Span;

use crate::error::PsError;
use crate::net::handshake::HANDSHAKE;
use crate::net::tls::Acceptor;
use crate::net::{LINGER, Link};

/// Returns the name of the threads of a fit's server: `firesteel-ps-` and the start of the fit's identity.
pub(crate) fn thread_name(fit: &str) -> String {
    let start: String = fit.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("firesteel-ps-{start}")
}

/// The limit of connections that have not authenticated yet. More are closed at once; workers connect again.
const MAX_UNAUTHENTICATED: usize = 128;

/// The connections that the kernel queues until they are accepted.
const BACKLOG: i32 = 1024;

/// The time that connections have to finish their current request when the server closes.
const DRAIN: Duration = Duration::from_millis(500);

/// The interval at which a blocked connection checks for a forced close.
const FORCED_CLOSE_INTERVAL: Duration = Duration::from_millis(500);

/// The kernel's receive buffers for all connections together. Unbounded, the large payloads of hundreds of waiting
/// workers use up the kernel's memory for TCP, which then drops packets until connections time out.
const RECEIVE_BUFFERS: u64 = 512 << 20;

/// The stack size of a connection's thread.
const STACK: usize = 1 << 20;

/// Binds the first free port: `port`, then up to `retries` further ones; with 0 the system chooses.
pub(crate) fn bind(address: &str, port: u16, retries: u16) -> Result<TcpListener, PsError> {
    let refused = |cause| PsError::Bind { address: address.to_owned(), cause };
    let hosts: Vec<SocketAddr> = (address, port).to_socket_addrs().map_err(refused)?.collect();
    let host = *hosts.first().ok_or_else(|| refused(io::ErrorKind::AddrNotAvailable.into()))?;
    let last = if port == 0 { 0 } else { port.saturating_add(retries) };
    let mut cause = io::Error::from(io::ErrorKind::AddrInUse);
    for port in port..=last {
        match listen(SocketAddr::new(host.ip(), port)) {
            Ok(listener) => return Ok(listener),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                ) =>
            {
                cause = error;
            }
            Err(error) => return Err(refused(error)),
        }
    }
    let ports = if last == port { port.to_string() } else { format!("{port} to {last}") };
    Err(PsError::Port { address: address.to_owned(), ports, cause })
}

/// Returns the size of the receive buffer of each connection, if it must be bounded.
fn receive_buffer_len(workers: u32, payload: u64) -> Option<usize> {
    let workers = u64::from(workers.max(1));
    let bounded = workers.saturating_mul(payload) > RECEIVE_BUFFERS;
    bounded.then(|| usize::try_from(RECEIVE_BUFFERS / workers).unwrap_or(usize::MAX))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The handler of a listener's connections.
pub(crate) trait Service: Send + Sync + 'static {
    /// Serves one connection until it ends. `authenticated` is called once the peer has proved that it knows the
    /// secret.
    fn serve(&self, link: Link, authenticated: impl FnOnce());

    /// The identity of the fit.
    fn fit(&self) -> &str;

    /// The number of workers that may connect.
    fn workers(&self) -> u32;

    /// The bytes of a commit.
    fn payload(&self) -> u64;

    /// Records that one of the threads panicked.
    fn panicked(&self, text: &str);
}

/// The listening socket and the threads of a server.
pub(crate) struct Listener<H> {
    listener: Arc<TcpListener>,
    port: u16,
    accept_thread: JoinHandle<()>,
    shared: Arc<ListenerState<H>>,
}

struct ListenerState<H> {
    service: H,
    /// `None` for unencrypted connections.
    tls: Option<Acceptor>,
    /// Set when connections must end even in the middle of a request.
    forced: CancelFlag,
    closing: CancelFlag,
    connections: Mutex<HashMap<u64, ConnectionThread>>,
    unauthenticated: AtomicUsize,
    /// The context of the threads' log.
    context: Span,
}

struct ConnectionThread {
    stream: Weak<TcpStream>,
    thread: JoinHandle<()>,
}

impl<H: Service> Listener<H> {
    /// Starts to accept connections, encrypted by `tls`.
    pub(crate) fn start(
        listener: TcpListener,
        service: H,
        tls: Option<Acceptor>,
    ) -> Result<Self, PsError> {
        let failed = |action| move |cause| PsError::System { action, cause };
        let port = listener.local_addr().map_err(failed("reading the port"))?.port();
        let listener = Arc::new(listener);
        let shared = Arc::new(ListenerState {
            service,
            tls,
            forced: CancelFlag::new(),
            closing: CancelFlag::new(),
            connections: Mutex::default(),
            unauthenticated: AtomicUsize::new(0),
            context: Span::current(),
        });
        let (socket, state) = (Arc::clone(&listener), Arc::clone(&shared));
        let accept_thread = thread::Builder::new()
            .name(thread_name(shared.service.fit()))
            .spawn(move || state.accept(&socket))
            .map_err(failed("starting the server's thread"))?;
        Ok(Self { listener, port, accept_thread, shared })
    }

    /// The port that the server listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Frees the port, lets each connection finish its current request, and returns when no thread is left.
    pub(crate) fn close(self) {
        self.shared.closing.cancel();
        // Wakes the accepting thread; if the shutdown fails, a connection does.
        if SockRef::from(&*self.listener).shutdown(Shutdown::Both).is_err()
            && let Ok(address) = self.listener.local_addr()
        {
            drop(TcpStream::connect_timeout(&address, DRAIN));
        }
        join(self.accept_thread, &self.shared.service);
        drop(self.listener);
        let connections = std::mem::take(&mut *self.shared.connections.lock());
        shutdown_all(&connections, Shutdown::Read);
        let end = Instant::now() + DRAIN;
        while Instant::now() < end
            && connections.values().any(|connection| !connection.thread.is_finished())
        {
            thread::sleep(Duration::from_millis(2));
        }
        self.shared.forced.cancel();
        shutdown_all(&connections, Shutdown::Both);
        for connection in connections.into_values() {
            join(connection.thread, &self.shared.service);
        }
    }
}

impl<H: Service> ListenerState<H> {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for id in 0.. {
            match listener.accept() {
                _ if self.closing.is_cancelled() => return,
                Ok((stream, _)) => self.admit(id, stream),
                // Out of descriptors or memory: open connections must end first.
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
            self.reap();
        }
    }

    /// Starts a thread for a new connection, unless there are too many.
    fn admit(self: &Arc<Self>, id: u64, stream: TcpStream) {
        let authenticated = 2 * self.service.workers() as usize + 16;
        if self.unauthenticated.load(Ordering::Relaxed) >= MAX_UNAUTHENTICATED
            || self.connections.lock().len() >= MAX_UNAUTHENTICATED + authenticated
        {
            return;
        }
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(60))
            .with_interval(Duration::from_secs(10));
        let socket = SockRef::from(&stream);
        if socket.set_tcp_keepalive(&keepalive).is_err() {
            return;
        }
        if let Some(bytes) = receive_buffer_len(self.service.workers(), self.service.payload()) {
            // Best effort: failure only costs kernel memory.
            let _unbounded = socket.set_recv_buffer_size(bytes);
        }
        let stream = Arc::new(stream);
        let weak = Arc::downgrade(&stream);
        let unauthenticated = Unauthenticated::new(self);
        let shared = Arc::clone(self);
        let name = thread_name(self.service.fit());
        let thread = thread::Builder::new().name(name).stack_size(STACK).spawn(move || {
            let _flush = FlushDenormals::new();
            let _context = shared.context.enter();
            if let Ok(link) = Link::new(stream, shared.forced.clone(), FORCED_CLOSE_INTERVAL) {
                shared.catching_panics(|| {
                    if let Some(link) = shared.secured(link) {
                        shared.service.serve(link, || drop(unauthenticated));
                    }
                });
            }
        });
        if let Ok(thread) = thread {
            self.connections.lock().insert(id, ConnectionThread { stream: weak, thread });
        }
    }

    /// Returns the connection, with TLS if it is configured. A failed TLS handshake reports its reason to the peer by a
    /// TLS alert.
    fn secured(&self, mut link: Link) -> Option<Link> {
        let Some(tls) = &self.tls else { return Some(link) };
        let session = tls.session(link.socket()).ok()?;
        if link.secure(session, HANDSHAKE).is_ok() {
            return Some(link);
        }
        link.linger(LINGER);
        None
    }

    /// Turns a panic into the end of its own connection, and fails the fit with the text of the panic.
    fn catching_panics(&self, serve: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(serve)) {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("panic without a message");
            self.service.panicked(&format!("the parameter server panicked: {text}"));
        }
    }

    /// Removes the connections that have ended.
    fn reap(&self) {
        self.connections.lock().retain(|_, connection| !connection.thread.is_finished());
    }
}

/// Counts a connection whose peer has not authenticated yet.
struct Unauthenticated<H: Service>(Arc<ListenerState<H>>);

impl<H: Service> Unauthenticated<H> {
    fn new(shared: &Arc<ListenerState<H>>) -> Self {
        shared.unauthenticated.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl<H: Service> Drop for Unauthenticated<H> {
    fn drop(&mut self) {
        self.0.unauthenticated.fetch_sub(1, Ordering::Relaxed);
    }
}

fn shutdown_all(connections: &HashMap<u64, ConnectionThread>, how: Shutdown) {
    for stream in connections.values().filter_map(|connection| connection.stream.upgrade()) {
        // An error means that the connection has already ended.
        let _ended = stream.shutdown(how);
    }
}

fn join(thread: JoinHandle<()>, service: &impl Service) {
    if thread.join().is_err() {
        service.panicked("a thread of the parameter server panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_received_ahead_is_bounded_where_all_payloads_together_are_large() {
        assert_eq!(receive_buffer_len(0, 100 << 20), None);
        assert_eq!(receive_buffer_len(5, 100 << 20), None);
        assert_eq!(receive_buffer_len(64, 4 << 20), None);
        assert_eq!(receive_buffer_len(64, 100 << 20), Some(8 << 20));
        assert_eq!(receive_buffer_len(256, 4 << 20), Some(2 << 20));
    }
}
