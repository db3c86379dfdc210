//! The engine beside the plain in-memory PyTorch loop of `torch_loop.py`, in alternating rounds: MNIST, the MLP
//! 784-500-300-10 unless a measure names another network, one thread.
//!
//! `cargo bench -p firesteel-train --bench training [NAME...]` prints a line for each measure whose name holds one of the
//! arguments: `bench <name> ours <rows/s or GB/s> beside <the same> ratio <ours / beside> aim <ratio>`, medians over the
//! rounds. The measures are
//!
//! - `train-<optimizer>-<batch>`: an epoch, beside PyTorch with `set_flush_denormal(True)`;
//! - `train-<optimizer>-<batch>-denormals`: the same beside PyTorch as it is by default;
//! - `train-lstm-<batch>`, with `-denormals` or without: the same with an LSTM of 64 units over an image's rows and momentum;
//! - `train-embeddings-256`: a network with ten embeddings of up to a million categories and SGD, beside PyTorch with
//!   dense gradients; `train-embeddings-256-sparse`: beside PyTorch with `Embedding(sparse=True)`;
//! - `train-wide-128`: Linear layers over rows of 100,000 values, 100 of them not 0, and SGD, beside PyTorch with dense rows;
//!   `train-wide-128-sparse`: beside PyTorch with `torch.sparse.mm`; `train-wide-128-bag`: beside PyTorch with
//!   `EmbeddingBag(sparse=True)` as its first layer;
//! - `train-conv-<batch>`, with `-denormals` or without: the same with two convolutions, pooling and momentum;
//! - `two-workers`: two workers in two threads beside one, rows of all workers;
//! - `overlap-<window>`: two workers whose exchanges overlap with training, beside the same without, over 1 Gbit/s;
//! - `step-<optimizer>`: an optimizer's pass over the network's parameters beside PyTorch's fused one, in the bytes that the
//!   pass reads and writes; `step-<optimizer>-memcpy`: beside a copy.
//!
//! `cargo bench -p firesteel-train --bench training engine` prints the seconds that two workers take for 5 epochs of MNIST.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark ends at the first failure")]

mod engine;
mod pytorch;
mod relay;
mod tabular;
mod wide;

use std::hint::black_box;
use std::time::Instant;

use firesteel_core::optimizer;
use firesteel_core::spec::OptimizerSpec;
use serde_json::json;

use self::engine::{Engine, Net, Setting, Transport};
use self::pytorch::{Images, PyTorch};

const ROWS: usize = 20_000;
/// The rows for a network with long steps.
const FEW_ROWS: usize = 2_000;
const ROUNDS: usize = 9;
const MNIST: usize = 60_000;
const PARAMETERS: usize = 785 * 500 + 501 * 300 + 301 * 10;

const FEW: &[Few] = &[
    Few {
        name: "train-embeddings-256",
        net: Net::Tabular,
        batch: 256,
        rows: 1600 * 256,
        beside: &[
            Beside { suffix: "", network: "tabular", rows: 10 * 256, aim: Some(10.0) },
            Beside {
                suffix: "-sparse",
                network: "tabular-sparse",
                rows: 400 * 256,
                aim: Some(2.0),
            },
        ],
    },
    Few {
        name: "train-wide-128",
        net: Net::Wide,
        batch: 128,
        rows: 400 * 128,
        beside: &[
            Beside { suffix: "", network: "wide", rows: 4 * 128, aim: Some(50.0) },
            Beside { suffix: "-sparse", network: "wide-sparse", rows: 10 * 128, aim: Some(5.0) },
            Beside { suffix: "-bag", network: "wide-bag", rows: 100 * 128, aim: None },
        ],
    },
];

fn main() {
    if std::env::args().any(|argument| argument == "engine") {
        return engine();
    }
    let (mut pytorch, images) = PyTorch::start(ROWS);
    for (name, batch, aim) in [
        ("momentum", 4, 4.5),
        ("momentum", 32, 1.75),
        ("momentum", 128, 1.25),
        ("adam", 4, 4.0),
        ("adam", 32, 1.8),
        ("adam", 128, 1.25),
    ] {
        let label = format!("train-{name}-{batch}");
        train(&mut pytorch, &images, &label, Net::Mlp, name, batch, aim);
    }
    train(&mut pytorch, &images, "train-lstm-32", Net::Lstm, "momentum", 32, 1.3);
    train(&mut pytorch, &images, "train-conv-32", Net::Convnet, "momentum", 32, 1.3);
    for measure in FEW {
        few(&mut pytorch, &images, measure);
    }
    two_workers(&images);
    overlap(&images);
    for (name, accesses) in [("sgd", 3), ("momentum", 5), ("adam", 7), ("adagrad", 5)] {
        step(&mut pytorch, name, accesses);
    }
}

/// One epoch, beside PyTorch with and without denormals flushed.
fn train(
    pytorch: &mut PyTorch,
    images: &Images,
    name: &str,
    net: Net,
    optimizer: &str,
    batch: usize,
    aim: f64,
) {
    if !asked(name) {
        return;
    }
    let rows = if let Net::Convnet = net { FEW_ROWS } else { ROWS };
    let engine = Engine::new(
        images,
        Setting {
            net,
            workers: 1,
            rows,
            strategy: "single",
            optimizer: spec(optimizer),
            batch_size: batch,
            epochs: 1,
            transport: Transport::Memory,
        },
    );
    let command = |flush| json!({"network": net.name(), "rows": rows, "optimizer": optimizer, "batch": batch, "flush": flush});
    let [ours, flushed, plain] = medians(|turn| match turn {
        0 => engine.train(),
        turn => pytorch.seconds(&command(turn == 1)),
    });
    let rate = |seconds| rows as f64 / seconds;
    report(name, rate(ours), rate(flushed), Some(aim));
    report(&format!("{name}-denormals"), rate(ours), rate(plain), Some(aim));
}

/// A network of which a mini-batch uses few weights.
struct Few {
    name: &'static str,
    net: Net,
    batch: usize,
    rows: usize,
    beside: &'static [Beside],
}

/// The same network in PyTorch, with as many rows as take it some tenths of a second.
struct Beside {
    suffix: &'static str,
    network: &'static str,
    rows: usize,
    aim: Option<f64>,
}

/// One epoch with SGD.
fn few(pytorch: &mut PyTorch, images: &Images, few: &Few) {
    let &Few { name, net, batch, rows, beside } = few;
    if !asked(name) {
        return;
    }
    let setting = Setting {
        net,
        workers: 1,
        rows,
        strategy: "single",
        optimizer: spec("sgd"),
        batch_size: batch,
        epochs: 1,
        transport: Transport::Memory,
    };
    let engine = Engine::new(images, setting);
    for &Beside { suffix, network, rows: theirs, aim } in beside {
        let command = json!({"network": network, "rows": theirs, "optimizer": "sgd", "batch": batch, "flush": true});
        let [ours, other] = medians(|turn| match turn {
            0 => engine.train(),
            _ => pytorch.seconds(&command),
        });
        report(&format!("{name}{suffix}"), rows as f64 / ours, theirs as f64 / other, aim);
    }
}

/// Two workers beside one, each on half of the rows.
fn two_workers(images: &Images) {
    let name = "two-workers";
    if !asked(name) {
        return;
    }
    let setting = adag(1, ROWS / 2, 1);
    let one = Engine::new(images, setting);
    let two = Engine::new(images, Setting { workers: 2, ..setting });
    let [two, one] = medians(|turn| if turn == 0 { two.train() } else { one.train() });
    report(name, ROWS as f64 / two, (ROWS / 2) as f64 / one, Some(1.9));
}

/// Two workers and a network of 1 Gbit/s: exchanges that overlap with training beside those that do not.
fn overlap(images: &Images) {
    for window in [5, 15, 50] {
        let name = format!("overlap-{window}");
        if !asked(&name) {
            continue;
        }
        let engine = |overlap| {
            let transport = Transport::Gigabit { window, overlap };
            Engine::new(images, Setting { transport, batch_size: 32, ..adag(2, ROWS / 2, 1) })
        };
        let (on, off) = (engine(true), engine(false));
        let [on, off] = medians(|turn| if turn == 0 { on.train() } else { off.train() });
        report(&name, ROWS as f64 / on, ROWS as f64 / off, Some(1.0));
    }
}

/// The time for the steps of a whole fit: two workers that share MNIST. Prints the seconds.
fn engine() {
    const EPOCHS: u32 = 5;
    let (_, images) = PyTorch::start(MNIST);
    println!("{:.3}", Engine::new(&images, adag(2, MNIST / 2, EPOCHS)).train());
}

/// SGD with mini-batches of 128 rows under `adag`.
fn adag(workers: u32, rows: usize, epochs: u32) -> Setting {
    Setting {
        net: Net::Mlp,
        workers,
        rows,
        strategy: "adag",
        optimizer: spec("sgd"),
        batch_size: 128,
        epochs,
        transport: Transport::Memory,
    }
}

/// An optimizer's pass, which reads and writes an f32 `accesses` times for each parameter.
fn step(pytorch: &mut PyTorch, name: &str, accesses: usize) {
    const STEPS: usize = 100;
    let name_of_copy = format!("step-{name}-memcpy");
    if !asked(&name_of_copy) {
        return;
    }
    let mut optimizer = optimizer::build(&spec(name), PARAMETERS).unwrap();
    let mut parameters = vec![0.5_f32; PARAMETERS];
    let mut copy = vec![0.0_f32; PARAMETERS];
    let gradients: Vec<f32> = (0..PARAMETERS).map(|index| (index as f32).sin()).collect();
    let command = json!({"optimizer": name, "steps": STEPS, "flush": true});
    let [ours, fused, copied] = medians(|turn| match turn {
        0 => seconds(STEPS, || optimizer.step(&mut parameters, &gradients)),
        1 => pytorch.seconds(&command),
        _ => seconds(STEPS, || black_box(&mut copy).copy_from_slice(&gradients)),
    });
    let rate =
        |accesses: usize, seconds| (STEPS * PARAMETERS * accesses * 4) as f64 / seconds / 1e9;
    report(&format!("step-{name}"), rate(accesses, ours), rate(accesses, fused), None);
    report(&name_of_copy, rate(accesses, ours), rate(2, copied), None);
}

fn spec(optimizer: &str) -> OptimizerSpec {
    let (learning_rate, epsilon, weight_decay) = (0.05, 1e-8, 0.0);
    let sgd = |momentum| OptimizerSpec::Sgd {
        learning_rate,
        momentum,
        dampening: 0.0,
        nesterov: false,
        weight_decay,
    };
    match optimizer {
        "sgd" => sgd(0.0),
        "momentum" => sgd(0.9),
        "adam" => OptimizerSpec::Adam {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon,
            weight_decay,
            amsgrad: false,
        },
        "adagrad" => OptimizerSpec::Adagrad {
            learning_rate: 1e-2,
            learning_rate_decay: 0.0,
            epsilon: 1e-10,
            weight_decay,
            initial_accumulator: 0.0,
        },
        unknown => panic!("no optimizer {unknown}"),
    }
}

/// Returns true if the command line selects a measure of this name.
fn asked(name: &str) -> bool {
    let mut names = std::env::args().skip(1).filter(|name| !name.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|part| name.contains(&part))
}

/// The median seconds of functions that run in turn, after a round that does not count.
fn medians<const THINGS: usize>(mut seconds: impl FnMut(usize) -> f64) -> [f64; THINGS] {
    let rounds: Vec<[f64; THINGS]> =
        (0..=ROUNDS).map(|_| std::array::from_fn(&mut seconds)).collect();
    std::array::from_fn(|thing| {
        let mut times: Vec<f64> = rounds[1..].iter().map(|round| round[thing]).collect();
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

fn seconds(times: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        work();
    }
    start.elapsed().as_secs_f64()
}

fn report(name: &str, ours: f64, beside: f64, aim: Option<f64>) {
    let aim = aim.map(|aim| format!(" aim {aim}")).unwrap_or_default();
    println!("bench {name} ours {ours:.2} beside {beside:.2} ratio {:.3}{aim}", ours / beside);
}
