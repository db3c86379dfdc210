//! The state of epoch evaluation survives an interruption.

use std::thread;
use std::time::Duration;

use crate::support::scoring::*;
use crate::support::*;
use firesteel_core::spec::{ServerSpec, StrategySpec};
use firesteel_core::{Assignment, Coded, ErrorCode};
use firesteel_ps::{Checkpoint, EpochStatus, Server};
use serde_json::{Value, json};

/// The specification of a server in another process, under another fit because both are in this process here.
fn again(spec: &ServerSpec) -> ServerSpec {
    ServerSpec { fit: format!("{}-resumed", spec.fit), ..spec.clone() }
}

fn resumed(spec: &ServerSpec, server: Server) -> (ServerSpec, Server) {
    let bytes = server.checkpoint("of this test").unwrap().to_bytes().unwrap();
    drop(server);
    let spec = again(spec);
    let read = Checkpoint::read(&bytes).unwrap();
    assert_eq!(read.to_bytes().unwrap(), bytes);
    let server = Server::resume(&spec, layout(PARAMETERS), &read).unwrap();
    (spec, server)
}

fn controls() -> Value {
    json!({
        "stopping": {"patience": 3, "restoreBest": true},
        "schedule": {"name": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.1, "thresholdMode": "absolute",
            "cooldown": 0, "minimum": 0.0},
    })
}

#[test]
fn the_best_model_the_patience_the_plateau_and_the_metrics_are_those_of_an_undisturbed_fit() {
    const LOSSES: [f64; 5] = [2.0, 1.0, 1.5, 1.25, 1.75];
    for strategy in ["downpour", "ensemble"] {
        let outcome = |interrupted: Option<usize>| {
            let mut spec = spec(2, 9, controls());
            spec.optimizer = Some(sgd(0.8));
            if strategy == "ensemble" {
                spec.strategy = StrategySpec::named(strategy).unwrap();
            }
            let mut server = open(&spec, PARAMETERS);
            let join = |spec: &ServerSpec, server: &Server, attempt| {
                [0, 1].map(|worker| {
                    scoring::join(Transport::Memory, spec, server, holding(worker, attempt, 1, 2))
                })
            };
            let mut peers = join(&spec, &server, 5);
            for (epoch, loss) in LOSSES.into_iter().enumerate() {
                if interrupted == Some(epoch) {
                    drop(peers);
                    (spec, server) = resumed(&spec, server);
                    // Another application counts its attempts anew.
                    peers = join(&spec, &server, 0);
                }
                for peer in &mut peers {
                    // So that it knows the reductions even if it has just joined.
                    peer.pull();
                    match strategy {
                        "ensemble" => peer.save(epoch as f32 + 1.0).unwrap(),
                        _ => peer.commit(1.0).unwrap(),
                    };
                }
                for peer in &mut peers {
                    assert_eq!(peer.ask_on(), Assignment::Score { epoch: epoch as u32 });
                    peer.score(epoch as u32, 2, loss);
                }
            }
            for peer in &mut peers {
                assert!(peer.ask().0.stop);
                peer.channel.finish().unwrap();
            }
            let status = server.status();
            let epochs: Vec<EpochStatus> = status.epochs;
            let validations: Vec<_> = server
                .summary()
                .ledger
                .iter()
                .map(|entry| (entry.epoch, entry.learning_rate, entry.validation.clone()))
                .collect();
            (
                (status.stopped, status.best_epoch, status.reductions),
                epochs,
                validations,
                server.snapshot().unwrap(),
                server.members().unwrap(),
            )
        };
        let straight = outcome(None);
        assert_eq!(straight.0.1, Some(1), "{strategy}");
        assert_eq!(straight.0.2, 3, "{strategy}");
        for epoch in 1..LOSSES.len() {
            let resumed = outcome(Some(epoch));
            let parts = (&resumed.0, &resumed.1, &resumed.2);
            assert_eq!(parts, (&straight.0, &straight.1, &straight.2), "{strategy}, epoch {epoch}");
            // Not compared by `assert_eq`, which would print them.
            assert!(
                resumed.3 == straight.3 && resumed.4 == straight.4,
                "{strategy}, epoch {epoch}"
            );
        }
    }
}

#[test]
fn an_epoch_that_was_being_scored_is_scored_anew() {
    let spec = spec(2, 2, controls());
    let server = open(&spec, PARAMETERS);
    let mut peers =
        [0, 1].map(|worker| join(Transport::Memory, &spec, &server, holding(worker, 5, 1, 2)));
    for peer in &mut peers {
        peer.commit(1.0).unwrap();
    }
    assert_eq!(peers[0].ask().1, Assignment::Score { epoch: 0 });
    peers[0].score(0, 2, 1.0);
    drop(peers);
    let (spec, server) = resumed(&spec, server);
    let mut peers =
        [0, 1].map(|worker| join(Transport::Memory, &spec, &server, holding(worker, 0, 1, 2)));
    for peer in &mut peers {
        assert_eq!(peer.ask_on(), Assignment::Score { epoch: 0 });
    }
    for peer in &mut peers {
        peer.score(0, 2, 3.0);
    }
    assert_eq!(epoch(&server, 0).validation.unwrap().loss, Some(3.0));
}

#[test]
fn the_time_before_the_interruption_counts() {
    let spec = spec(1, 9, json!({"stopping": {"maxSeconds": 0.4}}));
    let server = open(&spec, PARAMETERS);
    let mut peer = join(Transport::Memory, &spec, &server, holding(0, 5, 1, 2));
    assert!(!peer.commit(1.0).unwrap().stop);
    drop(peer);
    thread::sleep(Duration::from_millis(500));
    let (spec, server) = resumed(&spec, server);
    let mut peer = join(Transport::Memory, &spec, &server, holding(0, 0, 1, 2));
    assert!(peer.commit(1.0).unwrap().stop);
}

#[test]
fn a_fit_with_other_metrics_refuses_the_checkpoint() {
    let spec = spec(1, 3, json!({"stopping": {"patience": 3}}));
    let server = open(&spec, PARAMETERS);
    let mut peer = join(Transport::Memory, &spec, &server, holding(0, 5, 1, 2));
    peer.commit(1.0).unwrap();
    peer.score(0, 2, 1.0);
    let bytes = server.checkpoint("of this test").unwrap().to_bytes().unwrap();
    let mut other = again(&spec);
    other.controls = serde_json::from_value(json!({"metrics": ["accuracy"]})).unwrap();
    let error = Server::resume(&other, layout(PARAMETERS), &Checkpoint::read(&bytes).unwrap())
        .err()
        .unwrap();
    assert_eq!(error.code(), ErrorCode::Checkpoint);
    assert!(error.to_string().contains("metrics"), "{error}");
}

#[test]
fn the_time_for_an_epoch_to_be_scored_begins_when_somebody_is_back() {
    let mut spec = spec(2, 3, controls());
    spec.lease_millis = 400;
    let server = open(&spec, PARAMETERS);
    let mut peers =
        [0, 1].map(|worker| join(Transport::Memory, &spec, &server, holding(worker, 5, 1, 2)));
    for peer in &mut peers {
        peer.commit(1.0).unwrap();
    }
    drop(peers);
    let (spec, server) = resumed(&spec, server);
    // The driver reads the state while executors start and read their rows.
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(100));
        assert!(server.status().failure.is_none());
    }
    let mut one = join(Transport::Memory, &spec, &server, holding(0, 0, 1, 2));
    assert_eq!(one.ask().1, Assignment::Wait);
    let mut two = join(Transport::Memory, &spec, &server, holding(1, 0, 1, 2));
    assert_eq!(one.ask_on(), Assignment::Score { epoch: 0 });
    one.score(0, 2, 1.0);
    assert_eq!(two.ask_on(), Assignment::Score { epoch: 0 });
    two.score(0, 2, 3.0);
    let validation = epoch(&server, 0).validation.unwrap();
    assert_eq!((validation.rows, validation.loss), (4, Some(2.0)));
    assert_eq!(
        server.status().warnings.iter().filter(|text| text.contains("evaluated without")).count(),
        0
    );
}

#[test]
fn a_worker_that_had_no_rows_and_has_some_after_a_resume_trains_them() {
    let spec = ServerSpec { epochs: 3, ..server_spec(2, 3) };
    let server = open(&spec, PARAMETERS);
    let mut one = join(Transport::Memory, &spec, &server, registration(0, 5, 1));
    let mut two = join(Transport::Memory, &spec, &server, registration(1, 5, 0));
    assert_eq!(two.position.epoch, 3);
    two.channel.finish().unwrap();
    one.commit(1.0).unwrap();
    drop((one, two));
    let (spec, server) = resumed(&spec, server);
    let one = join(Transport::Memory, &spec, &server, registration(0, 0, 1));
    let two = join(Transport::Memory, &spec, &server, registration(1, 0, 1));
    assert_eq!((one.position.epoch, two.position.epoch), (1, 1));
}
