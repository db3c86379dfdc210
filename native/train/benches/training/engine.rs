//! The engine as a task runs it: blocks, workers and a server in memory.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Float64Array, RecordBatch, RecordBatchIterator, UInt8Array,
};
use arrow::datatypes::{Field, Schema};
use firesteel_core::CancelFlag;
use firesteel_core::spec::{
    ClientSpec, ControlSpec, DataSpec, LossSpec, NetworkDocument, OptimizerSpec, ServerSpec,
    WorkerSpec,
};
use firesteel_data::{CacheBudget, Partition};
use firesteel_ps::{Server, connect, connect_remote};
use firesteel_train::{TaskTrainer, initialise};
use serde_json::{Value, json};

use crate::pytorch::{Images, SIZE};
use crate::relay::gigabit;
use crate::{tabular, wide};

const SECRET: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// The network of a measurement.
#[derive(Clone, Copy)]
pub enum Net {
    /// The MLP 784-500-300-10.
    Mlp,
    /// An LSTM of 64 units over the 28 rows of an image, and a Linear layer.
    Lstm,
    /// Ten embeddings of up to a million categories, and Linear layers of 64, 32 and 2 outputs.
    Tabular,
    /// A Linear layer of 64 outputs over sparse rows of 100,000 values, and one of 2.
    Wide,
    /// Two convolutions of 32 channels, pooling, and Linear layers of 225 and 10 outputs: the MNIST example of dist-keras.
    Convnet,
}

impl Net {
    /// Its name in `torch_loop.py`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Lstm => "lstm",
            Self::Tabular => "tabular",
            Self::Wide => "wide",
            Self::Convnet => "convnet",
        }
    }
}

/// The training of one measurement.
#[derive(Clone, Copy)]
pub struct Setting {
    pub net: Net,
    pub workers: u32,
    /// Rows of each worker.
    pub rows: usize,
    pub strategy: &'static str,
    pub optimizer: OptimizerSpec,
    pub batch_size: usize,
    pub epochs: u32,
    pub transport: Transport,
}

/// The transport between workers and server.
#[derive(Clone, Copy)]
pub enum Transport {
    /// In memory.
    Memory,
    /// Over a network of 1 Gbit/s, after windows of this length, optionally overlapped with training.
    Gigabit { window: u32, overlap: bool },
}

/// Workers that train repeatedly over their rows, one thread each.
pub struct Engine {
    server: ServerSpec,
    workers: Vec<TaskTrainer>,
    transport: Transport,
}

impl Engine {
    /// Workers with their rows.
    pub fn new(images: &Images, setting: Setting) -> Self {
        let Setting { net, workers, rows, strategy, optimizer, batch_size, epochs, transport } =
            setting;
        let strategy = match transport {
            Transport::Memory => json!({"name": strategy}),
            Transport::Gigabit { window, overlap } => {
                json!({"name": strategy, "window": window, "overlap": overlap})
            }
        };
        let server = ServerSpec {
            fit: "bench".to_owned(),
            network: network(net),
            data: data(net),
            strategy: serde_json::from_value(strategy).unwrap(),
            controls: ControlSpec::default(),
            optimizer: Some(optimizer),
            workers,
            epochs,
            seed: 1,
            bind_address: "127.0.0.1".to_owned(),
            port: 0,
            port_max_retries: 0,
            secret: SECRET.to_owned(),
            lease_millis: 60_000,
            tls: None,
            shards: None,
            tasks: None,
            start_timeout_millis: 60_000,
        };
        let spec = |partition| WorkerSpec {
            server: client(&server, 0),
            network: server.network.clone(),
            data: server.data.clone(),
            losses: vec![LossSpec::CrossEntropy {}.into()],
            optimizer,
            strategy: server.strategy.clone(),
            controls: ControlSpec::default(),
            batch_size,
            epochs,
            seed: server.seed,
            shuffle: true,
            given_weights: false,
            partition,
            attempt: 0,
            workers_in_task: 1,
            threads: 1,
            cache_bytes: u64::MAX,
            spill_directories: Vec::new(),
        };
        let workers = (0..workers)
            .map(|index| {
                TaskTrainer::new(spec(index), partition(net, images, index as usize * rows, rows))
            })
            .collect();
        Self { server, workers, transport }
    }

    /// Trains all epochs from the start; returns the seconds.
    pub fn train(&self) -> f64 {
        let Self { server: spec, workers, transport } = self;
        let (layout, center, buffers) = initialise(&spec.network, &spec.data, spec.seed).unwrap();
        let (hash, parameters) = (layout.hash(), layout.parameters());
        let server = Server::open(spec, layout, center, buffers).unwrap();
        let cancel = CancelFlag::new();
        let port = match transport {
            Transport::Memory => server.port(),
            Transport::Gigabit { .. } => gigabit(server.port()),
        };
        let client = client(spec, port);
        let connect = || match transport {
            Transport::Memory => connect(&client, hash, parameters, &cancel),
            Transport::Gigabit { .. } => connect_remote(&client, hash, parameters, &cancel),
        };
        let run = |worker: &TaskTrainer| {
            worker.run(&mut |_| Ok(connect()?), &cancel).unwrap();
        };
        let start = Instant::now();
        thread::scope(|scope| {
            for worker in workers {
                scope.spawn(|| run(worker));
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        server.snapshot().unwrap();
        server.close();
        seconds
    }
}

fn client(server: &ServerSpec, port: u16) -> ClientSpec {
    ClientSpec {
        fit: server.fit.clone(),
        host: server.bind_address.clone(),
        port,
        secret: server.secret.clone(),
        timeout_millis: 10_000,
        tls: None,
        shards: vec![],
    }
}

fn network(net: Net) -> NetworkDocument {
    let node = |name: &str, op: &str, input: &str, args: Value| json!({"name": name, "op": op, "inputs": [input], "args": args});
    let linear = |name: &str, input: &str, outputs: usize| {
        node(name, "Linear", input, json!({"out_features": outputs}))
    };
    let relu = |name: &str, input: &str| node(name, "ReLU", input, json!({}));
    let convolution = |name: &str, input: &str| {
        node(name, "Conv2d", input, json!({"out_channels": 32, "kernel_size": 3}))
    };
    let nodes = match net {
        Net::Tabular => return tabular::network(),
        Net::Wide => return wide::network(),
        Net::Mlp => vec![
            linear("0", "features", 500),
            relu("1", "0"),
            linear("2", "1", 300),
            relu("3", "2"),
            linear("4", "3", 10),
        ],
        Net::Lstm => vec![
            node("0", "Reshape", "features", json!({"shape": [28, 28]})),
            node("1", "LSTM", "0", json!({"hidden_size": 64, "output": "last"})),
            linear("2", "1", 10),
        ],
        Net::Convnet => vec![
            node("0", "Reshape", "features", json!({"shape": [1, 28, 28]})),
            convolution("1", "0"),
            relu("2", "1"),
            convolution("3", "2"),
            relu("4", "3"),
            node("5", "MaxPool2d", "4", json!({"kernel_size": 2})),
            node("6", "Flatten", "5", json!({})),
            linear("7", "6", 225),
            relu("8", "7"),
            linear("9", "8", 10),
        ],
    };
    let output = &nodes[nodes.len() - 1]["name"];
    serde_json::from_value(json!({
        "format": "firesteel.network/1",
        "inputs": ["features"],
        "outputs": [output],
        "nodes": nodes,
    }))
    .unwrap()
}

fn data(net: Net) -> DataSpec {
    match net {
        Net::Tabular => return tabular::data(),
        Net::Wide => return wide::data(),
        Net::Mlp | Net::Lstm | Net::Convnet => {}
    }
    serde_json::from_value(json!({
        "inputs": [{"name": "features", "column": "features", "format": "dense", "element": "u8",
                    "shape": [SIZE], "scale": 1.0 / 255.0}],
        "labels": [{"column": "label", "kind": {"type": "class", "classes": 10}}],
        "weight": null,
    }))
    .unwrap()
}

fn partition(net: Net, images: &Images, first: usize, rows: usize) -> Partition {
    let batch = match net {
        Net::Tabular => tabular::rows(rows),
        Net::Wide => wide::rows(rows),
        Net::Mlp | Net::Lstm | Net::Convnet => labelled(images, first, rows),
    };
    let schema = batch.schema();
    let reader = Box::new(RecordBatchIterator::new([Ok(batch)], schema));
    Partition::load(reader, &data(net), CacheBudget::shared(u64::MAX), &[], &CancelFlag::new())
        .unwrap()
}

fn labelled(images: &Images, first: usize, rows: usize) -> RecordBatch {
    let pixels = UInt8Array::from(images.pixels[first * SIZE..(first + rows) * SIZE].to_vec());
    let item = Arc::new(Field::new("item", pixels.data_type().clone(), false));
    let size = i32::try_from(SIZE).unwrap();
    let features: ArrayRef = Arc::new(FixedSizeListArray::new(item, size, Arc::new(pixels), None));
    let classes = images.classes[first..first + rows].iter().copied().map(f64::from);
    let labels: ArrayRef = Arc::new(Float64Array::from_iter_values(classes));
    let schema = Arc::new(Schema::new(vec![
        Field::new("features", features.data_type().clone(), false),
        Field::new("label", labels.data_type().clone(), false),
    ]));
    RecordBatch::try_new(schema, vec![features, labels]).unwrap()
}
