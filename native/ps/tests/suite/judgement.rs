//! The consequences of evaluated epochs: early stopping, best weights, reduced learning rates.

use std::thread;
use std::time::Duration;

use crate::support::scoring::*;
use crate::support::*;
use firesteel_core::epoch_monitor::StopReason;
use firesteel_core::spec::StrategySpec;
use firesteel_core::{Answer, Assignment, Coded, ErrorCode};
use firesteel_ps::Server;
use serde_json::json;

#[test]
fn patience_ends_the_training_and_the_best_epochs_model_is_given() {
    for transport in ROADS {
        let controls = json!({"stopping": {"patience": 2, "restoreBest": true}});
        let spec = spec(2, 9, controls);
        let server = open(&spec, PARAMETERS);
        let mut peers =
            [0, 1].map(|partition| join(transport, &spec, &server, holding(partition, 1, 1, 2)));
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
        // An update that is under way is applied, but the model is that of the best epoch.
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
    let mut peer = join(Transport::Memory, &spec, &server, holding(0, 1, 1, 2));
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
    for transport in ROADS {
        let mut spec = spec(1, 5, plateau.clone());
        spec.optimizer = Some(sgd(0.8));
        let server = open(&spec, PARAMETERS);
        let mut peer = join(transport, &spec, &server, holding(0, 1, 1, 2));
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
    let mut one = join(Transport::Memory, &spec, &server, registration(0, 1, 2));
    let mut two = join(Transport::Socket, &spec, &server, registration(1, 1, 1));
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
fn time_ends_the_training_with_the_model_so_far() {
    for transport in ROADS {
        let mut spec = spec(2, 1000, json!({"stopping": {"maxSeconds": 0.4}}));
        spec.strategy = StrategySpec::named("averaging").unwrap();
        let server = open(&spec, PARAMETERS);
        thread::sleep(Duration::from_millis(500));
        let mut one = join(transport, &spec, &server, holding(0, 1, 1, 2));
        let mut two = join(transport, &spec, &server, holding(1, 1, 1, 2));
        two.contribute(2.0).unwrap();
        assert!(!one.round(2.0).unwrap().stop, "time counts from the first worker on");
        two.close_round().unwrap();
        // One worker waits in a round, and the other one leaves it after it has heard of the end.
        thread::scope(|scope| {
            let waits = scope.spawn(|| one.round(2.0).unwrap());
            thread::sleep(Duration::from_millis(500));
            assert!(two.ask().0.stop);
            two.channel.finish().unwrap();
            assert!(waits.join().unwrap().stop);
        });
        assert_eq!(one.ask().1, Assignment::Over);
        one.channel.finish().unwrap();
        assert_eq!(server.status().stopped, Some(StopReason::MaxSeconds));
        assert!(server.snapshot().unwrap().0.iter().all(|&c| c == 2.0));
    }
}

#[test]
fn sync_clips_the_mean_gradient_and_follows_the_schedule_on_the_server() {
    let mut spec = server_spec(2, 3);
    spec.strategy = StrategySpec::named("sync").unwrap();
    // The server's optimizer takes the place of the fit's.
    spec.optimizer = Some(sgd(9.0));
    set_options(&mut spec.strategy, &json!({"serverOptimizer": sgd(1.0)}));
    spec.controls = serde_json::from_value(json!({
        "schedule": {"name": "exponential", "gamma": 0.5}, "clipping": {"value": 4.0, "norm": 50.0},
    }))
    .unwrap();
    let server = open(&spec, PARAMETERS);
    let mut one = join(Transport::Memory, &spec, &server, registration(0, 1, 1));
    let mut two = join(Transport::Socket, &spec, &server, registration(1, 1, 1));
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
        let mut peer = join(Transport::Memory, &spec, &server, holding(0, 1, 1, 0));
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
fn controls_that_do_not_fit_are_refused_on_the_driver() {
    let spec = spec(1, 1, json!({"metrics": ["mse"]}));
    let opened = Server::open(&spec, layout(PARAMETERS), vec![0.0; PARAMETERS], buffers());
    let error = opened.err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidSpec);
    assert_eq!(
        error.to_string(),
        "option 'metrics' contains mse, which needs numbers; label 'y' holds 2 classes"
    );
}

#[test]
fn a_best_model_that_is_not_finite_is_not_given() {
    let controls =
        json!({"stopping": {"patience": 5, "restoreBest": true, "monitor": "trainingLoss"}});
    let spec = spec(1, 1, controls);
    let server = open(&spec, PARAMETERS);
    let mut peer = join(Transport::Memory, &spec, &server, holding(0, 1, 2, 2));
    peer.commit(3e38).unwrap();
    peer.commit(3e38).unwrap();
    assert_eq!(peer.ask_on(), Assignment::Score { epoch: 0 });
    peer.score(0, 2, 1.0);
    peer.channel.finish().unwrap();
    assert_eq!(server.status().best_epoch, Some(0));
    assert_eq!(server.snapshot().unwrap_err().code(), ErrorCode::Diverged);
}

#[test]
fn when_everything_is_trained_the_time_to_judge_it_does_not_count() {
    let spec = spec(1, 1, json!({"stopping": {"maxSeconds": 0.3}}));
    let server = open(&spec, PARAMETERS);
    let mut peer = join(Transport::Memory, &spec, &server, holding(0, 1, 1, 2));
    peer.commit(1.0).unwrap();
    thread::sleep(Duration::from_millis(400));
    assert_eq!(peer.ask_on(), Assignment::Score { epoch: 0 });
    assert!(!peer.score(0, 2, 1.0).stop);
    peer.channel.finish().unwrap();
    assert_eq!(server.status().stopped, None);
    assert_eq!(epoch(&server, 0).validation.unwrap().rows, 2);
}
