//! The strategies in float64, written from the equations in `docs/algorithms.md`, without code of the engine.

use serde_json::{Value, json};

/// A server optimizer, by PyTorch's formulas.
#[derive(Clone, Debug)]
pub enum Server {
    Sgd { rate: f64, momentum: f64, nesterov: bool, buffer: Option<Vec<f64>> },
    Adagrad { rate: f64, epsilon: f64, sum: Vec<f64> },
    Adam { rate: f64, yogi: bool, epsilon: f64, steps: i32, mean: Vec<f64>, square: Vec<f64> },
}

impl Server {
    pub fn of(spec: &Value, len: usize) -> Self {
        let rate = spec["learningRate"].as_f64().unwrap();
        let zeros = || vec![0.0; len];
        match spec["name"].as_str().unwrap() {
            "sgd" => Self::Sgd {
                rate,
                momentum: spec["momentum"].as_f64().unwrap_or(0.0),
                nesterov: spec["nesterov"].as_bool().unwrap_or(false),
                buffer: None,
            },
            "adagrad" => Self::Adagrad { rate, epsilon: 1e-10, sum: zeros() },
            name => {
                let yogi = name == "yogi";
                let epsilon = if yogi { 1e-3 } else { 1e-8 };
                Self::Adam { rate, yogi, epsilon, steps: 0, mean: zeros(), square: zeros() }
            }
        }
    }

    fn step(&mut self, c: &mut [f64], g: &[f64]) {
        match self {
            Self::Sgd { rate, momentum, nesterov, buffer } => {
                let first = buffer.is_none();
                let b = buffer.get_or_insert_with(|| g.to_vec());
                for i in 0..c.len() {
                    if !first {
                        b[i] = *momentum * b[i] + g[i];
                    }
                    let d = match (*momentum > 0.0, *nesterov) {
                        (false, _) => g[i],
                        (true, true) => g[i] + *momentum * b[i],
                        (true, false) => b[i],
                    };
                    c[i] -= *rate * d;
                }
            }
            Self::Adagrad { rate, epsilon, sum } => {
                for i in 0..c.len() {
                    sum[i] += g[i] * g[i];
                    c[i] -= *rate * g[i] / (sum[i].sqrt() + *epsilon);
                }
            }
            Self::Adam { rate, yogi, epsilon, steps, mean, square } => {
                *steps += 1;
                for i in 0..c.len() {
                    let g2 = g[i] * g[i];
                    mean[i] = 0.9 * mean[i] + 0.1 * g[i];
                    square[i] = if *yogi {
                        let sign = if square[i] == g2 { 0.0 } else { (square[i] - g2).signum() };
                        square[i] - 0.001 * sign * g2
                    } else {
                        0.999 * square[i] + 0.001 * g2
                    };
                    let m = mean[i] / (1.0 - 0.9_f64.powi(*steps));
                    let v = square[i] / (1.0 - 0.999_f64.powi(*steps));
                    c[i] -= *rate * m / (v.sqrt() + *epsilon);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Worker {
    x: Vec<f64>,
    /// The replica at the last pull or commit, or at the start of the round.
    from: Vec<f64>,
    /// The center variable of the last pull.
    seen: Vec<f64>,
    pulled: u64,
    v: Vec<f64>,
    g: Vec<f64>,
    batches: u32,
    rows: u64,
    waiting: bool,
}

/// The reference state of a fit.
pub struct Reference {
    strategy: String,
    rate: f64,
    momentum: f64,
    alpha: f64,
    gamma: f64,
    outer_rate: f64,
    outer_momentum: f64,
    server: Option<Server>,
    c: Vec<f64>,
    m: Vec<f64>,
    version: u64,
    workers: Vec<Option<Worker>>,
    /// The largest difference of an f32 center variable, beyond rounding that is not amplified.
    doubt: f64,
}

fn is_round(strategy: &str) -> bool {
    matches!(strategy, "averaging" | "easgd" | "sync" | "local-sgd" | "diloco")
}

impl Reference {
    pub fn new(document: &Value) -> Self {
        let strategy = document["strategy"].as_str().unwrap().to_owned();
        let p = document["workers"].as_u64().unwrap();
        let c: Vec<f64> =
            document["center"].as_array().unwrap().iter().map(|c| c.as_f64().unwrap()).collect();
        let option =
            |name: &str, default: f64| document["options"][name].as_f64().unwrap_or(default);
        let server = &document["options"]["serverOptimizer"];
        let worker = Worker {
            x: c.clone(),
            from: c.clone(),
            seen: c.clone(),
            pulled: 0,
            v: vec![0.0; c.len()],
            g: vec![0.0; c.len()],
            batches: 0,
            rows: 0,
            waiting: false,
        };
        Self {
            strategy,
            rate: option("learningRate", 0.001),
            momentum: option("momentum", 0.9),
            alpha: option("alpha", 0.9 / p as f64),
            gamma: option("gamma", 1e-4),
            outer_rate: option("outerLearningRate", 0.7),
            outer_momentum: option("outerMomentum", 0.9),
            server: server.is_object().then(|| Server::of(server, c.len())),
            m: vec![0.0; c.len()],
            c,
            version: 0,
            workers: vec![Some(worker); p as usize],
            doubt: 0.0,
        }
    }

    /// Returns the largest error of an f32 implementation beyond the rounding of its values.
    pub fn doubt(&self) -> f64 {
        self.doubt
    }

    /// Returns true if an event is allowed now.
    pub fn allows(&self, event: &Value) -> bool {
        let Some(worker) = &self.workers[event["worker"].as_u64().unwrap() as usize] else {
            return false;
        };
        match event["op"].as_str().unwrap() {
            "step" => !worker.waiting && (self.strategy != "sync" || worker.batches == 0),
            "commit" => !worker.waiting,
            _ => true,
        }
    }

    /// Replays an event and returns the expected line.
    pub fn event(&mut self, index: usize, event: &Value) -> Value {
        let k = event["worker"].as_u64().unwrap() as usize;
        let op = event["op"].as_str().unwrap();
        let mut staleness = None;
        match op {
            "pull" => self.pull(k),
            "step" => {
                let g: Vec<f64> = event["gradient"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|g| g.as_f64().unwrap())
                    .collect();
                self.step(k, g, event["rows"].as_u64().unwrap());
            }
            "commit" => staleness = self.commit(k),
            _ => self.workers[k] = None,
        }
        if is_round(&self.strategy) && self.close() && op == "commit" {
            staleness = Some(0);
        }
        let replica = self.workers[k].as_ref().map(|worker| worker.x.clone());
        json!({"event": index, "version": self.version, "staleness": staleness, "center": self.c, "replica": replica})
    }

    fn pull(&mut self, k: usize) {
        let Some(worker) = &mut self.workers[k] else { return };
        match self.strategy.as_str() {
            "downpour" | "adag" | "agn" | "agn-adaptive" | "dynsgd" => {
                worker.x.clone_from(&self.c);
                worker.from.clone_from(&self.c);
            }
            "aeasgd" | "eamsgd" => {}
            _ => return,
        }
        worker.seen.clone_from(&self.c);
        worker.pulled = self.version;
    }

    fn step(&mut self, k: usize, g: Vec<f64>, rows: u64) {
        let Some(worker) = &mut self.workers[k] else { return };
        for (i, g) in g.iter().enumerate() {
            match self.strategy.as_str() {
                "sync" => {}
                "eamsgd" => {
                    worker.v[i] = self.momentum * worker.v[i] - self.rate * g;
                    worker.x[i] += worker.v[i];
                }
                _ => worker.x[i] -= self.rate * g,
            }
        }
        worker.g = g;
        worker.batches += 1;
        worker.rows += rows;
    }

    fn commit(&mut self, k: usize) -> Option<u64> {
        let Some(worker) = &mut self.workers[k] else { return None };
        let strategy = self.strategy.as_str();
        if is_round(strategy) {
            worker.waiting = true;
            return None;
        }
        if matches!(strategy, "single" | "ensemble") {
            return None;
        }
        let tau = self.version - worker.pulled;
        let n = self.c.len();
        if matches!(strategy, "aeasgd" | "eamsgd") {
            for i in 0..n {
                let e = self.alpha * (worker.x[i] - worker.seen[i]);
                worker.x[i] -= e;
                self.c[i] += e;
            }
        } else {
            let w = f64::from(worker.batches.max(1));
            let mut d: Vec<f64> = (0..n).map(|i| worker.x[i] - worker.from[i]).collect();
            let mut magnified: f64 = 0.0;
            for (i, d) in d.iter_mut().enumerate() {
                match strategy {
                    "adag" | "agn" => *d /= w,
                    "agn-adaptive" => {
                        let moved = self.c[i] - worker.seen[i];
                        let damping = 1.0 + moved.powi(2) / self.gamma;
                        // The derivative of d by the move of the center variable: with a small gamma it amplifies the
                        // rounding of both of its values, and the errors that earlier commits have amplified.
                        let slope = (2.0 * *d / w * moved / self.gamma / damping.powi(2)).abs();
                        let rounding = f64::from(f32::EPSILON) * self.c[i].abs().max(1.0);
                        magnified = magnified.max(slope * 2.0 * (rounding + self.doubt));
                        *d = *d / w / damping;
                    }
                    "dynsgd" => *d /= tau as f64 + 1.0,
                    _ => {}
                }
            }
            self.doubt += magnified;
            worker.from.clone_from(&worker.x);
            match &mut self.server {
                Some(server) if strategy != "agn-adaptive" => {
                    let g: Vec<f64> = d.iter().map(|d| -d).collect();
                    server.step(&mut self.c, &g);
                }
                _ => self.c.iter_mut().zip(&d).for_each(|(c, d)| *c += d),
            }
        }
        worker.batches = 0;
        worker.rows = 0;
        self.version += 1;
        Some(tau)
    }

    /// Closes the round if no contribution is missing.
    fn close(&mut self) -> bool {
        let live: Vec<usize> =
            (0..self.workers.len()).filter(|&k| self.workers[k].is_some()).collect();
        if live.is_empty() || live.iter().any(|&k| !self.workers[k].as_ref().unwrap().waiting) {
            return false;
        }
        let old = self.c.clone();
        let by_rows = matches!(self.strategy.as_str(), "averaging" | "sync" | "local-sgd");
        let weights: Vec<f64> = live
            .iter()
            .map(|&k| {
                let worker = self.workers[k].as_ref().unwrap();
                match (worker.batches, by_rows) {
                    (0, _) => 0.0,
                    (_, true) => worker.rows as f64,
                    (_, false) => 1.0,
                }
            })
            .collect();
        let total: f64 = weights.iter().sum();
        if total > 0.0 {
            self.version += 1;
            let mean = |of: &dyn Fn(&Worker, usize) -> f64| -> Vec<f64> {
                (0..old.len())
                    .map(|i| {
                        let sum = live.iter().zip(&weights);
                        sum.map(|(&k, w)| w * of(self.workers[k].as_ref().unwrap(), i)).sum::<f64>()
                            / total
                    })
                    .collect()
            };
            match self.strategy.as_str() {
                "averaging" | "local-sgd" => self.c = mean(&|worker, i| worker.x[i]),
                "sync" => {
                    let g = mean(&|worker, i| worker.g[i]);
                    match &mut self.server {
                        Some(server) => server.step(&mut self.c, &g),
                        None => self.c.iter_mut().zip(&g).for_each(|(c, g)| *c -= self.rate * g),
                    }
                }
                "diloco" => {
                    let delta = mean(&|worker, i| worker.from[i] - worker.x[i]);
                    for (i, delta) in delta.iter().enumerate() {
                        self.m[i] = self.outer_momentum * self.m[i] + delta;
                        self.c[i] -= self.outer_rate * (delta + self.outer_momentum * self.m[i]);
                    }
                }
                _ => {
                    let away = mean(&|worker, i| worker.x[i] - old[i]);
                    self.c.iter_mut().zip(&away).for_each(|(c, d)| *c += self.alpha * total * d);
                }
            }
        }
        for k in live {
            let worker = self.workers[k].as_mut().unwrap();
            if self.strategy == "easgd" {
                for (x, c) in worker.x.iter_mut().zip(&old) {
                    *x -= self.alpha * (*x - c);
                }
            } else {
                worker.x.clone_from(&self.c);
            }
            worker.from.clone_from(&worker.x);
            (worker.batches, worker.rows, worker.waiting) = (0, 0, false);
        }
        true
    }
}
