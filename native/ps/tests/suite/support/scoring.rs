//! Fits whose workers hold out rows.

use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::spec::{LabelKind, LabelSpec, OptimizerSpec, ServerSpec, ValidationSpec};
use firesteel_core::{Answer, Assignment, Registration};
use firesteel_ps::{EpochStatus, Server};
use serde_json::Value;

use super::*;

pub const PARAMETERS: usize = 40_000;

/// The specification of a fit with held-out rows and these controls.
pub fn spec(workers: u32, epochs: u32, controls: Value) -> ServerSpec {
    let mut spec = server_spec(workers, epochs);
    spec.controls = serde_json::from_value(controls).unwrap();
    spec.data.validation = Some(ValidationSpec::Column { column: "held out".to_owned() });
    spec.data.labels =
        vec![LabelSpec { column: "y".to_owned(), kind: LabelKind::Class { classes: 2 } }];
    spec
}

pub fn holding(partition: u32, attempt: i64, batches: u32, held_out: u64) -> Registration {
    Registration { held_out, ..registration(partition, attempt, batches) }
}

pub fn join(
    transport: Transport,
    spec: &ServerSpec,
    server: &Server,
    registration: Registration,
) -> Peer {
    Peer::connect(transport, &client_spec(spec, server.port()), PARAMETERS, registration)
}

impl Peer {
    pub fn ask(&mut self) -> (Answer, Assignment) {
        self.channel.evaluate(&mut self.center, &mut self.buffers).unwrap()
    }

    /// Sends the scores of `rows` rows of this loss, each with weight 1.
    pub fn score(&mut self, epoch: u32, rows: u64, loss: f64) -> Answer {
        let rows = rows as f64;
        self.channel.score(epoch, &[rows, rows, rows * loss, rows]).unwrap()
    }

    /// Asks until the assignment is not to wait.
    pub fn ask_on(&mut self) -> Assignment {
        let start = Instant::now();
        loop {
            match self.ask().1 {
                Assignment::Wait => assert!(start.elapsed() < Duration::from_secs(20), "a hang"),
                other => return other,
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

pub fn epoch(server: &Server, epoch: usize) -> EpochStatus {
    server.status().epochs[epoch].clone()
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
