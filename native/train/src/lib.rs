//! Neural networks over flat buffers: training and prediction with libtorch.
//!
//! A [`NetworkDocument`](firesteel_core::spec::NetworkDocument) becomes a graph of layers or a TorchScript module with
//! known shapes ([`inspect()`]). Its parameters lie in one flat buffer ([`initialise()`]), over which a network trains
//! ([`TaskTrainer`]) or predicts ([`Predictor`]).
//!
//! All computation runs on the calling thread, with denormals flushed and libtorch's threads set for the duration of
//! the call.

mod build;
pub mod error;
mod graph;
mod graph_definition;
mod initialise;
mod input_column;
mod inspect;
mod loss;
pub mod model;
mod network;
mod plan;
mod predictor;
mod random;
mod raw;
mod script;
mod task;
mod torch;
mod weights;

pub use error::TrainError;
pub use initialise::{check_weights, initialise, layout, zero_weights};
pub use inspect::inspect;
pub use loss::check_losses;
pub use model::{Inspection, Weights};
pub use network::DeadUnits;
pub use predictor::{LoadedWeights, Predictor};
pub use task::{
    Connect, Learning, OutputSample, Sample, Seconds, TaskReport, TaskTrainer, WorkerReport,
};
pub use weights::{members_from_bytes, members_to_bytes, weights_from_bytes, weights_to_bytes};
