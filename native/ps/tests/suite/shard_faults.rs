//! Shards that fail, and workers that die at any step of the protocol with them.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, DRIVER_SECRET, STRIPE, at, shard_spec, shards};
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, payload, reply, request, shard_request, varint, window, zigzag};
use crate::support::*;
use firesteel_core::spec::{ElasticOptions, ServerSpec, StrategySpec};
use firesteel_core::{CancelFlag, Coded, ErrorCode};
use firesteel_ps::{Server, ShardServer};

const PARAMETERS: usize = 3 * STRIPE;
const PART: u64 = 4 * STRIPE as u64;

fn zeros() -> Vec<f32> {
    vec![0.0; PARAMETERS]
}

fn is(peer: &Peer, value: f32) -> bool {
    peer.center.iter().all(|&c| c == value)
}

#[test]
fn every_request_survives_a_cut_connection_to_any_server_and_is_applied_once() {
    let cluster = Cluster::open(&server_spec(1, 1), 3, &zeros());
    let (proxies, client) = cluster.proxies();
    let mut peer = cluster.try_peer(&client, registration(0, 1, 100), &CancelFlag::new()).unwrap();
    let mut applied = 0.0;
    for proxy in &proxies {
        for bytes in [0, 3, 20, PART / 2, PART, PART + 50] {
            for up in [true, false] {
                if up {
                    proxy.cut_up(bytes)
                } else {
                    proxy.cut_down(bytes)
                }
                applied += 1.0;
                assert_eq!(peer.exchange(1.0).unwrap().staleness, 0);
                assert!(is(&peer, applied), "{} instead of {applied}", peer.center[0]);
            }
        }
    }
    assert_eq!(cluster.server.status().version, applied as u64);
    assert!(proxies.iter().all(|proxy| proxy.connections() > 8));
}

#[test]
fn rounds_survive_a_cut_connection_to_any_server() {
    let mut spec = server_spec(1, 1);
    spec.strategy =
        StrategySpec::Easgd(ElasticOptions { alpha: Some(0.5), ..ElasticOptions::default() });
    let cluster = Cluster::open(&spec, 3, &zeros());
    let (proxies, client) = cluster.proxies();
    let mut peer = cluster.try_peer(&client, registration(0, 1, 100), &CancelFlag::new()).unwrap();
    let mut center = 0.0;
    for proxy in &proxies {
        for bytes in [3, PART / 2, PART + 10] {
            proxy.cut_up(bytes);
            peer.contribute(center + 2.0).unwrap();
            proxy.cut_down(bytes);
            peer.close_round().unwrap();
            assert!(is(&peer, center), "the center variable from before the round");
            center += 1.0;
        }
    }
    peer.pull();
    assert!(is(&peer, center));
}

/// The points at which a worker dies: the connection that is held up, after how many bytes, and in which direction.
fn deaths() -> impl Iterator<Item = (usize, u64, bool)> {
    let bytes = [0, 11, PART / 2, PART + 10];
    (0..3).flat_map(move |server| {
        bytes.into_iter().flat_map(move |bytes| [(server, bytes, true), (server, bytes, false)])
    })
}

#[test]
fn a_worker_that_dies_at_any_step_leaves_its_window_applied_everywhere_or_nowhere() {
    for rounds in [false, true] {
        let (mut undone, mut done) = (0, 0);
        for (server, bytes, up) in deaths() {
            let mut spec = server_spec(2, 1);
            if rounds {
                spec.strategy = StrategySpec::named("averaging").unwrap();
            }
            let cluster = Cluster::open(&spec, 3, &zeros());
            let (proxies, client) = cluster.proxies();
            let cancel = CancelFlag::new();
            let mut dies = cluster.try_peer(&client, registration(0, 1, 9), &cancel).unwrap();
            let mut lives = cluster.peer(registration(1, 1, 9));
            dies.pull();
            if up {
                proxies[server].hold_up(bytes)
            } else {
                proxies[server].hold_down(bytes)
            }
            thread::scope(|scope| {
                let dying =
                    scope.spawn(|| if rounds { dies.round(1.0) } else { dies.exchange(1.0) });
                thread::sleep(Duration::from_millis(60));
                cancel.cancel();
                let _any = dying.join().unwrap();
            });
            drop(dies);
            cluster.server.attempt_ended(0, 1);
            // The held-up bytes arrive after all.
            proxies.iter().for_each(Proxy::go_on);
            let mut retry = cluster.peer(registration(0, 2, 9));
            let applied = retry.position.batch;
            if applied == 0 {
                undone += 1
            } else {
                done += 1
            }
            retry.pull();
            assert!(is(&retry, applied as f32), "{server} {bytes} {up}: {}", retry.center[0]);
            thread::scope(|scope| {
                let other =
                    scope.spawn(|| if rounds { lives.round(2.0) } else { lives.exchange(2.0) });
                if rounds {
                    retry.round(2.0).unwrap();
                } else {
                    retry.exchange(2.0).unwrap();
                }
                other.join().unwrap().unwrap();
            });
            retry.pull();
            let expected = if rounds { 2.0 } else { applied as f32 + 4.0 };
            assert!(is(&retry, expected), "{server} {bytes} {up}: {}", retry.center[0]);
            assert_eq!(cluster.server.status().failure, None);
        }
        assert!(undone > 0 && (rounds || done > 0), "{undone} and {done}");
    }
}

#[test]
fn a_fenced_attempt_is_refused_by_the_shards_as_well() {
    let cluster = Cluster::open(&server_spec(1, 1), 2, &zeros());
    let mut old = cluster.peer(registration(0, 1, 9));
    old.exchange(1.0).unwrap();
    cluster.server.attempt_ended(0, 1);
    let mut new = cluster.peer(registration(0, 2, 9));
    new.exchange(1.0).unwrap();
    assert_eq!(old.exchange(1.0).unwrap_err().code(), ErrorCode::Fenced);
    new.exchange(1.0).unwrap();
    assert!(is(&new, 3.0));
}

#[test]
fn the_drivers_connections_may_break_for_a_while() {
    let mut spec = server_spec(1, 1);
    let (opened, mut servers) = shards(&spec, 3, PARAMETERS, |_| {});
    let proxies: Vec<_> = opened.iter().map(|shard| Proxy::new(shard.port())).collect();
    servers.servers = proxies.iter().map(|proxy| at(proxy.port)).collect();
    spec.shards = Some(servers);
    let server = open(&spec, PARAMETERS);
    let mut client = client_spec(&spec, server.port());
    client.shards = opened.iter().map(|shard| at(shard.port())).collect();
    let mut peer = Peer::connect(Transport::Socket, &client, PARAMETERS, registration(0, 1, 100));
    let mut applied = 0.0;
    for proxy in &proxies {
        for bytes in [0, 5, 15, 30, 60] {
            for up in [true, false] {
                if up {
                    proxy.cut_up(bytes)
                } else {
                    proxy.cut_down(bytes)
                }
                for _ in 0..2 {
                    applied += 1.0;
                    peer.exchange(1.0).unwrap();
                    assert!(is(&peer, applied));
                }
            }
        }
    }
    assert_eq!(server.status().failure, None);
    for proxy in &proxies {
        proxy.cut_up(u64::MAX);
        proxy.cut_down(u64::MAX);
    }
}

#[test]
fn a_lost_shard_fails_the_fit_by_name_and_nobody_hangs() {
    let cluster = Cluster::open(&server_spec(1, 1), 3, &zeros());
    let mut client = cluster.client.clone();
    client.timeout_millis = 1_000;
    let mut peer = cluster.try_peer(&client, registration(0, 1, 100), &CancelFlag::new()).unwrap();
    peer.exchange(1.0).unwrap();
    let start = Instant::now();
    cluster.shards[1].close();
    let error = peer.exchange(1.0).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ServerUnreachable);
    let name = format!("127.0.0.1:{} (shard 2)", cluster.shards[1].port());
    assert!(error.to_string().contains(&name), "{error}");
    let failure = loop {
        if let Some(failure) = cluster.server.status().failure {
            break failure;
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(failure.code, ErrorCode::ServerUnreachable.number());
    let name = format!("shard 2 of 3 at 127.0.0.1:{} is lost", cluster.shards[1].port());
    assert!(failure.message.starts_with(&name), "{}", failure.message);
    assert!(peer.channel.heartbeat(peer.position, 0, TALLY).unwrap().stop);
    let closing = Instant::now();
    cluster.server.close();
    assert!(closing.elapsed() < Duration::from_secs(3));
}

fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn shards_end_with_their_driver_or_when_it_has_been_silent_for_long() {
    let cluster = Cluster::open(&server_spec(1, 1), 3, &zeros());
    let ports: Vec<_> = cluster.shards.iter().map(ShardServer::port).collect();
    assert!(ports.iter().all(|port| is_open(*port)));
    cluster.server.close();
    let start = Instant::now();
    while ports.iter().any(|port| is_open(*port)) {
        assert!(start.elapsed() < Duration::from_secs(5));
        thread::sleep(Duration::from_millis(10));
    }

    let (opened, _) = shards(&server_spec(1, 1), 2, PARAMETERS, |spec| spec.silence_millis = 100);
    let start = Instant::now();
    while is_open(opened[0].port()) {
        assert!(start.elapsed() < Duration::from_secs(5));
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_shard_that_is_opened_twice_is_the_same() {
    let spec = server_spec(1, 1);
    let own = shard_spec(&spec, 1, 2);
    let first = ShardServer::open(&own, &layout(PARAMETERS)).unwrap();
    assert_eq!(ShardServer::open(&own, &layout(PARAMETERS)).unwrap().port(), first.port());
    let mut stranger = own.clone();
    stranger.driver_secret = OTHER_SECRET.to_owned();
    let error = ShardServer::open(&stranger, &layout(PARAMETERS)).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Authentication);
    first.close();
    let again = ShardServer::open(&own, &layout(PARAMETERS)).unwrap();
    assert!(is_open(again.port()));
    again.close();
    assert!(!is_open(again.port()));
}

#[test]
fn a_shard_that_cannot_be_reached_or_means_another_part_keeps_the_server_from_opening() {
    let mut spec = server_spec(1, 1);
    let (opened, servers) = shards(&spec, 3, PARAMETERS, |_| {});
    let refused = |spec: &ServerSpec| {
        Server::open(spec, layout(PARAMETERS), zeros(), buffers()).err().unwrap()
    };
    let mut swapped = servers.clone();
    swapped.servers.swap(0, 1);
    spec.shards = Some(swapped);
    let error = refused(&spec);
    assert_eq!(error.code(), ErrorCode::Protocol);
    assert!(error.to_string().contains("another network or shard"), "{error}");

    let mut stranger = servers.clone();
    stranger.driver_secret = OTHER_SECRET.to_owned();
    spec.shards = Some(stranger);
    assert_eq!(refused(&spec).code(), ErrorCode::Authentication);

    opened[1].close();
    spec.shards = Some(servers);
    let error = refused(&spec);
    assert_eq!(error.code(), ErrorCode::ServerUnreachable);
    assert!(error.to_string().contains("(shard 2)"), "{error}");
    opened[0].close();

    let (opened, servers) = shards(&server_spec(1, 1), 3, PARAMETERS, |_| {});
    spec.shards = Some(servers);
    let error = Server::open(&spec, layout(STRIPE), vec![0.0; STRIPE], buffers()).err().unwrap();
    assert!(error.to_string().contains("make 1 stripes"), "{error}");
    opened.iter().for_each(ShardServer::close);
    assert!(ShardServer::open(&shard_spec(&spec, 0, 3), &layout(PARAMETERS)).is_err());
}

/// A bare connection of a worker or of the driver to shard 1 of 2, and the requests that a worker must not send.
fn raw(cluster: &Cluster, secret: &str) -> Raw {
    let port = cluster.shards[0].port();
    // The hash depends on the range; it is taken from a refusal.
    let part = (PARAMETERS - STRIPE) as u64;
    let mut raw = Raw::open(port, &cluster.client.fit, secret, 0, part);
    let (_, text) = raw.failure();
    let hash = text.rsplit("hash ").next().unwrap().trim_end_matches(')').to_owned();
    let hash = u64::from_str_radix(&hash, 16).unwrap();
    let mut raw = Raw::open(port, &cluster.client.fit, secret, hash, part);
    let welcome = raw.reply().unwrap();
    assert_eq!((welcome.kind, &welcome.fields[..2]), (reply::WELCOME, &[0; 2][..]));
    raw
}

fn stage(worker: u32, attempt: i64, sequence: u64) -> Vec<u8> {
    [varint(worker.into()), varint(0), zigzag(attempt), varint(sequence)].concat()
}

#[test]
fn a_worker_cannot_decide_and_hostile_frames_are_refused_before_anything_is_allocated() {
    let cluster = Cluster::open(&server_spec(2, 1), 2, &zeros());
    let part = vec![0; 4 * (PARAMETERS - STRIPE)];
    // Forgets attempt 1 of a worker.
    let decide = |first: u64| [&varint(first)[..], &[1, 3, 0, 0], &zigzag(1)].concat();
    for (kind, fields, payload) in [
        (shard_request::DECIDE, decide(1), &[][..]),
        (shard_request::LOAD, vec![], &part),
        (shard_request::END, vec![], &[]),
        // A kind of request that only the driver's server knows.
        (request::FINISH, vec![], &[]),
    ] {
        let mut raw = raw(&cluster, SECRET);
        raw.frame(kind, &fields, &[payload]);
        let (code, text) = raw.failure();
        assert_eq!(code, ErrorCode::Protocol.number(), "{text}");
        assert!(raw.is_closed(), "kind {kind}");
    }
    let (length, fields) = (part.len() as u64, stage(0, 1, 1).len());
    for (secret, kind, fields, payload) in [
        (SECRET, shard_request::STAGE, fields, u64::MAX),
        (SECRET, shard_request::STAGE, fields, 0),
        (SECRET, shard_request::STAGE, 97, length),
        (SECRET, shard_request::LOAD, 0, 1 << 40),
        (SECRET, shard_request::DECIDE, 1 << 20, 0),
        (SECRET, 99, 0, 0),
        (DRIVER_SECRET, shard_request::LOAD, 0, length + 4),
        (DRIVER_SECRET, shard_request::LOAD, 1, length),
        (DRIVER_SECRET, shard_request::DECIDE, (1 << 20) + 21, 0),
    ] {
        let mut raw = raw(&cluster, secret);
        raw.header(kind, fields, payload);
        assert_eq!(raw.failure().0, ErrorCode::Protocol.number());
        assert!(raw.is_closed());
    }
    // More workers than the fit has.
    let mut many = raw(&cluster, SECRET);
    let refused = (0..5_u32).filter(|worker| {
        many.frame(shard_request::STAGE, &stage(*worker, 1, 1), &[&part]);
        many.reply().unwrap().kind == reply::FAILURE
    });
    assert!(refused.count() >= 2);
    // The driver's decisions must be consecutive.
    let mut driver = raw(&cluster, DRIVER_SECRET);
    driver.frame(shard_request::DECIDE, &decide(100), &[]);
    assert!(driver.failure().1.contains("decision 100 arrived after"));
    // The driver must not stage.
    driver.frame(shard_request::STAGE, &stage(0, 1, 1), &[&part]);
    assert_eq!(driver.failure().0, ErrorCode::Protocol.number());
    let mut peer = cluster.peer(registration(0, 7, 2));
    peer.exchange(1.0).unwrap();
    assert!(is(&peer, 1.0), "the fit goes on");
}

#[test]
fn a_commit_that_was_never_staged_fails_the_fit_by_name() {
    let cluster = Cluster::open(&server_spec(1, 1), 2, &zeros());
    // Only to the driver's server, which a worker that follows the protocol does not do.
    let first = STRIPE;
    let mut raw = Raw::open(cluster.server.port(), &cluster.client.fit, SECRET, 0, first as u64);
    let (_, text) = raw.failure();
    let hash = text.rsplit("layout ").next().unwrap().trim_end_matches(')').to_owned();
    let hash = u64::from_str_radix(&hash, 16).unwrap();
    let mut raw = Raw::open(cluster.server.port(), &cluster.client.fit, SECRET, hash, first as u64);
    assert_eq!(raw.reply().unwrap().kind, reply::WELCOME);
    raw.register(0, 1, 4);
    assert_eq!(raw.reply().unwrap().kind, reply::REGISTERED);
    raw.frame(request::COMMIT, &window(1, 0, 0), &[&payload(first, 1.0)]);
    assert_eq!(raw.reply().unwrap().kind, reply::ANSWER);
    let start = Instant::now();
    let failure = loop {
        if let Some(failure) = cluster.server.status().failure {
            break failure;
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        thread::sleep(Duration::from_millis(10));
    };
    assert!(failure.message.contains("shard 1 of 2"), "{}", failure.message);
    assert!(failure.message.contains("has not staged window 1"), "{}", failure.message);
}
