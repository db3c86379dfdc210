//! Peers that violate the protocol, byte by byte.

#![allow(clippy::unwrap_used, reason = "tests may be blunt")]

mod support;

use std::io::Read;
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::spec::{ServerSpec, StrategySpec};
use firesteel_core::{CancelFlag, Coded, ErrorCode};
use firesteel_ps::{Server, connect_remote};
use proptest::prelude::*;
use support::raw::{Raw, payload, proof, window};
use support::*;

const PARAMETERS: usize = 1_000;

fn opened() -> (ServerSpec, Server) {
    let spec = server_spec(2, 3);
    let server = open(&spec, PARAMETERS);
    (spec, server)
}

/// A peer that has authenticated and received `Welcome`.
fn welcomed(spec: &ServerSpec, server: &Server) -> Raw {
    let hash = layout(PARAMETERS).hash();
    let mut raw = Raw::open(server.port(), &spec.fit, SECRET, hash, PARAMETERS as u64);
    let (kind, body) = raw.reply().unwrap();
    assert_eq!((kind, body.len()), (129, 34));
    assert_eq!(body[0], 2, "two floating buffers");
    raw
}

#[test]
fn a_worker_written_from_the_documented_table_is_understood() {
    let (spec, server) = opened();
    let mut raw = welcomed(&spec, &server);
    raw.register(0, 1, 4);
    assert_eq!(raw.reply().unwrap(), (130, [vec![0; 8], vec![2, 0, 0, 0]].concat()));
    raw.frame(4, &[&window(1, 0, 0), &payload(PARAMETERS, 2.5)]);
    let (kind, body) = raw.reply().unwrap();
    assert_eq!((kind, body.len()), (131, 23 + 4 * PARAMETERS + 16));
    assert_eq!(body[..8], 1_u64.to_le_bytes());
    assert_eq!(body[23..27], 2.5_f32.to_le_bytes());
    raw.frame(7, &[&2_u16.to_le_bytes(), b"bad row"]);
    assert_eq!(raw.reply().unwrap().0, 132);
    assert_eq!(server.status().failure.unwrap().message, "bad row");
}

#[test]
fn the_server_proves_itself_before_it_learns_anything_of_the_worker() {
    let (spec, server) = opened();
    let mut raw = Raw::dial(server.port());
    let (nonce, challenge) = raw.handshake(support::raw::VERSION);
    let side = b"firesteel parameter server, server side";
    assert_eq!(challenge[32..], proof(SECRET, side, &spec.fit, &nonce, &challenge[..32]));
}

#[test]
fn a_wrong_secret_is_refused_on_either_side_and_not_tried_again() {
    let (spec, server) = opened();
    let mut raw = Raw::open(server.port(), &spec.fit, OTHER_SECRET, 0, 0);
    assert_eq!(raw.failure().0, ErrorCode::Authentication.number());
    assert!(raw.is_closed());

    let mut client = client_spec(&spec, server.port());
    client.secret = OTHER_SECRET.to_owned();
    let start = Instant::now();
    let refused = |error: firesteel_core::ChannelError| {
        assert_eq!(error.code(), ErrorCode::Authentication);
        assert!(start.elapsed() < Duration::from_secs(2));
    };
    for transport in ROADS {
        let peer = Peer::try_connect(
            transport,
            &client,
            PARAMETERS,
            registration(0, 1, 4),
            &CancelFlag::new(),
        );
        refused(peer.err().unwrap());
    }
    client.secret = SECRET.to_owned();
    client.fit = "another fit".to_owned();
    let peer = Peer::try_connect(
        Transport::Socket,
        &client,
        PARAMETERS,
        registration(0, 1, 4),
        &CancelFlag::new(),
    );
    refused(peer.err().unwrap());
}

#[test]
fn a_proof_of_the_servers_own_is_no_proof_of_the_worker() {
    let (_, server) = opened();
    let mut raw = Raw::dial(server.port());
    let (_, challenge) = raw.handshake(support::raw::VERSION);
    raw.send(&challenge[32..]);
    raw.send(&[0; 16]);
    assert_eq!(raw.failure().0, ErrorCode::Authentication.number());
}

#[test]
fn another_version_is_answered_with_ours_and_nothing_else() {
    let (_, server) = opened();
    let mut raw = Raw::dial(server.port());
    raw.handshake(support::raw::VERSION + 1);
    assert!(raw.is_closed());
}

#[test]
fn a_worker_tells_a_server_of_another_version_from_one_that_is_no_server() {
    for (answer, words) in [(*b"FSPS\x09\0\0\0", "version 9"), (*b"HTTP/1.1", "not a Firesteel")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = client_spec(&server_spec(1, 1), listener.local_addr().unwrap().port());
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 40]).unwrap();
            std::io::Write::write_all(&mut stream, &answer).unwrap();
        });
        let error = connect_remote(&client, 0, PARAMETERS, &CancelFlag::new()).err().unwrap();
        assert_eq!(error.code(), ErrorCode::Protocol);
        assert!(error.to_string().contains(words), "{error}");
        answering.join().unwrap();
    }
}

#[test]
fn another_layout_is_refused_by_name_and_not_tried_again() {
    let (spec, server) = opened();
    let client = client_spec(&spec, server.port());
    for transport in ROADS {
        let other = PARAMETERS + 1;
        let peer =
            Peer::try_connect(transport, &client, other, registration(0, 1, 4), &CancelFlag::new());
        let error = peer.err().unwrap();
        assert_eq!(error.code(), ErrorCode::Protocol);
        assert!(error.to_string().contains("1001 parameters"), "{error}");
    }
}

#[test]
fn a_frame_of_a_length_that_the_layout_does_not_allow_is_refused_before_it_is_sent() {
    let (spec, server) = opened();
    let commit = 60 + 4 * PARAMETERS as u64 + 16;
    let forbidden = [
        (3, u64::MAX),
        (3, 1 << 40),
        (3, commit - 1),
        (3, commit + 4),
        (3, 60),
        (2, 1),
        (7, 1 << 20),
        (9, commit - 4),
        (9, 60),
        (10, 0),
        (10, 9),
    ];
    for (kind, length) in
        forbidden.into_iter().chain([(1, 43), (6, 33), (99, 0), (0, 0), (131, 23)])
    {
        let mut raw = welcomed(&spec, &server);
        raw.header(length, kind);
        let (code, text) = raw.failure();
        assert_eq!(code, ErrorCode::Protocol.number(), "{text}");
        assert!(raw.is_closed());
    }
    let mut raw = welcomed(&spec, &server);
    raw.send(&[0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0]);
    assert_eq!(raw.failure().0, ErrorCode::Protocol.number());
}

#[test]
fn a_request_before_the_registration_is_refused() {
    let (spec, server) = opened();
    let mut raw = welcomed(&spec, &server);
    raw.frame(3, &[&window(1, 0, 0), &payload(PARAMETERS, 1.0)]);
    assert_eq!(raw.failure().0, ErrorCode::Protocol.number());
    assert_eq!(server.status().version, 0);
}

#[test]
fn a_duplicate_is_acknowledged_and_not_applied_again_and_a_reordered_frame_is_refused() {
    let (spec, server) = opened();
    let mut raw = welcomed(&spec, &server);
    raw.register(0, 1, 4);
    raw.reply().unwrap();
    let mut commit = |sequence, epoch, batch| {
        raw.frame(3, &[&window(sequence, epoch, batch), &payload(PARAMETERS, 1.0)]);
        raw.reply().unwrap()
    };
    let first = commit(1, 0, 0);
    assert_eq!(commit(1, 0, 0), first);
    assert_eq!(commit(3, 0, 2).0, 134, "one is left out");
    let second = commit(2, 0, 1);
    assert_eq!(second.0, 131);
    assert_eq!(commit(1, 0, 0).0, 134, "the first again, after the second");
    assert_eq!(commit(2, 0, 1), second);
    assert_eq!(commit(3, 0, 1).0, 134, "these mini-batches were committed");
    assert_eq!(commit(3, 1, 0).0, 134, "these come later");
    let status = server.status();
    assert_eq!((status.version, status.rows_trained), (2, 20));
}

#[test]
fn a_commit_cut_off_in_its_middle_leaves_no_trace() {
    let (spec, server) = opened();
    let bytes = payload(PARAMETERS, 1.0);
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let mut raw = welcomed(&spec, &server);
        raw.register(0, 1, 4);
        raw.reply().unwrap();
        raw.header(60 + bytes.len() as u64, 3);
        raw.send(&window(1, 0, 0));
        raw.send(&bytes[..cut]);
        raw.stream.shutdown(Shutdown::Write).unwrap();
        assert!(raw.is_closed());
        assert_eq!(server.status().version, 0);
    }
}

#[test]
fn a_contribution_is_taken_whole_or_not_at_all_and_counted_once() {
    let mut spec = server_spec(1, 3);
    spec.strategy = StrategySpec::named("averaging").unwrap();
    let server = open(&spec, PARAMETERS);
    let bytes = payload(PARAMETERS, 1.0);
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let mut raw = welcomed(&spec, &server);
        raw.register(0, 1, 4);
        raw.reply().unwrap();
        raw.header(60 + bytes.len() as u64, 9);
        raw.send(&window(1, 0, 0));
        raw.send(&bytes[..cut]);
        raw.stream.shutdown(Shutdown::Write).unwrap();
        assert!(raw.is_closed());
        assert_eq!(server.status().version, 0);
    }
    let mut raw = welcomed(&spec, &server);
    raw.register(0, 1, 4);
    raw.reply().unwrap();
    let mut ask = |kind: u8, parts: &[&[u8]]| {
        raw.frame(kind, parts);
        let (kind, body) = raw.reply().unwrap();
        (kind, body.len())
    };
    let whole = (131, 23 + 4 * PARAMETERS + 16);
    for sequence in [0_u64, 1, u64::MAX] {
        assert_eq!(ask(10, &[&sequence.to_le_bytes()]).0, 134, "nothing has been contributed");
    }
    assert_eq!(ask(9, &[&window(2, 0, 0), &bytes]).0, 134, "one is left out");
    for _ in 0..2 {
        assert_eq!(ask(9, &[&window(1, 0, 0), &bytes]), (131, 23));
    }
    for _ in 0..2 {
        assert_eq!(ask(10, &[&1_u64.to_le_bytes()]), whole);
        assert_eq!(ask(9, &[&window(1, 0, 0), &bytes]), (131, 23), "after its round");
    }
    assert_eq!(ask(3, &[&window(2, 0, 1), &bytes]).0, 134, "a commit is no contribution");
    let status = server.status();
    assert_eq!((status.version, status.commits, status.rows_trained), (1, 1, 10));
}

#[test]
fn an_abort_in_no_known_code_or_no_text_is_refused() {
    let (spec, server) = opened();
    for (code, text) in [(0_u16, &b"zero"[..]), (999, b"unknown"), (2, b"\xff\xfe")] {
        let mut raw = welcomed(&spec, &server);
        raw.frame(7, &[&code.to_le_bytes(), text]);
        assert_eq!(raw.failure().0, ErrorCode::Protocol.number());
    }
    assert_eq!(server.status().failure, None);
}

#[test]
fn one_worker_too_many_is_refused() {
    let (spec, server) = opened();
    for partition in 0..3 {
        let mut raw = welcomed(&spec, &server);
        raw.register(partition, 1, 4);
        assert_eq!(raw.reply().unwrap().0, if partition < 2 { 130 } else { 134 });
    }
}

#[test]
fn connections_that_never_prove_themselves_do_not_keep_workers_out() {
    let (spec, server) = opened();
    let silent: Vec<_> = (0..100).map(|_| Raw::dial(server.port())).collect();
    welcomed(&spec, &server);
    drop(silent);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn garbage_never_harms_the_server(
        greeted: bool, bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        static SERVER: std::sync::LazyLock<(ServerSpec, Server)> = std::sync::LazyLock::new(opened);
        let (spec, server) = &*SERVER;
        let mut raw = if greeted { welcomed(spec, server) } else { Raw::dial(server.port()) };
        raw.send(&bytes);
        // The server may have closed the connection already, which is a valid answer too.
        let _closed = raw.stream.shutdown(Shutdown::Write);
        while raw.reply().is_some() {}
        prop_assert_eq!(server.status().failure, None);
        welcomed(spec, server);
    }
}
