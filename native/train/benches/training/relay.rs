//! A simulated slower network between worker and server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The number of bytes relayed at a time.
const PIECE: usize = 256 << 10;

/// The bytes per second of a network of 1 Gbit/s, each way and for each connection.
const GIGABIT: f64 = 125e6;

/// Relays connections to a server at 1 Gbit/s for the lifetime of the process; returns its port.
pub fn gigabit(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            // The fit may be over.
            let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
            for (from, to) in [(&client, &server), (&server, &client)] {
                from.set_nodelay(true).unwrap();
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                thread::spawn(move || relay(from, to));
            }
        }
    });
    port
}

fn relay(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = vec![0; PIECE];
    let mut free = Instant::now();
    while let Ok(count) = from.read(&mut bytes) {
        let now = Instant::now();
        free = free.max(now) + Duration::from_secs_f64(count as f64 / GIGABIT);
        thread::sleep(free - now);
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ended = to.shutdown(std::net::Shutdown::Both);
}
