//! Exchanges of workers and server without faults.

use std::thread;

use crate::support::*;
use firesteel_core::spec::StrategySpec;
use firesteel_core::{Coded, ErrorCode, Position};

const PARAMETERS: usize = 100_003;

#[test]
fn a_worker_trains_its_epochs_and_the_sum_of_its_commits_is_the_model() {
    for transport in ROADS {
        let spec = server_spec(1, 2);
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 5, 3));
        assert_eq!(peer.position, Position::default());
        assert_eq!(peer.pull().version, 0);
        assert!(peer.center.iter().all(|&c| c == 0.0));
        peer.commit(1.0).unwrap();
        let answer = peer.exchange(2.0).unwrap();
        assert_eq!(
            (answer.version, answer.staleness),
            (2, 1),
            "the first commit came after the pull"
        );
        assert!(peer.center.iter().all(|&c| c == 3.0));
        for _ in 2..6 {
            assert_eq!(peer.exchange(1.0).unwrap().staleness, 0);
        }
        assert_eq!(
            server.snapshot().unwrap_err().code(),
            ErrorCode::Untrained,
            "it has not finished"
        );
        peer.channel.finish().unwrap();
        let (center, buffers, version) = server.snapshot().unwrap();
        assert_eq!(version, 6);
        assert!(center.iter().all(|&c| c == 7.0));
        assert_eq!(buffers.integers, [0]);

        let status = server.status();
        assert_eq!((status.commits, status.pulls, status.rows_trained), (6, 6, 60));
        assert_eq!(status.epochs.len(), 2);
        assert_eq!((status.epochs[1].rows, status.epochs[1].finished_workers), (30, 1));
        assert_eq!(status.epochs[0].loss, Some(0.5));
        let ledger = server.summary().ledger;
        assert_eq!(ledger.len(), 2);
        assert_eq!((ledger[0].rows, ledger[0].spans.len(), ledger[0].spans[0].batches), (30, 1, 3));
        assert_eq!(server.summary().staleness_histogram, [5, 1]);
    }
}

#[test]
fn a_strategy_that_saves_replaces_the_center_variable_and_its_buffers() {
    for transport in ROADS {
        let mut spec = server_spec(1, 2);
        spec.strategy = StrategySpec::named("single").unwrap();
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 5, 1));
        assert_eq!(peer.commit(1.0).unwrap_err().code(), ErrorCode::Protocol);
        peer.buffers.floats = vec![3.0, 4.0];
        peer.buffers.integers = vec![9];
        peer.save(1.5).unwrap();
        peer.save(2.5).unwrap();
        peer.channel.finish().unwrap();
        let (center, buffers, version) = server.snapshot().unwrap();
        assert!(center.iter().all(|&c| c == 2.5));
        assert_eq!((buffers, version), (peer.buffers, 2));
    }
}

#[test]
fn floating_buffers_move_by_a_share_of_each_commit_and_integer_ones_keep_the_maximum() {
    for transport in ROADS {
        let spec = server_spec(4, 1);
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 5, 9));
        peer.buffers.floats = vec![4.0, -8.0];
        peer.buffers.integers = vec![6];
        peer.commit(0.0).unwrap();
        peer.buffers.integers = vec![5];
        peer.commit(0.0).unwrap();
        peer.pull();
        assert_eq!(peer.buffers.floats, [1.75, -3.5], "b += (b_k - b)/4, twice");
        assert_eq!(peer.buffers.integers, [6]);
    }
}

#[test]
fn concurrent_commits_are_each_applied_once_and_every_pull_sees_one_version() {
    const WORKERS: u32 = 6;
    const BATCHES: u32 = 40;
    let spec = server_spec(WORKERS, 1);
    let server = open(&spec, PARAMETERS);
    let client = client_spec(&spec, server.port());
    thread::scope(|scope| {
        for partition in 0..WORKERS {
            let client = &client;
            let transport = ROADS[partition as usize % 2];
            scope.spawn(move || {
                let mut peer = Peer::connect(
                    transport,
                    client,
                    PARAMETERS,
                    registration(partition, 1, BATCHES),
                );
                for batch in 0..BATCHES {
                    let answer = if batch % 3 == 0 {
                        peer.commit(1.0).unwrap();
                        peer.pull()
                    } else {
                        peer.exchange(1.0).unwrap()
                    };
                    let version = peer.center[0];
                    assert!(
                        peer.center.iter().all(|&c| c == version),
                        "worker {partition} saw two versions at once"
                    );
                    assert_eq!(version, answer.version as f32);
                }
                peer.channel.finish().unwrap();
            });
        }
    });
    let (center, _, version) = server.snapshot().unwrap();
    assert_eq!(version, u64::from(WORKERS * BATCHES));
    assert!(center.iter().all(|&c| c == (WORKERS * BATCHES) as f32));
    let summary = server.summary();
    assert_eq!(summary.staleness_histogram.iter().sum::<u64>(), version);
    assert!(summary.ledger.iter().all(|entry| entry.rows == 400 && entry.superseded_rows == 0));
}

#[test]
fn two_hundred_and_fifty_six_workers_connect_and_exchange_at_once() {
    const WORKERS: u32 = 256;
    let spec = server_spec(WORKERS, 1);
    let server = open(&spec, PARAMETERS);
    let mut client = client_spec(&spec, server.port());
    client.timeout_millis = 30_000;
    thread::scope(|scope| {
        for partition in 0..WORKERS {
            let client = &client;
            scope.spawn(move || {
                let registration = registration(partition, 1, 2);
                let mut peer = Peer::connect(Transport::Socket, client, PARAMETERS, registration);
                peer.exchange(1.0).unwrap();
                peer.exchange(1.0).unwrap();
                peer.channel.finish().unwrap();
            });
        }
    });
    let (center, _, version) = server.snapshot().unwrap();
    assert_eq!(version, u64::from(2 * WORKERS));
    assert!(center.iter().all(|&c| c == (2 * WORKERS) as f32));
}

#[test]
fn a_worker_without_rows_has_nothing_to_do() {
    for transport in ROADS {
        let spec = server_spec(2, 3);
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let mut empty = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 0));
        assert_eq!(empty.position, Position { epoch: 3, batch: 0 });
        empty.channel.finish().unwrap();
        assert_eq!(server.snapshot().unwrap_err().code(), ErrorCode::Untrained);
    }
}

#[test]
fn a_commit_with_nan_or_infinity_fails_the_fit_names_the_tensor_and_is_not_applied() {
    for transport in ROADS {
        for value in [f32::NAN, f32::INFINITY] {
            let spec = server_spec(2, 1);
            let server = open(&spec, PARAMETERS);
            let client = client_spec(&spec, server.port());
            let mut other = Peer::connect(transport, &client, PARAMETERS, registration(1, 2, 4));
            let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
            peer.commit(1.0).unwrap();
            let error = peer.commit(value).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Diverged);
            assert!(error.to_string().contains("worker 0.0, epoch 0"), "{error}");
            assert!(error.to_string().contains("'0.weight'"), "{error}");
            assert!(other.pull().stop, "the others are told to stop");
            assert!(other.center.iter().all(|&c| c == 1.0));
            let failure = server.status().failure.unwrap();
            assert_eq!(failure.code, ErrorCode::Diverged.number());
            assert_eq!(server.snapshot().unwrap_err().code(), ErrorCode::Diverged);
        }
    }
}

#[test]
fn a_center_variable_that_overflowed_is_not_given_as_a_model() {
    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    let client = client_spec(&spec, server.port());
    let mut peer = Peer::connect(Transport::Memory, &client, PARAMETERS, registration(0, 1, 2));
    peer.commit(f32::MAX).unwrap();
    peer.commit(f32::MAX).unwrap();
    peer.channel.finish().unwrap();
    let error = server.snapshot().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Diverged);
    assert!(error.to_string().contains("'0.weight' is inf"), "{error}");
}

#[test]
fn an_abort_fails_the_fit_with_its_code_and_text() {
    for transport in ROADS {
        let spec = server_spec(1, 1);
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        peer.channel.abort(ErrorCode::InvalidData, "label 11 in row 3 of column 'y'").unwrap();
        peer.channel.abort(ErrorCode::Internal, "a later one").unwrap();
        let error = server.snapshot().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidData);
        assert_eq!(error.to_string(), "label 11 in row 3 of column 'y'");
    }
}

#[test]
fn a_stopped_server_lets_its_workers_finish_early() {
    for transport in ROADS {
        let spec = server_spec(1, 5);
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        assert!(!peer.commit(1.0).unwrap().stop);
        assert_eq!(
            peer.channel.finish().unwrap_err().code(),
            ErrorCode::Protocol,
            "it is not done"
        );
        server.stop();
        assert!(peer.pull().stop);
        peer.channel.finish().unwrap();
        assert_eq!(server.snapshot().unwrap().2, 1);
    }
}

#[test]
fn wrong_lengths_are_refused_and_the_connection_goes_on() {
    for transport in ROADS {
        let spec = server_spec(1, 5);
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        let mut short = vec![0.0; PARAMETERS - 1];
        let error = peer.channel.pull(&mut short, &mut peer.buffers).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Protocol);
        peer.buffers.floats.push(0.0);
        assert_eq!(peer.commit(1.0).unwrap_err().code(), ErrorCode::Protocol);
        peer.buffers.floats.pop();
        peer.commit(1.0).unwrap();
    }
}

#[test]
fn heartbeats_tell_the_progress_of_an_open_window_a_few_times_a_second_at_most() {
    for transport in ROADS {
        let spec = server_spec(1, 1);
        let server = open(&spec, PARAMETERS);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        peer.commit(1.0).unwrap();
        let before = server.status().bytes;
        for _ in 0..100 {
            peer.channel.heartbeat(peer.position, 10, TALLY).unwrap();
        }
        assert_eq!(server.status().bytes, before, "nothing is sent so soon after a commit");
        assert_eq!(server.status().rows_trained, 10);
        thread::sleep(std::time::Duration::from_millis(300));
        peer.channel.heartbeat(peer.position, 10, TALLY).unwrap();
        assert_eq!(server.status().rows_trained, 20);
        peer.commit(1.0).unwrap();
        assert_eq!(server.status().rows_trained, 20, "the window's rows are not counted twice");
    }
}

#[test]
fn the_status_is_the_document_that_the_driver_reads() {
    let spec = server_spec(1, 1);
    let server = open(&spec, PARAMETERS);
    let client = client_spec(&spec, server.port());
    let mut peer = Peer::connect(Transport::Memory, &client, PARAMETERS, registration(3, 12, 2));
    peer.commit(1.0).unwrap();
    let status = serde_json::to_value(server.status()).unwrap();
    assert_eq!(status["fit"], spec.fit.as_str());
    assert_eq!(status["recentLoss"], 0.5);
    assert_eq!(status["failure"], serde_json::Value::Null);
    let worker = &status["workers"][0];
    assert_eq!((&worker["partition"], &worker["attempt"]), (&3.into(), &12.into()));
    assert_eq!((&worker["state"], &worker["batch"]), (&"live".into(), &1.into()));
    let summary = serde_json::to_value(server.summary()).unwrap();
    assert_eq!(summary["ledger"][0]["spans"][0]["attempt"], 12);
    assert_eq!(summary["stalenessHistogram"], serde_json::json!([1]));
}
