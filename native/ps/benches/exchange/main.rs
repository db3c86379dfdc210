//! Commits and pulls compared with a plain copy of as many bytes, measured alternately.
//!
//! `cargo bench -p firesteel-ps --bench exchange` prints a line for each measure: `bench <name> ours <GB/s> beside
//! <GB/s> ratio <ours/beside>`, the medians over the rounds; `-p99` lines are in milliseconds, `-commits` lines compare
//! commits a second with those of one worker. `--quick` skips the measures with many workers. Further arguments select
//! measures by parts of their names.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first failure")]

mod plain;
mod scale;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::spec::{
    ClientSpec, ControlSpec, DataSpec, DeltaOptions, NetworkSpec, ServerSpec, StrategySpec,
};
use firesteel_core::{
    BufferKind, Buffers, CancelFlag, Commit, ParamChannel, ParamLayout, Position, Registration,
    Span, Tally, WorkerId,
};
use firesteel_ps::{Server, connect, connect_remote};

use self::plain::Plain;

const ROUNDS: usize = 21;
const ROUND: Duration = Duration::from_millis(120);

fn main() {
    for (name, parameters) in [("0.5MB", 125_000), ("2.2MB", 550_000), ("100MB", 25_000_000)] {
        sockets(name, parameters);
        memory(name, parameters);
    }
    for (name, parameters) in [("0.5MB", 125_000), ("4MB", 1_000_000), ("100MB", 25_000_000)] {
        scale::apply(name, parameters);
        if !std::env::args().any(|argument| argument == "--quick") {
            scale::scale(name, parameters);
        }
    }
}

/// A worker whose next window is always one mini-batch of one endless epoch.
struct Worker {
    channel: Box<dyn ParamChannel>,
    sequence: u64,
    message: Arc<Vec<f32>>,
    center: Vec<f32>,
    buffers: Buffers,
}

impl Worker {
    /// Registers a worker that commits this message and reads a center variable of `parameters` parameters.
    fn new(
        mut channel: Box<dyn ParamChannel>,
        partition: u32,
        message: Arc<Vec<f32>>,
        parameters: usize,
    ) -> Self {
        let worker = WorkerId { partition, index: 0 };
        let rows = u64::from(u32::MAX);
        channel
            .register(&Registration {
                worker,
                attempt: 1,
                rows,
                content: 0,
                batches: u32::MAX,
                held_out: 0,
            })
            .unwrap();
        let center = vec![0.0; parameters];
        Self { channel, sequence: 0, message, center, buffers: Buffers::default() }
    }

    fn step(&mut self, pull: bool) {
        self.sequence += 1;
        let start = Position { epoch: 0, batch: u32::try_from(self.sequence).unwrap() - 1 };
        let commit = Commit {
            sequence: self.sequence,
            message: &self.message,
            buffers: &Buffers::default(),
            span: Span { start, batches: 1, rows: 1 },
            tally: Tally { loss: 1.0, weight: 1.0 },
        };
        if pull {
            self.channel.exchange(&commit, &mut self.center, &mut self.buffers).unwrap();
        } else {
            self.channel.commit(&commit).unwrap();
        }
    }

    fn pull(&mut self) {
        self.channel.pull(&mut self.center, &mut self.buffers).unwrap();
    }
}

fn sockets(name: &str, parameters: usize) {
    let (server, client) = open(parameters, 1);
    let hash = layout(parameters).hash();
    let channel = connect_remote(&client, hash, parameters, &CancelFlag::new()).unwrap();
    let message = Arc::new(vec![1e-9; parameters]);
    let mut worker = Worker::new(channel, 0, message, parameters);
    let bytes = 4 * parameters;
    let mut plain = Plain::new(Arc::new(vec![2; bytes]), bytes, bytes);
    compare(
        &format!("exchange-{name}"),
        2 * bytes,
        || worker.step(true),
        || {
            plain.copy(bytes, bytes);
        },
    );
    compare(
        &format!("pull-then-commit-{name}"),
        2 * bytes,
        || (worker.pull(), worker.step(false)),
        || {
            plain.copy(0, bytes);
            plain.copy(bytes, 1);
        },
    );
    compare(&format!("pull-{name}"), bytes, || worker.pull(), || plain.copy(0, bytes));
    compare(&format!("commit-{name}"), bytes, || worker.step(false), || plain.copy(bytes, 1));
    server.close();
}

/// Measures commits through memory beside `y += a*x` over the same memory.
fn memory(name: &str, parameters: usize) {
    let (server, client) = open(parameters, 1);
    let channel =
        connect(&client, layout(parameters).hash(), parameters, &CancelFlag::new()).unwrap();
    let message = Arc::new(vec![1e-9; parameters]);
    let mut worker = Worker::new(channel, 0, message, parameters);
    let (mut y, x) = (vec![0.0_f32; parameters], vec![1e-9_f32; parameters]);
    compare(
        &format!("memory-commit-axpy-{name}"),
        12 * parameters,
        || worker.step(false),
        || {
            for (y, x) in y.iter_mut().zip(&x) {
                *y += 0.5 * x;
            }
            black_box(&mut y);
        },
    );
    server.close();
}

/// Measures both alternately and prints the medians in GB/s, unless the command line selects other measures.
fn compare<T>(name: &str, bytes: usize, mut ours: impl FnMut() -> T, mut beside: impl FnMut()) {
    if !asked(name) {
        return;
    }
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        mine.push(speed(bytes, || drop(ours())));
        others.push(speed(bytes, &mut beside));
    }
    let (ours, beside) = (median(mine), median(others));
    println!("bench {name} ours {ours:.3} beside {beside:.3} ratio {:.3}", ours / beside);
}

/// Returns true if the command line selects a measure, or does not select any.
fn asked(name: &str) -> bool {
    let mut filters =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    filters.peek().is_none() || filters.any(|filter| name.contains(&filter))
}

/// Returns the GB/s of one round.
fn speed(bytes: usize, mut operation: impl FnMut()) -> f64 {
    operation();
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < ROUND {
        operation();
        times += 1;
    }
    bytes as f64 * f64::from(times) / start.elapsed().as_secs_f64() / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn layout(parameters: usize) -> ParamLayout {
    let mut layout = ParamLayout::new();
    layout.push("weight", &[parameters], BufferKind::Parameter);
    layout
}

fn open(parameters: usize, workers: u32) -> (Server, ClientSpec) {
    let secret = "5a".repeat(32);
    let spec = ServerSpec {
        fit: "bench".to_owned(),
        network: NetworkSpec {
            format: String::new(),
            inputs: vec![],
            nodes: vec![],
            outputs: vec![],
        }
        .into(),
        data: DataSpec { inputs: vec![], labels: vec![], weight: None, validation: None },
        strategy: StrategySpec::Downpour(DeltaOptions::default()),
        optimizer: None,
        controls: ControlSpec::default(),
        workers,
        epochs: 1,
        seed: 0,
        bind_address: "127.0.0.1".to_owned(),
        port: 0,
        port_max_retries: 0,
        secret: secret.clone(),
        lease_millis: 600_000,
        tls: None,
        shards: None,
        tasks: None,
        start_timeout_millis: 600_000,
    };
    let server =
        Server::open(&spec, layout(parameters), vec![0.0; parameters], Buffers::default()).unwrap();
    let client = ClientSpec {
        fit: spec.fit,
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        secret,
        timeout_millis: 120_000,
        tls: None,
        shards: vec![],
    };
    (server, client)
}
