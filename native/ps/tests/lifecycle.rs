//! Opening and closing. One test at a time: they count this process's threads.

#![allow(clippy::unwrap_used, reason = "tests may be blunt")]

#[path = "suite/support/mod.rs"]
mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::spec::{ServerSpec, StrategySpec};
use firesteel_core::{Buffers, Coded, ErrorCode};
use firesteel_ps::{Server, runtime};
use parking_lot::{Mutex, MutexGuard};
use serde_json::json;
use support::certificates::Trust;
use support::*;

const PARAMETERS: usize = 1_000;

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock()
}

/// Returns the number of the server's threads once it is as expected, or after a time limit. A thread that has just
/// been started does not have its name yet.
fn settled(expected: usize) -> usize {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let count = server_threads();
        if count == expected || Instant::now() >= end {
            return count;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_closed_server_leaves_no_thread_and_its_port_can_be_bound_again() {
    let _alone = alone();
    let spec = server_spec(8, 1);
    let server = open(&spec, PARAMETERS);
    let client = client_spec(&spec, server.port());
    let mut peers: Vec<_> = (0..8)
        .map(|partition| {
            Peer::connect(Transport::Socket, &client, PARAMETERS, registration(partition, 1, 4))
        })
        .collect();
    peers[0].exchange(1.0).unwrap();
    let silent = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let waiting = thread::spawn(move || {
        let mut client = client;
        client.timeout_millis = 1_500;
        Peer::try_connect(
            Transport::Socket,
            &client,
            PARAMETERS,
            registration(0, 2, 4),
            &Default::default(),
        )
        .is_err()
    });
    assert_eq!(settled(11), 11, "one accepts, eight serve, one waits, one is silent");
    let start = Instant::now();
    server.close();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(server_threads(), 0);
    TcpListener::bind(("127.0.0.1", server.port())).unwrap();
    server.close();
    assert!(waiting.join().unwrap());
    drop((silent, peers));
}

#[test]
fn garbage_on_a_port_that_speaks_tls_leaves_no_thread() {
    let _alone = alone();
    let trust = Trust::new();
    let mut spec = server_spec(1, 1);
    spec.tls = Some(trust.server.clone());
    let server = open(&spec, PARAMETERS);
    for bytes in [&b"FSPS\x01\0\0\0"[..], b"GET / HTTP/1.1\r\n\r\n", &[22, 3, 1, 2, 0, 1], &[22]] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.write_all(bytes).unwrap();
    }
    assert_eq!(settled(1), 1);
    let mut silent = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    silent.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    assert_eq!(settled(2), 2, "one waits for the rest of a handshake");
    let start = Instant::now();
    server.close();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(server_threads(), 0);
}

#[test]
fn connections_that_ended_leave_no_thread_while_the_server_is_open() {
    let _alone = alone();
    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    for _ in 0..20 {
        drop(TcpStream::connect(("127.0.0.1", server.port())).unwrap());
    }
    assert_eq!(settled(1), 1);
}

#[test]
fn dropping_and_shutting_down_close_servers_and_new_ones_can_be_opened() {
    let _alone = alone();
    drop(open(&server_spec(1, 1), PARAMETERS));
    assert_eq!(server_threads(), 0);
    let spec = server_spec(1, 1);
    for _ in 0..2 {
        let servers = [open(&spec, PARAMETERS), open(&server_spec(1, 1), PARAMETERS)];
        assert_eq!(settled(2), 2);
        runtime::shutdown();
        assert_eq!(server_threads(), 0);
        TcpListener::bind(("127.0.0.1", servers[0].port())).unwrap();
    }
}

#[test]
fn a_worker_in_the_middle_of_a_large_pull_does_not_keep_the_server_open() {
    let _alone = alone();
    let big = 8_000_000;
    let spec = server_spec(1, 1);
    let server = open(&spec, big);
    let hash = layout(big).hash();
    let mut stuck = support::raw::Raw::open(server.port(), &spec.fit, SECRET, hash, big as u64);
    stuck.reply().unwrap();
    stuck.register(0, 1, 4);
    stuck.reply().unwrap();
    stuck.frame(support::raw::request::PULL, &[], &[]);
    thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    server.close();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(server_threads(), 0);
}

#[test]
fn a_taken_port_is_passed_over_and_a_taken_range_is_named() {
    let _alone = alone();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut spec = server_spec(1, 1);
    spec.port = port;
    spec.port_max_retries = 0;
    let refused = |spec: &firesteel_core::spec::ServerSpec| {
        Server::open(spec, layout(PARAMETERS), vec![0.0; PARAMETERS], buffers()).err().unwrap()
    };
    let error = refused(&spec);
    assert_eq!(error.code(), ErrorCode::PortInUse);
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    spec.port_max_retries = 20;
    let server = open(&spec, PARAMETERS);
    assert!((port + 1..=port + 20).contains(&server.port()));
    let mut next = server_spec(1, 1);
    next.port = server.port();
    next.port_max_retries = 0;
    assert_eq!(refused(&next).code(), ErrorCode::PortInUse);
    next.bind_address = "203.0.113.1".to_owned();
    let error = refused(&next);
    assert_eq!(error.code(), ErrorCode::Io);
    assert!(error.to_string().contains("203.0.113.1"), "{error}");
}

#[test]
fn a_specification_that_does_not_fit_is_refused_and_leaves_nothing_open() {
    let _alone = alone();
    let good = server_spec(1, 1);
    let refused = |change: &dyn Fn(&mut ServerSpec), center: Vec<f32>, buffers| {
        let mut spec = good.clone();
        change(&mut spec);
        Server::open(&spec, layout(PARAMETERS), center, buffers).err().unwrap().code()
    };
    let zeros = || vec![0.0; PARAMETERS];
    let mut nan = zeros();
    nan[PARAMETERS - 1] = f32::NAN;
    assert_eq!(refused(&|_| {}, nan, buffers()), ErrorCode::Diverged);
    assert_eq!(refused(&|_| {}, vec![0.0; 3], buffers()), ErrorCode::InvalidSpec);
    assert_eq!(refused(&|_| {}, zeros(), Buffers::default()), ErrorCode::InvalidSpec);
    assert_eq!(refused(&|spec| spec.secret.clear(), zeros(), buffers()), ErrorCode::InvalidSpec);
    assert_eq!(refused(&|spec| spec.workers = 0, zeros(), buffers()), ErrorCode::InvalidSpec);
    let no_window = |spec: &mut ServerSpec| set_options(&mut spec.strategy, &json!({"window": 0}));
    assert_eq!(refused(&no_window, zeros(), buffers()), ErrorCode::InvalidSpec);
    let alone = |spec: &mut ServerSpec| {
        spec.strategy = StrategySpec::named("single").unwrap();
        spec.workers = 2;
    };
    assert_eq!(refused(&alone, zeros(), buffers()), ErrorCode::InvalidSpec);
    let server = open(&good, PARAMETERS);
    assert_eq!(
        refused(&|_| {}, zeros(), buffers()),
        ErrorCode::InvalidSpec,
        "the fit has a server"
    );
    drop(server);
    assert_eq!(server_threads(), 0);
}

#[test]
fn a_second_fit_in_the_same_process_is_a_server_of_its_own() {
    let _alone = alone();
    let specs = [server_spec(1, 1), server_spec(1, 1)];
    let servers = [open(&specs[0], PARAMETERS), open(&specs[1], PARAMETERS)];
    for (spec, server) in specs.iter().zip(&servers) {
        let client = client_spec(spec, server.port());
        Peer::connect(Transport::Memory, &client, PARAMETERS, registration(0, 1, 4))
            .commit(1.0)
            .unwrap();
    }
    assert!(servers.iter().all(|server| server.status().version == 1));
}

#[test]
fn a_worker_that_comes_after_its_server_was_closed_in_this_process_is_told_so_at_once() {
    let _alone = alone();
    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    let mut client = client_spec(&spec, server.port());
    client.timeout_millis = 60_000;
    drop(server);
    let start = Instant::now();
    let late =
        firesteel_ps::connect(&client, layout(PARAMETERS).hash(), PARAMETERS, &Default::default());
    let error = late.err().unwrap();
    assert_eq!(error.code(), ErrorCode::ServerUnreachable);
    assert!(error.to_string().contains("has been closed"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    let _reopened = open(&spec, PARAMETERS);
    assert!(
        firesteel_ps::connect(&client, layout(PARAMETERS).hash(), PARAMETERS, &Default::default())
            .is_ok()
    );
}
