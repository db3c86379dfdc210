//! A center variable that is split over several servers gives the same results as on one server.

use std::thread;

use crate::support::certificates::Trust;
use crate::support::cluster::{self, Cluster, STRIPE};
use crate::support::*;
use firesteel_core::spec::{OptimizerSpec, ServerSpec, StrategySpec};
use firesteel_core::{Coded, Commit, ErrorCode, Protocol, Save, WorkerId, strategy};
use serde_json::json;

const PARAMETERS: usize = 4 * STRIPE + 77;

const ADAM: OptimizerSpec = OptimizerSpec::Adam {
    learning_rate: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.0,
    amsgrad: false,
};

fn fit(strategy: StrategySpec, workers: u32) -> ServerSpec {
    let mut spec = server_spec(workers, 3);
    spec.strategy = strategy;
    spec.optimizer = Some(ADAM);
    spec
}

/// Every strategy, with a server optimizer if it takes one, and codecs that encode a part as they encode the whole.
fn strategies() -> Vec<StrategySpec> {
    let plain = StrategySpec::all();
    let optimized = ["downpour", "adag", "dynsgd", "sync"]
        .map(|name| json!({"name": name, "serverOptimizer": ADAM}));
    let compressed = [
        json!({"name": "downpour", "compression": {"name": "bf16"}, "compressPull": true}),
        json!({"name": "adag", "compression": {"name": "int8"}}),
    ];
    let others = optimized.into_iter().chain(compressed);
    plain.chain(others.map(|document| serde_json::from_value(document).unwrap())).collect()
}

/// Pseudo-random numbers that look like updates, the same for the same seed.
fn noise(seed: u64, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..PARAMETERS)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
        })
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// One step of a worker in its strategy's way; reads the center variable by all requests that there are.
fn step(peer: &mut Peer, protocol: Protocol, seed: u64) {
    let message = noise(seed, 0.1);
    let given =
        firesteel_core::Buffers { floats: noise(seed, 1.0)[..2].to_vec(), integers: vec![3] };
    let (sequence, span) = (peer.sequence + 1, peer.span());
    let commit = Commit { sequence, message: &message, buffers: &given, span, tally: TALLY };
    let Peer { channel, center, buffers, .. } = peer;
    match protocol {
        Protocol::Asynchronous { .. } if seed.is_multiple_of(3) => {
            channel.pull(center, buffers).unwrap();
            channel.commit(&commit).unwrap();
        }
        Protocol::Asynchronous { .. } => {
            channel.exchange(&commit, center, buffers).unwrap();
        }
        Protocol::Rounds { .. } => {
            channel.contribute(&commit).unwrap();
            channel.close_round(center, buffers).unwrap();
        }
        Protocol::Local { .. } => {
            let Commit { sequence, message: replica, buffers: given, span, tally } = commit;
            channel.save(&Save { sequence, replica, buffers: given, span, tally }).unwrap();
            channel.pull(center, buffers).unwrap();
        }
    }
    peer.advance();
}

#[test]
fn with_one_worker_every_strategy_gives_the_same_bits_however_many_servers_there_are() {
    for chosen in strategies() {
        let protocol = strategy::resolve(&chosen, Some(&ADAM)).unwrap().protocol();
        let outcome = |count: u32| {
            let cluster = Cluster::open(&fit(chosen.clone(), 1), count, &noise(99, 1.0));
            let mut peer = cluster.peer(registration(0, 1, 3));
            peer.pull();
            let mut read = vec![bits(&peer.center)];
            for seed in 0..9 {
                step(&mut peer, protocol, seed);
                read.push(bits(&peer.center));
                read.push(bits(&peer.buffers.floats));
            }
            peer.channel.finish().unwrap();
            let (center, buffers, version) = cluster.server.snapshot().unwrap();
            let members = cluster.server.members().unwrap();
            (
                read,
                bits(&center),
                buffers,
                version,
                members.into_iter().map(|m| bits(&m.1)).collect::<Vec<_>>(),
            )
        };
        let one = outcome(1);
        for count in [2, 3] {
            assert!(outcome(count) == one, "{chosen:?} with {count} servers");
        }
    }
}

#[test]
fn what_several_workers_do_in_turn_gives_the_same_bits_too() {
    for chosen in strategies().into_iter().filter(|chosen| chosen.name() != "single") {
        let protocol = strategy::resolve(&chosen, Some(&ADAM)).unwrap().protocol();
        let outcome = |count: u32| {
            let cluster = Cluster::open(&fit(chosen.clone(), 3), count, &noise(99, 1.0));
            let mut peers: Vec<_> =
                (0..3).map(|partition| cluster.peer(registration(partition, 1, 3))).collect();
            let mut read = Vec::new();
            for turn in 0..9_u64 {
                if matches!(protocol, Protocol::Rounds { .. }) {
                    for (seed, peer) in (10 * turn..).zip(&mut peers) {
                        let message = noise(seed, 0.1);
                        let (sequence, span) = (peer.sequence + 1, peer.span());
                        let buffers = &peer.buffers.clone();
                        let commit =
                            Commit { sequence, message: &message, buffers, span, tally: TALLY };
                        peer.channel.contribute(&commit).unwrap();
                        peer.advance();
                    }
                    peers.iter_mut().for_each(|peer| {
                        peer.close_round().unwrap();
                    });
                } else {
                    // One of them lags behind, so that its commits are stale.
                    for (seed, peer) in (10 * turn..)
                        .zip(&mut peers)
                        .filter(|(seed, _)| seed % 10 < 2 || turn % 4 == 3)
                    {
                        step(peer, protocol, seed);
                    }
                }
                read.extend(peers.iter().map(|peer| bits(&peer.center)));
            }
            read
        };
        let one = outcome(1);
        assert!(outcome(3) == one, "{chosen:?}");
    }
}

#[test]
fn whatever_is_read_while_others_commit_is_one_version() {
    let spec = server_spec(4, 1);
    let cluster = Cluster::open(&spec, 3, &vec![0.0; PARAMETERS]);
    let rounds = 40;
    thread::scope(|scope| {
        for partition in 0..4 {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut peer = cluster.peer(registration(partition, 1, rounds));
                for round in 0..rounds {
                    let answer = match round % 3 {
                        0 => {
                            peer.commit(1.0).unwrap();
                            peer.pull()
                        }
                        _ => peer.exchange(1.0).unwrap(),
                    };
                    let version = answer.version as f32;
                    assert!(
                        peer.center.iter().all(|&c| c == version),
                        "{} and {} of version {version}",
                        peer.center[0],
                        peer.center[PARAMETERS - 1]
                    );
                }
                peer.channel.finish().unwrap();
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                assert_eq!(cluster.server.snapshot().unwrap_err().code(), ErrorCode::Untrained);
                thread::sleep(std::time::Duration::from_millis(1));
            }
        });
    });
    let (center, _, version) = cluster.server.snapshot().unwrap();
    assert_eq!(version, 160);
    assert!(center.iter().all(|&c| c == 160.0) && center.len() == PARAMETERS);
}

#[test]
fn every_member_of_an_ensemble_is_whole_and_its_retry_goes_on_with_it() {
    let cluster =
        Cluster::open(&fit(StrategySpec::named("ensemble").unwrap(), 2), 3, &vec![0.0; PARAMETERS]);
    let mut peers = [cluster.peer(registration(0, 1, 1)), cluster.peer(registration(1, 1, 1))];
    for value in 1..=3 {
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.save((10 * index + value) as f32).unwrap();
        }
    }
    cluster.server.attempt_ended(1, 1);
    let mut retry = cluster.peer(registration(1, 2, 1));
    retry.pull();
    assert!(retry.center.iter().all(|&c| c == 13.0));
    retry.channel.finish().unwrap();
    peers[0].channel.finish().unwrap();
    let members = cluster.server.members().unwrap();
    for ((id, center, _), value) in members.iter().zip([3.0, 13.0]) {
        assert!(center.iter().all(|&c| c == value), "worker {id}");
    }
    assert_eq!(members[1].0, WorkerId { partition: 1, index: 0 });
    assert!(cluster.server.snapshot().unwrap().0.iter().all(|&c| c == 3.0));
}

#[test]
fn a_nan_in_any_part_fails_the_fit_and_names_the_tensor_and_the_window() {
    for (index, tensor) in
        [(1, "0.weight"), (PARAMETERS / 2, "0.weight"), (PARAMETERS - 1, "0.bias")]
    {
        let cluster = Cluster::open(&server_spec(1, 1), 3, &vec![0.0; PARAMETERS]);
        let mut peer = cluster.peer(registration(0, 1, 9));
        peer.exchange(1.0).unwrap();
        let mut message = vec![0.0; PARAMETERS];
        message[index] = f32::INFINITY;
        let (sequence, span) = (peer.sequence + 1, peer.span());
        let buffers = &buffers();
        let commit = Commit { sequence, message: &message, buffers, span, tally: TALLY };
        let error = peer.channel.commit(&commit).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Diverged);
        let text = format!("epoch 0, window 2 from mini-batch 1: the update of '{tensor}' is inf");
        assert!(error.to_string().contains(&text), "{error}");
        assert_eq!(cluster.server.status().failure.unwrap().code, ErrorCode::Diverged.number());
        assert_eq!(cluster.server.status().version, 1);
    }
}

#[test]
fn shards_speak_tls_as_the_main_server_does() {
    let trust = Trust::new();
    let mut spec = server_spec(1, 1);
    spec.tls = Some(trust.server.clone());
    let (opened, mut servers) = cluster_shards(&spec);
    servers.tls = Some(trust.client.clone());
    spec.shards = Some(servers.clone());
    let server = open(&spec, PARAMETERS);
    let mut client = client_spec(&spec, server.port());
    client.shards = servers.servers.clone();
    client.tls = Some(trust.client.clone());
    let mut peer = Peer::connect(Transport::Socket, &client, PARAMETERS, registration(0, 1, 2));
    peer.exchange(2.0).unwrap();
    assert!(peer.center.iter().all(|&c| c == 2.0));

    client.tls = None;
    let peer = Peer::try_connect(
        Transport::Socket,
        &client,
        PARAMETERS,
        registration(0, 1, 2),
        &firesteel_core::CancelFlag::new(),
    );
    assert_eq!(peer.err().unwrap().code(), ErrorCode::Protocol);
    drop(opened);
}

#[test]
fn the_largest_values_of_every_part_are_kept_where_only_those_are_sent() {
    let mut chosen = StrategySpec::named("downpour").unwrap();
    set_options(&mut chosen, &json!({"compression": {"name": "topk", "ratio": 0.25}}));
    let cluster = Cluster::open(&fit(chosen, 1), 3, &vec![0.0; PARAMETERS]);
    let mut peer = cluster.peer(registration(0, 1, 4));
    for _ in 0..4 {
        peer.exchange(1.0).unwrap();
    }
    let quarter = |values: &[f32]| values.iter().filter(|&&c| c != 0.0).count();
    let parts = peer.center.len() / 2;
    assert!(
        quarter(&peer.center[..parts]) > parts / 4 && quarter(&peer.center[parts..]) > parts / 4
    );
    let status = cluster.server.summary();
    assert!(status.compression_error > 0.5, "{}", status.compression_error);
}

fn cluster_shards(
    spec: &ServerSpec,
) -> (Vec<firesteel_ps::ShardServer>, firesteel_core::spec::ServerShards) {
    crate::support::cluster::shards(spec, 2, PARAMETERS, |_| {})
}

#[test]
fn a_scheduled_learning_rate_of_the_server_is_that_of_every_shard() {
    let mut chosen = StrategySpec::named("sync").unwrap();
    set_options(&mut chosen, &json!({"serverOptimizer": ADAM}));
    let protocol = strategy::resolve(&chosen, Some(&ADAM)).unwrap().protocol();
    let mut spec = fit(chosen, 1);
    spec.controls =
        serde_json::from_value(json!({"schedule": {"name": "exponential", "gamma": 0.1}})).unwrap();
    let outcome = |count: u32| {
        let cluster = Cluster::open(&spec, count, &noise(99, 1.0));
        let mut peer = cluster.peer(registration(0, 1, 1));
        peer.pull();
        (0..3).for_each(|seed| step(&mut peer, protocol, seed));
        peer.channel.finish().unwrap();
        bits(&cluster.server.snapshot().unwrap().0)
    };
    assert!(outcome(1) == outcome(3));
}

#[test]
fn what_ends_an_epoch_without_a_whole_model_works_and_what_needs_one_is_refused() {
    let mut early = fit(StrategySpec::named("downpour").unwrap(), 1);
    early.controls.stopping.target_loss = Some(0.5);
    let cluster = Cluster::open(&early, 2, &noise(99, 1.0));
    let mut peer = cluster.peer(registration(0, 1, 1));
    peer.commit(1.0).unwrap();
    assert!(peer.ask().0.stop, "the loss of every window of these tests is 0.5");
    peer.channel.finish().unwrap();
    cluster.server.snapshot().unwrap();

    let validated = ServerSpec {
        data: scoring::spec(1, 1, json!({})).data,
        ..fit(StrategySpec::named("downpour").unwrap(), 1)
    };
    let mut restored = fit(StrategySpec::named("downpour").unwrap(), 1);
    restored.controls.stopping.restore_best = true;
    restored.controls.stopping.patience = Some(1);
    let mut clipped = fit(StrategySpec::named("sync").unwrap(), 1);
    clipped.controls.clipping.norm = Some(1.0);
    for (spec, what) in
        [(validated, "held-out rows"), (restored, "best weights"), (clipped, "clipping")]
    {
        let (_shards, servers) = cluster::shards(&spec, 2, PARAMETERS, |_| {});
        let spec = ServerSpec { shards: Some(servers), ..spec };
        let opened =
            firesteel_ps::Server::open(&spec, layout(PARAMETERS), noise(99, 1.0), buffers());
        let error = opened.err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidSpec);
        let text = error.to_string();
        assert!(text.contains(what) && text.contains("serverShards"), "{text}");
    }
}
