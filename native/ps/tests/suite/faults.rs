//! Broken connections, cancelled workers, and servers that close.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::proxy::Proxy;
use crate::support::*;
use firesteel_core::spec::StrategySpec;
use firesteel_core::{CancelFlag, Coded, ErrorCode};
use firesteel_ps::connect_remote;

const PARAMETERS: usize = 50_000;
const PAYLOAD: u64 = 4 * PARAMETERS as u64 + 16;

#[test]
fn a_commit_whose_connection_is_cut_is_sent_again_and_applied_once() {
    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    let proxy = Proxy::new(server.port());
    let client = client_spec(&spec, proxy.port);
    let mut peer = Peer::connect(Transport::Socket, &client, PARAMETERS, registration(0, 1, 100));
    let mut applied = 0.0;
    let mut check = |peer: &mut Peer| {
        applied += 1.0;
        assert!(
            peer.center.iter().all(|&c| c == applied),
            "{} instead of {applied}",
            peer.center[0]
        );
    };
    for cut in [0, 5, 30, PAYLOAD / 2, PAYLOAD + 30] {
        proxy.cut_up(cut);
        assert_eq!(peer.exchange(1.0).unwrap().staleness, 0, "cut after {cut} bytes up");
        check(&mut peer);
    }
    for cut in [0, 5, 20, PAYLOAD / 2, PAYLOAD] {
        proxy.cut_down(cut);
        peer.exchange(1.0).unwrap();
        check(&mut peer);
    }
    assert_eq!(proxy.connections(), 11);
    let status = server.status();
    assert_eq!((status.version, status.rows_trained), (10, 100));
}

#[test]
fn every_other_request_survives_a_cut_connection_too() {
    let mut spec = server_spec(1, 1);
    spec.strategy = StrategySpec::named("single").unwrap();
    let server = open(&spec, PARAMETERS);
    let proxy = Proxy::new(server.port());
    let client = client_spec(&spec, proxy.port);
    let mut peer = Peer::connect(Transport::Socket, &client, PARAMETERS, registration(0, 1, 2));
    proxy.cut_down(PAYLOAD / 2);
    peer.pull();
    proxy.cut_down(3);
    peer.save(1.0).unwrap();
    proxy.cut_up(PAYLOAD / 2);
    peer.save(2.0).unwrap();
    thread::sleep(Duration::from_millis(300));
    proxy.cut_up(3);
    peer.channel.heartbeat(peer.position, 0, TALLY).unwrap();
    proxy.cut_down(3);
    peer.channel.finish().unwrap();
    let (center, _, version) = server.snapshot().unwrap();
    assert_eq!((center[0], version), (2.0, 2));
    proxy.cut_up(3);
    peer.channel.abort(ErrorCode::InvalidData, "bad").unwrap();
    assert_eq!(server.status().failure.unwrap().message, "bad");
}

#[test]
fn a_server_that_is_away_for_a_while_is_waited_for() {
    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    let proxy = Proxy::new(server.port());
    let client = client_spec(&spec, proxy.port);
    let mut peer = Peer::connect(Transport::Socket, &client, PARAMETERS, registration(0, 1, 2));
    proxy.refuse(true);
    proxy.cut_up(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(600));
            proxy.refuse(false);
        });
        peer.commit(1.0).unwrap();
    });
    assert!(proxy.connections() >= 3, "it tried again");
    assert_eq!(server.status().version, 1);
}

#[test]
fn a_server_that_is_gone_is_named_with_the_last_cause() {
    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    let mut client = client_spec(&spec, server.port());
    client.timeout_millis = 700;
    let mut peer = Peer::connect(Transport::Socket, &client, PARAMETERS, registration(0, 1, 2));
    server.close();
    let start = Instant::now();
    let error = peer.commit(1.0).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ServerUnreachable);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{}", server.port())), "{text}");
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn a_worker_of_the_same_process_notices_that_the_server_was_closed() {
    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    let client = client_spec(&spec, server.port());
    let mut peer = Peer::connect(Transport::Memory, &client, PARAMETERS, registration(0, 1, 2));
    server.close();
    assert_eq!(peer.commit(1.0).unwrap_err().code(), ErrorCode::ServerUnreachable);
}

#[test]
fn a_host_without_an_address_is_named() {
    let spec = server_spec(1, 1);
    let mut client = client_spec(&spec, 7);
    client.host = "no-such-host.invalid".to_owned();
    client.timeout_millis = 200;
    let error = connect_remote(&client, 0, 1, &CancelFlag::new()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::ServerUnreachable);
    assert!(error.to_string().contains("no-such-host.invalid:7"), "{error}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = client_spec(&server_spec(1, 1), listener.local_addr().unwrap().port());
    client.timeout_millis = 500;
    let error = connect_remote(&client, 0, 1, &CancelFlag::new()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::ServerUnreachable);
    assert!(error.to_string().contains("no bytes were transferred"), "{error}");
}

#[test]
fn a_cancelled_worker_ends_at_once_whatever_it_is_at() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = server_spec(2, 1);
    let server = open(&spec, PARAMETERS);
    let client = client_spec(&spec, server.port());
    let holder = Peer::connect(Transport::Socket, &client, PARAMETERS, registration(0, 1, 4));
    let mut silent_client = client.clone();
    silent_client.port = silent.local_addr().unwrap().port();
    let mut closed = client.clone();
    closed.port = 1;
    let cases = [
        ("connecting", Transport::Socket, &silent_client),
        ("pausing", Transport::Socket, &closed),
        ("waiting for a lease", Transport::Socket, &client),
        ("waiting for a lease", Transport::Memory, &client),
    ];
    for (what, transport, client) in cases {
        let cancel = CancelFlag::new();
        let canceller = cancel.clone();
        let cancelling = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            canceller.cancel();
            Instant::now()
        });
        let error =
            Peer::try_connect(transport, client, PARAMETERS, registration(0, 2, 4), &cancel)
                .err()
                .unwrap();
        let late = cancelling.join().unwrap().elapsed();
        assert_eq!(error.code(), ErrorCode::Cancelled, "{what}");
        assert!(late < Duration::from_millis(200), "{what}: {late:?}");
    }
    drop(holder);
}

#[test]
fn a_cancelled_worker_does_nothing_more() {
    for transport in ROADS {
        let spec = server_spec(1, 1);
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let cancel = CancelFlag::new();
        let mut peer =
            Peer::try_connect(transport, &client, PARAMETERS, registration(0, 1, 4), &cancel)
                .unwrap();
        cancel.cancel();
        assert_eq!(peer.commit(1.0).unwrap_err().code(), ErrorCode::Cancelled);
        assert_eq!(peer.exchange(1.0).unwrap_err().code(), ErrorCode::Cancelled);
        let error = peer.channel.heartbeat(peer.position, 0, TALLY).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Cancelled);
        assert_eq!(server.status().version, 0);
    }
}

#[test]
fn a_worker_that_stops_reading_holds_up_nobody() {
    let big = 4_000_000;
    let spec = server_spec(2, 1);
    let server = open(&spec, big);
    let hash = layout(big).hash();
    let mut stuck =
        crate::support::raw::Raw::open(server.port(), &spec.fit, SECRET, hash, big as u64);
    stuck.reply().unwrap();
    stuck.register(0, 1, 4);
    stuck.reply().unwrap();
    stuck.frame(crate::support::raw::request::PULL, &[], &[]);
    thread::sleep(Duration::from_millis(100));
    let mut peer = Peer::connect(
        Transport::Socket,
        &client_spec(&spec, server.port()),
        big,
        registration(1, 1, 99),
    );
    let start = Instant::now();
    for _ in 0..5 {
        peer.exchange(1.0).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(peer.center.iter().all(|&c| c == 5.0));
    let pulled = stuck.reply().unwrap();
    assert_eq!(pulled.kind, crate::support::raw::reply::CENTER);
    assert_eq!(pulled.payload.len(), 4 * big + 16);
    assert!(pulled.payload.iter().all(|&byte| byte == 0), "the version of its pull");
}
