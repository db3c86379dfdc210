//! The execution of a replay: each worker has a session with the store.

use std::num::NonZeroU32;

use firesteel_core::spec::{
    ControlSpec, DataSpec, DeltaOptions, NetworkSpec, OptimizerSpec, ServerSpec, StrategySpec,
};
use firesteel_core::strategy::WindowSummary;
use firesteel_core::{
    BufferKind, Buffers, CancelFlag, ChannelError, Commit, Optimizer, ParamChannel, ParamLayout,
    Position, Protocol, Registration, Span, Strategy, Tally, WorkerId, WorkerRule, optimizer,
};
use firesteel_ps::{MemoryChannel, MemoryServer};
use serde::Deserialize;
use serde_json::Value;

use crate::document::{Document, Event, Op};
use crate::{Line, ReplayError};

/// The attempt number of every worker.
const ATTEMPT: i64 = 1;

/// Longer than any replay.
const DAY_MILLIS: u64 = 86_400_000;

/// A running replay.
pub(super) struct Run {
    server: MemoryServer,
    protocol: Protocol,
    /// True if a window may have more than one mini-batch.
    long: bool,
    workers: Vec<Option<ReplayWorker>>,
}

/// A worker that has not left.
struct ReplayWorker {
    id: WorkerId,
    channel: MemoryChannel,
    rule: Box<dyn WorkerRule>,
    optimizer: Box<dyn Optimizer>,
    replica: Vec<f32>,
    /// The memory for a center variable.
    center: Vec<f32>,
    /// The mini-batches trained since the last commit.
    batches: u32,
    rows: u64,
    /// The number of mini-batches committed so far.
    position: Position,
    sequence: u64,
    waiting: bool,
}

impl Run {
    pub(super) fn new(
        document: &Document,
        strategy: &dyn Strategy,
        spec: &OptimizerSpec,
    ) -> Result<Self, ReplayError> {
        let refused = |error: &dyn ToString| ReplayError::Document(error.to_string());
        let center = &document.center;
        let mut layout = ParamLayout::new();
        layout.push("center", &[center.len()], BufferKind::Parameter);
        let server = server_spec(document);
        let server = MemoryServer::new(strategy, &server, layout, center, Buffers::default())
            .map_err(|error| refused(&error))?;
        let mut workers = Vec::new();
        for partition in 0..document.workers {
            let id = WorkerId { partition, index: 0 };
            let mut channel =
                server.connect(&CancelFlag::default()).map_err(|error| refused(&error))?;
            let registration = Registration {
                worker: id,
                attempt: ATTEMPT,
                rows: u64::MAX,
                content: 0,
                batches: u32::MAX,
                held_out: 0,
            };
            channel.register(&registration).map_err(|error| refused(&error))?;
            let mut rule = strategy.worker(center.len(), document.workers);
            rule.start(center);
            let optimizer =
                optimizer::build(spec, center.len()).map_err(|error| refused(&error))?;
            workers.push(Some(ReplayWorker {
                id,
                channel,
                rule,
                optimizer,
                replica: center.clone(),
                center: center.clone(),
                batches: 0,
                rows: 0,
                position: Position::default(),
                sequence: 0,
                waiting: false,
            }));
        }
        let protocol = strategy.protocol();
        let long = !matches!(protocol, Protocol::Rounds { window: NonZeroU32::MIN, .. });
        Ok(Self { server, protocol, long, workers })
    }

    /// Replays one event; returns the state after it.
    pub(super) fn event(&mut self, index: usize, event: &Value) -> Result<Line, String> {
        let event = Event::deserialize(event).map_err(|error| error.to_string())?;
        let number = event.worker as usize;
        let all = self.workers.len();
        let worker = match self.workers.get_mut(number) {
            None => return Err(format!("unknown worker {number}: the document has {all} workers")),
            Some(None) => return Err(format!("worker {number} has left")),
            Some(Some(worker)) => worker,
        };
        let staleness = match event.op {
            Op::Pull => worker.pull(self.protocol).map(|()| None),
            Op::Step => worker.step(&event, self.long).map(|()| None),
            Op::Commit => worker.commit(self.protocol),
            Op::Leave => {
                self.server.attempt_ended(worker.id.partition, ATTEMPT);
                self.workers[number] = None;
                Ok(None)
            }
        }?;
        self.deliver_closed_rounds()?;
        let (center, version) = self.server.center();
        let worker = self.workers[number].as_ref();
        let closed = worker.is_some_and(|worker| !worker.waiting);
        let contributed =
            matches!((self.protocol, event.op), (Protocol::Rounds { .. }, Op::Commit));
        Ok(Line {
            event: index,
            version,
            staleness: if contributed { closed.then_some(0) } else { staleness },
            center,
            replica: worker.map(|worker| worker.replica.clone()),
        })
    }

    /// Reads the results of closed rounds on behalf of the workers that wait for them.
    fn deliver_closed_rounds(&mut self) -> Result<(), String> {
        for worker in self.workers.iter_mut().flatten().filter(|worker| worker.waiting) {
            worker.try_receive().map_err(text)?;
        }
        Ok(())
    }
}

impl ReplayWorker {
    /// Delta strategies continue from the center variable, elastic strategies keep it beside the replica.
    fn pull(&mut self, protocol: Protocol) -> Result<(), String> {
        if matches!(protocol, Protocol::Asynchronous { .. }) {
            self.channel.pull(&mut self.center, &mut Buffers::default()).map_err(text)?;
            self.rule.receive(&self.center, &mut self.replica);
        }
        Ok(())
    }

    fn step(&mut self, event: &Event, long: bool) -> Result<(), String> {
        if self.waiting {
            return Err("a step while the worker waits in a round".to_owned());
        }
        if self.batches > 0 && !long {
            return Err("a second step before the commit".to_owned());
        }
        let gradient = event.gradient.as_ref().ok_or("a step without a gradient")?;
        let rows = event.rows.ok_or("a step without rows")?;
        if gradient.len() != self.replica.len() {
            let (given, wanted) = (gradient.len(), self.replica.len());
            return Err(format!(
                "the gradient has {given} numbers, but the network has {wanted} parameters"
            ));
        }
        self.rule.look_ahead(&mut self.replica);
        self.rule.step(&mut self.replica, gradient, &mut *self.optimizer);
        self.batches += 1;
        self.rows = self.rows.checked_add(rows).ok_or("the number of rows overflows")?;
        Ok(())
    }

    /// Ends the window; returns the staleness of a commit that is applied at once.
    fn commit(&mut self, protocol: Protocol) -> Result<Option<u64>, String> {
        if self.waiting {
            return Err("a second commit while the worker waits in a round".to_owned());
        }
        let (batches, rows) = (std::mem::take(&mut self.batches), std::mem::take(&mut self.rows));
        if matches!(protocol, Protocol::Local { .. }) {
            return Ok(None);
        }
        let learning_rate = self.optimizer.learning_rate();
        let mut message = vec![0.0; self.replica.len()];
        self.rule.commit(&mut self.replica, WindowSummary { batches, learning_rate }, &mut message);
        self.sequence += 1;
        let commit = Commit {
            sequence: self.sequence,
            message: &message,
            buffers: &Buffers::default(),
            span: Span { start: self.position, batches, rows },
            tally: Tally::default(),
        };
        self.position.batch += batches;
        if matches!(protocol, Protocol::Rounds { .. }) {
            self.channel.contribute(&commit).map_err(text)?;
            self.waiting = true;
            return Ok(None);
        }
        let answer = self.channel.commit(&commit).map_err(text)?;
        Ok(Some(answer.staleness))
    }

    fn try_receive(&mut self) -> Result<(), ChannelError> {
        let closed = self.channel.try_close_round(&mut self.center, &mut Buffers::default())?;
        if closed.is_some() {
            self.rule.receive(&self.center, &mut self.replica);
            self.waiting = false;
        }
        Ok(())
    }
}

fn text(error: ChannelError) -> String {
    error.to_string()
}

/// Returns the specification of a server without compression.
fn server_spec(document: &Document) -> ServerSpec {
    ServerSpec {
        fit: "replay".to_owned(),
        network: NetworkSpec {
            format: String::new(),
            inputs: vec![],
            nodes: vec![],
            outputs: vec![],
        }
        .into(),
        data: DataSpec { inputs: vec![], labels: vec![], weight: None, validation: None },
        controls: ControlSpec::default(),
        strategy: StrategySpec::Downpour(DeltaOptions::default()),
        optimizer: None,
        workers: document.workers,
        epochs: 1,
        seed: 0,
        bind_address: String::new(),
        port: 0,
        port_max_retries: 0,
        secret: String::new(),
        lease_millis: DAY_MILLIS,
        tasks: None,
        start_timeout_millis: DAY_MILLIS,
        tls: None,
        shards: None,
    }
}
