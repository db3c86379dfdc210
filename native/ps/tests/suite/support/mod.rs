//! A server and workers for the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may be blunt")]
#![allow(dead_code, reason = "a test alone in its process uses a part of it")]

pub mod certificates;
pub mod cluster;
pub mod proxy;
pub mod raw;
pub mod scoring;

use firesteel_core::spec::{
    ClientSpec, ControlSpec, DataSpec, DeltaOptions, NetworkSpec, ServerSpec, StrategySpec,
};
use firesteel_core::{
    Answer, BufferKind, Buffers, CancelFlag, ChannelError, Commit, ParamChannel, ParamLayout,
    Position, Registration, Save, Span, Tally, WorkerId,
};
use firesteel_ps::{Server, connect, connect_remote};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

pub const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub const OTHER_SECRET: &str = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A layout with this number of parameters in two tensors, two floating-point buffers and one integer buffer.
pub fn layout(parameters: usize) -> ParamLayout {
    let mut layout = ParamLayout::new();
    layout.push("0.weight", &[parameters - 1], BufferKind::Parameter);
    layout.push("0.bias", &[1], BufferKind::Parameter);
    layout.push("1.running_mean", &[2], BufferKind::FloatBuffer);
    layout.push("1.num_batches_tracked", &[], BufferKind::IntegerBuffer);
    layout
}

pub fn buffers() -> Buffers {
    Buffers { floats: vec![0.0; 2], integers: vec![0] }
}

/// The specification of a test's server: `downpour`, so that a commit is simply added.
pub fn server_spec(workers: u32, epochs: u32) -> ServerSpec {
    static FITS: AtomicU32 = AtomicU32::new(0);
    let network =
        NetworkSpec { format: String::new(), inputs: vec![], nodes: vec![], outputs: vec![] };
    ServerSpec {
        fit: format!("fit-{}", FITS.fetch_add(1, Ordering::Relaxed)),
        network: network.into(),
        data: DataSpec { inputs: vec![], labels: vec![], weight: None, validation: None },
        strategy: StrategySpec::Downpour(DeltaOptions {
            window: Some(1),
            ..DeltaOptions::default()
        }),
        optimizer: None,
        controls: ControlSpec::default(),
        workers,
        epochs,
        seed: 0,
        bind_address: "127.0.0.1".to_owned(),
        port: 0,
        port_max_retries: 0,
        secret: SECRET.to_owned(),
        lease_millis: 30_000,
        tls: None,
        shards: None,
        tasks: None,
        start_timeout_millis: 30_000,
    }
}

/// Gives a strategy these options beside its own.
pub fn set_options(strategy: &mut StrategySpec, options: &Value) {
    let mut document = json!(strategy);
    document.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    *strategy = serde_json::from_value(document).unwrap();
}

pub fn open(spec: &ServerSpec, parameters: usize) -> Server {
    Server::open(spec, layout(parameters), vec![0.0; parameters], buffers()).unwrap()
}

pub fn client_spec(spec: &ServerSpec, port: u16) -> ClientSpec {
    ClientSpec {
        fit: spec.fit.clone(),
        host: "127.0.0.1".to_owned(),
        port,
        secret: spec.secret.clone(),
        timeout_millis: 5_000,
        tls: None,
        shards: vec![],
    }
}

/// The transport to the server; most tests run on both.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    Socket,
    Memory,
}

pub const ROADS: [Transport; 2] = [Transport::Socket, Transport::Memory];

/// A worker of a test: a channel and its counters.
pub struct Peer {
    pub channel: Box<dyn ParamChannel>,
    pub registration: Registration,
    pub position: Position,
    pub sequence: u64,
    pub center: Vec<f32>,
    pub buffers: Buffers,
}

pub fn registration(partition: u32, attempt: i64, batches: u32) -> Registration {
    Registration {
        worker: WorkerId { partition, index: 0 },
        attempt,
        rows: 10 * u64::from(batches),
        content: 7,
        batches,
        held_out: 0,
    }
}

impl Peer {
    pub fn connect(
        transport: Transport,
        client: &ClientSpec,
        parameters: usize,
        registration: Registration,
    ) -> Self {
        Self::try_connect(transport, client, parameters, registration, &CancelFlag::new()).unwrap()
    }

    pub fn try_connect(
        transport: Transport,
        client: &ClientSpec,
        parameters: usize,
        registration: Registration,
        cancel: &CancelFlag,
    ) -> Result<Self, ChannelError> {
        let hash = layout(parameters).hash();
        let mut channel = match transport {
            Transport::Socket => connect_remote(client, hash, parameters, cancel)?,
            Transport::Memory => connect(client, hash, parameters, cancel)?,
        };
        let position = channel.register(&registration)?.position;
        Ok(Self {
            channel,
            registration,
            position,
            sequence: 0,
            center: vec![f32::NAN; parameters],
            buffers: buffers(),
        })
    }

    pub fn pull(&mut self) -> Answer {
        self.channel.pull(&mut self.center, &mut self.buffers).unwrap()
    }

    /// Returns the span of the next mini-batch.
    pub fn span(&self) -> Span {
        Span { start: self.position, batches: 1, rows: 10 }
    }

    /// Advances by one mini-batch.
    pub fn advance(&mut self) {
        self.sequence += 1;
        self.position.batch += 1;
        if self.position.batch == self.registration.batches {
            self.position = Position { epoch: self.position.epoch + 1, batch: 0 };
        }
    }

    /// Commits `value` for every parameter, as one mini-batch of ten rows with a mean loss of 0.5.
    pub fn commit(&mut self, value: f32) -> Result<Answer, ChannelError> {
        self.send(value, |channel, commit| channel.commit(commit))
    }

    /// Contributes `value` for every parameter to a round, as such a mini-batch.
    pub fn contribute(&mut self, value: f32) -> Result<Answer, ChannelError> {
        self.send(value, |channel, commit| channel.contribute(commit))
    }

    fn send(
        &mut self,
        value: f32,
        exchange: fn(&mut dyn ParamChannel, &Commit<'_>) -> Result<Answer, ChannelError>,
    ) -> Result<Answer, ChannelError> {
        let message = vec![value; self.center.len()];
        let commit = Commit {
            sequence: self.sequence + 1,
            message: &message,
            buffers: &self.buffers,
            span: self.span(),
            tally: TALLY,
        };
        let answer = exchange(&mut *self.channel, &commit)?;
        self.advance();
        Ok(answer)
    }

    pub fn close_round(&mut self) -> Result<Answer, ChannelError> {
        self.channel.close_round(&mut self.center, &mut self.buffers)
    }

    pub fn round(&mut self, value: f32) -> Result<Answer, ChannelError> {
        self.contribute(value)?;
        self.close_round()
    }

    pub fn save(&mut self, value: f32) -> Result<Answer, ChannelError> {
        let replica = vec![value; self.center.len()];
        let answer = self.channel.save(&Save {
            sequence: self.sequence + 1,
            replica: &replica,
            buffers: &self.buffers,
            span: self.span(),
            tally: TALLY,
        })?;
        self.advance();
        Ok(answer)
    }

    pub fn exchange(&mut self, value: f32) -> Result<Answer, ChannelError> {
        let message = vec![value; self.center.len()];
        let given = self.buffers.clone();
        let span = self.span();
        let commit = Commit {
            sequence: self.sequence + 1,
            message: &message,
            buffers: &given,
            span,
            tally: TALLY,
        };
        let answer = self.channel.exchange(&commit, &mut self.center, &mut self.buffers)?;
        self.advance();
        Ok(answer)
    }
}

pub const TALLY: Tally = Tally { loss: 5.0, weight: 10.0 };

/// Returns the number of this process's threads with the server's name.
pub fn server_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|name| name.starts_with("firesteel-ps"))
        .count()
}
