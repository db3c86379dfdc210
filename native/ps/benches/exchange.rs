//! Commits and pulls beside a plain copy of as many bytes, measured alternately.
//!
//! `cargo bench -p firesteel-ps --bench exchange` prints a line for each measure:
//! `bench <name> ours <GB/s> beside <GB/s> ratio <ours/beside>`, the medians over the rounds. The plain copy has the
//! congestion control that the server asks for: some kernels' default paces the loopback, which would flatter ours.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first failure")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::spec::{
    ClientSpec, ControlSpec, DataSpec, NetworkSpec, ServerSpec, StrategySpec,
};
use firesteel_core::{
    Buffers, CancelFlag, Commit, Element, ParamChannel, ParamLayout, Position, Registration, Span,
    Tally, WorkerId,
};
use firesteel_ps::{Server, connect, connect_remote};
use socket2::SockRef;

const ROUNDS: usize = 21;
const ROUND: Duration = Duration::from_millis(120);

fn main() {
    for (name, parameters) in [("0.5MB", 125_000), ("2.2MB", 550_000), ("100MB", 25_000_000)] {
        sockets(name, parameters);
        memory(name, parameters);
    }
}

/// A worker whose next window is always one mini-batch of one endless epoch.
struct Worker {
    channel: Box<dyn ParamChannel>,
    sequence: u64,
    message: Vec<f32>,
    center: Vec<f32>,
    buffers: Buffers,
}

impl Worker {
    fn new(mut channel: Box<dyn ParamChannel>, parameters: usize) -> Self {
        let worker = WorkerId { partition: 0, index: 0 };
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
        let (message, center) = (vec![1e-9; parameters], vec![0.0; parameters]);
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

/// The other end of a plain copy: takes as many bytes as it is told, gives as many as it is told.
struct Plain {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Plain {
    fn new(len: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            tune(&stream);
            let mut bytes = vec![1_u8; len];
            let mut lengths = [0_u8; 16];
            while stream.read_exact(&mut lengths).is_ok() {
                let length = |half: &[u8]| {
                    usize::try_from(u64::from_le_bytes(half.try_into().unwrap())).unwrap()
                };
                stream.read_exact(&mut bytes[..length(&lengths[..8])]).unwrap();
                stream.write_all(&bytes[..length(&lengths[8..])]).unwrap();
            }
        });
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        tune(&stream);
        Self { stream, bytes: vec![2; len] }
    }

    fn copy(&mut self, there: usize, back: usize) {
        let mut lengths = [0; 16];
        lengths[..8].copy_from_slice(&(there as u64).to_le_bytes());
        lengths[8..].copy_from_slice(&(back as u64).to_le_bytes());
        self.stream.write_all(&lengths).unwrap();
        self.stream.write_all(&self.bytes[..there]).unwrap();
        self.stream.read_exact(&mut self.bytes[..back]).unwrap();
    }
}

fn tune(stream: &TcpStream) {
    stream.set_nodelay(true).unwrap();
    SockRef::from(stream).set_tcp_congestion(b"reno").unwrap();
}

fn sockets(name: &str, parameters: usize) {
    let (server, client) = open(parameters);
    let hash = layout(parameters).hash();
    let channel = connect_remote(&client, hash, parameters, &CancelFlag::new()).unwrap();
    let mut worker = Worker::new(channel, parameters);
    let bytes = 4 * parameters;
    let mut plain = Plain::new(bytes);
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

/// Commits through memory beside `y += a*x` over the same memory.
fn memory(name: &str, parameters: usize) {
    let (server, client) = open(parameters);
    let channel =
        connect(&client, layout(parameters).hash(), parameters, &CancelFlag::new()).unwrap();
    let mut worker = Worker::new(channel, parameters);
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

/// Measures both alternately and prints the medians in GB/s, unless the command line names other measures.
fn compare<T>(name: &str, bytes: usize, mut ours: impl FnMut() -> T, mut beside: impl FnMut()) {
    let mut filters =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    if filters.peek().is_some() && !filters.any(|filter| name.contains(&filter)) {
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

/// GB/s of one round.
fn speed(bytes: usize, mut deed: impl FnMut()) -> f64 {
    deed();
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < ROUND {
        deed();
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
    layout.push("weight", &[parameters], Element::Parameter);
    layout
}

fn open(parameters: usize) -> (Server, ClientSpec) {
    let secret = "5a".repeat(32);
    let spec = ServerSpec {
        fit: "bench".to_owned(),
        network: NetworkSpec {
            format: String::new(),
            inputs: vec![],
            nodes: vec![],
            outputs: vec![],
        },
        data: DataSpec { inputs: vec![], labels: vec![], weight: None, validation: None },
        strategy: StrategySpec::named("downpour"),
        optimizer: None,
        controls: ControlSpec::default(),
        workers: 1,
        epochs: 1,
        seed: 0,
        bind_address: "127.0.0.1".to_owned(),
        port: 0,
        port_max_retries: 0,
        secret: secret.clone(),
        lease_millis: 60_000,
        tls: None,
        shards: None,
        start_timeout_millis: 60_000,
    };
    let server =
        Server::open(&spec, layout(parameters), vec![0.0; parameters], Buffers::default()).unwrap();
    let client = ClientSpec {
        fit: spec.fit,
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        secret,
        timeout_millis: 10_000,
        tls: None,
        shards: vec![],
    };
    (server, client)
}
