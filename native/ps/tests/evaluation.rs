//! The ends of epochs: held-out rows scored on a frozen center variable, and what follows, in every order of events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::compression::CompressionSpec;
use firesteel_core::judge::StopReason;
use firesteel_core::spec::{LabelKind, LabelSpec, OptimizerSpec, ServerSpec, ValidationSpec};
use firesteel_core::{Answer, Assignment, Coded, ErrorCode, Registration};
use firesteel_ps::{EpochStatus, Server, WorkerState};
use serde_json::{Value, json};
use support::*;

const PARAMETERS: usize = 40_000;

/// A fit with rows held out and these controls.
fn spec(workers: u32, epochs: u32, controls: Value) -> ServerSpec {
    let mut spec = server_spec(workers, epochs);
    spec.controls = serde_json::from_value(controls).unwrap();
    spec.data.validation = Some(ValidationSpec::Column { column: "held out".to_owned() });
    spec.data.labels =
        vec![LabelSpec { column: "y".to_owned(), kind: LabelKind::Class { classes: 2 } }];
    spec
}

fn holding(partition: u32, attempt: i64, batches: u32, held_out: u64) -> Registration {
    Registration { held_out, ..registration(partition, attempt, batches) }
}

fn join(road: Road, spec: &ServerSpec, server: &Server, registration: Registration) -> Peer {
    Peer::connect(road, &client_spec(spec, server.port()), PARAMETERS, registration)
}

impl Peer {
    fn ask(&mut self) -> (Answer, Assignment) {
        self.channel.evaluate(&mut self.center, &mut self.buffers).unwrap()
    }

    /// Scores `rows` rows of this loss, which weigh 1 each.
    fn score(&mut self, epoch: u32, rows: u64, loss: f64) -> Answer {
        let rows = rows as f64;
        self.channel.score(epoch, &[rows, rows, rows * loss, rows]).unwrap()
    }

    /// Asks until there is something else to do than to wait.
    fn ask_on(&mut self) -> Assignment {
        let start = Instant::now();
        loop {
            match self.ask().1 {
                Assignment::Wait => assert!(start.elapsed() < Duration::from_secs(20), "a hang"),
                other => return other,
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn epoch(server: &Server, epoch: usize) -> EpochStatus {
    server.status().epochs[epoch].clone()
}

#[test]
fn an_epoch_is_scored_on_the_version_that_its_last_window_made_whatever_comes_after() {
    for road in ROADS {
        let spec = spec(2, 2, json!({}));
        let server = open(&spec, PARAMETERS);
        let mut one = join(road, &spec, &server, holding(0, 1, 2, 6));
        let mut two = join(road, &spec, &server, holding(1, 1, 1, 2));
        assert!(!two.commit(1.0).unwrap().evaluation);
        assert!(!one.commit(1.0).unwrap().evaluation);
        assert_eq!(one.ask().1, Assignment::Wait);
        let answer = one.commit(1.0).unwrap();
        assert!(answer.evaluation, "the answer to the last window tells");
        // The next epoch goes on meanwhile.
        two.commit(1.0).unwrap();
        for peer in [&mut one, &mut two] {
            peer.center.fill(f32::NAN);
            let (answer, assignment) = peer.ask();
            assert_eq!(assignment, Assignment::Score { epoch: 0 });
            assert!(answer.evaluation && !answer.stop);
            assert!(peer.center.iter().all(|&c| c == 3.0), "{road:?}");
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
    for road in ROADS {
        let mut spec = spec(1, 1, json!({}));
        spec.strategy.compression = Some(CompressionSpec::Bf16 {});
        spec.strategy.compress_pull = Some(true);
        let server = open(&spec, PARAMETERS);
        let mut peer = join(road, &spec, &server, holding(0, 1, 3, 2));
        // Sums of numbers of 8 bits that take more.
        peer.exchange(1.0).unwrap();
        peer.exchange(1.0 / 64.0).unwrap();
        peer.commit(1.0 / 2048.0).unwrap();
        assert_eq!(peer.ask().1, Assignment::Score { epoch: 0 });
        let exact = 1.0 + 1.0 / 64.0 + 1.0 / 2048.0;
        assert!(peer.center.iter().all(|&c| c == exact), "{road:?}: {}", peer.center[0]);
        peer.pull();
        assert!(peer.center.iter().all(|&c| c != exact), "{road:?}: {}", peer.center[0]);
    }
}

#[test]
fn metrics_of_all_workers_merge() {
    let spec = spec(2, 1, json!({"metrics": ["accuracy", "confusion"]}));
    let server = open(&spec, PARAMETERS);
    let mut one = join(Road::Socket, &spec, &server, holding(0, 1, 1, 4));
    let mut two = join(Road::Memory, &spec, &server, holding(1, 1, 1, 4));
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
fn scores_count_once_and_only_while_they_are_wanted() {
    let spec = spec(2, 2, json!({}));
    let server = open(&spec, PARAMETERS);
    let mut one = join(Road::Socket, &spec, &server, holding(0, 1, 1, 5));
    let mut two = join(Road::Memory, &spec, &server, holding(1, 1, 1, 5));
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
    let mut peer = join(Road::Socket, &plain, &other, holding(0, 1, 1, 5));
    assert_eq!(peer.ask().1, Assignment::Over, "nothing depends on the end of an epoch");
    assert_eq!(peer.channel.score(0, &[0.0; 4]).unwrap_err().code(), ErrorCode::Protocol);
}

#[test]
fn patience_ends_the_training_and_the_best_epochs_model_is_given() {
    for road in ROADS {
        let controls = json!({"stopping": {"patience": 2, "restoreBest": true}});
        let spec = spec(2, 9, controls);
        let server = open(&spec, PARAMETERS);
        let mut peers =
            [0, 1].map(|partition| join(road, &spec, &server, holding(partition, 1, 1, 2)));
        for (epoch, loss) in [2.0, 1.0, 1.5, 1.25].into_iter().enumerate() {
            for peer in &mut peers {
                assert!(!peer.commit(1.0).unwrap().stop);
            }
            for peer in &mut peers {
                assert_eq!(peer.ask().1, Assignment::Score { epoch: epoch as u32 });
                let last = epoch == 3 && peer.registration.worker.partition == 1;
                assert_eq!(peer.score(epoch as u32, 2, loss).stop, last);
            }
        }
        let [mut one, mut two] = peers;
        assert_eq!(
            one.ask(),
            (Answer { version: 8, stop: true, ..Answer::default() }, Assignment::Over)
        );
        // What is under way is applied; the model is the best one's all the same.
        assert!(one.commit(7.0).unwrap().stop);
        one.channel.finish().unwrap();
        two.channel.finish().unwrap();
        let status = server.status();
        assert_eq!((status.stopped, status.best_epoch), (Some(StopReason::Patience), Some(1)));
        let (center, _, version) = server.snapshot().unwrap();
        assert!(center.iter().all(|&c| c == 4.0));
        assert_eq!(version, 4);
    }
}

#[test]
fn without_restoring_the_model_is_the_last_one() {
    let spec = spec(1, 2, json!({"stopping": {"patience": 5}}));
    let server = open(&spec, PARAMETERS);
    let mut peer = join(Road::Memory, &spec, &server, holding(0, 1, 1, 2));
    for (epoch, loss) in [1.0, 2.0].into_iter().enumerate() {
        peer.commit(1.0).unwrap();
        peer.score(epoch as u32, 2, loss);
    }
    peer.channel.finish().unwrap();
    assert_eq!(server.status().best_epoch, Some(0));
    assert!(server.snapshot().unwrap().0.iter().all(|&c| c == 2.0));
}

#[test]
fn a_plateau_is_told_with_every_answer() {
    let plateau = json!({"schedule": {"name": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.1,
        "thresholdMode": "absolute", "cooldown": 0, "minimum": 0.0}});
    for road in ROADS {
        let mut spec = spec(1, 5, plateau.clone());
        spec.optimizer = Some(sgd(0.8));
        let server = open(&spec, PARAMETERS);
        let mut peer = join(road, &spec, &server, holding(0, 1, 1, 2));
        let mut reductions = Vec::new();
        for (epoch, loss) in [1.0, 0.95, 0.5, 0.45].into_iter().enumerate() {
            peer.exchange(1.0).unwrap();
            reductions.push(peer.score(epoch as u32, 2, loss).reductions);
        }
        assert_eq!(reductions, [0, 1, 1, 2]);
        assert_eq!(peer.pull().reductions, 2);
        assert_eq!(peer.commit(1.0).unwrap().reductions, 2);
        let rates: Vec<_> =
            server.status().epochs.iter().map(|epoch| epoch.learning_rate.unwrap()).collect();
        assert_eq!(rates, [0.8, 0.8, 0.4, 0.4, 0.2]);
        assert_eq!(server.summary().ledger[2].learning_rate, Some(0.4));
    }
}

#[test]
fn without_held_out_rows_epochs_are_judged_by_the_loss_of_the_training() {
    let mut spec = server_spec(2, 9);
    spec.controls.stopping.target_loss = Some(0.5);
    let server = open(&spec, PARAMETERS);
    let mut one = join(Road::Memory, &spec, &server, registration(0, 1, 2));
    let mut two = join(Road::Socket, &spec, &server, registration(1, 1, 1));
    one.commit(1.0).unwrap();
    assert!(!two.commit(1.0).unwrap().stop);
    one.commit(1.0).unwrap();
    assert!(two.ask().0.stop, "the mean loss of every window of these tests is 0.5");
    assert_eq!(server.status().stopped, Some(StopReason::TargetLoss));
    for mut peer in [one, two] {
        peer.channel.finish().unwrap();
    }
    assert!(server.snapshot().unwrap().0.iter().all(|&c| c == 3.0));
}

#[test]
fn a_worker_that_dies_while_its_rows_are_wanted_is_replaced_or_left_out() {
    for road in ROADS {
        for retries in [true, false] {
            let mut spec = spec(2, 1, json!({}));
            spec.lease_millis = 400;
            let server = open(&spec, PARAMETERS);
            let mut one = join(road, &spec, &server, holding(0, 1, 1, 2));
            let mut two = join(road, &spec, &server, holding(1, 1, 1, 2));
            one.commit(1.0).unwrap();
            two.commit(1.0).unwrap();
            one.score(0, 2, 1.0);
            assert_eq!(two.ask().1, Assignment::Score { epoch: 0 });
            drop(two);
            server.attempt_ended(1, 1);
            assert_eq!(one.ask().1, Assignment::Wait);
            if retries {
                let mut retry = join(road, &spec, &server, holding(1, 2, 1, 2));
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
                    "epoch 0 is judged without the held-out rows of worker 1.0, which has gone";
                assert_eq!(status.warnings, [warning]);
                assert_eq!(server.snapshot().unwrap_err().code(), ErrorCode::Untrained);
            }
        }
    }
}

#[test]
fn a_worker_that_dies_in_the_middle_of_an_epoch_holds_its_end_up_for_a_lease_only() {
    let mut spec = spec(2, 2, json!({}));
    spec.lease_millis = 400;
    let server = open(&spec, PARAMETERS);
    let mut one = join(Road::Memory, &spec, &server, holding(0, 1, 1, 2));
    let mut two = join(Road::Memory, &spec, &server, holding(1, 1, 2, 2));
    two.commit(1.0).unwrap();
    drop(two);
    server.attempt_ended(1, 1);
    one.commit(1.0).unwrap();
    one.commit(1.0).unwrap();
    let start = Instant::now();
    assert_eq!(one.ask_on(), Assignment::Score { epoch: 0 });
    assert!(start.elapsed() > Duration::from_millis(300));
    one.score(0, 2, 1.0);
    // Nobody is waited for twice.
    assert_eq!(one.ask().1, Assignment::Score { epoch: 1 });
    let warnings = server.status().warnings;
    assert_eq!(warnings[0], "epoch 0 is judged without workers 1.0, which have not trained it");
    // Its retry comes back before the end, and is there for the rest.
    let mut retry = join(Road::Memory, &spec, &server, holding(1, 2, 2, 2));
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
    spec.lease_millis = 400;
    let server = open(&spec, PARAMETERS);
    let mut one = join(Road::Socket, &spec, &server, holding(0, 1, 1, 2));
    one.commit(1.0).unwrap();
    assert_eq!(one.ask().1, Assignment::Wait);
    assert_eq!(one.ask_on(), Assignment::Score { epoch: 0 });
    one.score(0, 2, 1.0);
    assert_eq!(one.ask().1, Assignment::Over);
    one.channel.finish().unwrap();
    let mut late = join(Road::Socket, &spec, &server, holding(1, 1, 1, 2));
    late.commit(1.0).unwrap();
    assert_eq!(late.ask().1, Assignment::Over);
    late.channel.finish().unwrap();
    assert!(server.status().workers.iter().all(|worker| worker.state == WorkerState::Finished));
    server.snapshot().unwrap();
}

#[test]
fn time_ends_the_training_with_the_model_so_far() {
    for road in ROADS {
        let mut spec = spec(2, 1000, json!({"stopping": {"maxSeconds": 0.4}}));
        spec.strategy.name = "averaging".to_owned();
        spec.strategy.window = None;
        let server = open(&spec, PARAMETERS);
        thread::sleep(Duration::from_millis(500));
        let mut one = join(road, &spec, &server, holding(0, 1, 1, 2));
        let mut two = join(road, &spec, &server, holding(1, 1, 1, 2));
        two.contribute(2.0).unwrap();
        assert!(!one.round(2.0).unwrap().stop, "time counts from the first worker on");
        two.close_round().unwrap();
        // One waits in a round that the other never joins.
        assert!(one.round(2.0).unwrap().stop);
        assert!(two.ask().0.stop);
        for mut peer in [one, two] {
            assert_eq!(peer.ask().1, Assignment::Over);
            peer.channel.finish().unwrap();
        }
        assert_eq!(server.status().stopped, Some(StopReason::MaxSeconds));
        assert!(server.snapshot().unwrap().0.iter().all(|&c| c == 2.0));
    }
}

#[test]
fn a_round_does_not_wait_for_a_worker_that_has_trained_everything() {
    let mut spec = spec(2, 1, json!({}));
    spec.strategy.name = "averaging".to_owned();
    spec.strategy.window = None;
    let server = open(&spec, PARAMETERS);
    let mut one = join(Road::Memory, &spec, &server, holding(0, 1, 1, 2));
    let mut two = join(Road::Socket, &spec, &server, holding(1, 1, 3, 2));
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
fn sync_clips_the_mean_gradient_and_follows_the_schedule_on_the_server() {
    let mut spec = server_spec(2, 3);
    spec.strategy.name = "sync".to_owned();
    spec.strategy.window = None;
    // The server's own takes the place of the fit's.
    spec.optimizer = Some(sgd(9.0));
    spec.strategy.server_optimizer = Some(sgd(1.0));
    spec.controls = serde_json::from_value(json!({
        "schedule": {"name": "exponential", "gamma": 0.5}, "clipping": {"value": 4.0, "norm": 50.0},
    }))
    .unwrap();
    let server = open(&spec, PARAMETERS);
    let mut one = join(Road::Memory, &spec, &server, registration(0, 1, 1));
    let mut two = join(Road::Socket, &spec, &server, registration(1, 1, 1));
    let mut center = 0.0_f64;
    for (epoch, (a, b)) in [(-0.5, 0.7), (3.0, 100.0), (0.01, 0.02)].into_iter().enumerate() {
        two.contribute(b).unwrap();
        one.round(a).unwrap();
        two.close_round().unwrap();
        let mean = (f64::from(a) + f64::from(b)) / 2.0;
        let bounded = mean.clamp(-4.0, 4.0);
        let norm = bounded.abs() * (PARAMETERS as f64).sqrt();
        let clipped = bounded * (50.0 / (norm + 1e-6)).min(1.0);
        center -= 0.5_f64.powi(epoch as i32) * clipped;
        for peer in [&one, &two] {
            let far = |c: &&f32| (f64::from(**c) - center).abs() > 1e-5 * center.abs();
            assert_eq!(peer.center.iter().find(far), None, "epoch {epoch}: {center}");
        }
    }
    let rates: Vec<_> =
        server.status().epochs.iter().map(|epoch| epoch.learning_rate.unwrap()).collect();
    assert_eq!(rates, [1.0, 0.5, 0.25]);
}

#[test]
fn rows_that_should_be_held_out_and_are_not_fail_what_depends_on_them() {
    for (controls, fails) in [(json!({"stopping": {"patience": 1}}), true), (json!({}), false)] {
        let spec = spec(1, 2, controls);
        let server = open(&spec, PARAMETERS);
        let mut peer = join(Road::Memory, &spec, &server, holding(0, 1, 1, 0));
        peer.commit(1.0).unwrap();
        let status = server.status();
        assert_eq!(peer.ask().0.stop, fails);
        match status.failure {
            Some(failure) => {
                assert!(fails);
                assert_eq!(failure.code, ErrorCode::InvalidData.number());
                assert!(failure.message.starts_with("no row is held out for validation"));
            }
            None => {
                assert!(!fails);
                let warning = "no row is held out for validation: there are no metrics";
                assert_eq!(status.warnings, [warning]);
            }
        }
    }
}

#[test]
fn every_member_of_an_ensemble_is_scored_on_its_own_model() {
    let mut spec = spec(2, 2, json!({"stopping": {"restoreBest": true}}));
    spec.strategy.name = "ensemble".to_owned();
    spec.strategy.window = None;
    let server = open(&spec, PARAMETERS);
    let mut peers =
        [0, 1].map(|partition| join(Road::Socket, &spec, &server, holding(partition, 1, 1, 2)));
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

#[test]
fn controls_that_do_not_fit_are_refused_on_the_driver() {
    let spec = spec(1, 1, json!({"metrics": ["mse"]}));
    let opened = Server::open(&spec, layout(PARAMETERS), vec![0.0; PARAMETERS], buffers());
    let error = opened.err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidSpec);
    assert_eq!(
        error.to_string(),
        "option 'metrics' asks for mse, which needs numbers; label 'y' holds 2 classes"
    );
}

fn sgd(learning_rate: f64) -> OptimizerSpec {
    OptimizerSpec::Sgd {
        learning_rate,
        momentum: 0.0,
        dampening: 0.0,
        nesterov: false,
        weight_decay: 0.0,
    }
}
