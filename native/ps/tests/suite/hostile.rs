//! Peers that violate the protocol, byte by byte.

use std::io::Read;
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::raw::{Frame, Raw, payload, proof, reply, request, varint, window, zigzag};
use crate::support::*;
use firesteel_core::spec::{ServerSpec, StrategySpec};
use firesteel_core::{CancelFlag, Coded, ErrorCode};
use firesteel_ps::{Server, connect_remote};
use proptest::prelude::*;

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
    let Frame { kind, fields, payload } = raw.reply().unwrap();
    assert_eq!(kind, reply::WELCOME);
    assert_eq!(fields, [2, 1, 0, 0], "two floating and one integer buffer, no compression");
    assert!(payload.is_empty());
    raw
}

#[test]
fn a_worker_written_from_the_documented_table_is_understood() {
    let (spec, server) = opened();
    let mut raw = welcomed(&spec, &server);
    raw.register(0, 1, 4);
    let granted = raw.reply().unwrap();
    assert_eq!((granted.kind, &granted.fields[..]), (reply::REGISTERED, &[0, 0, 2][..]));
    raw.frame(request::EXCHANGE, &window(1, 0, 0), &[&payload(PARAMETERS, 2.5)]);
    let center = raw.reply().unwrap();
    assert_eq!((center.kind, &center.fields[..]), (reply::CENTER, &[1, 0, 0, 0, 0][..]));
    assert_eq!(center.payload.len(), 4 * PARAMETERS + 16);
    assert_eq!(center.payload[..4], 2.5_f32.to_le_bytes());
    raw.frame(request::ABORT, &[&[2, 7], &b"bad row"[..]].concat(), &[]);
    assert_eq!(raw.reply().unwrap().kind, reply::DONE);
    assert_eq!(server.status().failure.unwrap().message, "bad row");
}

#[test]
fn the_server_proves_itself_before_it_learns_anything_of_the_worker() {
    let (spec, server) = opened();
    let mut raw = Raw::dial(server.port());
    let (nonce, challenge) = raw.handshake(crate::support::raw::VERSION);
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
    let (_, challenge) = raw.handshake(crate::support::raw::VERSION);
    raw.send(&challenge[32..]);
    raw.send(&[0; 16]);
    assert_eq!(raw.failure().0, ErrorCode::Authentication.number());
}

#[test]
fn another_version_is_answered_with_ours_and_nothing_else() {
    let (_, server) = opened();
    let mut raw = Raw::dial(server.port());
    raw.handshake(crate::support::raw::VERSION + 1);
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
    let commit = 4 * PARAMETERS as u64 + 16;
    let fields = window(1, 0, 0).len();
    let numbers = 97;
    let text = 16 * 1024 + 21;
    let forbidden = [
        (request::COMMIT, fields, u64::MAX),
        (request::COMMIT, fields, 1 << 40),
        (request::COMMIT, fields, commit - 1),
        (request::COMMIT, fields, commit + 4),
        (request::COMMIT, fields, 0),
        (request::COMMIT, numbers, commit),
        (request::COMMIT, u32::MAX as usize, commit),
        (request::PULL, 1, 0),
        (request::PULL, 0, 1),
        (request::ABORT, text, 0),
        (request::ABORT, 9, 1 << 20),
        (request::CONTRIBUTE, fields, commit - 4),
        (request::CONTRIBUTE, fields, 0),
        (request::CLOSE_ROUND, numbers, 0),
        (request::CLOSE_ROUND, 1, 8),
        (request::REGISTER, numbers, 0),
        (request::REGISTER, 7, commit),
        (request::HEARTBEAT, numbers, 0),
        // The fit has no metrics, so there are no sums.
        (request::SCORE, 21, 0),
        (13, 0, 0),
        (99, 0, 0),
        (128, 0, 0),
        (255, 0, 0),
    ];
    for (kind, fields, payload) in forbidden {
        let mut raw = welcomed(&spec, &server);
        raw.header(kind, fields, payload);
        let (code, text) = raw.failure();
        assert_eq!(code, ErrorCode::Protocol.number(), "{text}");
        assert!(raw.is_closed());
    }
    for zeros in [[1, 0, 0], [0, 1, 0], [0, 0, 1]] {
        let mut raw = welcomed(&spec, &server);
        raw.send(&[0; 12]);
        raw.send(&zeros);
        raw.send(&[request::PULL]);
        assert_eq!(raw.failure().0, ErrorCode::Protocol.number());
    }
}

#[test]
fn fields_that_are_not_those_of_the_kind_are_refused() {
    let (spec, server) = opened();
    let window = window(1, 0, 0);
    let registration = [&[0, 0], &zigzag(1)[..], &[40, 7, 4, 0]].concat();
    let cases: [(u8, Vec<u8>); 12] = [
        (request::REGISTER, registration[1..].to_vec()),
        (request::REGISTER, [&registration[..], &[0]].concat()),
        // A partition above the largest u32.
        (request::REGISTER, [&varint(1 << 32)[..], &registration[1..]].concat()),
        (request::REGISTER, [&[0x80; 10][..], &registration[1..]].concat()),
        (request::COMMIT, window[1..].to_vec()),
        (request::COMMIT, [&window[..], &[0]].concat()),
        (request::CLOSE_ROUND, vec![]),
        (request::CLOSE_ROUND, vec![0x80]),
        (request::CLOSE_ROUND, vec![1, 1]),
        // More sums than bytes, and a text that is longer or shorter than its length.
        (request::SCORE, vec![0, 2, 0, 0]),
        (request::ABORT, vec![2, 3, b'a', b'b']),
        (request::ABORT, vec![2, 1, b'a', b'b']),
    ];
    for (kind, fields) in cases {
        let mut raw = welcomed(&spec, &server);
        let message = (kind == request::COMMIT).then(|| payload(PARAMETERS, 1.0));
        raw.frame(kind, &fields, &[&message.unwrap_or_default()]);
        let (code, text) = raw.failure();
        assert_eq!(code, ErrorCode::Protocol.number(), "{kind}: {text}");
        assert!(raw.is_closed());
    }
    let status = server.status();
    assert_eq!((status.version, status.failure), (0, None));
}

#[test]
fn a_request_before_the_registration_is_refused() {
    let (spec, server) = opened();
    let mut raw = welcomed(&spec, &server);
    raw.frame(request::COMMIT, &window(1, 0, 0), &[&payload(PARAMETERS, 1.0)]);
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
        raw.frame(request::COMMIT, &window(sequence, epoch, batch), &[&payload(PARAMETERS, 1.0)]);
        raw.reply().unwrap()
    };
    let first = commit(1, 0, 0);
    assert_eq!(commit(1, 0, 0), first);
    assert_eq!(commit(3, 0, 2).kind, reply::FAILURE, "one is left out");
    let second = commit(2, 0, 1);
    assert_eq!(second.kind, reply::ANSWER);
    assert_eq!(commit(1, 0, 0).kind, reply::FAILURE, "the first again, after the second");
    assert_eq!(commit(2, 0, 1), second);
    assert_eq!(commit(3, 0, 1).kind, reply::FAILURE, "these mini-batches were committed");
    assert_eq!(commit(3, 1, 0).kind, reply::FAILURE, "these come later");
    let status = server.status();
    assert_eq!((status.version, status.rows_trained), (2, 20));
}

/// Sends an exchange of this kind whose payload ends early, and checks that the server took nothing of it.
fn cut_off_leaves_no_trace(kind: u8, spec: &ServerSpec, server: &Server) {
    let bytes = payload(PARAMETERS, 1.0);
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let mut raw = welcomed(spec, server);
        raw.register(0, 1, 4);
        raw.reply().unwrap();
        let window = window(1, 0, 0);
        raw.header(kind, window.len(), bytes.len() as u64);
        raw.send(&window);
        raw.send(&bytes[..cut]);
        raw.stream.shutdown(Shutdown::Write).unwrap();
        assert!(raw.is_closed());
        assert_eq!(server.status().version, 0);
    }
}

#[test]
fn a_commit_cut_off_in_its_middle_leaves_no_trace() {
    let (spec, server) = opened();
    cut_off_leaves_no_trace(request::COMMIT, &spec, &server);
}

#[test]
fn a_contribution_is_taken_whole_or_not_at_all_and_counted_once() {
    let mut spec = server_spec(1, 3);
    spec.strategy = StrategySpec::named("averaging").unwrap();
    let server = open(&spec, PARAMETERS);
    let bytes = payload(PARAMETERS, 1.0);
    cut_off_leaves_no_trace(request::CONTRIBUTE, &spec, &server);
    let mut raw = welcomed(&spec, &server);
    raw.register(0, 1, 4);
    raw.reply().unwrap();
    let mut ask = |kind: u8, fields: &[u8], payload: &[u8]| {
        raw.frame(kind, fields, &[payload]);
        let Frame { kind, payload, .. } = raw.reply().unwrap();
        (kind, payload.len())
    };
    let refused = (reply::FAILURE, 0);
    let answer = (reply::ANSWER, 0);
    let center = (reply::CENTER, 4 * PARAMETERS + 16);
    for sequence in [0, 1, u64::MAX] {
        let asked = ask(request::CLOSE_ROUND, &varint(sequence), &[]);
        assert_eq!(asked, refused, "nothing has been contributed");
    }
    assert_eq!(ask(request::CONTRIBUTE, &window(2, 0, 0), &bytes), refused, "one is left out");
    for _ in 0..2 {
        assert_eq!(ask(request::CONTRIBUTE, &window(1, 0, 0), &bytes), answer);
    }
    for _ in 0..2 {
        assert_eq!(ask(request::CLOSE_ROUND, &[1], &[]), center);
        let again = ask(request::CONTRIBUTE, &window(1, 0, 0), &bytes);
        assert_eq!(again, answer, "after its round");
    }
    let commit = ask(request::COMMIT, &window(2, 0, 1), &bytes);
    assert_eq!(commit, refused, "a commit is no contribution");
    let status = server.status();
    assert_eq!((status.version, status.commits, status.rows_trained), (1, 1, 10));
}

#[test]
fn an_abort_in_no_known_code_or_no_text_is_refused() {
    let (spec, server) = opened();
    for (code, text) in [(0, &b"zero"[..]), (999, b"unknown"), (2, b"\xff\xfe"), (1 << 16, b"")] {
        let mut raw = welcomed(&spec, &server);
        raw.frame(request::ABORT, &[&varint(code)[..], &[text.len() as u8], text].concat(), &[]);
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
        let kind = if partition < 2 { reply::REGISTERED } else { reply::FAILURE };
        assert_eq!(raw.reply().unwrap().kind, kind);
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
