//! Held-out rows scored on a frozen center variable, in every order of events.

use std::time::{Duration, Instant};

use crate::support::scoring::*;
use crate::support::*;
use firesteel_core::metrics::MetricSet;
use firesteel_core::spec::{LabelKind, LabelSpec, NetworkSpec, StrategySpec};
use firesteel_core::{Assignment, Coded, ErrorCode};
use firesteel_ps::WorkerState;
use serde_json::json;

#[test]
fn an_epoch_is_scored_on_the_version_that_its_last_window_made_whatever_comes_after() {
    for transport in ROADS {
        let spec = spec(2, 2, json!({}));
        let server = open(&spec, PARAMETERS);
        let mut one = join(transport, &spec, &server, holding(0, 1, 2, 6));
        let mut two = join(transport, &spec, &server, holding(1, 1, 1, 2));
        assert!(!two.commit(1.0).unwrap().evaluation);
        assert!(!one.commit(1.0).unwrap().evaluation);
        assert_eq!(one.ask().1, Assignment::Wait);
        let answer = one.commit(1.0).unwrap();
        assert!(answer.evaluation, "the answer to the last window tells");
        // Training of the next epoch continues meanwhile.
        two.commit(1.0).unwrap();
        for peer in [&mut one, &mut two] {
            peer.center.fill(f32::NAN);
            let (answer, assignment) = peer.ask();
            assert_eq!(assignment, Assignment::Score { epoch: 0 });
            assert!(answer.evaluation && !answer.stop);
            assert!(peer.center.iter().all(|&c| c == 3.0), "{transport:?}");
        }
        assert_eq!(epoch(&server, 0).validation, None);
        assert!(!one.score(0, 6, 1.0).evaluation);
        assert_eq!(one.ask().1, Assignment::Wait);
        two.score(0, 2, 3.0);
        let validation = epoch(&server, 0).validation.unwrap();
        assert_eq!((validation.version, validation.rows, validation.loss), (3, 8, Some(1.5)));
        one.commit(1.0).unwrap();
        one.commit(1.0).unwrap();
        for peer in [&mut one, &mut two] {
            assert_eq!(peer.ask().1, Assignment::Score { epoch: 1 });
            assert!(peer.center.iter().all(|&c| c == 6.0));
            peer.score(1, 2, 0.5);
        }
        for mut peer in [one, two] {
            assert_eq!(peer.ask().1, Assignment::Over);
            peer.channel.finish().unwrap();
        }
        let ledger = server.summary().ledger;
        let losses: Vec<_> =
            ledger.iter().map(|epoch| epoch.validation.as_ref().unwrap().loss).collect();
        assert_eq!(losses, [Some(1.0), Some(0.5), Some(3.0), Some(0.5)]);
        assert_eq!(server.summary().evaluations.len(), 2);
        assert_eq!(server.status().warnings, Vec::<String>::new());
        server.snapshot().unwrap();
    }
}

#[test]
fn a_frozen_center_variable_is_exact_where_others_are_compressed() {
    for transport in ROADS {
        let mut spec = spec(1, 1, json!({}));
        let options = json!({"compression": {"name": "bf16"}, "compressPull": true});
        set_options(&mut spec.strategy, &options);
        let server = open(&spec, PARAMETERS);
        let mut peer = join(transport, &spec, &server, holding(0, 1, 3, 2));
        // Sums of values of 8 bits that need more bits.
        peer.exchange(1.0).unwrap();
        peer.exchange(1.0 / 64.0).unwrap();
        peer.commit(1.0 / 2048.0).unwrap();
        assert_eq!(peer.ask().1, Assignment::Score { epoch: 0 });
        let exact = 1.0 + 1.0 / 64.0 + 1.0 / 2048.0;
        assert!(peer.center.iter().all(|&c| c == exact), "{transport:?}: {}", peer.center[0]);
        peer.pull();
        assert!(peer.center.iter().all(|&c| c != exact), "{transport:?}: {}", peer.center[0]);
    }
}

#[test]
fn metrics_of_all_workers_merge() {
    let spec = spec(2, 1, json!({"metrics": ["accuracy", "confusion"]}));
    let server = open(&spec, PARAMETERS);
    let mut one = join(Transport::Socket, &spec, &server, holding(0, 1, 1, 4));
    let mut two = join(Transport::Memory, &spec, &server, holding(1, 1, 1, 4));
    one.commit(1.0).unwrap();
    two.commit(1.0).unwrap();
    // Rows, weight, loss and its weight, hits, and the matrix.
    one.channel.score(0, &[4.0, 4.0, 2.0, 4.0, 3.0, 2.0, 0.0, 1.0, 1.0]).unwrap();
    two.channel.score(0, &[4.0, 4.0, 2.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
    let validation = &server.summary().evaluations[0];
    assert_eq!((validation.rows, validation.loss), (8, Some(0.5)));
    assert_eq!(validation.metrics[0].value, Some(0.625));
    assert_eq!(validation.metrics[1].matrix, Some(vec![vec![3.0, 1.0], vec![2.0, 2.0]]));
    let status = epoch(&server, 0).validation.unwrap();
    assert_eq!(status.metrics.len(), 1, "the status goes without the matrix");
}

#[test]
fn sums_of_any_size_that_the_metrics_have_go_over_a_socket_and_larger_ones_do_not() {
    let mut spec = spec(1, 1, json!({"metrics": ["confusion"]}));
    let outputs = ["animal", "plant"].map(str::to_owned).to_vec();
    let network = NetworkSpec { format: String::new(), inputs: vec![], nodes: vec![], outputs };
    spec.network = network.into();
    spec.data.labels = ["a", "p"].map(|column| classes(column, 500)).to_vec();
    let server = open(&spec, PARAMETERS);
    let mut peer = join(Transport::Socket, &spec, &server, holding(0, 1, 1, 4));
    peer.commit(1.0).unwrap();
    let set = MetricSet::new(&spec.controls, &spec.data.labels, spec.network.outputs()).unwrap();
    // The number of rows, and any sums of metrics.
    let mut sums = vec![1.0; set.encoded_len()];
    assert!(sums.len() > 2 * 500 * 500);
    peer.channel.score(0, &sums).unwrap();
    let metrics = &server.summary().evaluations[0].metrics;
    assert!(metrics.iter().filter_map(|metric| metric.matrix.as_ref()).all(|m| m.len() == 500));
    sums.push(1.0);
    peer.channel.score(0, &sums).unwrap_err();
}

fn classes(column: &str, classes: usize) -> LabelSpec {
    LabelSpec { column: column.to_owned(), kind: LabelKind::Class { classes } }
}

#[test]
fn scores_count_once_and_only_while_they_are_wanted() {
    let spec = spec(2, 2, json!({}));
    let server = open(&spec, PARAMETERS);
    let mut one = join(Transport::Socket, &spec, &server, holding(0, 1, 1, 5));
    let mut two = join(Transport::Memory, &spec, &server, holding(1, 1, 1, 5));
    one.score(0, 5, 100.0);
    one.commit(1.0).unwrap();
    two.commit(1.0).unwrap();
    one.score(1, 5, 100.0);
    one.score(0, 5, 1.0);
    one.score(0, 5, 100.0);
    two.score(0, 5, 2.0);
    two.score(0, 5, 100.0);
    assert_eq!(epoch(&server, 0).validation.unwrap().loss, Some(1.5));
    for wrong in [&[1.0][..], &[1.5, 1.0, 1.0, 1.0], &[6.0, 6.0, 1.0, 6.0]] {
        let error = two.channel.score(0, wrong).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Protocol, "{error}");
    }
    let plain = server_spec(1, 1);
    let other = open(&plain, PARAMETERS);
    let mut peer = join(Transport::Socket, &plain, &other, holding(0, 1, 1, 5));
    assert_eq!(peer.ask().1, Assignment::Over, "nothing depends on the end of an epoch");
    assert_eq!(peer.channel.score(0, &[0.0; 4]).unwrap_err().code(), ErrorCode::Protocol);
}

#[test]
fn a_worker_that_dies_while_its_rows_are_wanted_is_replaced_or_left_out() {
    for transport in ROADS {
        for retries in [true, false] {
            let mut spec = spec(2, 1, json!({}));
            spec.lease_millis = 1_000;
            let server = open(&spec, PARAMETERS);
            let mut one = join(transport, &spec, &server, holding(0, 1, 1, 2));
            let mut two = join(transport, &spec, &server, holding(1, 1, 1, 2));
            one.commit(1.0).unwrap();
            two.commit(1.0).unwrap();
            one.score(0, 2, 1.0);
            assert_eq!(two.ask().1, Assignment::Score { epoch: 0 });
            drop(two);
            server.attempt_ended(1, 1);
            assert_eq!(one.ask().1, Assignment::Wait);
            if retries {
                let mut retry = join(transport, &spec, &server, holding(1, 2, 1, 2));
                assert_eq!(retry.position.epoch, 1, "everything is trained");
                assert_eq!(retry.ask().1, Assignment::Score { epoch: 0 });
                retry.score(0, 2, 3.0);
                assert_eq!(retry.ask().1, Assignment::Over);
                retry.channel.finish().unwrap();
            }
            assert_eq!(one.ask_on(), Assignment::Over);
            one.channel.finish().unwrap();
            let status = server.status();
            let validation = status.epochs[0].validation.as_ref().unwrap();
            if retries {
                assert_eq!((validation.rows, validation.loss), (4, Some(2.0)));
                assert_eq!(status.warnings, Vec::<String>::new());
                server.snapshot().unwrap();
            } else {
                assert_eq!((validation.rows, validation.loss), (2, Some(1.0)));
                let warning =
                    "epoch 0 is evaluated without the held-out rows of worker 1.0, which is gone";
                assert_eq!(status.warnings, [warning]);
                assert_eq!(server.snapshot().unwrap_err().code(), ErrorCode::Untrained);
            }
        }
    }
}

#[test]
fn a_worker_that_dies_in_the_middle_of_an_epoch_holds_its_end_up_for_a_lease_only() {
    let mut spec = spec(2, 2, json!({}));
    spec.lease_millis = 1_000;
    let server = open(&spec, PARAMETERS);
    let mut one = join(Transport::Memory, &spec, &server, holding(0, 1, 1, 2));
    let mut two = join(Transport::Memory, &spec, &server, holding(1, 1, 2, 2));
    two.commit(1.0).unwrap();
    drop(two);
    server.attempt_ended(1, 1);
    one.commit(1.0).unwrap();
    one.commit(1.0).unwrap();
    let start = Instant::now();
    assert_eq!(one.ask_on(), Assignment::Score { epoch: 0 });
    assert!(start.elapsed() > Duration::from_millis(800));
    one.score(0, 2, 1.0);
    // No worker is waited for twice.
    assert_eq!(one.ask().1, Assignment::Score { epoch: 1 });
    let warnings = server.status().warnings;
    assert_eq!(warnings[0], "epoch 0 is evaluated without workers 1.0, which have not trained it");
    // Its retry comes back before the end and takes part in the rest.
    let mut retry = join(Transport::Memory, &spec, &server, holding(1, 2, 2, 2));
    one.score(1, 2, 1.0);
    assert_eq!(retry.ask().1, Assignment::Over);
    for _ in 0..3 {
        retry.commit(1.0).unwrap();
    }
    for mut peer in [one, retry] {
        assert_eq!(peer.ask().1, Assignment::Over);
        peer.channel.finish().unwrap();
    }
    server.snapshot().unwrap();
}

#[test]
fn a_worker_that_never_starts_holds_an_epoch_up_for_a_lease_only() {
    let mut spec = spec(2, 1, json!({}));
    spec.lease_millis = 1_000;
    let server = open(&spec, PARAMETERS);
    let mut one = join(Transport::Socket, &spec, &server, holding(0, 1, 1, 2));
    one.commit(1.0).unwrap();
    assert_eq!(one.ask().1, Assignment::Wait);
    assert_eq!(one.ask_on(), Assignment::Score { epoch: 0 });
    one.score(0, 2, 1.0);
    assert_eq!(one.ask().1, Assignment::Over);
    one.channel.finish().unwrap();
    let mut late = join(Transport::Socket, &spec, &server, holding(1, 1, 1, 2));
    late.commit(1.0).unwrap();
    assert_eq!(late.ask().1, Assignment::Over);
    late.channel.finish().unwrap();
    assert!(server.status().workers.iter().all(|worker| worker.state == WorkerState::Finished));
    server.snapshot().unwrap();
}

#[test]
fn a_round_does_not_wait_for_a_worker_that_has_trained_everything() {
    let mut spec = spec(2, 1, json!({}));
    spec.strategy = StrategySpec::named("averaging").unwrap();
    let server = open(&spec, PARAMETERS);
    let mut one = join(Transport::Memory, &spec, &server, holding(0, 1, 1, 2));
    let mut two = join(Transport::Socket, &spec, &server, holding(1, 1, 3, 2));
    two.contribute(2.0).unwrap();
    one.round(4.0).unwrap();
    two.close_round().unwrap();
    assert_eq!(one.ask().1, Assignment::Wait);
    two.round(5.0).unwrap();
    let last = two.round(6.0).unwrap();
    assert!(last.evaluation, "the answer to the round that ends the epoch tells");
    for peer in [&mut one, &mut two] {
        assert_eq!(peer.ask().1, Assignment::Score { epoch: 0 });
        assert!(peer.center.iter().all(|&c| c == 6.0));
        peer.score(0, 2, 1.0);
    }
    for mut peer in [one, two] {
        assert_eq!(peer.ask().1, Assignment::Over);
        peer.channel.finish().unwrap();
    }
}

#[test]
fn every_member_of_an_ensemble_is_scored_on_its_own_model() {
    let mut spec = spec(2, 2, json!({"stopping": {"restoreBest": true}}));
    spec.strategy = StrategySpec::named("ensemble").unwrap();
    let server = open(&spec, PARAMETERS);
    let mut peers = [0, 1]
        .map(|partition| join(Transport::Socket, &spec, &server, holding(partition, 1, 1, 2)));
    for epoch in 0..2 {
        for (peer, value) in peers.iter_mut().zip([1.0, 2.0]) {
            peer.save(value + 10.0 * epoch as f32).unwrap();
        }
        for (peer, value) in peers.iter_mut().zip([1.0, 2.0]) {
            assert_eq!(peer.ask().1, Assignment::Score { epoch });
            assert!(peer.center.iter().all(|&c| c == value + 10.0 * epoch as f32));
            peer.score(epoch, 2, f64::from(value) + f64::from(epoch));
        }
    }
    for mut peer in peers {
        assert_eq!(peer.ask().1, Assignment::Over);
        peer.channel.finish().unwrap();
    }
    assert_eq!(server.status().best_epoch, Some(0));
    let members = server.members().unwrap();
    assert!(members[0].1.iter().all(|&c| c == 1.0) && members[1].1.iter().all(|&c| c == 2.0));
}
