//! Fits that are interrupted and resume from a checkpoint.

#![allow(clippy::unwrap_used, reason = "tests may be blunt")]

mod support;

use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use firesteel_core::optimizer;
use firesteel_core::spec::{OptimizerSpec, ServerSpec, StrategySpec};
use firesteel_core::strategy::{self, PullOrder, WindowSummary};
use firesteel_core::{
    Coded, Commit, ErrorCode, Position, Protocol, Registration, Save, Span, Strategy, WorkerId,
};
use firesteel_ps::{Checkpoint, PsError, Server, WorkerState};
use proptest::prelude::*;
use serde_json::json;
use support::cluster::{self, Cluster};
use support::*;
use xxhash_rust::xxh3::xxh3_64;

/// Two stripes.
const PARAMETERS: usize = 33_000;
const SMALL: usize = 10;
const WINDOW: u32 = 2;
const RATE: f64 = 0.05;

fn sgd() -> OptimizerSpec {
    OptimizerSpec::Sgd {
        learning_rate: RATE,
        momentum: 0.0,
        dampening: 0.0,
        nesterov: false,
        weight_decay: 0.0,
    }
}

/// Server optimizers with every kind of state.
fn server_optimizers() -> [OptimizerSpec; 4] {
    let (learning_rate, epsilon, weight_decay) = (0.01, 1e-8, 0.0);
    let (beta1, beta2) = (0.9, 0.999);
    [
        OptimizerSpec::Sgd {
            learning_rate,
            momentum: 0.9,
            dampening: 0.5,
            nesterov: false,
            weight_decay,
        },
        OptimizerSpec::Adam { learning_rate, beta1, beta2, epsilon, weight_decay, amsgrad: true },
        OptimizerSpec::NAdam {
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            momentum_decay: 4e-3,
        },
        OptimizerSpec::Yogi { learning_rate, beta1, beta2, epsilon, weight_decay },
    ]
}

/// Every strategy, and those with a server optimizer once with each.
fn strategies() -> Vec<StrategySpec> {
    let mut all = Vec::new();
    for name in strategy::names() {
        let mut spec = StrategySpec::named(name).unwrap();
        if !matches!(name, "single" | "ensemble" | "averaging" | "sync") {
            set_options(&mut spec, &json!({"window": WINDOW}));
        }
        all.push(spec.clone());
        if matches!(name, "downpour" | "adag" | "dynsgd" | "sync") {
            for optimizer in server_optimizers() {
                let mut spec = spec.clone();
                set_options(&mut spec, &json!({"serverOptimizer": optimizer}));
                all.push(spec);
            }
        }
    }
    all
}

fn spec_of(strategy: StrategySpec, workers: u32, epochs: u32) -> ServerSpec {
    ServerSpec { strategy, optimizer: Some(sgd()), ..server_spec(workers, epochs) }
}

fn start(parameters: usize) -> Vec<f32> {
    (0..parameters).map(|index| (index as f32).sin()).collect()
}

/// A gradient that depends on the replica and on the mini-batch.
fn gradient(replica: &[f32], at: Position, gradient: &mut [f32]) {
    let phase = (at.epoch * 100 + at.batch) as f32;
    for ((index, x), g) in replica.iter().enumerate().zip(gradient) {
        *g = (index as f32 + phase).cos() + 0.3 * x;
    }
}

/// Trains one worker by the real rules from its position on the server, for at most `windows` windows.
fn train(spec: &ServerSpec, server: &Server, attempt: i64, windows: usize) {
    let strategy = strategy::resolve(&spec.strategy, spec.optimizer.as_ref()).unwrap();
    let registered = registration(0, attempt, 5);
    let client = client_spec(spec, server.port());
    let mut peer = Peer::connect(Transport::Memory, &client, PARAMETERS, registered);
    peer.pull();
    let mut replica = peer.center.clone();
    let pulls_first =
        matches!(strategy.protocol(), Protocol::Asynchronous { pull: PullOrder::BeforeCommit, .. });
    let mut rule = strategy.worker(PARAMETERS, 1);
    let mut steps = optimizer::build(&sgd(), PARAMETERS).unwrap();
    rule.start(&peer.center);
    let (mut g, mut message) = (vec![0.0; PARAMETERS], vec![0.0; PARAMETERS]);
    for _ in 0..windows {
        if peer.position.epoch == spec.epochs {
            break;
        }
        let first = peer.position;
        let length = strategy.protocol().window().map_or(u32::MAX, NonZeroU32::get);
        let batches = length.min(registered.batches - first.batch);
        for batch in first.batch..first.batch + batches {
            rule.look_ahead(&mut replica);
            gradient(&replica, Position { batch, ..first }, &mut g);
            rule.step(&mut replica, &g, &mut *steps);
        }
        finish_window(
            &mut peer,
            &*strategy,
            batches,
            |peer, message| {
                if pulls_first {
                    peer.pull();
                    rule.receive(&peer.center, &mut replica);
                }
                rule.commit(&mut replica, WindowSummary { batches, learning_rate: RATE }, message);
            },
            &mut message,
        );
        if !pulls_first && !matches!(strategy.protocol(), Protocol::Local { .. }) {
            rule.receive(&peer.center, &mut replica);
        }
    }
    if peer.position.epoch == spec.epochs {
        peer.channel.finish().unwrap();
    }
}

/// Sends the message that `commit` writes, as the strategy requires.
fn finish_window(
    peer: &mut Peer,
    strategy: &dyn Strategy,
    batches: u32,
    mut commit: impl FnMut(&mut Peer, &mut [f32]),
    message: &mut [f32],
) {
    commit(peer, message);
    let given = peer.buffers.clone();
    let span = Span { start: peer.position, batches, rows: 10 * u64::from(batches) };
    let sequence = peer.sequence + 1;
    let window = Commit { sequence, message, buffers: &given, span, tally: TALLY };
    match strategy.protocol() {
        Protocol::Rounds { .. } => {
            peer.channel.contribute(&window).unwrap();
            peer.channel.close_round(&mut peer.center, &mut peer.buffers).unwrap();
        }
        Protocol::Asynchronous { .. } => {
            peer.channel.exchange(&window, &mut peer.center, &mut peer.buffers).unwrap();
        }
        Protocol::Local { .. } => {
            let save = Save { sequence, replica: message, buffers: &given, span, tally: TALLY };
            peer.channel.save(&save).unwrap();
        }
    }
    for _ in 0..batches {
        peer.advance();
    }
    peer.sequence = sequence;
}

fn written(server: &Server) -> Vec<u8> {
    server.checkpoint("of this test").unwrap().to_bytes().unwrap()
}

fn resumed(spec: &ServerSpec, parameters: usize, bytes: &[u8]) -> Result<Server, PsError> {
    let spec = ServerSpec { fit: format!("{}-resumed", spec.fit), ..spec.clone() };
    Server::resume(&spec, layout(parameters), &Checkpoint::read(bytes)?)
}

/// The specification with which [`resumed`] opens its server.
fn again(spec: &ServerSpec) -> ServerSpec {
    ServerSpec { fit: format!("{}-resumed", spec.fit), ..spec.clone() }
}

#[test]
fn one_worker_goes_on_from_a_checkpoint_bit_for_bit_as_if_nothing_had_happened() {
    for strategy in strategies() {
        // In these strategies the replica differs from the center variable, and a retry loses it.
        if matches!(strategy.name(), "aeasgd" | "eamsgd" | "easgd") {
            continue;
        }
        let spec = spec_of(strategy, 1, 3);
        let name = format!("{:?}", spec.strategy);
        let open =
            |spec| Server::open(spec, layout(PARAMETERS), start(PARAMETERS), buffers()).unwrap();
        let straight = open(&spec);
        train(&spec, &straight, 1, usize::MAX);
        let whole = straight.snapshot().unwrap();
        let ledger = straight.summary().ledger;
        drop(straight);

        let first = open(&spec);
        train(&spec, &first, 1, 2);
        let bytes = written(&first);
        drop(first);
        let second = resumed(&spec, PARAMETERS, &bytes).unwrap();
        train(&again(&spec), &second, 0, usize::MAX);
        assert_eq!(second.snapshot().unwrap(), whole, "{name}");
        for (one, other) in second.summary().ledger.iter().zip(&ledger) {
            assert_eq!((one.epoch, one.rows), (other.epoch, other.rows), "{name}");
            let batches: u32 = one.spans.iter().map(|span| span.batches).sum();
            assert_eq!(batches, 5, "{name}");
        }
    }
}

#[test]
fn the_workers_of_a_checkpoint_go_on_in_fewer_tasks_and_start_their_epochs_again_over_other_rows() {
    let spec = spec_of(StrategySpec::named("averaging").unwrap(), 4, 3);
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    let mut peers = [0, 1, 2, 3]
        .map(|task| Peer::connect(Transport::Memory, &client, SMALL, registration(task, 4, 3)));
    for _ in 0..4 {
        for peer in &mut peers {
            peer.contribute(1.0).unwrap();
        }
        for peer in &mut peers {
            peer.close_round().unwrap();
        }
    }
    let mut checkpoint = Checkpoint::read(&written(&server)).unwrap();
    assert_eq!(checkpoint.status().workers, 4);
    checkpoint.spread_over(2);
    let spec = again(&spec);
    let second = Server::resume(&spec, layout(SMALL), &checkpoint).unwrap();
    let client = client_spec(&spec, second.port());
    let mut peers = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(partition, index)| {
        let mut registration = registration(partition, 5, 3);
        registration.worker = WorkerId { partition, index };
        registration.content = 8;
        Peer::connect(Transport::Memory, &client, SMALL, registration)
    });
    assert!(peers.iter().all(|peer| peer.position == Position { epoch: 1, batch: 0 }));
    for _ in 0..6 {
        for peer in &mut peers {
            peer.contribute(1.0).unwrap();
        }
        for peer in &mut peers {
            peer.close_round().unwrap();
        }
    }
    peers.iter_mut().for_each(|peer| peer.channel.finish().unwrap());
    second.snapshot().unwrap();
    let ledger = second.summary().ledger;
    assert_eq!(ledger.len(), 4 * 3);
    assert!(ledger.iter().all(|entry| entry.rows == 30), "{ledger:?}");
}

#[test]
fn what_is_read_back_and_written_again_is_the_same_for_every_strategy() {
    for strategy in strategies() {
        let spec = spec_of(strategy, 1, 3);
        let server = Server::open(&spec, layout(PARAMETERS), start(PARAMETERS), buffers()).unwrap();
        train(&spec, &server, 1, 3);
        let checkpoint = server.checkpoint("of this test").unwrap();
        let bytes = checkpoint.to_bytes().unwrap();
        assert_eq!(Checkpoint::read(&bytes).unwrap(), checkpoint, "{:?}", spec.strategy);
        let (version, center) = (checkpoint.status().version, server.status());
        let second = resumed(&spec, PARAMETERS, &bytes).unwrap();
        let after = second.status();
        assert_eq!(
            (after.version, after.commits, after.pulls),
            (version, center.commits, center.pulls)
        );
        assert_eq!((after.epochs, after.rows_trained), (center.epochs, center.rows_trained));
        assert_eq!(second.summary().staleness_histogram, server.summary().staleness_histogram);
        let again = second.checkpoint("of this test").unwrap().to_bytes().unwrap();
        let arrays = |bytes: &[u8]| {
            let header = u64::from_le_bytes(bytes[12..20].try_into().unwrap()) as usize;
            bytes[20 + header..bytes.len() - 8].to_vec()
        };
        assert!(arrays(&again) == arrays(&bytes), "{:?}", spec.strategy);
    }
}

/// A small fit of two workers: one in its second epoch, one in its first.
fn two_workers(strategy: &str) -> (ServerSpec, Server, Vec<u8>) {
    let spec = spec_of(StrategySpec::named(strategy).unwrap(), 2, 3);
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    let mut peers = [0, 1]
        .map(|worker| Peer::connect(Transport::Memory, &client, SMALL, registration(worker, 4, 3)));
    for _ in 0..4 {
        peers[0].commit(1.0).unwrap();
    }
    peers[1].commit(0.5).unwrap();
    let bytes = written(&server);
    (spec, server, bytes)
}

#[test]
fn a_resumed_fit_has_the_progress_and_no_lease_and_takes_attempts_with_lower_numbers() {
    let (spec, server, bytes) = two_workers("downpour");
    let status = Checkpoint::read(&bytes).unwrap().status();
    assert_eq!((status.epoch, status.version, status.rows_trained), (0, 5, 50));
    assert_eq!(status.fingerprint, "of this test");
    drop(server);
    let server = resumed(&spec, SMALL, &bytes).unwrap();
    let status = server.status();
    assert!(status.workers.iter().all(|worker| worker.state == WorkerState::Lost));
    assert_eq!(status.resumed.unwrap().epoch, 0);
    let warning = status.warnings.last().unwrap();
    assert!(warning.contains("resumed in epoch 1 of 3"), "{warning}");
    let client = client_spec(&again(&spec), server.port());
    let mut peers = [0, 1]
        .map(|worker| Peer::connect(Transport::Socket, &client, SMALL, registration(worker, 0, 3)));
    assert_eq!(peers[0].position, Position { epoch: 1, batch: 1 });
    assert_eq!(peers[1].position, Position { epoch: 0, batch: 1 });
    peers[0].pull();
    assert_eq!(peers[0].center, vec![4.5; SMALL]);
    assert_eq!(peers[0].commit(1.0).unwrap().staleness, 0);
    let ledger = server.summary().ledger;
    let spans: Vec<_> = ledger[1].spans.iter().map(|s| (s.attempt, s.start, s.batches)).collect();
    assert_eq!(spans, [(-1, 0, 1), (0, 1, 1)]);
}

#[test]
fn a_worker_whose_rows_are_others_than_in_the_interrupted_fit_starts_its_epoch_again() {
    let (spec, server, bytes) = two_workers("downpour");
    drop(server);
    let server = resumed(&spec, SMALL, &bytes).unwrap();
    let client = client_spec(&again(&spec), server.port());
    let other = Registration { content: 8, ..registration(0, 0, 3) };
    let peer = Peer::connect(Transport::Memory, &client, SMALL, other);
    assert_eq!(peer.position, Position { epoch: 1, batch: 0 });
    let warnings = server.status().warnings;
    assert!(warnings.last().unwrap().contains("than the interrupted fit did"), "{warnings:?}");
    assert_eq!(server.summary().ledger[1].superseded_rows, 10);
}

#[test]
fn a_checkpoint_holds_no_window_in_part_while_workers_go_on() {
    let spec = ServerSpec { epochs: 1, ..server_spec(2, 1) };
    let server = Server::open(&spec, layout(PARAMETERS), vec![0.0; PARAMETERS], buffers()).unwrap();
    let client = client_spec(&spec, server.port());
    thread::scope(|scope| {
        for worker in 0..2 {
            let client = &client;
            scope.spawn(move || {
                let registered = registration(worker, 1, 200);
                let mut peer = Peer::connect(Transport::Memory, client, PARAMETERS, registered);
                peer.buffers.floats.fill(1.0);
                for _ in 0..200 {
                    peer.commit(1.0).unwrap();
                }
            });
        }
        for _ in 0..20 {
            let bytes = written(&server);
            let checkpoint = Checkpoint::read(&bytes).unwrap();
            let version = checkpoint.status().version;
            assert_eq!(checkpoint.status().rows_trained, 10 * version);
            let resumed = resumed(&spec, PARAMETERS, &bytes).unwrap();
            let client = client_spec(&again(&spec), resumed.port());
            let mut reader =
                Peer::connect(Transport::Memory, &client, PARAMETERS, registration(0, 9, 200));
            assert_eq!(reader.pull().version, version);
            assert_eq!(reader.center, vec![version as f32; PARAMETERS]);
        }
    });
}

#[test]
fn the_first_round_after_a_resume_waits_for_all_workers_that_are_not_done() {
    let mut spec = spec_of(StrategySpec::named("sync").unwrap(), 2, 2);
    spec.start_timeout_millis = 300;
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    let mut peers = [0, 1]
        .map(|worker| Peer::connect(Transport::Memory, &client, SMALL, registration(worker, 4, 3)));
    for peer in &mut peers {
        peer.contribute(1.0).unwrap();
    }
    for peer in &mut peers {
        peer.close_round().unwrap();
    }
    peers[0].contribute(2.0).unwrap();
    let bytes = written(&server);
    assert_eq!(
        Checkpoint::read(&bytes).unwrap().status().version,
        1,
        "the open round is not in it"
    );
    let spec_again = ServerSpec { start_timeout_millis: 30_000, ..again(&spec) };
    let second =
        Server::resume(&spec_again, layout(SMALL), &Checkpoint::read(&bytes).unwrap()).unwrap();
    let client = client_spec(&spec_again, second.port());
    let mut first = Peer::connect(Transport::Memory, &client, SMALL, registration(0, 0, 3));
    assert_eq!(first.position.batch, 1);
    first.contribute(1.0).unwrap();
    assert_eq!(second.status().version, 1, "the other one is missing");
    let mut other = Peer::connect(Transport::Memory, &client, SMALL, registration(1, 1, 3));
    other.contribute(1.0).unwrap();
    assert_eq!(first.close_round().unwrap().version, 2);
    drop(second);

    let third = resumed(&spec, SMALL, &bytes).unwrap();
    let client = client_spec(&again(&spec), third.port());
    let _one = Peer::connect(Transport::Memory, &client, SMALL, registration(0, 0, 3));
    thread::sleep(Duration::from_millis(400));
    let failure = third.status().failure.unwrap();
    assert_eq!(failure.code, ErrorCode::StartTimeout.number());
}

#[test]
fn the_members_of_an_ensemble_are_kept() {
    let spec = spec_of(StrategySpec::named("ensemble").unwrap(), 2, 1);
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    for worker in 0..2 {
        let mut peer = Peer::connect(Transport::Memory, &client, SMALL, registration(worker, 1, 1));
        peer.pull();
        peer.save(worker as f32 + 1.0).unwrap();
        peer.channel.finish().unwrap();
    }
    let bytes = written(&server);
    let second = resumed(&spec, SMALL, &bytes).unwrap();
    assert_eq!(second.members().unwrap(), server.members().unwrap());
    assert_eq!(second.members().unwrap()[1].1, vec![2.0; SMALL]);
}

#[test]
fn a_checkpoint_of_another_fit_is_refused_and_says_of_which() {
    let (spec, server, bytes) = two_workers("downpour");
    drop(server);
    let refused = |spec: &ServerSpec, parameters, text: &str| {
        let error = resumed(spec, parameters, &bytes).err().unwrap();
        assert_eq!(error.code(), ErrorCode::Checkpoint);
        assert!(error.to_string().contains(text), "{error}");
    };
    refused(&spec, SMALL + 1, "another network");
    refused(&ServerSpec { workers: 3, ..spec.clone() }, SMALL, "3, 3");
    refused(&ServerSpec { epochs: 4, ..spec.clone() }, SMALL, "4");
    let other = ServerSpec { strategy: StrategySpec::named("adag").unwrap(), ..spec.clone() };
    refused(&other, SMALL, "'downpour'");
    let mut other = spec.clone();
    set_options(&mut other.strategy, &json!({"serverOptimizer": server_optimizers()[1]}));
    refused(&other, SMALL, "stripe 0: the state belongs to another rule");
}

#[test]
fn where_the_center_variable_lies_on_several_servers_there_are_no_checkpoints() {
    let mut spec = server_spec(1, 2);
    let bytes = {
        let whole = open(&spec, PARAMETERS);
        written(&whole)
    };
    spec.fit = format!("{}-sharded", spec.fit);
    let cluster = Cluster::open(&spec, 2, &start(PARAMETERS));
    let error = cluster.server.checkpoint("").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Checkpoint);
    assert!(error.to_string().contains("several servers"), "{error}");
    let (_opened, servers) = cluster::shards(&again(&spec), 2, PARAMETERS, |_| {});
    spec.shards = Some(servers);
    let error = resumed(&spec, PARAMETERS, &bytes).err().unwrap();
    assert!(error.to_string().contains("several servers"), "{error}");
}

#[test]
fn a_fit_that_has_failed_or_diverged_gives_no_checkpoint() {
    let spec = server_spec(1, 2);
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    let mut peer = Peer::connect(Transport::Memory, &client, SMALL, registration(0, 1, 4));
    peer.commit(f32::MAX).unwrap();
    peer.commit(f32::MAX).unwrap();
    assert_eq!(server.checkpoint("").unwrap_err().code(), ErrorCode::Diverged);
    peer.channel.abort(ErrorCode::InvalidData, "no good").unwrap();
    assert_eq!(server.checkpoint("").unwrap_err().code(), ErrorCode::InvalidData);
    server.close();
    assert_eq!(server.checkpoint("").unwrap_err().code(), ErrorCode::ServerUnreachable);
}

/// Replaces the checksum by the right one.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len().saturating_sub(8);
    bytes.truncate(end);
    let hash = xxh3_64(&bytes);
    bytes.extend(hash.to_le_bytes());
    bytes
}

#[test]
fn what_is_damaged_is_said() {
    let (_, _, bytes) = two_workers("downpour");
    let refused = |bytes: &[u8], text: &str| {
        let error = Checkpoint::read(bytes).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Checkpoint);
        assert!(error.to_string().contains(text), "{error}");
    };
    refused(&[], "0 bytes");
    refused(b"not one of ours", "not a Firesteel checkpoint");
    refused(&bytes[..bytes.len() - 1], "checksum");
    let with = |place: usize, value: &[u8]| {
        let mut changed = bytes.clone();
        changed[place..place + value.len()].copy_from_slice(value);
        changed
    };
    refused(&with(8, &[2]), "version 2");
    refused(&with(bytes.len() - 20, &[77]), "checksum");
    refused(&sealed(with(12, &[0xff; 8])), "header of 18446744073709551615 bytes");
    refused(&sealed(with(20, b"[")), "header cannot be read");
    let name = b"\"parameters\":";
    let place = bytes.windows(name.len()).position(|part| part == name).unwrap() + name.len();
    refused(&sealed(with(place, b"99")), "shorter than its header says");
    let mut longer = bytes.clone();
    longer.splice(bytes.len() - 8..bytes.len() - 8, [0; 3]);
    refused(&sealed(longer), "3 bytes follow");
}

proptest! {
    #[test]
    fn bytes_that_were_changed_or_cut_are_refused(place: prop::sample::Index, value in 1..=255_u8, cut: bool) {
        let (_, _, mut bytes) = two_workers("downpour");
        let place = place.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] ^= value }
        prop_assert_eq!(Checkpoint::read(&bytes).unwrap_err().code(), ErrorCode::Checkpoint);
    }

    #[test]
    fn bytes_that_were_changed_by_somebody_who_knows_the_checksum_break_nothing(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789-,]}{e.".to_vec())), 1..4),
    ) {
        let (spec, server, mut bytes) = two_workers("adag");
        drop(server);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(server) = resumed(&spec, SMALL, &sealed(bytes)) {
            let client = client_spec(&again(&spec), server.port());
            for worker in 0..2 {
                let cancel = firesteel_core::CancelFlag::new();
                let rows = Registration { content: 5, ..registration(worker, 0, 3) };
                if let Ok(mut peer) = Peer::try_connect(Transport::Memory, &client, SMALL, rows, &cancel) {
                    peer.pull();
                    let _ = peer.commit(1.0);
                    let _ = server.status();
                }
            }
            let _ = server.summary();
            let _ = server.checkpoint("").map(|checkpoint| checkpoint.to_bytes());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut ours = b"FSTLCKPT\x01\0\0\0".to_vec();
        ours.extend(&bytes);
        prop_assert!(Checkpoint::read(&bytes).is_err());
        prop_assert!(Checkpoint::read(&sealed(ours)).is_err());
    }
}
