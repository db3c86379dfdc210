//! The resolved documents that cross the boundary from the JVM, each as one JSON text. The JVM resolves every default, so
//! each field is present and an unknown one is an error.

mod control;
mod data;
mod document;
mod fit;
mod network;
mod shards;
mod strategy;
mod tls;
mod training;

pub use control::{
    ClippingSpec, ControlSpec, Direction, Interval, Metric, MetricKind, Monitor, OutputMetric,
    ReportedMetric, ScheduleSpec, StoppingSpec, ThresholdMode, WarmupSpec,
};
pub use data::{
    DataSpec, ElementType, InputFormat, InputSpec, LabelKind, LabelSpec, ValidationSpec,
};
pub use document::{
    NetworkDocument, TORCHSCRIPT_FORMAT, TensorKind, TorchScriptInput, TorchScriptSpec,
};
pub use fit::{
    ClientSpec, PredictionColumn, PredictionTask, PredictorSpec, ServerSpec, WorkerSpec,
};
pub use network::{NETWORK_FORMAT, NetworkSpec, NodeSpec};
pub use shards::{ServerShards, ShardAddress, ShardSpec};
pub use strategy::{
    AeasgdOptions, AgnAdaptiveOptions, CodingOptions, DeltaOptions, DilocoOptions, DynSgdOptions,
    EamsgdOptions, ElasticOptions, LocalSgdOptions, NoOptions, StrategySpec, SyncOptions,
};
pub use tls::{ClientTls, ServerTls, TlsIdentity};
pub use training::{LossSpec, OptimizerSpec, TermSpec};
