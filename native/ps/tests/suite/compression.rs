//! Compressed commits and pulls: the same over sockets and memory, resent once, refused if malformed.

use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, reply, request, window};
use crate::support::*;
use firesteel_core::compression::{CompressionSpec, ErrorFeedback};
use firesteel_core::spec::{OptimizerSpec, ServerSpec, StrategySpec};
use firesteel_core::{Answer, ChannelError, Coded, Commit, ErrorCode};
use firesteel_ps::Server;
use serde_json::json;

/// More than two stripes, and not a multiple of a block.
const PARAMETERS: usize = 70_001;

const CODES: [CompressionSpec; 4] = [
    CompressionSpec::Bf16 {},
    CompressionSpec::F16 {},
    CompressionSpec::Int8 {},
    CompressionSpec::TopK { ratio: 0.02 },
];

const SGD: OptimizerSpec = OptimizerSpec::Sgd {
    learning_rate: 0.5,
    momentum: 0.9,
    dampening: 0.0,
    nesterov: false,
    weight_decay: 0.0,
};

fn spec(strategy: &str, compression: CompressionSpec, pull: bool) -> ServerSpec {
    let mut spec = server_spec(1, 1);
    spec.strategy = StrategySpec::named(strategy).unwrap();
    let options = json!({"compression": compression, "compressPull": pull});
    set_options(&mut spec.strategy, &options);
    spec.optimizer = Some(SGD);
    spec
}

fn peer(transport: Transport, spec: &ServerSpec, port: u16, parameters: usize) -> Peer {
    Peer::connect(transport, &client_spec(spec, port), parameters, registration(0, 1, 1000))
}

/// Pseudo-random numbers of very different sizes.
fn message(step: u64, parameters: usize) -> Vec<f32> {
    let mut state = step + 1;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..parameters).map(|_| next() * next() * next() * 0.1).collect()
}

/// The request by which a worker sends its window and reads the center variable.
#[derive(Clone, Copy, Debug)]
enum Way {
    CommitAndPull,
    Exchange,
    Round,
}

fn give(peer: &mut Peer, message: &[f32], way: Way) -> Result<Answer, ChannelError> {
    let given = peer.buffers.clone();
    let commit = Commit {
        sequence: peer.sequence + 1,
        message,
        buffers: &given,
        span: peer.span(),
        tally: TALLY,
    };
    let Peer { channel, center, buffers, .. } = peer;
    let answer = match way {
        Way::CommitAndPull => channel.commit(&commit).and_then(|_| channel.pull(center, buffers)),
        Way::Exchange => channel.exchange(&commit, center, buffers),
        Way::Round => {
            channel.contribute(&commit).and_then(|_| channel.close_round(center, buffers))
        }
    }?;
    peer.advance();
    Ok(answer)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_socket_and_memory_give_the_same_bits_in_every_strategy() {
    let ways = [("downpour", Way::CommitAndPull), ("aeasgd", Way::Exchange), ("sync", Way::Round)];
    for compression in CODES {
        for (strategy, way) in ways {
            let pull = compression == CODES[1] && strategy != "aeasgd";
            let specs = ROADS.map(|_| spec(strategy, compression, pull));
            let servers = specs.each_ref().map(|spec| open(spec, PARAMETERS));
            let mut peers = [0, 1].map(|index: usize| {
                peer(ROADS[index], &specs[index], servers[index].port(), PARAMETERS)
            });
            for step in 0..4 {
                let message = message(step, PARAMETERS);
                for peer in &mut peers {
                    give(peer, &message, way).unwrap();
                }
                assert!(peers[0].center.iter().any(|&c| c != 0.0));
                assert!(bits(&peers[0].center) == bits(&peers[1].center), "{compression:?}");
            }
            let statuses = servers.map(|server| server.status().workers.remove(0));
            assert_eq!(statuses[0].compression_error, statuses[1].compression_error);
            assert!(statuses[0].bytes > 0 && statuses[1].bytes == 0);
        }
    }
}

#[test]
fn the_server_adds_what_an_encoder_with_error_feedback_sends() {
    for compression in CODES {
        let spec = spec("downpour", compression, false);
        let server = open(&spec, PARAMETERS);
        let mut peer = peer(Transport::Socket, &spec, server.port(), PARAMETERS);
        let mut feedback = ErrorFeedback::new(compression.codec(PARAMETERS).unwrap(), PARAMETERS);
        let (mut center, mut sent) = (vec![0.0_f32; PARAMETERS], vec![0.0; PARAMETERS]);
        for step in 0..3 {
            let message = message(step, PARAMETERS);
            give(&mut peer, &message, Way::Exchange).unwrap();
            feedback.compress(&message).unwrap();
            feedback.codec().decode(feedback.bytes(), &mut sent).unwrap();
            center.iter_mut().zip(&sent).for_each(|(c, d)| *c += d);
            assert!(bits(&peer.center) == bits(&center), "{compression:?}");
        }
    }
}

#[test]
fn a_compressed_commit_that_is_sent_again_is_the_same_and_what_it_lost_is_counted_once() {
    for compression in CODES {
        let specs = [0, 1].map(|_| spec("downpour", compression, false));
        let servers = specs.each_ref().map(|spec| open(spec, PARAMETERS));
        let proxy = Proxy::new(servers[0].port());
        let length = compression.codec(PARAMETERS).unwrap().encoded_len(PARAMETERS) as u64;
        let mut cut = peer(Transport::Socket, &specs[0], proxy.port, PARAMETERS);
        let mut calm = peer(Transport::Memory, &specs[1], servers[1].port(), PARAMETERS);
        for (step, (up, down)) in
            [(0, None), (length / 2, None), (u64::MAX, Some(0)), (length, Some(9))]
                .into_iter()
                .enumerate()
        {
            proxy.cut_up(up);
            if let Some(down) = down {
                proxy.cut_down(down);
            }
            let message = message(step as u64, PARAMETERS);
            give(&mut cut, &message, Way::Exchange).unwrap();
            give(&mut calm, &message, Way::Exchange).unwrap();
            assert!(bits(&cut.center) == bits(&calm.center), "{compression:?} at step {step}");
        }
        assert!(proxy.connections() >= 4);
        let [cut, calm] = servers.map(|server| server.status().workers.remove(0));
        assert_eq!((cut.commits, cut.compression_error), (4, calm.compression_error));
    }
}

#[test]
fn a_compressed_pull_is_the_center_variable_rounded_which_itself_stays_exact() {
    for compression in [CompressionSpec::Bf16 {}, CompressionSpec::F16 {}] {
        for transport in ROADS {
            let mut spec = spec("downpour", compression, true);
            spec.epochs = 1;
            let server = open(&spec, PARAMETERS);
            let client = client_spec(&spec, server.port());
            let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 3));
            let mut codec = compression.codec(PARAMETERS).unwrap();
            let mut exact = vec![0.0_f32; PARAMETERS];
            let mut feedback =
                ErrorFeedback::new(compression.codec(PARAMETERS).unwrap(), PARAMETERS);
            let (mut bytes, mut rounded) = (vec![0; 2 * PARAMETERS], vec![0.0; PARAMETERS]);
            for (step, way) in
                [Way::Exchange, Way::CommitAndPull, Way::Exchange].into_iter().enumerate()
            {
                let message = message(step as u64, PARAMETERS);
                give(&mut peer, &message, way).unwrap();
                feedback.compress(&message).unwrap();
                codec.decode(feedback.bytes(), &mut rounded).unwrap();
                exact.iter_mut().zip(&rounded).for_each(|(c, d)| *c += d);
                codec.encode(&exact, &mut bytes);
                codec.decode(&bytes, &mut rounded).unwrap();
                assert!(bits(&peer.center) == bits(&rounded));
            }
            peer.channel.finish().unwrap();
            assert!(server.snapshot().unwrap().0 == exact);
        }
    }
}

#[test]
fn training_reaches_its_aim_with_every_code() {
    let aim = message(77, 3000);
    for compression in CODES {
        for pull in [false, true] {
            if pull && !matches!(compression, CompressionSpec::Bf16 {} | CompressionSpec::F16 {}) {
                continue;
            }
            let mut spec = spec("downpour", compression, pull);
            spec.workers = 2;
            let server = open(&spec, 3000);
            let client = client_spec(&spec, server.port());
            let mut peers = [0, 1].map(|partition| {
                Peer::connect(Transport::Socket, &client, 3000, registration(partition, 1, 1000))
            });
            for peer in &mut peers {
                peer.pull();
            }
            for _ in 0..400 {
                for peer in &mut peers {
                    let message: Vec<f32> =
                        aim.iter().zip(&peer.center).map(|(aim, c)| 0.02 * (aim - c)).collect();
                    give(peer, &message, Way::Exchange).unwrap();
                }
            }
            let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
            let off = square(&mut aim.iter().zip(&peers[1].center).map(|(aim, c)| aim - c));
            let share = (off / square(&mut aim.iter().copied())).sqrt();
            assert!(share < 0.01, "{compression:?}: {share} of the way is left");
            assert!(server.status().bytes < 2 * 4 * 3000 * 800, "fewer than without");
        }
    }
}

#[test]
fn nan_in_a_compressed_commit_fails_the_fit_and_names_the_tensor() {
    for compression in CODES {
        for transport in ROADS {
            for value in [f32::NAN, f32::NEG_INFINITY] {
                let spec = spec("downpour", compression, false);
                let server = open(&spec, PARAMETERS);
                let mut peer = peer(transport, &spec, server.port(), PARAMETERS);
                give(&mut peer, &message(1, PARAMETERS), Way::CommitAndPull).unwrap();
                let mut message = message(2, PARAMETERS);
                message[PARAMETERS - 1] = value;
                let error = give(&mut peer, &message, Way::Exchange).unwrap_err();
                assert_eq!(error.code(), ErrorCode::Diverged);
                let named = if compression == CODES[2] { "'0.weight'" } else { "'0.bias'" };
                assert!(error.to_string().contains(named), "{compression:?}: {error}");
                assert_eq!(server.status().version, 1);
                assert!(server.status().workers[0].compression_error.is_finite());
            }
        }
    }
}

#[test]
fn a_message_of_a_wrong_length_is_refused_and_takes_nothing_along() {
    for transport in ROADS {
        let spec = spec("downpour", CODES[3], false);
        let server = open(&spec, PARAMETERS);
        let mut peer = peer(transport, &spec, server.port(), PARAMETERS);
        let error = give(&mut peer, &[1.0; 5], Way::Exchange).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Protocol);
        peer.buffers.floats.push(0.0);
        let large = vec![1.0; PARAMETERS];
        assert_eq!(give(&mut peer, &large, Way::Exchange).unwrap_err().code(), ErrorCode::Protocol);
        peer.buffers.floats.pop();
        give(&mut peer, &vec![0.0; PARAMETERS], Way::Exchange).unwrap();
        assert!(peer.center.iter().all(|&c| c == 0.0), "nothing of what was refused");
    }
}

/// An authenticated peer that holds its lease.
fn registered(spec: &ServerSpec, server: &Server, parameters: usize) -> Raw {
    let hash = layout(parameters).hash();
    let mut raw = Raw::open(server.port(), &spec.fit, SECRET, hash, parameters as u64);
    assert_eq!(raw.reply().unwrap().kind, reply::WELCOME);
    raw.register(0, 1, 1000);
    assert_eq!(raw.reply().unwrap().kind, reply::REGISTERED);
    raw
}

#[test]
fn malformed_codes_are_refused_and_harm_nobody() {
    let topk = |indices: [u32; 2]| {
        let mut bytes: Vec<u8> = indices.iter().flat_map(|index| index.to_le_bytes()).collect();
        bytes.extend([1.0_f32; 2].iter().flat_map(|value| value.to_le_bytes()));
        bytes
    };
    let int8 = |scale: f32, number: u8| [&scale.to_le_bytes()[..], &[number; 10]].concat();
    let ratio = CompressionSpec::TopK { ratio: 0.2 };
    let cases = [
        (ratio, topk([1, 10])),
        (ratio, topk([4, 4])),
        (ratio, topk([5, 4])),
        (ratio, topk([0, u32::MAX])),
        (CODES[2], int8(-1.0, 1)),
        (CODES[2], int8(f32::MAX, 1)),
        (CODES[2], int8(f32::MIN_POSITIVE / 4.0, 1)),
        (CODES[2], int8(1.0, 0x80)),
    ];
    for (compression, code) in cases {
        let spec = spec("downpour", compression, false);
        let server = open(&spec, 10);
        let mut raw = registered(&spec, &server, 10);
        raw.frame(request::EXCHANGE, &window(1, 0, 0), &[&code, &[0; 16]]);
        let (kind, text) = raw.failure();
        assert_eq!(kind, ErrorCode::Protocol.number(), "{text}");
        assert!(text.contains("malformed"), "{text}");
        assert!(raw.is_closed());
        let status = server.status();
        assert_eq!((status.version, status.failure), (0, None));
        let mut peer = peer(Transport::Socket, &spec, server.port(), 10);
        give(&mut peer, &[0.5; 10], Way::Exchange).unwrap();
        assert_eq!(server.status().version, 1);
    }
}

#[test]
fn a_length_that_is_not_the_codes_is_refused_before_it_is_read() {
    for compression in CODES {
        let spec = spec("downpour", compression, false);
        let server = open(&spec, 1000);
        let length = compression.codec(1000).unwrap().encoded_len(1000) as u64;
        for wrong in [4000, length - 1, length + 1] {
            let mut raw = registered(&spec, &server, 1000);
            raw.header(request::COMMIT, window(1, 0, 0).len(), wrong + 16);
            assert_eq!(raw.failure().0, ErrorCode::Protocol.number());
        }
        let mut raw = registered(&spec, &server, 1000);
        raw.header(request::SAVE, window(1, 0, 0).len(), length + 16);
        assert_eq!(raw.failure().0, ErrorCode::Protocol.number(), "a replica goes as it is");
    }
}

#[test]
fn ratio_and_error_are_in_status_and_summary() {
    let spec = spec("downpour", CompressionSpec::TopK { ratio: 0.25 }, false);
    let server = open(&spec, 8);
    let mut peer = peer(Transport::Socket, &spec, server.port(), 8);
    give(&mut peer, &[4.0, 0.0, -3.0, 0.0, 0.0, 0.0, 0.0, 12.0], Way::Exchange).unwrap();
    assert_eq!(peer.center, [4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 12.0]);
    let status = serde_json::to_value(server.status()).unwrap();
    assert_eq!(status["workers"][0]["compressionRatio"], 2.0);
    assert_eq!(status["workers"][0]["compressionError"], 3.0 / 13.0);
    let summary = serde_json::to_value(server.summary()).unwrap();
    assert_eq!(
        (&summary["compressionRatio"], &summary["compressionError"]),
        (&2.0.into(), &(3.0 / 13.0).into())
    );
    let metrics = serde_json::to_value(firesteel_ps::metrics()).unwrap();
    assert!(metrics["compressionRatio"].as_f64().unwrap() > 1.0);
    assert!(metrics["compressionError"].as_f64().unwrap() > 0.0);

    let plain = server_spec(1, 1);
    let server = open(&plain, 8);
    let mut peer = Peer::connect(
        Transport::Socket,
        &client_spec(&plain, server.port()),
        8,
        registration(0, 1, 1000),
    );
    peer.commit(1.0).unwrap();
    let worker = server.status().workers.remove(0);
    assert_eq!((worker.compression_ratio, worker.compression_error), (1.0, 0.0));
}

#[test]
fn options_that_do_not_fit_open_no_server() {
    let documents = [
        (
            json!({"name": "averaging", "compression": CODES[0]}),
            "strategy 'averaging': option 'compression' does not apply: it has none",
        ),
        (
            json!({"name": "aeasgd", "compression": CODES[0], "compressPull": true}),
            "option 'compressPull' does not apply",
        ),
    ];
    for (document, text) in documents {
        let error = serde_json::from_value::<StrategySpec>(document).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    let cases = [
        (spec("downpour", CODES[2], true), "'compressPull' needs the compression 'bf16' or 'f16'"),
        (
            spec("downpour", CompressionSpec::TopK { ratio: 0.0 }, false),
            "must be above 0 and at most 1, not 0",
        ),
    ];
    for (spec, text) in cases {
        let error = Server::open(&spec, layout(10), vec![0.0; 10], buffers()).err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidSpec);
        assert!(error.to_string().contains(text), "{error}");
    }
}
