//! Fits that are interrupted and resume from a checkpoint.

mod controls;
mod refusals;
mod resuming;

use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use crate::support::cluster::{self, Cluster};
use crate::support::*;
use firesteel_core::optimizer;
use firesteel_core::spec::{OptimizerSpec, ServerSpec, StrategySpec};
use firesteel_core::strategy::{self, PullOrder, WindowSummary};
use firesteel_core::{
    Coded, Commit, ErrorCode, Position, Protocol, Registration, Save, Span, Strategy, WorkerId,
};
use firesteel_ps::{Checkpoint, PsError, Server, WorkerState};
use proptest::prelude::*;
use serde_json::json;
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
