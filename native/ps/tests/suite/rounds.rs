//! Rounds over live leases.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::proxy::Proxy;
use crate::support::*;
use firesteel_core::spec::{ClientSpec, ServerSpec, StrategySpec, WarmupSpec};
use firesteel_core::{CancelFlag, Coded, ErrorCode, WorkerId};
use firesteel_ps::Server;
use serde_json::json;

const PARAMETERS: usize = 40_000;

fn opened(name: &str, workers: u32, change: impl FnOnce(&mut ServerSpec)) -> (Server, ClientSpec) {
    let mut spec = server_spec(workers, 3);
    spec.strategy = StrategySpec::named(name).unwrap();
    change(&mut spec);
    let server = open(&spec, PARAMETERS);
    let client = client_spec(&spec, server.port());
    (server, client)
}

fn peer(transport: Transport, client: &ClientSpec, partition: u32) -> Peer {
    Peer::connect(transport, client, PARAMETERS, registration(partition, 1, 4))
}

/// Returns the value of all parameters of the last pull.
fn value(peer: &Peer) -> f32 {
    assert!(peer.center.iter().all(|&c| c == peer.center[0]));
    peer.center[0]
}

#[test]
fn a_round_closes_when_all_have_contributed_and_weighs_by_rows_in_the_order_of_the_workers() {
    let mut centers = Vec::new();
    for transport in ROADS {
        for order in [[0, 1, 2], [2, 0, 1]] {
            let (server, client) = opened("averaging", 3, |_| {});
            let mut peers: Vec<_> =
                (0..3).map(|partition| peer(transport, &client, partition)).collect();
            for worker in order {
                peers[worker].buffers.floats = vec![worker as f32, 1.0];
                peers[worker].buffers.integers = vec![worker as i64];
                let answer = peers[worker].contribute(0.1 + worker as f32).unwrap();
                assert_eq!((answer.staleness, answer.stop), (0, false));
            }
            for peer in &mut peers {
                assert_eq!(peer.close_round().unwrap().version, 1);
                centers.push(value(peer));
                assert!((peer.buffers.floats[0] - 1.0).abs() < 1e-6);
                assert_eq!(peer.buffers.integers, [2]);
            }
            assert_eq!(server.status().commits, 3);
            assert_eq!(server.summary().staleness_histogram, [3]);
        }
    }
    assert!((centers[0] - 1.1).abs() < 1e-6);
    assert!(centers.iter().all(|center| center.to_bits() == centers[0].to_bits()), "{centers:?}");
}

#[test]
fn one_who_is_awaited_holds_the_round_up_and_the_wait_keeps_the_leases() {
    for transport in ROADS {
        let (server, client) = opened("averaging", 3, |spec| spec.lease_millis = 400);
        let registered = |partition, index| {
            let mut registration = registration(partition, 1, 4);
            registration.worker = WorkerId { partition, index };
            Peer::connect(transport, &client, PARAMETERS, registration)
        };
        let (mut first, mut second) = (registered(0, 0), registered(0, 1));
        let mut late = registered(1, 0);
        first.contribute(1.0).unwrap();
        second.contribute(2.0).unwrap();
        thread::scope(|scope| {
            // Both workers belong to one task, whose thread waits for one and then for the other.
            let task = scope.spawn(|| {
                first.close_round().unwrap();
                second.close_round().unwrap();
                (value(&first), value(&second))
            });
            for _ in 0..12 {
                late.channel.heartbeat(late.position, 0, TALLY).unwrap();
                thread::sleep(Duration::from_millis(100));
                assert!(!task.is_finished());
            }
            late.round(6.0).unwrap();
            assert_eq!(task.join().unwrap(), (3.0, 3.0));
        });
        assert_eq!(server.status().version, 1);
    }
}

#[test]
fn a_worker_that_dies_leaves_the_round_and_its_retry_joins_at_the_next() {
    for transport in ROADS {
        let (server, client) = opened("averaging", 2, |_| {});
        let (mut stays, mut dies) = (peer(transport, &client, 0), peer(transport, &client, 1));
        dies.contribute(100.0).unwrap();
        server.attempt_ended(1, 1);
        stays.round(1.0).unwrap();
        assert_eq!(value(&stays), 1.0, "what the dead contributed is dropped");
        assert_eq!(dies.close_round().unwrap_err().code(), ErrorCode::Fenced);

        let mut retry = Peer::connect(transport, &client, PARAMETERS, registration(1, 2, 4));
        assert_eq!(retry.position.batch, 0, "its window was never applied");
        retry.pull();
        assert_eq!(value(&retry), 1.0);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| stays.round(2.0).map(|_| value(&stays)));
            thread::sleep(Duration::from_millis(100));
            assert!(!waiting.is_finished(), "the retry is awaited");
            retry.round(4.0).unwrap();
            assert_eq!(waiting.join().unwrap().unwrap(), 3.0);
        });
        assert_eq!(server.status().rows_trained, 30);
    }
}

#[test]
fn one_who_falls_silent_is_left_out_and_fenced_when_it_comes_back() {
    for transport in ROADS {
        let (_server, client) = opened("averaging", 2, |spec| spec.lease_millis = 300);
        let (mut stays, mut silent) = (peer(transport, &client, 0), peer(transport, &client, 1));
        silent.contribute(100.0).unwrap();
        thread::sleep(Duration::from_millis(400));
        stays.round(1.0).unwrap();
        assert_eq!(value(&stays), 1.0);
        assert_eq!(silent.close_round().unwrap_err().code(), ErrorCode::Fenced);
    }
}

#[test]
fn the_last_one_missing_may_finish_and_the_round_closes_without_it() {
    for transport in ROADS {
        let (server, client) = opened("averaging", 2, |spec| spec.epochs = 1);
        let mut long = peer(transport, &client, 0);
        let mut short = Peer::connect(transport, &client, PARAMETERS, registration(1, 1, 1));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                (0..4).map(|_| long.round(1.0).map(|_| value(&long)).unwrap()).collect::<Vec<_>>()
            });
            short.round(3.0).unwrap();
            assert_eq!(value(&short), 2.0);
            thread::sleep(Duration::from_millis(100));
            short.channel.finish().unwrap();
            assert_eq!(waiting.join().unwrap(), [2.0, 1.0, 1.0, 1.0]);
        });
        long.channel.finish().unwrap();
        assert_eq!(server.snapshot().unwrap().2, 4);
    }
}

#[test]
fn a_fit_without_slots_for_all_workers_fails_and_says_how_many_there_are() {
    for transport in ROADS {
        let (server, client) = opened("sync", 3, |spec| {
            set_options(&mut spec.strategy, &json!({"serverOptimizer": SGD}));
            spec.start_timeout_millis = 400;
        });
        let mut peers = [peer(transport, &client, 0), peer(transport, &client, 1)];
        let start = Instant::now();
        for peer in &mut peers {
            peer.contribute(1.0).unwrap();
        }
        for peer in &mut peers {
            assert!(peer.close_round().unwrap().stop);
            peer.channel.finish().unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(3));
        let failure = server.status().failure.unwrap();
        assert_eq!(failure.code, ErrorCode::StartTimeout.number());
        assert!(
            failure
                .message
                .starts_with("2 of 3 workers have started within 0.4 s, but strategy 'sync'"),
            "{}",
            failure.message
        );
        assert_eq!(server.snapshot().unwrap_err().code(), ErrorCode::StartTimeout);
    }
    let (server, _) = opened("averaging", 1, |spec| spec.start_timeout_millis = 0);
    assert!(server.status().failure.unwrap().message.starts_with("0 of 1 workers"));
    let (server, _) = opened("downpour", 1, |spec| spec.start_timeout_millis = 0);
    assert_eq!(server.status().failure, None, "nobody waits for the others there");
}

const SGD: firesteel_core::spec::OptimizerSpec = firesteel_core::spec::OptimizerSpec::Sgd {
    learning_rate: 0.5,
    momentum: 0.9,
    dampening: 0.0,
    nesterov: false,
    weight_decay: 0.0,
};

#[test]
fn the_optimizers_state_of_sync_stays_on_the_server() {
    for transport in ROADS {
        let (_server, client) = opened("sync", 1, |spec| {
            set_options(&mut spec.strategy, &json!({"serverOptimizer": SGD}))
        });
        let mut peer = peer(transport, &client, 0);
        peer.round(1.0).unwrap();
        assert_eq!(value(&peer), -0.5);
        peer.round(1.0).unwrap();
        assert!((value(&peer) + 1.45).abs() < 1e-6, "0.9 of the velocity is kept");
    }
}

#[test]
fn easgd_gives_the_center_variable_from_before_the_round() {
    for transport in ROADS {
        let (_server, client) =
            opened("easgd", 2, |spec| set_options(&mut spec.strategy, &json!({"alpha": 0.25})));
        let mut peers = [peer(transport, &client, 0), peer(transport, &client, 1)];
        for (round, former) in [(1, 0.0), (2, 2.0)] {
            for peer in &mut peers {
                peer.contribute(4.0 * round as f32).unwrap();
            }
            for peer in &mut peers {
                peer.close_round().unwrap();
                assert_eq!(value(peer), former);
                peer.close_round().unwrap();
                assert_eq!(value(peer), former, "asked again");
            }
        }
        peers[0].pull();
        assert_eq!(value(&peers[0]), 5.0);
    }
}

#[test]
fn by_rho_the_center_variable_of_easgd_follows_the_schedule_as_its_workers_do() {
    for transport in ROADS {
        let (_server, client) = opened("easgd", 2, |spec| {
            set_options(&mut spec.strategy, &json!({"rho": 0.5}));
            spec.optimizer = Some(SGD);
            spec.controls.warmup = Some(WarmupSpec { steps: 2, start_factor: 0.25 });
        });
        let mut peers = [peer(transport, &client, 0), peer(transport, &client, 1)];
        let mut center = 0.0;
        // The learning rate is 0.5, and the warm-up multiplies it by 0.25, 0.625 and 1.
        for alpha in [0.0625, 0.15625, 0.25] {
            for peer in &mut peers {
                peer.contribute(center + 8.0).unwrap();
            }
            for peer in &mut peers {
                peer.close_round().unwrap();
            }
            center += alpha * 16.0;
            peers[0].pull();
            assert_eq!(value(&peers[0]), center);
        }
    }
}

#[test]
fn a_contribution_and_a_wait_whose_connection_is_cut_are_sent_again_and_counted_once() {
    let (server, client) = opened("averaging", 2, |_| {});
    let proxy = Proxy::new(server.port());
    let mut cut = peer(Transport::Socket, &ClientSpec { port: proxy.port, ..client.clone() }, 0);
    let mut other = peer(Transport::Memory, &client, 1);
    let payload = 4 * PARAMETERS as u64;
    for (round, bytes) in [(1.0, 3), (2.0, payload / 2), (3.0, payload + 10)] {
        proxy.cut_up(bytes);
        cut.contribute(round).unwrap();
        thread::scope(|scope| {
            proxy.cut_down(if round == 3.0 { payload } else { 3 });
            let waiting = scope.spawn(|| cut.close_round().unwrap());
            thread::sleep(Duration::from_millis(150));
            other.round(round + 2.0).unwrap();
            waiting.join().unwrap();
        });
        assert_eq!((value(&cut), value(&other)), (round + 1.0, round + 1.0));
    }
    proxy.cut_down(5);
    cut.contribute(1.0).unwrap();
    other.round(3.0).unwrap();
    cut.close_round().unwrap();
    assert_eq!(value(&cut), 2.0);
    assert_eq!((server.status().version, server.status().rows_trained), (4, 80));
    assert!(proxy.connections() > 6);
}

#[test]
fn one_who_waits_sees_a_failed_fit_a_stop_a_cancellation_and_a_closed_server() {
    for transport in ROADS {
        for ending in 0..4 {
            let (server, mut client) = opened("averaging", 2, |_| {});
            client.timeout_millis = 500;
            let cancel = CancelFlag::new();
            let mut waits =
                Peer::try_connect(transport, &client, PARAMETERS, registration(0, 1, 4), &cancel)
                    .unwrap();
            let mut other = peer(Transport::Memory, &client, 1);
            waits.contribute(1.0).unwrap();
            thread::scope(|scope| {
                let waiting = scope.spawn(|| waits.close_round());
                thread::sleep(Duration::from_millis(100));
                let start = Instant::now();
                match ending {
                    0 => other.channel.abort(ErrorCode::InvalidData, "bad row").unwrap(),
                    1 => {
                        server.stop();
                        other.channel.finish().unwrap();
                    }
                    2 => cancel.cancel(),
                    _ => server.close(),
                }
                let ended = waiting.join().unwrap();
                match ending {
                    0 | 1 => assert!(ended.unwrap().stop),
                    2 => assert_eq!(ended.unwrap_err().code(), ErrorCode::Cancelled),
                    _ => assert_eq!(ended.unwrap_err().code(), ErrorCode::ServerUnreachable),
                }
                assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
            });
        }
    }
}

#[test]
fn the_round_that_ends_a_training_early_closes_over_what_all_have_given() {
    for transport in ROADS {
        let (server, client) = opened("averaging", 3, |_| {});
        let mut peers = [0, 1, 2].map(|partition| peer(transport, &client, partition));
        server.stop();
        thread::scope(|scope| {
            let ends: Vec<_> = peers
                .iter_mut()
                .zip([1.0, 2.0, 6.0])
                .map(|(peer, value)| {
                    let end = scope.spawn(move || {
                        assert!(peer.contribute(value).unwrap().stop);
                        assert!(peer.close_round().unwrap().stop);
                        peer.channel.finish().unwrap();
                    });
                    // One after the other: no worker leaves before the last one has contributed.
                    thread::sleep(Duration::from_millis(60));
                    end
                })
                .collect();
            ends.into_iter().for_each(|end| end.join().unwrap());
        });
        let (center, _, version) = server.snapshot().unwrap();
        assert!(center.iter().all(|&c| c == 3.0), "{}", center[0]);
        assert_eq!(version, 1);
    }
}

#[test]
fn what_does_not_belong_to_a_round_is_refused() {
    for transport in ROADS {
        let (_server, client) = opened("averaging", 2, |_| {});
        let mut peer = peer(transport, &client, 0);
        assert_eq!(peer.close_round().unwrap_err().code(), ErrorCode::Protocol);
        assert_eq!(peer.commit(1.0).unwrap_err().code(), ErrorCode::Protocol);
        assert_eq!(peer.save(1.0).unwrap_err().code(), ErrorCode::Protocol);
        peer.contribute(1.0).unwrap();
        assert_eq!(peer.contribute(1.0).unwrap_err().code(), ErrorCode::Protocol, "it must wait");
        assert_eq!(peer.channel.finish().unwrap_err().code(), ErrorCode::Protocol);
        let (_server, client) = opened("downpour", 2, |_| {});
        let mut peer = self::peer(transport, &client, 0);
        assert_eq!(peer.contribute(1.0).unwrap_err().code(), ErrorCode::Protocol);
    }
}

#[test]
fn a_contribution_with_nan_fails_the_fit_and_names_the_tensor() {
    for transport in ROADS {
        let (server, client) = opened("averaging", 1, |_| {});
        let mut peer = peer(transport, &client, 0);
        let error = peer.contribute(f32::NAN).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Diverged);
        assert!(error.to_string().contains("'0.weight'"), "{error}");
        assert!(server.status().failure.is_some());
    }
}

#[test]
fn every_member_of_an_ensemble_is_kept_and_its_retry_goes_on_with_it() {
    for transport in ROADS {
        let (server, client) = opened("ensemble", 2, |spec| spec.epochs = 1);
        let registered = |partition, attempt| {
            Peer::connect(transport, &client, PARAMETERS, registration(partition, attempt, 2))
        };
        let (mut first, mut second) = (registered(0, 1), registered(1, 1));
        second.save(5.0).unwrap();
        first.save(1.0).unwrap();
        server.attempt_ended(1, 1);
        let mut retry = registered(1, 2);
        retry.pull();
        assert_eq!((value(&retry), retry.position.batch), (5.0, 1));
        retry.save(6.0).unwrap();
        first.save(2.0).unwrap();
        assert!(server.members().is_err(), "they have not finished");
        retry.channel.finish().unwrap();
        first.channel.finish().unwrap();
        let members = server.members().unwrap();
        let kept: Vec<_> =
            members.iter().map(|(id, center, _)| (id.partition, center[0], center.len())).collect();
        assert_eq!(kept, [(0, 2.0, PARAMETERS), (1, 6.0, PARAMETERS)]);
        assert_eq!(server.snapshot().unwrap().0[0], 2.0, "the first member's");
        let (server, _) = opened("downpour", 1, |_| {});
        assert!(server.members().is_err());
    }
}

#[test]
fn a_moving_rate_that_overshoots_is_warned_of() {
    let (server, _) =
        opened("easgd", 4, |spec| set_options(&mut spec.strategy, &json!({"alpha": 0.5})));
    assert!(
        server.status().warnings[0].contains("4 workers that exchange at the same time, it is 2,"),
        "{:?}",
        server.status().warnings
    );
    assert!(opened("easgd", 4, |_| {}).0.status().warnings.is_empty());
}
