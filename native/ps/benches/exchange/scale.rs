//! Many workers in parallel, compared with as many plain connections.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::CancelFlag;
use firesteel_ps::connect_remote;

use crate::plain::Plain;
use crate::{Worker, asked, layout, median, open};

const WORKERS: [u32; 5] = [1, 4, 16, 64, 256];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(800);

/// The memory for the center variables of all workers; without enough of it workers only commit.
const MEMORY: usize = 2 << 30;

/// The result of one round.
#[derive(Clone, Copy)]
struct Rate {
    per_second: f64,
    /// The 99th percentile of the latencies, in milliseconds.
    p99: f64,
}

/// Prints, for each number of workers, GB/s and the 99th percentile beside plain connections, and commits a second
/// beside one worker's.
pub fn scale(model: &str, parameters: usize) {
    let message: Arc<Vec<f32>> = Arc::new(vec![1e-9; parameters]);
    let bytes = 4 * parameters;
    let mut alone = None;
    for workers in WORKERS {
        let pull = workers as usize * bytes <= MEMORY;
        let name =
            format!("{}-{model}-{workers}-workers", if pull { "exchange" } else { "commit" });
        if !asked(&name) {
            continue;
        }
        let (server, client) = open(parameters, workers);
        let hash = layout(parameters).hash();
        let mut ours: Vec<Worker> = (0..workers)
            .map(|partition| {
                let channel =
                    connect_remote(&client, hash, parameters, &CancelFlag::new()).unwrap();
                let center = if pull { parameters } else { 0 };
                Worker::new(channel, partition, Arc::clone(&message), center)
            })
            .collect();
        let back = if pull { bytes } else { 1 };
        let sent = Arc::new(vec![2; bytes]);
        // As large as a payload, within the available memory.
        let buffer = bytes.min(MEMORY / workers as usize);
        let mut plain: Vec<Plain> =
            (0..workers).map(|_| Plain::new(Arc::clone(&sent), back, buffer)).collect();
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            mine.push(rate(&mut ours, |worker| worker.step(pull)));
            others.push(rate(&mut plain, |plain| plain.copy(bytes, back)));
        }
        let middle = |rates: &[Rate], of: fn(&Rate) -> f64| median(rates.iter().map(of).collect());
        let speed = |rates: &[Rate]| middle(rates, |rate| rate.per_second);
        let gigabytes = (bytes + back) as f64 / 1e9;
        let (own, other) = (speed(&mine), speed(&others));
        println!(
            "bench {name} ours {:.3} beside {:.3} ratio {:.3} aim 0.8",
            own * gigabytes,
            other * gigabytes,
            own / other
        );
        let (own_p99, other_p99) =
            (middle(&mine, |rate| rate.p99), middle(&others, |rate| rate.p99));
        println!(
            "bench {name}-p99 ours {own_p99:.3} beside {other_p99:.3} ratio {:.3}",
            own_p99 / other_p99
        );
        let one = *alone.get_or_insert(own);
        println!(
            "bench {name}-commits ours {own:.1} beside {one:.1} ratio {:.3} aim 0.9",
            own / one
        );
        drop(ours);
        server.close();
    }
}

/// Runs an operation repeatedly for all peers in parallel.
fn rate<T: Send>(peers: &mut [T], operation: impl Fn(&mut T) + Sync) -> Rate {
    let barrier = Barrier::new(peers.len() + 1);
    let (latencies, seconds) = thread::scope(|scope| {
        let threads: Vec<_> = peers
            .iter_mut()
            .map(|peer| {
                let (barrier, operation) = (&barrier, &operation);
                scope.spawn(move || {
                    let mut latencies = Vec::new();
                    barrier.wait();
                    let start = Instant::now();
                    while latencies.is_empty() || start.elapsed() < ROUND {
                        let begun = Instant::now();
                        operation(peer);
                        latencies.push(begun.elapsed().as_secs_f64() * 1e3);
                    }
                    latencies
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        let latencies: Vec<f64> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (latencies, start.elapsed().as_secs_f64())
    });
    let per_second = latencies.len() as f64 / seconds;
    let mut sorted = latencies;
    sorted.sort_by(f64::total_cmp);
    Rate { per_second, p99: sorted[(sorted.len() * 99 / 100).min(sorted.len() - 1)] }
}

/// Measures the server's own time for applying commits that come through memory, beside `y += a*x` over the same
/// memory.
pub fn apply(model: &str, parameters: usize) {
    let name = format!("apply-axpy-{model}");
    if !asked(&name) {
        return;
    }
    let (server, client) = open(parameters, 1);
    let channel =
        firesteel_ps::connect(&client, layout(parameters).hash(), parameters, &CancelFlag::new())
            .unwrap();
    let mut worker = Worker::new(channel, 0, Arc::new(vec![1e-9; parameters]), 0);
    let (mut y, x) = (vec![0.0_f32; parameters], vec![1e-9_f32; parameters]);
    let bytes = (12 * parameters) as f64 / 1e9;
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    let applied = || server.status().workers[0].apply_seconds;
    for _ in 0..9 {
        let (before, start, mut times) = (applied(), Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(150) {
            worker.step(false);
            times += 1;
        }
        mine.push(bytes * f64::from(times) / (applied() - before));
        let (start, mut times) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(150) {
            for (y, x) in y.iter_mut().zip(&x) {
                *y += 0.5 * x;
            }
            black_box(&mut y);
            times += 1;
        }
        others.push(bytes * f64::from(times) / start.elapsed().as_secs_f64());
    }
    let (ours, beside) = (median(mine), median(others));
    println!("bench {name} ours {ours:.3} beside {beside:.3} ratio {:.3} aim 0.9", ours / beside);
    drop(worker);
    server.close();
}
