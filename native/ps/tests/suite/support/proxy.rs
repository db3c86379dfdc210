//! A TCP proxy that cuts connections or holds them up on demand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A relay to a server, until it is dropped.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// The bytes that may still go up (to the server) and down before the connection is cut; a cut resets the limit.
    up: AtomicU64,
    down: AtomicU64,
    /// The values to which the limits are reset after a cut.
    up_again: AtomicU64,
    down_again: AtomicU64,
    /// The delay of every piece, in microseconds.
    delay: AtomicU64,
    connections: AtomicUsize,
    refusing: AtomicBool,
    /// True while a connection is held up in place of a cut.
    holding: AtomicBool,
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
            up_again: AtomicU64::new(NEVER),
            down_again: AtomicU64::new(NEVER),
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
                    thread::spawn(move || relay(from, to, &state, up));
                }
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    /// Cuts the connection after this number of further bytes to the server.
    pub fn cut_up(&self, bytes: u64) {
        self.shared.up.store(bytes, Ordering::SeqCst);
    }

    /// Cuts the connection after this number of further bytes from the server.
    pub fn cut_down(&self, bytes: u64) {
        self.shared.down.store(bytes, Ordering::SeqCst);
    }

    /// Cuts a connection after every `up` bytes to the server or `down` bytes from it.
    pub fn cut_every(&self, up: u64, down: u64) {
        self.shared.up_again.store(up, Ordering::SeqCst);
        self.shared.down_again.store(down, Ordering::SeqCst);
        self.cut_up(up);
        self.cut_down(down);
    }

    /// Delays every piece of up to 8 KiB, in both directions.
    pub fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap();
        self.shared.delay.store(micros, Ordering::SeqCst);
    }

    /// Holds the connection up after this number of further bytes to the server, until [`Proxy::go_on`].
    pub fn hold_up(&self, bytes: u64) {
        self.shared.holding.store(true, Ordering::SeqCst);
        self.cut_up(bytes);
    }

    /// Holds the connection up after this number of further bytes from the server, until [`Proxy::go_on`].
    pub fn hold_down(&self, bytes: u64) {
        self.shared.holding.store(true, Ordering::SeqCst);
        self.cut_down(bytes);
    }

    /// Releases a held-up connection.
    pub fn go_on(&self) {
        self.shared.holding.store(false, Ordering::SeqCst);
    }

    /// Closes new connections at once while `refusing`.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::SeqCst);
    }

    /// Returns the number of connections so far.
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

/// Copies bytes one way until an end closes or the limit of this way is reached, which cuts both ways or holds this one
/// up.
fn relay(mut from: TcpStream, mut to: TcpStream, state: &Shared, up: bool) {
    let (left, again) =
        if up { (&state.up, &state.up_again) } else { (&state.down, &state.down_again) };
    let mut bytes = [0; 8192];
    from.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    while let Ok(count) = from.read(&mut bytes) {
        thread::sleep(Duration::from_micros(state.delay.load(Ordering::SeqCst)));
        let allowed = left.load(Ordering::SeqCst);
        let passed = count.min(usize::try_from(allowed).unwrap_or(usize::MAX));
        if count == 0 || to.write_all(&bytes[..passed]).is_err() {
            break;
        }
        if allowed != NEVER {
            left.store(allowed - passed as u64, Ordering::SeqCst);
        }
        if passed < count {
            left.store(again.load(Ordering::SeqCst), Ordering::SeqCst);
            if !state.holding.load(Ordering::SeqCst) {
                break;
            }
            while state.holding.load(Ordering::SeqCst) && !state.done.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            if to.write_all(&bytes[passed..count]).is_err() {
                break;
            }
        }
    }
    let _ended = from.shutdown(Shutdown::Both);
    let _ended = to.shutdown(Shutdown::Both);
}
