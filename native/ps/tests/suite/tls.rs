//! TLS between workers and a server, and its failures.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::certificates::{Trust, Validity};
use crate::support::proxy::Proxy;
use crate::support::raw::Raw;
use crate::support::*;
use firesteel_core::spec::{ClientSpec, ServerSpec, ServerTls};
use firesteel_core::{CancelFlag, ChannelError, Coded, ErrorCode};
use firesteel_ps::Server;
use proptest::prelude::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const PARAMETERS: usize = 50_000;
const PAYLOAD: u64 = 4 * PARAMETERS as u64 + 16;

fn secured(tls: &ServerTls) -> (ServerSpec, Server) {
    let mut spec = server_spec(2, 1);
    spec.tls = Some(tls.clone());
    let server = open(&spec, PARAMETERS);
    (spec, server)
}

/// A worker's specification; `port` is the server's or a proxy's.
fn worker(trust: &Trust, spec: &ServerSpec, port: u16) -> ClientSpec {
    ClientSpec { tls: Some(trust.client.clone()), ..client_spec(spec, port) }
}

fn connected(client: &ClientSpec) -> Peer {
    Peer::connect(Transport::Socket, client, PARAMETERS, registration(0, 1, 100))
}

/// Returns the error of a refused worker, which must not try for long.
fn refusal(client: &ClientSpec) -> ChannelError {
    let start = Instant::now();
    let (registration, cancel) = (registration(0, 1, 4), CancelFlag::new());
    let peer = Peer::try_connect(Transport::Socket, client, PARAMETERS, registration, &cancel);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    peer.err().unwrap()
}

fn refused(client: &ClientSpec, code: ErrorCode, words: &[&str]) {
    let error = refusal(client);
    assert_eq!(error.code(), code, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{error} does not say {word}");
    }
}

#[test]
fn a_fit_goes_over_tls_with_and_without_a_certificate_of_the_worker() {
    let mut trust = Trust::new();
    for (needed, given) in [(false, false), (false, true), (true, true)] {
        trust.server.need_client_auth = needed;
        trust.client.identity = given.then(|| trust.worker(Validity::Now));
        let (spec, server) = secured(&trust.server);
        let mut peer = connected(&worker(&trust, &spec, server.port()));
        peer.exchange(1.0).unwrap();
        peer.commit(2.0).unwrap();
        peer.pull();
        assert!(peer.center.iter().all(|&value| value == 3.0));
        peer.channel.heartbeat(peer.position, 0, TALLY).unwrap();
        assert_eq!((server.status().version, server.status().failure), (2, None));
    }
}

#[test]
fn a_center_variable_that_is_sent_while_it_is_applied_arrives_whole() {
    let big = 6_000_000;
    let trust = Trust::new();
    let mut spec = server_spec(1, 1);
    spec.tls = Some(trust.server.clone());
    let center: Vec<f32> = (0..big).map(|index| index as f32).collect();
    let server = Server::open(&spec, layout(big), center.clone(), buffers()).unwrap();
    let client = worker(&trust, &spec, server.port());
    let mut peer = Peer::connect(Transport::Socket, &client, big, registration(0, 1, 100));
    for _ in 0..3 {
        peer.exchange(0.0).unwrap();
        assert!(peer.center == center);
    }
    peer.pull();
    assert!(peer.center == center);
}

#[test]
fn a_server_is_verified_by_the_name_or_the_address_that_it_is_reached_by() {
    let mut trust = Trust::new();
    let issued = trust.authority.issue(&["localhost"], Validity::Now);
    trust.server.identity = trust.files.identity("named", issued);
    let (spec, server) = secured(&trust.server);
    let mut client = worker(&trust, &spec, server.port());
    refused(&client, ErrorCode::Authentication, &["not valid for name", "127.0.0.1", "localhost"]);
    client.host = "localhost".to_owned();
    connected(&client);
    client.host = "no host".to_owned();
    refused(&client, ErrorCode::InvalidSpec, &["'no host'"]);
}

#[test]
fn a_certificate_of_the_server_that_is_not_accepted_is_named_with_the_reason() {
    let mut trust = Trust::new();
    let issue = |trust: &Trust, name, validity| {
        trust.files.identity(name, trust.authority.issue(&["127.0.0.1"], validity))
    };
    let cases = [
        (trust.stranger(), "spark.firesteel.ssl.trustedCertificates"),
        (issue(&trust, "past", Validity::Past), "expired"),
        (issue(&trust, "future", Validity::Future), "not valid yet"),
    ];
    for (identity, words) in cases {
        trust.server.identity = identity;
        let (spec, server) = secured(&trust.server);
        let client = worker(&trust, &spec, server.port());
        let name = format!("the parameter server at 127.0.0.1:{}", server.port());
        refused(&client, ErrorCode::Authentication, &[&name, words]);
        assert_eq!(server.status().failure, None);
    }
}

#[test]
fn a_certificate_of_a_worker_that_is_not_accepted_is_named_with_the_reason() {
    let mut trust = Trust::new();
    let cases = [
        (true, None, "spark.firesteel.ssl.clientCertificate"),
        (true, Some(trust.stranger()), "spark.firesteel.ssl.trustedCertificates of the driver"),
        (false, Some(trust.stranger()), "spark.firesteel.ssl.trustedCertificates of the driver"),
        (false, Some(trust.worker(Validity::Past)), "expired"),
    ];
    for (needed, identity, words) in cases {
        trust.server.need_client_auth = needed;
        trust.client.identity = identity;
        let (spec, server) = secured(&trust.server);
        let client = worker(&trust, &spec, server.port());
        refused(&client, ErrorCode::Authentication, &["certificate", words]);
        assert_eq!(server.status().failure, None);
    }
}

#[test]
fn one_side_that_speaks_tls_and_one_that_does_not_say_so() {
    let trust = Trust::new();
    let (spec, server) = secured(&trust.server);
    let plain = client_spec(&spec, server.port());
    refused(&plain, ErrorCode::Protocol, &["speaks TLS, but", "spark.firesteel.ssl.enabled"]);

    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    let client = worker(&trust, &spec, server.port());
    refused(&client, ErrorCode::Protocol, &["does not speak TLS", "spark.firesteel.ssl.enabled"]);
    connected(&client_spec(&spec, server.port()));
}

#[test]
fn the_secret_is_proved_within_tls() {
    let trust = Trust::new();
    let (spec, server) = secured(&trust.server);
    let mut client = worker(&trust, &spec, server.port());
    client.secret = OTHER_SECRET.to_owned();
    refused(&client, ErrorCode::Authentication, &["secret"]);
}

#[test]
fn a_connection_that_is_cut_is_made_again_and_each_commit_applied_once() {
    let trust = Trust::new();
    let (spec, server) = secured(&trust.server);
    let proxy = Proxy::new(server.port());
    let mut peer = connected(&worker(&trust, &spec, proxy.port));
    let mut applied = 0.0;
    for cut in [0, 5, 700, PAYLOAD / 2] {
        for up in [true, false] {
            if up {
                proxy.cut_up(cut)
            } else {
                proxy.cut_down(cut)
            }
            peer.exchange(1.0).unwrap();
            applied += 1.0;
            assert!(peer.center.iter().all(|&value| value == applied), "cut after {cut} bytes");
        }
    }
    assert_eq!(proxy.connections(), 9);
    assert_eq!(server.status().version, 8);
}

#[test]
fn a_record_that_comes_in_pieces_with_pauses_between_is_read_as_one() {
    let trust = Trust::new();
    let (spec, server) = secured(&trust.server);
    let proxy = Proxy::new(server.port());
    let client = worker(&trust, &spec, proxy.port);
    let paused = |hold: &dyn Fn(), deed: &mut dyn FnMut()| {
        hold();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(1_200));
                proxy.go_on();
            });
            let start = Instant::now();
            deed();
            assert!(start.elapsed() > Duration::from_secs(1), "nothing was held up");
        });
    };
    let mut peer = None;
    paused(&|| proxy.hold_down(100), &mut || peer = Some(connected(&client)));
    let mut peer = peer.unwrap();
    let mut exchange = || peer.exchange(1.0).map(|_| ()).unwrap();
    paused(&|| proxy.hold_up(3), &mut exchange);
    paused(&|| proxy.hold_up(PAYLOAD / 2), &mut exchange);
    paused(&|| proxy.hold_down(3), &mut exchange);
    paused(&|| proxy.hold_down(PAYLOAD / 2), &mut exchange);
    assert!(peer.center.iter().all(|&value| value == 4.0));
    assert_eq!((proxy.connections(), server.status().version), (1, 4));
}

#[test]
fn a_peer_that_stops_reading_for_a_while_gets_all_that_was_written() {
    let big = 8_000_000;
    let trust = Trust::new();
    let mut spec = server_spec(1, 1);
    spec.tls = Some(trust.server.clone());
    let server = Server::open(&spec, layout(big), vec![0.0; big], buffers()).unwrap();
    let proxy = Proxy::new(server.port());
    let client = worker(&trust, &spec, proxy.port);
    let mut peer = Peer::connect(Transport::Socket, &client, big, registration(0, 1, 100));
    let hold: [fn(&Proxy); 2] = [|proxy| proxy.hold_up(1 << 20), |proxy| proxy.hold_down(1 << 20)];
    for (count, hold) in hold.iter().enumerate() {
        hold(&proxy);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(1_200));
                proxy.go_on();
            });
            peer.exchange(1.0).unwrap();
        });
        assert!(peer.center.iter().all(|&value| value == count as f32 + 1.0));
    }
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_cancelled_worker_ends_at_once_whatever_it_is_at() {
    let trust = Trust::new();
    let (spec, server) = secured(&trust.server);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::new(server.port());
    let cancelled = |what: &str, deed: &mut dyn FnMut(&CancelFlag) -> ChannelError| {
        let cancel = CancelFlag::new();
        let canceller = cancel.clone();
        let cancelling = thread::spawn(move || {
            thread::sleep(Duration::from_millis(400));
            canceller.cancel();
            Instant::now()
        });
        let error = deed(&cancel);
        let late = cancelling.join().unwrap().elapsed();
        assert_eq!(error.code(), ErrorCode::Cancelled, "{what}");
        assert!(late < Duration::from_millis(250), "{what}: {late:?}");
    };
    let connect = |port, attempt, cancel: &CancelFlag| {
        let client = worker(&trust, &spec, port);
        let registration = registration(0, attempt, 4);
        Peer::try_connect(Transport::Socket, &client, PARAMETERS, registration, cancel)
    };
    cancelled("the handshake", &mut |cancel| {
        connect(silent.local_addr().unwrap().port(), 1, cancel).err().unwrap()
    });
    cancelled("the middle of a record", &mut |cancel| {
        let mut peer = connect(proxy.port, 1, cancel).unwrap();
        proxy.hold_down(20_000);
        peer.exchange(1.0).unwrap_err()
    });
    let holder = connect(server.port(), 2, &CancelFlag::new()).unwrap();
    cancelled("waiting for a lease", &mut |cancel| {
        connect(server.port(), 3, cancel).err().unwrap()
    });
    drop(holder);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let trust = Trust::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = worker(&trust, &server_spec(1, 1), port);
    client.timeout_millis = 500;
    refused(&client, ErrorCode::ServerUnreachable, &["no bytes were transferred"]);
}

#[test]
fn a_closing_server_ends_its_connections_within_tls() {
    let trust = Trust::new();
    let (_, server) = secured(&trust.server);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trust.authority.pem().as_bytes()).unwrap()).unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut tls = StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        TcpStream::connect(("127.0.0.1", server.port())).unwrap(),
    );
    while tls.conn.is_handshaking() || tls.conn.wants_write() {
        tls.conn.complete_io(&mut tls.sock).unwrap();
    }
    server.close();
    assert_eq!(
        tls.read(&mut [0; 1]).map_err(|error: std::io::Error| error.kind()),
        Ok::<_, ErrorKind>(0)
    );
}

#[test]
fn a_file_that_is_missing_or_no_use_is_named_with_its_key() {
    let trust = Trust::new();
    let other = trust.stranger();
    let empty = trust.files.write("empty.pem", "no certificate here\n");
    let broken = trust
        .files
        .write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = "/no/such/file.pem".to_owned();
    let opened = |tls: &ServerTls| {
        let mut spec = server_spec(1, 1);
        spec.tls = Some(tls.clone());
        Server::open(&spec, layout(PARAMETERS), vec![0.0; PARAMETERS], buffers()).err()
    };
    type Change = fn(&mut ServerTls, &str);
    let certificate: Change = |tls, path| tls.identity.certificate = path.to_owned();
    let key: Change = |tls, path| tls.identity.private_key = path.to_owned();
    let trusted: Change = |tls, path| tls.trusted_certificates = path.to_owned();
    let cases = [
        (certificate, &missing, "certificate: cannot read", ErrorCode::Io),
        (certificate, &empty, "certificate: ", ErrorCode::InvalidSpec),
        (certificate, &other.certificate, "privateKey: ", ErrorCode::InvalidSpec),
        (key, &missing, "privateKey: cannot read", ErrorCode::Io),
        (key, &empty, "no private key in PEM", ErrorCode::InvalidSpec),
        (trusted, &missing, "trustedCertificates: cannot read", ErrorCode::Io),
        (trusted, &empty, "no certificate in PEM", ErrorCode::InvalidSpec),
        (trusted, &broken, "trustedCertificates: ", ErrorCode::InvalidSpec),
    ];
    for (change, path, words, code) in cases {
        let mut tls = trust.server.clone();
        change(&mut tls, path);
        let error = ChannelError::from(opened(&tls).unwrap());
        let text = error.to_string();
        assert_eq!(error.code(), code, "{text}");
        assert!(text.starts_with("spark.firesteel.ssl."), "{text}");
        assert!(text.contains(words), "{text}");
        assert!(text.contains(path.as_str()) || path == &other.certificate, "{text}");
    }

    let mut client = worker(&trust, &server_spec(1, 1), 1);
    let mut tls = trust.client.clone();
    tls.identity = Some(trust.worker(Validity::Now));
    tls.identity.as_mut().unwrap().private_key = missing.clone();
    client.tls = Some(tls);
    refused(&client, ErrorCode::Io, &["spark.firesteel.ssl.clientPrivateKey", &missing]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn garbage_never_harms_a_server_that_speaks_tls(
        hello: bool, bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        static SHARED: std::sync::LazyLock<(Trust, ServerSpec, Server)> =
            std::sync::LazyLock::new(|| {
                let trust = Trust::new();
                let (spec, server) = secured(&trust.server);
                (trust, spec, server)
            });
        let (trust, spec, server) = &*SHARED;
        let mut raw = Raw::dial(server.port());
        if hello {
            raw.send(&[22, 3, 1, 1, 44, 1, 0, 1, 40, 3, 3]);
        }
        raw.send(&bytes);
        let _closed = raw.stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _closed = raw.stream.read_to_end(&mut answer);
        prop_assert!(answer.is_empty() || answer[0] == 21, "an alert or nothing: {answer:?}");
        prop_assert_eq!(server.status().failure, None);
        connected(&worker(trust, spec, server.port()));
    }
}
