//! A TCP proxy that cuts connections where a test wants it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Relays to a server until it is dropped.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Bytes that go up (to the server) and down before the connection is cut; each cut uses its value up.
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicUsize,
    refusing: AtomicBool,
    done: AtomicBool,
}

const NEVER: u64 = u64::MAX;

impl Proxy {
    pub fn new(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            up: AtomicU64::new(NEVER),
            down: AtomicU64::new(NEVER),
            ..Shared::default()
        });
        let state = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for client in listener.incoming() {
                if state.done.load(Ordering::SeqCst) {
                    return;
                }
                let client = client.unwrap();
                state.connections.fetch_add(1, Ordering::SeqCst);
                if state.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                for (from, to, up) in [(&client, &server, true), (&server, &client, false)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let state = Arc::clone(&state);
                    thread::spawn(move || {
                        relay(from, to, if up { &state.up } else { &state.down })
                    });
                }
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    /// Cuts the connection after that many further bytes to the server.
    pub fn cut_up(&self, bytes: u64) {
        self.shared.up.store(bytes, Ordering::SeqCst);
    }

    /// Cuts the connection after that many further bytes from the server.
    pub fn cut_down(&self, bytes: u64) {
        self.shared.down.store(bytes, Ordering::SeqCst);
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::SeqCst);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Copies bytes one way until an end closes or `left` runs out, which cuts both ways.
fn relay(mut from: TcpStream, mut to: TcpStream, left: &AtomicU64) {
    let mut bytes = [0; 8192];
    from.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    while let Ok(count) = from.read(&mut bytes) {
        let allowed = left.load(Ordering::SeqCst);
        let passed = count.min(usize::try_from(allowed).unwrap_or(usize::MAX));
        if count == 0 || to.write_all(&bytes[..passed]).is_err() {
            break;
        }
        if allowed != NEVER {
            left.store(allowed - passed as u64, Ordering::SeqCst);
        }
        if passed < count {
            left.store(NEVER, Ordering::SeqCst);
            break;
        }
    }
    let _ended = from.shutdown(Shutdown::Both);
    let _ended = to.shutdown(Shutdown::Both);
}
