//! Attempts of the same worker, in sequence and concurrently.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;
use firesteel_core::spec::ServerSpec;
use firesteel_core::{CancelFlag, Coded, ErrorCode, Position};
use firesteel_ps::{Server, WorkerState};

const PARAMETERS: usize = 100;

fn opened(lease_millis: u64) -> (ServerSpec, Server) {
    let mut spec = server_spec(2, 3);
    spec.lease_millis = lease_millis;
    let server = open(&spec, PARAMETERS);
    (spec, server)
}

fn position(epoch: u32, batch: u32) -> Position {
    Position { epoch, batch }
}

#[test]
fn a_newer_attempt_waits_for_the_lease_and_goes_on_where_the_older_one_ended() {
    for transport in ROADS {
        let (spec, server) = opened(30_000);
        let client = client_spec(&spec, server.port());
        let mut old = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        for _ in 0..5 {
            old.commit(1.0).unwrap();
        }
        thread::scope(|scope| {
            let newer = scope
                .spawn(|| Peer::connect(transport, &client, PARAMETERS, registration(0, 2, 4)));
            thread::sleep(Duration::from_millis(300));
            assert!(!newer.is_finished(), "the older one is alive");
            old.commit(1.0).unwrap();
            server.attempt_ended(0, 1);
            let mut newer = newer.join().unwrap();
            assert_eq!(newer.position, position(1, 2));
            let error = old.commit(1.0).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Fenced);
            assert!(error.to_string().contains("attempt 2 has taken over"), "{error}");
            assert_eq!(old.channel.finish().unwrap_err().code(), ErrorCode::Fenced);
            let abort = old.channel.abort(ErrorCode::Internal, "no longer its business");
            assert_eq!(abort.unwrap_err().code(), ErrorCode::Fenced);
            newer.pull();
            assert_eq!(newer.commit(1.0).unwrap().version, 7, "its sequence starts anew");
        });
        let ledger = server.summary().ledger;
        assert_eq!((ledger[0].rows, ledger[1].rows), (40, 30));
        let spans: Vec<_> =
            ledger[1].spans.iter().map(|s| (s.attempt, s.start, s.batches)).collect();
        assert_eq!(spans, [(1, 0, 2), (2, 2, 1)]);
        assert_eq!(server.status().failure, None);
    }
}

#[test]
fn a_silent_attempt_loses_its_lease_to_a_newer_one_but_not_to_silence_alone() {
    for transport in ROADS {
        let (spec, server) = opened(400);
        let client = client_spec(&spec, server.port());
        let mut old = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        thread::sleep(Duration::from_millis(500));
        assert_eq!(server.status().workers[0].state, WorkerState::Lost);
        old.commit(1.0).unwrap();
        assert_eq!(server.status().workers[0].state, WorkerState::Live);
        let start = Instant::now();
        let newer = Peer::connect(transport, &client, PARAMETERS, registration(0, 2, 4));
        assert!((300..2_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        assert_eq!(newer.position, position(0, 1));
        assert_eq!(old.commit(1.0).unwrap_err().code(), ErrorCode::Fenced);
    }
}

#[test]
fn heartbeats_keep_the_lease() {
    for transport in ROADS {
        let (spec, server) = opened(600);
        let client = client_spec(&spec, server.port());
        let mut old = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        thread::scope(|scope| {
            let cancel = CancelFlag::new();
            let (client, flag) = (&client, cancel.clone());
            let newer = scope.spawn(move || {
                Peer::try_connect(transport, client, PARAMETERS, registration(0, 2, 4), &flag)
            });
            for _ in 0..30 {
                old.channel.heartbeat(old.position, 0, TALLY).unwrap();
                thread::sleep(Duration::from_millis(50));
            }
            assert!(!newer.is_finished());
            cancel.cancel();
            assert_eq!(newer.join().unwrap().err().unwrap().code(), ErrorCode::Cancelled);
        });
        old.commit(1.0).unwrap();
    }
}

#[test]
fn a_lease_outlives_its_connection_by_a_short_grace_only() {
    for transport in ROADS {
        let (spec, server) = opened(60_000);
        let client = client_spec(&spec, server.port());
        let old = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        drop(old);
        let again = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        drop(again);
        let start = Instant::now();
        Peer::connect(transport, &client, PARAMETERS, registration(0, 2, 4));
        assert!((1_500..5_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }
}

#[test]
fn an_older_attempt_that_comes_later_is_fenced_at_once() {
    for transport in ROADS {
        let (spec, server) = opened(30_000);
        let client = client_spec(&spec, server.port());
        let mut newer = Peer::connect(transport, &client, PARAMETERS, registration(0, 9, 4));
        let late = Peer::try_connect(
            transport,
            &client,
            PARAMETERS,
            registration(0, 8, 4),
            &CancelFlag::new(),
        );
        assert_eq!(late.err().unwrap().code(), ErrorCode::Fenced);
        newer.commit(1.0).unwrap();
    }
}

#[test]
fn an_attempt_that_spark_reported_ended_is_fenced_even_if_it_lives_on() {
    for transport in ROADS {
        let (spec, server) = opened(30_000);
        let client = client_spec(&spec, server.port());
        let mut zombie = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        let mut other = Peer::connect(transport, &client, PARAMETERS, registration(1, 2, 4));
        server.attempt_ended(0, 1);
        assert_eq!(zombie.commit(1.0).unwrap_err().code(), ErrorCode::Fenced);
        let again = Peer::try_connect(
            transport,
            &client,
            PARAMETERS,
            registration(0, 1, 4),
            &CancelFlag::new(),
        );
        assert_eq!(again.err().unwrap().code(), ErrorCode::Fenced);
        other.commit(1.0).unwrap();
    }
}

#[test]
fn of_several_waiting_attempts_the_newest_gets_the_lease_and_the_others_are_fenced() {
    for transport in ROADS {
        let (spec, server) = opened(30_000);
        let client = client_spec(&spec, server.port());
        let mut holder = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        thread::scope(|scope| {
            let waiting = [3, 2].map(|attempt| {
                let client = &client;
                let waiting = scope.spawn(move || {
                    Peer::try_connect(
                        transport,
                        client,
                        PARAMETERS,
                        registration(0, attempt, 4),
                        &CancelFlag::new(),
                    )
                });
                thread::sleep(Duration::from_millis(150));
                waiting
            });
            holder.commit(1.0).unwrap();
            server.attempt_ended(0, 1);
            let [newest, other] = waiting.map(|waiting| waiting.join().unwrap());
            assert_eq!(newest.unwrap().position, position(0, 1));
            assert_eq!(other.err().unwrap().code(), ErrorCode::Fenced);
        });
    }
}

#[test]
fn a_finished_worker_gives_its_lease_back_and_a_copy_of_it_finds_nothing_to_do() {
    for transport in ROADS {
        let (spec, server) = opened(30_000);
        let client = client_spec(&spec, server.port());
        let mut first = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 1));
        for _ in 0..3 {
            first.commit(1.0).unwrap();
        }
        first.channel.finish().unwrap();
        first.channel.finish().unwrap();
        assert_eq!(server.status().workers[0].state, WorkerState::Finished);
        let mut copy = Peer::connect(transport, &client, PARAMETERS, registration(0, 2, 1));
        assert_eq!(copy.position, position(3, 0));
        assert_eq!(copy.commit(1.0).unwrap_err().code(), ErrorCode::Protocol);
        copy.channel.finish().unwrap();
        assert_eq!(server.status().workers[0].state, WorkerState::Finished);
    }
}

#[test]
fn a_retry_that_reads_other_rows_starts_its_epoch_again_with_a_warning() {
    for transport in ROADS {
        let (spec, server) = opened(30_000);
        let client = client_spec(&spec, server.port());
        let mut old = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        for _ in 0..6 {
            old.commit(1.0).unwrap();
        }
        server.attempt_ended(0, 1);
        let mut changed = registration(0, 2, 5);
        changed.content = 8;
        let mut retry = Peer::connect(transport, &client, PARAMETERS, changed);
        assert_eq!(retry.position, position(1, 0), "epoch 0 is done whatever its rows were");
        for _ in 0..10 {
            retry.commit(1.0).unwrap();
        }
        retry.channel.finish().unwrap();
        let status = server.status();
        assert_eq!(status.epochs.iter().map(|e| e.rows).collect::<Vec<_>>(), [40, 50, 50]);
        assert_eq!(status.epochs[1].loss, Some(0.5));
        assert_eq!(status.warnings.len(), 1);
        assert!(
            status.warnings[0].contains("worker 0.0: attempt 2 reads different rows"),
            "{:?}",
            status.warnings
        );
        let ledger = server.summary().ledger;
        assert_eq!((ledger[1].rows, ledger[1].superseded_rows, ledger[1].spans.len()), (50, 20, 1));
    }
}

#[test]
fn the_same_attempt_cannot_change_its_rows_or_its_connection_its_worker() {
    for transport in ROADS {
        let (spec, server) = opened(30_000);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 4));
        let again = Peer::try_connect(
            transport,
            &client,
            PARAMETERS,
            registration(0, 1, 5),
            &CancelFlag::new(),
        );
        assert_eq!(again.err().unwrap().code(), ErrorCode::Protocol);
        let error = peer.channel.register(&registration(1, 1, 4)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Protocol);
        assert_eq!(peer.channel.register(&registration(0, 1, 4)).unwrap().position, position(0, 0));
        peer.commit(1.0).unwrap();
    }
}

#[test]
fn a_window_that_says_more_than_its_epoch_holds_is_refused() {
    for transport in ROADS {
        let (spec, server) = opened(30_000);
        let client = client_spec(&spec, server.port());
        let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 2));
        peer.registration.batches = 9;
        for _ in 0..2 {
            peer.commit(1.0).unwrap();
        }
        assert_eq!(peer.commit(1.0).unwrap_err().code(), ErrorCode::Protocol, "two make the epoch");
        peer.position = position(1, 0);
        peer.commit(1.0).unwrap();
        assert_eq!(server.status().rows_trained, 30);
    }
}
