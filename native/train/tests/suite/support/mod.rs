//! Data, networks and fits for the tests: real partitions and a real server of this process.
#![allow(clippy::unwrap_used, reason = "tests may be blunt")]
#![allow(dead_code, reason = "a test alone in its process uses a part of it")]

pub mod cancelling;
pub mod clouds_fit;
pub mod held_out;
#[path = "pytorch.rs"]
pub mod python;
pub mod torchscript;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int64Array, RecordBatch,
    RecordBatchIterator,
};
use arrow::datatypes::{Field, Schema};
use firesteel_core::spec::{
    ClientSpec, ControlSpec, DataSpec, ElementType, InputFormat, InputSpec, LabelKind, LabelSpec,
    LossSpec, NETWORK_FORMAT, NetworkDocument, NetworkSpec, NodeSpec, OptimizerSpec, ServerSpec,
    StrategySpec, WorkerSpec,
};
use firesteel_core::{Buffers, CancelFlag, ChannelError, ParamChannel, WorkerId};
use firesteel_data::{CacheBudget, Partition};
use firesteel_ps::Server;
use firesteel_train::{TaskReport, TaskTrainer, TrainError, initialise, layout};
use serde_json::{Value, json};

use self::cancelling::Cancelling;

const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A chain of layers over the input `x`, named `0`, `1` and so on.
pub fn chain(layers: &[(&str, Value)]) -> NetworkSpec {
    let mut nodes: Vec<NodeSpec> = Vec::new();
    for (op, args) in layers {
        let input = nodes.last().map_or("x", |node| node.name.as_str()).to_owned();
        nodes.push(node(&nodes.len().to_string(), op, &[&input], args.clone()));
    }
    let outputs = vec![nodes.last().unwrap().name.clone()];
    NetworkSpec { format: NETWORK_FORMAT.to_owned(), inputs: vec!["x".to_owned()], nodes, outputs }
}

pub fn node(name: &str, op: &str, inputs: &[&str], args: Value) -> NodeSpec {
    NodeSpec {
        name: name.to_owned(),
        op: op.to_owned(),
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        args: args.as_object().cloned().unwrap(),
    }
}

/// A perceptron with one hidden layer that ends in Softmax.
pub fn perceptron(hidden: usize, classes: usize) -> NetworkSpec {
    chain(&[
        ("Linear", json!({"out_features": hidden})),
        ("ReLU", json!({})),
        ("Linear", json!({"out_features": classes})),
        ("Softmax", json!({})),
    ])
}

pub fn dense(name: &str, shape: &[usize], element: ElementType) -> InputSpec {
    InputSpec {
        name: name.to_owned(),
        column: format!("column {name}"),
        format: InputFormat::Dense,
        element,
        shape: shape.to_vec(),
        scale: 1.0,
    }
}

/// One dense f32 input `x` and one label.
pub fn data_spec(shape: &[usize], kind: LabelKind) -> DataSpec {
    let label = LabelSpec { column: "label".to_owned(), kind };
    DataSpec {
        inputs: vec![dense("x", shape, ElementType::F32)],
        labels: vec![label],
        weight: None,
        validation: None,
    }
}

pub fn list<A: Array + 'static>(values: A, width: usize) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), false));
    Arc::new(FixedSizeListArray::new(field, width as i32, Arc::new(values), None))
}

pub fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| Field::new(index.to_string(), column.data_type().clone(), false))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

pub fn partition(spec: &DataSpec, batch: RecordBatch) -> Partition {
    let schema = batch.schema();
    let reader = Box::new(RecordBatchIterator::new([Ok(batch)], schema));
    let budget = CacheBudget::shared(1 << 30);
    Partition::load(reader, spec, budget, &[], &CancelFlag::new()).unwrap()
}

/// Pseudo-random numbers in -1..1.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1 << 23) as f32) - 1.0
        })
        .collect()
}

/// Rows of `classes` clouds of points; the class is the cloud's index.
pub fn clouds(rows: usize, width: usize, classes: usize) -> (Vec<f32>, Vec<f64>) {
    let centers = noise(classes * width, 99);
    let mut features = noise(rows * width, 7);
    let labels: Vec<f64> = (0..rows).map(|row| (row % classes) as f64).collect();
    for (row, values) in features.chunks_exact_mut(width).enumerate() {
        let center = &centers[(row % classes) * width..][..width];
        values.iter_mut().zip(center).for_each(|(value, center)| *value = *value * 0.5 + center);
    }
    (features, labels)
}

/// The record batch of dense f32 rows with one label.
pub fn labelled(features: Vec<f32>, width: usize, labels: Vec<f64>) -> RecordBatch {
    batch(vec![list(Float32Array::from(features), width), Arc::new(Float64Array::from(labels))])
}

pub fn token_rows(ids: Vec<i64>, width: usize, labels: Vec<f64>) -> RecordBatch {
    batch(vec![list(Int64Array::from(ids), width), Arc::new(Float64Array::from(labels))])
}

/// A fit of one task: the specification of its workers, and its server.
pub struct Fit {
    pub worker: WorkerSpec,
    pub server: Server,
}

pub fn sgd(learning_rate: f64) -> OptimizerSpec {
    OptimizerSpec::Sgd {
        learning_rate,
        momentum: 0.0,
        dampening: 0.0,
        nesterov: false,
        weight_decay: 0.0,
    }
}

/// A worker over one input `x`: SGD, cross-entropy, batches of 32, three epochs.
pub fn worker_spec(
    network: impl Into<NetworkDocument>,
    data: DataSpec,
    strategy: &str,
) -> WorkerSpec {
    static FITS: AtomicU32 = AtomicU32::new(0);
    let fit = format!("fit-{}", FITS.fetch_add(1, Ordering::Relaxed));
    WorkerSpec {
        server: ClientSpec {
            fit,
            host: "127.0.0.1".to_owned(),
            port: 0,
            secret: SECRET.to_owned(),
            timeout_millis: 5_000,
            tls: None,
            shards: vec![],
        },
        network: network.into(),
        data,
        losses: vec![LossSpec::CrossEntropy {}.into()],
        optimizer: sgd(0.1),
        strategy: StrategySpec::named(strategy).unwrap(),
        controls: ControlSpec::default(),
        batch_size: 32,
        epochs: 3,
        seed: 11,
        shuffle: true,
        given_weights: false,
        partition: 0,
        attempt: 1,
        workers_in_task: 1,
        threads: 1,
        cache_bytes: 1 << 30,
        spill_directories: vec![],
    }
}

/// Gives a strategy these options beside its own.
pub fn set_options(strategy: &mut StrategySpec, options: &Value) {
    let mut document = json!(strategy);
    document.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    *strategy = serde_json::from_value(document).unwrap();
}

impl Fit {
    /// Opens a server for a task, with the network's initial weights.
    pub fn open(worker: WorkerSpec) -> Self {
        let workers = worker.workers_in_task;
        Self::open_for(worker, workers)
    }

    /// Opens a server for this many workers, of this task and others.
    pub fn open_for(worker: WorkerSpec, workers: u32) -> Self {
        let (layout, center, buffers) =
            initialise(&worker.network, &worker.data, worker.seed).unwrap();
        let spec = ServerSpec {
            fit: worker.server.fit.clone(),
            network: worker.network.clone(),
            data: worker.data.clone(),
            strategy: worker.strategy.clone(),
            optimizer: Some(worker.optimizer),
            controls: worker.controls.clone(),
            workers,
            epochs: worker.epochs,
            seed: worker.seed,
            bind_address: "127.0.0.1".to_owned(),
            port: 0,
            port_max_retries: 0,
            secret: SECRET.to_owned(),
            lease_millis: 30_000,
            tls: None,
            shards: None,
            tasks: None,
            start_timeout_millis: 30_000,
        };
        let server = Server::open(&spec, layout, center, buffers).unwrap();
        Self { worker, server }
    }

    /// Runs the task over these rows.
    pub fn run(&self, rows: RecordBatch) -> Result<TaskReport, TrainError> {
        self.run_until(rows, &CancelFlag::new())
    }

    pub fn run_until(
        &self,
        rows: RecordBatch,
        cancel: &CancelFlag,
    ) -> Result<TaskReport, TrainError> {
        let layout = layout(&self.worker.network, &self.worker.data).unwrap();
        let mut connect = |_: WorkerId| -> Result<Box<dyn ParamChannel>, ChannelError> {
            Ok(firesteel_ps::connect(
                &self.worker.server,
                layout.hash(),
                layout.parameters(),
                cancel,
            )?)
        };
        let partition = partition(&self.worker.data, rows);
        TaskTrainer::new(self.worker.clone(), partition).run(&mut connect, cancel)
    }

    /// Runs the task until its worker has committed or saved this many times, then cancels it.
    pub fn run_for(&self, commits: u32, rows: RecordBatch) -> Result<TaskReport, TrainError> {
        let cancel = CancelFlag::new();
        let layout = layout(&self.worker.network, &self.worker.data).unwrap();
        let mut connect = |_: WorkerId| -> Result<Box<dyn ParamChannel>, ChannelError> {
            let spec = &self.worker.server;
            let channel = firesteel_ps::connect(spec, layout.hash(), layout.parameters(), &cancel)?;
            let cancel = cancel.clone();
            Ok(Box::new(Cancelling { channel, commits: Some(commits), scores: None, cancel }))
        };
        let partition = partition(&self.worker.data, rows);
        TaskTrainer::new(self.worker.clone(), partition).run(&mut connect, &cancel)
    }

    /// Runs one of several tasks: `workers` workers over these rows, the first attempt at partition `partition`, cancelled
    /// after that many commits, rounds or saves of its workers.
    pub fn run_task(&self, task: Task, rows: RecordBatch) -> Result<TaskReport, TrainError> {
        let mut spec = self.worker.clone();
        (spec.partition, spec.workers_in_task, spec.attempt) =
            (task.partition, task.workers, task.attempt);
        spec.server.port = task.port.unwrap_or_else(|| self.server.port());
        let cancel = CancelFlag::new();
        let layout = layout(&spec.network, &spec.data).unwrap();
        let client = spec.server.clone();
        let mut connect = |_: WorkerId| -> Result<Box<dyn ParamChannel>, ChannelError> {
            let (hash, parameters) = (layout.hash(), layout.parameters());
            let channel = match task.sockets {
                true => firesteel_ps::connect_remote(&client, hash, parameters, &cancel)?,
                false => firesteel_ps::connect(&client, hash, parameters, &cancel)?,
            };
            let Task { commits, scores, .. } = task;
            Ok(Box::new(Cancelling { channel, commits, scores, cancel: cancel.clone() }))
        };
        let partition = partition(&spec.data, rows);
        TaskTrainer::new(spec, partition).run(&mut connect, &cancel)
    }

    pub fn weights(&self) -> (Vec<f32>, Buffers) {
        let (center, buffers, _) = self.server.snapshot().unwrap();
        (center, buffers)
    }
}

/// One of the tasks of a fit.
#[derive(Clone, Copy)]
pub struct Task {
    pub partition: u32,
    pub workers: u32,
    pub attempt: i64,
    /// True to connect over sockets.
    pub sockets: bool,
    /// The server's port, if not its own.
    pub port: Option<u16>,
    /// The number of commits after which it is cancelled.
    pub commits: Option<u32>,
    /// The number of the score at which it is cancelled.
    pub scores: Option<u32>,
}

impl Task {
    pub fn of(partition: u32, workers: u32, sockets: bool) -> Self {
        Self { partition, workers, attempt: 1, sockets, port: None, commits: None, scores: None }
    }
}
